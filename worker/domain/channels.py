"""Channels and reading: when a channel is opened or renewed, whether it is trusted, and when a calendar is read next.

A notification is only a hint, and some are lost. So a channel has to show that it works: each change that we write
ourselves must come back through it, and no reading may find a change that was not told.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from zlib import crc32

from worker.domain.model import Address, Person, Span, WatchedCalendar
from worker.domain.time.worktime import list_working_spans

#: How long the notification of our own write may take.
MAX_ECHO_DELAY = timedelta(minutes=5)
#: Notifications of a calendar that come within this time are answered by one look.
FOLDING = timedelta(seconds=5)
#: After how much of its owner's working time a calendar is read whose channel is trusted, give or take a quarter; and
#: after how long at the latest. People change little while they don't work, and what was lost then can wait.
WATCHED_INTERVAL, MAX_WATCHED_INTERVAL = timedelta(hours=3), timedelta(days=1)
#: A calendar is read often when one of its sessions begins within this time, and for so long after a change.
NEAR_SESSION, NEAR_CHANGE = timedelta(days=2), timedelta(minutes=10)
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


@dataclass(frozen=True, slots=True)
class ReadingPace:
    """How often calendars without a trusted channel are read."""

    every: timedelta
    near: timedelta  #: while something is about to happen there; never more than `every`


def choose_step(watched: WatchedCalendar, now: datetime) -> ChannelStep:
    """Return what is to be done about the channel now."""
    if not watched.is_open or has_expired(watched, now):
        return ChannelStep.OPEN
    if is_silent(watched, now) and find_reopening(watched) <= now:
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
    return min(watched.renew_at, max(watched.awaiting_since + MAX_ECHO_DELAY, find_reopening(watched)))


def find_reopening(watched: WatchedCalendar) -> datetime:
    """Return from when on a silent channel is opened anew: later after each one that stayed silent. Raises ValueError
    when none is open."""
    if watched.opened_at is None:
        raise ValueError(f"{watched.calendar} has no open channel.")
    return watched.opened_at + find_retry_wait(watched.failures)


def find_retry_wait(failures: int) -> timedelta:
    """Return how long another attempt waits after so many failures in a row."""
    return RETRY_WAITS[min(failures, len(RETRY_WAITS)) - 1] if failures else timedelta(0)


def find_renewal(channel_id: str, opened_at: datetime, expires_at: datetime) -> datetime:
    """Return when a channel is renewed: at half of its life, give or take a tenth, so that not all are at once; but not
    at once, even when it has ended already by our clock."""
    half = (expires_at - opened_at) / 2 * (1 + 0.2 * (_spread(channel_id) - 0.5))
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


def find_next_read(
    address: Address,
    now: datetime,
    pace: ReadingPace,
    *,
    watched: WatchedCalendar | None = None,
    owner: Person | None = None,
    next_session: datetime | None = None,
    changed_at: datetime | None = None,
) -> datetime:
    """Return when a calendar that was read now is read next.

    `next_session` is when the next session on it begins, `changed_at` when a change was last found. A trusted channel
    makes it seldom; else a session or a change nearby makes it often. Without an `owner` all time counts.
    """
    if watched is not None and watched.expires_at is not None and is_trusted(watched, now):
        interval = WATCHED_INTERVAL * (0.75 + 0.5 * _spread(f"{address} {now:%Y%m%d%H}"))
        at = _find_end_of_working_time(owner, now, interval) if owner else now + interval
        return min(max(now + pace.every, at), max(watched.expires_at, now + pace.every))
    is_session_near = next_session is not None and next_session - now <= NEAR_SESSION
    is_change_near = changed_at is not None and now - changed_at <= NEAR_CHANGE
    return now + (min(pace.near, pace.every) if is_session_near or is_change_near else pace.every)


def _find_end_of_working_time(owner: Person, now: datetime, length: timedelta) -> datetime:
    """Return when so much of the owner's working time has passed, at most MAX_WATCHED_INTERVAL from now."""
    latest = now + MAX_WATCHED_INTERVAL
    for span in list_working_spans(owner, Span(now, latest)):
        if span.start + length <= span.end:
            return span.start + length
        length -= span.end - span.start
    return latest


def _spread(text: str) -> float:
    """Return a number from 0 to below 1 that is always the same for a text."""
    return crc32(text.encode()) % _SPREAD_STEPS / _SPREAD_STEPS
