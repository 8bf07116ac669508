"""Parses the time zones in directories: IANA names, Windows names, and display names of Windows and HR systems."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.providers.windows_zones import map_windows_names
from worker.settings.parsers import InvalidValue, list_zones, parse_zone, shorten_value

#: A display name such as `(UTC+01:00) Berlin`, `GMT+1 Berlin` or `UTC`: sign, hours and minutes of the offset, place.
_DISPLAY_NAME = re.compile(r"\(?\s*(?:UTC|GMT)\s*([+\u2212-])?\s*(\d{1,2})?(?::?([0-5]\d))?\s*\)?\s*[-,]?\s*(.*)", re.I)
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
#: Two instants at which the offsets of zones are compared: in northern winter and in northern summer.
_WINTER = datetime(2027, 1, 15, 12, tzinfo=UTC)
_SUMMER = datetime(2027, 7, 15, 12, tzinfo=UTC)


@lru_cache(maxsize=1024)
def parse_zone_name(text: str) -> str:
    """Return the IANA name of the time zone in a text. Raises InvalidValue.

    A place after an offset must have that offset in winter or summer. An offset without a place is refused, because it
    doesn't say when clocks change.
    """
    if text in list_zones():
        return text
    if zone := _find_by_windows_name(text):
        return zone
    match = _DISPLAY_NAME.fullmatch(text)
    offset = _read_offset(match) if match else None
    for place in _list_places(match[4] if match else text):
        zone = _find_zone_of_place(place, offset)
        if zone:
            return zone
    if match and match[2] and not match[4].strip():
        fault = f"`{shorten_value(text)}` is an offset: it does not tell when clocks change."
        raise InvalidValue(fault, "Write an IANA name such as `Europe/Berlin`.")
    return parse_zone(text)  # raises InvalidValue, and suggests the most similar name


def _read_offset(match: re.Match[str]) -> timedelta | None:
    """Return the offset in a match of _DISPLAY_NAME; None when it has none. Without a sign it is east of UTC."""
    sign, hours, minutes, _ = match.groups()
    if not hours:
        return None
    size = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return -size if sign in ("-", "\u2212") else size


def _list_places(text: str) -> Iterator[str]:
    """Yield the parts of a text that may be names of cities or zones: those in brackets, and those between commas."""
    in_brackets = _IN_BRACKETS.findall(text)
    yield from in_brackets
    yield from _IN_BRACKETS.sub("", text).split(",")


def _find_zone_of_place(place: str, offset: timedelta | None) -> str | None:
    """Return the zone with that Windows name or city, and with that offset if there is one; None when no zone matches,
    or when several zones with different offsets match."""
    name = " ".join(place.split())
    zone_of_windows_name = _find_by_windows_name(name.removesuffix(" Time"))
    candidates = [zone_of_windows_name] if zone_of_windows_name else _list_zones_by_city().get(name.casefold(), [])
    if offset is not None:
        candidates = [zone for zone in candidates if offset in _list_offsets(zone)]
    return candidates[0] if len({_list_offsets(zone) for zone in candidates}) == 1 else None


def _find_by_windows_name(name: str) -> str | None:
    """Return the zone with that Windows name; None without one. Some programs omit `Standard Time` at the end."""
    names = _fold_windows_names()
    return names.get(name.casefold()) or names.get(f"{name.casefold()} standard time")


@lru_cache(maxsize=1)
def _fold_windows_names() -> dict[str, str]:
    """Return the IANA names by case-folded Windows name."""
    names = {name.casefold(): zone for name, zone in map_windows_names().items()}
    return {**names, "(utc) coordinated universal time": "UTC", "coordinated universal time": "UTC"}


@lru_cache(maxsize=1)
def _list_zones_by_city() -> dict[str, list[str]]:
    """Return the IANA names by the city at their end, which is case-folded: `new york`."""
    zones: dict[str, list[str]] = {}
    for zone in sorted(list_zones()):
        region, _, city = zone.rpartition("/")
        if region and region.partition("/")[0] not in ("Etc", "SystemV", "posix", "right"):
            zones.setdefault(city.replace("_", " ").casefold(), []).append(zone)
    return zones


@lru_cache(maxsize=1024)
def _list_offsets(zone: str) -> tuple[timedelta | None, timedelta | None]:
    """Return the offsets from UTC in northern winter and summer."""
    info = ZoneInfo(zone)
    return _WINTER.astimezone(info).utcoffset(), _SUMMER.astimezone(info).utcoffset()
