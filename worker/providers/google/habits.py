"""Reads the time zone of people's calendars. Google's API does not offer their working hours."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.domain.model import Address
from worker.providers.base import Habits
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.client import GoogleApi


def read_habits(api: GoogleApi, person: Address) -> Habits:
    """Return the zone of the person's calendar, read as that person. Raises ProviderErrors.

    Every list of events has the zone in it. So a list without events is requested, and no further permission is needed.
    """
    scope = EVENTS_READ_SCOPE if api.access.list_connected() is None else OWNED_EVENTS_SCOPE
    request = api.service.events().list(calendarId="primary", maxResults=1, fields="timeZone")
    zone = parse_zone(api.execute(person, scope, request))
    return Habits(zone.key if zone else None, None)


def parse_zone(answer: Mapping[str, Any]) -> ZoneInfo | None:
    """Return the calendar's zone in the answer to a list request; None when it is missing or unknown."""
    try:
        return ZoneInfo(str(answer.get("timeZone") or ""))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
