"""Tests of the turns in which a manager's pairs meet that have never met or are overdue (T-3a).

The rhythm is 13 weeks if nothing else is given. T-3: the target of any other session follows from the rhythm.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.support.pairs import DANA, DAY, NOW, SAM, WEEK, pair_of, person, session_of, state_of, utc
from tests.support.stories import DEFAULT_POLICY, Story
from worker.domain.model import (
    Format,
    Interval,
    Pair,
    PairState,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Span,
    TakenTime,
    WaitingPair,
)
from worker.domain.planning.cadence import add_interval
from worker.domain.planning.turns import (
    Turn,
    find_earliest_contact,
    find_turn,
    has_recent_start,
    list_turns,
    make_turn_window,
)

TODAY = NOW.date()
QUARTER = Interval(weeks=13)


def make_pair_of(name: str, **fields: Any) -> Pair:
    """Return the pair of Dana and the report with this name."""
    return pair_of(report=person(name), **fields)


def list_target_days(count: int, policy: Policy = DEFAULT_POLICY, **fields: Any) -> list[int]:
    """Return in how many days the target of each of so many waiting pairs is."""
    turns = [Turn(number=number, count=count) for number in range(count)]
    windows = [make_turn_window(pair_of(**fields), turn, DANA.zone, NOW, policy) for turn in turns]
    return [(window.target.date() - TODAY).days for window in windows]


# --- turns ---


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [14]),
        (2, [14, 28]),
        (8, [14, 23, 33, 42, 52, 62, 71, 81]),
        (15, [14, 19, 24, 29, 34, 39, 44, 49, 55, 60, 65, 70, 75, 80, 85]),
    ],
)
def test_targets_of_turns_are_spread_evenly(count: int, expected: list[int]) -> None:
    """The first target is in two weeks; all pairs share the rest of the rhythm (T-3a)."""
    assert list_target_days(count) == expected


@pytest.mark.parametrize("count", range(1, 40))
def test_targets_of_turns_begin_in_two_weeks_and_lie_within_a_rhythm(count: int) -> None:
    """Each target is at most two weeks after the one before (T-3a)."""
    targets = list_target_days(count)
    assert targets[0] == 14
    assert all(0 < target - target_before <= 14 for target_before, target in pairwise(targets))
    assert targets[-1] < 13 * 7


@pytest.mark.parametrize(
    ("every", "expected"),
    [(Interval(weeks=6), [14, 21, 28, 35]), (Interval(months=6), [14, 28, 42, 56]), (Interval(weeks=2), [14] * 4)],
)
def test_targets_are_spread_over_a_rhythm_and_at_most_a_quarter(every: Interval, expected: list[int]) -> None:
    """A short rhythm brings the targets closer together; two targets are never more than two weeks apart (T-3a)."""
    assert list_target_days(4, every=every) == expected
    targets = list_target_days(20, every=Interval(months=6))
    assert targets[-1] < count_days(QUARTER)


def count_days(every: Interval) -> int:
    """Return the length of the interval in days from today on."""
    return (add_interval(TODAY, every) - TODAY).days


def test_policy_sets_the_spread_of_targets() -> None:
    """`first_spread` may be longer or shorter than the rhythm (T-3a)."""
    assert list_target_days(4, Policy(first_spread=Interval(weeks=4))) == [14, 17, 21, 24]
    # The first target is in two weeks; the 26 pairs share the other 24 weeks, so the last one is 25 steps later.
    assert list_target_days(26, Policy(first_spread=Interval(weeks=26)))[-1] == 14 + int(25 * 24 * 7 / 26)
    assert list_target_days(3, Policy(first_spread=Interval(weeks=1))) == [14, 14, 14]


def test_window_surrounds_the_target_and_begins_now_at_the_earliest() -> None:
    """The margins are those of any regular session; a short rhythm has narrower ones (T-3, T-3a)."""
    last = make_turn_window(pair_of(), Turn(number=7, count=8), DANA.zone, NOW, Policy())
    assert (last.target - last.earliest, last.latest - last.target) == (2 * WEEK, 3 * WEEK)
    first = make_turn_window(pair_of(), Turn(number=0, count=8), DANA.zone, NOW, Policy())
    assert first.earliest == max(NOW, first.target - 2 * WEEK)
    short = make_turn_window(pair_of(every=Interval(weeks=6)), Turn(), DANA.zone, NOW, Policy())
    assert (short.target - short.earliest, short.latest - short.target) == (1.5 * WEEK, 2 * WEEK)


# --- the order of turns ---


def test_turns_are_ordered_by_transition_then_by_waiting_time_then_by_address() -> None:
    """A conversation with another manager ends the wait, and a transition that is over does not count (T-3a)."""
    until = TODAY + 10 * WEEK
    expected = [
        WaitingPair(make_pair_of("Zoe", transition_until=until), held_at=None, talked_at=NOW - 20 * WEEK),
        WaitingPair(make_pair_of("Noah")),
        WaitingPair(make_pair_of("Olga", transition_until=TODAY - DAY)),
        WaitingPair(make_pair_of("Mia"), held_at=None, talked_at=NOW - 30 * WEEK),  # the report met another manager
        WaitingPair(make_pair_of("Liam"), held_at=NOW - 20 * WEEK, talked_at=NOW - 20 * WEEK),
        WaitingPair(make_pair_of("Ada"), held_at=NOW - 20 * WEEK, talked_at=NOW - 2 * WEEK),
    ]
    for waiting in (expected, expected[::-1]):
        turns = [find_turn(entry.pair, waiting, NOW, Policy()) for entry in expected]
        assert turns == [Turn(number=number, count=6) for number in range(6)]
        assert list_turns(waiting, NOW, Policy()) == {
            entry.pair.id: turn for entry, turn in zip(expected, turns, strict=True)
        }


def test_only_pairs_that_never_met_or_are_overdue_have_a_turn() -> None:
    """A pair with a recent start and a pair within its rhythm take no turn from the others (T-3a)."""
    entry = WaitingPair(make_pair_of("Zoe"))
    others = [
        WaitingPair(make_pair_of("Ada", start=TODAY + 4 * WEEK)),
        WaitingPair(make_pair_of("Ben", start=TODAY - 4 * WEEK)),
        WaitingPair(make_pair_of("Cem"), held_at=NOW - 13 * WEEK),  # due today, which is not overdue
        WaitingPair(make_pair_of("Dua", every=Interval(months=6)), held_at=NOW - 14 * WEEK),
    ]
    assert find_turn(entry.pair, [*others, entry], NOW, Policy()) == Turn(number=0, count=1)
    assert list_turns([*others, entry], NOW, Policy()) == {entry.pair.id: Turn(number=0, count=1)}
    waiting = [
        WaitingPair(make_pair_of("Ada", start=TODAY - 5 * WEEK)),
        WaitingPair(make_pair_of("Cem"), held_at=NOW - 13 * WEEK - DAY, talked_at=NOW - 13 * WEEK - DAY),
    ]
    assert find_turn(entry.pair, [*waiting, entry], NOW, Policy()) == Turn(number=1, count=3)


def test_pair_missing_from_the_waiting_pairs_has_the_first_turn() -> None:
    """Such a pair counts as the only one that waits (T-3a)."""
    assert find_turn(pair_of(), [], NOW, Policy()) == Turn(number=0, count=1)


# --- pairs with a recent start ---


@pytest.mark.parametrize(
    ("start", "first_seen", "today", "expected"),
    [
        (None, TODAY, TODAY, False),
        (TODAY + 30 * WEEK, TODAY, TODAY, True),
        (TODAY, TODAY, TODAY, True),
        (TODAY - 5 * WEEK + DAY, TODAY, TODAY, True),
        (TODAY - 5 * WEEK, TODAY, TODAY, False),  # an old start is a hire date
        (date(2020, 1, 1), TODAY, TODAY, False),
        (TODAY + WEEK, TODAY, TODAY + 5 * WEEK, True),
        (TODAY + WEEK, TODAY, TODAY + 6 * WEEK, False),  # its five weeks are over
    ],
)
def test_start_is_recent_until_five_weeks_after_it(
    start: date | None, first_seen: date, today: date, expected: bool
) -> None:
    """The start also has to be less than five weeks before the pair was first seen (T-3a)."""
    assert has_recent_start(pair_of(start=start, first_seen=first_seen), today) is expected


def test_pair_with_a_recent_start_meets_two_to_five_weeks_after_it() -> None:
    """The turn of the pair does not matter. The window begins and ends at midnight in the manager's zone (T-3a).

    In winter, Berlin is one hour ahead of UTC.
    """
    pair = pair_of(start=date(2026, 11, 2))
    for turn in (Turn(), Turn(number=5, count=9)):
        window = make_turn_window(pair, turn, DANA.zone, NOW, Policy())
        assert (window.earliest, window.latest) == (utc(2026, 11, 15, 23), utc(2026, 12, 6, 23))
        assert window.target == window.earliest + WEEK


def test_nothing_is_planned_until_seven_days_before_the_start() -> None:
    """From midnight in Berlin of that day on, the first session is booked (T-3a, T-4)."""
    start = date(2026, 12, 7)
    story = Story(pair_of(start=start))
    earliest_contact = find_earliest_contact(story.pair, DANA.zone)
    assert earliest_contact == utc(2026, 11, 29, 23)
    story.tick()
    story.until(earliest_contact - DAY)
    assert (story.state.sessions, story.state.effects, story.decisions) == ((), (), [])
    story.until(earliest_contact)
    assert story.next.booked and story.placed_event(story.next)
    assert date(2026, 12, 21) <= story.next.span.start.date() < date(2027, 1, 11)
    assert min(effect.due_at for effect in story.state.effects) >= earliest_contact


@pytest.mark.parametrize("days_since_start", [0, 1, 10, 20, 30, 34])
def test_pair_with_a_recent_start_meets_within_five_weeks_of_it(days_since_start: int) -> None:
    """The session is at least two weeks after the start and two weekdays from now (T-3a)."""
    story = Story(pair_of(start=TODAY - days_since_start * DAY))
    story.tick()
    soonest = TODAY + 2 * DAY
    first, last = (max(soonest, TODAY + (days - days_since_start) * DAY) for days in (14, 35))
    assert first <= story.next.span.start.date() <= last
    (reason,) = [decision.reason for decision in story.decisions if decision.what == "session"]
    # only the last of these starts leaves no working day of the window (T-4)
    assert ("after its window" in reason) is (days_since_start == 34)


@pytest.mark.parametrize("start", [None, TODAY - 5 * WEEK, date(2020, 1, 1)])
def test_only_pair_with_an_old_start_meets_in_two_weeks(start: date | None) -> None:
    """An old start has no effect (T-3a)."""
    story = Story(pair_of(start=start))
    story.tick()
    assert story.next.target == utc(2026, 9, 21, 12)
    assert story.next.span.start.date() == date(2026, 9, 21)


@pytest.mark.parametrize("old_start", [None, TODAY + WEEK])
def test_postponed_start_moves_the_first_session(old_start: date | None) -> None:
    """The same event moves once to a time after the new start, and nothing counts as a deferral (T-3a, T-18)."""
    story = Story(pair_of(start=old_start))
    story.tick()
    session = story.next
    story.change(start=TODAY + 10 * WEEK)
    assert TODAY + 12 * WEEK <= story.next.span.start.date() <= TODAY + 15 * WEEK
    assert (story.next.id, story.next.key, story.next.count) == (session.id, session.key, 0)
    assert [placed.span for placed in story.our_events()] == [story.next.span]


def test_deferred_first_session_is_never_before_the_start() -> None:
    """The session is declined four times (T-3a, T-10)."""
    story = Story(pair_of(start=TODAY + 6 * DAY))
    story.tick()
    for _ in range(4):
        story.decline(story.next)
        assert story.next.booked
        assert story.next.span.start.date() >= TODAY + 6 * DAY


# --- all pairs of one manager ---


@dataclass
class Team:
    """All pairs of one manager, which are planned one after the other, as the sweep does.

    Each pair is planned with the times that the pairs before it have taken.
    """

    pairs: Sequence[Pair]
    held: dict[str, datetime] = field(default_factory=dict)  #: the end of each report's last session, by address
    taken: list[TakenTime] = field(default_factory=list)

    def book(self, pair: Pair, busy: Span | None = None) -> Session:
        """Book and return the pair's first session, which must have a turn; `busy` is busy time of the manager."""
        waiting = tuple(
            WaitingPair(other, held_at=self.held.get(other.report), talked_at=self.held.get(other.report))
            for other in self.pairs
        )
        story = Story(state=self._make_state(pair, waiting))
        story.calendars.taken[DANA.email] = tuple(self.taken)
        if busy:
            story.calendars.book(DANA, busy.start, busy.end)
        story.tick()
        session = story.next
        assert session.booked and session.in_turn
        self.taken.append(TakenTime(session.span, session.id, session.kind, pair.id, session.in_turn))
        return session

    def _make_state(self, pair: Pair, waiting: tuple[WaitingPair, ...]) -> PairState:
        report = person(pair.report.partition("@")[0].title())
        held_at = self.held.get(pair.report)
        past_sessions = [replace(make_past_session(held_at), pair=pair.id)] if held_at else []
        return state_of(*past_sessions, pair=pair, report=report, waiting_pairs=waiting)


