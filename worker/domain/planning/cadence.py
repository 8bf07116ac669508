"""When the next session, the next review and the next part of a series is due (T-3, T-9, T-13, T-14, R-5).

A window is where a session belongs: it may be placed from `earliest` on, best at `target`, and not after `latest`.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.ids import derive_id
from worker.domain.model import (
    Every,
    Format,
    Kind,
    Pair,
    PairId,
    Person,
    Policy,
    Session,
    State,
    Topic,
)
from worker.domain.time.worktime import shared_working_day, today, wall

BEFORE = timedelta(days=14)
AFTER = timedelta(days=21)
SERIES = (Topic.NOW, Topic.DIRECTION, Topic.GAP)
#: A review lies this far from a month after the session, at most.
REVIEW_BEFORE = timedelta(days=7)
REVIEW_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Window:
    """Where a session belongs; see the module's docstring."""

    earliest: datetime
    target: datetime
    latest: datetime


def add(day: date, every: Every) -> date:
    """`day` moved on by the rhythm; the 31st of a month that has none becomes its last day."""
    if every.weeks:
        return day + timedelta(weeks=every.weeks)
    month = day.year * 12 + day.month - 1 + every.months
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def rhythm(pair: Pair, anchor: date, policy: Policy) -> Every:
    """The pair's rhythm, or the tighter one while the report is in transition (R-5)."""
    if pair.transition_until and add(anchor, policy.transition_every) <= pair.transition_until:
        return policy.transition_every
    return pair.every


def instant(day: date) -> datetime:
    """Noon in UTC on that day: a date as an instant, as far as possible from every midnight."""
    return datetime.combine(day, time(12), UTC)


def around(anchor: date, every: Every) -> Window:
    """T-3: two weeks before to three weeks after, less for a rhythm too short for that."""
    target = add(anchor, every)
    period = target - anchor
    before, after = min(BEFORE, period / 4), min(AFTER, period / 3)
    return Window(instant(target) - before, instant(target), instant(target) + after)


def still_open(window: Window, now: datetime, topic: Topic) -> Window:
    """The window as it stands today: what is overdue belongs into the three weeks to come.

    A later part of a series is not overdue before its days are over: they are counted from the part before (T-13).
    """
    if topic in SERIES[1:] and window.latest > now:
        return window
    return Window(window.earliest, window.target, max(window.latest, now + AFTER))


def regular(sessions: Sequence[Session]) -> list[Session]:
    """The career sessions of the rhythm, in order; ad hoc ones aside."""
    return sorted(filter(is_regular, sessions), key=_place)


def is_regular(session: Session) -> bool:
    """Whether it is a career session of the rhythm."""
    return session.kind is Kind.CAREER and not session.adhoc and session.state is not State.CANCELLED


_PARTS = {topic: n for n, topic in enumerate(SERIES)}


def _place(session: Session) -> tuple[int, int]:
    """Where it stands in the rhythm: its cycle, and its part of a series."""
    return session.cycle, _PARTS.get(session.topic, 0)


def window_of(
    session: Session, state: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy
) -> Window:
    """Where a regular session belongs, given what was held and what is booked before it."""
    place = _place(session)
    before = [s for s in regular(state) if _place(s) < place]
    if session.topic in SERIES[1:] and before and before[-1].cycle == session.cycle:
        return _next_part(before[-1], people)
    held = [s.held_at for s in state if s.kind is Kind.CAREER and s.held_at and s.id != session.id]
    return around(*_anchor(before, held, pair, policy))


def _anchor(before: Sequence[Session], held: Sequence[datetime], pair: Pair, policy: Policy) -> tuple[date, Every]:
    """The day the rhythm counts from, and the rhythm: the last conversation held, ad hoc or out of turn as it may have
    been, or one still to be held before this one."""
    instants = [s.held_at or s.end or s.target for s in before] + list(held)
    if instants:
        anchor = max(instants).date()
        return anchor, rhythm(pair, anchor, policy)
    if pair.start is not None:
        return pair.start, rhythm(pair, pair.start, policy)
    weeks = max(policy.first_within_days // 7, 1)
    return pair.first_seen, Every(weeks=weeks)


def _next_part(previous: Session, people: Sequence[Person]) -> Window:
    """T-13: five to ten working days after the part before."""
    end = previous.held_at or previous.end or previous.target
    day = today(people[0].zone, end)
    earliest = shared_working_day(people, day, 5)
    latest = shared_working_day(people, day, 10)
    zone = people[0].zone
    start, stop = wall(zone, earliest, 0), wall(zone, latest + timedelta(days=1), 0)
    return Window(start, start + timedelta(hours=12), stop)


def next_cycle(
    sessions: Sequence[Session], pair: Pair, people: Sequence[Person], policy: Policy, now: datetime
) -> list[Session]:
    """The sessions of the next cycle, owed, each with its window: one, or the three of a series (R-4)."""
    cycle = max((s.cycle for s in sessions), default=0) + 1
    topics = SERIES if pair.format is Format.SERIES else (Topic.ALL,)
    known = list(sessions)
    made: list[Session] = []
    for topic in topics:
        blank = new_session(pair.id, Kind.CAREER, topic, cycle, pair.minutes, Window(now, now, now), now)
        window = still_open(window_of(blank, known, pair, people, policy), now, topic)
        session = new_session(pair.id, Kind.CAREER, topic, cycle, pair.minutes, window, now)
        made.append(session)
        known.append(session)
    return made


def reviews_after(session: Session, pair: Pair, policy: Policy, now: datetime) -> list[Session]:
    """T-9: a review each month after a held session, as long as the next session is not near."""
    held = (session.held_at or session.target).date()
    until = add(held, rhythm(pair, held, policy)) - timedelta(days=10)
    made: list[Session] = []
    for month in range(1, 12):
        day = add(held, Every(months=month))
        if day > until:
            break
        target = instant(day)
        window = Window(target - REVIEW_BEFORE, target, target + REVIEW_AFTER)
        made.append(
            new_session(pair.id, Kind.REVIEW, Topic.ALL, session.cycle, policy.review_minutes, window, now, str(month))
        )
    return made


def new_session(  # the one place where a session gets its id
    pair: PairId, kind: Kind, topic: Topic, cycle: int, minutes: int, window: Window, now: datetime, mark: str = ""
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
