"""Translates events between Google's JSON and the classes of `worker.domain.model`.

The id of our event is its key, encoded. So creating it twice gives one event; and a guest's copy, which has the same id
but not the organizer's private properties, can be recognised as ours. On the organizer's calendar the key is also in
one private property (the tag); Longarc changes only events that carry it. Outside the organizer's domain a copy may
have another id, but its iCalUID contains the organizer's id.

Google names people by any of their addresses. The calendar's owner is marked `self`; everybody else is found by any
address that `Identities` holds for them.

How events count: transparent, declined and cancelled events and working locations are free; out of office and opaque
all-day events are `away`; focus time is busy; tentative events, and invitations not answered yet, are tentative. Our
own event is busy unless the calendar's owner declined it.
"""

import json
from base64 import b32hexdecode, b32hexencode
from binascii import Error as NotEncoded
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Cursor, Event, EventDraft, EventRef, Guest, ShowAs, Span
from worker.errors import InvalidResponse, Permanent
from worker.providers.identities import Identities

KEY_PROPERTY = "longarcKey"
_PREFIX = "longarc"
_MAX_ID_LENGTH = 1024  #: characters
_UID_SUFFIX = "@google.com"
#: An event that was last changed within this time after its creation was not changed by a person.
_UNTOUCHED_WITHIN = timedelta(seconds=5)
#: The fields of a guest that are written back as they were read.
_GUEST_WRITABLE_FIELDS = (
    "email",
    "displayName",
    "optional",
    "resource",
    "comment",
    "additionalGuests",
    "responseStatus",
)
_MAX_REMINDERS = 5  #: Google accepts no more for one event
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentative": Answer.TENTATIVE,
    "needsAction": Answer.NEEDS_ACTION,
}
_RESPONSES = {answer: response for response, answer in _ANSWERS.items()}
_FREE_EVENT_TYPES = frozenset({"workingLocation", "birthday"})

Item = Mapping[str, Any]

