"""How often a calendar is polled, with a channel and without one."""

from datetime import timedelta

import pytest

from tests.support.companies import person
from tests.support.watched import DANA, DAY, HOUR, MINUTE, NOW, UNWATCHED, watched_calendar
from worker.domain.channels import MAX_ECHO_DELAY
from worker.domain.model import Person, WatchedCalendar, WorkingHours
from worker.domain.polling import TRIAL, TRIAL_INTERVAL, WATCHED_INTERVAL, PollingPace, find_next_poll

PACE = PollingPace(every=5 * MINUTE, near=MINUTE)


@pytest.mark.parametrize(
    "calendar",
    [None, UNWATCHED, watched_calendar(proven_at=None), watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY)],
)
def test_calendar_without_a_trusted_channel_is_polled_at_the_interval_of_the_settings(
    calendar: WatchedCalendar | None,
) -> None:
    assert find_next_poll(DANA, NOW, PACE, watched=calendar) == NOW + PACE.every


@pytest.mark.parametrize("owner", [None, person(DANA)])
@pytest.mark.parametrize(
    ("proven_for", "expected_interval"),
    [
        (timedelta(0), TRIAL_INTERVAL),
        (TRIAL - MINUTE, TRIAL_INTERVAL),
        (TRIAL, WATCHED_INTERVAL),
        (TRIAL * 20, WATCHED_INTERVAL),
    ],
)
def test_trusted_calendar_is_polled_each_hour_for_a_week_and_then_every_three_hours(
    owner: Person | None, proven_for: timedelta, expected_interval: timedelta
) -> None:
    """Intervals vary by a quarter, so that not all calendars are polled at once."""
    calendar = watched_calendar(proven_at=NOW - proven_for)
    intervals = [find_next_poll(f"{n}@example.com", NOW, PACE, watched=calendar, owner=owner) - NOW for n in range(200)]
    assert all(expected_interval * 0.75 <= interval <= expected_interval * 1.25 for interval in intervals)
    assert abs(sum(intervals, timedelta(0)) / len(intervals) - expected_interval) < 5 * MINUTE


def test_time_outside_the_owner_s_working_hours_does_not_count() -> None:
    late_afternoon = NOW.replace(hour=15)  # 16:00 in Berlin, an hour before the end of work
    poll_at = find_next_poll(
        DANA, late_afternoon, PACE, watched=watched_calendar(proven_at=NOW - TRIAL), owner=person(DANA)
    )
    next_morning = NOW.replace(day=3, hour=8)  # 9:00 in Berlin
    time_after_morning = poll_at - next_morning
    assert WATCHED_INTERVAL * 0.75 - HOUR <= time_after_morning <= WATCHED_INTERVAL * 1.25 - HOUR


def test_trusted_calendar_is_polled_once_a_day_while_its_owner_does_not_work() -> None:
    saturday = NOW.replace(day=7)
    assert find_next_poll(DANA, saturday, PACE, watched=watched_calendar(), owner=person(DANA)) == saturday + DAY
    owner_without_hours = person(DANA, hours=WorkingHours(((),) * 7))
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(), owner=owner_without_hours) == NOW + DAY


def test_near_session_or_recent_change_does_not_matter_with_a_trusted_channel() -> None:
    expected_poll = find_next_poll(DANA, NOW, PACE, watched=watched_calendar())
    assert (
        find_next_poll(DANA, NOW, PACE, watched=watched_calendar(), next_session=NOW + HOUR, changed_at=NOW)
        == expected_poll
    )


def test_calendar_is_polled_when_its_channel_expires_before_the_next_poll() -> None:
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(expires_at=NOW + 10 * MINUTE)) == NOW + 10 * MINUTE
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(expires_at=NOW + MINUTE)) == NOW + PACE.every


@pytest.mark.parametrize(
    ("time_to_session", "time_since_change", "interval"),
    [
        (None, None, PACE.every),
        (3 * DAY, HOUR, PACE.every),
        (2 * DAY, None, PACE.near),
        (-HOUR / 2, None, PACE.near),
        (None, 10 * MINUTE, PACE.near),
        (None, timedelta(0), PACE.near),
    ],
)
def test_calendar_without_channel_is_polled_often_near_a_session_or_after_a_change(
    time_to_session: timedelta | None, time_since_change: timedelta | None, interval: timedelta
) -> None:
    next_session = None if time_to_session is None else NOW + time_to_session
    changed_at = None if time_since_change is None else NOW - time_since_change
    assert find_next_poll(DANA, NOW, PACE, next_session=next_session, changed_at=changed_at) == NOW + interval


def test_near_interval_never_makes_polls_less_frequent() -> None:
    slow = PollingPace(every=MINUTE, near=5 * MINUTE)
    assert find_next_poll(DANA, NOW, slow, changed_at=NOW) == NOW + MINUTE


def test_longer_interval_of_the_settings_applies_to_trusted_calendars_too() -> None:
    slow_pace = PollingPace(every=6 * HOUR, near=MINUTE)
    assert find_next_poll(DANA, NOW, slow_pace, watched=watched_calendar()) == NOW + 6 * HOUR
