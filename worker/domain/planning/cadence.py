"""Computes when the next session, the next review and the next part of a series are due (T-3, T-9, T-13, R-5).

The window of a session is the days in which it belongs: from `earliest` to `latest`, best at `target`. A cycle is one
round of the pair's rhythm: either one career session with all topics, or a series of three sessions, its parts.
"""

import calendar
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile

from worker.domain.ids import derive_id
from worker.domain.model import (
    Format,
    Interval,
    Pair,
    PairId,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Topic,
)
from worker.domain.time.worktime import add_weekdays, find_midnight, get_local_date

#: The longest time that a window reaches before and after its target (T-3).
WINDOW_BEFORE, WINDOW_AFTER = timedelta(days=14), timedelta(days=21)
#: The least time between an ad hoc session and the regular session after it (T-14).
CLEAR_OF_ADHOC = timedelta(weeks=3)
#: The topics of the parts of a series, in order.
SERIES_TOPICS = (Topic.NOW, Topic.DIRECTION, Topic.GAP)
#: A pair with a shorter rhythm has one session with three phases in place of a series (T-13).
MIN_SERIES_RHYTHM = timedelta(weeks=8)
#: The weekdays between a part of a series and the next part: at least, at most (T-13).
MIN_PART_DISTANCE, MAX_PART_DISTANCE = 5, 10
#: The most reviews that one contract has, even when the next session is more than a year away.
MAX_REVIEWS = 11


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """The days in which a session belongs: from `earliest` to `latest`, best at `target`."""

    earliest: datetime
    target: datetime
    latest: datetime


def add_interval(day: date, every: Interval) -> date:
    """Return the day one interval after `day`. In a month that lacks the day's number, return the last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    year, month_index = divmod(day.year * 12 + day.month - 1 + every.months, 12)
    month = month_index + 1
    days_in_month = calendar.monthrange(year, month)[1]
    return date(year, month, min(day.day, days_in_month))


def choose_interval(pair: Pair, anchor: date, policy: Policy) -> Interval:
    """Return the interval from `anchor` to the next session.

    The interval is shorter as long as the next session then still lies in the report's transition, such as a new role
    (R-5).
    """
    if pair.transition_until and add_interval(anchor, policy.transition_every) <= pair.transition_until:
        return policy.transition_every
    return pair.every


def compute_rhythm(pair: Pair, day: date, policy: Policy) -> timedelta:
    """Return the length of the pair's rhythm, counted from `day`. Months differ in length, so that the day matters."""
    return add_interval(day, choose_interval(pair, day, policy)) - day


def to_noon_utc(day: date) -> datetime:
    """Return noon in UTC on that day, an instant that lies on the same date in nearly every time zone."""
    return datetime.combine(day, time(12), UTC)


def compute_window_reach(rhythm: timedelta) -> tuple[timedelta, timedelta]:
    """Return the time that a window reaches before and after its target (T-3).

    The two times are two weeks and three weeks, but at most a quarter and a third of the rhythm.
    """
    return min(WINDOW_BEFORE, rhythm / 4), min(WINDOW_AFTER, rhythm / 3)


def make_window(anchor: date, every: Interval) -> SessionWindow:
    """Return the window whose target is one interval after the anchor (T-3)."""
    target = add_interval(anchor, every)
    before, after = compute_window_reach(target - anchor)
    return SessionWindow(to_noon_utc(target) - before, to_noon_utc(target), to_noon_utc(target) + after)


def select_regular_sessions(sessions: Sequence[Session]) -> list[Session]:
    """Return the regular sessions (see `is_regular`), ordered by cycle and part."""
    return sorted(filter(is_regular, sessions), key=_get_position)


def is_regular(session: Session) -> bool:
    """Return whether the session is a career session of the rhythm: neither ad hoc nor cancelled."""
    return session.kind is SessionKind.CAREER and not session.adhoc and session.state is not SessionState.CANCELLED


_PART_NUMBERS = {topic: number for number, topic in enumerate(SERIES_TOPICS)}


