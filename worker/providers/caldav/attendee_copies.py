"""Delivers invitations on CalDAV servers that don't: puts a copy of the organizer's event into each guest's calendar.

The copy has the organizer's UID. The guest answers by what they do with it: accept it, decline it, delete it (counts
as declined) or move it (counts as declined: they won't be there at the agreed time). When changes are read, what the
organizer did by hand is applied to the copies: a moved event moves the copies and resets the answers, a deleted event
removes the copies.

Each step can be repeated after a crash. The order is: write the organizer's event, record the intention to place a
copy, place the copy, confirm it in the record. A missing copy with a confirmed record was deleted by the guest; a
missing copy without confirmation was never delivered, and the next pass places it. A full pass also finds copies in
guests' calendars that have no record.

Reading changes costs one request for the organizer's calendar and one for each guest's calendar that holds copies; a
full pass costs one more for each guest.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from worker.domain.model import Address, Answer, Event, Span
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound
from worker.logs import Action
from worker.providers.caldav.collection import CalendarCollection, CollectionChanges, Resource
from worker.providers.caldav.copy_records import CopyRecords
from worker.providers.ical import events as icalendars

log = logging.getLogger(__name__)

#: By guest: the state mark of the guest's calendar when it was last read, and the resource names of the copies in it.
TrackedCopies = dict[Address, tuple[str, list[str]]]
#: By the resource name of an event: the guests with a copy, and whether its placing is confirmed.
PlacedCopies = dict[str, dict[Address, bool]]

#: The start to pass to `CalendarCollection.list_changes` when only names are read: it has no effect then.
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
#: When an organizer's calendar shows no event at all, and at least this many events with copies are missing from it,
#: the answer is taken for a fault of the server, and the copies stay.
SUSPICIOUS_COUNT = 5


class CollectionLookup(Protocol):
    """A function that returns a person's calendar."""

    def __call__(self, person: Address) -> CalendarCollection: ...


