"""Which of the times that fit is best (T-3), with its reasons; and a time for one person alone (T-8).

A time's cost is that of its day plus that of its hour; a day's nearness to the target is worth 1 a day, and every
other wish is weighed against that. Days are tried cheapest first and hours within a day by small masks, so that most
days are never looked into. The order has no chance in it: the same search gives the same times.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from worker.domain.model import FreeBusy, Person, Span, Taken, Why
from worker.domain.time.availability import Grid, day_bits, midnight, ones, quarter_instant, quarters_in, starts
from worker.domain.time.blockers import alike, why_none
from worker.domain.time.explain import reasons
from worker.domain.time.search import Search, careers, contract_margin, days_of, possible, week_of
from worker.domain.time.worktime import today

__all__ = ["Search", "Slot", "alike", "rank", "solo", "why_none"]

DAY = timedelta(days=1)

# What a wish is worth, in days of nearness to the target.
OTHER_WEEKDAY = 4.0  #: the next preferred weekday is never more than three days off
PER_HOUR_OFF = 1.0  #: for each hour away from the preferred one,
MOST_HOURS_OFF = 3.0  #: up to so many
SESSION_THAT_WEEK = 2.0  #: for each other career session the manager has in that week
#: By how many of the two days that the contract has are left to the manager as working days; 2: the last one is.
CONTRACT = {2: 0.0, 1: 1.0, 0: 3.0}
#: Until which hour of somebody's day a start costs how much: mornings and early afternoons are best.
COMFORT = ((7, 3.0), (8, 1.5), (9, 0.5), (12, 0.0), (13, 0.5), (15, 0.25), (16, 0.75), (17, 1.25), (18, 2.0), (24, 3.0))
#: With a preferred hour, comfort only breaks ties.
TIE = 1 / 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that fits, what it costs (lower is better) and why it was chosen."""

    span: Span
    cost: float
    reasons: Why


class _Piece(NamedTuple):
    """A stretch that is one date for the manager and one weekday for the report, and what that costs."""

    cost: float
    first: int  #: quarter since 1970
    length: int
    bits: int  #: possible starts, counted from `first`
    day: date


def rank(search: Search, limit: int = 1) -> tuple[Slot, ...]:
    """The best times on the `limit` best days of the manager's, best first; at equal cost the earliest."""
    grid, free = possible(search)
    best: dict[date, tuple[float, int]] = {}
    worst: float | None = None
    for piece in sorted(_pieces(search, grid, free)) if limit > 0 else ():
        if worst is not None and piece.cost > worst:
            break
        found = _best_start(search, piece)
        best[piece.day] = min(found, best.get(piece.day, found))
        if len(best) >= limit:
            worst = sorted(best.values())[limit - 1][0]
    chosen = sorted((cost, first, day) for day, (cost, first) in best.items())[:limit]
    return tuple(_slot(search, cost, first, day) for cost, first, day in chosen)


def _pieces(search: Search, grid: Grid, free: int) -> Iterator[_Piece]:
    """Every piece of the window with a possible start."""
    zone, target = search.manager.zone, today(search.manager.zone, search.target)
    weeks = Counter(week_of(day) for day in careers(search))
    weekdays = [CONTRACT[margin] for margin in contract_margin(search.manager)]
    days = days_of(search, grid) if free else ()
    edges = pairwise(midnight(zone, day) for day in (*days, *(day + DAY for day in days[-1:])))
    for day, (first, end) in zip(days, edges, strict=True):
        if not _slice(grid, free, first, end):
            continue
        cost = abs((day - target).days) + SESSION_THAT_WEEK * weeks[week_of(day)]
        for begin, until in pairwise((first, *_report_midnights(search, day, first, end), end)):
            bits = _slice(grid, free, begin, until)
            if bits:
                weekday = _weekday_cost(search, begin, day, weekdays)
                yield _Piece(cost + weekday, begin, until - begin, bits, day)


