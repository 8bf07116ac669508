"""Answers `calendar.freebusy.query`: busy blocks without titles, or an error, for each calendar."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.entries import Span
from tests.doubles.google.person_calendar import PersonCalendar
from tests.doubles.google.schema import bad_request
from tests.doubles.google.zones import get_zone

#: The longest window of one query.
MAX_WINDOW = timedelta(days=62)
_LIMITS = {"groupExpansionMax": 100, "calendarExpansionMax": 50}


def answer_free_busy(body: Mapping[str, Any], get_calendar: Callable[[str], PersonCalendar | None]) -> dict[str, Any]:
    """The answer. `get_calendar` returns a calendar by its address, or None when its free/busy is not visible.

    Raises Refusal.
    """
    query = {name: value for name, value in body.items() if value is not None}
    start, end = _parse_window(query)
    zone = get_zone(query.get("timeZone"), ZoneInfo("UTC"), "timeZone")
    answers: dict[str, Any] = {}
    for number, address in enumerate(item.get("id", "") for item in query.get("items") or ()):
        person_calendar = get_calendar(address)
        if number >= query.get("calendarExpansionMax", _LIMITS["calendarExpansionMax"]):
            answers[address] = _make_error("tooManyCalendarsRequested")
        else:
            answers[address] = (
                _make_error("notFound") if person_calendar is None else _list_busy(person_calendar, (start, end), zone)
            )
    return {"kind": "calendar#freeBusy", "timeMin": query["timeMin"], "timeMax": query["timeMax"], "calendars": answers}


def _parse_window(query: Mapping[str, Any]) -> Span:
    for name in ("timeMin", "timeMax"):
        if not query.get(name):
            raise bad_request(f"Missing {name} parameter.", "required", name)
    for name, most in _LIMITS.items():
        if not 1 <= query.get(name, 1) <= most:
            raise bad_request(f"Invalid value for {name}.", "invalid", name)
    start, end = (datetime.fromisoformat(query[name]) for name in ("timeMin", "timeMax"))
    if start.tzinfo is None or end.tzinfo is None:
        raise bad_request("Bad Request", "badRequest")
    if end <= start:
        raise bad_request("The specified time range is empty.", "timeRangeEmpty", "timeMax")
    if end - start > MAX_WINDOW:
        raise bad_request("The requested time range is too long.", "timeRangeTooLong", "timeMax")
    return start.astimezone(UTC), end.astimezone(UTC)


def _list_busy(person_calendar: PersonCalendar, window: Span, zone: ZoneInfo) -> dict[str, Any]:
    blocks: list[list[datetime]] = []
    for start, end in sorted(person_calendar.list_busy(window)):
        if blocks and start <= blocks[-1][1]:
            blocks[-1][1] = max(blocks[-1][1], end)
        else:
            blocks.append([start, end])
    return {"busy": [{"start": _format_time(start, zone), "end": _format_time(end, zone)} for start, end in blocks]}


def _make_error(reason: str) -> dict[str, Any]:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}


def _format_time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).isoformat(timespec="seconds").replace("+00:00", "Z")
