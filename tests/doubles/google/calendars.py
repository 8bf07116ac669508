"""The calendars of the Calendar API: events with etags, guests' copies, sync tokens and free/busy."""

import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.calendar_resources import answer_settings, describe_calendar, describe_list_entry
from tests.doubles.google.channels import Channels
from tests.doubles.google.conferences import complete_conference, make_conference
from tests.doubles.google.entries import ORGANIZER_FIELDS, OWN_FIELDS, Entry, View, merge_patch
from tests.doubles.google.event_validation import refuse_invalid_event
from tests.doubles.google.freebusy import answer_free_busy
from tests.doubles.google.listing import (
    FIXED_IN_SYNC,
    WHOLE_TIME,
    get_window,
    gives_sync_token,
    matches_list,
    refuse_invalid_list,
)
from tests.doubles.google.person_calendar import Change, PersonCalendar
from tests.doubles.google.schema import Call, Refusal, bad_request
from tests.doubles.google.sync_states import SyncStates
from tests.doubles.google.zones import get_zone
from worker.clock import Clock, utcnow

#: How far ahead a list of changes expands a series.
_CHANGED_SERIES_REACH = timedelta(days=730)


@dataclass(frozen=True, slots=True)
class Notice:
    """A mail about an event that Google Calendar itself would send to a guest."""

    kind: str  #: `invitation`, `update`, `cancellation`
    to: str
    event_id: str
    send_updates: str  #: the parameter `sendUpdates` of the request that caused it


