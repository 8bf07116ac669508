"""Undoing: no event of ours remains on any calendar, no other is touched, and it goes on where it was stopped."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    OPERATOR,
    SAM,
    START,
    Fails,
    Office,
    contract,
    pair,
    pairs,
    people,
    person,
    settings,
)
from worker.domain.model import EventDraft, Guest, PairId, Span
from worker.domain.rollout import PauseScope, StandingPauses
from worker.engine.undo import UndoResult
from worker.errors import AuthRevoked, Unavailable


def make_office(url: str) -> Office:
    """Dana with Sam and Kim. Sam's conversation was held and has a contract, so Dana's calendar has a block, too."""
    made = Office(url, people(DANA, SAM, KIM), pairs(pair(DANA, SAM), pair(DANA, KIM)))
    made.run(HOUR)
    sams = made.session(pair_id=PairId(DANA, SAM))
    made.run_to(sams.span.end)
    made.worker.contracts.record(sams.id, contract(made.clock()))
    made.run(HOUR)
    return made


@pytest.fixture(name="office")
def office_in_memory() -> Iterator[Office]:
    made = make_office("sqlite://")
    yield made
    made.close()


@pytest.fixture(name="stored")
def office_on_either_database(database_url: str) -> Iterator[Office]:
    made = make_office(database_url)
    yield made
    made.close()


def undo(office: Office, *, past: bool = False, quiet: bool = False, strangers: bool = False) -> UndoResult:
    state = office.worker.undo.begin(includes_past=past, is_quiet=quiet)
    return office.worker.undo.run(state, "undoing", ignore, office.clock.move_to, removes_strangers=strangers)


def ignore(what: str, done: int, total: int) -> None:
    """Watches nothing."""


def list_all(office: Office) -> list[str]:
    listed = office.calendar.changes(DANA, None, Span(START - DAY, START + 400 * DAY)).events
    return [event.key for event in listed if event.key]


def list_ahead(office: Office) -> list[str]:
    return [event.key or "" for event in office.events() if event.span.end > office.clock()]


def test_all_that_is_to_come_goes_and_what_others_put_there_stays(office: Office) -> None:
    mine = office.calendar.add(DANA, Span(START + 40 * DAY, START + 40 * DAY + HOUR))
    past = [key for key in list_all(office) if key not in list_ahead(office)]
    assert len(past) == 2
    count = len(list_ahead(office))
    assert count >= 3, "conversations, reviews and a block"
    result = undo(office)
    assert (result.removed_count, result.orphan_count, result.standing_events, result.unsearched_calendars) == (
        count,
        0,
        (),
        {},
    )
    assert list_ahead(office) == []
    assert list_all(office) == past, "what took place stays where it was"
    assert mine in {event.ref.id for event in office.calendar.changes(DANA, None, Span(START, START + 90 * DAY)).events}
    office.run(30 * DAY)
    assert list_ahead(office) == [], "a running worker books nothing anew"
    state = office.store.undo.load()
    assert state is not None
    assert state.finished_at is not None


def test_with_the_past_nothing_of_ours_is_left_and_history_stays(stored: Office) -> None:
    held = {s.id: s.held_at for s in stored.store.queries.list_sessions() if s.held_at}
    assert len(list_all(stored)) > len(list_ahead(stored))
    undo(stored, past=True)
    assert list_all(stored) == []
    assert {s.id: s.held_at for s in stored.store.queries.list_sessions() if s.held_at} == held
    assert stored.store.content.get_latest_contracts([PairId(DANA, SAM)])


@pytest.mark.parametrize("quiet", [True, False])
def test_who_was_invited_by_mail_hears_of_it_unless_it_is_to_be_quiet(quiet: bool) -> None:
    """Sam's calendar is elsewhere. The withdrawal is a mail, and the only one that leaves."""
    persons = {DANA: person(DANA, calendar="caldav"), SAM: person(SAM, calendar="none")}
    caldav = {"url": "https://dav.example.com/{email}/", "attendee_copies": True}
    office = Office(persons=persons, listed=pairs(pair()), known=settings(calendars={"caldav": caldav}))
    office.worker.services.use(calendars={"caldav": office.calendar})
    office.run(2 * HOUR)
    assert office.mails("invitation:")
    sent = len(office.mailer.sent)
    undo(office, quiet=quiet)
    told = [key.partition(":")[0] for key, _ in office.mailer.sent[sent:]]
    assert told == ([] if quiet else ["invitation_withdrawn"])
    office.run(10 * DAY)
    assert len(office.mailer.sent) == sent + len(told)
    assert {m.quiet for m in office.messages("event.cancel")} == {quiet}
    office.close()


