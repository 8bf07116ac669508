"""The roster from Microsoft Entra: users with their managers, through Microsoft Graph.

Everybody is read each time, a hundred in a page. Graph could tell changes alone (`users/delta`), but its own rules say
when such a tale is not whole: then people would be gone, or stay, without anybody noticing. A full list is right by
itself, and cheap: a company of 50,000 costs 1,000 of the 3,500 units that Graph grants in ten seconds.
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
from worker.roster.reading import DirectoryReading, describe_reading, iter_pages

_SELECT = (
    "id,displayName,mail,userPrincipalName,proxyAddresses,accountEnabled,userType,employeeHireDate,preferredLanguage,"
    "usageLocation,country,department,assignedLicenses"
)
_EXPAND = "manager($select=id,mail,userPrincipalName)"
#: The most that Graph lists in a page that has managers in it.
_PAGE_SIZE = 100
#: The permission that is asked for.
LEAST_PERMISSION = "User.Read.All"
#: What is enough to read everything that is asked for, the least first.
_PERMISSIONS = (LEAST_PERMISSION, "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
_CODE_LENGTH = 2  #: letters of a country's code
_GRANT_PERMISSION = (
    "In entra.microsoft.com open App registrations > (the app) > API permissions > Add a permission > Microsoft Graph "
    "> Application permissions, tick `User.Read.All`, press Add, and then Grant admin consent."
)
_MEND_FILTER = (
    "Fix or remove `filter` in [roster.outlook]. Beside managers, Entra filters by few properties: accountEnabled, "
    "userType, department, country and usageLocation are among them; companyName and employeeType are not."
)
_FILL_MANAGERS = (
    "In entra.microsoft.com open Users > (a person) > Properties > Job information, and fill Manager; or write "
    "`manager` into the people file."
)


def build_source(section: Mapping[str, Any]) -> "EntraDirectory":
    """Return the source that a section of the settings describes. Raises AuthRevoked when it lacks credentials.

    `endpoint`, `authority`, `tenant`, `client_id` and the credentials of an app: see `auth.build_tokens`. `filter`:
    which users are listed, as Graph's `$filter` has it. `timeout`: seconds. `ca_file`: certificates to trust.
    """
    if section.get("account"):
        text = "Microsoft Entra is read by an app, and [calendars.outlook] names one person's account."
        raise AuthRevoked(f"{text} Take `account` out, or keep people in a people file.")
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
        return None

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        selection = _Selection()
        try:
            for page in iter_pages(self.name, self._request_page, "@odata.nextLink"):
                for user in page["value"]:
                    selection.add_user(user)
        except Permanent as error:
            raise self._add_remedy(error) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidResponse(f"{self.name}: Graph listed a user that can't be read.") from error
        if selection.records and not selection.tells_enabled:
            text = f"{self.name} does not say whose account is enabled: the app may read basic profiles alone."
            raise Forbidden(f"{text} {_GRANT_PERMISSION}")
        return selection.build_reading()

    def _request_page(self, link: str) -> Json:
        if link:
            return self._graph.follow_link(self.name, link)
        return self._graph.get_resource(self.name, "users", **self._options)

    def _add_remedy(self, error: Permanent) -> Permanent:
        """Return the error with what an administrator of Entra can do about it."""
        if isinstance(error, Forbidden):
            return Forbidden(f"{self.name} does not let Longarc read users. {_GRANT_PERMISSION}")
        if type(error) is Permanent and "filter" in self._options:
            return Permanent(f"{error} {_MEND_FILTER}")
        return error

    # --- check ------------------------------------------------------------------------------------------------------

    def check(self) -> SourceCheck:
        title = "Longarc may read users in Microsoft Entra as an app (User.Read.All)"
        try:
            permissions = read_permissions(self._graph.get_token())
            reading = self._read_everybody()
        except ProviderError as error:
            return SourceCheck([Finding(title, False, str(error))])
        findings = [Finding(title, True), *_check_width(permissions)]
        return SourceCheck(findings + describe_reading(self.name, reading, _FILL_MANAGERS), reading.records)


def _check_width(permissions: list[str]) -> Iterator[Finding]:
    """Yield a finding when the app may do more in the directory than reading users."""
    wide_permissions = [name for name in _PERMISSIONS[1:] if name in permissions]
    if wide_permissions:
        what = f"The app holds {', '.join(wide_permissions)}, which is more than reading users needs"
        yield Finding(what, True, "Take it from the app under API permissions: `User.Read.All` is enough.")


# --- who is a person of the company ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Selection:
    """The users read so far, by id: somebody who was changed meanwhile may be in two pages."""

    records: dict[str, RosterRecord] = field(default_factory=dict)
    managers: set[str] = field(default_factory=set)  #: ids of those whom somebody has as manager
    unlicensed: set[str] = field(default_factory=set)  #: ids of those without a licence, or without an address
    guests: set[str] = field(default_factory=set)
    tells_enabled: bool = False  #: whether Graph tells of anybody whether the account is enabled

    def add_user(self, user: Json) -> None:
        """Add a user as Graph lists it."""
        user_id = str(user["id"])
        if user.get("userType") == "Guest":
            self.guests.add(user_id)
            return
        self.tells_enabled = self.tells_enabled or user.get("accountEnabled") is not None
        record = self.records[user_id] = make_record(user)
        self.managers |= {manager.text for manager in record.managers}
        if not user.get("assignedLicenses") or not record.addresses:
            self.unlicensed.add(user_id)

    def build_reading(self) -> DirectoryReading:
        """Return the people, without guests, and without accounts that are no person's.

        Entra doesn't tell rooms, shared mailboxes and service accounts from people. They have no licence as a rule, and
        no place among managers and reports; an account without all of these is in no pair.
        """
        accounts = {
            user_id
            for user_id in self.unlicensed
            if not self.records[user_id].managers and user_id not in self.managers
        }
        people = [record for user_id, record in self.records.items() if user_id not in accounts]
        counts = {"guests": len(self.guests), "accounts without licence, manager and reports": len(accounts)}
        return DirectoryReading(people, {kind: count for kind, count in counts.items() if count})


def make_record(user: Json) -> RosterRecord:
    """Return what Entra says about a user."""
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
    """Return the names by which calendars know a user: the mail address, aliases, the sign-in name, X.500 names. Nobody
    can be invited who has no mail address; then there is none."""
    proxies = [str(entry).partition(":") for entry in user.get("proxyAddresses") or ()]
    primary = user.get("mail") or next((value for kind, _, value in proxies if kind == "SMTP"), "")
    if not primary:
        return ()
    aliases = [value for kind, _, value in proxies if kind.casefold() == "smtp"]
    x500_names = [value for kind, _, value in proxies if kind.casefold() == "x500"]
    names = [primary, *aliases, user.get("userPrincipalName") or "", *x500_names]
    by_folded_name: dict[str, str] = {}
    for name in names:
        by_folded_name.setdefault(name.casefold(), name)
    return tuple(name for name in by_folded_name.values() if name)


def _find_country(user: Json) -> str:
    """Return the country of the address when it is a code; else where licences are used, which is one always; else what
    somebody typed as the country."""
    country = str(user.get("country") or "").strip()
    return country if len(country) == _CODE_LENGTH else str(user.get("usageLocation") or country)


def _list_managers(user: Json) -> tuple[ManagerReference, ...]:
    """Return the manager, who may be a guest or a contact of the organization: nobody in the roster has that id."""
    manager = user.get("manager")
    if not manager:
        return ()
    label = str(manager.get("mail") or manager.get("userPrincipalName") or "")
    return (ManagerReference(str(manager["id"]), ReferenceKind.DIRECTORY_ID, label),)
