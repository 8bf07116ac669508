"""The double in the place of the reference calendar: the worker goes through the real provider and over HTTP, people
act on their mailboxes. So whatever lives in a simulated world can live in Microsoft 365."""

from collections.abc import Iterable, Mapping, Sequence

from tests.doubles.graph.hands import Hands, section
from tests.doubles.graph.service import Double
from tests.doubles.graph.state import Item
from tests.doubles.served import ServedCalendar
from worker.domain.model import (
    Address,
    Answer,
    Person,
    ShowAs,
    Span,
)
from worker.errors import NotFound
from worker.providers.base import OrganizersFunction
from worker.providers.outlook import calendar as outlook


class Office(ServedCalendar[outlook.OutlookCalendar]):
    """Everybody's mailbox on the double, with what people do to it."""

    def __init__(self, double: Double, people: Iterable[Person], organizers: OrganizersFunction | None = None) -> None:
        """`organizers`: who may have invited somebody, as the company's pairs say; by itself anybody who ever did."""
        super().__init__()
        self.double = double
        self.hands = Hands(double)
        for person in people:
            double.world.add_person(person.email, person.zone)
        self.provider = outlook.build_calendar(section(double, organizers=organizers or self.hands.organizers))
        self._changed: set[Address] = set()

    # --- what people do ---------------------------------------------------------------------------------------------

    def add(
        self,
        address: Address,
        span: Span,
        *,
        show: ShowAs | None = ShowAs.BUSY,
        all_day: bool = False,
        series: str | None = None,
        attendees: Mapping[Address, Answer] | Sequence[Address] = (),
        organizer: Address = "",
    ) -> str:
        self._changed.add(address)
        return self.hands.add(address, span, show=show)

    def answer(self, calendar: Address, key_or_id: str, address: Address, answer: Answer) -> None:
        item = self._item(calendar, key_or_id)
        copy = self.double.world.mailboxes[address].find_by_uid(item.uid)
        if copy is not None:  # who declined has it no more
            self.double.world.respond(copy, {"accepted": "accepted", "declined": "declined"}[answer.value])
        self._note_changed(item)

    def move(self, calendar: Address, key_or_id: str, span: Span) -> None:
        item = self._item(calendar, key_or_id)
        if item.organizer != calendar:
            self.answer(item.organizer, key_or_id, calendar, Answer.DECLINED)
            return
        item.put_at(span.start, span.end, None)
        self.double.world.reset_answers(item)
        item.mailbox.touch(item)
        self.double.world.deliver(item, anew=True)
        self._note_changed(item)

    def remove(self, calendar: Address, key_or_id: str) -> None:
        """Outlook asks a guest who deletes an invitation whether to answer it; ours do."""
        item = self._item(calendar, key_or_id)
        self._note_changed(item)
        if item.organizer == calendar:
            self.double.world.cancel(item)
        else:
            self.answer(item.organizer, key_or_id, calendar, Answer.DECLINED)

    def remove_for_all(self, entry_id: str) -> None:
        for mailbox in self.double.world.mailboxes.values():
            if entry_id in mailbox.items:
                self.double.world.cancel(mailbox.items[entry_id])
                return

    def make_unreadable(self, person: Address, reason: str) -> None:
        self.double.without_free_busy.add(person)
        self.double.blocked.add(person)

    def forget_cursors(self, calendar: Address) -> None:
        self.hands.kill(calendar, "")

    def pop_changed_calendars(self) -> set[Address]:
        touched, self._changed = self._changed, set()
        return touched

    def _item(self, calendar: Address, key_or_id: str) -> Item:
        """The organizer's event of that key or id, or the one whose copy somebody has."""
        for mailbox in self.double.world.mailboxes.values():
            for item in mailbox.items.values():
                named = item.id == key_or_id or f"longarc/{key_or_id}" in item.extended.values()
                if named and calendar in (item.organizer, *(one["address"] for one in item.attendees)):
                    return item
        raise NotFound(f"{calendar}: no event {key_or_id}.")

    def _note_changed(self, item: Item) -> None:
        self._changed |= {item.organizer, *(one["address"] for one in item.attendees)}
