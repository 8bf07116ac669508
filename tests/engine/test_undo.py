"""Undo: it removes every event of ours from every calendar, changes no other event, and continues after an error."""

from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
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
from worker.domain.model import EventDraft, NamedAddress, PairId, Span
from worker.domain.rollout import OperatorPauses, PauseScope
from worker.engine.undo import UndoResult
from worker.errors import AuthRevoked, Unavailable


def make_office(url: str) -> Office:
    """Return an office where Dana leads Sam and Kim. Both sessions were held.

    Sam's has a contract, so there are reviews and a block, too.
    """
    office = Office(url, people(DANA, SAM, KIM), pairs(pair(DANA, SAM), pair(DANA, KIM)))
    office.run(HOUR)
    sam_session = office.session(pair_id=PairId(DANA, SAM))
    office.run_to(sam_session.span.end)
    office.worker.contracts.record(sam_session.id, contract(office.clock()))
    office.run(HOUR)
    return office


@pytest.fixture(name="office")
def office_in_memory() -> Iterator[Office]:
    running_office = make_office("sqlite://")
    yield running_office
    running_office.close()


@pytest.fixture(name="stored_office")
def office_on_either_database(database_url: str) -> Iterator[Office]:
    running_office = make_office(database_url)
    yield running_office
    running_office.close()


def undo(office: Office, *, past: bool = False, quiet: bool = False, strangers: bool = False) -> UndoResult:
    """Take our events off all calendars.

    With `past`, also those in the past; with `quiet`, without notices to guests; with `strangers`, also strangers.
    """
    state = office.worker.undo.begin(includes_past=past, is_quiet=quiet)
    return office.worker.undo.run(state, "undoing", ignore_progress, office.clock.move_to, removes_strangers=strangers)


def ignore_progress(what: str, done: int, total: int) -> None:
    """Do nothing with the progress of the undo."""


def list_all_keys(office: Office) -> list[str]:
    """Return the keys of our events on Dana's calendar."""
    events = office.calendar.changes(DANA, None, Span(START - DAY, START + 400 * DAY)).events
    return [event.key for event in events if event.key]


def list_coming_keys(office: Office) -> list[str]:
    """Return the keys of our events on Dana's calendar that have not ended."""
    return [event.key or "" for event in office.events() if event.span.end > office.clock()]


def test_undo_removes_all_coming_events_of_ours_and_no_other_event(office: Office) -> None:
    foreign_id = office.calendar.add(DANA, Span(START + 40 * DAY, START + 40 * DAY + HOUR))
    past_keys = [key for key in list_all_keys(office) if key not in list_coming_keys(office)]
    assert len(past_keys) == 2  # the first session with each report
    count = len(list_coming_keys(office))
    assert count >= 3  # sessions, reviews and a block
    result = undo(office)
    assert (result.removed_count, result.orphan_count) == (count, 0)
    assert (result.remaining_events, result.unsearched_calendars) == ((), {})
    assert list_coming_keys(office) == []
    assert list_all_keys(office) == past_keys, "other events than those of past sessions are left"
    events = office.calendar.changes(DANA, None, Span(START, START + 90 * DAY)).events
    assert foreign_id in {event.ref.id for event in events}
    office.run(30 * DAY)
    assert list_coming_keys(office) == [], "a running worker booked a session"
    state = office.store.undo.load()
    assert state is not None
    assert state.finished_at is not None


def load_held_times(office: Office) -> dict[str, datetime]:
    return {session.id: session.held_at for session in office.store.queries.list_sessions() if session.held_at}


def test_undo_with_the_past_removes_all_events_and_keeps_the_records(stored_office: Office) -> None:
    held_times = load_held_times(stored_office)
    assert len(list_all_keys(stored_office)) > len(list_coming_keys(stored_office))
    undo(stored_office, past=True)
    assert list_all_keys(stored_office) == []
    assert load_held_times(stored_office) == held_times
    assert stored_office.store.content.get_latest_contracts([PairId(DANA, SAM)])


@pytest.mark.parametrize("is_quiet", [True, False])
def test_a_guest_invited_by_mail_gets_a_withdrawal_unless_the_undo_is_quiet(is_quiet: bool) -> None:
    """Sam's calendar is in another service, so Sam was invited by mail. No other mail is sent."""
    persons = {DANA: person(DANA, calendar="caldav"), SAM: person(SAM, calendar="none")}
    caldav = {"url": "https://dav.example.com/{email}/", "attendee_copies": True}
    office = Office(persons=persons, listed_pairs=pairs(pair()), office_settings=settings(calendars={"caldav": caldav}))
    office.worker.services.use(calendars={"caldav": office.calendar})
    office.run(2 * HOUR)
    assert office.mails("invitation:")
    sent_before = len(office.mailer.sent)
    undo(office, quiet=is_quiet)
    mail_names = [key.partition(":")[0] for key, _ in office.mailer.sent[sent_before:]]
    assert mail_names == ([] if is_quiet else ["invitation_withdrawn"])
    office.run(10 * DAY)
    assert len(office.mailer.sent) == sent_before + len(mail_names)
    assert {effect.quiet for effect in office.effects("event.cancel")} == {is_quiet}
    office.close()


