"""The roster source for Microsoft Entra: reads the users with their managers through Microsoft Graph.

Everybody is read each time, in pages of a hundred. Graph can also list changes only (`users/delta`), but these lists
can be incomplete, and then people would be missing or kept by mistake. A full list is always correct. It is also cheap:
reading 50,000 people costs 1,000 resource units, and Graph allows 3,500 in ten seconds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.errors import AuthRevoked, Forbidden, InvalidResponse, Permanent, ProviderError
from worker.providers.base import Finding
from worker.providers.outlook.calendar import build_graph
from worker.providers.outlook.checks import read_permissions
from worker.providers.outlook.client import Graph, Json
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck
from worker.roster.reading import DirectoryReading, iter_pages, list_reading_findings

_SELECT = (
    "id,displayName,mail,userPrincipalName,proxyAddresses,accountEnabled,userType,employeeHireDate,preferredLanguage,"
    "usageLocation,country,department,assignedLicenses"
)
_EXPAND = "manager($select=id,mail,userPrincipalName)"
#: The largest page size that Graph accepts when managers are expanded.
_PAGE_SIZE = 100
#: The permission that we ask the operator to grant.
LEAST_PERMISSION = "User.Read.All"
#: The permissions that are each sufficient to read the users, the least privileged one first.
_PERMISSIONS = (LEAST_PERMISSION, "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_CODE_LENGTH = 2  #: letters of a country's code
_GRANT_PERMISSION = (
    "In entra.microsoft.com open App registrations > (the app) > API permissions > Add a permission > Microsoft Graph "
    "> Application permissions, tick `User.Read.All`, press Add, and then Grant admin consent."
)
_FIX_FILTER = (
    "Fix or remove `filter` in [roster.outlook]. Longarc reads users together with their managers, and then Entra "
    "filters by few properties: accountEnabled, userType, department, country and usageLocation are among them; "
    "companyName and employeeType are not."
)
_FILL_MANAGERS = (
    "In entra.microsoft.com open Users > (a person) > Properties > Job information, and fill Manager; or write "
    "`manager` into the people file."
)


def build_source(section: Mapping[str, Any]) -> "EntraDirectory":
    """Return the source that a section of the settings describes. Raises AuthRevoked when credentials are missing.

    `endpoint`, `authority`, `tenant`, `client_id` and the credentials of an app: see
    `worker.providers.outlook.auth.build_tokens`. `filter`: a filter of users in the syntax of Graph's `$filter`.
    `timeout`: seconds. `ca_file`: certificates to trust.
    """
    if section.get("account"):
        fault = "Microsoft Entra is read by an app, but [calendars.outlook] has the account of one person."
        raise AuthRevoked(f"{fault} Remove `account`, or keep people in a people file.")
    return EntraDirectory(build_graph(section), str(section.get("filter") or ""))


class EntraDirectory:
    """A RosterSource on Microsoft Graph."""

    name = "Microsoft Entra"

    def __init__(self, graph: Graph, user_filter: str) -> None:
        self._graph = graph
        self._options = {"select": _SELECT, "expand": _EXPAND, "top": _PAGE_SIZE}
        if user_filter:
            self._options["filter"] = user_filter

    def get_version(self) -> str | None:
        """Return None, since only a request to the directory could tell whether it has changed."""
        return None

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        """Return the records of the people among all users. Raises ProviderErrors."""
        selection = _Selection()
        try:
            for page in iter_pages(self.name, self._request_page, "@odata.nextLink"):
                for user in page["value"]:
                    selection.add_user(user)
        except Permanent as error:
            raise self._add_remedy(error) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidResponse(f"{self.name}: Graph listed a user that can't be read.") from error
        if selection.records and not selection.has_enabled_field:
            fault = f"{self.name} does not say whose account is enabled: the app may only read basic profiles."
            raise Forbidden(f"{fault} {_GRANT_PERMISSION}")
        return selection.build_reading()

    def _request_page(self, link: str) -> Json:
        if link:
            return self._graph.follow_link(self.name, link)
        return self._graph.get_resource(self.name, "users", **self._options)

    def _add_remedy(self, error: Permanent) -> Permanent:
        """Return the error with its remedy for an administrator of Entra."""
        if isinstance(error, Forbidden):
            return Forbidden(f"{self.name} does not let Longarc read users. {_GRANT_PERMISSION}")
        # Graph refuses a wrong filter with a status that is not translated into a more specific error.
        if type(error) is Permanent and "filter" in self._options:
            return Permanent(f"{error} {_FIX_FILTER}")
        return error

    # --- check ------------------------------------------------------------------------------------------------------

    def check(self) -> SourceCheck:
        title = "Longarc may read users in Microsoft Entra as an app (User.Read.All)"
        try:
            permissions = read_permissions(self._graph.get_token())
            reading = self._read_everybody()
        except ProviderError as error:
            return SourceCheck([Finding(title, ok=False, remedy=str(error))])
        findings = [Finding(title, ok=True), *_check_excess_permissions(permissions)]
        return SourceCheck(findings + list_reading_findings(self.name, reading, _FILL_MANAGERS), reading.records)


def _check_excess_permissions(permissions: list[str]) -> Iterator[Finding]:
    """Yield a warning when the app may do more in the directory than read users."""
    excess_permissions = [name for name in _PERMISSIONS[1:] if name in permissions]
    if excess_permissions:
        statement = f"The app holds {', '.join(excess_permissions)}, which is more than reading users needs"
        yield Finding(
            statement, ok=True, remedy="Remove it from the app under API permissions: `User.Read.All` is enough."
        )


# --- users ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Selection:
    """Selects the people of the company among the users that Graph lists."""

    #: by id, because a user who changes while we read may be on two pages
    records: dict[str, RosterRecord] = field(default_factory=dict)
    managers: set[str] = field(default_factory=set)  #: the ids of users who are somebody's manager
    unlicensed: set[str] = field(default_factory=set)  #: the ids of users without a licence or without an address
    guests: set[str] = field(default_factory=set)  #: the ids of guests
    has_enabled_field: bool = False  #: whether Graph says of at least one user whether the account is enabled

    def add_user(self, user: Json) -> None:
        """Add a user, given as the JSON object of Graph."""
        user_id = str(user["id"])
        if user.get("userType") == "Guest":
            self.guests.add(user_id)
            return
        self.has_enabled_field = self.has_enabled_field or user.get("accountEnabled") is not None
        record = self.records[user_id] = make_record(user)
        self.managers |= {manager.text for manager in record.managers}
        if not user.get("assignedLicenses") or not record.addresses:
            self.unlicensed.add(user_id)

    def build_reading(self) -> DirectoryReading:
        """Return the records of people, without guests and without accounts that belong to no person.

        Entra doesn't distinguish rooms, shared mailboxes and service accounts from people. But these usually have no
        licence, no manager and no reports. An account without any of the three is left out, because it could be in no
        pair anyway.
        """
        accounts_without_person = {
            user_id
            for user_id in self.unlicensed
            if not self.records[user_id].managers and user_id not in self.managers
        }
        people = [record for user_id, record in self.records.items() if user_id not in accounts_without_person]
        counts = {
            "guests": len(self.guests),
            "accounts without licence, manager and reports": len(accounts_without_person),
        }
        return DirectoryReading(people, {kind: count for kind, count in counts.items() if count})


def make_record(user: Json) -> RosterRecord:
    """Return the record of a user, from the JSON object of Graph."""
    return RosterRecord(
        where=f"user {user['id']}",
        directory_id=user["id"],
        addresses=_list_names(user),
        name=user.get("displayName") or "",
        managers=_list_managers(user),
        country=_find_country(user),
        locale=user.get("preferredLanguage") or "",
        group=user.get("department") or "",
        is_active=user.get("accountEnabled") is not False,
        hire_date=user.get("employeeHireDate") or "",
    )


def _list_names(user: Json) -> tuple[str, ...]:
    """Return the names by which calendars refer to a user: the mail address, aliases, the sign-in name and X.500 names.
    The result is empty for a user without a mail address, who can't be invited."""
    proxies = [str(entry).partition(":") for entry in user.get("proxyAddresses") or ()]
    # The kind of the primary address is in upper case, that of aliases in lower case.
    primary = user.get("mail") or next((value for kind, _, value in proxies if kind == "SMTP"), "")
    if not primary:
        return ()
    aliases = [value for kind, _, value in proxies if kind.casefold() == "smtp"]
    x500_names = [value for kind, _, value in proxies if kind.casefold() == "x500"]
    names = [primary, *aliases, user.get("userPrincipalName") or "", *x500_names]
    distinct_names: dict[str, str] = {}
    for name in names:
        distinct_names.setdefault(name.casefold(), name)
    return tuple(name for name in distinct_names.values() if name)


def _find_country(user: Json) -> str:
    """Return the country of the user's address if it is a two-letter code. Otherwise return the usage location, which
    is the code of the country where the licences are used. Without a usage location, return the country as it was
    typed."""
    country = str(user.get("country") or "").strip()
    return country if len(country) == _CODE_LENGTH else str(user.get("usageLocation") or country)


def _list_managers(user: Json) -> tuple[ManagerReference, ...]:
    """Return the reference to the manager, if the user has one.

    A manager who is a guest or an external contact has an id that matches nobody in the roster.
    """
    manager = user.get("manager")
    if not manager:
        return ()
    label = str(manager.get("mail") or manager.get("userPrincipalName") or "")
    return (ManagerReference(str(manager["id"]), ReferenceKind.DIRECTORY_ID, label),)
