"""Reads single VEVENTs (RFC 5545), and writes our own events and their copies in guests' calendars.

`worker.providers.ical.reader` reads whole calendar objects, and `worker.providers.ical.times` reads the times of an
event. A calendar object is the content of one iCalendar file: one event or one series. Our own events have a property
with their key, by which they are recognized.

Only times, statuses and addresses are read, never a subject or a body. Where the standard leaves a choice, this module
does the following:

- An all-day event of somebody else counts as `away`, like an out-of-office event, unless it takes no time (TRANSP is
  TRANSPARENT), is tentative or not accepted, or has a busy status of Microsoft, which then decides.
- Our own event counts as busy, answered or not, unless the owner of the calendar declined it.
- An invitation that an attendee delegated to somebody else takes no time of that attendee, and counts as declined by
  them.
- A property with two different values counts as missing.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar
from icalendar import Event as VEvent
from icalendar.prop import vBroken, vCalAddress, vText

from worker.domain.model import Address, Answer, EventDraft, NamedAddress, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers.ical.recurrence import read_sequence
from worker.providers.ical.times import NoStart, read_times
from worker.providers.ical.values import as_list, format_instant
from worker.providers.ical.zones import find_zone_by_name

KEY_PROPERTY = "X-LONGARC-KEY"  #: the key of our event; an event with this property is ours
ZONE_PROPERTY = "X-LONGARC-ZONE"  #: the time zone of the draft that our event was written from
DRAFT_PROPERTY = "X-LONGARC-DRAFT"  #: the fingerprint of the draft that our event was written from
#: This name has two uses. In a guest's copy, the property of this name is the span that the organizer's event had when
#: the copy was made. In the organizer's event, the *parameter* of this name on an ATTENDEE is TRUE when that guest has
#: a copy (`list_copied_guests`).
COPY_PROPERTY = "X-LONGARC-COPY"
BUSY_STATUS_PROPERTY = "X-MICROSOFT-CDO-BUSYSTATUS"

#: The properties of a VEVENT that we read. Servers are asked to send only these.
READ_PROPERTIES = (
    "UID DTSTART DTEND DURATION RRULE RDATE EXDATE RECURRENCE-ID STATUS TRANSP SEQUENCE ORGANIZER ATTENDEE "
    f"{BUSY_STATUS_PROPERTY} {KEY_PROPERTY} {ZONE_PROPERTY} {DRAFT_PROPERTY} {COPY_PROPERTY}"
).split()

#: The namespace of the UUIDs that are derived from keys.
_NAMESPACE = UUID("6f2b0c3e-4f0f-5d0a-9a63-1f6f0e6c1d57")
#: The answer that each participation status (PARTSTAT) means; every other status means that there is no answer yet.
_ANSWERS = {
    "ACCEPTED": Answer.ACCEPTED,
    "DECLINED": Answer.DECLINED,
    "TENTATIVE": Answer.TENTATIVE,
    "DELEGATED": Answer.DECLINED,  # the delegate has an ATTENDEE line too
}
_DECLINING_STATUSES = ("DECLINED", "DELEGATED")
#: How an event with a busy status of Microsoft counts in free/busy; None when it takes no time.
_SHOW_AS_BY_BUSY_STATUS = {"FREE": None, "TENTATIVE": ShowAs.TENTATIVE, "OOF": ShowAs.AWAY, "WORKINGELSEWHERE": None}
_NOT_PEOPLE = ("ROOM", "RESOURCE")  #: the types (CUTYPE) of attendees that are not people
UTC_ZONE = ZoneInfo("UTC")


# --- names ------------------------------------------------------------------------------------------------------------


def make_uid(key: str) -> str:
    """Return the UID of our event with that key. One key always gives the same UID, which is safe in a URL."""
    return f"longarc-{uuid5(_NAMESPACE, key)}"


def make_resource_name(key: str) -> str:
    """Return the name of the CalDAV resource in which our event with that key is stored."""
    return f"{make_uid(key)}.ics"


def is_own_resource_name(name: str) -> bool:
    """Return whether a resource name is one that `make_resource_name` returns."""
    return name.startswith("longarc-")


def fingerprint_draft(draft: EventDraft) -> str:
    """Return a short hash by which the draft can be recognized without storing its text."""
    return sha256(repr(draft).encode()).hexdigest()[:24]


# --- reading ----------------------------------------------------------------------------------------------------------


def find_main_event(calendar: Calendar) -> Any | None:
    """Return the first VEVENT that is not a changed occurrence of a series, else the first VEVENT; None when the
    calendar object has no VEVENT."""
    events = calendar.walk("VEVENT")
    return next((event for event in events if "RECURRENCE-ID" not in event), events[0] if events else None)


def is_recurring(calendar: Calendar) -> bool:
    """Return whether the calendar object contains a series or occurrences of a series."""
    return any(name in event for event in calendar.walk("VEVENT") for name in ("RRULE", "RDATE", "RECURRENCE-ID"))


def read_key(event: Any) -> str | None:
    """Return the key of our event; None for an event that is not ours."""
    return str(event[KEY_PROPERTY]) if KEY_PROPERTY in event else None


def read_span(event: Any, zone: tzinfo) -> Span:
    """Return the span of our event. Its dates and local times are in the time zone of its draft, or in `zone` when the
    event doesn't contain the draft's. Raises InvalidResponse when the event has no readable start."""
    try:
        return read_times(event, read_draft_zone(event) or zone).span
    except NoStart as error:
        raise InvalidResponse("an event of Longarc has no readable start any more") from error


def read_draft_zone(event: Any) -> tzinfo | None:
    """Return the time zone of the draft that our event was written from; None for an event that is not ours."""
    return find_zone_by_name(str(event.get(ZONE_PROPERTY, "")), guess=False)


def read_organizer(event: Any) -> Address:
    """Return the organizer's address; empty when the event has none."""
    return _read_address(event.get("ORGANIZER"))


