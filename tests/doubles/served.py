"""A service's stand-in in place of the calendar in memory: the worker goes through the real provider, over HTTP."""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from worker.domain.model import Address, Changes, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.providers.base import CalendarProvider, Finding
from worker.providers.memory import MemoryCalendar

P = TypeVar("P", bound=CalendarProvider)


class Served(MemoryCalendar, Generic[P]):
    """What the worker asks goes to `provider`; what people do is for each service to say. `fail` may be set to make
    operations fail, before they reach the service or after."""

    provider: P

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self._may_fail("free_busy")
        return self.provider.free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> Changes:
        self._may_fail("changes")
        return self.provider.changes(calendar, cursor, window)

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self._may_fail("create")
        made = self.provider.create(calendar, draft)
        self._may_fail("create.done")
        return made

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self._may_fail("update")
        made = self.provider.update(ref, draft)
        self._may_fail("update.done")
        return made

    def cancel(self, ref: EventRef) -> None:
        self._may_fail("cancel")
        self.provider.cancel(ref)
        self._may_fail("cancel.done")

    def find(self, calendar: Address, key: str) -> Event | None:
        self._may_fail("find")
        return self.provider.find(calendar, key)

    def check(self, person: Address) -> list[Finding]:
        return self.provider.check(person)
