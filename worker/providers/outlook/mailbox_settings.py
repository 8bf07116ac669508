"""Reads the time zone and working hours of a mailbox's owner."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, WorkingHours
from worker.domain.time.worktime import parse_hours
from worker.errors import Permanent
from worker.providers import windows_zones
from worker.providers.base import Habits
from worker.providers.outlook.client import Graph

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class MailboxSettings:
    """Reads people's time zones and working hours. `zones`: zones from the settings, used in place of the mailbox's."""

    def __init__(self, graph: Graph, zones: Mapping[Address, str]) -> None:
        self._graph = graph
        self._zones = {who: ZoneInfo(name) for who, name in zones.items()}

    def get_zone(self, who: Address) -> ZoneInfo:
        """Return the person's zone: from the settings, else from the mailbox, else UTC. Each mailbox is asked once."""
        if who not in self._zones:
            try:
                name = self.habits(who).zone
            except Permanent:  # the next request to this mailbox fails too, and reports why
                name = None
            self._zones[who] = ZoneInfo(name or "UTC")
        return self._zones[who]

    def habits(self, who: Address) -> Habits:
        """Return the zone and working hours in the mailbox's settings. Raises ProviderErrors."""
        return parse_habits(self._graph.get(who, "mailboxSettings"))


def parse_habits(settings: Mapping[str, Any]) -> Habits:
    """Return the zone and working hours in a `mailboxSettings` answer; None for what is missing or unreadable."""
    working = settings.get("workingHours") or {}
    working_zone = working.get("timeZone") or {}
    zone = (
        windows_zones.find_iana_name(str(settings.get("timeZone") or ""))
        or windows_zones.find_iana_name(str(working_zone.get("name") or ""))
        or windows_zones.find_zone_by_bias(working_zone)
    )
    return Habits(zone, _parse_working_hours(working))


def _parse_working_hours(working: Mapping[str, Any]) -> WorkingHours | None:
    days = [_DAYS.index(day) for name in working.get("daysOfWeek") or () if (day := str(name).casefold()) in _DAYS]
    start, end = (str(working.get(name) or "")[:5] for name in ("startTime", "endTime"))
    if not days or not start or not end:
        return None
    try:
        return parse_hours("; ".join(f"{_DAYS[day][:3].title()} {start}-{end}" for day in sorted(set(days))))
    except ValueError:
        return None
