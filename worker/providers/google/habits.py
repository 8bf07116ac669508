"""Reads people's habits from Google: the time zone of their calendar. Google's API does not offer working hours."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from worker.domain.model import Address
from worker.providers.base import Habits
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.client import GoogleApi

_UTC = ZoneInfo("UTC")


def read_habits(api: GoogleApi, person: Address) -> Habits:
    """Return the time zone of the person's calendar, requested as that person. Raises ProviderErrors.

    The zone is read from a list of events, of which only the field `timeZone` is requested. So reading the zone needs
    no permission beyond that for events.
    """
    can_act_as_everybody = api.access.list_connected_people() is None  # by domain-wide delegation
    scope = EVENTS_READ_SCOPE if can_act_as_everybody else OWNED_EVENTS_SCOPE
    request = api.service.events().list(calendarId="primary", maxResults=1, fields="timeZone")
    zone = parse_zone(api.execute(person, scope, request))
    return Habits(zone=zone.key if zone else None, hours=None)


class ZoneCache:
    """Remembers the time zones of calendars, in which their all-day events begin and end."""

    def __init__(self, fallback_zones: Mapping[Address, ZoneInfo]) -> None:
        self._fallback_zones = fallback_zones
        self._zones: dict[Address, ZoneInfo] = {}

    def read_zone(self, answer: Mapping[str, Any], calendar: Address) -> ZoneInfo:
        """Remember and return the calendar's zone in the answer to a list request; without one, the fallback or UTC."""
        zone = parse_zone(answer) or self._fallback_zones.get(calendar, _UTC)
        self._zones[calendar] = zone
        return zone

    def find(self, calendar: Address) -> ZoneInfo | None:
        """Return the remembered zone of the calendar; None before the first list answer."""
        return self._zones.get(calendar)


def parse_zone(answer: Mapping[str, Any]) -> ZoneInfo | None:
    """Return the calendar's zone in the answer to a list request; None when the zone is missing or unknown."""
    try:
        return ZoneInfo(str(answer.get("timeZone") or ""))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
