"""The interfaces of calendars and mail services, and the guarantees that every provider gives.

**A calendar guarantees** (each item has a test in `tests/support/provider_contract.py`):

- Unknown time is never free. `free_busy` answers for every person asked for; a person whose calendar can't be read
  comes back as `FreeBusy(known=False, reason=...)`, with `temporary=True` when it can't be read just now. One
  unreadable calendar doesn't keep others from being read, and one malformed event doesn't hide others: it counts for
  the span it names.
- Creating an event twice with one key gives one event and returns it both times, also from several processes at once.
- A write with a stale etag raises `Conflict` and changes nothing.
- Cancelling an event that is gone succeeds. `create` with the key of a cancelled event raises `Conflict`.
- Events come back as people left them, with each attendee's answer. `update` with another time resets all answers to
  `needs_action`.
- Our own events carry their key, in `free_busy` and in `changes`, so that they differ from other busy time.
- A dead cursor leads to a full pass (`CalendarChanges.full`), not to an error.
- Times are aware and in UTC. Opaque all-day events are busy on those days in the owner's zone; transparent, declined
  and cancelled events are free; an unanswered invitation is tentative; a moved occurrence is busy only at its new time.
- Only events with our key are changed: `update` and `cancel` of any other event raise `Forbidden`.
- Paging, throttling and vendors' peculiarities stay inside the provider; only `ProviderError`s are raised.

**A mailer guarantees**: `send` raises `Permanent` when the message will never be accepted, and `Transient` when it may
be accepted later, with `uncertain=True` when it may already have been sent. `was_sent` returns None when it can't tell.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from enum import StrEnum
from importlib import import_module
from typing import Any, Protocol

from worker.domain.model import (
    Address,
    CalendarChanges,
    Cursor,
    Event,
    EventDraft,
    EventRef,
    FreeBusy,
    Span,
    WorkingHours,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. With `ok` and a remedy it is a warning: it works, but should be changed."""

    what: str  #: the statement that was checked, as a sentence for the operator
    ok: bool  #: whether the statement is true
    remedy: str = ""  #: what the operator should do


class CalendarProvider(Protocol):
    """A calendar service. Raises only the ProviderErrors of worker.errors.

    A provider that reads the free/busy of more than 20 people in one request has an attribute `people_per_request`.
    """

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return each person's busy spans inside `window`, clipped to it, sorted by start."""

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return what changed since `cursor`; everything inside `window` when there is no cursor or it is dead."""

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event on the calendar and invite its guests."""

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft, if it is still at `ref.etag`."""

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Remove the event from every calendar and notify the guests, if it is still at `ref.etag`. With an empty etag
        any version is removed. With `quiet` guests get no notice, where the service can do without: see
        `worker.providers.quiet_cancels`."""

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key; None when there is none or it was cancelled."""

    def check(self, person: Address) -> list[Finding]:
        """Try everything that is needed for this person, without changing anything; return a finding for each part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel: through it a service tells us that a calendar has changed, but not what."""

    id: str  #: ours, used once: 32 hexadecimal digits
    calendar: Address
    #: Comes back with each notification, and proves that it belongs to the channel. At most 128 printable ASCII
    #: characters.
    token: str
    url: str  #: where the service posts its notifications, lifecycle ones included
    remote_id: str = ""  #: what the service calls the channel; empty before it is open
    replaces: str = ""  #: what the service calls the channel in whose place this one is opened; empty for the first


@dataclass(frozen=True, slots=True)
class OpenedChannel:
    """The service's answer to a channel that it opened or renewed."""

    remote_id: str
    expires_at: datetime  #: aware, in UTC; after that the service sends nothing, and does not say so


class NotifyingCalendar(Protocol):
    """A calendar service that notifies us of changes. The kinds that do are `CALENDARS_WITH_CHANNELS`.

    Raises only the ProviderErrors of worker.errors.
    """

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Open the channel for as long as the service allows. Opening it again after a lost answer leaves one open
        channel, or raises `Conflict`: then another one with an id of its own has to be opened. Raises Permanent when
        the service refuses: the address can't be reached from there, the calendar can't be watched, the permission is
        missing. The service may call the address before this returns."""

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        """Prolong the open channel; None when the service can't or has lost it: then open another, and close this."""

    def close_channel(self, channel: Channel) -> None:
        """Close the channel. Succeeds when it is gone already. A few notifications may still come after it."""


