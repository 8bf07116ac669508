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

from worker.domain.model import FreeBusy, Person, Reasons, Span, TakenTime
from worker.domain.time.availability import (
    QuarterGrid,
    count_quarters,
    find_day_bits,
    find_midnight_quarter,
    find_starts,
    get_quarter_start,
    iterate_set_bits,
)
from worker.domain.time.blockers import explain_no_slot, has_same_blockers
from worker.domain.time.explain import explain_slot
from worker.domain.time.search import (
    Search,
    compute_contract_margins,
    find_possible_starts,
    get_week_number,
    list_career_days,
    list_days,
)
from worker.domain.time.worktime import get_local_date

__all__ = ["Search", "Slot", "explain_no_slot", "find_solo_time", "has_same_blockers", "rank_slots"]

DAY = timedelta(days=1)

# What a wish is worth, in days of nearness to the target.
OTHER_WEEKDAY_COST = 4.0  #: the next preferred weekday is never more than three days off
HOUR_OFF_COST = 1.0  #: for each hour away from the preferred one,
MAX_HOURS_OFF_COST = 3.0  #: up to so many
SESSION_THAT_WEEK_COST = 2.0  #: for each other career session the manager has in that week
#: By how many of the two days that the contract has are left to the manager as working days; 2: the last one is.
CONTRACT_MARGIN_COSTS = {2: 0.0, 1: 1.0, 0: 3.0}
#: Until which hour of somebody's day a start costs how much: mornings and early afternoons are best.
COMFORT_COSTS = (
    (7, 3.0),
    (8, 1.5),
    (9, 0.5),
    (12, 0.0),
    (13, 0.5),
    (15, 0.25),
    (16, 0.75),
    (17, 1.25),
    (18, 2.0),
    (24, 3.0),
)
#: With a preferred hour, comfort only breaks ties.
TIE_BREAK_WEIGHT = 1 / 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A time that fits, what it costs (lower is better) and why it was chosen."""

    span: Span
    cost: float
    reasons: Reasons


class _Piece(NamedTuple):
    """A stretch that is one date for the manager and one weekday for the report, and what that costs."""

    cost: float
    first: int  #: quarter since 1970
    length: int
    bits: int  #: possible starts, counted from `first`
    day: date


def rank_slots(search: Search, limit: int = 1) -> tuple[Slot, ...]:
    """The best times on the `limit` best days of the manager's, best first; at equal cost the earliest."""
    grid, free = find_possible_starts(search)
    best: dict[date, tuple[float, int]] = {}
    worst: float | None = None
    for piece in sorted(_split_into_pieces(search, grid, free)) if limit > 0 else ():
        if worst is not None and piece.cost > worst:
            break
        found = _find_best_start(search, piece)
        best[piece.day] = min(found, best.get(piece.day, found))
        if len(best) >= limit:
            worst = sorted(best.values())[limit - 1][0]
    chosen = sorted((cost, first, day) for day, (cost, first) in best.items())[:limit]
    return tuple(_make_slot(search, cost, first, day) for cost, first, day in chosen)


def _split_into_pieces(search: Search, grid: QuarterGrid, free: int) -> Iterator[_Piece]:
    """Every piece of the window with a possible start."""
    zone, target = search.manager.zone, get_local_date(search.manager.zone, search.target)
    weeks = Counter(get_week_number(day) for day in list_career_days(search))
    weekdays = [CONTRACT_MARGIN_COSTS[margin] for margin in compute_contract_margins(search.manager)]
    days = list_days(search, grid) if free else ()
    edges = pairwise(find_midnight_quarter(zone, day) for day in (*days, *(day + DAY for day in days[-1:])))
    for day, (first, end) in zip(days, edges, strict=True):
        if not _slice_bits(grid, free, first, end):
            continue
        cost = abs((day - target).days) + SESSION_THAT_WEEK_COST * weeks[get_week_number(day)]
        for begin, until in pairwise((first, *_list_report_midnights(search, day, first, end), end)):
            bits = _slice_bits(grid, free, begin, until)
            if bits:
                weekday = _compute_weekday_cost(search, begin, day, weekdays)
                yield _Piece(cost + weekday, begin, until - begin, bits, day)


