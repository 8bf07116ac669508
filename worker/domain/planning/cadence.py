"""When the next session, the next review and the next part of a series is due (T-3, T-9, T-13, T-14, R-5).

A window is where a session belongs: it may be placed from `earliest` on, best at `target`, and not after `latest`.
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
    Person,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Topic,
)
from worker.domain.time.worktime import add_weekdays, get_local_date, wall_to_utc

#: How far a window reaches before and after its target at most (T-3).
WINDOW_BEFORE, WINDOW_AFTER = timedelta(days=14), timedelta(days=21)
#: A regular session comes no sooner than this after an ad hoc one (T-14).
CLEAR_OF_ADHOC = timedelta(weeks=3)
#: The topics of the parts of a series, in order.
SERIES_TOPICS = (Topic.NOW, Topic.DIRECTION, Topic.GAP)
#: A pair with a shorter rhythm has one session with three phases in place of a series (T-13).
MIN_SERIES_RHYTHM = timedelta(weeks=8)
#: How many reviews a contract has at most, however long the next session is away.
MAX_REVIEWS = 11


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """The time in which a session belongs: from `earliest` to `latest`, best at `target`."""

    earliest: datetime
    target: datetime
    latest: datetime


def add_interval(day: date, every: Interval) -> date:
    """Return the day one interval after `day`; for the 31st of a month that has none, its last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    month = day.year * 12 + day.month - 1 + every.months
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def choose_interval(pair: Pair, anchor: date, policy: Policy) -> Interval:
    """Return the pair's rhythm from that day on: the tighter one while the report is in transition (R-5)."""
    if pair.transition_until and add_interval(anchor, policy.transition_every) <= pair.transition_until:
        return policy.transition_every
    return pair.every


def compute_rhythm(pair: Pair, day: date, policy: Policy) -> timedelta:
    """Return how long the pair's rhythm is, counted from that day."""
    return add_interval(day, choose_interval(pair, day, policy)) - day


def to_noon_utc(day: date) -> datetime:
    """Return noon in UTC on that day, which is the same date in nearly every time zone."""
    return datetime.combine(day, time(12), UTC)


def compute_margins(rhythm: timedelta) -> tuple[timedelta, timedelta]:
    """Return how far a window reaches before and after its target: two and three weeks, or less by the rhythm (T-3)."""
    return min(WINDOW_BEFORE, rhythm / 4), min(WINDOW_AFTER, rhythm / 3)


def make_window(anchor: date, every: Interval) -> SessionWindow:
    """Return the window around the day one interval after the anchor (T-3)."""
    target = add_interval(anchor, every)
    before, after = compute_margins(target - anchor)
    return SessionWindow(to_noon_utc(target) - before, to_noon_utc(target), to_noon_utc(target) + after)


def select_regular_sessions(sessions: Sequence[Session]) -> list[Session]:
    """Return the career sessions of the rhythm, in order, without ad hoc ones."""
    return sorted(filter(is_regular, sessions), key=_get_position)


def is_regular(session: Session) -> bool:
    """Return whether it is a career session of the rhythm: neither ad hoc nor cancelled."""
    return session.kind is SessionKind.CAREER and not session.adhoc and session.state is not SessionState.CANCELLED


_PART_NUMBERS = {topic: number for number, topic in enumerate(SERIES_TOPICS)}


def _get_position(session: Session) -> tuple[int, int]:
    """Return where the session stands in the rhythm: its cycle, and which part of a series it is."""
    return session.cycle, _PART_NUMBERS.get(session.topic, 0)


