"""One person's calendar on a CalDAV server: its resources, what changed among them, whose zone it keeps.

What changed is asked with a sync token (RFC 6578) where the server knows such, else with its ctag, else by comparing
all etags; the mark that is handed out says which. When nothing changed, that is one request.
"""

import logging
from collections.abc import Collection as Names
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from typing import Any

from icalendar import Calendar
from icalendar.prop import vCalAddress

from worker.domain.model import Address, Event, EventRef, Span
from worker.errors import InvalidResponse
from worker.providers.caldav.client import (
    CS,
    C,
    D,
    DavClient,
    DavEntry,
    Multistatus,
    SyncTokenInvalid,
    make_document,
    make_element,
    make_resource_url,
)
from worker.providers.ical import events as icalendars
from worker.providers.ical import parser
from worker.providers.ical.reader import UNREADABLE_LOG, CalendarContents, read_calendar, read_single_event
from worker.providers.ical.times import has_local_times
from worker.providers.ical.zones import zone_of
from worker.providers.identities import Identities, InMemoryIdentities, normalize

log = logging.getLogger(__name__)

_CHUNK_SIZE = 100  #: resources asked for at once
_MOST_ROUNDS = 1000  #: how often we ask for the rest of what changed


@dataclass(frozen=True, slots=True)
class Resource:
    """A stored calendar object, its name in the collection, and its version."""

    name: str
    etag: str
    calendar: Calendar


@dataclass(frozen=True, slots=True)
class CollectionChanges:
    """What changed since a mark; when `full`, everything there is."""

    changed: tuple[Resource, ...]
    names: frozenset[str]  #: of what changed, read or not
    gone: tuple[str, ...]
    mark: str
    full: bool


