"""The calendar provider for CalDAV servers (RFC 4791). The owners share their calendars with one account, with which
Longarc logs in.

Each of our events is stored as a resource whose name is derived from the event's key. So `If-None-Match` prevents
creating an event twice, and `If-Match` prevents overwriting somebody else's change. A deleted event leaves no trace on
the server, which can't distinguish the key of a cancelled event from a key that was never used. So keys must not be
reused: each key contains a generation, which grows when the event is created again.

With the setting `attendee_copies`, for servers that don't deliver invitations (RFC 6638) such as Radicale, we put a
copy of each event into the guests' calendars ourselves: `worker.providers.caldav.attendee_copies`. The copies that were
known at the last read are called tracked copies. A cursor holds them, and the mark of the organizer's calendar: a text
for one state of a calendar (`worker.providers.caldav.collection`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from worker.clock import Clock, utcnow
from worker.domain.model import Address, BusyTime, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.errors import Conflict, Forbidden, NotFound, Permanent, ProviderError, Transient
from worker.providers.base import Finding
from worker.providers.caldav.attendee_copies import GuestCopies, TrackedCopies
from worker.providers.caldav.client import DavClient
from worker.providers.caldav.collection import CalendarCollection, Resource
from worker.providers.caldav.comparison import CalendarState, StateComparison
from worker.providers.caldav.copy_records import CopyRecords, InMemoryCopyRecords
from worker.providers.ical import events as ical_events
from worker.providers.identities import Identities, InMemoryIdentities

_TIMEOUT_SECONDS = 20.0
_FAILURES_OF_OUTAGE = 2  #: how many temporary failures in a row count as an outage of the server
_UNREADABLE_CALENDAR = (
    "The calendar of {person} contains an event whose times can't be read ({fingerprints}). "
    "Open the event in a calendar program and save it again, or delete it."
)


def build_calendar(section: Mapping[str, Any]) -> "CalDavCalendar":
    """Return the provider that a section of the settings describes. Raises NotFound for an invalid `url`.

    `url`: the URL of a person's calendar, with `{email}` or `{user}` (the part before the @) as a placeholder.
    `username`, `password`: the log-in. `attendee_copies`: whether we place copies in guests' calendars, because the
    server delivers no invitations. `local_people`: the people with a calendar on this server; without it, every
    guest is tried. `zones`: IANA names by address, for calendars that name no time zone. `timeout`: seconds. `copies`:
    the CopyRecords. `guests`: a function that returns the people whom an organizer may have invited. `identities`: the
    Identities.
    """
    url = str(section["url"])
    try:
        url.format(email="", user="")
    except (LookupError, ValueError) as error:
        raise NotFound(f"caldav.url is {url!r}; only {{email}} and {{user}} may be in braces.") from error
    dav = DavClient(
        section.get("username"),
        section.get("password"),
        float(section.get("timeout") or _TIMEOUT_SECONDS),
    )
    local_people = section.get("local_people")
    return CalDavCalendar(
        dav,
        url,
        attendee_copies=bool(section.get("attendee_copies", False)),
        local_people=None if local_people is None else frozenset(local_people),
        zones=dict(section.get("zones") or {}),
        records=section.get("copies"),
        list_guests=section.get("guests"),
        identities=section.get("identities"),
    )


class CalDavCalendar:
    """A CalendarProvider on a CalDAV server."""

    def __init__(
        self,
        dav: DavClient,
        url: str,
        *,
        attendee_copies: bool = False,
        local_people: frozenset[Address] | None = None,
        zones: Mapping[Address, str] | None = None,
        records: CopyRecords | None = None,
        list_guests: Callable[[Address], Iterable[Address]] | None = None,
        identities: Identities | None = None,
        clock: Clock = utcnow,
    ) -> None:
        """The arguments are those of `build_calendar`; `records` and `list_guests` are called `copies` and `guests`
        there."""
        self._dav = dav
        self._url = url
        self._zones = {address: ZoneInfo(name) for address, name in (zones or {}).items()}
        self._clock = clock
        self._collections: dict[Address, CalendarCollection] = {}
        self._comparison = StateComparison(dav, clock)
        self._identities = identities or InMemoryIdentities()
        self._copies: GuestCopies | None = None
        if attendee_copies:
            list_guests = list_guests or (lambda _: ())
            self._copies = GuestCopies(self.get_collection, local_people, records or InMemoryCopyRecords(), list_guests)

    def close(self) -> None:
        """Close the connections to the server."""
        self._dav.close()

    def get_collection(self, person: Address) -> CalendarCollection:
        """Return the person's calendar, which is at the URL that follows from `caldav.url` and their address."""
        if person not in self._collections:
            url = self._url.format(email=quote(person, safe="@"), user=quote(person.partition("@")[0]))
            self._collections[person] = CalendarCollection(
                self._dav, person, url, self._zones.get(person), self._identities
            )
        return self._collections[person]

    # --- reading ------------------------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return each person's free/busy; it is temporarily unknown for a person whose calendar can't be read just now.
        Raises Transient after two such people in a row: the server is probably down, and we don't wait for a time-out
        for each of the others. Also raises Transient when the only requested person's calendar can't be read now."""
        free_busy: dict[Address, FreeBusy] = {}
        failures_in_a_row = 0
        for person in people:
            try:
                free_busy[person] = self._read_free_busy(person, window)
            except Transient as error:
                failures_in_a_row += 1
                if failures_in_a_row == _FAILURES_OF_OUTAGE or len(people) == 1:
                    raise
                free_busy[person] = FreeBusy(is_known=False, reason=str(error), is_temporary=True)
            else:
                failures_in_a_row = 0
        return free_busy

    def _read_free_busy(self, person: Address, window: Span) -> FreeBusy:
        collection = self.get_collection(person)
        try:
            resources = collection.query(window.start, window.end)
            contents = [collection.read_resource(resource, window) for resource in resources]
        except Permanent as error:
            return FreeBusy(is_known=False, reason=str(error))
        fingerprints = sorted(
            {fingerprint for content in contents for fingerprint in content.list_unreadable_events(window)}
        )
        if fingerprints:
            reason = _UNREADABLE_CALENDAR.format(person=person, fingerprints=", ".join(fingerprints))
            return FreeBusy(is_known=False, reason=reason)
        busy_times = [
            BusyTime(event.span.clip(window), event.show_as, event.key)
            for content in contents
            for event in content.events
            if event.show_as is not None and event.span.overlaps(window)
        ]
        return FreeBusy(tuple(sorted(busy_times, key=lambda busy: (busy.span, busy.show_as, busy.key or ""))))

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key and its current answers; None when no such event exists or it was
        cancelled."""
        collection = self.get_collection(calendar)
        try:
            resource = collection.get(ical_events.make_resource_name(key))
        except NotFound:
            return None
        event = self._read_own_event(collection, resource)
        return None if event.cancelled or event.key != key else event

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the events that changed since `cursor`. When we place copies, first update the guests' calendars."""
        collection = self.get_collection(calendar)
        mark, tracked_copies = _parse_cursor(cursor)
        changes = collection.list_changes(mark, window.start)
        resources = {resource.name: resource for resource in changes.changed}
        if self._copies:
            tracked_copies, names_with_changed_copies = self._copies.apply_organizer_changes(
                collection, tracked_copies, changes, window.start
            )
            other_resources = collection.multiget(names_with_changed_copies - resources.keys())
            resources |= {resource.name: resource for resource in other_resources}
        events: dict[str, tuple[Event, ...]] = {}
        unreadable_names: set[str] = set()
        for name, resource in resources.items():
            events[name], is_complete = collection.read_events(resource, window)
            if not is_complete:
                unreadable_names.add(name)
        if self._copies:
            answered_events = self._copies.collect_answers(collection, resources.values())
            events |= {name: (event,) for name, event in answered_events.items()}
        # A changed series without an occurrence in the window counts as gone.
        emptied_names = [name for name in events.keys() - unreadable_names if not events[name]]
        return CalendarChanges(
            events=tuple(event for occurrences in events.values() for event in occurrences),
            deleted_ids=() if changes.is_full else (*changes.gone, *emptied_names),
            cursor=_format_cursor(changes.mark, tracked_copies),
            is_full=changes.is_full,
            unreadable_ids=tuple(sorted(unreadable_names)),
        )

    def find_unchanged(self, cursors: Mapping[Address, Cursor]) -> Set[Address]:
        """Return the calendars that have not changed since their cursors, and whose copies in other calendars have not
        changed either. Costs one request for each folder that contains several of them; a calendar that is alone in its
        folder is left out."""
        parsed_cursors = {calendar: _parse_cursor(cursor) for calendar, cursor in cursors.items()}
        states: dict[Address, set[CalendarState]] = {}
        for calendar, (mark, tracked_copies) in parsed_cursors.items():
            states[calendar] = {(self.get_collection(calendar).url, mark)}
            if self._copies:
                guest_marks = {guest: guest_mark for guest, (guest_mark, _) in tracked_copies.items()}
                states[calendar] |= {
                    (self.get_collection(guest).url, guest_mark) for guest, guest_mark in guest_marks.items()
                }
        unchanged = self._comparison.select_people_with_current_states(states)
        if self._copies is None:
            return unchanged
        return {
            calendar
            for calendar in unchanged
            if self._copies.is_tracking_complete(calendar, tracked_copies=parsed_cursors[calendar][1])
        }

    def _read_own_event(self, collection: CalendarCollection, resource: Resource) -> Event:
        """Return our event in `resource`. When we place copies, the answers are those in the copies."""
        event = collection.read_single(resource)
        if self._copies and event.answers:
            return self._copies.collect_answers(collection, [resource]).get(resource.name, event)
        return event

    # --- writing ------------------------------------------------------------------------------------------------------

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event, or return the event that an earlier attempt created. Raises Conflict when that event is
        cancelled, or when another event has its resource name."""
        collection = self.get_collection(calendar)
        name = ical_events.make_resource_name(draft.key)
        calendar_object = ical_events.compose_calendar(
            draft, self._now(), without_server_invitations=self._copies is not None
        )
        try:
            resource = collection.put(name, calendar_object, etag=None)
            is_new = True
        except Conflict:
            resource = collection.get(name)
            is_new = False
            event = collection.read_single(resource)
            if event.cancelled or event.key != draft.key:
                raise
        # An earlier attempt may have created the event without delivering all copies.
        return self._deliver_copies(collection, resource, is_new_or_moved=is_new)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft. Raises Conflict for a stale etag, unless the event was last written from
        the same draft."""
        collection, resource = self._get_own_resource(ref)
        if resource.etag != ref.etag:
            if not ical_events.is_written_from(resource.calendar, draft):
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            # An earlier attempt wrote this update, but may not have delivered all copies. Whether it moved the event is
            # no longer known, so copies that guests have deleted stay deleted.
            return self._deliver_copies(collection, resource, is_new_or_moved=False)
        is_moved = ical_events.amend_event(
            resource.calendar, draft, self._now(), without_server_invitations=self._copies is not None
        )
        resource = collection.put(resource.name, resource.calendar, etag=resource.etag)
        return self._deliver_copies(collection, resource, is_new_or_moved=is_moved)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Remove the event's copies and then the event, if they still exist. Raises Conflict for a stale etag.
        `quiet` has no effect, because it can't be prevented that a server notifies guests."""
        try:
            collection, resource = self._get_own_resource(ref)
        except NotFound:  # deleted by hand; its copies may still be there
            if self._copies:
                self._copies.withdraw_copies(self.get_collection(ref.calendar), _get_stored_name(ref))
            return
        is_cancelled = collection.read_single(resource).cancelled
        if ref.etag and resource.etag != ref.etag and not is_cancelled:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        if self._copies:
            if ical_events.read_answers(ical_events.find_main_event(resource.calendar)) and not is_cancelled:
                # If this process dies before all copies are removed, the event is found as a cancelled one.
                ical_events.mark_cancelled(resource.calendar, self._now())
                resource = collection.put(resource.name, resource.calendar, etag=resource.etag)
            self._copies.withdraw_copies(collection, resource.name, resource)
        collection.delete(resource.name, resource.etag)

    def _get_own_resource(self, ref: EventRef) -> tuple[CalendarCollection, Resource]:
        """Return the calendar and the resource of our event at `ref`. Raises NotFound for a deleted event, Forbidden
        for an event that isn't ours."""
        collection = self.get_collection(ref.calendar)
        resource = collection.get(_get_stored_name(ref))
        if not ical_events.is_own_original(resource.calendar):
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        return collection, resource

    def _deliver_copies(self, collection: CalendarCollection, resource: Resource, *, is_new_or_moved: bool) -> Event:
        """Deliver the copies of the event that was written, and return the event. When it `is_new_or_moved`, all guests
        are asked, and there are no answers to read."""
        if self._copies:
            self._copies.deliver_copies(collection, resource, is_new_or_moved=is_new_or_moved)
        return collection.read_single(resource) if is_new_or_moved else self._read_own_event(collection, resource)

    def _now(self) -> datetime:
        return self._clock().astimezone(UTC)

    # --- checks -------------------------------------------------------------------------------------------------------

    def check(self, person: Address) -> list[Finding]:
        """Check whether the server answers, has a calendar for this person, and lets us write to the calendar."""
        statement = f"The calendar server answers for {person}"
        try:
            is_calendar, is_writable = self.get_collection(person).probe()
        except ProviderError as error:
            return [Finding(statement, ok=False, remedy=str(error))]
        findings = [
            Finding(statement, ok=True),
            Finding(
                f"{person} has a calendar there",
                ok=is_calendar,
                remedy="" if is_calendar else "Something else is at this URL; check the path in caldav.url.",
            ),
        ]
        return [*findings, _check_write_access(person, is_writable)]

    def check_guest(self, person: Address) -> list[Finding]:
        """Check whether this person can be invited. When we place copies, we must be able to write to their
        calendar."""
        if not self._copies:
            return []
        try:
            _, is_writable = self.get_collection(person).probe()
        except ProviderError as error:
            return [Finding(f"{person} can be invited", ok=False, remedy=str(error))]
        return [_check_write_access(person, is_writable)]


def _check_write_access(person: Address, is_writable: bool | None) -> Finding:
    """Return the finding about our right to write to the calendar; `is_writable` is None when it is not known."""
    if is_writable is None:
        return Finding(f"The server does not say who may write to {person}'s calendar", ok=True)
    remedy = "" if is_writable else f"Share {person}'s calendar with caldav.username, with the right to write."
    return Finding(f"Longarc may write to {person}'s calendar", ok=is_writable, remedy=remedy)


def _get_stored_name(ref: EventRef) -> str:
    """Return the resource name of an event; of an occurrence, the resource name of its series."""
    return ref.id.partition("#")[0]


def _parse_cursor(cursor: Cursor | None) -> tuple[str, TrackedCopies]:
    """Return the mark of the calendar and the tracked copies; both are empty for a cursor that can't be read."""
    try:
        fields = json.loads(cursor or "{}")
        tracked_copies = {guest: (str(mark), list(names)) for guest, (mark, names) in fields["copies"].items()}
        return str(fields["mark"]), tracked_copies
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", {}


def _format_cursor(mark: str, tracked_copies: TrackedCopies) -> Cursor:
    return json.dumps({"mark": mark, "copies": tracked_copies}, sort_keys=True, separators=(",", ":"))
