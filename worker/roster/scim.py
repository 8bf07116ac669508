"""The roster from SCIM: people whom Microsoft Entra, Okta or another directory pushed to `/scim/v2`.

The pages store what is pushed; this source reads it from the database, so no reading can be half. Pushes come one by
one, and one change of a company is many of them: a first sync pushes for an hour, and names managers before they are
there. So nothing is applied until the pushes pause (`is_unsettled`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from worker.domain.model import WAVE_PAUSE, PushedPerson, PushLog
from worker.errors import LongarcError
from worker.providers.base import Finding
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck
from worker.roster.reading import DirectoryReading, describe_reading

#: How long pushes may go on without a pause before they are applied all the same.
LONGEST_WAVE = timedelta(hours=1)
#: How long the first pushes of all may go on: the first sync of a large company takes hours.
LONGEST_FIRST_WAVE = timedelta(days=1)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
#: The user type of those who belong to another company.
_GUEST = "guest"
#: The type of private addresses, at which nobody is invited.
_PRIVATE = "home"
_WORK = "work"

_PUSH_SOMEBODY = (
    "Assign people to the application in your directory and start its provisioning. `longarc run` or `longarc serve` "
    "has to be running, and base_url reachable from the internet."
)
_MAP_MANAGERS = f"Map the manager to `{ENTERPRISE}:manager`, or write `manager` into the people file."


class PushedDirectory(Protocol):
    """Where pushed people are kept: the store."""

    def get_push_log(self) -> PushLog | None:
        """Return when pushes came; None when none came yet."""

    def list_people(self) -> Sequence[PushedPerson]:
        """Return everybody, in the same order each time."""


class NoDirectory:
    """The place of pushed people while there is no database."""

    def get_push_log(self) -> PushLog | None:
        return None

    def list_people(self) -> Sequence[PushedPerson]:
        return ()


def build_source(section: Mapping[str, Any]) -> "ScimDirectory":
    """Return the source. `pushed_people`: where pushed people are kept; without it, nobody was pushed."""
    return ScimDirectory(section.get("pushed_people") or NoDirectory())


class ScimDirectory:
    """A RosterSource on what was pushed."""

    name = "SCIM"

    def __init__(self, directory: PushedDirectory) -> None:
        self._directory = directory

    def get_version(self) -> str:
        log = self._directory.get_push_log()
        return str(log.count) if log else "0"

    def is_unsettled(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether pushes are still coming, so that the roster is not read yet. `read_at`: when it was last read;
        None before the first time."""
        log = self._directory.get_push_log()
        if log is None:
            return True
        limit = LONGEST_FIRST_WAVE if read_at is None else LONGEST_WAVE
        began_at = max(log.wave_began_at, read_at or log.wave_began_at)
        return now - log.last_at < WAVE_PAUSE and now - began_at < limit

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        people = self._directory.list_people()
        index = _ManagerIndex(people)
        records = [_make_record(person, index) for person in people if not _is_guest(person)]
        guest_count = len(people) - len(records)
        return DirectoryReading(records, {"guests": guest_count} if guest_count else {})

    def check(self) -> SourceCheck:
        title = "A directory has pushed people by SCIM"
        try:
            log, reading = self._directory.get_push_log(), self._read_everybody()
        except LongarcError as error:
            return SourceCheck([Finding(title, False, str(error))])
        if log is None:
            return SourceCheck([Finding(title, False, _PUSH_SOMEBODY)])
        last = f"the last of {log.count:,} changes came on {log.last_at:%Y-%m-%d} at {log.last_at:%H:%M} UTC"
        findings = [Finding(f"{title}; {last}", True), *describe_reading(self.name, reading, _MAP_MANAGERS)]
        return SourceCheck(findings, reading.records)


def _make_record(person: PushedPerson, index: "_ManagerIndex") -> RosterRecord:
    enterprise = _get_object(person.attributes, ENTERPRISE)
    return RosterRecord(
        where=f"user {person.user_name}",
        directory_id=person.id,
        addresses=tuple(_list_addresses(person)),
        name=_find_name(person),
        managers=tuple(index.find_managers(enterprise)),
        time_zone=_get_text(person, "timezone"),
        country=_find_country(person),
        locale=_find_language(person),
        group=str(enterprise.get("department") or ""),
        is_active=person.attributes.get("active") is not False,
    )


def _is_guest(person: PushedPerson) -> bool:
    return _get_text(person, "userType").casefold() == _GUEST


def _get_text(person: PushedPerson, name: str) -> str:
    return str(person.attributes.get(name) or "")


def _get_object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}


def _list_sorted(person: PushedPerson, name: str) -> list[Mapping[str, Any]]:
    """Return the values of a list that aren't private, the primary one first, then those of work."""
    values = [value for value in person.attributes.get(name) or () if _get_type(value) != _PRIVATE]
    return sorted(values, key=lambda value: (not value.get("primary"), _get_type(value) != _WORK))


def _get_type(value: Mapping[str, Any]) -> str:
    return str(value.get("type") or "").casefold()


def _list_addresses(person: PushedPerson) -> Iterable[str]:
    """Return the mail addresses, and last the user name, by which calendars know people too. Without a mail address
    there are none: a user name alone need not receive mail."""
    emails = [str(email["value"]) for email in _list_sorted(person, "emails") if email.get("value")]
    names = [*emails, person.user_name] if emails else []
    by_folded_name: dict[str, str] = {}
    for name in names:
        by_folded_name.setdefault(name.casefold(), name)
    return by_folded_name.values()


def _find_name(person: PushedPerson) -> str:
    name = _get_object(person.attributes, "name")
    parts = " ".join(str(name[part]) for part in ("givenName", "familyName") if name.get(part))
    return _get_text(person, "displayName") or str(name.get("formatted") or "") or parts


def _find_country(person: PushedPerson) -> str:
    countries = (str(address.get("country") or "") for address in _list_sorted(person, "addresses"))
    return next((country for country in countries if country), "")


def _find_language(person: PushedPerson) -> str:
    """Return the language; of several preferred ones, as in `Accept-Language`, the first."""
    languages = _get_text(person, "preferredLanguage") or _get_text(person, "locale")
    return languages.partition(",")[0].partition(";")[0].strip()


class _ManagerIndex:
    """Finds out whom a manager's `value` means.

    By the standard it is the id that we gave, and so it is with Entra. With Okta it is what somebody mapped: often the
    directory's own id, a user name or an employee number.
    """

    def __init__(self, people: Sequence[PushedPerson]) -> None:
        self._ids = {person.id for person in people}
        self._owners: dict[str, set[str]] = defaultdict(set)
        for person in people:
            number = str(_get_object(person.attributes, ENTERPRISE).get("employeeNumber") or "")
            for name in {person.external_id, person.user_name_key, number.casefold()} - {""}:
                self._owners[name].add(person.id)

    def find_managers(self, enterprise: Mapping[str, Any]) -> Iterator[ManagerReference]:
        """Yield the manager, who may not have been pushed yet."""
        text = str(_get_object(enterprise, "manager").get("value") or "").strip()
        if not text:
            return
        if text in self._ids:
            yield ManagerReference(text, ReferenceKind.DIRECTORY_ID)
            return
        owners = self._owners.get(text) or self._owners.get(text.casefold()) or set()
        if len(owners) == 1:
            yield ManagerReference(next(iter(owners)), ReferenceKind.DIRECTORY_ID)
        else:
            yield ManagerReference(text)
