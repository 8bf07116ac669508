"""The reference provider: calendars and mail that live in this process.

Tests, dry runs and the simulation use it; what it does is what every other provider has to do. Besides what the
worker asks of a calendar it has what people do to theirs behind the worker's back: `add`, `answer`, `move`, `remove`.

Each calendar is a list sorted by start, so that a look into a window costs what lies in it, and what is handed out
is made once and kept until the event changes.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from worker.domain.model import (
    Address,
    Answer,
    BusyTime,
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

#: Called with the name of an operation before its effect, and with `<name>.done` after it; may raise ProviderErrors.
Fault = Callable[[str], None]


def build_calendar(section: Mapping[str, Any]) -> "MemoryCalendar":
    """An empty provider; `people`, when given, are those who have a calendar."""
    people = section.get("people")
    return MemoryCalendar(people if people is None else list(people))


def build_mailer(section: Mapping[str, Any]) -> "MemoryMailer":
    """An empty mailer; `forgetful` makes it one that can't tell what it sent, `anybody` one that sends as anybody."""
    return MemoryMailer(forgetful=bool(section.get("forgetful", False)), anybody=bool(section.get("anybody", False)))


@dataclass(slots=True, eq=False)
class _Entry:
    """An event, as the organizer and everybody invited share it."""

    id: str
    organizer: Address
    span: Span
    key: str | None = None
    show: ShowAs | None = ShowAs.BUSY
    all_day: bool = False
    series: str | None = None
    answers: dict[Address, Answer] = field(default_factory=dict)
    shown_as: Mapping[Address, str] = field(default_factory=dict)
    version: int = 1
    sequence: int = 0
    views: dict[Address, Event] | None = None  #: as handed out since it was last touched
    block: BusyTime | None = None  #: the same for the time it takes

    @property
    def log_id(self) -> str:
        return self.series or self.id

    def mark_changed(self) -> None:
        """It is another version from now on, and looks different."""
        self.version += 1
        self.views = self.block = None

    def as_event(self, owner: Address) -> Event:
        """How it looks on that calendar."""
        self.views = self.views or {}
        if owner not in self.views:
            self.views[owner] = self._build_event(owner)
        return self.views[owner]

    def as_busy(self, owner: Address) -> BusyTime | None:
        """How it blocks the owner's time."""
        show = self._show_for(owner)
        if show is None or not self.span.minutes:
            return None
        if self.block is None or self.block.show is not show:
            self.block = BusyTime(self.span, show, self.key)
        return self.block

    def _build_event(self, owner: Address) -> Event:
        return Event(
            ref=EventRef(owner, self.id, str(self.version)),
            span=self.span,
            key=self.key,
            series=self.series,
            all_day=self.all_day,
            organizer=self._name_person(self.organizer) if self.answers else "",
            answers={self._name_person(guest): answer for guest, answer in self.answers.items()},
            show=self._show_for(owner),
        )

    def _name_person(self, person: Address) -> str:
        return self.shown_as.get(person, person)

    def _show_for(self, owner: Address) -> ShowAs | None:
        answer = self.answers.get(owner, Answer.ACCEPTED)
        if answer is Answer.DECLINED or self.show is None:
            return None
        unsure = answer is not Answer.ACCEPTED and self.key is None
        return ShowAs.TENTATIVE if unsure else self.show


class _CalendarIndex:
    """One person's calendar: its events by start, and when each was last touched."""

    def __init__(self) -> None:
        self._rows: list[tuple[datetime, str]] = []
        self._entries: dict[str, _Entry] = {}
        self._longest = timedelta(0)
        self.series: dict[str, set[str]] = {}
        self.touched: dict[str, int] = {}  #: what was touched last stands last
        self.forgotten = 0  #: cursors up to here are dead

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._entries

    def add(self, entry: _Entry) -> None:
        self._entries[entry.id] = entry
        insort(self._rows, (entry.span.start, entry.id))
        self._longest = max(self._longest, entry.span.end - entry.span.start)
        if entry.series:
            self.series.setdefault(entry.series, set()).add(entry.id)

    def remove(self, entry: _Entry) -> None:
        del self._entries[entry.id]
        del self._rows[bisect_left(self._rows, (entry.span.start, entry.id))]
        if entry.series:
            self.series[entry.series].discard(entry.id)

    def mark_changed(self, log_id: str, tick: int) -> None:
        self.touched.pop(log_id, None)
        self.touched[log_id] = tick

    def iter_overlapping(self, window: Span) -> Iterator[_Entry]:
        """What shares a moment with the window, by start."""
        first = bisect_left(self._rows, (window.start - self._longest, ""))
        last = bisect_right(self._rows, (window.end, ""))
        for _, entry_id in self._rows[first:last]:
            entry = self._entries[entry_id]
            if entry.span.end > window.start or entry.span.start >= window.start:
                yield entry

    def iter_starting_from(self, instant: datetime) -> Iterator[_Entry]:
        """What starts at that instant or later."""
        for _, entry_id in self._rows[bisect_left(self._rows, (instant, "")) :]:
            yield self._entries[entry_id]

    def find_entries(self, log_id: str) -> list[_Entry]:
        """The event of that id, or the occurrences of that series."""
        if log_id in self._entries:
            return [self._entries[log_id]]
        return sorted((self._entries[one] for one in self.series.get(log_id, ())), key=lambda entry: entry.span)


