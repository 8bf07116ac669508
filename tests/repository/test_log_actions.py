"""Each line of the log names the event that it is about, and the reference lists every event (`worker.logs.Action`)."""

import ast
import json
import logging
from collections.abc import Iterator

from docs.generate import write_log
from tests.repository.test_layers import modules, tree
from worker.logs import FIELDS, Action, JsonLines

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
#: The module that logs SQL statements at `debug`, without their values. They are no events.
STATEMENTS = "worker.store.statements"
#: Events whose level depends on the outcome: `debug` for an attempt that is made again.
OF_ANY_LEVEL = {Action.EFFECT}


def log_calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call of a module's `log`: the module, the level and the call."""
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, level = node.func.value, node.func.attr
                if isinstance(owner, ast.Name) and owner.id == "log" and level in {*LEVELS, "log"}:
                    yield module, level, node


def named_actions(module: str) -> set[Action]:
    """The actions that a module writes."""
    named = (node.attr for node in ast.walk(tree(module)) if isinstance(node, ast.Attribute) and is_action(node.value))
    return {Action[name] for name in named}


def is_action(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "Action"


def extra_fields(call: ast.Call) -> dict[str, ast.expr]:
    """The fields of a log call's `extra`; empty when it is no dictionary that is written out in the call."""
    extras = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    return {
        str(name.value): value
        for extra in extras
        if isinstance(extra, ast.Dict)
        for name, value in zip(extra.keys, extra.values, strict=True)
        if isinstance(name, ast.Constant)
    }


def test_each_line_names_its_event_at_the_level_of_that_event() -> None:
    without, wrong = list[str](), list[str]()
    for module, level, call in log_calls():
        if module == STATEMENTS or level == "log":
            continue
        action = extra_fields(call).get("action")
        if not (isinstance(action, ast.Attribute) and is_action(action.value)):
            without.append(f"{module}:{call.lineno}")
        elif Action[action.attr].level != level:
            wrong.append(f"{module}:{call.lineno} logs {action.attr} as {level}")
    assert (without, wrong) == ([], [])


def test_each_event_is_written_somewhere() -> None:
    assert set().union(*map(named_actions, modules())) == set(Action)


def test_lines_hold_no_fields_that_the_reference_does_not_explain() -> None:
    given = {name for _, _, call in log_calls() for name in extra_fields(call)}
    assert given - {"action"} <= set(FIELDS)


def test_a_line_of_json_has_the_value_of_its_action() -> None:
    record = logging.LogRecord("worker.x", logging.INFO, "x.py", 1, "%s went", ("it",), None)
    record.__dict__.update(action=Action.EFFECT, what="mail", outcome="done", to="nobody@corp.example")
    line = json.loads(JsonLines().format(record))
    assert {name: line[name] for name in line if name != "at"} == {
        "level": "info",
        "logger": "worker.x",
        "message": "it went",
        "action": "effect",
        "what": "mail",
        "outcome": "done",
    }


def test_the_reference_lists_every_event_with_its_level_and_every_field() -> None:
    page = write_log()
    for action in Action:
        assert f"| `{action.value}` | {action.level} | {action.meaning} |" in page
        assert action.level in LEVELS
        assert action.meaning.endswith((".", "…"))
    for name in FIELDS:
        assert f"| `{name}` |" in page
    assert set(Action) >= OF_ANY_LEVEL
