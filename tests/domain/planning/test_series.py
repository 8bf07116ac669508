"""The parts of a series stay in order, whatever changes one of them (T-13)."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, starting_pair
from tests.support.stories import Story, booked_story, deferral_causes, fill_days
from worker.domain.model import Answer, Format, Interval, Session, SessionKind, SessionState, Span, Topic
from worker.domain.planning import actions, proposals
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import add_weekdays
from worker.errors import TimeBeforeEarlierPart


def series() -> Story:
    """A story whose three parts stand on the calendar, the first three weeks from now."""
    story = booked_story(Story(starting_pair(format=Format.SERIES)))
    assert in_order(story)
    return story


def parts(story: Story) -> list[Session]:
    """The three parts: now, direction, gap."""
    order = [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    there = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.cycle == 1]
    return sorted(there, key=lambda s: order.index(s.topic))


def in_order(story: Story) -> bool:
    """Whether each part that has a time lies five working days and more after the one before."""
    days = [(s.held_at or s.span.end).date() for s in parts(story) if s.held_at or s.booked]
    return all(add_weekdays(one, 5) <= other for one, other in pairwise(days))


def decline(story: Story, part: Session) -> None:
    story.decline(part)


def delete(story: Story, part: Session) -> None:
    story.delete(part)


def move_far(story: Story, part: Session) -> None:
    story.move(part, min(part.span.start + 2 * WEEK, part.latest), 75)


def ask(story: Story, part: Session) -> None:
    story.act(lambda p: actions.request_time(p, p.sessions[part.id], None))


@pytest.mark.parametrize("act", [decline, delete, move_far, ask])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_whatever_changes_one_part_the_others_follow_in_order(
    act: Callable[[Story, Session], None], number: int
) -> None:
    """T-13, T-10: the parts after it get new times; that is no deferral of theirs, and no mail tells of one."""
    story = series()
    act(story, parts(story)[number])
    after = parts(story)
    assert all(s.booked for s in after) and in_order(story)
    assert [s.count for s in after] == [int(n == number and act is not move_far) for n in range(3)]
    assert {m.subject for m in story.mails("deferral_notice")} <= {after[number].id}
    assert sorted(p.span for p in story.our_events()) == [s.span for s in after]


def test_a_part_that_lost_a_time_itself_follows_too() -> None:
    """T-13: a deferred part comes after the part before it, which lost its time later."""
    story = series()
    story.decline(parts(story)[1])
    fill_days(story, SAM, date(2026, 9, 7), 40)
    story.decline(parts(story)[0])
    assert all(s.booked for s in parts(story)) and in_order(story)
    assert [s.count for s in parts(story)] == [1, 1, 0]
    assert (
        sorted((m.to, m.number) for m in story.mails("deferral_notice")) == [(DANA.email, 1)] * 2 + [(SAM.email, 1)] * 2
    )


@pytest.mark.parametrize(("number", "days"), [(1, -14), (2, -10), (2, -20)])
def test_a_part_that_a_person_moves_before_an_earlier_one_comes_after_it_again(number: int, days: int) -> None:
    """T-13: a series is never out of order, and nobody is told of a deferral."""
    story = series()
    part = parts(story)[number]
    story.move(part, part.span.start + days * DAY, 75)
    assert all(s.booked for s in parts(story)) and in_order(story)
    assert deferral_causes(story) == []


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_gets_no_time_before_an_earlier_one_on_request(number: int) -> None:
    """T-13: otherwise it would lose that time again a minute later, and both would get two updates."""
    story = series()
    before = parts(story)
    end = before[number - 1].span.end
    for start in (end - 15 * MINUTE, NOW + DAY):
        with pytest.raises(TimeBeforeEarlierPart, match="earlier part"):
            ask_for(story, before[number], start)
    assert parts(story) == before
    ask_for(story, before[number], end)
    assert parts(story)[number].start == end and parts(story)[number].by_hand


@pytest.mark.parametrize("number", [1, 2])
def test_a_part_gets_no_time_before_an_earlier_one_that_a_guest_proposes(number: int) -> None:
    """T-13, R-8: the proposal counts as declined, and the part never stands out of order."""
    story = series()
    before = parts(story)
    wanted = Span(before[number - 1].span.start - 4 * DAY, before[number - 1].span.end - 4 * DAY)
    story.change_event(before[number], answers={SAM.email: Answer.DECLINED}, proposed={SAM.email: wanted})
    story.tick()
    assert not any(decision.fields.get("start") == wanted.start for decision in story.decisions)
    assert in_order(story) and deferral_causes(story)


def ask_for(story: Story, part: Session, start: datetime) -> None:
    story.act(lambda p: actions.request_time(p, p.sessions[part.id], Span(start, start + HOUR)))


@pytest.mark.parametrize("is_deferred", [False, True])
def test_times_are_proposed_where_the_part_belongs(is_deferred: bool) -> None:
    """R-38, T-13: five working days and more after the part before it, also when it was deferred and is due soon."""
    story = series()
    story.until(parts(story)[1].span.start - DAY)
    if is_deferred:
        story.decline(parts(story)[2])
    _, second, third = parts(story)
    builder = PlanBuilder(story.now, story.state, None, story.policy)
    request = proposals.make_free_busy_request(builder, third)
    snapshot = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    found = proposals.propose_times(PlanBuilder(story.now, story.state, snapshot, story.policy), third)
    earliest = add_weekdays(second.span.start.date(), 5)
    assert len(found.times) == 3
    assert all(one.span.start.date() >= earliest for one in found.times)


def test_a_part_that_a_person_moved_within_the_order_stays_there() -> None:
    """T-13, T-11: two days after the part before it is theirs to choose; the next part follows it."""
    story = series()
    first, second, _ = parts(story)
    wish = first.span.start + 2 * DAY
    story.move(second, wish, 75)
    assert parts(story)[1].start == wish
    assert add_weekdays(wish.date(), 5) <= parts(story)[2].span.start.date() <= add_weekdays(wish.date(), 10)


def test_parts_after_one_without_a_time_leave_the_calendar_and_come_back_after_it() -> None:
    """T-13, T-4: for want of a time; one mail to each, about that part alone."""
    story = series()
    first, second, third = (s.id for s in parts(story))
    fill_days(story, SAM, date(2026, 9, 7), 400)
    story.decline(parts(story)[0])
    assert story.session(first).unplaceable
    assert [story.session(one).state for one in (second, third)] == [SessionState.OWED] * 2
    assert story.our_events() == []
    assert {m.subject for m in story.mails("unplaceable")} == {first}
    story.calendars.busy.clear()
    story.until(story.now + 2 * DAY)
    assert all(s.booked for s in parts(story)) and in_order(story)
    assert [s.count for s in parts(story)] == [1, 0, 0]


def test_a_part_that_was_not_held_puts_the_parts_after_it_off() -> None:
    """T-13, T-10: near now, and the others in order after it."""
    story = series()
    first = parts(story)[0]
    story.until(first.span.end + HOUR)
    story.act(lambda p: actions.record_not_held(p, p.sessions[first.id]))
    assert all(s.booked for s in parts(story)) and in_order(story)
    assert [s.count for s in parts(story)] == [1, 0, 0]


def test_parts_of_one_series_are_not_bound_by_half_a_rhythm() -> None:
    """T-10: neither does a part count against the others of its series, nor is it bound by them."""
    story = series()
    first, second, _ = parts(story)
    story.until(first.span.end + HOUR)
    story.decline(story.session(second.id))
    assert story.session(second.id).span.start - first.span.end < 5 * WEEK


@pytest.mark.parametrize(
    ("every", "transition", "count"),
    [
        (Interval(weeks=8), None, 3),
        (Interval(months=2), None, 3),
        (Interval(weeks=7), None, 1),
        (Interval(months=1), None, 1),
        (Interval(weeks=13), NOW.date() + timedelta(weeks=30), 1),
    ],
)
def test_a_rhythm_too_short_for_three_parts_has_one_session(
    every: Interval, transition: date | None, count: int
) -> None:
    """T-13: series for rhythms of eight weeks and more, else combined."""
    story = Story(pair_of(format=Format.SERIES, every=every, transition_until=transition))
    story.tick()
    assert len(story.sessions_of_kind(SessionKind.CAREER)) == count
