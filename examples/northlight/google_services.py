"""The demo on Google, with a double in place of the real service; everything else is as in production.

The double is part of the tests, which are in a checkout of Longarc but not in the installed package.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vCalAddress, vRecur

from examples.northlight import people
from examples.northlight.caldav_program import PROGRAM, CalendarEntry
from examples.northlight.services import SENDER, MailFolder
from worker.clock import Clock
from worker.domain.model import Address, Span
from worker.errors import LongarcError
from worker.providers.base import CalendarProvider, Mailer
from worker.providers.google import calendar, mail
from worker.providers.google.auth import EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE

if TYPE_CHECKING:
    from tests.doubles.google import Google, GoogleHands

_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}


class GoogleServices:
    """The double of Google with the calendars of all people, and a service account that may act for them."""

    calendar_service = mail_service = "google"
    real_parts = "the Google API's own client library, a stand-in for Google that is as strict as its documentation"
    calendar_source = "the stand-in for Google"

    def __init__(self, work: Path) -> None:
        try:
            from tests.doubles import google as double
        except ModuleNotFoundError:
            raise LongarcError(
                "The demo on Google needs a checkout of Longarc: the stand-in for Google is one of its tests' parts. "
                "Get the source, and run `make demo PROVIDER=google` there."
            ) from None
        self._double = double
        self._work = work
        self.mail_folder = work / "mails"
        self._google: Google
        self._clock: Clock

    def open(self, stack: ExitStack) -> None:
        self._google = self._double.Google(clock=self._read_clock)
        stack.enter_context(self._google)
        for row in people.FIRST_ROWS:
            self.add_person(row["email"])
        self._google.calendars.add_person(SENDER)
        self._google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        self._google.gmail.rewrites_message_id = False  # the ledger refers to mails by Message-ID
        self._google.gmail.take = MailFolder(self.mail_folder).add
        self._key_file.touch(mode=0o600)
        self._key_file.write_text(json.dumps(self._google.tokens.add_service_account()), encoding="utf-8")

    def _read_clock(self) -> datetime:
        return self._clock()

    @property
    def _key_file(self) -> Path:
        return self._work / "google-key.json"

    def format_settings(self) -> str:
        sections = []
        for kind, endpoint in (("calendars", "/calendar/v3/"), ("mailers", "/")):
            values = {"service_account": str(self._key_file), "endpoint": f"{self._google.url}{endpoint}"}
            values["token_endpoint"] = f"{self._google.url}/token"
            lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
            sections.append("\n".join([f"[{kind}.google]", *lines, ""]))
        return "\n".join(sections)

    def build_provider(self, clock: Clock) -> CalendarProvider:
        self._clock = clock
        return calendar.build_with_clock(
            {**self._google.calendar_section, "service_account": str(self._key_file)}, clock
        )

    def build_mailers(self, clock: Clock) -> dict[str, Mailer]:
        return {
            "google": mail.build_with_clock(
                {**self._google.mail_section, "service_account": str(self._key_file)}, clock
            )
        }

    def add_person(self, person: Address) -> None:
        self._google.calendars.add_person(person, people.ZONES[person])

    def open_calendar(self, person: Address) -> "GoogleProgram":
        return GoogleProgram(self._double.GoogleHands(self._google.calendars), self._google, person)


class GoogleProgram:
    """Google Calendar, as one person uses it in a browser."""

    def __init__(self, hands: "GoogleHands", double: "Google", owner: Address) -> None:
        self.owner = owner
        self._hands = hands
        self._double = double
        self._zone = ZoneInfo(people.ZONES[owner])

    def close(self) -> None:
        """Do nothing: there is no connection to close."""

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        item: dict[str, Any] = {
            "summary": entry.title,
            "start": self._format_time(entry.start),
            "end": self._format_time(entry.end),
        }
        item["transparency"] = "transparent" if entry.is_free else "opaque"
        if entry.rule:
            item["recurrence"] = [f"RRULE:{_format_rule(entry)}", *self._list_exceptions(entry)]
        if entry.is_out_of_office and isinstance(entry.start, datetime):
            item["eventType"] = "outOfOffice"
        if entry.attendee:
            accepted = {"responseStatus": "accepted"}
            item["attendees"] = [{"email": address, **accepted} for address in (self.owner, entry.attendee)]
        return self._hands.insert(self.owner, **item)

    def receive(self, text: str) -> None:
        """Do nothing: Google has added the event to the calendars of all attendees."""

    def _format_time(self, value: datetime | date) -> dict[str, str]:
        if not isinstance(value, datetime):
            return {"date": value.isoformat()}
        return {"dateTime": value.isoformat(), "timeZone": str(self._zone)}

    def _list_exceptions(self, entry: CalendarEntry) -> list[str]:
        if not isinstance(entry.start, datetime):
            return []
        hour = entry.start.time()
        instants = [datetime.combine(day, hour, self._zone).astimezone(UTC) for day in entry.excluded_days]
        return [f"EXDATE:{at:%Y%m%dT%H%M%SZ}" for at in instants]

    def answer(self, title: str, span: Span, answer: str) -> None:
        attendees = [{"email": self.owner, "responseStatus": _ANSWERS[answer]}]
        self._hands.patch(self.owner, self._find_event(title, span), attendees=attendees, attendeesOmitted=True)

    def move(self, title: str, span: Span, to: Span) -> None:
        times = {"start": to.start, "end": to.end}
        fields = {name: self._format_time(at.astimezone(self._zone).replace(tzinfo=None)) for name, at in times.items()}
        self._hands.patch(self.owner, self._find_event(title, span), **fields)

    def delete(self, title: str, span: Span) -> None:
        self._hands.remove(self.owner, self._find_event(title, span))

    def _find_event(self, title: str, span: Span) -> str:
        """Return the id of the event with this text in its title at this time. Raises LookupError."""
        for item in self._list_items():
            if title in str(item.get("summary", "")) and _parse_instant(item["start"], self._zone) == span.start:
                return str(item["id"])
        raise LookupError(f"{self.owner} finds no {title!r} at {span.start}")

    def _list_items(self) -> Iterator[dict[str, Any]]:
        yield from self._double.calendars.list_events(self.owner)

    # --- export -------------------------------------------------------------------------------------------------------

    def export(self) -> str:
        """Return the whole calendar as one iCalendar object."""
        calendar_object = Calendar()
        calendar_object.add("prodid", PROGRAM)
        calendar_object.add("version", "2.0")
        calendar_object.add("x-wr-timezone", str(self._zone))
        for item in sorted(self._list_items(), key=lambda item: str(item["id"])):
            calendar_object.add_component(self._make_event(item))
        calendar_object.add_missing_timezones(first_date=date(2026, 1, 1), last_date=date(2028, 1, 1))
        return str(calendar_object.to_ical(), "utf-8")

    def _make_event(self, item: dict[str, Any]) -> Event:
        event = Event()
        event.add("uid", f"{item['id']}@google.com")
        event.add("dtstamp", datetime(2026, 1, 1, tzinfo=UTC))
        event.add("summary", item.get("summary", ""))
        event.add("dtstart", _parse_time(item["start"], self._zone))
        event.add("dtend", _parse_time(item["end"], self._zone))
        event.add("transp", item.get("transparency", "opaque").upper())
        for line in item.get("recurrence", ()):
            name, _, value = line.partition(":")
            if name == "RRULE":
                event.add("rrule", vRecur.from_ical(value))
            else:
                event.add("exdate", datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC))
        attendees = item.get("attendees", ())
        if attendees:
            event.add("organizer", vCalAddress(f"mailto:{item['organizer']['email']}"))
        for attendee in attendees:
            participant = vCalAddress(f"mailto:{attendee['email']}")
            participant.params["PARTSTAT"] = attendee["responseStatus"].upper().replace("NEEDSACTION", "NEEDS-ACTION")
            event.add("attendee", participant)
        return event


def _format_rule(entry: CalendarEntry) -> str:
    rule: Any = vRecur(entry.rule)  # the library has no types here
    return str(rule.to_ical(), "ascii")


def _parse_time(at: dict[str, str], zone: ZoneInfo) -> datetime | date:
    return date.fromisoformat(at["date"]) if "date" in at else _parse_instant(at, zone).astimezone(zone)


def _parse_instant(at: dict[str, str], zone: ZoneInfo) -> datetime:
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    parsed = datetime.fromisoformat(at["dateTime"])
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)
