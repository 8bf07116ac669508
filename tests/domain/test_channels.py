"""When a channel is opened, renewed and trusted, and when its notifications cause polls."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise, product

import pytest

from tests.support.watched import DANA, DAY, HOUR, MINUTE, NOW, UNWATCHED, watched_calendar
from worker.domain.channels import (
    HINT_MERGE_PERIOD,
    MAX_ECHO_DELAY,
    MAX_RAPID_POLLS,
    MIN_RENEWAL,
    STORM_MERGE_PERIOD,
    ChannelStep,
    choose_step,
    find_next_step_at,
    find_renewal_time,
    find_retry_wait,
    is_trusted,
    schedule_hinted_poll,
)
from worker.domain.model import WatchedCalendar


@pytest.mark.parametrize(
    ("calendar", "expected_step"),
    [
        (UNWATCHED, ChannelStep.OPEN),
        (replace(UNWATCHED, next_id="b" * 32), ChannelStep.OPEN),  # an earlier attempt to open it had no end
        (watched_calendar(), ChannelStep.WAIT),
        (watched_calendar(renew_at=NOW), ChannelStep.RENEW),
        (watched_calendar(renew_at=NOW - 4 * DAY, expires_at=NOW), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY + MINUTE), ChannelStep.WAIT),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY, renew_at=NOW), ChannelStep.OPEN),
        # after a failure, the echo must be overdue and the channel open for an hour, after three for a day
        (watched_calendar(awaiting_since=NOW - HOUR, failures=1, opened_at=NOW - 2 * HOUR), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MINUTE * 10, failures=1, opened_at=NOW - MINUTE * 30), ChannelStep.WAIT),
        (
            watched_calendar(awaiting_since=NOW - HOUR, failures=3, opened_at=NOW - HOUR * 2, renew_at=NOW),
            ChannelStep.RENEW,
        ),
    ],
)
def test_state_of_a_channel_decides_its_next_step(calendar: WatchedCalendar, expected_step: ChannelStep) -> None:
    assert choose_step(calendar, NOW) is expected_step


def test_next_step_is_due_at_the_renewal_or_when_an_echo_is_overdue() -> None:
    assert find_next_step_at(watched_calendar()) == NOW + 2 * DAY
    assert find_next_step_at(watched_calendar(awaiting_since=NOW)) == NOW + MAX_ECHO_DELAY
    assert find_next_step_at(watched_calendar(awaiting_since=NOW, failures=1, opened_at=NOW)) == NOW + HOUR
    with pytest.raises(ValueError, match=DANA):
        find_next_step_at(UNWATCHED)


def test_channel_without_a_step_now_has_its_next_step_in_the_future() -> None:
    offsets = [-DAY, -HOUR, -MAX_ECHO_DELAY, -MINUTE, timedelta(0), MINUTE, HOUR]
    for awaiting_offset, opened_offset, renewal_offset in product([None, *offsets[:5]], offsets[:5], offsets):
        for failures in range(4):
            since = None if awaiting_offset is None else NOW + awaiting_offset
            calendar = watched_calendar(
                awaiting_since=since, opened_at=NOW + opened_offset, renew_at=NOW + renewal_offset, failures=failures
            )
            assert choose_step(calendar, NOW) is not ChannelStep.WAIT or find_next_step_at(calendar) > NOW


@pytest.mark.parametrize("life", [timedelta(0), -DAY, MINUTE])
def test_channel_with_a_short_life_is_renewed_after_the_minimum_time(life: timedelta) -> None:
    assert find_renewal_time("a" * 32, NOW, NOW + life) == NOW + MIN_RENEWAL


def test_channels_are_renewed_near_half_of_their_life_at_different_times() -> None:
    renewal_ages = {find_renewal_time(f"{number:032x}", NOW, NOW + 7 * DAY) - NOW for number in range(50)}
    assert len(renewal_ages) > 40
    assert all(3.1 * DAY < age < 3.9 * DAY for age in renewal_ages)  # half of a week, give or take a tenth


def test_pause_grows_with_each_failure_up_to_a_day() -> None:
    pauses = [find_retry_wait(failures) for failures in range(6)]
    assert pauses == [timedelta(0), HOUR, 4 * HOUR, DAY, DAY, DAY]


@pytest.mark.parametrize(
    "calendar",
    [
        None,
        UNWATCHED,
        watched_calendar(proven_at=None),
        watched_calendar(expires_at=NOW),
        watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY),
    ],
)
def test_channel_that_is_unproven_expired_or_silent_is_not_trusted(calendar: WatchedCalendar | None) -> None:
    assert not is_trusted(calendar, NOW)


def list_polls(notifications: list[float]) -> list[float]:
    """Return the polls that follow from notifications, both in seconds after `NOW`."""
    polls: list[float] = []
    hinted_at, count = None, 0
    for second in notifications:
        poll_at, count = schedule_hinted_poll(hinted_at, count, NOW + timedelta(seconds=second))
        if poll_at is not None:
            hinted_at = poll_at
            polls.append((poll_at - NOW).total_seconds())
    return polls


def test_storm_of_notifications_causes_two_polls_a_minute_until_a_calm() -> None:
    storm = [float(second) for second in range(3600)]
    polls = list_polls(storm)
    assert polls[: MAX_RAPID_POLLS + 1] == [
        HINT_MERGE_PERIOD.total_seconds() * number for number in range(MAX_RAPID_POLLS + 1)
    ]
    assert {b - a for a, b in pairwise(polls[MAX_RAPID_POLLS:])} == {STORM_MERGE_PERIOD.total_seconds()}
    assert polls[-1] >= storm[-1], "no poll follows the last notification"
    first_after_calm = polls[-1] + STORM_MERGE_PERIOD.total_seconds()
    assert list_polls([*storm, first_after_calm, first_after_calm + 1])[-2:] == [
        first_after_calm,
        first_after_calm + HINT_MERGE_PERIOD.total_seconds(),
    ]


@pytest.mark.parametrize("seconds_apart", [0.5, 1, 4, 5, 7, 29, 30, 31, 600])
def test_poll_follows_each_notification_within_half_a_minute(seconds_apart: float) -> None:
    notifications = [seconds_apart * number for number in range(200)]
    polls = list_polls(notifications)
    assert all(
        any(second <= poll <= second + STORM_MERGE_PERIOD.total_seconds() for poll in polls) for second in notifications
    )