class ComparableCalendar(Protocol):
    """A calendar service that compares many calendars with their cursors at once, at the cost of about one request.

    Raises only the ProviderErrors of worker.errors.
    """

    def find_unchanged(self, cursors: Mapping[Address, Cursor]) -> Set[Address]:
        """Return the calendars that have certainly not changed since their cursor. Any other calendar may have changed
        or not; all are left out when the service can't tell."""


class NotificationKind(StrEnum):
    """The kinds of notifications that come through a channel."""

    OPENED = "opened"  #: the channel is open; nothing has changed
    CHANGED = "changed"  #: the calendar has changed
    MISSED = "missed"  #: the service lost notifications, so the calendar may have changed
    RENEW = "renew"  #: the channel ends soon unless it is renewed
    REMOVED = "removed"  #: the service has closed the channel


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification, as it was received: anybody can have sent it, until its token is checked."""

    token: str
    kind: NotificationKind
    channel_id: str = ""  #: our id, where the service sends it back
    remote_id: str = ""  #: what the service calls the channel


class Mailer(Protocol):
    """A mail service. Raises only the ProviderErrors of worker.errors."""

    def send(self, message: EmailMessage, key: str) -> None:
        """Send the message, which has its Message-ID already. `key` identifies it for `was_sent`."""

    def was_sent(self, key: str) -> bool | None:
        """Whether the message with that key was sent; None when this service can't tell."""


#: A function that notifies the operator that a service doesn't do what the settings ask. Takes a cause, which is
#: reported only once, and a sentence for the operator. A provider gets it in its section of the settings, as `notices`.
NoticeListener = Callable[[str, str], None]


def get_notice_listener(section: Mapping[str, Any]) -> NoticeListener:
    """Return the function in the section that notifies the operator; one that does nothing when the section has
    none."""
    notify: NoticeListener = section.get("notices") or (lambda cause, message: None)
    return notify


def as_comparable(provider: CalendarProvider | None) -> ComparableCalendar | None:
    """Return the provider if it is a ComparableCalendar, else None."""
    comparable: Any = provider
    return comparable if hasattr(provider, "find_unchanged") else None


def can_send_as(mailer: Mailer, address: Address) -> bool:
    """Whether the mailer can send from that person's mailbox; False for one without a method `can_send_as`."""
    method = getattr(mailer, "can_send_as", None)
    return bool(method and method(address))


def describe_sent_copies(mailer: Mailer) -> str:
    """Return a text that names where the service keeps a copy of each sent mail; empty for a mailer without a method
    `describe_sent_copies`."""
    method = getattr(mailer, "describe_sent_copies", None)
    return str(method()) if method else ""


@dataclass(frozen=True, slots=True)
class Habits:
    """The owner's zone and working hours, as set in their calendar; None when missing or not understood."""

    zone: str | None = None
    hours: WorkingHours | None = None


#: The kinds of calendar providers that have a method `habits(person)`, each with the columns of the people file that it
#: fills.
CALENDARS_WITH_HABITS: Mapping[str, frozenset[str]] = {
    "google": frozenset({"time_zone"}),
    "outlook": frozenset({"time_zone", "working_hours"}),
}

#: The kinds of calendar providers that are a `NotifyingCalendar`.
CALENDARS_WITH_CHANNELS = frozenset({"google", "outlook"})

#: The factory of each kind of provider, as `module:function`. It is imported on first use, so that libraries of unused
#: vendors are not loaded. A factory takes its section of the settings as a mapping of plain values and secrets.
CALENDAR_FACTORIES = {
    "memory": "worker.providers.memory:build_calendar",
    "caldav": "worker.providers.caldav.calendar:build_calendar",
    "google": "worker.providers.google.calendar:build_calendar",
    "outlook": "worker.providers.outlook.calendar:build_calendar",
}
MAILER_FACTORIES = {
    "memory": "worker.providers.memory:build_mailer",
    "smtp": "worker.providers.smtp:build_mailer",
    "google": "worker.providers.google.mail:build_mailer",
    "maildir": "worker.providers.maildir:build_mailer",
    "outlook": "worker.providers.outlook.calendar:build_mailer",
}


def load_factory(factories: Mapping[str, str], kind: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return the factory of that kind of provider. Raises KeyError for an unknown kind."""
    module, _, attribute = factories[kind].partition(":")
    factory: Callable[[Mapping[str, Any]], Any] = getattr(import_module(module), attribute)
    return factory
