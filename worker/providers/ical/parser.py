"""Parses text to calendar objects (RFC 5545), leniently: a broken line does not prevent reading the others.

A property that can't be parsed is kept as `vBroken`, so that readers know that it exists. An event that can't be read
at all adds LOST to the `errors` of the calendar object; an event that is cut off at the end of the text has CUT_OFF in
its own `errors`. Local times get the time zone that the text defines for their TZID (`worker.providers.ical.zones`).
The process-wide cache of time zones in icalendar is not used, because two texts may define one TZID differently.

In this module, a moment is a date, a local time or an aware time.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from icalendar import Calendar
from icalendar.cal import ComponentFactory
from icalendar.parser import Contentline, Parameters
from icalendar.parser.ical import ComponentIcalParser
from icalendar.prop import TypesFactory, vBroken, vDDDLists, vDDDTypes, vRecur, vText

from worker.errors import InvalidResponse
from worker.providers.ical.values import PARSE_ERRORS, as_list
from worker.providers.ical.zones import CalendarZones, read_tzid

_MAX_ITEMS = 10_000  #: how many values one RDATE or EXDATE line may have
LOST = "LOST"  #: in the `errors` of a calendar object: the text has an event that can't be read
CUT_OFF = "CUT-OFF"  #: in the `errors` of an event: the text ends before the event does

_make_line: Any = Contentline  # Any: icalendar has no types for these two
_parse_moment_or_duration: Any = vDDDTypes.from_ical

_MOMENT_NAMES = ("DTSTART", "DTEND", "RECURRENCE-ID")
_LIST_NAMES = ("RDATE", "EXDATE")
_TIME_NAMES = (*_MOMENT_NAMES, *_LIST_NAMES, "DURATION", "RRULE")
#: Properties that only an event has. When one of them is inside an alarm, the END line of the alarm is missing.
_EVENT_ONLY_NAMES = frozenset({*_MOMENT_NAMES, *_LIST_NAMES, "RRULE", "STATUS", "TRANSP"})
#: Components that are directly in a calendar object, never inside each other.
_TOP_COMPONENTS = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VAVAILABILITY"})

#: The name of a property with times, at the beginning of a line; also after characters that break the grammar.
_TIME_NAME_PATTERN = re.compile(rf"\W*({'|'.join(_TIME_NAMES)})\b", re.IGNORECASE)
_REMAINDER_PATTERN = re.compile(r"[0-9A-Za-z,;=/+-]+")  #: a continuation line that lost its leading blank
#: A date, with or without a time of day and a UTC offset: `20261102`, `20261102T090000Z`, `2026-11-02 09:00+01:00`.
_MOMENT_PATTERN = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)(?:[T ](\d\d):?(\d\d):?(\d\d)?(?:[.,]\d+)?\s?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE
)
#: A moment at the end of a line.
_LAST_MOMENT_PATTERN = re.compile(rf"(?:^|[:=\s])({_MOMENT_PATTERN.pattern})\W*$", re.IGNORECASE)


def decode_text(content: bytes) -> str:
    """Return the text of a file: UTF-16 if it has that byte order mark, else UTF-8, else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def parse_calendar(text: str, source: str) -> Calendar:
    """Return the calendar object in `text`, with everything that can be read. Several objects are merged into one.

    Raises InvalidResponse when the text has no calendar object. `source`: the source of the text, for that message.
    """
    lines = [_make_line(line) for line in _iter_content_lines(text)]
    parser = _LenientParser(lines, ComponentFactory(), TypesFactory.instance())
    calendars = [component for component in parser.parse() if isinstance(component, Calendar)]
    has_readable_calendar = any(calendar.subcomponents or not calendar.errors for calendar in calendars)
    if not has_readable_calendar:
        raise InvalidResponse(f"{source} is not a readable calendar object.")
    for calendar in calendars:
        _attach_zones(calendar)
    merged_calendar = calendars[0]
    for other in calendars[1:]:
        merged_calendar.subcomponents += other.subcomponents
        merged_calendar.errors += other.errors
    return merged_calendar


def make_unreadable_calendar() -> Calendar:
    """Return a calendar object in place of an unreadable one: it is empty, and LOST is in its `errors`."""
    calendar = Calendar()
    calendar.errors.append((LOST, "not a calendar object"))
    return calendar


# --- lines ------------------------------------------------------------------------------------------------------------


def _iter_content_lines(text: str) -> Iterator[str]:
    """Yield the content lines (RFC 5545, 3.1), in which continuation lines are joined. For properties with times, even
    a continuation line without its leading blank is joined."""
    current = ""
    for line in _unfold_lines(text):
        if _REMAINDER_PATTERN.fullmatch(line) and _TIME_NAME_PATTERN.match(current):
            current += line
            continue
        if current:
            yield current
        current = line
    if current:
        yield current


def _unfold_lines(text: str) -> Iterator[str]:
    """Yield the lines, with correct continuation lines joined. Lines may end in CRLF, LF or CR."""
    pieces: list[str] = []
    for line in re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff").replace("\0", "")):
        if not line:
            continue
        if pieces and line[0] in " \t":
            pieces.append(line[1:])
            continue
        yield "".join(pieces)
        pieces = [line]
    yield "".join(pieces)


