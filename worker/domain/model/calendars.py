"""Events, free/busy and changes of calendars, and the events that we want them to have."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from worker.domain.model.quarters import QuarterSet, find_touched_quarters
from worker.domain.model.time import Address, Cursor, Span


class ShowAs(StrEnum):
    """How a busy span of a calendar counts. `away` is out of office, which outweighs everything else at that time."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class BusyTime:
    """A busy span. `key` is the event's key when it is one of our events, else None."""

    span: Span
    show_as: ShowAs = ShowAs.BUSY
    key: str | None = None

    def clip(self, window: Span) -> "BusyTime":
        """Return the part inside the window; itself when all of it is."""
        span = self.span.clip(window)
        return self if span == self.span else BusyTime(span, self.show_as, self.key)


def clip_busy(busy: Iterable[BusyTime], window: Span) -> tuple[BusyTime, ...]:
    """Return the busy spans inside the window, cut to it and sorted by time."""
    clipped = (item.clip(window) for item in busy if item.span.overlaps(window))
    return tuple(sorted(clipped, key=lambda item: (item.span, item.show_as, item.key or "")))


@dataclass(frozen=True)
class FreeBusy:
    """One person's busy spans inside a window. When `is_known` is false, no time counts as free (T-2).

    What planning reads of it again and again, for each report of a manager, is computed once.
    """

    busy: tuple[BusyTime, ...] = ()
    is_known: bool = True
    reason: str = ""  #: why the free/busy is not known, as a sentence
    is_temporary: bool = False  #: a later request may succeed

    @cached_property
    def away(self) -> tuple[Span, ...]:
        """The spans of out of office."""
        away = ShowAs.AWAY
        return tuple(item.span for item in self.busy if item.show_as is away)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of our own events among the busy spans."""
        return frozenset(item.key for item in self.busy if item.key is not None)

    def find_touched(self, pad: int = 0) -> QuarterSet:
        """Return the quarter-hours that the busy spans touch, and `pad` more on each side."""
        if pad not in self._touched:
            self._touched[pad] = find_touched_quarters([item.span for item in self.busy], pad)
        return self._touched[pad]

    @cached_property
    def _touched(self) -> dict[int, QuarterSet]:
        return {}

    def exclude_event(self, key: str) -> "FreeBusy":
        """Return the same without our own event of that key: it does not stand in its own way."""
        if key not in self.keys:
            return self
        return replace(self, busy=tuple(item for item in self.busy if item.key != key))


class Answer(StrEnum):
    """An attendee's answer to an invitation."""

    NEEDS_ACTION = "needs_action"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"


@dataclass(frozen=True, slots=True)
class EventRef:
    """The place of an event: its calendar, its id there, and the version that we read last."""

    calendar: Address
    id: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, or one occurrence of a series, as a calendar has it. Its title and text are never read."""

    ref: EventRef
    span: Span
    key: str | None = None  #: the event's key when it is one of ours
    series: str | None = None  #: id of the series that it is an occurrence of
    all_day: bool = False
    organizer: Address = ""
    answers: Mapping[Address, Answer] = field(default_factory=dict)  #: of every attendee except the organizer
    #: Other times that attendees proposed with their answers.
    proposed: Mapping[Address, Span] = field(default_factory=dict)
    cancelled: bool = False
    show_as: ShowAs | None = ShowAs.BUSY  #: how its time counts in free/busy; None when it doesn't block time
    is_delivered: bool = True  #: False while a guest's copy that we deliver ourselves is missing or outdated

    @property
    def is_ours(self) -> bool:
        """Whether Longarc put the event on the calendar."""
        return self.key is not None


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """A record of a guest's copy of an event, which may be in the guest's calendar."""

    name: str  #: the resource name that the event and its copy share
    guest: Address
    is_placed: bool  #: it was seen or written there; else nothing tells whether it is there


@dataclass(frozen=True, slots=True)
class Guest:
    """A person named on an event: the organizer or an attendee."""

    email: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """An event as we want it to be. Always private; attendees may not change it."""

    key: str
    subject: str
    body: str
    span: Span
    zone: str  #: the organizer's zone, for calendar programs that show it
    organizer: Guest
    guests: tuple[Guest, ...] = ()
    all_day: bool = False  #: then `span` runs from local midnight to local midnight in `zone`
    blocks_time: bool = True  #: when false, the event is shown but its time stays free
    reminders: tuple[int, ...] = (15,)  #: minutes before the start
    video: bool = False
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class CalendarChanges:
    """The changes of a calendar since the last cursor.

    When `events` lists one occurrence of a series, it lists all of them: a known occurrence that is not listed was
    deleted. When `is_full` is true, `events` lists every event inside the window: a known event that is not listed was
    deleted.
    """

    events: tuple[Event, ...]
    gone: tuple[str, ...]  #: ids of deleted events and series
    cursor: Cursor
    is_full: bool
    #: Ids of events and series that exist but can't be read. They were not deleted, whether they are listed or not.
    unread: tuple[str, ...] = ()
