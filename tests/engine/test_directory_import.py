"""Tests of the import of people from a directory.

The directory is read once a day, as a whole or not at all. A roster fault leaves the pair it concerns unchanged (T-17).
The source in these tests is a list in memory. The tests of each real source prove what it reads from its directory.
"""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.companies import DAY, HOUR, SERVICE, START, new_store, settings
from tests.support.listed_directory import ListedDirectory
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import EndReason, PairId
from worker.engine.identities import StoredIdentities
from worker.engine.people_import import RETRY_AFTER, PeopleImport
from worker.engine.roster_reader import RosterReader
from worker.errors import Forbidden, IncompleteReading, LongarcError, PeopleImportRefused, Problems, Unavailable
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.roster.base import ManagerReference

ANN, BO, CY, DEE = "ann@x.example", "bo@x.example", "cy@x.example", "dee@x.example"
#: Values that the directory gives for every person.
DEFAULT_FIELDS = {"time_zone": "Europe/Berlin", "country": "DE"}


class Company:
    """A worker whose people come from a directory."""

    def __init__(self, folder: Path, directory_fields: dict[str, Any] | None = None, **roster: Any) -> None:
        self.file = folder / "people.csv"
        self.clock = SteppedClock(START)
        self.directory = ListedDirectory(**(DEFAULT_FIELDS if directory_fields is None else directory_fields))
        roster_section = {"source": "google", "calendar": SERVICE, "mail": SERVICE, **roster}
        company_settings = settings("sqlite://", people=self.file, roster=roster_section)
        store = new_store("sqlite://")
        store.create_tables()
        self.worker: Worker = build(company_settings, self.clock, store=store)
        self.worker.services.use(calendars={SERVICE: MemoryCalendar()}, mailers={SERVICE: MemoryMailer()})
        self.people_import = PeopleImport(
            company_settings,
            store,
            self.worker.services.get_calendar,
            self.clock,
            self.worker.participation,
            StoredIdentities(store, self.clock),
            RosterReader(company_settings, store, self.directory),
        )

    def import_staff(self) -> None:
        """Import three people from the directory: Ann, and her reports Bo and Cy."""
        self.directory.add(ANN, "Ann Doe")
        self.directory.add(BO, "Bo Roe", ANN)
        self.directory.add(CY, "Cy Poe", ANN)
        assert self.people_import.run()

    def import_next_day(self) -> bool:
        """Run the import a day later. Returns whether it changed the people."""
        self.clock.move_to(self.clock() + DAY)
        return self.people_import.run()

    def list_current_pairs(self) -> set[str]:
        pairs = self.worker.store.people.load_all_pairs().values()
        return {str(pair.id) for pair in pairs if pair.ended is EndReason.NO}

    def list_alerts(self) -> list[str]:
        return [text for _, text in self.worker.store.outbox.list_alerts(START)]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def test_directory_without_a_version_is_read_once_a_day(company: Company) -> None:
    company.import_staff()
    for _ in range(5):
        company.clock.move_to(company.clock() + HOUR)
        assert not company.people_import.run()
    assert company.directory.readings == 1
    assert not company.import_next_day()
    assert company.directory.readings == 2


def test_directory_is_read_at_once_on_request(company: Company) -> None:
    company.import_staff()
    company.directory.add(DEE, "Dee Lo", ANN)
    assert company.people_import.run(must_read_directory=True)
    assert company.list_current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}", f"{ANN}>{DEE}"}


def test_new_manager_ends_the_old_pair_and_starts_another(company: Company) -> None:
    company.import_staff()
    company.directory.change(CY, managers=(ManagerReference(BO),))
    assert company.import_next_day()
    assert company.list_current_pairs() == {f"{ANN}>{BO}", f"{BO}>{CY}"}
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].ended is EndReason.CHANGED


def test_pair_of_a_suspended_person_ends_and_continues_on_return(company: Company) -> None:
    company.import_staff()
    company.directory.disable(CY)
    company.import_next_day()
    pair = company.worker.store.people.load_all_pairs()[PairId(ANN, CY)]
    assert pair.ended is EndReason.REPORT_LEFT
    company.directory.change(CY, is_active=True)
    company.import_next_day()
    back = company.worker.store.people.load_all_pairs()[PairId(ANN, CY)]
    assert (back.ended, back.first_seen) == (EndReason.NO, pair.first_seen)


