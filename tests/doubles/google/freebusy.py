"""Free and busy, as the API tells it: blocks without names, and an error for each calendar that isn't shown."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.entries import Span
from tests.doubles.google.person_calendar import PersonCalendar
from tests.doubles.google.schema import bad
from tests.doubles.google.zones import zone_named

#: How far may be asked for at once.
FARTHEST = timedelta(days=62)
_MOST = {"groupExpansionMax": 100, "calendarExpansionMax": 50}


def free_busy(told: Mapping[str, Any], get_calendar: Callable[[str], PersonCalendar | None]) -> dict[str, Any]:
    """What is answered; `get_calendar` gives a calendar by its name, when it may be looked at. Raises Refusal."""
    told = {name: value for name, value in told.items() if value is not None}
    start, end = _window(told)
    zone = zone_named(told.get("timeZone"), ZoneInfo("UTC"), "timeZone")
    shown: dict[str, Any] = {}
    for number, one in enumerate(one.get("id", "") for one in told.get("items") or ()):
        person_calendar = get_calendar(one)
        if number >= told.get("calendarExpansionMax", _MOST["calendarExpansionMax"]):
            shown[one] = _failed("tooManyCalendarsRequested")
        else:
            shown[one] = _failed("notFound") if person_calendar is None else _busy(person_calendar, (start, end), zone)
    return {"kind": "calendar#freeBusy", "timeMin": told["timeMin"], "timeMax": told["timeMax"], "calendars": shown}


def _window(told: Mapping[str, Any]) -> Span:
    for name in ("timeMin", "timeMax"):
        if not told.get(name):
            raise bad(f"Missing {name} parameter.", "required", name)
    for name, most in _MOST.items():
        if not 1 <= told.get(name, 1) <= most:
            raise bad(f"Invalid value for {name}.", "invalid", name)
    start, end = (datetime.fromisoformat(told[name]) for name in ("timeMin", "timeMax"))
    if start.tzinfo is None or end.tzinfo is None:
        raise bad("Bad Request", "badRequest")
    if end <= start:
        raise bad("The specified time range is empty.", "timeRangeEmpty", "timeMax")
    if end - start > FARTHEST:
        raise bad("The requested time range is too long.", "timeRangeTooLong", "timeMax")
    return start.astimezone(UTC), end.astimezone(UTC)


def _busy(person_calendar: PersonCalendar, window: Span, zone: ZoneInfo) -> dict[str, Any]:
    blocks: list[list[datetime]] = []
    for start, end in sorted(person_calendar.taken(window)):
        if blocks and start <= blocks[-1][1]:
            blocks[-1][1] = max(blocks[-1][1], end)
        else:
            blocks.append([start, end])
    return {"busy": [{"start": _stamp(start, zone), "end": _stamp(end, zone)} for start, end in blocks]}


def _failed(reason: str) -> dict[str, Any]:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}


def _stamp(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
