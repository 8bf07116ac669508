"""Generated events: their text, in one of the ways that programs write events, and when they take place.

The times come from `dateutil` alone. Nothing here uses the product or the libraries with which it reads calendars.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, rrule

_expand: Any = rrule  # the library has no types
FREQUENCIES = {"DAILY": DAILY, "WEEKLY": WEEKLY, "MONTHLY": MONTHLY}
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAYS_OF_AN_ENDLESS_SERIES = 200  #: more than any window of a test has
#: Lines that do not change when an event takes place, though some can't be read.
HARMLESS_LINES = (
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
#: Lines that make it impossible to know when an event takes place.
UNREADABLE_LINES = (
    "RRULE:FREQ=SOMETIMES",
    "RRULE:FREQ=MINUTELY",
    "RDATE:tomorrow",
    "RRULE:FREQ=DAILY;BYDAY MO",
    "RRULE:",
)


class OccurrenceChange(NamedTuple):
    """A moved occurrence, which then lasts an hour, or a cancelled one."""

    number: int  #: of the occurrence in its series, from 0
    hours: int  #: by how many hours the occurrence is moved; 0 cancels it


@dataclass(frozen=True, kw_only=True)
class GeneratedEvent:
    """An event, and how it is written. Without `zone` it has no zone of its own; times are by the clock of the zone."""

    number: int
    start: datetime
    length: timedelta
    zone: str | None
    all_day: bool
    frequency: str | None = None
    interval: int = 1
    count: int | None = None
    until: int | None = None  #: the last day that belongs to the series, in days from the start
    until_form: str = "utc"  #: how `until` is written: `utc`, as `local` time, or as a `date`
    weekdays: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()  #: the numbers of the occurrences that are taken out
    #: How excluded starts are written: as DTSTART is (`own`), in `utc`, as `dates`, or as DTSTART with a last `comma`.
    exdate_form: str = "own"
    change: OccurrenceChange | None = None
    length_form: str = "end"  #: which property says its length: DTEND (`end`), DURATION (`duration`), or `both`
    extra_lines: tuple[str, ...] = ()
    has_uid: bool = True

    @property
    def local_zone(self) -> ZoneInfo:
        """The zone of the event; for an event without a zone, that of its owner in the tests."""
        return ZoneInfo(self.zone or "Europe/Berlin")

    # --- when it takes place ---

    def starts(self) -> list[datetime]:
        """Return the starts of all occurrences in local time, also of those that are excluded or moved.

        Of a series without an end, these are the ones up to `_DAYS_OF_AN_ENDLESS_SERIES` after its start.
        """
        if self.frequency is None:
            return [self.start]
        is_endless = self.count is None and self.until is None
        days = _DAYS_OF_AN_ENDLESS_SERIES if is_endless else self.until
        last_day = None if days is None else self.start.date() + timedelta(days=days)
        found = _expand(
            FREQUENCIES[self.frequency],
            dtstart=self.start,
            interval=self.interval,
            count=self.count,
            until=datetime.combine(last_day, time.max) if last_day else None,
            byweekday=self.weekdays or None,
        )
        return sorted({self.start, *found})

    def busy(self) -> list[tuple[datetime, datetime]]:
        """Return when the occurrences that take place begin and end, in UTC."""
        taken = []
        for index, start in enumerate(self.starts()):
            if index in self.excluded:
                continue
            if self.change and self.change.number == index:
                if self.change.hours:
                    begin = self.utc(start) + timedelta(hours=self.change.hours)
                    taken.append((begin, begin + timedelta(hours=1)))
                continue
            taken.append((self.utc(start), self.end(start)))
        return taken

    def end(self, start: datetime) -> datetime:
        """Return the end, in UTC, of the occurrence that starts then; the latest of the readings that are possible.

        They differ where the clocks change: the length may be one in local time, or in elapsed time, or that of the
        first occurrence.
        """
        by_local_time = self.utc(start + self.length)
        if self.all_day:
            return by_local_time
        by_elapsed_time = self.utc(start) + self.length
        as_first = self.utc(start) + (self.utc(self.start + self.length) - self.utc(self.start))
        by_end = max(by_local_time, as_first)
        return {"duration": by_elapsed_time, "end": by_end, "both": max(by_end, by_elapsed_time)}[self.length_form]

    def utc(self, local: datetime) -> datetime:
        """Return an instant of the event's local time in UTC."""
        return local.replace(tzinfo=self.local_zone).astimezone(UTC)

    # --- how it is written ---

    def lines(self) -> list[str]:
        """Return the lines of the event, and those of its moved or cancelled occurrence."""
        head = [f"UID:event-{self.number}"] if self.has_uid or self.change else []
        lines = ["BEGIN:VEVENT", *head, self._moment("DTSTART", self.start), *self._length(), *self.extra_lines]
        if self.frequency:
            lines.append(self._rule())
            lines += self._exdates()
        lines.append("END:VEVENT")
        return lines + self._changed_occurrence()

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

    def _changed_occurrence(self) -> list[str]:
        starts = self.starts()
        if self.change is None or self.frequency is None or self.change.number >= len(starts):
            return []
        wall = starts[self.change.number]
        begin = self.utc(wall) + timedelta(hours=self.change.hours)
        identifier = self._moment("RECURRENCE-ID", wall)
        if self.exdate_form == "utc" and not self.all_day:
            identifier = f"RECURRENCE-ID:{self.utc(wall):%Y%m%dT%H%M%SZ}"
        times = [f"DTSTART:{begin:%Y%m%dT%H%M%SZ}", "DURATION:PT1H"]
        state = [] if self.change.hours else ["STATUS:CANCELLED"]
        return ["BEGIN:VEVENT", f"UID:event-{self.number}", identifier, *times, *state, "END:VEVENT"]


@dataclass(frozen=True)
class Calendar:
    """Several events in one file."""

    events: list[GeneratedEvent] = field(default_factory=list)

    def text(self) -> str:
        """Return the text of the file."""
        lines = [line for event in self.events for line in event.lines()]
        return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *lines, "END:VCALENDAR", ""])

    def busy(self, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
        """Return the times in that window that the events take; none touches another."""
        spans = [(max(start, begin), min(stop, end)) for event in self.events for start, stop in event.busy()]
        return merge([span for span in spans if span[0] < span[1]])


def merge(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Return the spans in order, with those joined that overlap or touch."""
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged
