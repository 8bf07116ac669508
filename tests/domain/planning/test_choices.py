"""Tests of the times that are offered to the two people after a deferral.

T-12 is about these offers and the notices of deferrals, R-10 about the manager's notices, R-38 about the report's. T-11
is about the question in place of a third automatic move.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, pair_of, session_of, state_of, utc
from tests.support.stories import Story, booked_story
from worker.domain.model import Format, OfferPurpose, Policy, ReviewMode, SessionKind, Trigger
from worker.domain.planning import actions
from worker.domain.planning.offers import add_offer, find_offer_end, list_open_times
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused


def make_story_deferred_three_times() -> Story:
    """Return a story whose first session was declined three times."""
    story = booked_story()
    for _ in range(3):
        story.until(story.now + DAY)  # a day later, so that the notice of the deferral before was sent
        story.decline(story.next)
    return story


def test_the_third_deferral_offers_three_times_to_choose_from() -> None:
    """The times are on three days, the first is booked, and the manager is asked to choose (T-12, R-10)."""
    story = make_story_deferred_three_times()
    options = story.next.options
    assert len(options) == 3
    assert len({option.start.date() for option in options}) == 3
    assert story.next.span == options[0]
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [1, 2, 3]
    warning = [d for d in story.decisions if d.what == "warning"][-1]
    assert warning.reason == "Deferral 3 of this cycle; the manager is asked to choose."


@pytest.mark.parametrize("number", [1, 2])
def test_each_deferral_offers_three_times(number: int) -> None:
    """Even the first deferral offers three times, the first of which is booked (T-12)."""
    story = booked_story()
    for _ in range(number):
        story.decline(story.next)
    assert len(story.next.options) == 3
    assert story.next.span == story.next.options[0]
    assert not [d for d in story.decisions if d.what == "warning"], (
        "the manager is asked to choose before the third deferral"
    )


def test_moved_review_has_no_offer() -> None:
    """Only a career session has an offer (T-9, T-12)."""
    story = booked_story(Story(pair_of(review=ReviewMode.ALONE)))
    session_id = story.next.id
    story.until(story.next.span.end + HOUR)
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=(), revision=1)
    )
    review = story.sessions_of_kind(SessionKind.REVIEW)[0]
    story.decline(review)
    assert story.session(review.id).booked
    assert story.session(review.id).options == ()


def test_an_offer_ends_and_the_session_keeps_its_time() -> None:
    """The offer ends at 18:00 in the manager's zone, after three working days (T-12)."""
    story = booked_story()
    story.decline(story.next)
    offer, span = story.next.offer, story.next.span
    assert offer is not None
    assert offer.until == find_offer_end(story.state.manager, story.now, OfferPurpose.DEFERRAL)
    story.until(offer.until - MINUTE)
    assert story.next.options == offer.times
    story.until(offer.until + MINUTE)
    assert (story.next.options, story.next.span) == ((), span)
    assert [d.fields["state"] for d in story.decisions if d.what == "offer"] == ["open", "ended"]


@pytest.mark.parametrize(
    ("purpose", "now", "until"),
    [
        (OfferPurpose.DEFERRAL, utc(2026, 9, 7, 9), utc(2026, 9, 10, 16)),  # Monday to Thursday
        (OfferPurpose.DEFERRAL, utc(2026, 9, 10, 9), utc(2026, 9, 15, 16)),  # over a weekend
        (OfferPurpose.DEFERRAL, utc(2026, 9, 12, 9), utc(2026, 9, 16, 16)),  # from a Saturday
        (OfferPurpose.QUESTION, utc(2026, 9, 7, 9), utc(2026, 9, 9, 16)),  # Monday to Wednesday
    ],
)
def test_offer_ends_two_or_three_weekdays_later(purpose: OfferPurpose, now: datetime, until: datetime) -> None:
    """It ends at 18:00 in Berlin, three weekdays after a deferral and two after a question (T-11, T-12)."""
    assert find_offer_end(DANA, now, purpose) == until


def test_offer_ends_four_hours_before_its_session() -> None:
    """The offer of a session without a time ends four hours before the last offered time, if not earlier (T-12)."""
    first, second = session_of(start=NOW + 2 * DAY).span, session_of(start=NOW + 9 * DAY).span
    session = session_of(start=first.start)
    builder = PlanBuilder(NOW, state_of(session), snapshot=None, policy=Policy())
    offer = add_offer(builder, session, (first, second), OfferPurpose.DEFERRAL).offer
    assert offer is not None and offer.until == first.start - 4 * HOUR
    # an offer with the purpose `soon` is that of a session without a time; here it ends on its last day as usual
    offer = add_offer(builder, session, (second, first), OfferPurpose.SOON).offer
    assert offer is not None and offer.until == find_offer_end(DANA, NOW, OfferPurpose.SOON)


