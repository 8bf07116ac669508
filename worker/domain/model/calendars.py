"""What calendars hold, and what we want them to hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from worker.domain.model.time import Address, Cursor, Span


class ShowAs(StrEnum):
    """How a stretch of a calendar counts. `away` is out of office: nobody is there, whatever else is booked."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class BusyTime:
    """A stretch that is not free. `key` is ours when the stretch is an event we made, else None."""

    span: Span
    show: ShowAs = ShowAs.BUSY
    key: str | None = None


def clip_busy(busy: Iterable[BusyTime], window: Span) -> tuple[BusyTime, ...]:
    """What lies inside the window, cut at its edges and sorted by time."""
    inside = (BusyTime(item.span.clip(window), item.show, item.key) for item in busy if item.span.overlaps(window))
    return tuple(sorted(inside, key=lambda item: (item.span, item.show, item.key or "")))


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """What is known of one person's time inside a window. Unknown is never free (T-2)."""

    busy: tuple[BusyTime, ...] = ()
    known: bool = True
    reason: str = ""  #: why it isn't known, in words
    temporary: bool = False  #: it isn't known just now; asked again later it may be


class Answer(StrEnum):
    NEEDS_ACTION = "needs_action"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where an event stands: whose calendar, the provider's id there, and the version we know."""

    calendar: Address
    id: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, or one occurrence of a recurring one, as a calendar holds it. No title, no text: never read."""

    ref: EventRef
    span: Span
    key: str | None = None  #: ours, when it is an event we made
    series: str | None = None  #: the recurring event it is an occurrence of
    all_day: bool = False
    organizer: Address = ""
    answers: Mapping[Address, Answer] = field(default_factory=dict)  #: everybody invited, the organizer aside
    proposed: Mapping[Address, Span] = field(default_factory=dict)  #: another time, by who proposed it with an answer
    cancelled: bool = False
    show: ShowAs | None = ShowAs.BUSY  #: how it counts for the calendar's owner; None when it doesn't block time
    is_delivered: bool = True  #: False while a guest has not got what we deliver ourselves


@dataclass(frozen=True, slots=True)
class CopyRecord:
    """A guest's copy of an organizer's event: it may lie there, and with `is_placed` it did."""

    name: str  #: of the event, and of its copy
    guest: Address
    is_placed: bool


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody named on an event."""

    email: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """What we want an event to be. Always private; guests never may change it."""

    key: str
    subject: str
    body: str
    span: Span
    zone: str  #: the organizer's, for programs that show it
    organizer: Guest
    guests: tuple[Guest, ...] = ()
    all_day: bool = False  #: then `span` runs from local midnight to local midnight in `zone`
    blocks_time: bool = True  #: false: shown, but leaves the time free
    reminders: tuple[int, ...] = (15,)  #: minutes before the start
    video: bool = False
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class CalendarChanges:
    """What a calendar says happened.

    An event that belongs to a series stands for the whole series: whatever was known of that series and isn't
    listed is gone. `gone` holds ids of events or of series. When `full`, everything inside the window is listed and
    what isn't listed is gone. `unread` holds ids of what is there and can't be read: it is not gone, whatever is
    listed of it.
    """

    events: tuple[Event, ...]
    gone: tuple[str, ...]
    cursor: Cursor
    full: bool
    unread: tuple[str, ...] = ()
