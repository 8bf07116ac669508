"""Events as the double stores them: once for all guests, and series with their exceptions."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.recurrence import parse_rules
from tests.doubles.google.schema import parse_instant
from tests.doubles.google.zones import get_zone, parse_event_time

Span = tuple[datetime, datetime]
_DAY = timedelta(days=1)
#: The farthest that one occurrence may have been moved from its time in the series.
_MAX_MOVE = 60 * _DAY
_DEFAULT_CREATED = datetime(2026, 1, 1, tzinfo=UTC)

#: The fields that only the organizer may change.
ORGANIZER_FIELDS = (
    "summary",
    "description",
    "start",
    "end",
    "location",
    "recurrence",
    "visibility",
    "guestsCanModify",
    "conferenceData",
)
#: The fields that each guest may set on their own copy.
OWN_FIELDS = ("reminders", "colorId", "transparency")


@dataclass(frozen=True, slots=True)
class View:
    """How an answer shows events."""

    who: str  #: the person who sees them
    zone: ZoneInfo  #: of the times in the answer
    get_address: Callable[[str], str] = lambda key: key  #: the address by which a person is shown
    most_guests: int = 0  #: with more guests, only the entry of `who` is shown; 0: no limit


@dataclass(slots=True)
class Entry:
    """An event, a series or an occurrence, stored once for all calendars that show it.

    People are named by their keys, which `Calendars.add_person` defines.
    """

    id: str
    organizer: str
    fields: dict[str, Any]  #: the fields that the organizer and all guests share, except the guests
    guests: dict[str, dict[str, Any]] = field(default_factory=dict)
    private: dict[str, dict[str, str]] = field(default_factory=dict)  #: private extended properties, by person
    deleted_by: set[str] = field(default_factory=set)  #: guests who deleted their copy
    own: dict[str, dict[str, Any]] = field(default_factory=dict)  #: reminders and the like, by person
    shared: dict[str, str] = field(default_factory=dict)  #: shared extended properties
    conference: dict[str, Any] = field(default_factory=dict)
    cancelled: bool = False
    change_number: int = 0  #: of its last change; all changes of all calendars are numbered
    exceptions: dict[str, "Entry"] = field(default_factory=dict)  #: by the id of the occurrence
    series: str = ""  #: of an occurrence: the id of its series
    original: dict[str, str] = field(default_factory=dict)  #: of an occurrence: its start before it was moved
    uid: str = ""
    created: datetime = _DEFAULT_CREATED
    updated: datetime = _DEFAULT_CREATED
    sequence: int = 0

    @property
    def recurs(self) -> bool:
        return bool(self.fields.get("recurrence"))

    @property
    def ical_uid(self) -> str:
        """The iCalendar UID, which all copies and all occurrences share."""
        return self.uid or f"{self.series or self.id}@google.com"

    def list_people(self) -> list[str]:
        """The organizer and the guests."""
        return [self.organizer, *(who for who in self.guests if who != self.organizer)]

    def is_on_calendar_of(self, who: str) -> bool:
        """Whether it is neither cancelled nor deleted by this person."""
        return not self.cancelled and who not in self.deleted_by

    def span(self, zone: ZoneInfo) -> Span:
        return parse_event_time(self.fields["start"], zone), parse_event_time(self.fields["end"], zone)

    def has_original_start(self, text: str, zone: ZoneInfo) -> bool:
        """Whether this occurrence had that start before anybody moved it. Raises Refusal."""
        if "date" in self.original:
            return text == self.original["date"]
        return parse_instant(text, "originalStart") == parse_event_time(self.original, zone)

    def makes_busy(self, who: str) -> bool:
        """Whether free/busy shows that person as busy at its time."""
        kind = self.fields.get("eventType", "default")
        answer = self.guests.get(who, {}).get("responseStatus", "accepted")
        transparency = self.own.get(who, {}).get("transparency", self.fields.get("transparency"))
        return transparency != "transparent" and answer != "declined" and kind not in ("workingLocation", "birthday")

    # --- in the JSON of answers ---

    def render(self, view: View) -> dict[str, Any]:
        """The event as this person sees it. Fields with their default value are left out, as Google does."""
        who = view.who
        if not self.is_on_calendar_of(who):
            return self.render_tombstone(view)
        all_fields = {**self.fields, **self.own.get(who, {})}
        shown = {name: deepcopy(value) for name, value in all_fields.items() if value not in (None, [], {})}
        shown = {name: value for name, value in shown.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
        shown |= self._render_fixed_fields(view)
        if self.guests:
            shown |= self._render_guests(view)
        properties = {"private": self.private.get(who), "shared": self.shared}
        if given := {name: dict(values) for name, values in properties.items() if values}:
            shown["extendedProperties"] = given
        if self.conference:
            shown["conferenceData"] = deepcopy(self.conference)
        if link := next((one["uri"] for one in self.conference.get("entryPoints", ())), ""):
            shown["hangoutLink"] = link
        return shown | self._render_series(view)

    def _render_fixed_fields(self, view: View) -> dict[str, Any]:
        organizer = {"email": view.get_address(self.organizer)} | ({"self": True} if view.who == self.organizer else {})
        return {
            "kind": "calendar#event",
            "id": self.id,
            "etag": self.etag,
            "status": self.fields.get("status") or "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={self.id}",
            "created": f"{self.created:%Y-%m-%dT%H:%M:%S}.000Z",
            "updated": f"{self.updated:%Y-%m-%dT%H:%M:%S}.{self.updated.microsecond // 1000:03d}Z",
            "creator": dict(organizer),
            "organizer": organizer,
            "iCalUID": self.ical_uid,
            "sequence": self.sequence,
            "eventType": self.fields.get("eventType") or "default",
            "reminders": self.own.get(view.who, {}).get("reminders") or {"useDefault": True},
            "start": _render_time(self.fields["start"], view.zone),
            "end": _render_time(self.fields["end"], view.zone),
        }

    def _render_guests(self, view: View) -> dict[str, Any]:
        listed = list(self.guests)
        if view.most_guests and len(listed) > view.most_guests:
            own_entry = [self._render_guest(one, view) for one in listed if one == view.who]
            return {"attendees": own_entry, "attendeesOmitted": True}
        return {"attendees": [self._render_guest(one, view) for one in listed]}

    def _render_guest(self, key: str, view: View) -> dict[str, Any]:
        flags = {"self": key == view.who, "organizer": key == self.organizer}
        return {
            **self.guests[key],
            "email": view.get_address(key),
            **{name: True for name, is_so in flags.items() if is_so},
        }

    def _render_series(self, view: View) -> dict[str, Any]:
        """The fields by which an occurrence names its series. Empty for other events."""
        if not self.series:
            return {}
        return {"recurringEventId": self.series, "originalStartTime": _render_time(self.original, view.zone)}

    @property
    def etag(self) -> str:
        return f'"{self.change_number * 1000}"'

    def render_tombstone(self, view: View) -> dict[str, Any]:
        """The few fields of a deleted event that Google guarantees."""
        known = {"kind": "calendar#event", "id": self.id, "status": "cancelled", "etag": self.etag}
        return known | self._render_series(view)

    # --- occurrences ---

    def list_occurrences(self, window: Span, zone: ZoneInfo) -> Iterator["Entry"]:
        """Yield the occurrences of a series in the window, with exceptions, whether cancelled or not."""
        first_start, home, whole_days = self._get_first_start(zone)
        start, end = self.span(zone)
        rules = parse_rules(tuple(self.fields["recurrence"]), first_start, whole_days)
        for moment in rules.xafter(window[0] - (end - start) - _MAX_MOVE, inc=True):
            if moment > window[1] + _MAX_MOVE:
                return
            occurrence = self._make_occurrence(moment.replace(tzinfo=home), end - start, whole_days)
            start_now, end_now = occurrence.span(zone)  # an exception may have been moved
            if start_now < window[1] and end_now > window[0]:
                yield occurrence

    def find_occurrence(self, event_id: str, zone: ZoneInfo) -> "Entry | None":
        """The occurrence with that id; None when the series has no such occurrence."""
        if event_id in self.exceptions:
            return self.exceptions[event_id]
        first_start, home, whole_days = self._get_first_start(zone)
        stamp_format = "%Y%m%d" if whole_days else "%Y%m%dT%H%M%SZ"
        try:
            moment = datetime.strptime(event_id.rpartition("_")[2], stamp_format).replace(tzinfo=UTC).astimezone(home)
        except ValueError:
            return None
        start, end = self.span(zone)
        rules = parse_rules(tuple(self.fields["recurrence"]), first_start, whole_days)
        if rules.after(moment - timedelta(seconds=1)) != moment:  # `after` excludes the moment that it is given
            return None
        return self._make_occurrence(moment, end - start, whole_days)

    def _get_first_start(self, zone: ZoneInfo) -> tuple[datetime, Any, bool]:
        """The first start, the zone in which the rule repeats, and whether the events are whole days."""
        if "date" in self.fields["start"]:
            return datetime.combine(date.fromisoformat(self.fields["start"]["date"]), time(), UTC), UTC, True
        home = get_zone(self.fields["start"].get("timeZone"), zone)
        return parse_event_time(self.fields["start"], zone).astimezone(home), home, False

    def _make_occurrence(self, start: datetime, length: timedelta, whole_days: bool) -> "Entry":
        """The occurrence that starts then, in the zone of the series; its exception when there is one."""
        stamp = f"{start:%Y%m%d}" if whole_days else f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        event_id = f"{self.id}_{stamp}"
        if event_id in self.exceptions:
            return self.exceptions[event_id]
        fields = {key: value for key, value in self.fields.items() if key != "recurrence"}
        if whole_days:
            days = date.fromisoformat(self.fields["end"]["date"]) - date.fromisoformat(self.fields["start"]["date"])
            fields |= {"start": {"date": f"{start:%Y-%m-%d}"}, "end": {"date": f"{start + days:%Y-%m-%d}"}}
        else:
            zone = self.fields["start"].get("timeZone")
            times = {"start": start.astimezone(UTC), "end": start.astimezone(UTC) + length}
            fields |= {side: {"dateTime": at.isoformat(), "timeZone": zone} for side, at in times.items()}
        return Entry(
            event_id,
            self.organizer,
            fields,
            guests={who: dict(guest) for who, guest in self.guests.items()},
            private={who: dict(properties) for who, properties in self.private.items()},
            deleted_by=set(self.deleted_by),
            own={who: dict(own) for who, own in self.own.items()},
            shared=self.shared,
            conference=self.conference,
            change_number=self.change_number,
            series=self.id,
            original=dict(fields["start"]),
            uid=self.ical_uid,
            created=self.created,
            updated=self.updated,
            sequence=self.sequence,
        )


#: The default values, which answers leave out.
_DEFAULTS: dict[str, Any] = {
    "transparency": "opaque",
    "visibility": "default",
    "guestsCanModify": False,
    "guestsCanInviteOthers": True,
    "guestsCanSeeOtherGuests": True,
}


def _render_time(at: dict[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """A start or an end in the form of answers: in that zone, with its offset."""
    if "date" in at:
        return {"date": at["date"]}
    local = parse_event_time(at, zone).astimezone(zone)
    return {"dateTime": local.isoformat().replace("+00:00", "Z"), "timeZone": at.get("timeZone") or str(zone)}


def merge_patch(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """`current` after a PATCH: objects are merged, lists are replaced, null removes a field."""
    whole = dict(current)
    for name, value in patch.items():
        if value is None:
            whole.pop(name, None)
        elif isinstance(value, dict):
            below = whole.get(name)
            whole[name] = merge_patch(below if isinstance(below, dict) else {}, value)
        else:
            whole[name] = value
    return whole
