"""What a mailbox says of its owner: the zone the person lives in, and the hours the person works."""

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
    """Asks each mailbox once."""

    def __init__(self, graph: Graph, zones: Mapping[Address, str]) -> None:
        self._graph = graph
        self._zones = {who: ZoneInfo(name) for who, name in zones.items()}

    def get_zone(self, who: Address) -> ZoneInfo:
        """Where the owner lives: as it was given, else as the mailbox says, else UTC."""
        if who not in self._zones:
            try:
                said = self.habits(who).zone
            except Permanent:  # it may not be asked; whatever else is asked next says why
                said = None
            self._zones[who] = ZoneInfo(said or "UTC")
        return self._zones[who]

    def habits(self, who: Address) -> Habits:
        """What the mailbox says. Raises ProviderErrors."""
        return parse_habits(self._graph.get(who, "mailboxSettings"))


def parse_habits(settings: Mapping[str, Any]) -> Habits:
    """What is in a mailbox's settings."""
    working = settings.get("workingHours") or {}
    own = windows_zones.find_iana_name(str(settings.get("timeZone") or ""))
    described = working.get("timeZone") or {}
    zone = (
        own
        or windows_zones.find_iana_name(str(described.get("name") or ""))
        or windows_zones.find_zone_by_bias(described)
    )
    return Habits(zone, _parse_working_hours(working))


def _parse_working_hours(working: Mapping[str, Any]) -> WorkingHours | None:
    days = [_DAYS.index(day) for one in working.get("daysOfWeek") or () if (day := str(one).casefold()) in _DAYS]
    start, end = (str(working.get(name) or "")[:5] for name in ("startTime", "endTime"))
    if not days or not start or not end:
        return None
    try:
        return parse_hours("; ".join(f"{_DAYS[day][:3].title()} {start}-{end}" for day in sorted(set(days))))
    except ValueError:
        return None
