"""Expands recurring events (RRULE, RDATE, EXDATE) into their occurrences inside a window.

Anybody who can write to a calendar can write a rule that repeats every second, never matches, or began in the year 1.
So the cost of a series is estimated from its rule before it is expanded, and a series is refused when:

- it happens more often than 24 times a day, unless its COUNT is 1000 or less;
- it takes more than 200,000 steps from its start to the end of the window (22 years of every hour);
- one of its occurrences lasts more than a year, or was moved by more than a year;
- it adds or excludes more than 10,000 single times;
- it names days or positions that don't exist, like the 30th of February, or more than 400 values in one part;
- a part of its rule can't be read, or is not in RFC 5545.

This bounds the result: 24 occurrences for each day of the window and of the year before it, plus 10,000.

A series is computed in wall time, in the zone of its first start (all-day series in dates), and converted to UTC at
the end. UNTIL may be an instant, a local time, or a date, which includes that whole day; a rule with both COUNT and
UNTIL ends at the later of the two.
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
from worker.providers.ical.times import DAY, LAST, EventTimes, to_instant
from worker.providers.ical.values import as_list

_MAX_PER_DAY = 24  #: occurrences a day, unless COUNT is small
_SMALL_COUNT = 1000  #: a series with a COUNT up to this may happen as often as it likes
_MAX_STEPS = 200_000  #: occurrences from the start of a series to the end of the window
_MAX_LENGTH = timedelta(days=366)  #: of an occurrence, and by how much one may be moved
_MAX_DATES = 10_000  #: single times in RDATE and EXDATE together
_MAX_VALUES = 400  #: values in one part of a rule
_MAX_POSITIONS = 10  #: values in BYSETPOS
_TIMES_PER_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}
_TIME_PARTS = ("BYHOUR", "BYMINUTE", "BYSECOND")
#: The parts whose values multiply the occurrences, by FREQ; for a FREQ not listed, all of _TIME_PARTS.
_FINER_PARTS = {"HOURLY": ("BYMINUTE", "BYSECOND"), "MINUTELY": ("BYSECOND",), "SECONDLY": ()}
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  #: days of each month in a leap year
#: The shortest step of each FREQ, in seconds; YEARLY is _YEAR_SECONDS.
_STEP_SECONDS = {
    "SECONDLY": 1,
    "MINUTELY": 60,
    "HOURLY": 3600,
    "DAILY": 86400,
    "WEEKLY": 7 * 86400,
    "MONTHLY": 28 * 86400,
}
_YEAR_SECONDS = 365 * 86400
_MAX_STEP_SECONDS = 8000 * _YEAR_SECONDS  #: a longer step leads past the year 9999: such a rule adds nothing
_BY_PARTS = ("MONTH", "MONTHDAY", "YEARDAY", "WEEKNO", "DAY", "SETPOS", "HOUR", "MINUTE", "SECOND")
_KNOWN_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", *(f"BY{name}" for name in _BY_PARTS)})
_DEFAULT_PARTS = {"RSCALE": "GREGORIAN", "SKIP": "OMIT"}  #: RFC 7529 parts, accepted with their default value only
_MARGIN = timedelta(hours=26)  #: how far a local day can lie from the UTC day of the same date
#: A property of each component that is passed to the library: -1 for the series, else the index of a changed
#: occurrence.
_INDEX_PROPERTY = "X-LONGARC-INDEX"

RuleParts = dict[str, list[Any]]
WallTime = date | datetime  #: a date, or a naive time in the zone of a series


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """A VEVENT with its times."""

    event: Any
    times: EventTimes


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One occurrence of a series."""

    event: Any  #: the VEVENT that describes it: the series' own, or that of a changed occurrence
    span: Span
    is_all_day: bool
    original: date | datetime  #: the start that the rule gives it, before any change: a date, or an instant in UTC


def is_series(event: Any) -> bool:
    """True when a VEVENT may happen more than once."""
    return "RRULE" in event or "RDATE" in event