class CalendarCollection:
    """A calendar collection. Raises only ProviderErrors."""

    def __init__(
        self, dav: DavClient, owner: Address, url: str, zone: tzinfo | None, identities: Identities | None = None
    ) -> None:
        """`zone`: that of the owner, where the calendar names none. `identities`: who is meant by an address."""
        self._dav = dav
        self._identities = identities or InMemoryIdentities()
        self.owner = owner
        self._url = url
        self._configured = zone
        self._zone: tzinfo | None = None

    # --- single resources -------------------------------------------------------------------------------------------

    def get(self, name: str) -> Resource:
        """Raises NotFound."""
        url = make_resource_url(self._url, name)
        text, etag = self._dav.get(url)
        return Resource(name, etag, self._name_people(parser.parse_calendar(text, url)))

    def put(self, name: str, calendar: Calendar, *, etag: str | None) -> Resource:
        """Store it, as a new resource when `etag` is None. Raises Conflict."""
        given = self._dav.put(make_resource_url(self._url, name), icalendars.to_text(calendar), etag=etag)
        return Resource(name, given, calendar) if given else self.get(name)

    def delete(self, name: str, etag: str) -> None:
        """Raises Conflict, NotFound."""
        self._dav.delete(make_resource_url(self._url, name), etag)

    # --- events -----------------------------------------------------------------------------------------------------

    def read_resource(self, resource: Resource, window: Span | None) -> CalendarContents:
        """What it holds, as this calendar's owner sees it. Raises InvalidResponse for a series without a window."""
        return read_calendar(resource.calendar, self._make_ref(resource), self._choose_zone(resource), window)

    def read_single(self, resource: Resource) -> Event:
        """The one event it holds. Raises InvalidResponse when it holds anything else."""
        return read_single_event(resource.calendar, self._make_ref(resource), self._choose_zone(resource))

    def read_anywhere(self, resource: Resource, window: Span) -> tuple[tuple[Event, ...], bool]:
        """A series inside the window, a single event wherever it is now; and whether all of it could be read. Only of
        a series may nothing be inside the window."""
        recurs = icalendars.is_recurring(resource.calendar)
        reading = self.read_resource(resource, window if recurs else None)
        return tuple(reading.events), not reading.unknown and (recurs or bool(reading.events))

    def _make_ref(self, resource: Resource) -> EventRef:
        return EventRef(self.owner, resource.name, resource.etag)

    def _choose_zone(self, resource: Resource) -> tzinfo:
        """The owner's zone, which is asked for only when a time needs it."""
        needed = any(map(has_local_times, resource.calendar.walk("VEVENT")))
        return self.zone if needed else icalendars.UTC_ZONE

    @property
    def zone(self) -> tzinfo:
        """The zone its owner lives in: as the calendar names it, else as the settings do, else UTC."""
        if self._zone is None:
            self._learn_zone(self._dav.propfind(self._url, ["C:calendar-timezone"], depth=0))
        return self._zone or icalendars.UTC_ZONE

    def _learn_zone(self, answer: Multistatus) -> None:
        text = next((entry.get_text(f"{C}calendar-timezone") for entry in answer.entries), "")
        named = None
        with suppress(InvalidResponse):
            named = zone_of(parser.parse_calendar(text, self._url)) if text.strip() else None
        self._zone = named or self._configured or icalendars.UTC_ZONE

    # --- many resources ---------------------------------------------------------------------------------------------

    def query(self, start: datetime, end: datetime | None) -> list[Resource]:
        """Everything that lies, at least in part, between the two. What the server does not show the content of is
        there too, as something that can't be read."""
        bounds = {"start": _format_instant(start)} | ({"end": _format_instant(end)} if end else {})
        events = make_element("C:comp-filter", make_element("C:time-range", **bounds), name="VEVENT")
        content = _compose_properties(read=True) + make_element(
            "C:filter", make_element("C:comp-filter", events, name="VCALENDAR")
        )
        answer = self._dav.report(self._url, make_document("C:calendar-query", content), depth=1)
        return [self._parse_resource(entry) for entry in answer.entries if entry.name and entry.status != 404]

    def multiget(self, names: Names[str]) -> list[Resource]:
        """Those of the named resources that exist."""
        found = []
        for hrefs in self._iter_hrefs(names):
            body = make_document("C:calendar-multiget", _compose_properties(read=True) + hrefs)
            found += self._parse_resources(self._dav.report(self._url, body, depth=1).entries)
        return found

    def list_missing(self, names: Names[str]) -> set[str]:
        """Those of the named resources of which the server says that they don't exist."""
        absent: set[str] = set()
        for hrefs in self._iter_hrefs(names):
            body = make_document("C:calendar-multiget", _compose_properties(read=False) + hrefs)
            entries = self._dav.report(self._url, body, depth=1).entries
            absent |= {entry.name for entry in entries if entry.status in (404, 410)}
        return absent & set(names)

    def _iter_hrefs(self, names: Names[str]) -> Iterator[str]:
        """The addresses of these resources, in pieces that are asked for at once."""
        wanted = sorted(names)
        path = self._url.split("://", 1)[-1].partition("/")[2]
        for first in range(0, len(wanted), _CHUNK_SIZE):
            chunk = wanted[first : first + _CHUNK_SIZE]
            yield "".join(make_element("D:href", make_resource_url(f"/{path}", name)) for name in chunk)

    def list_changes(self, mark: str, start: datetime, *, read: bool = True) -> CollectionChanges:
        """What changed since `mark`; everything that ends after `start` when the mark is dead, empty or says no more
        than that something did. With `read=False` only names are wanted."""
        kind, _, value = mark.partition(":")
        if kind == "sync":
            try:
                return self._list_changes_since_token(value, read=read)
            except SyncTokenInvalid:
                return self._list_everything(self.read_mark(), start, read=read)
        now = self.read_mark()
        if mark and now == mark:
            return CollectionChanges((), frozenset(), (), mark, full=False)
        return self._list_everything(now, start, read=read)

    def read_mark(self) -> str:
        """The present state, to ask later what changed since."""
        answer = self._dav.propfind(self._url, ["D:sync-token", "CS:getctag", "C:calendar-timezone"], depth=0)
        self._learn_zone(answer)
        for entry in answer.entries:
            for kind, tag in (("sync", f"{D}sync-token"), ("ctag", f"{CS}getctag")):
                if entry.get_text(tag):
                    return f"{kind}:{entry.get_text(tag)}"
        listed = self._dav.propfind(self._url, ["D:getetag"], depth=1).entries
        versions = sorted(f"{entry.name} {entry.get_text(f'{D}getetag')}" for entry in listed if entry.name)
        return f"etags:{sha256(repr(versions).encode()).hexdigest()}"

    def _list_everything(self, mark: str, start: datetime, *, read: bool) -> CollectionChanges:
        # The mark is older than the answer: what changes in between is told twice rather than never.
        found = tuple(self.query(start, None)) if read else ()
        return CollectionChanges(found, frozenset(resource.name for resource in found), (), mark, full=True)

    def _list_changes_since_token(self, token: str, *, read: bool) -> CollectionChanges:
        entries: dict[str, DavEntry] = {}
        for _ in range(_MOST_ROUNDS):
            level = make_element("D:sync-level", "1")
            body = make_document(
                "D:sync-collection", make_element("D:sync-token", token) + level + _compose_properties(read=read)
            )
            answer = self._dav.report(self._url, body, depth=0)
            entries |= {entry.name: entry for entry in answer.entries if entry.name}
            more, token = answer.truncated and answer.token != token, answer.token or token
            if not more:
                break
        else:
            raise SyncTokenInvalid(f"{self._url} never comes to an end of what changed.")
        changed = [entry for entry in entries.values() if entry.status != 404]
        resources = self._parse_resources(changed) if read else []
        unread = {entry.name for entry in changed} - {resource.name for resource in resources}
        if read and unread:  # not every server sends the objects along with their names
            resources += self.multiget(unread)
        gone = tuple(entry.name for entry in entries.values() if entry.status == 404)
        return CollectionChanges(
            tuple(resources), frozenset(entry.name for entry in changed), gone, f"sync:{token}", full=False
        )

    def _parse_resources(self, entries: Iterable[DavEntry]) -> list[Resource]:
        """Those of which the server sends the content."""
        return [self._parse_resource(entry) for entry in entries if entry.get_text(f"{C}calendar-data")]

    def _parse_resource(self, entry: DavEntry) -> Resource:
        try:
            calendar = parser.parse_calendar(entry.get_text(f"{C}calendar-data"), f"{self.owner}: {entry.name}")
        except InvalidResponse as error:
            log.warning("%s", error, extra=UNREADABLE_LOG)
            calendar = parser.make_lost_calendar()
        return Resource(entry.name, entry.get_text(f"{D}getetag"), self._name_people(calendar))

    def _name_people(self, calendar: Calendar) -> Calendar:
        """The object with everybody named by their primary address, by whatever form a program named them."""
        for event in calendar.walk("VEVENT"):
            for name in ("ORGANIZER", "ATTENDEE"):
                if name in event:
                    values = [self._name_person(value) for value in parser.as_list(event[name])]
                    event[name] = values if len(values) > 1 else values[0]
        return calendar

    def _name_person(self, value: Any) -> Any:
        """The calendar user by the primary address of the person; unchanged when nobody is known by it."""
        parameters = getattr(value, "params", {})
        for form in (str(value), str(parameters.get("EMAIL", ""))):
            primary = self._identities.primary(form)
            if form and primary != normalize(form):
                user = vCalAddress(f"mailto:{primary}")
                user.params.update({name: text for name, text in parameters.items() if name != "EMAIL"})
                return user
        return value

    # --- proving ----------------------------------------------------------------------------------------------------

    def describe(self) -> tuple[bool, bool | None]:
        """Whether this is a calendar, and whether we may write to it; None when the server doesn't say."""
        wanted = ["D:resourcetype", "D:current-user-privilege-set"]
        for entry in self._dav.propfind(self._url, wanted, depth=0).entries:
            kind = entry.properties.get(f"{D}resourcetype")
            rights = entry.properties.get(f"{D}current-user-privilege-set")
            granted = {part.tag for part in rights.iter()} if rights is not None else set()
            writable = bool(granted & {f"{D}all", f"{D}write", f"{D}write-content"}) if rights is not None else None
            return kind is not None and kind.find(f"{C}calendar") is not None, writable
        return False, None


def _compose_properties(*, read: bool) -> str:
    """The properties asked for; of events only what we look at, where the server can leave out the rest."""
    if not read:
        return make_element("D:prop", make_element("D:getetag"))
    event = make_element(
        "C:comp", "".join(make_element("C:prop", name=name) for name in icalendars.READ_PROPERTIES), name="VEVENT"
    )
    whole = make_element(
        "C:comp",
        make_element("C:prop", name="VERSION") + event + make_element("C:comp", name="VTIMEZONE"),
        name="VCALENDAR",
    )
    return make_element("D:prop", make_element("D:getetag") + make_element("C:calendar-data", whole))


def _format_instant(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"
