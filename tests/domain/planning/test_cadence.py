"""When the next session, review or part of a series is due (T-3, T-9, T-13, R-1, R-5, R-7)."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, WEEK, pair_of, session_of, state_of, utc
from tests.support.stories import Story
from worker.domain.ids import encode_base32
from worker.domain.model import Format, Interval, PairId, Policy, Session, SessionKind, SessionState, Topic
from worker.domain.planning import cadence
from worker.domain.planning.cadence import (
    SessionWindow,
    add_interval,
    choose_interval,
    find_window,
    is_overdue,
    list_review_targets,
    make_next_cycle,
    make_window,
)
from worker.domain.time.worktime import get_local_date

QUARTER, SIX_WEEKS = Interval(weeks=13), Interval(weeks=6)
TWO = (DANA, SAM)


# --- rhythms ---


@pytest.mark.parametrize(
    ("day", "every", "expected"),
    [
        (date(2026, 11, 30), Interval(months=3), date(2027, 2, 28)),
        (date(2027, 11, 30), Interval(months=3), date(2028, 2, 29)),  # a leap day
        (date(2028, 2, 29), Interval(months=12), date(2029, 2, 28)),
        (date(2026, 8, 31), Interval(months=6), date(2027, 2, 28)),
        (date(2026, 12, 15), Interval(months=1), date(2027, 1, 15)),
        (date(2028, 2, 28), Interval(weeks=1), date(2028, 3, 6)),
    ],
)
def test_a_rhythm_in_months_ends_on_the_last_day_of_a_short_month(day: date, every: Interval, expected: date) -> None:
    """R-1: half a year after the 31st of August is the end of February."""
    assert add_interval(day, every) == expected


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(1, 24))
def test_months_lead_into_the_month_so_many_later(day: date, months: int) -> None:
    later = add_interval(day, Interval(months=months))
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or (later + DAY).day == 1


def test_the_window_reaches_from_two_weeks_before_to_three_after() -> None:
    """T-3."""
    window = make_window(date(2026, 9, 28), QUARTER)
    assert window == SessionWindow(utc(2026, 12, 14, 12), utc(2026, 12, 28, 12), utc(2027, 1, 18, 12))


def test_the_window_of_a_short_rhythm_is_narrower() -> None:
    """R-5: a session every six weeks can't be put two weeks early."""
    window = make_window(date(2026, 9, 28), SIX_WEEKS)
    assert window.target == utc(2026, 11, 9, 12)
    assert window.target - window.earliest < 2 * WEEK
    assert window.latest - window.target == 2 * WEEK


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, QUARTER),
        (date(2026, 11, 8), QUARTER),  # six weeks on, the transition would be over
        (date(2026, 11, 9), SIX_WEEKS),
        (date(2027, 6, 1), SIX_WEEKS),
    ],
)
def test_the_rhythm_is_tighter_as_long_as_the_transition_lasts(until: date | None, expected: Interval) -> None:
    """R-5."""
    assert choose_interval(pair_of(transition_until=until), date(2026, 9, 28), Policy()) == expected


def test_a_transition_counts_in_the_company_s_own_rhythm() -> None:
    """R-5: the tighter rhythm is a setting."""
    monthly = Policy(transition_every=Interval(months=1))
    assert choose_interval(pair_of(transition_until=date(2027, 1, 1)), date(2026, 9, 28), monthly) == Interval(months=1)


# --- what the rhythm counts from ---


#: What the planner finds for a session that follows no other; `test_turns` tells how.
TURN = SessionWindow(NOW, NOW + 2 * WEEK, NOW + 5 * WEEK)


def _next_cycle(*sessions: Session, **fields: Any) -> list[Session]:
    return make_next_cycle(sessions, pair_of(**fields), DANA.zone, Policy(), NOW, lambda: TURN)


def _get_window(session: Session) -> SessionWindow:
    return SessionWindow(session.earliest, session.target, session.latest)


@pytest.mark.parametrize("start", [None, date(2020, 1, 1), date(2026, 9, 1), date(2026, 12, 1)])
def test_a_pair_that_never_met_takes_its_turn(start: date | None) -> None:
    """T-3a: the rhythm has nothing to count from, whenever the pair started."""
    (first,) = _next_cycle(start=start)
    assert (_get_window(first), first.in_turn) == (TURN, True)


