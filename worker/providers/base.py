"""The interfaces of calendar services and mail services, and the guarantees that every provider gives.

A provider is the module that talks to one service. Providers recognize Longarc's own events by their key, which is
stored on the event and never used for another event. A cursor is a text that stands for one state of a calendar: each
call of `changes` returns a cursor, and a call with this cursor returns only what has changed since then.

**A calendar provider guarantees** (each item has a test in `tests/support/provider_contract.py`):

- Unknown time is never free. `free_busy` returns a result for every requested person: for a person whose calendar
  can't be read, `FreeBusy(is_known=False, reason=...)`, with `is_temporary=True` when a later attempt may succeed. One
  unreadable calendar doesn't prevent the others from being read. One malformed event doesn't hide other events, and
  blocks the span that can be read from it.
- Creating an event twice with one key creates one event and returns it both times, even when several processes do so at
  once.
- A write with a stale etag raises `Conflict` and changes nothing.
- Cancelling an event that no longer exists succeeds. `create` with the key of a cancelled event raises `Conflict`
  where the service remembers that key, and creates a new event elsewhere. Planning uses no such key again.
- Events are returned in their current state, with the changes that people made by hand and with each attendee's answer.
  `update` with another time resets all answers to `needs_action`.
- The results of `free_busy` and `changes` contain the keys of our own events, so that callers can recognize them.
- A cursor that the service no longer accepts (a dead cursor) leads to a full list (`CalendarChanges.is_full`), not to
  an error.
- Times are aware and in UTC. All-day events that block time are busy on those days in the owner's zone. Events that
  block no time, declined events and cancelled events are free. An unanswered invitation is tentative. A moved
  occurrence of a series is busy only at its new time.
- Only events with a key of ours are changed: `update` and `cancel` of any other event raise `Forbidden`.
- Paging, throttling and vendors' peculiarities stay inside the provider; only `ProviderError`s are raised.

**A mail provider guarantees** (each item has a test in `tests/support/mailer_contract.py` or beside the provider's
other tests): `send` raises `Permanent` when the message will never be accepted, and `Transient` when it may be accepted
later, with `uncertain=True` when it may already have been sent. `was_sent` returns None when the service can't tell.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
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
    """The result of one check of the installation.

    A finding that is `ok` and has a remedy is a warning: its statement is true, and names something to improve.
    """

    statement: str  #: the statement that was checked, as a sentence for the operator
    ok: bool  #: whether the statement is true
    remedy: str = ""  #: what the operator should do


class CalendarProvider(Protocol):
    """Reads and writes the calendars of one service. Raises only the ProviderErrors of worker.errors.

    `free_busy` is called with at most 20 people, or at most `people_per_request` if the provider has this attribute.
    """

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Return each person's busy spans, clipped to `window` and sorted by start."""

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """Return the events that changed since `cursor`; without a valid cursor, all events inside `window`."""

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Create the event on the calendar and invite its guests."""

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Rewrite the event from the draft, if its version is still `ref.etag`."""

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        """Remove the event from every calendar and notify the guests, if its version is still `ref.etag`; an empty etag
        matches any version. With `quiet`, guests are not notified, as far as the service allows that: see
        `worker.providers.quiet_cancels`."""

    def find(self, calendar: Address, key: str) -> Event | None:
        """Return our event with that key; None when no such event exists or it was cancelled."""

    def check(self, person: Address) -> list[Finding]:
        """Check whether everything that Longarc needs for this person works. Changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A subscription through which a service notifies us that a calendar has changed, without saying what changed."""

    id: str  #: our id of the channel, never reused: 32 hexadecimal digits
    calendar: Address
    #: A secret that the service sends with each notification, to prove that the notification belongs to the channel: at
    #: most 128 printable ASCII characters.
    token: str
    url: str  #: the URL to which the service posts its notifications, including those about the channel itself
    remote_id: str = ""  #: the service's id of the channel; empty before the channel is open
    replaces: str = ""  #: the service's id of the channel that this one replaces; empty for a calendar's first channel


@dataclass(frozen=True, slots=True)
class OpenedChannel:
    """The service's answer to a channel that it opened or renewed."""

    remote_id: str
    expires_at: datetime  #: aware, in UTC; from then on the service sends no notifications, without saying so


