"""Windows and targets of sessions, reviews and parts of a series.

R-1 and T-3: the rhythm counts from the last session that was held. T-3a: the first session of a pair, and an overdue
one, take a turn. R-5: a transition shortens the rhythm. R-7 and T-9 are about reviews, R-4 and T-13 about series, T-14
about ad hoc sessions, T-15 about sessions booked ahead. The usual rhythm is 13 weeks; targets are at noon, in UTC.
"""

from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, WEEK, pair_of, session_of, state_of, utc
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


# --- rhythms ---


@pytest.mark.parametrize(
    ("day", "interval", "expected"),
    [
        (date(2026, 11, 30), Interval(months=3), date(2027, 2, 28)),
        (date(2027, 11, 30), Interval(months=3), date(2028, 2, 29)),  # a leap day
        (date(2028, 2, 29), Interval(months=12), date(2029, 2, 28)),
        (date(2026, 8, 31), Interval(months=6), date(2027, 2, 28)),
        (date(2026, 12, 15), Interval(months=1), date(2027, 1, 15)),
        (date(2028, 2, 28), Interval(weeks=1), date(2028, 3, 6)),
    ],
)
def test_a_rhythm_in_months_ends_on_the_last_day_of_a_short_month(
    day: date, interval: Interval, expected: date
) -> None:
    """R-1: six months after 31 August is the last day of February."""
    assert add_interval(day, interval) == expected


@given(st.dates(date(2020, 1, 1), date(2090, 1, 1)), st.integers(1, 24))
def test_interval_of_months_ends_on_the_same_day_or_the_last_of_the_month(day: date, months: int) -> None:
    end = add_interval(day, Interval(months=months))
    assert (end.year - day.year) * 12 + end.month - day.month == months
    assert end.day == day.day or (end + DAY).day == 1


def test_window_is_two_weeks_before_the_target_to_three_after_it() -> None:
    """T-3: the target is 13 weeks after the session before."""
    window = make_window(date(2026, 9, 28), QUARTER)
    assert window == SessionWindow(utc(2026, 12, 14, 12), utc(2026, 12, 28, 12), utc(2027, 1, 18, 12))


def test_the_window_of_a_short_rhythm_is_narrower() -> None:
    """R-5: a rhythm of six weeks leaves no two weeks before the target."""
    window = make_window(date(2026, 9, 28), SIX_WEEKS)
    assert window.target == utc(2026, 11, 9, 12)
    assert window.target - window.earliest < 2 * WEEK
    assert window.latest - window.target == 2 * WEEK


@pytest.mark.parametrize(
    ("transition_until", "expected_interval"),
    [
        (None, QUARTER),
        (date(2026, 11, 8), QUARTER),  # in six weeks the transition is over
        (date(2026, 11, 9), SIX_WEEKS),
        (date(2027, 6, 1), SIX_WEEKS),
    ],
)
def test_a_transition_shortens_the_rhythm_until_it_ends(
    transition_until: date | None, expected_interval: Interval
) -> None:
    """R-5: the shorter rhythm counts if the transition lasts until the target that it gives."""
    assert choose_interval(pair_of(transition_until=transition_until), date(2026, 9, 28), Policy()) == expected_interval


def test_transition_uses_the_interval_of_the_policy() -> None:
    """R-5: the company sets the interval."""
    monthly_policy = Policy(transition_every=Interval(months=1))
    assert choose_interval(pair_of(transition_until=date(2027, 1, 1)), date(2026, 9, 28), monthly_policy) == Interval(
        months=1
    )


# --- anchors ---

#: The window of a session that takes a turn. The planner finds it; `test_turns` tests how.
TURN_WINDOW = SessionWindow(NOW, NOW + 2 * WEEK, NOW + 5 * WEEK)


def _make_next_cycle(*sessions: Session, **fields: Any) -> list[Session]:
    """Return the sessions of the cycle after these sessions."""
    return make_next_cycle(sessions, pair_of(**fields), DANA.zone, Policy(), NOW, lambda: TURN_WINDOW)


def _get_window(session: Session) -> SessionWindow:
    return SessionWindow(session.earliest, session.target, session.latest)


@pytest.mark.parametrize("start", [None, date(2020, 1, 1), date(2026, 9, 1), date(2026, 12, 1)])
def test_first_session_of_a_pair_takes_a_turn(start: date | None) -> None:
    """T-3a: the rhythm has no anchor yet, on whatever day the pair starts."""
    (first,) = _make_next_cycle(start=start)
    assert (_get_window(first), first.in_turn) == (TURN_WINDOW, True)


