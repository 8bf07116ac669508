"""Events in iCalendar (RFC 5545) on one side, our nouns on the other: what an event says, and how ours are written.

Read are times, states and addresses, never a title or a text. Where the standard leaves room, this is what we do:

- an opaque all-day event means that nobody is there: it counts as `away`, as does out of office;
- our own event counts as busy, whether it was answered or not, unless its owner declined it;
- who delegated an invitation does not come: for them it takes no time, for the others it is a decline;
- a property that says two different things says nothing.

Whole calendars are read by `worker.providers.ical.reader`, times by `worker.providers.ical.times`.
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
from worker.providers.ical.parser import as_list
from worker.providers.ical.times import NoStart, read_times
from worker.providers.ical.zones import find_zone_by_name

KEY_PROPERTY = "X-LONGARC-KEY"  #: our tag
ZONE_PROPERTY = "X-LONGARC-ZONE"  #: the zone our all-day event was meant in
DRAFT_PROPERTY = "X-LONGARC-DRAFT"  #: fingerprint of the draft it was written from
COPY_PROPERTY = (
    "X-LONGARC-COPY"  #: on a guest's copy: the organizer's time; on an attendee: that the copy was put there
)
BUSY_STATUS_PROPERTY = "X-MICROSOFT-CDO-BUSYSTATUS"

#: Properties that are asked of a server that can leave the others out.
READ_PROPERTIES = (
    "UID DTSTART DTEND DURATION RRULE RDATE EXDATE RECURRENCE-ID STATUS TRANSP SEQUENCE ORGANIZER ATTENDEE "
    f"{BUSY_STATUS_PROPERTY} {KEY_PROPERTY} {ZONE_PROPERTY} {DRAFT_PROPERTY} {COPY_PROPERTY}"
).split()

_NAMESPACE = UUID("6f2b0c3e-4f0f-5d0a-9a63-1f6f0e6c1d57")
_ANSWERS = {
    "ACCEPTED": Answer.ACCEPTED,
    "DECLINED": Answer.DECLINED,
    "TENTATIVE": Answer.TENTATIVE,
    "DELEGATED": Answer.DECLINED,  # somebody else goes, whose own line says what they answered
}
_ABSENT_ANSWERS = ("DECLINED", "DELEGATED")
_SHOW_BY_STATUS = {"FREE": None, "TENTATIVE": ShowAs.TENTATIVE, "OOF": ShowAs.AWAY, "WORKINGELSEWHERE": None}
UTC_ZONE = ZoneInfo("UTC")


# --- names ----------------------------------------------------------------------------------------------------------


def make_uid(key: str) -> str:
    """The UID of our event of that key: always the same, legal in an address on the web."""
    return f"longarc-{uuid5(_NAMESPACE, key)}"


def make_resource_name(key: str) -> str:
    """The name under which our event of that key is stored."""
    return f"{make_uid(key)}.ics"


def is_ours(name: str) -> bool:
    """True when a stored name is one that `resource` gives."""
    return name.startswith("longarc-")


def fingerprint_draft(draft: EventDraft) -> str:
    """Tells drafts apart without keeping a word of them."""
    return sha256(repr(draft).encode()).hexdigest()[:24]


# --- what an event says ---------------------------------------------------------------------------------------------


def find_main_event(calendar: Calendar) -> Any | None:
    """The VEVENT that is not a single changed occurrence; the first one when all are; None without events."""
    events = calendar.walk("VEVENT")
    return next((event for event in events if "RECURRENCE-ID" not in event), events[0] if events else None)


def is_recurring(calendar: Calendar) -> bool:
    """True when the object stands for a series, or for single occurrences of one."""
    return any(name in event for event in calendar.walk("VEVENT") for name in ("RRULE", "RDATE", "RECURRENCE-ID"))


def key_of(event: Any) -> str | None:
    """Our key, when the event is ours."""
    return str(event[KEY_PROPERTY]) if KEY_PROPERTY in event else None


def span_of(event: Any, zone: tzinfo) -> Span:
    """When it is; local and all-day times are taken in `zone`, our own in the zone it was written with. Raises
    InvalidResponse when it does not say."""
    try:
        return read_times(event, own_zone_of(event) or zone).span
    except NoStart as error:
        raise InvalidResponse("an event of ours does not say any more when it starts") from error


def own_zone_of(event: Any) -> tzinfo | None:
    """The zone in which our all-day event was meant."""
    return find_zone_by_name(str(event.get(ZONE_PROPERTY, "")), guess=False)


def organizer_of(event: Any) -> Address:
    """Who invites; empty when nobody does."""
    return _read_address(event.get("ORGANIZER"))


def read_answers(event: Any) -> dict[Address, Answer]:
    """Everybody invited, the organizer and rooms aside, and what they said."""
    organizer = _read_address(event.get("ORGANIZER"))
    found = {}
    for attendee in _list_attendees(event):
        email = _read_address(attendee)
        if email and email != organizer and _read_parameter(attendee, "CUTYPE") not in ("ROOM", "RESOURCE"):
            found[email] = _ANSWERS.get(_read_parameter(attendee, "PARTSTAT"), Answer.NEEDS_ACTION)
    return found


def show_of(event: Any, owner: Address) -> ShowAs | None:
    """How an event counts for the owner of the calendar it is on; None when it takes no time."""
    said = [_read_parameter(who, "PARTSTAT") for who in _list_attendees(event) if _read_address(who) == owner] or [
        "ACCEPTED"
    ]
    if is_cancelled(event) or all(answer in _ABSENT_ANSWERS for answer in said):
        return None
    if _read_word(event, "TRANSP") == "TRANSPARENT":
        return None
    if KEY_PROPERTY in event:
        return ShowAs.BUSY
    busy = _read_word(event, BUSY_STATUS_PROPERTY)
    if busy in _SHOW_BY_STATUS:
        return _SHOW_BY_STATUS[busy]
    if _read_word(event, "STATUS") == "TENTATIVE" or "ACCEPTED" not in said:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if is_all_day(event) else ShowAs.BUSY


def is_cancelled(event: Any) -> bool:
    """True when the event does not happen."""
    return _read_word(event, "STATUS") == "CANCELLED"


def is_all_day(event: Any) -> bool:
    """True when its start is a date."""
    starts = [prop for prop in as_list(event.get("DTSTART", [])) if not isinstance(prop, vBroken)]
    return bool(starts) and not any(isinstance(prop.dt, datetime) for prop in starts)


def _read_word(event: Any, name: str) -> str:
    """What a property says; empty when it says two different things."""
    words = {str(value).strip().upper() for value in as_list(event.get(name, []))}
    return words.pop() if len(words) == 1 else ""


def _list_attendees(event: Any) -> list[Any]:
    return as_list(event.get("ATTENDEE", []))


def _read_address(value: Any) -> Address:
    """The e-mail address in a calendar user address, from its EMAIL parameter where the value is none."""
    text = str(value or "").strip().lower()
    if text.startswith("mailto:"):
        return text.removeprefix("mailto:")
    return _read_parameter(value, "EMAIL").lower()


def _read_parameter(value: Any, name: str) -> str:
    parameters = getattr(value, "params", {})
    default = "NEEDS-ACTION" if name == "PARTSTAT" else ""
    return str(parameters.get(name, default)).upper()


# --- writing --------------------------------------------------------------------------------------------------------


def compose_calendar(draft: EventDraft, now: datetime, *, we_schedule: bool) -> Calendar:
    """A new event. `we_schedule` tells a server that could invite by itself to leave that to us."""
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
    """What goes by mail from `sender` to somebody whom no server tells: a REQUEST, or a CANCEL of one (RFC 5546). What
    is ours alone is left out of it, and reminders are the reader's own affair."""
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
    """Make our event what the draft says. What people added (alarms, colours, categories) stays; when the time
    changes everybody is asked anew, and the answer is True."""
    event = find_main_event(calendar)
    if event is None:
        raise InvalidResponse("the event to be changed holds nothing")
    moved = span_of(event, ZoneInfo(draft.zone)) != draft.span or is_all_day(event) != draft.all_day
    sequence = max(int(event.get("SEQUENCE", 0)) + moved, draft.sequence)
    _fill_event(event, draft, now, sequence, {} if moved else read_answers(event), we_schedule)
    return moved


