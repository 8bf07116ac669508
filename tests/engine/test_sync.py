"""Reading calendars: what people did there becomes rows, and what can't be believed changes nothing."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from tests.support.companies import (
    DAILY,
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
from worker.domain.model import (
    Address,
    Answer,
    CalendarChanges,
    Cursor,
    PairId,
    ReviewMode,
    Session,
    SessionKind,
    ShowAs,
    Span,
)
from worker.errors import AuthRevoked, NotFound, RateLimited, Unavailable
from worker.providers.base import CalendarProvider
from worker.providers.memory import MemoryCalendar


@pytest.fixture(name="office")
def office_of_these_tests(daily_office: Office) -> Office:
    return daily_office


def booked(office: Office) -> Session:
    office.tick()
    return office.session()


def deferrals(office: Office) -> list[tuple[str, str]]:
    """The cause and the person of each deferral so far."""
    told = [line["fields"] for line in office.history("session")]
    return [(one["cause"], one.get("who", "")) for one in told if one["state"] == "deferred"]


# --- what people do ---


def test_a_decline_is_owed_and_moved_at_once(office: Office) -> None:
    """R-8, T-10: the same event, a new time."""
    session = booked(office)
    office.decline(session)
    office.tick()
    now = office.session()
    assert deferrals(office) == [("declined", SAM)]
    assert (now.id, now.key, now.count) == (session.id, session.key, 1) and now.span != session.span
    assert [(event.key, event.span) for event in office.events()] == [(now.key, now.span)]
    assert office.events()[0].answers == {SAM: Answer.NEEDS_ACTION}


@pytest.mark.parametrize(("who", "cause"), [(DANA, "deleted"), (SAM, "declined")])
def test_a_deleted_event_is_owed_and_made_anew(office: Office, who: str, cause: str) -> None:
    """Whoever is invited and deletes their copy has declined."""
    session = booked(office)
    office.calendar.remove(who, session.key)
    office.tick()
    assert [c for c, _ in deferrals(office)] == [cause]
    assert [event.span for event in office.events()] == [office.session().span]


def test_a_hand_move_inside_the_rules_is_respected(office: Office) -> None:
    """R-9, T-11: also over a lunch hour and beside a meeting; no deferral, no second event, no update of ours."""
    session = booked(office)
    wish = Span(session.span.start + DAY, session.span.end + DAY)
    office.calendar.add(DANA, span(wish.start - HOUR))
    office.calendar.move(DANA, session.key, wish)
    office.run(WEEK)
    now = office.session()
    assert (now.span, now.by_hand, now.count, deferrals(office)) == (wish, True, 0, [])
    assert [event.span for event in office.events()] == [wish]
    assert office.messages("event.update") == []


def test_a_move_that_is_too_short_counts_as_deferred(office: Office) -> None:
    """T-1."""
    session = booked(office)
    office.calendar.move(DANA, session.key, span(session.span.start, 30))
    office.tick()
    assert deferrals(office) == [("moved_out", "")]
    assert office.events()[0].span == office.session().span != session.span


def test_without_a_hint_it_is_seen_at_the_next_look(office: Office) -> None:
    """Hints are hints, polling is the truth."""
    session = booked(office)
    office.decline(session)
    office.calendar.pop_changed_calendars()
    office.run_to(office.clock() + DAY - MINUTE)
    assert deferrals(office) == []
    office.run(2 * MINUTE)
    assert deferrals(office) == [("declined", SAM)]


def test_something_booked_over_it_is_warned_of_and_then_moved(office: Office) -> None:
    """T-10: a day after the warning, unless the time is free again."""
    session = booked(office)
    office.calendar.add(SAM, span(session.span.start))
    office.tick()
    assert len(office.mails("booked_over_warning")) == 1 and deferrals(office) == []
    office.run(DAY + HOUR)
    assert deferrals(office) == [("booked_over", SAM)]


def test_somebody_out_of_office_moves_it_at_once(office: Office) -> None:
    session = booked(office)
    office.calendar.add(DANA, Span(session.span.start - DAY, session.span.end + DAY), show=ShowAs.AWAY)
    office.tick()
    assert deferrals(office) == [("out_of_office", DANA)]
    assert office.events()[0].span == office.session().span


def test_an_event_that_is_not_ours_is_never_touched(office: Office) -> None:
    busy = [span(office.clock() + n * DAY + 3 * HOUR) for n in range(60)]
    ids = {office.calendar.add(DANA, one, attendees=(SAM,)) for one in busy}
    session = booked(office)
    office.decline(session)
    office.run(WEEK)
    window = Span(busy[0].start, busy[-1].end)
    left = {e.ref.id: e.span for e in office.calendar.changes(DANA, None, window).events if not e.key}
    assert set(left) == ids and sorted(left.values()) == busy


def test_a_reading_that_was_overtaken_changes_nothing(office: Office) -> None:
    """The service answered; before that is written down, another process has moved the event. What was read is old."""
    session = booked(office)
    other = office.add_worker("other")
    real = office.calendar.changes

    def overtaken(calendar: str, cursor: str | None, window: Span) -> CalendarChanges:
        told = real(calendar, cursor, window)
        office.calendar.changes = real  # type: ignore[method-assign]
        other.actions.defer_session(session.id)
        other.sweep.run("other")
        other.outbox.run("other")
        return told

    office.calendar.answer(DANA, session.key, SAM, Answer.ACCEPTED)
    office.calendar.changes = overtaken  # type: ignore[method-assign]
    office.tick()
    office.run(DAY + HOUR)
    now = office.session()
    assert now.span != session.span and (now.by_hand, now.count) == (False, 1)
    assert [event.span for event in office.events()] == [now.span]


# --- what is not believed ---


def test_a_calendar_that_reads_empty_is_refused_and_told_once(database_url: str) -> None:
    """It was full. Nothing is cancelled, deferred or made again; the operator hears of it once a day."""
    office = Office(database_url, *company(6))
    office.tick()
    before = office.store.queries.list_sessions()
    manager = "m0@corp.example"
    for session in before:
        office.calendar.remove(manager, session.key)
    office.calendar.forget_cursors(manager)
    office.run(5 * HOUR)
    assert [s for s in office.store.queries.list_sessions() if s.booked] == [s for s in before if s.booked]
    assert deferrals(office) == [] and len(office.messages("event.create")) == 6
    (alert,) = office.mails("operator_alert")
    assert OPERATOR in alert["To"] and manager in texts([alert])
    office.close()


@pytest.mark.parametrize("is_full", [True, False])
def test_an_event_of_ours_that_can_t_be_read_keeps_its_place_and_is_told(office: Office, is_full: bool) -> None:
    """It was not deleted: nothing is owed and no second event is made. The operator hears of it once a day."""
    session = booked(office)
    key, stood = session.key, office.placed(session.key)
    assert stood is not None
    office.worker.services.use(calendars={SERVICE: Unreadable(office.calendar, key, is_full)})
    for _ in range(3):
        office.store.calendars.make_due([DANA], office.clock())
        office.run(HOUR)
    assert office.placed(key) == stood and office.session() == session
    (alert,) = office.mails("operator_alert")
    told = " ".join(texts([alert]).split())
    assert f"{DANA} holds events of ours that can't be read any more ({stood.span.start:%Y-%m-%d %H:%M} UTC)" in told


class Unreadable:
    """A calendar on which one event of ours is there and can't be read."""

    def __init__(self, calendar: MemoryCalendar, key: str, is_full: bool) -> None:
        self._calendar = calendar
        self._key = key
        self._is_full = is_full

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calendar, name)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        told = self._calendar.changes(calendar, None if self._is_full else cursor, window)
        event = self._calendar.find(calendar, self._key)
        unread = (event.ref.id,) if event else ()
        return replace(told, events=tuple(one for one in told.events if one.key != self._key), unreadable_ids=unread)


