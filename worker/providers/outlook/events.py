"""Translates events between Microsoft Graph's JSON and the classes of `worker.domain.model`.

An *item* is an event in Graph's JSON. Our own items hold their key in an extended property. Of other people's events
only times, answers and free/busy statuses are requested, never a subject or a body. Graph names people by aliases: an
address, an X500 string or a bare name.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from worker.domain.model import Address, Answer, Event, EventDraft, EventRef, NamedAddress, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers import windows_zones
from worker.providers.identities import normalize_alias
from worker.providers.outlook.client import Json

#: A function that returns the primary address of the person whom an alias names.
NameResolver = Callable[[str], Address]

#: The extended property of an event or a mail that holds our key.
KEY_PROPERTY = "String {6f1b1c5e-3d0b-4c86-9b0e-2f1a6c0f9d11} Name LongarcKey"
#: The property's value is this prefix and the key.
KEY_PREFIX = "longarc/"
#: The value of `$expand` that requests this property.
EXPAND_KEY = f"singleValueExtendedProperties($filter=id eq '{KEY_PROPERTY}')"
#: The value of `$select` that requests the fields of an event.
EVENT_FIELDS = (
    "id,iCalUId,changeKey,createdDateTime,type,seriesMasterId,start,end,isAllDay,isCancelled,isOrganizer,showAs,"
    "organizer,attendees,responseStatus"
)
#: How our transaction ids begin. Graph creates no second event with the same transaction id.
TRANSACTION_PREFIX = "longarc-"
MAX_GUESTS = 500  #: of one event
_DIGEST_LENGTH = 16  #: hexadecimal digits of the digest in our etags
_TRANSACTION_DIGEST_LENGTH = 40  #: hexadecimal digits of the digest in our transaction ids
_MAX_TIME_LENGTH = len("2026-11-02T09:00:00.000000")

#: How an event with a free/busy status of Graph counts in free/busy; every other status counts as busy.
_SHOW_AS_BY_STATUS: Mapping[str, ShowAs | None] = {
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
#: The years in the times that Graph returns when no time is set.
_UNSET_YEARS = (1, 4501)
#: Finds in a body the beginning of the block with the Teams link: a line of underscores, with the tags before it.
_TEAMS_BLOCK = re.compile(r"(?:<div[^>]*>\s*)?(?:<[^>]+>\s*)*_{20,}", re.DOTALL)


def compose_key_filter(key: str) -> str:
    """Return the value of `$filter` that selects the events or the mails with the key."""
    value = _escape_quotes(KEY_PREFIX + key)
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY_PROPERTY}' and ep/value eq '{value}')"


def _escape_quotes(text: str) -> str:
    return text.replace("'", "''")


def compose_start_filter(instant: datetime) -> str:
    """Return the value of `$filter` that selects the events that begin at `instant` or later."""
    return f"start/dateTime ge '{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}'"


def compose_bounds(window: Span) -> dict[str, str]:
    """Return the window as the query parameters `startDateTime` and `endDateTime`."""
    return {"startDateTime": f"{window.start:%Y-%m-%dT%H:%M:%SZ}", "endDateTime": f"{window.end:%Y-%m-%dT%H:%M:%SZ}"}


def make_key_property(key: str) -> list[Json]:
    """Return the value of `singleValueExtendedProperties` that holds the key."""
    return [{"id": KEY_PROPERTY, "value": KEY_PREFIX + key}]


def read_key(item: Json) -> str | None:
    """Return the key of an event or a mail that was requested with `EXPAND_KEY`; None when it has no key."""
    for extended_property in item.get("singleValueExtendedProperties") or ():
        value = str(extended_property.get("value") or "")
        is_key_property = str(extended_property.get("id") or "").casefold() == KEY_PROPERTY.casefold()
        if is_key_property and value.startswith(KEY_PREFIX):
            return value.removeprefix(KEY_PREFIX)
    return None


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(
    item: Json, owner: Address, zone: ZoneInfo, key: str | None = None, *, find_primary: NameResolver = normalize_alias
) -> Event:
    """Return the event as the calendar's owner sees it. Raises InvalidResponse when the item can't be parsed.

    `zone` is the time zone in which all-day events begin and end. `key` is our key, if the caller knows it.
    """
    try:
        all_day = bool(item.get("isAllDay"))
        parse_times = _parse_all_day if all_day else _parse_timed
        span = Span(*parse_times(item["start"], item["end"], zone))
        organizer = owner if item.get("isOrganizer") else find_primary(read_alias(item.get("organizer")))
        answers = _read_answers(item, owner, organizer, find_primary)
        key = key or read_key(item)
        event = Event(
            ref=EventRef(owner, str(item["id"]), read_etag(item)),
            span=span,
            key=key,
            series=str(item["seriesMasterId"]) if item.get("seriesMasterId") else None,
            all_day=all_day,
            organizer=organizer,
            answers=answers,
            proposed={
                person: proposed_time
                for person, _, guest in _iter_guests(item, find_primary)
                if (proposed_time := _read_proposed_time(guest))
            },
            cancelled=bool(item.get("isCancelled")),
            show_as=_read_show_as(item, key),
        )
        return replace(event, ref=replace(event.ref, etag=f"{event.ref.etag}#{_make_digest(event)}"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidResponse(
            f"{owner}: the service sent an event that can't be parsed ({type(error).__name__})."
        ) from error


def _read_answers(item: Json, owner: Address, organizer: Address, find_primary: NameResolver) -> dict[Address, Answer]:
    """Return the answers of all guests, by primary address, except the organizer."""
    answers: dict[Address, Answer] = {}
    for person, answer, _ in _iter_guests(item, find_primary):
        # A person may be listed by two aliases. Then an answer outweighs a missing one.
        if answers.get(person, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:
            answers[person] = answer
    if owner in answers and owner != organizer:  # on a guest's copy, the guest's own answer is in a separate field
        answers[owner] = _ANSWERS.get(_read_response(item), answers[owner])
    answers.pop(organizer, None)
    return answers


def read_etag(item: Json) -> str:
    """Return the service's etag of the event, in the format of the header If-Match."""
    return str(item.get("@odata.etag") or f'W/"{item["changeKey"]}"')


