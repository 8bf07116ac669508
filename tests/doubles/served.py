"""A calendar that takes the place of the one in memory: the double of a service, used through the real provider."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from worker.domain.model import Address, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.providers.base import CalendarProvider, Finding
from worker.providers.memory import MemoryCalendar

P = TypeVar("P", bound=CalendarProvider)


class ServedCalendar(MemoryCalendar, Generic[P]):
    """Passes the worker's operations to `provider`; a subclass for each service does what people do. `fail`
    can make an operation fail before it reaches the service or, under its name with `.done`, after it."""

    provider: P

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self._raise_fault("free_busy")
        return self.provider.free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self._raise_fault("changes")
        return self.provider.changes(calendar, cursor, window)

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self._raise_fault("create")
        event = self.provider.create(calendar, draft)
        self._raise_fault("create.done")
        return event

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self._raise_fault("update")
        event = self.provider.update(ref, draft)
        self._raise_fault("update.done")
        return event

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self._raise_fault("cancel")
        self.provider.cancel(ref, quiet=quiet)
        self._raise_fault("cancel.done")

    def find(self, calendar: Address, key: str) -> Event | None:
        self._raise_fault("find")
        return self.provider.find(calendar, key)

    def check(self, person: Address) -> list[Finding]:
        return self.provider.check(person)