class GuestCopies:
    """Places copies in guests' calendars and reads the guests' answers from them."""

    def __init__(
        self,
        calendars: CollectionLookup,
        local: frozenset[Address] | None,
        records: CopyRecords,
        guests: Callable[[Address], Iterable[Address]],
    ) -> None:
        """`local`: the people with a calendar on this server; None tries everybody. `guests`: returns the people whom
        an organizer may have invited."""
        self._calendars = calendars
        self._local = local
        self._records = records
        self._guests = guests

    # --- placing copies -----------------------------------------------------------------------------------------------

    def deliver_copies(self, organizer: CalendarCollection, resource: Resource, *, ask_again: bool) -> None:
        """Give each guest with a calendar here a copy of the event as it is now, and remove all other copies.

        `ask_again`: also replace copies that guests deleted, because all are invited for the first time or once more.
        """
        placed_copies = self._list_placed(organizer, [resource]).get(resource.name, {})
        invited_guests = self._list_local_guests(resource)
        self.remove_copies(organizer, resource.name, placed_copies.keys() - invited_guests)
        for guest in sorted(invited_guests):
            self._place_copy(organizer, guest, resource, is_placed=placed_copies.get(guest, False), ask_again=ask_again)

    def _list_local_guests(self, resource: Resource) -> set[Address]:
        """Return the guests of an event who have a calendar here."""
        guests = icalendars.read_answers(icalendars.find_main_event(resource.calendar))
        return {guest for guest in guests if self._local is None or guest in self._local}

    def _place_copy(
        self, organizer: CalendarCollection, guest: Address, resource: Resource, *, is_placed: bool, ask_again: bool
    ) -> None:
        """Place the guest's copy, or bring an existing copy up to date."""
        collection, name = self._calendars(guest), resource.name
        new_copy = icalendars.make_guest_copy(resource.calendar, guest, Answer.NEEDS_ACTION)
        try:
            if not is_placed:
                self._records.intend_copy(organizer.owner, name, guest)
                if _put_new(collection, name, new_copy):
                    self._records.confirm_copy(organizer.owner, name, guest)
                    return
            copies = collection.multiget({name})
            for copy in copies:
                self._renew_copy(collection, copy, resource)
            if ask_again and not copies:
                collection.put(name, new_copy, etag=None)
            if ask_again or copies:
                self._records.confirm_copy(organizer.owner, name, guest)
        except (NotFound, Forbidden) as error:  # the guest has no calendar here, or we may not write to it
            log.warning("no copy for %s: %s", guest, error, extra={"action": Action.COPY_REFUSED, "calendar": guest})
            self._records.forget_copies(organizer.owner, name, [guest])

    @staticmethod
    def _renew_copy(guest: CalendarCollection, copy: Resource, resource: Resource) -> None:
        """Replace a copy that is out of date. The answer stays if the event has the same time."""
        span = _span_of(resource)
        if icalendars.is_copy_current(copy.calendar, resource.calendar):
            return
        is_same_time = icalendars.is_copy_of_time(copy.calendar, span)
        answer = icalendars.read_copy_answer(copy.calendar, guest.owner, span) if is_same_time else Answer.NEEDS_ACTION
        renewed_copy = icalendars.make_guest_copy(resource.calendar, guest.owner, answer)
        guest.put(copy.name, renewed_copy, etag=copy.etag)

    def withdraw_copies(self, organizer: CalendarCollection, name: str, resource: Resource | None = None) -> None:
        """Remove every copy of the event stored as `name`; `resource` is the event, if it still exists."""
        placed_copies = self._list_placed(organizer, [resource] if resource else [])
        self.remove_copies(organizer, name, placed_copies.get(name, {}))

    def remove_copies(self, organizer: CalendarCollection, name: str, guests: Iterable[Address]) -> None:
        """Remove these guests' copies. Leaves alone what is stored under that name but is not a copy of ours."""
        removed_guests = [guest for guest in guests if _remove_copy(self._calendars(guest), name)]
        if removed_guests:
            self._records.forget_copies(organizer.owner, name, removed_guests)

    # --- records ------------------------------------------------------------------------------------------------------

    def _list_placed(
        self, organizer: CalendarCollection, resources: Iterable[Resource], tracked_copies: TrackedCopies | None = None
    ) -> PlacedCopies:
        """Return the organizer's copies, from the records. Copies that older versions noted in a cursor
        (`tracked_copies`) or on the events themselves are added to the records."""
        placed_copies: PlacedCopies = {}
        for record in self._records.list_copies(organizer.owner):
            placed_copies.setdefault(record.name, {})[record.guest] = record.is_placed
        for guest, (_, names) in (tracked_copies or {}).items():
            for name in names:
                self._adopt_copy(organizer, placed_copies, name, guest)
        for resource in resources:
            for guest in icalendars.list_copied_guests(icalendars.find_main_event(resource.calendar)):
                self._adopt_copy(organizer, placed_copies, resource.name, guest)
        return placed_copies

    def _adopt_copy(
        self, organizer: CalendarCollection, placed_copies: PlacedCopies, name: str, guest: Address
    ) -> None:
        """Record a copy that has no record, and add it to `placed_copies`."""
        if guest not in placed_copies.setdefault(name, {}):
            self._records.confirm_copy(organizer.owner, name, guest)
            placed_copies[name][guest] = True

    def is_settled(self, organizer: Address, tracked_copies: TrackedCopies) -> bool:
        """Return whether the records hold exactly the tracked copies, all of them placed. Otherwise `follow_organizer`
        has to be called even when no calendar has changed."""
        records = self._records.list_copies(organizer)
        recorded = {(record.guest, record.name) for record in records}
        tracked = {(guest, name) for guest, (_, names) in tracked_copies.items() for name in names}
        return all(record.is_placed for record in records) and recorded == tracked

    # --- reading answers ----------------------------------------------------------------------------------------------

    def collect_answers(self, organizer: CalendarCollection, resources: Iterable[Resource]) -> dict[str, Event]:
        """Return those of the resources that are our events and have guests, by resource name, with the answers that
        the copies give."""
        ours = {resource.name: resource for resource in resources if icalendars.can_change(resource.calendar)}
        events = {name: event for name in ours if (event := _read_single(organizer, ours[name]))}
        placed_copies = self._list_placed(organizer, ours.values()) if events else {}
        by_guest: dict[Address, set[str]] = {}
        for name in events:
            for guest in self._list_local_guests(ours[name]):
                by_guest.setdefault(guest, set()).add(name)
        for guest, names in sorted(by_guest.items()):
            copied_events = {name: ours[name] for name in names if placed_copies.get(name, {}).get(guest)}
            answers = self._read_answers(guest, copied_events) if copied_events else {}
            for name in names:
                answer, is_current = answers.get(name, (Answer.NEEDS_ACTION, False))
                event = events[name]
                all_answers = {**event.answers, guest: answer}
                events[name] = replace(event, answers=all_answers, is_delivered=event.is_delivered and is_current)
        return {name: event for name, event in events.items() if event.answers}

    def _read_answers(self, guest: Address, events: Mapping[str, Resource]) -> dict[str, tuple[Answer, bool]]:
        """Return the guest's answer by each copy, and whether the copy is up to date."""
        collection = self._calendars(guest)
        try:
            copies = {copy.name: copy.calendar for copy in collection.multiget(events.keys())}
            deleted_names = collection.list_missing(events.keys() - copies.keys())
        except (NotFound, Forbidden):
            return {}
        answers = {
            name: (
                icalendars.read_copy_answer(copy, guest, _span_of(events[name])),
                icalendars.is_copy_current(copy, events[name].calendar),
            )
            for name, copy in copies.items()
        }
        return answers | dict.fromkeys(deleted_names, (Answer.DECLINED, True))

    # --- applying the organizer's changes -----------------------------------------------------------------------------

    def follow_organizer(
        self, organizer: CalendarCollection, tracked_copies: TrackedCopies, changes: CollectionChanges, start: datetime
    ) -> tuple[TrackedCopies, set[str]]:
        """Apply the organizer's own changes to the copies, deliver missing ones, and read which copies guests changed.

        `tracked_copies`: the copies as the last call returned them. `changes`: the organizer's own. Events that ended
        before `start` get no new copies. Returns the tracked copies for the next call, and the names of the organizer's
        events whose copies changed.
        """
        ours = _select_ours(changes.changed)
        placed_copies = self._list_placed(organizer, ours.values(), tracked_copies)
        if changes.full:
            self._find_copies(organizer, placed_copies, start)
        self._remove_orphans(organizer, placed_copies, tracked_copies, changes)
        pending = {name for name, guests in placed_copies.items() if not all(guests.values())} - ours.keys()
        ours |= _select_ours(organizer.multiget(pending))
        stale_names = self._find_stale(placed_copies, ours)
        for name, resource in ours.items():
            self._update_copies(
                organizer, placed_copies.setdefault(name, {}), resource, start, is_stale=name in stale_names
            )
        changed_names: set[str] = set()
        next_tracked: TrackedCopies = {}
        for guest, names in sorted(_group_by_guest(placed_copies).items()):
            mark, changes_of_guest = self._read_guest_changes(guest, tracked_copies.get(guest, ("", []))[0])
            changed_names |= names if changes_of_guest is None else names & changes_of_guest
            next_tracked[guest] = (mark, sorted(names))
        return next_tracked, changed_names

    def _find_copies(self, organizer: CalendarCollection, placed_copies: PlacedCopies, start: datetime) -> None:
        """Find this organizer's copies in the calendars of all possible guests, and record them."""
        guests = {guest for copies in placed_copies.values() for guest in copies} | set(self._guests(organizer.owner))
        for guest in sorted(guests - {organizer.owner}):
            try:
                resources = self._calendars(guest).query(start, None)
            except (NotFound, Forbidden):
                continue
            for resource in resources:
                if icalendars.is_ours(resource.name) and _is_copy_of(resource, organizer.owner):
                    self._adopt_copy(organizer, placed_copies, resource.name, guest)

    def _remove_orphans(
        self,
        organizer: CalendarCollection,
        placed_copies: PlacedCopies,
        tracked_copies: TrackedCopies,
        changes: CollectionChanges,
    ) -> None:
        """Remove the copies whose event is gone. A full pass also forgets the records of events that have ended."""
        watched_names = set() if changes.full else {name for _, names in tracked_copies.values() for name in names}
        unseen = placed_copies.keys() - changes.names - set(changes.gone) - watched_names
        gone_names = (set(changes.gone) & placed_copies.keys()) | organizer.list_missing(unseen)
        if changes.full and not changes.names and len(gone_names) >= SUSPICIOUS_COUNT:
            log.warning(
                "the calendar shows no events; %d copied events are missing, their copies stay",
                len(gone_names),
                extra={"action": Action.COPIES_KEPT, "calendar": organizer.owner},
            )
            return
        for name in gone_names:
            self.remove_copies(organizer, name, placed_copies.pop(name))
        for name in unseen - gone_names if changes.full else ():
            self._records.forget_copies(organizer.owner, name, placed_copies.pop(name))

    def _find_stale(self, placed_copies: PlacedCopies, ours: Mapping[str, Resource]) -> set[str]:
        """Return the names of the events of which some guest's copy is out of date."""
        stale_names = set()
        for guest, names in _group_by_guest({name: placed_copies.get(name, {}) for name in ours}).items():
            with suppress(NotFound, Forbidden):
                for copy in self._calendars(guest).multiget(names):
                    if not icalendars.is_copy_current(copy.calendar, ours[copy.name].calendar):
                        stale_names.add(copy.name)
        return stale_names

    def _update_copies(
        self,
        organizer: CalendarCollection,
        placed_copies: dict[Address, bool],
        resource: Resource,
        start: datetime,
        *,
        is_stale: bool,
    ) -> None:
        """Bring the copies of one event up to date, and update `placed_copies`, the guests who have one."""
        if icalendars.is_marked_cancelled(resource.calendar):
            self.remove_copies(organizer, resource.name, placed_copies)
            placed_copies.clear()
            return
        invited_guests = self._list_local_guests(resource)
        is_copy_missing = (
            not all(placed_copies.get(guest) for guest in invited_guests) and _span_of(resource).end > start
        )
        if is_stale or is_copy_missing or placed_copies.keys() - invited_guests:
            # A list of changes may leave out the subject and body; copies need the whole event.
            self.deliver_copies(organizer, organizer.get(resource.name), ask_again=False)
            placed_copies.clear()
            placed_copies.update(self._list_placed(organizer, []).get(resource.name, {}))

    def _read_guest_changes(self, guest: Address, mark: str) -> tuple[str, set[str] | None]:
        """Return the state mark of the guest's calendar now, and the names changed since `mark`; None when the server
        can't tell, so that all of them may have changed."""
        try:
            changes = self._calendars(guest).list_changes(mark, _ANY_TIME, with_contents=False)
        except (NotFound, Forbidden):
            return mark, set()
        return changes.mark, None if changes.full else set(changes.names) | set(changes.gone)


