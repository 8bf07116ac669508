"""Invites guests on CalDAV servers that don't deliver invitations: puts a copy of our event into each guest's calendar.

We call the organizer's event the original. A copy has the original's UID. Guests answer by what they do with their
copy: they accept it, decline it, delete it (which counts as declined) or move it (which counts as declined too, because
they won't be there at the agreed time). Each time the organizer's changes are read, they are applied to the copies: a
moved original moves the copies and resets the answers, a deleted original removes the copies.

Each step can be repeated after a crash. The order is: write the original, record the intention to place a copy, place
the copy, confirm the record. A missing copy with a confirmed record was deleted by the guest; a missing copy with an
unconfirmed record was never placed, and is placed when changes are read next. When all of an organizer's events are
read instead of changes, copies without a record are found too.

Reading changes costs one request for the organizer's calendar and one for the calendar of each guest with copies;
reading all events costs one more for each possible guest.
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
from worker.providers.ical import events as ical_events

log = logging.getLogger(__name__)

#: The copies that were known when the organizer's changes were last read, by guest: the mark of the guest's calendar at
#: that time, and the resource names of the copies in it. They are stored in the cursor of the organizer's calendar.
TrackedCopies = dict[Address, tuple[str, list[str]]]
#: The copies that have a record, by the resource name of the original and by guest: whether the record is confirmed.
RecordedCopies = dict[str, dict[Address, bool]]

#: The start to pass to `CalendarCollection.list_changes` when only names are read: it has no effect then.
_ANY_TIME = datetime(1970, 1, 1, tzinfo=UTC)
#: When an organizer's calendar has no events at all, and at least this many originals are missing from it, we assume a
#: fault of the server and keep the copies.
SUSPICIOUS_MISSING_COUNT = 5


class CollectionLookup(Protocol):
    """A function that returns a person's calendar."""

    def __call__(self, person: Address) -> CalendarCollection: ...


