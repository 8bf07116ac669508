"""Where the demo's calendars are kept and its mails are taken: servers that come along, or a stand-in for a vendor's.

The stage asks nothing else of them. Each house says what an operator would write into the settings for it.
"""

import json
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Protocol

from examples.northlight import people
from examples.northlight.caldav_hands import CalDavProgram, CalendarEntry
from worker.clock import Clock
from worker.domain.model import Address, Span
from worker.embedded import EmbeddedServers
from worker.errors import LongarcError
from worker.providers.base import CalendarProvider, Mailer
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.client import DavClient

TIMEOUT = 20.0


class CalendarProgram(Protocol):
    """One person at their calendar program."""

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        """Put an entry there; what is to be handed to those invited."""

    def receive(self, text: str) -> None: ...
    def answer(self, title: str, span: Span, answer: str) -> None: ...
    def move(self, title: str, span: Span, to: Span) -> None: ...
    def delete(self, title: str, span: Span) -> None: ...
    def export(self) -> str: ...
    def close(self) -> None: ...


class DemoServices(Protocol):
    """Servers, from `open` until the stack is unwound."""

    calendars: str  #: the calendar service that the people file names
    mails: str  #: and the mail service
    real: str  #: what is real about it, in words
    keeper: str  #: who gives the calendars out, in words
    taken: Path  #: holds each mail as it was taken

    def open(self, stack: ExitStack) -> None: ...

    def settings(self) -> str:
        """The sections of the settings that lead here."""

    def provider(self, clock: Clock) -> CalendarProvider: ...
    def mailers(self, clock: Clock) -> dict[str, Mailer]:
        """Those that have to be told the time; the others are made from the settings."""

    def add_person(self, person: Address) -> None: ...
    def open_calendar(self, person: Address) -> CalendarProgram: ...


class EmbeddedServices:
    """The servers that come with Longarc: Radicale, and SMTP."""

    calendars, mails = "caldav", "smtp"
    real = "a CalDAV server, an SMTP server"
    keeper = "the CalDAV server"

    def __init__(self, work: Path) -> None:
        self._servers = EmbeddedServers(
            work / "servers", [row["email"] for row in people.FIRST_ROWS], zones=people.ZONES
        )
        self.taken = work / "servers" / "eml"

    def open(self, stack: ExitStack) -> None:
        stack.enter_context(self._servers)

    def settings(self) -> str:
        host, port = self._servers.smtp_host, self._servers.smtp_port
        calendars = f"[calendars.caldav]\nurl = {json.dumps(self._servers.caldav_url)}\nattendee_copies = true\n"
        return f'{calendars}\n[mailers.smtp]\nhost = {json.dumps(host)}\nport = {port}\nsecurity = "none"\n'

    def provider(self, clock: Clock) -> CalendarProvider:
        url = self._servers.caldav_url
        return CalDavCalendar(DavClient(None, None, TIMEOUT), url, attendee_copies=True, clock=clock)

    def mailers(self, clock: Clock) -> dict[str, Mailer]:
        return {}

    def add_person(self, person: Address) -> None:
        self._servers.add_person(person, people.ZONES[person])

    def open_calendar(self, person: Address) -> CalendarProgram:
        return CalDavProgram(self._servers.caldav_url.format(email=person), person, people.ZONES[person])


def make_services(name: str, work: Path) -> DemoServices:
    """The house of that provider. Raises LongarcError when there is none."""
    if name == "caldav":
        return EmbeddedServices(work)
    if name == "google":
        from examples.northlight.google_hands import GoogleServices

        return GoogleServices(work)
    if name == "outlook":
        from examples.northlight.outlook_hands import OutlookServices

        return OutlookServices(work)
    raise LongarcError(f"The demo can't be played on {name}. Leave --provider out, or give caldav, google or outlook.")
