"""Reads single VEVENTs (RFC 5545), and writes our own events and their copies.

Only times, statuses and addresses are read, never a subject or a body. Where the standard leaves a choice, this module
does the following:

- An opaque all-day event counts as `away`, like out of office.
- Our own event counts as busy, answered or not, unless the owner of the calendar declined it.
- A delegated invitation takes no time of the attendee who delegated it, and counts as their decline.
- A property with two different values counts as missing.

`worker.providers.ical.reader` reads whole calendars, `worker.providers.ical.times` the times of an event.
"""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar
from icalendar import Event as VEvent
from icalendar.prop import vBroken, vCalAddress, vText

from worker.domain.model import Address, Answer, EventDraft, Guest, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers.ical.times import NoStart, read_times
from worker.providers.ical.values import as_list, format_instant
from worker.providers.ical.zones import find_zone_by_name

KEY_PROPERTY = "X-LONGARC-KEY"  #: the key of our event: marks it as ours
ZONE_PROPERTY = "X-LONGARC-ZONE"  #: the zone that the dates of our all-day event are in
DRAFT_PROPERTY = "X-LONGARC-DRAFT"  #: the fingerprint of the draft that our event was written from
#: On a guest's copy: the span of the organizer's event. As a parameter of an attendee: TRUE when they have a copy.
COPY_PROPERTY = "X-LONGARC-COPY"
BUSY_STATUS_PROPERTY = "X-MICROSOFT-CDO-BUSYSTATUS"

#: The properties of a VEVENT that we read: servers are asked to leave out the others.
READ_PROPERTIES = (
    "UID DTSTART DTEND DURATION RRULE RDATE EXDATE RECURRENCE-ID STATUS TRANSP SEQUENCE ORGANIZER ATTENDEE "
    f"{BUSY_STATUS_PROPERTY} {KEY_PROPERTY} {ZONE_PROPERTY} {DRAFT_PROPERTY} {COPY_PROPERTY}"
).split()

_NAMESPACE = UUID("6f2b0c3e-4f0f-5d0a-9a63-1f6f0e6c1d57")
_ANSWERS = {
    "ACCEPTED": Answer.ACCEPTED,
    "DECLINED": Answer.DECLINED,
    "TENTATIVE": Answer.TENTATIVE,
    "DELEGATED": Answer.DECLINED,  # the delegate has an ATTENDEE line with their own answer
}
_ABSENT_ANSWERS = ("DECLINED", "DELEGATED")
_SHOW_BY_STATUS = {"FREE": None, "TENTATIVE": ShowAs.TENTATIVE, "OOF": ShowAs.AWAY, "WORKINGELSEWHERE": None}
UTC_ZONE = ZoneInfo("UTC")


# --- names ------------------------------------------------------------------------------------------------------------


def make_uid(key: str) -> str:
    """Return the UID of our event of that key: always the same, safe in a URL."""
    return f"longarc-{uuid5(_NAMESPACE, key)}"


def make_resource_name(key: str) -> str:
    """Return the name under which our event of that key is stored."""
    return f"{make_uid(key)}.ics"


def is_ours(name: str) -> bool:
    """True when a resource name is one that `make_resource_name` returns."""
    return name.startswith("longarc-")


def fingerprint_draft(draft: EventDraft) -> str:
    """Return a short hash of the draft, to recognize it without keeping its text."""
    return sha256(repr(draft).encode()).hexdigest()[:24]


# --- reading ----------------------------------------------------------------------------------------------------------


def find_main_event(calendar: Calendar) -> Any | None:
    """Return the first VEVENT that is not a changed occurrence, else the first VEVENT; None when there is none."""
    events = calendar.walk("VEVENT")
    return next((event for event in events if "RECURRENCE-ID" not in event), events[0] if events else None)


def is_recurring(calendar: Calendar) -> bool:
    """True when the object holds a series or occurrences of one."""
    return any(name in event for event in calendar.walk("VEVENT") for name in ("RRULE", "RDATE", "RECURRENCE-ID"))


def key_of(event: Any) -> str | None:
    """Return our key, when the event is ours."""
    return str(event[KEY_PROPERTY]) if KEY_PROPERTY in event else None


def span_of(event: Any, zone: tzinfo) -> Span:
    """Return the event's span. Dates and local times are in `zone`, or in the zone that our event was written with.
    Raises InvalidResponse when it has no readable start."""
    try:
        return read_times(event, own_zone_of(event) or zone).span
    except NoStart as error:
        raise InvalidResponse("an event of ours has no readable start any more") from error


def own_zone_of(event: Any) -> tzinfo | None:
    """Return the zone that the dates of our all-day event are in; None for other events."""
    return find_zone_by_name(str(event.get(ZONE_PROPERTY, "")), guess=False)


def organizer_of(event: Any) -> Address:
    """Return the organizer's address; empty when the event has none."""
    return _read_address(event.get("ORGANIZER"))


