"""Sets of quarter-hours as integers: bit i is set when the quarter-hour at position i of a window belongs to the set.

Three months are 8,736 bits; one `&` intersects two people's time, and a few shifts find every start of a long enough
run. A quarter-hour is named by its position in a window, or by its index, which counts from 1970 in UTC. Every zone in
use today is a multiple of 15 minutes away from UTC; for other offsets of the past, and for events that end at odd
minutes, busy time is rounded outward and working time inward.

In names, `quarters` are quarter-hours, and `bits` is such a set.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import QUARTER_HOUR, Address, FreeBusy, Person, Span, TakenTime, WorkingHours
from worker.domain.time.worktime import compute_spells, wall_to_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.date()
DAY_QUARTERS = 96
#: Working time is computed and cached in blocks of this many days, whatever the window.
BLOCK_DAYS = 32
BLOCK_QUARTERS = BLOCK_DAYS * DAY_QUARTERS
#: T-2: this many quarter-hours stay free on each side of busy time.
BUFFER_QUARTERS = 1
#: The resolution of datetime: an instant this much past a boundary is in the next quarter-hour.
MICROSECOND = timedelta(microseconds=1)
UNKNOWN_FREE_BUSY = FreeBusy(known=False)


def floor_quarter(instant: datetime) -> int:
    """Return the index of the quarter-hour in which `instant` lies."""
    return (instant - EPOCH) // QUARTER_HOUR


def ceil_quarter(instant: datetime) -> int:
    """Return the index of the first quarter-hour that starts at `instant` or later."""
    return -((EPOCH - instant) // QUARTER_HOUR)


def get_quarter_start(index: int) -> datetime:
    """Return when the quarter-hour with that index starts."""
    return EPOCH + index * QUARTER_HOUR


def count_quarters(minutes: int) -> int:
    """Return how many quarter-hours a session of that length takes, the last one perhaps in part."""
    return -(-minutes // 15)


class QuarterGrid:
    """The quarter-hours that lie wholly inside a window; their positions count from 0.

    `first` is the index of the one at position 0, `size` is their count, `all` is the set of all of them.
    """

    __slots__ = ("all", "first", "size")

    def __init__(self, window: Span) -> None:
        self.first = ceil_quarter(window.start)
        self.size = max(0, floor_quarter(window.end) - self.first)
        self.all = (1 << self.size) - 1

    def get_instant(self, position: int) -> datetime:
        """Return when the quarter-hour at that position starts."""
        return get_quarter_start(self.first + position)

    def find_touched(self, spans: Iterable[Span], pad: int = 0) -> int:
        """Return the quarter-hours that any of the spans touches, and `pad` more on each side."""
        return self._paint_spans(spans, self.get_instant(pad), self.get_instant(-pad) + MICROSECOND)

    def find_filled(self, spans: Iterable[Span]) -> int:
        """Return the quarter-hours that lie wholly inside one of the spans."""
        return self._paint_spans(spans, self.get_instant(-1) + MICROSECOND, self.get_instant(1))

    def _paint_spans(self, spans: Iterable[Span], origin: datetime, end_origin: datetime) -> int:
        """Return the quarter-hours of all spans.

        The position of a span's first one is the number of whole quarter-hours from `origin` to the span's start; that
        of its last one, from `end_origin` to the span's end.
        """
        # Writing digits and parsing them once as a binary number is linear; shifting a wide integer per span is not.
        # This loop is most of the cost of a search, hence plain arithmetic on days and seconds without calls.
        size = self.size
        digits = bytearray(b"0") * size
        for span in spans:
            offset = span.start - origin
            start = offset.days * 96 + offset.seconds // 900
            offset = span.end - end_origin
            end = offset.days * 96 + offset.seconds // 900 + 1
            if start < 0 or end > size:
                start, end = max(start, 0), min(end, size)
            if start < end:
                digits[start:end] = b"1" * (end - start)
        digits.reverse()
        return int(digits, 2) if digits else 0

    def find_working(self, person: Person) -> int:
        """Return the quarter-hours in which the person works."""
        bits = 0
        for block in range(self.first // BLOCK_QUARTERS, (self.first + self.size) // BLOCK_QUARTERS + 1):
            block_bits = _compute_work_block(person.hours, person.zone, person.country, block)
            offset = block * BLOCK_QUARTERS - self.first
            bits |= block_bits << offset if offset >= 0 else block_bits >> -offset
        return bits & self.all

    def find_busy(self, person: Person, free_busy: FreeBusy, taken: Iterable[TakenTime], pad: int = 0) -> int:
        """Return the quarter-hours in which the person is busy, whether in working hours or not.

        Unknown time is busy (T-2). A person whose calendar is `none` is busy only at the taken times.
        """
        spans = [item.span for item in taken]
        if person.has_calendar:
            if not free_busy.known:
                return self.all
            spans += [item.span for item in free_busy.busy]
        return self.find_touched(spans, pad)

    def find_between(self, start: int, end: int) -> int:
        """Return the quarter-hours of the window from index `start` up to, not including, index `end`."""
        low, high = (min(max(index - self.first, 0), self.size) for index in (start, end))
        return (1 << high) - (1 << low) if low < high else 0


def get_free_busy(free_busy: Mapping[Address, FreeBusy], person: Person) -> FreeBusy:
    """Return the person's free/busy; unknown when the mapping lacks it."""
    return free_busy.get(person.email, UNKNOWN_FREE_BUSY)


@lru_cache(maxsize=8192)
def _compute_work_block(hours: WorkingHours, zone: str, country: str, block: int) -> int:
    """Return the working quarter-hours of a block of `BLOCK_DAYS` days; bit 0 is the block's first quarter-hour."""
    grid = QuarterGrid(Span(get_quarter_start(block * BLOCK_QUARTERS), get_quarter_start((block + 1) * BLOCK_QUARTERS)))
    first_day = EPOCH_DAY + timedelta(days=block * BLOCK_DAYS)
    # Zones reach from -12 to +14 hours, and a spell may run on into the next day.
    days = (first_day + timedelta(days=step) for step in range(-2, BLOCK_DAYS + 2))
    return grid.find_filled(span for day in days for span in compute_spells(hours, zone, country, day))


@lru_cache(maxsize=16384)
def find_midnight_quarter(zone: str, day: date) -> int:
    """Return the index of the first quarter-hour of that local day."""
    return ceil_quarter(wall_to_utc(zone, day, 0))


def find_day_bits(grid: QuarterGrid, zone: str, day: date) -> int:
    """Return the quarter-hours of that local day that are in the window."""
    return grid.find_between(find_midnight_quarter(zone, day), find_midnight_quarter(zone, day + timedelta(days=1)))


def find_starts(bits: int, quarters: int) -> int:
    """Return the quarter-hours from which at least `quarters` bits in a row are set."""
    starts, run_length = bits, 1  # `starts` are those from which `run_length` bits are set
    while run_length < quarters:
        step = min(run_length, quarters - run_length)
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
