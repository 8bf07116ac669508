"""Expands recurring events (RRULE, RDATE, EXDATE) to their occurrences inside a window.

Anybody who can write to a calendar can write a rule that repeats every second, never matches, or began in the year 1.
Therefore, the cost of a series is estimated from its rules before the series is expanded, and a series is refused when:

- it has more than 24 occurrences a day, or more than 200,000 from its start to the end of the window (22 years of
  hourly occurrences). With a COUNT of 1000 or less it is accepted all the same, unless it is an HOURLY, MINUTELY or
  SECONDLY rule with a filter, which is a part such as BYDAY;
- one of its occurrences lasts more than a year, or was moved by more than a year;
- it adds or excludes more than 10,000 single times;
- it has days or positions that don't exist, such as the 30th of February, or too many values in one part (400, or ten
  in BYSETPOS);
- a part of its rules can't be read, or is not in RFC 5545.

These limits bound the result: 24 occurrences for each day of the window and of the year before it, plus 10,000.

The library recurring_ical_events does the expansion. A series is expanded in wall time, that is, local time in the time
zone of its first start (an all-day series: in dates), and converted to UTC at the end. UNTIL may be an instant, a local
time, or a date, which includes that whole day; a rule with both COUNT and UNTIL ends at the later of the two.
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
from worker.providers.ical.times import DAY, LATEST, EventTimes, to_instant
from worker.providers.ical.values import as_list

_MAX_PER_DAY = 24  #: how many occurrences a day a series may have
_SMALL_COUNT = 1000  #: with a COUNT up to this, _MAX_PER_DAY and _MAX_OCCURRENCES do not hold
_MAX_OCCURRENCES = 200_000  #: how many occurrences a series may have from its start to the end of the window
_MAX_LENGTH = timedelta(days=366)  #: how long an occurrence may last, and by how much it may be moved
_MAX_SINGLE_TIMES = 10_000  #: how many values RDATE and EXDATE may have together
_MAX_VALUES = 400  #: how many values a part of a rule may have
_MAX_POSITIONS = 10  #: how many values BYSETPOS may have
#: How many times a day a rule with this FREQ and without further parts matches at most.
_TIMES_PER_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}
_TIME_PARTS = ("BYHOUR", "BYMINUTE", "BYSECOND")
#: The parts whose values multiply the occurrences, by FREQ. For every other FREQ, these are all of _TIME_PARTS.
_FINER_PARTS = {"HOURLY": ("BYMINUTE", "BYSECOND"), "MINUTELY": ("BYSECOND",), "SECONDLY": ()}
_MONTH_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  #: days of each month in a leap year
#: The shortest step of each FREQ, in seconds; for YEARLY it is _YEAR_SECONDS.
_STEP_SECONDS = {
    "SECONDLY": 1,
    "MINUTELY": 60,
    "HOURLY": 3600,
    "DAILY": 86400,
    "WEEKLY": 7 * 86400,
    "MONTHLY": 28 * 86400,
}
_YEAR_SECONDS = 365 * 86400
_MAX_STEP_SECONDS = 8000 * _YEAR_SECONDS  #: a longer step leads past the year 9999, so that it adds no occurrence
#: The parts that begin with BY, without this beginning.
_BY_PARTS = ("MONTH", "MONTHDAY", "YEARDAY", "WEEKNO", "DAY", "SETPOS", "HOUR", "MINUTE", "SECOND")
_KNOWN_PARTS = frozenset({"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", *(f"BY{name}" for name in _BY_PARTS)})
#: The parts of RFC 7529. We accept only their default values.
_DEFAULT_PARTS = {"RSCALE": "GREGORIAN", "SKIP": "OMIT"}
_CLOCK_CHANGE = timedelta(hours=2)  #: at least as long as any change of clocks
_MARGIN = timedelta(hours=26)  #: how far a day in local time can be from the day in UTC with the same date
#: A property that we give to each component that is passed to the library: _SERIES_INDEX for the series, else the index
#: of a changed occurrence. The library keeps the property in the occurrences that it returns.
_INDEX_PROPERTY = "X-LONGARC-INDEX"
_SERIES_INDEX = -1

#: The values of each part of a recurrence rule, such as FREQ or BYDAY.
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

    event: Any  #: the VEVENT that describes the occurrence: that of the series, or that of a changed occurrence
    span: Span
    is_all_day: bool
    original_start: date | datetime  #: the start by the rule, before any change: a date, or an instant in UTC


def is_series(event: Any) -> bool:
    """Return whether a VEVENT may have more than one occurrence."""
    return "RRULE" in event or "RDATE" in event


def expand_series(master: TimedEvent, changed_occurrences: Sequence[TimedEvent], window: Span) -> list[Occurrence]:
    """Return the occurrences of a series in the window, and some before and after it.

    `master`: the VEVENT with the rules. `changed_occurrences`: the VEVENTs that replace single occurrences. Raises
    ValueError for a series that is refused, and the errors in `values.PARSE_ERRORS` for rules that the libraries can't
    process.
    """
    converter = _WallTimeConverter(master.times)
    # An EXDATE that is a date also excludes the changed occurrences of that date.
    excluded_moments = map(converter.to_wall, _iter_moments(master.event, "EXDATE"))
    excluded_days = {day for day in excluded_moments if not isinstance(day, datetime)}
    changed_occurrences = [
        change
        for change in changed_occurrences
        if _to_day(converter.to_start(change.event["RECURRENCE-ID"].dt)) not in excluded_days
    ]
    periods = _read_periods(master, converter)
    calendar = Calendar()
    calendar.add_component(_compose_series(master, converter, window, periods))
    for index, change in enumerate(changed_occurrences):
        calendar.add_component(_compose_change(change, converter, index))
    # The library compares wall times with the window, so it gets a window with margins. The lead of an event is the
    # time before its start that the event takes too. At the end of the window the margin is double, because for an
    # all-day series `end` is a date, which stands for the beginning of its day.
    lead = max(timed.times.lead for timed in (master, *changed_occurrences))
    begin, end = converter.to_wall(window.start - _MARGIN), converter.to_wall(window.end + 2 * _MARGIN + lead)
    components = recurring_ical_events.of(calendar, components=["VEVENT"]).between(begin, end)
    return [_read_occurrence(component, master, changed_occurrences, converter, periods) for component in components]


def find_series_end(master: TimedEvent, changed_occurrences: Iterable[TimedEvent]) -> datetime:
    """Return a time by which all unchanged occurrences of a series have ended, from the UNTIL of its rules and the
    length of an occurrence; LATEST when such a time is not known, or when a change applies to all later occurrences."""
    if "RDATE" in master.event or any(map(_applies_to_later, changed_occurrences)):
        return LATEST
    last_starts = []
    for rule in as_list(master.event.get("RRULE", [])):
        values = as_list(rule.get("UNTIL", [])) if _is_rule(rule) else []
        until_days = [_to_day(value) for value in values if isinstance(value, date)]
        is_end_known = until_days and "COUNT" not in rule
        # Two days after the start of its day in UTC, the day of UNTIL is over in every time zone.
        last_starts.append(to_instant(max(until_days), UTC) + 2 * DAY if is_end_known else LATEST)
    length = master.times.span.end - master.times.span.start
    return min(LATEST, max(last_starts, default=LATEST) + length)


# --- wall time --------------------------------------------------------------------------------------------------------


class _WallTimeConverter:
    """Converts dates and times to the wall time in which a series is expanded. A moment is a date, a local time or an
    aware time."""

    def __init__(self, times: EventTimes) -> None:
        self._zone = times.zone
        self._start = times.start
        self._is_all_day = times.is_all_day

    def to_wall(self, moment: date | datetime) -> WallTime:
        """Return the wall time of a moment: a date for an all-day series or when the moment is a date, else a naive
        local time."""
        if not isinstance(moment, datetime):
            return moment
        if self._is_all_day:
            return self._to_date(moment)
        return moment.astimezone(self._zone).replace(tzinfo=None) if moment.tzinfo else moment

    def to_start(self, moment: date | datetime) -> WallTime:
        """Return the start, in wall time, of the occurrence that `moment` refers to. A date refers to the occurrence on
        that date, at the time of day at which the series starts."""
        wall_time = self.to_wall(moment)
        if self._is_all_day or isinstance(wall_time, datetime) or not isinstance(self._start, datetime):
            return wall_time
        return datetime.combine(wall_time, self._start.time())

    def to_until(self, moment: date | datetime) -> WallTime:
        """Return the last wall time at which an occurrence may start when `moment` is the UNTIL of the rule."""
        if self._is_all_day:
            # The author may mean the date as written, or the date in the time zone of the series: the later one counts.
            return max(_to_day(moment), _to_day(self.to_wall(moment)))
        return self.to_wall(moment) if isinstance(moment, datetime) else datetime.combine(moment, time(23, 59, 59))

    def _to_date(self, moment: datetime) -> date:
        """Return the date of `moment` in the time zone of the series. Midnight in UTC keeps its date, because some
        programs write dates that way."""
        if moment.tzinfo is None or (moment.utcoffset() == timedelta() and moment.time() == time()):
            return moment.date()
        return moment.astimezone(self._zone).date()


# --- input of recurring_ical_events -----------------------------------------------------------------------------------


def _compose_series(
    master: TimedEvent, converter: _WallTimeConverter, window: Span, periods: dict[WallTime, Span]
) -> VEvent:
    """Return the series in wall time, as the library expects it. `periods`: the RDATE values that are periods. Raises
    ValueError for a series that is refused."""
    event, times = master.event, master.times
    added_starts = [converter.to_start(moment) for moment in _iter_moments(event, "RDATE")]
    excluded_moments = [converter.to_wall(moment) for moment in _iter_moments(event, "EXDATE")]
    if len(added_starts) + len(periods) + len(excluded_moments) > _MAX_SINGLE_TIMES:
        raise ValueError("too many single times")
    if any(isinstance(line, vBroken) for line in as_list(event.get("RDATE", []))):
        raise ValueError("a single time that can't be read")
    max_length = max([times.span.end - times.span.start, *(span.end - span.start for span in periods.values())])
    component = _compose_component(event, times.start, max_length, index=_SERIES_INDEX)
    rules = [rule for line in as_list(event.get("RRULE", [])) for rule in _iter_rules(line, converter)]
    if rules and max_length > _MAX_LENGTH:
        raise ValueError("longer than a year")
    for rule in rules:
        _check_frequency(rule, (window.end.date() - _to_day(times.start)).days)
        _check_values(rule)
    component["RRULE"] = [vRecur(rule) for rule in rules]
    component["RDATE"] = [vDDDLists([*added_starts, *periods])]
    component["EXDATE"] = [vDDDLists(excluded_moments)]
    return component


def _compose_change(change: TimedEvent, converter: _WallTimeConverter, index: int) -> VEvent:
    """Return a changed occurrence as the library expects it. With RANGE=THISANDFUTURE, the change applies to all later
    occurrences too. Raises ValueError for a change that is refused."""
    identifier = change.event["RECURRENCE-ID"]
    original_start = converter.to_start(identifier.dt)
    start = converter.to_wall(change.times.span.start + change.times.lead)
    span = change.times.span
    moved_by = abs(_to_day(start) - _to_day(original_start))
    if "RRULE" not in change.event and max(moved_by, span.end - span.start) > _MAX_LENGTH:
        raise ValueError("longer, or moved by more, than a year")
    component = _compose_component(change.event, start, span.end - span.start, index=index)
    component["RECURRENCE-ID"] = vDDDTypes(original_start)
    if _applies_to_later(change):
        component["RECURRENCE-ID"].params["RANGE"] = "THISANDFUTURE"
    return component


def _applies_to_later(change: TimedEvent) -> bool:
    """Return whether the change of an occurrence applies to all later occurrences too."""
    return str(change.event["RECURRENCE-ID"].params.get("RANGE", "")).upper() == "THISANDFUTURE"


def _compose_component(event: Any, start: WallTime, length: timedelta, *, index: int) -> VEvent:
    """Return the VEVENT that stands for `event` in the library. Its end is at least as late as that of `event`; the
    library uses the end only to select the occurrences inside the window."""
    component = VEvent()
    component["UID"] = "series"
    component["SEQUENCE"] = vInt(read_sequence(event))
    component["DTSTART"] = vDDDTypes(start)
    days = timedelta(days=length.days + 1)
    component["DTEND"] = vDDDTypes(start + (length + _CLOCK_CHANGE if isinstance(start, datetime) else days))
    component[_INDEX_PROPERTY] = vInt(index)
    return component


def read_sequence(event: Any) -> int:
    """Return the SEQUENCE of a VEVENT; 0 when it is missing or can't be read."""
    numbers = [int(value) for value in as_list(event.get("SEQUENCE", [])) if isinstance(value, int)]
    return max(numbers, default=0)


