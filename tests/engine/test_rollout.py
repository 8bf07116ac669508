"""The rollout of the settings: who takes part hears of us, nobody else does, and a mistake takes nobody off."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    OPERATOR,
    SAM,
    SERVICE,
    START,
    Office,
    company,
    pair,
    pairs,
    people,
    person,
    settings,
)
from worker.app import Worker
from worker.domain.model import Address, CalendarChanges, Cursor, FreeBusy, PairId, Participation, SessionState, Span
from worker.domain.rollout import StandingPauses
from worker.ops.coverage import count_coverage, find_quarter
from worker.providers.memory import MemoryCalendar

EVE, LEE = "eve@corp.example", "lee@corp.example"
#: Dana manages Sam and Kim, Eve manages Lee.
PAIRS = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(EVE, LEE))
GROUPS = {SAM: "Sales", KIM: "Legal", LEE: "Sales"}


def make_office(url: str, **rollout: object) -> Office:
    persons = people(DANA, SAM, KIM, EVE, LEE)
    persons |= {who: person(who, group=group) for who, group in GROUPS.items()}
    return Office(url, persons, PAIRS, known=settings(url, rollout=rollout, rules={"max_cancels": 2}))


class WatchedCalendar(MemoryCalendar):
    """Remembers whose calendars were read."""

    def __init__(self) -> None:
        super().__init__()
        self.people_read: set[Address] = set()

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self.people_read.update(people)
        return super().free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self.people_read.add(calendar)
        return super().changes(calendar, cursor, window)


@pytest.fixture
def pilot(database_url: str) -> Iterator[Office]:
    """Only Sales takes part: Dana with Sam, and Eve with Lee."""
    office = make_office(database_url, groups=["Sales"])
    yield office
    office.close()


def restart(office: Office, **rollout: object) -> Worker:
    """The program, started again with another rollout in its settings."""
    office.settings = settings(office.url, rollout=rollout, rules={"max_cancels": 2})
    office.worker = office.add_worker("restarted")
    return office.worker


def list_heard(office: Office) -> set[Address]:
    return {str(mail["To"]).split("<")[-1].rstrip(">") for mail in office.mails()} - {OPERATOR}


def list_booked(office: Office) -> set[PairId]:
    return {s.pair for s in office.store.queries.list_sessions() if s.state is SessionState.BOOKED}


def test_who_is_outside_hears_nothing_and_no_calendar_of_theirs_is_read(pilot: Office) -> None:
    office = pilot
    watched = office.calendar = WatchedCalendar()
    office.worker.services.use(calendars={SERVICE: watched})
    office.run(60 * DAY)
    assert list_booked(office) <= {PairId(DANA, SAM), PairId(EVE, LEE)}
    assert {s.pair for s in office.store.queries.list_sessions()} == {PairId(DANA, SAM), PairId(EVE, LEE)}
    assert list_heard(office) == {DANA, SAM, EVE, LEE}
    assert watched.people_read == {DANA, SAM, EVE, LEE}
    counts = office.store.participation.count()
    assert counts == {Participation.YES: 2, Participation.NOT_CHOSEN: 1}


def test_a_wider_rollout_takes_the_others_in_by_turns(pilot: Office) -> None:
    office = pilot
    office.run(DAY)
    first = office.session(pair_id=PairId(DANA, SAM))
    restart(office, groups=["Sales", "legal"])
    office.run(DAY)
    assert list_booked(office) == set(PAIRS)
    assert office.session(pair_id=PairId(DANA, SAM)) == first, "what is booked stays"
    assert KIM in list_heard(office)


def test_who_is_taken_out_again_is_treated_as_paused(pilot: Office) -> None:
    office = pilot
    office.run(DAY)
    office.decline(office.session(pair_id=PairId(EVE, LEE)))
    office.run(DAY)
    (deferred,) = [s for s in office.store.queries.list_sessions(PairId(EVE, LEE)) if s.booked]
    assert deferred.count == 1
    restart(office, managers=[DANA])
    office.run(HOUR)
    assert office.events(EVE) == []
    assert len(office.events(DANA)) == 2, "Kim has come in"
    lines = [line for line in office.history("session") if line["pair"] == PairId(EVE, LEE)]
    assert lines[-1]["reason"] == "The pair does not take part in the rollout."
    assert len(office.store.queries.load_years([PairId(EVE, LEE)], START)[PairId(EVE, LEE)].deferrals) == 1
    restart(office, groups=["Sales"], managers=[DANA])
    office.run(HOUR)
    assert PairId(EVE, LEE) in list_booked(office)


def test_nobody_hears_of_us_before_the_first_day_and_first_sessions_are_spread_from_it(database_url: str) -> None:
    start = START.date() + timedelta(days=30)
    office = make_office(database_url, start=start)
    office.run_to(START + 29 * DAY)
    assert (office.store.queries.list_sessions(), office.mails(), office.messages()) == ([], [], [])
    for _ in range(3):
        office.run(DAY)
    firsts = sorted(s.span.start.date() for s in office.store.queries.list_sessions() if s.pair.manager == DANA)
    assert len(firsts) == 2
    assert start + timedelta(weeks=1) <= firsts[0] <= start + timedelta(weeks=3)
    assert firsts[0] < firsts[1]
    office.close()


@pytest.mark.parametrize("rollout", [{"groups": ["Slaes"]}, {"start": "2027-06-01"}])
def test_a_rollout_that_takes_many_out_waits_for_the_operator(pilot: Office, rollout: dict[str, object]) -> None:
    """T-17: a slip in the settings is no reason to take everybody's conversations off."""
    office = pilot
    office.run(DAY)
    before = list_booked(office)
    worker = restart(office, **rollout)
    office.run(DAY)
    assert list_booked(office) == before
    (alert,) = office.mails("operator_alert")
    assert "2 of 2 pairs would leave the rollout" in str(alert.get_body().get_content())  # type: ignore[union-attr]
    assert worker.participation.update(force=True)
    office.run(HOUR)
    assert list_booked(office) == set()


