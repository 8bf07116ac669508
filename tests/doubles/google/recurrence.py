"""Parses the recurrence lines of an event (RRULE, EXRULE, RDATE, EXDATE).

An invalid rule is refused when it is written, so that no later list of events fails on it.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rruleset, rrulestr

from tests.doubles.google.schema import bad_request

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_MOMENT = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")


def refuse_rules(lines: Sequence[str], first_start: datetime, whole_days: bool) -> None:
    """Raises Refusal for lines that can't be parsed, and for a rule without any occurrence."""
    try:
        first = next(iter(parse_rules(tuple(lines), first_start, whole_days)), None)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, OSError):
        first = None
    if first is None:
        raise bad_request("Invalid recurrence rule.")


def parse_rules(lines: tuple[str, ...], first_start: datetime, whole_days: bool) -> Any:
    """The starts of all occurrences, as a set of dateutil. Raises ValueError and others for lines that can't be parsed.

    `first_start` is the start of the first occurrence.
    """
    return _parse_rules_cached(lines, first_start.replace(tzinfo=None), first_start.tzinfo, whole_days)


@lru_cache(maxsize=512)
def _parse_rules_cached(lines: tuple[str, ...], local: datetime, zone: tzinfo, whole_days: bool) -> Any:
    """Do the work of `parse_rules`. The zone is an argument of its own, since the cache takes equal instants in
    different zones for the same key."""
    first_start = local.replace(tzinfo=zone)
    make: Any = rruleset  # the library has no types
    rules = make()
    found = set[str]()
    for line in lines:
        head, colon, value = line.strip().partition(":")
        name, *parameters = head.upper().split(";")
        if not colon or name not in ("RRULE", "EXRULE", "RDATE", "EXDATE"):
            raise ValueError(line)
        found.add(name)
        if name in ("RRULE", "EXRULE"):
            getattr(rules, name.lower())(rrulestr(_normalize_rule(value.upper(), first_start), dtstart=first_start))
        else:
            for one in value.split(","):
                getattr(rules, name.lower())(_parse_date(one, head, parameters, first_start, whole_days))
    if "RRULE" not in found:
        rules.rdate(first_start)
    return rules


def _normalize_rule(text: str, first_start: datetime) -> str:
    """The rule with its UNTIL in UTC, as dateutil requires it. Raises ValueError."""
    parts = dict(part.split("=", 1) for part in text.rstrip(";").split(";"))
    if parts.get("FREQ") not in _FREQUENCIES or {"COUNT", "UNTIL"} <= parts.keys():
        raise ValueError(text)
    for name in ("COUNT", "INTERVAL"):
        if name in parts and not 1 <= int(parts[name]) <= 10_000:
            raise ValueError(text)
    if "UNTIL" in parts:
        matched = _MOMENT.fullmatch(parts["UNTIL"])
        if matched is None:
            raise ValueError(text)
        day, clock, utc = matched.groups()
        zone = UTC if utc else first_start.tzinfo
        until = datetime.strptime(f"{day}T{clock or '235959'}", "%Y%m%dT%H%M%S").replace(tzinfo=zone)
        parts["UNTIL"] = f"{until.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    return ";".join(f"{name}={value}" for name, value in parts.items())


def _parse_date(text: str, head: str, parameters: Sequence[str], first_start: datetime, whole_days: bool) -> datetime:
    """One date of an RDATE or EXDATE. Raises ValueError for a day in a timed series, or a time in one of whole days."""
    matched = _MOMENT.fullmatch(text.strip().upper())
    if matched is None:
        raise ValueError(text)
    day, clock, utc = matched.groups()
    if (clock is None) is not whole_days:
        raise ValueError(text)
    zone: Any = first_start.tzinfo
    if any(one.startswith("TZID=") for one in parameters):
        zone = ZoneInfo(re.split("tzid=", head, flags=re.IGNORECASE)[1].split(";")[0])
    local = datetime.strptime(f"{day}T{clock or '000000'}", "%Y%m%dT%H%M%S").replace(tzinfo=UTC if utc else zone)
    return local.astimezone(first_start.tzinfo)
