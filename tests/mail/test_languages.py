"""Every language except English: its catalogue is complete and correct, and every mail is in that language."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from tests.support.companies import settings
from tests.support.pairs import DANA, NOW, SAM, session_of, state_of
from worker.domain.contract.languages import GERMAN
from worker.domain.contract.markdown import parse_contract
from worker.i18n.language import Languages, read_catalogue
from worker.mail.check_templates import find_broken_translations
from worker.mail.compose import Composer
from worker.mail.context import MailContext
from worker.mail.kinds import list_samples
from worker.mail.render import MailRenderer
from worker.mail.templates import find_template_folder
from worker.settings.sections import EventSettings

LOCALE = find_template_folder() / "locale"
LANGUAGES = sorted(path.parts[-3] for path in LOCALE.glob("*/LC_MESSAGES/longarc.po"))
#: A place of a text in which a value is put. It captures the name of the value.
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
RENDERER = MailRenderer(sender="longarc@corp.example", domain="corp.example")


def read_template_catalogue() -> Catalog:
    """Return the file with all texts, from which each catalogue is made."""
    with (LOCALE / "longarc.pot").open("rb") as source:
        return read_po(source)


def read_language_catalogue(language: str) -> Catalog:
    return read_catalogue(LOCALE / language / "LC_MESSAGES" / "longarc.po")


def list_forms(words: object) -> tuple[str, ...]:
    """Return the text of a message or of its translation, or its singular and plural forms."""
    return (words,) if isinstance(words, str) else tuple(words) if isinstance(words, (tuple, list)) else ()


def render_text_and_html(context: MailContext) -> tuple[str, str]:
    """Return the subject and text of a mail, with their lines joined, and its HTML."""
    mail = RENDERER.render(context)
    parts = mail.get_payload()
    assert isinstance(parts, list)
    text, html = (part.get_payload(decode=True).decode() for part in parts)  # type: ignore[union-attr]
    return " ".join(f"{mail['Subject']}\n{text}".split()), html


def test_german_is_among_the_languages() -> None:
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    """`make messages` adds new texts to each catalogue, which people then translate."""
    texts = {list_forms(message.id) for message in read_template_catalogue() if message.id}
    translations = {list_forms(message.id): message for message in read_language_catalogue(language) if message.id}
    assert not texts - translations.keys(), "run `make messages`"
    assert not translations.keys() - texts, "run `make messages`"
    empty = [key[0] for key, message in translations.items() if not all(list_forms(message.string)) or message.fuzzy]
    assert not empty


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_has_the_placeholders_of_its_text(language: str) -> None:
    """A form of a translation in several forms may leave out the count."""
    for message in read_language_catalogue(language):
        if message.id:
            texts, translations = list_forms(message.id), list_forms(message.string)
            names = {name for form in texts for name in PLACEHOLDER.findall(form)}
            for form in translations:
                differences = names ^ set(PLACEHOLDER.findall(form))
                assert differences <= ({"count"} if len(translations) > 1 else set()), form
                assert form % dict.fromkeys(names, "")
            assert names == {name for form in translations for name in PLACEHOLDER.findall(form)}, translations


def test_default_catalogues_pass_the_check_of_company_catalogues() -> None:
    assert find_broken_translations(LOCALE.parent) == []


def test_every_mail_is_in_german() -> None:
    """No English text of more than 14 characters is left, and dates are German. Both languages share shorter texts."""
    sentences = [form for message in read_template_catalogue() for form in list_forms(message.id)]
    # the parts of each text before, between and after placeholders, without the names, which are every second item
    pieces = {piece for sentence in sentences for piece in PLACEHOLDER.split(sentence)[::2] if len(piece) > 14}
    for context in list_samples("de"):
        text, html = render_text_and_html(context)
        assert '<html lang="de"' in html, context.key
        assert not [piece for piece in pieces if piece in text], context.key
        assert not re.search(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, |\b\d+:\d\d.[AP]M\b", text), context.key


def test_dates_and_times_are_written_in_german() -> None:
    prompt = next(context for context in list_samples("de") if context.name == "reflection_prompt")
    text, _ = render_text_and_html(prompt)
    assert "Am Donnerstag, 5. November um 16:00 Uhr haben wir unser Karrieregespräch" in text


def test_r8_the_reasons_without_a_time_are_in_german() -> None:
    """R-8: they are those of a sample of the mail."""
    text, _ = render_text_and_html(next(context for context in list_samples("de") if context.name == "unplaceable"))
    assert "An 12 Tagen haben beide 75 Minuten gemeinsame Arbeitszeit; im Kalender von Dana Whitfield" in text
    assert "am Dienstag, 10. November, 10:00–11:00 Uhr wären 3 Anfangszeiten frei." in text


def test_the_german_contract_request_holds_a_contract_that_can_be_recorded() -> None:
    """R-14: the parser reads its four parts, and the mail explains the German keywords of a contract."""
    request = next(context for context in list_samples("de") if context.name == "contract_request")
    mail = RENDERER.render(request).get_payload()
    assert isinstance(mail, list)
    text = mail[0].get_payload(decode=True).decode()  # type: ignore[union-attr]
    empty_contract = text[text.index("## ") :].partition("\n\nDann")[0]
    contract = parse_contract(empty_contract, "c.md")
    assert [len(part) for part in (contract.report, contract.manager, contract.reviews)] == [1, 1, 1]
    words = " ".join(text.split())
    for word in (f"„## {GERMAN.progress}“", f"„{GERMAN.support}:“", f"„{GERMAN.success}:“", f"„{GERMAN.none}“"):
        assert word in words


@pytest.mark.parametrize(
    ("tag", "is_found"), [("de", True), ("de-AT", True), ("de_CH", True), ("en-GB", True), ("fr", False)]
)
def test_a_language_is_found_for_its_regional_variants(tag: str, is_found: bool) -> None:
    assert Languages([LOCALE]).has_language(tag) is is_found


def test_the_folder_of_catalogues_has_no_compiled_files() -> None:
    """The program reads the text form of catalogues."""
    files = {path.name for path in Path(LOCALE).rglob("*") if path.is_file()}
    assert files == {"longarc.pot", "longarc.po"}


@pytest.mark.parametrize(
    ("locale", "event_settings", "title"),
    [
        ("de", EventSettings(), "Karrieregespräch: Dana und Sam"),
        ("en", EventSettings(), "Career conversation: Dana and Sam"),
        ("de", EventSettings(subject="1:1 plus, {manager}/{report}"), "1:1 plus, Dana/Sam"),
    ],
)
def test_the_title_of_an_event_is_in_the_language_of_the_organizer(
    locale: str, event_settings: EventSettings, title: str
) -> None:
    """R-2, R-23: the event is on the manager's calendar. A title of the company's own is not translated."""
    state = state_of(session_of(NOW), manager=replace(DANA, locale=locale), report=replace(SAM, locale="fr"))
    event = Composer(settings("sqlite://", event=event_settings)).build_session_event(state, state.sessions[0])
    assert event.title == title


@pytest.mark.parametrize("language", LANGUAGES)
def test_translated_titles_of_events_keep_their_placeholders(language: str) -> None:
    """A company's own title may leave out a name, but a translation may not."""
    messages = [message for message in read_language_catalogue(language) if "{" in str(message.id)]
    assert messages
    for message in messages:
        assert set(re.findall(r"{\w+}", str(message.id))) == set(re.findall(r"{\w+}", str(message.string)))
