"""A series of events, followed through a window and no further.

Whoever may write into somebody's calendar may write a rule that happens every second, or never, or has done so since
the year 1. So what it would take to follow a series is reckoned first, from what is written there, and a series that
takes more than anybody's time is like is refused:

- it happens more than once an hour, day and night, unless it ends after 1000 times;
- it has gone through more than 200,000 steps by the end of the window (22 years of every hour);
- one of its occurrences lasts more than a year, or was moved by more than that;
- it adds or takes away more than 10,000 single times;
- it names days or places that there are none of, like the 30th of February, or more than 400 of a kind;
- a part of its rule can't be read, or is one that we don't know.

So there are never more than 24 occurrences for a day of the window and of the year before it, plus 10,000.

All of a series is reckoned on one clock, the one on the wall in the zone of its first start (in dates, when it is of
whole days); instants come of it at the end. UNTIL may be an instant, a local time or a date, whose whole day belongs
to the series; a rule with both COUNT and UNTIL goes on as long as either says.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import prod
from typing import Any

import recurring_ical_events
from icalendar import Calendar
from icalendar import Event as VEvent
from icalendar.prop import vBroken, vDDDLists, vDDDTypes, vInt, vRecur

from worker.domain.model import Span
from worker.providers.ical.parser import as_list
from worker.providers.ical.times import DAY, LAST, EventTimes, to_instant

_OFTEN, _FEW = 24, 1000  #: how often it may happen a day, unless it ends after so many times
_MOST_STEPS = 200_000
_LONGEST = timedelta(days=366)
_MOST_DATES = 10_000
_VALUES, _PLACES = 400, 10  #: how many values a part of a rule may have, and BYSETPOS
_TIMES_PER_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}
_TIME_PARTS = ("BYHOUR", "BYMINUTE", "BYSECOND")
#: What multiplies the times of a rule, by how often it happens; of all others, all three.
_FINER_PARTS = {"HOURLY": ("BYMINUTE", "BYSECOND"), "MINUTELY": ("BYSECOND",), "SECONDLY": ()}
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  #: of the months, at their longest
_SECONDS = {"SECONDLY": 1, "MINUTELY": 60, "HOURLY": 3600, "DAILY": 86400, "WEEKLY": 7 * 86400, "MONTHLY": 28 * 86400}
_A_YEAR = 365 * 86400
_WIDEST_STEP = 8000 * _A_YEAR  #: a step so wide leads out of the calendar
_BY_PARTS = ("MONTH", "MONTHDAY", "YEARDAY", "WEEKNO", "DAY", "SETPOS", "HOUR", "MINUTE", "SECOND")
_KNOWN_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", *(f"BY{name}" for name in _BY_PARTS)})
_HARMLESS_PARTS = {"RSCALE": "GREGORIAN", "SKIP": "OMIT"}  #: parts that change nothing when they say this
_MARGIN = timedelta(hours=26)  #: how far a local day can lie from the UTC day of the same name
_INDEX = "X-LONGARC-INDEX"

RuleParts = dict[str, list[Any]]
ClockTime = date | datetime  #: a date or a naive time on the clock of a series


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """A VEVENT with its times."""

    event: Any
    times: EventTimes


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a series happens: the VEVENT that describes it, when, and where the rule had it."""

    event: Any
    span: Span
    is_all_day: bool
    original: date | datetime  #: a date, or an instant in UTC


def is_series(event: Any) -> bool:
    """True when a VEVENT may happen more than once."""
    return "RRULE" in event or "RDATE" in event