def _get_position(session: Session) -> tuple[int, int]:
    """Return the position of the session in the rhythm: its cycle, and the number of its part in the series."""
    return session.cycle, _PART_NUMBERS.get(session.topic, 0)


def find_window(
    session: Session, sessions: Sequence[Session], pair: Pair, zone: str, policy: Policy
) -> SessionWindow | None:
    """Return the window of a regular session; None when the pair has no session from which the window can be counted.

    A later part of a series follows the part before it. Any other session comes one interval after its anchor. The
    anchor is the latest end among two groups of regular sessions: those before this session in the rhythm, held or not,
    and all others that were held. For a session without a time, the target is used. `zone` is the manager's zone.
    """
    earlier_parts = list_earlier_parts(session, sessions)
    if earlier_parts:
        return make_part_window(earlier_parts, zone)
    earlier = [s for s in select_regular_sessions(sessions) if _get_position(s) < _get_position(session)]
    anchor_candidates = [_get_end_or_target(s) for s in earlier]
    anchor_candidates += [s.held_at for s in sessions if is_regular(s) and s.held_at and s.id != session.id]
    if not anchor_candidates:
        return None
    anchor = max(anchor_candidates).date()
    window = make_window(anchor, choose_interval(pair, anchor, policy))
    return move_clear_of_adhoc(window, sessions)


def _get_end_or_target(session: Session) -> datetime:
    """Return the end of a session that was held (`held_at`) or has a time, else its target."""
    return session.held_at or session.end or session.target


def is_later_part(session: Session) -> bool:
    """Return whether the session is the second or third part of a series (T-13)."""
    return session.topic in SERIES_TOPICS[1:]


def list_adhoc_ends(sessions: Sequence[Session]) -> list[datetime]:
    """Return the ends of the ad hoc career sessions that are booked or were held."""
    adhoc = [s for s in sessions if s.kind is SessionKind.CAREER and s.adhoc and (s.booked or s.held_at)]
    return [end for s in adhoc if (end := s.held_at or s.end)]


def move_clear_of_adhoc(window: SessionWindow, sessions: Sequence[Session]) -> SessionWindow:
    """Return the window, moved when an ad hoc session lies less than three weeks before its target (T-14).

    The new target, which is also the new earliest time, is three weeks after that ad hoc session. So the target and the
    end of the window move by at most three weeks.
    """
    near_ends = [end for end in list_adhoc_ends(sessions) if end <= window.target < end + CLEAR_OF_ADHOC]
    if not near_ends:
        return window
    target = max(near_ends) + CLEAR_OF_ADHOC
    return SessionWindow(target, target, window.latest + (target - window.target))


def list_lower_bounds(
    session: Session, sessions: Sequence[Session], pair: Pair, zone: str, policy: Policy
) -> Iterator[datetime]:
    """Yield the instants before which a regular session may not begin (T-10, T-13).

    A session may not begin until half a rhythm after the last session held in an earlier cycle, nor until five weekdays
    after the previous part of its series, nor before the day on which the pair starts. `zone` is the manager's zone.
    """
    held_earlier = [s.held_at for s in select_regular_sessions(sessions) if s.cycle < session.cycle and s.held_at]
    if held_earlier:
        last_held = max(held_earlier)
        yield last_held + compute_rhythm(pair, last_held.date(), policy) / 2
    earlier_parts = list_earlier_parts(session, sessions)
    if earlier_parts:
        yield make_part_window(earlier_parts, zone).earliest
    if pair.start is not None:
        yield find_midnight(zone, pair.start)


def list_earlier_parts(session: Session, sessions: Sequence[Session]) -> list[Session]:
    """Return the parts that come before the session in its series, in order; none when it is no later part (T-13)."""
    if not is_later_part(session):
        return []
    series = [s for s in select_regular_sessions(sessions) if s.cycle == session.cycle]
    return [s for s in series if _get_position(s) < _get_position(session)]


def is_before_earlier_part(start: datetime, session: Session, sessions: Sequence[Session]) -> bool:
    """Return whether `start` is before the end of an earlier part of the session's series that has a time (T-13)."""
    ends = [part.held_at or part.end for part in list_earlier_parts(session, sessions)]
    return any(end is not None and start < end for end in ends)


