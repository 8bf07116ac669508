"""When the next session, the next review and the next part of a series is due (T-3, T-9, T-13, T-14, R-5).

A window is where a session belongs: it may be placed from `earliest` on, best at `target`, and not after `latest`.
"""

import calendar
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

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

WINDOW_BEFORE = timedelta(days=14)
WINDOW_AFTER = timedelta(days=21)
#: A regular session comes no sooner than this after an ad hoc one (T-14).
CLEAR_OF_ADHOC = timedelta(weeks=3)
SERIES_TOPICS = (Topic.NOW, Topic.DIRECTION, Topic.GAP)
#: A shorter rhythm has one session with three phases in place of a series.
MIN_SERIES_RHYTHM = timedelta(weeks=8)
#: A contract has no more reviews than this, however long the next session takes.
MAX_REVIEWS = 11


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """Where a session belongs; see the module's docstring."""

    earliest: datetime
    target: datetime
    latest: datetime


def add_interval(day: date, every: Interval) -> date:
    """`day` moved on by the rhythm; the 31st of a month that has none becomes its last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    month = day.year * 12 + day.month - 1 + every.months
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def choose_interval(pair: Pair, anchor: date, policy: Policy) -> Interval:
    """The pair's rhythm, or the tighter one while the report is in transition (R-5)."""
    if pair.transition_until and add_interval(anchor, policy.transition_every) <= pair.transition_until:
        return policy.transition_every
    return pair.every


def compute_rhythm(pair: Pair, day: date, policy: Policy) -> timedelta:
    """How long one rhythm of the pair lasts, counted from that day."""
    return add_interval(day, choose_interval(pair, day, policy)) - day


def to_noon_utc(day: date) -> datetime:
    """Noon in UTC on that day: a date as an instant, as far as possible from every midnight."""
    return datetime.combine(day, time(12), UTC)


def compute_margins(rhythm: timedelta) -> tuple[timedelta, timedelta]:
    """T-3: how far a window reaches before and after its target: two weeks and three, less for a short rhythm."""
    return min(WINDOW_BEFORE, rhythm / 4), min(WINDOW_AFTER, rhythm / 3)


def make_window(anchor: date, every: Interval) -> SessionWindow:
    """T-3: around the day that lies one rhythm after the anchor."""
    target = add_interval(anchor, every)
    before, after = compute_margins(target - anchor)
    return SessionWindow(to_noon_utc(target) - before, to_noon_utc(target), to_noon_utc(target) + after)


def select_regular_sessions(sessions: Sequence[Session]) -> list[Session]:
    """The career sessions of the rhythm, in order; ad hoc ones aside."""
    return sorted(filter(is_regular, sessions), key=_get_position)


def is_regular(session: Session) -> bool:
    """Whether it is a career session of the rhythm."""
    return session.kind is SessionKind.CAREER and not session.adhoc and session.state is not SessionState.CANCELLED


_PART_NUMBERS = {topic: n for n, topic in enumerate(SERIES_TOPICS)}


def _get_position(session: Session) -> tuple[int, int]:
    """Where it stands in the rhythm: its cycle, and its part of a series."""
    return session.cycle, _PART_NUMBERS.get(session.topic, 0)