def find_window(
    session: Session, sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> SessionWindow | None:
    """Return the window of a regular session, by the sessions before it and those held; None when there are none."""
    parts = list_parts_before(session, sessions)
    if parts:
        return make_part_window(parts, people)
    before = [s for s in select_regular_sessions(sessions) if _get_position(s) < _get_position(session)]
    instants = [s.held_at or s.end or s.target for s in before]
    instants += [s.held_at for s in sessions if is_regular(s) and s.held_at and s.id != session.id]
    if not instants:
        return None
    anchor = max(instants).date()
    window = make_window(anchor, choose_interval(pair, anchor, policy))
    return keep_clear_of_adhoc(window, sessions)


def is_later_part(session: Session) -> bool:
    """Return whether it is the second or third part of a series (T-13)."""
    return session.topic in SERIES_TOPICS[1:]


def list_adhoc_ends(sessions: Sequence[Session]) -> list[datetime]:
    """Return when the held ad hoc conversations ended, and when the booked ones end."""
    adhoc = [s for s in sessions if s.kind is SessionKind.CAREER and s.adhoc and (s.booked or s.held_at)]
    return [end for s in adhoc if (end := s.held_at or s.end)]


def keep_clear_of_adhoc(window: SessionWindow, sessions: Sequence[Session]) -> SessionWindow:
    """Return the window, moved to three weeks after an ad hoc conversation that lies less than that before its target.

    That moves it by three weeks at most (T-14).
    """
    ends = [end for end in list_adhoc_ends(sessions) if end <= window.target < end + CLEAR_OF_ADHOC]
    if not ends:
        return window
    target = max(ends) + CLEAR_OF_ADHOC
    return SessionWindow(max(window.earliest, target), target, window.latest + (target - window.target))


def list_lower_bounds(
    session: Session, sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> Iterator[datetime]:
    """Yield the instants before which a regular session may not lie (T-10, T-13).

    They are half a rhythm after the last session held in an earlier cycle, five working days after the part of its
    series before it, and the pair's start.
    """
    earlier = [s.held_at for s in select_regular_sessions(sessions) if s.cycle < session.cycle and s.held_at]
    if earlier:
        yield max(earlier) + compute_rhythm(pair, max(earlier).date(), policy) / 2
    parts = list_parts_before(session, sessions)
    if parts:
        yield make_part_window(parts, people).earliest
    if pair.start is not None:
        yield wall_to_utc(people[0].zone, pair.start, 0)


def list_parts_before(session: Session, sessions: Sequence[Session]) -> list[Session]:
    """Return the parts of its series that come before it, in order; none for a session that is no later part (T-13)."""
    if not is_later_part(session):
        return []
    same = [s for s in select_regular_sessions(sessions) if s.cycle == session.cycle]
    return [s for s in same if _get_position(s) < _get_position(session)]


def find_end(parts: Sequence[Session]) -> datetime:
    """Return when the last of these parts ends or ended; a part without a time counts with its target."""
    return max(part.held_at or part.end or part.target for part in parts)


def make_part_window(before: Sequence[Session], people: Sequence[Person]) -> SessionWindow:
    """Return the window of the next part of a series: five to ten working days after the parts before it (T-13)."""
    day = get_local_date(people[0].zone, find_end(before))
    earliest = add_weekdays(day, 5)
    latest = add_weekdays(day, 10)
    zone = people[0].zone
    start, stop = wall_to_utc(zone, earliest, 0), wall_to_utc(zone, latest + timedelta(days=1), 0)
    return SessionWindow(start, start + timedelta(hours=12), stop)


def make_next_cycle(
    sessions: Sequence[Session],
    pair: Pair,
    people: Sequence[Person],
    policy: Policy,
    now: datetime,
    first_window: Callable[[], SessionWindow],
) -> list[Session]:
    """Return the owed sessions of the next cycle, each with its window: one, or the three of a series (R-4).

    `first_window` gives the window of a session that follows no other, or whose rhythm is over (T-3a).
    """
    cycle = max((s.cycle for s in sessions), default=0) + 1
    topics = SERIES_TOPICS if is_series(pair, now.date(), policy) else (Topic.ALL,)
    new: list[Session] = []
    for topic in topics:
        blank = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, SessionWindow(now, now, now), now)
        window = find_window(blank, [*sessions, *new], pair, people, policy)
        in_turn = window is None or is_overdue(blank, window.target, now)
        window = first_window() if window is None or in_turn else window
        session = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, window, now)
        new.append(replace(session, in_turn=in_turn))
    return new


def is_series(pair: Pair, day: date, policy: Policy) -> bool:
    """Return whether the pair meets in series: it has that format, and its rhythm is long enough (T-13)."""
    return pair.format is Format.SERIES and compute_rhythm(pair, day, policy) >= MIN_SERIES_RHYTHM


def is_overdue(session: Session, target: datetime, now: datetime) -> bool:
    """Return whether the target has passed; never for a later part, which follows from the part before (T-13)."""
    return target < now and not is_later_part(session)


def list_review_days(recorded_at: datetime, until: datetime) -> list[datetime]:
    """Return the targets of a contract's reviews: each month after it was recorded, up to `until` (T-9)."""
    months = range(1, MAX_REVIEWS + 1)
    days = (to_noon_utc(add_interval(recorded_at.date(), Interval(months=month))) for month in months)
    return list(takewhile(lambda day: day <= until, days))


def move_window(session: Session, window: SessionWindow) -> Session:
    """Return the session with that window."""
    return replace(session, earliest=window.earliest, target=window.target, latest=window.latest)


def make_session(
    pair: PairId,
    kind: SessionKind,
    topic: Topic,
    cycle: int,
    minutes: int,
    window: SessionWindow,
    now: datetime,
    origin: str = "",
) -> Session:
    """Return a new owed session. Planning the same state again gives the same id, which follows from the arguments.

    `origin` tells apart sessions that are alike in the others: the contract and month of a review, or a request.
    """
    seed = "|".join((str(pair), kind, topic, str(cycle), origin, now.isoformat()))
    return Session(
        id=derive_id(kind[0], seed),
        pair=pair,
        kind=kind,
        topic=topic,
        cycle=cycle,
        minutes=minutes,
        earliest=window.earliest,
        target=window.target,
        latest=window.latest,
    )
