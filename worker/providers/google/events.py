"""Translates events between Google's JSON and the classes of `worker.domain.model`.

An *item* is an event in Google's JSON. Our own events have a key, which Longarc gave them:

- The id of the item encodes the key. So creating the event twice results in one event, and a guest's copy of the
  event, which has the same id, can be recognized as ours. The copy of a guest outside the organizer's domain may have
  another id, but its iCalUID contains the id of the organizer's item.
- On the organizer's calendar, a private extended property (the tag) holds the key as well. A guest's copy has no such
  property. Longarc changes only items with the tag.

Google may name a person by any of the person's addresses. It marks the calendar's owner by the field `self`; everybody
else is looked up by address in `Identities`.

Events count in free/busy as follows. Transparent, declined and cancelled events and working locations are free. Out of
office and opaque all-day events are `away`. Focus time is busy. Tentative events and unanswered invitations are
tentative. Our own event is busy unless the calendar's owner declined it.
"""

import json
from base64 import b32hexdecode, b32hexencode
from binascii import Error as NotEncoded
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Cursor, Event, EventDraft, EventRef, NamedAddress, ShowAs, Span
from worker.errors import InvalidResponse, Permanent
from worker.providers.identities import Identities

KEY_PROPERTY = "longarcKey"  #: the name of the private extended property that is the tag
PAGE_SIZE = 2500  #: items in one answer to a list request: the most that Google allows
_ID_PREFIX = "longarc"  #: how the ids of our events begin
_CURSOR_VERSION = 1
_MAX_ID_LENGTH = 1024  #: characters
_UID_SUFFIX = "@google.com"  #: what Google appends to an event's id in its iCalUID
#: Google may change an event itself shortly after its creation. A later change was made by a person.
_MAX_AUTOMATIC_CHANGE_DELAY = timedelta(seconds=5)
#: The fields of a guest that an update copies from the item that was read.
_COPIED_GUEST_FIELDS = (
    "email",
    "displayName",
    "optional",
    "resource",
    "comment",
    "additionalGuests",
    "responseStatus",
)
_MAX_REMINDERS = 5  #: the most reminders that Google accepts for one event
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentative": Answer.TENTATIVE,
    "needsAction": Answer.NEEDS_ACTION,
}
_RESPONSES = {answer: response for response, answer in _ANSWERS.items()}
#: The types of events that never block time.
_FREE_EVENT_TYPES = frozenset({"workingLocation", "birthday"})

JsonObject = Mapping[str, Any]
#: An event in Google's JSON.
Item = JsonObject