def test_a_dead_cursor_loses_nothing(office: Office) -> None:
    session = booked(office)
    office.decline(session)
    office.calendar.forget_cursors(DANA)
    office.tick()
    assert deferrals(office) == [("declined", SAM)]


def test_a_full_look_once_a_day_finds_what_the_cursor_never_told(office: Office) -> None:
    """A full pass once a day checks the incremental one. Here the service forgets to tell of a deletion."""
    session = booked(office)
    real = office.calendar.changes

    def forgetful(calendar: str, cursor: str | None, window: Span) -> object:
        told = real(calendar, cursor, window)
        return told if told.is_full else type(told)((), (), told.cursor, is_full=False)

    office.calendar.changes = forgetful  # type: ignore[method-assign, assignment]
    office.calendar.remove(DANA, session.key)
    office.tick()
    assert deferrals(office) == []
    office.run(DAY + HOUR)
    assert deferrals(office) == [("deleted", "")]
    assert [event.span for event in office.events()] == [office.session().span]


# --- when it can't be read ---


@pytest.mark.parametrize(("error", "minutes"), [(Unavailable(), 5), (RateLimited(retry_after=30 * MINUTE), 30)])
def test_an_outage_of_one_calendar_is_waited_for(office: Office, error: Unavailable, minutes: int) -> None:
    session = booked(office)
    office.decline(session)
    office.calendar.fail = Fails(lambda: error, "changes", times=1)
    office.tick()
    assert office.store.load_next_due().calendar == office.clock() + minutes * MINUTE
    assert deferrals(office) == []
    office.run(minutes * MINUTE)
    assert deferrals(office) == [("declined", SAM)]


