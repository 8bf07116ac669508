"""What stands on calendars: events with their guests' copies, and recurring ones with their exceptions."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrulestr

from tests.doubles.google.schema import bad

Span = tuple[datetime, datetime]
_DAY = timedelta(days=1)
_ID = re.compile(r"[0-9a-v]{5,1024}")


@dataclass(slots=True)
class Entry:
    """An event, kept once; every calendar it stands on shows it in its own way."""

    id: str
    organizer: str
    told: dict[str, Any]  #: what was written, without guests and private properties
    guests: dict[str, dict[str, Any]] = field(default_factory=dict)
    private: dict[str, dict[str, str]] = field(default_factory=dict)  #: by calendar
    hidden: set[str] = field(default_factory=set)  #: guests who deleted their copy
    cancelled: bool = False
    tick: int = 0
    exceptions: dict[str, "Entry"] = field(default_factory=dict)  #: by the id of the occurrence
    series: str = ""
    original: dict[str, str] = field(default_factory=dict)

    @property
    def recurs(self) -> bool:
        return bool(self.told.get("recurrence"))

    def holders(self) -> list[str]:
        """On whose calendars it stands, or stood."""
        return [self.organizer, *(who for who in self.guests if who != self.organizer)]

    def stands_with(self, who: str) -> bool:
        return not self.cancelled and who not in self.hidden

    def span(self, zone: ZoneInfo) -> Span:
        return instant_of(self.told["start"], zone), instant_of(self.told["end"], zone)

    # --- as a calendar shows it ---

    def shown(self, who: str) -> dict[str, Any]:
        """The whole of it, without what is as it always is."""
        if not self.stands_with(who):
            return self.tombstone()
        found = {name: deepcopy(value) for name, value in self.told.items() if value not in (None, [], {})}
        found = {name: value for name, value in found.items() if _DEFAULTS.get(name, ...) != value}
        found |= {
            "kind": "calendar#event",
            "id": self.id,
            "etag": self.etag,
            "status": found.get("status", "confirmed"),
        }
        found["organizer"] = {"email": self.organizer} | ({"self": True} if who == self.organizer else {})
        if self.guests:
            found["attendees"] = [self._guest(one, who) for one in self.guests]
        properties = {"private": self.private[who]} if self.private.get(who) else {}
        if properties:
            found["extendedProperties"] = properties
        if self.series:
            found |= {"recurringEventId": self.series, "originalStartTime": self.original}
        return found

    def _guest(self, email: str, who: str) -> dict[str, Any]:
        flags = {"self": email == who, "organizer": email == self.organizer}
        return {**self.guests[email], **{name: True for name, is_so in flags.items() if is_so}}

    @property
    def etag(self) -> str:
        return f'"{self.tick * 1000}"'

    def tombstone(self) -> dict[str, Any]:
        """All that is promised of what was deleted."""
        found: dict[str, Any] = {"kind": "calendar#event", "id": self.id, "status": "cancelled", "etag": self.etag}
        if self.series:
            found |= {"recurringEventId": self.series, "originalStartTime": self.original}
        return found

    # --- occurrences ---

    def occurrences(self, window: Span, zone: ZoneInfo) -> Iterator["Entry"]:
        """Where a recurring event takes place inside the window, exceptions included, cancelled ones too."""
        start, end = self.span(zone)
        lines = "\n".join(self.told["recurrence"])
        whole_days = "date" in self.told["start"]
        home = UTC if whole_days else _zone(self.told["start"].get("timeZone"), zone)
        base = datetime.combine(date.fromisoformat(self.told["start"]["date"]), time(), UTC) if whole_days else start
        rule = rrulestr(lines, dtstart=base.astimezone(home), forceset=True)
        reach = end - start + 60 * _DAY
        for found in rule.between(window[0].astimezone(home) - reach, window[1].astimezone(home) + 60 * _DAY, inc=True):
            local = found.replace(tzinfo=None).replace(tzinfo=home)
            one = self.occurrence(local, end - start, whole_days)
            first, last = one.span(zone)
            if first < window[1] and last > window[0]:
                yield one

    def occurrence(self, local: datetime, length: timedelta, whole_days: bool) -> "Entry":
        stamp = f"{local:%Y%m%d}" if whole_days else f"{local.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        name = f"{self.id}_{stamp}"
        if name in self.exceptions:
            return self.exceptions[name]
        made = Entry(name, self.organizer, deepcopy(self.told), self.guests, self.private, self.hidden, tick=self.tick)
        made.told.pop("recurrence")
        made.series = self.id
        if whole_days:
            days = date.fromisoformat(self.told["end"]["date"]) - date.fromisoformat(self.told["start"]["date"])
            made.told |= {"start": {"date": f"{local:%Y-%m-%d}"}, "end": {"date": f"{local + days:%Y-%m-%d}"}}
        else:
            first, last = local.astimezone(UTC), local.astimezone(UTC) + length
            made.told |= {"start": {"dateTime": first.isoformat()}, "end": {"dateTime": last.isoformat()}}
        made.original = dict(made.told["start"])
        return made


#: What is left out of an answer when it says nothing new.
_DEFAULTS: dict[str, Any] = {
    "transparency": "opaque",
    "visibility": "default",
    "guestsCanModify": False,
    "guestsCanInviteOthers": True,
    "guestsCanSeeOtherGuests": True,
}


def instant_of(at: dict[str, Any], zone: ZoneInfo) -> datetime:
    """The instant meant by a start or an end; whole days lie in the calendar's zone."""
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    found = datetime.fromisoformat(at["dateTime"])
    return (found if found.tzinfo else found.replace(tzinfo=_zone(at.get("timeZone"), zone))).astimezone(UTC)


