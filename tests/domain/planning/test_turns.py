"""When a manager's pairs first meet, and those that are overdue together: in turn (T-3a)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
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
    find_first_notice,
    find_turn,
    has_recent_start,
    list_turns,
    make_turn_window,
)

TODAY = NOW.date()
QUARTER = Interval(weeks=13)


def _reporting(name: str, **fields: Any) -> Pair:
    return pair_of(report=person(name), **fields)


def _list_targets(count: int, policy: Policy = DEFAULT_POLICY, **fields: Any) -> list[int]:
    """In how many days each of so many pairs of a manager best meets first."""
    turns = [Turn(number, count) for number in range(count)]
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
def test_the_first_is_in_two_weeks_and_the_last_within_a_rhythm(count: int, expected: list[int]) -> None:
    """T-3a: two weeks from now, and each at most two weeks after the one before."""
    assert _list_targets(count) == expected
    assert expected[-1] < 91


@pytest.mark.parametrize(
    ("every", "expected"),
    [(Interval(weeks=6), [14, 21, 28, 35]), (Interval(months=6), [14, 28, 42, 56]), (Interval(weeks=2), [14] * 4)],
)
def test_the_spread_is_a_rhythm_and_at_most_a_quarter(every: Interval, expected: list[int]) -> None:
    """T-3a: a short rhythm brings them closer together, a long one not further apart than two weeks."""
    assert _list_targets(4, every=every) == expected
    long = _list_targets(20, every=Interval(months=6))
    assert long[-1] < add_days(QUARTER)


def add_days(every: Interval) -> int:
    return (add_interval(TODAY, every) - TODAY).days


def test_the_company_may_set_another_spread() -> None:
    """T-3a: `first_spread`, longer or shorter than the rhythm."""
    assert _list_targets(4, Policy(first_spread=Interval(weeks=4))) == [14, 17, 21, 24]
    assert _list_targets(26, Policy(first_spread=Interval(weeks=26)))[-1] == 14 + int(25 * 24 * 7 / 26)
    assert _list_targets(3, Policy(first_spread=Interval(weeks=1))) == [14, 14, 14]


def test_the_window_reaches_around_the_turn_and_never_into_the_past() -> None:
    """T-3, T-3a: as far as any regular session's; a short rhythm has a narrow one."""
    last = make_turn_window(pair_of(), Turn(7, 8), DANA.zone, NOW, Policy())
    assert (last.target - last.earliest, last.latest - last.target) == (2 * WEEK, 3 * WEEK)
    first = make_turn_window(pair_of(), Turn(0, 8), DANA.zone, NOW, Policy())
    assert first.earliest == max(NOW, first.target - 2 * WEEK)
    short = make_turn_window(pair_of(every=Interval(weeks=6)), Turn(), DANA.zone, NOW, Policy())
    assert (short.target - short.earliest, short.latest - short.target) == (1.5 * WEEK, 2 * WEEK)


# --- who comes first ---


def test_in_transition_first_then_who_has_waited_longest_then_by_address() -> None:
    """T-3a: a talk with another manager counts for who has waited, and a transition that is over doesn't."""
    until = TODAY + 10 * WEEK
    expected = [
        WaitingPair(_reporting("Zoe", transition_until=until), None, NOW - 20 * WEEK),
        WaitingPair(_reporting("Noah")),
        WaitingPair(_reporting("Olga", transition_until=TODAY - DAY)),
        WaitingPair(_reporting("Mia"), None, NOW - 30 * WEEK),
        WaitingPair(_reporting("Liam"), NOW - 20 * WEEK, NOW - 20 * WEEK),
        WaitingPair(_reporting("Ada"), NOW - 20 * WEEK, NOW - 2 * WEEK),
    ]
    for listed in (expected, expected[::-1]):
        turns = [find_turn(one.pair, listed, NOW, Policy()) for one in expected]
        assert turns == [Turn(number, 6) for number in range(6)]
        assert list_turns(listed, NOW, Policy()) == {
            one.pair.id: turn for one, turn in zip(expected, turns, strict=True)
        }


