"""People from a directory: read from time to time, whole or not at all; a fault in it leaves its pair as it was (T-17).

The source is a list in memory: what each real directory tells is proved beside its source.
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
TOLD = {"time_zone": "Europe/Berlin", "country": "DE"}


class Company:
    """A worker whose people come from a directory."""

    def __init__(self, folder: Path, told: dict[str, Any] | None = None, **roster: Any) -> None:
        self.file = folder / "people.csv"
        self.clock = SteppedClock(START)
        self.directory = ListedDirectory(**(TOLD if told is None else told))
        rules = {"source": "google", "calendar": SERVICE, "mail": SERVICE, **roster}
        known = settings("sqlite://", people=self.file, roster=rules)
        store = new_store("sqlite://")
        store.create_tables()
        self.worker: Worker = build(known, self.clock, store=store)
        self.worker.services.use(calendars={SERVICE: MemoryCalendar()}, mailers={SERVICE: MemoryMailer()})
        self.roster = PeopleImport(
            known,
            store,
            self.worker.services.get_calendar,
            self.clock,
            self.worker.participation,
            StoredIdentities(store, self.clock),
            RosterReader(known, store, self.directory),
        )

    def staff(self) -> None:
        """Ann manages Bo and Cy."""
        self.directory.add(ANN, "Ann Doe")
        self.directory.add(BO, "Bo Roe", ANN)
        self.directory.add(CY, "Cy Poe", ANN)
        assert self.roster.run()

    def next_day(self) -> bool:
        self.clock.move_to(self.clock() + DAY)
        return self.roster.run()

    def current_pairs(self) -> set[str]:
        pairs = self.worker.store.people.load_all_pairs().values()
        return {str(pair.id) for pair in pairs if pair.ended is EndReason.NO}

    def alerts(self) -> list[str]:
        return [text for _, text in self.worker.store.outbox.list_alerts(START)]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return Company(tmp_path)


def test_a_directory_without_a_version_is_read_once_a_day(company: Company) -> None:
    company.staff()
    for _ in range(5):
        company.clock.move_to(company.clock() + HOUR)
        assert not company.roster.run()
    assert company.directory.readings == 1
    assert not company.next_day()
    assert company.directory.readings == 2


def test_it_is_read_at_once_when_somebody_asks(company: Company) -> None:
    company.staff()
    company.directory.add(DEE, "Dee Lo", ANN)
    assert company.roster.run(must_read_directory=True)
    assert company.current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}", f"{ANN}>{DEE}"}


def test_a_change_of_manager_ends_one_pair_and_begins_another(company: Company) -> None:
    company.staff()
    company.directory.change(CY, managers=(ManagerReference(BO),))
    assert company.next_day()
    assert company.current_pairs() == {f"{ANN}>{BO}", f"{BO}>{CY}"}
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].ended is EndReason.CHANGED


def test_a_suspended_person_leaves_and_continues_on_return(company: Company) -> None:
    company.staff()
    company.directory.disable(CY)
    company.next_day()
    pair = company.worker.store.people.load_all_pairs()[PairId(ANN, CY)]
    assert pair.ended is EndReason.REPORT_LEFT
    company.directory.change(CY, is_active=True)
    company.next_day()
    back = company.worker.store.people.load_all_pairs()[PairId(ANN, CY)]
    assert (back.ended, back.first_seen) == (EndReason.NO, pair.first_seen)


# --- faults ---


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda one: one.change(CY, managers=(ManagerReference("zed@x.example"),)), "is not in Example Directory"),
        (lambda one: one.add_manager(CY, BO), f"This person has 2 managers: `{ANN}` and `{BO}`."),
        (lambda one: one.change(CY, managers=(ManagerReference(CY),)), "This person is their own manager."),
        (lambda one: one.change(ANN, managers=(ManagerReference(CY),)), f"in a circle: {ANN} > {CY} > {ANN}."),
    ],
    ids=["outside the roster", "two managers", "self-manager", "circle"],
)
def test_a_fault_is_reported_once_and_leaves_its_pair_as_it_was(
    company: Company, change: Callable[[ListedDirectory], None], says: str
) -> None:
    company.staff()
    change(company.directory)
    company.directory.add(DEE, "Dee Lo", BO)
    assert company.next_day()
    assert company.current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}", f"{BO}>{DEE}"}
    company.next_day()
    (alert,) = company.alerts()
    assert says in alert


def test_a_suspended_manager_is_named_as_such_and_the_pair_ends(company: Company) -> None:
    company.staff()
    for number in range(20):
        company.directory.add(f"p{number}@x.example", f"P{number}", BO)
    company.next_day()
    company.directory.add(DEE, "Dee Lo", CY)
    company.next_day()
    company.directory.disable(CY)
    company.next_day()
    assert f"{CY}>{DEE}" not in company.current_pairs()
    assert f"`{CY}` is not active any more." in company.alerts()[-1]


def test_two_faults_that_make_a_circle_together_leave_both_pairs_as_they_were(company: Company) -> None:
    """Bo's pair stays as it was, and with it Ann's new manager would close a circle."""
    company.staff()
    company.directory.change(BO, managers=(ManagerReference("zed@x.example"),))
    company.directory.change(ANN, managers=(ManagerReference(BO),))
    company.next_day()
    assert company.current_pairs() == {f"{ANN}>{BO}", f"{ANN}>{CY}"}


def test_somebody_whose_zone_nobody_tells_is_left_out_until_it_is_known(tmp_path: Path) -> None:
    company = Company(tmp_path, {"country": "DE"})
    company.directory.add(ANN, "Ann Doe")
    company.directory.add(BO, "Bo Roe", ANN)
    company.directory.change(ANN, time_zone="W. Europe Standard Time")
    company.roster.run()
    assert set(company.worker.store.people.load_current_people()) == {ANN}
    (alert,) = company.alerts()
    assert "user 2 (bo@x.example), time_zone: The time zone is missing, so this person is left out." in alert
    assert "Set `time_zone` in [roster]" in alert
    company.directory.change(BO, time_zone="Europe/Lisbon")
    company.next_day()
    company.directory.change(BO, time_zone="")
    company.next_day()
    assert company.worker.store.people.load_current_people()[BO].zone == "Europe/Lisbon"
    assert company.current_pairs() == {f"{ANN}>{BO}"}


def test_defaults_of_the_settings_fill_in(tmp_path: Path) -> None:
    company = Company(tmp_path, {}, time_zone="Europe/Vienna", country="AT")
    company.staff()
    people = company.worker.store.people.load_current_people()
    assert {(one.zone, one.country, one.calendar) for one in people.values()} == {("Europe/Vienna", "AT", SERVICE)}


# --- half a reading ---


@pytest.mark.parametrize("failure", [IncompleteReading(), Unavailable(), Forbidden()])
def test_half_a_reading_changes_nothing_and_is_not_repeated_each_minute(
    company: Company, failure: LongarcError
) -> None:
    company.staff()
    pairs = company.current_pairs()
    company.directory.failure = failure
    company.clock.move_to(company.clock() + DAY)
    outcomes: list[bool | str] = []
    for _ in range(10):
        try:
            outcomes.append(company.roster.run())
        except LongarcError as error:
            outcomes.append(str(error))
        company.clock.move_to(company.clock() + timedelta(minutes=1))
    assert outcomes[1:] == [False] * 9
    assert outcomes[0] == (str(failure) if isinstance(failure, Forbidden) else False)
    assert company.directory.readings == 2 and company.current_pairs() == pairs
    company.directory.failure = None
    company.directory.delete(CY)
    company.clock.move_to(company.clock() + RETRY_AFTER)
    assert company.roster.run()


def test_a_directory_that_stays_out_of_order_is_said_to_the_operator(company: Company) -> None:
    company.staff()
    company.directory.failure = Unavailable()
    assert not company.next_day()
    with pytest.raises(Unavailable):
        company.next_day()
        company.next_day()


def test_a_directory_of_nobody_is_an_incomplete_reading(company: Company) -> None:
    with pytest.raises(IncompleteReading, match="Example Directory returned nobody"):
        company.roster.run()


def test_a_fall_of_the_head_count_is_held_although_no_pair_ends(company: Company) -> None:
    company.staff()
    for number in range(20):
        company.directory.add(f"p{number}@x.example", f"P{number}")
    company.next_day()
    for number in range(3):
        company.directory.delete(f"p{number}@x.example")
    with pytest.raises(PeopleImportRefused, match="3 of 23 people would leave, more than a tenth"):
        company.next_day()
    assert len(company.worker.store.people.load_current_people()) == 23
    assert company.roster.run(force=True)
    assert len(company.worker.store.people.load_current_people()) == 20


# --- who somebody is ---


def test_a_new_address_is_a_rename_by_the_directory_id_alone(company: Company) -> None:
    company.staff()
    company.directory.rename(CY, "cy.new@x.example")
    company.directory.change("cy.new@x.example", addresses=("cy.new@x.example",))
    company.next_day()
    assert company.current_pairs() == {f"{ANN}>{BO}", f"{ANN}>cy.new@x.example"}
    assert not company.worker.store.people.load_all_pairs().get(PairId(ANN, CY))
    assert company.worker.store.aliases.find_primary(CY) == "cy.new@x.example"


def test_somebody_who_returns_under_another_address_continues(company: Company) -> None:
    company.staff()
    company.directory.disable(CY)
    company.next_day()
    company.directory.rename(CY, "cy.new@x.example")
    company.directory.change("cy.new@x.example", addresses=("cy.new@x.example",), is_active=True)
    company.next_day()
    assert set(company.worker.store.people.load_all_pairs()) == {PairId(ANN, BO), PairId(ANN, "cy.new@x.example")}


def test_an_address_that_somebody_else_takes_over_opens_nothing(company: Company) -> None:
    """The one who had it has left: whoever has it now is another person, as the directory id says."""
    company.staff()
    company.directory.delete(CY)
    company.next_day()
    company.directory.add(CY, "Cyril Other", ANN)
    company.next_day()
    assert company.current_pairs() == {f"{ANN}>{BO}"}
    assert f"`{CY}` belonged to somebody else, who left" in company.alerts()[-1]


# --- the people file adds to it ---


def test_the_people_file_goes_before_the_directory(company: Company) -> None:
    company.file.write_text(f"email,every,minutes,time_zone,manager\n{CY},6 months,90,Asia/Tokyo,{BO}\n")
    company.staff()
    pair = company.worker.store.people.load_all_pairs()[PairId(BO, CY)]
    assert (pair.every.months, pair.minutes) == (6, 90)
    people = company.worker.store.people.load_current_people()
    assert (people[CY].name, people[CY].zone, people[CY].country) == ("Cy Poe", "Asia/Tokyo", "DE")


def test_a_row_is_matched_by_any_address_or_by_the_directory_id(company: Company) -> None:
    company.directory.add(ANN, "Ann Doe")
    company.directory.add(BO, "Bo Roe", ANN)
    company.directory.change(BO, addresses=("BO@x.example", "b.roe@x.example"))
    company.directory.add(CY, "Cy Poe", ANN)
    company.file.write_text("email,directory_id,minutes\nb.roe@x.example,,90\ncyrus@y.example,ID-3,60\n")
    company.roster.run()
    pairs = company.worker.store.people.load_all_pairs()
    assert (pairs[PairId(ANN, BO)].minutes, pairs[PairId(ANN, CY)].minutes) == (90, 60)


def test_a_changed_people_file_is_noticed_within_a_minute(company: Company) -> None:
    company.staff()
    company.file.write_text(f"email,minutes\n{CY},90\n")
    assert company.roster.run()
    assert company.worker.store.people.load_all_pairs()[PairId(ANN, CY)].minutes == 90


def test_a_row_of_nobody_is_reported_and_a_bad_cell_refuses_the_file(company: Company) -> None:
    company.file.write_text("email,minutes\nzed@x.example,90\n")
    company.staff()
    assert "`zed@x.example` is not in Example Directory, so this row has no effect." in company.alerts()[0]
    company.file.write_text(f"email,minutes\n{CY},7\n")
    with pytest.raises(Problems, match=r"people\.csv:line 2, minutes: `7` is not the length of a session"):
        company.roster.run()
