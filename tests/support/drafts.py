"""Events and mails to try a provider with, in March 2027, and what people do to its calendars."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from itertools import count
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, EventDraft, Guest, ShowAs, Span
from worker.providers.base import CalendarProvider

_NUMBERS = count(1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Hands(Protocol):
    """What people do on calendars behind the worker's back. Events of others are named by what `add` gives."""

    def person(self, zone: str = "UTC") -> Address:
        """Somebody new, with an empty calendar in that zone."""

    def stranger(self) -> Address:
        """Somebody whose time can't be read."""

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        """A timed event of one's own; with `show` None it leaves the time free."""

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        """Whole days, both included."""

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """A meeting of others, answered like that by the guest."""

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        """A series: the same time on so many days in a row."""

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None: ...

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None: ...

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        """The guest answers our invitation."""

    def move(self, address: Address, key: str, span: Span) -> None:
        """Drag our event elsewhere, on that person's calendar."""

    def delete(self, address: Address, key: str) -> None:
        """Delete our event from that person's calendar."""

    def remove(self, address: Address, name: str) -> None:
        """Delete an event that `add` put there."""

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        """Let the cursor expire in the service; return a cursor of that calendar that the service no longer knows."""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant in the month that most tests play in: March 2027."""
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def span(day: int, hour: int, minutes: int = 60) -> Span:
    return Span(at(day, hour), at(day, hour) + timedelta(minutes=minutes))


WINDOW = Span(at(1, 0), at(31, 0))


def draft(organizer: Address, *guests: Address, key: str = "", **changed: Any) -> EventDraft:
    """What we would like to book, unless `changed` says otherwise."""
    given = EventDraft(
        key=key or f"s{next(_NUMBERS)}.1",
        subject="Career conversation: Dana and Sam",
        body="Ein Gespräch, kein Bericht; mit Komma, Strichpunkt\nund zweiter Zeile.",
        span=span(9, 10, 75),
        zone="Europe/Berlin",
        organizer=Guest(organizer, "Dana Ö."),
        guests=tuple(Guest(guest, "Sam") for guest in guests),
    )
    return replace(given, **changed)


def days(zone: str, first: date, last: date) -> Span:
    """From the first midnight to the last, as lived in that zone."""
    place = ZoneInfo(zone)
    start = datetime.combine(first, time(), place)
    end = datetime.combine(last + DAY, time(), place)
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def letter(to: Address, subject: str = "Grüße") -> EmailMessage:
    """A mail as the worker makes them."""
    message = EmailMessage()
    message["From"] = "Dana Ö. <dana@example.org>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{next(_NUMBERS)}@longarc.example>"
    message.set_content("Zeile eins\n.\nFrom here on\n")
    message.add_alternative("<p>Zeile eins</p>", subtype="html")
    return message


def book(provider: CalendarProvider, hands: Hands) -> tuple[Address, Address, EventDraft]:
    """Book a conversation of two new people: the organizer, the guest, and what was wanted."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    return dana, sam, wanted