def _select_ours(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Return our events among these, by name. An event whose time can't be read is left out, so that its copies
    stay."""
    ours = {}
    for resource in resources:
        with suppress(InvalidResponse):
            if icalendars.can_change(resource.calendar) and _span_of(resource):
                ours[resource.name] = resource
    return ours


def _put_new(collection: CalendarCollection, name: str, calendar: Any) -> bool:
    """Store a new resource. False when that name is taken."""
    try:
        collection.put(name, calendar, etag=None)
    except Conflict:
        return False
    return True


def _remove_copy(collection: CalendarCollection, name: str) -> bool:
    """Delete our copy of that name. True when no copy of ours is left, False when it may be there still."""
    for _ in range(2):
        try:
            copy = collection.get(name)
            if icalendars.is_copy(copy.calendar):
                collection.delete(name, copy.etag)
            return True
        except NotFound:
            return True
        except Conflict:  # the guest changed it since it was read
            continue
        except (Forbidden, InvalidResponse):
            return False
    return False


def _is_copy_of(resource: Resource, organizer: Address) -> bool:
    event = icalendars.find_main_event(resource.calendar)
    return icalendars.is_copy(resource.calendar) and icalendars.organizer_of(event) == organizer


def _read_single(organizer: CalendarCollection, resource: Resource) -> Event | None:
    """Return the event; None when the resource no longer holds one readable single event."""
    try:
        return organizer.read_single(resource)
    except InvalidResponse:
        return None


def _group_by_guest(placed_copies: PlacedCopies) -> dict[Address, set[str]]:
    """Return the names of the copied events, by guest."""
    names: dict[Address, set[str]] = {}
    for name, guests in placed_copies.items():
        for guest in guests:
            names.setdefault(guest, set()).add(name)
    return names


def _span_of(resource: Resource) -> Span:
    return icalendars.own_span_of(resource.calendar)
