"""Reads people's habits from Microsoft 365: the time zone and the working hours in their mailbox settings."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, WorkingHours
from worker.domain.time.worktime import parse_hours
from worker.errors import Permanent
from worker.providers import windows_zones
from worker.providers.base import Habits
from worker.providers.outlook.client import Graph

_TIME_LENGTH = len("HH:MM")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class MailboxSettings:
    """Reads people's habits, and remembers their zones. `zones` holds zones that are known already, by address."""

    def __init__(self, graph: Graph, zones: Mapping[Address, str]) -> None:
        self._graph = graph
        self._zones = {person: ZoneInfo(name) for person, name in zones.items()}

    def get_zone(self, person: Address) -> ZoneInfo:
        """Return the person's zone: that in `zones`, else that of the mailbox, which is read once, else UTC."""
        if person not in self._zones:
            try:
                name = self.habits(person).zone
            except Permanent:  # the next request to this mailbox will fail, too, and its error is reported
                name = None
            self._zones[person] = ZoneInfo(name or "UTC")
        return self._zones[person]

    def habits(self, person: Address) -> Habits:
        """Return the zone and working hours in the mailbox's settings. Raises ProviderErrors."""
        return parse_habits(self._graph.get(person, "mailboxSettings"))


def parse_habits(settings: Mapping[str, Any]) -> Habits:
    """Return the zone and the working hours in a `mailboxSettings` answer. Each is None if missing or unreadable."""
    working_hours = settings.get("workingHours") or {}
    working_zone = working_hours.get("timeZone") or {}
    zone = (
        windows_zones.find_iana_name(str(settings.get("timeZone") or ""))
        or windows_zones.find_iana_name(str(working_zone.get("name") or ""))
        or windows_zones.find_zone_by_bias(working_zone)  # a custom zone has only offsets from UTC (its bias)
    )
    return Habits(zone, _parse_working_hours(working_hours))


def _parse_working_hours(working_hours: Mapping[str, Any]) -> WorkingHours | None:
    """Return the working hours in Graph's `workingHours`, which has one start and one end for all days."""
    names = [str(name).casefold() for name in working_hours.get("daysOfWeek") or ()]
    days = sorted({_DAYS.index(name) for name in names if name in _DAYS})
    start, end = (str(working_hours.get(name) or "")[:_TIME_LENGTH] for name in ("startTime", "endTime"))
    if not days or not start or not end:
        return None
    try:
        return parse_hours("; ".join(f"{_DAYS[day][:3].title()} {start}-{end}" for day in days))
    except ValueError:
        return None