class NotifyingCalendar(Protocol):
    """A calendar provider that can open channels. `CALENDARS_WITH_CHANNELS` lists these providers.

    Raises only the ProviderErrors of worker.errors.
    """

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Open the channel for the longest time that the service allows.

        A second call for one channel, because the answer to the first was lost, leaves one open channel or raises
        Conflict; after a Conflict, the caller opens a channel with a new id. Raises Permanent when the service refuses:
        it can't reach our URL, can't watch the calendar, or lacks a permission. The service may send a notification
        before this method returns.
        """

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        """Extend the open channel's lifetime. Returns None when the service can't extend it or no longer knows the
        channel; the caller then opens another channel and closes this one."""

    def close_channel(self, channel: Channel) -> None:
        """Close the channel. Succeeds when it is closed already. A few notifications may still arrive afterwards."""


class ComparableCalendar(Protocol):
    """A calendar provider that can compare many calendars with their cursors at the cost of about one request.

    Raises only the ProviderErrors of worker.errors.
    """

    def find_unchanged(self, cursors: Mapping[Address, Cursor]) -> Set[Address]:
        """Return the calendars that have certainly not changed since their cursors. Every other calendar may have
        changed. The result is empty when the service can't tell."""


class NotificationKind(StrEnum):
    """The kinds of notifications that come through a channel."""

    OPENED = "opened"  #: the channel is open; nothing has changed
    CHANGED = "changed"  #: the calendar has changed
    MISSED = "missed"  #: the service lost notifications, so the calendar may have changed
    RENEW = "renew"  #: the channel ends soon unless it is renewed
    REMOVED = "removed"  #: the service has closed the channel


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification as it was received. It is not trustworthy until its token has been checked."""

    token: str
    kind: NotificationKind
    channel_id: str = ""  #: our id of the channel; empty when the service does not send it
    remote_id: str = ""  #: the service's id of the channel


class Mailer(Protocol):
    """Sends mail through one service. Raises only the ProviderErrors of worker.errors."""

    def send(self, message: EmailMessage, key: str) -> None:
        """Send the message, which already has a Message-ID. `key` identifies the message for `was_sent`."""

    def was_sent(self, key: str) -> bool | None:
        """Return whether the message with that key was sent; None when this service can't tell."""


#: A function that sends an operator alert. Providers call it when a service doesn't do what the settings ask. Its
#: arguments are the cause, as `kind` or `kind:subject`, and a sentence for the operator. Only the first alert with a
#: cause is sent.
AlertFunction = Callable[[str, str], None]


def get_alert_function(section: Mapping[str, Any]) -> AlertFunction:
    """Return `alert_operator` from the argument of a provider's factory; without one, a function that does nothing."""
    alert_operator: AlertFunction = section.get("alert_operator") or (lambda cause, text: None)
    return alert_operator


#: A function that returns the organizers of all our events in which a person may appear: the person's managers, and the
#: person too if the person is a manager. A provider's factory gets it as `organizers` in its argument.
OrganizersFunction = Callable[[Address], Collection[Address]]


def as_comparable(provider: CalendarProvider | None) -> ComparableCalendar | None:
    """Return the provider if it is a ComparableCalendar, else None."""
    comparable: Any = provider  # Any: mypy can't derive the type from hasattr
    return comparable if hasattr(provider, "find_unchanged") else None


def can_send_as(mailer: Mailer, address: Address) -> bool:
    """Return whether the mailer can send from that person's mailbox; False for a mailer without such a method."""
    method = getattr(mailer, "can_send_as", None)
    return bool(method and method(address))


def describe_sent_copies(mailer: Mailer) -> str:
    """Return a text about where the service keeps a copy of each sent mail; empty for a mailer without a method
    `describe_sent_copies`."""
    method = getattr(mailer, "describe_sent_copies", None)
    return str(method()) if method else ""


@dataclass(frozen=True, slots=True)
class Habits:
    """The time zone and working hours that a person has set in the calendar service; None for a value that is missing
    or can't be interpreted."""

    zone: str | None = None
    hours: WorkingHours | None = None


#: The calendar providers that have a method `habits(person)`, each with the columns of the people file that the method
#: can fill.
CALENDARS_WITH_HABITS: Mapping[str, frozenset[str]] = {
    "google": frozenset({"time_zone"}),
    "outlook": frozenset({"time_zone", "working_hours"}),
}

#: The calendar providers that are a `NotifyingCalendar`.
CALENDARS_WITH_CHANNELS = frozenset({"google", "outlook"})

#: The factory of each provider, as `module:function`. A factory is imported on first use, so that libraries of unused
#: vendors are not loaded. Its argument holds the plain values and the password of the provider's section of the
#: settings, and the objects that `worker.engine.services` adds, such as `alert_operator`.
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


def load_factory(factories: Mapping[str, str], name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Import and return the factory of the provider of that name. Raises KeyError for an unknown name."""
    module, _, attribute = factories[name].partition(":")
    factory: Callable[[Mapping[str, Any]], Any] = getattr(import_module(module), attribute)
    return factory
