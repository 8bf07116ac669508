"""The calendar and mail services of the demo: the servers that come with Longarc, or a double of a vendor's service.

The stage uses them by the protocol `DemoServices` alone. Each one writes its own sections of the settings.
"""

import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

from examples.northlight import people
from examples.northlight.caldav_program import CalDavProgram, CalendarEntry
from worker.clock import Clock
from worker.domain.model import Address, Span
from worker.embedded import EmbeddedServers
from worker.errors import LongarcError
from worker.providers.base import CalendarProvider, Mailer
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.client import DavClient

TIMEOUT_SECONDS = 20.0


class CalendarProgram(Protocol):
    """A calendar program, as one person uses it."""

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        """Add an entry; return the invitation for its attendees as iCalendar text."""

    def receive(self, text: str) -> None: ...
    def answer(self, title: str, span: Span, answer: str) -> None: ...
    def move(self, title: str, span: Span, to: Span) -> None: ...
    def delete(self, title: str, span: Span) -> None: ...
    def export(self) -> str: ...
    def close(self) -> None: ...


#: Who sends the mails, where the mail service has a mailbox for each sender.
SENDER = "longarc@northlight.example"


class DemoServices(Protocol):
    """Services that run from `open` until the stack is closed."""

    calendar_service: str  #: its name in the people file
    mail_service: str  #: its name in the people file
    real_parts: str  #: what of the services is real, as a text for the page
    calendar_source: str  #: where the calendars come from, as a text for the page
    mail_folder: Path  #: the folder with every mail received

    def open(self, stack: ExitStack) -> None: ...

    def format_settings(self) -> str:
        """Return the sections of the settings for these services."""

    def build_provider(self, clock: Clock) -> CalendarProvider: ...
    def build_mailers(self, clock: Clock) -> dict[str, Mailer]:
        """Return the mailers that need the clock of the demo, by service; others are created from the settings."""

    def add_person(self, person: Address) -> None: ...
    def open_calendar(self, person: Address) -> CalendarProgram: ...


class MailFolder:
    """A new folder with the mails that a double received, numbered in their order."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder, self._count = folder, 0

    def add(self, content: bytes) -> None:
        self._count += 1
        (self._folder / f"{self._count:06d}.eml").write_bytes(content)


class EmbeddedServices:
    """The servers that come with Longarc: Radicale, and SMTP."""

    calendar_service = "caldav"
    mail_service = "smtp"
    real_parts = "a CalDAV server, an SMTP server"
    calendar_source = "the CalDAV server"

    def __init__(self, work: Path) -> None:
        self._servers = EmbeddedServers(
            work / "servers", [row["email"] for row in people.FIRST_ROWS], zones=people.ZONES
        )
        self.mail_folder = work / "servers" / "eml"

    def open(self, stack: ExitStack) -> None:
        stack.enter_context(self._servers)

    def format_settings(self) -> str:
        host, port = self._servers.smtp_host, self._servers.smtp_port
        calendars = f"[calendars.caldav]\nurl = {json.dumps(self._servers.caldav_url)}\nattendee_copies = true\n"
        return f'{calendars}\n[mailers.smtp]\nhost = {json.dumps(host)}\nport = {port}\nsecurity = "none"\n'

    def build_provider(self, clock: Clock) -> CalendarProvider:
        url = self._servers.caldav_url
        return CalDavCalendar(
            DavClient(username=None, password=None, timeout=TIMEOUT_SECONDS), url, attendee_copies=True, clock=clock
        )

    def build_mailers(self, clock: Clock) -> dict[str, Mailer]:
        return {}

    def add_person(self, person: Address) -> None:
        self._servers.add_person(person, people.ZONES[person])

    def open_calendar(self, person: Address) -> CalendarProgram:
        return CalDavProgram(self._servers.caldav_url.format(email=person), person, people.ZONES[person])


def make_services(name: str, work: Path) -> DemoServices:
    """Return the services of the demo for a provider. Raises LongarcError for an unknown name."""
    if name == "caldav":
        return EmbeddedServices(work)
    if name == "google":
        from examples.northlight.google_services import GoogleServices

        return GoogleServices(work)
    if name == "outlook":
        from examples.northlight.outlook_services import OutlookServices

        return OutlookServices(work)
    raise LongarcError(f"The demo can't be played on {name}. Leave --provider out, or give caldav, google or outlook.")
