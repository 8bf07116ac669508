"""Ranks the slots of a search (T-3), with reasons; and finds a time for one person alone (T-8).

The cost of a slot is that of its day plus that of its hour. The unit is one day of distance from the target; every
other preference is weighed against that. Days are tried cheapest first, and hours within a day by cached masks, so that
most days are never examined. The order is deterministic: the same search gives the same slots.
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

# Costs, in days of distance from the target.
OTHER_WEEKDAY_COST = 4.0  #: the next preferred weekday is never more than three days off
HOUR_OFF_COST = 1.0  #: for each hour away from the preferred one
MAX_HOURS_OFF_COST = 3.0
SESSION_THAT_WEEK_COST = 2.0  #: for each other career session the manager has in that week
#: By the margin that `compute_contract_margins` gives for the weekday: 2 is the best.
CONTRACT_MARGIN_COSTS = {2: 0.0, 1: 1.0, 0: 3.0}
#: The cost of a start before each hour of a person's day: mornings and early afternoons are best.
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
#: With a preferred hour, the comfort costs have this weight and only break ties.
TIE_BREAK_WEIGHT = 1 / 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A possible time, its cost (lower is better) and why it was chosen."""

    span: Span
    cost: float
    reasons: Reasons


class _Piece(NamedTuple):
    """A part of the window that is one date for the manager and one weekday for the report."""

    cost: float  #: of any start in it, before the cost of the hour
    first: int  #: quarter since 1970
    length: int
    bits: int  #: possible starts, counted from `first`
    day: date


def rank_slots(search: Search, limit: int = 1) -> tuple[Slot, ...]:
    """The best slot of each of the manager's `limit` best days, best first; at equal cost the earliest."""
    grid, free = find_possible_starts(search)
    best: dict[date, tuple[float, int]] = {}  # by day: cost and first quarter
    cost_limit: float | None = None
    for piece in sorted(_split_into_pieces(search, grid, free)) if limit > 0 else ():
        if cost_limit is not None and piece.cost > cost_limit:
            break
        start = _find_best_start(search, piece)
        best[piece.day] = min(start, best.get(piece.day, start))
        if len(best) >= limit:
            cost_limit = sorted(best.values())[limit - 1][0]
    chosen = sorted((cost, first, day) for day, (cost, first) in best.items())[:limit]
    return tuple(_make_slot(search, cost, first, day) for cost, first, day in chosen)


def _split_into_pieces(search: Search, grid: QuarterGrid, free: int) -> Iterator[_Piece]:
    """Every piece of the window with a possible start."""
    zone, target = search.manager.zone, get_local_date(search.manager.zone, search.target)
    sessions_by_week = Counter(get_week_number(day) for day in list_career_days(search))
    contract_costs = [CONTRACT_MARGIN_COSTS[margin] for margin in compute_contract_margins(search.manager)]
    days = list_days(search, grid) if free else ()
    edges = pairwise(find_midnight_quarter(zone, day) for day in (*days, *(day + DAY for day in days[-1:])))
    for day, (first, end) in zip(days, edges, strict=True):
        if not _slice_bits(grid, free, first, end):
            continue
        cost = abs((day - target).days) + SESSION_THAT_WEEK_COST * sessions_by_week[get_week_number(day)]
        for begin, stop in pairwise((first, *_list_report_midnights(search, day, first, end), end)):
            bits = _slice_bits(grid, free, begin, stop)
            if bits:
                weekday_cost = _compute_weekday_cost(search, begin, day, contract_costs)
                yield _Piece(cost + weekday_cost, begin, stop - begin, bits, day)


def _slice_bits(grid: QuarterGrid, bits: int, first: int, end: int) -> int:
    """The bits from quarter `first` up to `end`, counted from `first`."""
    offset = first - grid.first
    shifted = bits >> offset if offset >= 0 else bits << -offset
    return shifted & ((1 << (end - first)) - 1)


