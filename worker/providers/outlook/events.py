"""Translates events between Microsoft Graph's JSON and the classes of `worker.domain.model`.

Of other people's events only times, answers and free/busy statuses are requested, never a subject or a body.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Event, EventDraft, EventRef, Guest, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers import windows_zones
from worker.providers.identities import normalize
from worker.providers.outlook.client import Json

#: A function that returns a person's primary address for an alias by which Microsoft 365 names the person.
NameResolver = Callable[[str], Address]

#: The extended property of an event or a mail that holds our key.
KEY_PROPERTY = "String {6f1b1c5e-3d0b-4c86-9b0e-2f1a6c0f9d11} Name LongarcKey"
#: The property's value is this prefix and the key.
KEY_PREFIX = "longarc/"
EXPAND_KEY = f"singleValueExtendedProperties($filter=id eq '{KEY_PROPERTY}')"
#: The fields requested of an event.
EVENT_FIELDS = (
    "id,iCalUId,changeKey,createdDateTime,type,seriesMasterId,start,end,isAllDay,isCancelled,isOrganizer,showAs,"
    "organizer,attendees,responseStatus"
)
#: The beginning of each of our transaction ids.
TRANSACTION_PREFIX = "longarc-"
GUEST_LIMIT = 500  #: for one event

_SHOW_BY_STATUS: Mapping[str, ShowAs | None] = {
    "free": None,
    "workingelsewhere": None,  # says where the person works, not that the person is busy
    "tentative": ShowAs.TENTATIVE,
    "oof": ShowAs.AWAY,
}
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentativelyaccepted": Answer.TENTATIVE,
}
#: Years that Graph returns in place of a time that is not set.
_UNSET_YEARS = (1, 4501)
#: The beginning of the block with the Teams link in a body: a line of underscores.
_JOIN_BLOCK = re.compile(r"(?:<div[^>]*>\s*)?(?:<[^>]+>\s*)*_{20,}", re.DOTALL)


def filter_by_key(key: str) -> str:
    """Return a `$filter` for the events or mails that carry the key."""
    value = _escape_quotes(KEY_PREFIX + key)
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY_PROPERTY}' and ep/value eq '{value}')"


def _escape_quotes(text: str) -> str:
    return text.replace("'", "''")


def filter_starting_from(instant: datetime) -> str:
    """Return a `$filter` for the events that begin at `instant` or later."""
    return f"start/dateTime ge '{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}'"


def compose_bounds(window: Span) -> dict[str, str]:
    """Return the window as the query parameters `startDateTime` and `endDateTime`."""
    return {"startDateTime": f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{window.end:%Y-%m-%dT%H:%M:%SZ}"}


def make_key_property(key: str) -> list[Json]:
    """Return the value of `singleValueExtendedProperties` that holds the key."""
    return [{"id": KEY_PROPERTY, "value": KEY_PREFIX + key}]


def key_of(item: Json) -> str | None:
    """Return our key on an event or a mail that was read with `EXPAND_KEY`; None when it carries none."""
    for extended in item.get("singleValueExtendedProperties") or ():
        value = str(extended.get("value") or "")
        if str(extended.get("id") or "").casefold() == KEY_PROPERTY.casefold() and value.startswith(KEY_PREFIX):
            return value.removeprefix(KEY_PREFIX)
    return None


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(
    item: Json, owner: Address, zone: ZoneInfo, key: str | None = None, *, primary: NameResolver = normalize
) -> Event:
    """Return the event as the calendar's owner sees it. Dates of all-day events are in `zone`. `key`: our key, when the
    caller knows it. Raises InvalidResponse."""
    try:
        all_day = bool(item.get("isAllDay"))
        parse_times = _parse_all_day if all_day else _parse_timed
        span = Span(*parse_times(item["start"], item["end"], zone))
        answers: dict[Address, Answer] = {}
        for who, answer, _ in _iter_guests(item, primary):
            if answers.get(who, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:  # a person may be listed by two aliases
                answers[who] = answer
        organizer = owner if item.get("isOrganizer") else primary(alias_of(item.get("organizer")))
        if owner in answers and owner != organizer:  # a guest's copy has only the owner's answer, in a field of its own
            answers[owner] = _ANSWERS.get(_read_response(item), answers[owner])
        answers.pop(organizer, None)
        key = key or key_of(item)
        event = Event(
            ref=EventRef(owner, str(item["id"]), etag_of(item)),
            span=span,
            key=key,
            series=str(item["seriesMasterId"]) if item.get("seriesMasterId") else None,
            all_day=all_day,
            organizer=organizer,
            answers=answers,
            proposed={
                who: proposed
                for who, _, guest in _iter_guests(item, primary)
                if (proposed := _read_proposed_time(guest))
            },
            cancelled=bool(item.get("isCancelled")),
            show_as=_read_show(item, key),
        )
        return replace(event, ref=replace(event.ref, etag=f"{event.ref.etag}#{_make_digest(event)}"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidResponse(f"{owner}: the service sent an unreadable event ({type(error).__name__}).") from error


def etag_of(item: Json) -> str:
    """Return the service's version of the event, in the form of `If-Match`."""
    return str(item.get("@odata.etag") or f'W/"{item["changeKey"]}"')


