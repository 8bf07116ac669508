"""What a person may write in the people file and in the settings: addresses, rhythms, zones, dates.

Each reader takes text without blanks around it and returns a value, or raises `Unfit`, which says what is wrong and
what to write instead.
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

#: Lengths a career session may be given (T-1), in minutes.
SESSION_MINUTES = range(60, 91)
MAX_NAME_LENGTH = 200

_ADDRESS = re.compile(
    r"(?=.{3,254}\Z)(?=[^@]{1,64}@)[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_EVERY = re.compile(r"(\d{1,3})\s*(week|month)s?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PREFER = re.compile(r"(?:([a-z]+))?\s*(?:(\d{1,2}):(\d{2}))?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_BOOLEANS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class InvalidValue(ValueError):
    """A value that can't be used. What to write instead is worked out only when somebody will read it."""

    def __init__(self, what: str, remedy: str | Callable[[], str] = "") -> None:
        super().__init__(what)
        self.what = what
        self._remedy = remedy

    def build_remedy(self) -> str:
        """What to write instead."""
        return self._remedy if isinstance(self._remedy, str) else self._remedy()


def find_nearest(given: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """The one of `known` that was most likely meant, or nothing."""
    plain = {name.casefold(): name for name in known}
    found = get_close_matches(given[:80].casefold(), plain, 1, cutoff)
    return plain[found[0]] if found else ""


def parse_address(text: str) -> Address:
    """An e-mail address, in lower case. Raises Unfit."""
    address = text.strip().casefold()
    if not (text.isascii() and _ADDRESS.fullmatch(address)):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an e-mail address.", "Write it as `name@example.com`, without a name."
        )
    return address


def parse_addresses(text: str) -> tuple[Address, ...]:
    """Several e-mail addresses, parted by blanks, semicolons or commas, each once. Raises Unfit."""
    return tuple(dict.fromkeys(parse_address(one) for one in re.split(r"[\s;,]+", text) if one))


def parse_directory_id(text: str) -> tuple[str, ...]:
    """The id by which a directory knows a person, in lower case, alone. Raises Unfit."""
    if " " in text or "@" in text or len(text) > MAX_NAME_LENGTH:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an id of a directory.", "Write the object id, without blanks, or nothing."
        )
    return (text.casefold(),)


def parse_every(text: str) -> Interval:
    """A rhythm between four weeks and twelve months: `13 weeks`, `6 months`, `quarter`. Raises Unfit."""
    plain = " ".join(text.casefold().split())
    if plain == "quarter":
        return Interval(weeks=13)
    found = _EVERY.fullmatch(plain)
    if not found:
        raise InvalidValue(f"`{shorten_value(text)}` is not a rhythm.", "Write `13 weeks`, `6 months` or `quarter`.")
    count = int(found[1])
    every = Interval(weeks=count) if found[2] == "week" else Interval(months=count)
    if not (4 <= every.weeks <= 52 or 1 <= every.months <= 12):
        raise InvalidValue(
            f"`{shorten_value(text)}` is too short or too long.", "Write something from `4 weeks` to `12 months`."
        )
    return every


def parse_locale(text: str) -> str:
    """A language that is known, as `en` or `pt_BR`. Raises Unfit."""
    try:
        return _normalize_locale(text)
    except (ValueError, UnknownLocaleError):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a known language.", "Write a code such as `en`, `de` or `pt_BR`."
        ) from None


def parse_zone(text: str) -> str:
    """The IANA name of a time zone. Raises Unfit."""
    if text not in _list_zones():
        raise InvalidValue(f"`{shorten_value(text)}` is not a time zone.", lambda: _build_zone_remedy(text))
    return text


@lru_cache(maxsize=1024)
def _build_zone_remedy(text: str) -> str:
    given = text.strip().replace(" ", "_")
    cities = {name.rpartition("/")[2]: name for name in sorted(_list_zones())}
    near = find_nearest(given, _list_zones(), 0.85) or cities.get(
        find_nearest(given.rpartition("/")[2], cities, 0.8), ""
    )
    return f"Did you mean `{near}`?" if near else "Write an IANA name such as `Europe/Berlin`."


@lru_cache(maxsize=256)
def _normalize_locale(text: str) -> str:
    return str(Locale.parse(text.strip().replace("-", "_")))


@lru_cache(maxsize=1)
def _list_zones() -> frozenset[str]:
    return frozenset(available_timezones() - {"Factory", "localtime"})


@lru_cache(maxsize=1024)
def parse_working_hours(text: str) -> WorkingHours:
    """Working hours, as `worktime.parse_hours` reads them. Raises Unfit."""
    try:
        return parse_hours(text)
    except ValueError as error:
        raise InvalidValue(shorten_value(str(error), 200)) from None


def parse_name(text: str) -> str:
    """A person's name. Raises Unfit."""
    if len(text) > MAX_NAME_LENGTH:
        raise InvalidValue(
            f"The name is longer than {MAX_NAME_LENGTH} characters.", "Write the name by which people know each other."
        )
    return " ".join(text.split())


@lru_cache(maxsize=1024)
def parse_country(text: str) -> str:
    """A country whose public holidays are known, with its subdivision or without. Raises Unfit."""
    country = text.upper()
    if not is_known_country(country):
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a country whose holidays are known.", "Write a code: `DE`, or `DE-BY`."
        )
    return country


def parse_minutes(text: str) -> int:
    """The length of a career session. Raises Unfit."""
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) in SESSION_MINUTES):
        raise InvalidValue(
            f"`{shorten_value(text)}` is no length for a session.", "Write the minutes, from `60` to `90`."
        )
    return int(text)


def parse_date(text: str) -> date:
    """A day of these years. Raises Unfit."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
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
    """Yes or no. Raises Unfit."""
    if text.casefold() not in _BOOLEANS:
        raise InvalidValue(f"`{shorten_value(text)}` is neither yes nor no.", "Write `yes` or `no`.")
    return _BOOLEANS[text.casefold()]


def parse_preference(text: str) -> Preference:
    """When a pair likes to meet: a weekday, a time, or both. Raises Unfit."""
    found = _PREFER.fullmatch(text.casefold())
    day, hour, minute = found.groups() if found else (None, None, None)
    days = [index for index, name in enumerate(_WEEKDAYS) if day and len(day) > 2 and name.startswith(day)]
    clock = int(hour) * 60 + int(minute) if hour and minute and int(hour) < 24 and int(minute) < 60 else None
    if not found or bool(day) != bool(days) or bool(hour) != (clock is not None):
        raise InvalidValue(f"`{shorten_value(text)}` is not a day and a time.", "Write `Tue 10:00`, `Tue` or `10:00`.")
    return Preference(weekday=days[0] if days else None, minute=clock)


def make_choice_parser(known: Collection[str]) -> Callable[[str], str]:
    """Reads one of these words."""

    def parse(text: str) -> str:
        if text.casefold() in known:
            return text.casefold()
        listed = ", ".join(f"`{name}`" for name in known)
        raise InvalidValue(
            f"`{shorten_value(text)}` is not one of {listed}.",
            lambda: f"Did you mean `{near}`?" if (near := find_nearest(text, known)) else "Write one of these.",
        )

    return parse


def shorten_value(text: str, size: int = 60) -> str:
    """A value as a problem shows it: short, and without signs that move the cursor."""
    plain = "".join(sign if sign.isprintable() else "?" for sign in text[: size + 1])
    return plain if len(plain) <= size else plain[: size - 1] + "…"
