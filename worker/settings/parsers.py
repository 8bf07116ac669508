"""Parsers of single values in the people file and in the settings, such as addresses, intervals, zones and dates.

A parser takes text without blanks at its ends and returns the value, or raises InvalidValue with the problem and its
remedy.
"""

import re
from collections.abc import Callable, Collection
from datetime import date
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError

from worker.clock import SUPPORTED_YEARS
from worker.domain.model import Address, Interval, Preference, WorkingHours
from worker.domain.time.worktime import is_known_country, parse_hours

#: Allowed lengths of a career session (T-1).
SESSION_MINUTES = range(60, 91)
#: The length of the longest name of a person, and of the longest directory id.
MAX_NAME_CHARS = 200
#: The length of the longest name of a department or team.
MAX_GROUP_CHARS = 80
#: The most ports in a range of ports.
MAX_LISTEN_PORTS = 100
MAX_PORT = 65_535
_MAX_PORT_DIGITS = 5
_MAX_MINUTES_DIGITS = 3
_MIN_WEEKDAY_LETTERS = 3  #: of an abbreviated weekday
#: The number of characters of a text that are compared with candidates.
_MAX_COMPARED_CHARS = 80
#: How similar a wrong zone has to be to a suggested one (see `find_nearest`): in its whole name, or in its city alone.
_ZONE_CUTOFF = 0.85
_CITY_CUTOFF = 0.8

#: Matches an e-mail address in lower case: 3 to 254 characters, of which up to 64 are before the `@`.
_ADDRESS = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_WEEKS_IN_QUARTER = 13
#: Matches `13 weeks` and `6 months`.
_INTERVAL = re.compile(r"(\d{1,3})\s*(week|month)s?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
#: Matches `tue 10:00`, `tuesday` and `10:00`; the groups are the day, the hour and the minute, or None.
_PREFERENCE = re.compile(r"(?:([a-z]+))?\s*(?:(\d{1,2}):(\d{2}))?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class InvalidValue(ValueError):
    """A value can't be used.

    `what` says what is wrong with the value, and the remedy what to write instead. A callable remedy is called only
    when the remedy is shown.
    """

    def __init__(self, what: str, remedy: str | Callable[[], str] = "") -> None:
        super().__init__(what)
        self.what = what
        self._remedy = remedy

    def build_remedy(self) -> str:
        """Return what to write instead."""
        return self._remedy if isinstance(self._remedy, str) else self._remedy()


def find_nearest(text: str, candidates: Collection[str], cutoff: float = 0.6) -> str:
    """Return the candidate that is most similar to the text; empty when none is similar enough.

    `cutoff` is the least similarity, from 0 (any text) to 1 (equal texts).
    """
    candidates_by_folded = {candidate.casefold(): candidate for candidate in candidates}
    matches = get_close_matches(text[:_MAX_COMPARED_CHARS].casefold(), candidates_by_folded, n=1, cutoff=cutoff)
    return candidates_by_folded[matches[0]] if matches else ""


def parse_address(text: str) -> Address:
    """Return an e-mail address in lower case. Raises InvalidValue."""
    address = text.strip().casefold()
    if not (text.isascii() and _ADDRESS.fullmatch(address)):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an e-mail address.", "Write it as `name@example.com`, without a name."
        )
    return address


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Return e-mail addresses that are separated by blanks, semicolons or commas, without repetitions.

    Raises InvalidValue.
    """
    return tuple(dict.fromkeys(parse_address(part) for part in re.split(r"[\s;,]+", text) if part))


def parse_directory_id(text: str) -> str:
    """Return a person's id in a directory, case-folded. Raises InvalidValue."""
    if " " in text or "@" in text or len(text) > MAX_NAME_CHARS:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a directory id.",
            "Write the object id of the user in Entra, without blanks, or leave the cell empty.",
        )
    return text.casefold()