def _repair_line(line: str) -> tuple[str, Parameters, str] | None:
    """Return the name, no parameters, and the value of a property with times whose line breaks the grammar; None for a
    line of another property."""
    match = _TIME_NAME_PATTERN.match(line)
    if match is None:
        return None
    remainder = line[match.end() :]
    # A moment is not cut out here, because `_parse_moment_property` finds it in the line together with its TZID.
    value = remainder if match[1].upper() in _MOMENT_NAMES else remainder.rpartition(":")[2]
    return match[1], Parameters(), value.strip()


# --- components -------------------------------------------------------------------------------------------------------


class _LenientParser(ComponentIcalParser):
    """A parser that skips lines that it can't read, and closes components without an END line."""

    def parse_content_lines(self) -> None:
        for line in self._content_lines_iterator:
            self._parse_line(line)
        for component in self._stack:  # the components without an END line
            component.errors.append((CUT_OFF, "the text ends here"))
        self._close_components(len(self._stack))

    def prepare_components(self) -> None:
        """Do nothing, because `parse_calendar` attaches time zones to the parsed calendar object."""

    def _parse_line(self, line: Contentline) -> None:
        try:
            name, params, value = line.parts()
        except PARSE_ERRORS:
            parts = _repair_line(line)
            if parts is None:
                return
            name, params, value = parts
        name = name.upper()
        if name == "BEGIN":
            self._begin_component(value.strip().upper())
        elif name == "END":
            self._end_component(value.strip().upper())
        elif self.component is not None:
            self._add_property(name, params, value, line)

    def _begin_component(self, name: str) -> None:
        """Open a component, after closing the open components that can't contain it."""
        if name == "VCALENDAR":
            self._close_components(len(self._stack))
        elif not self._stack:
            self.handle_begin_component("VCALENDAR")
        elif name in _TOP_COMPONENTS:
            self._close_components(len(self._stack) - 1)
        self.handle_begin_component(name)

    def _end_component(self, name: str) -> None:
        """Close the innermost open component of that name, and all components inside it."""
        names = [component.name for component in self._stack]
        if name in names:
            self._close_components(len(names) - _find_last_index(names, name))
        elif name == "VEVENT" and self._stack:
            self._stack[0].errors.append((LOST, "an event has an END line, but no BEGIN line"))

    def _close_components(self, count: int) -> None:
        """Close the innermost open components, as many as `count`."""
        for _ in range(count):
            component = self._stack.pop()
            if self._stack:
                self._stack[-1].add_component(component)
            else:
                self._components.append(component)

    def _add_property(self, name: str, params: Parameters, value: str, line: Contentline) -> None:
        if name in _EVENT_ONLY_NAMES:  # inside an alarm: the alarm has no END line
            while len(self._stack) > 1 and self._stack[-1].name == "VALARM":
                self._close_components(1)
        component: Any = self.component
        if name == "DTSTART" and component.name == "VCALENDAR":
            component.errors.append((LOST, "an event has no BEGIN line"))
        try:
            if name in _TIME_NAMES and component.name != "VALARM":
                for prop in _parse_time_properties(name, params, value, line):
                    component.add(name, prop, encode=False)
            else:
                self.handle_property(name, params, value, line)
        except PARSE_ERRORS as error:
            component.errors.append((name, str(error)))

    def handle_property_parse_error(
        self, exception: Exception, name: str, params: Parameters, val: str, line: Contentline
    ) -> None:
        component: Any = self.component
        component.errors.append((name, str(exception)))
        component.add(name, _make_broken(name, params, val), encode=False)


def _find_last_index(names: list[Any], name: str) -> int:
    """Return the index of the last occurrence of `name`."""
    return len(names) - 1 - names[::-1].index(name)


def _make_broken(name: str, params: Parameters, value: str) -> vBroken:
    """Return the placeholder for a property that can't be parsed."""
    return vBroken.from_parse_error(value, params, name, "time", ValueError("can't be read"))


# --- values -----------------------------------------------------------------------------------------------------------


def _parse_time_properties(name: str, params: Parameters, value: str, line: str) -> Iterator[Any]:
    """Yield the properties that a line with times contains, parsed or as `vBroken`. A line with an empty list gives no
    property; a list of which some values can't be parsed gives two properties."""
    prop: Any = None
    if name in _MOMENT_NAMES:
        prop = _parse_moment_property(params, value, line)
    elif name in _LIST_NAMES:
        yield from _parse_list_properties(name, params, value)
        return
    elif name == "RRULE":
        prop = _parse_rule_property(value)
    else:
        prop = vText(value.strip())  # DURATION stays text: a timedelta can't tell a day from 24 hours
    if prop is None:
        yield _make_broken(name, params, value)
    else:
        prop.params = params
        yield prop


