"""Polling: when a calendar is read next.

A calendar whose channel is trusted is read seldom, since its service tells of changes. Any other is read as often as
the settings say, and more often while a session or a change is near.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.channels import derive_fraction, is_trusted
from worker.domain.model import Address, Person, Span, WatchedCalendar
from worker.domain.time.worktime import list_working_spans

#: After how much of its owner's working time a calendar is read whose channel is trusted, give or take a quarter: first
#: after an hour, and after three when for `TRIAL` no reading has found a change that was not told. People change little
#: while they don't work, and what was lost then can wait, at most `MAX_WATCHED_INTERVAL`.
TRIAL_INTERVAL, WATCHED_INTERVAL, MAX_WATCHED_INTERVAL = timedelta(hours=1), timedelta(hours=3), timedelta(days=1)
TRIAL = timedelta(days=7)
#: A calendar is read often when one of its sessions begins within this time, and for so long after a change.
NEAR_SESSION, NEAR_CHANGE = timedelta(days=2), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ReadingPace:
    """How often calendars without a trusted channel are read."""

    every: timedelta
    near: timedelta  #: while something is about to happen there, where it is shorter


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
    if watched is not None and watched.proven_at and watched.expires_at and is_trusted(watched, now):
        interval = WATCHED_INTERVAL if now - watched.proven_at >= TRIAL else TRIAL_INTERVAL
        interval *= 0.75 + 0.5 * derive_fraction(f"{address} {now:%Y%m%d%H}")
        at = _find_end_of_working_time(owner, now, interval) if owner else now + interval
        return max(now + pace.every, min(at, watched.expires_at))
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
