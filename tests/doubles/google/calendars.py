"""The Calendar API's state and its rules: etags, sync tokens that end, tombstones, guests' copies, free/busy."""

import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.google.entries import Entry, Span, refuse_unfit
from tests.doubles.google.schema import Call, Refusal, bad

EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
#: What can't stand beside a sync token.
FORBIDDEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
#: How far free/busy may be asked for at once.
FARTHEST = timedelta(days=62)
SHARED = ("summary", "description", "start", "end", "location", "recurrence", "visibility", "guestsCanModify")


@dataclass(slots=True)
class Shelf:
    """One person's calendar."""

    owner: str
    zone: ZoneInfo
    entries: dict[str, Entry] = field(default_factory=dict)
    touched: dict[str, tuple[int, Entry]] = field(default_factory=dict)
    hidden: bool = False  #: not even free and busy is shown to others


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
    given: dict[str, str]


class Calendars:
    """Everybody's calendars. `do` is what the API is asked; the rest is what people do with their own programs."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.notices: list[Notice] = []
        self.suspended: set[str] = set()
        self.page_size = 2500
        self.empty_pages = False  #: every page but the last one is empty
        self._tick = 0
        self._marks: dict[str, Mark] = {}
        self._pages: dict[str, tuple[list[Any], str]] = {}

    # --- people -----------------------------------------------------------------------------------------------------

    def add_person(self, email: str, zone: str = "UTC") -> None:
        self.shelves.setdefault(email, Shelf(email, ZoneInfo(zone)))

    def active(self, email: str) -> bool:
        """Whether that person is in the domain and not suspended."""
        return email in self.shelves and email not in self.suspended

    def expire(self, calendar: str) -> None:
        """Every sync token given out for this calendar is dead."""
        self._marks = {name: mark for name, mark in self._marks.items() if mark.calendar != calendar}

    # --- the API ----------------------------------------------------------------------------------------------------

    def do(self, who: str, call: Call, *, service_account: bool = False) -> Any:
        """Raises Refusal."""
        if call.method == "calendar.freebusy.query":
            return self._free_busy(who, call.body)
        calendar = call.path["calendarId"]
        shelf = self._shelf(who, who if calendar == "primary" else calendar)
        acts: dict[str, Callable[[], Any]] = {
            "list": lambda: self._list(shelf, call),
            "get": lambda: self._entry(shelf, call.path["eventId"]).shown(shelf.owner),
            "instances": lambda: self._instances(shelf, call),
            "insert": lambda: self._insert(shelf, call, service_account),
            "patch": lambda: self._patch(shelf, call),
            "update": lambda: self._patch(shelf, call, whole=True),
            "delete": lambda: self._delete(shelf, call),
        }
        act = acts.get(call.method.rpartition(".")[2])
        if act is None or not call.method.startswith("calendar.events."):
            raise Refusal(501, "notImplemented", f"The double does not know {call.method}.")
        return act()

    def _shelf(self, who: str, calendar: str) -> Shelf:
        shelf = self.shelves.get(calendar)
        if shelf is None or calendar != who:  # nobody shares more than free and busy here
            raise Refusal(404, "notFound", "Not Found")
        return shelf

    def _entry(self, shelf: Shelf, name: str) -> Entry:
        found = shelf.entries.get(name)
        if found is None and "_" in name:
            found = self._occurrence(shelf, name)
        if found is None:
            raise Refusal(404, "notFound", "Not Found")
        return found

    def _occurrence(self, shelf: Shelf, name: str) -> Entry | None:
        series = shelf.entries.get(name.rpartition("_")[0])
        if series is None or not series.recurs:
            return None
        if name in series.exceptions:
            return series.exceptions[name]
        return next((one for one in series.occurrences(EVER, shelf.zone) if one.id == name), None)

    # --- writing ---

    def _insert(self, shelf: Shelf, call: Call, service_account: bool) -> dict[str, Any]:
        told = merged({}, call.body)
        if service_account and told.get("attendees"):
            message = "Service accounts cannot invite attendees without Domain-Wide Delegation of Authority."
            raise Refusal(403, "forbiddenForServiceAccounts", message, domain="calendar")
        refuse_unfit(told)
        name = told.pop("id", None) or secrets.token_hex(13)
        if name in shelf.entries:
            raise Refusal(409, "duplicate", "The requested identifier already exists.")
        entry = Entry(name, shelf.owner, {})
        self._write(entry, shelf, told, call, "invitation")
        return entry.shown(shelf.owner)

    def _patch(self, shelf: Shelf, call: Call, *, whole: bool = False) -> dict[str, Any]:
        entry = self._entry(shelf, call.path["eventId"])
        if call.etag and call.etag not in ("*", entry.etag):
            raise Refusal(412, "conditionNotMet", "Precondition Failed", location=("header", "If-Match"))
        if not entry.stands_with(shelf.owner):
            raise Refusal(403, "forbidden", "Forbidden")
        if entry.organizer != shelf.owner:
            return self._answered_by(entry, shelf, call.body)
        current = {} if whole else deepcopy(entry.told)
        told = merged(current, call.body)
        if not whole and "attendees" not in call.body and entry.guests:
            told["attendees"] = list(entry.guests.values())
        if told.get("status") == "cancelled":
            return self._cancelled(entry, shelf, call)
        refuse_unfit(told)
        self._write(entry, shelf, told, call, "update")
        return entry.shown(shelf.owner)

    def _answered_by(self, entry: Entry, shelf: Shelf, told: dict[str, Any]) -> dict[str, Any]:
        if any(name in told for name in SHARED):
            raise Refusal(
                403,
                "forbiddenForNonOrganizer",
                "Shared properties can only be changed by the organizer.",
                domain="calendar",
            )
        mine = next((one for one in told.get("attendees") or () if one["email"].lower() == shelf.owner), None)
        if mine:
            entry.guests[shelf.owner]["responseStatus"] = mine["responseStatus"]
        self._touch(entry)
        return entry.shown(shelf.owner)

    def _write(self, entry: Entry, shelf: Shelf, told: dict[str, Any], call: Call, what: str) -> None:
        before = {who: dict(one) for who, one in entry.guests.items()}
        moved = bool(entry.told) and (entry.told.get("start"), entry.told.get("end")) != (told["start"], told["end"])
        private = (told.pop("extendedProperties", None) or {}).get("private")
        if private is not None:
            entry.private[shelf.owner] = {**entry.private.get(shelf.owner, {}), **private}
        guests = {one["email"].lower(): dict(one) for one in told.pop("attendees", None) or ()}
        for email, one in guests.items():
            one["email"] = email
            one.setdefault("responseStatus", "needsAction")
        conference = told.pop("conferenceData", None)
        if conference and call.query.get("conferenceDataVersion") == 1:
            told["conferenceData"] = conference
            told["hangoutLink"] = f"https://meet.google.com/{entry.id[-12:]}"
        entry.told, entry.guests = told, guests
        if moved:
            entry.hidden.clear()
        self._place(entry, shelf, gone=before.keys() - guests.keys())
        for email in guests:
            if email not in before or moved:
                self._decline_when_away(entry, email)
        self._touch(entry, *before)
        self._notify(entry, call, what, before.keys() | guests.keys() if what == "update" else guests)

    def _place(self, entry: Entry, shelf: Shelf, gone: Iterable[str]) -> None:
        if entry.series:
            shelf.entries[entry.series].exceptions[entry.id] = entry
            return
        for who in entry.holders():
            if who in self.shelves:
                self.shelves[who].entries.setdefault(entry.id, entry)
        for who in gone:
            if who in self.shelves and self.shelves[who].entries.get(entry.id) is entry:
                self.shelves[who].touched[entry.id] = (self._tick + 1, entry)
                del self.shelves[who].entries[entry.id]

    def _decline_when_away(self, entry: Entry, email: str) -> None:
        """Out of office with auto-decline answers before anybody else can."""
        shelf = self.shelves.get(email)
        if shelf is None or entry.recurs:
            return
        start, end = entry.span(shelf.zone)
        for other in list(shelf.entries.values()):
            mode = (other.told.get("outOfOfficeProperties") or {}).get("autoDeclineMode", "declineNone")
            if other.cancelled or other.told.get("eventType") != "outOfOffice" or mode == "declineNone":
                continue
            first, last = other.span(shelf.zone)
            if first < end and start < last:
                entry.guests[email]["responseStatus"] = "declined"

    def _delete(self, shelf: Shelf, call: Call) -> None:
        entry = self._entry(shelf, call.path["eventId"])
        if not entry.stands_with(shelf.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        if call.etag and call.etag not in ("*", entry.etag):
            raise Refusal(412, "conditionNotMet", "Precondition Failed", location=("header", "If-Match"))
        if entry.organizer != shelf.owner:
            entry.hidden.add(shelf.owner)
            entry.guests[shelf.owner]["responseStatus"] = "declined"
            self._touch(entry)
            return
        self._cancelled(entry, shelf, call)

    def _cancelled(self, entry: Entry, shelf: Shelf, call: Call) -> dict[str, Any]:
        entry.cancelled = True
        if entry.series:
            shelf.entries[entry.series].exceptions[entry.id] = entry
        self._touch(entry)
        self._notify(entry, call, "cancellation", entry.guests)
        return entry.tombstone()

    def _touch(self, entry: Entry, *also: str) -> None:
        self._tick += 1
        entry.tick = self._tick
        for who in {*entry.holders(), *also}:
            shelf = self.shelves.get(who)
            if shelf and (entry.series or shelf.entries.get(entry.id) is entry):
                shelf.touched.pop(entry.id, None)
                shelf.touched[entry.id] = (self._tick, entry)

    def _notify(self, entry: Entry, call: Call, what: str, guests: Iterable[str]) -> None:
        wanted = str(call.query.get("sendUpdates", ""))
        told = {"all": True, "externalOnly": False}.get(wanted, False)
        for email in guests:
            external = email not in self.shelves
            if email != entry.organizer and (told or (wanted == "externalOnly" and external)):
                self.notices.append(Notice(what, email, entry.id, wanted))

    # --- reading ---

    def _list(self, shelf: Shelf, call: Call) -> dict[str, Any]:
        asked = call.query
        if "pageToken" in asked:
            return self._page(shelf, asked)
        if asked.get("orderBy") == "startTime" and not asked.get("singleEvents"):
            raise bad("The requested ordering is not available for the particular query.", "badRequest", "orderBy")
        start, end = asked.get("timeMin"), asked.get("timeMax")
        if start and end and end <= start:
            raise bad("The specified time range is empty.", "timeRangeEmpty", "timeMax")
        items = self._since(shelf, call) if "syncToken" in asked else self._everything(shelf, call)
        mark = ""
        if not asked.get("orderBy") and not asked.get("q"):
            mark = secrets.token_urlsafe(12)
            since = self._marks[asked["syncToken"]].since if "syncToken" in asked else start
            kept = {"singleEvents": str(asked.get("singleEvents", False))}
            self._marks[mark] = Mark(shelf.owner, self._tick, since, kept)
        return self._page(shelf, asked, items, mark)

    def _page(
        self, shelf: Shelf, asked: dict[str, Any], items: list[Any] | None = None, mark: str = ""
    ) -> dict[str, Any]:
        if items is None:
            token = asked["pageToken"]
            if token not in self._pages:
                raise bad("Invalid page token value.", "invalid", "pageToken")
            items, mark = self._pages[token]
        size = min(int(asked.get("maxResults", 250)), self.page_size)
        answer: dict[str, Any] = {
            "kind": "calendar#events",
            "summary": shelf.owner,
            "timeZone": str(shelf.zone),
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

    def _since(self, shelf: Shelf, call: Call) -> list[Any]:
        asked = call.query
        present = [name for name in FORBIDDEN if name in asked]
        if present or asked.get("showDeleted") is False:
            name = present[0] if present else "showDeleted"
            raise bad(f"Sync token cannot be used with other query restrictions ({name}).", "badRequest", name)
        mark = self._marks.get(asked["syncToken"])
        if mark is None or mark.calendar != shelf.owner:
            message = "Sync token is no longer valid, a full sync is required."
            where = ("parameter", "syncToken")
            raise Refusal(410, "fullSyncRequired", message, domain="calendar", location=where)
        if mark.given["singleEvents"] != str(asked.get("singleEvents", False)):
            raise bad("The parameters are not those of the first request.", "badRequest", "singleEvents")
        changed = [(tick, entry) for tick, entry in shelf.touched.values() if tick > mark.tick]
        found = []
        for _, entry in sorted(changed, key=lambda one: one[0]):
            alive = entry.stands_with(shelf.owner) and (entry.series or shelf.entries.get(entry.id) is entry)
            if alive and mark.since and not entry.recurs and entry.span(shelf.zone)[1] <= mark.since:
                continue
            found.append(entry.shown(shelf.owner) if alive else entry.tombstone())
        return found

    def _everything(self, shelf: Shelf, call: Call) -> list[Any]:
        asked = call.query
        window = (asked.get("timeMin") or EVER[0], asked.get("timeMax") or EVER[1])
        single = asked.get("singleEvents", False)
        found: list[Entry] = []
        for entry in shelf.entries.values():
            found += self._seen(shelf, entry, window, single=single)
        wanted = [entry for entry in found if _matches(entry, shelf.owner, asked)]
        if asked.get("orderBy") == "startTime":
            wanted.sort(key=lambda entry: entry.span(shelf.zone)[0])
        return [entry.shown(shelf.owner) for entry in wanted]

    @staticmethod
    def _seen(shelf: Shelf, entry: Entry, window: Span, *, single: bool) -> list[Entry]:
        """An event or its occurrences, as far as they lie in the window and are alive; without expanding, cancelled
        exceptions are shown as well."""
        if not entry.stands_with(shelf.owner):
            return []
        if not entry.recurs:
            start, end = entry.span(shelf.zone)
            return [entry] if end > window[0] and start < window[1] else []
        within = list(entry.occurrences(window, shelf.zone))
        if single:
            return [one for one in within if not one.cancelled]
        return [entry, *(one for one in within if one.id in entry.exceptions)] if within else []

    def _instances(self, shelf: Shelf, call: Call) -> dict[str, Any]:
        entry = self._entry(shelf, call.path["eventId"])
        if not entry.stands_with(shelf.owner):
            raise Refusal(410, "deleted", "Resource has been deleted")
        if not entry.recurs:
            raise bad("This event does not recur.")
        window = (call.query.get("timeMin") or EVER[0], call.query.get("timeMax") or EVER[1])
        found = [one.shown(shelf.owner) for one in entry.occurrences(window, shelf.zone) if not one.cancelled]
        return self._page(shelf, call.query, found)

    # --- free and busy ---

    def _free_busy(self, who: str, told: dict[str, Any]) -> dict[str, Any]:
        for name in ("timeMin", "timeMax"):
            if name not in told:
                raise bad(f"Missing {name} parameter.", "required", name)
        start, end = (datetime.fromisoformat(told[name]) for name in ("timeMin", "timeMax"))
        if end <= start:
            raise bad("The specified time range is empty.", "timeRangeEmpty", "timeMax")
        if end - start > FARTHEST:
            raise bad("The requested time range is too long.", "timeRangeTooLong", "timeMax")
        items = [one["id"] for one in told.get("items") or ()]
        found = {}
        for number, one in enumerate(items):
            if number >= 50:
                found[one] = _failed("tooManyCalendarsRequested")
            else:
                found[one] = self._busy_of(who, one, (start.astimezone(UTC), end.astimezone(UTC)))
        return {"kind": "calendar#freeBusy", "timeMin": told["timeMin"], "timeMax": told["timeMax"], "calendars": found}

    def _busy_of(self, who: str, calendar: str, window: Span) -> dict[str, Any]:
        shelf = self.shelves.get(calendar)
        if shelf is None or (shelf.hidden and who != calendar):
            return _failed("notFound")
        blocks: list[list[datetime]] = []
        for start, end in sorted(self._taken(shelf, window)):
            if blocks and start <= blocks[-1][1]:
                blocks[-1][1] = max(blocks[-1][1], end)
            else:
                blocks.append([start, end])
        return {"busy": [{"start": _stamp(start), "end": _stamp(end)} for start, end in blocks]}

    def _taken(self, shelf: Shelf, window: Span) -> Iterable[Span]:
        for entry in shelf.entries.values():
            for one in self._seen(shelf, entry, window, single=True):
                mine = one.guests.get(shelf.owner, {}).get("responseStatus", "accepted")
                kind = one.told.get("eventType", "default")
                if one.told.get("transparency") == "transparent" or mine == "declined" or kind == "workingLocation":
                    continue
                start, end = one.span(shelf.zone)
                yield max(start, window[0]), min(end, window[1])


def merged(current: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """What a PATCH makes of it: objects are merged, lists replaced, null removes."""
    found = dict(current)
    for name, value in told.items():
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict):
            below = found.get(name)
            found[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            found[name] = value
    return found


def _matches(entry: Entry, owner: str, asked: dict[str, Any]) -> bool:
    wanted = [one.partition("=") for one in asked.get("privateExtendedProperty", ())]
    private = entry.private.get(owner, {})
    return all(private.get(name) == value for name, _, value in wanted) and asked.get("iCalUID", "") in (
        "",
        f"{entry.id}@google.com",
    )


def _failed(reason: str) -> dict[str, Any]:
    return {"errors": [{"domain": "global", "reason": reason}], "busy": []}


def _stamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
