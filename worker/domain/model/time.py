"""Spans of time, and the weekly working hours of a person."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

#: An e-mail address in lower case. It names a person and that person's calendar.
Address = str
#: An opaque text of a provider. A request with it returns the changes since it was given out.
Cursor = str

QUARTER_HOUR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The time from `start` up to, not including, `end`; both are aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a span needs aware datetimes")
        if self.end < self.start:
            raise ValueError(f"a span can't end ({self.end}) before it starts ({self.start})")

    @property
    def minutes(self) -> int:
        """Length in whole minutes."""
        return int((self.end - self.start) // timedelta(minutes=1))

    def overlaps(self, other: "Span") -> bool:
        """True when the two have time in common; spans that only touch don't."""
        return self.start < other.end and other.start < self.end

    def has_part_in(self, window: "Span") -> bool:
        """True when a part of the span is inside the window; of an empty span, when its start is."""
        return self.overlaps(window) or window.start <= self.start < window.end

    def clip(self, window: "Span") -> "Span":
        """Return the part of the span inside the window. Raises ValueError when the two don't touch."""
        return Span(max(self.start, window.start), min(self.end, window.end))


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same time in order, with spans that overlap or touch as one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


#: The spells of one weekday, each a stretch of work without a break: start and end in minutes after local midnight, end
#: excluded. An end above 1440 is on the next morning.
Spells = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """The spells of a week, Monday first; always seven entries."""

    week: tuple[Spells, Spells, Spells, Spells, Spells, Spells, Spells]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number of weeks or of months between sessions; one of the two is zero."""

    weeks: int = 0
    months: int = 0

    def __str__(self) -> str:
        count, unit = (self.weeks, "week") if self.weeks else (self.months, "month")
        return f"{count} {unit}" + ("" if count == 1 else "s")
