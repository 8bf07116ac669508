"""When the next session, the next review and the next part of a series is due (T-3, T-9, T-13, T-14, R-5).

A window is where a session belongs: it may be placed from `earliest` on, best at `target`, and not after `latest`.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
SERIES_TOPICS = (Topic.NOW, Topic.DIRECTION, Topic.GAP)
#: A review lies this far from a month after the session, at most.
REVIEW_BEFORE = timedelta(days=7)
REVIEW_AFTER = timedelta(days=10)


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


def make_window(anchor: date, every: Interval) -> SessionWindow:
    """T-3: two weeks before to three weeks after, less for a rhythm too short for that."""
    target = add_interval(anchor, every)
    period = target - anchor
    before, after = min(WINDOW_BEFORE, period / 4), min(WINDOW_AFTER, period / 3)
    return SessionWindow(to_noon_utc(target) - before, to_noon_utc(target), to_noon_utc(target) + after)


def extend_window(window: SessionWindow, now: datetime, topic: Topic) -> SessionWindow:
    """The window as it stands today: what is overdue belongs into the three weeks to come.

    A later part of a series is not overdue before its days are over: they are counted from the part before (T-13).
    """
    if topic in SERIES_TOPICS[1:] and window.latest > now:
        return window
    return SessionWindow(window.earliest, window.target, max(window.latest, now + WINDOW_AFTER))


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
    session: Session, state: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> SessionWindow:
    """Where a regular session belongs, given what was held and what is booked before it."""
    place = _get_position(session)
    before = [s for s in select_regular_sessions(state) if _get_position(s) < place]
    if session.topic in SERIES_TOPICS[1:] and before and before[-1].cycle == session.cycle:
        return _make_next_part_window(before[-1], people)
    held = [s.held_at for s in state if s.kind is SessionKind.CAREER and s.held_at and s.id != session.id]
    return make_window(*_find_anchor(before, held, pair, policy))


def list_lower_bounds(
    session: Session, sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> Iterator[datetime]:
    """What a regular session may not come before (T-10, T-13): half a rhythm after the last one held in an earlier
    cycle, five working days after the part of its series before it, and the pair's start."""
    earlier = [s.held_at for s in select_regular_sessions(sessions) if s.cycle < session.cycle and s.held_at]
    if earlier:
        yield max(earlier) + compute_rhythm(pair, max(earlier).date(), policy) / 2
    before = [s for s in select_regular_sessions(sessions) if _get_position(s) < _get_position(session)]
    if session.topic in SERIES_TOPICS[1:] and before and before[-1].cycle == session.cycle:
        yield _make_next_part_window(before[-1], people).earliest
    if pair.start is not None:
        yield wall_to_utc(people[0].zone, pair.start, 0)


def _find_anchor(
    before: Sequence[Session], held: Sequence[datetime], pair: Pair, policy: Policy
) -> tuple[date, Interval]:
    """The day the rhythm counts from, and the rhythm: the last conversation held, ad hoc or out of turn as it may have
    been, or one still to be held before this one."""
    instants = [s.held_at or s.end or s.target for s in before] + list(held)
    if instants:
        anchor = max(instants).date()
        return anchor, choose_interval(pair, anchor, policy)
    if pair.start is not None:
        return pair.start, choose_interval(pair, pair.start, policy)
    weeks = max(policy.first_within_days // 7, 1)
    return pair.first_seen, Interval(weeks=weeks)


def _make_next_part_window(previous: Session, people: Sequence[Person]) -> SessionWindow:
    """T-13: five to ten working days after the part before."""
    end = previous.held_at or previous.end or previous.target
    day = get_local_date(people[0].zone, end)
    earliest = add_weekdays(day, 5)
    latest = add_weekdays(day, 10)
    zone = people[0].zone
    start, stop = wall_to_utc(zone, earliest, 0), wall_to_utc(zone, latest + timedelta(days=1), 0)
    return SessionWindow(start, start + timedelta(hours=12), stop)


def make_next_cycle(
    sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy, now: datetime
) -> list[Session]:
    """The sessions of the next cycle, owed, each with its window: one, or the three of a series (R-4)."""
    cycle = max((s.cycle for s in sessions), default=0) + 1
    topics = SERIES_TOPICS if pair.format is Format.SERIES else (Topic.ALL,)
    known = list(sessions)
    made: list[Session] = []
    for topic in topics:
        blank = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, SessionWindow(now, now, now), now)
        window = extend_window(find_window(blank, known, pair, people, policy), now, topic)
        session = make_session(pair.id, SessionKind.CAREER, topic, cycle, pair.minutes, window, now)
        made.append(session)
        known.append(session)
    return made


def make_reviews(session: Session, pair: Pair, policy: Policy, now: datetime) -> list[Session]:
    """T-9: a review each month after a held session, as long as the next session is not near."""
    held = (session.held_at or session.target).date()
    until = add_interval(held, choose_interval(pair, held, policy)) - timedelta(days=10)
    made: list[Session] = []
    for month in range(1, 12):
        day = add_interval(held, Interval(months=month))
        if day > until:
            break
        target = to_noon_utc(day)
        window = SessionWindow(target - REVIEW_BEFORE, target, target + REVIEW_AFTER)
        made.append(
            make_session(
                pair.id, SessionKind.REVIEW, Topic.ALL, session.cycle, policy.review_minutes, window, now, str(month)
            )
        )
    return made


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