class GuestCopies:
    """Places copies in guests' calendars and reads the guests' answers from them."""

    def __init__(
        self,
        get_collection: CollectionLookup,
        local_people: frozenset[Address] | None,
        records: CopyRecords,
        list_guests: Callable[[Address], Iterable[Address]],
    ) -> None:
        """`local_people`: the people with a calendar on this server; None when they are not known, so that copies are
        tried for all guests. `list_guests`: returns the people whom an organizer may have invited."""
        self._get_collection = get_collection
        self._local_people = local_people
        self._records = records
        self._list_guests = list_guests

    # --- placing copies -----------------------------------------------------------------------------------------------

    def deliver_copies(
        self, organizer_calendar: CalendarCollection, original: Resource, *, is_new_or_moved: bool
    ) -> None:
        """Give each guest with a calendar on this server an up-to-date copy, and remove all other copies.

        `is_new_or_moved`: also replace copies that guests deleted, because the event is new or was moved.
        """
        guest_records = self._list_recorded_copies(organizer_calendar, [original]).get(original.name, {})
        invited_guests = self._list_local_guests(original)
        self.remove_copies(organizer_calendar, original.name, guest_records.keys() - invited_guests)
        for guest in sorted(invited_guests):
            self._place_copy(
                organizer_calendar,
                guest,
                original,
                is_confirmed=guest_records.get(guest, False),
                is_new_or_moved=is_new_or_moved,
            )

    def _list_local_guests(self, original: Resource) -> set[Address]:
        """Return the guests of the event who have a calendar on this server, or may have one."""
        answers_by_guest = ical_events.read_answers(ical_events.find_main_event(original.calendar))
        return {guest for guest in answers_by_guest if self._local_people is None or guest in self._local_people}

    def _place_copy(
        self,
        organizer_calendar: CalendarCollection,
        guest: Address,
        original: Resource,
        *,
        is_confirmed: bool,
        is_new_or_moved: bool,
    ) -> None:
        """Place the guest's copy, or update an existing copy. `is_confirmed`: whether its record is confirmed."""
        guest_calendar, name = self._get_collection(guest), original.name
        new_copy = ical_events.make_guest_copy(original.calendar, guest, Answer.NEEDS_ACTION)
        try:
            if not is_confirmed:
                self._records.intend_copy(organizer_calendar.owner, name, guest)
                if _put_new(guest_calendar, name, new_copy):
                    self._records.confirm_copy(organizer_calendar.owner, name, guest)
                    return
            copy = next(iter(guest_calendar.multiget({name})), None)
            if copy is not None:
                has_copy = _renew_copy(guest_calendar, copy, original)
            elif is_confirmed and not is_new_or_moved:
                return  # the guest deleted the copy
            else:
                has_copy = _put_new(guest_calendar, name, new_copy)
            refusal = "" if has_copy else "another event has the resource name or the UID of the copy"
        except (NotFound, Forbidden) as error:  # the guest has no calendar on this server, or we may not write to it
            refusal = str(error)
        if refusal:
            log.warning("no copy for %s: %s", guest, refusal, extra={"action": Action.COPY_REFUSED, "calendar": guest})
            self._records.forget_copies(organizer_calendar.owner, name, [guest])
        else:
            self._records.confirm_copy(organizer_calendar.owner, name, guest)

    def withdraw_copies(
        self, organizer_calendar: CalendarCollection, name: str, original: Resource | None = None
    ) -> None:
        """Remove every copy of the original stored as `name`. `original`: None when it no longer exists."""
        recorded_copies = self._list_recorded_copies(organizer_calendar, [original] if original else [])
        self.remove_copies(organizer_calendar, name, recorded_copies.get(name, {}))

    def remove_copies(self, organizer_calendar: CalendarCollection, name: str, guests: Iterable[Address]) -> None:
        """Remove these guests' copies of the original stored as `name`. A resource of that name that is not our copy is
        left alone."""
        removed_guests = [guest for guest in guests if _remove_copy(self._get_collection(guest), name)]
        if removed_guests:
            self._records.forget_copies(organizer_calendar.owner, name, removed_guests)

    # --- records ------------------------------------------------------------------------------------------------------

    def _list_recorded_copies(
        self,
        organizer_calendar: CalendarCollection,
        originals: Iterable[Resource],
        tracked_copies: TrackedCopies | None = None,
    ) -> RecordedCopies:
        """Return the recorded copies of this organizer's events.

        Older versions of Longarc kept no records: they listed the copies in the cursor (`tracked_copies`) and marked
        them on the originals. This function first adds the missing records of these copies.
        """
        recorded_copies: RecordedCopies = {}
        for record in self._records.list_copies(organizer_calendar.owner):
            recorded_copies.setdefault(record.name, {})[record.guest] = record.is_confirmed
        for guest, (_, names) in (tracked_copies or {}).items():
            for name in names:
                self._add_missing_record(organizer_calendar, recorded_copies, name, guest)
        for original in originals:
            for guest in ical_events.list_copied_guests(ical_events.find_main_event(original.calendar)):
                self._add_missing_record(organizer_calendar, recorded_copies, original.name, guest)
        return recorded_copies

    def _add_missing_record(
        self, organizer_calendar: CalendarCollection, recorded_copies: RecordedCopies, name: str, guest: Address
    ) -> None:
        """Add a confirmed record for a copy that has none, also to `recorded_copies`."""
        if guest not in recorded_copies.setdefault(name, {}):
            self._records.confirm_copy(organizer_calendar.owner, name, guest)
            recorded_copies[name][guest] = True

    def is_tracking_complete(self, organizer: Address, tracked_copies: TrackedCopies) -> bool:
        """Return whether the tracked copies are those that this organizer's records name, and all records are
        confirmed. Otherwise `apply_organizer_changes` has to be called even when no calendar has changed."""
        records = self._records.list_copies(organizer)
        copies_in_records = {(record.guest, record.name) for record in records}
        copies_in_cursor = {(guest, name) for guest, (_, names) in tracked_copies.items() for name in names}
        return all(record.is_confirmed for record in records) and copies_in_records == copies_in_cursor

    # --- reading answers ----------------------------------------------------------------------------------------------

    def collect_answers(
        self, organizer_calendar: CalendarCollection, resources: Iterable[Resource]
    ) -> dict[str, Event]:
        """Return an event for each of these resources that is an original with guests, by resource name.

        The answers in an event are those of the guests' copies.
        """
        originals = {
            resource.name: resource for resource in resources if ical_events.is_own_original(resource.calendar)
        }
        events = {
            name: event for name in originals if (event := _read_single_event(organizer_calendar, originals[name]))
        }
        recorded_copies = self._list_recorded_copies(organizer_calendar, originals.values()) if events else {}
        names_by_guest: dict[Address, set[str]] = {}
        for name in events:
            for guest in self._list_local_guests(originals[name]):
                names_by_guest.setdefault(guest, set()).add(name)
        for guest, names in sorted(names_by_guest.items()):
            copied_originals = {name: originals[name] for name in names if recorded_copies.get(name, {}).get(guest)}
            answers = self._read_answers(guest, copied_originals) if copied_originals else {}
            for name in names:
                answer, is_current = answers.get(name, (Answer.NEEDS_ACTION, False))
                event = events[name]
                all_answers = {**event.answers, guest: answer}
                # The event is delivered when the copies of all guests are up to date.
                events[name] = replace(event, answers=all_answers, is_delivered=event.is_delivered and is_current)
        return {name: event for name, event in events.items() if event.answers}

    def _read_answers(self, guest: Address, originals: Mapping[str, Resource]) -> dict[str, tuple[Answer, bool]]:
        """Return the guest's answer to each original, and whether the guest's copy is up to date, by resource name."""
        collection = self._get_collection(guest)
        try:
            copies = {
                copy.name: copy.calendar
                for copy in collection.multiget(originals.keys())
                if ical_events.has_same_uid(copy.calendar, originals[copy.name].calendar)
            }
            # A server may also leave out a copy that it could not read. Only a copy reported as missing was deleted.
            deleted_names = collection.list_missing(originals.keys() - copies.keys())
        except (NotFound, Forbidden):
            return {}
        answers = {
            name: (
                ical_events.read_copy_answer(copy, guest, _read_span(originals[name])),
                ical_events.is_copy_current(copy, originals[name].calendar),
            )
            for name, copy in copies.items()
        }
        # A guest who deleted the copy has declined and gets no other copy, so nothing is left to deliver (True).
        return answers | dict.fromkeys(deleted_names, (Answer.DECLINED, True))

    # --- applying the organizer's changes -----------------------------------------------------------------------------

    def apply_organizer_changes(
        self,
        organizer_calendar: CalendarCollection,
        tracked_copies: TrackedCopies,
        changes: CollectionChanges,
        start: datetime,
    ) -> tuple[TrackedCopies, set[str]]:
        """Apply the organizer's changes to the copies, place missing copies, and find the copies that guests changed.

        `tracked_copies`: the copies as the last call returned them. `changes`: the changes of the organizer's calendar,
        or full changes: all events that end after `start`. Events that ended before `start` get no new copies. Returns
        the tracked copies for the next call, and the names of the originals whose copies changed.
        """
        originals = _select_originals(changes.changed)
        recorded_copies = self._list_recorded_copies(organizer_calendar, originals.values(), tracked_copies)
        if changes.is_full:
            self._record_unrecorded_copies(organizer_calendar, recorded_copies, start)
        self._remove_copies_of_deleted(organizer_calendar, recorded_copies, tracked_copies, changes)
        unconfirmed_names = {name for name, guests in recorded_copies.items() if not all(guests.values())}
        originals |= _select_originals(organizer_calendar.multiget(unconfirmed_names - originals.keys()))
        stale_names = self._find_stale_names(recorded_copies, originals)
        for name, original in originals.items():
            self._update_copies(
                organizer_calendar, recorded_copies.setdefault(name, {}), original, start, is_stale=name in stale_names
            )
        changed_names: set[str] = set()
        next_tracked: TrackedCopies = {}
        for guest, names in sorted(_group_by_guest(recorded_copies).items()):
            last_mark, _ = tracked_copies.get(guest, ("", []))
            mark, names_changed_by_guest = self._read_guest_changes(guest, last_mark)
            changed_names |= names if names_changed_by_guest is None else names & names_changed_by_guest
            next_tracked[guest] = (mark, sorted(names))
        return next_tracked, changed_names

    def _record_unrecorded_copies(
        self, organizer_calendar: CalendarCollection, recorded_copies: RecordedCopies, start: datetime
    ) -> None:
        """Search the calendars of all possible guests for copies of this organizer's events, and add the records that
        are missing. Copies that end before `start` are not searched."""
        known_guests = {guest for copies in recorded_copies.values() for guest in copies}
        possible_guests = known_guests | set(self._list_guests(organizer_calendar.owner))
        for guest in sorted(possible_guests - {organizer_calendar.owner}):
            try:
                resources = self._get_collection(guest).query(start, None)
            except (NotFound, Forbidden):
                continue
            for resource in resources:
                if ical_events.is_own_resource_name(resource.name) and _is_copy_from(
                    resource, organizer_calendar.owner
                ):
                    self._add_missing_record(organizer_calendar, recorded_copies, resource.name, guest)

    def _remove_copies_of_deleted(
        self,
        organizer_calendar: CalendarCollection,
        recorded_copies: RecordedCopies,
        tracked_copies: TrackedCopies,
        changes: CollectionChanges,
    ) -> None:
        """Remove the copies whose original was deleted. When `changes` are full, also delete the records of originals
        that exist but have ended, and are therefore not listed in `changes`."""
        # Full changes leave out originals that have ended, and partial changes leave out unchanged ones. A tracked
        # original that partial changes leave out is unchanged. Of all other originals that are left out, those that the
        # server reports as missing were deleted.
        tracked_names = {name for _, names in tracked_copies.values() for name in names}
        unchanged_names = set() if changes.is_full else tracked_names
        unlisted_names = recorded_copies.keys() - changes.names - set(changes.gone) - unchanged_names
        deleted_names = (set(changes.gone) & recorded_copies.keys()) | organizer_calendar.list_missing(unlisted_names)
        if changes.is_full and not changes.names and len(deleted_names) >= SUSPICIOUS_MISSING_COUNT:
            log.warning(
                "the calendar has no events; %d events with copies are missing from it, and their copies are kept",
                len(deleted_names),
                extra={"action": Action.COPIES_KEPT, "calendar": organizer_calendar.owner},
            )
            return
        for name in deleted_names:
            self.remove_copies(organizer_calendar, name, recorded_copies.pop(name))
        if changes.is_full:
            for name in unlisted_names - deleted_names:
                self._records.forget_copies(organizer_calendar.owner, name, recorded_copies.pop(name))

    def _find_stale_names(self, recorded_copies: RecordedCopies, originals: Mapping[str, Resource]) -> set[str]:
        """Return the names of the originals that have a copy that is out of date."""
        stale_names = set()
        for guest, names in _group_by_guest({name: recorded_copies.get(name, {}) for name in originals}).items():
            with suppress(NotFound, Forbidden):
                for copy in self._get_collection(guest).multiget(names):
                    if not ical_events.is_copy_current(copy.calendar, originals[copy.name].calendar):
                        stale_names.add(copy.name)
        return stale_names

    def _update_copies(
        self,
        organizer_calendar: CalendarCollection,
        guest_records: dict[Address, bool],
        original: Resource,
        start: datetime,
        *,
        is_stale: bool,
    ) -> None:
        """Update the copies of the original, and also `guest_records`: for each guest with a recorded copy, whether the
        record is confirmed. `is_stale`: whether a copy is out of date."""
        if ical_events.is_main_event_cancelled(original.calendar):
            self.remove_copies(organizer_calendar, original.name, guest_records)
            guest_records.clear()
            return
        invited_guests = self._list_local_guests(original)
        has_all_confirmed = all(guest_records.get(guest, False) for guest in invited_guests)
        is_copy_missing = not has_all_confirmed and _read_span(original).end > start
        if is_stale or is_copy_missing or guest_records.keys() - invited_guests:
            # A list of changes may omit the subject and the body, which copies need.
            self.deliver_copies(organizer_calendar, organizer_calendar.get(original.name), is_new_or_moved=False)
            guest_records.clear()
            guest_records.update(self._list_recorded_copies(organizer_calendar, []).get(original.name, {}))

    def _read_guest_changes(self, guest: Address, mark: str) -> tuple[str, set[str] | None]:
        """Return the current mark of the guest's calendar, and the resource names that changed since `mark`; None in
        place of the names when the server can't tell, so that every resource may have changed."""
        try:
            changes = self._get_collection(guest).list_changes(mark, _ANY_TIME, with_contents=False)
        except (NotFound, Forbidden):
            return mark, set()
        return changes.mark, None if changes.is_full else set(changes.names) | set(changes.gone)


