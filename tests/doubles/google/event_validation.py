"""The checks that Google makes of an event beyond its JSON schema."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.recurrence import refuse_rules
from tests.doubles.google.schema import bad_request
from tests.doubles.google.zones import get_zone, parse_event_time

_ID = re.compile(r"[0-9a-v]{5,1024}")
_UTC = ZoneInfo("UTC")
_MAX_REMINDER_MINUTES = 40320  #: four weeks


def refuse_invalid_event(event: dict[str, Any], zone: ZoneInfo) -> None:
    """Raises Refusal for an event that Google would not accept. `zone` is that of the calendar."""
    if "id" in event and not _ID.fullmatch(str(event["id"])):
        raise bad_request("Invalid resource id value.")
    if event.get("id") and event.get("iCalUID"):
        raise bad_request("Only one of id and iCalUID may be given.")
    for name in ("start", "end"):
        _refuse_time(event.get(name), name, recurs=bool(event.get("recurrence")))
    if bool(event["start"].get("date")) != bool(event["end"].get("date")):
        raise bad_request("Start and end times must either both be date or both be dateTime.")
    if parse_event_time(event["end"], _UTC) <= parse_event_time(event["start"], _UTC):
        raise bad_request("The specified time range is empty.", "timeRangeEmpty")
    _refuse_reminders(event.get("reminders") or {})
    _refuse_content(event)
    if event.get("recurrence"):
        whole_days = bool(event["start"].get("date"))
        home = _UTC if whole_days else get_zone(event["start"].get("timeZone"), zone)
        first_start = parse_event_time(event["start"], home if whole_days else zone).astimezone(home)
        refuse_rules(event["recurrence"], first_start, whole_days)


def _refuse_time(at: Any, name: str, *, recurs: bool) -> None:
    if not at:
        raise bad_request(f"Missing {name} time.", "required")
    kinds = [kind for kind in ("date", "dateTime") if at.get(kind)]
    if len(kinds) != 1:
        raise bad_request(f"Invalid {name} time.")
    if kinds == ["dateTime"]:
        has_offset = re.search(r"(?:Z|[+-]\d\d:\d\d)$", str(at["dateTime"]), re.IGNORECASE)
        if not at.get("timeZone") and (recurs or not has_offset):
            raise bad_request(f"Missing time zone definition for {name} time.", "required")
        get_zone(at.get("timeZone"), _UTC, f"{name} time")


def _refuse_reminders(reminders: dict[str, Any]) -> None:
    overrides = reminders.get("overrides") or []
    if overrides and reminders.get("useDefault"):
        raise bad_request(
            "Cannot specify both default reminders and overrides at the same time.", "cannotUseDefaultReminders"
        )
    if len(overrides) > 5:
        raise bad_request("Too many reminders.")
    for one in overrides:
        if one.get("method") not in ("email", "popup") or not 0 <= one.get("minutes", -1) <= _MAX_REMINDER_MINUTES:
            raise bad_request("Invalid reminder.")


def _refuse_content(event: dict[str, Any]) -> None:
    kind = event.get("eventType", "default")
    if kind == "fromGmail":
        raise bad_request("This event type can't be created.")
    if kind in ("outOfOffice", "focusTime") and event["start"].get("date"):
        raise bad_request("An out of office or focus time event must be a timed event.")
    if kind == "outOfOffice" and event.get("description"):
        raise bad_request("An out of office event must not have a description.")
    for properties in (event.get("extendedProperties") or {}).values():
        if any(len(name) > 44 or len(str(value)) > 1024 for name, value in (properties or {}).items()):
            raise bad_request("The extended property is too long.")
    if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", str(one.get("email", ""))) for one in event.get("attendees") or ()):
        raise bad_request("Invalid attendee email.")