def make_past_session(end: datetime) -> Session:
    return session_of(end - timedelta(minutes=75), id="c0", state=SessionState.CONTRACTED, held_at=end)


def make_pairs(count: int, **fields: Any) -> list[Pair]:
    return [make_pair_of(f"R{number:02}", **fields) for number in range(count)]


def count_sessions_by_week(sessions: Sequence[Session]) -> Counter[tuple[int, int]]:
    return Counter(session.span.start.isocalendar()[:2] for session in sessions)


@pytest.mark.parametrize("count", [1, 2, 8, 15])
def test_all_pairs_meet_near_their_turns_within_a_rhythm(count: int) -> None:
    """Each session is near its target, and no week has more than two first sessions (T-3a)."""
    pairs = make_pairs(count)
    team = Team(pairs)
    sessions = [team.book(pair) for pair in pairs]
    assert [(s.target.date() - TODAY).days for s in sessions] == list_target_days(count)
    assert all(abs(s.span.start - s.target) < WEEK for s in sessions)
    assert max(count_sessions_by_week(sessions).values()) <= 2
    assert max(s.span.start for s in sessions) < NOW + 13 * WEEK


def test_limit_of_two_first_sessions_a_week_overrides_the_windows() -> None:
    """The windows of thirty pairs with a monthly rhythm span six weeks, but thirty sessions need fifteen (T-3a)."""
    pairs = make_pairs(30, every=Interval(weeks=4))
    team = Team(pairs)
    sessions_by_week = count_sessions_by_week([team.book(pair) for pair in pairs])
    assert set(sessions_by_week.values()) == {2}
    assert len(sessions_by_week) == 15


