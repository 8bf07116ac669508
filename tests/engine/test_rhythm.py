"""The rhythm, on the database: what was held long ago and is closed still counts for the next one (T-3, T-15)."""

from datetime import date, timedelta

from pytest import MonkeyPatch

from tests.support.companies import DANA, DAY, HOUR, WEEK, Office, pair, settings
from tests.support.pairs import utc
from worker.domain.model import Session, SessionKind, SessionState, ShowAs, Span
from worker.store.store import NextDue


def careers(office: Office) -> list[Session]:
    found = [
        s
        for s in office.store.queries.list_sessions()
        if s.kind is SessionKind.CAREER and s.state is not SessionState.CANCELLED
    ]
    return sorted(found, key=lambda s: s.span.start if s.start else s.target)


def test_two_ahead_stay_where_they_are() -> None:
    """T-15: half a year on the calendar, and nothing of it moves when the first is closed."""
    office = Office(known=settings(rules={"ahead": 2}))
    office.tick()
    first, second = careers(office)
    office.run_to(first.span.end + 40 * DAY)
    after = careers(office)
    assert [s.id for s in after[:2]] == [first.id, second.id]
    assert after[0].is_closed
    assert after[1].span == second.span
    assert after[2].target.date() == second.span.end.date() + 91 * DAY
    office.close()


def test_the_next_one_stays_while_one_that_was_not_held_has_no_time() -> None:
    """T-3, T-10: the session was put off far from its target; told that it was not held, the next one keeps its
    time, which lies in its window once the new time stands."""
    office = Office()
    office.tick()
    (first,) = careers(office)
    away = Span(office.clock(), first.target + 8 * WEEK)
    office.calendar.add(DANA, away, show=ShowAs.AWAY)
    office.run(HOUR)
    held = office.hold()
    office.run(DAY)
    assert held.id == first.id
    assert held.span.start > away.end
    (following,) = [s for s in careers(office) if s.booked]
    office.worker.actions.record_not_held(held.id)
    office.run(HOUR)
    changes = [line for line in office.history("event.update") if line["session"] == following.id]
    assert changes == []
    (again,) = [s for s in careers(office) if s.id == held.id]
    assert again.booked
    office.close()


def test_coming_back_from_pauses_the_rhythm_goes_on() -> None:
    """T-3, T-4: three pauses later the next one still counts from the one that was held."""
    office = Office()
    office.tick()
    (first,) = careers(office)
    office.run_to(first.span.end + 20 * DAY)
    for _ in range(3):
        rest(office, True)
        rest(office, False)
    (following,) = [s for s in careers(office) if s.booked]
    assert following.target.date() == first.span.end.date() + timedelta(weeks=13)
    assert following.target.date() > date(2026, 12, 1)
    office.close()


def rest(office: Office, paused: bool) -> None:
    """The people file says that the pair rests, or does not; a day passes."""
    (one,) = office.pairs.values()
    office.store.people.set_paused(one.id, is_paused=paused, now=office.clock())
    office.run(DAY)


def test_a_pause_ends_by_itself_on_its_day() -> None:
    """T-18: nobody has to change the people file, and the pair meets again."""
    listed = pair(paused=True, paused_until=date(2026, 10, 5))
    office = Office(listed={listed.id: listed})
    office.tick()
    assert careers(office) == []
    office.store.people.end_pauses(utc(2026, 10, 4, 23))
    assert office.store.people.load_all_pairs()[listed.id].paused
    office.run_to(utc(2026, 10, 5, 1))
    office.store.people.end_pauses(office.clock())
    office.run(HOUR)
    (session,) = careers(office)
    assert session.booked
    office.store.people.set_paused(listed.id, is_paused=True, now=office.clock())
    office.store.people.end_pauses(office.clock() + 400 * DAY)
    assert office.store.people.load_all_pairs()[listed.id].paused, "the operator's pause goes on"
    office.close()


def test_a_transition_moves_the_next_session_by_a_calendar_update() -> None:
    """T-18, R-5: once, without a count, and back again."""
    office = Office()
    office.tick()
    held = office.hold()
    office.run(HOUR)
    (following,) = [s for s in careers(office) if s.booked]
    for until in (office.clock().date() + 200 * DAY, None):
        office.worker.actions.set_transition(held.pair, until)
        office.run(2 * HOUR)
        (moved,) = [s for s in careers(office) if s.booked]
        assert (moved.id, moved.key, moved.count) == (following.id, following.key, 0)
        weeks = (moved.span.start - held.span.end) / WEEK
        assert (3 < weeks < 9) if until else (11 <= weeks <= 16)
    updates = [line for line in office.history("event.update") if line["session"] == following.id]
    assert len(updates) == 2
    assert [line for line in office.history("event.cancel") if line["session"] == following.id] == []
    assert office.mails("deferral_notice") == []
    office.close()


def test_a_company_of_the_tests_ticks_about_once_a_day(monkeypatch: MonkeyPatch) -> None:
    """Whatever may be read more often near a session: the tests live through years of it."""
    office, ticks = Office(), 0
    tick = office.worker.tick

    def count() -> NextDue:
        nonlocal ticks
        ticks += 1
        return tick()

    monkeypatch.setattr(type(office.worker), "tick", lambda _: count())
    office.run(30 * DAY)
    assert office.session().booked and 15 <= ticks < 45
    office.close()