def read_answers(event: Any) -> dict[Address, Answer]:
    """Return the answers of all attendees except the organizer and rooms."""
    organizer = _read_address(event.get("ORGANIZER"))
    answers = {}
    for attendee in _list_attendees(event):
        email = _read_address(attendee)
        if email and email != organizer and _read_parameter(attendee, "CUTYPE") not in ("ROOM", "RESOURCE"):
            answers[email] = _ANSWERS.get(_read_parameter(attendee, "PARTSTAT"), Answer.NEEDS_ACTION)
    return answers


def show_of(event: Any, owner: Address) -> ShowAs | None:
    """Return how the event counts in the free/busy of `owner`, whose calendar it is on; None when it takes no time."""
    own_lines = [attendee for attendee in _list_attendees(event) if _read_address(attendee) == owner]
    answers = [_read_parameter(attendee, "PARTSTAT") for attendee in own_lines] or ["ACCEPTED"]
    if is_cancelled(event) or all(answer in _ABSENT_ANSWERS for answer in answers):
        return None
    if _read_value(event, "TRANSP") == "TRANSPARENT":
        return None
    if KEY_PROPERTY in event:
        return ShowAs.BUSY
    busy_status = _read_value(event, BUSY_STATUS_PROPERTY)
    if busy_status in _SHOW_BY_STATUS:
        return _SHOW_BY_STATUS[busy_status]
    if _read_value(event, "STATUS") == "TENTATIVE" or "ACCEPTED" not in answers:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if is_all_day(event) else ShowAs.BUSY


def is_cancelled(event: Any) -> bool:
    """True when the event's STATUS is CANCELLED."""
    return _read_value(event, "STATUS") == "CANCELLED"


def is_all_day(event: Any) -> bool:
    """True when the event's start is a date."""
    starts = [prop for prop in as_list(event.get("DTSTART", [])) if not isinstance(prop, vBroken)]
    return bool(starts) and not any(isinstance(prop.dt, datetime) for prop in starts)


def _read_value(event: Any, name: str) -> str:
    """Return the value of a property, in capitals; empty when it is missing or has two different values."""
    values = {str(value).strip().upper() for value in as_list(event.get(name, []))}
    return values.pop() if len(values) == 1 else ""


def _list_attendees(event: Any) -> list[Any]:
    return as_list(event.get("ATTENDEE", []))


def _read_address(value: Any) -> Address:
    """Return the e-mail address of an ORGANIZER or ATTENDEE: its mailto URI, else its EMAIL parameter."""
    text = str(value or "").strip().lower()
    if text.startswith("mailto:"):
        return text.removeprefix("mailto:")
    return _read_parameter(value, "EMAIL").lower()


def _read_parameter(value: Any, name: str) -> str:
    parameters = getattr(value, "params", {})
    default = "NEEDS-ACTION" if name == "PARTSTAT" else ""
    return str(parameters.get(name, default)).upper()


# --- writing ----------------------------------------------------------------------------------------------------------


def compose_calendar(draft: EventDraft, now: datetime, *, we_schedule: bool) -> Calendar:
    """Return a calendar object with a new event of ours. `we_schedule`: tell the server not to send invitations
    itself."""
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
    _fill_event(event, draft, now, draft.sequence, {}, we_schedule)
    return calendar


def compose_invitation(draft: EventDraft, now: datetime, method: str, sender: Address) -> str:
    """Return the text of an invitation that goes by mail from `sender`; `method` is REQUEST or CANCEL (RFC 5546).
    Leaves out our private properties and the reminders."""
    calendar = compose_calendar(replace(draft, reminders=()), now, we_schedule=False)
    calendar.add("method", method)
    event: Any = find_main_event(calendar)
    for name in (KEY_PROPERTY, ZONE_PROPERTY, DRAFT_PROPERTY):
        event.pop(name, None)
    if sender != draft.organizer.email:
        event["organizer"].params["SENT-BY"] = f"mailto:{sender}"
    if method == "CANCEL":
        event["status"] = vText("CANCELLED")
    return to_text(calendar)


def amend_event(calendar: Calendar, draft: EventDraft, now: datetime, *, we_schedule: bool) -> bool:
    """Rewrite our event from the draft. Return whether it moved, which resets all answers. What people added to it
    (alarms, colours, categories) stays."""
    event = find_main_event(calendar)
    if event is None:
        raise InvalidResponse("the calendar object to change holds no event")
    is_moved = span_of(event, ZoneInfo(draft.zone)) != draft.span or is_all_day(event) != draft.all_day
    sequence = max(int(event.get("SEQUENCE", 0)) + is_moved, draft.sequence)
    _fill_event(event, draft, now, sequence, {} if is_moved else read_answers(event), we_schedule)
    return is_moved


