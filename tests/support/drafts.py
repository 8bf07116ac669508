"""Events and mails to test providers with, in March 2027, and the interface by which tests act as people."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from itertools import count
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, EventDraft, NamedAddress, ShowAs, Span
from worker.providers.base import CalendarProvider

_NUMBERS = count(1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
UNUSED_KEY = "s0.1"  #: the key of no event; to look for it is the smallest use of a calendar


class Hands(Protocol):
    """Acts on calendars as people do, in their own programs. The methods that add an event return a name for it."""

    def person(self, zone: str = "UTC") -> Address:
        """Return a new person with an empty calendar in that zone."""

    def unreadable_person(self) -> Address:
        """Return a person whose calendar can't be read."""

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        """Add an event of the person alone; with `show` None it leaves the time free."""

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        """Add an all-day event from the first to the last day, both included; without `opaque` it leaves them free."""

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """Add a meeting that Longarc does not know, with a guest who has given that answer."""

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        """Add a series: the same time on so many days in a row."""

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None: ...

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None: ...

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        """Let the guest answer our invitation."""

    def move(self, address: Address, key: str, span: Span) -> None:
        """Move our event to another time, on that person's calendar."""

    def delete(self, address: Address, key: str) -> None:
        """Delete our event from that person's calendar."""

    def remove(self, address: Address, name: str) -> None:
        """Delete an event by the name that its addition returned."""

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        """Let the cursor expire in the service; return a cursor of that calendar that the service no longer knows."""


class TextReader(Hands, Protocol):
    """Reads what only people read: the titles and texts of events."""

    def read_title_and_text(self, address: Address, key: str) -> str:
        """Return the title and the text of our event on its organizer's calendar."""


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return an instant of March 2027, in UTC."""
    return datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def span(day: int, hour: int, minutes: int = 60) -> Span:
    """Return a span that starts at that full hour of that day of March 2027, in UTC."""
    return Span(at(day, hour), at(day, hour) + timedelta(minutes=minutes))


WINDOW = Span(at(1, 0), at(31, 0))


def draft(organizer: Address, *guests: Address, key: str = "", **changed: Any) -> EventDraft:
    """Return the draft of a session's event on the 9th, from 10:00 to 11:15 UTC; `changed` replaces fields."""
    usual_draft = EventDraft(
        key=key or f"s{next(_NUMBERS)}.1",
        title="Career conversation: Dana and Sam",
        body="Ein Gespräch, kein Bericht; mit Komma, Strichpunkt\nund zweiter Zeile.",
        span=span(9, 10, 75),
        zone="Europe/Berlin",
        organizer=NamedAddress(organizer, "Dana Ö."),
        guests=tuple(NamedAddress(guest, "Sam") for guest in guests),
    )
    return replace(usual_draft, **changed)


def days(zone: str, first: date, last: date) -> Span:
    """Return the span of whole days in that zone, both included."""
    local = ZoneInfo(zone)
    start = datetime.combine(first, time(), local)
    end = datetime.combine(last + DAY, time(), local)
    return Span(start.astimezone(UTC), end.astimezone(UTC))


def letter(to: Address, subject: str = "Grüße") -> EmailMessage:
    """Return a mail such as the worker makes."""
    message = EmailMessage()
    message["From"] = "Dana Ö. <dana@example.org>"
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{next(_NUMBERS)}@longarc.example>"
    message.set_content("Zeile eins\n.\nFrom here on\n")
    message.add_alternative("<p>Zeile eins</p>", subtype="html")
    return message


def book(provider: CalendarProvider, hands: Hands) -> tuple[Address, Address, EventDraft]:
    """Book a conversation of two new people; return the organizer, the guest, and the draft."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    return dana, sam, event_draft
