"""Series: the occurrences of a recurrence, as far ahead as anybody looks."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from tests.doubles.graph.state import Item, Json, Refusal
from worker.providers import windows_zones

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_MOST = 1000  #: occurrences of a series
_AHEAD = timedelta(days=3 * 366)


def expand(master: Item) -> None:
    """Put the occurrences of a series beside it, in place of those that were there."""
    box = master.mailbox
    for one in [one for one in box.items.values() if one.master is master]:
        del box.items[one.id]
    master.is_master = True
    recurrence = master.properties["recurrence"]
    length = master.end - master.start
    days = master.days[1] - master.days[0] if master.days else None
    for start in _starts(master, recurrence):
        item = Item(box, master.uid, master.organizer, start, start + length, master=master)
        if days is not None:
            local = start.astimezone(ZoneInfo(box.zone)).date()
            item.put_at(start, start + length, (local, local + days))
        item.properties = {**master.properties, "recurrence": None}
        item.attendees = [dict(one) for one in master.attendees]
        item.response = master.response
        box.items[item.id] = item
    box.touch(master)


def check(recurrence: Any, start: date) -> None:
    """Raises Refusal for a recurrence that the service doesn't take."""
    pattern, span = (recurrence or {}).get("pattern"), (recurrence or {}).get("range")
    if not isinstance(pattern, dict) or not isinstance(span, dict):
        raise _refused("A recurrence needs a pattern and a range.")
    if int(pattern.get("interval") or 0) < 1:
        raise _refused("The interval of a recurrence is at least 1.")
    kind = str(pattern.get("type") or "")
    if kind.startswith(("weekly", "relative")) and not pattern.get("daysOfWeek"):
        raise _refused("The pattern needs daysOfWeek.")
    if kind.startswith("absolute") and not 1 <= int(pattern.get("dayOfMonth") or 0) <= 31:
        raise _refused("The pattern needs dayOfMonth.")
    if kind.endswith("Yearly") and not 1 <= int(pattern.get("month") or 0) <= 12:
        raise _refused("The pattern needs month.")
    if kind not in _FREQUENCIES:
        raise _refused("The pattern has no type.")
    if not span.get("startDate") or (_day(span["startDate"]) != start and kind == "daily"):
        raise _refused("The range starts on the day on which the event starts.")
    ending = {"endDate": "endDate", "numbered": "numberOfOccurrences", "noEnd": "type"}.get(str(span.get("type")))
    if ending is None or not span.get(ending):
        raise _refused("The range has no end that can be understood.")
    if ending == "endDate" and _day(span["endDate"]) < _day(span["startDate"]):
        raise _refused("The range ends before it starts.")


_FREQUENCIES = {
    "daily": rrule.DAILY,
    "weekly": rrule.WEEKLY,
    "absoluteMonthly": rrule.MONTHLY,
    "relativeMonthly": rrule.MONTHLY,
    "absoluteYearly": rrule.YEARLY,
    "relativeYearly": rrule.YEARLY,
}


def _refused(words: str) -> Refusal:
    return Refusal(400, "ErrorInvalidRecurrencePattern", words)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _refused(f"'{text}' is no date.") from None


def _starts(master: Item, recurrence: Json) -> list[datetime]:
    """When the occurrences begin: at the same time of day where the series lives."""
    pattern, span = recurrence["pattern"], recurrence["range"]
    zone = ZoneInfo(windows_zones.find_iana_name(str(span.get("recurrenceTimeZone") or "")) or master.mailbox.zone)
    first = master.start.astimezone(zone).replace(tzinfo=None)
    given: dict[str, Any] = {"interval": int(pattern["interval"]), "dtstart": first}
    kind = str(pattern["type"])
    days = [_DAYS.index(str(day)) for day in pattern.get("daysOfWeek") or ()]
    if kind == "weekly":
        given |= {"byweekday": days, "wkst": _DAYS.index(str(pattern.get("firstDayOfWeek") or "sunday"))}
    elif kind.startswith("absolute"):
        day = int(pattern["dayOfMonth"])
        # a month that is too short has it on its last day
        given |= {"bymonthday": [day] if day <= 28 else list(range(28, day + 1)), "bysetpos": -1}
    elif kind.startswith("relative"):
        given |= {"byweekday": days, "bysetpos": _NUMBERS[str(pattern.get("index") or "first")]}
    if kind.endswith("Yearly"):
        given["bymonth"] = int(pattern["month"])
    until = first + _AHEAD
    if span["type"] == "numbered":
        given["count"] = min(int(span["numberOfOccurrences"]), _MOST)
    else:
        last = _day(span["endDate"]) if span["type"] == "endDate" else until.date()
        given["until"] = min(datetime.combine(last, time(23, 59, 59)), until)
    rule: Any = rrule.rrule
    return [one.replace(tzinfo=zone).astimezone(UTC) for one in islice(rule(_FREQUENCIES[kind], **given), _MOST)]