def find_window(
    session: Session, sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> SessionWindow | None:
    """Where a regular session belongs, given what was held and what is booked before it. None when nothing was."""
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
    """Whether it is the second or third part of a series (T-13)."""
    return session.topic in SERIES_TOPICS[1:]


def list_adhoc_ends(sessions: Sequence[Session]) -> list[datetime]:
    """When the ad hoc conversations ended that were held, and when those end that are booked."""
    adhoc = [s for s in sessions if s.kind is SessionKind.CAREER and s.adhoc and (s.booked or s.held_at)]
    return [end for s in adhoc if (end := s.held_at or s.end)]


def keep_clear_of_adhoc(window: SessionWindow, sessions: Sequence[Session]) -> SessionWindow:
    """T-14: an ad hoc conversation less than three weeks before the target moves the window, by three weeks at most,
    so that none of it lies less than three weeks after that conversation."""
    ends = [end for end in list_adhoc_ends(sessions) if end <= window.target < end + CLEAR_OF_ADHOC]
    if not ends:
        return window
    target = max(ends) + CLEAR_OF_ADHOC
    return SessionWindow(max(window.earliest, target), target, window.latest + (target - window.target))


def list_lower_bounds(
    session: Session, sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> Iterator[datetime]:
    """What a regular session may not come before (T-10, T-13): half a rhythm after the last one held in an earlier
    cycle, five working days after the part of its series before it, and the pair's start."""
    earlier = [s.held_at for s in select_regular_sessions(sessions) if s.cycle < session.cycle and s.held_at]
    if earlier:
        yield max(earlier) + compute_rhythm(pair, max(earlier).date(), policy) / 2
    parts = list_parts_before(session, sessions)
    if parts:
        yield make_part_window(parts, people).earliest
    if pair.start is not None:
        yield wall_to_utc(people[0].zone, pair.start, 0)


def list_parts_before(session: Session, sessions: Sequence[Session]) -> list[Session]:
    """The parts of its series that come before it, in order; none for what is no later part (T-13)."""
    if not is_later_part(session):
        return []
    same = [s for s in select_regular_sessions(sessions) if s.cycle == session.cycle]
    return [s for s in same if _get_position(s) < _get_position(session)]


def find_end(parts: Sequence[Session]) -> datetime:
    """When the last of these parts ends, or ended; where one has no time, when it should be."""
    return max(part.held_at or part.end or part.target for part in parts)


def make_part_window(before: Sequence[Session], people: Sequence[Person]) -> SessionWindow:
    """T-13: five to ten working days after the last of the parts before."""
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
    """The sessions of the next cycle, owed, each with its window: one, or the three of a series (R-4).

    `first_window` gives the window of a session that follows no other, or whose rhythm is over (T-3a).
    """
    cycle = max((s.cycle for s in sessions), default=0) + 1
    topics = SERIES_TOPICS if is_series(pair, now.date(), policy) else (Topic.ALL,)
    made: list[Session] = []
    for topic in topics:
        blank = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, SessionWindow(now, now, now), now)
        window = find_window(blank, [*sessions, *made], pair, people, policy)
        in_turn = window is None or is_overdue(blank, window.target, now)
        window = first_window() if window is None or in_turn else window
        session = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, window, now)
        made.append(replace(session, in_turn=in_turn))
    return made


def is_series(pair: Pair, day: date, policy: Policy) -> bool:
    """Whether the pair meets in series: it wishes for them, and its rhythm leaves room for three parts (T-13)."""
    return pair.format is Format.SERIES and compute_rhythm(pair, day, policy) >= MIN_SERIES_RHYTHM


def is_overdue(session: Session, target: datetime, now: datetime) -> bool:
    """Whether its day is over. The later parts of a series are not: they are counted from the part before (T-13)."""
    return target < now and not is_later_part(session)


def list_review_days(recorded_at: datetime, until: datetime) -> list[datetime]:
    """T-9: the days of the reviews of a contract: each month after it was recorded, up to that instant."""
    months = range(1, MAX_REVIEWS + 1)
    days = [to_noon_utc(add_interval(recorded_at.date(), Interval(months=month))) for month in months]
    return [day for day in days if day <= until]


def move_window(session: Session, window: SessionWindow) -> Session:
    """The session with another window."""
    return replace(session, earliest=window.earliest, target=window.target, latest=window.latest)


def make_session(  # the one place where a session gets its id
    pair: PairId,
    kind: SessionKind,
    topic: Topic,
    cycle: int,
    minutes: int,
    window: SessionWindow,
    now: datetime,
    mark: str = "",
) -> Session:
    """A session that is owed. Its id follows from what it is and when it was wanted: a replay gives the same."""
    seed = "|".join((str(pair), kind, topic, str(cycle), mark, now.isoformat()))
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
