"""Events as Microsoft Graph writes them, and as the worker knows them.

Of other people's events only times, answers and how they count are asked for, never a subject or a text.
"""

import html
import json
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

#: Turns what the service calls somebody into that person's address.
NameResolver = Callable[[str], Address]

#: Where our key stands on an event or a mail: the one property of ours.
KEY_PROPERTY = "String {6f1b1c5e-3d0b-4c86-9b0e-2f1a6c0f9d11} Name LongarcKey"
#: Before each key, so that everything of ours can be asked for at once.
KEY_PREFIX = "longarc/"
EXPAND_KEY = f"singleValueExtendedProperties($filter=id eq '{KEY_PROPERTY}')"
#: What is asked for of an event.
EVENT_FIELDS = (
    "id,iCalUId,changeKey,createdDateTime,type,seriesMasterId,start,end,isAllDay,isCancelled,isOrganizer,showAs,"
    "organizer,attendees,responseStatus"
)
#: How each of our transaction ids begins.
TRANSACTION_PREFIX = "longarc-"
GUEST_LIMIT = 500  #: guests an event may have

_SHOW_BY_STATUS: Mapping[str, ShowAs | None] = {
    "free": None,
    "workingelsewhere": None,  # at work, and nothing booked
    "tentative": ShowAs.TENTATIVE,
    "oof": ShowAs.AWAY,
}
_ANSWERS = {
    "accepted": Answer.ACCEPTED,
    "declined": Answer.DECLINED,
    "tentativelyaccepted": Answer.TENTATIVE,
}
#: A time that was never set, or was set back, is told as one of these years.
_UNSET_YEARS = (1, 4501)
#: Where the link to a Teams meeting begins in a text: with a rule of underscores.
_JOIN_BLOCK = re.compile(r"(?:<div[^>]*>\s*)?(?:<[^>]+>\s*)*_{20,}", re.DOTALL)


def filter_by_key(key: str) -> str:
    """A filter for what carries that key."""
    value = _escape_quotes(KEY_PREFIX + key)
    return f"singleValueExtendedProperties/Any(ep: ep/id eq '{KEY_PROPERTY}' and ep/value eq '{value}')"


def _escape_quotes(text: str) -> str:
    return text.replace("'", "''")


def filter_starting_from(instant: datetime) -> str:
    """A filter for what begins then or later."""
    return f"start/dateTime ge '{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}'"


def make_key_property(key: str) -> list[Json]:
    """The property that carries the key."""
    return [{"id": KEY_PROPERTY, "value": KEY_PREFIX + key}]


def key_of(item: Json) -> str | None:
    """Our key on what was read with `EXPAND`, if it carries one."""
    for one in item.get("singleValueExtendedProperties") or ():
        value = str(one.get("value") or "")
        if str(one.get("id") or "").casefold() == KEY_PROPERTY.casefold() and value.startswith(KEY_PREFIX):
            return value.removeprefix(KEY_PREFIX)
    return None


# --- reading --------------------------------------------------------------------------------------------------------