def test_pairs_with_the_same_start_share_the_limit_of_two_a_week() -> None:
    """The limit also includes the first session of a pair without a recent start (T-3a)."""
    pairs = [*make_pairs(4, start=TODAY), make_pair_of("Zoe")]
    team = Team(pairs)
    sessions = [team.book(pair) for pair in pairs[::-1]]
    assert max(count_sessions_by_week(sessions).values()) == 2
    assert all(TODAY + 2 * WEEK <= s.span.start.date() < TODAY + 5 * WEEK for s in sessions[1:])


@pytest.mark.parametrize(("in_turn", "expected"), [(True, date(2026, 9, 28)), (False, date(2026, 9, 23))])
def test_only_first_sessions_fill_a_week(in_turn: bool, expected: date) -> None:
    """Two first sessions fill the week, so the pair meets in the next one; two other sessions leave room (T-3a)."""
    spans = [Span(start, start + timedelta(minutes=75)) for start in (utc(2026, 9, 21, 8), utc(2026, 9, 22, 8))]
    taken_times = [TakenTime(span, f"c{n}", SessionKind.CAREER, None, in_turn) for n, span in enumerate(spans)]
    session = Team([pair_of()], taken=taken_times).book(pair_of(), Span(NOW, spans[0].start))
    assert session.span.start.date() == expected


