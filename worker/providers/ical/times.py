"""When an event is: its start, how long it takes, and what of that was only half said.

Where a file says too much, too little or nonsense, the reading that takes more time is the one that counts:

- of several starts all, and what lies between; of several ends the last; of DTEND beside DURATION what lasts longer;
- an end that can't be read, beside a start that can: until the midnight after;
- an end before its start: from the end on, for a day when the two are less than a day apart (who wrote it may have
  meant the day after, or have mixed the two up), else up to the start; for whole days both of them;
- a negative duration: that long before the start and that long after it;
- a whole day that ends on the day it starts takes that day; a timed event that ends on a date that is not after its
  start ends at the end of that date, of all other dates at their beginning.

Days and weeks of a DURATION are days by the clock on the wall, hours are hours (RFC 5545, 3.3.6).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar.prop import vBroken

from worker.domain.model import Span
from worker.providers.ical.parser import as_list

FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
_MOST_DAYS = 400_000  #: more than there are between the two
_DURATION = re.compile(r"\s*([+-]?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?\s*", re.IGNORECASE)


class NoStart(ValueError):
    """An event does not say when it starts; `span` is where it may lie."""

    def __init__(self, span: Span) -> None:
        super().__init__("no start that can be read")
        self.span = span


@dataclass(frozen=True, slots=True)
class EventEnding:
    """How to come from a start to an end: by the clock on the wall, then by the watch."""

    wall: timedelta = timedelta()
    exact: timedelta = timedelta()
    to_midnight: bool = False


@dataclass(frozen=True, slots=True)
class EventTimes:
    """When an event is, in a way that can be repeated from another start."""

    start: date | datetime  #: a date, or the clock on the wall in `zone`
    zone: tzinfo
    endings: tuple[EventEnding, ...]
    lead: timedelta = timedelta()  #: how long before its start it takes time already

    @property
    def is_all_day(self) -> bool:
        return not isinstance(self.start, datetime)

    @property
    def span(self) -> Span:
        """When it is, in UTC."""
        return self.span_from(self.start)

    def span_from(self, start: date | datetime) -> Span:
        """When it is if it starts then; `start` is of the kind that the own start is."""
        begin = to_instant(start, self.zone)
        end = max(_compute_end(start, ending, self.zone) for ending in self.endings)
        begin = max(FIRST, begin - self.lead)
        return Span(begin, max(begin, end))


def read_times(event: Any, zone: tzinfo) -> EventTimes:
    """When a VEVENT is; local times and dates are taken in `zone`. Raises NoStart."""
    starts = _list_moments(event, "DTSTART") or _list_moments(event, "RECURRENCE-ID")
    ends = _list_moments(event, "DTEND")
    if not starts:
        until = max((to_instant(end, zone) for end in ends), default=LAST)
        raise NoStart(Span(FIRST, LAST if "RRULE" in event or "RDATE" in event else until))
    start = min(starts, key=lambda one: to_instant(one, zone))
    if any(isinstance(end, datetime) for end in ends) and not isinstance(start, datetime):
        start = datetime.combine(start, time())  # a day that ends at a time of day
    own = (start.tzinfo if isinstance(start, datetime) else None) or zone
    wall = start.replace(tzinfo=None) if isinstance(start, datetime) else start
    lead, endings = timedelta(), []
    for one_lead, ending in _iter_endings(event, wall, own, zone, ends):
        lead = max(lead, one_lead)
        endings.append(ending)
    if len(starts) > 1:  # it may be at each of them
        spread = max(to_instant(one, zone) for one in starts) - to_instant(start, zone)
        endings += [replace(ending, exact=ending.exact + spread) for ending in endings]
    return EventTimes(wall, own, tuple(endings), lead)


def to_instant(value: date | datetime, zone: tzinfo) -> datetime:
    """The instant in UTC, no earlier than 1900 and no later than 2200; local times and dates are taken in `zone`."""
    if not FIRST.year <= value.year < LAST.year:
        return FIRST if value.year < FIRST.year else LAST
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def has_local_times(event: Any) -> bool:
    """True when a zone is needed to say when a VEVENT is."""
    moments = _list_moments(event, "DTSTART") + _list_moments(event, "DTEND") + _list_moments(event, "RECURRENCE-ID")
    return not moments or any(not isinstance(one, datetime) or one.tzinfo is None for one in moments)


def _list_moments(event: Any, name: str) -> list[Any]:
    return [prop.dt for prop in as_list(event.get(name, [])) if not isinstance(prop, vBroken)]


def _compute_end(start: date | datetime, ending: EventEnding, zone: tzinfo) -> datetime:
    try:
        wall = start + ending.wall
        if ending.to_midnight and isinstance(wall, datetime):
            wall = wall.date() + DAY
        return min(LAST, to_instant(wall, zone) + ending.exact)
    except OverflowError:  # it lasts longer than there are years
        return LAST


def _iter_endings(
    event: Any, start: date | datetime, own: tzinfo, zone: tzinfo, ends: list[date | datetime]
) -> Iterator[tuple[timedelta, EventEnding]]:
    """Each end that the event names, with how long before the start it takes time for it."""
    said = False
    for end in ends:
        said = True
        yield from _interpret_end(start, end, own, zone)
    for text in as_list(event.get("DURATION", [])):
        length = _parse_duration(str(text))
        if length is not None:
            said = True
            yield length
    if said:
        return
    if not isinstance(start, datetime):
        yield timedelta(), EventEnding(wall=DAY)
    else:
        yield timedelta(), EventEnding(to_midnight=any(name in event for name in ("DTEND", "DURATION")))


def _interpret_end(
    start: date | datetime, end: date | datetime, own: tzinfo, zone: tzinfo
) -> Iterator[tuple[timedelta, EventEnding]]:
    if not isinstance(start, datetime):
        days = (end.date() if isinstance(end, datetime) else end) - start
        yield max(timedelta(), -days), EventEnding(wall=max(days, DAY))
        return
    begin = to_instant(start, own)
    if not isinstance(end, datetime):
        if end <= begin.astimezone(zone).date():
            end = min(end, date.max - DAY) + DAY
        yield from _interpret_length(to_instant(end, zone) - begin)
        return
    yield from _interpret_length(to_instant(end, zone) - begin)
    wall = end.replace(tzinfo=None) - start
    if (end.tzinfo or zone) is own and wall > timedelta():
        yield timedelta(), EventEnding(wall=wall)


def _interpret_length(length: timedelta) -> Iterator[tuple[timedelta, EventEnding]]:
    if length >= timedelta():
        yield timedelta(), EventEnding(exact=length)
    else:
        yield -length, EventEnding(exact=max(timedelta(), DAY + length))


def _parse_duration(text: str) -> tuple[timedelta, EventEnding] | None:
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        return None
    weeks, days, hours, minutes, seconds = (min(int(part or 0), 10**10) for part in match.groups()[1:])
    wall = timedelta(days=min(weeks * 7 + days, _MOST_DAYS))
    exact = timedelta(seconds=min(hours * 3600 + minutes * 60 + seconds, _MOST_DAYS * 86400))
    return (wall + exact if match[1] == "-" else timedelta()), EventEnding(wall, exact)
