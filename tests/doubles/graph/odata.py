"""How Microsoft Graph tells of events and messages, and in which zone."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.graph.query import bad
from tests.doubles.graph.state import Item, Json, Letter, Mailbox, Refusal
from worker.providers import windows_zones

# --- how things are told --------------------------------------------------------------------------------------------


class Prefers:
    """What `Prefer` asks for."""

    def __init__(self, header: str) -> None:
        self.given = [part.strip() for part in header.split(",") if part.strip()]
        zone = next(
            (one.partition("=")[2].strip('"') for one in self.given if one.startswith("outlook.timezone")), "UTC"
        )
        known = windows_zones.find_iana_name(zone)
        if known is None:
            raise Refusal(400, "TimeZoneNotSupportedException", unknown_zone(zone))
        self.zone_name, self.zone = zone, ZoneInfo(known)
        self.immutable = 'IdType="ImmutableId"' in self.given
        size = next((one.partition("=")[2] for one in self.given if one.startswith("odata.maxpagesize")), "10")
        if not re.fullmatch("[0-9]{1,4}", size) or not 1 <= int(size) <= 1000:  # a wish that can't be met is none
            self.given = [one for one in self.given if not one.startswith("odata.maxpagesize")]
            size = "10"
        self.page = int(size)

    @property
    def applied(self) -> str:
        return ", ".join(self.given)


def unknown_zone(name: str) -> str:
    words = "A valid TimeZone value must be specified. The following TimeZone value is not supported:"
    return f"{words} '{name}'."


#: What an event has besides what was given, as long as nobody gave it.
_EMPTY: Json = {
    "bodyPreview": "",
    "categories": [],
    "hasAttachments": False,
    "hideAttendees": False,
    "isDraft": False,
    "location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}},
    "locations": [],
    "onlineMeeting": None,
    "onlineMeetingProvider": "unknown",
    "onlineMeetingUrl": None,
    "recurrence": None,
    "seriesMasterId": None,
}
EVENT = {
    *("id", "iCalUId", "changeKey", "createdDateTime", "lastModifiedDateTime", "type", "start", "end", "isAllDay"),
    *("isCancelled", "isOrganizer", "showAs", "organizer", "attendees", "responseStatus", "subject", "body", "webLink"),
    *("isOnlineMeeting", "isReminderOn", "reminderMinutesBeforeStart", "sensitivity", "transactionId"),
    *("allowNewTimeProposals", "responseRequested", "importance", "originalStart", "originalStartTimeZone"),
    *("originalEndTimeZone", "cancelledOccurrences", *_EMPTY),
}
MESSAGE = {"id", "isDraft", "internetMessageId", "subject", "changeKey"}


def told_id(item_id: str, prefers: Prefers) -> str:
    """Without the preference an id is the kind that changes when an item moves."""
    return item_id if prefers.immutable else f"AAMkAGI2{item_id}"


def event(item: Item, prefers: Prefers) -> Json:
    """An event whole, its extended property aside."""
    whole: Json = {
        **_EMPTY,
        "@odata.etag": item.etag,
        "id": told_id(item.id, prefers),
        "iCalUId": item.uid,
        "changeKey": item.change_key,
        "createdDateTime": f"2027-01-01T00:00:00.{item.created:07d}Z",
        "lastModifiedDateTime": f"2027-01-01T00:00:00.{item.version:07d}Z",
        "originalStartTimeZone": prefers.zone_name,
        "originalEndTimeZone": prefers.zone_name,
        "webLink": f"https://outlook.example/?itemid={item.id}",
        "type": item.kind,
        "isAllDay": item.days is not None,
        "isCancelled": item.cancelled,
        "isOrganizer": item.is_organizer,
        "organizer": {"emailAddress": {"name": item.organizer, "address": item.world.shown(item.organizer)}},
        "attendees": [_attendee(one, item, prefers) for one in item.attendees],
        "responseStatus": {"response": item.response, "time": "0001-01-01T00:00:00Z"},
        **_times(item, prefers),
        **_properties(item),
    }
    if item.master is not None:
        whole["seriesMasterId"] = told_id(item.master.id, prefers)
    if whole["body"].get("contentType"):
        whole["bodyPreview"] = re.sub(r"<[^>]*>|\s+", " ", whole["body"]["content"]).strip()[:255]
    if item.transaction:
        whole["transactionId"] = item.transaction
    return whole


def thin(item: Item, prefers: Prefers) -> Json:
    """An occurrence as delta tells it."""
    whole = event(item, prefers)
    return {name: whole[name] for name in ("@odata.etag", "id", "type", "seriesMasterId", "start", "end")}


def _properties(item: Item) -> Json:
    found = dict(item.properties)
    if item.join_link:
        found["onlineMeeting"] = {"joinUrl": item.join_link}
    return found


def _attendee(one: Json, item: Item, prefers: Prefers) -> Json:
    box = item.world.mailboxes.get(one["address"])
    shown: Json = {
        "type": one["type"],
        "status": {"response": one["response"], "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": one["name"], "address": box.shown if box and box.shown else one["shown"]},
    }
    if one.get("proposed"):
        shown["proposedNewTime"] = {side: stamp(one["proposed"][side], prefers) for side in ("start", "end")}
    return shown


def _times(item: Item, prefers: Prefers) -> Json:
    if item.days:
        return {
            side: {"dateTime": f"{day:%Y-%m-%d}T00:00:00.0000000", "timeZone": prefers.zone_name}
            for side, day in zip(("start", "end"), item.days, strict=True)
        }
    return {"start": stamp(item.start, prefers), "end": stamp(item.end, prefers)}


def stamp(instant: datetime, prefers: Prefers) -> Json:
    """Seven digits and no offset."""
    local = instant.astimezone(prefers.zone)
    return {"dateTime": f"{local:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": prefers.zone_name}


def message(letter: Letter, prefers: Prefers) -> Json:
    return {"id": told_id(letter.id, prefers), "isDraft": letter.draft, "internetMessageId": letter.internet_id}


def instant(text: str) -> datetime:
    """A parameter of a view: an offset counts, without one it is UTC."""
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise bad(f"The value '{text}' is not a date.") from None


def window(query: dict[str, str]) -> tuple[datetime, datetime]:
    try:
        start, end = instant(query["startDateTime"]), instant(query["endDateTime"])
    except KeyError as error:
        raise Refusal(400, "ErrorInvalidParameter", f"This request requires the parameter {error}.") from None
    if end < start:
        raise Refusal(400, "ErrorInvalidParameter", "The end of the view is before its start.")
    return start, end


def held_by(mailbox: Mailbox, item_id: str) -> Any:
    """The item of that id, in either form."""
    plain = item_id.removeprefix("AAMkAGI2")
    found = mailbox.items.get(plain) or next((one for one in mailbox.letters if one.id == plain), None)
    if found is None:
        raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return found
