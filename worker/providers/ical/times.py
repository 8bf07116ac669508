"""Reads the start and end of a VEVENT, even when its properties are contradictory or incomplete.

Of several interpretations, the one that takes the most time counts:

- An event with several starts takes the time from the first to the last of them. Of several ends, and of DTEND and
  DURATION, the latest end counts.
- An event with a readable start and an unreadable end lasts until the following midnight.
- An event that ends before it starts (the author may have meant the next day, or swapped start and end) takes the 24
  hours that follow its end when start and end are less than a day apart, otherwise the time from its end to its start.
  Such an all-day event takes both days and the days between them.
- An event with a negative duration takes that time before its start and after it.
- An all-day event that ends on the day on which it starts takes that day.
- A timed event whose end is a date ends at the beginning of that date; when the date is not after the start, at the
  end of that date.

The lead of an event is the time before its start that the event takes too. Wall time is local time in the time zone of
the event. Days and weeks of a DURATION are added in wall time, hours in elapsed time (RFC 5545, 3.3.6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar.prop import vBroken

from worker.domain.model import Span
from worker.providers.ical.values import as_list

#: The bounds of all times that are read; a time outside of them is replaced by the bound.
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_MAX_DURATION_DAYS = 400_000  #: a longer duration counts as this one, which is longer than from EARLIEST to LATEST
_MAX_DURATION_NUMBER = 10**10  #: a larger number in a DURATION counts as this one, to avoid overflows
#: A DURATION such as `P1D`, `-PT15M` or `P1DT2H30M`: the sign, and the numbers of weeks, days, hours, minutes, seconds.
_DURATION_PATTERN = re.compile(
    r"\s*([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\s*", re.IGNORECASE
)


class NoStart(ValueError):
    """Raised for an event without a readable start. `span`: the range in which the event may be."""

    def __init__(self, span: Span) -> None:
        super().__init__("no readable start")
        self.span = span


@dataclass(frozen=True, slots=True)
class EventEnding:
    """How to compute the end of an event from its start: add `wall_time`, then go to midnight if `is_at_midnight`, then
    add `elapsed_time`."""

    wall_time: timedelta = timedelta()
    elapsed_time: timedelta = timedelta()
    is_at_midnight: bool = False  #: whether to go to the following midnight in wall time


@dataclass(frozen=True, slots=True)
class EventTimes:
    """The times of an event, in a form from which the span can also be computed for another start, such as that of
    another occurrence."""

    start: date | datetime  #: a date, or a naive wall time in `zone`
    zone: tzinfo
    endings: tuple[EventEnding, ...]  #: all that can be read; the one that gives the latest end counts
    lead: timedelta = timedelta()  #: how long before `start` the event begins to take time

    @property
    def is_all_day(self) -> bool:
        return not isinstance(self.start, datetime)

    @property
    def span(self) -> Span:
        """The time that the event takes, in UTC."""
        return self.compute_span(self.start)

    def compute_span(self, start: date | datetime) -> Span:
        """Return the time, in UTC, that the event takes when it starts at `start`, which is a date or a wall time as
        `self.start` is."""
        begin = to_instant(start, self.zone)
        end = max(_compute_end(start, ending, self.zone) for ending in self.endings)
        begin = max(EARLIEST, begin - self.lead)
        return Span(begin, max(begin, end))


def read_times(event: Any, zone: tzinfo) -> EventTimes:
    """Return the times of a VEVENT. Its dates and its local times without a time zone are in `zone`. Raises NoStart."""
    starts = _list_moments(event, "DTSTART") or _list_moments(event, "RECURRENCE-ID")
    ends = _list_moments(event, "DTEND")
    if not starts:
        last_end = max((to_instant(end, zone) for end in ends), default=LATEST)
        raise NoStart(Span(EARLIEST, LATEST if "RRULE" in event or "RDATE" in event else last_end))
    start = min(starts, key=lambda moment: to_instant(moment, zone))
    if any(isinstance(end, datetime) for end in ends) and not isinstance(start, datetime):
        start = datetime.combine(start, time())  # a date that ends at a time of day is not all-day
    start_zone = (start.tzinfo if isinstance(start, datetime) else None) or zone
    wall_start = start.replace(tzinfo=None) if isinstance(start, datetime) else start
    lead = timedelta()
    endings = []
    for ending_lead, ending in _iter_endings(event, wall_start, ends, start_zone=start_zone, zone=zone):
        lead = max(lead, ending_lead)
        endings.append(ending)
    if len(starts) > 1:  # the event may start at each of them
        spread = max(to_instant(moment, zone) for moment in starts) - to_instant(start, zone)
        endings += [replace(ending, elapsed_time=ending.elapsed_time + spread) for ending in endings]
    return EventTimes(wall_start, start_zone, tuple(endings), lead)


def to_instant(value: date | datetime, zone: tzinfo) -> datetime:
    """Return the instant in UTC, bounded by EARLIEST and LATEST.

    A date, which stands for its beginning, and a local time without a time zone are in `zone`.
    """
    if not EARLIEST.year <= value.year < LATEST.year:
        return EARLIEST if value.year < EARLIEST.year else LATEST
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def has_local_times(event: Any) -> bool:
    """Return whether a VEVENT has dates or local times, so that its span depends on the owner's time zone. Also returns
    True when none of its times can be read, because they may be local times."""
    moments = _list_moments(event, "DTSTART") + _list_moments(event, "DTEND") + _list_moments(event, "RECURRENCE-ID")
    return not moments or any(not isinstance(moment, datetime) or moment.tzinfo is None for moment in moments)


def _list_moments(event: Any, name: str) -> list[Any]:
    """Return the readable values of a property with dates or times."""
    return [prop.dt for prop in as_list(event.get(name, [])) if not isinstance(prop, vBroken)]


def _compute_end(start: date | datetime, ending: EventEnding, zone: tzinfo) -> datetime:
    """Return the end of an event that starts at `start`, a date or a wall time in `zone`."""
    try:
        wall_end = start + ending.wall_time
        if ending.is_at_midnight and isinstance(wall_end, datetime):
            wall_end = wall_end.date() + DAY
        return min(LATEST, to_instant(wall_end, zone) + ending.elapsed_time)
    except OverflowError:  # past the year 9999
        return LATEST


def _iter_endings(
    event: Any, start: date | datetime, ends: list[date | datetime], *, start_zone: tzinfo, zone: tzinfo
) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield a lead and an ending for each end and duration of the event; a default pair when none can be read.

    `start_zone`: the time zone of the start. `zone`: the time zone of ends that have none.
    """
    has_end = False
    for end in ends:
        has_end = True
        yield from _interpret_end(start, end, start_zone=start_zone, zone=zone)
    for text in as_list(event.get("DURATION", [])):
        lead_and_ending = _parse_duration(str(text))
        if lead_and_ending is not None:
            has_end = True
            yield lead_and_ending
    if has_end:
        return
    if not isinstance(start, datetime):
        yield timedelta(), EventEnding(wall_time=DAY)
    else:
        has_unreadable_end = "DTEND" in event or "DURATION" in event
        yield timedelta(), EventEnding(is_at_midnight=has_unreadable_end)


