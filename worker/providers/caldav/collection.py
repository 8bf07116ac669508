"""One person's calendar on a CalDAV server: its resources, their changes, and the owner's time zone.

A mark is a text that stands for one state of a calendar. It consists of a kind and a value: `sync:` and a sync token
(RFC 6578) when the server has them, else `ctag:` and the calendar's ctag, else `etags:` and a hash of all etags. When
nothing has changed since a mark, finding that out costs one request.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from hashlib import sha256
from typing import Any

from icalendar import Calendar
from icalendar.prop import vCalAddress

from worker.domain.model import Address, Event, EventRef, Span
from worker.errors import InvalidResponse
from worker.logs import Action
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
    make_text_element,
)
from worker.providers.ical import events as ical_events
from worker.providers.ical import parser
from worker.providers.ical.reader import CalendarContents, read_calendar, read_single_event
from worker.providers.ical.times import has_local_times
from worker.providers.ical.values import as_list, format_instant
from worker.providers.ical.zones import find_owner_zone
from worker.providers.identities import Identities, InMemoryIdentities, normalize_alias

log = logging.getLogger(__name__)

#: The properties of a collection from which `list_marks` makes marks.
MARK_PROPERTIES = ("D:sync-token", "CS:getctag")
_WRITE_RIGHTS = frozenset({f"{D}all", f"{D}write", f"{D}write-content"})
_CHUNK_SIZE = 100  #: how many resources one multiget request asks for
_MAX_SYNC_PAGES = 1000  #: how many requests one list of changes may take
_MAX_CACHED = 1000  #: how many parsed calendar objects are cached
_MAX_CACHED_CHARS = 20_000  #: a calendar object with a longer text is not cached


@dataclass(frozen=True, slots=True)
class Resource:
    """A stored calendar object (an iCalendar file), its name in the collection, and its etag.

    The `calendar` of a resource that `CalendarCollection.get` or `put` returned may be modified. All others are shared
    with a cache, and must not be modified.
    """

    name: str
    etag: str
    calendar: Calendar


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionChanges:
    """The changes of a calendar since a mark; when `is_full`, all its resources instead."""

    changed: tuple[Resource, ...]  #: the changed resources; empty when only names were read
    names: frozenset[str]  #: the names of all changed resources
    gone: tuple[str, ...]  #: the names of deleted resources
    mark: str  #: the mark of the state after these changes
    is_full: bool


class CalendarCollection:
    """Reads and writes a person's calendar, which is a CalDAV collection of resources. Raises only ProviderErrors."""

    def __init__(
        self, dav: DavClient, owner: Address, url: str, zone: tzinfo | None, identities: Identities | None = None
    ) -> None:
        """`zone`: the owner's time zone, for a calendar that names none. `identities`: maps aliases to people."""
        self._dav = dav
        self._identities = identities or InMemoryIdentities()
        self.owner = owner
        self.url = url
        self._configured_zone = zone
        self._zone: tzinfo | None = None

    # --- single resources ---------------------------------------------------------------------------------------------

    def get(self, name: str) -> Resource:
        """Return the resource of that name. Raises NotFound."""
        url = make_resource_url(self.url, name)
        text, etag = self._dav.get(url)
        return Resource(name, etag, self._use_primary_addresses(parser.parse_calendar(text, url)))

    def put(self, name: str, calendar: Calendar, *, etag: str | None) -> Resource:
        """Store a resource: a new one when `etag` is None, else in place of that version. Raises Conflict when the
        resource exists, or has another version."""
        new_etag = self._dav.put(make_resource_url(self.url, name), ical_events.to_text(calendar), etag=etag)
        return Resource(name, new_etag, calendar) if new_etag else self.get(name)

    def delete(self, name: str, etag: str) -> None:
        """Delete the resource of that name. Raises NotFound, and Conflict when its version is not `etag`."""
        self._dav.delete(make_resource_url(self.url, name), etag)

    # --- events -------------------------------------------------------------------------------------------------------

    def read_resource(self, resource: Resource, window: Span | None) -> CalendarContents:
        """Return the contents of the resource as the calendar's owner sees them: the events inside `window`. With
        `window` None, returns a single event at any time, and raises InvalidResponse for a series."""
        return read_calendar(resource.calendar, self._make_ref(resource), self._choose_zone(resource), window)

    def read_single(self, resource: Resource) -> Event:
        """Return the one event in the resource. Raises InvalidResponse when the resource has other contents."""
        return read_single_event(resource.calendar, self._make_ref(resource), self._choose_zone(resource))

    def read_events(self, resource: Resource, window: Span) -> tuple[tuple[Event, ...], bool]:
        """Return the events in the resource, and whether all of them could be read. Of a series, only the occurrences
        inside `window` are returned; a single event is returned at any time."""
        is_series = ical_events.is_recurring(resource.calendar)
        contents = self.read_resource(resource, window if is_series else None)
        # A series may have no occurrence inside the window. But a single event is always there if it can be read.
        is_complete = not contents.unknown_spans and (is_series or bool(contents.events))
        return tuple(contents.events), is_complete

    def _make_ref(self, resource: Resource) -> EventRef:
        return EventRef(self.owner, resource.name, resource.etag)

    def _choose_zone(self, resource: Resource) -> tzinfo:
        """Return the owner's time zone if the resource has local times, else UTC, because reading the owner's time zone
        may cost a request."""
        needs_zone = any(map(has_local_times, resource.calendar.walk("VEVENT")))
        return self.zone if needs_zone else ical_events.UTC_ZONE

    @property
    def zone(self) -> tzinfo:
        """The owner's time zone: that of the calendar, else that of the settings, else UTC. Read once per process."""
        if self._zone is None:
            self._remember_zone(self._dav.propfind(self.url, ["C:calendar-timezone"], depth=0))
        return self._zone or ical_events.UTC_ZONE

    def _remember_zone(self, answer: Multistatus) -> None:
        """Set the owner's time zone from an answer with the property calendar-timezone."""
        text = next((entry.get_text(f"{C}calendar-timezone") for entry in answer.entries), "")
        calendar_zone = None
        with suppress(InvalidResponse):
            calendar_zone = find_owner_zone(parser.parse_calendar(text, self.url)) if text.strip() else None
        self._zone = calendar_zone or self._configured_zone or ical_events.UTC_ZONE

    # --- many resources -----------------------------------------------------------------------------------------------

    def query(self, start: datetime, end: datetime | None) -> list[Resource]:
        """Return all resources with an event that is at least in part between `start` and `end`; without `end`, after
        `start`. A resource whose content the server does not send is included as an unreadable one."""
        bounds = {"start": format_instant(start)} | ({"end": format_instant(end)} if end else {})
        events = make_element("C:comp-filter", make_element("C:time-range", **bounds), name="VEVENT")
        content = _compose_properties(with_contents=True) + make_element(
            "C:filter", make_element("C:comp-filter", events, name="VCALENDAR")
        )
        answer = self._dav.report(self.url, make_document("C:calendar-query", content), depth=1)
        return [self._parse_resource(entry) for entry in answer.entries if entry.name and entry.status != 404]

    def multiget(self, names: Collection[str]) -> list[Resource]:
        """Return the existing resources among the named ones."""
        resources = []
        for hrefs in self._iter_hrefs(names):
            body = make_document("C:calendar-multiget", _compose_properties(with_contents=True) + hrefs)
            resources += self._parse_resources(self._dav.report(self.url, body, depth=1).entries)
        return resources

    def list_missing(self, names: Collection[str]) -> set[str]:
        """Return the names of resources that the server reports as missing, among the given names."""
        missing: set[str] = set()
        for hrefs in self._iter_hrefs(names):
            body = make_document("C:calendar-multiget", _compose_properties(with_contents=False) + hrefs)
            entries = self._dav.report(self.url, body, depth=1).entries
            missing |= {entry.name for entry in entries if entry.status in (404, 410)}
        return missing & set(names)

    def _iter_hrefs(self, names: Collection[str]) -> Iterator[str]:
        """Yield the href elements of these resources, as one text for each request."""
        sorted_names = sorted(names)
        path = self.url.split("://", 1)[-1].partition("/")[2]  # hrefs have neither scheme nor host
        for first in range(0, len(sorted_names), _CHUNK_SIZE):
            chunk = sorted_names[first : first + _CHUNK_SIZE]
            yield "".join(make_text_element("D:href", make_resource_url(f"/{path}", name)) for name in chunk)

    def list_changes(self, mark: str, start: datetime, *, with_contents: bool = True) -> CollectionChanges:
        """Return the changes since `mark`, or full changes: all resources that end after `start`. The changes are full
        when the mark is empty or no longer accepted, and for a changed calendar whose mark is not a sync token.

        Without contents, only the names of changed resources are read. Full changes without contents list nothing.
        """
        kind, _, value = mark.partition(":")
        if kind == "sync":
            try:
                return self._list_changes_since_token(value, with_contents=with_contents)
            except SyncTokenInvalid:
                return self._list_everything(self.read_mark(), start, with_contents=with_contents)
        current_mark = self.read_mark()
        if mark and current_mark == mark:
            return CollectionChanges(changed=(), names=frozenset(), gone=(), mark=mark, is_full=False)
        return self._list_everything(current_mark, start, with_contents=with_contents)

    def read_mark(self) -> str:
        """Return the mark of the calendar's current state."""
        answer = self._dav.propfind(self.url, [*MARK_PROPERTIES, "C:calendar-timezone"], depth=0)
        self._remember_zone(answer)  # here, because it saves a request later
        marks = [mark for entry in answer.entries for mark in list_marks(entry)]
        if marks:
            return marks[0]
        entries = self._dav.propfind(self.url, ["D:getetag"], depth=1).entries
        versions = sorted(f"{entry.name} {entry.get_text(f'{D}getetag')}" for entry in entries if entry.name)
        return f"etags:{sha256(repr(versions).encode()).hexdigest()}"

    def _list_everything(self, mark: str, start: datetime, *, with_contents: bool) -> CollectionChanges:
        """Return full changes. The caller has read `mark` before, so that a change in between is reported twice rather
        than never."""
        resources = tuple(self.query(start, None)) if with_contents else ()
        names = frozenset(resource.name for resource in resources)
        return CollectionChanges(changed=resources, names=names, gone=(), mark=mark, is_full=True)

    def _list_changes_since_token(self, token: str, *, with_contents: bool) -> CollectionChanges:
        """Return the changes since the sync token, from all pages of the answer. Raises SyncTokenInvalid."""
        entries: dict[str, DavEntry] = {}
        for _ in range(_MAX_SYNC_PAGES):
            # Level 1: the resources directly in the collection.
            token_and_level = make_text_element("D:sync-token", token) + make_text_element("D:sync-level", "1")
            body = make_document(
                "D:sync-collection", token_and_level + _compose_properties(with_contents=with_contents)
            )
            answer = self._dav.report(self.url, body, depth=0)
            entries |= {entry.name: entry for entry in answer.entries if entry.name}
            has_more = answer.is_truncated and answer.token != token  # an old token would return the same page again
            token = answer.token or token
            if not has_more:
                break
        else:
            raise SyncTokenInvalid(f"{self.url}: the list of changes has more than {_MAX_SYNC_PAGES} pages.")
        changed_entries = [entry for entry in entries.values() if entry.status != 404]
        resources = self._parse_resources(changed_entries) if with_contents else []
        unread_names = {entry.name for entry in changed_entries} - {resource.name for resource in resources}
        if with_contents and unread_names:  # some servers send only names, even when asked for contents
            resources += self.multiget(unread_names)
        gone = tuple(entry.name for entry in entries.values() if entry.status == 404)
        return CollectionChanges(
            changed=tuple(resources),
            names=frozenset(entry.name for entry in changed_entries),
            gone=gone,
            mark=f"sync:{token}",
            is_full=False,
        )

    def _parse_resources(self, entries: Iterable[DavEntry]) -> list[Resource]:
        """Return the resources whose content the server sent."""
        return [self._parse_resource(entry) for entry in entries if entry.get_text(f"{C}calendar-data")]

    def _parse_resource(self, entry: DavEntry) -> Resource:
        """Return the resource. Content that can't be read becomes a calendar object that is marked as unreadable."""
        text, source = entry.get_text(f"{C}calendar-data"), f"{self.owner}: {entry.name}"
        parse = _parse_cached if len(text) <= _MAX_CACHED_CHARS else parser.parse_calendar
        try:
            calendar = parse(text, source)
            if self._has_aliases(calendar):  # don't modify the cached calendar
                calendar = self._use_primary_addresses(parser.parse_calendar(text, source))
        except InvalidResponse as error:
            log.warning("%s", error, extra={"action": Action.EVENT_UNREADABLE})
            calendar = parser.make_unreadable_calendar()
        return Resource(entry.name, entry.get_text(f"{D}getetag"), calendar)

    def _has_aliases(self, calendar: Calendar) -> bool:
        """Return whether the address of an organizer or attendee is an alias."""
        return any(
            self._replace_address(value) is not value
            for event in calendar.walk("VEVENT")
            for name in ("ORGANIZER", "ATTENDEE")
            for value in as_list(event.get(name, []))
        )

    def _use_primary_addresses(self, calendar: Calendar) -> Calendar:
        """Replace aliases of organizers and attendees with primary addresses, in place. Returns the calendar."""
        for event in calendar.walk("VEVENT"):
            for name in ("ORGANIZER", "ATTENDEE"):
                if name in event:
                    values = [self._replace_address(value) for value in as_list(event[name])]
                    event[name] = values if len(values) > 1 else values[0]
        return calendar

    def _replace_address(self, value: Any) -> Any:
        """Return the organizer or attendee with the person's primary address. Returns `value` itself when its
        address is the primary address already, or is unknown."""
        parameters = getattr(value, "params", {})
        for alias in (str(value), str(parameters.get("EMAIL", ""))):
            primary = self._identities.find_primary(alias)
            if alias and primary != normalize_alias(alias):
                user = vCalAddress(f"mailto:{primary}")
                user.params.update({name: text for name, text in parameters.items() if name != "EMAIL"})
                return user
        return value

    # --- checks -------------------------------------------------------------------------------------------------------

    def probe(self) -> tuple[bool, bool | None]:
        """Return whether a calendar is at this URL, and whether we may write to it (None when the server doesn't
        say)."""
        properties = ["D:resourcetype", "D:current-user-privilege-set"]
        for entry in self._dav.propfind(self.url, properties, depth=0).entries:
            resource_type = entry.properties.get(f"{D}resourcetype")
            rights = entry.properties.get(f"{D}current-user-privilege-set")
            is_writable: bool | None = None
            if rights is not None:
                is_writable = any(part.tag in _WRITE_RIGHTS for part in rights.iter())
            is_calendar = resource_type is not None and resource_type.find(f"{C}calendar") is not None
            return is_calendar, is_writable
        return False, None


