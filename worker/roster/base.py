"""The interface of roster sources, and the guarantees that every source gives.

The roster is the list of who works here and for whom. A source reads it from a directory, such as Google Workspace or
Microsoft Entra, or from the people file, which counts as a directory in this module. It returns a `RosterRecord` for
each person. Records contain the text of the directory: a source doesn't parse time zones, countries or dates, doesn't
look up managers, and doesn't compare people.
`worker.roster.resolve` does that for the records of all sources.

**A source guarantees** (each item has a test in `tests/support/roster_contract.py`):

- `read` returns everybody or raises. When a page is missing, or the list has fewer people than the directory counts,
  `read` raises `IncompleteReading` or a `ProviderError`. It never returns a part of the people, because everybody who
  is missing in the result would be treated as having left.
- Each person is returned once. The order stays the same while the directory doesn't change.
- A person's `directory_id` is unique and never changes, even when the name or address does. It is never given to
  another person.
- The primary address comes first in `addresses`. Addresses may be in upper or lower case.
- Only people who can have a manager and conversations are returned. The source leaves out guests, rooms, shared
  mailboxes and service accounts. It returns suspended, disabled and former people with `is_active=False`, so that a
  message about a manager can say that this person left, and not only that the person is not found.
- A field is empty when the directory has no value for it. Nothing is guessed: no time zone from a country, no manager
  from a department, and leave only when the directory says so.
- Each manager that the directory names becomes one `ManagerReference`, even when a person has several managers, when a
  reference matches nobody, or when people are their own manager.
- Paging, throttling and vendors' peculiarities stay inside the source. Only errors of `worker.errors` are raised; they
  contain no names or addresses of people.

To add a source: write `worker/roster/<name>.py` with a function `build_source(section)`, where `section` is the
source's settings as plain values and secrets; add it to `SOURCE_FACTORIES`; let its tests inherit
`tests/support/roster_contract.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from worker.providers.base import Finding


class ReferenceKind(StrEnum):
    """The form in which the text of a `ManagerReference` identifies the manager."""

    DIRECTORY_ID = "directory_id"
    ADDRESS = "address"  #: a primary address or an alias
    ANY = "any"  #: a directory id, an address with or without a name (`Ann <ann@x.org>`), or a name


@dataclass(frozen=True, slots=True)
class ManagerReference:
    """How a directory names somebody's manager."""

    text: str
    kind: ReferenceKind = ReferenceKind.ANY
    label: str = ""  #: what messages call the manager when the text is an id that people don't know


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRecord:
    """The entry of one person in a directory, as text; a field is empty when the directory has no value for it.

    The fields have the names of the columns in the people file, which messages of Longarc use too.
    """

    where: str  #: the place of the entry in the directory, for messages: `line 12`, `user 10394`
    directory_id: str = ""  #: stable and unique in this directory; compared without regard to case
    #: mail addresses, the primary one first; then other names that calendar services use (X.500 names, user names)
    addresses: tuple[str, ...] = ()
    name: str = ""  #: the full name; `Doe, Ann` becomes `Ann Doe` later
    managers: tuple[ManagerReference, ...] = ()  #: usually one; empty for the head of the company
    time_zone: str = ""  #: an IANA name, a Windows name, or a display name such as `(UTC+01:00) Berlin`
    country: str = ""  #: a code with two or three letters, a subdivision such as `DE-BE`, or a name
    locale: str = ""  #: a language code: `de`, `pt-BR`
    working_hours: str = ""  #: in the format of the people file
    group: str = ""  #: department or team
    is_active: bool = True  #: False for suspended, disabled and former people, who have no conversations
    hire_date: str = ""  #: such as `2026-09-01`, with or without a time; used only when the settings ask for it
    #: the preferences of the pair, such as `every` or `start`, by column of the people file, which alone has any
    wishes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """The result of checking a source."""

    findings: list[Finding]  #: their remedies are for an administrator who does not know this directory yet
    records: Sequence[RosterRecord] | None = None  #: the records that `read` returns; None when they can't be read


class RosterSource(Protocol):
    """Reads the people of one directory. Raises only LongarcErrors."""

    name: str  #: what messages call the directory: `people.csv`, `Google Directory`

    def get_version(self) -> str | None:
        """Return a text that changes whenever the directory changes, so that an unchanged directory is not read again.

        This method is called every minute, so it makes no request to another machine. It returns None when the source
        can't tell without a request; the directory is then read each time it is due. Raises LongarcError when a file
        can't be opened.
        """

    def read(self, now: datetime) -> Sequence[RosterRecord]:
        """Return a record for each person. `now` is the current time, in UTC. Raises IncompleteReading, Problems or
        ProviderError."""

    def check(self) -> SourceCheck:
        """Check everything that reading needs, and read everybody once. Changes nothing."""


@runtime_checkable
class PushedSource(Protocol):
    """A RosterSource to which a directory pushes its changes, one person at a time."""

    def is_awaiting_pushes(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether more pushes of the same wave are expected, or no push has arrived yet. As long as this is so,
        the roster is read only when an operator asks for that. `read_at`: when the roster was last read; None when it
        never was."""


#: The factory of each source except the people file, as `module:function`. A factory is imported on first use, so that
#: libraries of unused vendors are not loaded. Its argument is the source's section of the settings.
SOURCE_FACTORIES = {
    "google": "worker.roster.google:build_source",
    "outlook": "worker.roster.outlook:build_source",
    "scim": "worker.roster.scim:build_source",
}


def load_source_factory(name: str) -> Callable[[Mapping[str, Any]], RosterSource]:
    """Import and return the factory of the source of that name. Raises KeyError for an unknown name."""
    module, _, attribute = SOURCE_FACTORIES[name].partition(":")
    factory: Callable[[Mapping[str, Any]], RosterSource] = getattr(import_module(module), attribute)
    return factory