def test_offered_times_are_taken_times() -> None:
    """No other session of the pair gets an offered time (T-12)."""
    story = make_story_deferred_three_times()
    offered_times = story.next.options
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=Policy())
    for address in builder.addresses:
        assert set(offered_times) <= {taken.span for taken in builder.list_taken_times(address)}, address
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert not any(adhoc_session.span.overlaps(time) for time in offered_times)


def test_choosing_an_offered_time_is_no_deferral() -> None:
    """A chosen time ends the offer, and the count of deferrals stays (T-12)."""
    story = make_story_deferred_three_times()
    time = story.next.options[2]
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], time))
    assert story.next.span == time
    assert story.next.count == 3
    assert story.next.options == ()
    assert [event.span for event in story.our_events()] == [time]


def test_each_deferred_part_of_a_series_has_three_offered_times() -> None:
    """Each part counts its own deferrals (T-12, R-10)."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    part_ids = [s.id for s in story.sessions_of_kind(SessionKind.CAREER)]
    for part_id in part_ids:
        story.now += HOUR
        story.decline(story.session(part_id))
    assert [story.session(part_id).count for part_id in part_ids] == [1, 1, 1]
    assert [len(story.session(part_id).options) for part_id in part_ids] == [3, 3, 3]


def make_deferred_story(**fields: Any) -> Story:
    """Return a story whose first session was declined once and has another time."""
    story = booked_story(Story(pair_of(**fields)))
    story.decline(story.next)
    return story


def test_choosing_the_present_time_ends_the_offer() -> None:
    """The session does not move, nothing counts as a deferral, and the other times are free again (T-12)."""
    story = make_deferred_story()
    span = story.next.span
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], span))
    assert (story.next.span, story.next.count, story.next.by_hand) == (span, 1, True)
    assert story.next.options == ()


def test_requesting_a_time_of_an_ended_offer_is_a_deferral() -> None:
    """After the end of the offer, its times are like any other times (T-12)."""
    story = make_deferred_story()
    time, offer = story.next.options[2], story.next.offer
    assert offer is not None
    story.until(offer.until + MINUTE)
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], time, SAM.email))
    assert (story.next.span, story.next.count) == (time, 2)
    assert story.state.deferrals[-1].who == SAM.email


def test_time_within_four_hours_can_not_be_chosen() -> None:
    """The offer ends four hours before the first time, as the session is booked then (T-12).

    If it ended later, the other times could still be chosen.
    """
    story = make_deferred_story()
    first_time = story.next.options[0]
    assert list_open_times(story.next, first_time.start - 3 * HOUR) == ()
    offer = story.next.offer
    assert offer is not None
    session = replace(story.next, offer=replace(offer, until=offer.times[2].end))
    assert list_open_times(session, first_time.start - 3 * HOUR) == offer.times[1:]


def test_both_get_one_notice_of_each_deferral() -> None:
    """A new time that a person chose needs no notice (T-12, R-38)."""
    story = make_deferred_story()
    assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [(DANA.email, 1), (SAM.email, 1)]
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], story.next.options[1]))
    assert len(story.mails("deferral_notice")) == 2


def test_moved_review_has_no_deferral_notice() -> None:
    """A review that moves causes no mail (T-9, T-12)."""
    story = booked_story(Story(pair_of(review=ReviewMode.ALONE)))
    session_id = story.next.id
    story.until(story.next.span.end + HOUR)
    story.act(
        lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments=(), revision=1)
    )
    review = story.sessions_of_kind(SessionKind.REVIEW)[0]
    story.decline(review)
    assert story.session(review.id).booked and story.session(review.id).start != review.start
    assert story.mails("deferral_notice") == []


# --- an offer that asks a question (T-11) ---


def test_session_without_a_question_can_not_be_left_until_the_next_cycle() -> None:
    """The offer of a deferral does not include this choice (T-11, T-12)."""
    story = make_deferred_story()
    with pytest.raises(Refused, match="nobody was asked"):
        story.act(lambda builder: actions.leave_until_next_cycle(builder, builder.sessions[story.next.id]))