def parse_interval(text: str) -> Interval:
    """Return the interval between two career sessions, which users call the rhythm. Raises InvalidValue.

    The text is `13 weeks`, `6 months` or the like, or `quarter`, which stands for 13 weeks. Intervals from four weeks
    to twelve months are allowed.
    """
    normalized = " ".join(text.casefold().split())
    if normalized == "quarter":
        return Interval(weeks=_WEEKS_IN_QUARTER)
    match = _INTERVAL.fullmatch(normalized)
    if not match:
        raise InvalidValue(f"`{shorten_value(text)}` is not a rhythm.", "Write `13 weeks`, `6 months` or `quarter`.")
    count = int(match[1])
    interval = Interval(weeks=count) if match[2] == "week" else Interval(months=count)
    if not (4 <= interval.weeks <= 52 or 1 <= interval.months <= 12):
        raise InvalidValue(
            f"`{shorten_value(text)}` is too short or too long.", "Write an interval from `4 weeks` to `12 months`."
        )
    return interval


def parse_locale(text: str) -> str:
    """Return the normalized code of a locale, such as `en` or `pt_BR`. Raises InvalidValue."""
    try:
        return _normalize_locale(text)
    except (ValueError, UnknownLocaleError):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a known language.", "Write a code such as `en`, `de` or `pt_BR`."
        ) from None


def parse_zone(text: str) -> str:
    """Return the text if it is the IANA name of a time zone. Raises InvalidValue."""
    if text not in list_zones():
        raise InvalidValue(f"`{shorten_value(text)}` is not a time zone.", lambda: _build_zone_remedy(text))
    return text


@lru_cache(maxsize=1024)
def _build_zone_remedy(text: str) -> str:
    candidate = text.strip().replace(" ", "_")
    zones_by_city = {zone.rpartition("/")[2]: zone for zone in sorted(list_zones())}
    nearest_city = find_nearest(candidate.rpartition("/")[2], zones_by_city, _CITY_CUTOFF)
    suggestion = find_nearest(candidate, list_zones(), _ZONE_CUTOFF) or zones_by_city.get(nearest_city, "")
    return f"Did you mean `{suggestion}`?" if suggestion else "Write an IANA name such as `Europe/Berlin`."


@lru_cache(maxsize=256)
def _normalize_locale(text: str) -> str:
    return str(Locale.parse(text.strip().replace("-", "_")))


@lru_cache(maxsize=1)
def list_zones() -> frozenset[str]:
    """Return the IANA names of all time zones."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


@lru_cache(maxsize=1024)
def parse_working_hours(text: str) -> WorkingHours:
    """Return working hours that are written in the format of `worktime.parse_hours`. Raises InvalidValue."""
    try:
        return parse_hours(text)
    except ValueError as error:
        raise InvalidValue(shorten_value(str(error), max_chars=200)) from None


def parse_name(text: str) -> str:
    """Return the name of a person, with single blanks. Raises InvalidValue."""
    if len(text) > MAX_NAME_CHARS:
        raise InvalidValue(
            f"The name is longer than {MAX_NAME_CHARS} characters.", "Write the name by which people know each other."
        )
    return " ".join(text.split())


def parse_group(text: str) -> str:
    """Return the name of a department or team, with single blanks. Raises InvalidValue."""
    if len(text) > MAX_GROUP_CHARS:
        raise InvalidValue(
            f"The group is longer than {MAX_GROUP_CHARS} characters.", "Write the short name of a department or team."
        )
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def parse_country(text: str) -> str:
    """Return the code of a country or of a part of one, in upper case. Raises InvalidValue.

    Its public holidays have to be known.
    """
    country = text.upper()
    if not is_known_country(country):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a country whose holidays are known.", "Write a code: `DE`, or `DE-BY`."
        )
    return country


def parse_minutes(text: str) -> int:
    """Return the length of a career session, in minutes. Raises InvalidValue."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MAX_MINUTES_DIGITS
    if not is_number or int(text) not in SESSION_MINUTES:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not the length of a session.", "Write the minutes, from `60` to `90`."
        )
    return int(text)


