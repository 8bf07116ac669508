"""Checks of the body of an event beyond its schema, as Google does them."""

import re
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.recurrence import refuse_rules
from tests.doubles.google.schema import bad
from tests.doubles.google.zones import instant_of, zone_named

_ID = re.compile(r"[0-9a-v]{5,1024}")
_UTC = ZoneInfo("UTC")


def refuse_invalid_event(told: dict[str, Any], zone: ZoneInfo) -> None:
    """Raises Refusal for what the service would not take on a calendar of that zone."""
    if "id" in told and not _ID.fullmatch(str(told["id"])):
        raise bad("Invalid resource id value.")
    if told.get("id") and told.get("iCalUID"):
        raise bad("Only one of id and iCalUID may be given.")
    for name in ("start", "end"):
        _refuse_time(told.get(name), name, recurs=bool(told.get("recurrence")))
    if bool(told["start"].get("date")) != bool(told["end"].get("date")):
        raise bad("Start and end times must either both be date or both be dateTime.")
    if instant_of(told["end"], _UTC) <= instant_of(told["start"], _UTC):
        raise bad("The specified time range is empty.", "timeRangeEmpty")
    _refuse_reminders(told.get("reminders") or {})
    _refuse_kind(told)
    if told.get("recurrence"):
        whole_days = bool(told["start"].get("date"))
        home = _UTC if whole_days else zone_named(told["start"].get("timeZone"), zone)
        base = instant_of(told["start"], home if whole_days else zone).astimezone(home)
        refuse_rules(told["recurrence"], base, whole_days)


def _refuse_time(at: Any, name: str, *, recurs: bool) -> None:
    if not at:
        raise bad(f"Missing {name} time.", "required")
    kinds = [kind for kind in ("date", "dateTime") if at.get(kind)]
    if len(kinds) != 1:
        raise bad(f"Invalid {name} time.")
    if kinds == ["dateTime"]:
        has_offset = re.search(r"(?:Z|[+-]\d\d:\d\d)$", str(at["dateTime"]), re.IGNORECASE)
        if not at.get("timeZone") and (recurs or not has_offset):
            raise bad(f"Missing time zone definition for {name} time.", "required")
        zone_named(at.get("timeZone"), _UTC, f"{name} time")


def _refuse_reminders(told: dict[str, Any]) -> None:
    overrides = told.get("overrides") or []
    if overrides and told.get("useDefault"):
        raise bad("Cannot specify both default reminders and overrides at the same time.", "cannotUseDefaultReminders")
    if len(overrides) > 5:
        raise bad("Too many reminders.")
    for one in overrides:
        if one.get("method") not in ("email", "popup") or not 0 <= one.get("minutes", -1) <= 40320:
            raise bad("Invalid reminder.")


def _refuse_kind(told: dict[str, Any]) -> None:
    kind = told.get("eventType", "default")
    if kind == "fromGmail":
        raise bad("This event type can't be created.")
    if kind in ("outOfOffice", "focusTime") and told["start"].get("date"):
        raise bad("An out of office or focus time event must be a timed event.")
    if kind == "outOfOffice" and told.get("description"):
        raise bad("An out of office event must not have a description.")
    for properties in (told.get("extendedProperties") or {}).values():
        if any(len(name) > 44 or len(str(value)) > 1024 for name, value in (properties or {}).items()):
            raise bad("The extended property is too long.")
    if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", str(one.get("email", ""))) for one in told.get("attendees") or ()):
        raise bad("Invalid attendee email.")