class Calendars:
    """The calendars of all people. `answer` carries out a request to the API; other public methods are for tests."""

    def __init__(self, clock: Clock = utcnow) -> None:
        self.person_calendars: dict[str, PersonCalendar] = {}
        self.notices: list[Notice] = []
        self.suspended_accounts: set[str] = set()
        self.without_calendar: set[str] = set()  #: accounts for which Google Calendar is off
        self.without_meet: set[str] = set()  #: accounts that can't create Meet links
        self.meet_takes_time = False  #: links are created later, by `finish_meet`
        self.page_size = 2500
        self.first_page_is_empty = False  #: each list begins with a page without events
        self.channels = Channels(clock)
        self._clock = clock
        self._shown_as: dict[str, str] = {}  #: the address by which a person is shown, by key
        self._keys: dict[str, str] = {}  #: the key of a person, by that address in lower case
        self._change_number = 0
        self._sync_states = SyncStates()
        #: By page token, the items that are left for that page and later ones, and the sync token for the last page.
        self._pages: dict[str, tuple[list[Any], str]] = {}

    # --- people -----------------------------------------------------------------------------------------------------

    def add_person(self, email: str, zone: str = "UTC", *, shown_as: str = "") -> None:
        """Give a person a calendar. `email` is the key of the person. `shown_as` is the primary address of the account,
        which answers show, if it differs."""
        self.person_calendars.setdefault(email, PersonCalendar(email, ZoneInfo(zone)))
        if shown_as:
            self._shown_as[email] = shown_as
            self._keys[shown_as.lower()] = email

    def is_active(self, email: str) -> bool:
        """Whether that person has an account here that is not suspended."""
        return email in self.person_calendars and email not in self.suspended_accounts

    def expire_sync_tokens(self, calendar: str) -> None:
        """Make every sync token of this calendar invalid."""
        self._sync_states.expire(calendar)

    def list_events(self, owner: str) -> list[dict[str, Any]]:
        """All events on that person's calendar, in the JSON that the owner gets. Series are not expanded."""
        person_calendar = self.person_calendars[owner]
        view = View(owner, person_calendar.zone, self.get_address)
        return [
            entry.render(view) for entry in list(person_calendar.entries.values()) if entry.is_on_calendar_of(owner)
        ]

    def finish_meet(self) -> None:
        """Create every Meet link that is still pending."""
        for entry in {
            id(one): one
            for person_calendar in self.person_calendars.values()
            for one in person_calendar.entries.values()
        }.values():
            if (entry.conference.get("createRequest") or {}).get("status") == {"statusCode": "pending"}:
                entry.conference = complete_conference(entry.conference, entry.id)
                self.record_change(entry)

    def _key(self, address: str) -> str:
        """The key of the person who is shown by that address; any other address is itself a key."""
        return self._keys.get(address.lower(), address.lower())

    def get_address(self, key: str) -> str:
        """The address by which a person is shown."""
        return self._shown_as.get(key, key)

    # --- the API ----------------------------------------------------------------------------------------------------

    def answer(self, who: str, call: Call, *, service_account: bool = False) -> Any:
        """Carry out a request of that person, and return the JSON of the answer. Raises Refusal.

        `service_account`: a service account asks for itself.
        """
        if who in self.without_calendar:
            message = "The user must be signed up for Google Calendar."
            raise Refusal(403, "notACalendarUser", message, domain="calendar")
        _, resource, method = call.method.split(".", 2)
        if call.method == "calendar.freebusy.query":
            return answer_free_busy(call.body, lambda address: self._find_visible(who, address))
        if resource == "settings":
            return answer_settings(call, str(self.person_calendars[who].zone))
        if call.method == "calendar.channels.stop":
            return self.channels.stop(who, call)
        if call.method == "calendar.calendarList.list":
            return {
                "kind": "calendar#calendarList",
                "etag": '"1"',
                "items": [describe_list_entry(self._describe(self.person_calendars[who]))],
            }
        calendar = call.path.get("calendarId", "primary")
        person_calendar = self._get_own_calendar(who, who if calendar == "primary" else self._key(calendar))
        if call.method in ("calendar.calendars.get", "calendar.calendarList.get"):
            return (
                self._describe(person_calendar)
                if resource == "calendars"
                else describe_list_entry(self._describe(person_calendar))
            )
        methods: dict[str, Callable[[], Any]] = {
            "list": lambda: self._list(person_calendar, call),
            "get": lambda: self._get(person_calendar, call),
            "instances": lambda: self._instances(person_calendar, call),
            "insert": lambda: self._insert(person_calendar, call, service_account),
            "patch": lambda: self._patch(person_calendar, call),
            "update": lambda: self._patch(person_calendar, call, whole=True),
            "delete": lambda: self._delete(person_calendar, call),
            "watch": lambda: self.channels.open(who, person_calendar.owner, call),
        }
        carry_out = methods.get(method)
        if carry_out is None or resource != "events":
            raise Refusal(501, "notImplemented", f"The double does not know {call.method}.")
        return carry_out()

    def _describe(self, person_calendar: PersonCalendar) -> dict[str, Any]:
        return describe_calendar(
            self.get_address(person_calendar.owner),
            str(person_calendar.zone),
            meet=person_calendar.owner not in self.without_meet,
        )

    def _get_own_calendar(self, who: str, calendar: str) -> PersonCalendar:
        person_calendar = self.person_calendars.get(calendar)
        if person_calendar is None or calendar != who:  # people share nothing but free/busy
            raise Refusal(404, "notFound", "Not Found")
        return person_calendar

    def _find_visible(self, who: str, calendar: str) -> PersonCalendar | None:
        """The calendar whose free/busy `who` asks for; None when it is not visible to them."""
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
        """The view that the parameters of the request ask for. Raises Refusal for a zone that does not exist."""
        zone = get_zone(call.query.get("timeZone"), person_calendar.zone, "timeZone")
        return View(person_calendar.owner, zone, self.get_address, int(call.query.get("maxAttendees", 0)))

    def _get_entry(self, person_calendar: PersonCalendar, event_id: str) -> Entry:
        entry = person_calendar.entries.get(event_id)
        if entry is None and "_" in event_id:  # the id of an occurrence begins with that of its series
            series = person_calendar.entries.get(event_id.rpartition("_")[0])
            if series is not None and series.recurs:
                entry = series.find_occurrence(event_id, person_calendar.zone)
        if entry is None:
            raise Refusal(404, "notFound", "Not Found")
        return entry

    def _get(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry = self._get_entry(person_calendar, call.path["eventId"])
        if call.if_none_match and call.if_none_match in ("*", entry.etag):
            raise Refusal(304, "notModified", "Not Modified")
        return entry.render(self._view(person_calendar, call))

    # --- writing ---

    def _insert(self, person_calendar: PersonCalendar, call: Call, service_account: bool) -> dict[str, Any]:
        fields = merge_patch({}, call.body)
        if service_account and fields.get("attendees"):
            message = "Service accounts cannot invite attendees without Domain-Wide Delegation of Authority."
            raise Refusal(403, "forbiddenForServiceAccounts", message, domain="calendar")
        refuse_invalid_event(fields, person_calendar.zone)
        event_id = fields.pop("id", None) or secrets.token_hex(13)
        if event_id in person_calendar.entries:
            raise Refusal(409, "duplicate", "The requested identifier already exists.")
        now = self._clock()
        entry = Entry(event_id, person_calendar.owner, {}, uid=fields.pop("iCalUID", ""), created=now, updated=now)
        self._write(entry, person_calendar, fields, call)
        return entry.render(self._view(person_calendar, call))

    def _patch(self, person_calendar: PersonCalendar, call: Call, *, whole: bool = False) -> dict[str, Any]:
        """Change an event. `whole`: the body replaces all fields, as in the method `update`."""
        entry = self._get_entry(person_calendar, call.path["eventId"])
        self._refuse_stale(entry, call)
        if not entry.is_on_calendar_of(person_calendar.owner):
            raise Refusal(403, "forbidden", "Forbidden")
        view = self._view(person_calendar, call)
        if entry.organizer != person_calendar.owner:
            return self._patch_by_guest(entry, view, call)
        body = {name: value for name, value in call.body.items() if name not in ("id", "iCalUID")}
        fields = merge_patch({} if whole else deepcopy(entry.fields), body)
        # a body that leaves the guests out does not remove them
        if entry.guests and (body.get("attendeesOmitted") or (not whole and "attendees" not in body)):
            fields["attendees"] = [{**guest, "email": one} for one, guest in entry.guests.items()]
        if fields.get("status") == "cancelled":
            return self._cancel(entry, person_calendar, call)
        refuse_invalid_event(fields, person_calendar.zone)
        self._write(entry, person_calendar, fields, call, whole=whole)
        return entry.render(view)

    @staticmethod
    def _refuse_stale(entry: Entry, call: Call) -> None:
        if call.if_match and call.if_match not in ("*", entry.etag):
            raise Refusal(412, "conditionNotMet", "Precondition Failed", location=("header", "If-Match"))

    def _patch_by_guest(self, entry: Entry, view: View, call: Call) -> dict[str, Any]:
        """Take what a guest may change: the answer, and the guest's own fields. Raises Refusal for other fields."""
        who, fields, shown = view.who, call.body, entry.render(view)
        if any(name in fields and fields[name] != shown.get(name) for name in ORGANIZER_FIELDS):
            message = "Shared properties can only be changed by the organizer."
            raise Refusal(403, "forbiddenForNonOrganizer", message, domain="calendar")
        own_attendee: dict[str, Any] = next(
            (one for one in fields.get("attendees") or () if self._key(one["email"]) == who), {}
        )
        response: dict[str, Any] = {
            name: own_attendee[name]
            for name in ("responseStatus", "comment", "additionalGuests")
            if name in own_attendee
        }
        entry.guests[who] = {**entry.guests[who], **response}
        entry.own[who] = {**entry.own.get(who, {}), **{name: fields[name] for name in OWN_FIELDS if name in fields}}
        private = (fields.get("extendedProperties") or {}).get("private") or {}
        entry.private[who] = merge_patch(entry.private.get(who, {}), private)
        self._keep_exception(entry, who)
        self.record_change(entry)
        return entry.render(view)

    def _write(
        self, entry: Entry, person_calendar: PersonCalendar, fields: dict[str, Any], call: Call, *, whole: bool = False
    ) -> None:
        """Give a new or changed event these fields, put it on its calendars, and tell the guests."""
        before = {who: dict(guest) for who, guest in entry.guests.items()}
        moved = bool(entry.fields) and any(entry.fields.get(side) != fields[side] for side in ("start", "end"))
        if call.query.get("conferenceDataVersion") == 1 and "conferenceData" in call.body:
            options = {"offered": person_calendar.owner not in self.without_meet, "pending": self.meet_takes_time}
            entry.conference = make_conference(call.body, entry.conference, entry.id, **options)
        guests = {self._key(one["email"]): dict(one) for one in fields.pop("attendees", None) or ()}
        for key, guest in guests.items():
            guest["email"] = key
            guest.setdefault("responseStatus", "needsAction")
        self._take_own_fields(entry, person_calendar.owner, fields, call.body, whole=whole)
        entry.fields = {
            name: value for name, value in fields.items() if name not in ("conferenceData", "attendeesOmitted")
        }
        entry.guests = guests
        if moved:
            entry.deleted_by.clear()
            entry.sequence += 1
        self._put_on_calendars(entry, person_calendar, former_guests=before.keys() - guests.keys())
        for email in guests:
            if email not in before or moved:
                self._decline_when_away(entry, email)
        self.record_change(entry, *before)
        self._notify(entry, call, "cancellation", [who for who in before if who not in guests])
        self._notify(entry, call, "invitation", [who for who in guests if who not in before])
        self._notify(entry, call, "update", [who for who in guests if who in before])

    @staticmethod
    def _take_own_fields(entry: Entry, who: str, fields: dict[str, Any], body: dict[str, Any], *, whole: bool) -> None:
        """Move the organizer's reminders, colour and extended properties from the event's fields into `entry`."""
        fields.pop("extendedProperties", None)
        properties = body.get("extendedProperties") or {}
        entry.private[who] = merge_patch({} if whole else entry.private.get(who, {}), properties.get("private") or {})
        entry.shared = merge_patch({} if whole else entry.shared, properties.get("shared") or {})
        own = {} if whole else entry.own.get(who, {})
        entry.own[who] = {**own, **{name: fields.pop(name) for name in ("reminders", "colorId") if name in fields}}

    def _put_on_calendars(self, entry: Entry, person_calendar: PersonCalendar, former_guests: Iterable[str]) -> None:
        if entry.series:
            person_calendar.entries[entry.series].exceptions[entry.id] = entry
            return
        for who in entry.list_people():
            if who in self.person_calendars:
                self.person_calendars[who].entries.setdefault(entry.id, entry)
        for who in former_guests:
            if who in self.person_calendars and self.person_calendars[who].entries.get(entry.id) is entry:
                next_number = self._change_number + 1  # `record_change`, which follows, takes this number
                self.person_calendars[who].changes[entry.id] = Change(next_number, entry)
                del self.person_calendars[who].entries[entry.id]

    def _keep_exception(self, entry: Entry, who: str) -> None:
        """Store an occurrence that a guest changed as an exception of its series."""
        if entry.series:
            self.person_calendars[who].entries[entry.series].exceptions[entry.id] = entry

    def _decline_when_away(self, entry: Entry, email: str) -> None:
        """Decline for a guest whose out-of-office event declines automatically."""
        person_calendar = self.person_calendars.get(email)
        if person_calendar is None or entry.recurs:
            return
        start, end = entry.span(person_calendar.zone)
        for other in list(person_calendar.entries.values()):
            mode = (other.fields.get("outOfOfficeProperties") or {}).get("autoDeclineMode", "declineNone")
            if other.cancelled or other.fields.get("eventType") != "outOfOffice" or mode == "declineNone":
                continue
            first, last = other.span(person_calendar.zone)
            if first < end and start < last:
                entry.guests[email]["responseStatus"] = "declined"

    def _delete(self, person_calendar: PersonCalendar, call: Call) -> None:
        entry = self._get_entry(person_calendar, call.path["eventId"])
        if not entry.is_on_calendar_of(person_calendar.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        self._refuse_stale(entry, call)
        if entry.organizer != person_calendar.owner:
            entry.deleted_by.add(person_calendar.owner)
            entry.guests[person_calendar.owner]["responseStatus"] = "declined"
            self._keep_exception(entry, person_calendar.owner)
            self.record_change(entry)
            return
        self._cancel(entry, person_calendar, call)

    def _cancel(self, entry: Entry, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry.cancelled = True
        if entry.series:
            person_calendar.entries[entry.series].exceptions[entry.id] = entry
        self.record_change(entry)
        self._notify(entry, call, "cancellation", entry.guests)
        return entry.render_tombstone(self._view(person_calendar, call))

    def record_change(self, entry: Entry, *guests_before: str) -> None:
        """Number a change of this event, and notify the channels of all calendars that show it or showed it before."""
        self._change_number += 1
        entry.change_number, entry.updated = self._change_number, self._clock()
        for who in {*entry.list_people(), *guests_before}:
            person_calendar = self.person_calendars.get(who)
            if person_calendar and (entry.series or person_calendar.entries.get(entry.id) is entry):
                person_calendar.changes[entry.id] = Change(self._change_number, entry)
            change = person_calendar.changes.get(entry.id) if person_calendar else None
            if change and change.number == self._change_number:
                self.channels.note_change(who)

    def _notify(self, entry: Entry, call: Call, kind: str, guests: Iterable[str]) -> None:
        send_updates = str(call.query.get("sendUpdates") or ("all" if call.query.get("sendNotifications") else ""))
        for key in guests:
            external = key not in self.person_calendars
            if key != entry.organizer and (send_updates == "all" or (send_updates == "externalOnly" and external)):
                self.notices.append(Notice(kind, key, entry.id, send_updates))

    # --- reading ---

    def _list(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        parameters, view = call.query, self._view(person_calendar, call)
        if "pageToken" in parameters:
            return self._make_page(person_calendar, view, parameters)
        refuse_invalid_list(parameters, self._clock())
        items = (
            self._list_changes(person_calendar, view, call)
            if "syncToken" in parameters
            else self._list_all(person_calendar, view, call)
        )
        sync_token = (
            self._sync_states.issue_token(person_calendar.owner, self._change_number, parameters)
            if gives_sync_token(parameters)
            else ""
        )
        return self._make_page(person_calendar, view, parameters, items, sync_token)

    def _make_page(
        self,
        person_calendar: PersonCalendar,
        view: View,
        parameters: dict[str, Any],
        items: list[Any] | None = None,
        sync_token: str = "",
    ) -> dict[str, Any]:
        """The first page of these items; without items, the page that `pageToken` names."""
        if items is None:
            token = parameters["pageToken"]
            if token not in self._pages:
                raise bad_request("Invalid page token value.", "invalid", "pageToken")
            items, sync_token = self._pages[token]
        size = min(int(parameters.get("maxResults", 250)), self.page_size)
        answer: dict[str, Any] = {
            "kind": "calendar#events",
            "summary": self.get_address(person_calendar.owner),
            "updated": f"{self._clock():%Y-%m-%dT%H:%M:%S}.000Z",
            "timeZone": str(view.zone),
            "accessRole": "owner",
            "defaultReminders": [],
            "etag": f'"p{self._change_number}"',
        }
        is_blank = self.first_page_is_empty and "pageToken" not in parameters
        shown, left = ([], items) if is_blank else (items[:size], items[size:])
        answer["items"] = shown
        if left or is_blank:
            next_token = secrets.token_urlsafe(9)
            self._pages[next_token] = (left, sync_token)
            answer["nextPageToken"] = next_token
        elif sync_token:
            answer["nextSyncToken"] = sync_token
        return answer

    def _list_changes(self, person_calendar: PersonCalendar, view: View, call: Call) -> list[Any]:
        parameters = call.query
        state = self._sync_states.find(person_calendar.owner, parameters)
        changes = [change for change in person_calendar.changes.values() if change.number > state.change_number]
        items: list[Any] = []
        for change in sorted(changes, key=lambda one: one.number):
            entry = change.entry
            exists = entry.is_on_calendar_of(person_calendar.owner) and (
                entry.series or person_calendar.entries.get(entry.id) is entry
            )
            if exists and state.since and not entry.recurs and entry.span(person_calendar.zone)[1] <= state.since:
                continue  # it has ended before `timeMin` of the first list
            if exists:
                items += self._render_changed(entry, person_calendar, view, parameters)
            else:
                items.append(entry.render_tombstone(view))
        return items

    def _render_changed(
        self, entry: Entry, person_calendar: PersonCalendar, view: View, parameters: dict[str, Any]
    ) -> list[Any]:
        """A changed event in the form of a list; with `singleEvents`, the occurrences of a series in its place."""
        if not matches_list(entry, view, {name: parameters[name] for name in FIXED_IN_SYNC if name in parameters}):
            return []
        if not (entry.recurs and parameters.get("singleEvents")):
            return [entry.render(view)]
        window = (WHOLE_TIME[0], self._clock() + _CHANGED_SERIES_REACH)
        return [one.render(view) for one in entry.list_occurrences(window, person_calendar.zone)]

    def _list_all(self, person_calendar: PersonCalendar, view: View, call: Call) -> list[Any]:
        parameters = call.query
        window = get_window(parameters)
        single = parameters.get("singleEvents", False)
        deleted = parameters.get("showDeleted", False) or "updatedMin" in parameters
        entries: list[Entry] = []
        for entry in list(person_calendar.entries.values()):
            entries += person_calendar.list_in_window(entry, window, single=single, deleted=deleted)
        wanted = [entry for entry in entries if matches_list(entry, view, parameters)]
        if parameters.get("orderBy") == "startTime":
            wanted.sort(key=lambda entry: entry.span(person_calendar.zone)[0])
        elif parameters.get("orderBy") == "updated":
            wanted.sort(key=lambda entry: (entry.updated, entry.change_number))
        return [entry.render(view) for entry in wanted]

    def _instances(self, person_calendar: PersonCalendar, call: Call) -> dict[str, Any]:
        entry = self._get_entry(person_calendar, call.path["eventId"])
        view, parameters = self._view(person_calendar, call), call.query
        if "pageToken" in parameters:
            return self._make_page(person_calendar, view, parameters)
        if not entry.is_on_calendar_of(person_calendar.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        if not entry.recurs:
            raise bad_request("This event does not recur.")
        window = get_window(parameters)
        if window[1] <= window[0]:
            raise bad_request("The specified time range is empty.", "timeRangeEmpty", "timeMax")
        listed = list(
            person_calendar.list_in_window(entry, window, single=True, deleted=parameters.get("showDeleted", False))
        )
        if original := parameters.get("originalStart"):
            listed = [one for one in listed if one.has_original_start(original, person_calendar.zone)]
        return self._make_page(person_calendar, view, parameters, [one.render(view) for one in listed])
