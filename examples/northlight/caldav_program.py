"""A calendar program of the demo, which changes a calendar by CalDAV as a person would do by hand.

It uses the package `caldav` instead of Longarc's own client. A person finds an event by its time and title, answers an
invitation in the copy in their own calendar, moves or deletes an event, or adds another one at the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, vCalAddress

from worker.domain.model import Address, Span
from worker.errors import LongarcError

PROGRAM = "-//A calendar program//EN"


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """An event that a person adds to a calendar. With a `rule` such as `{"freq": "weekly"}` it recurs."""

    title: str
    start: datetime | date  #: local time of the person, without a zone; a date for all-day events
    end: datetime | date
    rule: dict[str, Any] = field(default_factory=dict)
    excluded_days: Sequence[date] = ()  #: days on which the recurring event does not take place
    attendee: Address = ""  #: invited and has accepted
    is_free: bool = False  #: shown as free
    is_out_of_office: bool = False


class CalDavProgram:
    """A calendar program, as one person uses it."""

    def __init__(self, url: str, owner: Address, zone: str) -> None:
        self.owner = owner
        self._zone = ZoneInfo(zone)
        self._client = _import_client()(url=url, enable_rfc6764=False)
        self._calendar: Any = self._client.calendar(url=url)

    def close(self) -> None:
        self._client.close()

    # --- events of the person -----------------------------------------------------------------------------------------

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        """Add an event; return it as iCalendar text, for the calendars of its attendees."""
        text = str(compose_event(entry, self.owner, self._zone, now).to_ical(), "utf-8")
        self._calendar.add_event(text)
        return text

    def receive(self, text: str) -> None:
        """Add an accepted event of another organizer."""
        self._calendar.add_event(text)

    # --- events of other people, and of Longarc -----------------------------------------------------------------------

    def answer(self, title: str, span: Span, answer: str) -> None:
        """Answer an invitation: `ACCEPTED`, `DECLINED` or `TENTATIVE`."""
        event = self._find_event(title, span)
        for attendee in _list_attendees(event.icalendar_component):
            if str(attendee).lower() == f"mailto:{self.owner}":
                attendee.params["PARTSTAT"] = answer
                attendee.params.pop("RSVP", None)
        event.save(increase_seqno=False)

    def move(self, title: str, span: Span, to: Span) -> None:
        """Move an event to another time."""
        event = self._find_event(title, span)
        component = event.icalendar_component
        for name, instant in (("DTSTART", to.start), ("DTEND", to.end)):
            component.pop(name, None)
            component.add(name, instant.astimezone(self._zone))
        _name_zones(event.icalendar_instance)
        event.save()

    def delete(self, title: str, span: Span) -> None:
        """Delete an event."""
        self._find_event(title, span).delete()

    def _find_event(self, title: str, span: Span) -> Any:
        """Return the event with this text in its title at this time. Raises LookupError."""
        for event in self._calendar.search(start=span.start, end=span.end, event=True, expand=False):
            component = event.icalendar_component
            if title in str(component.get("SUMMARY", "")) and component.start == span.start:
                return event
        raise LookupError(f"{self.owner} finds no {title!r} at {span.start}")

    # --- export -------------------------------------------------------------------------------------------------------

    def export(self) -> str:
        """Return the whole calendar as one iCalendar object."""
        calendar = Calendar()
        calendar.add("prodid", PROGRAM)
        calendar.add("version", "2.0")
        calendar.add("x-wr-timezone", str(self._zone))
        zones: set[str] = set()
        for event in sorted(self._calendar.events(), key=lambda event: str(event.url)):
            for part in event.icalendar_instance.subcomponents:
                name = str(part.get("TZID", ""))
                if part.name != "VTIMEZONE" or name not in zones:
                    calendar.add_component(part)
                    zones.add(name)
        return str(calendar.to_ical(), "utf-8")


def _import_client() -> Any:
    """Return the client of the package `caldav`, which only a checkout of Longarc has. Raises LongarcError."""
    try:
        from caldav import DAVClient
    except ModuleNotFoundError as error:
        raise LongarcError(f"The demo needs {error.name}: play it from a checkout, with `make demo`.") from error
    return DAVClient


def compose_event(entry: CalendarEntry, owner: Address, zone: ZoneInfo, now: datetime) -> Calendar:
    """Return the event as a calendar program writes it."""

    def to_zoned(value: datetime | date) -> datetime | date:
        return value.replace(tzinfo=zone) if isinstance(value, datetime) else value

    calendar = Calendar()
    calendar.add("prodid", PROGRAM)
    calendar.add("version", "2.0")
    event = Event()
    event.add("uid", str(uuid5(NAMESPACE_URL, f"{owner}|{entry.title}|{entry.start}")))
    event.add("dtstamp", now)
    event.add("summary", entry.title)
    event.add("dtstart", to_zoned(entry.start))
    event.add("dtend", to_zoned(entry.end))
    event.add("transp", "TRANSPARENT" if entry.is_free else "OPAQUE")
    if entry.rule:
        event.add("rrule", entry.rule)
    if entry.excluded_days and isinstance(entry.start, datetime):
        hour = entry.start.time()
        event.add("exdate", [to_zoned(datetime.combine(day, hour)) for day in entry.excluded_days])
    if entry.is_out_of_office:
        event.add("x-microsoft-cdo-busystatus", "OOF")
    if entry.attendee:
        _invite(event, owner, entry.attendee)
    if isinstance(entry.start, datetime):
        event.add_component(_make_alarm())
    calendar.add_component(event)
    _name_zones(calendar)
    return calendar


def _name_zones(calendar: Calendar) -> None:
    """Add the VTIMEZONE of each zone used, as calendar programs do, for the time of the demo only."""
    calendar.add_missing_timezones(first_date=date(2026, 9, 1), last_date=date(2027, 7, 1))


def _invite(event: Event, organizer: Address, attendee: Address) -> None:
    event.add("organizer", vCalAddress(f"mailto:{organizer}"))
    for address in (organizer, attendee):
        participant = vCalAddress(f"mailto:{address}")
        participant.params["PARTSTAT"] = "ACCEPTED"
        event.add("attendee", participant)


def _make_alarm() -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", "Reminder")
    alarm.add("trigger", timedelta(minutes=-10))
    return alarm


def _list_attendees(component: Any) -> list[Any]:
    attendees = component.get("ATTENDEE", [])
    return attendees if isinstance(attendees, list) else [attendees]
