"""Tests of ad hoc sessions and check-ins, which take place within days.

R-6 and T-14 are about ad hoc sessions, R-7 about check-ins. R-8: a session for which no time fits stays owed. T-1 is
about the lengths of sessions, T-2 about buffers and unknown time, T-11 about times that people choose.
"""

from collections.abc import Callable
from datetime import date

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    OTHER_PAIR,
    SAM,
    count_shared_days,
    pair_of,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import Story, booked_story, deferral_causes, fill_days, leave_daily_gap
from worker.domain.model import (
    BusyTime,
    MailName,
    OfferPurpose,
    Owner,
    Person,
    Preference,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    TakenTime,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder


def request_adhoc_session(story: Story, trigger: Trigger = Trigger.DOUBT) -> Story:
    """Plan the story, request an ad hoc session with this trigger, and return the story."""
    story.tick()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, trigger))
    return story


def get_adhoc_session(story: Story) -> Session:
    return next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)


def get_adhoc_span(story: Story) -> Span:
    """Return the time of the ad hoc session."""
    return get_adhoc_session(story).span


def test_an_ad_hoc_session_is_booked_on_the_day_of_the_request() -> None:
    """It begins at least four hours after the request (T-14, R-6)."""
    story = request_adhoc_session(Story())
    assert count_shared_days(NOW, get_adhoc_span(story).start) == 0
    assert get_adhoc_span(story).start >= NOW + 4 * HOUR


def test_ad_hoc_session_is_shortened_to_stay_within_five_weekdays() -> None:
    """60 minutes are enough (T-14, T-1)."""
    story = Story()
    leave_daily_gap(story, minutes=90, days=8)
    request_adhoc_session(story)
    assert get_adhoc_span(story).minutes == 60
    assert count_shared_days(NOW, get_adhoc_span(story).start) <= 5


@pytest.mark.parametrize(("trigger", "full_days", "most"), [(Trigger.DOUBT, 9, 10), (Trigger.LEAVING, 4, 5)])
def test_ad_hoc_session_gets_a_later_time_when_nobody_chooses_an_offered_one(
    trigger: Trigger, full_days: int, most: int
) -> None:
    """The manager first gets a mail that nothing fits; when the offer has ended, a later time is booked (T-14, R-8).

    It is in the five working days of both that end `most` working days from now.
    """
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days=full_days)
    request_adhoc_session(story, trigger)
    assert get_adhoc_session(story).unplaceable
    assert len(story.mails("unplaceable")) == 1
    story.until(NOW + 4 * DAY)
    assert most - 5 <= count_shared_days(NOW, get_adhoc_span(story).start) <= most


@pytest.mark.parametrize("busy_people", [(SAM,), (DANA,), (DANA, SAM)], ids=["report", "manager", "both"])
def test_ad_hoc_session_without_a_free_time_has_three_displacing_times(busy_people: tuple[Person, ...]) -> None:
    """The offer states whose events each time displaces; the times are on three days, within five weekdays (T-14)."""
    story = Story()
    for person in busy_people:
        fill_days(story, person, date(2026, 9, 7), days=9)
    request_adhoc_session(story)
    session = get_adhoc_session(story)
    assert session.owed and session.offer is not None
    assert session.offer.purpose is OfferPurpose.SOON
    displaced_owners = tuple(owner for owner, person in zip(Owner, (DANA, SAM), strict=True) if person in busy_people)
    assert session.offer.displaces == (displaced_owners,) * 3
    assert len({time.start.date() for time in session.offer.times}) == 3
    assert all(count_shared_days(NOW, time.start) <= 5 for time in session.offer.times)


