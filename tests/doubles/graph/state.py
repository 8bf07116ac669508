"""The mailboxes of the double, with their events and messages.

As in the real service, each person has a copy of a meeting; answers and changes are passed on to the other copies.
"""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from itertools import count
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from tests.doubles.calendarmail import CalendarMail

Json = dict[str, Any]

_NUMBERS = count(1)
#: The block with the link to a Teams meeting, which the service adds to the body.
JOIN_BLOCK = (
    '<div style="width:100%"><span>________________________________________________________________________________'
    '</span></div><div class="me-email-text"><a href="{link}">Join the meeting now</a></div>'
)


class Refusal(Exception):
    """An error that Graph answers. `more`: further properties of the error."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more
        self.headers: dict[str, str] = {}


@dataclass(eq=False)
class Item:
    """One person's copy of an event, the organizer's or a guest's. Its times are in UTC."""

    mailbox: "Mailbox"
    uid: str
    organizer: str
    start: datetime
    end: datetime
    days: tuple[date, date] | None = None  #: of an all-day event: the first day, and the day after the last
    properties: Json = field(default_factory=dict)  #: subject, body, showAs, … as the service tells them
    attendees: list[Json] = field(default_factory=list)
    extended_properties: dict[str, str] = field(default_factory=dict)
    response: str = "organizer"  #: how the owner of this copy has answered; "organizer" on the original
    transaction_id: str | None = None
    created_from: Json | None = None  #: the body of the request that created it
    master: "Item | None" = None  #: of an occurrence: its series
    is_master: bool = False
    is_exception: bool = False
    is_cancelled: bool = False
    join_link: str = ""
    id: str = field(default_factory=lambda: f"AAkALgAA{secrets.token_hex(3)}-{next(_NUMBERS):06d}=")
    created: int = field(default_factory=lambda: next(_NUMBERS))  #: orders the items by creation
    version: int = 1  #: grows with each change
    changed_at: int = 0  #: the change number of the mailbox when it changed last

    @property
    def etag(self) -> str:
        return f'W/"{self.change_key}"'

    @property
    def change_key(self) -> str:
        return f"ck{self.created}v{self.version}"

    @property
    def world(self) -> "World":
        return self.mailbox.world

    @property
    def is_organizer(self) -> bool:
        return self.mailbox.address == self.organizer

    @property
    def kind(self) -> str:
        """The property `type` of Graph."""
        if self.is_master:
            return "seriesMaster"
        if self.master is None:
            return "singleInstance"
        return "exception" if self.is_exception else "occurrence"

    def put_at(self, start: datetime, end: datetime, days: tuple[date, date] | None) -> None:
        """Set the time of the event. With `days`, start and end become midnight in the zone of the mailbox."""
        self.start, self.end, self.days = start, end, days
        if days:
            zone = ZoneInfo(self.mailbox.zone)
            self.start, self.end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in days)

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return self.start < end and self.end > start


@dataclass(eq=False)
class StoredMessage:
    """A message of a mailbox."""

    id: str
    content: bytes  #: as MIME
    internet_id: str  #: the Message-ID
    draft: bool = True
    extended_properties: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Mailbox:
    """A person's mailbox, with one calendar. `change_number` grows with each change of an event."""

    address: str
    world: "World"
    zone: str = "UTC"  #: IANA name; all-day events are in it
    settings: Json = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)  #: the change number of each removal, by event id
    deleted: list[Item] = field(default_factory=list)  #: the folder Deleted Items
    messages: list[StoredMessage] = field(default_factory=list)
    inbox: list[bytes] = field(default_factory=list)  #: received mails, as MIME
    change_number: int = 0
    oldest_token: int = 0  #: delta tokens of an earlier change number have expired
    sign_in: str = ""  #: the user principal name, where it differs from the address
    directory_id: str = field(default_factory=lambda: str(uuid4()))
    shown: str = ""  #: the address by which answers show the owner, where it differs from `address`

    @property
    def calendar_id(self) -> str:
        return f"AAMkCAL-{self.directory_id}="

    @property
    def name(self) -> str:
        """The name by which requests reach the mailbox."""
        return self.sign_in or self.address

    def record_change(self, item: Item, change: str = "updated") -> None:
        """Give the item a new version and change number, the change number also to the series of an occurrence.

        Then call the listeners."""
        self.change_number += 1
        item.version += 1
        item.changed_at = self.change_number
        if item.master is not None:
            item.master.changed_at = self.change_number
        self.world.call_listeners(self, item.master or item, change if item.master is None else "updated")

    def add(self, item: Item) -> None:
        self.items[item.id] = item
        self.record_change(item, "created")

    def delete_item(self, item: Item) -> None:
        """Move an item to Deleted Items, a series master with its occurrences, and call the listeners."""
        self.change_number += 1
        self.items.pop(item.id, None)
        self.deleted.append(item)
        if item.master is not None and item.master.id in self.items:
            self.record_change(item.master)
        else:
            self.removed[item.id] = self.change_number
        if item.is_master:
            for one in [one for one in self.items.values() if one.master is item]:
                del self.items[one.id]
        if item.id in self.removed:
            self.world.call_listeners(self, item, "deleted")

    def find_by_uid(self, uid: str) -> Item | None:
        """Return this mailbox's copy of the event with that iCalendar UID."""
        return next((one for one in self.items.values() if one.uid == uid and one.master is None), None)

    def list_between(self, start: datetime, end: datetime) -> Iterator[Item]:
        """Yield the single events and occurrences that overlap the window, by start."""
        found = (one for one in self.items.values() if not one.is_master and one.overlaps(start, end))
        yield from sorted(found, key=lambda one: (one.start, one.created))


