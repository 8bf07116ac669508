"""The demo on Microsoft 365, with a double in place of the real service; everything else is as in production.

The double is part of the tests, which are in a checkout of Longarc but not in the installed package.
"""

import json
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event

from examples.northlight import people
from examples.northlight.caldav_program import PROGRAM, CalendarEntry, compose_event
from examples.northlight.services import SENDER, MailFolder
from worker.clock import Clock
from worker.domain.model import Address, EventRef, ShowAs, Span
from worker.errors import LongarcError
from worker.providers.base import CalendarProvider, Mailer
from worker.providers.ical import events as ical_events
from worker.providers.ical import parser
from worker.providers.ical.reader import read_calendar
from worker.providers.outlook import calendar as outlook

if TYPE_CHECKING:
    from tests.doubles.graph import Double
    from tests.doubles.graph.state import Item, Mailbox

#: How far ahead occurrences of recurring events are added.
RECURRENCE_PERIOD = timedelta(days=300)
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentativelyAccepted"}


class OutlookServices:
    """The double of Microsoft 365 with the mailboxes of all people, and an app that may act for them."""

    calendar_service = mail_service = "outlook"
    real_parts = (
        "Microsoft's own library for its log-in, a double of Microsoft 365 that is as strict as its documentation"
    )
    calendar_source = "the double of Microsoft 365"

    def __init__(self, work: Path) -> None:
        try:
            from tests.doubles import graph
        except ModuleNotFoundError:
            raise LongarcError(
                "The demo on Microsoft 365 needs a checkout of Longarc: the double is one of its tests' parts. "
                "Get the source, and run `make demo PROVIDER=outlook` there."
            ) from None
        self._graph = graph
        self.mail_folder = work / "mails"
        self._double: Double

    def open(self, stack: ExitStack) -> None:
        self._double = stack.enter_context(self._graph.Double())
        for row in people.FIRST_ROWS:
            self.add_person(row["email"])
        self._double.world.add_person(SENDER)
        self._double.mails.take = MailFolder(self.mail_folder).add

    def format_settings(self) -> str:
        section = self._graph.make_section(self._double)
        keys = ("endpoint", "authority", "tenant", "client_id", "ca_file")
        return "\n".join(["[calendars.outlook]", *(f"{key} = {json.dumps(section[key])}" for key in keys), ""])

    def build_provider(self, clock: Clock) -> CalendarProvider:
        hands = self._graph.Hands(self._double)
        return outlook.build_calendar(self._graph.make_section(self._double, organizers=hands.organizers))

    def build_mailers(self, clock: Clock) -> dict[str, Mailer]:
        return {"outlook": outlook.build_mailer(self._graph.make_section(self._double, sender=SENDER))}

    def add_person(self, person: Address) -> None:
        self._double.world.add_person(person, people.ZONES[person])

    def open_calendar(self, person: Address) -> "OutlookProgram":
        return OutlookProgram(self._double, self._double.world.mailboxes[person])


class OutlookProgram:
    """Outlook, as one person uses it."""

    def __init__(self, double: "Double", mailbox: "Mailbox") -> None:
        self._double = double
        self._mailbox = mailbox

    def close(self) -> None:
        """Do nothing: there is no connection to close."""

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        calendar = compose_event(entry, self._mailbox.address, ZoneInfo(self._mailbox.zone), now)
        self._put_occurrences(calendar, now)
        return str(calendar.to_ical(), "utf-8")

    def receive(self, text: str) -> None:
        """Add an accepted event of another organizer."""
        parsed = parser.parse_calendar(text, "an invitation")
        main: Any = ical_events.find_main_event(parsed)
        start = main.start if isinstance(main.start, datetime) else datetime.combine(main.start, datetime.min.time())
        self._put_occurrences(
            parsed, start.replace(tzinfo=ZoneInfo(self._mailbox.zone)) if start.tzinfo is None else start
        )

    def _put_occurrences(self, calendar: Calendar, now: datetime) -> None:
        """Add each occurrence as an item; the items of a recurring event get a common series master."""
        main: Any = ical_events.find_main_event(calendar)
        uid = str(main.get("UID"))
        ref, zone = EventRef(self._mailbox.address, uid, ""), ZoneInfo(self._mailbox.zone)
        events = read_calendar(calendar, ref, zone, Span(now - timedelta(days=30), now + RECURRENCE_PERIOD)).events
        recurs = ical_events.is_recurring(calendar)
        master = self._put_item(uid, main, events[0], master=None) if recurs and events else None
        if master is not None:
            master.is_master = True
        for event in events:
            self._put_item(uid, main, event, master)

    def _put_item(self, uid: str, main: Any, event: Any, master: "Item | None") -> "Item":
        """Add an occurrence, or the series master, to the mailbox. `main` is the VEVENT, `event` the parsed event."""
        organizer = event.organizer or self._mailbox.address
        from tests.doubles.graph.state import Item

        item = Item(self._mailbox, uid, organizer, event.span.start, event.span.end)
        if event.all_day:
            first, end = (
                at.astimezone(ZoneInfo(self._mailbox.zone)).date() for at in (event.span.start, event.span.end)
            )
            item.put_at(item.start, item.end, days=(first, end))
        item.properties = {
            "subject": str(main.get("SUMMARY")),
            "showAs": _format_show_as(event.show_as),
            "sensitivity": "normal",
        }
        item.properties["body"] = {"contentType": "html", "content": ""}
        item.attendees = [
            {"address": address, "shown": address, "name": address, "type": "required", "response": "accepted"}
            for address in event.answers
        ]
        item.response = "organizer" if organizer == self._mailbox.address else "accepted"
        item.master = master
        self._mailbox.add(item)
        return item

    def answer(self, title: str, span: Span, answer: str) -> None:
        self._double.world.respond(self._find_item(title, span), _ANSWERS[answer])

    def move(self, title: str, span: Span, to: Span) -> None:
        item = self._find_item(title, span)
        item.put_at(to.start, to.end, days=None)
        self._double.world.reset_answers(item)
        self._mailbox.record_change(item)
        self._double.world.deliver(item, restores_deleted=True)

    def delete(self, title: str, span: Span) -> None:
        """Delete an event: the organizer cancels it, an attendee declines."""
        item = self._find_item(title, span)
        if item.is_organizer:
            self._double.world.cancel(item)
        else:
            self._double.world.respond(item, "declined")

    def _find_item(self, title: str, span: Span) -> "Item":
        """Return the event with this text in its title at this time. Raises LookupError."""
        for item in self._mailbox.items.values():
            if title in str(item.properties.get("subject")) and item.start == span.start and not item.is_master:
                return item
        raise LookupError(f"{self._mailbox.address} finds no {title!r} at {span.start}")

    def export(self) -> str:
        calendar = Calendar()
        calendar.add("prodid", PROGRAM)
        calendar.add("version", "2.0")
        for item in sorted(self._mailbox.items.values(), key=lambda item: (item.start, item.created)):
            if item.is_master:
                continue
            event = Event()
            event.add("uid", f"{item.uid}-{item.start:%Y%m%dT%H%M%SZ}")
            event.add("dtstamp", item.start)
            event.add("dtstart", item.days[0] if item.days else item.start)
            event.add("dtend", item.days[1] if item.days else item.end)
            event.add("summary", item.properties.get("subject"))
            calendar.add_component(event)
        return str(calendar.to_ical(), "utf-8")


def _format_show_as(show_as: ShowAs | None) -> str:
    """Return the value of `showAs` in Graph."""
    if show_as is None:
        return "free"
    return "oof" if show_as is ShowAs.AWAY else "busy"
