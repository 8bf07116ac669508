"""Times as Google's bodies name them."""

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.doubles.google.schema import bad


def instant_of(at: dict[str, Any], zone: ZoneInfo) -> datetime:
    """The instant meant by a start or an end; whole days lie in the calendar's zone. Raises Refusal."""
    if at.get("date"):
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    moment = datetime.fromisoformat(at["dateTime"])
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone_named(at.get("timeZone"), zone))).astimezone(UTC)


def zone_named(name: str | None, otherwise: ZoneInfo, where: str = "start time") -> ZoneInfo:
    """Raises Refusal for a zone that does not exist."""
    try:
        return ZoneInfo(name) if name else otherwise
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise bad(f"Invalid time zone definition for {where}.") from None