def is_same_version(etag: str, current: Event) -> bool:
    """Whether nobody changed the event since it had that etag.

    The service's own version also changes without anybody's action, for instance when a Teams link becomes ready. So
    our etags hold a digest of the fields that people change as well, and the digests are compared.
    """
    _, separator, digest = etag.rpartition("#")
    if not separator:  # stored by an older version of Longarc
        return etag == service_etag(current.ref.etag)
    return digest == current.ref.etag.rpartition("#")[2]


def service_etag(etag: str) -> str:
    """Return the service's part of one of our etags."""
    return etag.rpartition("#")[0] or etag


def _make_digest(event: Event) -> str:
    """Return a digest of the fields that people change. Answers count without the guests' aliases, which the service
    changes."""
    fields = (
        *(f"{event.span.start:%F %T} {event.span.end:%F %T}", event.all_day, event.cancelled, event.show_as),
        *sorted(answer.value for answer in event.answers.values()),
        *sorted(f"{span.start:%F %T} {span.end:%F %T}" for span in event.proposed.values()),
    )
    return sha256(repr(fields).encode()).hexdigest()[:16]


def span_of(item: Json) -> Span:
    """Return the item's `start` and `end` in UTC. Raises KeyError, ValueError, TypeError."""
    return Span(parse_moment(item["start"]), parse_moment(item["end"]))


def parse_moment(moment: Json) -> datetime:
    """Return the instant of Graph's `dateTime` (local, without offset) and `timeZone`. Raises ValueError, KeyError."""
    name = str(moment.get("timeZone") or "UTC")
    zone = windows_zones.find_iana_name(name)
    if zone is None:
        raise ValueError(f"unknown time zone {name!r}")
    return _parse_local_time(moment).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _parse_local_time(moment: Json) -> datetime:
    text = str(moment["dateTime"]).removesuffix("Z")
    # Graph writes seven decimals; datetime takes six.
    return datetime.fromisoformat(text[:26] if "." in text else text).replace(tzinfo=None, microsecond=0)


def _parse_timed(start: Json, end: Json, _: ZoneInfo) -> tuple[datetime, datetime]:
    return parse_moment(start), parse_moment(end)


def _parse_all_day(start: Json, end: Json, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return start and end of an all-day event in UTC. Graph gives midnights, meant in the owner's zone `zone`; or,
    where it has converted them to another zone, times of day, meant in the zone that they name."""
    local_start, local_end = _parse_local_time(start), _parse_local_time(end)
    if local_start.time() == local_end.time() == time():
        return local_start.replace(tzinfo=zone).astimezone(UTC), local_end.replace(tzinfo=zone).astimezone(UTC)
    return parse_moment(start), parse_moment(end)


def _read_show(item: Json, key: str | None) -> ShowAs | None:
    """Return how the event counts for the calendar's owner; None when it leaves the time free."""
    show = _SHOW_BY_STATUS.get(str(item.get("showAs") or "").casefold(), ShowAs.BUSY)
    response = _read_response(item)
    if item.get("isCancelled") or response == "declined":
        return None
    is_undecided = not item.get("isOrganizer") and response in ("notresponded", "none", "tentativelyaccepted")
    return ShowAs.TENTATIVE if is_undecided and show is ShowAs.BUSY and key is None else show


def _read_response(item: Json) -> str:
    """Return the calendar owner's answer in lower case; empty when there is none."""
    return str((item.get("responseStatus") or {}).get("response") or "").casefold()


def read_status(status: str) -> ShowAs | None:
    """Return how a free/busy item with this status counts; None for free."""
    return _SHOW_BY_STATUS.get(status.casefold(), ShowAs.BUSY)


def alias_of(recipient: Any) -> str:
    """Return what Microsoft 365 calls a person: an address, an X500 string or a bare name; empty for
    nobody."""
    email = (recipient or {}).get("emailAddress") or {}
    return str(email.get("address") or email.get("name") or "")


def _iter_guests(item: Json, primary: NameResolver) -> Iterable[tuple[Address, Answer, Json]]:
    """Yield address, answer and entry of everybody invited except the organizer and rooms."""
    for person in _list_people(item):
        response = str((person.get("status") or {}).get("response") or "").casefold()
        if response != "organizer":
            yield primary(alias_of(person)), _ANSWERS.get(response, Answer.NEEDS_ACTION), person


def _list_people(item: Json) -> list[Json]:
    """Return everybody on the event except rooms."""
    attendees = item.get("attendees") or ()
    return [each for each in attendees if str(each.get("type") or "").casefold() != "resource" and alias_of(each)]


def _read_proposed_time(guest: Json) -> Span | None:
    """Return the time that a guest proposed instead; None when there is none, or an invalid one."""
    proposed = guest.get("proposedNewTime")
    if not isinstance(proposed, dict):
        return None
    try:
        span = span_of(proposed)
    except (KeyError, TypeError, ValueError):
        return None
    return span if span.start.year not in _UNSET_YEARS and span.minutes else None


def find_only_guest(item: Json) -> tuple[str, str] | None:
    """Return alias and name of the only person invited; None when there are several or none."""
    people = _list_people(item)
    if len(people) != 1:
        return None
    return alias_of(people[0]), str((people[0].get("emailAddress") or {}).get("name") or "")


# --- writing --------------------------------------------------------------------------------------------------------


def make_transaction_id(key: str) -> str:
    """Return the transaction id for the event of that key: the same for each attempt to create it."""
    return f"{TRANSACTION_PREFIX}{sha256(key.encode()).hexdigest()[:40]}"


def compose_event(draft: EventDraft, *, teams: bool) -> Json:
    """Return the body of the request that creates the event."""
    body: Json = {
        **_compose_times(draft),
        "subject": draft.subject,
        "body": {"contentType": "html", "content": as_html(draft.body)},
        "attendees": _compose_attendees(draft.guests),
        **_compose_status_fields(draft),
        "sensitivity": "private",
        "allowNewTimeProposals": True,
        "responseRequested": True,
        "transactionId": make_transaction_id(draft.key),
        "singleValueExtendedProperties": make_key_property(draft.key),
    }
    if teams and draft.video:
        body |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    return body


def compose_patch(item: Json, draft: EventDraft, current: Event, *, primary: NameResolver = normalize) -> Json:
    """Return the body of the request that makes the event what the draft says, empty when it is so already. Holds only
    fields that differ, because everybody is notified of each change of the time or a guest. Guests added by people
    stay."""
    patch: Json = {}
    if (current.span, current.all_day) != (draft.span, draft.all_day):
        patch |= _compose_times(draft)
    if item.get("subject") != draft.subject:
        patch["subject"] = draft.subject
    if (content := _rewrite_body(item, draft)) is not None:
        patch["body"] = {"contentType": "html", "content": content}
    if missing := _list_missing_guests(item, draft, current):
        patch["attendees"] = [*_copy_attendees(item, primary), *_compose_attendees(missing)]
    return patch | {name: value for name, value in _compose_status_fields(draft).items() if item.get(name) != value}


def _compose_times(draft: EventDraft) -> Json:
    if not draft.all_day:
        return {"start": format_utc(draft.span.start), "end": format_utc(draft.span.end), "isAllDay": False}
    zone = ZoneInfo(draft.zone)
    name = windows_zones.find_windows_name(draft.zone, draft.span.start)
    local_start, local_end = draft.span.start.astimezone(zone), draft.span.end.astimezone(zone)
    # Graph wants midnights, also on a day that begins later because the change to summer time skips midnight.
    start = datetime.combine(local_start.date(), time())
    end = datetime.combine((local_end - timedelta(seconds=1)).date(), time()) + timedelta(days=1)
    return {
        "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}", "timeZone": name},
        "end": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}", "timeZone": name},
        "isAllDay": True,
    }