def _fill_event(
    event: Any,
    draft: EventDraft,
    now: datetime,
    sequence: int,
    known: dict[Address, Answer],
    we_schedule: bool,
) -> None:
    zone = ZoneInfo(draft.zone)
    copied = list_copied_guests(event)
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
        event.add("attendee", _compose_attendee(guest, known, we_schedule))
    mark_copies(event, copied)


def _compose_attendee(guest: Guest, known: dict[Address, Answer], we_schedule: bool) -> vCalAddress:
    answer = known.get(guest.email, Answer.NEEDS_ACTION)
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
    """True when our event is what that draft made of it, and nobody moved it since."""
    event: Any = find_main_event(calendar)
    same = str(event.get(DRAFT_PROPERTY, "")) == fingerprint_draft(draft) and not is_cancelled(event)
    return same and span_of(event, ZoneInfo(draft.zone)) == draft.span


def can_change(calendar: Calendar) -> bool:
    """True for an event that we put on its organizer's calendar; not for a guest's copy of it."""
    event = find_main_event(calendar)
    return event is not None and KEY_PROPERTY in event and COPY_PROPERTY not in event


# --- copies in guests' calendars ------------------------------------------------------------------------------------


def list_copied_guests(event: Any) -> set[Address]:
    """The guests in whose calendars the organizer's event is known to have a copy."""
    return {_read_address(who) for who in _list_attendees(event) if _read_parameter(who, COPY_PROPERTY) == "TRUE"}


