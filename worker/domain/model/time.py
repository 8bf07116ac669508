"""Spans of time, and the weekly working hours of a person."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

#: An e-mail address in lower case. It names a person and that person's calendar.
Address = str
#: An opaque text that a provider returns together with the changes of a calendar. A later request with it returns the
#: changes since then.
Cursor = str

QUARTER_HOUR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The time from `start` (inclusive) to `end` (exclusive). Both are aware and in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a span needs aware datetimes")
        if self.end < self.start:
            raise ValueError(f"a span can't end ({self.end}) before it starts ({self.start})")

    @property
    def minutes(self) -> int:
        """The length in whole minutes."""
        return int((self.end - self.start) // timedelta(minutes=1))

    def overlaps(self, other: "Span") -> bool:
        """Return whether the two spans have time in common. This is False for spans that only touch, or are empty."""
        is_apart = self.end <= other.start or other.end <= self.start
        return not is_apart and self.start < self.end and other.start < other.end

    def has_part_in(self, window: "Span") -> bool:
        """Return whether a part of the span is inside the window; for an empty span, whether its start is."""
        return self.overlaps(window) or window.start <= self.start < window.end

    def clip(self, window: "Span") -> "Span":
        """Return the part of the span inside the window.

        Raises ValueError, from the new span, when the two neither overlap nor touch.
        """
        return Span(max(self.start, window.start), min(self.end, window.end))


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the spans sorted by start. Spans that overlap or touch are merged into one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(merged)


#: The spells of one weekday. A spell is a period of work without a break: its start (inclusive) and end (exclusive) in
#: minutes after local midnight. An end above 1440, the minutes of a day, is on the next day.
Spells = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """The spells of each day of a week, Monday first."""

    week: tuple[Spells, Spells, Spells, Spells, Spells, Spells, Spells]


@dataclass(frozen=True, slots=True)
class Interval:
    """The time between two conversations, in weeks or in months. Exactly one of the two fields is set."""

    weeks: int = 0
    months: int = 0

    def __str__(self) -> str:
        count, unit = (self.weeks, "week") if self.weeks else (self.months, "month")
        return f"{count} {unit}" + ("" if count == 1 else "s")
