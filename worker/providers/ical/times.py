"""Reads when a VEVENT takes place, also from contradictory or incomplete properties.

Where an event contradicts itself, the interpretation that takes more time counts:

- several starts: from the first to the last; several ends: the last; both DTEND and DURATION: the later end;
- a readable start with an unreadable end: until the following midnight;
- an end before its start: when the two are less than a day apart, the whole day from the end on (the author may have
  meant the next day, or swapped the two), otherwise from the end to the start; for all-day events both days;
- a negative duration: that long before the start and after it;
- an all-day event that ends on the day it starts takes that day;
- a timed event whose end is a date ends at the beginning of that date; when the date is not after the start, at its
  end.

Days and weeks of a DURATION are days of wall time, its hours are exact hours (RFC 5545, 3.3.6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar.prop import vBroken

from worker.domain.model import Span
from worker.providers.ical.values import as_list

#: The bounds of all times that are read.
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_MAX_DURATION_DAYS = 400_000  #: more days than there are from FIRST to LAST
_DURATION_PATTERN = re.compile(
    r"\s*([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\s*", re.IGNORECASE
)


class NoStart(ValueError):
    """An event has no readable start. `span`: the range in which the event may lie."""

    def __init__(self, span: Span) -> None:
        super().__init__("no readable start")
        self.span = span


@dataclass(frozen=True, slots=True)
class EventEnding:
    """How to compute an end from a start: add `wall` in wall time, then `exact` in elapsed time."""

    wall: timedelta = timedelta()
    exact: timedelta = timedelta()
    to_midnight: bool = False  #: go on to the next midnight of wall time before `exact` is added


@dataclass(frozen=True, slots=True)
class EventTimes:
    """The times of an event, in a form that can be applied to another start."""

    start: date | datetime  #: a date, or a naive wall time in `zone`
    zone: tzinfo
    endings: tuple[EventEnding, ...]  #: the latest end they give counts
    lead: timedelta = timedelta()  #: how long before `start` the event already takes time

    @property
    def is_all_day(self) -> bool:
        return not isinstance(self.start, datetime)

    @property
    def span(self) -> Span:
        """The time the event takes, in UTC."""
        return self.span_from(self.start)

    def span_from(self, start: date | datetime) -> Span:
        """Return the time the event takes, in UTC, if it starts at `start`, a date or a wall time like the event's
        own."""
        begin = to_instant(start, self.zone)
        end = max(_compute_end(start, ending, self.zone) for ending in self.endings)
        begin = max(FIRST, begin - self.lead)
        return Span(begin, max(begin, end))


def read_times(event: Any, zone: tzinfo) -> EventTimes:
    """Return the times of a VEVENT; dates and local times without a zone are in `zone`. Raises NoStart."""
    starts = _list_moments(event, "DTSTART") or _list_moments(event, "RECURRENCE-ID")
    ends = _list_moments(event, "DTEND")
    if not starts:
        until = max((to_instant(end, zone) for end in ends), default=LAST)
        raise NoStart(Span(FIRST, LAST if "RRULE" in event or "RDATE" in event else until))
    start = min(starts, key=lambda moment: to_instant(moment, zone))
    if any(isinstance(end, datetime) for end in ends) and not isinstance(start, datetime):
        start = datetime.combine(start, time())  # a date that ends at a time of day is not all-day
    own_zone = (start.tzinfo if isinstance(start, datetime) else None) or zone
    wall = start.replace(tzinfo=None) if isinstance(start, datetime) else start
    lead = timedelta()
    endings = []
    for ending_lead, ending in _iter_endings(event, wall, own_zone, zone, ends):
        lead = max(lead, ending_lead)
        endings.append(ending)
    if len(starts) > 1:  # the event may be at each of them
        spread = max(to_instant(moment, zone) for moment in starts) - to_instant(start, zone)
        endings += [replace(ending, exact=ending.exact + spread) for ending in endings]
    return EventTimes(wall, own_zone, tuple(endings), lead)


def to_instant(value: date | datetime, zone: tzinfo) -> datetime:
    """Return the instant in UTC, bounded by FIRST and LAST; dates and local times without a zone are in `zone`."""
    if not FIRST.year <= value.year < LAST.year:
        return FIRST if value.year < FIRST.year else LAST
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def has_local_times(event: Any) -> bool:
    """True when a VEVENT has dates or local times, so that its span depends on the owner's zone."""
    moments = _list_moments(event, "DTSTART") + _list_moments(event, "DTEND") + _list_moments(event, "RECURRENCE-ID")
    return not moments or any(not isinstance(moment, datetime) or moment.tzinfo is None for moment in moments)


