"""Translates between the time zones of Microsoft 365 and IANA names.

A mailbox has a Windows name such as `W. Europe Standard Time`, an IANA name, nothing, or a custom zone that is
described by its bias: the minutes to add to local time to get UTC. Windows names are looked up in CLDR; a custom zone
is matched with a zone that has the same offsets in winter and summer.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel.core import get_global

#: Two instants at which zones are compared, in northern winter and northern summer.
_WINTER = datetime(2027, 1, 15, 12, tzinfo=UTC)
_SUMMER = datetime(2027, 7, 15, 12, tzinfo=UTC)


def find_iana_name(name: str) -> str | None:
    """Return the IANA name of a zone by its Windows or IANA name; None when it is unknown."""
    stripped = name.strip()
    for windows_name in (stripped, f"{stripped} Standard Time"):  # some programs leave out the last two words
        if windows_name in list_windows_names():
            return list_windows_names()[windows_name]
    return stripped if stripped and stripped in available_timezones() else None


def find_windows_name(zone: str, at: datetime) -> str:
    """Return a Windows name for an IANA zone: its own, else that of a zone with the same offsets in the half year after
    `at`; `zone` itself when there is none."""
    names = list_windows_names()
    exact_names = (name for name, iana_name in names.items() if iana_name == zone)
    similar_names = (name for name, iana_name in sorted(names.items()) if _has_same_clock(zone, iana_name, at))
    return next(exact_names, None) or next(similar_names, zone)


def find_zone_by_bias(custom_zone: Mapping[str, Any]) -> str | None:
    """Return the IANA name of a zone with the same offsets as a mailbox's custom zone; None when there is none.

    `custom_zone`: Graph's `customTimeZone`.
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
    return next((zone for zone in _iter_candidates() if _read_offsets(zone) == (winter, summer)), None)


def _is_northern(custom_zone: Mapping[str, Any]) -> bool:
    """Whether daylight saving time begins in the first half of the year."""
    return int((custom_zone.get("daylightOffset") or {}).get("month") or 3) <= 6


@lru_cache(maxsize=1)
def list_windows_names() -> Mapping[str, str]:
    """Return the IANA names of time zones by their Windows names, from CLDR."""
    return {**get_global("windows_zone_mapping"), "UTC": "UTC"}


def _iter_candidates() -> Iterator[str]:
    """Yield the zones with a Windows name: those of places first, then those that are only an offset."""
    yield from sorted(set(list_windows_names().values()), key=lambda zone: (zone.startswith("Etc/"), zone))


@lru_cache(maxsize=512)
def _read_offsets(zone: str) -> tuple[timedelta | None, timedelta | None]:
    """Return the offsets from UTC in northern winter and summer."""
    info = ZoneInfo(zone)
    return _WINTER.astimezone(info).utcoffset(), _SUMMER.astimezone(info).utcoffset()


def _has_same_clock(zone: str, other: str, at: datetime) -> bool:
    """Whether two zones have the same offset at `at` and on three days in the half year after it."""
    instants = [at + timedelta(days=days) for days in (0, 1, 91, 182)]
    info, other_info = ZoneInfo(zone), ZoneInfo(other)
    return all(then.astimezone(info).utcoffset() == then.astimezone(other_info).utcoffset() for then in instants)