class World:
    """All mailboxes of the tenant, and the invitations, answers and cancellations between them."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, Mailbox] = {}
        self.invitations: list[tuple[str, str, str]] = []  #: the calendar mails: kind, from, to
        self.outgoing: list[CalendarMail] = []  #: the calendar mails to people outside of the tenant
        #: Called with mailbox, item and kind of change: `created`, `updated` or `deleted`.
        self.listeners: list[Callable[[Mailbox, Item, str], None]] = []

    def call_listeners(self, mailbox: Mailbox, item: Item, change: str) -> None:
        for listener in self.listeners:
            listener(mailbox, item, change)

    def add_person(self, address: str, zone: str = "UTC") -> Mailbox:
        address = address.casefold()
        return self.mailboxes.setdefault(address, Mailbox(address, self, zone))

    def find_mailbox(self, name: str) -> Mailbox | None:
        """Return the mailbox with that directory id or sign-in name, which may differ from its address."""
        name = name.casefold()
        known = self.mailboxes.get(name)
        if known is not None and known.name == name:
            return known
        return next((one for one in self.mailboxes.values() if name in (one.directory_id, one.name)), None)

    def find_recipient(self, address: str) -> Mailbox | None:
        """Return the mailbox that mail reaches at this address, sign-in name or shown address."""
        address = address.casefold()
        known = self.mailboxes.get(address)
        if known is not None:
            return known
        return next((one for one in self.mailboxes.values() if address in (one.name, one.shown.casefold())), None)

    def get_shown_address(self, address: str) -> str:
        """Return the address of this person that answers of the service contain."""
        mailbox = self.mailboxes.get(address)
        return mailbox.shown if mailbox and mailbox.shown else address

    # --- meetings ---------------------------------------------------------------------------------------------------

    def deliver(self, item: Item, *, restores_deleted: bool) -> None:
        """Create or update the copies of the guests. `restores_deleted`: also for guests who have deleted theirs."""
        for guest in item.attendees:
            address = guest["address"]
            self.invitations.append(("request", item.organizer, address))
            mailbox = self.mailboxes.get(address)
            if mailbox is None:
                self.outgoing.append(_make_calendar_mail("REQUEST", item, address))
            if mailbox is None or address == item.organizer:
                continue
            copy = mailbox.find_by_uid(item.uid)
            if copy is None:
                if not restores_deleted:
                    continue
                copy = Item(mailbox, item.uid, item.organizer, item.start, item.end, item.days)
                self._update_copy(copy, item, guest)
                mailbox.add(copy)
            else:
                self._update_copy(copy, item, guest)
                mailbox.record_change(copy)

    @staticmethod
    def _update_copy(copy: Item, item: Item, guest: Json) -> None:
        """Copy the organizer's event to the guest's copy. A guest who has not accepted is shown as tentative."""
        kept = ("subject", "body", "sensitivity", "isOnlineMeeting", "allowNewTimeProposals", "responseRequested")
        copy.properties |= {name: item.properties[name] for name in kept if name in item.properties}
        copy.put_at(item.start, item.end, item.days)
        copy.attendees = [dict(one) for one in item.attendees]
        copy.join_link = item.join_link
        copy.response = guest["response"] if guest["response"] != "none" else "notResponded"
        shown = item.properties.get("showAs", "busy")
        unsure = copy.response in ("notResponded", "tentativelyAccepted") and shown != "free"
        copy.properties["showAs"] = "tentative" if unsure else shown

    def respond(self, copy: Item, response: str, proposed: Json | None = None) -> None:
        """Answer an invitation, also in the organizer's event. A declined event leaves the guest's calendar."""
        organizer = self.mailboxes.get(copy.organizer)
        item = organizer.find_by_uid(copy.uid) if organizer else None
        copy.response = response
        if response == "accepted":
            copy.properties["showAs"] = item.properties.get("showAs", "busy") if item else "busy"
        if response == "declined":
            copy.mailbox.delete_item(copy)
        else:
            copy.mailbox.record_change(copy)
        if item is None or organizer is None:
            return
        for guest in item.attendees:
            if guest["address"] == copy.mailbox.address:
                guest["response"], guest["proposed"] = response, proposed
        organizer.record_change(item)

    def reset_answers(self, item: Item) -> None:
        """Reset the answers of all guests, as for an event that was moved."""
        for guest in item.attendees:
            guest["response"], guest["proposed"] = "none", None

    def uninvite(self, item: Item, addresses: set[str]) -> None:
        """Send cancellations to these guests, and delete their copies."""
        for address in sorted(addresses):
            self.invitations.append(("cancel", item.organizer, address))
            mailbox = self.mailboxes.get(address)
            if mailbox is None:
                self.outgoing.append(_make_calendar_mail("CANCEL", item, address))
            copy = mailbox.find_by_uid(item.uid) if mailbox else None
            if mailbox and copy:
                mailbox.delete_item(copy)

    def cancel(self, item: Item) -> None:
        """Cancel an event: delete the organizer's event and all copies."""
        self.uninvite(item, {guest["address"] for guest in item.attendees})
        item.mailbox.delete_item(item)


def _make_calendar_mail(method: str, item: Item, guest: str) -> CalendarMail:
    return CalendarMail(method, item.uid, item.organizer, guest, item.start, item.end, item.version)
