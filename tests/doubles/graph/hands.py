"""People at work in Outlook, on the double: what they do to their own mailboxes, and how a tenant is set up."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.graph.calendars import provision
from tests.doubles.graph.login import TENANT, Application
from tests.doubles.graph.service import Double
from tests.doubles.graph.state import Item, Json, Mailbox
from worker.domain.model import Address, Answer, ShowAs, Span

CLIENT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SECRET = "a secret"
_NUMBERS = count(1)
_SHOWN = {ShowAs.BUSY: "busy", ShowAs.TENTATIVE: "tentative", ShowAs.AWAY: "oof", None: "free"}
_ANSWERS = {
    Answer.ACCEPTED: "accepted",
    Answer.DECLINED: "declined",
    Answer.TENTATIVE: "tentativelyAccepted",
    Answer.NEEDS_ACTION: "notResponded",
}


def section(double: Double, **more: Any) -> dict[str, Any]:
    """The settings by which the provider reaches the double, as an app with a secret."""
    double.login.applications.setdefault(CLIENT, Application(CLIENT))
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
    section(double)
    double.login.applications[CLIENT].rights = rights


class Hands:
    """What people do; events of others are named by their ids."""

    def __init__(self, double: Double) -> None:
        self.double = double
        self.world = double.world

    def organizers(self, _guest: Address = "") -> set[Address]:
        """Everybody who ever put an event with our key on a calendar: as the company's pairs would say."""
        return {
            mailbox.address
            for mailbox in self.world.mailboxes.values()
            if any(item.extended for item in [*mailbox.items.values(), *mailbox.deleted])
        }

    def person(self, zone: str = "UTC") -> Address:
        return self.world.add_person(f"p{next(_NUMBERS)}@example.org", zone).address

    def stranger(self) -> Address:
        return f"stranger{next(_NUMBERS)}@example.org"

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        return self._put(address, span, {"showAs": _SHOWN[show]}).id

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        days = (first, last + timedelta(days=1))
        box = self.world.mailboxes[address]
        start, end = (datetime.combine(day, time(), ZoneInfo(box.zone)).astimezone(UTC) for day in days)
        return self._put(address, Span(start, end), {"showAs": "busy" if opaque else "free"}, days=days).id

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        room = _guest("room4@example.org", "resource")
        people = [_guest(guest.upper(), "required"), room]
        item = self._put(organizer, span, {"showAs": "busy"}, attendees=people)
        self.world.deliver(item, anew=True)
        copy = self.world.mailboxes[guest].find_by_uid(item.uid)
        if copy is not None and answer is not Answer.NEEDS_ACTION:
            self.world.respond(copy, _ANSWERS[answer])
        return item.id

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        master = self._put(address, span, {"showAs": "busy"})
        master.is_master = True
        for n in range(times):
            step = timedelta(days=n)
            self._put(address, Span(span.start + step, span.end + step), {"showAs": "busy"}, master=master)
        return master.id

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None:
        item = self._nth(address, series, number)
        item.put_at(span.start, span.end, None)
        item.is_exception = True
        item.mailbox.touch(item)

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None:
        item = self._nth(address, series, number)
        item.mailbox.drop(item)

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer, wish: Span | None = None) -> None:
        copy = self.world.mailboxes[guest].find_by_uid(self.own(organizer, key).uid)
        assert copy is not None, f"{guest} has no copy of {key}"
        proposed: Json | None = {"start": wish.start, "end": wish.end} if wish else None
        self.world.respond(copy, _ANSWERS[answer], proposed)

    def move(self, address: Address, key: str, span: Span) -> None:
        item = self.own(address, key)
        item.put_at(span.start, span.end, None)
        self.world.reset_answers(item)
        item.mailbox.touch(item)
        self.world.deliver(item, anew=True)

    def provision(self, address: Address, key: str) -> None:
        """The service makes the Teams meeting of our event, or renews it: the event has another version then."""
        item = self.own(address, key)
        provision(item)
        item.mailbox.touch(item)

    def delete(self, address: Address, key: str) -> None:
        item = self._copy(address, key)
        if item.is_organizer:
            self.world.cancel(item)
        else:
            item.mailbox.drop(item)

    def remove(self, address: Address, name: str) -> None:
        box = self.world.mailboxes[address]
        self.world.cancel(box.items[name])

    def kill(self, calendar: Address, cursor: str) -> str:
        box = self.world.mailboxes[calendar]
        box.change_number += 1
        box.oldest_token = box.change_number
        return cursor

    # --- closer to the mailbox --------------------------------------------------------------------------------------

    def own(self, address: Address, key: str) -> Item:
        """The organizer's event of that key."""
        box = self.world.mailboxes[address]
        return next(one for one in box.items.values() if f"longarc/{key}" in one.extended.values())

    def _copy(self, address: Address, key: str) -> Item:
        boxes = self.world.mailboxes
        named = (i for box in boxes.values() for i in box.items.values() if f"longarc/{key}" in i.extended.values())
        found = boxes[address].find_by_uid(next(named).uid)
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
        item.uid = f"theirs-{item.created}"
        item.attendees = attendees or []
        item.master = master
        item.properties |= {"body": {"contentType": "html", "content": "Secret"}, "sensitivity": "normal"}
        box.add(item)
        return item

    def _nth(self, address: Address, series: str, number: int) -> Item:
        box = self.world.mailboxes[address]
        found = [one for one in box.items.values() if one.master is box.items[series]]
        return sorted(found, key=lambda one: one.created)[number]


def _guest(address: str, kind: str) -> Json:
    return {"address": address.casefold(), "shown": address, "name": address, "type": kind, "response": "none"}
