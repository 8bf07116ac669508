"""The sync: what people change on calendars is stored, and a reading that can't be right changes nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.support.companies import (
    DAILY_SYNC,
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    OPERATOR,
    SAM,
    SERVICE,
    WEEK,
    Fails,
    Office,
    RecordedOperations,
    company,
    contract,
    pair,
    pairs,
    people,
    settings,
    span,
    texts,
)
from tests.support.effects import book_first_session
from worker.domain.model import (
    Address,
    Answer,
    CalendarChanges,
    Cursor,
    PairId,
    ReviewMode,
    SessionKind,
    ShowAs,
    Span,
)
from worker.errors import AuthRevoked, NotFound, RateLimited, Unavailable
from worker.providers.base import CalendarProvider
from worker.providers.memory import MemoryCalendar


@pytest.fixture(name="office")
def office_polled_daily(daily_office: Office) -> Office:
    """Replace the usual `office` by one whose calendars are polled each day."""
    return daily_office


# --- changes that people make ---


def test_a_declined_session_gets_a_new_time_at_once(office: Office) -> None:
    """R-8, T-10: the event stays the same and moves to the new time."""
    session = book_first_session(office)
    office.decline(session)
    office.tick()
    moved = office.session()
    assert office.deferrals() == [("declined", SAM)]
    assert (moved.id, moved.key, moved.count) == (session.id, session.key, 1) and moved.span != session.span
    assert [(event.key, event.span) for event in office.events()] == [(moved.key, moved.span)]
    assert office.events()[0].answers == {SAM: Answer.NEEDS_ACTION}


@pytest.mark.parametrize(("person", "cause"), [(DANA, "deleted"), (SAM, "declined")])
def test_a_deleted_event_defers_the_session_to_a_new_event(office: Office, person: str, cause: str) -> None:
    """R-8: a guest who deletes their own copy declines."""
    session = book_first_session(office)
    office.calendar.remove(person, session.key)
    office.tick()
    assert [deferral_cause for deferral_cause, _ in office.deferrals()] == [cause]
    assert [event.span for event in office.events()] == [office.session().span]


def test_a_hand_move_next_to_a_meeting_is_respected(office: Office) -> None:
    """R-9, T-11: this holds even next to a meeting. The move is no deferral, and causes no second event and no
    update."""
    session = book_first_session(office)
    new_span = Span(session.span.start + DAY, session.span.end + DAY)
    office.calendar.add(DANA, span(new_span.start - HOUR))
    office.calendar.move(DANA, session.key, new_span)
    office.run(WEEK)
    moved = office.session()
    assert (moved.span, moved.by_hand, moved.count, office.deferrals()) == (new_span, True, 0, [])
    assert [event.span for event in office.events()] == [new_span]
    assert office.effects("event.update") == []


def test_a_session_shortened_by_hand_below_the_least_length_is_deferred(office: Office) -> None:
    """T-1: no career session is shorter than 45 minutes."""
    session = book_first_session(office)
    office.calendar.move(DANA, session.key, span(session.span.start, 30))
    office.tick()
    assert office.deferrals() == [("moved_out", "")]
    assert office.events()[0].span == office.session().span != session.span


def test_a_change_without_a_notification_is_found_by_the_next_poll(office: Office) -> None:
    session = book_first_session(office)
    office.decline(session)
    office.calendar.pop_changed_calendars()  # the notification is lost
    office.run_to(office.clock() + DAY - MINUTE)
    assert office.deferrals() == []
    office.run(2 * MINUTE)
    assert office.deferrals() == [("declined", SAM)]


def test_a_clash_causes_a_warning_and_a_day_later_a_deferral(office: Office) -> None:
    """T-10: the session keeps its time when the clash is gone by then."""
    session = book_first_session(office)
    office.calendar.add(SAM, span(session.span.start))
    office.tick()
    assert len(office.mails("booked_over_warning")) == 1 and office.deferrals() == []
    office.run(DAY + HOUR)
    assert office.deferrals() == [("booked_over", SAM)]


def test_an_absence_moves_the_session_at_once(office: Office) -> None:
    session = book_first_session(office)
    office.calendar.add(DANA, Span(session.span.start - DAY, session.span.end + DAY), show=ShowAs.AWAY)
    office.tick()
    assert office.deferrals() == [("out_of_office", DANA)]
    assert office.events()[0].span == office.session().span


def test_events_of_others_are_never_changed(office: Office) -> None:
    busy_spans = [span(office.clock() + day_number * DAY + 3 * HOUR) for day_number in range(60)]
    ids = {office.calendar.add(DANA, busy_span, attendees=(SAM,)) for busy_span in busy_spans}
    session = book_first_session(office)
    office.decline(session)
    office.run(WEEK)
    window = Span(busy_spans[0].start, busy_spans[-1].end)
    events = office.calendar.changes(DANA, None, window).events
    other_events = {event.ref.id: event.span for event in events if not event.key}
    assert set(other_events) == ids and sorted(other_events.values()) == busy_spans


def test_a_reading_older_than_a_write_of_ours_changes_nothing(office: Office) -> None:
    """Another process moves the event after the service has answered and before the answer is stored."""
    session = book_first_session(office)
    other = office.add_worker("other")
    read_changes = office.calendar.changes

    def read_and_let_other_move(calendar: str, cursor: str | None, window: Span) -> CalendarChanges:
        changes = read_changes(calendar, cursor, window)
        office.calendar.changes = read_changes  # type: ignore[method-assign]
        other.actions.request_another_time(session.id)
        other.sweep.run(holder="other")
        other.outbox.run(holder="other")
        return changes

    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.calendar.changes = read_and_let_other_move  # type: ignore[method-assign]
    office.tick()
    office.run(DAY + HOUR)
    moved = office.session()
    assert moved.span != session.span and (moved.by_hand, moved.count) == (False, 1)
    assert [event.span for event in office.events()] == [moved.span]


# --- readings that are incomplete or wrong ---


def test_an_empty_reading_of_a_full_calendar_is_refused_and_causes_one_alert(database_url: str) -> None:
    """No session is cancelled or deferred, and no event is created again."""
    office = Office(database_url, *company(6))
    office.tick()
    sessions_before = office.store.queries.list_sessions()
    manager = "m0@corp.example"
    for session in sessions_before:
        office.calendar.remove(manager, session.key)
    office.calendar.forget_cursors(manager)
    office.run(5 * HOUR)
    assert [s for s in office.store.queries.list_sessions() if s.booked] == [s for s in sessions_before if s.booked]
    assert office.deferrals() == [] and len(office.effects("event.create")) == 6
    (alert,) = office.mails("operator_alert")
    assert OPERATOR in alert["To"] and manager in texts([alert])
    office.close()


@pytest.mark.parametrize("is_full", [True, False])
def test_an_unreadable_event_of_ours_is_kept_and_causes_one_alert(office: Office, is_full: bool) -> None:
    """An unreadable event is not deleted: no session is owed, and no second event is created."""
    session = book_first_session(office)
    key, placed = session.key, office.placed_event(session.key)
    assert placed is not None
    office.worker.services.use(calendars={SERVICE: CalendarWithUnreadableEvent(office.calendar, key, is_full)})
    for _ in range(3):
        office.store.calendars.make_due([DANA], office.clock())
        office.run(HOUR)
    assert office.placed_event(key) == placed and office.session() == session
    (alert,) = office.mails("operator_alert")
    start = f"{placed.span.start:%Y-%m-%d %H:%M} UTC"
    assert f"{DANA} holds events of ours that can't be read any more ({start})" in " ".join(texts([alert]).split())


class CalendarWithUnreadableEvent:
    """A calendar that holds one event of ours which can't be read. If `is_full`, each reading of it is a full one."""

    def __init__(self, calendar: MemoryCalendar, key: str, is_full: bool) -> None:
        self._calendar = calendar
        self._key = key
        self._is_full = is_full

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        changes = self._calendar.changes(calendar, None if self._is_full else cursor, window)
        readable_events = tuple(event for event in changes.events if event.key != self._key)
        unreadable_event = self._calendar.find(calendar, self._key)
        unreadable_ids = (unreadable_event.ref.id,) if unreadable_event else ()
        return replace(changes, events=readable_events, unreadable_ids=unreadable_ids)


