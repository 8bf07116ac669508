"""Stretches of time, and the week somebody works."""

from dataclasses import dataclass
from datetime import datetime, timedelta

#: An e-mail address in lower case. It names a person and that person's calendar.
Address = str
#: What a provider gave us to ask "what changed since?" with. Opaque.
Cursor = str

QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `start` up to, not including, `end`; both aware, in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a span needs aware instants")
        if self.end < self.start:
            raise ValueError(f"a span can't end ({self.end}) before it starts ({self.start})")

    @property
    def minutes(self) -> int:
        """Length in whole minutes."""
        return int((self.end - self.start) // timedelta(minutes=1))

    def overlaps(self, other: "Span") -> bool:
        """True when the two share a moment; touching is not sharing."""
        return self.start < other.end and other.start < self.end

    def is_seen_in(self, window: "Span") -> bool:
        """True when a part of it lies inside the window, or, where it has no length, its instant does."""
        return self.overlaps(window) or window.start <= self.start < window.end

    def clip(self, window: "Span") -> "Span":
        """The part of it inside the window. Raises ValueError when they don't touch."""
        return Span(max(self.start, window.start), min(self.end, window.end))


#: One weekday's working spells: minutes after local midnight, end exclusive; an end over 1440 is in the next morning.
Spells = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """The spells of a week, Monday first; always seven entries."""

    week: tuple[Spells, Spells, Spells, Spells, Spells, Spells, Spells]


@dataclass(frozen=True, slots=True)
class Interval:
    """A rhythm: so many weeks, or so many months; one of the two is zero."""

    weeks: int = 0
    months: int = 0

    def __str__(self) -> str:
        count, unit = (self.weeks, "week") if self.weeks else (self.months, "month")
        return f"{count} {unit}" + ("" if count == 1 else "s")