def parse_date(text: str) -> date:
    """Return a date, which is written as `2027-02-15`. Raises InvalidValue, also outside of SUPPORTED_YEARS."""
    try:
        day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise InvalidValue(f"`{shorten_value(text)}` is not a date.", "Write it as year-month-day: `2027-02-15`.")
    if day.year not in SUPPORTED_YEARS:
        raise InvalidValue(
            f"`{shorten_value(text)}` is too far away.",
            f"Write a year from `{SUPPORTED_YEARS[0]}` to `{SUPPORTED_YEARS[-1]}`.",
        )
    return day


def parse_boolean(text: str) -> bool:
    """Return the boolean for `yes`, `no` and their synonyms. Raises InvalidValue."""
    if text.casefold() not in _BOOLEANS:
        raise InvalidValue(f"`{shorten_value(text)}` is neither yes nor no.", "Write `yes` or `no`.")
    return _BOOLEANS[text.casefold()]


def parse_listen_address(text: str) -> str:
    """Return the text if it is an address and a port to listen at, as `127.0.0.1:8030`. Raises InvalidValue."""
    host, _, port = text.rpartition(":")
    if not host or not _is_port(port):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an address to listen at.", "Write an address and a port: `127.0.0.1:8030`."
        )
    return text


def parse_listen_range(text: str) -> str:
    """Return the text if it is an address and a port, or an address and a range of ports. Raises InvalidValue."""
    first, hyphen, last = text.rpartition(":")[2].partition("-")
    if not hyphen:
        return parse_listen_address(text)
    parse_listen_address(text.removesuffix(f"-{last}"))
    if not _is_port(last) or not 0 < int(first) <= int(last) < int(first) + MAX_LISTEN_PORTS:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a range of up to {MAX_LISTEN_PORTS} ports.",
            "Write the first and the last port: `127.0.0.1:9464-9467`.",
        )
    return text


def list_listen_addresses(text: str) -> list[str]:
    """Return each address in a text that `parse_listen_range` accepts, as `host:port`."""
    host, _, ports = text.rpartition(":")
    first, _, last = ports.partition("-")
    return [f"{host}:{port}" for port in range(int(first), int(last or first) + 1)]


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_PORT_DIGITS and int(text) <= MAX_PORT


def parse_preference(text: str) -> Preference:
    """Return a preferred weekday, a preferred time of day, or both. Raises InvalidValue.

    The text is `Tue 10:00`, `Tuesday` or `10:00`.
    """
    error = InvalidValue(f"`{shorten_value(text)}` is not a day and a time.", "Write `Tue 10:00`, `Tue` or `10:00`.")
    match = _PREFERENCE.fullmatch(text.casefold())
    if not match:
        raise error
    day_name, hour, minute = match.groups()
    weekday = _find_weekday(day_name) if day_name else None
    has_valid_time = bool(hour) and int(hour) < 24 and int(minute) < 60
    if (day_name and weekday is None) or (hour and not has_valid_time):
        raise error
    return Preference(weekday=weekday, minute=int(hour) * 60 + int(minute) if hour else None)


def _find_weekday(name: str) -> int | None:
    """Return the number of a weekday, 0 for Monday, by the beginning of its name; None when there is no such day."""
    if len(name) < _MIN_WEEKDAY_LETTERS:
        return None
    return next((index for index, weekday in enumerate(_WEEKDAYS) if weekday.startswith(name)), None)


def make_choice_parser(choices: Collection[str]) -> Callable[[str], str]:
    """Return a parser that accepts one of the choices in any case, and returns it in lower case."""

    def parse(text: str) -> str:
        if text.casefold() in choices:
            return text.casefold()
        quoted_choices = ", ".join(f"`{choice}`" for choice in choices)
        raise InvalidValue(
            f"`{shorten_value(text)}` is not one of {quoted_choices}.",
            lambda: f"Did you mean `{nearest}`?" if (nearest := find_nearest(text, choices)) else "Write one of these.",
        )

    return parse


def shorten_value(text: str, max_chars: int = 60) -> str:
    """Return the value shortened for a message, with `?` in place of characters that are not printable."""
    printable = "".join(char if char.isprintable() else "?" for char in text[: max_chars + 1])
    return printable if len(printable) <= max_chars else printable[: max_chars - 1] + "…"