def _fill_event(
    event: Any,
    draft: EventDraft,
    now: datetime,
    sequence: int,
    answers: dict[Address, Answer],
    we_schedule: bool,
) -> None:
    """Write the draft into the VEVENT; attendees keep their `answers`."""
    zone = ZoneInfo(draft.zone)
    copied_guests = list_copied_guests(event)
    start, end = ((at.astimezone(zone).date() if draft.all_day else at) for at in (draft.span.start, draft.span.end))
    for name, value in {
        "dtstamp": now,
        "last-modified": now,
        "dtstart": start,
        "dtend": end,
        "summary": draft.subject,
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
        event.add("attendee", _compose_attendee(guest, answers, we_schedule))
    mark_copies(event, copied_guests)


def _compose_attendee(guest: Guest, answers: dict[Address, Answer], we_schedule: bool) -> vCalAddress:
    answer = answers.get(guest.email, Answer.NEEDS_ACTION)
    parameters = {"ROLE": "REQ-PARTICIPANT", "PARTSTAT": _format_partstat(answer), "RSVP": "TRUE"}
    return _make_user(guest, parameters | ({"SCHEDULE-AGENT": "CLIENT"} if we_schedule else {}))


def _make_user(guest: Guest, parameters: dict[str, str]) -> vCalAddress:
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
    """True when our event was last written from that draft, and nobody cancelled or moved it since."""
    event: Any = find_main_event(calendar)
    is_same_draft = str(event.get(DRAFT_PROPERTY, "")) == fingerprint_draft(draft) and not is_cancelled(event)
    return is_same_draft and span_of(event, ZoneInfo(draft.zone)) == draft.span


def can_change(calendar: Calendar) -> bool:
    """True for an event that we created on its organizer's calendar; False for a guest's copy of one."""
    event = find_main_event(calendar)
    return event is not None and KEY_PROPERTY in event and COPY_PROPERTY not in event


# --- copies in guests' calendars --------------------------------------------------------------------------------------


def list_copied_guests(event: Any) -> set[Address]:
    """Return the guests who have a copy by the notes on the organizer's event."""
    attendees = _list_attendees(event)
    return {_read_address(attendee) for attendee in attendees if _read_parameter(attendee, COPY_PROPERTY) == "TRUE"}


def mark_copies(event: Any, guests: Iterable[Address]) -> None:
    """Note on the organizer's event that these guests have a copy."""
    addresses = set(guests)
    for attendee in _list_attendees(event):
        if _read_address(attendee) in addresses:
            attendee.params[COPY_PROPERTY] = "TRUE"


def make_guest_copy(calendar: Calendar, guest: Address, answer: Answer) -> Calendar:
    """Return the copy of the organizer's event for a guest's calendar, with that guest's answer and nobody else's."""
    copy = deepcopy(calendar)
    event: Any = find_main_event(copy)
    event.add(COPY_PROPERTY, _format_span(own_span_of(copy)))
    for attendee in _list_attendees(event):
        shown_answer = answer if _read_address(attendee) == guest else Answer.NEEDS_ACTION
        attendee.params["PARTSTAT"] = _format_partstat(shown_answer)
        attendee.params.pop(COPY_PROPERTY, None)
    return copy


def is_copy(calendar: Calendar) -> bool:
    """True for a copy that we placed in a guest's calendar."""
    event = find_main_event(calendar)
    return event is not None and COPY_PROPERTY in event


def own_span_of(calendar: Calendar) -> Span:
    """Return the span of our event. It needs no zone from outside: our events carry their own."""
    event: Any = find_main_event(calendar)
    return span_of(event, UTC_ZONE)


def is_copy_current(copy: Calendar, original: Calendar) -> bool:
    """True when the copy was made from the event as it is now."""
    ours: Any = find_main_event(original)
    theirs: Any = find_main_event(copy)
    return is_copy_of_time(copy, own_span_of(original)) and all(
        ours.get(name) == theirs.get(name) for name in (DRAFT_PROPERTY, "SEQUENCE")
    )


def is_copy_of_time(copy: Calendar, span: Span) -> bool:
    """True when the copy was made while the organizer's event had that span."""
    event = find_main_event(copy)
    return event is not None and str(event.get(COPY_PROPERTY, "")) == _format_span(span)


def read_copy_answer(copy: Calendar, guest: Address, span: Span) -> Answer:
    """Return the guest's answer as their copy shows it. A copy that the guest moved or cancelled is a decline; one that
    can't be read gives no answer. `span`: that of the organizer's event."""
    event = find_main_event(copy)
    if event is None:
        return Answer.NEEDS_ACTION
    try:
        is_moved = is_copy_of_time(copy, span) and span_of(event, UTC_ZONE) != span
    except InvalidResponse:
        return Answer.NEEDS_ACTION
    if is_moved or is_cancelled(event):
        return Answer.DECLINED
    return read_answers(event).get(guest, Answer.NEEDS_ACTION)


def _format_span(span: Span) -> str:
    return f"{format_instant(span.start)}/{format_instant(span.end)}"


def is_marked_cancelled(calendar: Calendar) -> bool:
    """True when the object's main event is cancelled."""
    return is_cancelled(find_main_event(calendar))


def mark_cancelled(calendar: Calendar, now: datetime) -> None:
    """Mark our event as cancelled."""
    event: Any = find_main_event(calendar)
    for name, value in (("status", "CANCELLED"), ("dtstamp", now)):
        event.pop(name, None)
        event.add(name, value)


def to_text(calendar: Calendar) -> str:
    """Return the calendar object as text."""
    return str(calendar.to_ical(), "utf-8")
