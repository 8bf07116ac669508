"""Resolves the time zones that calendar objects name and define.

A calendar object names a time zone by its TZID, and may define the zone in a VTIMEZONE. A TZID is looked up in this
order: as an IANA name, whose rules are newer than those in a VTIMEZONE; as the last part of a vendor's name
(`/mozilla.org/20050126_1/Europe/Berlin`); as a Windows name; in the VTIMEZONEs of the object; and as a display name
(`(UTC+01:00) Amsterdam, Berlin`). A short name such as `EST`, which programs use for different zones, is looked up in
the VTIMEZONEs first.

Zones are cached for one calendar object only, because two objects may define one name differently.
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
from worker.providers.ical.values import PARSE_ERRORS, as_list

#: Short names that always mean UTC, case-folded.
_UTC_NAMES = frozenset({"utc", "gmt", "z", "zulu", "etc/utc", "etc/gmt"})
#: A UTC offset at the beginning of a display name, such as `UTC+01:00` or `GMT-5`. Its sign may be U+2212, the minus of
#: typeset texts.
_OFFSET_PATTERN = re.compile(r"^\W*(?:UTC|GMT)?\s*([+\-\u2212])(\d{1,2}):?(\d{2})?(?!\d)", re.IGNORECASE)
_read_rules: Any = tzical  # Any: dateutil has no types for it
_MAX_VALUES = 12  #: how many values one part of a VTIMEZONE's rule may have
_SAMPLE_YEAR = 2027  #: the year whose offsets are taken for those that a zone has at present


class CalendarZones:
    """Finds the time zones of one calendar object by their names."""

    def __init__(self, calendar: Calendar) -> None:
        self._definitions: dict[str, list[Any]] = {}
        for definition in calendar.walk("VTIMEZONE"):
            self._definitions.setdefault(_normalize_name(definition.get("TZID", "")), []).append(definition)
        self._resolved: dict[str, tzinfo | None] = {}

    def find_zone(self, name: str) -> tzinfo | None:
        """Return the time zone to which `name` refers in this calendar object; None when it can't be resolved."""
        if name not in self._resolved:
            self._resolved[name] = self._resolve_zone(name)
        return self._resolved[name]

    def _resolve_zone(self, name: str) -> tzinfo | None:
        key = _normalize_name(name)
        is_short_name = "/" not in key and key not in _UTC_NAMES and key in _load_iana_names()
        if is_short_name:
            return self._find_defined_zone(key) or find_zone_by_name(name)
        # A name is guessed only when the object does not define it.
        return find_zone_by_name(name, guess=False) or self._find_defined_zone(key) or find_zone_by_name(name)

    def _find_defined_zone(self, key: str) -> tzinfo | None:
        """Return the time zone of the first valid VTIMEZONE with the normalized name `key`; None without one."""
        for definition in self._definitions.get(key, []):
            location = find_zone_by_name(str(definition.get("X-LIC-LOCATION", "")), guess=False)
            if zone := location or _build_zone(definition):
                return zone
        return None


def find_zone_by_name(name: str, *, guess: bool = True) -> tzinfo | None:
    """Return the time zone with that IANA name, vendor's name or Windows name, or with `guess` also the zone of a city
    or an offset in the name; None when no zone is found."""
    text = _strip_quotes(name)
    iana_name = _load_iana_names().get(_normalize_name(name)) or _find_vendor_suffix(text)
    if iana_name is None and text.casefold().endswith(" standard time"):
        iana_name = windows_zones.find_iana_name(text)
    if iana_name:
        return ZoneInfo(iana_name)
    return _guess_zone(text) if guess and text else None


def find_owner_zone(calendar: Calendar) -> tzinfo | None:
    """Return the time zone of the owner of a calendar object: its X-WR-TIMEZONE, else the zone that most of its events
    have, else its first valid VTIMEZONE. Returns None when the object names no time zone."""
    zones = CalendarZones(calendar)
    owner_zone = str(calendar.get("X-WR-TIMEZONE", ""))
    if owner_zone and (zone := zones.find_zone(owner_zone)):
        return zone
    event_counts = Counter(name for event in calendar.walk("VEVENT") if (name := read_tzid(event.get("DTSTART"))))
    defined_names = [str(definition.get("TZID", "")) for definition in calendar.walk("VTIMEZONE")]
    ranked_names = [name for name, _ in event_counts.most_common()] + defined_names
    return next((zone for zone in map(zones.find_zone, ranked_names) if zone), None)


def read_tzid(prop: Any) -> str:
    """Return the TZID parameter of a property; empty when it has none."""
    value = getattr(prop, "params", {}).get("TZID", "")
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


# --- names ------------------------------------------------------------------------------------------------------------


def _strip_quotes(name: str) -> str:
    return name.replace("\\", "").strip().strip('"').strip()


def _normalize_name(name: Any) -> str:
    """Return the form of a name that is compared: case-folded, without quotes, with single blanks."""
    return " ".join(_strip_quotes(str(name)).casefold().split())