@pytest.mark.parametrize(("held", "overdue"), [(date(2026, 6, 7), True), (date(2026, 6, 8), False)])
def test_a_pair_that_is_overdue_takes_its_turn(held: date, overdue: bool) -> None:
    """T-3a: once the day that the rhythm gives is over, and not the day before."""
    (following,) = _next_cycle(_held(held))
    assert following.in_turn is overdue
    assert (_get_window(following) == TURN) is overdue


def _held(end_day: date, **fields: Any) -> Session:
    start = utc(end_day.year, end_day.month, end_day.day, 9)
    held = {"state": SessionState.CONTRACTED, "held_at": start + 75 * timedelta(minutes=1), **fields}
    return session_of(start, **held)


def _next_target(*sessions: Session, **fields: Any) -> date:
    return _next_cycle(*sessions, **fields)[0].target.date()


def test_the_rhythm_counts_from_the_last_one_held() -> None:
    """T-3: not from when it was wanted."""
    late = _held(date(2026, 10, 15), target=utc(2026, 9, 28, 12))
    assert _next_target(late) == date(2027, 1, 14)


def test_the_next_counts_from_the_time_that_is_booked_before_it() -> None:
    """T-15: with two ahead, the second follows the first wherever that stands."""
    ahead = session_of(utc(2026, 10, 6, 8), target=utc(2026, 9, 28, 12))
    assert _next_target(ahead) == date(2027, 1, 5)


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (date(2026, 9, 1), date(2026, 9, 30)),
        (date(2026, 9, 9), date(2026, 9, 30)),  # three weeks before
        (date(2026, 9, 10), date(2026, 10, 1)),
        (date(2026, 9, 30), date(2026, 10, 21)),
        (date(2026, 10, 1), date(2026, 9, 30)),  # after it
    ],
)
@pytest.mark.parametrize("state", [SessionState.BOOKED, SessionState.CONTRACTED])
def test_an_ad_hoc_conversation_moves_what_would_follow_within_three_weeks(
    talk: date, expected: date, state: SessionState
) -> None:
    """T-14: to three weeks after it, be it booked or held; it does not re-anchor the rhythm."""
    adhoc = _held(talk, id="c2", adhoc=True, state=state)
    adhoc = replace(adhoc, held_at=None) if adhoc.booked else adhoc
    (following,) = _next_cycle(_held(date(2026, 7, 1)), adhoc)
    assert following.target.date() == expected
    if expected != date(2026, 9, 30):
        assert following.earliest == following.target


def test_what_was_held_out_of_turn_counts() -> None:
    """T-3, T-15: with two ahead, the later may be held first."""
    out_of_turn = _held(date(2026, 9, 1), id="c3", cycle=3)
    second = session_of(utc(2026, 12, 28, 8), id="c2", cycle=2)
    window = find_window(second, [_held(date(2026, 7, 1)), second, out_of_turn], pair_of(), DANA.zone, Policy())
    assert window is not None
    assert window.target.date() == date(2026, 12, 1)


def test_what_was_cancelled_does_not_count() -> None:
    """T-3: a pair that comes back after a pause goes on from what was held."""
    off = session_of(None, id="c2", cycle=2, state=SessionState.CANCELLED, target=utc(2026, 12, 28, 12))
    assert _next_target(_held(date(2026, 7, 1)), off) == date(2026, 9, 30)


def test_cycles_are_numbered_on_and_on() -> None:
    off = session_of(None, id="c2", cycle=2, state=SessionState.CANCELLED)
    assert _next_cycle(_held(date(2026, 7, 1)), off)[0].cycle == 3


# --- series ---


