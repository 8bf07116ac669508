"""The users of the Directory API.

The fields of a user are text that administrators typed. So the manager, an address in `relations`, may be outdated, in
capitals, an alias or unknown, and there may be several. Suspended and archived users are listed like all others.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.doubles.google.schema import Call, Refusal, bad_request
from worker.clock import Clock

_NUMBERS = count(101)
_PAGE_TOKEN_LIFE = timedelta(days=3)
_DEFAULT_SIZE = 100
#: The fields of a user that everybody in the domain may see.
_PUBLIC = {"kind", "id", "etag", "primaryEmail", "name", "emails", "thumbnailPhotoUrl", "includeInGlobalAddressList"}
#: Parameters that have to be the same in the requests for all pages of a list.
_FIXED_PARAMETERS = ("customer", "domain", "query", "orderBy", "sortOrder", "showDeleted", "viewType", "projection")
#: One condition of the parameter `query`, such as `email:sam*` or `name='Sam Lee'`.
_CLAUSE = re.compile(r"(?P<field>\w+)(?P<operator>=|:)(?P<value>'(?:[^'\\]|\\.)*'|[^\s']+)")
_SORTED_BY: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "email": lambda user: str(user["primaryEmail"]),
    "familyName": lambda user: str(user["name"].get("familyName", "")),
    "givenName": lambda user: str(user["name"].get("givenName", "")),
}
#: The texts of a user that a condition on each field is compared with.
_TEXTS: Mapping[str, Callable[[Mapping[str, Any]], Iterable[str]]] = {
    "email": lambda user: (user["primaryEmail"], *user.get("aliases", ())),
    "name": lambda user: (user["name"]["fullName"],),
    "givenName": lambda user: (user["name"].get("givenName", ""),),
    "familyName": lambda user: (user["name"].get("familyName", ""),),
    "orgDepartment": lambda user: [one.get("department", "") for one in user.get("organizations", ())],
    "orgName": lambda user: [one.get("name", "") for one in user.get("organizations", ())],
    "directManager": lambda user: [one["value"] for one in user.get("relations", ()) if one["type"] == "manager"],
}
_FLAGS = {"isSuspended": "suspended", "isArchived": "archived", "isAdmin": "isAdmin"}


@dataclass(slots=True)
class Page:
    """What a page token stands for."""

    parameters: Mapping[str, Any]  #: those that have to stay the same
    start: int  #: the index of the first user on the page
    until: datetime  #: when the token expires


@dataclass(slots=True)
class Users:
    """The users of one customer. `admins` may read all fields. No page is longer than `max_page_size`."""

    clock: Clock
    customer: str = "C03longarc"
    admins: set[str] = field(default_factory=set)
    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    max_page_size: int = 500
    after_page: Callable[[], None] | None = None  #: called after each page, to change users between two pages
    _pages: dict[str, Page] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)  #: the id of the user who has or had an address

    # --- what administrators do -------------------------------------------------------------------------------------

    def add(self, email: str, name: str = "", manager: str = "", **more: Any) -> str:
        """Add a user, and return the id. `manager` is the text in the field for the manager."""
        user_id = f"1{next(_NUMBERS):020d}"
        given, _, family = (name or email.partition("@")[0].title()).rpartition(" ")
        names = {"givenName": given or family, "familyName": family, "fullName": f"{given} {family}".strip()}
        relations = {"relations": [{"value": manager, "type": "manager"}]} if manager else {}
        self.by_id[user_id] = {
            "kind": "admin#directory#user",
            "id": user_id,
            "etag": f'"{secrets.token_hex(8)}"',
            "primaryEmail": email,
            "name": names,
            "isAdmin": False,
            "suspended": False,
            "archived": False,
            "isMailboxSetup": True,
            "includeInGlobalAddressList": True,
            "orgUnitPath": "/",
            "customerId": self.customer,
            "emails": [{"address": email, "primary": True}],
            **relations,
            **more,
        }
        self._note_addresses(user_id)
        return user_id

    def change(self, user_id: str, **fields: Any) -> None:
        """Change fields of a user; None removes a field."""
        user = {**self.by_id[user_id], **fields, "etag": f'"{secrets.token_hex(8)}"'}
        self.by_id[user_id] = {name: value for name, value in user.items() if value is not None}
        self._note_addresses(user_id)

    def delete(self, user_id: str) -> None:
        user = self.by_id.pop(user_id)
        self.deleted[user_id] = {**user, "deletionTime": self.clock().isoformat()}

    def is_active(self, email: str) -> bool:
        """Whether there is such a user, neither suspended nor archived."""
        user = self._find(email)
        return user is not None and not user["suspended"] and not user["archived"]

    # --- requests ---------------------------------------------------------------------------------------------------

    def answer(self, who: str, call: Call, *, service_account: bool = False) -> Any:
        """Carry out a request of that person, and return the JSON of the answer. Raises Refusal."""
        if service_account:  # a service account itself belongs to no customer
            raise bad_request("Invalid Input")
        if call.query.get("viewType") != "domain_public" and who not in self.admins:
            raise Refusal(403, "forbidden", "Not Authorized to access this resource/api")
        if (call.query.get("projection") == "custom") != ("customFieldMask" in call.query):
            raise bad_request("Invalid Input: customFieldMask", parameter="customFieldMask")
        return self._get(call) if call.method == "directory.users.get" else self._list(call)

    def _get(self, call: Call) -> dict[str, Any]:
        user = self._find(call.path["userKey"])
        if user is None:
            raise Refusal(404, "notFound", "Resource Not Found: userKey")
        return _render(user, call)

    def _list(self, call: Call) -> dict[str, Any]:
        listed = self._select(call)
        start = self._get_start(call)
        end = start + min(call.query.get("maxResults", _DEFAULT_SIZE), self.max_page_size)
        answer: dict[str, Any] = {"kind": "admin#directory#users", "etag": f'"{secrets.token_hex(8)}"'}
        if listed[start:end]:
            answer["users"] = [_render(user, call) for user in listed[start:end]]
        if end < len(listed):
            token = secrets.token_urlsafe(24)
            self._pages[token] = Page(_get_fixed_parameters(call), end, self.clock() + _PAGE_TOKEN_LIFE)
            answer["nextPageToken"] = token
        if self.after_page:
            self.after_page()
        return answer

    def _get_start(self, call: Call) -> int:
        """The index of the first user on the page that is asked for. Raises Refusal."""
        token = call.query.get("pageToken")
        if token is None:
            return 0
        page = self._pages.get(token)
        if page is None or page.until <= self.clock() or page.parameters != _get_fixed_parameters(call):
            raise bad_request("Invalid Input: pageToken", parameter="pageToken")
        return page.start

    def _select(self, call: Call) -> list[dict[str, Any]]:
        """The users that the parameters select, in order, on all pages. Raises Refusal."""
        query = call.query
        if not query.get("customer") and not query.get("domain"):
            raise bad_request("Bad Request", "badRequest")
        if "domain" not in query and query["customer"] not in ("my_customer", self.customer):
            raise Refusal(403, "forbidden", "Not Authorized to access this resource/api")
        listed = list((self.deleted if query.get("showDeleted") == "true" else self.by_id).values())
        if domain := str(query.get("domain", "")).casefold():
            if domain not in {_get_domain(user) for user in self.by_id.values()}:
                raise Refusal(404, "notFound", "Domain not found.")
            listed = [user for user in listed if _get_domain(user) == domain]
        conditions = _parse_query(query.get("query", ""))
        listed = [user for user in listed if all(fits(user) for fits in conditions)]
        if "orderBy" in query:
            backwards = query.get("sortOrder") == "DESCENDING"
            listed.sort(key=lambda user: _SORTED_BY[query["orderBy"]](user).casefold(), reverse=backwards)
        return listed

    def _find(self, key: str) -> dict[str, Any] | None:
        key = key.casefold()
        user = self.by_id.get(key) or self.by_id.get(self._ids.get(key, ""))
        return user if user and key in (user["id"], *_list_addresses(user)) else None

    def _note_addresses(self, user_id: str) -> None:
        self._ids |= dict.fromkeys(_list_addresses(self.by_id[user_id]), user_id)


def _list_addresses(user: Mapping[str, Any]) -> set[str]:
    listed = (user["primaryEmail"], *user.get("aliases", ()), *user.get("nonEditableAliases", ()))
    return {one.casefold() for one in listed}


def _get_domain(user: Mapping[str, Any]) -> str:
    return str(user["primaryEmail"]).rpartition("@")[2].casefold()


def _get_fixed_parameters(call: Call) -> dict[str, Any]:
    return {name: call.query.get(name) for name in _FIXED_PARAMETERS}


def _render(user: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """The JSON of a user, with the fields that this request may see."""
    fields = dict(user)
    if call.query.get("viewType") == "domain_public":
        fields = {name: value for name, value in fields.items() if name in _PUBLIC}
    projection = call.query.get("projection", "basic")
    schemas = fields.pop("customSchemas", {})
    if projection == "custom":
        wanted = call.query["customFieldMask"].split(",")
        schemas = {name: value for name, value in schemas.items() if name in wanted}
    if schemas and projection != "basic":
        fields["customSchemas"] = schemas
    return fields


# --- `query` --------------------------------------------------------------------------------------------------------


def _parse_query(query: str) -> list[Callable[[Mapping[str, Any]], bool]]:
    """The conditions of the parameter `query`, as functions of a user. Raises Refusal for an invalid condition."""
    conditions = []
    rest = query.strip()
    while rest:
        matched = _CLAUSE.match(rest)
        if not matched:
            raise bad_request("Invalid Input: query", parameter="query")
        value = re.sub(r"\\(.)", r"\1", matched["value"].removeprefix("'").removesuffix("'"))
        conditions.append(_make_condition(matched["field"], matched["operator"], value))
        rest = rest[matched.end() :].lstrip()
    return conditions


def _make_condition(name: str, operator: str, value: str) -> Callable[[Mapping[str, Any]], bool]:
    wanted = value.casefold()
    if name == "orgUnitPath" and operator == "=" and value.startswith("/"):  # the unit and all units below it
        return lambda user: f"{user['orgUnitPath'].rstrip('/')}/".startswith(f"{value.rstrip('/')}/")
    if name in _FLAGS and operator == "=" and wanted in ("true", "false"):
        return lambda user: bool(user.get(_FLAGS[name])) is (wanted == "true")
    if name not in _TEXTS or (name == "directManager" and operator == ":"):
        raise bad_request("Invalid Input: query", parameter="query")
    texts = _TEXTS[name]
    if operator == "=":
        return lambda user: wanted in [text.casefold() for text in texts(user)]
    if wanted.endswith("*"):
        return lambda user: any(text.casefold().startswith(wanted[:-1]) for text in texts(user))
    return lambda user: any(wanted in text.casefold() for text in texts(user))
