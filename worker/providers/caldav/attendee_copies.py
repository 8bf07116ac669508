"""What a scheduling server does, done by us where there is none: guests get a copy of the organizer's event.

The copy has the organizer's UID and lies in the guest's calendar. What the guest does with it there is the answer:
accepts, declines, deletes it (declined), moves it (declined: whoever moves it won't be there at the agreed time).
What the organizer does by hand is carried to the copies when changes are read: a moved event moves the copies and
asks anew, a deleted one takes them away.

Each step can be repeated. The organizer's event is written first; then a record says that a copy may lie there; then
the copy is put there; then the record says that it does. So a copy that is missing and confirmed was deleted by the
guest, one that is missing and not confirmed was never delivered, and is put there by the next pass. A full pass also
looks for copies in guests' calendars of which no record is left.

Reading changes costs one request for the organizer and one for each guest's calendar that holds copies; a full pass one
more for each guest.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from worker.domain.model import Address, Answer, Event, Span
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound
from worker.providers.caldav.collection import CalendarCollection, CollectionChanges, Resource
from worker.providers.caldav.copy_records import CopyRecords
from worker.providers.ical import events as icalendars

log = logging.getLogger(__name__)

#: By guest: the mark of the guest's calendar, and the names of the copies that lie there.
TrackedCopies = dict[Address, tuple[str, list[str]]]
#: By the name of an event: who has a copy, and whether it is known to have been put there.
PlacedCopies = dict[str, dict[Address, bool]]

#: Meant for `Collection.since` when only names are wanted: no start is needed.
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
#: A calendar that shows none of so many events of ours is not believed: their copies stay for now.
SUSPICIOUS_COUNT = 5


class CollectionLookup(Protocol):
    """Gives a person's calendar."""

    def __call__(self, person: Address) -> CalendarCollection: ...


