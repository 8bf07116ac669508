"""Times held for the two to choose from when a session was put off (R-10, R-38; T-12)."""

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


def thrice() -> Story:
    story = booked_story()
    for _ in range(3):
        story.until(story.now + DAY)  # past nine, so that the one before was told
        story.decline(story.next)
    return story


def test_from_the_third_deferral_on_three_times_are_held() -> None:
    """T-12, R-10: on three different days, one of them booked."""
    story = thrice()
    options = story.next.options
    assert len(options) == 3
    assert len({option.start.date() for option in options}) == 3
    assert story.next.span == options[0]
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [1, 2, 3]
    warning = [d for d in story.decisions if d.what == "warning"][-1]
    assert warning.reason == "Deferral 3 of this cycle; the manager is asked to choose."


@pytest.mark.parametrize("number", [1, 2])
def test_each_deferral_comes_with_three_times(number: int) -> None:
    """T-12: the first time it moved already, and the first of the three stands on the calendar."""
    story = booked_story()
    for _ in range(number):
        story.decline(story.next)
    assert len(story.next.options) == 3
    assert story.next.span == story.next.options[0]
    assert not [d for d in story.decisions if d.what == "warning"], "nobody is asked to choose yet"


def test_a_review_that_moves_offers_nothing() -> None:
    """T-9, T-12: only a career session does."""
    story = booked_story(Story(pair_of(review=ReviewMode.ALONE)))
    talk = story.next.id
    story.until(story.next.span.end + HOUR)
    story.act(lambda p: actions.record_contract(p, p.sessions[talk], (), 1))
    review = story.sessions_of_kind(SessionKind.REVIEW)[0]
    story.decline(review)
    assert story.session(review.id).booked
    assert story.session(review.id).options == ()


def test_the_times_are_held_for_three_working_days() -> None:
    """T-12: until 18:00 in the manager's zone, Monday to Friday; then they are free again, and the first one stays."""
    story = booked_story()
    story.decline(story.next)
    offer, stands = story.next.offer, story.next.span
    assert offer is not None
    assert offer.until == find_offer_end(story.state.manager, story.now, OfferPurpose.DEFERRAL)
    story.until(offer.until - MINUTE)
    assert story.next.options == offer.times
    story.until(offer.until + MINUTE)
    assert (story.next.options, story.next.span) == ((), stands)
    assert [d.fields["state"] for d in story.decisions if d.what == "offer"] == ["open", "ended"]


@pytest.mark.parametrize(
    ("purpose", "now", "until"),
    [
        (OfferPurpose.DEFERRAL, utc(2026, 9, 7, 9), utc(2026, 9, 10, 16)),  # Monday to Thursday
        (OfferPurpose.DEFERRAL, utc(2026, 9, 10, 9), utc(2026, 9, 15, 16)),  # over a weekend
        (OfferPurpose.DEFERRAL, utc(2026, 9, 12, 9), utc(2026, 9, 16, 16)),  # from a Saturday
        (OfferPurpose.QUESTION, utc(2026, 9, 7, 9), utc(2026, 9, 9, 16)),
    ],
)
def test_when_an_offer_ends(purpose: OfferPurpose, now: datetime, until: datetime) -> None:
    """T-11, T-12: after two and three working days, at 18:00 in Berlin."""
    assert find_offer_end(replace(DANA, zone="Europe/Berlin"), now, purpose) == until


def test_nothing_is_held_longer_than_the_session_is_far() -> None:
    """T-12: four hours before the time that the session has, its choice is made; without one, before the last time."""
    first, second = session_of(start=NOW + 2 * DAY).span, session_of(start=NOW + 9 * DAY).span
    session = session_of(start=first.start)
    builder = PlanBuilder(NOW, state_of(session), None, Policy())
    offer = add_offer(builder, session, (first, second), OfferPurpose.DEFERRAL).offer
    assert offer is not None and offer.until == first.start - 4 * HOUR
    offer = add_offer(builder, session, (second, first), OfferPurpose.SOON).offer
    assert offer is not None and offer.until == find_offer_end(DANA, NOW, OfferPurpose.SOON)