def _interpret_end(
    start: date | datetime, end: date | datetime, *, start_zone: tzinfo, zone: tzinfo
) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield pairs of a lead and an ending that an end means. There are two pairs when start and end have the same time
    zone, because elapsed time and wall time differ across a change of clocks; the later end counts."""
    if not isinstance(start, datetime):
        days = (end.date() if isinstance(end, datetime) else end) - start
        yield max(timedelta(), -days), EventEnding(wall_time=max(days, DAY))
        return
    begin = to_instant(start, start_zone)
    if not isinstance(end, datetime):
        if end <= begin.astimezone(zone).date():
            end = min(end, date.max - DAY) + DAY  # the end of that date; there is no date after date.max
        yield from _interpret_length(to_instant(end, zone) - begin)
        return
    yield from _interpret_length(to_instant(end, zone) - begin)
    wall_time = end.replace(tzinfo=None) - start
    has_same_zone = (end.tzinfo or zone) is start_zone
    if has_same_zone and wall_time > timedelta():
        yield timedelta(), EventEnding(wall_time=wall_time)


def _interpret_length(length: timedelta) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield the lead and the ending of a timed event with that length, which is negative when the event ends before it
    starts. Then the event takes the time from its end to its start, and at least the 24 hours that follow its end: an
    event from 10:00 to 09:00 takes 24 hours from 09:00, which are a lead of 1 hour and 23 hours after the start."""
    if length >= timedelta():
        yield timedelta(), EventEnding(elapsed_time=length)
    else:
        yield -length, EventEnding(elapsed_time=max(timedelta(), DAY + length))


def _parse_duration(text: str) -> tuple[timedelta, EventEnding] | None:
    """Return the lead and the ending that a DURATION means; None when it can't be read."""
    match = _DURATION_PATTERN.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        return None
    weeks, days, hours, minutes, seconds = (min(int(part or 0), _MAX_DURATION_NUMBER) for part in match.groups()[1:])
    wall_time = timedelta(days=min(weeks * 7 + days, _MAX_DURATION_DAYS))
    elapsed_time = timedelta(seconds=min(hours * 3600 + minutes * 60 + seconds, _MAX_DURATION_DAYS * 86400))
    # An event with a negative duration takes that time before its start and after it.
    lead = wall_time + elapsed_time if match[1] == "-" else timedelta()
    return lead, EventEnding(wall_time, elapsed_time)
