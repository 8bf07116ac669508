"""Channels: when one is opened or renewed, and whether it is trusted.

A notification is only a hint, and some are lost. So a channel has to show that it works: each change that we write
ourselves must come back through it, and no reading may find a change that was not told.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from worker.domain.model import WatchedCalendar

#: How long the notification of our own write may take.
MAX_ECHO_DELAY = timedelta(minutes=5)
#: Notifications of a calendar that come within this time are answered by one look; after so many looks in a row, each
#: soon after the one before, within a longer time: something changes the calendar on and on.
HINT_MERGE_PERIOD, MAX_RAPID_READS, STORM_MERGE_PERIOD = timedelta(seconds=5), 12, timedelta(seconds=30)
#: How long after the first, second and third failure in a row another channel is opened; then once a day.
RETRY_WAITS = (timedelta(hours=1), timedelta(hours=4), timedelta(days=1))
#: How soon a channel is renewed at the earliest.
MIN_RENEWAL = timedelta(minutes=10)
_SPREAD_STEPS = 1000


class ChannelStep(StrEnum):
    """What is to be done now about a calendar's channel."""

    OPEN = "open"
    RENEW = "renew"
    WAIT = "wait"


class ChannelStanding(StrEnum):
    """How a calendar's channel stands."""

    TRUSTED = "trusted"  #: changes come through, so the calendar is read seldom
    UNPROVEN = "unproven"  #: none has come through yet, which shows with the next change
    SILENT = "silent"  #: it is open, but our own changes do not come back, or did not through the one before
    FAILING = "failing"  #: none is open: the service refuses it


def choose_step(watched: WatchedCalendar, now: datetime) -> ChannelStep:
    """Return what is to be done about the channel now."""
    if not watched.is_open or has_expired(watched, now):
        return ChannelStep.OPEN
    if is_silent(watched, now) and find_reopening_time(watched) <= now:
        return ChannelStep.OPEN
    if watched.renew_at is not None and watched.renew_at <= now:
        return ChannelStep.RENEW
    return ChannelStep.WAIT


def find_next_step_at(watched: WatchedCalendar) -> datetime:
    """Return when the step about an open channel has to be chosen anew. Raises ValueError when none is open."""
    if watched.renew_at is None:
        raise ValueError(f"{watched.calendar} has no open channel.")
    if watched.awaiting_since is None:
        return watched.renew_at
    return min(watched.renew_at, max(watched.awaiting_since + MAX_ECHO_DELAY, find_reopening_time(watched)))


def find_reopening_time(watched: WatchedCalendar) -> datetime:
    """Return from when on a silent channel is opened anew: later after each one that stayed silent. Raises ValueError
    when none is open."""
    if watched.opened_at is None:
        raise ValueError(f"{watched.calendar} has no open channel.")
    return watched.opened_at + find_retry_wait(watched.failures)


def find_retry_wait(failures: int) -> timedelta:
    """Return how long another attempt waits after so many failures in a row."""
    return RETRY_WAITS[min(failures, len(RETRY_WAITS)) - 1] if failures else timedelta(0)


def find_renewal_time(channel_id: str, opened_at: datetime, expires_at: datetime) -> datetime:
    """Return when a channel is renewed: at half of its life, give or take a tenth, so that not all are at once; but not
    at once, even when it has ended already by our clock."""
    half = (expires_at - opened_at) / 2 * (1 + 0.2 * (derive_fraction(channel_id) - 0.5))
    return opened_at + max(half, MIN_RENEWAL)


def has_expired(watched: WatchedCalendar, now: datetime) -> bool:
    """Return whether the channel's life is over."""
    return watched.expires_at is not None and watched.expires_at <= now


def is_silent(watched: WatchedCalendar, now: datetime) -> bool:
    """Return whether our own write did not come back in time."""
    return watched.awaiting_since is not None and watched.awaiting_since + MAX_ECHO_DELAY <= now


def is_trusted(watched: WatchedCalendar | None, now: datetime) -> bool:
    """Return whether changes of the calendar will be told, so that it need not be read often."""
    if watched is None or not watched.is_open or watched.proven_at is None:
        return False
    return not has_expired(watched, now) and not is_silent(watched, now)


def schedule_hinted_read(hinted_at: datetime | None, looks: int, now: datetime) -> tuple[datetime | None, int]:
    """Return when to look at a calendar after a notification, and how many looks in a row that makes. None for when: a
    look is still to come.

    `hinted_at` is for when the last look was asked for, `looks` how many in a row there were before it. An instant far
    ahead was stored before the clock was set back.
    """
    if hinted_at is None or now - hinted_at >= STORM_MERGE_PERIOD or hinted_at - now > STORM_MERGE_PERIOD:
        return now, 0
    if hinted_at > now:
        return None, looks
    wait = HINT_MERGE_PERIOD if looks < MAX_RAPID_READS else STORM_MERGE_PERIOD
    return max(now, hinted_at + wait), looks + 1


def derive_fraction(text: str) -> float:
    """Return a number from 0 to below 1 that is always the same for a text."""
    return crc32(text.encode()) % _SPREAD_STEPS / _SPREAD_STEPS
