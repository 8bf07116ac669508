"""What may be asked of Google's APIs: every request is held against the description that the client library brings.

A path that doesn't exist, a parameter or field that nobody knows, a value of the wrong type, a field that is only to be
read, a scope that does not suffice: each is refused as the service's documentation says.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import googleapiclient

_SCOPE = "https://www.googleapis.com/auth/"
#: The names under which the Cloud console switches the APIs on.
_SERVICES = {
    "calendar.v3": "calendar-json.googleapis.com",
    "gmail.v1": "gmail.googleapis.com",
    "admin.directory_v1": "admin.googleapis.com",
}
#: What the double has of the Directory API, which can do much more.
_DIRECTORY_METHODS = ("directory.users.list", "directory.users.get")


class Refusal(Exception):
    """An answer that is an error, in the envelope that Google uses."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        gone: str = "",
        inner_message: str = "",
        details: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})
        inner: dict[str, Any] = {"domain": domain, "reason": reason, "message": inner_message or message}
        if location:
            inner |= {"locationType": location[0], "location": location[1]}
        self.body: dict[str, Any] = {"error": {"errors": [inner], "code": status, "message": message}}
        if gone:
            self.body["error"]["status"] = gone
        if details:
            self.body["error"]["details"] = details


def bad(message: str, reason: str = "invalid", where: str = "") -> Refusal:
    return Refusal(400, reason, message, location=("parameter", where) if where else None)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the description allows."""

    method: str  #: as `calendar.events.insert`
    path: dict[str, str]
    query: dict[str, Any]
    body: dict[str, Any]
    scopes: frozenset[str]
    etag: str = ""
    fields: str = ""
    given: dict[str, str] = field(default_factory=dict)  #: the query as it was written
    none_match: str = ""


@cache
def _document(name: str) -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _methods(resources: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _methods(resource.get("resources", {}))


@cache
def _routes() -> list[tuple[str, re.Pattern[str], dict[str, Any], str]]:
    found = []
    for name in ("calendar.v3", "gmail.v1", "admin.directory_v1"):
        document = _document(name)
        for method in _methods(document["resources"]):
            if name == "admin.directory_v1" and method["id"] not in _DIRECTORY_METHODS:
                continue
            path = document["servicePath"] + method.get("flatPath", method["path"])
            pattern = re.compile("/" + re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
            found.append((method["httpMethod"], pattern, method, name))
    return found


def recognize(verb: str, path: str) -> tuple[dict[str, Any], dict[str, str], str]:
    """The method meant, its path's values, and the API. Raises Refusal."""
    from urllib.parse import unquote

    elsewhere = set()
    for known, pattern, method, name in _routes():
        matched = pattern.fullmatch(path)
        if known == verb and matched:
            return method, {key: unquote(value) for key, value in matched.groupdict().items()}, name
        elsewhere |= {known} if matched else set()
    if elsewhere:
        headers = {"Allow": ", ".join(sorted(elsewhere))}
        raise Refusal(405, "httpMethodNotAllowed", "Method Not Allowed", headers=headers)
    raise Refusal(404, "notFound", "Not Found")


def lacks_scope(method: Mapping[str, Any], api: str) -> Refusal:
    """The refusal of a token that lacks every scope of the method."""
    header = (
        f'Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="{" ".join(method["scopes"])}"'
    )
    service = _SERVICES[api]
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
        "metadata": {"service": service, "method": method["id"]},
    }
    return Refusal(
        403,
        "insufficientPermissions",
        "Request had insufficient authentication scopes.",
        headers={"WWW-Authenticate": header},
        gone="PERMISSION_DENIED",
        inner_message="Insufficient Permission",
        details=[detail],
    )


def checked(
    verb: str, path: str, query: Mapping[str, list[str]], body: bytes, headers: Mapping[str, str], scopes: set[str]
) -> Call:
    """The request, if it may be made with these scopes. Raises Refusal."""
    method, values, api = recognize(verb, path)
    if not scopes & set(method["scopes"]):
        raise lacks_scope(method, api)
    document = _document(api)
    known = {**document["parameters"], **method.get("parameters", {})}
    asked = {name: _parameter(name, given, known) for name, given in query.items()}
    for name, what in known.items():
        if what.get("required") and name not in asked and name not in values:
            raise bad(f"Missing required parameter: {name}", "required", name)
    told: dict[str, Any] = {}
    if "request" in method:
        told = _json(body, headers)
        _object(told, document["schemas"][method["request"]["$ref"]], document["schemas"], "")
    elif body.strip():
        raise bad("This request takes no body.", "parseError")
    fields = str(asked.pop("fields", ""))
    response = method.get("response")
    if fields and response:
        _selection(fields, document["schemas"][response["$ref"]], document["schemas"])
    return Call(
        method["id"],
        values,
        asked,
        told,
        frozenset(scopes),
        headers.get("if-match", ""),
        fields,
        {name: given[0] for name, given in query.items()},
        headers.get("if-none-match", ""),
    )