def find_end_of_parts(parts: Sequence[Session]) -> datetime:
    """Return the end of the last of these parts. For a part without a time, its target is used."""
    return max(map(_get_end_or_target, parts))


def make_part_window(earlier_parts: Sequence[Session], zone: str) -> SessionWindow:
    """Return the window of the next part of a series: five to ten weekdays after the earlier parts (T-13).

    Days are counted in the manager's `zone`. The target is noon of the first day.
    """
    day = get_local_date(zone, find_end_of_parts(earlier_parts))
    earliest = find_midnight(zone, add_weekdays(day, MIN_PART_DISTANCE))
    latest = find_midnight(zone, add_weekdays(day, MAX_PART_DISTANCE) + timedelta(days=1))
    return SessionWindow(earliest, earliest + timedelta(hours=12), latest)


def make_next_cycle(
    sessions: Sequence[Session],
    pair: Pair,
    zone: str,
    policy: Policy,
    now: datetime,
    make_turn_window: Callable[[], SessionWindow],
) -> list[Session]:
    """Return the owed sessions of the next cycle with their windows: one session, or the three of a series (R-4).

    `zone` is the manager's zone. `make_turn_window` returns the window of a session that follows no other one, or
    whose target has passed (T-3a).
    """
    cycle = max((s.cycle for s in sessions), default=0) + 1
    topics = SERIES_TOPICS if meets_in_series(pair, now.date(), policy) else (Topic.ALL,)
    new_sessions: list[Session] = []
    for topic in topics:
        session = make_session(
            pair.id,
            SessionKind.CAREER,
            topic,
            cycle=cycle,
            minutes=pair.minutes,
            window=SessionWindow(now, now, now),  # replaced below, once the session is known
            now=now,
        )
        window = find_window(session, [*sessions, *new_sessions], pair, zone, policy)
        in_turn = window is None or is_overdue(session, target=window.target, now=now)
        window = make_turn_window() if window is None or in_turn else window
        new_sessions.append(replace(set_window(session, window), in_turn=in_turn))
    return new_sessions


def meets_in_series(pair: Pair, day: date, policy: Policy) -> bool:
    """Return whether the pair meets in series: the pair has that format, and its rhythm is long enough (T-13)."""
    return pair.format is Format.SERIES and compute_rhythm(pair, day, policy) >= MIN_SERIES_RHYTHM


def is_overdue(session: Session, *, target: datetime, now: datetime) -> bool:
    """Return whether the target of the session has passed.

    A later part of a series is never overdue, because its window follows from the part before it (T-13).
    """
    return target < now and not is_later_part(session)


def list_review_targets(recorded_at: datetime, until: datetime) -> list[datetime]:
    """Return the targets of a contract's reviews: one in each month after it was recorded, up to `until` (T-9)."""
    months = range(1, MAX_REVIEWS + 1)
    targets = (to_noon_utc(add_interval(recorded_at.date(), Interval(months=month))) for month in months)
    return list(takewhile(lambda target: target <= until, targets))


def set_window(session: Session, window: SessionWindow) -> Session:
    """Return the session with that window."""
    return replace(session, earliest=window.earliest, target=window.target, latest=window.latest)


def make_session(
    pair: PairId,
    kind: SessionKind,
    topic: Topic,
    *,
    cycle: int,
    minutes: int,
    window: SessionWindow,
    now: datetime,
    discriminator: str = "",
) -> Session:
    """Return a new owed session. The same arguments give the same id, so that a plan can be computed again.

    `discriminator` gives different ids to sessions whose other arguments are equal: it names the contract and month of
    a review, or marks a session that somebody requested.
    """
    seed = "|".join((str(pair), kind, topic, str(cycle), discriminator, now.isoformat()))
    return Session(
        id=derive_id(kind[0], seed),  # begins with the first letter of the kind
        pair=pair,
        kind=kind,
        topic=topic,
        cycle=cycle,
        minutes=minutes,
        earliest=window.earliest,
        target=window.target,
        latest=window.latest,
    )
