"""Ranks the time slots of a search (T-3), and finds a time for one person alone (T-8).

The cost of a slot is the cost of its day plus the cost of its hour. The unit of cost is one day of distance from the
target, and every other preference is expressed in that unit. Days are tried cheapest first, and the starts within a day
cheapest first, so that most days are never examined. The order is deterministic: the same search gives the same slots.
The index of a quarter-hour counts from the beginning of 1970 in UTC.
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
from worker.domain.model.quarters import DAY_QUARTERS, get_quarter_start
from worker.domain.time.availability import (
    EPOCH_DAY,
    MINUTES_PER_QUARTER,
    QuarterGrid,
    count_quarters,
    find_day_bits,
    find_midnight_quarter,
    find_starts,
    iterate_set_bits,
)
from worker.domain.time.explain import explain_slot
from worker.domain.time.search import (
    Search,
    compute_contract_margins,
    find_possible_starts,
    get_week_number,
    list_career_days,
    list_days,
)
from worker.domain.time.worktime import DAY, DAY_MINUTES, get_local_date, measure_clock_distance

# Costs, in days of distance from the target.
#: A slot on the preferred weekday is at most three days from the target. This cost is higher than that distance, so
#: that the search chooses that slot.
OTHER_WEEKDAY_COST = 4.0
HOUR_OFF_COST = 1.0  #: for each hour of distance from the preferred hour
MAX_HOURS_OFF_COST = 3.0
SESSION_THAT_WEEK_COST = 2.0  #: for each other career session that the manager has in the same week
#: The cost of a weekday by its contract margin (see `compute_contract_margins`), of which 2 is the best.
CONTRACT_MARGIN_COSTS = {2: 0.0, 1: 1.0, 0: 3.0}
#: The cost of a start by the hour on the person's clock: mornings and early afternoons are best. Each entry is an hour
#: and the cost of starts before that hour, down to the hour of the previous entry.
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
#: The weight of the comfort costs when the pair prefers an hour: then they only break ties.
TIE_BREAK_WEIGHT = 1 / 64


@dataclass(frozen=True, slots=True)
class Slot:
    """A possible time, its cost (lower is better) and the reasons for choosing it."""

    span: Span
    cost: float
    reasons: Reasons


class _Piece(NamedTuple):
    """A part of the window that lies on one date of the manager and, when the pair prefers a weekday, on one date of
    the report."""

    cost: float  #: the cost of every start in the piece, without the cost of the hour
    first: int  #: the index of the piece's first quarter-hour
    length: int  #: in quarter-hours
    start_bits: int  #: the possible starts; bit 0 is the quarter-hour `first`
    day: date  #: the date in the manager's zone


def rank_slots(search: Search, limit: int = 1) -> tuple[Slot, ...]:
    """Return the best slot of each of the manager's `limit` best days, best first. At equal cost, earlier is better."""
    if limit <= 0:
        return ()
    grid, start_bits = find_possible_starts(search)
    best_starts: dict[date, tuple[float, int]] = {}  # by day: the cost, and the index of the start's quarter-hour
    cost_limit: float | None = None  # the cost of the last of the best days; pieces that cost more are not examined
    for piece in sorted(_split_into_pieces(search, grid, start_bits)):
        if cost_limit is not None and piece.cost > cost_limit:
            break
        cost_and_index = _find_best_start(search, piece)
        best_starts[piece.day] = min(cost_and_index, best_starts.get(piece.day, cost_and_index))
        if len(best_starts) >= limit:
            cost_limit = sorted(best_starts.values())[limit - 1][0]
    ranked = sorted((cost, index, day) for day, (cost, index) in best_starts.items())[:limit]
    return tuple(_make_slot(search, cost, index, day) for cost, index, day in ranked)


def _split_into_pieces(search: Search, grid: QuarterGrid, start_bits: int) -> Iterator[_Piece]:
    """Yield every piece of the window that contains a possible start."""
    if not start_bits:
        return
    zone, target_day = search.manager.zone, get_local_date(search.manager.zone, search.target)
    sessions_by_week = Counter(get_week_number(day) for day in list_career_days(search))
    contract_costs = [CONTRACT_MARGIN_COSTS[margin] for margin in compute_contract_margins(search.manager)]
    days = list_days(search, grid)
    midnights = [find_midnight_quarter(zone, day) for day in (*days, days[-1] + DAY)]
    for day, (day_start, day_end) in zip(days, pairwise(midnights), strict=True):
        if not _slice_bits(grid, start_bits, day_start, day_end):
            continue
        cost = abs((day - target_day).days) + SESSION_THAT_WEEK_COST * sessions_by_week[get_week_number(day)]
        report_midnights = _list_report_midnights(search, day, day_start, day_end)
        for start, end in pairwise((day_start, *report_midnights, day_end)):
            piece_bits = _slice_bits(grid, start_bits, start, end)
            if piece_bits:
                weekday_cost = _compute_weekday_cost(search, start, day, contract_costs)
                yield _Piece(cost + weekday_cost, start, end - start, piece_bits, day)


def _slice_bits(grid: QuarterGrid, bits: int, start: int, end: int) -> int:
    """Return the grid's bits from index `start` (included) to `end` (excluded), shifted so that bit 0 is `start`."""
    offset = start - grid.first
    shifted = bits >> offset if offset >= 0 else bits << -offset
    return shifted & ((1 << (end - start)) - 1)


