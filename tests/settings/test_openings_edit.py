"""Changes of one opening in the openings file leave the rest unchanged, and wrong values are not written (R-29)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.errors import Problems
from worker.settings.openings_edit import OpeningsChanged, OpeningsFile
from worker.settings.openings_file import load_openings_file

VALID_CELLS = {
    "title": "Lead of billing",
    "kind": "project",
    "until": "2027-03-31",
    "note": "Six months, half the week",
}
#: The version of a file that does not exist.
NO_FILE = "none"
SPREADSHEET = (
    'sep=;\nTitle;Cost centre;Kind;Until\n\nDesigner;K17;opening;2027-02-26\n"Two\nlines";K18;path;2027-12-31\n'
)


def test_first_opening_creates_the_file(tmp_path: Path) -> None:
    file = OpeningsFile(tmp_path / "openings.csv")
    content_before = file.read()
    assert (content_before.openings, content_before.is_writable) == ((), True)
    file.add(VALID_CELLS, content_before.version)
    (opening,) = load_openings_file(tmp_path / "openings.csv")
    assert (opening.title, opening.note, opening.line) == (VALID_CELLS["title"], VALID_CELLS["note"], 2)


def test_change_keeps_other_rows_and_columns_the_separator_and_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    path.write_bytes(b"\xef\xbb\xbf" + SPREADSHEET.replace("\n", "\r\n").encode())
    path.chmod(0o664)
    file = OpeningsFile(path)
    lines = [opening.line for opening in file.read().openings]
    assert lines == [4, 5]  # below `sep=;`, the header and an empty line
    file.change(4, {"title": "Senior designer; UX", "kind": "opening", "until": "2027-02-27"}, file.read().version)
    file.change(
        file.read().openings[1].line,
        {"title": "Path", "kind": "path", "until": "2027-12-31", "note": "New"},
        file.read().version,
    )
    changed_text = path.read_text(encoding="utf-8-sig")
    assert changed_text.splitlines() == [
        "sep=;",
        "Title;Cost centre;Kind;Until;note",
        '"Senior designer; UX";K17;opening;2027-02-27',
        "Path;K18;path;2027-12-31;New",
    ]
    assert (path.stat().st_mode & 0o777, path.read_bytes()[:3]) == (0o664, b"\xef\xbb\xbf")
    file.remove(3, file.read().version)
    assert [opening.title for opening in load_openings_file(path)] == ["Path"]


def test_wrong_cells_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    file = OpeningsFile(path)
    file.add(VALID_CELLS, NO_FILE)
    content_before = path.read_bytes()
    wrong_cells = {
        "title": "x" * 121,
        "kind": "job",
        "until": "soon",
        "link": "javascript:alert(1)",
        "contact": "nobody",
    }
    with pytest.raises(Problems) as add_error_info:
        file.add(wrong_cells, file.read().version)
    with pytest.raises(Problems) as change_error_info:
        file.change(2, wrong_cells, file.read().version)
    assert [len(error_info.value.problems) for error_info in (add_error_info, change_error_info)] == [5, 5]
    assert path.read_bytes() == content_before
    assert [file_path.name for file_path in tmp_path.iterdir()] == ["openings.csv"]


def test_change_of_an_older_version_or_of_a_missing_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "openings.csv"
    file = OpeningsFile(path)
    file.add(VALID_CELLS, NO_FILE)
    content_before, version = path.read_bytes(), file.read().version
    for line in (0, 1, 3, 99):
        with pytest.raises(OpeningsChanged):
            file.remove(line, version)
    path.write_bytes(content_before + b"Another,path,2027-12-31,,,,\n")
    with pytest.raises(OpeningsChanged):
        file.remove(2, version)
    with pytest.raises(OpeningsChanged):
        file.add(VALID_CELLS, NO_FILE)
    assert len(file.read().openings) == 2


@given(st.text(min_size=1, max_size=60), st.text(max_size=80))
def test_added_opening_is_read_back_unchanged(title: str, note: str) -> None:
    """Any text is either refused, or read back unchanged except for blanks and invisible characters."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = OpeningsFile(Path(folder, "openings.csv"))
        file.add(VALID_CELLS, NO_FILE)
        try:
            file.add({**VALID_CELLS, "title": title, "note": note}, file.read().version)
        except Problems:
            assert len(file.read().openings) == 1
        else:
            first, second = file.read().openings
            assert first.title == VALID_CELLS["title"]
            assert (second.title, second.note) == (_clean(title), _clean(note))


def _clean(text: str) -> str:
    from worker.settings.csv_file import _collect_cells

    return " ".join(_collect_cells([" ".join(text.split())], {0: "title"})["title"].split())
