"""One person's calendar in the double of Google Calendar, and its events in a window."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tests.doubles.google.entries import Entry, Span


@dataclass(slots=True)
class PersonCalendar:
    """One person's calendar."""

    owner: str
    zone: ZoneInfo
    entries: dict[str, Entry] = field(default_factory=dict)
    touched: dict[str, tuple[int, Entry]] = field(default_factory=dict)
    hidden: bool = False  #: not even free and busy is shown to others
    hidden_from: set[str] = field(default_factory=set)  #: people to whom free and busy is not shown

    def seen(self, entry: Entry, window: Span, *, single: bool, deleted: bool = False) -> Iterator[Entry]:
        """An event or its occurrences, as far as they lie in the window and are alive (`deleted`: or not); without
        expanding, cancelled exceptions are shown as well."""
        alive = entry.stands_with(self.owner)
        if not alive and not deleted:
            return
        if not entry.recurs:
            if self._touches(entry, window):
                yield entry
        elif single:
            if alive:
                occurrences = entry.occurrences(window, self.zone)
                yield from (one for one in occurrences if deleted or one.stands_with(self.owner))
        elif next(entry.occurrences(window, self.zone), None) is not None:
            yield entry
            yield from (one for one in entry.exceptions.values() if self._touches(one, window))

    def _touches(self, entry: Entry, window: Span) -> bool:
        start, end = entry.span(self.zone)
        return end > window[0] and start < window[1]

    def taken(self, window: Span) -> Iterator[Span]:
        """When its owner is busy inside the window."""
        for entry in self.entries.values():
            for one in self.seen(entry, window, single=True):
                if one.blocks(self.owner):
                    start, end = one.span(self.zone)
                    yield max(start, window[0]), min(end, window[1])
