"""Every test can fail: no assertion is true whatever the program does, and no test is without an assertion."""

import ast
from collections.abc import Iterator
from functools import cache

from tests.support import ROOT

TESTS = ROOT / "tests"
#: Functions that prove something as `assert` does: they expect an error or a warning, fail, or wait for a page's state.
PROOFS = {"raises", "warns", "fail", "expect"}


@cache
def trees() -> dict[str, ast.Module]:
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


def called_names(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            yield one.func.id if isinstance(one.func, ast.Name) else getattr(one.func, "attr", "")


def proves(node: ast.AST, functions: dict[str, ast.FunctionDef], seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function asserts something, itself or through a function of its own module."""
    if any(isinstance(one, ast.Assert) for one in ast.walk(node)):
        return True
    names = set(called_names(node)) - seen
    if names & PROOFS:
        return True
    return any(proves(functions[name], functions, seen | names) for name in names & functions.keys())


def test_no_assertion_holds_for_every_program() -> None:
    vacuous = [
        f"{name}:{node.lineno}: {ast.unparse(node.test)}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and is_always_true(node.test)
    ]
    assert vacuous == []


def test_every_test_proves_something() -> None:
    silent = []
    for name, tree in trees().items():
        functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        tests = (one for one in functions.values() if one.name.startswith("test_"))
        silent += [f"{name}:{one.lineno}: {one.name}" for one in tests if not proves(one, functions)]
    assert silent == []


def test_assertions_that_cannot_fail_are_recognized() -> None:
    for text in ("True", "x is None if y else True", "x or True", "(x, 'why')", "(x for x in y)"):
        assert is_always_true(ast.parse(text, mode="eval").body), text
    for text in ("x", "x is None if y else False", "x or y", "[x for x in y]", "not True", "()"):
        assert not is_always_true(ast.parse(text, mode="eval").body), text
