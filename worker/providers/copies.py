"""What a scheduling server does, done by us where there is none: guests get a copy of the organizer's event.

The copy has the organizer's UID and lies in the guest's calendar. What the guest does with it there is the answer:
accepts, declines, deletes it (declined), moves it (declined: whoever moves it won't be there at the agreed time).
What the organizer does by hand is carried to the copies when changes are read: a moved event moves the copies and
asks anew, a deleted one takes them away.

Each step can be repeated. The organizer's event is written first and notes a copy only once it is there; so a copy
that is missing and noted was deleted by the guest, one that is missing and not noted was never delivered.

Reading changes costs one request for the organizer and one for each guest's calendar that holds copies.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from worker.domain.model import Address, Answer, Event, Span
from worker.errors import Conflict, Forbidden, NotFound
from worker.providers import icalendars
from worker.providers.collection import Collection, Resource, Since

#: By guest: the mark of the guest's calendar, and the names of the copies that lie there.
Tracked = dict[Address, tuple[str, list[str]]]

#: Meant for `Collection.since` when only names are wanted: no start is needed.
_ANY = datetime(1970, 1, 1, tzinfo=UTC)


class Calendars(Protocol):
    """Gives a person's calendar."""

    def __call__(self, person: Address) -> Collection: ...


class Copies:
    """Puts copies into guests' calendars and reads what became of them."""

    def __init__(self, calendars: Calendars, local: frozenset[Address] | None) -> None:
        self._calendars = calendars
        self._local = local

    # --- putting them there -----------------------------------------------------------------------------------------

    def deliver(self, organizer: Collection, resource: Resource, *, anew: bool) -> Resource:
        """See that each guest with a calendar here has the event as it is now; `anew` also where the guest had
        deleted the copy. The organizer's resource afterwards."""
        event: Any = icalendars.main_event(resource.calendar)
        noted = icalendars.copied_to(event)
        new = {
            guest
            for guest in icalendars.answers(event)
            if self._has_calendar(guest) and self._place(guest, resource, noted=guest in noted, anew=anew)
        }
        return self._note(organizer, resource, new - noted)

    def _has_calendar(self, guest: Address) -> bool:
        return self._local is None or guest in self._local

    def _place(self, guest: Address, resource: Resource, *, noted: bool, anew: bool) -> bool:
        """Put or renew the copy; False when there is none afterwards."""
        collection = self._calendars(guest)
        fresh = icalendars.copy_for_guest(resource.calendar, guest, Answer.NEEDS_ACTION)
        try:
            if not noted:
                with suppress(Conflict):
                    collection.put(resource.name, fresh, etag=None)
                    return True
            copies = collection.multiget({resource.name})
            for copy in copies:
                self._renew(collection, copy, resource)
            if anew and not copies:
                collection.put(resource.name, fresh, etag=None)
            return bool(copies) or anew
        except (NotFound, Forbidden):
            return False  # no calendar here, or none that we may write to: this guest is invited some other way

    @staticmethod
    def _renew(guest: Collection, copy: Resource, resource: Resource) -> None:
        span = _span(resource)
        if icalendars.copy_is_current(copy.calendar, resource.calendar):
            return
        same_time = icalendars.copy_is_of(copy.calendar, span)
        answer = icalendars.answer_in_copy(copy.calendar, guest.owner, span) if same_time else Answer.NEEDS_ACTION
        renewed = icalendars.copy_for_guest(resource.calendar, guest.owner, answer)
        guest.put(copy.name, renewed, etag=copy.etag)

    @staticmethod
    def _note(organizer: Collection, resource: Resource, guests: set[Address]) -> Resource:
        for last in (False, True):
            event: Any = icalendars.main_event(resource.calendar)
            if guests <= icalendars.copied_to(event):
                break
            icalendars.mark_copies(event, guests)
            try:
                return organizer.put(resource.name, resource.calendar, etag=resource.etag)
            except Conflict:
                if last:
                    raise
                resource = organizer.get(resource.name)
        return resource

    def remove(self, guests: Iterable[Address], name: str) -> None:
        """Take these guests' copies away, as far as they are ours and still there."""
        for guest in guests:
            collection = self._calendars(guest)
            with suppress(NotFound, Forbidden):
                copy = collection.get(name)
                if icalendars.is_copy(copy.calendar):
                    collection.delete(name, copy.etag)

    # --- reading them -----------------------------------------------------------------------------------------------

    def answered(self, organizer: Collection, resources: Iterable[Resource]) -> dict[str, Event]:
        """Our events among these that have copies, by name, with the answers given there."""
        ours = {resource.name: resource for resource in resources if icalendars.may_change(resource.calendar)}
        noted = {name: icalendars.copied_to(icalendars.main_event(ours[name].calendar)) for name in ours}
        said: dict[str, dict[Address, Answer]] = {name: {} for name in ours}
        for guest in sorted(set().union(*noted.values())):
            names = {name for name, guests in noted.items() if guest in guests}
            for name, answer in self._answers(guest, {name: ours[name] for name in names}).items():
                said[name][guest] = answer
        found = {name: organizer.single(ours[name]) for name in ours if noted[name]}
        return {name: replace(event, answers={**event.answers, **said[name]}) for name, event in found.items()}

    def _answers(self, guest: Address, events: dict[str, Resource]) -> dict[str, Answer]:
        try:
            copies = {copy.name: copy for copy in self._calendars(guest).multiget(events.keys())}
        except (NotFound, Forbidden):
            return {}
        return {
            name: icalendars.answer_in_copy(copies[name].calendar, guest, _span(event))
            if name in copies
            else Answer.DECLINED
            for name, event in events.items()
        }

    def follow(self, organizer: Collection, tracked: Tracked, since: Since) -> tuple[Tracked, set[str]]:
        """Carry the organizer's own changes to the copies, and look what guests did since the last time.

        What to remember, and the names of the organizer's events whose copies changed.
        """
        ours = {resource.name: resource for resource in since.changed if icalendars.may_change(resource.calendar)}
        deleted = set(since.gone) | (self._vanished(organizer, tracked, ours) if since.full else set())
        wanted = self._carry(organizer, tracked, ours, deleted, full=since.full)
        stirred: set[str] = set()
        kept: Tracked = {}
        for guest, names in sorted(wanted.items()):
            mark, touched = self._look(guest, tracked.get(guest, ("", []))[0])
            stirred |= names if touched is None else names & touched
            kept[guest] = (mark, sorted(names))
        return kept, stirred

    @staticmethod
    def _vanished(organizer: Collection, tracked: Tracked, listed: dict[str, Resource]) -> set[str]:
        unseen = {name for _, names in tracked.values() for name in names} - listed.keys()
        return unseen - {resource.name for resource in organizer.multiget(unseen)}

    def _carry(
        self, organizer: Collection, tracked: Tracked, ours: dict[str, Resource], deleted: set[str], *, full: bool
    ) -> dict[Address, set[str]]:
        """Bring the copies up to date; by guest, the names of those that remain to be watched."""
        watched = {guest: set(names) - deleted for guest, (_, names) in tracked.items()}
        for guest, (_, names) in tracked.items():
            for name in deleted & set(names):
                self.remove([guest], name)
        if full:  # what ended before the window needs no watching any more
            watched = {guest: names & ours.keys() for guest, names in watched.items()}
        current: dict[Address, dict[str, Resource]] = {}
        for name, resource in ours.items():
            guests = icalendars.copied_to(icalendars.main_event(resource.calendar))
            if icalendars.is_struck_out(resource.calendar):
                self.remove(guests, name)
            else:
                for guest in guests:
                    current.setdefault(guest, {})[name] = resource
        for guest, resources in current.items():
            watched[guest] = watched.get(guest, set()) | resources.keys()
            self._carry_to(organizer, guest, resources)
        return {guest: names for guest, names in watched.items() if names}

    def _carry_to(self, organizer: Collection, guest: Address, resources: dict[str, Resource]) -> None:
        collection = self._calendars(guest)
        with suppress(NotFound, Forbidden):
            for copy in collection.multiget(resources.keys()):
                if not icalendars.copy_is_current(copy.calendar, resources[copy.name].calendar):
                    # What was read to see what changed may lack its texts: the copy is made from the whole.
                    self._renew(collection, copy, organizer.get(copy.name))

    def _look(self, guest: Address, mark: str) -> tuple[str, set[str] | None]:
        """The guest's mark now, and the names touched since; None when any may have been."""
        try:
            since = self._calendars(guest).since(mark, _ANY, read=False)
        except (NotFound, Forbidden):
            return mark, set()
        return since.mark, None if since.full else set(since.names) | set(since.gone)


def _span(resource: Resource) -> Span:
    return icalendars.own_span(resource.calendar)
