"""Sets of quarter-hours, which make searches for a free time fast.

A quarter-hour is identified by its index: the number of quarter-hours from 1970-01-01 00:00 UTC to its start.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.domain.model.time import QUARTER_HOUR, Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_QUARTERS = 96  #: the number of quarter-hours of a day
#: Working time and busy time are computed and cached in blocks of this many days. The blocks are the same for every
#: search, whatever its window is.
BLOCK_DAYS = 32
BLOCK_QUARTERS = BLOCK_DAYS * DAY_QUARTERS
#: The resolution of `datetime`.
MICROSECOND = timedelta(microseconds=1)


def floor_quarter(instant: datetime) -> int:
    """Return the index of the quarter-hour in which `instant` lies."""
    return (instant - EPOCH) // QUARTER_HOUR


def ceil_quarter(instant: datetime) -> int:
    """Return the index of the first quarter-hour that starts at `instant` or later."""
    return -((EPOCH - instant) // QUARTER_HOUR)


def get_quarter_start(index: int) -> datetime:
    """Return when the quarter-hour with that index starts."""
    return EPOCH + index * QUARTER_HOUR


@dataclass(frozen=True, slots=True)
class QuarterSet:
    """A set of quarter-hours, stored as the bits of a number."""

    first: int  #: the index of the quarter-hour that bit 0 stands for
    bits: int

    def cut(self, first: int, size: int) -> int:
        """Return the bits of the `size` quarter-hours from the index `first` on. Bit 0 stands for that index."""
        offset = first - self.first
        shifted = self.bits >> offset if offset >= 0 else self.bits << -offset
        return shifted & ((1 << size) - 1)


def get_block_span(block: int) -> Span:
    """Return the span of a block, which is `BLOCK_QUARTERS` long; block 0 starts in 1970."""
    return Span(get_quarter_start(block * BLOCK_QUARTERS), get_quarter_start((block + 1) * BLOCK_QUARTERS))


def join_blocks(first: int, size: int, get_bits: Callable[[int], int]) -> int:
    """Return the bits of the `size` quarter-hours from the index `first` on. Bit 0 stands for the index `first`.

    `get_bits` returns the bits of a block, where bit 0 stands for the block's first quarter-hour.
    """
    bits = 0
    for block in range(first // BLOCK_QUARTERS, (first + size) // BLOCK_QUARTERS + 1):
        offset = block * BLOCK_QUARTERS - first
        bits |= get_bits(block) << offset if offset >= 0 else get_bits(block) >> -offset
    return bits & ((1 << size) - 1)


def extend_quarters(bits: int, padding: int) -> int:
    """Return the quarter-hours of `bits`, each with `padding` more on both sides.

    Bit 0 of the result stands for the quarter-hour that bit `padding` of `bits` stands for, so `bits` has to begin that
    much earlier.
    """
    # A shift by `padding` keeps each quarter-hour where it is. A smaller shift adds later quarter-hours, and a larger
    # shift adds earlier ones.
    extended = bits
    for step in range(1, 2 * padding + 1):
        extended |= bits >> step
    return extended


def find_touched_quarters(spans: Iterable[Span]) -> QuarterSet:
    """Return the quarter-hours that any of the spans touches."""
    # A span that ends exactly on a boundary does not touch the quarter-hour that starts there: hence the microsecond.
    return _collect_quarters(spans, EPOCH, EPOCH + MICROSECOND)


def find_filled_quarters(spans: Iterable[Span]) -> QuarterSet:
    """Return the quarter-hours that lie entirely inside one of the spans."""
    # These origins round the start of each span up, and the end down, to a whole quarter-hour.
    return _collect_quarters(spans, get_quarter_start(-1) + MICROSECOND, get_quarter_start(1))


def _collect_quarters(spans: Iterable[Span], origin: datetime, end_origin: datetime) -> QuarterSet:
    """Return the quarter-hours of all spans.

    For each span, the first index is the number of whole quarter-hours from `origin` to the span's start, and the last
    index is the number of whole quarter-hours from `end_origin` to the span's end.
    """
    # Writing digits and parsing them once as a binary number takes linear time; shifting a large integer for each span
    # does not. With full calendars, this loop takes most of the time of a search: hence arithmetic without calls.
    # 96 is the number of quarter-hours of a day, and 900 the number of seconds of a quarter-hour.
    spans = list(spans)
    if not spans:
        return QuarterSet(0, 0)
    starts = [(offset := span.start - origin).days * 96 + offset.seconds // 900 for span in spans]
    ends = [(offset := span.end - end_origin).days * 96 + offset.seconds // 900 + 1 for span in spans]
    first = min(starts)
    digits = bytearray(b"0") * max(max(ends) - first, 1)
    for start, end in zip(starts, ends, strict=True):
        if start < end:
            digits[start - first : end - first] = b"1" * (end - start)
    digits.reverse()
    return QuarterSet(first, int(digits, 2))