def expand_series(master: TimedEvent, changed: Sequence[TimedEvent], window: Span) -> list[Occurrence]:
    """The occurrences of a series around the window, those that were changed as they are now. Raises ValueError for a
    series that is refused, and whatever the libraries raise over rules that make no sense."""
    clock = _SeriesClock(master.times)
    gone = {day for day in map(clock.to_wall, _iter_moments(master.event, "EXDATE")) if not isinstance(day, datetime)}
    changed = [part for part in changed if _to_day(clock.to_start(part.event["RECURRENCE-ID"].dt)) not in gone]
    periods = _read_periods(master, clock)
    calendar = Calendar()
    calendar.add_component(_compose_series(master, clock, window, periods))
    for index, part in enumerate(changed):
        calendar.add_component(_compose_change(part, clock, index))
    lead = max(part.times.lead for part in (master, *changed))
    begin, end = clock.to_wall(window.start - _MARGIN), clock.to_wall(window.end + 2 * _MARGIN + lead)
    happening = recurring_ical_events.of(calendar, components=["VEVENT"]).between(begin, end)
    return [_read_occurrence(component, master, changed, clock, periods) for component in happening]


def find_series_end(event: Any) -> datetime:
    """When a series that can't be followed is over for certain: LAST when it does not say."""
    ends = []
    for rule in as_list(event.get("RRULE", [])):
        until = [one for one in as_list(rule.get("UNTIL", [])) if isinstance(one, date)] if _is_rule(rule) else []
        ends.append(to_instant(max(map(_to_day, until)), UTC) + 2 * DAY if until and "COUNT" not in rule else LAST)
    return max(ends, default=LAST)


# --- one clock ------------------------------------------------------------------------------------------------------


class _SeriesClock:
    """The clock that a series is reckoned on."""

    def __init__(self, times: EventTimes) -> None:
        self._zone = times.zone
        self._start = times.start
        self._days = times.is_all_day

    def to_wall(self, moment: date | datetime) -> ClockTime:
        """The date, or the local time, that this clock shows then. A date stays one."""
        if not isinstance(moment, datetime):
            return moment
        if self._days:
            return self._to_date(moment)
        return moment.astimezone(self._zone).replace(tzinfo=None) if moment.tzinfo else moment

    def to_start(self, moment: date | datetime) -> ClockTime:
        """The same; for a date, the time of day at which the series starts."""
        shown = self.to_wall(moment)
        if self._days or isinstance(shown, datetime) or not isinstance(self._start, datetime):
            return shown
        return datetime.combine(shown, self._start.time())

    def to_until(self, moment: date | datetime) -> ClockTime:
        """The last moment that belongs to a series of which this is the UNTIL."""
        if self._days:
            plain = _to_day(moment)
            return max(plain, _to_day(self.to_wall(moment)))
        return self.to_wall(moment) if isinstance(moment, datetime) else datetime.combine(moment, time(23, 59, 59))

    def _to_date(self, moment: datetime) -> date:
        """Midnight in UTC is how some write a date; of all others, the date where the owner is."""
        if moment.tzinfo is None or (moment.utcoffset() == timedelta() and moment.time() == time()):
            return moment.date()
        return moment.astimezone(self._zone).date()


# --- what the library is told ---------------------------------------------------------------------------------------


def _compose_series(master: TimedEvent, clock: _SeriesClock, window: Span, periods: dict[ClockTime, Span]) -> VEvent:
    event, times = master.event, master.times
    single = [clock.to_start(one) for one in _iter_moments(event, "RDATE")]
    excluded = [clock.to_wall(one) for one in _iter_moments(event, "EXDATE")]
    if len(single) + len(periods) + len(excluded) > _MOST_DATES:
        raise ValueError("more single times than anybody has")
    if any(isinstance(line, vBroken) for line in as_list(event.get("RDATE", []))):
        raise ValueError("a single time that can't be read")
    length = max([times.span.end - times.span.start, *(span.end - span.start for span in periods.values())])
    core = _compose_component(times.start, length, -1, event)
    rules = [rule for line in as_list(event.get("RRULE", [])) for rule in _iter_rules(line, clock)]
    if rules and length > _LONGEST:
        raise ValueError("longer than a year")
    for rule in rules:
        _check_frequency(rule, (window.end.date() - _to_day(times.start)).days)
        _check_possible(rule)
    core["RRULE"] = [vRecur(rule) for rule in rules]
    core["RDATE"] = [vDDDLists([*single, *periods])]
    core["EXDATE"] = [vDDDLists(excluded)]
    return core


