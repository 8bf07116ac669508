"""Reads time zones as directories write them: IANA names, Windows names, and what Windows and HR systems display."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.providers.windows_zones import list_windows_names
from worker.settings.parsers import InvalidValue, list_zones, parse_zone, shorten_value

#: `(UTC+01:00) Berlin`, `GMT+1 Berlin`, `UTC`
_DISPLAY_NAME = re.compile(r"\(?\s*(?:UTC|GMT)\s*([+\u2212-])?\s*(\d{1,2})?(?::?([0-5]\d))?\s*\)?\s*[-,]?\s*(.*)", re.I)
_IN_BRACKETS = re.compile(r"\(([^()]*)\)")
_WINTER = datetime(2027, 1, 15, 12, tzinfo=UTC)
_SUMMER = datetime(2027, 7, 15, 12, tzinfo=UTC)


@lru_cache(maxsize=1024)
def parse_zone_name(text: str) -> str:
    """Return the IANA name of a time zone. Raises InvalidValue.

    A place behind an offset must have that offset in winter or summer. An offset alone is refused: it doesn't tell when
    clocks change.
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
        what = f"`{shorten_value(text)}` is an offset: it does not tell when clocks change."
        raise InvalidValue(what, "Write an IANA name such as `Europe/Berlin`.")
    return parse_zone(text)  # raises InvalidValue, with the nearest name


def _read_offset(match: re.Match[str]) -> timedelta | None:
    sign, hours, minutes, _ = match.groups()
    if not hours:
        return None
    size = timedelta(hours=int(hours), minutes=int(minutes or 0))
    return size if sign == "+" else -size


def _list_places(text: str) -> Iterator[str]:
    """Yield the names that may be those of a city or zone: what stands in brackets, and what commas separate."""
    in_brackets = _IN_BRACKETS.findall(text)
    yield from in_brackets
    yield from _IN_BRACKETS.sub("", text).split(",")


def _find_zone_of_place(place: str, offset: timedelta | None) -> str | None:
    name = " ".join(place.split())
    named = _find_by_windows_name(name.removesuffix(" Time"))
    candidates = [named] if named else _list_zones_by_city().get(name.casefold(), [])
    if offset is not None:
        candidates = [zone for zone in candidates if offset in _list_offsets(zone)]
    return candidates[0] if len({_list_offsets(zone) for zone in candidates}) == 1 else None


def _find_by_windows_name(name: str) -> str | None:
    """Return the zone with that Windows name, also without its last two words, as some programs write it."""
    names = _fold_windows_names()
    return names.get(name.casefold()) or names.get(f"{name.casefold()} standard time")


@lru_cache(maxsize=1)
def _fold_windows_names() -> dict[str, str]:
    names = {name.casefold(): zone for name, zone in list_windows_names().items()}
    return {**names, "(utc) coordinated universal time": "UTC", "coordinated universal time": "UTC"}


@lru_cache(maxsize=1)
def _list_zones_by_city() -> dict[str, list[str]]:
    """Return the IANA names by the city at their end, in small letters: `new york`."""
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