def _iter_moments(event: Any, name: str) -> Iterator[Any]:
    """Return the readable values of RDATE or EXDATE that are dates or times."""
    return (value for value in _iter_values(event, name) if not isinstance(value, tuple))


def _iter_values(event: Any, name: str) -> Iterator[Any]:
    """Return the readable values of RDATE or EXDATE: dates, times, and periods, which are pairs of a start and an end
    or a length."""
    lines = (line for line in as_list(event.get(name, [])) if isinstance(line, vDDDLists))
    return (value.dt for line in lines for value in line.dts)


def _read_periods(master: TimedEvent, converter: _WallTimeConverter) -> dict[WallTime, Span]:
    """Return the spans of the RDATE values that are periods, by their start."""
    periods = {}
    period_values = (value for value in _iter_values(master.event, "RDATE") if isinstance(value, tuple))
    for start, end_or_length in period_values:
        begin = to_instant(start, master.times.zone)
        if isinstance(end_or_length, timedelta):
            end = begin + end_or_length
        else:
            end = to_instant(end_or_length, master.times.zone)
        periods[converter.to_wall(start)] = Span(min(begin, end), max(begin, end))
    return periods


# --- output of recurring_ical_events ----------------------------------------------------------------------------------


def _read_occurrence(
    component: Any,
    master: TimedEvent,
    changed_occurrences: Sequence[TimedEvent],
    converter: _WallTimeConverter,
    periods: dict[WallTime, Span],
) -> Occurrence:
    """Return the occurrence that a component in the library's result stands for."""
    index, start = int(component[_INDEX_PROPERTY]), component["DTSTART"].dt
    source = master if index == _SERIES_INDEX else changed_occurrences[index]
    original_start = start
    if index == _SERIES_INDEX:
        span = periods.get(start) or source.times.compute_span(start)
    elif start == converter.to_wall(source.times.span.start + source.times.lead):  # the changed occurrence itself
        span, original_start = source.times.span, component["RECURRENCE-ID"].dt
    else:  # a later occurrence, changed by RANGE=THISANDFUTURE
        span = _apply_change(source.times, start, master.times)
    if not master.times.is_all_day:
        original_start = to_instant(original_start, master.times.zone)
    return Occurrence(source.event, span, source.times.is_all_day, original_start)


