"""The Directory API's users: who is listed to whom, page by page, as the admin console keeps them.

What a user is made of is text that people typed: a manager is an address in `relations`, stale, in capitals, an alias,
unknown, or several of them. Suspended and archived users are listed like everybody else.
"""

import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.doubles.google.schema import Call, Refusal, bad
from worker.clock import Clock

_NUMBERS = count(101)
_PAGE_TOKEN_LIFE = timedelta(days=3)
_DEFAULT_SIZE = 100
#: What anybody in the domain may see of a user.
_PUBLIC = {"kind", "id", "etag", "primaryEmail", "name", "emails", "thumbnailPhotoUrl", "includeInGlobalAddressList"}
#: What the next page has to be asked with, as the first was.
_SAME = ("customer", "domain", "query", "orderBy", "sortOrder", "showDeleted", "viewType", "projection")
_CLAUSE = re.compile(r"(?P<field>\w+)(?P<how>=|:)(?P<value>'(?:[^'\\]|\\.)*'|[^\s']+)")
_SORTED_BY: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "email": lambda user: str(user["primaryEmail"]),
    "familyName": lambda user: str(user["name"].get("familyName", "")),
    "givenName": lambda user: str(user["name"].get("givenName", "")),
}
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
    """Where a list goes on."""

    call: Mapping[str, Any]
    start: int
    until: datetime


