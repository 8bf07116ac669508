"""Conversations that can't wait for the rhythm (R-6, R-7; T-14)."""

from datetime import date

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, count_shared_days, pair_of, session_of, state_of, utc
from tests.support.stories import Story, booked_story, deferral_causes, fill_days, leave_daily_gap
from worker.domain.model import (
    OfferPurpose,
    Owner,
    Person,
    Preference,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Trigger,
)
from worker.domain.planning import actions


def soon(story: Story, trigger: Trigger = Trigger.DOUBT) -> Story:
    story.tick()
    story.act(lambda p: actions.request_talk(p, trigger))
    return story


def adhoc_span(story: Story) -> Span:
    return next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc).span


def test_an_ad_hoc_conversation_is_within_five_working_days() -> None:
    """T-14, R-6: as early as it goes, and not within four hours."""
    story = soon(Story())
    assert count_shared_days(NOW, adhoc_span(story).start) == 0
    assert adhoc_span(story).start >= NOW + 4 * HOUR


def test_an_ad_hoc_conversation_is_shortened_before_it_is_put_off() -> None:
    """T-14, T-1: within the five working days 60 minutes will do."""
    story = Story()
    leave_daily_gap(story, 90, days=8)
    soon(story)
    assert adhoc_span(story).minutes == 60
    assert count_shared_days(NOW, adhoc_span(story).start) <= 5


@pytest.mark.parametrize(("trigger", "days", "within"), [(Trigger.DOUBT, 9, 10), (Trigger.LEAVING, 4, 5)])
def test_once_told_that_it_can_t_be_so_soon_it_may_be_a_little_later(trigger: Trigger, days: int, within: int) -> None:
    """T-14, R-8: a person hears of it first; when nobody chose a time that was offered, it is put soon."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days)
    soon(story, trigger)
    assert next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc).unplaceable
    assert len(story.mails("unplaceable")) == 1
    story.until(NOW + 4 * DAY)
    assert within - 5 <= count_shared_days(NOW, adhoc_span(story).start) <= within


@pytest.mark.parametrize("who", [(SAM,), (DANA,), (DANA, SAM)], ids=["report", "manager", "both"])
def test_where_nothing_fits_three_times_are_offered_and_whose_hour_each_takes(who: tuple[Person, ...]) -> None:
    """T-14: the same day, within the date, on three days; nothing is said of what stands there."""
    story = Story()
    for one in who:
        fill_days(story, one, date(2026, 9, 7), 9)
    soon(story)
    talk = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert talk.owed and talk.offer is not None
    assert talk.offer.purpose is OfferPurpose.SOON
    owners = tuple(owner for owner, one in zip(Owner, (DANA, SAM), strict=True) if one in who)
    assert talk.offer.displaces == (owners,) * 3
    assert len({time.start.date() for time in talk.offer.times}) == 3
    assert all(count_shared_days(NOW, time.start) <= 5 for time in talk.offer.times)


def test_a_time_that_takes_somebody_s_hour_is_no_conflict_once_it_was_chosen() -> None:
    """T-14, T-11: whoever chose it knows what stands there."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), 9)
    soon(story)
    talk = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    story.act(lambda p: actions.request_time(p, p.sessions[talk.id], talk.options[1]))
    story.recheck_free_busy()
    story.until(talk.options[1].end)
    assert story.session(talk.id).held_at == talk.options[1].end
    assert deferral_causes(story) == []


def test_nobody_s_absence_and_none_of_our_sessions_give_way() -> None:
    """T-14: out of office is no hour to take, and a calendar that can't be read neither."""
    away = Story()
    away.calendars.book(SAM, NOW, NOW + 9 * DAY, ShowAs.AWAY)
    soon(away)
    unread = Story()
    unread.calendars.unknown[SAM.email] = "no access"
    soon(unread)
    for story in (away, unread):
        talk = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
        assert talk.unplaceable and talk.offer is None


