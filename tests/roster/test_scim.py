"""SCIM as a source: the contract of sources, the record of a pushed person, and the end of a wave of pushes."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.companies import new_store
from tests.support.pushing import ENTERPRISE
from tests.support.roster_contract import NOW, RosterContract, find_record
from worker.domain.model import PushedPerson
from worker.roster.base import ManagerReference, PushedSource, ReferenceKind, RosterRecord, load_source_factory
from worker.roster.scim import LONGEST_FIRST_WAVE, LONGEST_WAVE, ScimDirectory
from worker.store.store import Store

ANN, BO, CY = "ann@x.example", "bo@x.example", "cy@x.example"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class PushingAdministrator:
    """Changes the store as the pushes of an administrator's directory do."""

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._count = 0

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        enterprise = {"manager": {"value": self.find_person(manager).id}} if manager else {}
        self.push(address, displayName=name, **{ENTERPRISE: {**enterprise, "department": group}})

    def push(self, address: str, at: Any = NOW, **attributes: Any) -> PushedPerson:
        """Add a person with these pushed attributes."""
        self._count += 1
        emails = [{"value": address, "type": "work", "primary": True}]
        person = PushedPerson(
            id=f"id{self._count:03}",
            user_name=address,
            external_id=f"x{self._count}",
            attributes={"emails": emails, **attributes},
            created_at=at,
            changed_at=at,
        )
        with self._store.pushed_people.write() as rows:
            rows.add_person(person)
        return person

    def add_manager(self, address: str, manager: str) -> None:
        raise AssertionError("SCIM holds one manager for each person.")

    def rename(self, address: str, new_address: str) -> None:
        self._change(address, user_name=new_address, emails=[{"value": new_address, "type": "work"}])

    def disable(self, address: str) -> None:
        self._change(address, active=False)

    def delete(self, address: str) -> None:
        with self._store.pushed_people.write() as rows:
            rows.delete_person(self.find_person(address).id, NOW)

    def break_off(self) -> None:
        """Close and delete the database."""
        self._store.close()
        shutil.rmtree(self._folder)
        self._folder.write_text("a file in place of the folder")

    def find_person(self, address: str) -> PushedPerson:
        with self._store.pushed_people.read() as rows:
            (person,) = rows.find_people(user_name=address)
        return person

    def _change(self, address: str, user_name: str = "", **attributes: Any) -> None:
        old = self.find_person(address)
        with self._store.pushed_people.write() as rows:
            rows.replace_person(
                PushedPerson(
                    id=old.id,
                    user_name=user_name or old.user_name,
                    external_id=old.external_id,
                    attributes={**old.attributes, **attributes},
                    created_at=old.created_at,
                    changed_at=NOW,
                    revision=old.revision + 1,
                )
            )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    empty_store = new_store(f"sqlite:///{tmp_path / 'data' / 'longarc.db'}")
    empty_store.create_tables()
    yield empty_store
    empty_store.close()


@pytest.fixture
def directory(store: Store, tmp_path: Path) -> PushingAdministrator:
    return PushingAdministrator(store, tmp_path / "data")


@pytest.fixture
def source(store: Store) -> ScimDirectory:
    source = load_source_factory("scim")({"pushed_people": store.pushed_people})
    assert isinstance(source, ScimDirectory)
    return source


class TestScimDirectory(RosterContract):
    """SCIM holds one manager for each person, and no former addresses."""

    keeps_old_addresses = False


def push_and_read(source: ScimDirectory, directory: PushingAdministrator, **attributes: Any) -> RosterRecord:
    """Push the person Ann with these attributes, and return the record that the source reads."""
    directory.push(ANN, **attributes)
    return find_record(list(source.read(NOW)), ANN)


# --- the fields of a record -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("emails", "addresses"),
    [
        (
            [{"value": "a@x.example", "type": "other"}, {"value": "b@x.example", "type": "work"}],
            ["b@x.example", "a@x.example"],
        ),
        (
            [{"value": "b@x.example", "type": "work"}, {"value": "a@x.example", "primary": True}],
            ["a@x.example", "b@x.example"],
        ),
        ([{"value": "private@home.example", "type": "Home", "primary": True}], []),
        ([{"type": "work"}], []),
        ([{"value": ANN.upper(), "type": "work"}], [ANN.upper()]),
    ],
)
def test_work_addresses_come_first_and_home_addresses_are_left_out(
    source: ScimDirectory, directory: PushingAdministrator, emails: list[dict[str, Any]], addresses: list[str]
) -> None:
    directory.push(ANN, emails=emails)
    (record,) = source.read(NOW)
    assert [address for address in record.addresses if address != ANN] == addresses
    assert bool(record.addresses) is bool(addresses)  # a user name alone is no address


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"displayName": "Ann Doe", "name": {"formatted": "Dr. Ann Doe"}}, "Ann Doe"),
        ({"name": {"formatted": "Ann Doe", "givenName": "Anna"}}, "Ann Doe"),
        ({"name": {"givenName": "Ann", "familyName": "Doe"}}, "Ann Doe"),
        ({}, ""),
    ],
)
def test_the_name_is_read_from_the_display_name_or_its_parts(
    source: ScimDirectory, directory: PushingAdministrator, attributes: dict[str, Any], name: str
) -> None:
    assert push_and_read(source, directory, **attributes).name == name


