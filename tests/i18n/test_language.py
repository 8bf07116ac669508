"""Languages: translations from catalogues, formats of dates and times, and the cleaning and wrapping of text."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError

from tests.support import ROOT
from worker.i18n.language import Languages, has_visible_text, to_single_line, wrap_text

#: Text that needs invisible characters: an emoji with joiners, a Persian word, and marks of text direction.
TEXT_WITH_INVISIBLE_CHARACTERS = "👨\u200d👩\u200d👧 می\u200cخواهم \u200eA\u200f \u061c1"
NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def write_catalogue(folder: Path, language: str, *sentences: tuple[str, str]) -> Path:
    """Write a catalogue with these sentences to the place where `Languages` looks for it."""
    path = folder / language / "LC_MESSAGES" / "longarc.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    path.write_text(
        header + "".join(f'\nmsgid "{source}"\nmsgstr "{translation}"\n' for source, translation in sentences), "utf-8"
    )
    return path


def test_date_has_its_weekday_and_optionally_the_year() -> None:
    english = Languages([]).find_language("en")
    assert english.format_day(date(2026, 11, 3), with_year=False) == "Tuesday, November 3"
    assert english.format_day(date(2027, 1, 5), with_year=True) == "Tuesday, January 5, 2027"


def test_dates_follow_the_region_of_the_locale() -> None:
    british = Languages([]).find_language("en-GB")
    assert british.format_day(date(2026, 11, 3), with_year=False) == "Tuesday 3 November"
    assert british.format_time(NOON, "Europe/London") == "12:00"
    assert Languages([]).find_language("en").format_time(NOON, "America/New_York") == "7:00\u00a0AM"


def test_language_with_a_catalogue_has_its_own_texts_and_dates(tmp_path: Path) -> None:
    write_catalogue(tmp_path, "fr", ("Why", "Pourquoi"))
    french = Languages([tmp_path]).find_language("fr-CA")
    assert french.gettext("Why") == "Pourquoi"
    assert french.format_day(date(2026, 11, 3), with_year=False) == "mardi 3 novembre"
    assert french.tag == "fr-CA"


def test_language_without_a_catalogue_is_replaced_by_english(tmp_path: Path) -> None:
    for locale in ("cy", "nonsense!", "x", ""):
        language = Languages([tmp_path]).find_language(locale)
        assert (language.tag, language.format_day(date(2026, 11, 3), with_year=False)) == ("en", "Tuesday, November 3")


def test_translation_in_an_earlier_folder_wins(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "theirs", "fr", ("Why", "La raison"))
    write_catalogue(tmp_path / "ours", "fr", ("Why", "Pourquoi"), ("Write it here", "Écrivez ici"))
    french = Languages([tmp_path / "theirs", tmp_path / "ours"]).find_language("fr")
    assert french.gettext("Why") == "La raison"
    assert french.gettext("Write it here") == "Écrivez ici"


def test_plural_forms_follow_the_language(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, "pl")
    path.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=3; plural='
        '(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\\n"\n\n'
        'msgid "every week"\nmsgid_plural "every %(count)s weeks"\n'
        'msgstr[0] "co tydzień"\nmsgstr[1] "co %(count)s tygodnie"\nmsgstr[2] "co %(count)s tygodni"\n',
        "utf-8",
    )
    polish = Languages([tmp_path]).find_language("pl")
    phrases = [polish.ngettext("every week", "every %(count)s weeks", number) for number in (1, 3, 13)]
    assert phrases == ["co tydzień", "co 3 tygodnie", "co 13 tygodni"]


def test_invalid_catalogue_is_refused(tmp_path: Path) -> None:
    write_catalogue(tmp_path, "fr").write_text('msgid "Why"\nmeans "Pourquoi"\n', "utf-8")
    with pytest.raises(PoFileError):
        Languages([tmp_path]).find_language("fr")


def test_translation_of_an_empty_text_is_empty(tmp_path: Path) -> None:
    """In a catalogue, the translation of an empty text is the header."""
    write_catalogue(tmp_path, "fr")
    assert Languages([tmp_path]).find_language("fr").gettext("") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\r\nb", "a b"),
        ("  a\t b\n\n## Manager's commitments ", "a b ## Manager's commitments"),
        ("bell\x07 and escape\x1b[31m", "bell and escape[31m"),
        ("line\u2028separator", "line separator"),
    ],
)
def test_text_is_reduced_to_one_line(text: str, expected: str) -> None:
    assert to_single_line(text) == expected


def test_long_lines_break_between_words_and_lists_are_indented() -> None:
    wrapped = wrap_text("- one two three four five\n  six seven eight nine ten", width=16)
    assert wrapped == "- one two three\n  four five\n  six seven\n  eight nine ten\n"


def test_links_are_never_broken() -> None:
    link = "https://longarc.example/" + "x" * 90
    assert link in wrap_text(f"See {link} for more of it than fits").splitlines()


def test_wrapping_removes_repeated_blank_lines_and_trailing_spaces() -> None:
    assert wrap_text("\n\na  \n\n\n\nb\u00a0c\n\n") == "a\n\nb c\n"


def test_template_of_the_catalogues_is_up_to_date(tmp_path: Path) -> None:
    """After a change of a text for people, `make messages` has to be run."""
    extracted = tmp_path / "found.pot"
    # The options are read from the Makefile, so that both run the same command.
    recipe = next(row for row in (ROOT / "Makefile").read_text("utf-8").splitlines() if "pybabel extract" in row)
    options = recipe.partition("extract ")[2].replace("templates/locale/longarc.pot", str(extracted)).split()
    pybabel = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract"]
    subprocess.run([*pybabel, *options], cwd=ROOT, check=True, capture_output=True)
    stored = (ROOT / "templates" / "locale" / "longarc.pot").read_text("utf-8")
    assert extracted.read_text("utf-8") == stored, "run `make messages`"


def test_single_line_keeps_only_the_invisible_characters_that_languages_need() -> None:
    invisible_characters = "".join(map(chr, (*range(32), *range(127, 160), 0x200B, 0xFEFF, *range(0x202A, 0x202F))))
    assert to_single_line(f"a{invisible_characters}\u2066\u2067\u2068\u2069b \u2028 c") == "a b c"
    assert to_single_line(TEXT_WITH_INVISIBLE_CHARACTERS) == TEXT_WITH_INVISIBLE_CHARACTERS


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff", "\u202e \u2066\u2069\u00a0"])
def test_text_of_invisible_characters_has_no_visible_text(text: str) -> None:
    assert not has_visible_text(text)
    assert has_visible_text(f"{text}.") and has_visible_text(f"é{text}")