@lru_cache(_MAX_CACHED)
def _parse_cached(text: str, source: str) -> Calendar:
    """Return the calendar object in `text`. It is shared, and must not be modified. A cache pays off because the same
    texts are read again and again."""
    return parser.parse_calendar(text, source)


def list_marks(entry: DavEntry) -> list[str]:
    """Return the marks of a collection's current state that the answer contains, the best first."""
    texts = (("sync", entry.get_text(f"{D}sync-token")), ("ctag", entry.get_text(f"{CS}getctag")))
    return [f"{kind}:{text}" for kind, text in texts if text]


def _compose_properties(*, with_contents: bool) -> str:
    """Return the XML that lists the properties to read: the etag, and with contents the event properties that we use.
    Servers that can't select properties of events send whole events."""
    if not with_contents:
        return make_element("D:prop", make_element("D:getetag"))
    event = make_element(
        "C:comp", "".join(make_element("C:prop", name=name) for name in ical_events.READ_PROPERTIES), name="VEVENT"
    )
    calendar = make_element(
        "C:comp",
        make_element("C:prop", name="VERSION") + event + make_element("C:comp", name="VTIMEZONE"),
        name="VCALENDAR",
    )
    return make_element("D:prop", make_element("D:getetag") + make_element("C:calendar-data", calendar))