def _compose_change(part: TimedEvent, clock: _SeriesClock, index: int) -> VEvent:
    """What changes one occurrence, or with RANGE=THISANDFUTURE all from there on."""
    identifier = part.event["RECURRENCE-ID"]
    original = clock.to_start(identifier.dt)
    start = clock.to_wall(part.times.span.start + part.times.lead)
    span = part.times.span
    moved = abs(_to_day(start) - _to_day(original))
    if "RRULE" not in part.event and max(moved, span.end - span.start) > _LONGEST:
        raise ValueError("longer, or moved by more, than a year")
    component = _compose_component(start, span.end - span.start, index, part.event)
    component["RECURRENCE-ID"] = vDDDTypes(original)
    if str(identifier.params.get("RANGE", "")).upper() == "THISANDFUTURE":
        component["RECURRENCE-ID"].params["RANGE"] = "THISANDFUTURE"
    return component


def _compose_component(start: ClockTime, length: timedelta, index: int, event: Any) -> VEvent:
    component = VEvent()
    component["UID"] = "series"
    component["SEQUENCE"] = vInt(sequence_of(event))
    component["DTSTART"] = vDDDTypes(start)
    days = timedelta(days=length.days + 1)
    component["DTEND"] = vDDDTypes(start + (length + timedelta(hours=2) if isinstance(start, datetime) else days))
    component[_INDEX] = vInt(index)
    return component


def sequence_of(event: Any) -> int:
    """The SEQUENCE of a VEVENT; 0 when it has none that can be read."""
    numbers = [int(one) for one in as_list(event.get("SEQUENCE", [])) if isinstance(one, int)]
    return max(numbers, default=0)


def _iter_moments(event: Any, name: str) -> Iterator[Any]:
    return (value for value in _iter_values(event, name) if not isinstance(value, tuple))


def _iter_values(event: Any, name: str) -> Iterator[Any]:
    """What can be read of a list of single times: dates, times, and pairs for periods."""
    lines = (line for line in as_list(event.get(name, [])) if isinstance(line, vDDDLists))
    return (one.dt for line in lines for one in line.dts)


def _read_periods(master: TimedEvent, clock: _SeriesClock) -> dict[ClockTime, Span]:
    """The single times that have a length of their own, by when they start."""
    periods = {}
    for start, end in (value for value in _iter_values(master.event, "RDATE") if isinstance(value, tuple)):
        begin = to_instant(start, master.times.zone)
        last = begin + end if isinstance(end, timedelta) else to_instant(end, master.times.zone)
        periods[clock.to_wall(start)] = Span(min(begin, last), max(begin, last))
    return periods


# --- what the library answers ---------------------------------------------------------------------------------------


def _read_occurrence(
    component: Any,
    master: TimedEvent,
    changed: Sequence[TimedEvent],
    clock: _SeriesClock,
    periods: dict[ClockTime, Span],
) -> Occurrence:
    index, start = int(component[_INDEX]), component["DTSTART"].dt
    part = master if index < 0 else changed[index]
    original = start
    if index < 0:
        span = periods.get(start) or part.times.span_from(start)
    elif start == clock.to_wall(part.times.span.start + part.times.lead):
        span, original = part.times.span, component["RECURRENCE-ID"].dt
    else:
        span = _shift_times(part.times, start, master.times)
    named = original if master.times.is_all_day else to_instant(original, master.times.zone)
    return Occurrence(part.event, span, part.times.is_all_day, named)


def _shift_times(times: EventTimes, start: ClockTime, clock: EventTimes) -> Span:
    """The times of a changed occurrence at a later start of its series."""
    if times.is_all_day == clock.is_all_day and times.zone is clock.zone:
        return times.span_from(start)
    begin = to_instant(start, clock.zone)
    return Span(begin - times.lead, begin - times.lead + (times.span.end - times.span.start))


# --- rules ----------------------------------------------------------------------------------------------------------


def _is_rule(value: Any) -> bool:
    return isinstance(value, vRecur)


