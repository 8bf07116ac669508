"""The demo on Google: a stand-in takes Google's place, everything else is as it is for a company.

The stand-in is part of the tests, and so of a checkout of Longarc, not of what is installed.
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
from examples.northlight.caldav_hands import PROGRAM, CalendarEntry
from worker.clock import Clock
from worker.domain.model import Address, Span
from worker.errors import LongarcError
from worker.providers.base import CalendarProvider, Mailer
from worker.providers.google import calendar, mail
from worker.providers.google.auth import EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE

if TYPE_CHECKING:
    from tests.doubles.google import Google, GoogleHands

SENDER = "longarc@northlight.example"
_ANSWERS = {"ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative"}


class GoogleServices:
    """The stand-in, with everybody's calendar on it, and a service account that may act for them."""

    calendars = mails = "google"
    real = "the Google API's own client library, a stand-in for Google that is as strict as its documentation"
    keeper = "the stand-in for Google"

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
        self._count = 0
        self._google: Google
        self._clock: Clock

    def open(self, stack: ExitStack) -> None:
        self._google = self._double.Google(clock=self._read_clock)
        stack.enter_context(self._google)
        for row in people.FIRST_ROWS:
            self.add_person(row["email"])
        self._google.calendars.add_person(SENDER)
        self._google.tokens.granted = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        self._google.post.rewrites = False  # by its Message-ID a mail is found in the ledger
        self._google.post.take = self._save_mail
        self.mail_folder.mkdir()
        self._key_file.touch(mode=0o600)
        self._key_file.write_text(json.dumps(self._google.tokens.service_account()), encoding="utf-8")

    def _read_clock(self) -> datetime:
        return self._clock()

    @property
    def _key_file(self) -> Path:
        return self._work / "google-key.json"

    def _save_mail(self, content: bytes) -> None:
        self._count += 1
        (self.mail_folder / f"{self._count:06d}.eml").write_bytes(content)

    def settings(self) -> str:
        told = []
        for kind, endpoint in (("calendars", "/calendar/v3/"), ("mailers", "/")):
            values = {"service_account": str(self._key_file), "endpoint": f"{self._google.url}{endpoint}"}
            values["token_endpoint"] = f"{self._google.url}/token"
            lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
            told.append("\n".join([f"[{kind}.google]", *lines, ""]))
        return "\n".join(told)

    def provider(self, clock: Clock) -> CalendarProvider:
        self._clock = clock
        return calendar.build_with_clock({**self._google.section, "service_account": str(self._key_file)}, clock)

    def mailers(self, clock: Clock) -> dict[str, Mailer]:
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
    """A person at Google Calendar in their browser."""

    def __init__(self, hands: "GoogleHands", double: "Google", owner: Address) -> None:
        self.owner = owner
        self._hands = hands
        self._double = double
        self._zone = ZoneInfo(people.ZONES[owner])

    def close(self) -> None:
        """Nothing is kept open."""

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        told: dict[str, Any] = {
            "summary": entry.title,
            "start": self._format_time(entry.start),
            "end": self._format_time(entry.end),
        }
        told["transparency"] = "transparent" if entry.free else "opaque"
        if entry.rule:
            told["recurrence"] = [f"RRULE:{_format_rule(entry)}", *self._list_exceptions(entry)]
        if entry.away and isinstance(entry.start, datetime):
            told["eventType"] = "outOfOffice"
        if entry.with_whom:
            said = {"responseStatus": "accepted"}
            told["attendees"] = [{"email": who, **said} for who in (self.owner, entry.with_whom)]
        return self._hands.insert(self.owner, **told)

    def receive(self, text: str) -> None:
        """Google has put it there already."""

    def _format_time(self, value: datetime | date) -> dict[str, str]:
        if not isinstance(value, datetime):
            return {"date": value.isoformat()}
        return {"dateTime": value.isoformat(), "timeZone": str(self._zone)}

    def _list_exceptions(self, entry: CalendarEntry) -> list[str]:
        if not isinstance(entry.start, datetime):
            return []
        hour = entry.start.time()
        found = [datetime.combine(day, hour, self._zone).astimezone(UTC) for day in entry.without]
        return [f"EXDATE:{at:%Y%m%dT%H%M%SZ}" for at in found]

    def answer(self, title: str, span: Span, answer: str) -> None:
        said = [{"email": self.owner, "responseStatus": _ANSWERS[answer]}]
        self._hands.patch(self.owner, self._find_event(title, span), attendees=said, attendeesOmitted=True)

    def move(self, title: str, span: Span, to: Span) -> None:
        times = {"start": to.start, "end": to.end}
        told = {name: self._format_time(at.astimezone(self._zone).replace(tzinfo=None)) for name, at in times.items()}
        self._hands.patch(self.owner, self._find_event(title, span), **told)

    def delete(self, title: str, span: Span) -> None:
        self._hands.remove(self.owner, self._find_event(title, span))

    def _find_event(self, title: str, span: Span) -> str:
        """The event of that title at that time. Raises LookupError."""
        for item in self._list_items():
            if title in str(item.get("summary", "")) and _parse_instant(item["start"], self._zone) == span.start:
                return str(item["id"])
        raise LookupError(f"{self.owner} finds no {title!r} at {span.start}")

    def _list_items(self) -> Iterator[dict[str, Any]]:
        yield from self._double.calendars.shown_to(self.owner)

    # --- for whoever wants to look at it -----------------------------------------------------------------------------

    def export(self) -> str:
        """The whole calendar as one iCalendar object."""
        whole = Calendar()
        whole.add("prodid", PROGRAM)
        whole.add("version", "2.0")
        whole.add("x-wr-timezone", str(self._zone))
        for item in sorted(self._list_items(), key=lambda one: str(one["id"])):
            whole.add_component(self._make_event(item))
        whole.add_missing_timezones(first_date=date(2026, 1, 1), last_date=date(2028, 1, 1))
        return str(whole.to_ical(), "utf-8")

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
        guests = item.get("attendees", ())
        if guests:
            event.add("organizer", vCalAddress(f"mailto:{item['organizer']['email']}"))
        for guest in guests:
            attendee = vCalAddress(f"mailto:{guest['email']}")
            attendee.params["PARTSTAT"] = guest["responseStatus"].upper().replace("NEEDSACTION", "NEEDS-ACTION")
            event.add("attendee", attendee)
        return event


def _format_rule(entry: CalendarEntry) -> str:
    rule: Any = vRecur(entry.rule)  # the library has no types here
    return str(rule.to_ical(), "ascii")


def _parse_time(at: dict[str, str], zone: ZoneInfo) -> datetime | date:
    return date.fromisoformat(at["date"]) if "date" in at else _parse_instant(at, zone).astimezone(zone)


def _parse_instant(at: dict[str, str], zone: ZoneInfo) -> datetime:
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    found = datetime.fromisoformat(at["dateTime"])
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
