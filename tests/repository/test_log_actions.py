"""Lines of the log name their event (`worker.logs.Action`), and the reference lists every event."""

import ast
import json
import logging
from collections.abc import Iterator

from docs.generate import write_log
from tests.repository.test_layers import list_modules, parse_module
from worker.logs import FIELDS, Action, JsonLines

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
#: The module that logs SQL statements at `debug`, without their values. They are no events.
STATEMENTS = "worker.store.statements"
#: Events whose level depends on the outcome: it is `debug` for an attempt that will be repeated.
OF_ANY_LEVEL = {Action.EFFECT}


def iter_log_calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield each call of a module's `log`, with the module and the level."""
    for module in list_modules():
        for node in ast.walk(parse_module(module)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner, level = node.func.value, node.func.attr
                if isinstance(owner, ast.Name) and owner.id == "log" and level in {*LEVELS, "log"}:
                    yield module, level, node


def find_actions(module: str) -> set[Action]:
    """Return the actions that a module writes."""
    names = (
        node.attr
        for node in ast.walk(parse_module(module))
        if isinstance(node, ast.Attribute) and is_action(node.value)
    )
    return {Action[name] for name in names}


def is_action(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "Action"


def get_extra_fields(call: ast.Call) -> dict[str, ast.expr]:
    """Return the fields of a log call's `extra`, if it is a dictionary in the call itself."""
    extras = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
    return {
        str(name.value): value
        for extra in extras
        if isinstance(extra, ast.Dict)
        for name, value in zip(extra.keys, extra.values, strict=True)
        if isinstance(name, ast.Constant)
    }


def test_each_log_call_names_its_action_at_the_level_of_that_action() -> None:
    calls_without_action, calls_at_wrong_level = list[str](), list[str]()
    for module, level, call in iter_log_calls():
        if module == STATEMENTS:
            continue
        action = get_extra_fields(call).get("action")
        if not (isinstance(action, ast.Attribute) and is_action(action.value)):
            calls_without_action.append(f"{module}:{call.lineno}")
        elif level == "log":  # the call computes its level
            if Action[action.attr] not in OF_ANY_LEVEL:
                calls_at_wrong_level.append(f"{module}:{call.lineno} logs {action.attr} at any level")
        elif Action[action.attr].level != level:
            calls_at_wrong_level.append(f"{module}:{call.lineno} logs {action.attr} as {level}")
    assert (calls_without_action, calls_at_wrong_level) == ([], [])


def test_each_action_is_logged_by_some_module() -> None:
    assert set().union(*map(find_actions, list_modules())) == set(Action)


def test_log_calls_use_only_documented_fields() -> None:
    fields = {name for _, _, call in iter_log_calls() for name in get_extra_fields(call)}
    assert fields - {"action"} <= set(FIELDS)


def test_json_line_contains_the_value_of_its_action() -> None:
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


def test_reference_lists_every_action_with_its_level_and_every_field() -> None:
    page = write_log()
    for action in Action:
        assert f"| `{action.value}` | {action.level} | {action.meaning} |" in page
        assert action.level in LEVELS
        assert action.meaning.endswith((".", "…"))
    for name in FIELDS:
        assert f"| `{name}` |" in page
