"""The table of the rules of the practice (playbook.md) has a row for each rule, and its tests exist."""

import ast
import re
from functools import cache

from tests.support import ROOT

TABLE = ROOT / "tests" / "playbook.md"
ROWS = [f"R-{number}" for number in range(1, 39)]
_ROW = re.compile(r"^\| (R-\d+) \| (.+?) \| (.+) \|$", re.MULTILINE)
_TEST = re.compile(r"`([^`]+\.py)::(\w+)`")


def read_rows() -> list[tuple[str, str, str]]:
    """Return the name, the rule and the cell with the tests of each row."""
    return _ROW.findall(TABLE.read_text(encoding="utf-8"))


@cache
def list_test_names(path: str) -> frozenset[str]:
    """Return the names of the test functions in a file, without importing it."""
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_each_rule_has_one_row_in_order() -> None:
    assert [name for name, _, _ in read_rows()] == ROWS


def test_every_row_states_its_rule() -> None:
    assert [name for name, rule, _ in read_rows() if len(rule.split()) < 3] == []


def test_every_row_names_a_test() -> None:
    assert [name for name, _, cell in read_rows() if not _TEST.findall(cell)] == []


def test_every_named_test_exists() -> None:
    named_tests = [(name, path, test) for name, _, cell in read_rows() for path, test in _TEST.findall(cell)]
    assert [named_test for named_test in named_tests if named_test[2] not in list_test_names(named_test[1])] == []


def test_last_column_contains_only_tests() -> None:
    """A cell contains only tests and commas. This test finds text that `_TEST` does not match."""
    assert [name for name, _, cell in read_rows() if _TEST.sub("", cell).strip(", ")] == []