def _apply_change(times: EventTimes, start: WallTime, series_times: EventTimes) -> Span:
    """Return the span of a later occurrence that starts at `start`, to which the change of an earlier occurrence, with
    these `times`, is applied."""
    if times.is_all_day == series_times.is_all_day and times.zone is series_times.zone:
        return times.compute_span(start)
    # compute_span accepts only a start in the wall time of the change, so the length of the change is used instead.
    begin = to_instant(start, series_times.zone)
    return Span(begin - times.lead, begin - times.lead + (times.span.end - times.span.start))


# --- rules ------------------------------------------------------------------------------------------------------------


def _is_rule(value: Any) -> bool:
    return isinstance(value, vRecur)


def _iter_rules(line: Any, converter: _WallTimeConverter) -> Iterator[RuleParts]:
    """Yield the parts of the rule in an RRULE line. A rule whose step is too long gives nothing; a rule with both COUNT
    and UNTIL gives two rules, one with COUNT and one with UNTIL. Raises ValueError for parts that can't be read or are
    unknown."""
    if not _is_rule(line):
        raise ValueError("a rule that can't be read")
    parts = {name.upper(): as_list(value) for name, value in line.items()}
    for name, value in _DEFAULT_PARTS.items():
        if name in parts and _to_text(parts.pop(name)[0]) != value:
            raise ValueError("an unknown part of a rule")
    if parts.keys() - _KNOWN_PARTS or _read_frequency(parts) not in (*_STEP_SECONDS, "YEARLY"):
        raise ValueError("an unknown part of a rule")
    interval = int(parts.get("INTERVAL", [1])[0])
    if interval * _STEP_SECONDS.get(_read_frequency(parts), _YEAR_SECONDS) > _MAX_STEP_SECONDS:
        return
    if "UNTIL" in parts:
        parts["UNTIL"] = [max(map(converter.to_until, parts["UNTIL"]))]
    if "UNTIL" in parts and "COUNT" in parts:
        yield {name: value for name, value in parts.items() if name != "COUNT"}
        parts.pop("UNTIL")
    yield parts


