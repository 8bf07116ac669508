"""The order of the parts of a series after a change of one of them (T-13).

T-4 is about sessions for which no time fits, T-10 about deferred sessions, T-11 about times that people choose.
"""

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


def make_series() -> Story:
    """A story in which the three parts are booked, the first three weeks from now."""
    story = booked_story(Story(starting_pair(format=Format.SERIES)))
    assert is_in_order(story)
    return story


def list_parts(story: Story) -> list[Session]:
    """Return the three parts: now, direction, gap."""
    order = [Topic.NOW, Topic.DIRECTION, Topic.GAP]
    sessions = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.cycle == 1]
    return sorted(sessions, key=lambda s: order.index(s.topic))


def is_in_order(story: Story) -> bool:
    """Return whether each part that has a time lies at least five working days after the part before it."""
    days = [(s.held_at or s.span.end).date() for s in list_parts(story) if s.held_at or s.booked]
    return all(add_weekdays(earlier, 5) <= later for earlier, later in pairwise(days))


def decline_part(story: Story, part: Session) -> None:
    story.decline(part)


def delete_part(story: Story, part: Session) -> None:
    story.delete(part)


def move_part_far(story: Story, part: Session) -> None:
    story.move(part, min(part.span.start + 2 * WEEK, part.latest), minutes=75)


def request_other_time(story: Story, part: Session) -> None:
    story.act(lambda builder: actions.request_time(builder, builder.sessions[part.id], requested_time=None))


@pytest.mark.parametrize("change", [decline_part, delete_part, move_part_far, request_other_time])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_change_of_one_part_moves_the_later_parts_in_order(
    change: Callable[[Story, Session], None], number: int
) -> None:
    """T-13, T-10: the new times of the later parts are no deferrals and cause no mail about them."""
    story = make_series()
    change(story, list_parts(story)[number])
    parts_after = list_parts(story)
    assert all(s.booked for s in parts_after) and is_in_order(story)
    assert [s.count for s in parts_after] == [int(n == number and change is not move_part_far) for n in range(3)]
    assert {m.subject for m in story.mails("deferral_notice")} <= {parts_after[number].id}
    assert sorted(event.span for event in story.our_events()) == [s.span for s in parts_after]


def test_deferred_part_moves_after_an_earlier_part_that_is_deferred_later() -> None:
    """The second part is declined first, and the first part then gets a time after it (T-13)."""
    story = make_series()
    story.decline(list_parts(story)[1])
    fill_days(story, SAM, date(2026, 9, 7), days=40)
    story.decline(list_parts(story)[0])
    assert all(s.booked for s in list_parts(story)) and is_in_order(story)
    assert [s.count for s in list_parts(story)] == [1, 1, 0]
    assert (
        sorted((m.to, m.number) for m in story.mails("deferral_notice")) == [(DANA.email, 1)] * 2 + [(SAM.email, 1)] * 2
    )


@pytest.mark.parametrize(("number", "days"), [(1, -14), (2, -10), (2, -20)])
def test_part_moved_by_hand_before_an_earlier_part_moves_back_after_it(number: int, days: int) -> None:
    """T-13: a series is never out of order, and the move back is no deferral."""
    story = make_series()
    part = list_parts(story)[number]
    story.move(part, part.span.start + days * DAY, minutes=75)
    assert all(s.booked for s in list_parts(story)) and is_in_order(story)
    assert deferral_causes(story) == []


@pytest.mark.parametrize("number", [1, 2])
def test_requested_time_before_an_earlier_part_is_refused(number: int) -> None:
    """T-13: the part would lose that time at the next plan, and both people would get two updates."""
    story = make_series()
    parts_before = list_parts(story)
    earlier_end = parts_before[number - 1].span.end
    for start in (earlier_end - 15 * MINUTE, NOW + DAY):
        with pytest.raises(TimeBeforeEarlierPart, match="earlier part"):
            request_time(story, parts_before[number], start)
    assert list_parts(story) == parts_before
    request_time(story, parts_before[number], earlier_end)
    assert list_parts(story)[number].start == earlier_end and list_parts(story)[number].by_hand


