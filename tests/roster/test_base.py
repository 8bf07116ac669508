"""The contract of sources, held against the simplest directory there can be: a list in memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from tests.support.roster_contract import RosterContract
from worker.errors import IncompleteReading
from worker.providers.base import Finding
from worker.roster import base
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord


class ListedDirectory:
    """A source and the administrator of its directory in one."""

    name = "list"

    def __init__(self) -> None:
        self._records: dict[str, RosterRecord] = {}
        self._is_broken = False
        self._id = 0

    def get_version(self) -> str | None:
        return str(hash(tuple(map(str, self._records.values()))))

    def read(self, now: datetime) -> Sequence[RosterRecord]:
        if self._is_broken:
            raise IncompleteReading
        return list(self._records.values())

    def check(self) -> list[Finding]:
        return [Finding("The list can be read", not self._is_broken, "Mend it." if self._is_broken else "")]

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        self._id += 1
        record = RosterRecord(
            where=f"entry {self._id}", directory_id=f"id-{self._id}", addresses=(address,), name=name, group=group
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

    def break_off(self) -> None:
        self._is_broken = True


class TestListedDirectory(RosterContract):
    has_several_managers = True

    @pytest.fixture
    def directory(self) -> ListedDirectory:
        return ListedDirectory()

    @pytest.fixture
    def source(self, directory: ListedDirectory) -> ListedDirectory:
        return directory


def test_an_unknown_source_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        base.load_source_factory("ldap")
