"""Google's events on one side, our nouns on the other: the only place that knows both.

An event of ours has an id made of its key, so that creating it twice is one event, and so that a guest's copy, which
has the same id but none of the organizer's private properties, still shows whose event it is. On the organizer's
calendar the key stands in one private property, too; only what carries it is ours to change. Outside the organizer's
domain a copy may have another id; its iCalUID is made of the first one.

Google names people by any of their addresses. `self` says who the calendar's owner is; everybody else is known by the
set of their addresses.

How things count: transparent, declined, cancelled and working location are free; out of office and opaque whole days
are `away`; focus time is busy; tentative, and an invitation not answered yet, are tentative. Our own event is busy
unless its owner declined it.
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
_LONGEST_ID = 1024
_UID_SUFFIX = "@google.com"
#: So soon after it was made nobody has changed an event.
_UNCHANGED_WITHIN = timedelta(seconds=5)
#: What of a guest is written back as it was read.
_GUEST_WRITABLE_FIELDS = (
    "email",
    "displayName",
    "optional",
    "resource",
    "comment",
    "additionalGuests",
    "responseStatus",
)
_MOST_REMINDERS = 5  #: more than that Google does not take
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentative": Answer.TENTATIVE,
    "needsAction": Answer.NEEDS_ACTION,
}
_RESPONSES = {answer: said for said, answer in _ANSWERS.items()}
_FREE_EVENT_TYPES = frozenset({"workingLocation", "birthday"})

Item = Mapping[str, Any]

_BASE_FIELDS = (
    "id,iCalUID,status,etag,start,end,transparency,eventType,recurringEventId,recurrence,organizer(email,self),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
_GUEST_FIELDS = "email,self,organizer,resource,responseStatus"
#: What is asked of an event, and nothing else: never a title, a text or a place.
EVENT_FIELDS = f"{_BASE_FIELDS},attendees({_GUEST_FIELDS})"
#: Of somebody who is only asked when they have time: nobody else's address either.
TIME_FIELDS = (
    "id,iCalUID,status,start,end,transparency,eventType,organizer/self,attendees(self,responseStatus),"
    f"extendedProperties/private/{KEY_PROPERTY}"
)
#: Of our own event, before it is changed: all that people may have put there, so that it can stay.
OWN_EVENT_FIELDS = (
    f"{_BASE_FIELDS},created,updated,summary,description,visibility,hangoutLink,"
    f"attendees({_GUEST_FIELDS},displayName,optional,comment,additionalGuests)"
)


# --- names ----------------------------------------------------------------------------------------------------------


def make_event_id(key: str) -> str:
    """The id of our event of that key: in the only letters that Google takes. Raises Permanent."""
    made = _PREFIX + b32hexencode(key.encode()).decode().rstrip("=").lower()
    if len(made) > _LONGEST_ID:
        raise Permanent(f"The event's key is too long for Google ({len(key)} characters).")
    return made


def decode_key(name: str) -> str | None:
    """The key that an id of ours was made of; None for any other id."""
    coded = name.removeprefix(_PREFIX).upper()
    if not name.startswith(_PREFIX) or not coded:
        return None
    try:
        key = b32hexdecode(coded + "=" * (-len(coded) % 8)).decode()
    except (NotEncoded, ValueError):
        return None
    return key if make_event_id(key) == name else None


def key_of(item: Item) -> str | None:
    """Our key, when the event is ours. On the organizer's calendar the tag has to be there; on a guest's it can't."""
    key = _find_key(item)
    if key is None or not _has_flag(item.get("organizer"), "self"):
        return key
    return key if tag_of(item) == key else None


def _find_key(item: Item) -> str | None:
    """The key in the event's id, or in the iCalUID that all copies of it share."""
    return decode_key(str(item.get("id", ""))) or decode_key(str(item.get("iCalUID", "")).removesuffix(_UID_SUFFIX))


