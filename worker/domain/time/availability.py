"""Sets of quarter-hours as integers: bit i is set when the quarter-hour at position i of a window belongs to the set.

A window of three months takes 8,736 bits. One `&` intersects the time of two people, and a few shifts find every start
of a long enough run. A quarter-hour is identified by its position in a window, or by its index, which counts from 1970
in UTC.

Every zone in use today is a multiple of 15 minutes away from UTC. For other offsets of the past, and for events that
start or end inside a quarter-hour, busy time is rounded outward and working time inward.

In names, `quarters` means quarter-hours, and `bits` means such a set.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import QUARTER_HOUR, Address, FreeBusy, Person, Span, TakenTime, WorkingHours
from worker.domain.model.quarters import (
    BLOCK_DAYS,
    EPOCH,
    QuarterSet,
    ceil_quarter,
    extend_quarters,
    find_filled_quarters,
    find_touched_quarters,
    floor_quarter,
    get_block_span,
    get_quarter_start,
    join_blocks,
)
from worker.domain.time.worktime import compute_spells, find_midnight

EPOCH_DAY = EPOCH.date()
MINUTES_PER_QUARTER = 15
#: The number of quarter-hours that stay free on each side of busy time (T-2), and their length.
BUFFER_QUARTERS = 1
BUFFER = BUFFER_QUARTERS * QUARTER_HOUR
UNKNOWN_FREE_BUSY = FreeBusy(is_known=False)


def count_quarters(minutes: int) -> int:
    """Return how many quarter-hours a session of that length touches, rounded up."""
    return -(-minutes // MINUTES_PER_QUARTER)


class QuarterGrid:
    """The quarter-hours that lie wholly inside a window, with positions that count from 0.

    `first` is the index of the quarter-hour at position 0, `size` is the number of quarter-hours, and `all` is the set
    of all of them.
    """

    __slots__ = ("all", "first", "size")

    def __init__(self, window: Span) -> None:
        self.first = ceil_quarter(window.start)
        self.size = max(0, floor_quarter(window.end) - self.first)
        self.all = (1 << self.size) - 1

    def get_instant(self, position: int) -> datetime:
        """Return when the quarter-hour at that position starts."""
        return get_quarter_start(self.first + position)

    def cut(self, quarters: QuarterSet) -> int:
        """Return the part of the set that is in the window, as bits of this grid."""
        return quarters.cut(self.first, self.size)

    def find_touched(self, spans: Iterable[Span], padding: int = 0) -> int:
        """Return the quarter-hours that any of the spans touches, with `padding` more quarter-hours on each side."""
        touched = find_touched_quarters(spans).cut(self.first - padding, self.size + 2 * padding)
        padded = extend_quarters(touched, padding)  # bit 0 of the result stands for `self.first`
        return padded & self.all

    def find_filled(self, spans: Iterable[Span]) -> int:
        """Return the quarter-hours that lie wholly inside one of the spans."""
        return self.cut(find_filled_quarters(spans))

    def find_working(self, person: Person) -> int:
        """Return the quarter-hours in which the person works."""
        hours, zone, country = person.hours, person.zone, person.country
        return join_blocks(self.first, self.size, lambda block: _compute_work_block(hours, zone, country, block))

    def find_busy(self, person: Person, free_busy: FreeBusy, taken: Iterable[TakenTime], padding: int = 0) -> int:
        """Return the quarter-hours in which the person is busy, inside and outside working hours.

        Each busy time is extended by `padding` quarter-hours on both sides. When the free/busy is unknown, all time is
        busy (T-2). A person whose calendar is `none` is busy only at the taken times.
        """
        taken_bits = self.find_touched([item.span for item in taken], padding)
        if not person.has_calendar:
            return taken_bits
        if not free_busy.is_known:
            return self.all
        return taken_bits | free_busy.find_touched(self.first, self.size, padding)

    def find_between(self, start: int, end: int) -> int:
        """Return the quarter-hours of the window from index `start` (included) to index `end` (excluded)."""
        low, high = (min(max(index - self.first, 0), self.size) for index in (start, end))
        return (1 << high) - (1 << low) if low < high else 0


def get_free_busy(free_busy: Mapping[Address, FreeBusy], person: Person) -> FreeBusy:
    """Return the person's free/busy, or an unknown one when the mapping does not contain the person."""
    return free_busy.get(person.email, UNKNOWN_FREE_BUSY)


@lru_cache(maxsize=8192)
def _compute_work_block(hours: WorkingHours, zone: str, country: str, block: int) -> int:
    """Return the working quarter-hours of a block; bit 0 is the block's first quarter-hour."""
    grid = QuarterGrid(get_block_span(block))
    first_day = EPOCH_DAY + timedelta(days=block * BLOCK_DAYS)
    # Zones reach from -12 to +14 hours, and a spell may run on into the next day.
    days = (first_day + timedelta(days=step) for step in range(-2, BLOCK_DAYS + 2))
    return grid.find_filled(span for day in days for span in compute_spells(hours, zone, country, day))


@lru_cache(maxsize=16384)
def find_midnight_quarter(zone: str, day: date) -> int:
    """Return the index of the first quarter-hour of `day` in `zone`."""
    return ceil_quarter(find_midnight(zone, day))


def find_day_bits(grid: QuarterGrid, zone: str, day: date) -> int:
    """Return the quarter-hours of `day` in `zone` that are in the window."""
    return grid.find_between(find_midnight_quarter(zone, day), find_midnight_quarter(zone, day + timedelta(days=1)))


def find_starts(bits: int, quarter_count: int) -> int:
    """Return the positions, as a set, from which at least `quarter_count` bits in a row are set."""
    starts, run_length = bits, 1  # invariant: `run_length` bits in a row are set from each position in `starts`
    while run_length < quarter_count:
        step = min(run_length, quarter_count - run_length)
        starts &= starts >> step
        run_length += step
    return starts


def iterate_set_bits(bits: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    while bits:
        lowest_bit = bits & -bits
        yield lowest_bit.bit_length() - 1
        bits ^= lowest_bit


def measure_longest_run(bits: int) -> int:
    """Return the length of the longest run of set bits."""
    length = 0
    while bits:
        bits &= bits >> 1
        length += 1
    return length