# --- faults ---


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda directory: directory.change(CY, managers=(ManagerReference("zed@x.example"),)),
            "is not in Example Directory",
        ),
        (lambda directory: directory.add_manager(CY, BO), f"This person has 2 managers: `{ANN}` and `{BO}`."),
        (lambda directory: directory.change(CY, managers=(ManagerReference(CY),)), "This person is their own manager."),
        (
            lambda directory: directory.change(ANN, managers=(ManagerReference(CY),)),
            f"in a circle: {ANN} > {CY} > {ANN}.",
        ),
    ],
    ids=["outside the roster", "two managers", "self-manager", "circle"],
)
def test_roster_fault_is_reported_once_and_leaves_its_pair_unchanged(
    company: Company, change: Callable[[ListedDirectory], None], problem: str
) -> None:
    company.import_staff()
    change(company.directory)
    company.directory.add(DEE, "Dee Lo", BO)
    assert company.import_next_day()
    assert company.list_current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}", f"{BO}>{DEE}"}
    company.import_next_day()
    (alert,) = company.list_alerts()
    assert problem in alert


def test_suspended_manager_is_reported_and_the_pair_ends(company: Company) -> None:
    company.import_staff()
    for number in range(20):  # among so many people, one departure is not held back as too many
        company.directory.add(f"p{number}@x.example", f"P{number}", BO)
    company.import_next_day()
    company.directory.add(DEE, "Dee Lo", CY)
    company.import_next_day()
    company.directory.disable(CY)
    company.import_next_day()
    assert f"{CY}>{DEE}" not in company.list_current_pairs()
    assert f"`{CY}` is not active any more." in company.list_alerts()[-1]


def test_faults_that_form_a_circle_together_leave_both_pairs_unchanged(company: Company) -> None:
    """Bo's new manager is unknown, so Ann stays Bo's manager. With Bo as Ann's new manager, that would be a circle."""
    company.import_staff()
    company.directory.change(BO, managers=(ManagerReference("zed@x.example"),))
    company.directory.change(ANN, managers=(ManagerReference(BO),))
    company.import_next_day()
    assert company.list_current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}"}


def test_person_without_a_time_zone_is_left_out_until_a_zone_is_listed(tmp_path: Path) -> None:
    company = Company(tmp_path, {"country": "DE"})
    company.directory.add(ANN, "Ann Doe")
    company.directory.add(BO, "Bo Roe", ANN)
    company.directory.change(ANN, time_zone="W. Europe Standard Time")
    company.people_import.run()
    assert set(company.worker.store.people.load_current_people()) == {ANN}
    (alert,) = company.list_alerts()
    assert "user 2 (bo@x.example), time_zone: The time zone is missing, so this person is left out." in alert
    assert "Set `time_zone` in [roster]" in alert
    assert "`longarc people --json` lists all of them." in alert  # without --json, it lists only the first ones
    company.directory.change(BO, time_zone="Europe/Lisbon")
    company.import_next_day()
    company.directory.change(BO, time_zone="")  # the zone that is stored stays
    company.import_next_day()
    assert company.worker.store.people.load_current_people()[BO].zone == "Europe/Lisbon"
    assert company.list_current_pairs() == {f"{ANN}>{BO}"}


def test_settings_fill_in_missing_time_zones_and_countries(tmp_path: Path) -> None:
    company = Company(tmp_path, {}, time_zone="Europe/Vienna", country="AT")
    company.import_staff()
    people = company.worker.store.people.load_current_people()
    zones_and_services = {(person.zone, person.country, person.calendar) for person in people.values()}
    assert zones_and_services == {("Europe/Vienna", "AT", SERVICE)}


# --- incomplete readings ---


@pytest.mark.parametrize("failure", [IncompleteReading(), Unavailable(), Forbidden()])
def test_failed_reading_changes_nothing_and_is_not_repeated_each_minute(
    company: Company, failure: LongarcError
) -> None:
    company.import_staff()
    pairs = company.list_current_pairs()
    company.directory.failure = failure
    company.clock.move_to(company.clock() + DAY)
    outcomes: list[bool | str] = []
    for _ in range(10):
        try:
            outcomes.append(company.people_import.run())
        except LongarcError as error:
            outcomes.append(str(error))
        company.clock.move_to(company.clock() + timedelta(minutes=1))
    assert outcomes[1:] == [False] * 9, "the directory was read again before RETRY_AFTER had passed"
    assert outcomes[0] == (str(failure) if isinstance(failure, Forbidden) else False)
    assert company.directory.readings == 2 and company.list_current_pairs() == pairs
    company.directory.failure = None
    company.directory.delete(CY)
    company.clock.move_to(company.clock() + RETRY_AFTER)
    assert company.people_import.run()


def test_directory_unavailable_for_days_raises_an_error(company: Company) -> None:
    """A failure is raised once the last reading is too old; the first two days it is not, and each later day it is."""
    company.import_staff()
    company.directory.failure = Unavailable()
    outcomes: list[bool | None] = []
    for _ in range(4):
        try:
            outcomes.append(company.import_next_day())
        except Unavailable:
            outcomes.append(None)  # it was raised
    assert outcomes == [False, False, None, None]


