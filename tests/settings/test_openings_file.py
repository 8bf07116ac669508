"""The openings file: its columns, its problems, and the selection of at most five openings for a report (R-29)."""

import logging
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.support import ROOT
from worker.domain.model import Opening, OpeningKind, select_openings
from worker.errors import Problems
from worker.settings.openings_file import OpeningsReader, load_openings_file

EXAMPLE = ROOT / "config" / "openings.example.csv"
HEADER = "title,kind,until,group,link,contact,note\n"
TODAY = date(2026, 11, 3)


def load_openings_text(folder: Path, text: str) -> tuple[Opening, ...]:
    (folder / "openings.csv").write_text(text, encoding="utf-8")
    return load_openings_file(folder / "openings.csv")


def list_problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(Problems) as error_info:
        load_openings_text(folder, text)
    return [str(problem) for problem in error_info.value.problems]


def test_example_file_is_valid() -> None:
    openings = load_openings_file(EXAMPLE)
    assert {opening.kind for opening in openings} == set(OpeningKind)
    assert [opening.group for opening in openings] == ["Engineering", "Design", ""]
    assert all(opening.link and opening.contact for opening in openings)


def test_columns_may_be_in_any_order_and_optional_columns_absent(tmp_path: Path) -> None:
    (opening,) = load_openings_text(
        tmp_path, "until;kind;owner;title\n2027-01-31;Project;Ines;  Lead   the migration \n"
    )
    assert opening == Opening(title="Lead the migration", kind=OpeningKind.PROJECT, until=date(2027, 1, 31), line=2)


@pytest.mark.parametrize(
    ("row", "column", "remedy"),
    [
        (",project,2027-01-31,,,,", "title", "The title is missing. Fill this cell."),
        ("A,,2027-01-31,,,,", "kind", "The kind is missing."),
        ("A,project,,,,,", "until", "The until is missing."),
        ("A,projekt,2027-01-31,,,,", "kind", "`projekt` is not one of `opening`, `project`, `path`. Did you mean"),
        ("A,path,31.1.2027,,,,", "until", "`31.1.2027` is not a date. Write it as year-month-day: `2027-02-15`."),
        ("A,path,2027-01-31,,jobs.example.com,,", "link", "`jobs.example.com` is not the address of a page. Write the"),
        ("A,path,2027-01-31,,javascript:alert(1),,", "link", "is not the address of a page"),
        ("A,path,2027-01-31,,,ines,", "contact", "`ines` is not an e-mail address."),
        (f"{'A' * 121},path,2027-01-31,,,,", "title", "The title is longer than 120 characters. Shorten it"),
        (f"A,path,2027-01-31,,,,{'A' * 301}", "note", "The note is longer than 300 characters."),
        (f"A,path,2027-01-31,{'A' * 81},,,", "group", "The group is longer than 80 characters."),
        (f"A,path,2027-01-31,,https://jobs.example.com/{'A' * 1000},,", "link", "The link is longer than 1,000 char"),
        ("A,path,2027-01-31,,https://jobs.example.com:99999/,,", "link", "is not the address of a page"),
        ("\u200b \u200e,path,2027-01-31,,,,", "title", "The title is missing."),
    ],
)  # fmt: skip
def test_the_error_of_a_bad_cell_names_place_and_remedy(tmp_path: Path, row: str, column: str, remedy: str) -> None:
    (problem,) = list_problems(tmp_path, HEADER + "Fine,project,2027-01-31,,,,\n" + row + "\n")
    assert problem.startswith(f"openings.csv:line 3, {column}: ")
    assert remedy in problem


def test_all_problems_of_the_file_are_reported(tmp_path: Path) -> None:
    reported = list_problems(tmp_path, HEADER + "A,b,c,,d,e,\n,path,2027-01-31,,,,\n")
    places = [problem.split(": ")[0] for problem in reported]
    assert places == [
        *(f"openings.csv:line 2, {column}" for column in ("kind", "until", "link", "contact")),
        "openings.csv:line 3, title",
    ]
    assert "An openings file needs title, kind, until." in list_problems(tmp_path, "title,kind\n")[0]


def make_opening(title: str, group: str = "", days_left: int = 30, line: int = 0) -> Opening:
    return Opening(title=title, kind=OpeningKind.PATH, until=TODAY + timedelta(days=days_left), group=group, line=line)


def test_r29_at_most_five_current_openings_are_selected_own_group_and_company_first() -> None:
    openings = [
        make_opening("past", "Design", days_left=-1),
        make_opening("other group", "Sales", days_left=5),
        make_opening("company", "", days_left=40),  # without a group, for the whole company
        make_opening("today", "design", days_left=0),
        *(make_opening(f"design {number}", "Design", days_left=50 + number) for number in range(2)),
    ]
    titles = [opening.title for opening in select_openings(openings, "Design", TODAY)]
    assert titles == ["today", "company", "design 0", "design 1", "other group"]
    many_openings = [*openings, *(make_opening(f"more {number}", "", days_left=1) for number in range(9))]
    assert len(select_openings(many_openings, "Design", TODAY)) == 5
    assert "other group" not in [opening.title for opening in select_openings(many_openings, "Design", TODAY)]
    assert select_openings(openings, "", TODAY)[0].title == "company"


def test_changed_file_is_read_at_once_and_broken_file_is_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "openings.csv"
    reader = OpeningsReader(file)
    assert reader.list_openings() == ()  # the file does not exist
    file.write_text(HEADER + "A,path,2027-01-31,,,,\n")
    assert [opening.title for opening in reader.list_openings()] == ["A"]
    file.write_text(HEADER + "B,nonsense,2027-01-31,,,,\n")
    with caplog.at_level(logging.ERROR):
        assert [[opening.title for opening in reader.list_openings()] for _ in range(2)] == [["A"], ["A"]]
    assert [record.getMessage() for record in caplog.records] == [
        "openings.csv has 1 problem, so it is not used: `longarc check` lists them."
    ]
    file.unlink()
    assert reader.list_openings() == ()


def test_invisible_characters_around_a_cell_are_removed(tmp_path: Path) -> None:
    """Such characters are copied together with a cell from a web page."""
    (opening,) = load_openings_text(
        tmp_path, HEADER + "\ufeff A\u200b,\u2060path,2027-01-31\u200f,,,\u200bines@corp.example,\n"
    )
    assert (opening.title, opening.kind, opening.contact) == ("A", OpeningKind.PATH, "ines@corp.example")