def tag_of(item: Item) -> str | None:
    """What our private property says."""
    found = ((item.get("extendedProperties") or {}).get("private") or {}).get(KEY_PROPERTY)
    return str(found) if found else None


def can_change(item: Item) -> bool:
    """True for an event that we put on its organizer's calendar."""
    key = decode_key(str(item.get("id", "")))
    return key is not None and tag_of(item) == key and _has_flag(item.get("organizer"), "self")


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(item: Item, calendar: Address, zone: ZoneInfo, identities: Identities) -> Event:
    """The event, as the owner of that calendar sees it; whole days are taken in `zone`. Raises InvalidResponse."""
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
        raise InvalidResponse(f"{calendar}: an event of Google's has times that can't be read.") from error


def is_cancelled(item: Item) -> bool:
    return item.get("status") == "cancelled"


def parse_span(item: Item, zone: ZoneInfo) -> Span:
    """When it is. Raises KeyError, TypeError, ValueError."""
    start, end = _parse_instant(item["start"], zone), _parse_instant(item["end"], zone)
    return Span(start, max(start, end))


def _parse_instant(at: Item, zone: ZoneInfo) -> datetime:
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    found = datetime.fromisoformat(at["dateTime"])
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(at["timeZone"]) if "timeZone" in at else zone)
    return found.astimezone(UTC)


def resolve_person(part: Item, calendar: Address, identities: Identities) -> Address:
    """Who an organizer or a guest is, by their primary address: the calendar's owner where Google says `self`."""
    if _has_flag(part, "self"):
        return calendar
    email = str(part.get("email", ""))
    return identities.primary(email) if email else ""


def list_guests(item: Item) -> list[Item]:
    """Everybody invited, the organizer and rooms aside."""
    organizer = str((item.get("organizer") or {}).get("email", "")).casefold()
    return [
        guest
        for guest in item.get("attendees") or ()
        if guest.get("email") and not _has_flag(guest, "organizer") and not _has_flag(guest, "resource")
        if str(guest["email"]).casefold() != organizer
    ]


def read_answers(item: Item, calendar: Address, identities: Identities) -> dict[Address, Answer]:
    """Everybody invited, the organizer and rooms aside, and what they said."""
    return {
        resolve_person(guest, calendar, identities): _ANSWERS.get(guest.get("responseStatus", ""), Answer.NEEDS_ACTION)
        for guest in list_guests(item)
    }


def is_untouched(item: Item) -> bool:
    """True for an event that is as it was made: nobody has changed it since."""
    try:
        made, changed = (datetime.fromisoformat(item[name]) for name in ("created", "updated"))
    except (KeyError, TypeError, ValueError):
        return False
    return changed - made < _UNCHANGED_WITHIN


def read_show(item: Item) -> ShowAs | None:
    """How it counts for the calendar's owner; None when it leaves the time free."""
    kind = item.get("eventType", "default")
    if is_cancelled(item) or item.get("transparency") == "transparent" or kind in _FREE_EVENT_TYPES:
        return None
    mine: Item = next((one for one in item.get("attendees") or () if _has_flag(one, "self")), {})
    said = _ANSWERS.get(mine.get("responseStatus", "accepted"), Answer.NEEDS_ACTION)
    if said is Answer.DECLINED:
        return None
    if _find_key(item) is not None:
        return ShowAs.BUSY
    if item.get("status") == "tentative" or said is not Answer.ACCEPTED:
        return ShowAs.TENTATIVE
    return ShowAs.AWAY if kind == "outOfOffice" or "date" in (item.get("start") or {}) else ShowAs.BUSY


def _has_flag(part: Any, name: str) -> bool:
    return bool(part) and part.get(name) is True


# --- writing --------------------------------------------------------------------------------------------------------


