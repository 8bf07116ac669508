"""Channels: when one is opened or renewed, which is trusted, and how often a calendar is read."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from tests.support.companies import person
from worker.domain.channels import (
    MAX_ECHO_DELAY,
    MIN_RENEWAL,
    WATCHED_INTERVAL,
    ChannelStep,
    ReadingPace,
    choose_step,
    find_next_read,
    find_next_step_at,
    find_renewal,
    find_retry_wait,
    is_trusted,
)
from worker.domain.model import Person, WatchedCalendar, WorkingHours

DANA = "dana@example.com"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PACE = ReadingPace(every=5 * MINUTE, near=MINUTE)
UNWATCHED = WatchedCalendar(calendar=DANA, service="google")


def watched(**changed: Any) -> WatchedCalendar:
    """A calendar whose channel was opened a day ago, and works."""
    given = replace(
        UNWATCHED,
        id="a" * 32,
        remote_id="r",
        opened_at=NOW - DAY,
        renew_at=NOW + 2 * DAY,
        expires_at=NOW + 6 * DAY,
        proven_at=NOW - DAY,
    )
    return replace(given, **changed)


@pytest.mark.parametrize(
    ("calendar", "step"),
    [
        (UNWATCHED, ChannelStep.OPEN),
        (replace(UNWATCHED, next_id="b" * 32), ChannelStep.OPEN),
        (watched(), ChannelStep.WAIT),
        (watched(renew_at=NOW), ChannelStep.RENEW),
        (watched(renew_at=NOW - 4 * DAY, expires_at=NOW), ChannelStep.OPEN),
        (watched(awaiting_since=NOW - MAX_ECHO_DELAY + MINUTE), ChannelStep.WAIT),
        (watched(awaiting_since=NOW - MAX_ECHO_DELAY), ChannelStep.OPEN),
        (watched(awaiting_since=NOW - MAX_ECHO_DELAY, renew_at=NOW), ChannelStep.OPEN),
        (watched(awaiting_since=NOW - HOUR, failures=1, opened_at=NOW - 2 * HOUR), ChannelStep.OPEN),
        (watched(awaiting_since=NOW - MINUTE * 10, failures=1, opened_at=NOW - MINUTE * 30), ChannelStep.WAIT),
        (watched(awaiting_since=NOW - HOUR, failures=3, opened_at=NOW - HOUR * 2, renew_at=NOW), ChannelStep.RENEW),
    ],
)
def test_each_channel_has_one_next_step(calendar: WatchedCalendar, step: ChannelStep) -> None:
    assert choose_step(calendar, NOW) is step


def test_the_next_step_is_renewal_or_the_end_of_patience_with_our_own_write() -> None:
    assert find_next_step_at(watched()) == NOW + 2 * DAY
    assert find_next_step_at(watched(awaiting_since=NOW)) == NOW + MAX_ECHO_DELAY
    assert find_next_step_at(watched(awaiting_since=NOW, failures=1, opened_at=NOW)) == NOW + HOUR
    with pytest.raises(ValueError, match=DANA):
        find_next_step_at(UNWATCHED)


def test_what_waits_is_due_later_so_that_no_step_is_taken_again_and_again() -> None:
    spans = [-DAY, -HOUR, -MAX_ECHO_DELAY, -MINUTE, timedelta(0), MINUTE, HOUR]
    for awaiting, opened, renewal in product([None, *spans[:5]], spans[:5], spans):
        for failures in range(4):
            since = None if awaiting is None else NOW + awaiting
            one = watched(awaiting_since=since, opened_at=NOW + opened, renew_at=NOW + renewal, failures=failures)
            assert choose_step(one, NOW) is not ChannelStep.WAIT or find_next_step_at(one) > NOW


@pytest.mark.parametrize("life", [timedelta(0), -DAY, MINUTE])
def test_a_channel_that_ends_at_once_is_not_opened_again_at_once(life: timedelta) -> None:
    assert find_renewal("a" * 32, NOW, NOW + life) == NOW + MIN_RENEWAL


def test_a_channel_is_renewed_near_half_of_its_life_but_not_all_at_once() -> None:
    renewals = {find_renewal(f"{number:032x}", NOW, NOW + 7 * DAY) - NOW for number in range(50)}
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
        watched(proven_at=None),
        watched(expires_at=NOW),
        watched(awaiting_since=NOW - MAX_ECHO_DELAY),
    ],
)
def test_trust_has_to_be_earned_and_is_lost_by_silence_or_age(calendar: WatchedCalendar | None) -> None:
    assert not is_trusted(calendar, NOW)
    assert find_next_read(DANA, NOW, PACE, watched=calendar) == NOW + PACE.every


@pytest.mark.parametrize("owner", [None, person(DANA)])
def test_a_trusted_calendar_is_read_after_three_hours_of_work_give_or_take_a_quarter(owner: Person | None) -> None:
    intervals = [
        find_next_read(f"{n}@example.com", NOW, PACE, watched=watched(), owner=owner) - NOW for n in range(200)
    ]
    assert all(WATCHED_INTERVAL * 0.75 <= interval <= WATCHED_INTERVAL * 1.25 for interval in intervals)
    assert abs(sum(intervals, timedelta(0)) / len(intervals) - WATCHED_INTERVAL) < 5 * MINUTE


def test_the_time_in_which_the_owner_does_not_work_does_not_count() -> None:
    evening = NOW.replace(hour=15)  # four in Berlin, an hour before the end of work
    at = find_next_read(DANA, evening, PACE, watched=watched(), owner=person(DANA))
    next_morning = NOW.replace(day=3, hour=8)
    rest = at - next_morning
    assert WATCHED_INTERVAL * 0.75 - HOUR <= rest <= WATCHED_INTERVAL * 1.25 - HOUR


def test_a_trusted_calendar_is_read_once_a_day_while_its_owner_does_not_work() -> None:
    saturday = NOW.replace(day=7)
    assert find_next_read(DANA, saturday, PACE, watched=watched(), owner=person(DANA)) == saturday + DAY
    never = person(DANA, hours=WorkingHours(((),) * 7))
    assert find_next_read(DANA, NOW, PACE, watched=watched(), owner=never) == NOW + DAY


def test_what_is_about_to_happen_changes_nothing_for_a_trusted_channel() -> None:
    alone = find_next_read(DANA, NOW, PACE, watched=watched())
    assert find_next_read(DANA, NOW, PACE, watched=watched(), next_session=NOW + HOUR, changed_at=NOW) == alone


def test_a_channel_that_ends_sooner_is_trusted_until_then() -> None:
    assert find_next_read(DANA, NOW, PACE, watched=watched(expires_at=NOW + 10 * MINUTE)) == NOW + 10 * MINUTE
    assert find_next_read(DANA, NOW, PACE, watched=watched(expires_at=NOW + MINUTE)) == NOW + PACE.every


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
    assert find_next_read(DANA, NOW, PACE, next_session=next_session, changed_at=changed_at) == NOW + interval


def test_a_calendar_is_never_read_more_seldom_than_the_setting_when_something_is_near() -> None:
    slow = ReadingPace(every=MINUTE, near=5 * MINUTE)
    assert find_next_read(DANA, NOW, slow, changed_at=NOW) == NOW + MINUTE


def test_a_longer_setting_holds_for_watched_calendars_too() -> None:
    slow = ReadingPace(every=6 * HOUR, near=MINUTE)
    assert find_next_read(DANA, NOW, slow, watched=watched()) == NOW + 6 * HOUR
