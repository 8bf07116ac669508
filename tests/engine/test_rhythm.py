"""The rhythm in the whole program: closed sessions in the database still determine the next one (T-3, T-15)."""

from datetime import date

from pytest import MonkeyPatch

from tests.support.companies import DANA, DAY, HOUR, WEEK, Office, pair, settings
from tests.support.pairs import utc
from worker.domain.model import Session, SessionKind, SessionState, ShowAs, Span
from worker.store.store import NextDue

#: The rhythm of a pair, unless it has another one.
QUARTER = 13 * WEEK


def list_career_sessions(office: Office) -> list[Session]:
    """Return the career sessions that are not cancelled, by start or else by target."""
    sessions = [
        s
        for s in office.store.queries.list_sessions()
        if s.kind is SessionKind.CAREER and s.state is not SessionState.CANCELLED
    ]
    return sorted(sessions, key=lambda s: s.span.start if s.start else s.target)


def test_a_second_session_ahead_keeps_its_time() -> None:
    """T-15: with two sessions booked ahead, the second keeps its time when the first is closed, and a third is
    booked."""
    office = Office(office_settings=settings(rules={"ahead": 2}))
    office.tick()
    first, second = list_career_sessions(office)
    office.run_to(first.span.end + 40 * DAY)
    closed, following, third = list_career_sessions(office)[:3]
    assert [closed.id, following.id] == [first.id, second.id]
    assert closed.is_closed
    assert following.span == second.span
    assert third.target.date() == second.span.end.date() + QUARTER
    office.close()


def test_the_next_session_keeps_its_time_when_the_one_before_is_recorded_as_not_held() -> None:
    """T-3, T-10: the first session took place far from its target. Once it is recorded as not held, it gets a new
    time, and the time of the next session is in the window counted from that."""
    office = Office()
    office.tick()
    (first,) = list_career_sessions(office)
    absence = Span(office.clock(), first.target + 8 * WEEK)
    office.calendar.add(DANA, absence, show=ShowAs.AWAY)
    office.run(HOUR)
    held = office.hold()
    office.run(DAY)
    assert held.id == first.id
    assert held.span.start > absence.end
    (following,) = [s for s in list_career_sessions(office) if s.booked]
    office.worker.actions.record_not_held(held.id)
    office.run(HOUR)
    updates = [line for line in office.history("event.update") if line["session"] == following.id]
    assert updates == []
    (rebooked,) = [s for s in list_career_sessions(office) if s.id == held.id]
    assert rebooked.booked
    office.close()


def test_the_rhythm_continues_from_the_last_held_session_after_pauses() -> None:
    """T-3, T-4: after three pauses, the window of the next session still counts from the session that was held."""
    office = Office()
    office.tick()
    (first,) = list_career_sessions(office)
    office.run_to(first.span.end + 20 * DAY)
    for _ in range(3):
        set_pause_and_run_a_day(office, is_paused=True)
        set_pause_and_run_a_day(office, is_paused=False)
    (following,) = [s for s in list_career_sessions(office) if s.booked]
    assert following.target.date() == first.span.end.date() + QUARTER
    assert following.target.date() > date(2026, 12, 1), "the pair was treated as one that begins"
    office.close()


def set_pause_and_run_a_day(office: Office, *, is_paused: bool) -> None:
    """Pause or resume the only pair, and let a day pass."""
    (pair_id,) = office.pairs
    office.store.people.set_paused(pair_id, is_paused=is_paused, now=office.clock())
    office.run(DAY)


def test_a_pause_with_an_end_date_ends_on_that_date() -> None:
    """T-18: nobody has to change the people file. A pause by the operator has no end date."""
    paused_pair = pair(paused=True, paused_until=date(2026, 10, 5))
    office = Office(listed_pairs={paused_pair.id: paused_pair})
    office.tick()
    assert list_career_sessions(office) == []
    office.store.people.end_pauses(utc(2026, 10, 4, 23))
    assert office.store.people.load_all_pairs()[paused_pair.id].paused
    office.run_to(utc(2026, 10, 5, 1))
    office.store.people.end_pauses(office.clock())
    office.run(HOUR)
    (session,) = list_career_sessions(office)
    assert session.booked
    office.store.people.set_paused(paused_pair.id, is_paused=True, now=office.clock())
    office.store.people.end_pauses(office.clock() + 400 * DAY)
    assert office.store.people.load_all_pairs()[paused_pair.id].paused, "the operator's pause has ended"
    office.close()


def test_a_transition_moves_the_next_session_by_a_calendar_update() -> None:
    """T-18, R-5: the session moves when the transition begins and when it ends. Neither move is a deferral."""
    office = Office()
    office.tick()
    held = office.hold()
    office.run(HOUR)
    (following,) = [s for s in list_career_sessions(office) if s.booked]
    for until in (office.clock().date() + 200 * DAY, None):
        office.worker.actions.set_transition(held.pair, until)
        office.run(2 * HOUR)
        (moved,) = [s for s in list_career_sessions(office) if s.booked]
        assert (moved.id, moved.key, moved.count) == (following.id, following.key, 0)
        weeks = (moved.span.start - held.span.end) / WEEK
        # the rhythm is six weeks during a transition, else a quarter
        assert (3 < weeks < 9) if until else (11 <= weeks <= 16)
    updates = [line for line in office.history("event.update") if line["session"] == following.id]
    assert len(updates) == 2
    assert [line for line in office.history("event.cancel") if line["session"] == following.id] == []
    assert office.mails("deferral_notice") == []
    office.close()


def test_an_office_ticks_about_once_a_day(monkeypatch: MonkeyPatch) -> None:
    """Many tests run for years of simulated time, and would be slow with more ticks."""
    office, ticks = Office(), 0
    tick = office.worker.tick

    def count_and_tick() -> NextDue:
        nonlocal ticks
        ticks += 1
        return tick()

    monkeypatch.setattr(type(office.worker), "tick", lambda _: count_and_tick())
    office.run(30 * DAY)
    assert office.session().booked and 15 <= ticks < 45
    office.close()