def test_undo_drops_an_event_that_waits_to_be_created(database_url: str) -> None:
    office = Office(database_url)
    office.worker.sync.run(holder="first")
    office.worker.sweep.run(holder="first")
    assert office.effects("event.create")
    undo(office)
    assert office.calendar.pop_changed_calendars() == set()
    assert office.events() == []
    office.close()


def test_undo_removes_orphans_and_removes_strangers_only_on_request(office: Office) -> None:
    """Another installation of Longarc may have written a stranger."""
    session = office.session(pair_id=PairId(DANA, KIM))
    start = office.clock() + 30 * DAY
    orphan_key, stranger_key = f"{session.id}.7", "c0another.1"  # an unknown generation, an unknown session
    for key in (orphan_key, stranger_key):
        dana_guest, sam_guest = NamedAddress(DANA, "Dana"), NamedAddress(SAM, "Sam")
        span = Span(start, start + HOUR)
        draft = EventDraft(
            key=key, title="x", body="", span=span, zone="UTC", organizer=dana_guest, guests=(sam_guest,)
        )
        office.calendar.create(DANA, draft)
    result = undo(office)
    assert (result.orphan_count, result.stranger_count) == (1, 1)
    assert list_coming_keys(office) == [stranger_key], "another event than the stranger is left, or none"
    assert result.is_complete
    second_result = undo(office, strangers=True)
    assert (second_result.orphan_count, second_result.stranger_count) == (1, 0)
    assert list_coming_keys(office) == []


def test_undo_names_events_that_it_could_not_remove_and_removes_them_the_next_time(office: Office) -> None:
    count = len(list_coming_keys(office))
    office.calendar.fail = Fails(lambda: AuthRevoked("The grant is gone."), "cancel", "changes")
    result = undo(office)
    assert not result.is_complete
    assert {(event.calendar, event.problem) for event in result.remaining_events} == {(DANA, "The grant is gone.")}
    assert result.unsearched_calendars == {DANA: "The grant is gone."}
    state = office.store.undo.load()
    assert state is not None
    assert state.finished_at is None
    office.calendar.fail = None
    result = undo(office)
    assert (result.removed_count, result.is_complete) == (count, True)
    assert list_coming_keys(office) == []


def test_a_running_worker_removes_events_that_undo_could_not_remove(office: Office) -> None:
    office.calendar.fail = Fails(lambda: Unavailable("Out of order."), "cancel", times=2)
    result = undo(office)
    assert {event.problem for event in result.remaining_events} == {"Out of order."}
    office.run(HOUR)
    assert list_coming_keys(office) == []


def test_undo_waits_for_the_leases_of_a_dead_process(stored_office: Office) -> None:
    """The dead process has claimed effects and a pair."""
    stored_office.worker.undo.begin(includes_past=False, is_quiet=False)
    stored_office.worker.sweep.run(holder="dead")
    store, now = stored_office.store, stored_office.clock()
    assert store.outbox.claim(now, "dead", now + 5 * MINUTE, limit=2)
    store.plans.wake([PairId(DANA, KIM)], now)
    assert store.plans.claim(now, "dead", now + 10 * MINUTE, limit=5)
    waiting_times: list[datetime] = []

    def wait(instant: datetime) -> None:
        waiting_times.append(instant)
        stored_office.clock.move_to(instant)

    state = store.undo.load()
    assert state is not None
    result = stored_office.worker.undo.run(state, "second", ignore_progress, wait)
    assert result.is_complete
    assert list_coming_keys(stored_office) == []
    assert waiting_times
    assert waiting_times[-1] <= now + 11 * MINUTE  # the longest lease, of the pair, ends after ten minutes


def test_resuming_everybody_ends_the_undo_and_books_all_pairs(office: Office) -> None:
    undo(office, quiet=True)
    pauses = office.store.participation.load().pauses
    office.worker.participation.set_pauses(pauses.resume(PauseScope()))
    office.run(DAY)
    assert (office.store.undo.load(), office.store.participation.load().pauses) == (None, OperatorPauses())
    assert {s.pair for s in office.store.queries.list_sessions() if s.booked} == set(office.pairs)


def test_only_resuming_everybody_on_the_page_ends_an_undo(office: Office) -> None:
    undo(office, quiet=True)
    switches = office.worker.operator_switches
    assert not switches.switch(PauseScope(), OPERATOR, should_pause=True)  # everybody is paused already
    for should_pause in (True, False):
        assert switches.switch(PauseScope(group="Sales"), OPERATOR, should_pause=should_pause)
        assert office.store.undo.load() is not None
    assert switches.switch(PauseScope(), OPERATOR, should_pause=False)
    assert office.store.undo.load() is None
    actions = office.store.operator_actions.list_latest(9)  # the newest first
    assert [(action.name, action.whom) for action in actions] == [
        ("resume", ""),  # everybody
        ("resume", "Sales"),
        ("pause", "Sales"),
    ]
