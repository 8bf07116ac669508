"""The reference provider: calendars and mail in the memory of this process.

Tests, dry runs and the simulation use this provider; every other provider must behave the same. `MemoryCalendar` also
has methods that change calendars as people do by hand: `add`, `answer`, `move` and `remove`.

All changes are numbered, and a cursor is the number of the last change.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from email.message import EmailMessage
from itertools import chain
from typing import Any

from worker.domain.model import (
    Address,
    Answer,
    CalendarChanges,
    Cursor,
    Event,
    EventDraft,
    EventRef,
    FreeBusy,
    ShowAs,
    Span,
)
from worker.errors import Conflict, Forbidden, NotFound
from worker.providers.base import Finding
from worker.providers.memory_index import CalendarIndex, Entry

#: A function that makes operations fail. It is called with the name of an operation before the operation takes effect,
#: and with `<name>.done` afterwards, and may raise ProviderErrors.
Fault = Callable[[str], None]


def build_calendar(section: Mapping[str, Any]) -> "MemoryCalendar":
    """Return a calendar provider without events. `people`: the people who have a calendar; if missing, all have one."""
    people = section.get("people")
    return MemoryCalendar(people if people is None else list(people))


def build_mailer(section: Mapping[str, Any]) -> "MemoryMailer":
    """Return a mailer. `forgetful`: its `was_sent` returns None. `anybody`: it can send from anybody's mailbox."""
    return MemoryMailer(forgetful=bool(section.get("forgetful", False)), anybody=bool(section.get("anybody", False)))