def test_one_calendar_out_of_reach_keeps_no_other_from_being_read(database_url: str) -> None:
    listed = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        listed,
        known=settings(database_url, sync=DAILY),
    )
    office.tick()
    office.calendar.make_unreadable(DANA, "no access")
    kims = office.session(pair_id=PairId(KIM, "eve@corp.example"))
    office.decline(kims)
    office.run(DAY)
    assert deferrals(office) == [("declined", "eve@corp.example")]
    assert any(DANA in texts([mail]) for mail in office.mails("operator_alert"))
    office.close()


def test_one_calendar_that_nobody_understands_keeps_no_other_from_being_read(database_url: str) -> None:
    """Whatever it raises, without a word of what stands in it."""
    listed = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        listed,
        known=settings(database_url, sync=DAILY),
    )
    office.tick()
    read = office.calendar.changes

    def puzzling(calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        if calendar == DANA:
            raise ValueError("a title that nobody may read")
        return read(calendar, cursor, window)

    office.calendar.changes = puzzling  # type: ignore[method-assign]
    office.decline(office.session(pair_id=PairId(KIM, "eve@corp.example")))
    office.run(DAY)
    assert deferrals(office) == [("declined", "eve@corp.example")]
    told = " ".join(texts(office.mails("operator_alert")).split())
    assert f"The calendar of {DANA} could not be read: ValueError at test_sync.py" in told
    assert "nobody may read" not in told
    office.close()


def test_a_service_that_can_t_be_opened_for_one_keeps_no_other_from_being_read(database_url: str) -> None:
    """Its settings may have lost their grant since: that is that person's trouble alone."""
    listed = pairs(pair(DANA, SAM), pair(KIM, "eve@corp.example"))
    office = Office(
        database_url,
        people(DANA, SAM, KIM, "eve@corp.example"),
        listed,
        known=settings(database_url, sync=DAILY),
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
    assert deferrals(office) == [("declined", "eve@corp.example")]
    assert any("The certificate is gone." in texts([mail]) for mail in office.mails("operator_alert"))
    office.close()


def test_a_calendar_that_cannot_be_read_for_good_is_told_once_a_day(office: Office) -> None:
    booked(office)
    office.calendar.fail = Fails(lambda: NotFound("no such calendar"), "changes")
    office.run(DAY + HOUR)
    assert len(office.mails("operator_alert")) == 1


# --- how much is asked ---


def test_each_calendar_is_asked_once_a_look(database_url: str) -> None:
    office = Office(database_url, *company(12))
    office.tick()
    office.calendar.pop_changed_calendars()
    office.clock.advance(DAY - HOUR)
    office.store.calendars.make_due(["m0@corp.example", "m1@corp.example"], office.clock())
    office.calendar.fail = seen = RecordedOperations()
    office.worker.sync.run("one")
    assert Counter(seen.seen) == {"changes": 2}
    office.close()


def test_calendars_of_reports_are_not_read(office: Office) -> None:
    office.tick()
    assert [row["address"] for row in office.store.calendars.list_reading_states()] == [DANA]


# --- 1:1s ---


def test_recurring_meetings_of_exactly_the_two_are_known(database_url: str) -> None:
    """T-9: not those with a third, not single ones; gone when the series is gone."""
    office = Office(database_url, listed=pairs(pair(review=ReviewMode.IN_1ON1)))
    day = office.clock() + 3 * HOUR
    mine = [office.calendar.add(DANA, span(day + n * WEEK, 30), series="weekly", attendees=(SAM,)) for n in range(8)]
    office.calendar.add(DANA, span(day + 2 * HOUR, 30), attendees=(SAM,))
    for n in range(3):
        office.calendar.add(DANA, span(day + 4 * HOUR + n * WEEK, 30), series="team", attendees=(SAM, KIM))
    office.tick()
    pair_id = PairId(DANA, SAM)
    assert [m.span.start for m in office.store.calendars.list_meetings(pair_id)] == [day + n * WEEK for n in range(8)]
    office.calendar.move(DANA, mine[2], span(day + 2 * WEEK + HOUR, 30))
    office.calendar.remove_for_all(mine[3])
    office.tick()
    known = [m.span.start - day for m in office.store.calendars.list_meetings(pair_id)]
    assert known == [0 * WEEK, WEEK, 2 * WEEK + HOUR, 4 * WEEK, 5 * WEEK, 6 * WEEK, 7 * WEEK]
    for one in mine[:3] + mine[4:]:
        office.calendar.remove_for_all(one)
    office.tick()
    assert office.store.calendars.list_meetings(pair_id) == []
    office.close()


def test_a_review_inside_a_1on1_follows_it(database_url: str) -> None:
    """T-9, R-7: no event of its own, a note on the day, and the next 1:1 when that one is dropped."""
    office = Office(database_url, listed=pairs(pair(review=ReviewMode.IN_1ON1)))
    day = office.clock() + 5 * HOUR
    weekly = {
        day + n * WEEK: office.calendar.add(DANA, span(day + n * WEEK, 30), series="weekly", attendees=(SAM,))
        for n in range(30)
    }
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(DAY)
    review = min(
        (s for s in office.store.queries.list_sessions() if s.kind is SessionKind.REVIEW), key=lambda s: s.target
    )
    assert review.start in weekly and not office.calendar.find(DANA, review.key)
    office.calendar.remove_for_all(weekly[review.span.start])
    office.run(HOUR)
    again = office.store.queries.get_session(review.id)
    assert again is not None and again.start in weekly and again.start != review.start
    office.run_to(again.span.start)
    (note,) = office.mails("review_note")
    assert DANA in note["To"]
    office.close()


def test_what_can_t_be_written_on_a_calendar_that_reads_empty_is_tried_now_and_then() -> None:
    """The reading is not believed, and the change finds nothing: the two must not chase each other."""
    persons, listed = company(6)
    office = Office(persons=persons, listed=listed)
    office.run(HOUR)
    session = office.store.queries.list_sessions()[0]
    empty = MemoryCalendar()
    office.worker.services.use(calendars={SERVICE: empty})
    office.worker.actions.defer_session(session.id)
    before = len(office.messages())
    office.tick()
    assert len(office.messages()) <= before + 4
    office.run(HOUR)
    assert len(office.messages("event.update")) <= 15
    assert len(office.mails("operator_alert")) == 1
    office.worker.services.use(calendars={SERVICE: office.calendar})
    office.run(DAY)
    again = office.store.queries.get_session(session.id)
    assert again is not None and again.booked
    assert office.event(again).span == again.span
    office.close()