def _list_report_midnights(search: Search, day: date, start: int, end: int) -> Sequence[int]:
    """Return the indices at which the report's date changes within the manager's day, which is `start` to `end`.

    The result is empty when the pair prefers no weekday, because the report's date does not matter then.
    """
    zone = search.report.zone
    if search.preference.weekday is None or zone == search.manager.zone:
        return ()
    # The report's last midnight that is not after the start of the manager's day.
    last_midnight = start - _get_local_minute(zone, day, start) // MINUTES_PER_QUARTER
    return range(last_midnight + DAY_QUARTERS, end, DAY_QUARTERS)


def _compute_weekday_cost(search: Search, index: int, day: date, contract_costs: Sequence[float]) -> float:
    """Return the cost of the weekday of the quarter-hour `index`, which lies on the manager's date `day`.

    The cost is 0 on the preferred weekday in the report's zone. On other weekdays it includes the cost of the contract
    margin.
    """
    contract_cost = contract_costs[day.weekday()]
    preferred_weekday = search.preference.weekday
    if preferred_weekday is None:
        return contract_cost
    local_minutes = index * MINUTES_PER_QUARTER + _get_utc_offset(search.report.zone, day)  # since 1970-01-01
    weekday = (local_minutes // DAY_MINUTES + EPOCH_DAY.weekday()) % 7
    return 0.0 if weekday == preferred_weekday else OTHER_WEEKDAY_COST + contract_cost


def _find_best_start(search: Search, piece: _Piece) -> tuple[float, int]:
    """Return the piece's cheapest start: its total cost, and the index of its quarter-hour."""
    clock_minutes = (_get_local_minute(person.zone, piece.day, piece.first) for person in search.people)
    for cost, bits in _group_quarters_by_cost(*clock_minutes, search.preference.minute, piece.length):
        starts = piece.start_bits & bits
        if starts:
            return piece.cost + cost, piece.first + next(iterate_set_bits(starts))
    raise AssertionError("every quarter-hour of a piece belongs to a group, and the piece has a start")


def _get_local_minute(zone: str, day: date, index: int) -> int:
    """Return the minutes after midnight in `zone` at that quarter-hour, using the UTC offset at noon of `day`."""
    return (index * MINUTES_PER_QUARTER + _get_utc_offset(zone, day)) % DAY_MINUTES


@lru_cache(maxsize=16384)
def _get_utc_offset(zone: str, day: date) -> int:
    """Return the zone's UTC offset at noon of that day, in minutes."""
    offset = datetime.combine(day, time(12), ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


@lru_cache(maxsize=4096)
def _group_quarters_by_cost(
    manager_minute: int, report_minute: int, preferred_minute: int | None, length: int
) -> tuple[tuple[float, int], ...]:
    """Return each cost of an hour in a piece with the set of quarter-hours that have this cost, cheapest first.

    `manager_minute` and `report_minute` are the minutes after each person's midnight at which the piece starts.
    """
    bits_by_cost: dict[float, int] = {}
    for position in range(length):
        minutes = MINUTES_PER_QUARTER * position
        cost = _compute_hour_cost(manager_minute + minutes, report_minute + minutes, preferred_minute)
        bits_by_cost[cost] = bits_by_cost.get(cost, 0) | 1 << position
    return tuple(sorted(bits_by_cost.items()))


def _compute_hour_cost(manager_minute: int, report_minute: int, preferred_minute: int | None) -> float:
    """Return the cost of a start at these minutes after each person's midnight. The preference is the report's."""
    comfort = _get_comfort_cost(manager_minute) + _get_comfort_cost(report_minute)
    if preferred_minute is None:
        return comfort
    hours_off = measure_clock_distance(report_minute, preferred_minute) / 60
    return min(hours_off * HOUR_OFF_COST, MAX_HOURS_OFF_COST) + TIE_BREAK_WEIGHT * comfort


def _get_comfort_cost(minute: int) -> float:
    """Return the cost of a start at that minute after local midnight."""
    hour = minute // 60 % 24
    return next(cost for end_hour, cost in COMFORT_COSTS if hour < end_hour)


def _make_slot(search: Search, cost: float, index: int, day: date) -> Slot:
    """Return the slot that starts at the quarter-hour `index`, on the manager's date `day`."""
    start = get_quarter_start(index)
    span = Span(start, start + timedelta(minutes=search.minutes))
    return Slot(span, cost, tuple(explain_slot(search, span, day)))


def find_solo_time(
    person: Person, window: Span, minutes: int, free_busy: FreeBusy, taken: Sequence[TakenTime]
) -> Span | None:
    """Return a free time in one person's working hours, without buffers (T-8); None when there is none.

    The result is the earliest free time on the last day of the window that has a free time.
    """
    grid = QuarterGrid(window)
    starts = find_starts(grid.find_working(person) & ~grid.find_busy(person, free_busy, taken), count_quarters(minutes))
    if not starts:
        return None
    last_day = get_local_date(person.zone, grid.get_instant(starts.bit_length() - 1))
    start = grid.get_instant(next(iterate_set_bits(starts & find_day_bits(grid, person.zone, last_day))))
    return Span(start, start + timedelta(minutes=minutes))