def test_only_pairs_that_never_met_or_are_overdue_have_a_turn() -> None:
    """T-3a: neither one that begins nor one that is in its rhythm takes a turn from the others."""
    me = WaitingPair(_reporting("Zoe"))
    others = [
        WaitingPair(_reporting("Ada", start=TODAY + 4 * WEEK)),
        WaitingPair(_reporting("Ben", start=TODAY - 4 * WEEK)),
        WaitingPair(_reporting("Cem"), NOW - 13 * WEEK),
        WaitingPair(_reporting("Dua", every=Interval(months=6)), NOW - 14 * WEEK),
    ]
    assert find_turn(me.pair, [*others, me], NOW, Policy()) == Turn(0, 1)
    assert list_turns([*others, me], NOW, Policy()) == {me.pair.id: Turn(0, 1)}
    waiting = [
        WaitingPair(_reporting("Ada", start=TODAY - 5 * WEEK)),
        WaitingPair(_reporting("Cem"), NOW - 13 * WEEK - DAY, NOW - 13 * WEEK - DAY),
    ]
    assert find_turn(me.pair, [*waiting, me], NOW, Policy()) == Turn(1, 3)


def test_a_pair_alone_or_unlisted_has_the_first_turn() -> None:
    assert find_turn(pair_of(), [], NOW, Policy()) == Turn(0, 1)


# --- pairs that begin ---


