"""Events and messages as JSON of Microsoft Graph, and the preferences and parameters that requests give."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.doubles.graph.query import make_refusal
from tests.doubles.graph.state import Item, Json, Mailbox, Refusal, StoredMessage
from worker.providers import windows_zones

_PAGE_SIZE = "10"  #: of lists, without a preference


class Preferences:
    """The parsed header `Prefer`: time zone, kind of ids, page size. Raises Refusal for an unknown zone."""

    def __init__(self, header: str) -> None:
        self._given = [part.strip() for part in header.split(",") if part.strip()]
        zone = next(
            (one.partition("=")[2].strip('"') for one in self._given if one.startswith("outlook.timezone")), "UTC"
        )
        known = windows_zones.find_iana_name(zone)
        if known is None:
            raise Refusal(400, "TimeZoneNotSupportedException", describe_unknown_zone(zone))
        self.zone_name, self.zone = zone, ZoneInfo(known)
        self.has_immutable_ids = 'IdType="ImmutableId"' in self._given
        size = next((one.partition("=")[2] for one in self._given if one.startswith("odata.maxpagesize")), _PAGE_SIZE)
        if not re.fullmatch("[0-9]{1,4}", size) or not 1 <= int(size) <= 1000:  # Graph ignores such a size
            self._given = [one for one in self._given if not one.startswith("odata.maxpagesize")]
            size = _PAGE_SIZE
        self.page_size = int(size)

    @property
    def applied(self) -> str:
        """The header `Preference-Applied` of the answer."""
        return ", ".join(self._given)


def describe_unknown_zone(name: str) -> str:
    words = "A valid TimeZone value must be specified. The following TimeZone value is not supported:"
    return f"{words} '{name}'."


#: The values of properties that nobody has set.
_UNSET_PROPERTIES: Json = {
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
EVENT_PROPERTIES = {
    *("id", "iCalUId", "changeKey", "createdDateTime", "lastModifiedDateTime", "type", "start", "end", "isAllDay"),
    *("isCancelled", "isOrganizer", "showAs", "organizer", "attendees", "responseStatus", "subject", "body", "webLink"),
    *("isOnlineMeeting", "isReminderOn", "reminderMinutesBeforeStart", "sensitivity", "transactionId"),
    *("allowNewTimeProposals", "responseRequested", "importance", "originalStart", "originalStartTimeZone"),
    *("originalEndTimeZone", "cancelledOccurrences", *_UNSET_PROPERTIES),
}
#: The beginning of each id that is not immutable.
DEFAULT_ID_PREFIX = "AAMkAGI2"
MESSAGE_PROPERTIES = {"id", "isDraft", "internetMessageId", "subject", "changeKey"}


def format_id(item_id: str, preferences: Preferences) -> str:
    """Return the id of an item: the immutable one if the request prefers it, else the one with the default prefix."""
    return item_id if preferences.has_immutable_ids else f"{DEFAULT_ID_PREFIX}{item_id}"


def describe_event(item: Item, preferences: Preferences) -> Json:
    """Return all properties of an event except its extended properties."""
    described: Json = {
        **_UNSET_PROPERTIES,
        "@odata.etag": item.etag,
        "id": format_id(item.id, preferences),
        "iCalUId": item.uid,
        "changeKey": item.change_key,
        # the double knows no times of changes: their fractions of a second show the order
        "createdDateTime": f"2027-01-01T00:00:00.{item.created:07d}Z",
        "lastModifiedDateTime": f"2027-01-01T00:00:00.{item.version:07d}Z",
        "originalStartTimeZone": preferences.zone_name,
        "originalEndTimeZone": preferences.zone_name,
        "webLink": f"https://outlook.example/?itemid={item.id}",
        "type": item.kind,
        "isAllDay": item.days is not None,
        "isCancelled": item.is_cancelled,
        "isOrganizer": item.is_organizer,
        "organizer": {
            "emailAddress": {"name": item.organizer, "address": item.world.get_shown_address(item.organizer)}
        },
        "attendees": [_describe_attendee(one, item, preferences) for one in item.attendees],
        "responseStatus": {"response": item.response, "time": "0001-01-01T00:00:00Z"},
        **_describe_times(item, preferences),
        **_describe_stored_properties(item),
    }
    if item.master is not None:
        described["seriesMasterId"] = format_id(item.master.id, preferences)
    if described["body"].get("contentType"):
        described["bodyPreview"] = re.sub(r"<[^>]*>|\s+", " ", described["body"]["content"]).strip()[:255]
    if item.transaction_id:
        described["transactionId"] = item.transaction_id
    return described


def describe_occurrence(item: Item, preferences: Preferences) -> Json:
    """Return the few properties of an occurrence that a delta response holds."""
    whole = describe_event(item, preferences)
    return {name: whole[name] for name in ("@odata.etag", "id", "type", "seriesMasterId", "start", "end")}


def _describe_stored_properties(item: Item) -> Json:
    described = dict(item.properties)
    if item.join_link:
        described["onlineMeeting"] = {"joinUrl": item.join_link}
    return described


def _describe_attendee(one: Json, item: Item, preferences: Preferences) -> Json:
    mailbox = item.world.mailboxes.get(one["address"])
    shown: Json = {
        "type": one["type"],
        "status": {"response": one["response"], "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": one["name"], "address": mailbox.shown if mailbox and mailbox.shown else one["shown"]},
    }
    if one.get("proposed"):
        shown["proposedNewTime"] = {side: format_time(one["proposed"][side], preferences) for side in ("start", "end")}
    return shown


def _describe_times(item: Item, preferences: Preferences) -> Json:
    if item.days:
        return {
            side: {"dateTime": f"{day:%Y-%m-%d}T00:00:00.0000000", "timeZone": preferences.zone_name}
            for side, day in zip(("start", "end"), item.days, strict=True)
        }
    return {"start": format_time(item.start, preferences), "end": format_time(item.end, preferences)}


def format_time(instant: datetime, preferences: Preferences) -> Json:
    """Return a time as Graph writes it: local time with seven decimals and without an offset, and the zone."""
    local = instant.astimezone(preferences.zone)
    return {"dateTime": f"{local:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": preferences.zone_name}


def describe_message(message: StoredMessage, preferences: Preferences) -> Json:
    item_id = format_id(message.id, preferences)
    return {"id": item_id, "isDraft": message.draft, "internetMessageId": message.internet_id}


def parse_instant(text: str) -> datetime:
    """Parse a time parameter, which is in UTC unless it has an offset. Raises Refusal."""
    try:
        when = datetime.fromisoformat(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise make_refusal(f"The value '{text}' is not a date.") from None


def parse_window(query: dict[str, str]) -> tuple[datetime, datetime]:
    """Return start and end of a view. Raises Refusal."""
    try:
        start, end = parse_instant(query["startDateTime"]), parse_instant(query["endDateTime"])
    except KeyError as error:
        raise Refusal(400, "ErrorInvalidParameter", f"This request requires the parameter {error}.") from None
    if end < start:
        raise Refusal(400, "ErrorInvalidParameter", "The end of the view is before its start.")
    return start, end


def find_item(mailbox: Mailbox, item_id: str) -> Any:
    """Return the event or message with that id, immutable or not. Raises Refusal."""
    plain = item_id.removeprefix(DEFAULT_ID_PREFIX)
    found = mailbox.items.get(plain) or next((one for one in mailbox.messages if one.id == plain), None)
    if found is None:
        raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return found