def test_an_expired_cursor_loses_no_change(office: Office) -> None:
    session = book_first_session(office)
    office.decline(session)
    office.calendar.forget_cursors(DANA)
    office.tick()
    assert office.deferrals() == [("declined", SAM)]


def test_the_daily_full_reading_finds_a_change_that_the_service_did_not_report(office: Office) -> None:
    """Here the service omits a deletion from the changes since the last cursor."""
    session = book_first_session(office)
    read_changes = office.calendar.changes

    def omit_changes(calendar: str, cursor: str | None, window: Span) -> CalendarChanges:
        changes = read_changes(calendar, cursor, window)
        return changes if changes.is_full else replace(changes, events=(), deleted_ids=())

    office.calendar.changes = omit_changes  # type: ignore[method-assign]
    office.calendar.remove(DANA, session.key)
    office.tick()
    assert office.deferrals() == []
    office.run(DAY + HOUR)
    assert office.deferrals() == [("deleted", "")]
    assert [event.span for event in office.events()] == [office.session().span]


# --- calendars that can't be read ---


@pytest.mark.parametrize(("error", "minutes"), [(Unavailable(), 5), (RateLimited(retry_after=30 * MINUTE), 30)])
def test_a_calendar_that_fails_is_read_again_after_a_wait(office: Office, error: Unavailable, minutes: int) -> None:
    """The wait is five minutes, or as long as the service requires."""
    session = book_first_session(office)
    office.decline(session)
    office.calendar.fail = Fails(lambda: error, "changes", times=1)
    office.tick()
    assert office.store.load_next_due().calendar == office.clock() + minutes * MINUTE
    assert office.deferrals() == []
    office.run(minutes * MINUTE)
    assert office.deferrals() == [("declined", SAM)]


