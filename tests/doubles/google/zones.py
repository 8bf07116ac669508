"""Parses the times and zones of events in Google's JSON."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.doubles.google.schema import bad_request


def parse_event_time(at: dict[str, Any], zone: ZoneInfo) -> datetime:
    """The start or end of an event, in UTC; whole days begin at midnight in `zone`. Raises Refusal."""
    if at.get("date"):
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    moment = datetime.fromisoformat(at["dateTime"])
    return (moment if moment.tzinfo else moment.replace(tzinfo=get_zone(at.get("timeZone"), zone))).astimezone(UTC)


def get_zone(name: str | None, default: ZoneInfo, where: str = "start time") -> ZoneInfo:
    """The zone of that name, or the default without a name. Raises Refusal for a zone that does not exist.

    `where` is the field that the refusal names.
    """
    try:
        return ZoneInfo(name) if name else default
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad_request(f"Invalid time zone definition for {where}.") from None
