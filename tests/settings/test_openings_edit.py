"""A change of one opening leaves the rest of the file as it is, and what is wrong is not written (R-29)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Problems
from worker.settings.openings_edit import OpeningsChanged, OpeningsFile
from worker.settings.openings_file import load_openings_file

LEAD = {"title": "Lead of billing", "kind": "project", "until": "2027-03-31", "note": "Six months, half the week"}
EXCEL = 'sep=;\nTitle;Cost centre;Kind;Until\n\nDesigner;K17;opening;2027-02-26\n"Two\nlines";K18;path;2027-12-31\n'


def test_first_opening_makes_the_file(tmp_path: Path) -> None:
    file = OpeningsFile(tmp_path / "openings.csv")
    before = file.read()
    assert (before.openings, before.is_writable) == ((), True)
    file.add(LEAD, before.version)
    (opening,) = load_openings_file(tmp_path / "openings.csv")
    assert (opening.title, opening.note, opening.line) == (LEAD["title"], LEAD["note"], 2)


def test_change_leaves_other_rows_columns_the_separator_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + EXCEL.replace("\n", "\r\n").encode())
    path.chmod(0o664)
    file = OpeningsFile(path)
    lines = [one.line for one in file.read().openings]
    assert lines == [4, 5]
    file.change(4, {"title": "Senior designer; UX", "kind": "opening", "until": "2027-02-27"}, file.read().version)
    file.change(
        file.read().openings[1].line,
        {"title": "Path", "kind": "path", "until": "2027-12-31", "note": "New"},
        file.read().version,
    )
    kept = path.read_text(encoding="utf-8-sig")
    assert kept.splitlines() == [
        "sep=;",
        "Title;Cost centre;Kind;Until;note",
        '"Senior designer; UX";K17;opening;2027-02-27',
        "Path;K18;path;2027-12-31;New",
    ]
    assert (path.stat().st_mode & 0o777, path.read_bytes()[:3]) == (0o664, b"\xef\xbb\xbf")
    file.remove(3, file.read().version)
    assert [one.title for one in load_openings_file(path)] == ["Path"]


def test_wrong_cells_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    file = OpeningsFile(path)
    file.add(LEAD, "none")
    before = path.read_bytes()
    wrong = {"title": "x" * 121, "kind": "job", "until": "soon", "link": "javascript:alert(1)", "contact": "nobody"}
    with pytest.raises(Problems) as added:
        file.add(wrong, file.read().version)
    with pytest.raises(Problems) as changed:
        file.change(2, wrong, file.read().version)
    assert [len(one.value.problems) for one in (added, changed)] == [5, 5]
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["openings.csv"]


def test_change_of_an_older_version_or_of_no_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    file = OpeningsFile(path)
    file.add(LEAD, "none")
    before, version = path.read_bytes(), file.read().version
    for line in (0, 1, 3, 99):
        with pytest.raises(OpeningsChanged):
            file.remove(line, version)
    path.write_bytes(before + b"Another,path,2027-12-31,,,,\n")
    with pytest.raises(OpeningsChanged):
        file.remove(2, version)
    with pytest.raises(OpeningsChanged):
        file.add(LEAD, "none")
    assert len(file.read().openings) == 2


@given(st.text(min_size=1, max_size=60), st.text(max_size=80))
def test_what_is_written_is_read_again(title: str, note: str) -> None:
    """Whatever somebody types is either refused, or read back as it was typed, blanks aside."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = OpeningsFile(Path(folder, "openings.csv"))
        file.add(LEAD, "none")
        try:
            file.add({**LEAD, "title": title, "note": note}, file.read().version)
        except Problems:
            assert len(file.read().openings) == 1
        else:
            first, second = file.read().openings
            assert first.title == LEAD["title"]
            assert (second.title, second.note) == (_clean(title), _clean(note))


def _clean(text: str) -> str:
    from worker.settings.csv_file import _collect_cells

    return " ".join(_collect_cells([" ".join(text.split())], {0: "title"})["title"].split())