def read_answers(event: Any) -> dict[Address, Answer]:
    """Return the answers of all attendees except the organizer, rooms and resources."""
    organizer = read_organizer(event)
    answers = {}
    for attendee in _list_attendees(event):
        email = _read_address(attendee)
        if email and email != organizer and _read_parameter(attendee, "CUTYPE") not in _NOT_PEOPLE:
            answers[email] = _ANSWERS.get(_read_parameter(attendee, "PARTSTAT"), Answer.NEEDS_ACTION)
    return answers


def find_show_as(event: Any, owner: Address) -> ShowAs | None:
    """Return how the event counts in the free/busy of `owner`, on whose calendar it is; None when it takes no time."""
    owner_lines = [attendee for attendee in _list_attendees(event) if _read_address(attendee) == owner]
    # An owner who is not among the attendees takes part: the event is the owner's.
    statuses = [_read_parameter(attendee, "PARTSTAT") for attendee in owner_lines] or ["ACCEPTED"]
    if is_cancelled(event) or all(status in _DECLINING_STATUSES for status in statuses):
        return None
    if _read_value(event, "TRANSP") == "TRANSPARENT":
        return None
    if KEY_PROPERTY in event:
        return ShowAs.BUSY
    busy_status = _read_value(event, BUSY_STATUS_PROPERTY)
    if busy_status in _SHOW_AS_BY_BUSY_STATUS:
        return _SHOW_AS_BY_BUSY_STATUS[busy_status]
    if _read_value(event, "STATUS") == "TENTATIVE" or "ACCEPTED" not in statuses:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if is_all_day(event) else ShowAs.BUSY


def is_cancelled(event: Any) -> bool:
    """Return whether the event's STATUS is CANCELLED."""
    return _read_value(event, "STATUS") == "CANCELLED"


def is_all_day(event: Any) -> bool:
    """Return whether the event's start is a date, without a time of day."""
    starts = [prop for prop in as_list(event.get("DTSTART", [])) if not isinstance(prop, vBroken)]
    return bool(starts) and not any(isinstance(prop.dt, datetime) for prop in starts)


def _read_value(event: Any, name: str) -> str:
    """Return the value of a property in upper case; empty when it is missing or has two different values."""
    values = {str(value).strip().upper() for value in as_list(event.get(name, []))}
    return values.pop() if len(values) == 1 else ""


def _list_attendees(event: Any) -> list[Any]:
    return as_list(event.get("ATTENDEE", []))


def _read_address(value: Any) -> Address:
    """Return the e-mail address of an ORGANIZER or ATTENDEE, from its mailto URI, else from its EMAIL parameter."""
    text = str(value or "").strip().lower()
    if text.startswith("mailto:"):
        return text.removeprefix("mailto:")
    return _read_parameter(value, "EMAIL").lower()


def _read_parameter(value: Any, name: str) -> str:
    """Return a parameter of a property in upper case; when it is missing, its default in RFC 5545 or an empty text."""
    parameters = getattr(value, "params", {})
    default = "NEEDS-ACTION" if name == "PARTSTAT" else ""
    return str(parameters.get(name, default)).upper()


# --- writing ----------------------------------------------------------------------------------------------------------