@pytest.mark.parametrize("number", [1, 2])
def test_time_proposed_by_a_guest_before_an_earlier_part_is_not_taken(number: int) -> None:
    """T-13, R-8: the proposal counts as a declined invitation, and the series stays in order."""
    story = make_series()
    parts_before = list_parts(story)
    proposed_span = Span(parts_before[number - 1].span.start - 4 * DAY, parts_before[number - 1].span.end - 4 * DAY)
    story.change_event(parts_before[number], answers={SAM.email: Answer.DECLINED}, proposed={SAM.email: proposed_span})
    story.tick()
    assert not any(decision.fields.get("start") == proposed_span.start for decision in story.decisions)
    assert is_in_order(story) and deferral_causes(story)


def request_time(story: Story, part: Session, start: datetime) -> None:
    story.act(lambda builder: actions.request_time(builder, builder.sessions[part.id], Span(start, start + HOUR)))


@pytest.mark.parametrize("is_deferred", [False, True])
def test_proposed_times_are_five_working_days_after_the_earlier_part(is_deferred: bool) -> None:
    """R-38, T-13: also for a part that was deferred and is due soon."""
    story = make_series()
    story.until(list_parts(story)[1].span.start - DAY)
    if is_deferred:
        story.decline(list_parts(story)[2])
    _, second, third = list_parts(story)
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    request = proposals.make_free_busy_request(builder, third)
    snapshot = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    proposal = proposals.propose_times(PlanBuilder(story.now, story.state, snapshot, story.policy), third)
    earliest = add_weekdays(second.span.start.date(), 5)
    assert len(proposal.times) == 3
    assert all(slot.span.start.date() >= earliest for slot in proposal.times)


def test_part_moved_by_hand_within_the_order_stays() -> None:
    """T-13, T-11: a person may choose a time two days after the earlier part. The next part follows it."""
    story = make_series()
    first, second, _ = list_parts(story)
    new_start = first.span.start + 2 * DAY
    story.move(second, new_start, minutes=75)
    assert list_parts(story)[1].start == new_start
    assert (
        add_weekdays(new_start.date(), 5)
        <= list_parts(story)[2].span.start.date()
        <= add_weekdays(new_start.date(), 10)
    )


def test_parts_after_an_unplaceable_part_lose_their_times_and_get_them_back() -> None:
    """T-13, T-4: the two mails are about the unplaceable part alone."""
    story = make_series()
    first, second, third = (s.id for s in list_parts(story))
    fill_days(story, SAM, date(2026, 9, 7), days=400)
    story.decline(list_parts(story)[0])
    assert story.session(first).unplaceable
    assert [story.session(part).state for part in (second, third)] == [SessionState.OWED] * 2
    assert story.our_events() == []
    assert {m.subject for m in story.mails("unplaceable")} == {first}
    story.calendars.busy.clear()
    story.until(story.now + 2 * DAY)
    assert all(s.booked for s in list_parts(story)) and is_in_order(story)
    assert [s.count for s in list_parts(story)] == [1, 0, 0]


def test_part_that_was_not_held_moves_the_later_parts() -> None:
    """T-13, T-10: the part gets a time near now, and the later parts follow in order."""
    story = make_series()
    first = list_parts(story)[0]
    story.until(first.span.end + HOUR)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[first.id]))
    assert all(s.booked for s in list_parts(story)) and is_in_order(story)
    assert [s.count for s in list_parts(story)] == [1, 0, 0]


def test_parts_of_one_series_need_no_half_rhythm_between_them() -> None:
    """Other deferred sessions keep half a rhythm from the session before, 45 days (T-10)."""
    story = make_series()
    first, second, _ = list_parts(story)
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
def test_rhythm_under_eight_weeks_has_one_session_in_place_of_a_series(
    every: Interval, transition: date | None, count: int
) -> None:
    """T-13: a transition shortens the rhythm as well."""
    story = Story(pair_of(format=Format.SERIES, every=every, transition_until=transition))
    story.tick()
    assert len(story.sessions_of_kind(SessionKind.CAREER)) == count
