"""The events that the calendar provider in memory stores, and the index of each calendar.

The events of a calendar are sorted by start, so that reading a window costs only the events in it. `Event` objects are
cached until the stored event changes.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from worker.domain.model import Address, Answer, BusyTime, Event, EventRef, ShowAs, Span


@dataclass(slots=True, eq=False)
class Entry:
    """A stored event: one object for the calendars of the organizer and all attendees."""

    id: str
    organizer: Address
    span: Span
    key: str | None = None  #: the key of an event that Longarc created
    show_as: ShowAs | None = ShowAs.BUSY  #: how the event counts in the organizer's free/busy; None: it blocks no time
    all_day: bool = False
    series: str | None = None  #: the id of the series, for an occurrence
    answers: dict[Address, Answer] = field(default_factory=dict)
    #: by primary address, the alias under which `as_event` names that person, as some real services do
    aliases: Mapping[Address, str] = field(default_factory=dict)
    version: int = 1  #: returned as the etag
    sequence: int = 0  #: as SEQUENCE of iCalendar: it grows when the event moves
    cached_events: dict[Address, Event] | None = None  #: results of `as_event`, by owner
    cached_busy: BusyTime | None = None  #: result of `as_busy`

    @property
    def reported_id(self) -> str:
        """The id under which changes are reported: the event's own id, or for an occurrence the id of its series."""
        return self.series or self.id

    def mark_changed(self) -> None:
        """Increase the version and empty the caches."""
        self.version += 1
        self.cached_events = self.cached_busy = None

    def as_event(self, owner: Address) -> Event:
        """Return the event as a read of the owner's calendar returns it."""
        self.cached_events = self.cached_events or {}
        if owner not in self.cached_events:
            self.cached_events[owner] = self._build_event(owner)
        return self.cached_events[owner]

    def as_busy(self, owner: Address) -> BusyTime | None:
        """Return the time that the event blocks on the owner's calendar; None when it blocks no time."""
        show_as = self._find_show_as(owner)
        if show_as is None or not self.span.minutes:
            return None
        if self.cached_busy is None or self.cached_busy.show_as is not show_as:
            self.cached_busy = BusyTime(self.span, show_as, self.key)
        return self.cached_busy

    def _build_event(self, owner: Address) -> Event:
        return Event(
            ref=EventRef(owner, self.id, str(self.version)),
            span=self.span,
            key=self.key,
            series=self.series,
            all_day=self.all_day,
            organizer=self._name_person(self.organizer) if self.answers else "",
            answers={self._name_person(guest): answer for guest, answer in self.answers.items()},
            show_as=self._find_show_as(owner),
        )

    def _name_person(self, person: Address) -> str:
        """Return the person's alias if they have one, else the primary address."""
        return self.aliases.get(person, person)

    def _find_show_as(self, owner: Address) -> ShowAs | None:
        """Return how the event counts in the owner's free/busy. Only events that aren't ours can be tentative."""
        answer = self.answers.get(owner, Answer.ACCEPTED)
        if answer is Answer.DECLINED or self.show_as is None:
            return None
        is_tentative = answer is not Answer.ACCEPTED and self.key is None
        return ShowAs.TENTATIVE if is_tentative else self.show_as


class CalendarIndex:
    """One person's calendar: its events sorted by start, and the number of the last change of each."""

    def __init__(self) -> None:
        self._rows: list[tuple[datetime, str]] = []  #: the start and the id of each event, sorted
        self._entries: dict[str, Entry] = {}
        #: The length of the longest event so far: an event that reaches into a window starts at most this long before.
        self._max_length = timedelta(0)
        self.series: dict[str, set[str]] = {}  #: the ids of the occurrences, by the id of their series
        self.last_changes: dict[str, int] = {}  #: the number of the last change, by reported id, in ascending order
        self.oldest_valid_cursor = 0  #: the number of the oldest cursor that is accepted

    def __contains__(self, entry_id: str) -> bool:
        return entry_id in self._entries

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        insort(self._rows, (entry.span.start, entry.id))
        self._max_length = max(self._max_length, entry.span.end - entry.span.start)
        if entry.series:
            self.series.setdefault(entry.series, set()).add(entry.id)

    def remove(self, entry: Entry) -> None:
        del self._entries[entry.id]
        del self._rows[bisect_left(self._rows, (entry.span.start, entry.id))]
        if entry.series:
            self.series[entry.series].discard(entry.id)

    def mark_changed(self, reported_id: str, change_number: int) -> None:
        self.last_changes.pop(reported_id, None)  # so that the id moves to the end
        self.last_changes[reported_id] = change_number

    def iter_overlapping(self, window: Span) -> Iterator[Entry]:
        """Yield the events that lie at least in part inside the window, sorted by start."""
        first = bisect_left(self._rows, (window.start - self._max_length, ""))
        last = bisect_right(self._rows, (window.end, ""))
        for _, entry_id in self._rows[first:last]:
            entry = self._entries[entry_id]
            # The second condition holds for an event without a duration that is exactly at the window's start.
            if entry.span.end > window.start or entry.span.start >= window.start:
                yield entry

    def iter_starting_from(self, instant: datetime) -> Iterator[Entry]:
        """Yield the events that start at that instant or later, sorted by start."""
        for _, entry_id in self._rows[bisect_left(self._rows, (instant, "")) :]:
            yield self._entries[entry_id]

    def find_entries(self, reported_id: str) -> list[Entry]:
        """Return the event with that id, or the occurrences of the series with that id."""
        if reported_id in self._entries:
            return [self._entries[reported_id]]
        occurrences = (self._entries[entry_id] for entry_id in self.series.get(reported_id, ()))
        return sorted(occurrences, key=lambda entry: entry.span)
