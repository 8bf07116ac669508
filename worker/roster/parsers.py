"""Parsers of what directories write: names, dates, references to managers.

Each takes stripped text and returns a value, or raises InvalidValue with the problem and its remedy. They accept more
than `worker.settings.parsers`, and refuse what can be read in two ways.
"""

import re
import unicodedata
from datetime import date, datetime
from email.utils import parseaddr

from worker.domain.model import Address
from worker.settings.parsers import InvalidValue, parse_address, parse_date, parse_group, parse_name, shorten_value

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@")
#: What stands behind a comma without being a first name.
_NAME_SUFFIXES = frozenset(
    ("jr", "sr", "ii", "iii", "iv", "md", "phd", "mba", "cpa", "esq", "msc", "bsc", "ma", "ba", "dr", "pe", "rn")
)
#: What Workday writes behind the name of a worker.
_WORKER_MARK = re.compile(r"\s*(?:\((?:on leave|terminated)\)|\[C\])$", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:\d{2}.*")
_SLASHED_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")
_DOTTED_DATE = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")
_NAMED_MONTHS = ("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y")


def parse_person_name(text: str) -> str:
    """Return a name with single blanks and the first name first. Raises InvalidValue, also for a formula."""
    return turn_name(_WORKER_MARK.sub("", parse_name(_refuse_formula(text))))


def parse_group_name(text: str) -> str:
    """Return the name of a department or team with single blanks. Raises InvalidValue, also for a formula."""
    return parse_group(_refuse_formula(text))


def _refuse_formula(text: str) -> str:
    if text.startswith(_FORMULA_SIGNS):
        what = f"`{shorten_value(text)}` begins with `{text[0]}`, as a formula does, and is not computed."
        raise InvalidValue(what, "Write the words themselves.")
    return text


def turn_name(name: str) -> str:
    """Return `Ann Doe` for `Doe, Ann`; any other name as it is."""
    last, comma, first = (part.strip() for part in name.partition(","))
    is_suffix = first.replace(".", "").casefold() in _NAME_SUFFIXES
    if not (comma and last and first) or "," in first or is_suffix or any(char.isdigit() for char in name):
        return name
    return f"{first} {last}"


def fold_name(name: str) -> str:
    """Return a name as it is compared: the first name first, in small letters, in one form of Unicode."""
    plain = _WORKER_MARK.sub("", " ".join(name.split()))
    return unicodedata.normalize("NFKC", turn_name(plain)).casefold()


def parse_mailbox(text: str) -> Address:
    """Parse an address, with or without a name: `Ann Doe <ann@x.org>`. Raises InvalidValue."""
    if "<" in text:
        return parse_address(parseaddr(text)[1])
    return parse_address(text.strip().removeprefix("mailto:"))


def parse_day(text: str) -> date:
    """Parse a date within SUPPORTED_YEARS, with or without a time of day. Raises InvalidValue.

    `2026-09-01`, `1.9.2026`, `1 Sep 2026`; `15/09/2026` because it can be read in one way only.
    """
    day = _TIME_OF_DAY.sub("", text)
    slashed, dotted = _SLASHED_DATE.fullmatch(day), _DOTTED_DATE.fullmatch(day)
    if slashed:
        first, second, year = (int(part) for part in slashed.groups())
        readings = [one for one in (_make_date(year, second, first), _make_date(year, first, second)) if one]
        if len(set(readings)) == 2:
            either = " and as ".join(f"{one.day} {one:%B}" for one in readings)
            remedy = f"Write year-month-day: `{readings[0]}` or `{readings[1]}`."
            raise InvalidValue(f"`{shorten_value(text)}` can be read as {either}.", remedy)
        day = str(readings[0]) if readings else day
    elif dotted:
        in_order = _make_date(int(dotted[3]), int(dotted[2]), int(dotted[1]))
        day = str(in_order) if in_order else day
    else:
        day = _read_named_month(day) or day
    return parse_date(day)


def _make_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _read_named_month(text: str) -> str:
    for pattern in _NAMED_MONTHS:
        try:
            return str(datetime.strptime(text, pattern).date())  # noqa: DTZ007 -- a day has no zone
        except ValueError:
            continue
    return ""
