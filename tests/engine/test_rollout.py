"""The rollout: only its pairs get sessions and mails, and a change that would end many of them needs the operator."""

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
from worker.domain.rollout import OperatorPauses
from worker.ops.coverage import count_coverage, find_quarter
from worker.providers.memory import MemoryCalendar

EVE, LEE = "eve@corp.example", "lee@corp.example"
#: Dana manages Sam and Kim, Eve manages Lee.
PAIRS = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(EVE, LEE))
#: The part of the settings that lets a sweep cancel two sessions: those of all the pairs in the rollout.
RULES = {"max_cancels": 2}
GROUPS = {SAM: "Sales", KIM: "Legal", LEE: "Sales"}


def make_office(url: str, **rollout: object) -> Office:
    persons = people(DANA, SAM, KIM, EVE, LEE)
    persons |= {address: person(address, group=group) for address, group in GROUPS.items()}
    return Office(url, persons, PAIRS, office_settings=settings(url, rollout=rollout, rules=RULES))


class RecordingCalendar(MemoryCalendar):
    """Records whose calendars were read."""

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
def office(database_url: str) -> Iterator[Office]:
    """A company in which only Sales takes part: Dana with Sam, and Eve with Lee."""
    running_office = make_office(database_url, groups=["Sales"])
    yield running_office
    running_office.close()


def restart(office: Office, **rollout: object) -> Worker:
    """Start the program again, with another rollout in its settings; return the new worker."""
    office.settings = settings(office.url, rollout=rollout, rules=RULES)
    office.worker = office.add_worker("restarted")
    return office.worker


def list_mail_receivers(office: Office) -> set[Address]:
    """Return everybody but the operator who has got a mail."""
    return {str(mail["To"]).split("<")[-1].rstrip(">") for mail in office.mails()} - {OPERATOR}


def list_booked_pairs(office: Office) -> set[PairId]:
    return {s.pair for s in office.store.queries.list_sessions() if s.state is SessionState.BOOKED}


def test_people_outside_the_rollout_get_no_mail_and_their_calendars_are_not_read(office: Office) -> None:
    calendar = office.calendar = RecordingCalendar()
    office.worker.services.use(calendars={SERVICE: calendar})
    office.run(60 * DAY)
    assert list_booked_pairs(office) <= {PairId(DANA, SAM), PairId(EVE, LEE)}
    assert {s.pair for s in office.store.queries.list_sessions()} == {PairId(DANA, SAM), PairId(EVE, LEE)}
    assert list_mail_receivers(office) == {DANA, SAM, EVE, LEE}
    assert calendar.people_read == {DANA, SAM, EVE, LEE}
    counts = office.store.participation.count()
    assert counts == {Participation.YES: 2, Participation.NOT_CHOSEN: 1}


def test_pairs_of_a_wider_rollout_are_booked_and_earlier_sessions_stay(office: Office) -> None:
    office.run(DAY)
    first = office.session(pair_id=PairId(DANA, SAM))
    restart(office, groups=["Sales", "legal"])
    office.run(DAY)
    assert list_booked_pairs(office) == set(PAIRS)
    assert office.session(pair_id=PairId(DANA, SAM)) == first, "the booked session has changed"
    assert KIM in list_mail_receivers(office)


def test_a_pair_removed_from_the_rollout_is_treated_as_paused(office: Office) -> None:
    office.run(DAY)
    office.decline(office.session(pair_id=PairId(EVE, LEE)))
    office.run(DAY)
    (session,) = [s for s in office.store.queries.list_sessions(PairId(EVE, LEE)) if s.booked]
    assert session.count == 1
    restart(office, managers=[DANA])
    office.run(HOUR)
    assert office.events(EVE) == []
    assert len(office.events(DANA)) == 2  # Dana's sessions with Sam and with Kim, who now takes part
    lines = [line for line in office.history("session") if line["pair"] == PairId(EVE, LEE)]
    assert lines[-1]["reason"] == "The pair does not take part in the rollout."
    assert len(office.store.queries.load_activities([PairId(EVE, LEE)], START)[PairId(EVE, LEE)].deferrals) == 1
    restart(office, groups=["Sales"], managers=[DANA])
    office.run(HOUR)
    assert PairId(EVE, LEE) in list_booked_pairs(office)


def test_no_mail_is_sent_before_the_rollout_begins_and_first_sessions_are_spread_after_it(database_url: str) -> None:
    start = START.date() + timedelta(days=30)
    office = make_office(database_url, start=start)
    office.run_to(START + 29 * DAY)
    assert (office.store.queries.list_sessions(), office.mails(), office.effects()) == ([], [], [])
    for _ in range(3):
        office.run(DAY)
    first_days = sorted(s.span.start.date() for s in office.store.queries.list_sessions() if s.pair.manager == DANA)
    assert len(first_days) == 2
    assert start + timedelta(weeks=1) <= first_days[0] <= start + timedelta(weeks=3)
    assert first_days[0] < first_days[1]
    office.close()