def _list_report_midnights(search: Search, day: date, first: int, end: int) -> Sequence[int]:
    """The quarters within the manager's day at which the report's date changes; none when no weekday is preferred."""
    zone = search.report.zone
    if search.preference.weekday is None or zone == search.manager.zone:
        return ()
    return range(first - _get_local_minute(zone, day, first) // 15 + 96, end, 96)


def _compute_weekday_cost(search: Search, first: int, day: date, contract_costs: Sequence[float]) -> float:
    """Nothing on the preferred weekday; on others, more when the manager has few working days for the contract."""
    preferred = search.preference.weekday
    if preferred is None:
        return contract_costs[day.weekday()]
    # 1970 began on a Thursday.
    local_days = (first * 15 + _get_utc_offset(search.report.zone, day)) // 1440 + 3
    return 0.0 if local_days % 7 == preferred else OTHER_WEEKDAY_COST + contract_costs[day.weekday()]


def _find_best_start(search: Search, piece: _Piece) -> tuple[float, int]:
    """The piece's cheapest start: its total cost, and its quarter since 1970."""
    clock_minutes = (_get_local_minute(person.zone, piece.day, piece.first) for person in search.people)
    for cost, mask in _group_quarters_by_cost(*clock_minutes, search.preference.minute, piece.length):
        starts = piece.bits & mask
        if starts:
            return piece.cost + cost, piece.first + next(iterate_set_bits(starts))
    raise AssertionError("the masks cover every quarter of a piece that has a start")


def _get_local_minute(zone: str, day: date, quarter: int) -> int:
    """Minutes after midnight in `zone` at that quarter, with the UTC offset of that day's noon."""
    return (quarter * 15 + _get_utc_offset(zone, day)) % 1440


@lru_cache(maxsize=16384)
def _get_utc_offset(zone: str, day: date) -> int:
    """The zone's UTC offset at noon of that day, in minutes."""
    offset = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


@lru_cache(maxsize=4096)
def _group_quarters_by_cost(
    manager_minute: int, report_minute: int, preferred_minute: int | None, length: int
) -> tuple[tuple[float, int], ...]:
    """The quarters of a piece by cost, cheapest first. Minutes count from local midnight, at the piece's beginning."""
    masks: dict[float, int] = {}
    for index in range(length):
        cost = _compute_hour_cost(manager_minute + 15 * index, report_minute + 15 * index, preferred_minute)
        masks[cost] = masks.get(cost, 0) | 1 << index
    return tuple(sorted(masks.items()))


def _compute_hour_cost(manager_minute: int, report_minute: int, preferred_minute: int | None) -> float:
    comfort = _get_comfort_cost(manager_minute) + _get_comfort_cost(report_minute)
    if preferred_minute is None:
        return comfort
    hours_off = abs((report_minute - preferred_minute + 720) % 1440 - 720) / 60
    return min(hours_off * HOUR_OFF_COST, MAX_HOURS_OFF_COST) + TIE_BREAK_WEIGHT * comfort


def _get_comfort_cost(minute: int) -> float:
    hour = minute // 60 % 24
    return next(cost for end_hour, cost in COMFORT_COSTS if hour < end_hour)


def _make_slot(search: Search, cost: float, first: int, day: date) -> Slot:
    start = get_quarter_start(first)
    span = Span(start, start + timedelta(minutes=search.minutes))
    return Slot(span, cost, tuple(explain_slot(search, span, day)))


def find_solo_time(
    person: Person, window: Span, minutes: int, free_busy: FreeBusy, taken: Sequence[TakenTime], latest: bool
) -> Span | None:
    """A free time in one person's working hours, without a buffer (T-8); None when there is none.

    It is the earliest in the window or, with `latest`, the earliest on the last day that has room.
    """
    grid = QuarterGrid(window)
    starts = find_starts(grid.find_working(person) & ~grid.find_busy(person, free_busy, taken), count_quarters(minutes))
    if not starts:
        return None
    if latest:
        starts &= find_day_bits(
            grid, person.zone, get_local_date(person.zone, grid.get_instant(starts.bit_length() - 1))
        )
    start = grid.get_instant(next(iterate_set_bits(starts)))
    return Span(start, start + timedelta(minutes=minutes))