def compose_calendar(draft: EventDraft, now: datetime, *, without_server_invitations: bool) -> Calendar:
    """Return a calendar object with a new event of ours.

    `without_server_invitations`: the server must not invite the guests (SCHEDULE-AGENT=CLIENT, RFC 6638).
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Longarc//Longarc//EN")
    calendar.add("version", "2.0")
    event = VEvent()
    event.add("uid", make_uid(draft.key))
    event.add(KEY_PROPERTY, draft.key)
    event.add("created", now)
    event.add("class", "PRIVATE")
    for minutes in draft.reminders:
        event.add_component(_make_alarm(minutes))
    calendar.add_component(event)
    _fill_event(
        event, draft, now, sequence=draft.sequence, answers={}, without_server_invitations=without_server_invitations
    )
    return calendar


def compose_invitation(draft: EventDraft, now: datetime, method: str, sender: Address) -> str:
    """Return the iCalendar text of an invitation that `sender` sends by mail. `method`: REQUEST or CANCEL (RFC 5546).
    The text has neither our private properties nor reminders."""
    calendar = compose_calendar(replace(draft, reminders=()), now, without_server_invitations=False)
    calendar.add("method", method)
    event: Any = find_main_event(calendar)
    for name in (KEY_PROPERTY, ZONE_PROPERTY, DRAFT_PROPERTY):
        event.pop(name, None)
    if sender != draft.organizer.email:
        event["organizer"].params["SENT-BY"] = f"mailto:{sender}"
    if method == "CANCEL":
        event["status"] = vText("CANCELLED")
    return to_text(calendar)


def amend_event(calendar: Calendar, draft: EventDraft, now: datetime, *, without_server_invitations: bool) -> bool:
    """Rewrite our event from the draft, in place. Return whether the event was moved; moving it resets all answers.

    Properties that people added, such as alarms, colours and categories, are kept. Raises InvalidResponse when the
    calendar object has no event with a readable start.
    """
    event = find_main_event(calendar)
    if event is None:
        raise InvalidResponse("the calendar object to change contains no event")
    is_moved = read_span(event, ZoneInfo(draft.zone)) != draft.span or is_all_day(event) != draft.all_day
    sequence = max(read_sequence(event) + is_moved, draft.sequence)
    answers = {} if is_moved else read_answers(event)
    _fill_event(
        event, draft, now, sequence=sequence, answers=answers, without_server_invitations=without_server_invitations
    )
    return is_moved


def _fill_event(
    event: Any,
    draft: EventDraft,
    now: datetime,
    *,
    sequence: int,
    answers: dict[Address, Answer],
    without_server_invitations: bool,
) -> None:
    """Write the draft into the VEVENT. `answers`: the answers that attendees keep."""
    copied_guests = list_copied_guests(event)
    start: date | datetime = draft.span.start
    end: date | datetime = draft.span.end
    if draft.all_day:
        zone = ZoneInfo(draft.zone)
        start, end = draft.span.start.astimezone(zone).date(), draft.span.end.astimezone(zone).date()
    for name, value in {
        "dtstamp": now,
        "last-modified": now,
        "dtstart": start,
        "dtend": end,
        "summary": draft.title,
        "description": draft.body,
        "sequence": sequence,
        "status": "CONFIRMED",
        "transp": "OPAQUE" if draft.blocks_time else "TRANSPARENT",
        ZONE_PROPERTY: draft.zone,
        DRAFT_PROPERTY: fingerprint_draft(draft),
    }.items():
        event.pop(name, None)
        event.add(name, value)
    for name in ("duration", "organizer", "attendee"):
        event.pop(name, None)
    if draft.guests:
        event.add("organizer", _make_user(draft.organizer, {}))
    for guest in draft.guests:
        answer = answers.get(guest.email, Answer.NEEDS_ACTION)
        event.add("attendee", _compose_attendee(guest, answer, without_server_invitations=without_server_invitations))
    mark_copies(event, copied_guests)


def _compose_attendee(guest: NamedAddress, answer: Answer, *, without_server_invitations: bool) -> vCalAddress:
    parameters = {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": _format_partstat(answer), "RSVP": "TRUE"}
    return _make_user(guest, parameters | ({"SCHEDULE-AGENT": "CLIENT"} if without_server_invitations else {}))


def _make_user(guest: NamedAddress, parameters: dict[str, str]) -> vCalAddress:
    user = vCalAddress(f"mailto:{guest.email}")
    user.params.update({"CN": " ".join(guest.name.split())} | parameters)
    return user


def _format_partstat(answer: Answer) -> str:
    return answer.value.upper().replace("_", "-")


def _make_alarm(minutes: int) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", "Reminder")
    alarm.add("trigger", timedelta(minutes=-minutes))
    return alarm


def is_written_from(calendar: Calendar, draft: EventDraft) -> bool:
    """Return whether our event was last written from that draft, and was neither cancelled nor moved since."""
    event: Any = find_main_event(calendar)
    is_same_draft = str(event.get(DRAFT_PROPERTY, "")) == fingerprint_draft(draft) and not is_cancelled(event)
    return is_same_draft and read_span(event, ZoneInfo(draft.zone)) == draft.span


def is_own_original(calendar: Calendar) -> bool:
    """Return whether the calendar object is an event that we created on its organizer's calendar, and not a guest's
    copy of such an event."""
    event = find_main_event(calendar)
    return event is not None and KEY_PROPERTY in event and COPY_PROPERTY not in event


# --- copies in guests' calendars --------------------------------------------------------------------------------------


def list_copied_guests(event: Any) -> set[Address]:
    """Return the guests who are marked on the organizer's event as having a copy."""
    attendees = _list_attendees(event)
    return {_read_address(attendee) for attendee in attendees if _read_parameter(attendee, COPY_PROPERTY) == "TRUE"}