def expand_series(master: TimedEvent, changed_occurrences: Sequence[TimedEvent], window: Span) -> list[Occurrence]:
    """Return the occurrences of a series around the window, with the `changed_occurrences` ones as they are now.

    `master` is the VEVENT that holds the rule. Raises ValueError for a series that is refused, and the errors in
    `values.UNREADABLE` for rules that the libraries can't process.
    """
    clock = _SeriesClock(master.times)
    excluded_moments = map(clock.to_wall, _iter_moments(master.event, "EXDATE"))
    excluded_days = {day for day in excluded_moments if not isinstance(day, datetime)}
    changed_occurrences = [
        change
        for change in changed_occurrences
        if _to_day(clock.to_start(change.event["RECURRENCE-ID"].dt)) not in excluded_days
    ]
    periods = _read_periods(master, clock)
    calendar = Calendar()
    calendar.add_component(_compose_series(master, clock, window, periods))
    for index, change in enumerate(changed_occurrences):
        calendar.add_component(_compose_change(change, clock, index))
    lead = max(timed.times.lead for timed in (master, *changed_occurrences))
    begin, end = clock.to_wall(window.start - _MARGIN), clock.to_wall(window.end + 2 * _MARGIN + lead)
    components = recurring_ical_events.of(calendar, components=["VEVENT"]).between(begin, end)
    return [_read_occurrence(component, master, changed_occurrences, clock, periods) for component in components]


def find_series_end(event: Any) -> datetime:
    """Return a time by which a series has certainly ended, from its UNTIL; LAST when its rules don't tell."""
    ends = []
    for rule in as_list(event.get("RRULE", [])):
        values = as_list(rule.get("UNTIL", [])) if _is_rule(rule) else []
        untils = [value for value in values if isinstance(value, date)]
        ends.append(to_instant(max(map(_to_day, untils)), UTC) + 2 * DAY if untils and "COUNT" not in rule else LAST)
    return max(ends, default=LAST)


# --- wall time --------------------------------------------------------------------------------------------------------


class _SeriesClock:
    """Converts to the wall time in which a series is computed."""

    def __init__(self, times: EventTimes) -> None:
        self._zone = times.zone
        self._start = times.start
        self._is_all_day = times.is_all_day

    def to_wall(self, moment: date | datetime) -> WallTime:
        """Return the wall time at that moment: a date for an all-day series, else a naive local time. A date stays a
        date."""
        if not isinstance(moment, datetime):
            return moment
        if self._is_all_day:
            return self._to_date(moment)
        return moment.astimezone(self._zone).replace(tzinfo=None) if moment.tzinfo else moment

    def to_start(self, moment: date | datetime) -> WallTime:
        """Return the wall time of the occurrence that `moment` names: a date gets the time of day of the series'
        start."""
        wall = self.to_wall(moment)
        if self._is_all_day or isinstance(wall, datetime) or not isinstance(self._start, datetime):
            return wall
        return datetime.combine(wall, self._start.time())

    def to_until(self, moment: date | datetime) -> WallTime:
        """Return the last wall time that an UNTIL of `moment` includes."""
        if self._is_all_day:
            return max(_to_day(moment), _to_day(self.to_wall(moment)))
        return self.to_wall(moment) if isinstance(moment, datetime) else datetime.combine(moment, time(23, 59, 59))

    def _to_date(self, moment: datetime) -> date:
        """Return the date in the zone of the series. Midnight in UTC stands for its own date: some programs write dates
        so."""
        if moment.tzinfo is None or (moment.utcoffset() == timedelta() and moment.time() == time()):
            return moment.date()
        return moment.astimezone(self._zone).date()


# --- input of recurring_ical_events -----------------------------------------------------------------------------------


def _compose_series(master: TimedEvent, clock: _SeriesClock, window: Span, periods: dict[WallTime, Span]) -> VEvent:
    """Return the series as the library expects it, in wall time. Raises ValueError for a series that is refused."""
    event, times = master.event, master.times
    added_starts = [clock.to_start(moment) for moment in _iter_moments(event, "RDATE")]
    excluded_moments = [clock.to_wall(moment) for moment in _iter_moments(event, "EXDATE")]
    if len(added_starts) + len(periods) + len(excluded_moments) > _MAX_DATES:
        raise ValueError("too many single times")
    if any(isinstance(line, vBroken) for line in as_list(event.get("RDATE", []))):
        raise ValueError("a single time that can't be read")
    length = max([times.span.end - times.span.start, *(span.end - span.start for span in periods.values())])
    component = _compose_component(times.start, length, -1, event)
    rules = [rule for line in as_list(event.get("RRULE", [])) for rule in _iter_rules(line, clock)]
    if rules and length > _MAX_LENGTH:
        raise ValueError("longer than a year")
    for rule in rules:
        _check_frequency(rule, (window.end.date() - _to_day(times.start)).days)
        _check_possible(rule)
    component["RRULE"] = [vRecur(rule) for rule in rules]
    component["RDATE"] = [vDDDLists([*added_starts, *periods])]
    component["EXDATE"] = [vDDDLists(excluded_moments)]
    return component


