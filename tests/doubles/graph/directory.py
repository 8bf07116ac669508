"""Microsoft Entra's part of the service: the users, their managers and their reports.

Guests, disabled accounts, rooms and shared mailboxes are users, too. A manager may be a contact of the organization.
The owner of a mailbox of the double is a user without being added here.
"""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

from tests.doubles.graph import query
from tests.doubles.graph.calendars import Answer
from tests.doubles.graph.schema import Schema
from tests.doubles.graph.state import Json, Refusal, World

_FULL_RIGHTS = {"User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"}
_BASIC_RIGHTS = {"User.ReadBasic.All"}
#: The properties that are returned without `$select`.
_DEFAULT_PROPERTIES = (
    *("businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation"),
    *("preferredLanguage", "surname", "userPrincipalName"),
)
#: The properties that an app with `User.ReadBasic.All` alone can read. All others are null for it.
_BASIC_PROPERTIES = {"id", "displayName", "givenName", "surname", "mail", "userPrincipalName"}
#: The properties that can be selected for a single user only, not in a list.
_SINGLE_USER_PROPERTIES = {
    *("aboutMe", "birthday", "hireDate", "interests", "mySite", "pastProjects", "preferredName", "responsibilities"),
    *("schools", "skills", "mailboxSettings"),
}
#: The properties by which only advanced queries (`ConsistencyLevel: eventual`) can filter. Those can't have `$expand`.
_ADVANCED_PROPERTIES = {
    *("companyName", "employeeHireDate", "employeeType", "officeLocation", "onPremisesDistinguishedName"),
    *("onPremisesSamAccountName", "passwordPolicies"),
}
_ADVANCED_OPERATORS = re.compile(r"\b(ne|not|endswith)\b", re.IGNORECASE)
_EXPANSION = re.compile(r"(?P<name>\w+)(?:\((?P<options>.*)\))?")
_LICENCE = {"disabledPlans": [], "skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965"}  #: Microsoft 365 E3
_DEFAULT_SIZE = 100  #: users in a page
MAX_EXPANDED_SIZE = 100  #: users in a page with `$expand`
_MAX_SIZE = 999


@dataclass(frozen=True, slots=True)
class Expansion:
    """The parsed `$expand`: its `name` is `manager`, `directReports`, or empty without `$expand`."""

    name: str = ""
    select: str = ""
    levels: str = ""  #: how many managers upwards: a number or `max`


@dataclass(frozen=True, slots=True)
class UserQuery:
    """The query options of a request about users, and the rights of whoever sends it."""

    options: Mapping[str, str]
    rights: frozenset[str]
    is_advanced: bool = False  #: `ConsistencyLevel: eventual`, with `$count=true`
    is_own: bool = False  #: a signed-in person asks for their own profile

    @property
    def is_full(self) -> bool:
        """Whether all properties may be read."""
        return bool(self.rights & _FULL_RIGHTS) or (self.is_own and "User.Read" in self.rights)


