"""The calendar of one person in the double of Google Calendar."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tests.doubles.google.entries import Entry, Span


@dataclass(frozen=True, slots=True)
class Change:
    """The last change of an event, as one calendar shows it."""

    number: int  #: as `Entry.change_number`
    entry: Entry


@dataclass(slots=True)
class PersonCalendar:
    """The calendar of one person."""

    owner: str
    zone: ZoneInfo
    entries: dict[str, Entry] = field(default_factory=dict)  #: by id; occurrences are in their series
    changes: dict[str, Change] = field(default_factory=dict)  #: by id, the last change of each event or occurrence
    hidden: bool = False  #: its free/busy is visible to nobody else
    hidden_from: set[str] = field(default_factory=set)  #: people who can't see its free/busy

    def list_in_window(self, entry: Entry, window: Span, *, single: bool, deleted: bool = False) -> Iterator[Entry]:
        """Yield the event, or the occurrences of a series, that overlap the window. `single` expands a series, as the
        parameter `singleEvents` does; without it come the series itself and its exceptions, also cancelled ones.
        `deleted` includes events that were deleted."""
        exists = entry.is_on_calendar_of(self.owner)
        if not exists and not deleted:
            return
        if not entry.recurs:
            if self._overlaps(entry, window):
                yield entry
        elif single:
            if exists:
                occurrences = entry.list_occurrences(window, self.zone)
                yield from (one for one in occurrences if deleted or one.is_on_calendar_of(self.owner))
        elif next(entry.list_occurrences(window, self.zone), None) is not None:
            yield entry
            yield from (one for one in entry.exceptions.values() if self._overlaps(one, window))

    def _overlaps(self, entry: Entry, window: Span) -> bool:
        start, end = entry.span(self.zone)
        return end > window[0] and start < window[1]

    def list_busy(self, window: Span) -> Iterator[Span]:
        """Yield the parts of the window in which the owner is busy."""
        for entry in self.entries.values():
            for one in self.list_in_window(entry, window, single=True):
                if one.makes_busy(self.owner):
                    start, end = one.span(self.zone)
                    yield max(start, window[0]), min(end, window[1])