def compose_event(draft: EventDraft) -> dict[str, Any]:
    """A new event."""
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
    """The wish for a Meet link. Asked again with the same id it is the same link."""
    wish = sha256(draft.key.encode()).hexdigest()[:32]
    return {"createRequest": {"requestId": wish, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def compose_patch(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> dict[str, Any]:
    """What to change of our event so that it is what the draft says. When the time changes everybody is asked anew;
    else the guests are not written at all, and their answers stay. Whom people added stays, as they added them."""
    fields = _compose_fields(draft)
    body = {**fields, **{name: _replace_time(fields[name]) for name in ("start", "end")}}
    if not has_time_of(item, draft, zone):  # Google takes the whole list in place of the one before
        known = read_answers(item, draft.organizer.email, identities)
        missing = [_compose_guest(guest) for guest in draft.guests if guest.email not in known]
        body["attendees"] = [*map(_reset_answer, item.get("attendees") or ()), *missing]
    return body


def _reset_answer(guest: Item) -> dict[str, Any]:
    """A guest as it was read, but a person's answer, which is void."""
    kept = {name: guest[name] for name in _GUEST_WRITABLE_FIELDS if name in guest}
    if not _has_flag(guest, "resource") and not _has_flag(guest, "organizer"):
        kept["responseStatus"] = _RESPONSES[Answer.NEEDS_ACTION]
    return kept


def has_time_of(item: Item, draft: EventDraft, zone: ZoneInfo) -> bool:
    """Whether it stands where the draft has it."""
    try:
        return parse_span(item, zone) == draft.span and ("date" in item["start"]) == draft.all_day
    except (KeyError, TypeError, ValueError):
        return False


def is_written_from(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> bool:
    """True when it is what that draft makes of it already."""
    wanted = _compose_fields(draft)
    same = item.get("summary") == wanted["summary"] and item.get("transparency", "opaque") == wanted["transparency"]
    invited = read_answers(item, draft.organizer.email, identities).keys()
    return same and has_time_of(item, draft, zone) and {guest.email for guest in draft.guests} <= invited


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


def _replace_time(when: Mapping[str, str]) -> dict[str, str | None]:
    """A time in place of another one: the other kind is named too, or it would stay beside this one."""
    return dict.fromkeys(("date", "dateTime", "timeZone")) | dict(when)


def _compose_guest(guest: Guest) -> dict[str, Any]:
    return {
        "email": guest.email,
        "displayName": " ".join(guest.name.split()),
        "responseStatus": _RESPONSES[Answer.NEEDS_ACTION],
    }


def _compose_reminders(draft: EventDraft) -> list[dict[str, Any]]:
    return [{"method": "popup", "minutes": minutes} for minutes in draft.reminders[:_MOST_REMINDERS]]


def is_of_series(item: Item) -> bool:
    """Whether it is a recurring event, or one occurrence of it."""
    return bool(item.get("recurrence") or item.get("recurringEventId"))


def has_times(item: Item) -> bool:
    """Whether it says when it takes place; a cancelled event may come with its id alone."""
    return "start" in item and "end" in item


def parse_cursor(cursor: Cursor | None) -> str:
    """The sync token in a cursor; empty when there is none, or it was made with other parameters than today's."""
    try:
        held = json.loads(cursor or "{}")
        return str(held["token"]) if held["version"] == 1 else ""
    except (ValueError, KeyError, TypeError):
        return ""


def format_cursor(token: str) -> Cursor:
    """The cursor that holds a sync token."""
    return json.dumps({"version": 1, "token": token})


def read_items(answer: Any, calendar: Address) -> list[dict[str, Any]]:
    """The events of a list that Google answered with. Raises InvalidResponse when it is no such list."""
    items = answer.get("items", []) if isinstance(answer, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and item.get("id") for item in items):
        raise InvalidResponse(f"{calendar}: Google answered with something that is not a list of events.")
    return items


def format_instant(at: datetime) -> str:
    """The instant as Google takes it in a query: RFC 3339, in UTC, whole seconds."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