def mark_copies(event: Any, guests: Iterable[Address]) -> None:
    """Note on the organizer's event that these guests have a copy."""
    wanted = set(guests)
    for who in _list_attendees(event):
        if _read_address(who) in wanted:
            who.params[COPY_PROPERTY] = "TRUE"


def make_guest_copy(calendar: Calendar, guest: Address, answer: Answer) -> Calendar:
    """The organizer's event as it is put into a guest's calendar."""
    twin = deepcopy(calendar)
    event: Any = find_main_event(twin)
    event.add(COPY_PROPERTY, _format_span(own_span_of(twin)))
    for who in _list_attendees(event):
        said = answer if _read_address(who) == guest else Answer.NEEDS_ACTION
        who.params["PARTSTAT"] = _format_partstat(said)
        who.params.pop(COPY_PROPERTY, None)
    return twin


def is_copy(calendar: Calendar) -> bool:
    """True for a copy that we put into a guest's calendar."""
    event = find_main_event(calendar)
    return event is not None and COPY_PROPERTY in event


def own_span_of(calendar: Calendar) -> Span:
    """When our event is; all-day ones carry their zone."""
    event: Any = find_main_event(calendar)
    return span_of(event, UTC_ZONE)


def is_copy_current(copy: Calendar, original: Calendar) -> bool:
    """True when nothing changed for the guest since the copy was made."""
    ours: Any = find_main_event(original)
    theirs: Any = find_main_event(copy)
    return is_copy_of_time(copy, own_span_of(original)) and all(
        ours.get(n) == theirs.get(n) for n in (DRAFT_PROPERTY, "SEQUENCE")
    )


def is_copy_of_time(copy: Calendar, span: Span) -> bool:
    """True when the copy was made while the organizer's event had that time."""
    event = find_main_event(copy)
    return event is not None and str(event.get(COPY_PROPERTY, "")) == _format_span(span)


def read_copy_answer(copy: Calendar, guest: Address, span: Span) -> Answer:
    """What the guest did with the copy. Who moved it, or struck it out, won't be there: that is a decline. A copy that
    can't be read is no answer."""
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
    return f"{span.start:%Y%m%dT%H%M%SZ}/{span.end:%Y%m%dT%H%M%SZ}"


def is_marked_cancelled(calendar: Calendar) -> bool:
    """True when the event is cancelled."""
    return is_cancelled(find_main_event(calendar))


def mark_cancelled(calendar: Calendar, now: datetime) -> None:
    """Mark our event as cancelled."""
    event: Any = find_main_event(calendar)
    for name, value in (("status", "CANCELLED"), ("dtstamp", now)):
        event.pop(name, None)
        event.add(name, value)


def to_text(calendar: Calendar) -> str:
    """The object as it goes over the wire."""
    return str(calendar.to_ical(), "utf-8")
