"""Time zones as Microsoft 365 names them, as the rest of the world does.

A mailbox says `W. Europe Standard Time`, or an IANA name, or nothing, or describes a zone of its own by its bias: the
minutes to add to local time to get UTC. The first is looked up in CLDR, the last is matched with a zone that has the
same clock all year.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from babel.core import get_global

#: Half a year from each other, so that summer and winter both are looked at, on either half of the earth.
_WINTER, _SUMMER = datetime(2027, 1, 15, 12, tzinfo=UTC), datetime(2027, 7, 15, 12, tzinfo=UTC)


def find_iana_name(name: str) -> str | None:
    """The IANA name of a zone that a mailbox names; None when nobody knows it."""
    plain = name.strip()
    for known in (plain, f"{plain} Standard Time"):  # some programs leave the end away
        if known in _load_windows_names():
            return _load_windows_names()[known]
    return plain if plain and plain in available_timezones() else None


def find_windows_name(zone: str, at: datetime) -> str:
    """A name that every mailbox takes for `zone`, with the same clock around `at`; `zone` itself when there is none."""
    return next((name for name, known in _load_windows_names().items() if known == zone), None) or next(
        (name for name, known in sorted(_load_windows_names().items()) if _has_same_clock(zone, known, at)), zone
    )


def find_zone_by_bias(described: Mapping[str, Any]) -> str | None:
    """The IANA name of a zone whose clock is like that of a described one; None when there is none."""
    try:
        bias = int(described["bias"])
        saved = int((described.get("daylightOffset") or {}).get("daylightBias") or 0)
    except (KeyError, TypeError, ValueError):
        return None
    winter = summer = timedelta(minutes=-bias)
    if saved:
        warm = _is_north(described)
        winter, summer = (
            (winter, summer - timedelta(minutes=saved)) if warm else (winter - timedelta(minutes=saved), summer)
        )
    found = (zone for zone in _list_candidates() if _read_offsets(zone) == (winter, summer))
    return next(found, None)


def _is_north(described: Mapping[str, Any]) -> bool:
    """Whether its clock goes forward in the first half of the year."""
    return int((described.get("daylightOffset") or {}).get("month") or 3) <= 6


@lru_cache(maxsize=1)
def _load_windows_names() -> Mapping[str, str]:
    """CLDR's table, by the name Windows has."""
    return {**get_global("windows_zone_mapping"), "UTC": "UTC"}


def _list_candidates() -> Iterator[str]:
    """Zones where people live, then those that are only an offset."""
    yield from sorted(set(_load_windows_names().values()), key=lambda zone: (zone.startswith("Etc/"), zone))


@lru_cache(maxsize=512)
def _read_offsets(zone: str) -> tuple[timedelta | None, timedelta | None]:
    place = ZoneInfo(zone)
    return _WINTER.astimezone(place).utcoffset(), _SUMMER.astimezone(place).utcoffset()


def _has_same_clock(zone: str, other: str, at: datetime) -> bool:
    days = [at + timedelta(days=n) for n in (0, 1, 91, 182)]
    here, there = ZoneInfo(zone), ZoneInfo(other)
    return all(day.astimezone(here).utcoffset() == day.astimezone(there).utcoffset() for day in days)
