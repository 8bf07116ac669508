"""The provider in memory keeps all promises of a provider, and lets tests act on its calendars as people do."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from itertools import count
from zoneinfo import ZoneInfo

import pytest

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import WINDOW, at, draft, letter, span
from tests.support.mailer_contract import MailerContract
from tests.support.provider_contract import CalendarContract, GuestDeletionContract, GuestMoveContract
from worker.domain.model import Address, Answer, ShowAs, Span
from worker.errors import Conflict, Unavailable
from worker.providers import base
from worker.providers.memory import MemoryCalendar, MemoryMailer

_NUMBERS = count(1)


class MemoryHands:
    """Acts on the calendars in memory as people do. The methods are those of `Hands` in `tests/support/drafts.py`."""

    def __init__(self, provider: MemoryCalendar) -> None:
        self._provider = provider
        self._zones: dict[Address, str] = {}

    def person(self, zone: str = "UTC") -> Address:
        address = f"p{next(_NUMBERS)}@example.org"
        self._zones[address] = zone
        return address

    def unreadable_person(self) -> Address:
        address = self.person()
        self._provider.make_unreadable(address, f"{address} does not share a calendar.")
        return address

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        return self._provider.add(address, span, show=show)

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        zone = ZoneInfo(self._zones[address])
        start, end = (datetime.combine(day, time(), zone) for day in (first, last + timedelta(days=1)))
        all_day_span = Span(start.astimezone(UTC), end.astimezone(UTC))
        return self._provider.add(address, all_day_span, all_day=True, show=ShowAs.AWAY if opaque else None)

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        return self._provider.add(organizer, span, attendees={guest: answer})

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        series = f"series{next(_NUMBERS)}"
        self._occurrences = [
            self._provider.add(address, Span(span.start + day, span.end + day), series=series)
            for day in (timedelta(days=number) for number in range(times))
        ]
        return series

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None:
        self._provider.move(address, self._occurrences[number], span)

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None:
        self._provider.remove(address, self._occurrences.pop(number))

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        self._provider.answer(organizer, key, guest, answer)

    def move(self, address: Address, key: str, span: Span) -> None:
        self._provider.move(address, key, span)

    def delete(self, address: Address, key: str) -> None:
        self._provider.remove(address, key)

    def remove(self, address: Address, name: str) -> None:
        for entry in self._occurrences if name.startswith("series") else [name]:
            self._provider.remove(address, entry)

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        self._provider.forget_cursors(calendar)
        return cursor


@pytest.fixture
def provider() -> MemoryCalendar:
    calendar = base.load_factory(base.CALENDAR_FACTORIES, "memory")({})
    assert isinstance(calendar, MemoryCalendar)
    return calendar


@pytest.fixture
def hands(provider: MemoryCalendar) -> MemoryHands:
    return MemoryHands(provider)


class TestMemoryCalendar(CalendarContract, GuestDeletionContract, GuestMoveContract):
    """This provider keeps all promises, and guests can delete and move their events."""


def test_key_of_a_deleted_event_cannot_be_used_again(provider: MemoryCalendar) -> None:
    """The reference provider is as strict as the strictest service."""
    event_draft = draft("dana@example.org")
    provider.create("dana@example.org", event_draft)
    provider.remove("dana@example.org", event_draft.key)
    with pytest.raises(Conflict):
        provider.create("dana@example.org", event_draft)


@pytest.mark.parametrize("operation", ["create", "update", "cancel"])
@pytest.mark.parametrize("moment", ["", ".done"], ids=["before", "after"])
def test_fault_is_raised_before_or_after_the_effect(provider: MemoryCalendar, operation: str, moment: str) -> None:
    """The outbox gets the same error in both cases, and can't tell whether the effect took place."""
    dana = "dana@example.org"
    event_draft = draft(dana)
    # The event that is updated or cancelled. `create` is tried with a draft that was not used before.
    event = provider.create(dana, draft(dana) if operation == "create" else event_draft)

    def fail(name: str) -> None:
        if name == operation + moment:
            raise Unavailable(uncertain=True)

    provider.fail = fail  # called with the operation's name before it, and with `.done` added after it
    with pytest.raises(Unavailable):
        if operation == "create":
            provider.create(dana, event_draft)
        elif operation == "update":
            provider.update(event.ref, draft(dana, key=event_draft.key, span=span(11, 9)))
        else:
            provider.cancel(event.ref)
    provider.fail = None
    event_now = provider.find(dana, event_draft.key)
    has_effect = {
        "create": event_now is not None,
        "update": event_now is not None and event_now.span == span(11, 9),
        "cancel": not event_now,
    }
    assert has_effect[operation] is (moment == ".done")