def test_an_event_about_to_be_created_is_not_created(database_url: str) -> None:
    office = Office(database_url)
    office.worker.sync.run("first")
    office.worker.sweep.run("first")
    assert office.messages("event.create")
    undo(office)
    assert office.calendar.pop_changed_calendars() == set()
    assert office.events() == []
    office.close()


def test_what_the_database_forgot_is_found_on_the_calendars(office: Office) -> None:
    lost = office.session(pair_id=PairId(DANA, KIM))
    start = office.clock() + 30 * DAY
    for key in (f"{lost.id}.7", "c0another.1"):
        dana, sam = Guest(DANA, "Dana"), Guest(SAM, "Sam")
        span = Span(start, start + HOUR)
        draft = EventDraft(key=key, subject="x", body="", span=span, zone="UTC", organizer=dana, guests=(sam,))
        office.calendar.create(DANA, draft)
    result = undo(office)
    assert (result.orphan_count, result.stranger_count) == (1, 1)
    assert list_ahead(office) == ["c0another.1"], "another installation may have put it there"
    assert result.is_complete
    again = undo(office, strangers=True)
    assert (again.orphan_count, again.stranger_count) == (1, 0)
    assert list_ahead(office) == []


def test_what_cannot_be_reached_is_named_and_taken_off_the_next_time(office: Office) -> None:
    count = len(list_ahead(office))
    office.calendar.fail = Fails(lambda: AuthRevoked("The grant is gone."), "cancel", "changes")
    result = undo(office)
    assert not result.is_complete
    assert {(event.calendar, event.problem) for event in result.standing_events} == {(DANA, "The grant is gone.")}
    assert result.unsearched_calendars == {DANA: "The grant is gone."}
    state = office.store.undo.load()
    assert state is not None
    assert state.finished_at is None
    office.calendar.fail = lambda operation: None
    result = undo(office)
    assert (result.removed_count, result.is_complete) == (count, True)
    assert list_ahead(office) == []


def test_a_running_worker_takes_off_what_a_service_refused_for_a_while(office: Office) -> None:
    office.calendar.fail = Fails(lambda: Unavailable("Out of order."), "cancel", times=2)
    result = undo(office)
    assert {event.problem for event in result.standing_events} == {"Out of order."}
    office.run(HOUR)
    assert list_ahead(office) == []


def test_leases_of_a_process_that_died_are_waited_for(stored: Office) -> None:
    """The dead one had claimed effects and the people of a pair."""
    stored.worker.undo.begin(includes_past=False, is_quiet=False)
    stored.worker.sweep.run("dead")
    store, now = stored.store, stored.clock()
    assert store.outbox.claim(now, "dead", now + 5 * HOUR / 60, 2)
    store.plans.wake([PairId(DANA, KIM)], now)
    assert store.plans.claim(now, "dead", now + 10 * HOUR / 60, 5)
    waited: list[datetime] = []

    def wait(instant: datetime) -> None:
        waited.append(instant)
        stored.clock.move_to(instant)

    state = store.undo.load()
    assert state is not None
    result = stored.worker.undo.run(state, "second", ignore, wait)
    assert result.is_complete
    assert list_ahead(stored) == []
    assert waited
    assert waited[-1] <= now + 11 * HOUR / 60


def test_to_resume_begins_again_with_all_that_was_agreed(office: Office) -> None:
    undo(office, quiet=True)
    pauses = office.store.participation.load().pauses
    office.worker.participation.set_pauses(pauses.resume(PauseScope()))
    office.run(DAY)
    assert (office.store.undo.load(), office.store.participation.load().pauses) == (None, StandingPauses())
    assert {s.pair for s in office.store.queries.list_sessions() if s.booked} == set(office.pairs)


def test_an_operator_who_resumes_everybody_on_the_page_ends_an_undo_and_who_resumes_a_group_does_not(
    office: Office,
) -> None:
    undo(office, quiet=True)
    switches = office.worker.operator_switches
    assert not switches.switch(PauseScope(), OPERATOR, should_pause=True), "everybody is paused already"
    for should_pause in (True, False):
        assert switches.switch(PauseScope(group="Sales"), OPERATOR, should_pause=should_pause)
        assert office.store.undo.load() is not None
    assert switches.switch(PauseScope(), OPERATOR, should_pause=False)
    assert office.store.undo.load() is None
    actions = office.store.operator_actions.list_latest(9)
    assert [(one.name, one.whom) for one in actions] == [("resume", ""), ("resume", "Sales"), ("pause", "Sales")]
