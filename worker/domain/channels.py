"""Decides when a channel is opened or renewed, and whether the channel is trusted.

A channel is what a calendar service has opened to notify us of changes on one calendar. A notification is only a hint,
and some are lost. A channel is therefore trusted only while each change that we write ourselves is notified through it,
and while no poll of the calendar finds a change for which no notification came.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from worker.domain.model import WatchedCalendar

#: The longest time until the notification of our own write arrives.
MAX_ECHO_DELAY = timedelta(minutes=5)
#: All notifications of a calendar within this time are answered by one poll.
HINT_MERGE_PERIOD = timedelta(seconds=5)
#: After this many rapid polls in a row, we assume that something changes the calendar continually. A poll is rapid when
#: its notification came less than STORM_MERGE_PERIOD after the poll before it.
MAX_RAPID_POLLS = 12
#: From then on, all notifications within this longer time are answered by one poll.
STORM_MERGE_PERIOD = timedelta(seconds=30)
#: How long after the first, second and third failure in a row another channel is opened. The last wait also applies to
#: all further failures.
RETRY_WAITS = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
#: A channel is renewed no earlier than this after it was opened.
MIN_RENEWAL = timedelta(minutes=10)
#: The number of different results of `derive_fraction`.
_FRACTION_STEPS = 1000


class ChannelStep(StrEnum):
    """The next step for a calendar's channel."""

    OPEN = "open"  #: open a channel, or another one in place of the open one
    RENEW = "renew"
    WAIT = "wait"


class ChannelStanding(StrEnum):
    """How reliable a calendar's channel is."""

    TRUSTED = "trusted"  #: notifications arrive, so that the calendar is polled seldom
    UNPROVEN = "unproven"  #: no notification has arrived yet; the next change will show whether the channel works
    #: The echo of our own write is overdue. A channel that was opened after a silent or failing one, or could not be
    #: renewed, counts as silent, too, until a notification comes.
    SILENT = "silent"
    FAILING = "failing"  #: no channel is open, because the service refuses to open one


def choose_step(watched: WatchedCalendar, now: datetime) -> ChannelStep:
    """Return the step that is due now for the calendar's channel."""
    if not watched.is_open or has_expired(watched, now):
        return ChannelStep.OPEN
    if is_echo_overdue(watched, now) and find_reopening_time(watched) <= now:
        return ChannelStep.OPEN
    if watched.renew_at is not None and watched.renew_at <= now:
        return ChannelStep.RENEW
    return ChannelStep.WAIT


def find_next_step_at(watched: WatchedCalendar) -> datetime:
    """Return when `choose_step` has to be called again for an open channel. Raises ValueError when none is open."""
    if watched.renew_at is None:
        raise ValueError(f"{watched.calendar} has no open channel.")
    if watched.awaiting_since is None:  # no echo of our own write is expected
        return watched.renew_at
    return min(watched.renew_at, max(watched.awaiting_since + MAX_ECHO_DELAY, find_reopening_time(watched)))


def find_reopening_time(watched: WatchedCalendar) -> datetime:
    """Return the earliest time at which a channel whose echo is overdue is replaced by another one.

    The wait counts from the opening of the channel, and grows with `WatchedCalendar.failures`. Raises ValueError when
    no channel is open.
    """
    if watched.opened_at is None:
        raise ValueError(f"{watched.calendar} has no open channel.")
    return watched.opened_at + find_retry_wait(watched.failures)


def find_retry_wait(failures: int) -> timedelta:
    """Return how long to wait before the next channel is opened. `failures` is that of `WatchedCalendar`."""
    return RETRY_WAITS[min(failures, len(RETRY_WAITS)) - 1] if failures else timedelta(0)


def find_renewal_time(channel_id: str, opened_at: datetime, expires_at: datetime) -> datetime:
    """Return when a channel is renewed: halfway through its life, plus or minus a tenth of that time.

    The variation depends on the id, and spreads the renewals of channels that were opened together. When our clock is
    ahead of the service's, the channel may seem to have expired already; it is renewed after MIN_RENEWAL all the same.
    """
    time_to_renewal = (expires_at - opened_at) / 2 * (1 + 0.2 * (derive_fraction(channel_id) - 0.5))
    return opened_at + max(time_to_renewal, MIN_RENEWAL)


def has_expired(watched: WatchedCalendar, now: datetime) -> bool:
    """Return whether the calendar's channel has expired."""
    return watched.expires_at is not None and watched.expires_at <= now


def is_echo_overdue(watched: WatchedCalendar, now: datetime) -> bool:
    """Return whether the echo, the notification of our own write, has not come within MAX_ECHO_DELAY."""
    return watched.awaiting_since is not None and watched.awaiting_since + MAX_ECHO_DELAY <= now


def is_trusted(watched: WatchedCalendar | None, now: datetime) -> bool:
    """Return whether notifications of the calendar's changes can be relied on, so that it is polled seldom."""
    # `proven_at` is None before the first notification, and again after a poll found a change without a notification.
    if watched is None or not watched.is_open or watched.proven_at is None:
        return False
    return not has_expired(watched, now) and not is_echo_overdue(watched, now)


def schedule_hinted_poll(last_poll_at: datetime | None, rapid_polls: int, now: datetime) -> tuple[datetime | None, int]:
    """Return when to poll a calendar after a notification, and how many rapid polls in a row that poll makes.

    The time is None when a poll is already scheduled. `last_poll_at` is the time of the last poll that this function
    scheduled for the calendar, or None if there was none. `rapid_polls` is the number that was returned with that time.
    """
    if last_poll_at is None:
        return now, 0
    was_last_poll_long_ago = now - last_poll_at >= STORM_MERGE_PERIOD
    was_clock_set_back = last_poll_at - now > STORM_MERGE_PERIOD  # no poll is ever scheduled that far ahead
    if was_last_poll_long_ago or was_clock_set_back:
        return now, 0
    if last_poll_at > now:
        return None, rapid_polls
    wait = HINT_MERGE_PERIOD if rapid_polls < MAX_RAPID_POLLS else STORM_MERGE_PERIOD
    return max(now, last_poll_at + wait), rapid_polls + 1


def derive_fraction(text: str) -> float:
    """Return a number from 0 to below 1 that depends only on the text."""
    return crc32(text.encode()) % _FRACTION_STEPS / _FRACTION_STEPS