def test_a_calendar_without_access_stops_no_other_calendar_from_being_read(database_url: str) -> None:
    two_pairs = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        two_pairs,
        office_settings=settings(database_url, sync=DAILY_SYNC),
    )
    office.tick()
    office.calendar.make_unreadable(DANA, "no access")
    kim_session = office.session(pair_id=PairId(KIM, "eve@corp.example"))
    office.decline(kim_session)
    office.run(DAY)
    assert office.deferrals() == [("declined", "eve@corp.example")]
    assert any(DANA in texts([mail]) for mail in office.mails("operator_alert"))
    office.close()


def test_an_unexpected_error_stops_no_other_calendar_from_being_read(database_url: str) -> None:
    """The alert names the type and place of the error, and not its text, which may quote an event."""
    two_pairs = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        two_pairs,
        office_settings=settings(database_url, sync=DAILY_SYNC),
    )
    office.tick()
    read_changes = office.calendar.changes

    def read_or_fail(calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        if calendar == DANA:
            raise ValueError("a title that nobody may read")
        return read_changes(calendar, cursor, window)

    office.calendar.changes = read_or_fail  # type: ignore[method-assign]
    office.decline(office.session(pair_id=PairId(KIM, "eve@corp.example")))
    office.run(DAY)
    assert office.deferrals() == [("declined", "eve@corp.example")]
    alert_text = " ".join(texts(office.mails("operator_alert")).split())
    assert f"The calendar of {DANA} could not be read: ValueError at test_sync.py" in alert_text
    assert "nobody may read" not in alert_text
    office.close()


def test_a_provider_that_fails_for_one_person_stops_no_other_calendar_from_being_read(database_url: str) -> None:
    """The grant of one person may have ended since the settings were written."""
    two_pairs = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        two_pairs,
        office_settings=settings(database_url, sync=DAILY_SYNC),
    )
    office.tick()
    find = office.worker.sync._find_calendar_provider

    def find_or_refuse(address: Address) -> CalendarProvider | None:
        if address == DANA:
            raise AuthRevoked("The certificate is gone.")
        return find(address)

    office.worker.sync._find_calendar_provider = find_or_refuse
    office.decline(office.session(pair_id=PairId(KIM, "eve@corp.example")))
    office.run(DAY)
    assert office.deferrals() == [("declined", "eve@corp.example")]
    assert any("The certificate is gone." in texts([mail]) for mail in office.mails("operator_alert"))
    office.close()


def test_a_calendar_that_does_not_exist_causes_one_alert(office: Office) -> None:
    book_first_session(office)
    office.calendar.fail = Fails(lambda: NotFound("no such calendar"), "changes")
    office.run(DAY + HOUR)
    assert len(office.mails("operator_alert")) == 1


# --- number of requests ---


def test_a_run_reads_each_calendar_once(database_url: str) -> None:
    office = Office(database_url, *company(12))  # two managers
    office.tick()
    office.calendar.pop_changed_calendars()
    office.clock.advance(DAY - HOUR)
    office.store.calendars.make_due(["m0@corp.example", "m1@corp.example"], office.clock())
    office.calendar.fail = operations = RecordedOperations()
    office.worker.sync.run(holder="one")
    assert Counter(operations.seen) == {"changes": 2}
    office.close()