def _select_originals(resources: Iterable[Resource]) -> dict[str, Resource]:
    """Return the originals among these resources, by name. An original whose time can't be read is left out, so that
    its copies stay as they are."""
    originals = {}
    for resource in resources:
        if not ical_events.is_own_original(resource.calendar):
            continue
        with suppress(InvalidResponse):
            _read_span(resource)  # raises InvalidResponse when the time can't be read
            originals[resource.name] = resource
    return originals


def _put_new(collection: CalendarCollection, name: str, calendar: Any) -> bool:
    """Store a new resource. Returns False, and changes nothing, when a resource of that name or, on some servers, an
    event with the same UID exists."""
    try:
        collection.put(name, calendar, etag=None)
    except Conflict:
        return False
    return True


def _renew_copy(guest_calendar: CalendarCollection, copy: Resource, original: Resource) -> bool:
    """Replace a copy that is out of date. The guest's answer is kept, unless the original has moved. Returns False, and
    changes nothing, when the resource is another event, which somebody else stored under the name of the copy."""
    if not ical_events.has_same_uid(copy.calendar, original.calendar):
        return False
    if ical_events.is_copy_current(copy.calendar, original.calendar):
        return True
    guest, span = guest_calendar.owner, _read_span(original)
    answer = Answer.NEEDS_ACTION
    if ical_events.has_copied_span(copy.calendar, span):  # the original has not moved since the copy was made
        answer = ical_events.read_copy_answer(copy.calendar, guest, span)
    renewed_copy = ical_events.make_guest_copy(original.calendar, guest, answer)
    guest_calendar.put(copy.name, renewed_copy, etag=copy.etag)
    return True


