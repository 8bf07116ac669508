"""The double of Microsoft 365 with a whole company, for tests that otherwise run on the calendar in memory."""

from collections.abc import Iterable, Mapping, Sequence

from tests.doubles.graph.hands import Hands, make_section
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


class GraphCompany(ServedCalendar[outlook.OutlookCalendar]):
    """The calendar of a simulation, on the double. The worker's operations go through the real provider; people
    change the mailboxes directly."""

    def __init__(self, double: Double, people: Iterable[Person], organizers: OrganizersFunction | None = None) -> None:
        """`organizers` returns who may have invited somebody; by default everybody who organized one of our events."""
        super().__init__()
        self.double = double
        self.hands = Hands(double)
        for person in people:
            double.world.add_person(person.email, person.zone)
        self.provider = outlook.build_calendar(make_section(double, organizers=organizers or self.hands.organizers))
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
        item = self._find_item(calendar, key_or_id)
        copy = self.double.world.mailboxes[address].find_by_uid(item.uid)
        if copy is not None:  # None for a guest who has declined
            # no other answer is given in simulations
            self.double.world.respond(copy, {"accepted": "accepted", "declined": "declined"}[answer.value])
        self._note_changed(item)

    def move(self, calendar: Address, key_or_id: str, span: Span) -> None:
        """Move an event. A guest can't: a guest who needs another time declines."""
        item = self._find_item(calendar, key_or_id)
        if item.organizer != calendar:
            self.answer(item.organizer, key_or_id, calendar, Answer.DECLINED)
            return
        item.put_at(span.start, span.end, days=None)
        self.double.world.reset_answers(item)
        item.mailbox.record_change(item)
        self.double.world.deliver(item, restores_deleted=True)
        self._note_changed(item)

    def remove(self, calendar: Address, key_or_id: str) -> None:
        """Delete an event. A guest who deletes an invitation declines it by that, as Outlook proposes."""
        item = self._find_item(calendar, key_or_id)
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
        self.hands.expire_cursor(calendar, cursor="")  # all cursors of the calendar

    def pop_changed_calendars(self) -> set[Address]:
        changed, self._changed = self._changed, set()
        return changed

    def _find_item(self, calendar: Address, key_or_id: str) -> Item:
        """Return the event with that key or id that `calendar` organizes or is invited to. Raises NotFound."""
        for mailbox in self.double.world.mailboxes.values():
            for item in mailbox.items.values():
                is_named = item.id == key_or_id or f"longarc/{key_or_id}" in item.extended_properties.values()
                if is_named and calendar in (item.organizer, *(one["address"] for one in item.attendees)):
                    return item
        raise NotFound(f"{calendar}: no event {key_or_id}.")

    def _note_changed(self, item: Item) -> None:
        self._changed |= {item.organizer, *(one["address"] for one in item.attendees)}