def _slice(grid: Grid, bits: int, first: int, end: int) -> int:
    """The bits from quarter `first` up to `end`, counted from `first`."""
    offset = first - grid.first
    moved = bits >> offset if offset >= 0 else bits << -offset
    return moved & ((1 << (end - first)) - 1)


def _report_midnights(search: Search, day: date, first: int, end: int) -> Sequence[int]:
    """Where the report's date changes within that day of the manager's; only asked when a weekday is preferred."""
    zone = search.report.zone
    if search.prefer.weekday is None or zone == search.manager.zone:
        return ()
    return range(first - _clock_at(zone, day, first) // 15 + 96, end, 96)


def _weekday_cost(search: Search, first: int, day: date, contract: Sequence[float]) -> float:
    """A preferred weekday is preferred as it is; otherwise the days before the manager's days off cost more."""
    wished = search.prefer.weekday
    if wished is None:
        return contract[day.weekday()]
    # 1970 began on a Thursday.
    local = (first * 15 + _offset(search.report.zone, day)) // 1440 + 3
    return 0.0 if local % 7 == wished else OTHER_WEEKDAY + contract[day.weekday()]


def _best_start(search: Search, piece: _Piece) -> tuple[float, int]:
    """The piece's cheapest start: its cost in all, and its quarter."""
    clocks = (_clock_at(person.zone, piece.day, piece.first) for person in search.people)
    for cost, mask in _hours(*clocks, search.prefer.minute, piece.length):
        hit = piece.bits & mask
        if hit:
            return piece.cost + cost, piece.first + next(ones(hit))
    raise AssertionError("the masks cover every quarter of a piece that has a start")


def _clock_at(zone: str, day: date, quarter: int) -> int:
    """Minutes after midnight on the clocks of `zone`, by the offset they have around that day's noon."""
    return (quarter * 15 + _offset(zone, day)) % 1440


@lru_cache(maxsize=16384)
def _offset(zone: str, day: date) -> int:
    offset = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


@lru_cache(maxsize=4096)
def _hours(manager: int, report: int, wished: int | None, length: int) -> tuple[tuple[float, int], ...]:
    """The quarters of a piece by cost, cheapest first, given what both clocks show at its beginning."""
    masks: dict[float, int] = {}
    for index in range(length):
        cost = _hour_cost(manager + 15 * index, report + 15 * index, wished)
        masks[cost] = masks.get(cost, 0) | 1 << index
    return tuple(sorted(masks.items()))


def _hour_cost(manager: int, report: int, wished: int | None) -> float:
    comfort = _comfort(manager) + _comfort(report)
    if wished is None:
        return comfort
    off = abs((report - wished + 720) % 1440 - 720) / 60
    return min(off * PER_HOUR_OFF, MOST_HOURS_OFF) + TIE * comfort


def _comfort(minute: int) -> float:
    hour = minute // 60 % 24
    return next(cost for until, cost in COMFORT if hour < until)


def _slot(search: Search, cost: float, first: int, day: date) -> Slot:
    start = quarter_instant(first)
    span = Span(start, start + timedelta(minutes=search.minutes))
    return Slot(span, cost, tuple(reasons(search, span, day)))


def solo(
    person: Person, window: Span, minutes: int, free_busy: FreeBusy, taken: Sequence[Taken], latest: bool
) -> Span | None:
    """A free time in one person's working hours, with no buffer (T-8): the window's earliest, or, with `latest`, the
    earliest on the latest of the person's days that has room. None when there is none."""
    grid = Grid(window)
    found = starts(grid.work(person) & ~grid.busy(person, free_busy, taken), quarters_in(minutes))
    if not found:
        return None
    if latest:
        found &= day_bits(grid, person.zone, today(person.zone, grid.instant(found.bit_length() - 1)))
    start = grid.instant(next(ones(found)))
    return Span(start, start + timedelta(minutes=minutes))