def _remove_copy(collection: CalendarCollection, name: str) -> bool:
    """Delete our copy of that name. Returns True when no copy of ours is left, False when the copy may still exist."""
    for _ in range(2):  # after a conflict, a second attempt reads the new version
        try:
            copy = collection.get(name)
            if ical_events.is_copy(copy.calendar):
                collection.delete(name, copy.etag)
            return True
        except NotFound:
            return True
        except Conflict:  # the guest changed the copy after we read it
            continue
        except (Forbidden, InvalidResponse):
            return False
    return False


def _is_copy_from(resource: Resource, organizer: Address) -> bool:
    """Return whether the resource is our copy of an event of this organizer."""
    event = ical_events.find_main_event(resource.calendar)
    return ical_events.is_copy(resource.calendar) and ical_events.read_organizer(event) == organizer


def _read_single_event(organizer_calendar: CalendarCollection, resource: Resource) -> Event | None:
    """Return the event in the resource; None when a person changed the resource so that it isn't one readable event."""
    try:
        return organizer_calendar.read_single(resource)
    except InvalidResponse:
        return None


def _group_by_guest(recorded_copies: RecordedCopies) -> dict[Address, set[str]]:
    """Return the names of the originals that each guest has a copy of."""
    names_by_guest: dict[Address, set[str]] = {}
    for name, guests in recorded_copies.items():
        for guest in guests:
            names_by_guest.setdefault(guest, set()).add(name)
    return names_by_guest


def _read_span(resource: Resource) -> Span:
    """Return the span of the original in the resource. Raises InvalidResponse when it can't be read."""
    return ical_events.read_own_span(resource.calendar)
