"""The interface of roster sources, and the guarantees that every source gives.

A source reads a directory, such as the people file, Google Directory or Microsoft Entra, and returns a `RosterRecord`
for each person. Records are text as the directory has it: a source doesn't parse time zones, countries or dates,
doesn't look up managers, and compares people with nobody. `worker.roster.resolve` does all that, in one place for all
sources.

**A source guarantees** (each item has a test in `tests/support/roster_contract.py`):

- `read` returns everybody or raises. When a page is missing, or fewer people came than the directory counted, it raises
  `IncompleteReading` or a `ProviderError`: half a reading is never returned, since whoever is not in it leaves.
- Each person is returned once, in the same order at each reading of an unchanged directory.
- A person keeps the `directory_id` for life: it survives a change of name or address. It is unique and never given to
  somebody else.
- The primary address comes first in `addresses`. Addresses may be in any case.
- Only people who can have a manager and conversations are returned: guests, rooms, shared mailboxes and service
  accounts are left out by the source. Suspended, disabled and former people are returned with `is_active=False`, so
  that a message can say so of a manager; without them, their manager would be unknown.
- What the directory doesn't tell is empty. Nothing is guessed: not a time zone from a country, not a manager from a
  department, not leave from anything but a statement of the directory.
- Each manager whom the directory names becomes one `ManagerReference`, also when there are several, when one names
  nobody, or names the person.
- Paging, throttling and vendors' peculiarities stay inside the source. Only errors of `worker.errors` are raised; they
  contain no name or address of anybody.

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
    """What the text of a `ManagerReference` is."""

    DIRECTORY_ID = "directory_id"
    ADDRESS = "address"  #: a primary address or an alias
    ANY = "any"  #: a directory id, an address with or without a name (`Ann <ann@x.org>`), or a name


@dataclass(frozen=True, slots=True)
class ManagerReference:
    """How a directory names somebody's manager."""

    text: str
    kind: ReferenceKind = ReferenceKind.ANY
    label: str = ""  #: what messages call the manager, where the text is an id that says nothing to people


@dataclass(frozen=True, slots=True, kw_only=True)
class RosterRecord:
    """What a directory says about one person: text as it stands there, empty when the directory doesn't tell.

    The fields are named like the columns of the people file; `longarc` uses these names in messages too.
    """

    where: str  #: where the person is found in the directory, for messages: `line 12`, `user 10394`
    directory_id: str = ""  #: stable and unique in this directory; compared without regard to case
    #: mail addresses, the primary one first; then other names that calendar services use (X.500, a user name)
    addresses: tuple[str, ...] = ()
    name: str = ""  #: as colleagues write it; `Doe, Ann` is turned by the resolver
    managers: tuple[ManagerReference, ...] = ()  #: usually one; none at the top
    time_zone: str = ""  #: an IANA name, a Windows name, or such as `(UTC+01:00) Berlin`
    country: str = ""  #: a code with two or three letters, a subdivision such as `DE-BE`, or a name
    locale: str = ""  #: a language code: `de`, `pt-BR`
    working_hours: str = ""  #: in the format of the people file
    group: str = ""  #: department or team
    is_active: bool = True  #: False for suspended, disabled and former people: they have no conversations
    hire_date: str = ""  #: `2026-09-01`, with or without a time; used only where the settings ask for it
    #: columns that only a people file has, such as `every` or `start`, by the name of the column
    wishes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """What trying a source came to."""

    findings: list[Finding]  #: one for each part, with the remedy for an administrator who sees this directory first
    records: Sequence[RosterRecord] | None = None  #: as `read` returns them; None when they can't be read


class RosterSource(Protocol):
    """Where people come from. Raises only LongarcErrors."""

    name: str  #: what messages call it: `people.csv`, `Google Directory`

    def get_version(self) -> str | None:
        """Return a text that changes whenever the directory changes. It is asked for each minute, so it never makes a
        request to another machine.

        None when the source can't tell without a request: the directory is then read each time it is due. Raises
        LongarcError when a file can't be opened.
        """

    def read(self, now: datetime) -> Sequence[RosterRecord]:
        """Return a record for each person. Raises IncompleteReading, Problems or ProviderError, and then nothing of the
        reading is used. `now` is the current time, in UTC."""

    def check(self) -> SourceCheck:
        """Try everything that reading needs, and read everybody, once; change nothing."""


@runtime_checkable
class PushedSource(Protocol):
    """A RosterSource to which a directory pushes its changes, one by one."""

    def is_unsettled(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether changes that belong together are still coming. Until then the roster is read only when
        somebody asks for it. `read_at`: when it was last read; None before the first time."""


#: The factory of each source but the people file, as `module:function`. It is imported on first use, so that libraries
#: of unused vendors are not loaded. A factory takes its section of the settings as plain values and secrets.
SOURCE_FACTORIES = {
    "google": "worker.roster.google:build_source",
    "outlook": "worker.roster.outlook:build_source",
    "scim": "worker.roster.scim:build_source",
}


def load_source_factory(name: str) -> Callable[[Mapping[str, Any]], RosterSource]:
    """Return the factory of the source of that name. Raises KeyError for an unknown name."""
    module, _, attribute = SOURCE_FACTORIES[name].partition(":")
    factory: Callable[[Mapping[str, Any]], RosterSource] = getattr(import_module(module), attribute)
    return factory
