"""Translates between the names of time zones in Windows and Microsoft 365 and their IANA names.

The settings of a mailbox in Microsoft 365 give the time zone by a Windows name such as `W. Europe Standard Time`, by an
IANA name, or not at all. Or they describe a custom zone by its bias: the minutes to add to local time to get UTC.
Windows names are looked up in CLDR; a custom zone is translated to an IANA zone with the same offsets in winter and
summer.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel.core import get_global

#: Two instants at which the offsets of zones are compared: in northern winter and in northern summer.
_WINTER = datetime(2027, 1, 15, 12, tzinfo=UTC)
_SUMMER = datetime(2027, 7, 15, 12, tzinfo=UTC)
#: The month in which daylight saving time begins in a custom zone that names none: March.
_DEFAULT_START_MONTH = 3
#: When daylight saving time begins in this month or later, the zone is in the southern hemisphere.
_FIRST_SOUTHERN_START_MONTH = 7


def find_iana_name(name: str) -> str | None:
    """Return the IANA name of the zone with that Windows or IANA name; None when no zone has it."""
    stripped = name.strip()
    iana_names = map_windows_names()
    for windows_name in (stripped, f"{stripped} Standard Time"):  # some programs leave out `Standard Time`
        if windows_name in iana_names:
            return iana_names[windows_name]
    return stripped if stripped and stripped in available_timezones() else None


def find_windows_name(zone: str, start: datetime) -> str:
    """Return a Windows name for an IANA zone: its own, else that of a zone with the same offsets in the half year after
    `start`; the IANA name itself when no zone has these offsets."""
    iana_names = map_windows_names()
    exact_names = (name for name, iana_name in iana_names.items() if iana_name == zone)
    similar_names = (
        name for name, iana_name in sorted(iana_names.items()) if _has_same_offsets(zone, iana_name, start)
    )
    return next(exact_names, None) or next(similar_names, zone)


def find_zone_by_bias(custom_zone: Mapping[str, Any]) -> str | None:
    """Return the IANA name of a zone with the same offsets as a mailbox's custom zone; None when no zone has them.

    `custom_zone`: a `customTimeZone` object of Microsoft Graph.
    """
    try:
        bias = int(custom_zone["bias"])
        daylight_bias = int((custom_zone.get("daylightOffset") or {}).get("daylightBias") or 0)
    except (KeyError, TypeError, ValueError):
        return None
    winter = summer = timedelta(minutes=-bias)
    if daylight_bias and _is_northern(custom_zone):
        summer -= timedelta(minutes=daylight_bias)
    elif daylight_bias:
        winter -= timedelta(minutes=daylight_bias)
    return next((zone for zone in _iter_candidates() if _compute_offsets(zone) == (winter, summer)), None)


def _is_northern(custom_zone: Mapping[str, Any]) -> bool:
    """Return whether daylight saving time begins in the first half of the year, as in the northern hemisphere."""
    start_month = int((custom_zone.get("daylightOffset") or {}).get("month") or _DEFAULT_START_MONTH)
    return start_month < _FIRST_SOUTHERN_START_MONTH


@lru_cache(maxsize=1)
def map_windows_names() -> Mapping[str, str]:
    """Return the IANA name of each time zone by its Windows name, from CLDR."""
    return {**get_global("windows_zone_mapping"), "UTC": "UTC"}


def _iter_candidates() -> Iterator[str]:
    """Yield the IANA names that have a Windows name: first the zones of places, then the fixed offsets from UTC."""
    yield from sorted(set(map_windows_names().values()), key=lambda zone: (zone.startswith("Etc/"), zone))


@lru_cache(maxsize=512)
def _compute_offsets(zone: str) -> tuple[timedelta | None, timedelta | None]:
    """Return the offsets from UTC in northern winter and summer."""
    info = ZoneInfo(zone)
    return _WINTER.astimezone(info).utcoffset(), _SUMMER.astimezone(info).utcoffset()


def _has_same_offsets(zone: str, other: str, start: datetime) -> bool:
    """Return whether two zones have the same offset at `start` and on three days in the half year after it.

    Half a year contains days with and without daylight saving time.
    """
    instants = [start + timedelta(days=days) for days in (0, 1, 91, 182)]
    info, other_info = ZoneInfo(zone), ZoneInfo(other)
    return all(
        instant.astimezone(info).utcoffset() == instant.astimezone(other_info).utcoffset() for instant in instants
    )
