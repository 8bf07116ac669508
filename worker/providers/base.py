"""What the worker asks of a calendar and of a mail service, and what it may rely on.

**Promises of a calendar** (each is a test in `tests/support/provider_contract.py`):

- Unknown is never free: a person whose time can't be read comes back as `FreeBusy(known=False, reason=...)`; every
  person asked for is in the answer. Whose time can't be read just now comes back with `temporary=True`, and keeps no
  other person's from being read. A single event that makes no sense hides no other: it counts for the span it names.
- Creating twice with one key gives one event, whoever else tries at the same time, and returns it both times.
- A write with a stale etag raises `Conflict` and changes nothing.
- Cancelling what is gone succeeds. An event that was cancelled is never brought back by `create` with the same key:
  it raises `Conflict`.
- Events come back as people left them, with each invited person's answer. Moving an event by `update` asks everybody
  invited anew: their answers go back to `needs_action`.
- Our own event is told apart from what is booked over it: it carries its key, in `free_busy` and in `changes`.
- A dead cursor falls back to a full pass by itself (`Changes.full`).
- Times are aware and in UTC. All-day, transparent, declined, recurring, moved and cancelled occurrences count as a
  person would count them: all-day and opaque is busy on those days in the owner's zone; transparent, declined and
  cancelled is free; an invitation not answered yet is tentative; a moved occurrence is busy where it was moved to only.
- We touch only events that carry our tag: `update` and `cancel` of anything else raise `Forbidden`.
- Paging, throttling and the vendor's quirks never leak; only `ProviderError`s are raised.

**Promises of a mailer**: `send` raises `Permanent` when the message will never be accepted, `Transient` when it may be
later, with `uncertain=True` when it may have gone out already. `was_sent` answers True or False only when it knows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
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
    """One thing a check looked at: whether it is well, and when not, what to do about it. One that is well and has a
    remedy all the same is a warning: it works, and should be changed."""

    what: str
    ok: bool
    remedy: str = ""


class CalendarProvider(Protocol):
    """What the worker asks of a calendar. Raises only the ProviderErrors of worker.errors.

    One that reads the time of more than 20 people in a request says so as `people_per_request`.
    """

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        """Everybody's time inside `window`, clipped to it, sorted by start."""

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        """What changed since `cursor`; everything inside `window` when there is no cursor or it is dead."""

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        """Put the event on the calendar and invite the guests."""

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        """Make the event what the draft says, if it is still at `ref.etag`."""

    def cancel(self, ref: EventRef) -> None:
        """Take the event off every calendar and tell the guests, if it is still at `ref.etag`. An empty etag means
        whatever version is there."""

    def find(self, calendar: Address, key: str) -> Event | None:
        """Our event of that key, or None when there is none or it was cancelled."""

    def check(self, person: Address) -> list[Finding]:
        """What is needed to work for this person, each thing proved by trying it, changing nothing."""


class Mailer(Protocol):
    """What the worker asks of a mail service."""

    def send(self, message: EmailMessage, key: str) -> None:
        """Hand the message over. `key` names it for `was_sent`; the Message-ID is already in its headers."""

    def was_sent(self, key: str) -> bool | None:
        """Whether the message of that key went out; None when this service can't know."""


#: Tells the operator what a service does otherwise than the settings ask: the cause, once told not told again, and a
#: sentence for people. A section of the settings carries it as `notices`.
Notify = Callable[[str, str], None]


def notify_of(section: Mapping[str, Any]) -> Notify:
    """How to tell the operator; does nothing when the section names no way."""
    notify: Notify = section.get("notices") or (lambda cause, words: None)
    return notify


def can_send_as(mailer: Mailer, address: Address) -> bool:
    """Whether mail can leave from that person's own mailbox. A mailer that has no `can_send_as` has one mailbox."""
    asks = getattr(mailer, "can_send_as", None)
    return bool(asks and asks(address))


def copies_kept(mailer: Mailer) -> str:
    """Where a copy of each mail stays besides the reader's mailbox, in words; empty when the mailer does not say."""
    tells = getattr(mailer, "copies_kept", None)
    return str(tells()) if tells else ""


@dataclass(frozen=True, slots=True)
class Habits:
    """What a calendar says of its owner: the zone and the hours; None is what it doesn't say, or nobody understands."""

    zone: str | None = None
    hours: WorkingHours | None = None


#: Calendars that tell the habits of their owners, by `habits(person)`.
CALENDARS_WITH_HABITS = frozenset({"outlook"})

#: Where each kind lives: imported when it is first used, so that nobody pays for a vendor library they don't need.
#: A factory takes its own section of the settings, a mapping of plain values, secrets already read.
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


def load_factory(kinds: Mapping[str, str], name: str) -> Callable[[Mapping[str, Any]], Any]:
    """The factory of that name. Raises KeyError for a name nobody registered."""
    module, _, attribute = kinds[name].partition(":")
    factory: Callable[[Mapping[str, Any]], Any] = getattr(import_module(module), attribute)
    return factory
