"""What `worker.roster.base` promises, as tests that every source inherits.

A test class derives from `RosterContract` and has two fixtures: `source`, and `directory`, an `Administrator` of the
directory that the source reads. Where directories differ, a class attribute of the test class says so.
"""

from datetime import UTC, datetime
from typing import Protocol

import pytest

from worker.errors import LongarcError
from worker.roster.base import RosterRecord, RosterSource

NOW = datetime(2027, 1, 15, 7, 0, tzinfo=UTC)


class Administrator(Protocol):
    """Changes a directory as administrators do. People are named by their primary addresses."""

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        """Add a person. The manager has to be in the directory."""

    def add_manager(self, address: str, manager: str) -> None:
        """Add one more manager to a person, where the directory can hold several."""

    def rename(self, address: str, new_address: str) -> None:
        """Change a person's primary address."""

    def disable(self, address: str) -> None:
        """Suspend or disable a person, who stays in the directory."""

    def delete(self, address: str) -> None:
        """Remove a person from the directory. Their reports may still name them as manager."""

    def break_off(self) -> None:
        """Let each further reading fail after some people were read."""


def find_record(records: list[RosterRecord], address: str) -> RosterRecord:
    """Return the record with this address among its addresses."""
    (match,) = [record for record in records if address in [alias.casefold() for alias in record.addresses]]
    return match


def add_many_people(directory: Administrator, people_count: int = 250) -> None:
    """Add so many people, whose addresses and names are numbered; by default enough for several pages of an answer."""
    for number in range(people_count):
        directory.add(f"p{number:03}@x.example", f"Person {number:03}")


def describe_failures(source: RosterSource) -> str:
    """Return the findings of `check` that failed, each with its remedy."""
    findings = [finding for finding in source.check().findings if not finding.ok]
    assert findings and all(finding.remedy for finding in findings)
    return "\n".join(f"{finding.statement}: {finding.remedy}" for finding in findings)


class RosterContract:
    """One test for each promise of a roster source."""

    has_several_managers = False  #: a person can have more than one manager in this directory
    keeps_old_addresses = True  #: a former primary address stays as an alias
    has_directory_ids = True  #: each person has an id that a change of address keeps; a plain people file may have none
    people_count = 250  #: enough for several pages of an answer

    def read(self, source: RosterSource) -> list[RosterRecord]:
        return list(source.read(NOW))

    def test_each_person_is_returned_once_in_the_same_order(
        self, source: RosterSource, directory: Administrator
    ) -> None:
        add_many_people(directory, self.people_count)
        records = self.read(source)
        addresses = sorted(record.addresses[0].casefold() for record in records)
        assert addresses == [f"p{number:03}@x.example" for number in range(self.people_count)]
        assert self.read(source) == records

    def test_where_and_directory_id_are_unique(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        directory.add("bo@x.example", "Bo Roe", "ann@x.example")
        records = self.read(source)
        assert len({record.where for record in records} - {""}) == 2
        if self.has_directory_ids:
            assert len({record.directory_id.casefold() for record in records} - {""}) == 2

    def test_name_and_group_are_returned_unchanged(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Änne Groß", group="Design")
        ann = find_record(self.read(source), "ann@x.example")
        assert (ann.name, ann.group, ann.is_active, ann.managers) == ("Änne Groß", "Design", True, ())

    def test_a_change_of_address_keeps_the_directory_id(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        old_record = find_record(self.read(source), "ann@x.example")
        directory.rename("ann@x.example", "ann.roe@x.example")
        new_record = find_record(self.read(source), "ann.roe@x.example")
        assert new_record.addresses[0].casefold() == "ann.roe@x.example"
        assert new_record.directory_id == old_record.directory_id
        assert ("ann@x.example" in new_record.addresses) is self.keeps_old_addresses

    def test_a_disabled_person_is_returned_as_inactive(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        directory.add("bo@x.example", "Bo Roe", "ann@x.example")
        directory.disable("ann@x.example")
        records = self.read(source)
        assert not find_record(records, "ann@x.example").is_active
        assert find_record(records, "bo@x.example").is_active and find_record(records, "bo@x.example").managers

    def test_a_deleted_person_is_not_returned(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        directory.add("bo@x.example", "Bo Roe")
        directory.delete("bo@x.example")
        assert [record.addresses[0].casefold() for record in self.read(source)] == ["ann@x.example"]

    def test_every_manager_of_a_person_is_returned(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        directory.add("cy@x.example", "Cy Poe")
        directory.add("bo@x.example", "Bo Roe", "ann@x.example")
        assert len(find_record(self.read(source), "bo@x.example").managers) == 1
        if self.has_several_managers:
            directory.add_manager("bo@x.example", "cy@x.example")
            assert len(find_record(self.read(source), "bo@x.example").managers) == 2

    def test_a_reading_that_breaks_off_raises_an_error(self, source: RosterSource, directory: Administrator) -> None:
        add_many_people(directory, self.people_count)
        directory.break_off()
        with pytest.raises(LongarcError) as error_info:  # so no record of those that were read is returned
            self.read(source)
        assert "p000@x.example" not in str(error_info.value) and "Person 000" not in str(error_info.value)

    def test_the_version_changes_with_the_directory(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        old_version = source.get_version()
        assert source.get_version() == old_version
        directory.add("bo@x.example", "Bo Roe")
        assert old_version is None or source.get_version() != old_version

    def test_check_of_a_working_directory_returns_its_records(
        self, source: RosterSource, directory: Administrator
    ) -> None:
        directory.add("ann@x.example", "Ann Doe")
        check = source.check()
        assert check.findings and all(finding.ok for finding in check.findings)
        assert check.records == self.read(source)  # the caller of `check` need not read a large directory a second time

    def test_check_of_a_failing_directory_gives_a_remedy(self, source: RosterSource, directory: Administrator) -> None:
        directory.add("ann@x.example", "Ann Doe")
        directory.break_off()
        check = source.check()
        failed = [finding for finding in check.findings if not finding.ok]
        assert check.records is None
        assert failed and all(finding.remedy for finding in failed)