class MemoryCalendar:
    """A CalendarProvider in memory, with methods that change calendars as people do by hand.

    With `people`, only these people have a calendar; otherwise everybody has one. `fail` can be set to make operations
    fail. `aliases` can be filled with an alias for each primary address. Returned events then name people by their
    aliases, as some real services do.
    """

    def __init__(self, people: Iterable[Address] | None = None) -> None:
        self.fail: Fault | None = None
        self.aliases: dict[Address, str] = {}
        self._people = None if people is None else set(people)
        self._unreadable_reasons: dict[Address, str] = {}  #: why a calendar can't be read, by its owner
        self._indexes: dict[Address, CalendarIndex] = {}
        self._entries: dict[str, Entry] = {}
        #: The ids of our events by calendar and key, also those of deleted events.
        self._ids_of_created: dict[tuple[Address, str], str] = {}
        self._ids_by_key: dict[str, str] = {}  #: the ids of our events that exist, by key
        self._last_change = 0  #: the number of the last change
        self._last_id = 0
        self._calendars_changed_by_hand: set[Address] = set()

    # --- the calendar interface ---------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self._raise_fault("free_busy")
        return {person: self._read_free_busy(person, window) for person in people}

    def _read_free_busy(self, person: Address, window: Span) -> FreeBusy:
        if reason := self._get_unreadable_reason(person):
            return FreeBusy(is_known=False, reason=reason)
        busy_times = []
        for entry in self._get_index(person).iter_overlapping(window):
            busy = entry.as_busy(person)
            if busy is not None and busy.span.overlaps(window):
                busy_times.append(busy.clip(window))
        busy_times.sort(key=lambda busy: busy.span)
        return FreeBusy(tuple(busy_times))

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the events that changed since `cursor`; without a valid cursor, all events inside `window` and our own
        events after it."""
        self._raise_fault("changes")
        index = self._get_readable_index(calendar)
        since = int(cursor) if cursor and cursor.isdigit() else -1  # -1: older than every valid cursor
        if since < index.oldest_valid_cursor:
            own_later_entries = (entry for entry in index.iter_starting_from(window.end) if entry.key)
            entries = {entry.id: entry for entry in chain(index.iter_overlapping(window), own_later_entries)}
            all_events = tuple(entry.as_event(calendar) for entry in entries.values())
            return CalendarChanges(all_events, deleted_ids=(), cursor=str(self._last_change), is_full=True)
        events, deleted_ids = self._list_changes_since(calendar, index, since, window)
        return CalendarChanges(
            tuple(events), deleted_ids=tuple(deleted_ids), cursor=str(self._last_change), is_full=False
        )

    @staticmethod
    def _list_changes_since(
        calendar: Address, index: CalendarIndex, since: int, window: Span
    ) -> tuple[list[Event], list[str]]:
        """Return the events that changed after the change number `since`, and the ids of the deleted events. Of a
        changed series, only the occurrences in the window are returned."""
        events: list[Event] = []
        deleted_ids: list[str] = []
        for reported_id in reversed(index.last_changes):
            if index.last_changes[reported_id] <= since:
                break
            entries = index.find_entries(reported_id)
            in_window = (entry for entry in entries if entry.series is None or entry.span.overlaps(window))
            current_events = [entry.as_event(calendar) for entry in in_window]
            events += current_events
            if not current_events:
                deleted_ids.append(reported_id)
        return events, deleted_ids

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event, or return the existing event with that key. Raises Conflict if it was cancelled."""
        self._raise_fault("create")
        self._require_readable(calendar)
        entry_id = self._ids_of_created.get((calendar, draft.key))
        entry = self._entries.get(entry_id) if entry_id else None
        if entry_id and entry is None:
            raise Conflict(f"{calendar}: the event {draft.key} was cancelled.")
        if entry is None:
            entry = self._make_entry(calendar, draft)
        self._raise_fault("create.done")
        return entry.as_event(calendar)

    def _make_entry(self, calendar: Address, draft: EventDraft) -> Entry:
        entry = Entry(self._new_id(), calendar, draft.span, key=draft.key, aliases=self.aliases)
        self._ids_of_created[calendar, draft.key] = self._ids_by_key[draft.key] = entry.id
        self._write_draft(entry, draft)
        return entry

    def _write_draft(self, entry: Entry, draft: EventDraft) -> None:
        """Store the draft in the entry. Answers are kept, unless the event moves."""
        is_moved = entry.span != draft.span
        answers = {} if is_moved else entry.answers
        self._withdraw_entry(entry)
        entry.span, entry.all_day = draft.span, draft.all_day
        entry.show_as = ShowAs.BUSY if draft.blocks_time else None
        entry.sequence = max(draft.sequence, entry.sequence + is_moved)
        entry.answers = {guest.email: answers.get(guest.email, Answer.NEEDS_ACTION) for guest in draft.guests}
        self._place_entry(entry, by_hand=False)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft. Raises Conflict for a stale etag, NotFound, Forbidden."""
        self._raise_fault("update")
        entry = self._get_own_entry(ref)
        if str(entry.version) != ref.etag:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        self._write_draft(entry, draft)
        self._raise_fault("update.done")
        return entry.as_event(ref.calendar)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Delete the event from every calendar, if it still exists. Raises Conflict for a stale etag, Forbidden."""
        self._raise_fault("cancel")
        if ref.id in self._entries:
            entry = self._get_own_entry(ref)
            if ref.etag and str(entry.version) != ref.etag:
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            self._delete_entry(entry, by_hand=False)
        self._raise_fault("cancel.done")

    def find(self, calendar: Address, key: str) -> Event | None:
        self._raise_fault("find")
        index = self._get_readable_index(calendar)
        entry_id = self._ids_by_key.get(key, "")
        return self._entries[entry_id].as_event(calendar) if entry_id in index else None

    def check(self, person: Address) -> list[Finding]:
        self._raise_fault("check")
        reason = self._get_unreadable_reason(person)
        return [Finding(f"{person} has a calendar", ok=not reason, remedy=reason)]

    # --- changes by hand ----------------------------------------------------------------------------------------------

    def add(
        self,
        address: Address,
        span: Span,
        *,
        show: ShowAs | None = ShowAs.BUSY,
        all_day: bool = False,
        series: str | None = None,
        attendees: Mapping[Address, Answer] | Sequence[Address] = (),
        organizer: Address = "",
    ) -> str:
        """Put an event on the calendar of `address` and on the calendars of the attendees. Returns the event's id.

        `show`: how the event counts in free/busy. `series`: the id of the series; its occurrences are added one by one.
        `attendees`: addresses, or a mapping of addresses to answers. `organizer`: `address` when it is empty.
        """
        answers = dict(attendees) if isinstance(attendees, Mapping) else dict.fromkeys(attendees, Answer.NEEDS_ACTION)
        event_organizer = organizer or address
        if event_organizer != address:
            answers.setdefault(address, Answer.NEEDS_ACTION)
        entry = Entry(
            self._new_id(), event_organizer, span, show_as=show, all_day=all_day, series=series, answers=answers
        )
        entry.aliases = self.aliases
        self._place_entry(entry, by_hand=True)
        return entry.id

    def answer(self, calendar: Address, key_or_id: str, address: Address, answer: Answer) -> None:
        """Answer the invitation as the attendee `address`."""
        entry = self._find_entry(calendar, key_or_id)
        entry.answers[address] = answer
        # Answers to our own events are read only on the organizer's calendar.
        self._mark_changed(entry, by_hand=not entry.key)
        self._calendars_changed_by_hand.add(entry.organizer)

    def move(self, calendar: Address, key_or_id: str, span: Span) -> None:
        """Move an event as the owner of `calendar` does. An organizer moves the event for everybody, which resets all
        answers; an attendee who moves the event declines it."""
        entry = self._find_entry(calendar, key_or_id)
        if calendar != entry.organizer:
            self.answer(calendar, entry.id, calendar, Answer.DECLINED)
            return
        self._withdraw_entry(entry)
        entry.span = span
        entry.answers = dict.fromkeys(entry.answers, Answer.NEEDS_ACTION)
        self._place_entry(entry, by_hand=True)

    def remove(self, calendar: Address, key_or_id: str) -> None:
        """Delete an event as the owner of `calendar` does. An organizer deletes the event for everybody; an attendee
        who deletes the event declines it."""
        entry = self._find_entry(calendar, key_or_id)
        if calendar == entry.organizer:
            self._delete_entry(entry, by_hand=True)
            return
        entry.answers[calendar] = Answer.DECLINED
        self._get_index(calendar).remove(entry)
        self._mark_changed(entry, by_hand=True)

    def remove_for_all(self, entry_id: str) -> None:
        """Delete an event from every calendar."""
        self._delete_entry(self._entries[entry_id], by_hand=True)

    def delete_unreported(self, entry_id: str) -> None:
        """Delete an event without reporting that as a change. The simulation does so with past events."""
        entry = self._entries.pop(entry_id)
        for person in self._list_participants(entry):
            index = self._get_index(person)
            if entry_id in index:
                index.remove(entry)
            if not index.find_entries(entry.reported_id):
                index.last_changes.pop(entry.reported_id, None)

    def make_unreadable(self, person: Address, reason: str) -> None:
        """Make this person's calendar unreadable from now on. `reason`: the text that reads return."""
        self._unreadable_reasons[person] = reason

    def forget_cursors(self, calendar: Address) -> None:
        """Make every cursor of this calendar dead, so that the next list of changes is a full one."""
        self._last_change += 1
        self._get_index(calendar).oldest_valid_cursor = self._last_change

    def pop_changed_calendars(self) -> set[Address]:
        """Return the owners of the calendars that people changed by hand since the last call. The simulation uses this
        result in place of notifications."""
        owners = self._calendars_changed_by_hand
        self._calendars_changed_by_hand = set()
        return owners

    # --- internals ----------------------------------------------------------------------------------------------------

    def _raise_fault(self, operation: str) -> None:
        """Let `fail`, if it is set, raise an error for this operation."""
        if self.fail:
            self.fail(operation)

    def _get_unreadable_reason(self, person: Address) -> str:
        """Return why this person's calendar can't be read; empty when it can."""
        if self._people is not None and person not in self._people:
            return f"{person} has no calendar here."
        return self._unreadable_reasons.get(person, "")

    def _require_readable(self, calendar: Address) -> None:
        """Raise NotFound when the calendar can't be read."""
        if reason := self._get_unreadable_reason(calendar):
            raise NotFound(reason)

    def _get_readable_index(self, calendar: Address) -> CalendarIndex:
        """Return the index of the calendar. Raises NotFound when the calendar can't be read."""
        self._require_readable(calendar)
        return self._get_index(calendar)

    def _get_index(self, person: Address) -> CalendarIndex:
        if person not in self._indexes:
            self._indexes[person] = CalendarIndex()
        return self._indexes[person]

    def _new_id(self) -> str:
        self._last_id += 1
        return f"e{self._last_id}"

    def _get_own_entry(self, ref: EventRef) -> Entry:
        """Return our event at `ref`. Raises NotFound for a deleted event, Forbidden for one that is not ours."""
        entry = self._entries.get(ref.id)
        if entry is None:
            raise NotFound(f"{ref.calendar}: the event {ref.id} is gone.")
        if entry.key is None or entry.organizer != ref.calendar:
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        return entry

    def _find_entry(self, calendar: Address, key_or_id: str) -> Entry:
        """Return the event with that id or key. Raises NotFound when no such event is on `calendar`."""
        entry = self._entries.get(self._ids_by_key.get(key_or_id, key_or_id))
        if entry is None or calendar not in self._list_participants(entry):
            raise NotFound(f"{calendar}: no event {key_or_id}.")
        return entry

    @staticmethod
    def _list_participants(entry: Entry) -> tuple[Address, ...]:
        """Return the organizer and the attendees. The event is on their calendars, except where one has removed it."""
        return (entry.organizer, *entry.answers)

    def _place_entry(self, entry: Entry, *, by_hand: bool) -> None:
        """Put the event on the calendars of all participants. `by_hand`: a person made this change, not Longarc."""
        self._entries[entry.id] = entry
        for person in self._list_participants(entry):
            if entry.id not in self._get_index(person):
                self._get_index(person).add(entry)
        self._mark_changed(entry, by_hand=by_hand)

    def _withdraw_entry(self, entry: Entry) -> None:
        """Remove the event from every calendar, and record that as a change there. The caller must then call
        `_mark_changed`, which gives this change its number."""
        for person in self._list_participants(entry):
            if entry.id in self._get_index(person):
                self._get_index(person).remove(entry)
                self._get_index(person).mark_changed(entry.reported_id, self._last_change + 1)

    def _mark_changed(self, entry: Entry, *, by_hand: bool) -> None:
        """Record a change of the event, with a new number, in the calendars of all participants."""
        self._last_change += 1
        entry.mark_changed()
        for person in self._list_participants(entry):
            self._get_index(person).mark_changed(entry.reported_id, self._last_change)
        if by_hand:
            self._calendars_changed_by_hand.update(self._list_participants(entry))

    def _delete_entry(self, entry: Entry, *, by_hand: bool) -> None:
        self._withdraw_entry(entry)
        self._mark_changed(entry, by_hand=by_hand)
        del self._entries[entry.id]
        if entry.key:
            del self._ids_by_key[entry.key]


class MemoryMailer:
    """A Mailer that keeps messages in `sent`, with their keys. `fail` can be set to make operations fail. A `forgetful`
    mailer can't tell which messages it has sent. With `anybody`, it can send from anybody's mailbox."""

    def __init__(self, *, forgetful: bool = False, anybody: bool = False) -> None:
        self.fail: Fault | None = None
        self.forgetful = forgetful
        self._can_send_as_anybody = anybody
        self.sent: list[tuple[str, EmailMessage]] = []
        self._keys: set[str] = set()

    def send(self, message: EmailMessage, key: str) -> None:
        if self.fail:
            self.fail("send")
        self.sent.append((key, message))
        self._keys.add(key)
        if self.fail:
            self.fail("send.done")

    def was_sent(self, key: str) -> bool | None:
        """Return whether a message with that key was sent; None for a forgetful mailer."""
        if self.fail:
            self.fail("was_sent")
        return None if self.forgetful else key in self._keys

    def can_send_as(self, address: Address) -> bool:
        """Return whether this mailer can send from that person's mailbox."""
        return self._can_send_as_anybody

    def check(self) -> list[Finding]:
        return [Finding("Mail is kept in memory", ok=True)]
