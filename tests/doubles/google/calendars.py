"""The Calendar API's state and its rules: etags, sync tokens that end, tombstones, guests' copies, free/busy."""

import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.channels import Channels
from tests.doubles.google.conferences import completed, conference_wanted
from tests.doubles.google.directory import about_calendar, about_settings, in_list
from tests.doubles.google.entries import Entry, View, merged
from tests.doubles.google.event_validation import refuse_invalid_event
from tests.doubles.google.freebusy import free_busy
from tests.doubles.google.listing import SAME, begins_sync, is_wanted, refuse_question
from tests.doubles.google.person_calendar import PersonCalendar
from tests.doubles.google.schema import Call, Refusal, bad
from tests.doubles.google.zones import zone_named
from worker.clock import Clock, utcnow

EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SHARED = (
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
#: What everybody has for themselves on their copy.
OWN = ("reminders", "colorId", "transparency")


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail of the calendar's own that would go out."""

    what: str  #: `invitation`, `update`, `cancellation`
    to: str
    event: str
    send_updates: str


@dataclass(slots=True)
class Mark:
    """What a sync token stands for."""

    calendar: str
    tick: int
    since: datetime | None
    given: dict[str, Any]


class Calendars:
    """Everybody's calendars. `do` is what the API is asked; the rest is what people do with their own programs."""

    def __init__(self, clock: Clock = utcnow) -> None:
        self.person_calendars: dict[str, PersonCalendar] = {}
        self.notices: list[Notice] = []
        self.suspended: set[str] = set()
        self.without_calendar: set[str] = set()  #: accounts for which Google Calendar is off
        self.without_meet: set[str] = set()
        self.meet_takes_time = False  #: links are made later, by `finish_meet`
        self.page_size = 2500
        self.empty_pages = False  #: every page but the last one is empty
        self.channels = Channels(clock)
        self._clock = clock
        self._shown_as: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._tick = 0
        self._marks: dict[str, Mark] = {}
        self._pages: dict[str, tuple[list[Any], str]] = {}

    # --- people -----------------------------------------------------------------------------------------------------

    def add_person(self, email: str, zone: str = "UTC", *, shown_as: str = "") -> None:
        """`shown_as`: the account's first address; whatever else it is written to under comes back as this one."""
        self.person_calendars.setdefault(email, PersonCalendar(email, ZoneInfo(zone)))
        if shown_as:
            self._shown_as[email] = shown_as
            self._owners[shown_as.lower()] = email

    def active(self, email: str) -> bool:
        """Whether that person is in the domain and not suspended."""
        return email in self.person_calendars and email not in self.suspended

    def expire(self, calendar: str) -> None:
        """Every sync token given out for this calendar is dead."""
        self._marks = {name: mark for name, mark in self._marks.items() if mark.calendar != calendar}

    def shown_to(self, owner: str) -> list[dict[str, Any]]:
        """Everything on that person's calendar, series unexpanded, as its owner sees it."""
        person_calendar = self.person_calendars[owner]
        view = View(owner, person_calendar.zone, self.name)
        return [entry.shown(view) for entry in list(person_calendar.entries.values()) if entry.stands_with(owner)]

    def finish_meet(self) -> None:
        """Every link that was still being made is there."""
        for entry in {
            id(one): one
            for person_calendar in self.person_calendars.values()
            for one in person_calendar.entries.values()
        }.values():
            if (entry.conference.get("createRequest") or {}).get("status") == {"statusCode": "pending"}:
                entry.conference = completed(entry.conference, entry.id)
                self._touch(entry)

    def _key(self, address: str) -> str:
        """Whose address it is."""
        return self._owners.get(address.lower(), address.lower())

    def name(self, key: str) -> str:
        """The address by which a person is shown."""
        return self._shown_as.get(key, key)

    # --- the API ----------------------------------------------------------------------------------------------------

    def do(self, who: str, call: Call, *, service_account: bool = False) -> Any:
        """Raises Refusal."""
        if who in self.without_calendar:
            message = "The user must be signed up for Google Calendar."
            raise Refusal(403, "notACalendarUser", message, domain="calendar")
        _, kind, method = call.method.split(".", 2)
        if call.method == "calendar.freebusy.query":
            return free_busy(call.body, lambda name: self._asked_about(who, name))
        if kind == "settings":
            return about_settings(call, str(self.person_calendars[who].zone))
        if call.method == "calendar.channels.stop":
            return self.channels.stop(who, call)
        if call.method == "calendar.calendarList.list":
            return {
                "kind": "calendar#calendarList",
                "etag": '"1"',
                "items": [in_list(self._about(self.person_calendars[who]))],
            }
        calendar = call.path.get("calendarId", "primary")
        person_calendar = self._person_calendar(who, who if calendar == "primary" else self._key(calendar))
        if call.method in ("calendar.calendars.get", "calendar.calendarList.get"):
            return self._about(person_calendar) if kind == "calendars" else in_list(self._about(person_calendar))
        acts: dict[str, Callable[[], Any]] = {
            "list": lambda: self._list(person_calendar, call),
            "get": lambda: self._get(person_calendar, call),
            "instances": lambda: self._instances(person_calendar, call),
            "insert": lambda: self._insert(person_calendar, call, service_account),
            "patch": lambda: self._patch(person_calendar, call),
            "update": lambda: self._patch(person_calendar, call, whole=True),
            "delete": lambda: self._delete(person_calendar, call),
            "watch": lambda: self.channels.open(who, person_calendar.owner, call),
        }
        act = acts.get(method)
        if act is None or kind != "events":
            raise Refusal(501, "notImplemented", f"The double does not know {call.method}.")
        return act()

    def _about(self, person_calendar: PersonCalendar) -> dict[str, Any]:
        return about_calendar(
            self.name(person_calendar.owner),
            str(person_calendar.zone),
            meet=person_calendar.owner not in self.without_meet,
        )

    def _person_calendar(self, who: str, calendar: str) -> PersonCalendar:
        person_calendar = self.person_calendars.get(calendar)
        if person_calendar is None or calendar != who:  # nobody shares more than free and busy here
            raise Refusal(404, "notFound", "Not Found")
        return person_calendar

    def _asked_about(self, who: str, calendar: str) -> PersonCalendar | None:
        """The calendar of which somebody asks for free and busy, when they may."""
        person_calendar = self.person_calendars.get(who if calendar == "primary" else self._key(calendar))
        if (
            person_calendar is None
            or (person_calendar.hidden and who != person_calendar.owner)
            or who in person_calendar.hidden_from
            or person_calendar.owner in self.without_calendar
        ):
            return None
        return person_calendar

    def _view(self, person_calendar: PersonCalendar, call: Call) -> View:
        """How the answer shows events. Raises Refusal for a zone that does not exist."""
        zone = zone_named(call.query.get("timeZone"), person_calendar.zone, "timeZone")
        return View(person_calendar.owner, zone, self.name, int(call.query.get("maxAttendees", 0)))

    def _entry(self, person_calendar: PersonCalendar, name: str) -> Entry:
        entry = person_calendar.entries.get(name)
        if entry is None and "_" in name:
            series = person_calendar.entries.get(name.rpartition("_")[0])
            entry = (
                series.occurrence_named(name, person_calendar.zone) if series is not None and series.recurs else None
            )
        if entry is None:
            raise Refusal(404, "notFound", "Not Found")
        return entry

    def _get(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry = self._entry(person_calendar, call.path["eventId"])
        if call.none_match and call.none_match in ("*", entry.etag):
            raise Refusal(304, "notModified", "Not Modified")
        return entry.shown(self._view(person_calendar, call))

    # --- writing ---

    def _insert(self, person_calendar: PersonCalendar, call: Call, service_account: bool) -> dict[str, Any]:
        told = merged({}, call.body)
        if service_account and told.get("attendees"):
            message = "Service accounts cannot invite attendees without Domain-Wide Delegation of Authority."
            raise Refusal(403, "forbiddenForServiceAccounts", message, domain="calendar")
        refuse_invalid_event(told, person_calendar.zone)
        name = told.pop("id", None) or secrets.token_hex(13)
        if name in person_calendar.entries:
            raise Refusal(409, "duplicate", "The requested identifier already exists.")
        now = self._clock()
        entry = Entry(name, person_calendar.owner, {}, uid=told.pop("iCalUID", ""), created=now, updated=now)
        self._write(entry, person_calendar, told, call, "invitation")
        return entry.shown(self._view(person_calendar, call))

    def _patch(self, person_calendar: PersonCalendar, call: Call, *, whole: bool = False) -> dict[str, Any]:
        entry = self._entry(person_calendar, call.path["eventId"])
        self._refuse_stale(entry, call)
        if not entry.stands_with(person_calendar.owner):
            raise Refusal(403, "forbidden", "Forbidden")
        view = self._view(person_calendar, call)
        if entry.organizer != person_calendar.owner:
            return self._changed_by_guest(entry, view, call)
        body = {name: value for name, value in call.body.items() if name not in ("id", "iCalUID")}
        told = merged({} if whole else deepcopy(entry.told), body)
        if entry.guests and (body.get("attendeesOmitted") or (not whole and "attendees" not in body)):
            told["attendees"] = [{**guest, "email": one} for one, guest in entry.guests.items()]
        if told.get("status") == "cancelled":
            return self._cancelled(entry, person_calendar, call)
        refuse_invalid_event(told, person_calendar.zone)
        self._write(entry, person_calendar, told, call, "update", whole=whole)
        return entry.shown(view)

    @staticmethod
    def _refuse_stale(entry: Entry, call: Call) -> None:
        if call.etag and call.etag not in ("*", entry.etag):
            raise Refusal(412, "conditionNotMet", "Precondition Failed", location=("header", "If-Match"))

    def _changed_by_guest(self, entry: Entry, view: View, call: Call) -> dict[str, Any]:
        """What a guest may change on their copy: the answer, and what is their own."""
        who, told, shown = view.who, call.body, entry.shown(view)
        if any(name in told and told[name] != shown.get(name) for name in SHARED):
            message = "Shared properties can only be changed by the organizer."
            raise Refusal(403, "forbiddenForNonOrganizer", message, domain="calendar")
        mine: dict[str, Any] = next((one for one in told.get("attendees") or () if self._key(one["email"]) == who), {})
        said: dict[str, Any] = {
            name: mine[name] for name in ("responseStatus", "comment", "additionalGuests") if name in mine
        }
        entry.guests[who] = {**entry.guests[who], **said}
        entry.own[who] = {**entry.own.get(who, {}), **{name: told[name] for name in OWN if name in told}}
        private = (told.get("extendedProperties") or {}).get("private") or {}
        entry.private[who] = merged(entry.private.get(who, {}), private)
        self._keep_exception(entry, who)
        self._touch(entry)
        return entry.shown(view)

    def _write(
        self,
        entry: Entry,
        person_calendar: PersonCalendar,
        told: dict[str, Any],
        call: Call,
        what: str,
        *,
        whole: bool = False,
    ) -> None:
        before = {who: dict(one) for who, one in entry.guests.items()}
        moved = bool(entry.told) and (entry.told.get("start"), entry.told.get("end")) != (told["start"], told["end"])
        if call.query.get("conferenceDataVersion") == 1 and "conferenceData" in call.body:
            options = {"offered": person_calendar.owner not in self.without_meet, "pending": self.meet_takes_time}
            entry.conference = conference_wanted(call.body, entry.conference, entry.id, **options)
        guests = {self._key(one["email"]): dict(one) for one in told.pop("attendees", None) or ()}
        for key, one in guests.items():
            one["email"] = key
            one.setdefault("responseStatus", "needsAction")
        self._keep_own(entry, person_calendar.owner, told, call.body, whole=whole)
        entry.told = {name: value for name, value in told.items() if name not in ("conferenceData", "attendeesOmitted")}
        entry.guests = guests
        if moved:
            entry.hidden.clear()
            entry.sequence += 1
        self._place(entry, person_calendar, gone=before.keys() - guests.keys())
        for email in guests:
            if email not in before or moved:
                self._decline_when_away(entry, email)
        self._touch(entry, *before)
        self._notify(entry, call, "cancellation", [who for who in before if who not in guests])
        self._notify(entry, call, "invitation", [who for who in guests if who not in before])
        if what == "update":
            self._notify(entry, call, "update", [who for who in guests if who in before])

    @staticmethod
    def _keep_own(entry: Entry, who: str, told: dict[str, Any], body: dict[str, Any], *, whole: bool) -> None:
        """Take the organizer's reminders, colour and private properties out of what all share."""
        told.pop("extendedProperties", None)
        properties = body.get("extendedProperties") or {}
        entry.private[who] = merged({} if whole else entry.private.get(who, {}), properties.get("private") or {})
        entry.shared = merged({} if whole else entry.shared, properties.get("shared") or {})
        own = {} if whole else entry.own.get(who, {})
        entry.own[who] = {**own, **{name: told.pop(name) for name in ("reminders", "colorId") if name in told}}

    def _place(self, entry: Entry, person_calendar: PersonCalendar, gone: Iterable[str]) -> None:
        if entry.series:
            person_calendar.entries[entry.series].exceptions[entry.id] = entry
            return
        for who in entry.holders():
            if who in self.person_calendars:
                self.person_calendars[who].entries.setdefault(entry.id, entry)
        for who in gone:
            if who in self.person_calendars and self.person_calendars[who].entries.get(entry.id) is entry:
                self.person_calendars[who].touched[entry.id] = (self._tick + 1, entry)
                del self.person_calendars[who].entries[entry.id]

    def _keep_exception(self, entry: Entry, who: str) -> None:
        """A guest changed one occurrence: it is no longer as its series has it."""
        if entry.series:
            self.person_calendars[who].entries[entry.series].exceptions[entry.id] = entry

    def _decline_when_away(self, entry: Entry, email: str) -> None:
        """Out of office with auto-decline answers before anybody else can."""
        person_calendar = self.person_calendars.get(email)
        if person_calendar is None or entry.recurs:
            return
        start, end = entry.span(person_calendar.zone)
        for other in list(person_calendar.entries.values()):
            mode = (other.told.get("outOfOfficeProperties") or {}).get("autoDeclineMode", "declineNone")
            if other.cancelled or other.told.get("eventType") != "outOfOffice" or mode == "declineNone":
                continue
            first, last = other.span(person_calendar.zone)
            if first < end and start < last:
                entry.guests[email]["responseStatus"] = "declined"

    def _delete(self, person_calendar: PersonCalendar, call: Call) -> None:
        entry = self._entry(person_calendar, call.path["eventId"])
        if not entry.stands_with(person_calendar.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        self._refuse_stale(entry, call)
        if entry.organizer != person_calendar.owner:
            entry.hidden.add(person_calendar.owner)
            entry.guests[person_calendar.owner]["responseStatus"] = "declined"
            self._keep_exception(entry, person_calendar.owner)
            self._touch(entry)
            return
        self._cancelled(entry, person_calendar, call)

    def _cancelled(self, entry: Entry, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry.cancelled = True
        if entry.series:
            person_calendar.entries[entry.series].exceptions[entry.id] = entry
        self._touch(entry)
        self._notify(entry, call, "cancellation", entry.guests)
        return entry.tombstone(self._view(person_calendar, call))

    def _touch(self, entry: Entry, *also: str) -> None:
        self._tick += 1
        entry.tick, entry.updated = self._tick, self._clock()
        for who in {*entry.holders(), *also}:
            person_calendar = self.person_calendars.get(who)
            if person_calendar and (entry.series or person_calendar.entries.get(entry.id) is entry):
                person_calendar.touched.pop(entry.id, None)
                person_calendar.touched[entry.id] = (self._tick, entry)
            if person_calendar and person_calendar.touched.get(entry.id, (0,))[0] == self._tick:
                self.channels.note_change(who)

    def _notify(self, entry: Entry, call: Call, what: str, guests: Iterable[str]) -> None:
        wanted = str(call.query.get("sendUpdates") or ("all" if call.query.get("sendNotifications") else ""))
        for key in guests:
            external = key not in self.person_calendars
            if key != entry.organizer and (wanted == "all" or (wanted == "externalOnly" and external)):
                self.notices.append(Notice(what, key, entry.id, wanted))

    # --- reading ---

    def _list(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        asked, view = call.query, self._view(person_calendar, call)
        if "pageToken" in asked:
            return self._page(person_calendar, view, asked)
        refuse_question(asked, self._clock())
        items = (
            self._since(person_calendar, view, call)
            if "syncToken" in asked
            else self._everything(person_calendar, view, call)
        )
        mark = ""
        if begins_sync(asked):
            mark = secrets.token_urlsafe(12)
            since = self._marks[asked["syncToken"]].since if "syncToken" in asked else asked.get("timeMin")
            self._marks[mark] = Mark(person_calendar.owner, self._tick, since, {name: asked.get(name) for name in SAME})
        return self._page(person_calendar, view, asked, items, mark)

    def _page(
        self,
        person_calendar: PersonCalendar,
        view: View,
        asked: dict[str, Any],
        items: list[Any] | None = None,
        mark: str = "",
    ) -> dict[str, Any]:
        if items is None:
            token = asked["pageToken"]
            if token not in self._pages:
                raise bad("Invalid page token value.", "invalid", "pageToken")
            items, mark = self._pages[token]
        size = min(int(asked.get("maxResults", 250)), self.page_size)
        answer: dict[str, Any] = {
            "kind": "calendar#events",
            "summary": self.name(person_calendar.owner),
            "updated": f"{self._clock():%Y-%m-%dT%H:%M:%S}.000Z",
            "timeZone": str(view.zone),
            "accessRole": "owner",
            "defaultReminders": [],
            "etag": f'"p{self._tick}"',
        }
        blank = self.empty_pages and "pageToken" not in asked
        now, later = ([], items) if blank else (items[:size], items[size:])
        answer["items"] = now
        if later or blank:
            following = secrets.token_urlsafe(9)
            self._pages[following] = (later, mark)
            answer["nextPageToken"] = following
        elif mark:
            answer["nextSyncToken"] = mark
        return answer

    def _since(self, person_calendar: PersonCalendar, view: View, call: Call) -> list[Any]:
        asked = call.query
        mark = self._marks.get(asked["syncToken"])
        if mark is None or mark.calendar != person_calendar.owner:
            message = "Sync token is no longer valid, a full sync is required."
            where = ("parameter", "syncToken")
            raise Refusal(410, "fullSyncRequired", message, domain="calendar", location=where)
        for name in SAME:
            if (mark.given[name] or False) != (asked.get(name) or False):
                raise bad("The parameters are not those of the first request.", "badRequest", name)
        changed = [(tick, entry) for tick, entry in person_calendar.touched.values() if tick > mark.tick]
        items: list[Any] = []
        for _, entry in sorted(changed, key=lambda one: one[0]):
            alive = entry.stands_with(person_calendar.owner) and (
                entry.series or person_calendar.entries.get(entry.id) is entry
            )
            if alive and mark.since and not entry.recurs and entry.span(person_calendar.zone)[1] <= mark.since:
                continue
            items += self._told_again(entry, person_calendar, view, asked) if alive else [entry.tombstone(view)]
        return items

    def _told_again(
        self, entry: Entry, person_calendar: PersonCalendar, view: View, asked: dict[str, Any]
    ) -> list[Any]:
        """An event that changed; a series by its occurrences, where single events were asked for."""
        if not is_wanted(entry, view, {name: asked[name] for name in SAME if name in asked}):
            return []
        if not (entry.recurs and asked.get("singleEvents")):
            return [entry.shown(view)]
        soon = (EVER[0], self._clock() + timedelta(days=730))
        return [one.shown(view) for one in entry.occurrences(soon, person_calendar.zone)]

    def _everything(self, person_calendar: PersonCalendar, view: View, call: Call) -> list[Any]:
        asked = call.query
        window = (asked.get("timeMin") or EVER[0], asked.get("timeMax") or EVER[1])
        single, deleted = asked.get("singleEvents", False), asked.get("showDeleted", False) or "updatedMin" in asked
        entries: list[Entry] = []
        for entry in list(person_calendar.entries.values()):
            entries += person_calendar.seen(entry, window, single=single, deleted=deleted)
        wanted = [entry for entry in entries if is_wanted(entry, view, asked)]
        if asked.get("orderBy") == "startTime":
            wanted.sort(key=lambda entry: entry.span(person_calendar.zone)[0])
        elif asked.get("orderBy") == "updated":
            wanted.sort(key=lambda entry: (entry.updated, entry.tick))
        return [entry.shown(view) for entry in wanted]

    def _instances(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry, view, asked = (
            self._entry(person_calendar, call.path["eventId"]),
            self._view(person_calendar, call),
            call.query,
        )
        if "pageToken" in asked:
            return self._page(person_calendar, view, asked)
        if not entry.stands_with(person_calendar.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        if not entry.recurs:
            raise bad("This event does not recur.")
        window = (asked.get("timeMin") or EVER[0], asked.get("timeMax") or EVER[1])
        if window[1] <= window[0]:
            raise bad("The specified time range is empty.", "timeRangeEmpty", "timeMax")
        listed = list(person_calendar.seen(entry, window, single=True, deleted=asked.get("showDeleted", False)))
        if original := asked.get("originalStart"):
            listed = [one for one in listed if one.began_at(original, person_calendar.zone)]
        return self._page(person_calendar, view, asked, [one.shown(view) for one in listed])
