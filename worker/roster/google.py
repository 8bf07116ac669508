"""The roster source for Google Workspace: reads the users from the Directory API as an administrator.

The Directory API has no list of changes, so everybody is read each time, in pages of five hundred. Most fields of a
user are text that an administrator typed. In particular, the manager is usually a mail address, but can be any text.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, NotFound, Permanent, Problem, Problems, ProviderError
from worker.providers.base import Finding
from worker.providers.google.auth import DIRECTORY_READ_SCOPE
from worker.providers.google.client import DIRECTORY_ENDPOINT, GoogleApi, RequestQuota, build_api
from worker.providers.google.error_translation import ApiNotEnabled
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck
from worker.roster.reading import DirectoryReading, iter_pages, list_reading_findings

Json = Mapping[str, Any]

#: The largest page size that Google accepts.
_PAGE_SIZE = 500
#: A limit below Google's quota of 2,400.
_REQUESTS_PER_MINUTE = 2_000
#: The fields that are requested. Sub-fields can be selected only where Google documents them.
_FIELDS = (
    "nextPageToken,users(id,primaryEmail,aliases,nonEditableAliases,name/fullName,suspended,archived,isGuestUser,"
    "relations,organizations,addresses,languages)"
)
_ENABLE_API = (
    "Open console.cloud.google.com/apis/library/admin.googleapis.com, choose the project {project}, press Enable, and "
    "wait a few minutes."
)
_GRANT_ROLE = (
    "In admin.google.com open Account > Admin roles > Create new role, tick Users > Read under Admin API privileges, "
    "and assign the role to the account that `admin` in [roster.google] names."
)
#: The required settings, and the remedy when one is missing.
_REQUIRED = {
    "service_account": "Write the path of a service account's key file, here or under [calendars.google].",
    "admin": f"Write the address of an account that may read users. {_GRANT_ROLE}",
}
_FIX_FILTER = "Fix `domain` or `query` in [roster.google]."
_FILL_MANAGERS = (
    "In admin.google.com open Directory > Users > (a person) > User information > Employee information, and fill "
    "Manager's email; or write `manager` into the people file."
)


def build_source(section: Mapping[str, Any]) -> "GoogleDirectory":
    """Return the source that a section of the settings describes. Reads no file and sends no request yet. Raises
    Problems when a required setting is missing.

    `service_account`: the key file of a service account with domain-wide delegation. `admin`: the account, which may
    read users, on whose behalf the service account acts. `domain`: the domain whose users are listed; empty for all
    domains of the company. `query`: a filter in the syntax of Google's user search. `endpoint`, `token_endpoint`: URLs.
    `timeout`: seconds. `keys`: secrets; the first one is the key with which addresses are hashed for the query
    parameter `quotaUser`.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GoogleDirectory":
    """Return the source as `build_source` does, with another clock."""
    missing = {key: remedy for key, remedy in _REQUIRED.items() if not section.get(key)}
    if missing:
        fault = "Google Directory is used, and this is missing."
        raise Problems([Problem(f"settings: roster.google.{key}", fault, remedy) for key, remedy in missing.items()])
    # the administrator sends every request, so that one limit serves for the person and for the project
    quota = RequestQuota(per_person=_REQUESTS_PER_MINUTE, per_project=_REQUESTS_PER_MINUTE, clock=clock)
    api = build_api("admin", "directory_v1", DIRECTORY_ENDPOINT, section, quota, clock)
    domain, query = str(section.get("domain") or ""), str(section.get("query") or "")
    selection = {"domain": domain} if domain else {"customer": "my_customer"}
    if query:
        selection["query"] = query
    return GoogleDirectory(api, str(section["admin"]), selection)


