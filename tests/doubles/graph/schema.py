"""Checks requests against the metadata of Microsoft Graph: unknown properties, types and enumeration values fail.

`metadata.json` is the part of the published metadata (CSDL) that calendars, mail, mailbox settings, subscriptions and
users need.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).with_name("metadata.json")
_NUMBERS = {"Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.Double", "Edm.Decimal", "Edm.Single"}
_BOOLEANS = {"true": True, "false": False}
_FORMATS = {
    "Edm.DateTimeOffset": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,12})?)?(Z|[+-]\d\d:\d\d)"),
    "Edm.Date": re.compile(r"\d{4}-\d\d-\d\d"),
    "Edm.TimeOfDay": re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,12})?)?"),
    "Edm.Duration": re.compile(r"-?P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?"),
}


class SchemaError(ValueError):
    """A request does not fit the metadata. The message is the one of Graph's answer."""


@cache
def _load_metadata() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    return content


class Schema:
    """The types and actions of the metadata."""

    def __init__(self) -> None:
        self._metadata = _load_metadata()
        self.enums: Mapping[str, list[str]] = self._metadata["enums"]

    def check_entity(self, kind: str, given: Any) -> None:
        """Check a value of an entity type or complex type. Raises SchemaError."""
        self._check_object(kind, given, kind)

    def check_action(self, name: str, on: str, given: Mapping[str, Any]) -> None:
        """Check an action on a type, and its parameters, whose names may be in any case. Raises SchemaError."""
        signature = next((one for one in self._metadata["actions"].get(name, ()) if one["on"] == on), None)
        if signature is None:
            raise SchemaError(f"There is no action {name} on {on}.")
        parameters = {one.casefold(): kind for one, kind in signature["parameters"].items()}
        for one, value in given.items():
            if one.casefold() not in parameters:
                raise SchemaError(f"The parameter '{one}' is not valid for the action '{name}'.")
            self._check_value(parameters[one.casefold()], value, one)

    def list_members(self, kind: str) -> dict[str, Any]:
        """Return the properties of a type by name; `navigation` marks those that lead to other entities."""
        found: dict[str, Any] = {}
        while kind:
            described = self._metadata["types"].get(kind, {})
            for name, member in described.get("navigation", {}).items():
                found.setdefault(name, {**member, "navigation": True})
            for name, member in described.get("properties", {}).items():
                found.setdefault(name, member)
            kind = described.get("base", "")
        return {**found, "id": {"type": "Edm.String"}}

    def _check_object(self, kind: str, given: Any, where: str) -> None:
        if not isinstance(given, dict):
            raise SchemaError(f"An object was expected for '{where}'.")
        members = self.list_members(kind)
        for name, value in given.items():
            if name.startswith("@odata."):
                continue
            if name not in members:
                raise SchemaError(f"The property '{name}' does not exist on type 'microsoft.graph.{kind}'.")
            member = members[name]
            self._check_value(member["type"] + ("[]" if member.get("collection") else ""), value, name)

    def _check_value(self, kind: str, value: Any, where: str) -> None:
        if kind.endswith("[]"):
            if not isinstance(value, list):
                raise SchemaError(f"A collection was expected for '{where}'.")
            for one in value:
                self._check_value(kind[:-2], one, where)
            return
        if value is None or (kind.startswith("Edm.") and self._is_simple_value(kind, value)):
            return
        if kind in self.enums:
            if _find_spelling(value, self.enums[kind]) is None:
                raise SchemaError(f"'{value}' is not a value of '{kind}' ({where}).")
            return
        if kind in self._metadata["types"]:
            self._check_object(kind, value, where)
            return
        raise SchemaError(f"The value of '{where}' is not a {kind}.")

    def canonicalize(self, kind: str, given: Any) -> Any:
        """Return the checked value with enumeration values as the metadata spells them: their case does not matter."""
        if kind.endswith("[]"):
            return [self.canonicalize(kind[:-2], one) for one in given or ()]
        if kind in self.enums:
            return _find_spelling(given, self.enums[kind])
        if kind == "Edm.Boolean":
            return given if isinstance(given, bool | None) else _BOOLEANS[given]
        if kind not in self._metadata["types"] or not isinstance(given, dict):
            return given
        members = self.list_members(kind)
        changed = dict(given)
        for name in given.keys() & members.keys():
            member = members[name]
            changed[name] = self.canonicalize(member["type"] + ("[]" if member.get("collection") else ""), given[name])
        return changed

    @staticmethod
    def _is_simple_value(kind: str, value: Any) -> bool:
        if kind == "Edm.Boolean":  # Graph accepts the strings that python-o365 sends
            return isinstance(value, bool) or (isinstance(value, str) and value in _BOOLEANS)
        if kind in _NUMBERS:
            return isinstance(value, int | float) and not isinstance(value, bool)
        pattern = _FORMATS.get(kind)
        return isinstance(value, str) and (pattern is None or bool(pattern.fullmatch(value)))


def _find_spelling(value: Any, words: list[str]) -> str | None:
    """Return the word of `words` that equals the value but for its case; None without one."""
    return next((word for word in words if isinstance(value, str) and word.casefold() == value.casefold()), None)