def _json(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers.get("content-type", "").startswith("application/json"):
        raise bad("The body must be JSON.", "parseError")
    try:
        told = json.loads(body)
    except ValueError:
        raise bad("Parse Error", "parseError") from None
    if not isinstance(told, dict):
        raise bad("Parse Error", "parseError")
    return told


# --- parameters -----------------------------------------------------------------------------------------------------


def _parameter(name: str, given: list[str], known: Mapping[str, Any]) -> Any:
    what = known.get(name)
    if what is None:
        raise bad(f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.', "badRequest")
    if what.get("repeated"):
        return [_scalar(name, one, what) for one in given]
    if len(given) > 1:
        raise bad(f"Parameter {name} is given more than once.", "invalidParameter", name)
    return _scalar(name, given[0], what)


def _scalar(name: str, text: str, what: Mapping[str, Any]) -> Any:
    wrong = bad(f"Invalid value '{text}' for {name}.", "invalidParameter", name)
    kind = what["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise wrong
        return text == "true"
    if kind == "integer":
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise wrong
        number = int(text)
        if not int(what.get("minimum", number)) <= number <= int(what.get("maximum", number)):
            raise wrong
        return number
    if what.get("enum") and text not in what["enum"]:
        raise wrong
    if what.get("format") == "date-time":
        return instant(text, name)
    return text


def instant(text: str, name: str) -> datetime:
    """An RFC 3339 instant with an offset; what is finer than a second is ignored. Raises Refusal."""
    try:
        moment = datetime.fromisoformat(text.upper()) if _INSTANT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad(f"Invalid value for {name}: a date-time with an offset is needed.", "badRequest", name)
    return moment.replace(microsecond=0)


# --- bodies ---------------------------------------------------------------------------------------------------------

#: What RFC 3339 allows, and nothing of what ISO 8601 allows beside it; the offset may be left out beside a zone.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INT64 = re.compile(r"-?[0-9]{1,19}")
_READ_ONLY = re.compile(r"\bread-only\b", re.IGNORECASE)


def _object(told: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str) -> None:
    if not isinstance(told, dict):
        raise bad(f"Invalid value at '{at}': an object is needed.", "badRequest")
    for name, value in list(told.items()):
        here = f"{at}.{name}".lstrip(".")
        what = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        if what is None:
            raise bad(f'Invalid JSON payload received. Unknown name "{here}": Cannot find field.', "badRequest")
        if _READ_ONLY.search(str(what.get("description", ""))) or name in ("kind", "etag"):
            del told[name]  # the service takes no notice of what only it can say
        elif value is not None:
            _value(value, what, schemas, here)


def _value(value: Any, what: Mapping[str, Any], schemas: Mapping[str, Any], at: str) -> None:
    wrong = bad(f"Invalid value at '{at}'.", "badRequest")
    if "$ref" in what:
        _object(value, schemas[what["$ref"]], schemas, at)
        return
    kind = what["type"]
    if kind == "object":
        _object(value, what, schemas, at)
    elif kind == "array":
        if not isinstance(value, list):
            raise wrong
        for number, one in enumerate(value):
            _value(one, what["items"], schemas, f"{at}[{number}]")
    elif kind == "boolean":
        if type(value) is not bool:
            raise wrong
    elif kind == "integer":
        if type(value) is not int:
            raise wrong
    elif kind == "string":
        _text(value, what, at)


def _text(value: Any, what: Mapping[str, Any], at: str) -> None:
    wrong = bad(f"Invalid value at '{at}'.", "badRequest")
    if what.get("format") == "int64" and isinstance(value, int | float) and float(value).is_integer():
        return  # the client library's own helper writes numbers
    if not isinstance(value, str):
        raise wrong
    try:
        if what.get("format") == "date-time":
            _refuse_other(value, _INSTANT)
            datetime.fromisoformat(value.upper())
        elif what.get("format") == "date":
            _refuse_other(value, _DAY)
            date.fromisoformat(value)
        elif what.get("format") == "int64":
            _refuse_other(value, _INT64)
    except ValueError:
        raise wrong from None
    known = re.findall(r'^- "(\w+)" - ', str(what.get("description", "")), re.MULTILINE)
    if known and "Possible values are" in what["description"] and value not in known:
        raise wrong


def _refuse_other(text: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(text):
        raise ValueError(text)


# --- the fields mask ------------------------------------------------------------------------------------------------

Mask = dict[str, "Mask"]


def mask(text: str) -> Mask:
    """`a,b(c,d),e/f` as nested names; what has nothing below it is wanted whole. Raises Refusal."""
    found, rest = _mask(text)
    if rest:
        raise bad(f"Invalid field selection {text}", "invalidParameter", "fields")
    return found


def _mask(text: str) -> tuple[Mask, str]:
    found: Mask = {}
    while True:
        matched = re.match(r"\s*([\w*]+(?:/[\w*]+)*)\s*", text)
        if not matched:
            raise bad(f"Invalid field selection {text}", "invalidParameter", "fields")
        text = text[matched.end() :]
        below = found
        for name in matched[1].split("/"):
            below = below.setdefault(name, {})
        if text.startswith("("):
            inner, text = _mask(text[1:])
            if not text.startswith(")"):
                raise bad("Invalid field selection", "invalidParameter", "fields")
            below.update(inner)
            text = text[1:]
        if not text.startswith(","):
            return found, text
        text = text[1:]


def _selection(fields: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    def walk(wanted: Mask, what: Mapping[str, Any]) -> None:
        while "$ref" in what or what.get("type") == "array":
            what = schemas[what["$ref"]] if "$ref" in what else what["items"]
        for name, below in wanted.items():
            inner = what.get("properties", {}).get(name) or what.get("additionalProperties")
            if inner is None and name != "*":
                raise bad(f"Invalid field selection {name}", "invalidParameter", "fields")
            if below and inner:
                walk(below, inner)

    walk(mask(fields), schema)


def selected(value: Any, wanted: Mask) -> Any:
    """The part of an answer that was asked for."""
    if not wanted or "*" in wanted:
        return value
    if isinstance(value, list):
        return [selected(one, wanted) for one in value]
    if isinstance(value, dict):
        return {name: selected(value[name], below) for name, below in wanted.items() if name in value}
    return value


def short(scope: str) -> str:
    """A scope by its last part."""
    return scope.removeprefix(_SCOPE)