def is_same_version(etag: str, current: Event) -> bool:
    """Return whether nobody has changed the event since it had that etag.

    The service's own etag also changes without anybody's action, for instance when a Teams link becomes ready. So our
    etags consist of the service's etag, `#`, and a digest of the fields that people change. The digests are compared.
    """
    _, separator, digest = etag.rpartition("#")
    if not separator:  # this etag was stored by an older version of Longarc, and has no digest
        return etag == extract_service_etag(current.ref.etag)
    return digest == current.ref.etag.rpartition("#")[2]


def extract_service_etag(etag: str) -> str:
    """Return the service's etag in one of our etags."""
    return etag.rpartition("#")[0] or etag


def _make_digest(event: Event) -> str:
    """Return a digest of the fields that people change.

    The answers are included without the names of the guests, because the service may change these aliases.
    """
    fields = (
        f"{event.span.start:%F %T} {event.span.end:%F %T}",
        event.all_day,
        event.cancelled,
        event.show_as,
        *sorted(answer.value for answer in event.answers.values()),
        *sorted(f"{span.start:%F %T} {span.end:%F %T}" for span in event.proposed.values()),
    )
    return sha256(repr(fields).encode()).hexdigest()[:_DIGEST_LENGTH]


def parse_span(item: Json) -> Span:
    """Return the item's `start` and `end` in UTC. Raises KeyError, ValueError and TypeError."""
    return Span(parse_instant(item["start"]), parse_instant(item["end"]))


def parse_instant(fields: Json) -> datetime:
    """Return the instant, in UTC, in Graph's `dateTime` (a local time) and `timeZone`. Raises ValueError, KeyError."""
    zone_name = str(fields.get("timeZone") or "UTC")
    zone = windows_zones.find_iana_name(zone_name)
    if zone is None:
        raise ValueError(f"unknown time zone {zone_name!r}")
    return _parse_local_time(fields).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _parse_local_time(fields: Json) -> datetime:
    """Return the local time in Graph's `dateTime`, without a zone, in whole seconds."""
    text = str(fields["dateTime"]).removesuffix("Z")
    # Graph writes seven decimals, and `fromisoformat` accepts at most six.
    return datetime.fromisoformat(text[:_MAX_TIME_LENGTH] if "." in text else text).replace(tzinfo=None, microsecond=0)


def _parse_timed(start: Json, end: Json, _: ZoneInfo) -> tuple[datetime, datetime]:
    return parse_instant(start), parse_instant(end)