def parse_event(
    item: Json, owner: Address, zone: ZoneInfo, key: str | None = None, *, primary: NameResolver = normalize
) -> Event:
    """An event of that person's calendar. Raises InvalidResponse when it can't be understood."""
    try:
        all_day = bool(item.get("isAllDay"))
        span = Span(*(_parse_whole_days if all_day else _parse_timed)(item["start"], item["end"], zone))
        answers: dict[Address, Answer] = {}
        for who, answer, _ in _iter_guests(item, primary):
            if answers.get(who, Answer.NEEDS_ACTION) is Answer.NEEDS_ACTION:  # one person may be listed by two names
                answers[who] = answer
        organizer = owner if item.get("isOrganizer") else primary(form_of(item.get("organizer")))
        if owner in answers and owner != organizer:  # a guest's copy knows only its owner's answer, and keeps it apart
            answers[owner] = _ANSWERS.get(_read_response(item), answers[owner])
        answers.pop(organizer, None)
        known = key or key_of(item)
        seen = Event(
            ref=EventRef(owner, str(item["id"]), etag_of(item)),
            span=span,
            key=known,
            series=str(item["seriesMasterId"]) if item.get("seriesMasterId") else None,
            all_day=all_day,
            organizer=organizer,
            answers=answers,
            proposed={who: found for who, _, one in _iter_guests(item, primary) if (found := _read_proposed_time(one))},
            cancelled=bool(item.get("isCancelled")),
            show=_read_show(item, known),
        )
        return replace(seen, ref=replace(seen.ref, etag=f"{seen.ref.etag}#{_make_digest(seen)}"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidResponse(f"{owner}: an event that can't be understood ({type(error).__name__}).") from error


def etag_of(item: Json) -> str:
    """The version, in the form that `If-Match` wants."""
    return str(item.get("@odata.etag") or f'W/"{item["changeKey"]}"')


def is_same_version(etag: str, there: Event) -> bool:
    """Whether nobody changed the event since it had that etag.

    The service renews its own version also for what nobody did, such as a Teams link that is ready a little later. So
    the etag that we keep holds a digest of what people change as well, and that decides.
    """
    _, mark, digest = etag.rpartition("#")
    if not mark:  # kept before there was a digest
        return etag == service_etag(there.ref.etag)
    return digest == there.ref.etag.rpartition("#")[2]


def service_etag(etag: str) -> str:
    """What the service knows of an etag that we keep."""
    return etag.rpartition("#")[0] or etag


def _make_digest(seen: Event) -> str:
    """What people change of an event, in short. Answers count without their names, which the service changes."""
    told = (
        *(f"{seen.span.start:%F %T} {seen.span.end:%F %T}", seen.all_day, seen.cancelled, seen.show),
        *sorted(answer.value for answer in seen.answers.values()),
        *sorted(f"{wish.start:%F %T} {wish.end:%F %T}" for wish in seen.proposed.values()),
    )
    return sha256(repr(told).encode()).hexdigest()[:16]


def span_of(item: Json) -> Span:
    """From a start to an end, each with its zone. Raises KeyError, ValueError, TypeError."""
    return Span(parse_moment(item["start"]), parse_moment(item["end"]))


def parse_moment(given: Json) -> datetime:
    """An instant: a time of seven digits without an offset, and the zone it is in. Raises ValueError, KeyError."""
    name = str(given.get("timeZone") or "UTC")
    zone = windows_zones.find_iana_name(name)
    if zone is None:
        raise ValueError(f"unknown time zone {name!r}")
    return _parse_local_time(given).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def _parse_local_time(given: Json) -> datetime:
    text = str(given["dateTime"]).removesuffix("Z")
    return datetime.fromisoformat(text[:26] if "." in text else text).replace(tzinfo=None, microsecond=0)


def _parse_timed(start: Json, end: Json, _: ZoneInfo) -> tuple[datetime, datetime]:
    return parse_moment(start), parse_moment(end)


def _parse_whole_days(start: Json, end: Json, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Whole days are told as midnights, which are those of the owner's zone; or, where they were turned into another
    zone on the way, as the instants they are."""
    first, last = _parse_local_time(start), _parse_local_time(end)
    if first.time() == last.time() == time():
        return first.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC)
    return parse_moment(start), parse_moment(end)


def _read_show(item: Json, key: str | None) -> ShowAs | None:
    shown = _SHOW_BY_STATUS.get(str(item.get("showAs") or "").casefold(), ShowAs.BUSY)
    response = _read_response(item)
    if item.get("isCancelled") or response == "declined":
        return None
    asked = not item.get("isOrganizer") and response in ("notresponded", "none", "tentativelyaccepted")
    return ShowAs.TENTATIVE if asked and shown is ShowAs.BUSY and key is None else shown


def _read_response(item: Json) -> str:
    """What the owner answered."""
    return str((item.get("responseStatus") or {}).get("response") or "").casefold()


def read_status(status: str) -> ShowAs | None:
    """How a stretch counts that is told by its status alone."""
    return _SHOW_BY_STATUS.get(status.casefold(), ShowAs.BUSY)


def form_of(recipient: Any) -> str:
    """What the service calls somebody: an address, an X500 string, or a mere name; empty when it says nobody."""
    told = (recipient or {}).get("emailAddress") or {}
    return str(told.get("address") or told.get("name") or "")


def _iter_guests(item: Json, primary: NameResolver) -> Iterable[tuple[Address, Answer, Json]]:
    for one in _list_people(item):
        told = str((one.get("status") or {}).get("response") or "").casefold()
        if told != "organizer":
            yield primary(form_of(one)), _ANSWERS.get(told, Answer.NEEDS_ACTION), one


def _list_people(item: Json) -> list[Json]:
    """Everybody invited, the rooms aside."""
    listed = item.get("attendees") or ()
    return [one for one in listed if str(one.get("type") or "").casefold() != "resource" and form_of(one)]


def _read_proposed_time(guest: Json) -> Span | None:
    """The time that somebody would rather have; nothing when none was named, or one that is no time."""
    given = guest.get("proposedNewTime")
    if not isinstance(given, dict):
        return None
    try:
        span = span_of(given)
    except (KeyError, TypeError, ValueError):
        return None
    return span if span.start.year not in _UNSET_YEARS and span.minutes else None


def find_only_guest(item: Json) -> tuple[str, str] | None:
    """What the service calls the one person invited, and that person's name; None when there are more or none."""
    listed = _list_people(item)
    if len(listed) != 1:
        return None
    return form_of(listed[0]), str((listed[0].get("emailAddress") or {}).get("name") or "")


# --- writing --------------------------------------------------------------------------------------------------------


def make_transaction_id(key: str) -> str:
    """The same for each attempt to make the event of that key, and never for another."""
    return f"{TRANSACTION_PREFIX}{sha256(key.encode()).hexdigest()[:40]}"


def compose_event(draft: EventDraft, *, teams: bool) -> Json:
    """What is posted to make the event."""
    made: Json = {
        **_compose_times(draft),
        "subject": draft.subject,
        "body": {"contentType": "html", "content": as_html(draft.body)},
        "attendees": _compose_attendees(draft.guests),
        **_compose_display(draft),
        "sensitivity": "private",
        "allowNewTimeProposals": True,
        "responseRequested": True,
        "transactionId": make_transaction_id(draft.key),
        "singleValueExtendedProperties": make_key_property(draft.key),
    }
    if teams and draft.video:
        made |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
    return made


def compose_patch(item: Json, draft: EventDraft, there: Event, *, primary: NameResolver = normalize) -> Json:
    """What is patched to make the event at `item` what the draft says: nothing more, since each change of a guest or a
    time is told to everybody. Guests whom people added stay."""
    changed: Json = {}
    if (there.span, there.all_day) != (draft.span, draft.all_day):
        changed |= _compose_times(draft)
    if item.get("subject") != draft.subject:
        changed["subject"] = draft.subject
    if (body := _rewrite_body(item, draft)) is not None:
        changed["body"] = {"contentType": "html", "content": body}
    if lacking := _list_missing_guests(item, draft, there):
        changed["attendees"] = [*_copy_attendees(item, primary), *_compose_attendees(lacking)]
    return changed | {name: value for name, value in _compose_display(draft).items() if item.get(name) != value}


def _compose_times(draft: EventDraft) -> Json:
    if not draft.all_day:
        return {"start": _format_utc(draft.span.start), "end": _format_utc(draft.span.end), "isAllDay": False}
    zone = ZoneInfo(draft.zone)
    name = windows_zones.find_windows_name(draft.zone, draft.span.start)
    first, last = draft.span.start.astimezone(zone), draft.span.end.astimezone(zone)
    # where midnight is left out on a day in spring, it begins later; and whole days begin at midnight all the same
    days = [datetime.combine(first.date(), time()), datetime.combine((last - timedelta(seconds=1)).date(), time())]
    days[1] += timedelta(days=1)
    return {
        "start": {"dateTime": f"{days[0]:%Y-%m-%dT%H:%M:%S}", "timeZone": name},
        "end": {"dateTime": f"{days[1]:%Y-%m-%dT%H:%M:%S}", "timeZone": name},
        "isAllDay": True,
    }


def _format_utc(instant: datetime) -> Json:
    return {"dateTime": f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"}


format_utc = _format_utc


def _compose_display(draft: EventDraft) -> Json:
    """How it shows and when it reminds. Of several reminders a mailbox has one: the earliest warning."""
    made: Json = {"showAs": "busy" if draft.blocks_time else "free", "isReminderOn": bool(draft.reminders)}
    return made | ({"reminderMinutesBeforeStart": max(draft.reminders)} if draft.reminders else {})


def _compose_attendees(guests: Iterable[Guest]) -> list[Json]:
    return [{"emailAddress": {"address": guest.email, "name": guest.name}, "type": "required"} for guest in guests]


def _list_missing_guests(item: Json, draft: EventDraft, there: Event) -> list[Guest]:
    """The guests of the draft who are not invited yet. An event for one guest with one guest on it lacks nobody: the
    service may call that guest by a name that nobody knows, and to write the list would invite the same person anew."""
    lacking = [guest for guest in draft.guests if guest.email not in there.answers]
    return [] if len(draft.guests) == 1 and find_only_guest(item) else lacking


def _copy_attendees(item: Json, primary: NameResolver) -> list[Json]:
    """Everybody and every room on the event, as the service calls them: the list is replaced whole."""
    standing = []
    for one in item.get("attendees") or ():
        told = dict(one.get("emailAddress") or {})
        known = primary(form_of(one))
        if "@" not in form_of(one) and "@" in known:  # a bare name can be read, but not written
            told["address"] = known
        standing.append({"emailAddress": told, "type": one.get("type") or "required"})
    return standing


def as_html(text: str) -> str:
    """Plain text as a body."""
    lines = "<br>\r\n".join(html.escape(line, quote=False) for line in text.split("\n"))
    return f"<div>{lines}</div>"


def _rewrite_body(item: Json, draft: EventDraft) -> str | None:
    """The new text, with what lets people join a meeting below it; None when the text is the same, or when it can't be
    told where the way in begins: a text that is old is better than a meeting that nobody finds."""
    body = item.get("body") or {}
    old = str(body.get("content") or "")
    if _extract_text(as_html(draft.body)) in _extract_text(old):
        return None
    fresh = as_html(draft.body)
    if not item.get("isOnlineMeeting"):
        return fresh
    block = _JOIN_BLOCK.search(old)
    return None if block is None else f"{fresh}\r\n<br>{old[block.start() :]}"


def _extract_text(content: str) -> str:
    """What a body says, without its markup and its blanks."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", content)).split())


def format_cursor(held: Json) -> str:
    """What is kept of a round."""
    return json.dumps(held, sort_keys=True, separators=(",", ":"))
