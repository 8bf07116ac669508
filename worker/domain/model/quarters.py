"""Quarter-hours by their index, which counts from 1970 in UTC, and sets of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worker.domain.model.time import QUARTER_HOUR, Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_QUARTERS = 96
#: The resolution of datetime: an instant this much past a boundary is in the next quarter-hour.
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
    """A set of quarter-hours: bit 0 of `bits` is the one with the index `first`."""

    first: int
    bits: int

    def cut(self, first: int, size: int) -> int:
        """Return the `size` quarter-hours from the index `first` on; bit 0 is that one."""
        offset = first - self.first
        shifted = self.bits >> offset if offset >= 0 else self.bits << -offset
        return shifted & ((1 << size) - 1)


def find_touched_quarters(spans: Iterable[Span], pad: int = 0) -> QuarterSet:
    """Return the quarter-hours that any of the spans touches, and `pad` more on each side."""
    return _paint_spans(spans, get_quarter_start(pad), get_quarter_start(-pad) + MICROSECOND)


def find_filled_quarters(spans: Iterable[Span]) -> QuarterSet:
    """Return the quarter-hours that lie wholly inside one of the spans."""
    return _paint_spans(spans, get_quarter_start(-1) + MICROSECOND, get_quarter_start(1))


def _paint_spans(spans: Iterable[Span], origin: datetime, end_origin: datetime) -> QuarterSet:
    """Return the quarter-hours of all spans.

    The index of a span's first one is the number of whole quarter-hours from `origin` to the span's start; that of its
    last one, from `end_origin` to the span's end.
    """
    # Writing digits and parsing them once as a binary number is linear; shifting a wide integer per span is not.
    # Of a search with full calendars this loop is most of the cost, hence plain arithmetic without calls.
    spans = list(spans)
    if not spans:
        return QuarterSet(0, 0)
    starts = [offset.days * 96 + offset.seconds // 900 for offset in [span.start - origin for span in spans]]
    ends = [offset.days * 96 + offset.seconds // 900 + 1 for offset in [span.end - end_origin for span in spans]]
    first = min(starts)
    digits = bytearray(b"0") * max(max(ends) - first, 1)
    for start, end in zip(starts, ends, strict=True):
        if start < end:
            digits[start - first : end - first] = b"1" * (end - start)
    digits.reverse()
    return QuarterSet(first, int(digits, 2))
