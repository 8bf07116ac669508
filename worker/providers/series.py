"""A series of events, followed through a window and no further.

Whoever may write into somebody's calendar may write a rule that happens every second, or never, or has done so since
the year 1. So what it would take to follow a series is reckoned first, from what is written there, and a series that
takes more than anybody's time is like is refused:

- it happens more than once an hour, day and night, unless it ends after 1000 times;
- it has gone through more than 200,000 steps by the end of the window (22 years of every hour);
- one of its occurrences lasts more than a year, or was moved by more than that;
- it adds or takes away more than 10,000 single times;
- it names days or places that there are none of, like the 30th of February, or more than 400 of a kind.

So there are never more than 24 occurrences for a day of the window and of the year before it, plus 10,000.
"""

from datetime import date, datetime, timedelta
from math import prod
from typing import Any

import recurring_ical_events
from icalendar import Calendar

_OFTEN, _FEW = 24, 1000  #: how often it may happen a day, unless it ends after so many times
_STEPS = 200_000
_LONGEST = timedelta(days=366)
_DATES = 10_000
_VALUES, _PLACES = 400, 10  #: how many values a part of a rule may have, and BYSETPOS
_A_DAY = {"HOURLY": 24, "MINUTELY": 24 * 60, "SECONDLY": 24 * 60 * 60}
_TIMES = ("BYHOUR", "BYMINUTE", "BYSECOND")
#: What multiplies the times of a rule, by how often it happens; of all others, all three.
_FINER = {"HOURLY": ("BYMINUTE", "BYSECOND"), "MINUTELY": ("BYSECOND",), "SECONDLY": ()}
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  #: of the months, at their longest

Parts = dict[str, list[Any]]


def occurrences(calendar: Calendar, start: datetime, end: datetime) -> list[Any]:
    """The occurrences between the two, as VEVENTs. Raises ValueError for a series that is refused, and whatever the
    libraries raise over times that make no sense."""
    events: list[Any] = calendar.walk("VEVENT")
    if sum(_count(event, name) for event in events for name in ("RDATE", "EXDATE")) > _DATES:
        raise ValueError("more single times than anybody has")
    if any("RRULE" in event for event in events):
        _refuse_long(events)
    for event in events:
        for rule in listed(event.get("RRULE", [])):
            parts = {name.upper(): listed(value) for name, value in rule.items()}
            _refuse_often(parts, (end.date() - _day(event.start)).days)
            _refuse_never(parts)
    return list(recurring_ical_events.of(calendar, components=["VEVENT"]).between(start, end))


def listed(value: Any) -> list[Any]:
    """What may be one, or a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def _count(event: Any, name: str) -> int:
    return sum(len(line.dts) for line in listed(event.get(name, [])))


def _day(value: date | datetime) -> date:
    return value.date() if isinstance(value, datetime) else value


def _refuse_long(events: list[Any]) -> None:
    for event in events:
        moments = [_day(event.start), _day(event.end)]
        if "RECURRENCE-ID" in event:
            moments.append(_day(event["RECURRENCE-ID"].dt))
        lasting = abs(event["DURATION"].dt) if "DURATION" in event else timedelta()
        if max(lasting, max(moments) - min(moments)) > _LONGEST:
            raise ValueError("longer, or moved by more, than a year")


def _refuse_often(parts: Parts, days: int) -> None:
    """Raise ValueError for what happens all the time, or has been going on for too long to be followed."""
    often, interval = _often(parts), int(parts.get("INTERVAL", [1])[0])
    if interval < 1:
        raise ValueError("an interval that leads nowhere")
    times = prod(len(parts.get(name, [0])) for name in _FINER.get(often, _TIMES))
    a_day = _A_DAY[often] * times / interval if often in _A_DAY else times
    if a_day <= _OFTEN and days * a_day <= _STEPS:
        return
    filtered = often in _A_DAY and any(name.startswith("BY") for name in parts)
    if filtered or int(parts.get("COUNT", [_FEW + 1])[0]) > _FEW:
        raise ValueError("more often than anybody's time")


def _refuse_never(parts: Parts) -> None:
    """Raise ValueError for what names days or places there are none of: looking for one would take for ever."""
    often = _often(parts)
    if any(len(values) > _VALUES for values in parts.values()) or len(parts.get("BYSETPOS", [])) > _PLACES:
        raise ValueError("more values than there can be")
    if often != "YEARLY" and ("BYWEEKNO" in parts or "BYYEARDAY" in parts):
        raise ValueError("days of the year in something else than a year")
    longest = [length for month, length in enumerate(_LENGTHS, 1) if month in parts.get("BYMONTH", [month])]
    if min((abs(int(day)) for day in parts.get("BYMONTHDAY", [1])), default=1) > max(longest, default=0):
        raise ValueError("days there are none of")
    most = {"YEARLY": 366, "MONTHLY": 31, "WEEKLY": len(parts.get("BYDAY", [0])), "DAILY": 1}.get(often, 0)
    times = prod(len(parts.get(name, [0])) for name in _TIMES)
    if any(abs(int(place)) > most * times for place in parts.get("BYSETPOS", [])):
        raise ValueError("places there are none of")


def _often(parts: Parts) -> str:
    return str(parts.get("FREQ", [""])[0]).upper()
