"""Time zones as calendar objects name and define them.

A name is looked up in this order: the IANA database, whose rules are newer than those that a file carries; the names
that Windows uses; the last part of a vendor's name (`/mozilla.org/20050126_1/Europe/Berlin`); the file's own VTIMEZONE;
at last what a display name says (`(UTC+01:00) Amsterdam, Berlin`). A short name such as `EST`, which means different
things to different programs, is taken from the file's own VTIMEZONE first.

Nothing here outlives the calendar object it was read from: two files may define one name differently.
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cache
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from dateutil.tz import tzical
from icalendar import Calendar
from icalendar.prop import vRecur

from worker.providers import windows_zones

#: What the libraries raise over zones that make no sense.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)
_UNIVERSAL = frozenset({"utc", "gmt", "z", "zulu", "etc/utc", "etc/gmt"})
_OFFSET = re.compile(r"^\W*(?:UTC|GMT)?\s*([+-\u2212])(\d{1,2}):?(\d{2})?(?!\d)", re.IGNORECASE)
_read_rules: Any = tzical  # as the next one, without types
_MOST_VALUES = 12  #: how many values a part of a VTIMEZONE's rule may have


class CalendarZones:
    """The zones of one calendar object."""

    def __init__(self, calendar: Calendar) -> None:
        self._definitions: dict[str, list[Any]] = {}
        for definition in calendar.walk("VTIMEZONE"):
            self._definitions.setdefault(_normalize_name(definition.get("TZID", "")), []).append(definition)
        self._resolved: dict[str, tzinfo | None] = {}

    def find_zone(self, name: str) -> tzinfo | None:
        """The zone that this calendar object means by `name`; None when nothing tells."""
        if name not in self._resolved:
            self._resolved[name] = self._resolve_zone(name)
        return self._resolved[name]

    def _resolve_zone(self, name: str) -> tzinfo | None:
        plain = _normalize_name(name)
        if "/" not in plain and plain not in _UNIVERSAL and plain in _load_iana_names():
            return self._find_defined_zone(plain) or find_zone_by_name(name)
        return find_zone_by_name(name, guess=False) or self._find_defined_zone(plain) or find_zone_by_name(name)

    def _find_defined_zone(self, plain: str) -> tzinfo | None:
        for definition in self._definitions.get(plain, []):
            location = find_zone_by_name(str(definition.get("X-LIC-LOCATION", "")), guess=False)
            if zone := location or _build_zone(definition):
                return zone
        return None


def find_zone_by_name(name: str, *, guess: bool = True) -> tzinfo | None:
    """The zone of that name, without looking at any definition. With `guess` also by a city or an offset in it."""
    text = _strip_quotes(name)
    known = _load_iana_names().get(_normalize_name(name)) or _find_vendor_suffix(text)
    if known is None and text.casefold().endswith(" standard time"):
        known = windows_zones.find_iana_name(text)
    if known:
        return ZoneInfo(known)
    return _guess_zone(text) if guess and text else None


def zone_of(calendar: Calendar) -> tzinfo | None:
    """The zone that a calendar object names for its owner: X-WR-TIMEZONE, else the VTIMEZONE that most of its events
    use, else its first VTIMEZONE that makes sense. None when it names none."""
    zones = CalendarZones(calendar)
    named = str(calendar.get("X-WR-TIMEZONE", ""))
    if named and (zone := zones.find_zone(named)):
        return zone
    used = Counter(name for event in calendar.walk("VEVENT") if (name := tzid_of(event.get("DTSTART"))))
    defined = [str(part.get("TZID", "")) for part in calendar.walk("VTIMEZONE")]
    ranked = [name for name, _ in used.most_common()] + defined
    return next((zone for zone in map(zones.find_zone, ranked) if zone), None)


def tzid_of(prop: Any) -> str:
    """The TZID parameter of a property; empty without one."""
    value = getattr(prop, "params", {}).get("TZID", "")
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


# --- names ----------------------------------------------------------------------------------------------------------


def _strip_quotes(name: str) -> str:
    return name.replace("\\", "").strip().strip('"').strip()


def _normalize_name(name: Any) -> str:
    """The form in which names are compared."""
    return " ".join(_strip_quotes(str(name)).casefold().split())


@cache
def _load_iana_names() -> dict[str, str]:
    names = {name.casefold(): name for name in available_timezones()} | {"z": "UTC"}
    names.pop("localtime", None)  # the machine's own, where it has one
    return names


def _find_vendor_suffix(name: str) -> str | None:
    parts = name.split("/")
    suffixes = ("/".join(parts[first:]).casefold() for first in range(1, len(parts)))
    return next((_load_iana_names()[suffix] for suffix in suffixes if suffix in _load_iana_names()), None)


def _guess_zone(name: str) -> tzinfo | None:
    """The zone of a display name, by a city with that offset, by the name Windows gives it, or by the offset alone."""
    inner = re.sub(r"\((?=(?:UTC|GMT))", "", name, flags=re.IGNORECASE)
    match = _OFFSET.match(inner)
    words = re.sub(r"\([^)]*\)", "", name).strip()
    offset = _parse_offset(match) if match else None
    for city in words.split(","):
        for known in _iter_city_zones(city.strip().replace(" ", "_").casefold()):
            if offset is None or offset in _list_offsets(known):
                return ZoneInfo(known)
    by_windows = windows_zones.find_iana_name(re.sub(r" time$", "", words, flags=re.IGNORECASE))
    if by_windows:
        return ZoneInfo(by_windows)
    return None if offset is None else timezone(offset)


def _parse_offset(match: re.Match[str]) -> timedelta | None:
    size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if size >= timedelta(hours=24):
        return None
    return size if match[1] == "+" else -size


def _iter_city_zones(city: str) -> Iterator[str]:
    return (known for plain, known in _load_iana_names().items() if "/" in plain and plain.rpartition("/")[2] == city)


def _list_offsets(name: str) -> set[timedelta | None]:
    zone = ZoneInfo(name)
    return {datetime(2027, month, 15, tzinfo=zone).utcoffset() for month in (1, 7)}


# --- a file's own rules ---------------------------------------------------------------------------------------------


def _build_zone(definition: Any) -> tzinfo | None:
    """The zone that a VTIMEZONE defines; None when its rules can't be followed."""
    try:
        parts = [line for part in definition.subcomponents for line in _format_observance(part)]
        text = "\r\n".join(["BEGIN:VTIMEZONE", "TZID:own", *parts, "END:VTIMEZONE", ""])
        zone: tzinfo = _read_rules(StringIO(text)).get()
        for year in (1970, 2027):
            datetime(year, 7, 1, tzinfo=zone).utcoffset()
    except _UNREADABLE:
        return None
    return zone