def test_chosen_displacing_time_has_no_clash() -> None:
    """A person chose the time knowing of the other event (T-14, T-11)."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days=9)
    request_adhoc_session(story)
    session = get_adhoc_session(story)
    story.act(lambda builder: actions.request_time(builder, builder.sessions[session.id], session.options[1]))
    story.recheck_free_busy()
    story.until(session.options[1].end)
    assert story.session(session.id).held_at == session.options[1].end
    assert deferral_causes(story) == []


@pytest.mark.parametrize("is_on_calendar", [True, False], ids=["on the calendar", "not yet on the calendar"])
def test_displacing_times_never_displace_a_session_of_another_pair(is_on_calendar: bool) -> None:
    """Sam's ordinary events fill all days; on the first three days Sam also has our sessions, with another pair (T-14).

    A session of ours that is not yet on the calendar is known as taken time.
    """
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days=9)
    sessions = [Span(utc(2026, 9, day, 6), utc(2026, 9, day, 18)) for day in (7, 8, 9)]
    if is_on_calendar:
        story.calendars.busy[SAM.email] += [BusyTime(span, key=f"c9{n}") for n, span in enumerate(sessions)]
    else:
        story.calendars.taken[SAM.email] = tuple(
            TakenTime(span, f"c9{n}", SessionKind.CAREER, OTHER_PAIR, in_turn=False) for n, span in enumerate(sessions)
        )
    request_adhoc_session(story)
    offer = get_adhoc_session(story).offer
    assert offer is not None
    assert [time.start.day for time in offer.times] == [10, 11, 14]


def test_displacing_times_do_not_displace_absences_or_unknown_time() -> None:
    """Without such a time, nothing is offered (T-14)."""
    story_with_absence = Story()
    story_with_absence.calendars.book(SAM, NOW, NOW + 9 * DAY, ShowAs.AWAY)
    request_adhoc_session(story_with_absence)
    story_with_unknown_time = Story()
    story_with_unknown_time.calendars.unknown[SAM.email] = "no access"
    request_adhoc_session(story_with_unknown_time)
    for story in (story_with_absence, story_with_unknown_time):
        session = get_adhoc_session(story)
        assert session.unplaceable and session.offer is None


@pytest.mark.parametrize(("days_ahead", "moves"), [(15, True), (24, False)])
def test_regular_session_moves_only_when_an_ad_hoc_session_is_within_three_weeks(days_ahead: int, moves: bool) -> None:
    """It moves by at most three weeks, wherever its target is, and nothing counts as a deferral (T-14)."""
    start = NOW + days_ahead * DAY + 3 * HOUR
    session = session_of(start, target=start + 14 * DAY, latest=start + 35 * DAY)
    story = request_adhoc_session(Story(state=state_of(session)))
    new_session = story.session(session.id)
    assert (new_session.span != session.span) is moves
    assert new_session.booked and new_session.count == 0
    assert start <= new_session.span.start <= start + 21 * DAY
    if moves:
        assert new_session.span.start >= get_adhoc_span(story).end + 21 * DAY


def test_ad_hoc_session_does_not_replace_the_regular_one() -> None:
    """The regular session keeps its time, and the rhythm does not count from the ad hoc session (T-14)."""
    story = booked_story()
    regular = story.next
    story.until(regular.span.end)
    next_session = story.next
    story.tick_at(story.now + 30 * DAY)
    request_adhoc_session(story)
    adhoc_session = get_adhoc_session(story)
    story.until(adhoc_session.span.end + HOUR)
    assert story.session(adhoc_session.id).state is SessionState.HELD
    assert story.session(next_session.id).span == next_session.span


def test_a_session_about_leaving_is_within_two_working_days() -> None:
    """An urgent session ignores the preference of the pair (T-14)."""
    friday_at_three = Preference(weekday=4, minute=15 * 60)
    story = Story(pair_of(preference=friday_at_three))
    request_adhoc_session(story, Trigger.LEAVING)
    assert count_shared_days(NOW, get_adhoc_span(story).start) <= 2


def test_any_trigger_can_be_as_urgent_as_leaving() -> None:
    """Therefore the urgency does not reveal the reason (R-6)."""
    story = booked_story()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.MILESTONE, at_once=True))
    session = get_adhoc_session(story)
    assert session.urgent
    assert count_shared_days(NOW, session.span.start) <= 2


def test_urgent_session_gives_up_buffers_rather_than_its_date() -> None:
    """60 minutes between two meetings are enough for an urgent session (T-14)."""
    story = Story()
    leave_daily_gap(story, minutes=60, days=10)
    request_adhoc_session(story, Trigger.LEAVING)
    span = get_adhoc_span(story)
    assert span.minutes == 60
    assert span.start == utc(2026, 9, 7, 11), "it is not in today's gap, which begins at 13:00 in Berlin"


def test_ad_hoc_session_that_is_not_urgent_keeps_its_buffers() -> None:
    """60 minutes between two meetings hold no session with its buffers (T-14, T-2)."""
    story = Story()
    leave_daily_gap(story, minutes=60, days=30)
    request_adhoc_session(story)
    assert get_adhoc_session(story).unplaceable


def test_urgent_session_is_placed_before_the_regular_one() -> None:
    """The report's only free time fits one session with both buffers; the urgent session gets it (T-14)."""
    story = Story(pair_of(start=date(2026, 1, 1)))
    fill_days(story, SAM, date(2026, 9, 7), days=2)
    start = utc(2026, 9, 9, 11)
    story.calendars.book(SAM, utc(2026, 9, 9), start)
    story.calendars.book(SAM, start + 105 * MINUTE, utc(2026, 9, 10))
    fill_days(story, SAM, date(2026, 9, 10), days=250)
    story.calendars.unavailable = {DANA.email}
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    sessions_by_adhoc = {s.adhoc: s for s in story.sessions_of_kind(SessionKind.CAREER)}
    assert sessions_by_adhoc[True].booked
    assert sessions_by_adhoc[False].unplaceable


def test_ad_hoc_session_has_no_later_date_before_the_mail() -> None:
    """This holds even when the calendars are read for the first time (T-14, R-8)."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days=9)
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    assert get_adhoc_session(story).unplaceable
    assert len(story.mails("unplaceable")) == 1


def test_a_check_in_takes_15_minutes_within_five_weekdays() -> None:
    """A check-in takes 15 minutes, within five weekdays of the request (R-7)."""
    story = booked_story()
    story.act(actions.request_check_in)
    (check_in,) = story.sessions_of_kind(SessionKind.CHECKIN)
    assert check_in.span.minutes == 15
    assert count_shared_days(NOW, check_in.span.start) <= 5


@pytest.mark.parametrize(
    "request_session",
    [
        actions.request_check_in,
        lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT),
        lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING),
    ],
)
def test_requested_session_is_booked_after_its_window_when_the_calendar_refused_it_until_then(
    request_session: Callable[[PlanBuilder], object],
) -> None:
    """Nobody gets a mail that nothing fits, since no search has failed (R-8, T-14)."""
    story = Story()
    story.tick()
    story.refuses = True
    story.act(request_session)
    (requested,) = [s for s in story.state.sessions if s.adhoc or s.kind is SessionKind.CHECKIN]
    story.until(requested.latest + HOUR)
    story.refuses = False
    story.until(story.now + 3 * DAY)
    booked = story.session(requested.id)
    assert booked.start is not None and booked.start > requested.latest
    assert not story.mails(MailName.UNPLACEABLE)