def _zone(name: str | None, otherwise: ZoneInfo) -> ZoneInfo:
    try:
        return ZoneInfo(name) if name else otherwise
    except (ZoneInfoNotFoundError, ValueError):
        raise bad("Invalid time zone definition for start time.") from None


# --- what may be written --------------------------------------------------------------------------------------------


def refuse_unfit(told: dict[str, Any]) -> None:
    """Raises Refusal for what the service would not take."""
    if "id" in told and not _ID.fullmatch(str(told["id"])):
        raise bad("Invalid resource id value.")
    if told.get("id") and told.get("iCalUID"):
        raise bad("Only one of id and iCalUID may be given.")
    for name in ("start", "end"):
        _refuse_time(told.get(name), name, recurs=bool(told.get("recurrence")))
    if ("date" in told["start"]) != ("date" in told["end"]):
        raise bad("Start and end times must either both be date or both be dateTime.")
    if instant_of(told["end"], ZoneInfo("UTC")) <= instant_of(told["start"], ZoneInfo("UTC")):
        raise bad("The specified time range is empty.", "timeRangeEmpty")
    _refuse_reminders(told.get("reminders") or {})
    _refuse_kind(told)
    if any(line.startswith(("DTSTART", "DTEND")) for line in told.get("recurrence") or ()):
        raise bad("Invalid recurrence rule.")


def _refuse_time(at: Any, name: str, *, recurs: bool) -> None:
    if not at:
        raise bad(f"Missing {name} time.", "required")
    kinds = [kind for kind in ("date", "dateTime") if at.get(kind)]
    if len(kinds) != 1:
        raise bad(f"Invalid {name} time.")
    if kinds == ["dateTime"]:
        if datetime.fromisoformat(at["dateTime"]).tzinfo is None and not at.get("timeZone"):
            raise bad(f"Missing time zone definition for {name} time.", "required")
        if recurs and not at.get("timeZone"):
            raise bad(f"Missing time zone definition for {name} time.", "required")
        _zone(at.get("timeZone"), ZoneInfo("UTC"))


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
    if kind in ("outOfOffice", "focusTime") and "date" in told["start"]:
        raise bad("An out of office or focus time event must be a timed event.")
    if kind == "outOfOffice" and told.get("description"):
        raise bad("An out of office event must not have a description.")
    properties = (told.get("extendedProperties") or {}).get("private") or {}
    if any(len(name) > 44 or len(str(value)) > 1024 for name, value in properties.items()):
        raise bad("The extended property is too long.")
    if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", str(one.get("email", ""))) for one in told.get("attendees") or ()):
        raise bad("Invalid attendee email.")