_BASE_FIELDS = (
    "id,iCalUID,status,etag,start,end,transparency,eventType,recurringEventId,recurrence,organizer(email,self),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
_GUEST_FIELDS = "email,self,organizer,resource,responseStatus"
#: The fields requested of an event: never a title, a description or a location.
EVENT_FIELDS = f"{_BASE_FIELDS},attendees({_GUEST_FIELDS})"
#: The fields requested for a person's free/busy: no address of another person either.
TIME_FIELDS = (
    "id,iCalUID,status,start,end,transparency,eventType,organizer/self,attendees(self,responseStatus),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
#: The fields of our own event read before a change: all that people may have edited, so that it is preserved.
OWN_EVENT_FIELDS = (
    f"{_BASE_FIELDS},created,updated,summary,description,visibility,hangoutLink,"
    f"attendees({_GUEST_FIELDS},displayName,optional,comment,additionalGuests)"
)


# --- keys -----------------------------------------------------------------------------------------------------------


def make_event_id(key: str) -> str:
    """Return the id of our event of that key, in base32hex, whose characters Google allows in ids. Raises Permanent
    when the key is too long."""
    event_id = _PREFIX + b32hexencode(key.encode()).decode().rstrip("=").lower()
    if len(event_id) > _MAX_ID_LENGTH:
        raise Permanent(f"The event's key is too long for Google ({len(key)} characters).")
    return event_id


def decode_key(event_id: str) -> str | None:
    """Return the key that an id of ours was made of; None for any other id."""
    encoded_key = event_id.removeprefix(_PREFIX).upper()
    if not event_id.startswith(_PREFIX) or not encoded_key:
        return None
    try:
        key = b32hexdecode(encoded_key + "=" * (-len(encoded_key) % 8)).decode()
    except (NotEncoded, ValueError):
        return None
    return key if make_event_id(key) == event_id else None


def key_of(item: Item) -> str | None:
    """Return our key; None when the event is not ours. On the organizer's calendar the event must also carry the tag; a
    guest's copy never carries it."""
    key = _find_key(item)
    if key is None or not _has_flag(item.get("organizer"), "self"):
        return key
    return key if tag_of(item) == key else None


def _find_key(item: Item) -> str | None:
    """Return the key in the event's id, or in the iCalUID that all copies of it share."""
    return decode_key(str(item.get("id", ""))) or decode_key(str(item.get("iCalUID", "")).removesuffix(_UID_SUFFIX))


def tag_of(item: Item) -> str | None:
    """Return the key in our private property; None when the event has none."""
    tag = ((item.get("extendedProperties") or {}).get("private") or {}).get(KEY_PROPERTY)
    return str(tag) if tag else None


def can_change(item: Item) -> bool:
    """Whether Longarc created the event and this is the organizer's calendar."""
    key = decode_key(str(item.get("id", "")))
    return key is not None and tag_of(item) == key and _has_flag(item.get("organizer"), "self")


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(item: Item, calendar: Address, zone: ZoneInfo, identities: Identities) -> Event:
    """Return the event as the calendar's owner sees it. Dates of all-day events are in `zone`. Raises
    InvalidResponse."""
    try:
        return Event(
            ref=EventRef(calendar, str(item["id"]), str(item.get("etag", ""))),
            span=parse_span(item, zone),
            key=key_of(item),
            series=item.get("recurringEventId"),
            all_day="date" in item["start"],
            organizer=resolve_person(item.get("organizer") or {}, calendar, identities),
            answers=read_answers(item, calendar, identities),
            cancelled=is_cancelled(item),
            show=read_show(item),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidResponse(f"{calendar}: Google sent an event that can't be read.") from error


def is_cancelled(item: Item) -> bool:
    """Whether the event was cancelled or deleted."""
    return item.get("status") == "cancelled"


def parse_span(item: Item, zone: ZoneInfo) -> Span:
    """Return the event's start and end in UTC. Raises KeyError, TypeError, ValueError."""
    start, end = _parse_instant(item["start"], zone), _parse_instant(item["end"], zone)
    return Span(start, max(start, end))


def _parse_instant(at: Item, zone: ZoneInfo) -> datetime:
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    instant = datetime.fromisoformat(at["dateTime"])
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=ZoneInfo(at["timeZone"]) if "timeZone" in at else zone)
    return instant.astimezone(UTC)


def resolve_person(participant: Item, calendar: Address, identities: Identities) -> Address:
    """Return the primary address of an organizer or a guest: the calendar's owner where Google marks `self`; empty when
    Google gives no address."""
    if _has_flag(participant, "self"):
        return calendar
    email = str(participant.get("email", ""))
    return identities.find_primary(email) if email else ""


def list_guests(item: Item) -> list[Item]:
    """Return the attendees without the organizer and rooms."""
    organizer = str((item.get("organizer") or {}).get("email", "")).casefold()
    return [
        guest
        for guest in item.get("attendees") or ()
        if guest.get("email") and not _has_flag(guest, "organizer") and not _has_flag(guest, "resource")
        if str(guest["email"]).casefold() != organizer
    ]


def read_answers(item: Item, calendar: Address, identities: Identities) -> dict[Address, Answer]:
    """Return the answers of all people invited, by address, without the organizer and rooms."""
    return {
        resolve_person(guest, calendar, identities): _ANSWERS.get(guest.get("responseStatus", ""), Answer.NEEDS_ACTION)
        for guest in list_guests(item)
    }


def is_untouched(item: Item) -> bool:
    """Whether no person has changed the event since its creation. Decided by its times of creation and last change,
    because an event has no field that says who changed it."""
    try:
        created_at, updated_at = (datetime.fromisoformat(item[name]) for name in ("created", "updated"))
    except (KeyError, TypeError, ValueError):
        return False
    return updated_at - created_at < _UNTOUCHED_WITHIN


def read_show(item: Item) -> ShowAs | None:
    """Return how the event counts for the calendar's owner; None when it leaves the time free."""
    kind = item.get("eventType", "default")
    if is_cancelled(item) or item.get("transparency") == "transparent" or kind in _FREE_EVENT_TYPES:
        return None
    owner: Item = next((guest for guest in item.get("attendees") or () if _has_flag(guest, "self")), {})
    answer = _ANSWERS.get(owner.get("responseStatus", "accepted"), Answer.NEEDS_ACTION)
    if answer is Answer.DECLINED:
        return None
    if _find_key(item) is not None:
        return ShowAs.BUSY
    if item.get("status") == "tentative" or answer is not Answer.ACCEPTED:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if kind == "outOfOffice" or "date" in (item.get("start") or {}) else ShowAs.BUSY


def _has_flag(participant: Any, name: str) -> bool:
    return bool(participant) and participant.get(name) is True


# --- writing --------------------------------------------------------------------------------------------------------


def compose_event(draft: EventDraft) -> dict[str, Any]:
    """Return the body of the request that creates the event."""
    body = {
        "id": make_event_id(draft.key),
        "extendedProperties": {"private": {KEY_PROPERTY: draft.key}},
        "reminders": {"useDefault": False, "overrides": _compose_reminders(draft)},
        "visibility": "private",
        "guestsCanModify": False,
        "guestsCanInviteOthers": False,
        "status": "confirmed",
        "eventType": "default",
        **_compose_fields(draft),
        "attendees": [_compose_guest(guest) for guest in draft.guests],
    }
    if draft.video:
        body["conferenceData"] = compose_conference(draft)
    return body


def compose_conference(draft: EventDraft) -> dict[str, Any]:
    """Return the request for a Meet link. Its id is made of the key, so a repeated request gives the same link."""
    request_id = sha256(draft.key.encode()).hexdigest()[:32]
    return {"createRequest": {"requestId": request_id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def compose_patch(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> dict[str, Any]:
    """Return the body of the request that makes our event what the draft says. When the time changes, the guest list is
    written with all answers reset; otherwise it is not written, and the answers stay. Guests added by people stay."""
    fields = _compose_fields(draft)
    body = {**fields, **{name: _null_other_fields(fields[name]) for name in ("start", "end")}}
    if not has_time_of(item, draft, zone):  # a written list of attendees replaces the whole old one
        invited_people = read_answers(item, draft.organizer.email, identities)
        missing_guests = [_compose_guest(guest) for guest in draft.guests if guest.email not in invited_people]
        body["attendees"] = [*map(_reset_answer, item.get("attendees") or ()), *missing_guests]
    return body


def _reset_answer(guest: Item) -> dict[str, Any]:
    """Return the guest as it was read, with the answer reset unless it is a room or the organizer."""
    fields = {name: guest[name] for name in _GUEST_WRITABLE_FIELDS if name in guest}
    if not _has_flag(guest, "resource") and not _has_flag(guest, "organizer"):
        fields["responseStatus"] = _RESPONSES[Answer.NEEDS_ACTION]
    return fields


def has_time_of(item: Item, draft: EventDraft, zone: ZoneInfo) -> bool:
    """Whether the event has the draft's start and end, and is all-day if the draft is."""
    try:
        return parse_span(item, zone) == draft.span and ("date" in item["start"]) == draft.all_day
    except (KeyError, TypeError, ValueError):
        return False


def is_written_from(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> bool:
    """Whether the event already has the draft's subject, time and transparency, and all its guests."""
    fields = _compose_fields(draft)
    is_same = item.get("summary") == fields["summary"] and item.get("transparency", "opaque") == fields["transparency"]
    invited_people = read_answers(item, draft.organizer.email, identities).keys()
    return is_same and has_time_of(item, draft, zone) and {guest.email for guest in draft.guests} <= invited_people


def _compose_fields(draft: EventDraft) -> dict[str, Any]:
    return {
        "summary": draft.subject,
        "description": draft.body,
        "start": _compose_time(draft.span.start, draft),
        "end": _compose_time(draft.span.end, draft),
        "transparency": "opaque" if draft.blocks_time else "transparent",
    }


def _compose_time(at: datetime, draft: EventDraft) -> dict[str, str]:
    local = at.astimezone(ZoneInfo(draft.zone))
    if draft.all_day:
        return {"date": local.date().isoformat()}
    return {"dateTime": local.isoformat(timespec="seconds"), "timeZone": draft.zone}


def _null_other_fields(at: Mapping[str, str]) -> dict[str, str | None]:
    """Return the time with each field that it lacks as null: otherwise a patch keeps the old `date` or `dateTime`."""
    return dict.fromkeys(("date", "dateTime", "timeZone")) | dict(at)


def _compose_guest(guest: Guest) -> dict[str, Any]:
    return {
        "email": guest.email,
        "displayName": " ".join(guest.name.split()),
        "responseStatus": _RESPONSES[Answer.NEEDS_ACTION],
    }


def _compose_reminders(draft: EventDraft) -> list[dict[str, Any]]:
    return [{"method": "popup", "minutes": minutes} for minutes in draft.reminders[:_MAX_REMINDERS]]


def is_of_series(item: Item) -> bool:
    """Whether the event is a series or an occurrence of one."""
    return bool(item.get("recurrence") or item.get("recurringEventId"))


def has_times(item: Item) -> bool:
    """Whether the event has a start and an end; a cancelled event may come with its id alone."""
    return "start" in item and "end" in item


def parse_cursor(cursor: Cursor | None) -> str:
    """Return the sync token in a cursor; empty when there is no cursor, or one of another version."""
    try:
        content = json.loads(cursor or "{}")
        return str(content["token"]) if content["version"] == 1 else ""
    except (ValueError, KeyError, TypeError):
        return ""


def format_cursor(token: str) -> Cursor:
    """Return the cursor that holds a sync token."""
    return json.dumps({"version": 1, "token": token})


def read_items(answer: Any, calendar: Address) -> list[dict[str, Any]]:
    """Return the events in Google's answer to a list request. Raises InvalidResponse when it is no list of events."""
    items = answer.get("items", []) if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and item.get("id") for item in items):
        raise InvalidResponse(f"{calendar}: Google answered with something that is not a list of events.")
    return items


def format_instant(at: datetime) -> str:
    """Return a UTC instant in the form of Google's query parameters: RFC 3339, whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def compose_bounds(window: Span) -> dict[str, str]:
    """Return the window as the query parameters `timeMin` and `timeMax`."""
    return {"timeMin": format_instant(window.start), "timeMax": format_instant(window.end)}