class MemoryCalendar:
    """A CalendarProvider in this process, and the people who use its calendars.

    With `people`, only they have a calendar; otherwise everybody has. `fail` may be set to make operations fail.
    `shown_as` may be filled with the form by which events that are handed out name a person, as real services do.
    """

    def __init__(self, people: Iterable[Address] | None = None) -> None:
        self.fail: Fault | None = None
        self.shown_as: dict[Address, str] = {}
        self._people = None if people is None else set(people)
        self._unreadable: dict[Address, str] = {}
        self._shelves: dict[Address, _CalendarIndex] = {}
        self._entries: dict[str, _Entry] = {}
        self._keys: dict[tuple[Address, str], str] = {}  #: every key ever used on a calendar, and its event
        self._alive: dict[str, str] = {}  #: the event of a key, while there is one
        self._tick = 0
        self._count = 0
        self._stirred: set[Address] = set()

    # --- what the worker asks ---------------------------------------------------------------------------------------

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self._raise_fault("free_busy")
        return {person: self._read_free_busy(person, window) for person in people}

    def _read_free_busy(self, person: Address, window: Span) -> FreeBusy:
        if reason := self._get_unreadable_reason(person):
            return FreeBusy(known=False, reason=reason)
        found = []
        for entry in self._get_index(person).iter_overlapping(window):
            busy = entry.as_busy(person)
            if busy is not None and busy.span.overlaps(window):
                found.append(_clip_busy(busy, window))
        found.sort(key=lambda busy: busy.span)
        return FreeBusy(tuple(found))

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self._raise_fault("changes")
        shelf = self._get_readable_index(calendar)
        since = int(cursor) if cursor and cursor.isdigit() else -1
        if since < shelf.forgotten:
            own = (entry for entry in shelf.iter_starting_from(window.end) if entry.key)
            listed = {entry.id: entry for found in (shelf.iter_overlapping(window), own) for entry in found}
            events = tuple(entry.as_event(calendar) for entry in listed.values())
            return CalendarChanges(events, (), str(self._tick), full=True)
        told, gone = self._list_changes_since(calendar, shelf, since, window)
        return CalendarChanges(tuple(told), tuple(gone), str(self._tick), full=False)

    @staticmethod
    def _list_changes_since(
        calendar: Address, shelf: _CalendarIndex, since: int, window: Span
    ) -> tuple[list[Event], list[str]]:
        events, gone = [], []
        for log_id in reversed(shelf.touched):
            if shelf.touched[log_id] <= since:
                break
            found = [
                entry.as_event(calendar)
                for entry in shelf.find_entries(log_id)
                if entry.series is None or entry.span.overlaps(window)
            ]
            events += found
            gone += [] if found else [log_id]
        return events, gone

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self._raise_fault("create")
        self._get_readable_index(calendar)
        known = self._keys.get((calendar, draft.key))
        entry = self._entries.get(known) if known else None
        if known and entry is None:
            raise Conflict(f"{calendar}: the event {draft.key} was cancelled.")
        if entry is None:
            entry = self._make_entry(calendar, draft)
        self._raise_fault("create.done")
        return entry.as_event(calendar)

    def _make_entry(self, calendar: Address, draft: EventDraft) -> _Entry:
        entry = _Entry(self._new_id(), calendar, draft.span, key=draft.key, shown_as=self.shown_as)
        self._keys[calendar, draft.key] = self._alive[draft.key] = entry.id
        self._write_draft(entry, draft)
        return entry

    def _write_draft(self, entry: _Entry, draft: EventDraft) -> None:
        moved = entry.span != draft.span
        answers = {} if moved else entry.answers
        self._withdraw_entry(entry)
        entry.span, entry.all_day = draft.span, draft.all_day
        entry.show = ShowAs.BUSY if draft.blocks_time else None
        entry.sequence = max(draft.sequence, entry.sequence + moved)
        entry.answers = {guest.email: answers.get(guest.email, Answer.NEEDS_ACTION) for guest in draft.guests}
        self._place_entry(entry, by_hand=False)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self._raise_fault("update")
        entry = self._get_own_entry(ref)
        if str(entry.version) != ref.etag:
            raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
        self._write_draft(entry, draft)
        self._raise_fault("update.done")
        return entry.as_event(ref.calendar)

    def cancel(self, ref: EventRef) -> None:
        self._raise_fault("cancel")
        if ref.id in self._entries:
            entry = self._get_own_entry(ref)
            if ref.etag and str(entry.version) != ref.etag:
                raise Conflict(f"{ref.calendar}: the event was changed since it was last read.")
            self._delete_entry(entry, by_hand=False)
        self._raise_fault("cancel.done")

    def find(self, calendar: Address, key: str) -> Event | None:
        self._raise_fault("find")
        shelf = self._get_readable_index(calendar)
        entry_id = self._alive.get(key, "")
        return self._entries[entry_id].as_event(calendar) if entry_id in shelf else None

    def check(self, person: Address) -> list[Finding]:
        self._raise_fault("check")
        reason = self._get_unreadable_reason(person)
        return [Finding(f"{person} has a calendar", not reason, reason)]

    # --- what people do ---------------------------------------------------------------------------------------------

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
        """Put an event on somebody's calendar, and on those of the people invited. Its id.

        Occurrences of a series are added one by one, under the same `series`. `attendees` are asked, or have
        answered already when they come with an answer. The organizer is `address` unless it says otherwise.
        """
        answers = dict(attendees) if isinstance(attendees, Mapping) else dict.fromkeys(attendees, Answer.NEEDS_ACTION)
        owner = organizer or address
        if owner != address:
            answers.setdefault(address, Answer.NEEDS_ACTION)
        entry = _Entry(self._new_id(), owner, span, show=show, all_day=all_day, series=series, answers=answers)
        entry.shown_as = self.shown_as
        self._place_entry(entry, by_hand=True)
        return entry.id

    def answer(self, calendar: Address, key_or_id: str, address: Address, answer: Answer) -> None:
        """Somebody invited says whether they come."""
        entry = self._find_entry(calendar, key_or_id)
        entry.answers[address] = answer
        self._mark_changed(entry, by_hand=not entry.key)
        self._stirred.add(entry.organizer)  # an answer to us is read there; nobody else's time is another by it

    def move(self, calendar: Address, key_or_id: str, span: Span) -> None:
        """Drag an event elsewhere. The organizer moves it for all, who are asked anew; somebody invited has
        declined the agreed time by it."""
        entry = self._find_entry(calendar, key_or_id)
        if calendar != entry.organizer:
            self.answer(calendar, entry.id, calendar, Answer.DECLINED)
            return
        self._withdraw_entry(entry)
        entry.span = span
        entry.answers = dict.fromkeys(entry.answers, Answer.NEEDS_ACTION)
        self._place_entry(entry, by_hand=True)

    def remove(self, calendar: Address, key_or_id: str) -> None:
        """Delete an event from a calendar: for all when the organizer does it, else it is a decline."""
        entry = self._find_entry(calendar, key_or_id)
        if calendar == entry.organizer:
            self._delete_entry(entry, by_hand=True)
            return
        entry.answers[calendar] = Answer.DECLINED
        self._get_index(calendar).remove(entry)
        self._mark_changed(entry, by_hand=True)

    def remove_for_all(self, entry_id: str) -> None:
        """Take an event off every calendar, whoever organizes it."""
        self._delete_entry(self._entries[entry_id], by_hand=True)

    def erase(self, entry_id: str) -> None:
        """Have it that an event never was: nobody hears that it is gone. For what is over, when time passes fast."""
        entry = self._entries.pop(entry_id)
        for person in self._list_holders(entry):
            shelf = self._get_index(person)
            if entry_id in shelf:
                shelf.remove(entry)
            if not shelf.find_entries(entry.log_id):
                shelf.touched.pop(entry.log_id, None)

    def make_unreadable(self, person: Address, reason: str) -> None:
        """From now on this person's calendar can't be read."""
        self._unreadable[person] = reason

    def forget_cursors(self, calendar: Address) -> None:
        """Every cursor handed out so far for this calendar is dead."""
        self._tick += 1
        self._get_index(calendar).forgotten = self._tick

    def pop_changed_calendars(self) -> set[Address]:
        """Whose calendars people touched since this was last asked: a hint, as a push would be."""
        stirred, self._stirred = self._stirred, set()
        return stirred

    # --- inside -----------------------------------------------------------------------------------------------------

    def _raise_fault(self, operation: str) -> None:
        if self.fail:
            self.fail(operation)

    def _get_unreadable_reason(self, person: Address) -> str:
        if self._people is not None and person not in self._people:
            return f"{person} has no calendar here."
        return self._unreadable.get(person, "")

    def _get_readable_index(self, calendar: Address) -> _CalendarIndex:
        if reason := self._get_unreadable_reason(calendar):
            raise NotFound(reason)
        return self._get_index(calendar)

    def _get_index(self, person: Address) -> _CalendarIndex:
        if person not in self._shelves:
            self._shelves[person] = _CalendarIndex()
        return self._shelves[person]

    def _new_id(self) -> str:
        self._count += 1
        return f"e{self._count}"

    def _get_own_entry(self, ref: EventRef) -> _Entry:
        entry = self._entries.get(ref.id)
        if entry is None:
            raise NotFound(f"{ref.calendar}: the event {ref.id} is gone.")
        if entry.key is None or entry.organizer != ref.calendar:
            raise Forbidden(f"{ref.calendar}: {ref.id} is not an event that Longarc put there.")
        return entry

    def _find_entry(self, calendar: Address, key_or_id: str) -> _Entry:
        """The event of that id or key, which `calendar` has to do with. Raises NotFound."""
        entry = self._entries.get(self._alive.get(key_or_id, key_or_id))
        if entry is None or calendar not in self._list_holders(entry):
            raise NotFound(f"{calendar}: no event {key_or_id}.")
        return entry

    @staticmethod
    def _list_holders(entry: _Entry) -> tuple[Address, ...]:
        return (entry.organizer, *entry.answers)

    def _place_entry(self, entry: _Entry, *, by_hand: bool) -> None:
        self._entries[entry.id] = entry
        for person in self._list_holders(entry):
            if entry.id not in self._get_index(person):
                self._get_index(person).add(entry)
        self._mark_changed(entry, by_hand=by_hand)

    def _withdraw_entry(self, entry: _Entry) -> None:
        """Off every calendar, to be put up again: those who are not on it then have lost it."""
        for person in self._list_holders(entry):
            if entry.id in self._get_index(person):
                self._get_index(person).remove(entry)
                self._get_index(person).mark_changed(entry.log_id, self._tick + 1)

    def _mark_changed(self, entry: _Entry, *, by_hand: bool) -> None:
        self._tick += 1
        entry.mark_changed()
        for person in self._list_holders(entry):
            self._get_index(person).mark_changed(entry.log_id, self._tick)
        if by_hand:
            self._stirred.update(self._list_holders(entry))

    def _delete_entry(self, entry: _Entry, *, by_hand: bool) -> None:
        self._withdraw_entry(entry)
        self._mark_changed(entry, by_hand=by_hand)
        del self._entries[entry.id]
        if entry.key:
            del self._alive[entry.key]


def _clip_busy(busy: BusyTime, window: Span) -> BusyTime:
    if window.start <= busy.span.start and busy.span.end <= window.end:
        return busy
    return BusyTime(busy.span.clip(window), busy.show, busy.key)


class MemoryMailer:
    """A Mailer that keeps what it sends. `fail` may be set to make it fail; `forgetful` ones can't tell what went."""

    def __init__(self, *, forgetful: bool = False, anybody: bool = False) -> None:
        self.fail: Fault | None = None
        self.forgetful = forgetful
        self._anybody = anybody
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
        if self.fail:
            self.fail("was_sent")
        return None if self.forgetful else key in self._keys

    def can_send_as(self, address: Address) -> bool:
        """Whether mail can leave from that person's mailbox."""
        return self._anybody

    def check(self) -> list[Finding]:
        """Always well."""
        return [Finding("Mail is kept in memory", ok=True)]
