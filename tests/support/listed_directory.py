"""The simplest directory: a list of records in memory, with a source that reads it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from worker.errors import IncompleteReading, LongarcError
from worker.providers.base import Finding
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, SourceCheck


class ListedDirectory:
    """A source of the roster, with methods that change its directory. It has no version, so it is always read anew."""

    name = "Example Directory"

    def __init__(self, **shared: Any) -> None:
        """`shared`: fields that each record has."""
        self.readings = 0
        self.failure: LongarcError | None = None  #: is raised by the next readings
        self._records: dict[str, RosterRecord] = {}
        self._shared = shared
        self._id = 0

    def get_version(self) -> str | None:
        return None

    def read(self, now: datetime) -> Sequence[RosterRecord]:
        self.readings += 1
        if self.failure:
            raise self.failure
        return list(self._records.values())

    def check(self) -> SourceCheck:
        finding = Finding("The list can be read", not self.failure, "Fix it." if self.failure else "")
        return SourceCheck([finding], None if self.failure else list(self._records.values()))

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        self._id += 1
        record = RosterRecord(
            where=f"user {self._id}",
            directory_id=f"id-{self._id}",
            addresses=(address,),
            name=name,
            group=group,
            **self._shared,
        )
        self._records[address] = record
        if manager:
            self.add_manager(address, manager)

    def add_manager(self, address: str, manager: str) -> None:
        reference = ManagerReference(manager, ReferenceKind.ADDRESS)
        record = self._records[address]
        self._records[address] = replace(record, managers=(*record.managers, reference))

    def rename(self, address: str, new_address: str) -> None:
        record = self._records.pop(address)
        self._records[new_address] = replace(record, addresses=(new_address, *record.addresses))

    def disable(self, address: str) -> None:
        self._records[address] = replace(self._records[address], is_active=False)

    def delete(self, address: str) -> None:
        del self._records[address]

    def change(self, address: str, **changes: Any) -> None:
        """Change fields of a record."""
        self._records[address] = replace(self._records[address], **changes)

    def break_off(self) -> None:
        """Make each reading end before the directory was read completely."""
        self.failure = IncompleteReading()