def _compose_change(change: TimedEvent, clock: _SeriesClock, index: int) -> VEvent:
    """Return a changed occurrence as the library expects it; with RANGE=THISANDFUTURE it changes all later ones too."""
    identifier = change.event["RECURRENCE-ID"]
    original = clock.to_start(identifier.dt)
    start = clock.to_wall(change.times.span.start + change.times.lead)
    span = change.times.span
    moved_by = abs(_to_day(start) - _to_day(original))
    if "RRULE" not in change.event and max(moved_by, span.end - span.start) > _MAX_LENGTH:
        raise ValueError("longer, or moved by more, than a year")
    component = _compose_component(start, span.end - span.start, index, change.event)
    component["RECURRENCE-ID"] = vDDDTypes(original)
    if str(identifier.params.get("RANGE", "")).upper() == "THISANDFUTURE":
        component["RECURRENCE-ID"].params["RANGE"] = "THISANDFUTURE"
    return component


def _compose_component(start: WallTime, length: timedelta, index: int, event: Any) -> VEvent:
    """Return a VEVENT with the start of `event`, and an end that is at least as late: the library only selects by
    it."""
    component = VEvent()
    component["UID"] = "series"
    component["SEQUENCE"] = vInt(sequence_of(event))
    component["DTSTART"] = vDDDTypes(start)
    days = timedelta(days=length.days + 1)
    component["DTEND"] = vDDDTypes(start + (length + timedelta(hours=2) if isinstance(start, datetime) else days))
    component[_INDEX_PROPERTY] = vInt(index)
    return component


def sequence_of(event: Any) -> int:
    """Return the SEQUENCE of a VEVENT; 0 when it has none that can be read."""
    numbers = [int(value) for value in as_list(event.get("SEQUENCE", [])) if isinstance(value, int)]
    return max(numbers, default=0)


def _iter_moments(event: Any, name: str) -> Iterator[Any]:
    """Return the readable dates and times of RDATE or EXDATE, without periods."""
    return (value for value in _iter_values(event, name) if not isinstance(value, tuple))


def _iter_values(event: Any, name: str) -> Iterator[Any]:
    """Return the readable values of RDATE or EXDATE: dates, times, and for periods pairs of a start and an end or
    length."""
    lines = (line for line in as_list(event.get(name, [])) if isinstance(line, vDDDLists))
    return (value.dt for line in lines for value in line.dts)


def _read_periods(master: TimedEvent, clock: _SeriesClock) -> dict[WallTime, Span]:
    """Return the RDATE values that are periods, by their start."""
    periods = {}
    for start, end in (value for value in _iter_values(master.event, "RDATE") if isinstance(value, tuple)):
        begin = to_instant(start, master.times.zone)
        last = begin + end if isinstance(end, timedelta) else to_instant(end, master.times.zone)
        periods[clock.to_wall(start)] = Span(min(begin, last), max(begin, last))
    return periods


# --- output of recurring_ical_events ----------------------------------------------------------------------------------


def _read_occurrence(
    component: Any,
    master: TimedEvent,
    changed_occurrences: Sequence[TimedEvent],
    clock: _SeriesClock,
    periods: dict[WallTime, Span],
) -> Occurrence:
    index, start = int(component[_INDEX_PROPERTY]), component["DTSTART"].dt
    source = master if index < 0 else changed_occurrences[index]
    original = start
    if index < 0:
        span = periods.get(start) or source.times.span_from(start)
    elif start == clock.to_wall(source.times.span.start + source.times.lead):
        span, original = source.times.span, component["RECURRENCE-ID"].dt
    else:  # a later occurrence, changed by RANGE=THISANDFUTURE
        span = _shift_times(source.times, start, master.times)
    if not master.times.is_all_day:
        original = to_instant(original, master.times.zone)
    return Occurrence(source.event, span, source.times.is_all_day, original)


