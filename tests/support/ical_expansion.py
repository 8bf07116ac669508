"""Generated events, as text in one of the ways that programs write them, and when they are by `dateutil` alone.

Nothing here uses the product or the libraries it reads calendars with.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

_expand: Any = rrule  # has no types
FREQUENCIES = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
#: Lines that say nothing about times, or something that can't be read and takes nothing away.
HARMLESS = (
    "no line at all",
    "EXDATE:",
    "EXDATE;VALUE=DATE:",
    "EXDATE:tomorrow",
    "X-APPLE-TRAVEL-ADVISORY-BEHAVIOR:AUTOMATIC",
    "RDATE:",
    "SEQUENCE:many",
    "TRANSP:",
    "BEGIN:VALARM\r\nTRIGGER:never\r\nEND:VALARM",
)
#: Lines after which nobody knows when the event takes time.
DARK = ("RRULE:FREQ=SOMETIMES", "RRULE:FREQ=MINUTELY", "RDATE:tomorrow", "RRULE:FREQ=DAILY;BYDAY MO", "RRULE:")


@dataclass(frozen=True, kw_only=True)
class Written:
    """An event, what it is and how it is written. Without `zone` it is floating, `length` of whole days is all-day."""

    number: int
    start: datetime
    length: timedelta
    zone: str | None
    all_day: bool
    frequency: str | None = None
    interval: int = 1
    count: int | None = None
    until: int | None = None  #: the last day that belongs to the series, in days from the start
    until_form: str = "utc"
    weekdays: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()  #: which of the occurrences
    exdate_form: str = "own"
    moved: tuple[int, int] | None = None  #: which occurrence, by how many hours; 0 hours for one that is cancelled
    length_form: str = "end"
    odd: tuple[str, ...] = ()
    has_uid: bool = True

    @property
    def clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone or "Europe/Berlin")

    # --- when it is ---

    def starts(self) -> list[datetime]:
        """The starts by the clock on the wall, before anything is taken away."""
        if self.frequency is None:
            return [self.start]
        last = (
            None if self.until is None else datetime.combine(self.start.date() + timedelta(days=self.until), time.max)
        )
        found = _expand(
            FREQUENCIES[self.frequency],
            dtstart=self.start,
            interval=self.interval,
            count=self.count,
            until=last,
            byweekday=self.weekdays or None,
        )
        return sorted({self.start, *found})

    def busy(self) -> list[tuple[datetime, datetime]]:
        """When it takes time, in UTC."""
        taken = []
        for index, start in enumerate(self.starts()):
            if index in self.excluded:
                continue
            if self.moved and self.moved[0] == index:
                if self.moved[1]:
                    begin = self.utc(start) + timedelta(hours=self.moved[1])
                    taken.append((begin, begin + timedelta(hours=1)))
                continue
            taken.append((self.utc(start), self.end(start)))
        return taken

    def end(self, start: datetime) -> datetime:
        by_clock = self.utc(start + self.length)
        if self.all_day:
            return by_clock
        by_watch = self.utc(start) + self.length
        first = self.utc(start) + (self.utc(self.start + self.length) - self.utc(self.start))
        return {"duration": by_watch, "end": max(by_clock, first), "both": max(by_clock, by_watch, first)}[
            self.length_form
        ]

    def utc(self, wall: datetime) -> datetime:
        return wall.replace(tzinfo=self.clock).astimezone(UTC)

    # --- how it is written ---

    def lines(self) -> list[str]:
        head = [f"UID:event-{self.number}"] if self.has_uid or self.moved else []
        lines = ["BEGIN:VEVENT", *head, self._moment("DTSTART", self.start), *self._length(), *self.odd]
        if self.frequency:
            lines.append(self._rule())
            lines += self._exdates()
        lines.append("END:VEVENT")
        return lines + self._change()

    def _length(self) -> list[str]:
        end = self._moment("DTEND", self.start + self.length)
        days, rest = divmod(self.length, timedelta(days=1))
        duration = f"DURATION:P{days}D" if self.all_day else f"DURATION:PT{int(self.length.total_seconds())}S"
        assert not (self.all_day and rest)
        return {"end": [end], "duration": [duration], "both": [duration, end]}[self.length_form]

    def _moment(self, name: str, wall: datetime) -> str:
        if self.all_day:
            return f"{name};VALUE=DATE:{wall:%Y%m%d}"
        if self.zone == "UTC":
            return f"{name}:{wall:%Y%m%dT%H%M%S}Z"
        return f"{name};TZID={self.zone}:{wall:%Y%m%dT%H%M%S}" if self.zone else f"{name}:{wall:%Y%m%dT%H%M%S}"

    def _rule(self) -> str:
        parts = [f"FREQ={self.frequency}", f"INTERVAL={self.interval}"]
        if self.count is not None:
            parts.append(f"COUNT={self.count}")
        if self.weekdays:
            parts.append("BYDAY=" + ",".join(DAYS[day] for day in self.weekdays))
        if self.until is not None:
            day = self.start.date() + timedelta(days=self.until)
            parts.append(f"UNTIL={self._until(day)}")
        return "RRULE:" + ";".join(parts)

    def _until(self, day: date) -> str:
        wall = datetime.combine(day, time(23, 59, 59))
        if self.all_day or self.until_form == "date":
            return f"{day:%Y%m%d}"
        return f"{wall:%Y%m%dT%H%M%S}" if self.until_form == "local" else f"{self.utc(wall):%Y%m%dT%H%M%SZ}"

    def _exdates(self) -> list[str]:
        starts = self.starts()
        walls = [starts[index] for index in self.excluded if index < len(starts)]
        if not walls:
            return []
        if self.all_day or self.exdate_form == "dates":
            return ["EXDATE:" + ",".join(f"{wall:%Y%m%d}" for wall in walls)]
        if self.exdate_form == "utc":
            return [f"EXDATE:{self.utc(wall):%Y%m%dT%H%M%SZ}" for wall in walls]
        name, _, _ = self._moment("EXDATE", walls[0]).partition(":")
        suffix = "Z" if self.zone == "UTC" else ""
        end = "," if self.exdate_form == "comma" else ""
        return [f"{name}:" + ",".join(f"{wall:%Y%m%dT%H%M%S}{suffix}" for wall in walls) + end]

    def _change(self) -> list[str]:
        starts = self.starts()
        if self.moved is None or self.frequency is None or self.moved[0] >= len(starts):
            return []
        wall = starts[self.moved[0]]
        begin = self.utc(wall) + timedelta(hours=self.moved[1])
        identifier = self._moment("RECURRENCE-ID", wall)
        if self.exdate_form == "utc" and not self.all_day:
            identifier = f"RECURRENCE-ID:{self.utc(wall):%Y%m%dT%H%M%SZ}"
        times = [f"DTSTART:{begin:%Y%m%dT%H%M%SZ}", "DURATION:PT1H"]
        state = [] if self.moved[1] else ["STATUS:CANCELLED"]
        return ["BEGIN:VEVENT", f"UID:event-{self.number}", identifier, *times, *state, "END:VEVENT"]


@dataclass(frozen=True)
class Calendar:
    """Several events in one file."""

    events: list[Written] = field(default_factory=list)

    def text(self) -> str:
        lines = [line for event in self.events for line in event.lines()]
        return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *lines, "END:VCALENDAR", ""])

    def busy(self, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """The stretches of that window that are taken, none touching another."""
        spans = [(max(one, begin), min(other, end)) for event in self.events for one, other in event.busy()]
        return merge([span for span in spans if span[0] < span[1]])


def merge(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged
