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

from base64 import b32hexdecode, b32hexencode
from binascii import Error as NotEncoded
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Event, EventDraft, EventRef, Guest, Show, Span
from worker.errors import InvalidResponse, Permanent
from worker.providers.identities import Identities

PROPERTY = "longarcKey"
_PREFIX = "longarc"
_LONGEST_ID = 1024
_UID_ENDS = "@google.com"
#: So soon after it was made nobody has changed an event.
_UNTOUCHED = timedelta(seconds=5)
#: What of a guest is written back as it was read.
_WRITABLE = ("email", "displayName", "optional", "resource", "comment", "additionalGuests", "responseStatus")
_REMINDERS = 5  #: more than that Google does not take
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentative": Answer.TENTATIVE,
    "needsAction": Answer.NEEDS_ACTION,
}
_SAID = {answer: said for said, answer in _ANSWERS.items()}
_FREE = frozenset({"workingLocation", "birthday"})

Item = Mapping[str, Any]

_EVENT = (
    "id,iCalUID,status,etag,start,end,transparency,eventType,recurringEventId,recurrence,organizer(email,self),"
    f"extendedProperties/private/{PROPERTY}"
)
_GUEST = "email,self,organizer,resource,responseStatus"
#: What is asked of an event, and nothing else: never a title, a text or a place.
FIELDS = f"{_EVENT},attendees({_GUEST})"
#: Of somebody who is only asked when they have time: nobody else's address either.
TIMES = (
    "id,iCalUID,status,start,end,transparency,eventType,organizer/self,attendees(self,responseStatus),"
    f"extendedProperties/private/{PROPERTY}"
)
#: Of our own event, before it is changed: all that people may have put there, so that it can stay.
WHOLE = (
    f"{_EVENT},created,updated,summary,description,visibility,hangoutLink,"
    f"attendees({_GUEST},displayName,optional,comment,additionalGuests)"
)


# --- names ----------------------------------------------------------------------------------------------------------


def event_id(key: str) -> str:
    """The id of our event of that key: in the only letters that Google takes. Raises Permanent."""
    made = _PREFIX + b32hexencode(key.encode()).decode().rstrip("=").lower()
    if len(made) > _LONGEST_ID:
        raise Permanent(f"The event's key is too long for Google ({len(key)} characters).")
    return made


def key_in(name: str) -> str | None:
    """The key that an id of ours was made of; None for any other id."""
    coded = name.removeprefix(_PREFIX).upper()
    if not name.startswith(_PREFIX) or not coded:
        return None
    try:
        key = b32hexdecode(coded + "=" * (-len(coded) % 8)).decode()
    except (NotEncoded, ValueError):
        return None
    return key if event_id(key) == name else None


def key_of(item: Item) -> str | None:
    """Our key, when the event is ours. On the organizer's calendar the tag has to be there; on a guest's it can't."""
    key = _key_named(item)
    if key is None or not _flag(item.get("organizer"), "self"):
        return key
    return key if tag_of(item) == key else None


def _key_named(item: Item) -> str | None:
    """The key in the event's id, or in the iCalUID that all copies of it share."""
    return key_in(str(item.get("id", ""))) or key_in(str(item.get("iCalUID", "")).removesuffix(_UID_ENDS))


def tag_of(item: Item) -> str | None:
    """What our private property says."""
    found = ((item.get("extendedProperties") or {}).get("private") or {}).get(PROPERTY)
    return str(found) if found else None


def may_change(item: Item) -> bool:
    """True for an event that we put on its organizer's calendar."""
    key = key_in(str(item.get("id", "")))
    return key is not None and tag_of(item) == key and _flag(item.get("organizer"), "self")


# --- reading --------------------------------------------------------------------------------------------------------


def event(item: Item, calendar: Address, zone: ZoneInfo, identities: Identities) -> Event:
    """The event, as the owner of that calendar sees it; whole days are taken in `zone`. Raises InvalidResponse."""
    try:
        return Event(
            ref=EventRef(calendar, str(item["id"]), str(item.get("etag", ""))),
            span=span(item, zone),
            key=key_of(item),
            series=item.get("recurringEventId"),
            all_day="date" in item["start"],
            organizer=person(item.get("organizer") or {}, calendar, identities),
            answers=answers(item, calendar, identities),
            cancelled=is_cancelled(item),
            show=show(item),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidResponse(f"{calendar}: an event of Google's has times that can't be read.") from error


def is_cancelled(item: Item) -> bool:
    return item.get("status") == "cancelled"


def span(item: Item, zone: ZoneInfo) -> Span:
    """When it is. Raises KeyError, TypeError, ValueError."""
    start, end = _instant(item["start"], zone), _instant(item["end"], zone)
    return Span(start, max(start, end))


def _instant(at: Item, zone: ZoneInfo) -> datetime:
    if "date" in at:
        return datetime.combine(date.fromisoformat(at["date"]), time(), zone).astimezone(UTC)
    found = datetime.fromisoformat(at["dateTime"])
    if found.tzinfo is None:
        found = found.replace(tzinfo=ZoneInfo(at["timeZone"]) if "timeZone" in at else zone)
    return found.astimezone(UTC)


def person(part: Item, calendar: Address, identities: Identities) -> Address:
    """Who an organizer or a guest is, by their primary address: the calendar's owner where Google says `self`."""
    if _flag(part, "self"):
        return calendar
    email = str(part.get("email", ""))
    return identities.primary(email) if email else ""


def guests(item: Item) -> list[Item]:
    """Everybody invited, the organizer and rooms aside."""
    organizer = str((item.get("organizer") or {}).get("email", "")).casefold()
    return [
        guest
        for guest in item.get("attendees") or ()
        if guest.get("email") and not _flag(guest, "organizer") and not _flag(guest, "resource")
        if str(guest["email"]).casefold() != organizer
    ]


def answers(item: Item, calendar: Address, identities: Identities) -> dict[Address, Answer]:
    """Everybody invited, the organizer and rooms aside, and what they said."""
    return {
        person(guest, calendar, identities): _ANSWERS.get(guest.get("responseStatus", ""), Answer.NEEDS_ACTION)
        for guest in guests(item)
    }


def is_untouched(item: Item) -> bool:
    """True for an event that is as it was made: nobody has changed it since."""
    try:
        made, changed = (datetime.fromisoformat(item[name]) for name in ("created", "updated"))
    except (KeyError, TypeError, ValueError):
        return False
    return changed - made < _UNTOUCHED


def show(item: Item) -> Show | None:
    """How it counts for the calendar's owner; None when it leaves the time free."""
    kind = item.get("eventType", "default")
    if is_cancelled(item) or item.get("transparency") == "transparent" or kind in _FREE:
        return None
    mine: Item = next((one for one in item.get("attendees") or () if _flag(one, "self")), {})
    said = _ANSWERS.get(mine.get("responseStatus", "accepted"), Answer.NEEDS_ACTION)
    if said is Answer.DECLINED:
        return None
    if _key_named(item) is not None:
        return Show.BUSY
    if item.get("status") == "tentative" or said is not Answer.ACCEPTED:
        return Show.TENTATIVE
    return Show.AWAY if kind == "outOfOffice" or "date" in (item.get("start") or {}) else Show.BUSY


def _flag(part: Any, name: str) -> bool:
    return bool(part) and part.get(name) is True


# --- writing --------------------------------------------------------------------------------------------------------


def compose(draft: EventDraft) -> dict[str, Any]:
    """A new event."""
    body = {
        "id": event_id(draft.key),
        "extendedProperties": {"private": {PROPERTY: draft.key}},
        "reminders": {"useDefault": False, "overrides": _reminders(draft)},
        "visibility": "private",
        "guestsCanModify": False,
        "guestsCanInviteOthers": False,
        "status": "confirmed",
        "eventType": "default",
        **_fields(draft),
        "attendees": [_compose_guest(guest) for guest in draft.guests],
    }
    if draft.video:
        body["conferenceData"] = conference(draft)
    return body


def conference(draft: EventDraft) -> dict[str, Any]:
    """The wish for a Meet link. Asked again with the same id it is the same link."""
    wish = sha256(draft.key.encode()).hexdigest()[:32]
    return {"createRequest": {"requestId": wish, "conferenceSolutionKey": {"type": "hangoutsMeet"}}}


def amend(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> dict[str, Any]:
    """What to change of our event so that it is what the draft says. When the time changes everybody is asked anew;
    else the guests are not written at all, and their answers stay. Whom people added stays, as they added them."""
    fields = _fields(draft)
    body = {**fields, **{name: _instead(fields[name]) for name in ("start", "end")}}
    if not stands(item, draft, zone):  # Google takes the whole list in place of the one before
        known = answers(item, draft.organizer.email, identities)
        missing = [_compose_guest(guest) for guest in draft.guests if guest.email not in known]
        body["attendees"] = [*map(_asked_anew, item.get("attendees") or ()), *missing]
    return body


def _asked_anew(guest: Item) -> dict[str, Any]:
    """A guest as it was read, but a person's answer, which is void."""
    kept = {name: guest[name] for name in _WRITABLE if name in guest}
    if not _flag(guest, "resource") and not _flag(guest, "organizer"):
        kept["responseStatus"] = _SAID[Answer.NEEDS_ACTION]
    return kept


def stands(item: Item, draft: EventDraft, zone: ZoneInfo) -> bool:
    """Whether it stands where the draft has it."""
    try:
        return span(item, zone) == draft.span and ("date" in item["start"]) == draft.all_day
    except (KeyError, TypeError, ValueError):
        return False


def written_from(item: Item, draft: EventDraft, zone: ZoneInfo, identities: Identities) -> bool:
    """True when it is what that draft makes of it already."""
    wanted = _fields(draft)
    same = item.get("summary") == wanted["summary"] and item.get("transparency", "opaque") == wanted["transparency"]
    invited = answers(item, draft.organizer.email, identities).keys()
    return same and stands(item, draft, zone) and {guest.email for guest in draft.guests} <= invited


def _fields(draft: EventDraft) -> dict[str, Any]:
    return {
        "summary": draft.subject,
        "description": draft.body,
        "start": _when(draft.span.start, draft),
        "end": _when(draft.span.end, draft),
        "transparency": "opaque" if draft.blocks else "transparent",
    }


def _when(at: datetime, draft: EventDraft) -> dict[str, str]:
    local = at.astimezone(ZoneInfo(draft.zone))
    if draft.all_day:
        return {"date": local.date().isoformat()}
    return {"dateTime": local.isoformat(timespec="seconds"), "timeZone": draft.zone}


def _instead(when: Mapping[str, str]) -> dict[str, str | None]:
    """A time in place of another one: the other kind is named too, or it would stay beside this one."""
    return dict.fromkeys(("date", "dateTime", "timeZone")) | dict(when)


def _compose_guest(guest: Guest) -> dict[str, Any]:
    return {
        "email": guest.email,
        "displayName": " ".join(guest.name.split()),
        "responseStatus": _SAID[Answer.NEEDS_ACTION],
    }


def _reminders(draft: EventDraft) -> list[dict[str, Any]]:
    return [{"method": "popup", "minutes": minutes} for minutes in draft.reminders[:_REMINDERS]]