def mark_copies(event: Any, guests: Iterable[Address]) -> None:
    """Mark on the organizer's event that these guests have a copy."""
    addresses = set(guests)
    for attendee in _list_attendees(event):
        if _read_address(attendee) in addresses:
            attendee.params[COPY_PROPERTY] = "TRUE"


def make_guest_copy(calendar: Calendar, guest: Address, answer: Answer) -> Calendar:
    """Return the copy of the organizer's event for a guest's calendar. It contains that guest's answer only."""
    copy = deepcopy(calendar)
    event: Any = find_main_event(copy)
    event.add(COPY_PROPERTY, _format_span(read_own_span(copy)))
    for attendee in _list_attendees(event):
        visible_answer = answer if _read_address(attendee) == guest else Answer.NEEDS_ACTION
        attendee.params["PARTSTAT"] = _format_partstat(visible_answer)
        attendee.params.pop(COPY_PROPERTY, None)
    return copy


def is_copy(calendar: Calendar) -> bool:
    """Return whether the calendar object is a copy that we placed in a guest's calendar."""
    event = find_main_event(calendar)
    return event is not None and COPY_PROPERTY in event


def read_own_span(calendar: Calendar) -> Span:
    """Return the span of our event in the calendar object. Raises InvalidResponse when its start can't be read."""
    event: Any = find_main_event(calendar)
    return read_span(event, UTC_ZONE)  # our events contain their time zone


def has_same_uid(calendar: Calendar, other: Calendar) -> bool:
    """Return whether the main events of two calendar objects have the same UID, as an event and its copies do."""
    event, other_event = find_main_event(calendar), find_main_event(other)
    return event is not None and other_event is not None and event.get("UID") == other_event.get("UID")


def is_copy_current(copy: Calendar, original: Calendar) -> bool:
    """Return whether the copy was made from the current version of the organizer's event, `original`."""
    original_event: Any = find_main_event(original)
    copied_event: Any = find_main_event(copy)
    return has_copied_span(copy, read_own_span(original)) and all(
        original_event.get(name) == copied_event.get(name) for name in (DRAFT_PROPERTY, "SEQUENCE")
    )


def has_copied_span(copy: Calendar, span: Span) -> bool:
    """Return whether the copy was made while the organizer's event had that span."""
    event = find_main_event(copy)
    return event is not None and str(event.get(COPY_PROPERTY, "")) == _format_span(span)


def read_copy_answer(copy: Calendar, guest: Address, span: Span) -> Answer:
    """Return the guest's answer in their copy. A copy that the guest moved or cancelled means declined; a copy that
    can't be read means that there is no answer. `span`: the span of the organizer's event."""
    event = find_main_event(copy)
    if event is None:
        return Answer.NEEDS_ACTION
    try:
        # If the organizer's event has moved since the copy was made, the spans differ, but not because of the guest.
        is_moved = has_copied_span(copy, span) and read_span(event, UTC_ZONE) != span
    except InvalidResponse:
        return Answer.NEEDS_ACTION
    if is_moved or is_cancelled(event):
        return Answer.DECLINED
    return read_answers(event).get(guest, Answer.NEEDS_ACTION)


def _format_span(span: Span) -> str:
    return f"{format_instant(span.start)}/{format_instant(span.end)}"


def is_main_event_cancelled(calendar: Calendar) -> bool:
    """Return whether the main event of the calendar object is cancelled."""
    return is_cancelled(find_main_event(calendar))


def mark_cancelled(calendar: Calendar, now: datetime) -> None:
    """Set the STATUS of our event to CANCELLED."""
    event: Any = find_main_event(calendar)
    for name, value in (("status", "CANCELLED"), ("dtstamp", now)):
        event.pop(name, None)
        event.add(name, value)


def to_text(calendar: Calendar) -> str:
    """Return the iCalendar text of the calendar object."""
    return str(calendar.to_ical(), "utf-8")
