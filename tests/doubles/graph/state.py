"""What the double keeps: mailboxes, and in each of them the owner's copies of meetings, and the mail.

Each event is kept once for each person who has it, as the service does; what one does to a copy reaches the others.
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
JOIN = (
    '<div style="width:100%"><span>________________________________________________________________________________'
    '</span></div><div class="me-email-text"><a href="{link}">Join the meeting now</a></div>'
)


class Refusal(Exception):
    """An answer that says no."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.more = status, code, message, more
        self.headers: dict[str, str] = {}


@dataclass(eq=False)
class Item:
    """One person's copy of an event. Times are instants; of whole days also the dates, which float."""

    mailbox: "Mailbox"
    uid: str
    organizer: str
    start: datetime
    end: datetime
    days: tuple[date, date] | None = None
    properties: Json = field(default_factory=dict)  #: subject, body, showAs, … as the service tells them
    attendees: list[Json] = field(default_factory=list)
    extended: dict[str, str] = field(default_factory=dict)
    response: str = "organizer"
    transaction_id: str | None = None
    created_from: Json | None = None  #: the body of the request that created it
    master: "Item | None" = None
    is_master: bool = False
    is_exception: bool = False
    is_cancelled: bool = False
    join_link: str = ""
    id: str = field(default_factory=lambda: f"AAkALgAA{secrets.token_hex(3)}-{next(_NUMBERS):06d}=")
    created: int = field(default_factory=lambda: next(_NUMBERS))
    version: int = 1
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
        if self.is_master:
            return "seriesMaster"
        if self.master is None:
            return "singleInstance"
        return "exception" if self.is_exception else "occurrence"

    def put_at(self, start: datetime, end: datetime, days: tuple[date, date] | None) -> None:
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
    content: bytes
    internet_id: str
    draft: bool = True
    extended: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class Mailbox:
    """Somebody's mailbox. `tick` grows with each change of it."""

    address: str
    world: "World"
    zone: str = "UTC"  #: IANA, for what floats
    settings: Json = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    removed: dict[str, int] = field(default_factory=dict)  #: id -> when
    deleted: list[Item] = field(default_factory=list)  #: the folder of that name
    messages: list[StoredMessage] = field(default_factory=list)
    inbox: list[bytes] = field(default_factory=list)
    change_number: int = 0
    oldest_token: int = 0  #: delta tokens of an earlier change number have expired
    sign_in: str = ""  #: the user principal name, where it is another than the address
    directory_id: str = field(default_factory=lambda: str(uuid4()))
    shown: str = ""  #: how the service tells of the owner, where it is another form than the address

    @property
    def calendar_id(self) -> str:
        return f"AAMkCAL-{self.directory_id}="

    @property
    def name(self) -> str:
        """By what the mailbox is asked for."""
        return self.sign_in or self.address

    def touch(self, item: Item, change: str = "updated") -> None:
        """Note that it changed; with an occurrence its whole series."""
        self.change_number += 1
        item.version += 1
        item.changed_at = self.change_number
        if item.master is not None:
            item.master.changed_at = self.change_number
        self.world.notify(self, item.master or item, change if item.master is None else "updated")

    def add(self, item: Item) -> None:
        self.items[item.id] = item
        self.touch(item, "created")

    def drop(self, item: Item) -> None:
        self.change_number += 1
        self.items.pop(item.id, None)
        self.deleted.append(item)
        if item.master is not None and item.master.id in self.items:
            self.touch(item.master)
        else:
            self.removed[item.id] = self.change_number
        if item.is_master:
            for one in [one for one in self.items.values() if one.master is item]:
                del self.items[one.id]
        if item.id in self.removed:
            self.world.notify(self, item, "deleted")

    def find_by_uid(self, uid: str) -> Item | None:
        return next((one for one in self.items.values() if one.uid == uid and one.master is None), None)

    def list_between(self, start: datetime, end: datetime) -> Iterator[Item]:
        found = (one for one in self.items.values() if not one.is_master and one.overlaps(start, end))
        yield from sorted(found, key=lambda one: (one.start, one.created))