def _parse_moment_property(params: Parameters, value: str, line: str) -> vDDDTypes | None:
    """Return the value of a DTSTART, DTEND or RECURRENCE-ID; None when the value can't be read.

    An unquoted TZID with a colon makes the parser split the line in the wrong place, such as
    `DTSTART;TZID=(UTC+01:00) Berlin:20261102T090000` after `+01`. Then the moment is read from the end of the line, and
    the TZID in `params` is corrected.
    """
    moment = read_moment(value)
    if moment is None:
        match = _LAST_MOMENT_PATTERN.search(line)
        moment = read_moment(match[1]) if match else None
        if moment is not None and match is not None:
            _, _, zone = line[: match.start(1)].rstrip(":=").partition("TZID=")
            params["TZID"] = zone.strip('"') or params.get("TZID", "")
    return None if moment is None else vDDDTypes(moment)


def _parse_list_properties(name: str, params: Parameters, value: str) -> Iterator[Any]:
    """Yield an RDATE or EXDATE with the values that can be read, and a `vBroken` with the others."""
    items = [item for item in (part.strip() for part in value.split(",")) if item]
    if len(items) > _MAX_ITEMS:
        yield _make_broken(name, params, "too many values")
        return
    moments = [(item, _read_list_value(item)) for item in items]
    readable_moments = [moment for _, moment in moments if moment is not None]
    if readable_moments:
        prop: Any = vDDDLists([vDDDTypes(moment) for moment in readable_moments])
        prop.params = params
        yield prop
    if len(readable_moments) < len(items):
        yield _make_broken(name, params, ",".join(item for item, moment in moments if moment is None))


def _read_list_value(text: str) -> Any:
    """Return the value in `text` of an RDATE or EXDATE: a moment, or for a period a pair of its start and its end or
    length; None when the text can't be read."""
    start_text, slash, end_text = text.partition("/")
    start_moment = read_moment(start_text)
    if not slash:
        return start_moment
    if isinstance(start_moment, datetime):
        with suppress(*PARSE_ERRORS):
            end_moment = read_moment(end_text) or _parse_moment_or_duration(end_text)
            if isinstance(end_moment, timedelta | datetime):
                return start_moment, end_moment
    return None


def _parse_rule_property(text: str) -> vRecur | None:
    """Return the recurrence rule in `text`; None when it can't be read or has a part twice."""
    parts = [part.strip() for part in text.strip().removeprefix("RRULE:").split(";") if part.strip()]
    if not parts or any(part.count("=") != 1 for part in parts):
        return None
    names = [part.partition("=")[0].upper() for part in parts]
    if len(set(names)) < len(names):
        return None
    with suppress(*PARSE_ERRORS):
        rule = vRecur.from_ical(";".join("".join(part.split()) for part in parts))
        return rule if isinstance(rule, vRecur) else None
    return None


def read_moment(text: str) -> date | datetime | None:
    """Return the date, local time or aware time (in UTC) at the beginning of `text`; None for any other text.

    The format is that of iCalendar or ISO 8601, also in quotes. 24:00 is read as the following midnight, a leap second
    as the second before.
    """
    unquoted = text.strip().strip('"')
    match = _MOMENT_PATTERN.match(unquoted)
    if match is None:
        return None
    remainder = unquoted[match.end() :]
    if remainder[:1].isdigit():
        return None
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None:
            return None if remainder.strip() else day
        hour, minute, second = int(match[4]), int(match[5]), min(int(match[6] or 0), 59)
        midnight = datetime.combine(day, time())
        if (hour, minute, second) == (24, 0, 0):
            moment = midnight + timedelta(days=1)
        else:
            moment = midnight.replace(hour=hour, minute=minute, second=second)
        return _apply_offset(moment, match[7])
    except (ValueError, OverflowError):
        return None


def _apply_offset(moment: datetime, suffix: str | None) -> datetime:
    """Return the local time `moment` with its UTC offset `suffix` as an aware time; unchanged without an offset."""
    if not suffix:
        return moment
    if suffix.upper() == "Z":
        return moment.replace(tzinfo=UTC)
    return datetime.fromisoformat(f"{moment.isoformat()}{suffix}").astimezone(UTC)


# --- zones ------------------------------------------------------------------------------------------------------------


def _attach_zones(calendar: Calendar) -> None:
    """Give every local time with a TZID the time zone that the calendar object defines for this TZID."""
    zones = CalendarZones(calendar)
    for component in calendar.walk():
        if component.name not in ("VEVENT", "VFREEBUSY"):
            continue
        for name in (*_MOMENT_NAMES, *_LIST_NAMES):
            for prop in as_list(component.get(name, [])):
                zone = zones.find_zone(read_tzid(prop)) if read_tzid(prop) else None
                if zone is not None and not isinstance(prop, vBroken):
                    for value in getattr(prop, "dts", [prop]):  # an RDATE or EXDATE has its values in `dts`
                        value.dt = _place_in_zone(value.dt, zone)


def _place_in_zone(value: Any, zone: tzinfo) -> Any:
    """Return a local time, or the local times of a period, with that time zone; any other value unchanged."""
    if isinstance(value, tuple):
        return tuple(_place_in_zone(part, zone) for part in value)
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=zone)
    return value