class Directory:
    """Users and contacts by id, and the manager of each user. `units`: the cost of all lists so far, as Graph counts it
    for its limits."""

    def __init__(self, world: World, schema: Schema, base: str) -> None:
        self._world = world
        self._schema = schema
        self._base = base
        members = schema.list_members("user")
        self._properties = {name for name, member in members.items() if not member.get("navigation")}
        self._navigation = {name for name, member in members.items() if member.get("navigation")}
        self._default_values: Json = {n: [] if members[n].get("collection") else None for n in sorted(self._properties)}
        self._filterable = self._properties - {"proxyAddresses", *_SINGLE_USER_PROPERTIES}
        self.reset()

    def reset(self) -> None:
        """Remove all users and contacts; the owners of mailboxes stay users."""
        self.users: dict[str, Json] = {}
        self.contacts: dict[str, Json] = {}
        self.managers: dict[str, str] = {}  #: the id of each user's manager, by the user's id
        self.units = 0
        self._pages: dict[str, tuple[list[str], int]] = {}  #: by skip token: all ids of the list, and where to go on

    # --- what administrators do -------------------------------------------------------------------------------------

    def add(self, sign_in: str, name: str = "", manager: str = "", **properties: Any) -> str:
        """Add a user, and return the id. `manager` is an id, too."""
        self._schema.check_entity("user", properties)
        user_id = str(uuid4())
        self.users[user_id] = {
            "id": user_id,
            "userPrincipalName": sign_in,
            "displayName": name or sign_in.partition("@")[0],
            "mail": sign_in,
            "proxyAddresses": [f"SMTP:{properties.get('mail') or sign_in}"],
            "accountEnabled": True,
            "userType": "Member",
            "assignedLicenses": [_LICENCE],
            **properties,
        }
        self.set_manager(user_id, manager)
        return user_id

    def add_contact(self, mail: str, name: str) -> str:
        """Add a contact of the organization, and return the id."""
        contact_id = str(uuid4())
        proxies = [f"SMTP:{mail}"] if mail else []
        self.contacts[contact_id] = {
            "id": contact_id,
            "mail": mail or None,
            "displayName": name,
            "proxyAddresses": proxies,
        }
        return contact_id

    def set_manager(self, user_id: str, manager: str) -> None:
        self.managers.pop(user_id, None)
        if manager:
            self.managers[user_id] = manager

    def delete(self, user_id: str) -> None:
        """Delete a user. Reports of that user have no manager afterwards."""
        del self.users[user_id]
        self.managers = {
            report: manager for report, manager in self.managers.items() if user_id not in (report, manager)
        }

    # --- requests -----------------------------------------------------------------------------------------------------

    def answer(self, path: Sequence[str], user_query: UserQuery) -> Answer:
        """Answer a request for `users`; `path` holds the segments after it. Raises Refusal."""
        if not (user_query.is_full or user_query.rights & _BASIC_RIGHTS):
            words = "Insufficient privileges to complete the operation."
            raise Refusal(403, "Authorization_RequestDenied", words)
        if not path:
            return self._list_page(list(self._collect_users()), user_query, "users")
        if path[0] == "$count":
            raise _make_bad_request("$count is not currently supported.")
        if path[0].startswith("delta"):
            raise Refusal(501, "NotImplemented", "This double keeps no delta of users.")
        user = self._find_user(path[0])
        if path[1:] == ["manager"]:
            return Answer(200, self._describe_manager(user, user_query))
        if path[1:] == ["directReports"]:
            ids = [one for one in self._collect_users() if self.managers.get(one) == user["id"]]
            return self._list_page(ids, user_query, f"users/{path[0]}/directReports", kind="#microsoft.graph.user")
        expansion = self._parse_expand(user_query.options, is_single=True)
        return Answer(
            200, self._describe(user, self._parse_select(user_query.options, is_single=True), expansion, user_query)
        )

    def _collect_users(self) -> dict[str, Json]:
        """Return all users by id: the owners of mailboxes, and those who were added."""
        owners = {
            box.directory_id: {
                "id": box.directory_id,
                "displayName": box.address.partition("@")[0],
                "mail": box.address,
                "userPrincipalName": box.name,
                "proxyAddresses": [f"SMTP:{box.address}"],
                "accountEnabled": True,
                "userType": "Member",
                "assignedLicenses": [_LICENCE],
            }
            for box in self._world.mailboxes.values()
        }
        return owners | self.users if owners else self.users

    def _find_user(self, name: str) -> Json:
        """Return the user with that id or sign-in name. Raises Refusal."""
        everybody = self._collect_users()
        found = everybody.get(name.casefold()) or next(
            (user for user in everybody.values() if user["userPrincipalName"].casefold() == name.casefold()), None
        )
        if found is None:
            raise _make_not_found(name)
        return found

    def _describe_manager(self, user: Json, user_query: UserQuery) -> Json:
        manager_id = self.managers.get(user["id"], "")
        if not manager_id:
            raise _make_not_found("manager")
        return self._describe_nested(manager_id, user_query.options.get("$select", ""), user_query)

    # --- lists ------------------------------------------------------------------------------------------------------

    def _list_page(self, ids: list[str], user_query: UserQuery, path: str, kind: str = "") -> Answer:
        """Return a page of users. `kind`: the type that each entry names. Raises Refusal."""
        options = user_query.options
        if "$skip" in options:
            raise _make_bad_request("'$skip' is not supported by the service.")
        if "$search" in options:
            raise _make_unsupported(
                "Request with $search query parameter only works through MSGraph with a special request"
            )
        chosen, expansion = self._parse_select(options, is_single=False), self._parse_expand(options, is_single=False)
        size = _parse_page_size(options)
        if expansion.name:
            size = min(size, MAX_EXPANDED_SIZE)
        # a list costs two units, one less with `$select`, one more with `$expand`
        self.units += 2 - ("$select" in options) + bool(expansion.name)
        everybody = self._collect_users()
        if token := options.get("$skiptoken"):
            if token not in self._pages:
                raise Refusal(400, "Directory_ExpiredPageToken", "The specified page token value has expired.")
            ids, start = self._pages[token]
        else:
            ids, start = self._order(self._filter(ids, user_query, expansion), everybody, options), 0
        page: Json = {"@odata.context": f"{self._base}/$metadata#users"}
        if user_query.is_advanced:
            page["@odata.count"] = len(ids)
        entries = [everybody[one] for one in ids[start : start + size] if one in everybody]
        page["value"] = [
            ({"@odata.type": kind} if kind else {}) | self._describe(user, chosen, expansion, user_query)
            for user in entries
        ]
        if start + size < len(ids):
            page["@odata.nextLink"] = self._make_next_link(path, options, ids, start + size)
        return Answer(200, page)

    def _make_next_link(self, path: str, options: Mapping[str, str], ids: list[str], start: int) -> str:
        """Keep the list for the next page, and return the link to that page."""
        token = secrets.token_urlsafe(12)
        self._pages[token] = (ids, start)
        rest = "&".join(f"{name}={quote(value)}" for name, value in options.items() if name != "$skiptoken")
        return f"{self._base}/{path}?{rest}{'&' if rest else ''}$skiptoken={token}"

    def _filter(self, ids: list[str], user_query: UserQuery, expansion: Expansion) -> list[str]:
        clause = user_query.options.get("$filter", "")
        if not clause:
            return ids
        without_literals = re.sub(r"'[^']*'", "", clause)
        name = next((word for word in re.findall(r"\w+", without_literals) if word in _ADVANCED_PROPERTIES), "")
        needs_advanced = name or _ADVANCED_OPERATORS.search(without_literals)
        if needs_advanced and (expansion.name or not user_query.is_advanced):
            named = name or "id"
            words = "Unsupported or invalid query filter clause specified for property"
            raise _make_unsupported(f"{words} '{named}' of resource 'User'.")
        if "contains(" in clause.casefold():
            raise _make_unsupported("The 'contains' function is not supported for this resource.")
        try:
            matches = query.parse_filter(clause, self._filterable)
        except Refusal as refusal:
            raise Refusal(400, "BadRequest", refusal.message) from None
        everybody = self._collect_users()
        return [one for one in ids if matches(query.Row(everybody[one], {}))]

    @staticmethod
    def _order(ids: list[str], everybody: Mapping[str, Json], options: Mapping[str, str]) -> list[str]:
        clause = options.get("$orderby", "")
        if not clause:
            return ids
        if clause.split()[0] not in ("displayName", "userPrincipalName"):
            raise _make_unsupported("Unsupported sort property for 'User'.")
        rows = query.order(
            [everybody[one] for one in ids],
            clause,
            {"displayName", "userPrincipalName"},
            lambda user: query.Row(user, {}),
        )
        return [user["id"] for user in rows]

    # --- one user ---------------------------------------------------------------------------------------------------

    def _parse_select(self, options: Mapping[str, str], *, is_single: bool) -> Sequence[str]:
        """Return the properties in `$select`, or the default ones. Raises Refusal."""
        clause = options.get("$select", "")
        if not clause:
            return _DEFAULT_PROPERTIES
        names = [name.strip() for name in clause.split(",")]
        for name in names:
            if name not in self._properties | self._navigation:
                raise _make_bad_request(f"Could not find a property named '{name}' on type 'microsoft.graph.user'.")
            if name in _SINGLE_USER_PROPERTIES and not is_single:
                raise Refusal(501, "NotImplemented", "This operation target is not yet supported.")
        return [name for name in names if name in self._properties]

    def _parse_expand(self, options: Mapping[str, str], *, is_single: bool) -> Expansion:
        parts = _split_at_commas(options.get("$expand", ""))
        if not parts:
            return Expansion()
        if len(parts) > 1:
            raise _make_bad_request("Only one property can be expanded in a query of users.")
        matched = _EXPANSION.fullmatch(parts[0].strip())
        if not matched or matched["name"] not in self._navigation:
            raise _make_bad_request(f"Could not find a property named '{parts[0]}' on type 'microsoft.graph.user'.")
        if matched["name"] not in ("manager", "directReports"):
            raise Refusal(501, "NotImplemented", "This double expands managers and reports alone.")
        given = [one.partition("=") for one in (matched["options"] or "").split(";") if one]
        inner = {name.strip(): value for name, _, value in given}
        if set(inner) - {"$select", "$levels"} or not re.fullmatch(r"max|[1-9]|", inner.get("$levels", "")):
            raise _make_bad_request(f"Invalid expand clause: {parts[0]}")
        self._parse_select(inner, is_single=True)
        if "$levels" in inner and not is_single:
            words = "Transitive manager's list is only supported on a single user, send the $expand request on"
            raise _make_unsupported(f"{words} /users/{{id}} endpoint")
        return Expansion(matched["name"], inner.get("$select", ""), inner.get("$levels", ""))

    def _describe(self, user: Json, chosen: Iterable[str], expansion: Expansion, user_query: UserQuery) -> Json:
        described = {name: user.get(name, self._default_values[name]) for name in chosen}
        if not user_query.is_full:
            described = {name: value if name in _BASIC_PROPERTIES else None for name, value in described.items()}
        if expansion.name == "manager" and user["id"] in self.managers:
            described["manager"] = self._describe_nested(
                self.managers[user["id"]], expansion.select, user_query, expansion.levels
            )
        elif expansion.name == "directReports":
            reports = [one for one, manager in self.managers.items() if manager == user["id"]]
            described["directReports"] = [self._describe_nested(one, expansion.select, user_query) for one in reports]
        return described

    def _describe_nested(self, object_id: str, select: str, user_query: UserQuery, levels: str = "") -> Json:
        """Describe a manager or report within another user; without full rights by the id alone."""
        contact = self.contacts.get(object_id)
        described: Json = {"@odata.type": "#microsoft.graph.orgContact" if contact else "#microsoft.graph.user"}
        if not user_query.is_full:
            return described | {"id": object_id}
        chosen = self._parse_select({"$select": select}, is_single=True)
        whole = contact or self._collect_users()[object_id]
        described |= {name: whole.get(name, self._default_values[name]) for name in chosen}
        above = self.managers.get(object_id, "")
        if levels not in ("", "1") and above:
            levels_left = levels if levels == "max" else str(int(levels) - 1)
            described["manager"] = self._describe_nested(above, select, user_query, levels_left)
        return described


