"""The roster source for SCIM: reads the people whom Microsoft Entra, Okta or another directory pushed to `/scim/v2`.

A push is one request about one person. The server of the pages stores the pushed data, and this source reads everybody
from the database, so that no reading can be incomplete. One change in a company can cause many pushes: a first
synchronization may take an hour, and name managers before they are pushed themselves. Pushes with short pauses between
them are a wave. Nothing is applied until the wave is over (`is_awaiting_pushes`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from worker.domain.counts import format_count
from worker.domain.model import WAVE_PAUSE, PushedPerson, PushLog
from worker.errors import LongarcError
from worker.providers.base import Finding
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck
from worker.roster.reading import DirectoryReading, list_reading_findings

#: A wave that lasts longer than this is applied before it is over.
LONGEST_WAVE = timedelta(hours=1)
#: The first wave of an installation may last this long, because a large company's first synchronization takes hours.
LONGEST_FIRST_WAVE = timedelta(days=1)

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_GUEST = "guest"  #: the user type of people of other companies
_PRIVATE = "home"  #: the type of private addresses, to which no invitations are sent
_WORK = "work"  #: the type of business addresses

_START_PROVISIONING = (
    "Assign people to the application in your directory and start its provisioning. `longarc run` or `longarc serve` "
    "has to be running, and base_url reachable from the internet."
)
_MAP_MANAGERS = f"Map the manager to `{ENTERPRISE}:manager`, or write `manager` into the people file."


class PushedDirectory(Protocol):
    """The storage of pushed people. The store of the database implements it."""

    def get_push_log(self) -> PushLog | None:
        """Return the count and the times of the pushes; None before the first push."""

    def list_people(self) -> Sequence[PushedPerson]:
        """Return everybody who was pushed, in the same order each time."""


class EmptyPushedDirectory:
    """A storage without people, for a process without a database."""

    def get_push_log(self) -> PushLog | None:
        return None

    def list_people(self) -> Sequence[PushedPerson]:
        return ()


def build_source(section: Mapping[str, Any]) -> "ScimDirectory":
    """Return the source. `pushed_people`: the PushedDirectory; without it, the source has no people."""
    return ScimDirectory(section.get("pushed_people") or EmptyPushedDirectory())


class ScimDirectory:
    """A RosterSource and PushedSource that reads the pushed people."""

    name = "SCIM"

    def __init__(self, directory: PushedDirectory) -> None:
        self._directory = directory

    def get_version(self) -> str:
        log = self._directory.get_push_log()
        return str(log.count) if log else "0"

    def is_awaiting_pushes(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether a wave of pushes is going on, or no push has arrived yet; the roster is then not read.

        A wave that lasts longer than its limit is not waited for. `read_at`: when the roster was last read; None when
        it never was.
        """
        log = self._directory.get_push_log()
        if log is None:
            return True
        longest_wave = LONGEST_FIRST_WAVE if read_at is None else LONGEST_WAVE
        # after a wave was read because of its limit, it is read again only when the limit has passed once more
        waiting_since = max(log.wave_began_at, read_at or log.wave_began_at)
        return now - log.last_at < WAVE_PAUSE and now - waiting_since < longest_wave

    def read(self, now: datetime) -> list[RosterRecord]:
        return list(self._read_everybody().records)

    def _read_everybody(self) -> DirectoryReading:
        people = self._directory.list_people()
        index = _ManagerIndex(people)
        records = [_make_record(person, index) for person in people if not _is_guest(person)]
        guest_count = len(people) - len(records)
        return DirectoryReading(records, left_out={"guests": guest_count} if guest_count else {})

    def check(self) -> SourceCheck:
        title = "A directory has pushed people by SCIM"
        try:
            log, reading = self._directory.get_push_log(), self._read_everybody()
        except LongarcError as error:
            return SourceCheck([Finding(title, ok=False, remedy=str(error))])
        if log is None:
            return SourceCheck([Finding(title, ok=False, remedy=_START_PROVISIONING)])
        last = (
            f"the last of {format_count(log.count, 'change')} came on {log.last_at:%Y-%m-%d} at {log.last_at:%H:%M} UTC"
        )
        findings = [Finding(f"{title}; {last}", ok=True), *list_reading_findings(self.name, reading, _MAP_MANAGERS)]
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
    """Return the values of a multi-valued attribute, without private ones. The primary value is first, then come values
    of type work, then the others."""
    values = [value for value in person.attributes.get(name) or () if _get_type(value) != _PRIVATE]
    return sorted(values, key=lambda value: (not value.get("primary"), _get_type(value) != _WORK))


def _get_type(value: Mapping[str, Any]) -> str:
    return str(value.get("type") or "").casefold()


def _list_addresses(person: PushedPerson) -> Iterable[str]:
    """Return the mail addresses of a person, and last the user name, which calendars use too. The result is empty for a
    person without a mail address, because mail to a user name may not arrive."""
    emails = [str(email["value"]) for email in _list_sorted(person, "emails") if email.get("value")]
    names = [*emails, person.user_name] if emails else []
    distinct_names: dict[str, str] = {}
    for name in names:
        distinct_names.setdefault(name.casefold(), name)
    return distinct_names.values()


def _find_name(person: PushedPerson) -> str:
    """Return the display name, else the formatted name, else the given and the family name."""
    name = _get_object(person.attributes, "name")
    composed_name = " ".join(str(name[part]) for part in ("givenName", "familyName") if name.get(part))
    return _get_text(person, "displayName") or str(name.get("formatted") or "") or composed_name


def _find_country(person: PushedPerson) -> str:
    countries = (str(address.get("country") or "") for address in _list_sorted(person, "addresses"))
    return next((country for country in countries if country), "")


def _find_language(person: PushedPerson) -> str:
    """Return the preferred language, else the locale. Of a list in the format of `Accept-Language`, return the
    first."""
    languages = _get_text(person, "preferredLanguage") or _get_text(person, "locale")
    return languages.partition(",")[0].partition(";")[0].strip()


class _ManagerIndex:
    """Finds the person to whom the field `value` of the attribute `manager` refers.

    By the standard, the value is the id that we assigned, and Entra sends this id. Okta sends the attribute that an
    administrator mapped: often the directory's own id, a user name or an employee number.
    """

    def __init__(self, people: Sequence[PushedPerson]) -> None:
        self._ids = {person.id for person in people}
        self._owners: dict[str, set[str]] = defaultdict(set)
        for person in people:
            number = str(_get_object(person.attributes, ENTERPRISE).get("employeeNumber") or "")
            for name in {person.external_id, person.user_name_key, number.casefold()} - {""}:
                self._owners[name].add(person.id)

    def find_managers(self, enterprise: Mapping[str, Any]) -> Iterator[ManagerReference]:
        """Yield the reference to the manager, if the attribute names one. When no pushed person or several people match
        the value, its text is the reference: the manager may be pushed later."""
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