def test_a_group_that_is_renamed_in_the_people_file_takes_nobody_out_unasked(pilot: Office) -> None:
    office = pilot
    office.run(DAY)
    before = list_booked(office)
    office.persons |= {who: replace(office.persons[who], group="Revenue") for who in (SAM, LEE)}
    office.apply()
    office.run(DAY)
    assert list_booked(office) == before
    assert len(office.mails("operator_alert")) == 1
    restart(office, groups=["Revenue"])
    office.run(HOUR)
    assert list_booked(office) == before
    assert not office.worker.participation.update()


def test_while_a_rollout_waits_for_the_operator_the_one_in_force_goes_on_for_new_people(pilot: Office) -> None:
    office = pilot
    office.run(DAY)
    restart(office, groups=["Slaes"])
    office.run(HOUR)
    max_, ida = "max@corp.example", "ida@corp.example"
    office.persons |= {max_: person(max_, group="Sales"), ida: person(ida, group="Legal")}
    office.pairs |= pairs(pair(EVE, max_), pair(EVE, ida))
    office.apply()
    office.run(DAY)
    assert PairId(EVE, max_) in list_booked(office)
    assert PairId(EVE, ida) not in list_booked(office)
    assert len(office.mails("operator_alert")) == 1, "once is enough"


def test_a_process_with_the_settings_of_before_does_not_take_a_new_rollout_back(pilot: Office) -> None:
    office = pilot
    earlier = office.worker
    office.run(HOUR)
    restart(office, groups=["Sales", "Legal"])
    office.run(HOUR)
    earlier.tick()
    assert office.store.participation.count() == {Participation.YES: 3}


def test_a_new_pair_is_outside_from_the_beginning(pilot: Office) -> None:
    office = pilot
    office.run(HOUR)
    new = pair(EVE, "max@corp.example")
    office.persons["max@corp.example"] = person("max@corp.example", group="Legal")
    rule = office.worker.participation.make_rule(office.persons)
    office.store.people.apply_import(office.persons, {**PAIRS, new.id: new}, office.clock(), (), rule)
    assert office.store.people.load_all_pairs()[new.id].participation is Participation.NOT_CHOSEN
    assert office.worker.sweep.run("somebody") >= 0
    assert office.store.queries.list_sessions(new.id) == []


def test_a_pause_holds_for_those_who_come_later_and_the_operator_is_not_asked_twice(pilot: Office) -> None:
    office = pilot
    office.run(DAY)
    office.worker.participation.set_pauses(StandingPauses(everybody=True))
    office.persons["max@corp.example"] = person("max@corp.example", group="Sales")
    office.pairs |= pairs(pair(EVE, "max@corp.example"))
    office.apply()
    office.run(DAY)
    assert (office.events(DANA), office.events(EVE), list_booked(office)) == ([], [], set())
    assert not office.mails("operator_alert")
    office.worker.participation.set_pauses(StandingPauses())
    office.run(DAY)
    assert list_booked(office) == {PairId(DANA, SAM), PairId(EVE, LEE), PairId(EVE, "max@corp.example")}


def test_coverage_and_the_anonymous_question_are_for_those_who_take_part(database_url: str) -> None:
    """R-22, R-37: whoever is outside is neither counted nor asked."""
    persons, listed = company(12, reports=4)
    known = settings(database_url, rollout={"managers": ["m0@corp.example"]}, base_url="https://x.corp.example")
    office = Office(database_url, persons, listed, known=known)
    office.run(HOUR)
    coverage = count_coverage(office.store, find_quarter(office.clock().date()), office.clock(), "country")
    assert sum(group.pairs for group in coverage.groups) + coverage.hidden_count == 4
    office.clock.move_to(datetime(2027, 3, 2, 9, tzinfo=UTC))
    office.worker.pulse.run()
    assert office.messages("pulse") == [], "four reports of one manager are too few to ask"
    restart_with = settings(database_url, base_url="https://x.corp.example")
    office.settings = restart_with
    office.worker = office.add_worker("everybody")
    office.worker.participation.update()
    office.store.people.set_stored_value("pulse", "")
    office.worker.pulse.run()
    assert len(office.messages("pulse")) == 12
    office.close()