class World:
    """All mailboxes, and what passes between them."""

    def __init__(self) -> None:
        self.mailboxes: dict[str, Mailbox] = {}
        self.invitations: list[tuple[str, str, str]] = []  #: kind, from, to: the calendar mail that would have gone
        self.outgoing: list[CalendarMail] = []  #: those of them that leave this tenant
        #: Called for each change of an event in a mailbox: created, updated or deleted.
        self.listeners: list[Callable[[Mailbox, Item, str], None]] = []

    def notify(self, mailbox: Mailbox, item: Item, change: str) -> None:
        for listener in self.listeners:
            listener(mailbox, item, change)

    def add_person(self, address: str, zone: str = "UTC") -> Mailbox:
        address = address.casefold()
        return self.mailboxes.setdefault(address, Mailbox(address, self, zone))

    def find_mailbox(self, name: str) -> Mailbox | None:
        """The mailbox of that id or sign-in name."""
        name = name.casefold()
        known = self.mailboxes.get(name)
        if known is not None and known.name == name:
            return known
        return next((one for one in self.mailboxes.values() if name in (one.directory_id, one.name)), None)

    def find_recipient(self, form: str) -> Mailbox | None:
        """The mailbox that mail to this form reaches: by its address, its sign-in name, or what the service shows."""
        form = form.casefold()
        known = self.mailboxes.get(form)
        if known is not None:
            return known
        return next((one for one in self.mailboxes.values() if form in (one.name, one.shown.casefold())), None)

    def get_shown_address(self, address: str) -> str:
        """How the service tells of this person."""
        mailbox = self.mailboxes.get(address)
        return mailbox.shown if mailbox and mailbox.shown else address

    # --- meetings ---------------------------------------------------------------------------------------------------

    def deliver(self, item: Item, *, anew: bool) -> None:
        """Bring the organizer's event to the guests; `anew` also to those who removed it."""
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
                if not anew:
                    continue
                copy = Item(mailbox, item.uid, item.organizer, item.start, item.end, item.days)
                self._update_copy(copy, item, guest)
                mailbox.add(copy)
            else:
                self._update_copy(copy, item, guest)
                mailbox.touch(copy)

    @staticmethod
    def _update_copy(copy: Item, item: Item, guest: Json) -> None:
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
        """A guest answers: the organizer's event shows it; who declines has it no more."""
        organizer = self.mailboxes.get(copy.organizer)
        item = organizer.find_by_uid(copy.uid) if organizer else None
        copy.response = response
        if response == "accepted":
            copy.properties["showAs"] = item.properties.get("showAs", "busy") if item else "busy"
        if response == "declined":
            copy.mailbox.drop(copy)
        else:
            copy.mailbox.touch(copy)
        if item is None or organizer is None:
            return
        for guest in item.attendees:
            if guest["address"] == copy.mailbox.address:
                guest["response"], guest["proposed"] = response, proposed
        organizer.touch(item)

    def reset_answers(self, item: Item) -> None:
        """Everybody is asked anew."""
        for guest in item.attendees:
            guest["response"], guest["proposed"] = "none", None

    def uninvite(self, item: Item, addresses: set[str]) -> None:
        for address in sorted(addresses):
            self.invitations.append(("cancel", item.organizer, address))
            mailbox = self.mailboxes.get(address)
            if mailbox is None:
                self.outgoing.append(_make_calendar_mail("CANCEL", item, address))
            copy = mailbox.find_by_uid(item.uid) if mailbox else None
            if mailbox and copy:
                mailbox.drop(copy)

    def cancel(self, item: Item) -> None:
        """The organizer takes it off everywhere."""
        self.uninvite(item, {guest["address"] for guest in item.attendees})
        item.mailbox.drop(item)


def _make_calendar_mail(method: str, item: Item, guest: str) -> CalendarMail:
    return CalendarMail(method, item.uid, item.organizer, guest, item.start, item.end, item.version)
