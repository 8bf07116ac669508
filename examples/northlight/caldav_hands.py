"""A person at a calendar program: what somebody does by hand, done through CalDAV as such a program would do it.

Nothing of Longarc's own is used here. A person finds an event by its day and its title, answers an invitation in the
copy that lies in their own calendar, drags an event to another hour, deletes it, writes something over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, vCalAddress

from worker.domain.model import Address, Span
from worker.errors import LongarcError

PROGRAM = "-//A calendar program//EN"
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEntry:
    """Something a person writes into a calendar; recurring with a rule such as `{"freq": "weekly"}`."""

    title: str
    start: datetime | date  #: wall clock of the person, without a zone; a date for all-day entries
    end: datetime | date
    rule: dict[str, Any] = field(default_factory=dict)
    without: Sequence[date] = ()  #: days on which the recurring entry does not take place
    with_whom: Address = ""  #: somebody invited, who has accepted
    free: bool = False  #: shown, but leaves the time free
    away: bool = False  #: out of office


class CalDavProgram:
    """One person's calendar, as their program shows it."""

    def __init__(self, url: str, owner: Address, zone: str) -> None:
        self.owner = owner
        self._zone = ZoneInfo(zone)
        self._client = _import_client()(url=url, enable_rfc6764=False)
        self._calendar: Any = self._client.calendar(url=url)

    def close(self) -> None:
        self._client.close()

    # --- writing one's own entries -----------------------------------------------------------------------------------

    def add(self, entry: CalendarEntry, now: datetime) -> str:
        """Put an entry there; the text of it, for the calendars of those invited."""
        text = str(compose_event(entry, self.owner, self._zone, now).to_ical(), "utf-8")
        self._calendar.add_event(text)
        return text

    def receive(self, text: str) -> None:
        """Take over an entry that somebody else invited to, and that was accepted."""
        self._calendar.add_event(text)

    # --- what others, and Longarc, put there -------------------------------------------------------------------------

    def answer(self, title: str, span: Span, answer: str) -> None:
        """Answer an invitation: `ACCEPTED`, `DECLINED` or `TENTATIVE`."""
        event = self._find_event(title, span)
        for attendee in _list_attendees(event.icalendar_component):
            if str(attendee).lower() == f"mailto:{self.owner}":
                attendee.params["PARTSTAT"] = answer
                attendee.params.pop("RSVP", None)
        event.save(increase_seqno=False)

    def move(self, title: str, span: Span, to: Span) -> None:
        """Drag an event to another time."""
        event = self._find_event(title, span)
        component = event.icalendar_component
        for name, instant in (("DTSTART", to.start), ("DTEND", to.end)):
            component.pop(name, None)
            component.add(name, instant.astimezone(self._zone))
        _name_zones(event.icalendar_instance)
        event.save()

    def delete(self, title: str, span: Span) -> None:
        """Press the delete key."""
        self._find_event(title, span).delete()

    def _find_event(self, title: str, span: Span) -> Any:
        """The event of that title at that time. Raises LookupError."""
        day = datetime.combine(span.start.astimezone(UTC).date(), time(), UTC)
        for event in self._calendar.search(start=day, end=day + 2 * DAY, event=True, expand=False):
            component = event.icalendar_component
            if title in str(component.get("SUMMARY", "")) and component.start == span.start:
                return event
        raise LookupError(f"{self.owner} finds no {title!r} at {span.start}")

    # --- for whoever wants to look at it -----------------------------------------------------------------------------

    def export(self) -> str:
        """The whole calendar as one iCalendar object."""
        whole = Calendar()
        whole.add("prodid", PROGRAM)
        whole.add("version", "2.0")
        whole.add("x-wr-timezone", str(self._zone))
        zones: set[str] = set()
        for event in sorted(self._calendar.events(), key=lambda one: str(one.url)):
            for part in event.icalendar_instance.subcomponents:
                name = str(part.get("TZID", ""))
                if part.name != "VTIMEZONE" or name not in zones:
                    whole.add_component(part)
                    zones.add(name)
        return str(whole.to_ical(), "utf-8")


def _import_client() -> Any:
    """A calendar program's client that is not ours. It is there where Longarc is developed, and nowhere else."""
    try:
        from caldav import DAVClient
    except ModuleNotFoundError as error:
        raise LongarcError(f"The demo needs {error.name}: play it from a checkout, with `make demo`.") from error
    return DAVClient


def compose_event(entry: CalendarEntry, owner: Address, zone: ZoneInfo, now: datetime) -> Calendar:
    """The entry as a program writes it."""

    def local(value: datetime | date) -> datetime | date:
        return value.replace(tzinfo=zone) if isinstance(value, datetime) else value

    calendar = Calendar()
    calendar.add("prodid", PROGRAM)
    calendar.add("version", "2.0")
    event = Event()
    event.add("uid", str(uuid5(NAMESPACE_URL, f"{owner}|{entry.title}|{entry.start}")))
    event.add("dtstamp", now)
    event.add("summary", entry.title)
    event.add("dtstart", local(entry.start))
    event.add("dtend", local(entry.end))
    event.add("transp", "TRANSPARENT" if entry.free else "OPAQUE")
    if entry.rule:
        event.add("rrule", entry.rule)
    if entry.without and isinstance(entry.start, datetime):
        hour = entry.start.time()
        event.add("exdate", [local(datetime.combine(day, hour)) for day in entry.without])
    if entry.away:
        event.add("x-microsoft-cdo-busystatus", "OOF")
    if entry.with_whom:
        _invite(event, owner, entry.with_whom)
    if isinstance(entry.start, datetime):
        event.add_component(_make_alarm())
    calendar.add_component(event)
    _name_zones(calendar)
    return calendar


def _name_zones(calendar: Calendar) -> None:
    """Describe the zones used, as programs do; for the years that matter, since each reader reads all of it."""
    calendar.add_missing_timezones(first_date=date(2026, 1, 1), last_date=date(2028, 1, 1))


def _invite(event: Event, organizer: Address, guest: Address) -> None:
    event.add("organizer", vCalAddress(f"mailto:{organizer}"))
    for who in (organizer, guest):
        attendee = vCalAddress(f"mailto:{who}")
        attendee.params["PARTSTAT"] = "ACCEPTED"
        event.add("attendee", attendee)


def _make_alarm() -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", "Reminder")
    alarm.add("trigger", timedelta(minutes=-10))
    return alarm


def _list_attendees(component: Any) -> list[Any]:
    found = component.get("ATTENDEE", [])
    return found if isinstance(found, list) else [found]