def _list_moments(event: Any, name: str) -> list[Any]:
    return [prop.dt for prop in as_list(event.get(name, [])) if not isinstance(prop, vBroken)]


def _compute_end(start: date | datetime, ending: EventEnding, zone: tzinfo) -> datetime:
    try:
        wall = start + ending.wall
        if ending.to_midnight and isinstance(wall, datetime):
            wall = wall.date() + DAY
        return min(LAST, to_instant(wall, zone) + ending.exact)
    except OverflowError:  # past the year 9999
        return LAST


def _iter_endings(
    event: Any, start: date | datetime, own_zone: tzinfo, zone: tzinfo, ends: list[date | datetime]
) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield a lead and an ending for each end and duration of the event; defaults when it has none that can be read.

    `own_zone`: the zone of the start; `zone`: that of ends without their own.
    """
    has_end = False
    for end in ends:
        has_end = True
        yield from _interpret_end(start, end, own_zone, zone)
    for text in as_list(event.get("DURATION", [])):
        lead_and_ending = _parse_duration(str(text))
        if lead_and_ending is not None:
            has_end = True
            yield lead_and_ending
    if has_end:
        return
    if not isinstance(start, datetime):
        yield timedelta(), EventEnding(wall=DAY)
    else:
        yield timedelta(), EventEnding(to_midnight=any(name in event for name in ("DTEND", "DURATION")))


def _interpret_end(
    start: date | datetime, end: date | datetime, own_zone: tzinfo, zone: tzinfo
) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield the lead and endings that an end means. Two endings when start and end share a zone: elapsed time and wall
    time differ across a change of clocks, and the later end counts."""
    if not isinstance(start, datetime):
        days = (end.date() if isinstance(end, datetime) else end) - start
        yield max(timedelta(), -days), EventEnding(wall=max(days, DAY))
        return
    begin = to_instant(start, own_zone)
    if not isinstance(end, datetime):
        if end <= begin.astimezone(zone).date():
            end = min(end, date.max - DAY) + DAY
        yield from _interpret_length(to_instant(end, zone) - begin)
        return
    yield from _interpret_length(to_instant(end, zone) - begin)
    wall = end.replace(tzinfo=None) - start
    if (end.tzinfo or zone) is own_zone and wall > timedelta():
        yield timedelta(), EventEnding(wall=wall)


def _interpret_length(length: timedelta) -> Iterator[tuple[timedelta, EventEnding]]:
    """Yield the lead and the ending of a timed event of that length, which is negative when it ends before it
    starts."""
    if length >= timedelta():
        yield timedelta(), EventEnding(exact=length)
    else:
        yield -length, EventEnding(exact=max(timedelta(), DAY + length))


def _parse_duration(text: str) -> tuple[timedelta, EventEnding] | None:
    """Return the lead and the ending that a DURATION means; None when it can't be read."""
    match = _DURATION_PATTERN.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        return None
    weeks, days, hours, minutes, seconds = (min(int(part or 0), 10**10) for part in match.groups()[1:])
    wall = timedelta(days=min(weeks * 7 + days, _MAX_DURATION_DAYS))
    exact = timedelta(seconds=min(hours * 3600 + minutes * 60 + seconds, _MAX_DURATION_DAYS * 86400))
    return (wall + exact if match[1] == "-" else timedelta()), EventEnding(wall, exact)