def test_overdue_pairs_have_turns_after_a_pause() -> None:
    """The pair whose last session is longest ago has the first turn (T-3a)."""
    pairs = make_pairs(3)
    ends = [NOW - 20 * WEEK, NOW - 40 * WEEK, NOW - 30 * WEEK]
    team = Team(pairs, {pair.report: end for pair, end in zip(pairs, ends, strict=True)})
    targets = [(team.book(pair).target.date() - TODAY).days for pair in pairs]
    assert targets == [42, 14, 28]


def test_session_that_is_not_overdue_has_no_turn() -> None:
    """Its target follows from the rhythm (T-3, T-3a)."""
    story = Story(state=state_of(make_past_session(NOW - 10 * WEEK)))
    story.tick()
    assert not story.next.in_turn
    assert story.next.target.date() == TODAY + 3 * WEEK


def test_booked_session_stays_when_the_order_of_turns_changes() -> None:
    """Turns are only for sessions without a time (T-3a)."""
    story = Story(pair_of())
    story.tick()
    session = story.next
    other_pairs = tuple(WaitingPair(make_pair_of(name)) for name in ("Ada", "Ben"))
    story.state = replace(story.state, waiting_pairs=(*other_pairs, WaitingPair(story.pair)))
    story.recheck_free_busy()
    assert story.next == session


def test_only_the_first_part_of_a_series_has_a_turn() -> None:
    """The other parts follow five to ten working days apart (T-3a, T-13)."""
    story = Story(pair_of(format=Format.SERIES))
    story.state = replace(story.state, waiting_pairs=(WaitingPair(make_pair_of("Ada")), WaitingPair(story.pair)))
    story.tick()
    first, second, third = story.sessions_of_kind(SessionKind.CAREER)
    assert [part.in_turn for part in (first, second, third)] == [True, False, False]
    assert first.target.date() == TODAY + 4 * WEEK
    for part, next_part in ((first, second), (second, third)):
        assert 7 * DAY <= next_part.span.start.date() - part.span.start.date() <= 14 * DAY


def test_session_after_the_first_follows_the_rhythm() -> None:
    """The rhythm counts from the end of the first session (T-3)."""
    story = Story()
    story.tick()
    end = story.next.span.end
    story.until(end)
    assert not story.next.in_turn
    assert story.next.target.date() == end.date() + 13 * WEEK
    assert SAM.email in {mail.to for mail in story.mails("introduction")}