@pytest.mark.parametrize(("held_on", "is_overdue_now"), [(date(2026, 6, 7), True), (date(2026, 6, 8), False)])
def test_overdue_session_takes_a_turn(held_on: date, is_overdue_now: bool) -> None:
    """T-3a: a session is overdue when the day of its target is over. Today is 13 weeks after 8 June."""
    (next_session,) = _make_next_cycle(_make_held_session(held_on))
    assert next_session.in_turn is is_overdue_now
    assert (_get_window(next_session) == TURN_WINDOW) is is_overdue_now


def _make_held_session(end_day: date, **fields: Any) -> Session:
    """A session that ended on that day and has a contract."""
    start = utc(end_day.year, end_day.month, end_day.day, 9)
    defaults = {"state": SessionState.CONTRACTED, "held_at": start + 75 * MINUTE, **fields}
    return session_of(start, **defaults)


def _get_next_target(*sessions: Session, **fields: Any) -> date:
    """Return the day of the target of the next session."""
    return _make_next_cycle(*sessions, **fields)[0].target.date()


def test_rhythm_counts_from_the_last_held_session() -> None:
    """T-3: it does not count from the target of that session."""
    late_session = _make_held_session(date(2026, 10, 15), target=utc(2026, 9, 28, 12))
    assert _get_next_target(late_session) == date(2027, 1, 14)


def test_second_session_ahead_counts_from_the_booked_session_before_it() -> None:
    """T-15: it does not count from the target of that session."""
    booked_session = session_of(utc(2026, 10, 6, 8), target=utc(2026, 9, 28, 12))
    assert _get_next_target(booked_session) == date(2027, 1, 5)


@pytest.mark.parametrize(
    ("adhoc_on", "expected_target"),
    [
        (date(2026, 9, 1), date(2026, 9, 30)),
        (date(2026, 9, 9), date(2026, 9, 30)),  # exactly three weeks before the target
        (date(2026, 9, 10), date(2026, 10, 1)),
        (date(2026, 9, 30), date(2026, 10, 21)),
        (date(2026, 10, 1), date(2026, 9, 30)),  # after the target
    ],
)
@pytest.mark.parametrize("state", [SessionState.BOOKED, SessionState.CONTRACTED])
def test_ad_hoc_session_moves_a_target_less_than_three_weeks_after_it(
    adhoc_on: date, expected_target: date, state: SessionState
) -> None:
    """T-14: the target moves to three weeks after an ad hoc session that is booked or held.

    The rhythm does not count from the ad hoc session: it gives 30 September, 13 weeks after 1 July.
    """
    adhoc = _make_held_session(adhoc_on, id="c2", adhoc=True, state=state)
    adhoc = replace(adhoc, held_at=None) if adhoc.booked else adhoc
    (next_session,) = _make_next_cycle(_make_held_session(date(2026, 7, 1)), adhoc)
    assert next_session.target.date() == expected_target
    was_moved = expected_target != date(2026, 9, 30)
    if was_moved:
        assert next_session.earliest == next_session.target


def test_rhythm_counts_from_a_later_session_that_was_held_first() -> None:
    """T-3, T-15: with two sessions ahead, the later one may be held first."""
    third = _make_held_session(date(2026, 9, 1), id="c3", cycle=3)
    second = session_of(utc(2026, 12, 28, 8), id="c2", cycle=2)
    window = find_window(second, [_make_held_session(date(2026, 7, 1)), second, third], pair_of(), DANA.zone, Policy())
    assert window is not None
    assert window.target.date() == date(2026, 12, 1)  # 13 weeks after 1 September


def test_cancelled_session_is_no_anchor() -> None:
    """T-3: after a pause, the rhythm of a pair counts from the last held session."""
    cancelled_session = session_of(None, id="c2", cycle=2, state=SessionState.CANCELLED, target=utc(2026, 12, 28, 12))
    assert _get_next_target(_make_held_session(date(2026, 7, 1)), cancelled_session) == date(2026, 9, 30)


def test_cycle_after_a_cancelled_one_has_the_next_number() -> None:
    cancelled_session = session_of(None, id="c2", cycle=2, state=SessionState.CANCELLED)
    assert _make_next_cycle(_make_held_session(date(2026, 7, 1)), cancelled_session)[0].cycle == 3


# --- series ---


