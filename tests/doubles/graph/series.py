"""The occurrences of recurring events, for three years."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from dateutil import rrule

from tests.doubles.graph.state import Item, Json, Refusal
from worker.providers import windows_zones

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_POSITIONS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_MAX_OCCURRENCES = 1000  #: of a series
_MAX_AHEAD = timedelta(days=3 * 366)  #: from the first occurrence to the last


def expand(master: Item) -> None:
    """Replace the occurrences of a series in its mailbox by those of its present recurrence."""
    mailbox = master.mailbox
    for one in [one for one in mailbox.items.values() if one.master is master]:
        del mailbox.items[one.id]
    master.is_master = True
    recurrence = master.properties["recurrence"]
    length = master.end - master.start
    days = master.days[1] - master.days[0] if master.days else None
    for start in _list_starts(master, recurrence):
        item = Item(mailbox, master.uid, master.organizer, start, start + length, master=master)
        if days is not None:
            local = start.astimezone(ZoneInfo(mailbox.zone)).date()
            item.put_at(start, start + length, (local, local + days))
        item.properties = {**master.properties, "recurrence": None}
        item.attendees = [dict(one) for one in master.attendees]
        item.response = master.response
        mailbox.items[item.id] = item
    mailbox.record_change(master)


def check(recurrence: Any, start: date) -> None:
    """Raises Refusal for an invalid recurrence of an event that starts on that day."""
    pattern, range_ = (recurrence or {}).get("pattern"), (recurrence or {}).get("range")
    if not isinstance(pattern, dict) or not isinstance(range_, dict):
        raise _make_refusal("A recurrence needs a pattern and a range.")
    if int(pattern.get("interval") or 0) < 1:
        raise _make_refusal("The interval of a recurrence is at least 1.")
    kind = str(pattern.get("type") or "")
    if kind.startswith(("weekly", "relative")) and not pattern.get("daysOfWeek"):
        raise _make_refusal("The pattern needs daysOfWeek.")
    if kind.startswith("absolute") and not 1 <= int(pattern.get("dayOfMonth") or 0) <= 31:
        raise _make_refusal("The pattern needs dayOfMonth.")
    if kind.endswith("Yearly") and not 1 <= int(pattern.get("month") or 0) <= 12:
        raise _make_refusal("The pattern needs month.")
    if kind not in _FREQUENCIES:
        raise _make_refusal("The pattern has no type.")
    if not range_.get("startDate") or (_parse_day(range_["startDate"]) != start and kind == "daily"):
        raise _make_refusal("The range starts on the day on which the event starts.")
    #: the property that says where the range ends
    ending = {"endDate": "endDate", "numbered": "numberOfOccurrences", "noEnd": "type"}.get(str(range_.get("type")))
    if ending is None or not range_.get(ending):
        raise _make_refusal("The range has no end that can be understood.")
    if ending == "endDate" and _parse_day(range_["endDate"]) < _parse_day(range_["startDate"]):
        raise _make_refusal("The range ends before it starts.")


_FREQUENCIES = {
    "daily": rrule.DAILY,
    "weekly": rrule.WEEKLY,
    "absoluteMonthly": rrule.MONTHLY,
    "relativeMonthly": rrule.MONTHLY,
    "absoluteYearly": rrule.YEARLY,
    "relativeYearly": rrule.YEARLY,
}


def _make_refusal(words: str) -> Refusal:
    return Refusal(400, "ErrorInvalidRecurrencePattern", words)


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _make_refusal(f"'{text}' is no date.") from None


def _list_starts(master: Item, recurrence: Json) -> list[datetime]:
    """Return the starts of the occurrences in UTC. Their local time in the zone of the series stays the same."""
    pattern, range_ = recurrence["pattern"], recurrence["range"]
    zone = ZoneInfo(windows_zones.find_iana_name(str(range_.get("recurrenceTimeZone") or "")) or master.mailbox.zone)
    first_start = master.start.astimezone(zone).replace(tzinfo=None)
    options: dict[str, Any] = {"interval": int(pattern["interval"]), "dtstart": first_start}
    kind = str(pattern["type"])
    weekdays = [_WEEKDAYS.index(str(day)) for day in pattern.get("daysOfWeek") or ()]
    if kind == "weekly":
        options |= {"byweekday": weekdays, "wkst": _WEEKDAYS.index(str(pattern.get("firstDayOfWeek") or "sunday"))}
    elif kind.startswith("absolute"):
        day = int(pattern["dayOfMonth"])
        # in a month without that day, the occurrence is on the last day of the month
        options |= {"bymonthday": [day] if day <= 28 else list(range(28, day + 1)), "bysetpos": -1}
    elif kind.startswith("relative"):
        options |= {"byweekday": weekdays, "bysetpos": _POSITIONS[str(pattern.get("index") or "first")]}
    if kind.endswith("Yearly"):
        options["bymonth"] = int(pattern["month"])
    until = first_start + _MAX_AHEAD
    if range_["type"] == "numbered":
        options["count"] = min(int(range_["numberOfOccurrences"]), _MAX_OCCURRENCES)
    else:
        last = _parse_day(range_["endDate"]) if range_["type"] == "endDate" else until.date()
        options["until"] = min(datetime.combine(last, time(23, 59, 59)), until)
    rule: Any = rrule.rrule
    return [
        one.replace(tzinfo=zone).astimezone(UTC)
        for one in islice(rule(_FREQUENCIES[kind], **options), _MAX_OCCURRENCES)
    ]