def _to_text(value: Any) -> str:
    """Return a value of a rule, which may be an enum member, as text in upper case."""
    return str(getattr(value, "value", value)).upper()


def _to_day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _check_frequency(parts: RuleParts, days: int) -> None:
    """Raise ValueError for a rule with too many occurrences a day or in all. `days`: from the start of the series to
    the end of the window."""
    frequency, interval = _read_frequency(parts), int(parts.get("INTERVAL", [1])[0])
    if interval < 1 or int(parts.get("COUNT", [1])[0]) < 1:
        raise ValueError("an interval or a count below 1")
    # A part that is missing counts as one with a single value.
    per_day: float = prod(len(parts.get(name, [0])) for name in _FINER_PARTS.get(frequency, _TIME_PARTS))
    if frequency in _TIMES_PER_DAY:
        per_day = _TIMES_PER_DAY[frequency] * per_day / interval
    if per_day <= _MAX_PER_DAY and days * per_day <= _MAX_OCCURRENCES:
        return
    # With a small COUNT, a series ends soon. But for a rule with a filter, the library may try many times before it
    # finds an occurrence.
    has_small_count = "COUNT" in parts and int(parts["COUNT"][0]) <= _SMALL_COUNT
    has_filter = frequency in _TIMES_PER_DAY and any(name.startswith("BY") for name in parts)
    if has_filter or not has_small_count:
        raise ValueError("too many occurrences")


