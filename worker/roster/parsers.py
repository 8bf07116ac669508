"""Parsers of values in directories: names, dates, addresses of managers.

Each parser takes stripped text and returns a value, or raises InvalidValue with the problem and its remedy. Directories
have more formats than people files, so these parsers accept more than those in `worker.settings.parsers`. They refuse
text that can be read in two ways.
"""

import re
import unicodedata
from datetime import date, datetime
from email.utils import parseaddr

from worker.domain.model import Address
from worker.settings.parsers import InvalidValue, parse_address, parse_date, parse_group, parse_name, shorten_value

#: Characters with which a formula begins in a spreadsheet.
_FORMULA_SIGNS = ("=", "+", "-", "@")
#: Texts that may follow a comma in a name without being a first name.
_NAME_SUFFIXES = frozenset(
    ("jr", "sr", "ii", "iii", "iv", "md", "phd", "mba", "cpa", "esq", "msc", "bsc", "ma", "ba", "dr", "pe", "rn")
)
#: A mark that Workday appends to the name of a worker.
_WORKER_MARK = re.compile(r"\s*(?:\((?:on leave|terminated)\)|\[C\])$", re.IGNORECASE)
_TIME_OF_DAY = re.compile(r"[T ]\d{1,2}:\d{2}.*")  # `T09:00:00Z`
_SLASHED_DATE = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})")  # `15/09/2026` or `9-15-2026`
_DOTTED_DATE = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})")  # `15.9.2026` or `15. 9. 2026`
_DATE_FORMATS_WITH_MONTH_NAME = ("%d %b %Y", "%d %B %Y", "%d-%b-%Y", "%b %d, %Y", "%B %d, %Y")


def parse_person_name(text: str) -> str:
    """Return a person's name with single blanks and the first name first. Raises InvalidValue, also for a formula."""
    return put_first_name_first(_WORKER_MARK.sub("", parse_name(_refuse_formula(text))))


def parse_group_name(text: str) -> str:
    """Return the name of a department or team with single blanks. Raises InvalidValue, also for a formula."""
    return parse_group(_refuse_formula(text))


def _refuse_formula(text: str) -> str:
    """Return the text. Raises InvalidValue when it looks like a formula of a spreadsheet."""
    if text.startswith(_FORMULA_SIGNS):
        fault = f"`{shorten_value(text)}` begins with `{text[0]}`, as a formula does, and is not computed."
        raise InvalidValue(fault, "Write the words themselves.")
    return text


def put_first_name_first(name: str) -> str:
    """Return `Ann Doe` for `Doe, Ann`; any other name unchanged."""
    last_name, _, first_name = (part.strip() for part in name.partition(","))
    is_suffix = first_name.replace(".", "").casefold() in _NAME_SUFFIXES
    has_two_parts = last_name and first_name and "," not in first_name
    if not has_two_parts or is_suffix or any(char.isdigit() for char in name):
        return name
    return f"{first_name} {last_name}"


def fold_name(name: str) -> str:
    """Return the form of a person's name that is compared: the first name first, case-folded, in Unicode's NFKC."""
    plain = _WORKER_MARK.sub("", " ".join(name.split()))
    return unicodedata.normalize("NFKC", put_first_name_first(plain)).casefold()


def parse_mailbox(text: str) -> Address:
    """Return the address in a text such as `Ann Doe <ann@x.org>` or `ann@x.org`. Raises InvalidValue."""
    if "<" in text:
        return parse_address(parseaddr(text)[1])
    return parse_address(text.strip().removeprefix("mailto:"))


def parse_day(text: str) -> date:
    """Return the date in a text, which may have a time of day. Raises InvalidValue, also outside SUPPORTED_YEARS.

    Accepts `2026-09-01`, `1.9.2026` and `1 Sep 2026`. A date such as `15/09/2026` is accepted only when it can't also
    be read with day and month swapped.
    """
    day = _TIME_OF_DAY.sub("", text)
    slashed, dotted = _SLASHED_DATE.fullmatch(day), _DOTTED_DATE.fullmatch(day)
    if slashed:
        first, second, year = (int(part) for part in slashed.groups())
        day_first, month_first = _make_date(year, second, first), _make_date(year, first, second)
        if day_first and month_first and day_first != month_first:
            readings = f"{day_first.day} {day_first:%B} and as {month_first.day} {month_first:%B}"
            remedy = f"Write year-month-day: `{day_first}` or `{month_first}`."
            raise InvalidValue(f"`{shorten_value(text)}` can be read as {readings}.", remedy)
        day = str(day_first or month_first or day)
    elif dotted:
        dotted_date = _make_date(int(dotted[3]), int(dotted[2]), int(dotted[1]))
        day = str(dotted_date or day)
    else:
        day = _read_named_month(day) or day
    return parse_date(day)


def _make_date(year: int, month: int, day: int) -> date | None:
    """Return the date; None when it doesn't exist."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _read_named_month(text: str) -> str:
    """Return the date in a text with the name of a month, as year-month-day; empty for any other text."""
    for date_format in _DATE_FORMATS_WITH_MONTH_NAME:
        try:
            return str(datetime.strptime(text, date_format).date())  # noqa: DTZ007 -- a day has no zone
        except ValueError:
            continue
    return ""
