"""The third automatic move within seven days is a question, and then the session stays (T-11)."""

from datetime import timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, session_of, state_of
from tests.support.stories import Story, booked_story, deferral_causes
from worker.domain.model import OfferPurpose, SessionState, ShowAs
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused


def asked(gap: timedelta = DAY, times: int = 3) -> Story:
    """A story whose session was declined so many times, with so long in between."""
    story = booked_story(Story(state=state_of(session_of(NOW + 10 * WEEK))))
    for _ in range(times):
        story.tick_at(story.now + gap)
        story.decline(story.next)
    return story


def purpose(story: Story) -> OfferPurpose | None:
    return story.next.offer.purpose if story.next.offer else None


@pytest.mark.parametrize(
    ("gap", "times", "expected"),
    [
        (DAY, 2, OfferPurpose.DEFERRAL),
        (DAY, 3, OfferPurpose.QUESTION),
        (3 * DAY, 3, OfferPurpose.QUESTION),
        (84 * HOUR, 3, OfferPurpose.DEFERRAL),
        (4 * DAY, 3, OfferPurpose.DEFERRAL),
    ],
)
def test_the_third_move_within_seven_days_is_a_question(gap: timedelta, times: int, expected: OfferPurpose) -> None:
    """T-11: with three times, the first of them on the calendar."""
    story = asked(gap, times)
    assert purpose(story) is expected
    assert story.next.span == story.next.options[0]
    assert len(story.next.options) == 3


def test_what_a_person_asked_for_is_no_automatic_move() -> None:
    """T-11: somebody who looks for a time of their own is not asked."""
    story = booked_story(Story(state=state_of(session_of(NOW + 10 * WEEK))))
    for _ in range(4):
        story.now += DAY
        story.act(lambda p: actions.request_time(p, p.sessions["c1"], None))
    assert deferral_causes(story) == ["asked"] * 4
    assert purpose(story) is OfferPurpose.DEFERRAL


def test_nobody_answers_and_the_first_time_stays() -> None:
    """T-11: for two working days the others are held for the two, then they are free again."""
    story = asked()
    offer = story.next.offer
    assert offer is not None
    story.until(offer.until + MINUTE)
    assert (story.next.offer, story.next.span) == (None, offer.times[0])


def test_a_manager_who_books_over_it_every_day_moves_it_three_times() -> None:
    """T-11, T-10: it was moved ten times and more; now the two are asked, and it stays where it is."""
    story = booked_story(Story(state=state_of(session_of(NOW + 3 * WEEK))))
    while story.next.id == "c1" and story.now < NOW + 6 * WEEK:
        story.book(DANA, story.next.span)
        story.tick_at(story.now + DAY)
    assert deferral_causes(story) == ["booked_over"] * 3
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2, 3]
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [2, 3]  # of the first a warning
    assert story.session("c1").held_at is not None


def test_an_absence_moves_it_after_a_question_too() -> None:
    """T-11, T-10: nobody is there to keep it."""
    story = asked()
    story.book(SAM, story.next.span, ShowAs.AWAY)
    assert deferral_causes(story)[-1] == "out_of_office"
    assert purpose(story) is OfferPurpose.QUESTION


def test_a_time_that_was_chosen_is_protected_again() -> None:
    """T-11, T-12: choosing is no deferral; what is booked over it then is warned of."""
    story = asked()
    story.act(lambda p: actions.request_time(p, p.sessions["c1"], p.sessions["c1"].options[1]))
    story.recheck_free_busy()
    story.tick_at(story.now + HOUR)
    story.book(DANA, story.next.span)
    assert len(story.mails("booked_over_warning")) == 1
    assert len(deferral_causes(story)) == 3


def test_left_until_the_next_quarter_it_is_the_same_session_one_rhythm_later() -> None:
    """T-11, R-8: it is owed and booked, its event moves, and it is no deferral."""
    story = asked()
    before = story.next
    story.act(lambda p: actions.leave_until_next_cycle(p, p.sessions["c1"]))
    left = story.next
    assert (left.id, left.count, left.key) == ("c1", 3, before.key)
    assert left.booked and left.offer is None
    assert 11 * WEEK <= left.span.start - before.span.start <= 16 * WEEK
    assert [p.span for p in story.our_events()] == [left.span]
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2, 3]
    story.tick_at(story.now + DAY)
    story.book(DANA, left.span)
    story.until(story.now + 2 * DAY)
    assert deferral_causes(story)[-1] == "booked_over", "it is a session like any other again"


def test_who_was_not_asked_can_not_leave_it() -> None:
    """T-11."""
    story = asked(times=2)
    builder = PlanBuilder(story.now, story.state, None, story.policy)
    with pytest.raises(Refused, match="nobody was asked"):
        actions.leave_until_next_cycle(builder, story.next)
    assert story.next.state is SessionState.BOOKED
    assert builder.build().is_empty