def _slice_bits(grid: QuarterGrid, bits: int, first: int, end: int) -> int:
    """The bits from quarter `first` up to `end`, counted from `first`."""
    offset = first - grid.first
    moved = bits >> offset if offset >= 0 else bits << -offset
    return moved & ((1 << (end - first)) - 1)


def _list_report_midnights(search: Search, day: date, first: int, end: int) -> Sequence[int]:
    """Where the report's date changes within that day of the manager's; only asked when a weekday is preferred."""
    zone = search.report.zone
    if search.preference.weekday is None or zone == search.manager.zone:
        return ()
    return range(first - _get_local_minute(zone, day, first) // 15 + 96, end, 96)


def _compute_weekday_cost(search: Search, first: int, day: date, contract: Sequence[float]) -> float:
    """A preferred weekday is preferred as it is; otherwise the days before the manager's days off cost more."""
    wished = search.preference.weekday
    if wished is None:
        return contract[day.weekday()]
    # 1970 began on a Thursday.
    local = (first * 15 + _get_utc_offset(search.report.zone, day)) // 1440 + 3
    return 0.0 if local % 7 == wished else OTHER_WEEKDAY_COST + contract[day.weekday()]


def _find_best_start(search: Search, piece: _Piece) -> tuple[float, int]:
    """The piece's cheapest start: its cost in all, and its quarter."""
    clocks = (_get_local_minute(person.zone, piece.day, piece.first) for person in search.people)
    for cost, mask in _group_quarters_by_cost(*clocks, search.preference.minute, piece.length):
        hit = piece.bits & mask
        if hit:
            return piece.cost + cost, piece.first + next(iterate_set_bits(hit))
    raise AssertionError("the masks cover every quarter of a piece that has a start")


def _get_local_minute(zone: str, day: date, quarter: int) -> int:
    """Minutes after midnight on the clocks of `zone`, by the offset they have around that day's noon."""
    return (quarter * 15 + _get_utc_offset(zone, day)) % 1440


@lru_cache(maxsize=16384)
def _get_utc_offset(zone: str, day: date) -> int:
    offset = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


@lru_cache(maxsize=4096)
def _group_quarters_by_cost(
    manager: int, report: int, wished: int | None, length: int
) -> tuple[tuple[float, int], ...]:
    """The quarters of a piece by cost, cheapest first, given what both clocks show at its beginning."""
    masks: dict[float, int] = {}
    for index in range(length):
        cost = _compute_hour_cost(manager + 15 * index, report + 15 * index, wished)
        masks[cost] = masks.get(cost, 0) | 1 << index
    return tuple(sorted(masks.items()))


def _compute_hour_cost(manager: int, report: int, wished: int | None) -> float:
    comfort = _get_comfort_cost(manager) + _get_comfort_cost(report)
    if wished is None:
        return comfort
    off = abs((report - wished + 720) % 1440 - 720) / 60
    return min(off * HOUR_OFF_COST, MAX_HOURS_OFF_COST) + TIE_BREAK_WEIGHT * comfort


def _get_comfort_cost(minute: int) -> float:
    hour = minute // 60 % 24
    return next(cost for until, cost in COMFORT_COSTS if hour < until)


def _make_slot(search: Search, cost: float, first: int, day: date) -> Slot:
    start = get_quarter_start(first)
    span = Span(start, start + timedelta(minutes=search.minutes))
    return Slot(span, cost, tuple(explain_slot(search, span, day)))


def find_solo_time(
    person: Person, window: Span, minutes: int, free_busy: FreeBusy, taken: Sequence[TakenTime], latest: bool
) -> Span | None:
    """A free time in one person's working hours, with no buffer (T-8): the window's earliest, or, with `latest`, the
    earliest on the latest of the person's days that has room. None when there is none."""
    grid = QuarterGrid(window)
    found = find_starts(grid.find_working(person) & ~grid.find_busy(person, free_busy, taken), count_quarters(minutes))
    if not found:
        return None
    if latest:
        found &= find_day_bits(grid, person.zone, get_local_date(person.zone, grid.get_instant(found.bit_length() - 1)))
    start = grid.get_instant(next(iterate_set_bits(found)))
    return Span(start, start + timedelta(minutes=minutes))
