"""The OData query options that Microsoft Graph supports for events, messages and users. Any other is refused."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.doubles.graph.state import Json, Refusal

_KINDS = "String|Boolean|Integer|Double|Short|Long|SystemTime|Binary|CLSID"
_PROPERTY = rf"((?:{_KINDS}) (?:\{{[0-9a-fA-F-]{{36}}\}} (?:Name [^']+|Id 0x[0-9A-Fa-f]+)|0x[0-9A-Fa-f]+))"
EXTENDED_ID = re.compile(_PROPERTY)
_EXPAND = re.compile(rf"singleValueExtendedProperties\(\$filter=id eq '{_PROPERTY}'\)")
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<sign>[():,])|(?P<word>[\w@./-]+(?::\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?)?))"
)
_OPTIONS = {
    *("$select", "$filter", "$orderby", "$count", "$top", "$skip", "$expand", "$format", "$search"),
    *("$skiptoken", "$deltatoken"),
}
#: The properties by which events can be filtered and sorted.
EVENT_FIELDS = {
    *("id", "iCalUId", "subject", "start/dateTime", "end/dateTime", "isAllDay", "isCancelled", "isOrganizer", "type"),
    *("showAs", "sensitivity", "importance", "createdDateTime", "lastModifiedDateTime", "hasAttachments"),
    *("seriesMasterId", "isOnlineMeeting", "organizer/emailAddress/address"),
}
MESSAGE_FIELDS = {"internetMessageId", "isDraft", "subject", "id"}
_MAX_SIZE = 1000


@dataclass(frozen=True)
class Row:
    """An entry to filter or sort: its properties, as JSON of Graph, and its extended properties."""

    properties: Json
    extended_properties: Mapping[str, str]


Clause = Callable[[Row], Any]  #: the parsed filter, or a part of it


def parse_options(query: str) -> dict[str, str]:
    """Return the query options by name; a plus stands for a space. Raises Refusal for an unknown option."""
    options: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        name = unquote(name.replace("+", " "))
        if "+" in value and "singleValueExtendedProperties" in unquote(value):
            raise make_refusal("Invalid filter clause: write spaces as %20.")
        if name.startswith("$") and name.casefold() not in _OPTIONS:
            raise make_refusal(f"The query parameter '{name}' is not supported.")
        options[name.casefold() if name.startswith("$") else name] = unquote(value.replace("+", " "))
    return options


def make_refusal(message: str) -> Refusal:
    return Refusal(400, "RequestBroker--ParseUri", message)


def parse_number(query: Mapping[str, str], name: str, default: int, lowest: int, highest: int = _MAX_SIZE) -> int:
    """Return the value of `$top` or `$skip`. Raises Refusal."""
    text = query.get(name, str(default))
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
        raise make_refusal(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def is_count_wanted(query: Mapping[str, str]) -> bool:
    """Whether `$count` asks for the number of entries. Raises Refusal."""
    text = query.get("$count", "false").casefold()
    if text not in ("true", "false"):
        raise make_refusal(f"Invalid value '{text}' for $count query option found.")
    return text == "true"


def select(entry: Json, clause: str, known: set[str]) -> Json:
    """Return the properties that `$select` names; all without it. Raises Refusal for an unknown one."""
    if not clause:
        return entry
    names = [name.strip() for name in clause.split(",")]
    for name in names:
        if name not in known:
            raise make_refusal(f"Could not find a property named '{name}'.")
    return {name: value for name, value in entry.items() if name in names or name in ("id", "@odata.etag")}


def expand(extended_properties: Mapping[str, str], clause: str) -> Json:
    """Return the extended property that `$expand` adds. Raises Refusal."""
    if not clause:
        return {}
    match = _EXPAND.fullmatch(clause)
    if not match:
        raise make_refusal(f"Invalid expand clause: {clause}")
    value = extended_properties.get(match[1])
    return {"singleValueExtendedProperties": [{"id": match[1], "value": value}]} if value is not None else {}


def order(entries: Sequence[Any], clause: str, fields: set[str], make_row: Callable[[Any], Row]) -> list[Any]:
    """Return the entries in the order that `$orderby` names. Raises Refusal."""
    result = list(entries)
    # stable sorts, the least important criterion first
    for part in reversed([one.split() for one in clause.split(",")] if clause else []):
        if len(part) not in (1, 2) or part[0] not in fields or part[1:] not in ([], ["asc"], ["desc"]):
            raise make_refusal(f"Invalid orderby clause: {clause}")
        result.sort(
            key=lambda one: _make_comparable(_get_value(make_row(one).properties, part[0])),
            reverse=part[1:] == ["desc"],
        )
    return result


def parse_filter(clause: str, fields: set[str]) -> Clause:
    """Return a function that tells whether a row matches `$filter`. Raises Refusal for an unsupported clause."""
    return _FilterParser(clause, fields).parse() if clause else lambda row: True


class _FilterParser:
    """Parses a filter: comparisons, functions, `and`, `or`, `not`, brackets, and `any` of extended properties."""

    def __init__(self, clause: str, fields: set[str]) -> None:
        self._clause, self._fields = clause, fields
        self._tokens: list[str] = []
        position = 0
        while position < len(clause.rstrip()):
            match = _TOKEN.match(clause, position)
            if not match:
                raise self._make_refusal()
            self._tokens.append(match[0].strip())
            position = match.end()

    def parse(self) -> Clause:
        clause = self._parse_or()
        if self._tokens:
            raise self._make_refusal()
        return clause

    def _make_refusal(self) -> Refusal:
        return make_refusal(f"Invalid filter clause: {self._clause}")

    def _take(self, *wanted: str) -> str:
        """Remove and return the next token, which must be one of `wanted` if any are given. Raises Refusal."""
        if not self._tokens or (wanted and self._tokens[0].casefold() not in wanted):
            raise self._make_refusal()
        return self._tokens.pop(0)

    def _take_if(self, *wanted: str) -> bool:
        """Remove the next token if it is one of `wanted`; return whether it was."""
        if self._tokens and self._tokens[0].casefold() in wanted:
            self._tokens.pop(0)
            return True
        return False

    def _parse_or(self) -> Clause:
        conditions = [self._parse_and()]
        while self._take_if("or"):
            conditions.append(self._parse_and())
        return lambda row: any(one(row) for one in conditions)

    def _parse_and(self) -> Clause:
        conditions = [self._parse_condition()]
        while self._take_if("and"):
            conditions.append(self._parse_condition())
        return lambda row: all(one(row) for one in conditions)

    def _parse_condition(self) -> Clause:
        if self._take_if("not"):
            inner = self._parse_condition()
            return lambda row: not inner(row)
        if self._take_if("("):
            inner = self._parse_or()
            self._take(")")
            return inner
        word = self._take()
        if word.casefold() == "singlevalueextendedproperties/any":
            return self._parse_any()
        if word.casefold() in ("startswith", "contains"):
            self._take("(")
            field = self._parse_field(self._take())
            self._take(",")
            text = self._parse_literal(self._take())
            self._take(")")
            return lambda row: _compare(word.casefold(), field(row), text)
        field = self._parse_field(word)
        operator = self._take("eq", "ne", "gt", "ge", "lt", "le").casefold()
        value = self._parse_literal(self._take())
        return lambda row: _compare(operator, field(row), value)

    def _parse_field(self, word: str) -> Clause:
        if word not in self._fields:
            raise self._make_refusal()
        return lambda row: _get_value(row.properties, word)

    def _parse_literal(self, word: str) -> Any:
        if word.startswith("'"):
            return word[1:-1].replace("''", "'")
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        if re.fullmatch(r"\d{4}-\d\d-\d\d(T\S+)?", word) or re.fullmatch(r"-?\d+", word):
            return word
        raise self._make_refusal()

    def _parse_any(self) -> Clause:
        """Parse `any(ep: ep/id eq '…' and ep/value eq '…')`, or with a function of the value.

        The case of the id matters, that of the value does not.
        """
        self._take("(")
        name = self._take()
        self._take(":")
        self._take(f"{name}/id".casefold())
        self._take("eq")
        wanted = self._parse_literal(self._take())
        self._take("and")
        if not EXTENDED_ID.fullmatch(str(wanted)):
            raise self._make_refusal()
        if (operator := self._take("startswith", "contains", f"{name}/value".casefold()).casefold()).endswith("/value"):
            operator, text = self._take("eq", "ne").casefold(), self._parse_literal(self._take())
        else:
            self._take("(")
            self._take(f"{name}/value".casefold())
            self._take(",")
            text = self._parse_literal(self._take())
            self._take(")")
        self._take(")")

        def matches(row: Row) -> bool:
            value = row.extended_properties.get(str(wanted))
            return value is not None and _compare(operator, value.casefold(), str(text).casefold())

        return matches


def _get_value(properties: Json, path: str) -> Any:
    value: Any = properties
    for name in path.split("/"):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _make_comparable(value: Any) -> Any:
    """Return what to compare in place of the value: None comes first, and the case of texts does not matter."""
    return (value is not None, value if isinstance(value, bool) else str(value or "").casefold())


def _compare(operator: str, value: Any, wanted: Any) -> bool:
    if operator in ("startswith", "contains"):
        text, part = str(value or "").casefold(), str(wanted).casefold()
        return text.startswith(part) if operator == "startswith" else part in text
    if operator in ("eq", "ne"):
        same = _make_comparable(value) == _make_comparable(wanted)
        return same if operator == "eq" else not same
    if value is None or wanted is None or isinstance(wanted, bool):
        return False
    left, right = _make_comparable(value), _make_comparable(_align_digits(str(value), str(wanted)))
    return bool({"gt": left > right, "ge": left >= right, "lt": left < right, "le": left <= right}[operator])


def _align_digits(value: str, wanted: str) -> str:
    """Return the wanted time with as many decimals as the value, so that both compare as texts."""
    wanted = wanted.removesuffix("Z")
    return wanted + ".0000000" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", wanted) and "." in value else wanted
