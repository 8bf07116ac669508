"""Sets of quarter hours as integers: bit i is set when the i-th quarter of an hour of a window belongs to the set.

Three months are 8,736 bits; one `&` intersects two people's time, and a few shifts find every start of a long enough
run. Quarters are counted in UTC. Every zone in use today is a multiple of 15 minutes away from UTC; for other offsets
of the past, and for events that end at odd minutes, busy time is rounded outward and working time inward.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import QUARTER, Address, FreeBusy, Person, Span, TakenTime, WorkingHours
from worker.domain.time.worktime import compute_spells, wall_to_utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = EPOCH.date()
DAY_QUARTERS = 96
#: Working time is computed and cached in blocks of so many days, whatever the window.
BLOCK_DAYS = 32
BLOCK_QUARTERS = BLOCK_DAYS * DAY_QUARTERS
#: T-2: so many quarters stay free on each side of busy time.
BUFFER_QUARTERS = 1
#: The resolution of datetime: an instant this much past a boundary is in the next quarter.
MICROSECOND = timedelta(microseconds=1)
UNKNOWN_FREE_BUSY = FreeBusy(known=False)


def floor_quarter(instant: datetime) -> int:
    """The quarter since 1970 in which `instant` lies."""
    return (instant - EPOCH) // QUARTER


def ceil_quarter(instant: datetime) -> int:
    """The first quarter since 1970 that starts at `instant` or later."""
    return -((EPOCH - instant) // QUARTER)


def get_quarter_start(quarter: int) -> datetime:
    """When that quarter since 1970 starts."""
    return EPOCH + quarter * QUARTER


def count_quarters(minutes: int) -> int:
    """How many quarters a conversation of so many minutes touches."""
    return -(-minutes // 15)


class QuarterGrid:
    """The quarters that lie wholly inside a window, numbered from 0.

    `first` is the quarter since 1970 that has number 0, `size` their count, `all` the set of all of them.
    """

    __slots__ = ("all", "first", "size")

    def __init__(self, window: Span) -> None:
        self.first = ceil_quarter(window.start)
        self.size = max(0, floor_quarter(window.end) - self.first)
        self.all = (1 << self.size) - 1

    def get_instant(self, index: int) -> datetime:
        """When the quarter of that index starts."""
        return get_quarter_start(self.first + index)

    def find_touched(self, spans: Iterable[Span], pad: int = 0) -> int:
        """The quarters that one of the spans touches, and `pad` quarters on each side."""
        return self._paint_spans(spans, self.get_instant(pad), self.get_instant(-pad) + MICROSECOND)

    def find_filled(self, spans: Iterable[Span]) -> int:
        """The quarters that lie wholly inside one of the spans."""
        return self._paint_spans(spans, self.get_instant(-1) + MICROSECOND, self.get_instant(1))

    def _paint_spans(self, spans: Iterable[Span], opening: datetime, closing: datetime) -> int:
        """The quarters of each span. Its first is counted from `opening`, its last (included) from `closing`."""
        # Writing digits and parsing them once as a binary number is linear; shifting a wide integer per span is not.
        # This loop is most of the cost of a search, hence plain arithmetic on days and seconds without calls.
        size = self.size
        digits = bytearray(b"0") * size
        for span in spans:
            offset = span.start - opening
            start = offset.days * 96 + offset.seconds // 900
            offset = span.end - closing
            end = offset.days * 96 + offset.seconds // 900 + 1
            if start < 0 or end > size:
                start, end = max(start, 0), min(end, size)
            if start < end:
                digits[start:end] = b"1" * (end - start)
        digits.reverse()
        return int(digits, 2) if digits else 0

    def find_working(self, person: Person) -> int:
        """The quarters in which the person works."""
        bits = 0
        for block in range(self.first // BLOCK_QUARTERS, (self.first + self.size) // BLOCK_QUARTERS + 1):
            block_bits = _compute_work_block(person.hours, person.zone, person.country, block)
            offset = block * BLOCK_QUARTERS - self.first
            bits |= block_bits << offset if offset >= 0 else block_bits >> -offset
        return bits & self.all

    def find_busy(self, person: Person, free_busy: FreeBusy, taken: Iterable[TakenTime], pad: int = 0) -> int:
        """The quarters in which the person is busy; working hours don't count here.

        Unknown time is busy (T-2). For a person whose calendar is `none`, only the taken times are busy.
        """
        spans = [item.span for item in taken]
        if has_readable_calendar(person):
            if not free_busy.known:
                return self.all
            spans += [item.span for item in free_busy.busy]
        return self.find_touched(spans, pad)

    def find_between(self, start: int, end: int) -> int:
        """The quarters from `start` up to `end`, both counted since 1970, that are in the window."""
        low, high = (min(max(edge - self.first, 0), self.size) for edge in (start, end))
        return (1 << high) - (1 << low) if low < high else 0


def has_readable_calendar(person: Person) -> bool:
    """False for a person whose calendar is `none`: free/busy is not asked for, and working hours count as free."""
    return person.has_calendar


def get_free_busy(free_busy: Mapping[Address, FreeBusy], person: Person) -> FreeBusy:
    """The person's free/busy; unknown when the mapping has none."""
    return free_busy.get(person.email, UNKNOWN_FREE_BUSY)


@lru_cache(maxsize=8192)
def _compute_work_block(hours: WorkingHours, zone: str, country: str, block: int) -> int:
    """The working quarters of one block of `BLOCK_DAYS` days, counted from its start."""
    grid = QuarterGrid(Span(get_quarter_start(block * BLOCK_QUARTERS), get_quarter_start((block + 1) * BLOCK_QUARTERS)))
    first = EPOCH_DAY + timedelta(days=block * BLOCK_DAYS)
    # Zones reach from -12 to +14 hours, and a spell may run on into the next day.
    days = (first + timedelta(days=step) for step in range(-2, BLOCK_DAYS + 2))
    return grid.find_filled(span for day in days for span in compute_spells(hours, zone, country, day))


@lru_cache(maxsize=16384)
def find_midnight_quarter(zone: str, day: date) -> int:
    """The first quarter since 1970 of that local day."""
    return ceil_quarter(wall_to_utc(zone, day, 0))


def find_day_bits(grid: QuarterGrid, zone: str, day: date) -> int:
    """The quarters of that local day that are in the window."""
    return grid.find_between(find_midnight_quarter(zone, day), find_midnight_quarter(zone, day + timedelta(days=1)))


def find_starts(free: int, quarters: int) -> int:
    """The quarters from which at least `quarters` quarters in a row are set in `free`."""
    run, starts = 1, free  # `starts` has the beginnings of runs of at least `run` quarters
    while run < quarters:
        step = min(run, quarters - run)
        starts &= starts >> step
        run += step
    return starts


def iterate_set_bits(bits: int) -> Iterator[int]:
    """The indices of the set bits, lowest first."""
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def measure_longest_run(free: int) -> int:
    """The length of the longest run of set bits."""
    length = 0
    while free:
        free &= free >> 1
        length += 1
    return length