class GuestCopies:
    """Puts copies into guests' calendars and reads what became of them."""

    def __init__(
        self,
        calendars: CollectionLookup,
        local: frozenset[Address] | None,
        records: CopyRecords,
        guests: Callable[[Address], Iterable[Address]],
    ) -> None:
        """`local`: who has a calendar here (None: try everybody). `guests`: whom an organizer may have invited."""
        self._calendars = calendars
        self._local = local
        self._records = records
        self._guests = guests

    # --- putting them there -----------------------------------------------------------------------------------------

    def deliver_copies(self, organizer: CalendarCollection, resource: Resource, *, anew: bool) -> None:
        """See that each guest with a calendar here has the event as it is now, and nobody else has it; `anew` also
        where the guest had deleted the copy."""
        known = self._list_placed(organizer, [resource]).get(resource.name, {})
        invited = self._list_local_guests(resource)
        self.remove_copies(organizer, resource.name, known.keys() - invited)
        for guest in sorted(invited):
            self._place_copy(organizer, guest, resource, is_placed=known.get(guest, False), anew=anew)

    def _list_local_guests(self, resource: Resource) -> set[Address]:
        """The guests of an event who have a calendar here."""
        guests = icalendars.read_answers(icalendars.find_main_event(resource.calendar))
        return {guest for guest in guests if self._local is None or guest in self._local}

    def _place_copy(
        self, organizer: CalendarCollection, guest: Address, resource: Resource, *, is_placed: bool, anew: bool
    ) -> None:
        """Put the copy there, or renew it."""
        collection, name = self._calendars(guest), resource.name
        fresh = icalendars.make_guest_copy(resource.calendar, guest, Answer.NEEDS_ACTION)
        try:
            if not is_placed:
                self._records.intend_copy(organizer.owner, name, guest)
                if _put_new(collection, name, fresh):
                    self._records.confirm_copy(organizer.owner, name, guest)
                    return
            copies = collection.multiget({name})
            for copy in copies:
                self._renew_copy(collection, copy, resource)
            if anew and not copies:
                collection.put(name, fresh, etag=None)
            if anew or copies:
                self._records.confirm_copy(organizer.owner, name, guest)
        except (NotFound, Forbidden) as error:  # no calendar here, or none that we may write to
            log.warning("no copy for %s: %s", guest, error, extra={"action": "copy_refused", "calendar": guest})
            self._records.forget_copies(organizer.owner, name, [guest])

    @staticmethod
    def _renew_copy(guest: CalendarCollection, copy: Resource, resource: Resource) -> None:
        span = _span_of(resource)
        if icalendars.is_copy_current(copy.calendar, resource.calendar):
            return
        same_time = icalendars.is_copy_of_time(copy.calendar, span)
        answer = icalendars.read_copy_answer(copy.calendar, guest.owner, span) if same_time else Answer.NEEDS_ACTION
        renewed = icalendars.make_guest_copy(resource.calendar, guest.owner, answer)
        guest.put(copy.name, renewed, etag=copy.etag)

    def withdraw_copies(self, organizer: CalendarCollection, name: str, resource: Resource | None = None) -> None:
        """Take away every copy of that event; `resource` is the event, if it is still there."""
        known = self._list_placed(organizer, [resource] if resource else [])
        self.remove_copies(organizer, name, known.get(name, {}))

    def remove_copies(self, organizer: CalendarCollection, name: str, guests: Iterable[Address]) -> None:
        """Take these guests' copies away, as far as they are ours and still there."""
        removed = [guest for guest in guests if _remove_copy(self._calendars(guest), name)]
        if removed:
            self._records.forget_copies(organizer.owner, name, removed)

    # --- knowing of them --------------------------------------------------------------------------------------------

    def _list_placed(
        self, organizer: CalendarCollection, resources: Iterable[Resource], tracked: TrackedCopies | None = None
    ) -> PlacedCopies:
        """What is recorded, and what older versions kept in cursors and on the events themselves."""
        known: PlacedCopies = {}
        for record in self._records.list_copies(organizer.owner):
            known.setdefault(record.name, {})[record.guest] = record.is_placed
        for guest, (_, names) in (tracked or {}).items():
            for name in names:
                self._adopt_copy(organizer, known, name, guest)
        for resource in resources:
            for guest in icalendars.list_copied_guests(icalendars.find_main_event(resource.calendar)):
                self._adopt_copy(organizer, known, resource.name, guest)
        return known

    def _adopt_copy(self, organizer: CalendarCollection, known: PlacedCopies, name: str, guest: Address) -> None:
        """Record a copy that was found without a record."""
        if guest not in known.setdefault(name, {}):
            self._records.confirm_copy(organizer.owner, name, guest)
            known[name][guest] = True

    # --- reading them -----------------------------------------------------------------------------------------------

    def collect_answers(self, organizer: CalendarCollection, resources: Iterable[Resource]) -> dict[str, Event]:
        """Our events among these that have guests here, by name, with the answers given there."""
        ours = {resource.name: resource for resource in resources if icalendars.can_change(resource.calendar)}
        events = {name: event for name in ours if (event := _read_single(organizer, ours[name]))}
        known = self._list_placed(organizer, ours.values()) if events else {}
        by_guest: dict[Address, set[str]] = {}
        for name in events:
            for guest in self._list_local_guests(ours[name]):
                by_guest.setdefault(guest, set()).add(name)
        for guest, names in sorted(by_guest.items()):
            placed = {name: ours[name] for name in names if known.get(name, {}).get(guest)}
            answers = self._read_answers(guest, placed) if placed else {}
            for name in names:
                answer, is_current = answers.get(name, (Answer.NEEDS_ACTION, False))
                event = events[name]
                answered = {**event.answers, guest: answer}
                events[name] = replace(event, answers=answered, is_delivered=event.is_delivered and is_current)
        return {name: event for name, event in events.items() if event.answers}

    def _read_answers(self, guest: Address, events: Mapping[str, Resource]) -> dict[str, tuple[Answer, bool]]:
        """What the guest did with each copy, and whether the copy is as the event is."""
        collection = self._calendars(guest)
        try:
            copies = {copy.name: copy.calendar for copy in collection.multiget(events.keys())}
            deleted = collection.list_missing(events.keys() - copies.keys())
        except (NotFound, Forbidden):
            return {}
        read = {
            name: (
                icalendars.read_copy_answer(copy, guest, _span_of(events[name])),
                icalendars.is_copy_current(copy, events[name].calendar),
            )
            for name, copy in copies.items()
        }
        return read | dict.fromkeys(deleted, (Answer.DECLINED, True))

    # --- following the organizer ------------------------------------------------------------------------------------

    def follow_organizer(
        self, organizer: CalendarCollection, tracked: TrackedCopies, since: CollectionChanges, start: datetime
    ) -> tuple[TrackedCopies, set[str]]:
        """Carry the organizer's own changes to the copies, deliver what is missing, and look what guests did since the
        last time. `start`: what ended before it is left alone.

        What to remember, and the names of the organizer's events whose copies changed.
        """
        ours = _select_ours(since.changed)
        known = self._list_placed(organizer, ours.values(), tracked)
        if since.full:
            self._find_copies(organizer, known, start)
        self._remove_orphans(organizer, known, tracked, since)
        pending = {name for name, guests in known.items() if not all(guests.values())} - ours.keys()
        ours |= _select_ours(organizer.multiget(pending))
        stale = self._find_stale(known, ours)
        for name, resource in ours.items():
            self._update_copies(organizer, known.setdefault(name, {}), resource, start, is_stale=name in stale)
        stirred: set[str] = set()
        kept: TrackedCopies = {}
        for guest, names in sorted(_group_by_guest(known).items()):
            mark, touched = self._read_guest_changes(guest, tracked.get(guest, ("", []))[0])
            stirred |= names if touched is None else names & touched
            kept[guest] = (mark, sorted(names))
        return kept, stirred

    def _find_copies(self, organizer: CalendarCollection, known: PlacedCopies, start: datetime) -> None:
        """Look for this organizer's copies in the calendars of whoever may be a guest, and record them."""
        guests = {guest for held in known.values() for guest in held} | set(self._guests(organizer.owner))
        for guest in sorted(guests - {organizer.owner}):
            try:
                resources = self._calendars(guest).query(start, None)
            except (NotFound, Forbidden):
                continue
            for resource in resources:
                if icalendars.is_ours(resource.name) and _is_copy_of(resource, organizer.owner):
                    self._adopt_copy(organizer, known, resource.name, guest)

    def _remove_orphans(
        self, organizer: CalendarCollection, known: PlacedCopies, tracked: TrackedCopies, since: CollectionChanges
    ) -> None:
        """Take away the copies whose event is gone. Forget those that a full pass shows to be over."""
        watched = set() if since.full else {name for _, names in tracked.values() for name in names}
        unseen = known.keys() - since.names - set(since.gone) - watched
        gone = (set(since.gone) & known.keys()) | organizer.list_missing(unseen)
        if since.full and not since.names and len(gone) >= SUSPICIOUS_COUNT:
            log.warning(
                "an empty calendar is not believed", extra={"action": "copies_kept", "calendar": organizer.owner}
            )
            return
        for name in gone:
            self.remove_copies(organizer, name, known.pop(name))
        for name in unseen - gone if since.full else ():
            self._records.forget_copies(organizer.owner, name, known.pop(name))

    def _find_stale(self, known: PlacedCopies, ours: Mapping[str, Resource]) -> set[str]:
        """The events of which a guest has a copy that is not as the event is."""
        stale = set()
        for guest, names in _group_by_guest({name: known.get(name, {}) for name in ours}).items():
            with suppress(NotFound, Forbidden):
                copies = self._calendars(guest).multiget(names)
                stale |= {c.name for c in copies if not icalendars.is_copy_current(c.calendar, ours[c.name].calendar)}
        return stale

    def _update_copies(
        self,
        organizer: CalendarCollection,
        held: dict[Address, bool],
        resource: Resource,
        start: datetime,
        *,
        is_stale: bool,
    ) -> None:
        """Make the copies of an event what the event is; `held` becomes who has one."""
        if icalendars.is_marked_cancelled(resource.calendar):
            self.remove_copies(organizer, resource.name, held)
            held.clear()
            return
        invited = self._list_local_guests(resource)
        is_lacking = not all(held.get(guest) for guest in invited) and _span_of(resource).end > start
        if is_stale or is_lacking or held.keys() - invited:
            # What was read to see what changed may lack its texts: copies are made from the whole.
            self.deliver_copies(organizer, organizer.get(resource.name), anew=False)
            held.clear()
            held.update(self._list_placed(organizer, []).get(resource.name, {}))

    def _read_guest_changes(self, guest: Address, mark: str) -> tuple[str, set[str] | None]:
        """The guest's mark now, and the names touched since; None when any may have been."""
        try:
            since = self._calendars(guest).list_changes(mark, _ANY_TIME, read=False)
        except (NotFound, Forbidden):
            return mark, set()
        return since.mark, None if since.full else set(since.names) | set(since.gone)