def test_only_changes_by_people_count_as_changes(provider: MemoryCalendar) -> None:
    dana, sam = "dana@example.org", "sam@example.org"
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    assert provider.pop_changed_calendars() == set()
    provider.answer(dana, event_draft.key, sam, Answer.DECLINED)
    # an answer to our event is a change of the organizer's calendar alone
    assert provider.pop_changed_calendars() == {dana}
    assert provider.pop_changed_calendars() == set()
    other_event = provider.add(dana, span(6, 9), attendees=[sam])
    assert provider.pop_changed_calendars() == {dana, sam}
    provider.answer(dana, other_event, sam, Answer.DECLINED)
    assert provider.pop_changed_calendars() == {dana, sam}
    entry = provider.add("kim@example.org", span(5, 9))
    provider.remove_for_all(entry)
    assert provider.pop_changed_calendars() == {"kim@example.org"}


def test_event_deleted_unreported_leaves_no_trace(provider: MemoryCalendar) -> None:
    kim = "kim@example.org"
    entry = provider.add(kim, span(5, 9))
    cursor = provider.changes(kim, None, WINDOW).cursor
    provider.pop_changed_calendars()
    provider.delete_unreported(entry)
    assert provider.pop_changed_calendars() == set()
    assert provider.free_busy([kim], WINDOW)[kim].busy == ()
    assert provider.changes(kim, cursor, WINDOW).deleted_ids == ()


def test_free_busy_reads_only_events_in_the_window(provider: MemoryCalendar) -> None:
    """The calendar holds a daily event for ten years; those outside the window are not converted to busy times."""
    dana = "dana@example.org"
    for day in range(3650):
        start = at(1, 9) + timedelta(days=day - 1825)
        provider.add(dana, Span(start, start + timedelta(hours=1)))
    provider.free_busy([dana], WINDOW)
    assert sum(1 for entry in provider._entries.values() if entry.cached_busy) <= 32  # the window has 30 days


def test_busy_time_of_an_event_is_built_once(provider: MemoryCalendar) -> None:
    dana = "dana@example.org"
    provider.add(dana, span(5, 9))
    first, second = (provider.free_busy([dana], WINDOW)[dana].busy[0] for _ in range(2))
    assert first is second


class TestMemoryMailer(MailerContract):
    @pytest.fixture
    def mailer(self) -> MemoryMailer:
        memory_mailer = base.load_factory(base.MAILER_FACTORIES, "memory")({})
        assert isinstance(memory_mailer, MemoryMailer)
        return memory_mailer

    @pytest.fixture
    def inbox(self, mailer: MemoryMailer) -> Callable[[Address], list[EmailMessage]]:
        return lambda to: [message for _, message in mailer.sent if message["To"] == to]

    def test_forgetful_mailer_does_not_know_whether_it_sent_a_mail(self) -> None:
        mailer = base.load_factory(base.MAILER_FACTORIES, "memory")({"forgetful": True})
        mailer.send(letter("sam@example.org"), "m1")
        assert mailer.was_sent("m1") is None

    @pytest.mark.parametrize(("moment", "is_sent"), [("send", False), ("send.done", True)])
    def test_fault_is_raised_before_or_after_the_mail_is_sent(
        self, mailer: MemoryMailer, moment: str, is_sent: bool
    ) -> None:
        def fail(name: str) -> None:
            if name == moment:
                raise Unavailable(uncertain=True)

        mailer.fail = fail
        with pytest.raises(Unavailable):
            mailer.send(letter("sam@example.org"), "m1")
        assert mailer.was_sent("m1") is is_sent