@pytest.mark.parametrize(("days", "moves"), [(15, True), (24, False)])
def test_the_regular_session_moves_only_if_it_is_less_than_three_weeks_away(days: int, moves: bool) -> None:
    """T-14: wherever its target lies, by at most three weeks, and that is no deferral."""
    start = NOW + days * DAY + 3 * HOUR
    given = session_of(start, target=start + 14 * DAY, latest=start + 35 * DAY)
    story = soon(Story(state=state_of(given)))
    after = story.session("c1")
    assert (after.span != given.span) is moves
    assert after.booked and after.count == 0
    assert start <= after.span.start <= start + 21 * DAY
    assert not moves or after.span.start >= adhoc_span(story).end + 21 * DAY


def test_a_conversation_soon_is_never_the_quarterly_one() -> None:
    """T-14: the regular one stays on the calendar, and the next is counted from the regular one."""
    story = booked_story()
    regular = story.next
    story.until(regular.span.end)
    following = story.next
    story.tick_at(story.now + 30 * DAY)
    soon(story)
    talk = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    story.until(talk.span.end + HOUR)
    assert story.session(talk.id).state is SessionState.HELD
    assert story.session(following.id).span == following.span


def test_when_leaving_is_signalled_it_is_within_two() -> None:
    """T-14: whatever the pair prefers."""
    story = Story(pair_of(preference=Preference(weekday=4, minute=15 * 60)))
    soon(story, Trigger.LEAVING)
    assert count_shared_days(NOW, adhoc_span(story).start) <= 2


def test_any_trigger_can_be_as_urgent_as_leaving() -> None:
    """R-6: so that the urgency gives no reason away."""
    story = booked_story()
    story.act(lambda p: actions.request_talk(p, Trigger.MILESTONE, at_once=True))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert adhoc.urgent
    assert count_shared_days(NOW, adhoc.span.start) <= 2


def test_buffers_yield_before_the_date_does() -> None:
    """T-14: 60 minutes between two meetings are enough when it is urgent."""
    story = Story()
    leave_daily_gap(story, 60, days=10)
    soon(story, Trigger.LEAVING)
    span = adhoc_span(story)
    assert span.minutes == 60
    assert (span.start.hour, count_shared_days(NOW, span.start)) == (11, 0)


def test_buffers_do_not_yield_when_it_is_not_urgent() -> None:
    """T-14, T-2."""
    story = Story()
    leave_daily_gap(story, 60, days=30)
    soon(story)
    assert next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc).unplaceable


def test_the_most_urgent_is_placed_first() -> None:
    """T-14: of one free hour in two weeks, leaving gets it, not the regular session."""
    story = Story(pair_of(start=date(2026, 1, 1)))
    fill_days(story, SAM, date(2026, 9, 7), 2)
    start = utc(2026, 9, 9, 11)
    story.calendars.book(SAM, utc(2026, 9, 9), start)
    story.calendars.book(SAM, start + 105 * MINUTE, utc(2026, 9, 10))
    fill_days(story, SAM, date(2026, 9, 10), 250)
    story.calendars.unavailable = {DANA.email}
    story.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    found = {s.adhoc: s for s in story.sessions_of_kind(SessionKind.CAREER)}
    assert found[True].booked
    assert found[False].unplaceable


def test_a_later_date_is_not_taken_before_anybody_was_told() -> None:
    """T-14, R-8: also when the calendars are read for the first time."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), 9)
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    assert next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc).unplaceable
    assert len(story.mails("unplaceable")) == 1


def test_a_check_in_is_short_and_soon() -> None:
    """R-7: 15 minutes, on request."""
    story = booked_story()
    story.act(actions.request_check_in)
    (check_in,) = story.sessions_of_kind(SessionKind.CHECKIN)
    assert check_in.span.minutes == 15
    assert count_shared_days(NOW, check_in.span.start) <= 5