class GoogleDirectory:
    """A RosterSource on the Directory API."""

    name = "Google Directory"

    def __init__(self, api: GoogleApi, admin: Address, selection: Mapping[str, str]) -> None:
        """`selection`: the query parameters that select the users."""
        self._api = api
        self._admin = admin
        self._selection = selection

    def get_version(self) -> str | None:
        """Return None, since only a request to the directory could tell whether it has changed."""
        return None

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        """Return the records of all users except guests. Raises ProviderErrors."""
        records: dict[str, RosterRecord] = {}  # by id, because a user who changes while we read may be on two pages
        guests: set[str] = set()
        try:
            for page in iter_pages(self.name, self._request_page, "nextPageToken"):
                for user in page.get("users", ()):
                    if user.get("isGuestUser"):
                        guests.add(user["id"])
                    else:
                        records[user["id"]] = make_record(user)
        except Permanent as error:
            raise self._add_remedy(error) from error
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidResponse(f"{self.name}: Google listed a user that can't be read.") from error
        return DirectoryReading(list(records.values()), {"guests": len(guests)} if guests else {})

    def _request_page(self, token: str) -> Json:
        options: dict[str, Any] = {**self._selection, **({"pageToken": token} if token else {})}
        request = self._api.service.users().list(
            maxResults=_PAGE_SIZE, projection="full", orderBy="email", fields=_FIELDS, **options
        )
        page: Json = self._api.execute(self._admin, DIRECTORY_READ_SCOPE, request, subject=self.name)
        return page

    def _add_remedy(self, error: Permanent) -> Permanent:
        """Return the error with its remedy, and without the administrator's address."""
        text = str(error).replace(self._admin, "the account in `admin`")
        return type(error)(f"{text.rstrip('.')}. {self._choose_remedy(error)}".strip())

    def _choose_remedy(self, error: ProviderError) -> str:
        if isinstance(error, AuthRevoked):
            return ""  # the error's text contains the remedy
        if isinstance(error, ApiNotEnabled):
            return _ENABLE_API.format(project=self._api.access.get_project())
        if "Not Authorized" in str(error):
            return _GRANT_ROLE
        return _FIX_FILTER if isinstance(error, NotFound) or "invalid" in str(error).casefold() else ""

    # --- check ------------------------------------------------------------------------------------------------------

    def check(self) -> SourceCheck:
        title = f"Longarc may act as {self._admin} to read users ({DIRECTORY_READ_SCOPE})"
        try:
            self._api.access.get_token(self._admin, DIRECTORY_READ_SCOPE)
        except ProviderError as error:
            return SourceCheck([Finding(title, ok=False, remedy=str(error))])
        try:
            reading = self._read_everybody()
        except ProviderError as error:
            return SourceCheck(
                [Finding(title, ok=True), Finding(f"{self.name} can be read", ok=False, remedy=str(error))]
            )
        findings = [Finding(title, ok=True), *list_reading_findings(self.name, reading, _FILL_MANAGERS)]
        return SourceCheck(findings, reading.records)


# --- one user -------------------------------------------------------------------------------------------------------


def make_record(user: Json) -> RosterRecord:
    """Return the record of a user, from the JSON object of the Directory API."""
    addresses = (user["primaryEmail"], *user.get("aliases", ()), *user.get("nonEditableAliases", ()))
    return RosterRecord(
        where=f"user {user['id']}",
        directory_id=user["id"],
        addresses=tuple(dict.fromkeys(addresses)),
        name=str((user.get("name") or {}).get("fullName") or ""),
        managers=_list_managers(user),
        country=_find_country(user),
        locale=_find_language(user),
        group=_find_department(user),
        is_active=not (user.get("suspended") or user.get("archived")),
    )


def _list_entries(user: Json, field: str) -> list[Json]:
    """Return the objects in a field that should be a list of objects; Google doesn't guarantee the field's type."""
    entries = user.get(field)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _list_managers(user: Json) -> tuple[ManagerReference, ...]:
    """Return the texts in the manager field as addresses. They may be addresses of nobody in the directory."""
    texts = [
        str(entry.get("value") or "").strip()
        for entry in _list_entries(user, "relations")
        if str(entry.get("type")).casefold() == "manager"
    ]
    distinct_texts = {text.casefold(): text for text in texts if text}
    return tuple(ManagerReference(text, ReferenceKind.ADDRESS) for text in distinct_texts.values())


def _find_country(user: Json) -> str:
    """Return the country of the work address; empty without one, or when several work addresses have different
    countries. Home addresses are ignored, because people may live in another country."""
    work_addresses = [entry for entry in _list_entries(user, "addresses") if entry.get("type") == "work"]
    return _find_single(work_addresses, "countryCode", "country")


def _find_department(user: Json) -> str:
    return _find_single(_list_entries(user, "organizations"), "department")


def _find_single(entries: list[Json], *names: str) -> str:
    """Return the value of the first of these fields that is filled; empty when the entries have different values.

    Only the primary entry is considered. Without a primary entry, all entries are.
    """
    chosen_entries = [entry for entry in entries if entry.get("primary")] or entries
    values = [next((str(entry[name]).strip() for name in names if entry.get(name)), "") for entry in chosen_entries]
    distinct_values = {value for value in values if value}
    return distinct_values.pop() if len(distinct_values) == 1 else ""


def _find_language(user: Json) -> str:
    """Return the preferred language, else the only language; empty when there are several."""
    languages = [entry for entry in _list_entries(user, "languages") if entry.get("languageCode")]
    preferred = [entry for entry in languages if entry.get("preference") == "preferred"] or languages
    return str(preferred[0]["languageCode"]) if len(preferred) == 1 else ""