def _shift_times(times: EventTimes, start: WallTime, series_times: EventTimes) -> Span:
    """Return the span of a changed occurrence when it is applied to a later `start` of its series."""
    if times.is_all_day == series_times.is_all_day and times.zone is series_times.zone:
        return times.span_from(start)
    begin = to_instant(start, series_times.zone)
    return Span(begin - times.lead, begin - times.lead + (times.span.end - times.span.start))


# --- rules ------------------------------------------------------------------------------------------------------------


def _is_rule(value: Any) -> bool:
    return isinstance(value, vRecur)


def _iter_rules(line: Any, clock: _SeriesClock) -> Iterator[RuleParts]:
    """Yield the rules of an RRULE line: none when its step is too long, two when it has both COUNT and UNTIL. Raises
    ValueError for parts that can't be read or are unknown."""
    if not _is_rule(line):
        raise ValueError("a rule that can't be read")
    parts = {name.upper(): as_list(value) for name, value in line.items()}
    for name, value in _DEFAULT_PARTS.items():
        if name in parts and _to_text(parts.pop(name)[0]) != value:
            raise ValueError("a part of a rule that we don't know")
    if parts.keys() - _KNOWN_PARTS or _frequency_of(parts) not in (*_STEP_SECONDS, "YEARLY"):
        raise ValueError("a part of a rule that we don't know")
    if int(parts.get("INTERVAL", [1])[0]) * _STEP_SECONDS.get(_frequency_of(parts), _YEAR_SECONDS) > _MAX_STEP_SECONDS:
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
    """Raise ValueError for a rule with too many occurrences a day, or too many in the `days` from its start to the end
    of the window."""
    frequency, interval = _frequency_of(parts), int(parts.get("INTERVAL", [1])[0])
    if interval < 1 or int(parts.get("COUNT", [1])[0]) < 1:
        raise ValueError("an interval or a count below 1")
    times = prod(len(parts.get(name, [0])) for name in _FINER_PARTS.get(frequency, _TIME_PARTS))
    per_day = _TIMES_PER_DAY[frequency] * times / interval if frequency in _TIMES_PER_DAY else times
    if per_day <= _MAX_PER_DAY and days * per_day <= _MAX_STEPS:
        return
    is_filtered = frequency in _TIMES_PER_DAY and any(name.startswith("BY") for name in parts)
    if is_filtered or int(parts.get("COUNT", [_SMALL_COUNT + 1])[0]) > _SMALL_COUNT:
        raise ValueError("too many occurrences")


def _check_possible(parts: RuleParts) -> None:
    """Raise ValueError for a rule that names days or positions that don't exist: the search would never end."""
    frequency = _frequency_of(parts)
    if any(len(values) > _MAX_VALUES for values in parts.values()) or len(parts.get("BYSETPOS", [])) > _MAX_POSITIONS:
        raise ValueError("too many values in a part of a rule")
    if frequency != "YEARLY" and ("BYWEEKNO" in parts or "BYYEARDAY" in parts):
        raise ValueError("days or weeks of the year in a rule that is not yearly")
    lengths = [length for month, length in enumerate(_MONTH_LENGTHS, 1) if month in parts.get("BYMONTH", [month])]
    if min((abs(int(day)) for day in parts.get("BYMONTHDAY", [1])), default=1) > max(lengths, default=0):
        raise ValueError("days that don't exist")
    max_days = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": len(parts.get("BYDAY", [0])), "DAILY": 1}.get(frequency, 0)
    times = prod(len(parts.get(name, [0])) for name in _TIME_PARTS)
    if any(abs(int(position)) > max_days * times for position in parts.get("BYSETPOS", [])):
        raise ValueError("positions that don't exist")


def _frequency_of(parts: RuleParts) -> str:
    return str(parts.get("FREQ", [""])[0]).upper()


def group_changes(changes: Iterable[TimedEvent]) -> tuple[list[TimedEvent], list[TimedEvent]]:
    """Return the newest change of each occurrence; and the rivals, further changes of an occurrence with the same
    SEQUENCE as its newest."""
    newest: dict[datetime, list[TimedEvent]] = {}
    for change in changes:
        original = to_instant(change.event["RECURRENCE-ID"].dt, UTC)
        rivals = [*newest.get(original, []), change]
        latest = max(sequence_of(rival.event) for rival in rivals)
        newest[original] = [rival for rival in rivals if sequence_of(rival.event) == latest]
    return [rivals[0] for rivals in newest.values()], [rival for rivals in newest.values() for rival in rivals[1:]]
