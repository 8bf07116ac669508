"""The rhythm, on the database: what was held long ago and is closed still counts for the next one (T-3, T-15)."""

from datetime import date, timedelta

from tests.support.companies import DAY, Office, settings
from worker.domain.model import Session, SessionKind, SessionState


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