def _parse_all_day(start: Json, end: Json, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the start and the end of an all-day event in UTC.

    Graph returns two midnights, which are local times in `zone`, the zone of the calendar's owner. When Graph has
    converted the midnights to another zone, it returns other times of day together with this zone.
    """
    local_start, local_end = _parse_local_time(start), _parse_local_time(end)
    if local_start.time() == local_end.time() == time():
        return local_start.replace(tzinfo=zone).astimezone(UTC), local_end.replace(tzinfo=zone).astimezone(UTC)
    return parse_instant(start), parse_instant(end)


def _read_show_as(item: Json, key: str | None) -> ShowAs | None:
    """Return how the event counts in the free/busy of the calendar's owner; None when it does not block time."""
    show_as = find_show_as(str(item.get("showAs") or ""))
    response = _read_response(item)
    if item.get("isCancelled") or response == "declined":
        return None
    is_undecided = not item.get("isOrganizer") and response in ("notresponded", "none", "tentativelyaccepted")
    is_other_event = key is None  # our own event counts as busy, answered or not
    return ShowAs.TENTATIVE if is_undecided and show_as is ShowAs.BUSY and is_other_event else show_as


def _read_response(item: Json) -> str:
    """Return the answer of the calendar's owner in Graph's words, in lower case; empty when there is none."""
    return str((item.get("responseStatus") or {}).get("response") or "").casefold()


def find_show_as(status: str) -> ShowAs | None:
    """Return how an event or a span with this free/busy status of Graph counts; None when it blocks no time."""
    return _SHOW_AS_BY_STATUS.get(status.casefold(), ShowAs.BUSY)


def read_alias(recipient: Any) -> str:
    """Return the alias of an organizer or a guest; empty when there is none."""
    email = (recipient or {}).get("emailAddress") or {}
    return str(email.get("address") or email.get("name") or "")


def _iter_guests(item: Json, find_primary: NameResolver) -> Iterable[tuple[Address, Answer, Json]]:
    """Yield the primary address, the answer and the JSON of every attendee except the organizer and rooms."""
    for attendee in _list_people(item):
        response = str((attendee.get("status") or {}).get("response") or "").casefold()
        if response != "organizer":
            yield find_primary(read_alias(attendee)), _ANSWERS.get(response, Answer.NEEDS_ACTION), attendee


def _list_people(item: Json) -> list[Json]:
    """Return the attendees except rooms. The organizer may be among them."""
    return [
        attendee
        for attendee in item.get("attendees") or ()
        if str(attendee.get("type") or "").casefold() != "resource" and read_alias(attendee)
    ]


def _read_proposed_time(guest: Json) -> Span | None:
    """Return the other time that a guest proposed; None when there is none or it can't be parsed."""
    proposed_time = guest.get("proposedNewTime")
    if not isinstance(proposed_time, dict):
        return None
    try:
        span = parse_span(proposed_time)
    except (KeyError, TypeError, ValueError):
        return None
    is_set = span.start.year not in _UNSET_YEARS and span.minutes > 0
    return span if is_set else None


def find_only_guest(item: Json) -> tuple[str, str] | None:
    """Return the alias and the name of the only guest; None when there are several guests or none."""
    people = _list_people(item)
    if len(people) != 1:
        return None
    [guest] = people
    return read_alias(guest), str((guest.get("emailAddress") or {}).get("name") or "")


# --- writing --------------------------------------------------------------------------------------------------------


def make_transaction_id(key: str) -> str:
    """Return the transaction id for the event with that key. It is the same in each attempt to create the event."""
    return f"{TRANSACTION_PREFIX}{sha256(key.encode()).hexdigest()[:_TRANSACTION_DIGEST_LENGTH]}"


def compose_event(draft: EventDraft, *, teams: bool) -> Json:
    """Return the body of the request that creates the event of the draft; with `teams`, with a Teams link."""
    body: Json = {
        **_compose_times(draft),
        "subject": draft.title,
        "body": {"contentType": "html", "content": render_html(draft.body)},
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


def compose_patch(
    item: Json, draft: EventDraft, current: Event, *, find_primary: NameResolver = normalize_alias
) -> Json:
    """Return the body of the request that rewrites the event from the draft.

    The body holds only fields that differ, because everybody is notified when the time or the guests are written. It is
    empty when no field differs. Guests whom people added stay invited. `current` is the event in `item`.
    """
    patch: Json = {}
    if (current.span, current.all_day) != (draft.span, draft.all_day):
        patch |= _compose_times(draft)
    if item.get("subject") != draft.title:
        patch["subject"] = draft.title
    if (content := _rewrite_body(item, draft)) is not None:
        patch["body"] = {"contentType": "html", "content": content}
    if missing_guests := _list_missing_guests(item, draft, current):
        patch["attendees"] = [*_copy_attendees(item, find_primary), *_compose_attendees(missing_guests)]
    return patch | {name: value for name, value in _compose_status_fields(draft).items() if item.get(name) != value}


def _compose_times(draft: EventDraft) -> Json:
    """Return the fields for the draft's time. Graph requires midnights as start and end of an all-day event."""
    if not draft.all_day:
        return {"start": format_utc(draft.span.start), "end": format_utc(draft.span.end), "isAllDay": False}
    zone = ZoneInfo(draft.zone)
    windows_name = windows_zones.find_windows_name(draft.zone, draft.span.start)
    # The local times may differ from midnight, which the change to summer time skips on some days. So only dates count.
    first_day = draft.span.start.astimezone(zone).date()
    last_day = (draft.span.end.astimezone(zone) - timedelta(seconds=1)).date()
    start = datetime.combine(first_day, time())
    end = datetime.combine(last_day, time()) + timedelta(days=1)
    return {
        "start": {"dateTime": f"{start:%Y-%m-%dT%H:%M:%S}", "timeZone": windows_name},
        "end": {"dateTime": f"{end:%Y-%m-%dT%H:%M:%S}", "timeZone": windows_name},
        "isAllDay": True,
    }


def format_utc(instant: datetime) -> Json:
    """Return Graph's `dateTime` and `timeZone` for the instant, in UTC."""
    return {"dateTime": f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}


def _compose_status_fields(draft: EventDraft) -> Json:
    """Return the fields for free/busy and for the reminder.

    An event in Graph has only one reminder, so the earliest of the draft's reminders is used.
    """
    fields: Json = {"showAs": "busy" if draft.blocks_time else "free", "isReminderOn": bool(draft.reminders)}
    if draft.reminders:
        fields["reminderMinutesBeforeStart"] = max(draft.reminders)
    return fields


def _compose_attendees(guests: Iterable[NamedAddress]) -> list[Json]:
    return [{"emailAddress": {"address": guest.email, "name": guest.name}, "type": "required"} for guest in guests]


def _list_missing_guests(item: Json, draft: EventDraft, current: Event) -> list[NamedAddress]:
    """Return the draft's guests who are not invited yet.

    When the draft and the event have one guest each, this is the same person, possibly named by an unknown alias. Then
    no guest is missing: writing the list of attendees would invite this person twice.
    """
    if len(draft.guests) == 1 and find_only_guest(item):
        return []
    return [guest for guest in draft.guests if guest.email not in current.answers]


def _copy_attendees(item: Json, find_primary: NameResolver) -> list[Json]:
    """Return all attendees of the event to write them again, because Graph replaces the whole list of attendees."""
    attendees = []
    for attendee in item.get("attendees") or ():
        email = dict(attendee.get("emailAddress") or {})
        address = find_primary(read_alias(attendee))
        if "@" not in read_alias(attendee) and "@" in address:  # Graph returns bare names, but does not accept them
            email["address"] = address
        attendees.append({"emailAddress": email, "type": attendee.get("type") or "required"})
    return attendees


def render_html(text: str) -> str:
    """Return plain text as an HTML body."""
    lines = "<br>\r\n".join(html.escape(line, quote=False) for line in text.split("\n"))
    return f"<div>{lines}</div>"


def _rewrite_body(item: Json, draft: EventDraft) -> str | None:
    """Return the new body of the event, with the block that holds the Teams link copied from the old body.

    Return None when the text is unchanged. Also return None when this block is not found in an online meeting, because
    an outdated text does less harm than a meeting without its link.
    """
    body = item.get("body") or {}
    old_body = str(body.get("content") or "")
    new_body = render_html(draft.body)
    if _extract_text(new_body) in _extract_text(old_body):  # the old body may hold the Teams block, too
        return None
    if not item.get("isOnlineMeeting"):
        return new_body
    block = _TEAMS_BLOCK.search(old_body)
    return None if block is None else f"{new_body}\r\n<br>{old_body[block.start() :]}"


def _extract_text(content: str) -> str:
    """Return the text of an HTML body, without markup and with single blanks between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())
