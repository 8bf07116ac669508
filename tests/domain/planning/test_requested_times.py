"""Another time that a guest proposes: taken when it fits the rules, otherwise a deferral that is near it (R-8, R-9)."""

from datetime import timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, SAM
from tests.support.stories import Story, booked_story, deferral_causes
from worker.domain.model import Answer, EffectKind, ShowAs, Span


def wish(story: Story, span: Span, answer: Answer = Answer.DECLINED) -> Story:
    story.change_event(story.next, answers={SAM.email: answer}, proposed={SAM.email: span})
    return story


def later(story: Story, shift: timedelta, minutes: int = 75) -> Span:
    start = story.next.span.start + shift
    return Span(start, start + minutes * MINUTE)


@pytest.mark.parametrize("answer", [Answer.DECLINED, Answer.TENTATIVE])
def test_t11_a_time_that_fits_is_taken_and_is_no_deferral(answer: Answer) -> None:
    story = booked_story()
    wanted = later(story, DAY)
    wish(story, wanted, answer)
    assert (story.next.span, story.next.count, story.next.by_hand) == (wanted, 0, True)
    assert deferral_causes(story) == []
    assert story.state.placed_events[story.next.key].span == wanted
    assert "proposed this time" in story.decisions[-1].reason


def test_it_is_answered_by_moving_the_event() -> None:
    story = booked_story()
    key = story.next.key
    wish(story, later(story, DAY))
    [message] = [m for m in story.state.effects if m.kind is EffectKind.UPDATE]
    assert message.event == key


@pytest.mark.parametrize(
    ("shift", "minutes"),
    [
        (timedelta(days=-400), 75),  # past
        (timedelta(days=60), 75),  # past its window
        (DAY, 45),  # T-1: too short
        (DAY, 120),  # T-1: too long
        (12 * HOUR, 75),  # T-2: at night
        (10 * MINUTE, 75),  # T-2: not on the quarter hour
    ],
)
def test_a_time_outside_the_rules_is_a_deferral(shift: timedelta, minutes: int) -> None:
    story = booked_story()
    was = story.next.span
    wanted = later(story, shift, minutes)
    wish(story, wanted)
    assert deferral_causes(story) == ["declined"]
    assert story.next.booked and story.next.span not in (was, wanted)


def test_t2_nobody_elses_meeting_is_booked_over_for_it() -> None:
    story = booked_story()
    wanted = later(story, DAY)
    story.calendars.book(DANA, wanted.start, wanted.end, ShowAs.BUSY)
    wish(story, wanted)
    assert deferral_causes(story) == ["declined"]
    assert not story.next.span.overlaps(wanted)


def test_t10_the_wish_is_considered() -> None:
    """A time that can't be had is missed by little: the new one is nearer to it than it would be without the wish."""
    near, plain = booked_story(), booked_story()
    wanted = later(near, 7 * DAY)
    for story in (near, plain):
        story.tick_at(story.next.span.start - 4 * DAY)
        story.calendars.book(SAM, wanted.start, wanted.end, ShowAs.BUSY)
    wish(near, wanted)
    plain.decline(plain.next)
    assert deferral_causes(near) == deferral_causes(plain) == ["declined"]

    def away(story: Story) -> timedelta:
        return abs(story.next.span.start - wanted.start)

    assert away(near) < away(plain)
    assert away(near) < 2 * DAY


def test_nothing_is_decided_while_a_calendar_can_not_be_asked() -> None:
    """T-2: unknown is never free, and never a reason to defer either."""
    story = booked_story()
    was, wanted = story.next.span, later(story, DAY)
    story.calendars.unavailable.add(SAM.email)
    story.change_event(story.next, answers={SAM.email: Answer.DECLINED}, proposed={SAM.email: wanted})
    assert (story.next.span, deferral_causes(story)) == (was, [])
    story.calendars.unavailable.clear()
    story.tick_at(story.now + HOUR)
    assert (story.next.span, deferral_causes(story)) == (wanted, [])


def test_the_same_wish_is_answered_once() -> None:
    story = booked_story()
    wish(story, later(story, 12 * HOUR))
    story.tick_at(story.now + DAY)
    assert story.next.count == 1


def test_the_time_it_has_is_no_other_time() -> None:
    """Only the answer that came with it counts."""
    story = booked_story()
    span = story.next.span
    wish(story, span, Answer.TENTATIVE)
    assert (story.next.span, deferral_causes(story)) == (span, [])
