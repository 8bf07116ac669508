"""Times to choose from when a person moves a conversation by hand: the best ones with their reasons, or one of their
own, looked at on both calendars.

What a person picks may break the wishes (buffers, working hours, one a day): that is said, and it is theirs to decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import QUARTER, Kind, Need, Preference, Reason, Session, Span, Why
from worker.domain.planning.placement import LEAD_DAYS, without
from worker.domain.planning.plan_builder import Planning
from worker.domain.time.availability import BUFFER, Grid, get_free_busy, readable
from worker.domain.time.explain import unreadable
from worker.domain.time.search import Search, careers, shared_work
from worker.domain.time.slots import Slot, rank, why_none
from worker.domain.time.worktime import shared_working_day, today, wall

#: Within so many of the two's working days from now the best times are looked for; then further ahead.
AHEAD, FURTHER = 15, 40
COUNT = 3
#: Of a window that is nearly over too little is left to choose from. Minutes.
WEEK = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Proposals:
    """The times that fit best; when there are none, why."""

    slots: tuple[Slot, ...]
    why_none: Why = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A time somebody picked: what speaks against it; `taken` when somebody's calendar is not free."""

    span: Span
    against: Why = ()
    taken: bool = False


def need(p: Planning, session: Session, pick: Span | None = None) -> Need:
    """What has to be seen of the calendars: the weeks in which it may be, and that time as well."""
    end = max(far.end for far in (*_windows(p, session), *((pick,) if pick else ()))) + timedelta(days=1)
    start = min(p.now, pick.start) if pick else p.now
    return Need(tuple(person.email for person in p.people if readable(person)), Span(start, end))


def propose(p: Planning, session: Session) -> Proposals:
    """The three best times; `p` has seen what `need` asks for."""
    near, far = (_search(p, session, window) for window in _windows(p, session))
    slots = rank(near, limit=COUNT) or rank(far, limit=COUNT)
    return Proposals(slots, () if slots else tuple(why_none(far)))


def check(p: Planning, session: Session, pick: Span) -> Checked:
    """What speaks against a time that somebody picked."""
    search = _search(p, session, pick)
    busy = [person.name for person in search.people if _busy(search, pick, person.email)]
    against = [Reason("busy_then", {"name": name}) for name in busy]
    unknown = [person.name for person in search.people if _unknown(search, person.email)]
    against += [Reason("unread_now", {"name": name}) for name in unknown]
    against += _against(search, pick)
    if session.kind is Kind.CAREER and pick.minutes < p.policy.min_minutes:
        against.append(Reason("short_for_it", {"minutes": p.policy.min_minutes}))
    return Checked(pick, (*against, *unreadable(search)), taken=bool(busy))


def _against(search: Search, pick: Span) -> Iterator[Reason]:
    grid = Grid(pick)
    for person in search.people:
        if grid.work(person) != grid.all:
            yield Reason("outside_hours", {"name": person.name})
    if search.career and today(search.manager.zone, pick.start) in careers(search):
        yield Reason("another_that_day", {"name": search.manager.name})
    around = Span(pick.start - BUFFER * QUARTER, pick.end + BUFFER * QUARTER)
    if shared_work(search, grid) == grid.all and any(_busy(search, around, one.email) for one in search.people):
        yield Reason("no_buffer", {"minutes": BUFFER * 15})


def _busy(search: Search, span: Span, who: str) -> bool:
    taken = [item.span for item in search.taken.get(who, ())]
    seen = search.free_busy.get(who)
    return any(span.overlaps(one) for one in (*taken, *((item.span for item in seen.busy) if seen else ())))


def _unknown(search: Search, who: str) -> bool:
    person = next(one for one in search.people if one.email == who)
    return readable(person) and not get_free_busy(search.free_busy, person).known


def _search(p: Planning, session: Session, window: Span) -> Search:
    seen = p.seen.free_busy if p.seen else {}
    lost = tuple(d.was for d in p.state.deferrals if d.session == session.id and d.was)
    return Search(
        manager=p.manager,
        report=p.report,
        window=window,
        minutes=max(session.minutes, p.policy.min_minutes) if session.kind is Kind.CAREER else session.minutes,
        target=session.target if window.start <= session.target <= window.end and not session.count else window.start,
        prefer=p.pair.prefer if not session.urgent else Preference(),
        free_busy={who: without(free_busy, session.key) for who, free_busy in seen.items()},
        taken={who: p.list_taken_times(who, but=session.id) for who in p.addresses},
        avoid=(*lost, session.span) if session.booked else lost,
        career=session.kind is Kind.CAREER,
    )


def _windows(p: Planning, session: Session) -> tuple[Span, Span]:
    """Where it is looked for first, and where then: in its own window while that is to come, else soon."""
    soon = _day_start(p, LEAD_DAYS)
    own = Span(max(soon, session.earliest), session.latest) if session.latest > max(soon, session.earliest) else None
    if own and session.booked and not session.count and own.minutes >= WEEK:
        return own, Span(soon, max(own.end, _day_end(p, FURTHER)))
    return Span(soon, _day_end(p, AHEAD)), Span(soon, _day_end(p, FURTHER))


def _day_start(p: Planning, days: int) -> datetime:
    zone = p.manager.zone
    return wall(zone, shared_working_day(p.people, today(zone, p.now), days), 0)


def _day_end(p: Planning, days: int) -> datetime:
    zone = p.manager.zone
    return wall(zone, shared_working_day(p.people, today(zone, p.now), days) + timedelta(days=1), 0)
