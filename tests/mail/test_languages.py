"""Every language but English: its catalogue is whole, fits its sentences, and every mail is in that language."""

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
NAME = re.compile(r"%\((\w+)\)s")
EMAILS = MailRenderer(sender="longarc@corp.example", domain="corp.example")


def ours() -> Catalog:
    with (LOCALE / "longarc.pot").open("rb") as source:
        return read_po(source)


def theirs(language: str) -> Catalog:
    return read_catalogue(LOCALE / language / "LC_MESSAGES" / "longarc.po")


def forms(words: object) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words) if isinstance(words, (tuple, list)) else ()


def rendered(letter: MailContext) -> tuple[str, str]:
    """Subject and text as one, wrapped lines joined; and the HTML."""
    mail = EMAILS.render(letter)
    parts = mail.get_payload()
    assert isinstance(parts, list)
    text, html = (part.get_payload(decode=True).decode() for part in parts)  # type: ignore[union-attr]
    return " ".join(f"{mail['Subject']}\n{text}".split()), html


def test_there_is_german() -> None:
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_translated(language: str) -> None:
    """`make messages` adds new sentences to each catalogue; their words are for somebody to write."""
    known = theirs(language)
    wanted = {forms(message.id): forms(message.id)[0] for message in ours() if message.id}
    given = {forms(message.id): message for message in known if message.id}
    assert not wanted.keys() - given.keys(), "run `make messages`"
    assert not given.keys() - wanted.keys(), "run `make messages`"
    empty = [first for key, first in wanted.items() if not all(forms(given[key].string)) or given[key].fuzzy]
    assert not empty


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_translation_is_filled_in_as_its_sentence_is(language: str) -> None:
    """The form for one may leave out the count, in either language."""
    for message in theirs(language):
        if message.id:
            wanted, given = forms(message.id), forms(message.string)
            names = {name for form in wanted for name in NAME.findall(form)}
            assert len(given) == 1 or len(given) > 1 < len(wanted) + 1
            for form in given:
                extra = names ^ set(NAME.findall(form))
                assert extra <= ({"count"} if len(given) > 1 else set()), form
                assert form % dict.fromkeys(names, "")
            assert names == {name for form in given for name in NAME.findall(form)}, given


def test_a_catalogue_is_proved_as_a_companys_own_is() -> None:
    assert find_broken_translations(LOCALE.parent) == []


def test_every_mail_is_in_german() -> None:
    """Not a sentence of English is left, and dates are German ones."""
    sentences = [form for message in ours() for form in forms(message.id)]
    pieces = {piece for sentence in sentences for piece in NAME.split(sentence)[::2] if len(piece) > 14}
    for letter in list_samples("de"):
        text, html = rendered(letter)
        assert '<html lang="de"' in html, letter.key
        assert not [piece for piece in pieces if piece in text], letter.key
        assert not re.search(r"\b(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, |\b\d+:\d\d.[AP]M\b", text), letter.key


def test_a_german_date_and_hour() -> None:
    prompt = next(letter for letter in list_samples("de") if letter.name == "reflection_prompt")
    text, _ = rendered(prompt)
    assert "Am Donnerstag, 5. November um 16:00 Uhr haben wir unser Karrieregespräch" in text


def test_why_there_is_no_time_is_told_in_german() -> None:
    """R-8"""
    text, _ = rendered(next(letter for letter in list_samples("de") if letter.name == "unplaceable"))
    assert "An 12 Tagen haben beide 75 Minuten gemeinsame Arbeitszeit; im Kalender von Dana Whitfield" in text
    assert "am Dienstag, 10. November, 10:00–11:00 Uhr wären 3 Anfangszeiten frei." in text


def test_the_contract_a_german_mail_asks_for_is_one_that_can_be_recorded() -> None:
    """R-14: the four parts as the mail shows them are read, and the words it explains them with are the right ones."""
    request = next(letter for letter in list_samples("de") if letter.name == "contract_request")
    mail = EMAILS.render(request).get_payload()
    assert isinstance(mail, list)
    text = mail[0].get_payload(decode=True).decode()  # type: ignore[union-attr]
    asked = text[text.index("## ") :].partition("\n\nDann")[0]
    found = parse_contract(asked, "c.md")
    assert [len(part) for part in (found.report, found.manager, found.reviews)] == [1, 1, 1]
    words = " ".join(text.split())
    for word in (f"„## {GERMAN.progress}“", f"„{GERMAN.support}:“", f"„{GERMAN.success}:“", f"„{GERMAN.none}“"):
        assert word in words


@pytest.mark.parametrize(
    ("wish", "found"), [("de", True), ("de-AT", True), ("de_CH", True), ("en-GB", True), ("fr", False)]
)
def test_who_is_written_to_in_their_language(wish: str, found: bool) -> None:
    assert Languages([LOCALE]).has_language(wish) is found


def test_nothing_else_lies_among_the_catalogues() -> None:
    """No compiled catalogue: they are read as they are written."""
    files = {path.name for path in Path(LOCALE).rglob("*") if path.is_file()}
    assert files == {"longarc.pot", "longarc.po"}


@pytest.mark.parametrize(
    ("locale", "known", "title"),
    [
        ("de", EventSettings(), "Karrieregespräch: Dana und Sam"),
        ("en", EventSettings(), "Career conversation: Dana and Sam"),
        ("de", EventSettings(subject="1:1 plus, {manager}/{report}"), "1:1 plus, Dana/Sam"),
    ],
)
def test_an_event_has_its_organizer_s_language(locale: str, known: EventSettings, title: str) -> None:
    """R-2, R-23: it stands on the manager's calendar. What a company writes itself stays as it is."""
    state = state_of(session_of(NOW), manager=replace(DANA, locale=locale), report=replace(SAM, locale="fr"))
    event = Composer(settings("sqlite://", event=known)).build_session_event(state, state.sessions[0])
    assert event.subject == title


@pytest.mark.parametrize("language", LANGUAGES)
def test_titles_of_events_keep_their_names(language: str) -> None:
    """A company's own text may leave a name out; a translation may not."""
    named = [message for message in theirs(language) if "{" in str(message.id)]
    assert named
    for message in named:
        assert set(re.findall(r"{\w+}", str(message.id))) == set(re.findall(r"{\w+}", str(message.string)))
