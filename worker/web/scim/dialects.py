"""Converts requests of directories that depart from the SCIM standard to the standard's form.

Microsoft Entra gives a manager as a bare id or as a list with one id, wraps texts as `[{"value": …}]`, and sends a
value with a `remove` operation, where the standard has only a path. Okta sends numbers in place of texts. Other
departures are left to `scim2_models`, which accepts them: operations in capital letters, `"False"` for false, and paths
with a filter that matches nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from scim2_models import InvalidSyntaxException, InvalidValueException

from worker.web.scim.schema import EnterpriseUser

#: The most levels of nested JSON values in a request. A person needs five.
MAX_DEPTH = 12
#: The longest text, in characters.
MAX_TEXT = 2000
#: The most values in a list.
MAX_ITEMS = 200

_ENTERPRISE = str(EnterpriseUser.__schema__).casefold()
_MANAGER_PATHS = {f"{_ENTERPRISE}:manager", "manager"}
#: The attributes of people whose value is a list by the standard.
_LISTS = {"emails", "addresses"}


def parse_body(body: bytes) -> Any:
    """Return the JSON value of a request's body. Raises InvalidSyntaxException and InvalidValueException."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidSyntaxException(detail="The body is not JSON.") from None
    _check_bounds(payload, MAX_DEPTH)
    return payload


def _check_bounds(value: Any, max_depth: int) -> None:
    """Raise InvalidValueException for a value that is nested too deeply, or has a list or text that can't be stored."""
    if max_depth < 0:
        raise InvalidValueException(detail=f"The body is nested more than {MAX_DEPTH} levels deep.")
    if isinstance(value, Mapping):
        for name, item in value.items():
            _check_text(name)
            _check_bounds(item, max_depth - 1)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            raise InvalidValueException(detail=f"A list has more than {MAX_ITEMS} values.")
        for item in value:
            _check_bounds(item, max_depth - 1)
    elif isinstance(value, str):
        _check_text(value)


def _check_text(text: str) -> None:
    if len(text) > MAX_TEXT:
        raise InvalidValueException(detail=f"A text is longer than {MAX_TEXT} characters.")
    if not has_only_storable_characters(text):
        raise InvalidValueException(detail="A text has a null character, or one half of a surrogate pair.")


def has_only_storable_characters(text: str) -> bool:
    """Return whether a database can store the text: it has no null character, and no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


# --- people -------------------------------------------------------------------------------------------------------


def adapt_user(values: Any) -> Any:
    """Return a person, or some attributes of a person, in the form of the standard."""
    if not isinstance(values, Mapping):
        return values
    return {name: _adapt_value(name.casefold(), value) for name, value in values.items()}


def _adapt_value(path: str, value: Any) -> Any:
    """Return the value of an attribute in the form of the standard. `path` is in lower case."""
    if path == _ENTERPRISE:
        return adapt_user(value)
    if path in _MANAGER_PATHS:
        return _adapt_manager(value)
    is_list_or_filtered = path in _LISTS or "[" in path  # such as `emails[type eq "work"].value`
    if is_list_or_filtered:
        return value
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping):
        value = value[0].get("value", value)  # a text as Entra wraps it
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _adapt_manager(value: Any) -> dict[str, str] | None:
    """Return a manager as an object with the key `value`; None for a person without a manager."""
    if isinstance(value, list):
        if len(value) > 1:
            raise InvalidValueException(detail="A person has one manager.")
        value = value[0] if value else None
    if isinstance(value, Mapping):
        reference = str(value.get("$ref") or "").rstrip("/").rpartition("/")[2]
        value = value.get("value") or reference
    return {"value": str(value)} if value else None


# --- changes ------------------------------------------------------------------------------------------------------


def adapt_patch(payload: Any) -> Any:
    """Return the body of a PATCH in the form of the standard."""
    if not isinstance(payload, Mapping):
        return payload
    return {
        name: [_adapt_operation(operation) for operation in value]
        if name.casefold() == "operations" and isinstance(value, list)
        else value
        for name, value in payload.items()
    }


def _adapt_operation(operation: Any) -> Any:
    """Return one operation of a PATCH in the form of the standard."""
    if not isinstance(operation, Mapping):
        return operation
    fields = {name.casefold(): value for name, value in operation.items()}
    path = str(fields.get("path") or "").casefold()
    if str(fields.get("op")).casefold() == "remove":
        # in a list, the value says which items to remove; elsewhere, the path alone says what to remove
        return fields if path in _LISTS else {name: value for name, value in fields.items() if name != "value"}
    if not path:
        return {**fields, "value": adapt_user(fields["value"])} if "value" in fields else fields
    if "value" not in fields:
        return fields
    value = _adapt_value(path, fields["value"])
    if value is None:  # the attribute has no value any more, such as the manager of somebody without a manager
        return {"op": "remove", "path": fields["path"]}
    return {**fields, "value": value}