def test_the_times_held_to_choose_from_are_taken() -> None:
    """T-12: neither another session of the pair nor a block gets them."""
    story = thrice()
    held = story.next.options
    builder = PlanBuilder(story.now, story.state, None, Policy())
    for who in builder.addresses:
        assert set(held) <= {taken.span for taken in builder.list_taken_times(who)}, who
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert not any(adhoc.span.overlaps(option) for option in held)


def test_choosing_one_of_them_is_no_deferral() -> None:
    """T-12."""
    story = thrice()
    chosen = story.next.options[2]
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], chosen))
    assert story.next.span == chosen
    assert story.next.count == 3
    assert story.next.options == ()
    assert [p.span for p in story.our_events()] == [chosen]


def test_deferrals_are_counted_over_the_cycle() -> None:
    """T-12, R-10: each part of a series once is three times."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    parts = [s.id for s in story.sessions_of_kind(SessionKind.CAREER)]
    for part in parts:
        story.now += HOUR
        story.decline(story.session(part))
    assert [story.session(part).count for part in parts] == [1, 1, 1]
    assert [len(story.session(part).options) for part in parts] == [3, 3, 3]


def deferred(**fields: Any) -> Story:
    """A story whose first session was declined once, and stands at another time."""
    story = booked_story(Story(pair_of(**fields)))
    story.decline(story.next)
    return story


def test_choosing_the_time_that_stands_ends_the_offer() -> None:
    """T-12: nothing moves, nothing counts, and the other times are free again."""
    story = deferred()
    stands = story.next.span
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], stands))
    assert (story.next.span, story.next.count, story.next.by_hand) == (stands, 1, True)
    assert story.next.options == ()


def test_a_time_that_is_held_no_longer_is_another_time_asked_for() -> None:
    """T-12: after three working days it is as any other time, and counts."""
    story = deferred()
    late, offer = story.next.options[2], story.next.offer
    assert offer is not None
    story.until(offer.until + MINUTE)
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], late, SAM.email))
    assert (story.next.span, story.next.count) == (late, 2)
    assert story.state.deferrals[-1].who == SAM.email


def test_a_time_that_has_all_but_begun_is_not_offered() -> None:
    story = deferred()
    first = story.next.options[0]
    assert list_open_times(story.next, first.start - 3 * HOUR) == ()
    offer = story.next.offer
    assert offer is not None
    soon = replace(story.next, offer=replace(offer, until=offer.times[2].end))
    assert list_open_times(soon, first.start - 3 * HOUR) == offer.times[1:]


def test_both_are_told_of_each_deferral_once() -> None:
    """T-12, R-38: and of none whose time a person chose before the mail left."""
    story = deferred()
    assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [(DANA.email, 1), (SAM.email, 1)]
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], story.next.options[1]))
    assert len(story.mails("deferral_notice")) == 2


def test_a_moved_review_is_told_by_the_calendar_alone() -> None:
    """T-9, T-12."""
    story = booked_story(Story(pair_of(review=ReviewMode.ALONE)))
    talk = story.next.id
    story.until(story.next.span.end + HOUR)
    story.act(lambda p: actions.record_contract(p, p.sessions[talk], (), 1))
    review = story.sessions_of_kind(SessionKind.REVIEW)[0]
    story.decline(review)
    assert story.session(review.id).booked and story.session(review.id).start != review.start
    assert story.mails("deferral_notice") == []


# --- a question that comes with the times (T-11) ---


def asked(**fields: Any) -> Story:
    story = deferred(**fields)
    story.act(
        lambda p: add_offer(p, p.sessions[story.next.id], p.sessions[story.next.id].options, OfferPurpose.QUESTION)
    )
    return story


def test_what_nobody_was_asked_about_is_not_left_out() -> None:
    """T-11, T-12: the times of a deferral come without that choice."""
    story = deferred()
    with pytest.raises(Refused, match="nobody was asked"):
        story.act(lambda p: actions.leave_until_next_cycle(p, p.sessions[story.next.id]))
