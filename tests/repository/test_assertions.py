"""Every test can fail: no assertion is always true, and every test has an assertion."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.support import ROOT

TESTS = ROOT / "tests"
#: Functions that prove something as `assert` does: they expect an error or a warning, fail, or wait for a page's state.
ASSERTING_FUNCTIONS = {"raises", "warns", "fail", "expect"}


@cache
def parse_tests() -> dict[str, ast.Module]:
    files = sorted(TESTS.rglob("*.py"))
    return {path.relative_to(TESTS).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in files}


def is_always_true(test: ast.expr) -> bool:
    """Whether an asserted expression is true for every program: a constant, `… if … else True`, `… or True`, a tuple,
    or a generator, which is true even when it yields nothing."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.IfExp):
        return is_always_true(test.body) or is_always_true(test.orelse)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(map(is_always_true, test.values))
    return isinstance(test, ast.GeneratorExp | ast.Lambda) or (isinstance(test, ast.Tuple) and bool(test.elts))


def iter_called_names(node: ast.AST) -> Iterator[str]:
    for descendant in ast.walk(node):
        if isinstance(descendant, ast.Call):
            yield descendant.func.id if isinstance(descendant.func, ast.Name) else getattr(descendant.func, "attr", "")


def has_assertion(node: ast.AST, functions: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function asserts something, itself or through a function of its own module."""
    if any(isinstance(descendant, ast.Assert) for descendant in ast.walk(node)):
        return True
    names = set(iter_called_names(node)) - seen
    if names & ASSERTING_FUNCTIONS:
        return True
    return any(has_assertion(functions[name], functions, seen | names) for name in names & functions.keys())


def test_no_assertion_is_always_true() -> None:
    always_true = [
        f"{name}:{node.lineno}: {ast.unparse(node.test)}"
        for name, tree in parse_tests().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and is_always_true(node.test)
    ]
    assert always_true == []


def test_every_test_has_an_assertion() -> None:
    tests_without_assertion = []
    for name, tree in parse_tests().items():
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        module_tests = (test for test in functions.values() if test.name.startswith("test_"))
        tests_without_assertion += [
            f"{name}:{test.lineno}: {test.name}" for test in module_tests if not has_assertion(test, functions)
        ]
    assert tests_without_assertion == []


def test_assertions_that_cannot_fail_are_recognized() -> None:
    for text in ("True", "x is None if y else True", "x or True", "(x, 'why')", "(x for x in y)"):
        assert is_always_true(ast.parse(text, mode="eval").body), text
    for text in ("x", "x is None if y else False", "x or y", "[x for x in y]", "not True", "()"):
        assert not is_always_true(ast.parse(text, mode="eval").body), text