def format_utc(instant: datetime) -> Json:
    """Return the instant in UTC as Graph's `dateTime` and `timeZone`."""
    return {"dateTime": f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}


def _compose_status_fields(draft: EventDraft) -> Json:
    """Return the fields for free/busy and the reminder. Graph has one reminder for an event: the earliest of the
    draft's."""
    fields: Json = {"showAs": "busy" if draft.blocks_time else "free", "isReminderOn": bool(draft.reminders)}
    return fields | ({"reminderMinutesBeforeStart": max(draft.reminders)} if draft.reminders else {})


def _compose_attendees(guests: Iterable[Guest]) -> list[Json]:
    return [{"emailAddress": {"address": guest.email, "name": guest.name}, "type": "required"} for guest in guests]


def _list_missing_guests(item: Json, draft: EventDraft, current: Event) -> list[Guest]:
    """Return the draft's guests who are not invited yet. Empty when the draft and the event have one guest each:
    Microsoft 365 may name that guest by an unknown alias, and writing the list would invite the same person twice."""
    if len(draft.guests) == 1 and find_only_guest(item):
        return []
    return [guest for guest in draft.guests if guest.email not in current.answers]


def _copy_attendees(item: Json, primary: NameResolver) -> list[Json]:
    """Return all people and rooms on the event, as they were read: a written list replaces the whole old one."""
    attendees = []
    for attendee in item.get("attendees") or ():
        email = dict(attendee.get("emailAddress") or {})
        address = primary(alias_of(attendee))
        if "@" not in alias_of(attendee) and "@" in address:  # Graph returns bare names, but does not accept them
            email["address"] = address
        attendees.append({"emailAddress": email, "type": attendee.get("type") or "required"})
    return attendees


def as_html(text: str) -> str:
    """Return plain text as an HTML body."""
    lines = "<br>\r\n".join(html.escape(line, quote=False) for line in text.split("\n"))
    return f"<div>{lines}</div>"


def _rewrite_body(item: Json, draft: EventDraft) -> str | None:
    """Return the new body, with the block that holds the Teams link copied from the old body. None when the text is the
    same, or when that block can't be found: an outdated text is better than a meeting without its link."""
    body = item.get("body") or {}
    old_body = str(body.get("content") or "")
    new_body = as_html(draft.body)
    if _extract_text(new_body) in _extract_text(old_body):
        return None
    if not item.get("isOnlineMeeting"):
        return new_body
    block = _JOIN_BLOCK.search(old_body)
    return None if block is None else f"{new_body}\r\n<br>{old_body[block.start() :]}"


def _extract_text(content: str) -> str:
    """Return the text of an HTML body, without markup and with single blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
