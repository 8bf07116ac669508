"""What providers read from calendars (events, free/busy, changes) and the event drafts that they write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from worker.domain.model.quarters import (
    BLOCK_QUARTERS,
    extend_quarters,
    find_touched_quarters,
    get_block_span,
    join_blocks,
)
from worker.domain.model.time import Address, Cursor, Span


class ShowAs(StrEnum):
    """How an event appears in its owner's free/busy."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    AWAY = "away"  #: out of office; it has precedence over other events at the same time


@dataclass(frozen=True, slots=True)
class BusyTime:
    """A busy span of a person."""

    span: Span
    show_as: ShowAs = ShowAs.BUSY
    key: str | None = None  #: the key of the event if it is ours; None for other events

    def clip(self, window: Span) -> "BusyTime":
        """Return the part inside the window. Raises ValueError when the two spans neither overlap nor touch."""
        span = self.span.clip(window)
        return self if span == self.span else BusyTime(span, self.show_as, self.key)


def clip_busy(busy: Iterable[BusyTime], window: Span) -> tuple[BusyTime, ...]:
    """Return the parts of the busy spans that lie inside the window, sorted by time."""
    clipped = (item.clip(window) for item in busy if item.span.overlaps(window))
    return tuple(sorted(clipped, key=lambda item: (item.span, item.show_as, item.key or "")))


@dataclass(frozen=True)
class FreeBusy:
    """One person's busy spans inside a window.

    Derived values are cached, because planning reads them once for each report of a manager.
    """

    busy: tuple[BusyTime, ...] = ()
    is_known: bool = True  #: if False, no time counts as free (T-2)
    reason: str = ""  #: a sentence that says why the free/busy is not known
    is_temporary: bool = False  #: if True, the free/busy is not known now, but a later request may succeed

    @cached_property
    def absences(self) -> tuple[Span, ...]:
        """The spans in which the person is out of office."""
        return tuple(item.span for item in self.busy if item.show_as is ShowAs.AWAY)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys of our own events among the busy spans."""
        return frozenset(item.key for item in self.busy if item.key is not None)

    def find_touched(self, first: int, size: int, padding: int = 0) -> int:
        """Return the quarter-hours that busy spans touch, with `padding` more quarter-hours on both sides.

        The result covers `size` quarter-hours. Its bit 0 stands for the quarter-hour with the index `first`. Indexes
        count from 1970, as in `worker.domain.model.quarters`.
        """
        touched = join_blocks(first - padding, size + 2 * padding, self._get_touched_bits)
        padded = extend_quarters(touched, padding)  # bit 0 now stands for `first`, and no more for `first - padding`
        return padded & ((1 << size) - 1)

    def _get_touched_bits(self, block: int) -> int:
        """Return the quarter-hours of a block that the busy spans touch. Bit 0 is the block's first quarter-hour."""
        if block not in self._touched_by_block:
            window = get_block_span(block)
            start, end = window.start, window.end  # local variables are faster in the loop, and calendars are long
            spans = [span for item in self.busy if (span := item.span).start < end and span.end > start]
            touched = find_touched_quarters(spans).cut(block * BLOCK_QUARTERS, BLOCK_QUARTERS)
            self._touched_by_block[block] = touched
        return self._touched_by_block[block]

    @cached_property
    def _touched_by_block(self) -> dict[int, int]:
        """A cache for `_get_touched_bits`, by block."""
        return {}

    def exclude_event(self, key: str) -> "FreeBusy":
        """Return the free/busy without our own event of that key, because an event does not conflict with itself."""
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
    """Identifies one version of an event."""

    calendar: Address
    id: str  #: the event's id on that calendar
    etag: str  #: the version that we read last


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, or one occurrence of a recurring event, as read from a calendar. Its title and text are never read."""

    ref: EventRef
    span: Span
    key: str | None = None  #: the key of the event if it is ours; None for other events
    series: str | None = None  #: the id of the recurring event of which this is an occurrence; None for a single event
    all_day: bool = False
    organizer: Address = ""
    answers: Mapping[Address, Answer] = field(default_factory=dict)  #: by attendee, without the organizer
    #: The other times that attendees proposed with their answers, by attendee.
    proposed: Mapping[Address, Span] = field(default_factory=dict)
    cancelled: bool = False
    show_as: ShowAs | None = ShowAs.BUSY  #: None when the event doesn't block time
    is_delivered: bool = True  #: False while a guest's copy that we write ourselves is missing or outdated

    @property
    def is_ours(self) -> bool:
        """Whether Longarc put the event on the calendar."""
        return self.key is not None


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """A record of the copy of a CalDAV event that Longarc writes to a guest's calendar."""

    name: str  #: the resource name, which is the same for the event and its copy
    guest: Address
    #: Whether the copy was written to the guest's calendar or read there. If False, it may be missing.
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """The address and name of an event's organizer, or of a guest."""

    email: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """The desired content of an event. The event is always private, and attendees may not change it."""

    key: str
    title: str
    body: str
    span: Span
    zone: str  #: the organizer's zone, for calendar programs that show it
    organizer: NamedAddress
    guests: tuple[NamedAddress, ...] = ()
    all_day: bool = False  #: if True, `span` runs from local midnight to local midnight in `zone`
    blocks_time: bool = True  #: if False, the event is visible, but its time stays free
    reminders: tuple[int, ...] = (15,)  #: minutes before the start
    video: bool = False  #: whether the event gets a link to a video conference
    sequence: int = 0  #: the version, as in SEQUENCE of iCalendar


@dataclass(frozen=True, slots=True)
class CalendarChanges:
    """The changes of a calendar since a cursor was returned.

    When `events` lists one occurrence of a series, it lists all of them: a known occurrence that is not listed was
    deleted. When `is_full` is true, `events` lists every event inside the window: a known event that is not listed was
    deleted.
    """

    events: tuple[Event, ...]
    deleted_ids: tuple[str, ...]  #: the ids of deleted events and series
    cursor: Cursor
    is_full: bool
    #: The ids of events and series that exist but can't be read. They were not deleted, whether they are listed or not.
    unreadable_ids: tuple[str, ...] = ()
