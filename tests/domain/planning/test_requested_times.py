"""Tests of another time that a guest proposes in the calendar.

R-9 and T-11: a proposed time that fits the rules is taken. R-8 and T-10: any other proposal is a declined invitation,
and the session gets another time. T-1 is about the lengths of sessions, T-2 about possible times.
"""

from datetime import timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, SAM
from tests.support.stories import Story, booked_story, deferral_causes
from worker.domain.model import Answer, EffectKind, ShowAs, Span


def propose_time(story: Story, span: Span, answer: Answer = Answer.DECLINED) -> Story:
    """Let the report propose this time for the next session, and plan."""
    story.change_event(story.next, answers={SAM.email: answer}, proposed={SAM.email: span})
    return story


def shift_next_session(story: Story, shift: timedelta, minutes: int = 75) -> Span:
    """Return the time of the next session, moved by `shift`, with this length."""
    start = story.next.span.start + shift
    return Span(start, start + minutes * MINUTE)


@pytest.mark.parametrize("answer", [Answer.DECLINED, Answer.TENTATIVE])
def test_t11_proposed_time_that_fits_is_booked_without_a_deferral(answer: Answer) -> None:
    story = booked_story()
    proposed = shift_next_session(story, DAY)
    propose_time(story, proposed, answer)
    assert (story.next.span, story.next.count, story.next.by_hand) == (proposed, 0, True)
    assert deferral_causes(story) == []
    assert story.state.placed_events[story.next.key].span == proposed
    assert "proposed this time" in story.decisions[-1].reason


def test_proposed_time_is_accepted_by_an_update_of_the_event() -> None:
    """The guest's program shows the new time of the same event (R-9)."""
    story = booked_story()
    key = story.next.key
    propose_time(story, shift_next_session(story, DAY))
    [effect] = [effect for effect in story.state.effects if effect.kind is EffectKind.UPDATE]
    assert effect.event == key


@pytest.mark.parametrize(
    ("shift", "minutes"),
    [
        (timedelta(days=-400), 75),  # in the past
        (timedelta(days=60), 75),  # past its window
        (DAY, 45),  # T-1: too short
        (DAY, 120),  # T-1: too long
        (12 * HOUR, 75),  # T-2: at night
        (10 * MINUTE, 75),  # T-2: not on the quarter hour
    ],
)
def test_proposed_time_outside_the_rules_is_a_deferral(shift: timedelta, minutes: int) -> None:
    """The session gets a time that is neither the old nor the proposed one (R-8)."""
    story = booked_story()
    old_span = story.next.span
    proposed = shift_next_session(story, shift, minutes)
    propose_time(story, proposed)
    assert deferral_causes(story) == ["declined"]
    assert story.next.booked and story.next.span not in (old_span, proposed)


def test_t2_proposed_time_over_another_event_is_not_booked() -> None:
    story = booked_story()
    proposed = shift_next_session(story, DAY)
    story.calendars.book(DANA, proposed.start, proposed.end, ShowAs.BUSY)
    propose_time(story, proposed)
    assert deferral_causes(story) == ["declined"]
    assert not story.next.span.overlaps(proposed)


def test_t10_new_time_is_near_the_proposed_one() -> None:
    """The proposed time is busy. The new time is nearer to it than it would be without the proposal."""
    story_with_proposal, story_without_proposal = booked_story(), booked_story()
    proposed = shift_next_session(story_with_proposal, 7 * DAY)
    for story in (story_with_proposal, story_without_proposal):
        story.tick_at(story.next.span.start - 4 * DAY)
        story.calendars.book(SAM, proposed.start, proposed.end, ShowAs.BUSY)
    propose_time(story_with_proposal, proposed)
    story_without_proposal.decline(story_without_proposal.next)
    assert deferral_causes(story_with_proposal) == deferral_causes(story_without_proposal) == ["declined"]

    def compute_distance(story: Story) -> timedelta:
        return abs(story.next.span.start - proposed.start)

    assert compute_distance(story_with_proposal) < compute_distance(story_without_proposal)
    assert compute_distance(story_with_proposal) < 2 * DAY


def test_proposed_time_waits_while_a_calendar_is_unavailable() -> None:
    """Unknown time is never free, and no reason for a deferral (T-2)."""
    story = booked_story()
    old_span, proposed = story.next.span, shift_next_session(story, DAY)
    story.calendars.unavailable.add(SAM.email)
    story.change_event(story.next, answers={SAM.email: Answer.DECLINED}, proposed={SAM.email: proposed})
    assert (story.next.span, deferral_causes(story)) == (old_span, [])
    story.calendars.unavailable.clear()
    story.tick_at(story.now + HOUR)
    assert (story.next.span, deferral_causes(story)) == (proposed, [])


def test_proposed_time_is_answered_once() -> None:
    """The answer that the calendar keeps is no second deferral (R-8)."""
    story = booked_story()
    propose_time(story, shift_next_session(story, 12 * HOUR))
    story.tick_at(story.now + DAY)
    assert story.next.count == 1


def test_proposing_the_present_time_changes_nothing() -> None:
    """Only the answer to the invitation counts."""
    story = booked_story()
    span = story.next.span
    propose_time(story, span, Answer.TENTATIVE)
    assert (story.next.span, deferral_causes(story)) == (span, [])
