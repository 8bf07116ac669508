"""Words, dates and the catalogues they come from."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.pofile import PoFileError

from tests.support import ROOT
from worker.i18n.language import Languages, has_visible_text, to_single_line, wrap_text

#: A family, a word of Persian, and marks for text from the right: joined and directed by signs that are needed.
NEEDED = "👨\u200d👩\u200d👧 می\u200cخواهم \u200eA\u200f \u061c1"
NOON = datetime(2026, 11, 3, 12, 0, tzinfo=UTC)


def write_catalogue(folder: Path, language: str, *sentences: tuple[str, str]) -> Path:
    """A catalogue of these sentences, where `Languages` looks for one."""
    path = folder / language / "LC_MESSAGES" / "longarc.po"
    path.parent.mkdir(parents=True, exist_ok=True)
    header = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    path.write_text(header + "".join(f'\nmsgid "{ours}"\nmsgstr "{theirs}"\n' for ours, theirs in sentences), "utf-8")
    return path


def test_a_date_says_its_weekday_and_the_year_only_when_asked() -> None:
    english = Languages([]).find_language("en")
    assert english.format_day(date(2026, 11, 3), with_year=False) == "Tuesday, November 3"
    assert english.format_day(date(2027, 1, 5), with_year=True) == "Tuesday, January 5, 2027"


def test_dates_follow_the_region_of_the_locale() -> None:
    british = Languages([]).find_language("en-GB")
    assert british.format_day(date(2026, 11, 3), with_year=False) == "Tuesday 3 November"
    assert british.format_time(NOON, "Europe/London") == "12:00"
    assert Languages([]).find_language("en").format_time(NOON, "America/New_York") == "7:00\u00a0AM"


def test_a_language_with_a_catalogue_has_its_words_and_its_dates(tmp_path: Path) -> None:
    write_catalogue(tmp_path, "fr", ("Why", "Pourquoi"))
    french = Languages([tmp_path]).find_language("fr-CA")
    assert french.gettext("Why") == "Pourquoi"
    assert french.format_day(date(2026, 11, 3), with_year=False) == "mardi 3 novembre"
    assert french.tag == "fr-CA"


def test_a_language_without_a_catalogue_is_english_throughout(tmp_path: Path) -> None:
    for wish in ("cy", "nonsense!", "x", ""):
        words = Languages([tmp_path]).find_language(wish)
        assert (words.tag, words.format_day(date(2026, 11, 3), with_year=False)) == ("en", "Tuesday, November 3")


def test_an_earlier_folder_wins_sentence_by_sentence(tmp_path: Path) -> None:
    write_catalogue(tmp_path / "theirs", "fr", ("Why", "La raison"))
    write_catalogue(tmp_path / "ours", "fr", ("Why", "Pourquoi"), ("Write it here", "Écrivez ici"))
    french = Languages([tmp_path / "theirs", tmp_path / "ours"]).find_language("fr")
    assert french.gettext("Why") == "La raison"
    assert french.gettext("Write it here") == "Écrivez ici"


def test_each_language_counts_in_its_own_way(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path, "pl")
    path.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=3; plural='
        '(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\\n"\n\n'
        'msgid "every week"\nmsgid_plural "every %(count)s weeks"\n'
        'msgstr[0] "co tydzień"\nmsgstr[1] "co %(count)s tygodnie"\nmsgstr[2] "co %(count)s tygodni"\n',
        "utf-8",
    )
    polish = Languages([tmp_path]).find_language("pl")
    said = [polish.ngettext("every week", "every %(count)s weeks", n) for n in (1, 3, 13)]
    assert said == ["co tydzień", "co 3 tygodnie", "co 13 tygodni"]


def test_a_broken_catalogue_is_refused(tmp_path: Path) -> None:
    write_catalogue(tmp_path, "fr").write_text('msgid "Why"\nmeans "Pourquoi"\n', "utf-8")
    with pytest.raises(PoFileError):
        Languages([tmp_path]).find_language("fr")


def test_nothing_to_say_says_nothing(tmp_path: Path) -> None:
    """An empty sentence would fetch a catalogue's header."""
    write_catalogue(tmp_path, "fr")
    assert Languages([tmp_path]).find_language("fr").gettext("") == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a\r\nb", "a b"),
        ("  a\t b\n\n## Manager's commitments ", "a b ## Manager's commitments"),
        ("bell\x07 and escape\x1b[31m", "bell and escape[31m"),
        ("line\u2028separator", "line separator"),
    ],
)
def test_what_a_person_wrote_is_one_line(given: str, expected: str) -> None:
    assert to_single_line(given) == expected


def test_long_lines_break_between_words_and_lists_hang() -> None:
    folded = wrap_text("- one two three four five\n  six seven eight nine ten", width=16)
    assert folded == "- one two three\n  four five\n  six seven\n  eight nine ten\n"


def test_links_and_commands_are_never_broken() -> None:
    link = "https://longarc.example/" + "x" * 90
    assert link in wrap_text(f"See {link} for more of it than fits").splitlines()


def test_blank_lines_are_single_and_no_space_is_left_over() -> None:
    assert wrap_text("\n\na  \n\n\n\nb\u00a0c\n\n") == "a\n\nb c\n"


def test_the_template_of_catalogues_is_up_to_date(tmp_path: Path) -> None:
    """Whoever changes a word a person reads runs `make messages`."""
    found = tmp_path / "found.pot"
    # The very command of the Makefile.
    recipe = next(row for row in (ROOT / "Makefile").read_text("utf-8").splitlines() if "pybabel extract" in row)
    options = recipe.partition("extract ")[2].replace("templates/locale/longarc.pot", str(found)).split()
    pybabel = [sys.executable, "-m", "babel.messages.frontend", "-q", "extract"]
    subprocess.run([*pybabel, *options], cwd=ROOT, check=True, capture_output=True)
    kept = (ROOT / "templates" / "locale" / "longarc.pot").read_text("utf-8")
    assert found.read_text("utf-8") == kept, "run `make messages`"


def test_a_line_has_nothing_that_nobody_sees_but_what_its_language_needs() -> None:
    unseen = "".join(map(chr, (*range(32), *range(127, 160), 0x200B, 0xFEFF, *range(0x202A, 0x202F))))
    assert to_single_line(f"a{unseen}\u2066\u2067\u2068\u2069b \u2028 c") == "a b c"
    assert to_single_line(NEEDED) == NEEDED


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff", "\u202e \u2066\u2069\u00a0"])
def test_a_text_of_which_nothing_is_seen(text: str) -> None:
    assert not has_visible_text(text)
    assert has_visible_text(f"{text}.") and has_visible_text(f"é{text}")