def _iter_rules(line: Any, clock: _SeriesClock) -> Iterator[RuleParts]:
    """The rules of a line, without what changes nothing. Raises ValueError for what we can't read or don't know."""
    if not _is_rule(line):
        raise ValueError("a rule that can't be read")
    parts = {name.upper(): as_list(value) for name, value in line.items()}
    for name, value in _HARMLESS_PARTS.items():
        if name in parts and _to_text(parts.pop(name)[0]) != value:
            raise ValueError("a part of a rule that we don't know")
    if parts.keys() - _KNOWN_PARTS or _frequency_of(parts) not in (*_SECONDS, "YEARLY"):
        raise ValueError("a part of a rule that we don't know")
    if int(parts.get("INTERVAL", [1])[0]) * _SECONDS.get(_frequency_of(parts), _A_YEAR) > _WIDEST_STEP:
        return
    if "UNTIL" in parts:
        parts["UNTIL"] = [max(map(clock.to_until, parts["UNTIL"]))]
    if "UNTIL" in parts and "COUNT" in parts:
        yield {name: value for name, value in parts.items() if name != "COUNT"}
        parts.pop("UNTIL")
    yield parts


def _to_text(value: Any) -> str:
    return str(getattr(value, "value", value)).upper()


def _to_day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _check_frequency(parts: RuleParts, days: int) -> None:
    """Raise ValueError for what happens all the time, or has been going on for too long to be followed."""
    often, interval = _frequency_of(parts), int(parts.get("INTERVAL", [1])[0])
    if interval < 1 or int(parts.get("COUNT", [1])[0]) < 1:
        raise ValueError("an interval that leads nowhere")
    times = prod(len(parts.get(name, [0])) for name in _FINER_PARTS.get(often, _TIME_PARTS))
    a_day = _TIMES_PER_DAY[often] * times / interval if often in _TIMES_PER_DAY else times
    if a_day <= _OFTEN and days * a_day <= _MOST_STEPS:
        return
    filtered = often in _TIMES_PER_DAY and any(name.startswith("BY") for name in parts)
    if filtered or int(parts.get("COUNT", [_FEW + 1])[0]) > _FEW:
        raise ValueError("more often than anybody's time")


def _check_possible(parts: RuleParts) -> None:
    """Raise ValueError for what names days or places there are none of: looking for one would take for ever."""
    often = _frequency_of(parts)
    if any(len(values) > _VALUES for values in parts.values()) or len(parts.get("BYSETPOS", [])) > _PLACES:
        raise ValueError("more values than there can be")
    if often != "YEARLY" and ("BYWEEKNO" in parts or "BYYEARDAY" in parts):
        raise ValueError("days of the year in something else than a year")
    longest = [length for month, length in enumerate(_MONTH_LENGTHS, 1) if month in parts.get("BYMONTH", [month])]
    if min((abs(int(day)) for day in parts.get("BYMONTHDAY", [1])), default=1) > max(longest, default=0):
        raise ValueError("days there are none of")
    most = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": len(parts.get("BYDAY", [0])), "DAILY": 1}.get(often, 0)
    times = prod(len(parts.get(name, [0])) for name in _TIME_PARTS)
    if any(abs(int(place)) > most * times for place in parts.get("BYSETPOS", [])):
        raise ValueError("places there are none of")


def _frequency_of(parts: RuleParts) -> str:
    return str(parts.get("FREQ", [""])[0]).upper()


def group_changes(parts: Iterable[TimedEvent]) -> tuple[list[TimedEvent], list[TimedEvent]]:
    """The newest change of each occurrence, and those that say something else of the same one at the same time."""
    newest: dict[datetime, list[TimedEvent]] = {}
    for part in parts:
        key = to_instant(part.event["RECURRENCE-ID"].dt, UTC)
        rivals = [*newest.get(key, []), part]
        latest = max(sequence_of(one.event) for one in rivals)
        newest[key] = [one for one in rivals if sequence_of(one.event) == latest]
    return [rivals[0] for rivals in newest.values()], [one for rivals in newest.values() for one in rivals[1:]]
