"""What stands on calendars: events with their guests' copies, and recurring ones with their exceptions."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.recurrence import rules_of
from tests.doubles.google.schema import instant
from tests.doubles.google.zones import instant_of, zone_named

Span = tuple[datetime, datetime]
_DAY = timedelta(days=1)
#: How far a single occurrence may have been moved away from its series.
_REACH = 60 * _DAY
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class View:
    """How an answer shows events: to whom, in which zone, each person by which address, and so many guests at most."""

    who: str
    zone: ZoneInfo
    names: Callable[[str], str] = lambda key: key
    most_guests: int = 0


@dataclass(slots=True)
class Entry:
    """An event, kept once; every calendar it stands on shows it in its own way."""

    id: str
    organizer: str
    told: dict[str, Any]  #: what all who see it share, without guests
    guests: dict[str, dict[str, Any]] = field(default_factory=dict)
    private: dict[str, dict[str, str]] = field(default_factory=dict)  #: by calendar
    hidden: set[str] = field(default_factory=set)  #: guests who deleted their copy
    own: dict[str, dict[str, Any]] = field(default_factory=dict)  #: reminders and the like, by calendar
    shared: dict[str, str] = field(default_factory=dict)
    conference: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    tick: int = 0
    exceptions: dict[str, "Entry"] = field(default_factory=dict)  #: by the id of the occurrence
    series: str = ""
    original: dict[str, str] = field(default_factory=dict)
    uid: str = ""
    created: datetime = _EPOCH
    updated: datetime = _EPOCH
    sequence: int = 0

    @property
    def recurs(self) -> bool:
        return bool(self.told.get("recurrence"))

    @property
    def ical_uid(self) -> str:
        """The name that all copies and all occurrences share."""
        return self.uid or f"{self.series or self.id}@google.com"

    def holders(self) -> list[str]:
        """On whose calendars it stands, or stood."""
        return [self.organizer, *(who for who in self.guests if who != self.organizer)]

    def stands_with(self, who: str) -> bool:
        return not self.cancelled and who not in self.hidden

    def span(self, zone: ZoneInfo) -> Span:
        return instant_of(self.told["start"], zone), instant_of(self.told["end"], zone)

    def began_at(self, text: str, zone: ZoneInfo) -> bool:
        """Whether this occurrence was there, before anybody moved it. Raises Refusal."""
        if "date" in self.original:
            return text == self.original["date"]
        return instant(text, "originalStart") == instant_of(self.original, zone)

    def blocks(self, who: str) -> bool:
        """Whether it takes that person's time."""
        kind = self.told.get("eventType", "default")
        answer = self.guests.get(who, {}).get("responseStatus", "accepted")
        shown = self.own.get(who, {}).get("transparency", self.told.get("transparency"))
        return shown != "transparent" and answer != "declined" and kind not in ("workingLocation", "birthday")

    # --- as a calendar shows it ---

    def shown(self, view: View) -> dict[str, Any]:
        """The whole of it, without what is as it always is."""
        who = view.who
        if not self.stands_with(who):
            return self.tombstone(view)
        given = {**self.told, **self.own.get(who, {})}
        shown = {name: deepcopy(value) for name, value in given.items() if value not in (None, [], {})}
        shown = {name: value for name, value in shown.items() if _DEFAULTS.get(name, ...) != value}
        shown |= self._always(view)
        if self.guests:
            shown |= self._guests(view)
        properties = {"private": self.private.get(who), "shared": self.shared}
        if kept := {name: dict(values) for name, values in properties.items() if values}:
            shown["extendedProperties"] = kept
        if self.conference:
            shown["conferenceData"] = deepcopy(self.conference)
        if link := next((one["uri"] for one in self.conference.get("entryPoints", ())), ""):
            shown["hangoutLink"] = link
        return shown | self._place(view)

    def _always(self, view: View) -> dict[str, Any]:
        whose = {"email": view.names(self.organizer)} | ({"self": True} if view.who == self.organizer else {})
        return {
            "kind": "calendar#event",
            "id": self.id,
            "etag": self.etag,
            "status": self.told.get("status") or "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={self.id}",
            "created": f"{self.created:%Y-%m-%dT%H:%M:%S}.000Z",
            "updated": f"{self.updated:%Y-%m-%dT%H:%M:%S}.{self.updated.microsecond // 1000:03d}Z",
            "creator": dict(whose),
            "organizer": whose,
            "iCalUID": self.ical_uid,
            "sequence": self.sequence,
            "eventType": self.told.get("eventType") or "default",
            "reminders": self.own.get(view.who, {}).get("reminders") or {"useDefault": True},
            "start": _shown_time(self.told["start"], view.zone),
            "end": _shown_time(self.told["end"], view.zone),
        }

    def _guests(self, view: View) -> dict[str, Any]:
        listed = list(self.guests)
        if view.most_guests and len(listed) > view.most_guests:
            mine = [self._guest(one, view) for one in listed if one == view.who]
            return {"attendees": mine, "attendeesOmitted": True}
        return {"attendees": [self._guest(one, view) for one in listed]}

    def _guest(self, key: str, view: View) -> dict[str, Any]:
        flags = {"self": key == view.who, "organizer": key == self.organizer}
        return {**self.guests[key], "email": view.names(key), **{name: True for name, is_so in flags.items() if is_so}}

    def _place(self, view: View) -> dict[str, Any]:
        """Where it stands in its series."""
        if not self.series:
            return {}
        return {"recurringEventId": self.series, "originalStartTime": _shown_time(self.original, view.zone)}

    @property
    def etag(self) -> str:
        return f'"{self.tick * 1000}"'

    def tombstone(self, view: View) -> dict[str, Any]:
        """All that is promised of what was deleted."""
        known = {"kind": "calendar#event", "id": self.id, "status": "cancelled", "etag": self.etag}
        return known | self._place(view)

    # --- occurrences ---

    def occurrences(self, window: Span, zone: ZoneInfo) -> Iterator["Entry"]:
        """Where a recurring event takes place inside the window, exceptions included, cancelled ones too."""
        base, home, whole_days = self._base(zone)
        start, end = self.span(zone)
        rules = rules_of(tuple(self.told["recurrence"]), base, whole_days)
        for moment in rules.xafter(window[0] - (end - start) - _REACH, inc=True):
            if moment > window[1] + _REACH:
                return
            one = self._occurrence(moment.replace(tzinfo=home), end - start, whole_days)
            first, last = one.span(zone)
            if first < window[1] and last > window[0]:
                yield one

    def occurrence_named(self, name: str, zone: ZoneInfo) -> "Entry | None":
        """The occurrence of that id; None when the series has none there."""
        if name in self.exceptions:
            return self.exceptions[name]
        base, home, whole_days = self._base(zone)
        form = "%Y%m%d" if whole_days else "%Y%m%dT%H%M%SZ"
        try:
            moment = datetime.strptime(name.rpartition("_")[2], form).replace(tzinfo=UTC).astimezone(home)
        except ValueError:
            return None
        start, end = self.span(zone)
        rules = rules_of(tuple(self.told["recurrence"]), base, whole_days)
        if rules.after(moment - timedelta(seconds=1)) != moment:
            return None
        return self._occurrence(moment, end - start, whole_days)

    def _base(self, zone: ZoneInfo) -> tuple[datetime, Any, bool]:
        """The first occurrence, the zone in which the rule counts, and whether whole days are meant."""
        if "date" in self.told["start"]:
            return datetime.combine(date.fromisoformat(self.told["start"]["date"]), time(), UTC), UTC, True
        home = zone_named(self.told["start"].get("timeZone"), zone)
        return instant_of(self.told["start"], zone).astimezone(home), home, False

    def _occurrence(self, local: datetime, length: timedelta, whole_days: bool) -> "Entry":
        stamp = f"{local:%Y%m%d}" if whole_days else f"{local.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        name = f"{self.id}_{stamp}"
        if name in self.exceptions:
            return self.exceptions[name]
        told = {key: value for key, value in self.told.items() if key != "recurrence"}
        if whole_days:
            days = date.fromisoformat(self.told["end"]["date"]) - date.fromisoformat(self.told["start"]["date"])
            told |= {"start": {"date": f"{local:%Y-%m-%d}"}, "end": {"date": f"{local + days:%Y-%m-%d}"}}
        else:
            first, zone = local.astimezone(UTC), self.told["start"].get("timeZone")
            ends = {"start": first, "end": first + length}
            told |= {side: {"dateTime": at.isoformat(), "timeZone": zone} for side, at in ends.items()}
        return Entry(
            name,
            self.organizer,
            told,
            {who: dict(guest) for who, guest in self.guests.items()},
            {who: dict(properties) for who, properties in self.private.items()},
            set(self.hidden),
            {who: dict(own) for who, own in self.own.items()},
            self.shared,
            self.conference,
            tick=self.tick,
            series=self.id,
            original=dict(told["start"]),
            uid=self.ical_uid,
            created=self.created,
            updated=self.updated,
            sequence=self.sequence,
        )


#: What is left out of an answer when it says nothing new.
_DEFAULTS: dict[str, Any] = {
    "transparency": "opaque",
    "visibility": "default",
    "guestsCanModify": False,
    "guestsCanInviteOthers": True,
    "guestsCanSeeOtherGuests": True,
}


def _shown_time(at: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A start or an end as answers have it: in that zone, with its offset."""
    if "date" in at:
        return {"date": at["date"]}
    local = instant_of(at, zone).astimezone(zone)
    return {"dateTime": local.isoformat().replace("+00:00", "Z"), "timeZone": at.get("timeZone") or str(zone)}


def merged(current: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """What a PATCH makes of it: objects are merged, lists replaced, null removes."""
    whole = dict(current)
    for name, value in told.items():
        if value is None:
            whole.pop(name, None)
        elif isinstance(value, dict):
            below = whole.get(name)
            whole[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            whole[name] = value
    return whole
