"""The roster from Google Workspace: the users of the Directory API, read as an administrator.

Google tells no changes, so everybody is read each time, five hundred in a page. What people are made of there is text
that somebody typed: in particular the manager, which is a mail address, or anything else.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, NotFound, Permanent, Problem, Problems, ProviderError
from worker.providers.base import Finding
from worker.providers.google.auth import (
    DIRECTORY_READ_SCOPE,
)
from worker.providers.google.client import DIRECTORY_ENDPOINT, GoogleApi, RequestQuota, build_api
from worker.providers.google.error_translation import ApiNotEnabled
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck
from worker.roster.reading import DirectoryReading, describe_reading, iter_pages

Json = Mapping[str, Any]

#: The most that Google lists in a page.
_PAGE_SIZE = 500
#: Requests a minute, below Google's quota of 2,400.
_REQUESTS_PER_MINUTE = 2_000
#: What is asked for. Sub-fields can be chosen only where Google describes them.
_FIELDS = (
    "nextPageToken,users(id,primaryEmail,aliases,nonEditableAliases,name/fullName,suspended,archived,isGuestUser,"
    "relations,organizations,addresses,languages)"
)
_SWITCH_ON = (
    "Open console.cloud.google.com/apis/library/admin.googleapis.com, choose the project {project}, press Enable, and "
    "wait a few minutes."
)
_GRANT_ROLE = (
    "In admin.google.com open Account > Admin roles > Create new role, tick Users > Read under Admin API privileges, "
    "and assign the role to the account that `admin` in [roster.google] names."
)
#: The settings without which nothing can be read, and what to do about each.
_REQUIRED = {
    "service_account": "Write the path of a service account's key file, here or under [calendars.google].",
    "admin": f"Write the address of an account that may read users. {_GRANT_ROLE}",
}
_FIX_QUERY = "Fix `domain` or `query` in [roster.google]."
_FILL_MANAGERS = (
    "In admin.google.com open Directory > Users > (a person) > User information > Employee information, and fill "
    "Manager's email; or write `manager` into the people file."
)


def build_source(section: Mapping[str, Any]) -> "GoogleDirectory":
    """Return the source that a section of the settings describes. Reads no file and sends no request yet. Raises
    Problems when a required setting is missing.

    `service_account`: the key file of a service account with domain-wide delegation. `admin`: the account that it acts
    as, which may read users. `domain`: whose users are listed; empty for all domains of the company. `query`: which of
    them, as Google's search for users has it. `endpoint`, `token_endpoint`: URLs. `timeout`: seconds. `keys`: the first
    is the key of hashes in `quotaUser`.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GoogleDirectory":
    """Return the source as `build_source` does, with another clock."""
    missing = {key: remedy for key, remedy in _REQUIRED.items() if not section.get(key)}
    if missing:
        what = "Google Directory is used, and this is missing."
        raise Problems([Problem(f"settings: roster.google.{key}", what, remedy) for key, remedy in missing.items()])
    quota = RequestQuota(_REQUESTS_PER_MINUTE, _REQUESTS_PER_MINUTE, clock)
    api = build_api("admin", "directory_v1", DIRECTORY_ENDPOINT, section, quota, clock)
    domain, query = str(section.get("domain") or ""), str(section.get("query") or "")
    whose = {"domain": domain} if domain else {"customer": "my_customer"}
    return GoogleDirectory(api, str(section["admin"]), {**whose, **({"query": query} if query else {})})


class GoogleDirectory:
    """A RosterSource on the Directory API."""

    name = "Google Directory"

    def __init__(self, api: GoogleApi, admin: Address, selection: Mapping[str, str]) -> None:
        """`selection`: the query parameters that say whose users are listed."""
        self._api = api
        self._admin = admin
        self._selection = selection

    def get_version(self) -> str | None:
        return None

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        records: dict[str, RosterRecord] = {}  # by id: somebody who was changed meanwhile may be in two pages
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
        """Return the error with what to do about it, and without the administrator's address."""
        text = str(error).replace(self._admin, "the account in `admin`")
        return type(error)(f"{text.rstrip('.')}. {self._choose_remedy(error)}".strip())

    def _choose_remedy(self, error: ProviderError) -> str:
        if isinstance(error, AuthRevoked):
            return ""  # the text has it
        if isinstance(error, ApiNotEnabled):
            return _SWITCH_ON.format(project=self._api.access.get_project())
        if "Not Authorized" in str(error):
            return _GRANT_ROLE
        return _FIX_QUERY if isinstance(error, NotFound) or "invalid" in str(error).casefold() else ""

    # --- check ------------------------------------------------------------------------------------------------------

    def check(self) -> SourceCheck:
        title = f"Longarc may act as {self._admin} to read users ({DIRECTORY_READ_SCOPE})"
        try:
            self._api.access.get_token(self._admin, DIRECTORY_READ_SCOPE)
        except ProviderError as error:
            return SourceCheck([Finding(title, False, str(error))])
        try:
            reading = self._read_everybody()
        except ProviderError as error:
            return SourceCheck([Finding(title, True), Finding(f"{self.name} can be read", False, str(error))])
        findings = [Finding(title, True), *describe_reading(self.name, reading, _FILL_MANAGERS)]
        return SourceCheck(findings, reading.records)


# --- one user -------------------------------------------------------------------------------------------------------


def make_record(user: Json) -> RosterRecord:
    """Return what Google says about a user."""
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
    """Return the entries of a field whose shape Google doesn't promise."""
    entries = user.get(field)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _list_managers(user: Json) -> tuple[ManagerReference, ...]:
    """Return what was typed as the manager: an address, which may be an alias, or nobody's."""
    texts = [
        str(entry.get("value") or "").strip()
        for entry in _list_entries(user, "relations")
        if str(entry.get("type")).casefold() == "manager"
    ]
    by_folded_text = {text.casefold(): text for text in texts if text}
    return tuple(ManagerReference(text, ReferenceKind.ADDRESS) for text in by_folded_text.values())


def _find_country(user: Json) -> str:
    """Return the country of the work address; empty when there is none, or several that differ. People's homes may be
    elsewhere, and don't count."""
    work_addresses = [entry for entry in _list_entries(user, "addresses") if entry.get("type") == "work"]
    return _find_single(work_addresses, "countryCode", "country")


def _find_department(user: Json) -> str:
    return _find_single(_list_entries(user, "organizations"), "department")


def _find_single(entries: list[Json], *names: str) -> str:
    """Return the first of these fields of the primary entry; without one, that in which all entries agree."""
    chosen = [entry for entry in entries if entry.get("primary")] or entries
    texts = {next((str(entry[name]).strip() for name in names if entry.get(name)), "") for entry in chosen} - {""}
    return texts.pop() if len(texts) == 1 else ""


def _find_language(user: Json) -> str:
    """Return the preferred language, or the only one."""
    languages = [entry for entry in _list_entries(user, "languages") if entry.get("languageCode")]
    preferred = [entry for entry in languages if entry.get("preference") == "preferred"] or languages
    return str(preferred[0]["languageCode"]) if len(preferred) == 1 else ""
