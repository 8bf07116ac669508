"""What people do to their mailboxes in Outlook, and the app by which Longarc reaches the double."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.graph.calendars import add_teams_meeting
from tests.doubles.graph.login import SECRET, TENANT, Application
from tests.doubles.graph.service import Double
from tests.doubles.graph.state import Item, Json, Mailbox
from worker.domain.model import Address, Answer, ShowAs, Span

CLIENT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
_NUMBERS = count(1)
_SHOWN = {ShowAs.BUSY: "busy", ShowAs.TENTATIVE: "tentative", ShowAs.AWAY: "oof", None: "free"}
_ANSWERS = {
    Answer.ACCEPTED: "accepted",
    Answer.DECLINED: "declined",
    Answer.TENTATIVE: "tentativelyAccepted",
    Answer.NEEDS_ACTION: "notResponded",
}


def make_section(double: Double, **more: Any) -> dict[str, Any]:
    """Register Longarc as an app with a secret, and return the section of the settings with which it signs in."""
    _register_app(double)
    return {
        "endpoint": double.endpoint,
        "authority": double.authority,
        "tenant": TENANT,
        "client_id": CLIENT,
        "password": SECRET,
        "ca_file": str(double.ca_file),
        "timeout": 10.0,
        **more,
    }


def set_rights(double: Double, *rights: str) -> None:
    """Give the app these rights in Entra, and no others."""
    _register_app(double)
    double.login.applications[CLIENT].rights = rights


def _register_app(double: Double) -> None:
    double.login.applications.setdefault(CLIENT, Application(CLIENT, secret=SECRET))


class Hands:
    """Does what people do to their mailboxes. `key` names one of our events, an id names any other event."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.world = double.world

    def organizers(self, _guest: Address = "") -> set[Address]:
        """Return everybody who ever organized one of our events, in place of the pairs of a company."""
        return {
            mailbox.address
            for mailbox in self.world.mailboxes.values()
            if any(item.extended_properties for item in [*mailbox.items.values(), *mailbox.deleted])
        }

    def person(self, zone: str = "UTC") -> Address:
        """Add a person with an empty mailbox, and return the address."""
        return self.world.add_person(f"p{next(_NUMBERS)}@example.org", zone).address

    def unreadable_person(self) -> Address:
        """Return an address without a mailbox."""
        return f"stranger{next(_NUMBERS)}@example.org"

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        """Add an event of the person's own, and return its id. `show=None`: it is shown as free."""
        return self._put(address, span, {"showAs": _SHOWN[show]}).id

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        """Add an event of whole days, `last` included, and return its id."""
        days = (first, last + timedelta(days=1))
        box = self.world.mailboxes[address]
        start, end = (datetime.combine(day, time(), ZoneInfo(box.zone)).astimezone(UTC) for day in days)
        return self._put(address, Span(start, end), {"showAs": "busy" if opaque else "free"}, days=days).id

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """Add an event with a guest, who answers at once, and a room; return the id of the organizer's event."""
        room = _make_attendee("room4@example.org", "resource")
        people = [_make_attendee(guest.upper(), "required"), room]  # people write addresses in any case
        item = self._put(organizer, span, {"showAs": "busy"}, attendees=people)
        self.world.deliver(item, restores_deleted=True)
        copy = self.world.mailboxes[guest].find_by_uid(item.uid)
        if copy is not None and answer is not Answer.NEEDS_ACTION:
            self.world.respond(copy, _ANSWERS[answer])
        return item.id

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        """Add a daily series, and return the id of its master."""
        master = self._put(address, span, {"showAs": "busy"})
        master.is_master = True
        for number in range(times):
            step = timedelta(days=number)
            self._put(address, Span(span.start + step, span.end + step), {"showAs": "busy"}, master=master)
        return master.id

    def move_occurrence(self, address: Address, series_id: str, number: int, span: Span) -> None:
        item = self._find_occurrence(address, series_id, number)
        item.put_at(span.start, span.end, days=None)
        item.is_exception = True
        item.mailbox.record_change(item)

    def cancel_occurrence(self, address: Address, series_id: str, number: int) -> None:
        item = self._find_occurrence(address, series_id, number)
        item.mailbox.delete_item(item)

    def answer(
        self, organizer: Address, guest: Address, key: str, answer: Answer, proposed: Span | None = None
    ) -> None:
        """Answer our event as its guest; `proposed` is another time that the guest proposes."""
        copy = self.world.mailboxes[guest].find_by_uid(self.find_event(organizer, key).uid)
        assert copy is not None, f"{guest} has no copy of {key}"
        proposed_time: Json | None = {"start": proposed.start, "end": proposed.end} if proposed else None
        self.world.respond(copy, _ANSWERS[answer], proposed_time)

    def move(self, address: Address, key: str, span: Span) -> None:
        item = self.find_event(address, key)
        item.put_at(span.start, span.end, days=None)
        self.world.reset_answers(item)
        item.mailbox.record_change(item)
        self.world.deliver(item, restores_deleted=True)

    def add_teams_meeting(self, address: Address, key: str) -> None:
        """Let the service add a Teams meeting to our event, which gets another version by that."""
        item = self.find_event(address, key)
        add_teams_meeting(item)
        item.mailbox.record_change(item)

    def delete(self, address: Address, key: str) -> None:
        """Delete our event: the organizer's deletion cancels it for everybody, a guest's removes one copy."""
        item = self._find_copy(address, key)
        if item.is_organizer:
            self.world.cancel(item)
        else:
            item.mailbox.delete_item(item)

    def remove(self, address: Address, event_id: str) -> None:
        """Delete the event with that id, as its organizer."""
        box = self.world.mailboxes[address]
        self.world.cancel(box.items[event_id])

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        """Let all cursors of the calendar expire; return `cursor`."""
        box = self.world.mailboxes[calendar]
        box.change_number += 1
        box.oldest_token = box.change_number
        return cursor

    # --- items of mailboxes -------------------------------------------------------------------------------------------

    def find_event(self, address: Address, key: str) -> Item:
        """Return our event with that key on its organizer's calendar."""
        box = self.world.mailboxes[address]
        return next(one for one in box.items.values() if f"longarc/{key}" in one.extended_properties.values())

    def read_title_and_text(self, address: Address, key: str) -> str:
        """Return the subject and the body of our event on its organizer's calendar."""
        properties = self.find_event(address, key).properties
        return f"{properties['subject']}\n{properties['body']['content']}"

    def _find_copy(self, address: Address, key: str) -> Item:
        """Return somebody's instance of our event, the organizer's or a guest's."""
        boxes = self.world.mailboxes
        with_key = (
            item
            for box in boxes.values()
            for item in box.items.values()
            if f"longarc/{key}" in item.extended_properties.values()
        )
        found = boxes[address].find_by_uid(next(with_key).uid)
        assert found is not None
        return found

    def _put(
        self,
        address: Address,
        span: Span,
        properties: Mapping[str, Any],
        *,
        days: tuple[date, date] | None = None,
        attendees: list[Json] | None = None,
        master: Item | None = None,
    ) -> Item:
        box: Mailbox = self.world.mailboxes[address]
        item = Item(box, "", address, span.start, span.end, days, {"subject": "Secret plans", **properties})
        item.uid = f"theirs-{item.created}"  # no event of ours
        item.attendees = attendees or []
        item.master = master
        item.properties |= {"body": {"contentType": "html", "content": "Secret"}, "sensitivity": "normal"}
        box.add(item)
        return item

    def _find_occurrence(self, address: Address, series_id: str, number: int) -> Item:
        """Return an occurrence of a series; the first has number 0."""
        box = self.world.mailboxes[address]
        found = [one for one in box.items.values() if one.master is box.items[series_id]]
        return sorted(found, key=lambda one: one.created)[number]


def _make_attendee(address: str, kind: str) -> Json:
    return {"address": address.casefold(), "shown": address, "name": address, "type": kind, "response": "none"}
