"""Channels: when one is opened or renewed, and which is trusted."""

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
    ("calendar", "step"),
    [
        (UNWATCHED, ChannelStep.OPEN),
        (replace(UNWATCHED, next_id="b" * 32), ChannelStep.OPEN),
        (watched_calendar(), ChannelStep.WAIT),
        (watched_calendar(renew_at=NOW), ChannelStep.RENEW),
        (watched_calendar(renew_at=NOW - 4 * DAY, expires_at=NOW), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY + MINUTE), ChannelStep.WAIT),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MAX_ECHO_DELAY, renew_at=NOW), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - HOUR, failures=1, opened_at=NOW - 2 * HOUR), ChannelStep.OPEN),
        (watched_calendar(awaiting_since=NOW - MINUTE * 10, failures=1, opened_at=NOW - MINUTE * 30), ChannelStep.WAIT),
        (
            watched_calendar(awaiting_since=NOW - HOUR, failures=3, opened_at=NOW - HOUR * 2, renew_at=NOW),
            ChannelStep.RENEW,
        ),
    ],
)
def test_each_channel_has_one_next_step(calendar: WatchedCalendar, step: ChannelStep) -> None:
    assert choose_step(calendar, NOW) is step


def test_the_next_step_is_renewal_or_the_end_of_patience_with_our_own_write() -> None:
    assert find_next_step_at(watched_calendar()) == NOW + 2 * DAY
    assert find_next_step_at(watched_calendar(awaiting_since=NOW)) == NOW + MAX_ECHO_DELAY
    assert find_next_step_at(watched_calendar(awaiting_since=NOW, failures=1, opened_at=NOW)) == NOW + HOUR
    with pytest.raises(ValueError, match=DANA):
        find_next_step_at(UNWATCHED)


def test_what_waits_is_due_later_so_that_no_step_is_taken_again_and_again() -> None:
    spans = [-DAY, -HOUR, -MAX_ECHO_DELAY, -MINUTE, timedelta(0), MINUTE, HOUR]
    for awaiting, opened, renewal in product([None, *spans[:5]], spans[:5], spans):
        for failures in range(4):
            since = None if awaiting is None else NOW + awaiting
            one = watched_calendar(
                awaiting_since=since, opened_at=NOW + opened, renew_at=NOW + renewal, failures=failures
            )
            assert choose_step(one, NOW) is not ChannelStep.WAIT or find_next_step_at(one) > NOW


@pytest.mark.parametrize("life", [timedelta(0), -DAY, MINUTE])
def test_a_channel_that_ends_at_once_is_not_opened_again_at_once(life: timedelta) -> None:
    assert find_renewal_time("a" * 32, NOW, NOW + life) == NOW + MIN_RENEWAL


def test_a_channel_is_renewed_near_half_of_its_life_but_not_all_at_once() -> None:
    renewals = {find_renewal_time(f"{number:032x}", NOW, NOW + 7 * DAY) - NOW for number in range(50)}
    assert len(renewals) > 40
    assert all(3.1 * DAY < at < 3.9 * DAY for at in renewals)


def test_each_failure_in_a_row_waits_longer_up_to_a_day() -> None:
    waits = [find_retry_wait(failures) for failures in range(6)]
    assert waits == [timedelta(0), HOUR, 4 * HOUR, DAY, DAY, DAY]


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
def test_trust_has_to_be_earned_and_is_lost_by_silence_or_age(calendar: WatchedCalendar | None) -> None:
    assert not is_trusted(calendar, NOW)


def list_looks(notifications: list[float]) -> list[float]:
    """The looks that follow from notifications; both in seconds."""
    looks: list[float] = []
    hinted_at, count = None, 0
    for second in notifications:
        look_at, count = schedule_hinted_poll(hinted_at, count, NOW + timedelta(seconds=second))
        if look_at is not None:
            hinted_at = look_at
            looks.append((look_at - NOW).total_seconds())
    return looks


def test_a_storm_of_notifications_asks_for_two_looks_a_minute_and_a_calm_ends_it() -> None:
    storm = [float(second) for second in range(3600)]
    looks = list_looks(storm)
    assert looks[: MAX_RAPID_POLLS + 1] == [
        HINT_MERGE_PERIOD.total_seconds() * number for number in range(MAX_RAPID_POLLS + 1)
    ]
    assert {b - a for a, b in pairwise(looks[MAX_RAPID_POLLS:])} == {STORM_MERGE_PERIOD.total_seconds()}
    assert looks[-1] >= storm[-1], "the last one is not lost"
    calm = looks[-1] + STORM_MERGE_PERIOD.total_seconds()
    assert list_looks([*storm, calm, calm + 1])[-2:] == [calm, calm + HINT_MERGE_PERIOD.total_seconds()]


@pytest.mark.parametrize("apart", [0.5, 1, 4, 5, 7, 29, 30, 31, 600])
def test_each_notification_is_followed_by_a_look_in_half_a_minute_at_most(apart: float) -> None:
    told = [apart * number for number in range(200)]
    looks = list_looks(told)
    assert all(any(one <= look <= one + STORM_MERGE_PERIOD.total_seconds() for look in looks) for one in map(int, told))