def _select_ours(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Our events among these, by name. What nobody can tell the time of is left as it is, and so are its copies."""
    ours = {}
    for resource in resources:
        with suppress(InvalidResponse):
            if icalendars.can_change(resource.calendar) and _span_of(resource):
                ours[resource.name] = resource
    return ours


def _put_new(collection: CalendarCollection, name: str, calendar: Any) -> bool:
    """True when it was put there, False when something of that name is there already."""
    try:
        collection.put(name, calendar, etag=None)
    except Conflict:
        return False
    return True


def _remove_copy(collection: CalendarCollection, name: str) -> bool:
    """True when no copy of ours lies there any more."""
    for _ in range(2):
        try:
            copy = collection.get(name)
            if icalendars.is_copy(copy.calendar):
                collection.delete(name, copy.etag)
            return True
        except NotFound:
            return True
        except Conflict:  # the guest changed it this moment
            continue
        except (Forbidden, InvalidResponse):
            return False
    return False


def _is_copy_of(resource: Resource, organizer: Address) -> bool:
    event = icalendars.find_main_event(resource.calendar)
    return icalendars.is_copy(resource.calendar) and icalendars.organizer_of(event) == organizer


def _read_single(organizer: CalendarCollection, resource: Resource) -> Event | None:
    """The event; None when its owner made something else of it that can't be followed."""
    try:
        return organizer.read_single(resource)
    except InvalidResponse:
        return None


def _group_by_guest(known: PlacedCopies) -> dict[Address, set[str]]:
    names: dict[Address, set[str]] = {}
    for name, guests in known.items():
        for guest in guests:
            names.setdefault(guest, set()).add(name)
    return names


def _span_of(resource: Resource) -> Span:
    return icalendars.own_span_of(resource.calendar)