def test_empty_directory_is_an_incomplete_reading(company: Company) -> None:
    with pytest.raises(IncompleteReading, match="Example Directory returned nobody"):
        company.people_import.run()


def test_import_that_removes_over_a_tenth_of_people_needs_force(company: Company) -> None:
    company.import_staff()
    for number in range(20):  # without a manager, so that no pair ends when they leave
        company.directory.add(f"p{number}@x.example", f"P{number}")
    company.import_next_day()
    for number in range(3):
        company.directory.delete(f"p{number}@x.example")
    with pytest.raises(PeopleImportRefused, match="3 of 23 people would leave, more than a tenth"):
        company.import_next_day()
    assert len(company.worker.store.people.load_current_people()) == 23
    assert company.people_import.run(force=True)
    assert len(company.worker.store.people.load_current_people()) == 20


# --- addresses and directory ids ---


def test_new_address_with_the_same_directory_id_is_a_rename(company: Company) -> None:
    company.import_staff()
    company.directory.rename(CY, "cy.new@x.example")
    company.directory.change("cy.new@x.example", addresses=("cy.new@x.example",))  # without the old one
    company.import_next_day()
    assert company.list_current_pairs() == {f"{ANN}>{BO}", f"{ANN}>cy.new@x.example"}
    assert not company.worker.store.people.load_all_pairs().get(PairId(ANN, CY))
    assert company.worker.store.aliases.find_primary(CY) == "cy.new@x.example"


def test_person_who_returns_under_another_address_continues_the_pair(company: Company) -> None:
    company.import_staff()
    company.directory.disable(CY)
    company.import_next_day()
    company.directory.rename(CY, "cy.new@x.example")
    # without the old address
    company.directory.change("cy.new@x.example", addresses=("cy.new@x.example",), is_active=True)
    company.import_next_day()
    assert set(company.worker.store.people.load_all_pairs()) == {PairId(ANN, BO), PairId(ANN, "cy.new@x.example")}


def test_new_owner_of_a_former_address_is_left_out(company: Company) -> None:
    """The directory id shows that the address now belongs to another person than the one who left."""
    company.import_staff()
    company.directory.delete(CY)
    company.import_next_day()
    company.directory.add(CY, "Cyril Other", ANN)
    company.import_next_day()
    assert company.list_current_pairs() == {f"{ANN}>{BO}"}
    assert f"`{CY}` belonged to somebody else, who left" in company.list_alerts()[-1]


# --- additions in the people file ---


def test_people_file_takes_precedence_over_the_directory(company: Company) -> None:
    company.file.write_text(f"email,every,minutes,time_zone,manager\n{CY},6 months,90,Asia/Tokyo,{BO}\n")
    company.import_staff()
    pair = company.worker.store.people.load_all_pairs()[PairId(BO, CY)]
    assert (pair.every.months, pair.minutes) == (6, 90)
    people = company.worker.store.people.load_current_people()
    assert (people[CY].name, people[CY].zone, people[CY].country) == ("Cy Poe", "Asia/Tokyo", "DE")


def test_people_file_row_matches_any_address_or_the_directory_id(company: Company) -> None:
    company.directory.add(ANN, "Ann Doe")
    company.directory.add(BO, "Bo Roe", ANN)
    company.directory.change(BO, addresses=("BO@x.example", "b.roe@x.example"))
    company.directory.add(CY, "Cy Poe", ANN)
    # the directory gives the third person the id ID-3
    company.file.write_text("email,directory_id,minutes\nb.roe@x.example,,90\ncyrus@y.example,ID-3,60\n")
    company.people_import.run()
    pairs = company.worker.store.people.load_all_pairs()
    assert (pairs[PairId(ANN, BO)].minutes, pairs[PairId(ANN, CY)].minutes) == (90, 60)


def test_changed_people_file_is_imported_at_the_next_run(company: Company) -> None:
    company.import_staff()
    company.file.write_text(f"email,minutes\n{CY},90\n")
    assert company.people_import.run()
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].minutes == 90


def test_unknown_person_in_the_file_is_reported_and_a_bad_cell_is_refused(company: Company) -> None:
    company.file.write_text("email,minutes\nzed@x.example,90\n")
    company.import_staff()
    assert "`zed@x.example` is not in Example Directory, so this row has no effect." in company.list_alerts()[0]
    company.file.write_text(f"email,minutes\n{CY},7\n")
    with pytest.raises(Problems, match=r"people\.csv:line 2, minutes: `7` is not the length of a session"):
        company.people_import.run()