def test_a_series_has_three_parts_with_targets_a_week_apart() -> None:
    """T-13, R-4: only the last part asks for a contract."""
    parts = _make_next_cycle(format=Format.SERIES)
    assert [part.topic for part in parts] == [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    assert [part.asks_contract for part in parts] == [False, False, True]
    assert {part.cycle for part in parts} == {1}
    now, direction, gap = (part.target.date() for part in parts)
    assert (direction - now, gap - direction) == (WEEK, WEEK)


def test_t13_window_between_parts_counts_days_from_monday_to_friday() -> None:
    """Five to ten such days, whichever days the two work, holidays included."""
    now = session_of(utc(2026, 12, 21, 9), topic=Topic.NOW, state=SessionState.HELD, held_at=utc(2026, 12, 21, 10))
    direction = replace(session_of(), topic=Topic.DIRECTION, cycle=1)
    window = find_window(direction, [now], pair_of(format=Format.SERIES), DANA.zone, Policy())
    assert window is not None
    assert get_local_date(DANA.zone, window.earliest) == date(2026, 12, 28)
    assert get_local_date(DANA.zone, window.latest - HOUR) == date(2027, 1, 4)


def test_a_combined_session_asks_for_a_contract() -> None:
    """R-4: one session has the three topics as phases."""
    sessions = _make_next_cycle()
    assert [s.topic for s in sessions] == [Topic.ALL]
    assert sessions[0].asks_contract


# --- reviews ---


@pytest.mark.parametrize(
    ("last_day", "days"),
    [
        (date(2026, 10, 27), []),
        (date(2026, 10, 28), [date(2026, 10, 28)]),
        (date(2026, 12, 14), [date(2026, 10, 28), date(2026, 11, 28)]),
    ],
)
def test_reviews_are_due_each_month_after_the_contract(last_day: date, days: list[date]) -> None:
    """They end with the last day that is given (T-9, R-7)."""
    recorded_at = utc(2026, 9, 28, 12)
    assert [
        target.date()
        for target in list_review_targets(recorded_at, utc(last_day.year, last_day.month, last_day.day, 13))
    ] == days


# --- ids ---


def test_session_id_depends_on_pair_kind_topic_and_moment() -> None:
    """Planning the same moment again gives the same id; another kind, part, pair or moment gives another."""
    window = SessionWindow(NOW, NOW, NOW)

    def make_id(
        report: str = "b", kind: SessionKind = SessionKind.CAREER, topic: Topic = Topic.ALL, days_later: int = 0
    ) -> str:
        return cadence.make_session(
            PairId("a", report), kind, topic, cycle=1, minutes=60, window=window, now=NOW + days_later * DAY
        ).id

    other_ids = [make_id("c"), make_id(kind=SessionKind.REVIEW), make_id(topic=Topic.GAP), make_id(days_later=1)]
    assert make_id() == make_id()
    assert len({make_id(), *other_ids}) == 5


@given(st.integers(0, 2**60))
def test_ids_use_the_alphabet_that_each_calendar_service_accepts(number: int) -> None:
    encoded = encode_base32(number)
    assert int(encoded, 32) == number
    assert set(encoded) <= set("0123456789abcdefghijklmnopqrstuv")


# --- over a longer time ---


def test_a_quarterly_rhythm_keeps_each_session_near_its_target() -> None:
    """R-1, R-3: each session is near its target, and the next one is booked when a session is held."""
    story = Story()
    held_days: list[date] = []
    for _ in range(8):
        story.tick()
        session = story.next
        story.until(session.span.end)
        held_days.append(session.span.start.date())
        assert story.next.booked
        assert story.next.id != session.id
    days_between = [(later - earlier).days for earlier, later in pairwise(held_days)]
    # 13 weeks, with a window from two weeks before to three weeks after
    assert all(91 - 14 <= days <= 91 + 21 for days in days_between)


def test_target_of_a_rhythm_in_months_is_the_last_day_of_february() -> None:
    """R-1: three months after 30 November of the year before a leap year."""
    pair = pair_of(every=Interval(months=3))
    story = Story(state=state_of(_make_held_session(date(2027, 11, 30)), pair=pair), now=utc(2028, 1, 3, 5))
    story.tick()
    assert story.next.target == utc(2028, 2, 29, 12)


def test_only_the_first_part_of_a_series_takes_a_turn() -> None:
    """T-13, T-3a: the later parts are never overdue, because they count from the part before."""
    window = SessionWindow(NOW - 7 * DAY, NOW - DAY, NOW + DAY)
    for topic in Topic:
        session = replace(session_of(), topic=topic)
        assert is_overdue(session, target=window.target, now=NOW) is (topic in (Topic.NOW, Topic.ALL))
    now, direction, gap = _make_next_cycle(_make_held_session(date(2026, 1, 5)), format=Format.SERIES)
    assert (now.in_turn, direction.in_turn, gap.in_turn) == (True, False, False)
    assert (now.target, direction.target.date(), gap.target.date()) == (
        TURN_WINDOW.target,
        date(2026, 9, 28),
        date(2026, 10, 5),
    )
