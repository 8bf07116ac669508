"""Decides when a calendar is polled next.

A calendar whose channel is trusted is polled seldom, because its service notifies us of changes. Any other calendar is
polled as often as the settings say, and more often shortly before a session and shortly after a change.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.channels import derive_fraction, is_trusted
from worker.domain.model import Address, Person, Span, WatchedCalendar
from worker.domain.time.worktime import list_working_spans

#: A calendar with a trusted channel is polled after this much of its owner's working time, plus or minus a quarter.
#: Only working time counts: outside it, people change little, and a change whose notification was lost can wait.
WATCHED_INTERVAL = timedelta(hours=3)
#: A newly trusted channel is on trial for this time.
TRIAL = timedelta(days=7)
#: The interval of polling, in working time, while a channel is on trial.
TRIAL_INTERVAL = timedelta(hours=1)
#: The longest time between two polls of a calendar with a trusted channel, whether its owner works or not.
MAX_WATCHED_INTERVAL = timedelta(days=1)
#: A calendar is polled more often for this time before a session on it begins.
NEAR_SESSION = timedelta(days=2)
#: A calendar is polled more often for this time after a change.
NEAR_CHANGE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class PollingPace:
    """How often calendars without a trusted channel are polled."""

    every: timedelta  #: the usual interval
    near: timedelta  #: the interval near a session or a change, if it is shorter than `every`


def find_next_poll(
    address: Address,
    now: datetime,
    pace: PollingPace,
    *,
    watched: WatchedCalendar | None = None,
    owner: Person | None = None,
    next_session: datetime | None = None,
    changed_at: datetime | None = None,
) -> datetime:
    """Return when the calendar of `address`, which was polled at `now`, is polled next.

    `watched` is the calendar with the state of its channel; None when it needs no channel. `next_session` is the start
    of the next session on the calendar, and `changed_at` the time at which a change was last found. Without an `owner`,
    all time counts as working time.
    """
    # A trusted channel always has the two times. They are tested only because the type checker doesn't know that.
    if watched is not None and watched.proven_at and watched.expires_at and is_trusted(watched, now):
        interval = WATCHED_INTERVAL if now - watched.proven_at >= TRIAL else TRIAL_INTERVAL
        # The variation by a quarter spreads the polls of many calendars.
        interval *= 0.75 + 0.5 * derive_fraction(f"{address} {now:%Y%m%d%H}")
        next_poll = _find_end_of_working_time(owner, now, interval) if owner else now + interval
        # A calendar with a channel is never polled more often than one without.
        return max(now + pace.every, min(next_poll, watched.expires_at))
    is_session_near = next_session is not None and next_session - now <= NEAR_SESSION
    is_change_near = changed_at is not None and now - changed_at <= NEAR_CHANGE
    return now + (min(pace.near, pace.every) if is_session_near or is_change_near else pace.every)


def _find_end_of_working_time(owner: Person, now: datetime, length: timedelta) -> datetime:
    """Return when `length` of the owner's working time has passed since `now`, at most MAX_WATCHED_INTERVAL later."""
    latest = now + MAX_WATCHED_INTERVAL
    remaining = length
    for span in list_working_spans(owner, Span(now, latest)):
        if span.start + remaining <= span.end:
            return span.start + remaining
        remaining -= span.end - span.start
    return latest
