"""Checks every request against the API descriptions (discovery documents) that come with Google's client library.

An unknown path, parameter or field, a value of the wrong type and a missing scope are refused, as the documentation of
the service says. Read-only fields are ignored.
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

#: The service names of the APIs, which the Cloud console lists and error details carry.
_SERVICES = {
    "calendar.v3": "calendar-json.googleapis.com",
    "gmail.v1": "gmail.googleapis.com",
    "admin.directory_v1": "admin.googleapis.com",
}
#: The only methods of the Directory API that the double offers.
_DIRECTORY_METHODS = ("directory.users.list", "directory.users.get")


class Refusal(Exception):
    """An error answer in Google's JSON form. `status_name` is a name such as PERMISSION_DENIED."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        domain: str = "global",
        location: tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        status_name: str = "",
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
        if status_name:
            self.body["error"]["status"] = status_name
        if details:
            self.body["error"]["details"] = details


def bad_request(message: str, reason: str = "invalid", parameter: str = "") -> Refusal:
    """A refusal with status 400, which names the parameter that is wrong."""
    return Refusal(400, reason, message, location=("parameter", parameter) if parameter else None)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the API description allows."""

    method: str  #: such as `calendar.events.insert`
    path: dict[str, str]
    query: dict[str, Any]
    body: dict[str, Any]
    scopes: frozenset[str]  #: those of the access token
    if_match: str = ""  #: the header of that name
    fields: str = ""  #: the fields mask
    raw_query: dict[str, str] = field(default_factory=dict)  #: the query before its values were parsed
    if_none_match: str = ""  #: the header of that name


@cache
def _load_description(api: str) -> dict[str, Any]:
    folder = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
    description: dict[str, Any] = json.loads((folder / f"{api}.json").read_text(encoding="utf-8"))
    return description


def _iter_methods(resources: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for resource in resources.values():
        yield from resource.get("methods", {}).values()
        yield from _iter_methods(resource.get("resources", {}))


@cache
def _list_routes() -> list[tuple[str, re.Pattern[str], dict[str, Any], str]]:
    """For each method: the HTTP verb, the pattern of the path, the description, and the API such as `calendar.v3`."""
    routes = []
    for api in _SERVICES:
        document = _load_description(api)
        for method in _iter_methods(document["resources"]):
            if api == "admin.directory_v1" and method["id"] not in _DIRECTORY_METHODS:
                continue
            path = document["servicePath"] + method.get("flatPath", method["path"])
            pattern = re.compile("/" + re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))
            routes.append((method["httpMethod"], pattern, method, api))
    return routes


def find_method(verb: str, path: str) -> tuple[dict[str, Any], dict[str, str], str]:
    """The description of the method, the values in the path, and the API. Raises Refusal for an unknown path."""
    from urllib.parse import unquote

    other_verbs = set()
    for known_verb, pattern, method, api in _list_routes():
        matched = pattern.fullmatch(path)
        if known_verb == verb and matched:
            return method, {key: unquote(value) for key, value in matched.groupdict().items()}, api
        other_verbs |= {known_verb} if matched else set()
    if other_verbs:
        headers = {"Allow": ", ".join(sorted(other_verbs))}
        raise Refusal(405, "httpMethodNotAllowed", "Method Not Allowed", headers=headers)
    raise Refusal(404, "notFound", "Not Found")


def make_scope_refusal(method: Mapping[str, Any], api: str) -> Refusal:
    """The refusal of a token that has none of the scopes that allow the method."""
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
        status_name="PERMISSION_DENIED",
        inner_message="Insufficient Permission",
        details=[detail],
    )


def parse_call(
    verb: str, path: str, query: Mapping[str, list[str]], body: bytes, headers: Mapping[str, str], scopes: set[str]
) -> Call:
    """The request, when the description and these scopes allow it. Raises Refusal."""
    method, values, api = find_method(verb, path)
    if not scopes & set(method["scopes"]):
        raise make_scope_refusal(method, api)
    description = _load_description(api)
    known = {**description["parameters"], **method.get("parameters", {})}
    parsed_query = {name: _parse_parameter(name, given, known) for name, given in query.items()}
    for name, parameter in known.items():
        if parameter.get("required") and name not in parsed_query and name not in values:
            raise bad_request(f"Missing required parameter: {name}", "required", name)
    content: dict[str, Any] = {}
    if "request" in method:
        content = _parse_json_object(body, headers)
        _check_object(content, description["schemas"][method["request"]["$ref"]], description["schemas"], "")
    elif body.strip():
        raise bad_request("This request takes no body.", "parseError")
    fields = str(parsed_query.pop("fields", ""))
    response = method.get("response")
    if fields and response:
        _check_fields(fields, description["schemas"][response["$ref"]], description["schemas"])
    return Call(
        method["id"],
        values,
        parsed_query,
        content,
        frozenset(scopes),
        if_match=headers.get("if-match", ""),
        fields=fields,
        raw_query={name: given[0] for name, given in query.items()},
        if_none_match=headers.get("if-none-match", ""),
    )


def _parse_json_object(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    if not headers.get("content-type", "").startswith("application/json"):
        raise bad_request("The body must be JSON.", "parseError")
    try:
        content = json.loads(body)
    except ValueError:
        raise bad_request("Parse Error", "parseError") from None
    if not isinstance(content, dict):
        raise bad_request("Parse Error", "parseError")
    return content


# --- parameters -----------------------------------------------------------------------------------------------------


def _parse_parameter(name: str, given: list[str], known: Mapping[str, Any]) -> Any:
    parameter = known.get(name)
    if parameter is None:
        raise bad_request(
            f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.', "badRequest"
        )
    if parameter.get("repeated"):
        return [_parse_scalar(name, one, parameter) for one in given]
    if len(given) > 1:
        raise bad_request(f"Parameter {name} is given more than once.", "invalidParameter", name)
    return _parse_scalar(name, given[0], parameter)


def _parse_scalar(name: str, text: str, parameter: Mapping[str, Any]) -> Any:
    wrong = bad_request(f"Invalid value '{text}' for {name}.", "invalidParameter", name)
    kind = parameter["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise wrong
        return text == "true"
    if kind == "integer":
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise wrong
        number = int(text)
        if not int(parameter.get("minimum", number)) <= number <= int(parameter.get("maximum", number)):
            raise wrong
        return number
    if parameter.get("enum") and text not in parameter["enum"]:
        raise wrong
    if parameter.get("format") == "date-time":
        return parse_instant(text, name)
    return text


def parse_instant(text: str, name: str) -> datetime:
    """Parse an RFC 3339 date and time with an offset; fractions of a second are dropped. Raises Refusal."""
    try:
        moment = datetime.fromisoformat(text.upper()) if _INSTANT.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad_request(f"Invalid value for {name}: a date-time with an offset is needed.", "badRequest", name)
    return moment.replace(microsecond=0)


# --- bodies ---------------------------------------------------------------------------------------------------------

#: RFC 3339, not the other forms of ISO 8601. The offset may be missing, since a body may name a zone instead.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INT64 = re.compile(r"-?[0-9]{1,19}")
_READ_ONLY = re.compile(r"\bread-only\b", re.IGNORECASE)


def _check_object(content: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str) -> None:
    if not isinstance(content, dict):
        raise bad_request(f"Invalid value at '{at}': an object is needed.", "badRequest")
    for name, value in list(content.items()):
        place = f"{at}.{name}".lstrip(".")
        field_schema = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
        if field_schema is None:
            raise bad_request(
                f'Invalid JSON payload received. Unknown name "{place}": Cannot find field.', "badRequest"
            )
        if _READ_ONLY.search(str(field_schema.get("description", ""))) or name in ("kind", "etag"):
            del content[name]  # the service ignores read-only fields
        elif value is not None:
            _check_value(value, field_schema, schemas, place)


def _check_value(value: Any, schema: Mapping[str, Any], schemas: Mapping[str, Any], at: str) -> None:
    wrong = bad_request(f"Invalid value at '{at}'.", "badRequest")
    if "$ref" in schema:
        _check_object(value, schemas[schema["$ref"]], schemas, at)
        return
    kind = schema["type"]
    if kind == "object":
        _check_object(value, schema, schemas, at)
    elif kind == "array":
        if not isinstance(value, list):
            raise wrong
        for number, one in enumerate(value):
            _check_value(one, schema["items"], schemas, f"{at}[{number}]")
    elif kind == "boolean":
        if type(value) is not bool:
            raise wrong
    elif kind == "integer":
        if type(value) is not int:
            raise wrong
    elif kind == "string":
        _check_string(value, schema, at)


def _check_string(value: Any, schema: Mapping[str, Any], at: str) -> None:
    wrong = bad_request(f"Invalid value at '{at}'.", "badRequest")
    if schema.get("format") == "int64" and isinstance(value, int | float) and float(value).is_integer():
        return  # new_webhook_channel of the client library writes numbers
    if not isinstance(value, str):
        raise wrong
    try:
        if schema.get("format") == "date-time":
            _require_form(value, _INSTANT)
            datetime.fromisoformat(value.upper())
        elif schema.get("format") == "date":
            _require_form(value, _DAY)
            date.fromisoformat(value)
        elif schema.get("format") == "int64":
            _require_form(value, _INT64)
    except ValueError:
        raise wrong from None
    # the description lists the values of a field that has no `enum`
    known = re.findall(r'^- "(\w+)" - ', str(schema.get("description", "")), re.MULTILINE)
    if known and "Possible values are" in schema["description"] and value not in known:
        raise wrong


def _require_form(text: str, form: re.Pattern[str]) -> None:
    if not form.fullmatch(text):
        raise ValueError(text)


# --- the fields mask ------------------------------------------------------------------------------------------------

Mask = dict[str, "Mask"]


def parse_mask(text: str) -> Mask:
    """Parse a mask such as `a,b(c,d),e/f` into nested names; a name with nothing below it selects everything in it.

    Raises Refusal.
    """
    found, rest = _parse_names(text)
    if rest:
        raise bad_request(f"Invalid field selection {text}", "invalidParameter", "fields")
    return found


def _parse_names(text: str) -> tuple[Mask, str]:
    """The names up to a closing parenthesis or the end, and the rest of the text."""
    found: Mask = {}
    while True:
        matched = re.match(r"\s*([\w*]+(?:/[\w*]+)*)\s*", text)
        if not matched:
            raise bad_request(f"Invalid field selection {text}", "invalidParameter", "fields")
        text = text[matched.end() :]
        below = found
        for name in matched[1].split("/"):
            below = below.setdefault(name, {})
        if text.startswith("("):
            inner, text = _parse_names(text[1:])
            if not text.startswith(")"):
                raise bad_request("Invalid field selection", "invalidParameter", "fields")
            below.update(inner)
            text = text[1:]
        if not text.startswith(","):
            return found, text
        text = text[1:]


def _check_fields(fields: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> None:
    """Raises Refusal for a mask that names a field that the answer does not have."""

    def walk(wanted: Mask, node: Mapping[str, Any]) -> None:
        while "$ref" in node or node.get("type") == "array":
            node = schemas[node["$ref"]] if "$ref" in node else node["items"]
        for name, below in wanted.items():
            inner = node.get("properties", {}).get(name) or node.get("additionalProperties")
            if inner is None and name != "*":
                raise bad_request(f"Invalid field selection {name}", "invalidParameter", "fields")
            if below and inner:
                walk(below, inner)

    walk(parse_mask(fields), schema)


def select_fields(value: Any, wanted: Mask) -> Any:
    """The part of an answer that the mask selects."""
    if not wanted or "*" in wanted:
        return value
    if isinstance(value, list):
        return [select_fields(one, wanted) for one in value]
    if isinstance(value, dict):
        return {name: select_fields(value[name], below) for name, below in wanted.items() if name in value}
    return value