@pytest.mark.parametrize(
    ("start", "seen", "today", "expected"),
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
def test_which_start_matters(start: date | None, seen: date, today: date, expected: bool) -> None:
    """T-3a: one ahead, or less than five weeks before the pair was first seen."""
    assert has_recent_start(pair_of(start=start, first_seen=seen), today) is expected


def test_a_pair_that_begins_meets_two_to_five_weeks_after_its_start_whatever_its_turn() -> None:
    """T-3a: in the manager's zone."""
    pair = pair_of(start=date(2026, 11, 2))
    for turn in (Turn(), Turn(5, 9)):
        window = make_turn_window(pair, turn, DANA.zone, NOW, Policy())
        assert (window.earliest, window.latest) == (utc(2026, 11, 15, 23), utc(2026, 12, 6, 23))
        assert window.target == window.earliest + WEEK


def test_nobody_hears_of_us_earlier_than_seven_days_before_the_start() -> None:
    """T-3a, T-4: nothing is planned, written or sent before, and from then on the session stands."""
    start = date(2026, 12, 7)
    story = Story(pair_of(start=start))
    notice = find_first_notice(story.pair, DANA.zone)
    assert notice == utc(2026, 11, 29, 23)
    story.tick()
    story.until(notice - DAY)
    assert (story.state.sessions, story.state.effects, story.decisions) == ((), (), [])
    story.until(notice)
    assert story.next.booked and story.placed_event(story.next)
    assert date(2026, 12, 21) <= story.next.span.start.date() < date(2027, 1, 11)
    assert min(effect.due_at for effect in story.state.effects) >= notice


@pytest.mark.parametrize("ago", [0, 1, 10, 20, 30, 34])
def test_a_pair_whose_start_is_just_past_meets_within_its_five_weeks(ago: int) -> None:
    """T-3a: from two weeks after it, and with two working days of notice."""
    story = Story(pair_of(start=TODAY - ago * DAY))
    story.tick()
    soonest = TODAY + 2 * DAY
    first, last = (max(soonest, TODAY + (days - ago) * DAY) for days in (14, 35))
    assert first <= story.next.span.start.date() <= last
    (reason,) = [decision.reason for decision in story.decisions if decision.what == "session"]
    assert ("after its window" in reason) is (ago == 34), "T-4"


@pytest.mark.parametrize("start", [None, TODAY - 5 * WEEK, date(2020, 1, 1)])
def test_a_lone_pair_with_an_old_start_meets_about_two_weeks_from_now(start: date | None) -> None:
    """T-3a: an old start counts as empty."""
    story = Story(pair_of(start=start))
    story.tick()
    assert story.next.target == utc(2026, 9, 21, 12)
    assert story.next.span.start.date() == date(2026, 9, 21)


@pytest.mark.parametrize("before", [None, TODAY + WEEK])
def test_a_start_that_is_put_off_takes_the_first_session_with_it(before: date | None) -> None:
    """T-3a, T-18: never before the start; one move of the same event, and no deferral."""
    story = Story(pair_of(start=before))
    story.tick()
    was = story.next
    story.change(start=TODAY + 10 * WEEK)
    assert TODAY + 12 * WEEK <= story.next.span.start.date() <= TODAY + 15 * WEEK
    assert (story.next.id, story.next.key, story.next.count) == (was.id, was.key, 0)
    assert [placed.span for placed in story.our_events()] == [story.next.span]


def test_a_deferred_first_session_never_comes_before_the_start() -> None:
    """T-3a, T-10: even when it is declined again and again."""
    story = Story(pair_of(start=TODAY + 6 * DAY))
    story.tick()
    for _ in range(4):
        story.decline(story.next)
        assert story.next.booked
        assert story.next.span.start.date() >= TODAY + 6 * DAY


# --- a company of one manager ---


@dataclass
class Team:
    """All pairs of one manager, planned one after the other as the sweep does, each seeing the time of those before."""

    pairs: Sequence[Pair]
    held: dict[str, datetime] = field(default_factory=dict)  #: by report
    taken: list[TakenTime] = field(default_factory=list)

    def book(self, pair: Pair, busy: Span | None = None) -> Session:
        """The pair's first session, booked."""
        waiting = tuple(WaitingPair(one, self.held.get(one.report), self.held.get(one.report)) for one in self.pairs)
        story = Story(state=self._find_state(pair, waiting))
        story.calendars.taken[DANA.email] = tuple(self.taken)
        if busy:
            story.calendars.book(DANA, busy.start, busy.end)
        story.tick()
        session = story.next
        assert session.booked and session.in_turn
        self.taken.append(TakenTime(session.span, session.id, session.kind, pair.id, session.in_turn))
        return session

    def _find_state(self, pair: Pair, waiting: tuple[WaitingPair, ...]) -> PairState:
        report = person(pair.report.partition("@")[0].title())
        held = self.held.get(pair.report)
        past = [replace(_held(held), pair=pair.id)] if held else []
        return state_of(*past, pair=pair, report=report, waiting_pairs=waiting)


def _held(end: datetime) -> Session:
    return session_of(end - timedelta(minutes=75), id="c0", state=SessionState.CONTRACTED, held_at=end)


def _make_team(count: int, **fields: Any) -> list[Pair]:
    return [_reporting(f"R{number:02}", **fields) for number in range(count)]


def _count_weeks(sessions: Sequence[Session]) -> Counter[tuple[int, int]]:
    return Counter(session.span.start.isocalendar()[:2] for session in sessions)


@pytest.mark.parametrize("count", [1, 2, 8, 15])
def test_a_whole_team_meets_in_turn_within_a_rhythm(count: int) -> None:
    """T-3a: near its turn each, in the order of turns, and no week holds more than two."""
    team = _make_team(count)
    company = Team(team)
    sessions = [company.book(pair) for pair in team]
    assert [(s.target.date() - TODAY).days for s in sessions] == _list_targets(count)
    assert all(abs(s.span.start - s.target) < WEEK for s in sessions)
    assert max(_count_weeks(sessions).values()) <= 2
    assert max(s.span.start for s in sessions) < NOW + 13 * WEEK


def test_no_week_holds_more_than_two_and_the_window_yields() -> None:
    """T-3a: thirty reports of a monthly rhythm have six weeks of room and take fifteen."""
    team = _make_team(30, every=Interval(weeks=4))
    company = Team(team)
    weeks = _count_weeks([company.book(pair) for pair in team])
    assert set(weeks.values()) == {2}
    assert len(weeks) == 15


def test_pairs_that_begin_together_keep_to_two_a_week() -> None:
    """T-3a: within the same cap, whoever else meets first."""
    team = [*_make_team(4, start=TODAY), _reporting("Zoe")]
    company = Team(team)
    sessions = [company.book(pair) for pair in team[::-1]]
    assert max(_count_weeks(sessions).values()) == 2
    assert all(TODAY + 2 * WEEK <= s.span.start.date() < TODAY + 5 * WEEK for s in sessions[1:])


@pytest.mark.parametrize(("in_turn", "expected"), [(True, date(2026, 9, 28)), (False, date(2026, 9, 23))])
def test_only_first_sessions_fill_a_week(in_turn: bool, expected: date) -> None:
    """T-3a: two on Monday and Tuesday leave the rest of the week to others; two of the rhythm don't."""
    times = [Span(at, at + timedelta(minutes=75)) for at in (utc(2026, 9, 21, 8), utc(2026, 9, 22, 8))]
    taken = [TakenTime(time, f"c{n}", SessionKind.CAREER, None, in_turn) for n, time in enumerate(times)]
    session = Team([pair_of()], taken=taken).book(pair_of(), Span(NOW, times[0].start))
    assert session.span.start.date() == expected


def test_pairs_that_are_overdue_after_a_pause_take_turns() -> None:
    """T-3a: who was held longest ago comes first."""
    team = _make_team(3)
    held = [NOW - 20 * WEEK, NOW - 40 * WEEK, NOW - 30 * WEEK]
    company = Team(team, {pair.report: at for pair, at in zip(team, held, strict=True)})
    targets = [(company.book(pair).target.date() - TODAY).days for pair in team]
    assert targets == [42, 14, 28]


def test_a_pause_that_ends_before_the_next_is_due_leaves_the_rhythm() -> None:
    """T-3, T-3a: what is not overdue waits for its day."""
    story = Story(state=state_of(_held(NOW - 10 * WEEK)))
    story.tick()
    assert not story.next.in_turn
    assert story.next.target.date() == TODAY + 3 * WEEK


def test_a_booked_turn_stays_though_others_come_and_go() -> None:
    """T-3a: turns are for what has no time yet; a look later, with another order, moves nothing."""
    story = Story(pair_of())
    story.tick()
    was = story.next
    others = tuple(WaitingPair(_reporting(name)) for name in ("Ada", "Ben"))
    story.state = replace(story.state, waiting_pairs=(*others, WaitingPair(story.pair)))
    story.recheck_free_busy()
    assert story.next == was


def test_only_the_first_part_of_a_series_has_a_turn() -> None:
    """T-3a, T-13: the others follow it by five to ten working days."""
    story = Story(pair_of(format=Format.SERIES))
    story.state = replace(story.state, waiting_pairs=(WaitingPair(_reporting("Ada")), WaitingPair(story.pair)))
    story.tick()
    first, second, third = story.sessions_of_kind(SessionKind.CAREER)
    assert [one.in_turn for one in (first, second, third)] == [True, False, False]
    assert first.target.date() == TODAY + 4 * WEEK
    for before, after in ((first, second), (second, third)):
        assert 7 * DAY <= after.span.start.date() - before.span.start.date() <= 14 * DAY


def test_after_the_first_session_the_rhythm_counts() -> None:
    """T-3: from when it was held."""
    story = Story()
    story.tick()
    end = story.next.span.end
    story.until(end)
    assert not story.next.in_turn
    assert story.next.target.date() == end.date() + 13 * WEEK
    assert SAM.email in {mail.to for mail in story.mails("introduction")}
