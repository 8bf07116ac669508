"""Polling: how often a calendar is read, with a channel and without."""

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
def test_a_calendar_without_a_trusted_channel_is_read_as_the_settings_say(calendar: WatchedCalendar | None) -> None:
    assert find_next_poll(DANA, NOW, PACE, watched=calendar) == NOW + PACE.every


@pytest.mark.parametrize("owner", [None, person(DANA)])
@pytest.mark.parametrize(
    ("proven_for", "expected"),
    [
        (timedelta(0), TRIAL_INTERVAL),
        (TRIAL - MINUTE, TRIAL_INTERVAL),
        (TRIAL, WATCHED_INTERVAL),
        (TRIAL * 20, WATCHED_INTERVAL),
    ],
)
def test_a_trusted_calendar_is_read_after_an_hour_of_work_and_after_three_when_nothing_was_missed_for_a_week(
    owner: Person | None, proven_for: timedelta, expected: timedelta
) -> None:
    """Give or take a quarter, so that not all are read at once."""
    one = watched_calendar(proven_at=NOW - proven_for)
    intervals = [find_next_poll(f"{n}@example.com", NOW, PACE, watched=one, owner=owner) - NOW for n in range(200)]
    assert all(expected * 0.75 <= interval <= expected * 1.25 for interval in intervals)
    assert abs(sum(intervals, timedelta(0)) / len(intervals) - expected) < 5 * MINUTE


def test_the_time_in_which_the_owner_does_not_work_does_not_count() -> None:
    evening = NOW.replace(hour=15)  # four in Berlin, an hour before the end of work
    at = find_next_poll(DANA, evening, PACE, watched=watched_calendar(proven_at=NOW - TRIAL), owner=person(DANA))
    next_morning = NOW.replace(day=3, hour=8)
    rest = at - next_morning
    assert WATCHED_INTERVAL * 0.75 - HOUR <= rest <= WATCHED_INTERVAL * 1.25 - HOUR


def test_a_trusted_calendar_is_read_once_a_day_while_its_owner_does_not_work() -> None:
    saturday = NOW.replace(day=7)
    assert find_next_poll(DANA, saturday, PACE, watched=watched_calendar(), owner=person(DANA)) == saturday + DAY
    never = person(DANA, hours=WorkingHours(((),) * 7))
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(), owner=never) == NOW + DAY


def test_what_is_about_to_happen_changes_nothing_for_a_trusted_channel() -> None:
    alone = find_next_poll(DANA, NOW, PACE, watched=watched_calendar())
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(), next_session=NOW + HOUR, changed_at=NOW) == alone


def test_a_channel_that_ends_sooner_is_trusted_until_then() -> None:
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(expires_at=NOW + 10 * MINUTE)) == NOW + 10 * MINUTE
    assert find_next_poll(DANA, NOW, PACE, watched=watched_calendar(expires_at=NOW + MINUTE)) == NOW + PACE.every


@pytest.mark.parametrize(
    ("session_in", "changed_ago", "interval"),
    [
        (None, None, PACE.every),
        (3 * DAY, HOUR, PACE.every),
        (2 * DAY, None, PACE.near),
        (-HOUR / 2, None, PACE.near),
        (None, 10 * MINUTE, PACE.near),
        (None, timedelta(0), PACE.near),
    ],
)
def test_without_a_channel_a_calendar_is_read_often_while_something_is_about_to_happen(
    session_in: timedelta | None, changed_ago: timedelta | None, interval: timedelta
) -> None:
    next_session = None if session_in is None else NOW + session_in
    changed_at = None if changed_ago is None else NOW - changed_ago
    assert find_next_poll(DANA, NOW, PACE, next_session=next_session, changed_at=changed_at) == NOW + interval


def test_a_calendar_is_never_read_more_seldom_than_the_setting_when_something_is_near() -> None:
    slow = PollingPace(every=MINUTE, near=5 * MINUTE)
    assert find_next_poll(DANA, NOW, slow, changed_at=NOW) == NOW + MINUTE


def test_a_longer_setting_holds_for_watched_calendars_too() -> None:
    slow = PollingPace(every=6 * HOUR, near=MINUTE)
    assert find_next_poll(DANA, NOW, slow, watched=watched_calendar()) == NOW + 6 * HOUR