_BASE_FIELDS = (
    "id,iCalUID,status,etag,start,end,transparency,eventType,recurringEventId,recurrence,organizer(email,self),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
_GUEST_FIELDS = "email,self,organizer,resource,responseStatus"
#: The fields requested of the events in a list: no title, description or location.
EVENT_FIELDS = f"{_BASE_FIELDS},attendees({_GUEST_FIELDS})"
#: The fields requested for a person's free/busy: also no addresses of other people.
TIME_FIELDS = (
    "id,iCalUID,status,start,end,transparency,eventType,organizer/self,attendees(self,responseStatus),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
#: The fields requested of our own event before a change. They include all that people may have edited, so that these
#: edits are preserved.
OWN_EVENT_FIELDS = (
    f"{_BASE_FIELDS},created,updated,summary,description,visibility,hangoutLink,"
    f"attendees({_GUEST_FIELDS},displayName,optional,comment,additionalGuests)"
)


# --- keys -----------------------------------------------------------------------------------------------------------


def make_event_id(key: str) -> str:
    """Return the id of our event with that key. Raises Permanent when the key is too long.

    The key is encoded in base32hex, because Google allows only these characters in ids.
    """
    event_id = _ID_PREFIX + b32hexencode(key.encode()).decode().rstrip("=").lower()
    if len(event_id) > _MAX_ID_LENGTH:
        raise Permanent(f"The event's key is too long for Google ({len(key)} characters).")
    return event_id


def decode_key(event_id: str) -> str | None:
    """Return the key that is encoded in the id of one of our events; None for the id of another event."""
    encoded_key = event_id.removeprefix(_ID_PREFIX).upper()
    if not event_id.startswith(_ID_PREFIX) or not encoded_key:
        return None
    try:
        key = b32hexdecode(encoded_key + "=" * (-len(encoded_key) % 8)).decode()
    except (NotEncoded, ValueError):
        return None
    return key if make_event_id(key) == event_id else None


def read_key(item: Item) -> str | None:
    """Return the event's key; None when the event is not ours.

    On the organizer's calendar, an event without the tag is not ours, even if its id holds a key. A guest's copy never
    has the tag.
    """
    key = _find_key(item)
    if key is None or not _has_flag(item.get("organizer"), "self"):
        return key
    return key if read_tag(item) == key else None


def _find_key(item: Item) -> str | None:
    """Return the key in the event's id, or in the iCalUID, which all copies of the event share."""
    return decode_key(str(item.get("id", ""))) or decode_key(str(item.get("iCalUID", "")).removesuffix(_UID_SUFFIX))


def read_tag(item: Item) -> str | None:
    """Return the key in the tag; None when the event has no tag."""
    tag = ((item.get("extendedProperties") or {}).get("private") or {}).get(KEY_PROPERTY)
    return str(tag) if tag else None


def is_own_item(item: Item) -> bool:
    """Return whether Longarc created the item and may change it, because it is on the organizer's calendar."""
    key = decode_key(str(item.get("id", "")))
    return key is not None and read_tag(item) == key and _has_flag(item.get("organizer"), "self")


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(item: Item, calendar: Address, zone: ZoneInfo, identities: Identities) -> Event:
    """Return the event as the calendar's owner sees it. Raises InvalidResponse when the item can't be parsed.

    `zone` is the time zone in which all-day events begin and end.
    """
    try:
        return Event(
            ref=EventRef(calendar, str(item["id"]), str(item.get("etag", ""))),
            span=parse_span(item, zone),
            key=read_key(item),
            series=item.get("recurringEventId"),
            all_day=is_all_day(item),
            organizer=resolve_person(item.get("organizer") or {}, calendar, identities),
            answers=read_answers(item, calendar, identities),
            cancelled=is_cancelled(item),
            show_as=read_show_as(item),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidResponse(f"{calendar}: Google sent an event that can't be parsed.") from error


def parse_events(items: Iterable[Item], calendar: Address, zone: ZoneInfo, identities: Identities) -> list[Event]:
    """Return the events of the items that have times. Raises the errors of `parse_event`."""
    return [parse_event(item, calendar, zone, identities) for item in items if has_times(item)]


def is_cancelled(item: Item) -> bool:
    """Return whether the event was cancelled or deleted."""
    return item.get("status") == "cancelled"


def parse_span(item: Item, zone: ZoneInfo) -> Span:
    """Return the event's start and end in UTC. Raises KeyError, TypeError, ValueError."""
    start, end = _parse_instant(item["start"], zone), _parse_instant(item["end"], zone)
    return Span(start, max(start, end))  # `Span` refuses an end before the start


def _parse_instant(fields: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    """Return the instant, in UTC, in the fields of a start or an end."""
    if "date" in fields:
        return datetime.combine(date.fromisoformat(fields["date"]), time(), zone).astimezone(UTC)
    instant = datetime.fromisoformat(fields["dateTime"])
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=ZoneInfo(fields["timeZone"]) if "timeZone" in fields else zone)
    return instant.astimezone(UTC)


def resolve_person(participant: JsonObject, calendar: Address, identities: Identities) -> Address:
    """Return the primary address of an organizer or a guest; empty when Google gives no address.

    A participant that Google marks by `self` is the owner of `calendar`.
    """
    if _has_flag(participant, "self"):
        return calendar
    email = str(participant.get("email", ""))
    return identities.find_primary(email) if email else ""


def list_guests(item: Item) -> list[JsonObject]:
    """Return the attendees, except the organizer and rooms."""
    organizer = str((item.get("organizer") or {}).get("email", "")).casefold()
    return [
        guest
        for guest in item.get("attendees") or ()
        if guest.get("email") and not _has_flag(guest, "organizer") and not _has_flag(guest, "resource")
        if str(guest["email"]).casefold() != organizer
    ]


def read_answers(item: Item, calendar: Address, identities: Identities) -> dict[Address, Answer]:
    """Return the answers of the guests, by primary address, except the organizer and rooms."""
    return {
        resolve_person(guest, calendar, identities): _ANSWERS.get(guest.get("responseStatus", ""), Answer.NEEDS_ACTION)
        for guest in list_guests(item)
    }


def is_untouched(item: Item) -> bool:
    """Return whether no person has changed the event since its creation.

    An event has no field that says who changed it, so the times of its creation and of its last change are compared.
    """
    try:
        created_at, updated_at = datetime.fromisoformat(item["created"]), datetime.fromisoformat(item["updated"])
    except (KeyError, TypeError, ValueError):
        return False
    return updated_at - created_at < _MAX_AUTOMATIC_CHANGE_DELAY


def read_show_as(item: Item) -> ShowAs | None:
    """Return how the event counts in the free/busy of the calendar's owner; None when it does not block time."""
    event_type = item.get("eventType", "default")
    if is_cancelled(item) or item.get("transparency") == "transparent" or event_type in _FREE_EVENT_TYPES:
        return None
    # An owner who is not among the attendees takes part: the event is the owner's.
    owner: JsonObject = next((attendee for attendee in item.get("attendees") or () if _has_flag(attendee, "self")), {})
    answer = _ANSWERS.get(owner.get("responseStatus", "accepted"), Answer.NEEDS_ACTION)
    if answer is Answer.DECLINED:
        return None
    if _find_key(item) is not None:
        return ShowAs.BUSY
    if item.get("status") == "tentative" or answer is not Answer.ACCEPTED:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if event_type == "outOfOffice" or is_all_day(item) else ShowAs.BUSY


def _has_flag(participant: Any, name: str) -> bool:
    """Return whether the boolean field of that name is set; `participant` may be None."""
    return bool(participant) and participant.get(name) is True


# --- writing --------------------------------------------------------------------------------------------------------


def compose_event(draft: EventDraft) -> dict[str, Any]:
    """Return the body of the request that creates the event of the draft."""
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
    """Return the field `conferenceData`, which requests a Meet link.

    The id of the request is derived from the key, so that a repeated request results in the same link.
    """
    request_id = sha256(draft.key.encode()).hexdigest()[:32]
    return {"createRequest": {"requestId": request_id, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def compose_patch(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> dict[str, Any]:
    """Return the body of the request that changes our event to the draft.

    When the time changes, the body holds all guests with their answers reset, also guests whom people added. Otherwise
    the body holds no guests, which leaves guests and answers as they are.
    """
    fields = _compose_fields(draft)
    body = {**fields, **{name: _null_other_fields(fields[name]) for name in ("start", "end")}}
    if not has_time_of(item, draft, zone):
        invited_people = read_answers(item, draft.organizer.email, identities)
        missing_guests = [_compose_guest(guest) for guest in draft.guests if guest.email not in invited_people]
        # Google replaces the whole list of attendees, so the present ones are written again.
        body["attendees"] = [*map(_reset_answer, item.get("attendees") or ()), *missing_guests]
    return body


def _reset_answer(attendee: JsonObject) -> dict[str, Any]:
    """Return the attendee's fields to write, with the answer reset. Rooms and the organizer keep their answer."""
    fields = {name: attendee[name] for name in _COPIED_GUEST_FIELDS if name in attendee}
    if not _has_flag(attendee, "resource") and not _has_flag(attendee, "organizer"):
        fields["responseStatus"] = _RESPONSES[Answer.NEEDS_ACTION]
    return fields


def has_time_of(item: Item, draft: EventDraft, zone: ZoneInfo) -> bool:
    """Return whether the event has the start and end of the draft, and is all-day exactly when the draft is."""
    try:
        return parse_span(item, zone) == draft.span and is_all_day(item) == draft.all_day
    except (KeyError, TypeError, ValueError):
        return False


def is_written_from(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> bool:
    """Return whether an earlier attempt has written the draft: whether the event has its subject, time, transparency
    and guests. The event may have further guests, and another description."""
    fields = _compose_fields(draft)
    has_same_subject = item.get("summary") == fields["summary"]
    has_same_transparency = item.get("transparency", "opaque") == fields["transparency"]
    invited_people = read_answers(item, draft.organizer.email, identities).keys()
    are_all_invited = {guest.email for guest in draft.guests} <= invited_people
    return has_same_subject and has_same_transparency and has_time_of(item, draft, zone) and are_all_invited


def _compose_fields(draft: EventDraft) -> dict[str, Any]:
    """Return the fields that are written both when the event is created and when it is changed."""
    return {
        "summary": draft.title,
        "description": draft.body,
        "start": _compose_time(draft.span.start, draft),
        "end": _compose_time(draft.span.end, draft),
        "transparency": "opaque" if draft.blocks_time else "transparent",
    }


def _compose_time(instant: datetime, draft: EventDraft) -> dict[str, str]:
    """Return the fields of the draft's start or end, in the zone of the draft."""
    local_time = instant.astimezone(ZoneInfo(draft.zone))
    if draft.all_day:
        return {"date": local_time.date().isoformat()}
    return {"dateTime": local_time.isoformat(timespec="seconds"), "timeZone": draft.zone}


def _null_other_fields(fields: Mapping[str, str]) -> dict[str, str | None]:
    """Return the fields of a start or an end, with null for each field that is missing.

    Without the nulls, a patch would keep the old `date` or the old `dateTime`.
    """
    return dict.fromkeys(("date", "dateTime", "timeZone")) | dict(fields)


def _compose_guest(guest: NamedAddress) -> dict[str, Any]:
    return {
        "email": guest.email,
        "displayName": " ".join(guest.name.split()),
        "responseStatus": _RESPONSES[Answer.NEEDS_ACTION],
    }


def _compose_reminders(draft: EventDraft) -> list[dict[str, Any]]:
    return [{"method": "popup", "minutes": minutes} for minutes in draft.reminders[:_MAX_REMINDERS]]


def is_of_series(item: Item) -> bool:
    """Return whether the event is a series or an occurrence of one."""
    return bool(item.get("recurrence") or item.get("recurringEventId"))


def is_all_day(item: Item) -> bool:
    """Return whether the event is all-day: its start is a date, without a time of day."""
    return "date" in (item.get("start") or {})


def has_times(item: Item) -> bool:
    """Return whether the item has a start and an end. Of a cancelled event, Google may send only the id."""
    return "start" in item and "end" in item


def parse_cursor(cursor: Cursor | None) -> str:
    """Return the sync token in a cursor; empty when there is no cursor or its format has another version."""
    try:
        content = json.loads(cursor or "{}")
        return str(content["token"]) if content["version"] == _CURSOR_VERSION else ""
    except (ValueError, KeyError, TypeError):
        return ""


def format_cursor(token: str) -> Cursor:
    """Return the cursor that holds a sync token."""
    return json.dumps({"version": _CURSOR_VERSION, "token": token})


def read_items(answer: Any, calendar: Address) -> list[dict[str, Any]]:
    """Return the items in Google's answer to a list request. Raises InvalidResponse when it is not a list of events."""
    items = answer.get("items", []) if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and item.get("id") for item in items):
        raise InvalidResponse(f"{calendar}: Google's answer is not a list of events.")
    return items


def format_instant(instant: datetime) -> str:
    """Return a UTC instant in the format of Google's query parameters: RFC 3339, in whole seconds."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def compose_bounds(window: Span) -> dict[str, str]:
    """Return the window as the query parameters `timeMin` and `timeMax`."""
    return {"timeMin": format_instant(window.start), "timeMax": format_instant(window.end)}