@pytest.mark.parametrize("rollout", [{"groups": ["Slaes"]}, {"start": "2027-06-01"}], ids=["misspelt", "late start"])
def test_a_rollout_that_removes_many_pairs_waits_for_the_operator(office: Office, rollout: dict[str, object]) -> None:
    """T-17: a mistake in the settings must not cancel everybody's sessions."""
    office.run(DAY)
    booked_pairs = list_booked_pairs(office)
    worker = restart(office, **rollout)
    office.run(DAY)
    assert list_booked_pairs(office) == booked_pairs
    (alert,) = office.mails("operator_alert")
    assert "2 of 2 pairs would leave the rollout" in str(alert.get_body().get_content())  # type: ignore[union-attr]
    assert worker.participation.update(force=True)
    office.run(HOUR)
    assert list_booked_pairs(office) == set()


def test_a_group_renamed_in_the_people_file_removes_no_pair_without_the_operator(office: Office) -> None:
    office.run(DAY)
    booked_pairs = list_booked_pairs(office)
    office.persons |= {address: replace(office.persons[address], group="Revenue") for address in (SAM, LEE)}
    office.apply()
    office.run(DAY)
    assert list_booked_pairs(office) == booked_pairs
    assert len(office.mails("operator_alert")) == 1
    restart(office, groups=["Revenue"])
    office.run(HOUR)
    assert list_booked_pairs(office) == booked_pairs
    assert not office.worker.participation.update()


def test_new_people_follow_the_old_rollout_while_the_new_one_waits(office: Office) -> None:
    office.run(DAY)
    restart(office, groups=["Slaes"])
    office.run(HOUR)
    sales_report, legal_report = "max@corp.example", "ida@corp.example"
    office.persons |= {
        sales_report: person(sales_report, group="Sales"),
        legal_report: person(legal_report, group="Legal"),
    }
    office.pairs |= pairs(pair(EVE, sales_report), pair(EVE, legal_report))
    office.apply()
    office.run(DAY)
    assert PairId(EVE, sales_report) in list_booked_pairs(office)
    assert PairId(EVE, legal_report) not in list_booked_pairs(office)
    assert len(office.mails("operator_alert")) == 1, "the new people caused a second alert"


def test_a_process_with_older_settings_does_not_undo_a_new_rollout(office: Office) -> None:
    old_worker = office.worker
    office.run(HOUR)
    restart(office, groups=["Sales", "Legal"])
    office.run(HOUR)
    old_worker.tick()
    assert office.store.participation.count() == {Participation.YES: 3}


def test_a_new_pair_outside_the_rollout_is_never_planned(office: Office) -> None:
    office.run(HOUR)
    new_pair = pair(EVE, "max@corp.example")
    office.persons["max@corp.example"] = person("max@corp.example", group="Legal")
    rule = office.worker.participation.make_rule(office.persons)
    office.store.people.apply_import(office.persons, {**PAIRS, new_pair.id: new_pair}, office.clock(), (), rule)
    assert office.store.people.load_all_pairs()[new_pair.id].participation is Participation.NOT_CHOSEN
    office.run(7 * DAY)
    assert office.store.queries.list_sessions(new_pair.id) == []
    assert office.store.queries.list_history(pair_id=new_pair.id) == []
    assert office.events(EVE) == [
        office.event(session) for session in office.store.queries.list_sessions(PairId(EVE, LEE))
    ]


def test_a_pause_of_everybody_includes_new_pairs_and_causes_no_alert(office: Office) -> None:
    office.run(DAY)
    office.worker.participation.set_pauses(OperatorPauses(everybody=True))
    office.persons["max@corp.example"] = person("max@corp.example", group="Sales")
    office.pairs |= pairs(pair(EVE, "max@corp.example"))
    office.apply()
    office.run(DAY)
    assert (office.events(DANA), office.events(EVE), list_booked_pairs(office)) == ([], [], set())
    assert not office.mails("operator_alert")
    office.worker.participation.set_pauses(OperatorPauses())
    office.run(DAY)
    assert list_booked_pairs(office) == {PairId(DANA, SAM), PairId(EVE, LEE), PairId(EVE, "max@corp.example")}


def test_coverage_and_pulse_include_only_pairs_of_the_rollout(database_url: str) -> None:
    """R-22, R-37: figures are about groups, and only people who take part may be in them."""
    persons, all_pairs = company(12, reports=4)
    rollout_settings = settings(
        database_url, rollout={"managers": ["m0@corp.example"]}, base_url="https://x.corp.example"
    )
    office = Office(database_url, persons, all_pairs, office_settings=rollout_settings)
    office.run(HOUR)
    coverage = count_coverage(office.store, find_quarter(office.clock().date()), office.clock(), "country")
    assert sum(group.pairs for group in coverage.groups) + coverage.hidden_count == 4
    office.clock.move_to(datetime(2027, 3, 2, 9, tzinfo=UTC))  # in March, the pulse has a round
    office.worker.pulse.run()
    assert office.effects("pulse") == []  # four reports of one manager are too few for a pulse
    office.settings = settings(database_url, base_url="https://x.corp.example")
    office.worker = office.add_worker("everybody")
    office.worker.participation.update()
    office.store.people.set_stored_value("pulse", "")  # as if no process had looked at this month yet
    office.worker.pulse.run()
    assert len(office.effects("pulse")) == len(all_pairs)
    office.close()