def parse_users_path(path: str) -> list[str] | None:
    """Return the segments after `users` if the path leads to the directory; None for another path, or a mailbox's."""
    first, *rest = [unquote(part) for part in path.removeprefix("/v1.0/").split("/") if part] or [""]
    if not path.startswith("/v1.0/") or first.casefold() != "users":
        return None
    rest = [part.removeprefix("microsoft.graph.").removesuffix("()") for part in rest]
    relations: Mapping[str, str] = {"manager": "manager", "directreports": "directReports"}
    rest = rest[:1] + [relations.get(part.casefold(), part) for part in rest[1:]]
    return rest if len(rest) < 2 or (len(rest) == 2 and rest[1] in relations.values()) else None


def _split_at_commas(clause: str) -> list[str]:
    """Split at the commas outside of brackets."""
    parts, depth = [""], 0
    for character in clause:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def _parse_page_size(options: Mapping[str, str]) -> int:
    text = options.get("$top", str(_DEFAULT_SIZE))
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not 1 <= int(text) <= _MAX_SIZE:
        raise _make_bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and {_MAX_SIZE} inclusive.")
    return int(text)


def _make_bad_request(message: str) -> Refusal:
    return Refusal(400, "Request_BadRequest", message)


def _make_not_found(name: str) -> Refusal:
    words = "does not exist or one of its queried reference-property objects are not present."
    return Refusal(404, "Request_ResourceNotFound", f"Resource '{name}' {words}")


def _make_unsupported(message: str) -> Refusal:
    return Refusal(400, "Request_UnsupportedQuery", message)