def test_events_on_calendars_of_reports_are_not_read(office: Office) -> None:
    office.tick()
    assert [row["address"] for row in office.store.calendars.list_reading_states()] == [DANA]


# --- 1:1s ---


def test_recurring_meetings_of_exactly_the_two_are_stored_as_1on1s(database_url: str) -> None:
    """T-9: neither meetings with a third person nor single meetings are stored. A 1:1 that is deleted is removed."""
    office = Office(database_url, listed_pairs=pairs(pair(review=ReviewMode.IN_1ON1)))
    first = office.clock() + 3 * HOUR  # the start of the first 1:1
    ids = [office.calendar.add(DANA, span(first + n * WEEK, 30), series="weekly", attendees=(SAM,)) for n in range(8)]
    office.calendar.add(DANA, span(first + 2 * HOUR, 30), attendees=(SAM,))  # a single meeting
    for n in range(3):
        office.calendar.add(DANA, span(first + 4 * HOUR + n * WEEK, 30), series="team", attendees=(SAM, KIM))
    office.tick()
    pair_id = PairId(DANA, SAM)
    assert [m.span.start for m in office.store.calendars.list_meetings(pair_id)] == [first + n * WEEK for n in range(8)]
    office.calendar.move(DANA, ids[2], span(first + 2 * WEEK + HOUR, 30))
    office.calendar.remove_for_all(ids[3])
    office.tick()
    distances = [m.span.start - first for m in office.store.calendars.list_meetings(pair_id)]
    assert distances == [0 * WEEK, WEEK, 2 * WEEK + HOUR, 4 * WEEK, 5 * WEEK, 6 * WEEK, 7 * WEEK]
    for event_id in ids[:3] + ids[4:]:  # all that are left
        office.calendar.remove_for_all(event_id)
    office.tick()
    assert office.store.calendars.list_meetings(pair_id) == []
    office.close()


def test_a_review_moves_to_the_next_1on1_when_its_own_is_deleted(database_url: str) -> None:
    """T-9, R-7: the review has no event of its own. A note is sent on its day. The review moves to the next 1:1 when
    its own is deleted."""
    office = Office(database_url, listed_pairs=pairs(pair(review=ReviewMode.IN_1ON1)))
    first = office.clock() + 5 * HOUR  # the start of the first 1:1
    meeting_ids = {
        first + n * WEEK: office.calendar.add(DANA, span(first + n * WEEK, 30), series="weekly", attendees=(SAM,))
        for n in range(30)
    }
    office.tick()
    session = office.hold()
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.run(DAY)
    review = min(
        (s for s in office.store.queries.list_sessions() if s.kind is SessionKind.REVIEW), key=lambda s: s.target
    )
    assert review.start in meeting_ids and not office.calendar.find(DANA, review.key)
    office.calendar.remove_for_all(meeting_ids[review.span.start])
    office.run(HOUR)
    moved = office.store.queries.get_session(review.id)
    assert moved is not None and moved.start in meeting_ids and moved.start != review.start
    office.run_to(moved.span.start)
    (note,) = office.mails("review_note")
    assert DANA in note["To"]
    office.close()


def test_a_refused_empty_reading_and_a_failing_update_do_not_repeat_without_pause() -> None:
    """Each update fails because the event is missing, and makes the calendar due. Each reading is refused because the
    calendar is empty, and changes nothing."""
    persons, all_pairs = company(6)
    office = Office(persons=persons, listed_pairs=all_pairs)
    office.run(HOUR)
    session = office.store.queries.list_sessions()[0]
    empty_calendar = MemoryCalendar()
    office.worker.services.use(calendars={SERVICE: empty_calendar})
    office.worker.actions.request_another_time(session.id)
    effect_count = len(office.effects())
    office.tick()
    assert len(office.effects()) <= effect_count + 4
    office.run(HOUR)
    assert len(office.effects("event.update")) <= 15
    assert len(office.mails("operator_alert")) == 1
    office.worker.services.use(calendars={SERVICE: office.calendar})
    office.run(DAY)
    moved = office.store.queries.get_session(session.id)
    assert moved is not None and moved.booked
    assert office.event(moved).span == moved.span
    office.close()