def test_zone_language_country_and_department_are_read(source: ScimDirectory, directory: PushingAdministrator) -> None:
    addresses = [{"type": "home", "country": "AT"}, {"type": "work", "country": "DE"}]
    attributes = {
        "timezone": "Europe/Berlin",
        "preferredLanguage": "de-DE,en;q=0.8",
        "locale": "fr",
        "addresses": addresses,
    }
    record = push_and_read(source, directory, **attributes, **{ENTERPRISE: {"department": "Design"}})
    assert (record.time_zone, record.locale, record.country) == ("Europe/Berlin", "de-DE", "DE")
    assert (record.group, record.where, record.directory_id) == ("Design", f"user {ANN}", "id001")


def test_guests_are_left_out(source: ScimDirectory, directory: PushingAdministrator) -> None:
    directory.push(BO, userType="Guest")
    assert push_and_read(source, directory, userType="Member").addresses[0] == ANN
    assert len(source.read(NOW)) == 1


# --- managers -------------------------------------------------------------------------------------------------------


def push_and_read_manager(source: ScimDirectory, directory: PushingAdministrator, value: str) -> ManagerReference:
    directory.push(BO, **{ENTERPRISE: {"manager": {"value": value}}})
    (reference,) = find_record(list(source.read(NOW)), BO).managers
    return reference


@pytest.mark.parametrize("value", ["id001", "x1", ANN.upper(), "4711"])
def test_a_manager_is_found_by_id_user_name_or_employee_number(
    source: ScimDirectory, directory: PushingAdministrator, value: str
) -> None:
    """Okta sends the value that its administrator mapped: its own id, a user name, or an employee number."""
    directory.push(ANN, **{ENTERPRISE: {"employeeNumber": "4711"}})
    assert push_and_read_manager(source, directory, value) == ManagerReference("id001", ReferenceKind.DIRECTORY_ID)


def test_a_manager_pushed_after_the_report_is_found(source: ScimDirectory, directory: PushingAdministrator) -> None:
    assert push_and_read_manager(source, directory, "id002") == ManagerReference("id002")
    directory.push(ANN)
    (reference,) = find_record(list(source.read(NOW)), BO).managers
    assert reference == ManagerReference("id002", ReferenceKind.DIRECTORY_ID)


def test_an_employee_number_of_two_people_identifies_neither(
    source: ScimDirectory, directory: PushingAdministrator
) -> None:
    for address in (ANN, CY):
        directory.push(address, **{ENTERPRISE: {"employeeNumber": "7"}})
    assert push_and_read_manager(source, directory, "7") == ManagerReference("7")


# --- when pushes are applied ----------------------------------------------------------------------------------------


def test_the_source_awaits_the_first_push(source: ScimDirectory) -> None:
    assert isinstance(source, PushedSource)
    assert source.is_awaiting_pushes(NOW, read_at=None) and source.is_awaiting_pushes(NOW, read_at=NOW - DAY)


def test_a_wave_ends_after_ten_minutes_without_a_push(source: ScimDirectory, directory: PushingAdministrator) -> None:
    directory.push(ANN, NOW)
    directory.push(BO, NOW + 9 * MINUTE)
    times = [NOW + minutes * MINUTE for minutes in (9, 15, 18, 19, 60)]
    assert [source.is_awaiting_pushes(at, read_at=NOW - DAY) for at in times] == [True, True, True, False, False]


def test_pushes_without_a_pause_are_applied_each_hour(source: ScimDirectory, directory: PushingAdministrator) -> None:
    read_at, minutes_of_readings = NOW - DAY, []
    for minutes in range(0, 181, 5):
        now = NOW + minutes * MINUTE
        directory.push(f"p{minutes}@x.example", now)
        if not source.is_awaiting_pushes(now, read_at=read_at):
            read_at = now
            minutes_of_readings.append(minutes)
    assert minutes_of_readings == [60, 120, 180]


def test_the_first_wave_may_last_a_day(source: ScimDirectory, directory: PushingAdministrator) -> None:
    """A first sync of a directory names people in any order: half of it would lack half of the managers."""
    assert LONGEST_FIRST_WAVE > LONGEST_WAVE
    for hours in range(25):
        for minutes in range(0, 60, 9):  # less than ten minutes apart, so that the wave goes on until 24:54
            directory.push(f"p{hours}.{minutes}@x.example", NOW + hours * HOUR + minutes * MINUTE)
    assert source.is_awaiting_pushes(NOW + 23 * HOUR + 59 * MINUTE, read_at=None)
    assert not source.is_awaiting_pushes(NOW + 24 * HOUR + 54 * MINUTE, read_at=None)


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_names_the_last_push_and_counts_people(source: ScimDirectory, directory: PushingAdministrator) -> None:
    ann = directory.push(ANN)
    directory.push(BO, **{ENTERPRISE: {"manager": {"value": ann.id}}})
    texts = [finding.statement for finding in source.check().findings]
    assert texts[0] == "A directory has pushed people by SCIM; the last of 2 changes came on 2027-01-15 at 07:00 UTC"
    assert texts[1] == "SCIM lists 2 people: 1 with a manager, 1 without; 0 more can't sign in, and count as former"


def test_check_gives_the_remedy_before_the_first_push(source: ScimDirectory) -> None:
    (finding,) = source.check().findings
    assert not finding.ok and "start its provisioning" in finding.remedy