def test_a_series_has_three_parts_five_to_ten_shared_working_days_apart() -> None:
    """T-13, R-4: and only the last asks for a contract."""
    parts = _next_cycle(format=Format.SERIES)
    assert [p.topic for p in parts] == [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    assert [p.asks_contract for p in parts] == [False, False, True]
    assert {p.cycle for p in parts} == {1}
    now, direction, gap = (p.target.date() for p in parts)
    assert (direction - now, gap - direction) == (WEEK, WEEK)


def test_t13_the_parts_of_a_series_count_days_from_monday_to_friday() -> None:
    """Five to ten, whatever the week of the two is, and whether or not there are holidays."""
    now = session_of(utc(2026, 12, 21, 9), topic=Topic.NOW, state=SessionState.HELD, held_at=utc(2026, 12, 21, 10))
    direction = replace(session_of(), topic=Topic.DIRECTION, cycle=1)
    window = find_window(direction, [now], pair_of(format=Format.SERIES), DANA.zone, Policy())
    assert window is not None
    assert get_local_date(DANA.zone, window.earliest) == date(2026, 12, 28)
    assert get_local_date(DANA.zone, window.latest - HOUR) == date(2027, 1, 4)


def test_a_combined_session_asks_for_a_contract() -> None:
    """R-4: one session with the three as phases."""
    one = _next_cycle()
    assert [s.topic for s in one] == [Topic.ALL]
    assert one[0].asks_contract


# --- reviews ---


@pytest.mark.parametrize(
    ("until", "days"),
    [
        (date(2026, 10, 27), []),
        (date(2026, 10, 28), [date(2026, 10, 28)]),
        (date(2026, 12, 14), [date(2026, 10, 28), date(2026, 11, 28)]),
    ],
)
def test_reviews_come_each_month_after_the_contract_was_recorded(until: date, days: list[date]) -> None:
    """T-9, R-7."""
    recorded = utc(2026, 9, 28, 12)
    assert [at.date() for at in list_review_targets(recorded, utc(until.year, until.month, until.day, 13))] == days


# --- ids ---


def test_a_session_s_id_follows_from_what_it_is() -> None:
    """A replay of the same moment makes the same session; another kind, part, pair or moment another."""
    window = SessionWindow(NOW, NOW, NOW)

    def made(
        report: str = "b", kind: SessionKind = SessionKind.CAREER, topic: Topic = Topic.ALL, later: int = 0
    ) -> str:
        return cadence.make_session(
            PairId("a", report), kind, topic, cycle=1, minutes=60, window=window, now=NOW + later * DAY
        ).id

    others = [made("c"), made(kind=SessionKind.REVIEW), made(topic=Topic.GAP), made(later=1)]
    assert made() == made()
    assert len({made(), *others}) == 5


@given(st.integers(0, 2**60))
def test_ids_use_the_alphabet_every_calendar_accepts(number: int) -> None:
    text = encode_base32(number)
    assert int(text, 32) == number
    assert set(text) <= set("0123456789abcdefghijklmnopqrstuv")


# --- through time ---


def test_two_years_of_a_quarterly_rhythm() -> None:
    """R-1, R-3: each session is near its target, and the moment one is held the next is there."""
    story = Story()
    held: list[date] = []
    for _ in range(8):
        story.tick()
        coming = story.next
        story.until(coming.span.end)
        held.append(coming.span.start.date())
        assert story.next.booked
        assert story.next.id != coming.id
    gaps = [(later - earlier).days for earlier, later in pairwise(held)]
    assert all(91 - 14 <= gap <= 91 + 21 for gap in gaps)


def test_a_monthly_rhythm_over_the_end_of_months() -> None:
    """R-1: from the 31st of January on, in months."""
    pair = pair_of(every=Interval(months=3))
    story = Story(state=state_of(_held(date(2027, 11, 30)), pair=pair), now=utc(2028, 1, 3, 5))
    story.tick()
    assert story.next.target == utc(2028, 2, 29, 12)


def test_a_later_part_is_never_overdue() -> None:
    """T-13, T-3a: it is counted from the part before; only the first part of a series takes a turn."""
    window = SessionWindow(NOW - 7 * DAY, NOW - DAY, NOW + DAY)
    for topic in Topic:
        session = replace(session_of(), topic=topic)
        assert is_overdue(session, target=window.target, now=NOW) is (topic in (Topic.NOW, Topic.ALL))
    now, direction, gap = _next_cycle(_held(date(2026, 1, 5)), format=Format.SERIES)
    assert (now.in_turn, direction.in_turn, gap.in_turn) == (True, False, False)
    assert (now.target, direction.target.date(), gap.target.date()) == (
        TURN.target,
        date(2026, 9, 28),
        date(2026, 10, 5),
    )