def _format_observance(part: Any) -> Iterator[str]:
    """STANDARD or DAYLIGHT with nothing but what tells its times."""
    if part.name not in ("STANDARD", "DAYLIGHT"):
        return
    yield f"BEGIN:{part.name}"
    yield f"DTSTART:{_format_wall_time(part['DTSTART'].dt)}"
    for name in ("TZOFFSETFROM", "TZOFFSETTO"):
        yield f"{name}:{_format_offset(part[name].td)}"
    for rule in _as_list(part.get("RRULE", [])):
        yield f"RRULE:{_format_rule(rule)}"
    for line in _as_list(part.get("RDATE", [])):
        yield f"RDATE:{','.join(_format_wall_time(one.dt) for one in line.dts)}"
    yield f"END:{part.name}"


def _format_offset(offset: timedelta) -> str:
    minutes = round(abs(offset).total_seconds() / 60)
    return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02}{minutes % 60:02}"


def _format_wall_time(value: Any) -> str:
    if not isinstance(value, datetime):
        value = datetime.combine(value, datetime.min.time())
    return f"{value.year:04}{value:%m%dT%H%M%S}"


def _format_rule(rule: Any) -> str:
    """The rule as text. Raises ValueError for one that happens more often than clocks change."""
    if not isinstance(rule, vRecur) or rule.get("FREQ") != ["YEARLY"]:
        raise ValueError("clocks change by the year")
    if any(len(_as_list(value)) > _MOST_VALUES for value in rule.values()):
        raise ValueError("more values than a change of clocks needs")
    text: Any = rule
    return str(text.to_ical(), "ascii")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
