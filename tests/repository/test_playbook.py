"""The table of the rules of the practice (playbook.md) is complete: each rule names tests, and these exist."""

import ast
import re
from functools import cache

from tests.support import ROOT

TABLE = ROOT / "tests" / "playbook.md"
ROWS = [f"R-{number}" for number in range(1, 39)]
_ROW = re.compile(r"^\| (R-\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([^`]+\.py)::(\w+)`")


def rows() -> list[tuple[str, str, str]]:
    """Each row: its name, what it asks, and the cell with its tests."""
    return _ROW.findall(TABLE.read_text(encoding="utf-8"))


@cache
def named_in(path: str) -> frozenset[str]:
    """The names of the test functions in a file, read and not run."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_"))


def test_every_row_of_the_practice_is_there_once_and_in_order() -> None:
    assert [name for name, _, _ in rows()] == ROWS


def test_every_row_says_what_it_asks() -> None:
    assert [name for name, asked, _ in rows() if len(asked.split()) < 3] == []


def test_every_row_is_shown_by_a_test() -> None:
    assert [name for name, _, cell in rows() if not _TEST.findall(cell)] == []


def test_every_test_that_is_named_is_there() -> None:
    named = [(name, path, test) for name, _, cell in rows() for path, test in _TEST.findall(cell)]
    assert [one for one in named if one[2] not in named_in(one[1])] == []


def test_nothing_in_the_last_column_is_misread() -> None:
    """A cell holds tests, with commas between, and nothing that would be passed over."""
    assert [name for name, _, cell in rows() if _TEST.sub("", cell).strip(", ")] == []