def _check_values(parts: RuleParts) -> None:
    """Raise ValueError for a rule with too many values, or with days or positions that don't exist, for which the
    library would search without end."""
    frequency = _read_frequency(parts)
    if any(len(values) > _MAX_VALUES for values in parts.values()) or len(parts.get("BYSETPOS", [])) > _MAX_POSITIONS:
        raise ValueError("too many values in a part of a rule")
    if frequency != "YEARLY" and ("BYWEEKNO" in parts or "BYYEARDAY" in parts):
        raise ValueError("days or weeks of the year in a rule that is not yearly")
    months = parts.get("BYMONTH", list(range(1, 13)))
    month_lengths = [length for month, length in enumerate(_MONTH_LENGTHS, 1) if month in months]
    smallest_day = min((abs(int(day)) for day in parts.get("BYMONTHDAY", [1])), default=1)
    if smallest_day > max(month_lengths, default=0):
        raise ValueError("days that don't exist")
    # How many days a rule matches at most in one of its periods. BYSETPOS is refused for every other FREQ.
    days_per_period = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": len(parts.get("BYDAY", [0])), "DAILY": 1}
    times_per_day = prod(len(parts.get(name, [0])) for name in _TIME_PARTS)
    max_position = days_per_period.get(frequency, 0) * times_per_day
    if any(abs(int(position)) > max_position for position in parts.get("BYSETPOS", [])):
        raise ValueError("positions that don't exist")


def _read_frequency(parts: RuleParts) -> str:
    return str(parts.get("FREQ", [""])[0]).upper()


def select_newest_changes(changes: Iterable[TimedEvent]) -> tuple[list[TimedEvent], list[TimedEvent]]:
    """Return the newest change of each occurrence, and its rival changes: further changes of the same occurrence with
    the same SEQUENCE. Older changes are left out."""
    newest_changes: dict[datetime, list[TimedEvent]] = {}
    for change in changes:
        original_start = to_instant(change.event["RECURRENCE-ID"].dt, UTC)
        candidates = [*newest_changes.get(original_start, []), change]
        latest_sequence = max(read_sequence(candidate.event) for candidate in candidates)
        newest_changes[original_start] = [
            candidate for candidate in candidates if read_sequence(candidate.event) == latest_sequence
        ]
    first_changes = [same_start[0] for same_start in newest_changes.values()]
    rival_changes = [rival for same_start in newest_changes.values() for rival in same_start[1:]]
    return first_changes, rival_changes