@dataclass(slots=True)
class Users:
    """Everybody in the customer's directory. `admins`: who may read users. `largest`: no page is longer, whatever was
    asked for."""

    clock: Clock
    customer: str = "C03longarc"
    admins: set[str] = field(default_factory=set)
    everybody: dict[str, dict[str, Any]] = field(default_factory=dict)  #: by id
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    largest: int = 500
    meanwhile: Callable[[], None] | None = None  #: what somebody does after each page
    _pages: dict[str, Page] = field(default_factory=dict)
    _ids: dict[str, str] = field(default_factory=dict)  #: by each address that somebody has, or had

    # --- what administrators do -------------------------------------------------------------------------------------

    def add(self, email: str, name: str = "", manager: str = "", **more: Any) -> str:
        """A new user's id. `manager`: what somebody typed as the manager."""
        user_id = f"1{next(_NUMBERS):020d}"
        given, _, family = (name or email.partition("@")[0].title()).rpartition(" ")
        names = {"givenName": given or family, "familyName": family, "fullName": f"{given} {family}".strip()}
        relations = {"relations": [{"value": manager, "type": "manager"}]} if manager else {}
        self.everybody[user_id] = {
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

    def change(self, user_id: str, **told: Any) -> None:
        """Something is typed anew; None empties a field."""
        user = {**self.everybody[user_id], **told, "etag": f'"{secrets.token_hex(8)}"'}
        self.everybody[user_id] = {name: value for name, value in user.items() if value is not None}
        self._note_addresses(user_id)

    def delete(self, user_id: str) -> None:
        gone = self.everybody.pop(user_id)
        self.deleted[user_id] = {**gone, "deletionTime": self.clock().isoformat()}

    def is_active(self, email: str) -> bool:
        """Whether somebody may act as this user."""
        user = self._named(email)
        return user is not None and not user["suspended"] and not user["archived"]

    # --- what is asked ----------------------------------------------------------------------------------------------

    def do(self, who: str, call: Call, *, service_account: bool = False) -> Any:
        """Raises Refusal."""
        if service_account:  # it belongs to no customer
            raise bad("Invalid Input")
        if call.query.get("viewType") != "domain_public" and who not in self.admins:
            raise Refusal(403, "forbidden", "Not Authorized to access this resource/api")
        if (call.query.get("projection") == "custom") != ("customFieldMask" in call.query):
            raise bad("Invalid Input: customFieldMask", where="customFieldMask")
        return self._get(call) if call.method == "directory.users.get" else self._list(call)

    def _get(self, call: Call) -> dict[str, Any]:
        user = self._named(call.path["userKey"])
        if user is None:
            raise Refusal(404, "notFound", "Resource Not Found: userKey")
        return _shown(user, call)

    def _list(self, call: Call) -> dict[str, Any]:
        listed = self._chosen(call)
        start = self._start(call)
        end = start + min(call.query.get("maxResults", _DEFAULT_SIZE), self.largest)
        answer: dict[str, Any] = {"kind": "admin#directory#users", "etag": f'"{secrets.token_hex(8)}"'}
        if listed[start:end]:
            answer["users"] = [_shown(user, call) for user in listed[start:end]]
        if end < len(listed):
            token = secrets.token_urlsafe(24)
            self._pages[token] = Page(_same(call), end, self.clock() + _PAGE_TOKEN_LIFE)
            answer["nextPageToken"] = token
        if self.meanwhile:
            self.meanwhile()
        return answer

    def _start(self, call: Call) -> int:
        token = call.query.get("pageToken")
        if token is None:
            return 0
        page = self._pages.get(token)
        if page is None or page.until <= self.clock() or page.call != _same(call):
            raise bad("Invalid Input: pageToken", where="pageToken")
        return page.start

    def _chosen(self, call: Call) -> list[dict[str, Any]]:
        """The users that such a list holds. Raises Refusal."""
        query = call.query
        if not query.get("customer") and not query.get("domain"):
            raise bad("Bad Request", "badRequest")
        if "domain" not in query and query["customer"] not in ("my_customer", self.customer):
            raise Refusal(403, "forbidden", "Not Authorized to access this resource/api")
        listed = list((self.deleted if query.get("showDeleted") == "true" else self.everybody).values())
        if domain := str(query.get("domain", "")).casefold():
            if domain not in {_domain(user) for user in self.everybody.values()}:
                raise Refusal(404, "notFound", "Domain not found.")
            listed = [user for user in listed if _domain(user) == domain]
        clauses = _parsed(query.get("query", ""))
        listed = [user for user in listed if all(fits(user) for fits in clauses)]
        if "orderBy" in query:
            backwards = query.get("sortOrder") == "DESCENDING"
            listed.sort(key=lambda user: _SORTED_BY[query["orderBy"]](user).casefold(), reverse=backwards)
        return listed

    def _named(self, key: str) -> dict[str, Any] | None:
        key = key.casefold()
        user = self.everybody.get(key) or self.everybody.get(self._ids.get(key, ""))
        return user if user and key in (user["id"], *_addresses(user)) else None

    def _note_addresses(self, user_id: str) -> None:
        self._ids |= dict.fromkeys(_addresses(self.everybody[user_id]), user_id)


def _addresses(user: Mapping[str, Any]) -> set[str]:
    listed = (user["primaryEmail"], *user.get("aliases", ()), *user.get("nonEditableAliases", ()))
    return {one.casefold() for one in listed}


def _domain(user: Mapping[str, Any]) -> str:
    return str(user["primaryEmail"]).rpartition("@")[2].casefold()


def _same(call: Call) -> dict[str, Any]:
    return {name: call.query.get(name) for name in _SAME}


def _shown(user: Mapping[str, Any], call: Call) -> dict[str, Any]:
    """What this request may see of a user."""
    told = dict(user)
    if call.query.get("viewType") == "domain_public":
        told = {name: value for name, value in told.items() if name in _PUBLIC}
    projection = call.query.get("projection", "basic")
    schemas = told.pop("customSchemas", {})
    if projection == "custom":
        wanted = call.query["customFieldMask"].split(",")
        schemas = {name: value for name, value in schemas.items() if name in wanted}
    if schemas and projection != "basic":
        told["customSchemas"] = schemas
    return told


# --- `query` --------------------------------------------------------------------------------------------------------


def _parsed(query: str) -> list[Callable[[Mapping[str, Any]], bool]]:
    """The clauses of a search, all of which have to hold. Raises Refusal for one that is not understood."""
    clauses = []
    rest = query.strip()
    while rest:
        matched = _CLAUSE.match(rest)
        if not matched:
            raise bad("Invalid Input: query", where="query")
        value = re.sub(r"\\(.)", r"\1", matched["value"].removeprefix("'").removesuffix("'"))
        clauses.append(_clause(matched["field"], matched["how"], value))
        rest = rest[matched.end() :].lstrip()
    return clauses


def _clause(name: str, how: str, value: str) -> Callable[[Mapping[str, Any]], bool]:
    wanted = value.casefold()
    if name == "orgUnitPath" and how == "=" and value.startswith("/"):  # with everything below it
        return lambda user: f"{user['orgUnitPath'].rstrip('/')}/".startswith(f"{value.rstrip('/')}/")
    if name in _FLAGS and how == "=" and wanted in ("true", "false"):
        return lambda user: bool(user.get(_FLAGS[name])) is (wanted == "true")
    if name not in _TEXTS or (name == "directManager" and how == ":"):
        raise bad("Invalid Input: query", where="query")
    texts = _TEXTS[name]
    if how == "=":
        return lambda user: wanted in [text.casefold() for text in texts(user)]
    if wanted.endswith("*"):
        return lambda user: any(text.casefold().startswith(wanted[:-1]) for text in texts(user))
    return lambda user: any(wanted in text.casefold() for text in texts(user))
