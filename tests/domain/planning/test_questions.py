"""The question in place of the third automatic move within seven days (T-11).

T-10 is about clashes and absences, T-12 about offered times. The session has the id c1.
"""

from datetime import timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, session_of, state_of
from tests.support.stories import Story, booked_story, deferral_causes
from worker.domain.model import OfferPurpose, SessionState, ShowAs
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused


def make_declined_story(gap: timedelta = DAY, times: int = 3) -> Story:
    """A story whose session was declined so many times, at this distance."""
    story = booked_story(Story(state=state_of(session_of(NOW + 10 * WEEK))))
    for _ in range(times):
        story.tick_at(story.now + gap)
        story.decline(story.next)
    return story


def get_offer_purpose(story: Story) -> OfferPurpose | None:
    """Return the purpose of the offer for the next session; None without an offer."""
    return story.next.offer.purpose if story.next.offer else None


@pytest.mark.parametrize(
    ("gap", "times", "expected_purpose"),
    [
        (DAY, 2, OfferPurpose.DEFERRAL),
        (DAY, 3, OfferPurpose.QUESTION),
        (3 * DAY, 3, OfferPurpose.QUESTION),
        (84 * HOUR, 3, OfferPurpose.DEFERRAL),  # the third is exactly seven days after the first
        (4 * DAY, 3, OfferPurpose.DEFERRAL),
    ],
)
def test_the_third_move_within_seven_days_is_a_question(
    gap: timedelta, times: int, expected_purpose: OfferPurpose
) -> None:
    """T-11: it offers three times, and the session is booked at the first of them."""
    story = make_declined_story(gap, times)
    assert get_offer_purpose(story) is expected_purpose
    assert story.next.span == story.next.options[0]
    assert len(story.next.options) == 3


def test_requests_of_a_person_are_no_automatic_moves() -> None:
    """T-11: they lead to no question."""
    story = booked_story(Story(state=state_of(session_of(NOW + 10 * WEEK))))
    for _ in range(4):
        story.now += DAY
        story.act(lambda builder: actions.request_time(builder, builder.sessions["c1"], requested_time=None))
    assert deferral_causes(story) == ["asked"] * 4
    assert get_offer_purpose(story) is OfferPurpose.DEFERRAL


def test_session_stays_at_the_first_time_when_nobody_answers() -> None:
    """T-11: the other times are reserved for two working days and are free again after that."""
    story = make_declined_story()
    offer = story.next.offer
    assert offer is not None
    story.until(offer.until + MINUTE)
    assert (story.next.offer, story.next.span) == (None, offer.times[0])


def test_daily_clashes_move_a_session_three_times_at_most() -> None:
    """T-11, T-10: then the session stays, and the two get the question."""
    story = booked_story(Story(state=state_of(session_of(NOW + 3 * WEEK))))
    while story.next.id == "c1" and story.now < NOW + 6 * WEEK:
        story.book(DANA, story.next.span)
        story.tick_at(story.now + DAY)
    assert deferral_causes(story) == ["booked_over"] * 3
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2, 3]
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [
        2,
        3,
    ]  # the first has only a warning
    assert story.session("c1").held_at is not None


def test_absence_defers_a_session_after_a_question() -> None:
    """T-11, T-10: a person who is away cannot keep it."""
    story = make_declined_story()
    story.book(SAM, story.next.span, ShowAs.AWAY)
    assert deferral_causes(story)[-1] == "out_of_office"
    assert get_offer_purpose(story) is OfferPurpose.QUESTION


def test_clash_after_a_choice_is_warned_of_again() -> None:
    """T-11, T-12: the choice itself is no deferral."""
    story = make_declined_story()
    story.act(lambda builder: actions.request_time(builder, builder.sessions["c1"], builder.sessions["c1"].options[1]))
    story.recheck_free_busy()
    story.tick_at(story.now + HOUR)
    story.book(DANA, story.next.span)
    assert len(story.mails("booked_over_warning")) == 1
    assert len(deferral_causes(story)) == 3


def test_session_left_until_the_next_cycle_is_booked_one_rhythm_later() -> None:
    """T-11, R-8: it is the same session with the same event, and the move is no deferral."""
    story = make_declined_story()
    session_before = story.next
    story.act(lambda builder: actions.leave_until_next_cycle(builder, builder.sessions["c1"]))
    session_left = story.next
    assert (session_left.id, session_left.count, session_left.key) == ("c1", 3, session_before.key)
    assert session_left.booked and session_left.offer is None
    assert 11 * WEEK <= session_left.span.start - session_before.span.start <= 16 * WEEK
    assert [event.span for event in story.our_events()] == [session_left.span]
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2, 3]
    story.tick_at(story.now + DAY)
    story.book(DANA, session_left.span)
    story.until(story.now + 2 * DAY)
    assert deferral_causes(story)[-1] == "booked_over", "a clash did not defer it like any other session"


def test_session_without_a_question_cannot_be_left_until_the_next_cycle() -> None:
    """Two moves lead to no question, so there is nothing to answer (T-11)."""
    story = make_declined_story(times=2)
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    with pytest.raises(Refused, match="nobody was asked"):
        actions.leave_until_next_cycle(builder, story.next)
    assert story.next.state is SessionState.BOOKED
    assert builder.build().is_empty