@cache
def _load_iana_names() -> dict[str, str]:
    """Return all IANA names by their case-folded form."""
    names = {name.casefold(): name for name in available_timezones()} | {"z": "UTC"}
    names.pop("localtime", None)  # on some systems: the time zone of the machine
    return names


def _find_vendor_suffix(name: str) -> str | None:
    """Return the IANA name at the end of a vendor's name; None when the name doesn't end in one."""
    parts = name.split("/")
    suffixes = ("/".join(parts[first:]).casefold() for first in range(1, len(parts)))
    return next((_load_iana_names()[suffix] for suffix in suffixes if suffix in _load_iana_names()), None)


def _guess_zone(name: str) -> tzinfo | None:
    """Return the time zone of a display name: that of the first city in the name whose offset matches, else that of the
    Windows name, else a fixed zone with the offset; None when none of these is found."""
    without_bracket = re.sub(r"\((?=(?:UTC|GMT))", "", name, flags=re.IGNORECASE)
    match = _OFFSET_PATTERN.match(without_bracket)
    cities = re.sub(r"\([^)]*\)", "", name).strip()  # the name without what is in brackets
    offset = _parse_offset(match) if match else None
    for city in cities.split(","):
        for iana_name in _iter_city_zones(city.strip().replace(" ", "_").casefold()):
            if offset is None or offset in _list_offsets(iana_name):
                return ZoneInfo(iana_name)
    windows_name = re.sub(r" time$", "", cities, flags=re.IGNORECASE)
    if iana_name_of_windows_name := windows_zones.find_iana_name(windows_name):
        return ZoneInfo(iana_name_of_windows_name)
    return None if offset is None else timezone(offset)


def _parse_offset(match: re.Match[str]) -> timedelta | None:
    """Return the offset in a match of _OFFSET_PATTERN; None when it is a day or more."""
    size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if size >= timedelta(hours=24):
        return None
    return size if match[1] == "+" else -size


def _iter_city_zones(city: str) -> Iterator[str]:
    """Return the IANA names that end in that city, which is case-folded and has underscores in place of blanks."""
    return (name for key, name in _load_iana_names().items() if "/" in key and key.rpartition("/")[2] == city)


def _list_offsets(name: str) -> set[timedelta | None]:
    """Return the UTC offsets of the zone in January and July: its standard time, and its summer time if it has one."""
    zone = ZoneInfo(name)
    return {datetime(_SAMPLE_YEAR, month, 15, tzinfo=zone).utcoffset() for month in (1, 7)}


# --- VTIMEZONE --------------------------------------------------------------------------------------------------------


def _build_zone(definition: Any) -> tzinfo | None:
    """Return the time zone that a VTIMEZONE defines; None when its rules can't be interpreted."""
    try:
        lines = [line for part in definition.subcomponents for line in _format_observance(part)]
        text = "\r\n".join(["BEGIN:VTIMEZONE", "TZID:own", *lines, "END:VTIMEZONE", ""])
        zone: tzinfo = _read_rules(StringIO(text)).get()
        for year in (1970, _SAMPLE_YEAR):
            datetime(year, 7, 1, tzinfo=zone).utcoffset()  # raises for rules that can't be computed
    except PARSE_ERRORS:
        return None
    return zone


def _format_observance(part: Any) -> Iterator[str]:
    """Yield the lines of a STANDARD or DAYLIGHT part of a VTIMEZONE, with only the properties that define its times.
    Any other part yields nothing."""
    if part.name not in ("STANDARD", "DAYLIGHT"):
        return
    yield f"BEGIN:{part.name}"
    yield f"DTSTART:{_format_wall_time(part['DTSTART'].dt)}"
    for name in ("TZOFFSETFROM", "TZOFFSETTO"):
        yield f"{name}:{_format_offset(part[name].td)}"
    for rule in as_list(part.get("RRULE", [])):
        yield f"RRULE:{_format_rule(rule)}"
    for line in as_list(part.get("RDATE", [])):
        yield f"RDATE:{','.join(_format_wall_time(value.dt) for value in line.dts)}"
    yield f"END:{part.name}"


def _format_offset(offset: timedelta) -> str:
    minutes = round(abs(offset).total_seconds() / 60)
    return f"{'-' if offset < timedelta() else '+'}{minutes // 60:02}{minutes % 60:02}"


def _format_wall_time(value: Any) -> str:
    if not isinstance(value, datetime):
        value = datetime.combine(value, datetime.min.time())
    return f"{value.year:04}{value:%m%dT%H%M%S}"


def _format_rule(rule: Any) -> str:
    """Return the text of a recurrence rule. Raises ValueError for a rule that is not yearly or has too many values."""
    if not isinstance(rule, vRecur) or rule.get("FREQ") != ["YEARLY"]:
        raise ValueError("a rule that is not yearly")
    if any(len(as_list(value)) > _MAX_VALUES for value in rule.values()):
        raise ValueError("too many values in a rule")
    text: Any = rule
    return str(text.to_ical(), "ascii")
