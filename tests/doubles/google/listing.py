"""The parameters of a list of events: which events they select, and which can't be combined."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.google.entries import Entry, View
from tests.doubles.google.schema import Refusal, bad_request

#: Parameters that can't be combined with a sync token.
_FORBIDDEN_WITH_SYNC_TOKEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
#: Parameters that have to be the same in every request of one synchronization.
FIXED_IN_SYNC = ("singleEvents", "eventTypes")
#: The window of a list without `timeMin` and `timeMax`.
WHOLE_TIME = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
#: How far back `updatedMin` may lie.
_MAX_CHANGE_AGE = timedelta(days=28)


def get_window(parameters: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the window of a list, by its parameters `timeMin` and `timeMax`."""
    return parameters.get("timeMin") or WHOLE_TIME[0], parameters.get("timeMax") or WHOLE_TIME[1]


def refuse_invalid_list(parameters: Mapping[str, Any], now: datetime) -> None:
    """Raises Refusal for parameters of a list that are invalid or can't be combined."""
    if parameters.get("orderBy") == "startTime" and not parameters.get("singleEvents"):
        raise bad_request("The requested ordering is not available for the particular query.", "badRequest", "orderBy")
    start, end, since = parameters.get("timeMin"), parameters.get("timeMax"), parameters.get("updatedMin")
    if start and end and end <= start:
        raise bad_request("The specified time range is empty.", "timeRangeEmpty", "timeMax")
    for name in ("privateExtendedProperty", "sharedExtendedProperty"):
        if any("=" not in one for one in parameters.get(name, ())):
            raise bad_request(f"Invalid value for {name}: a name and a value with = in between.", "invalid", name)
    if "syncToken" in parameters:
        present = [name for name in _FORBIDDEN_WITH_SYNC_TOKEN if name in parameters]
        if present or parameters.get("showDeleted") is False:
            name = present[0] if present else "showDeleted"
            raise bad_request(f"Sync token cannot be used with other query restrictions ({name}).", "badRequest", name)
    elif since and now - since > _MAX_CHANGE_AGE:
        message = "The requested minimum modification time lies too far in the past."
        where = ("parameter", "updatedMin")
        raise Refusal(410, "updatedMinTooLongAgo", message, domain="calendar", location=where)


def gives_sync_token(parameters: Mapping[str, Any]) -> bool:
    """Whether the answer to a list with these parameters ends with a sync token."""
    return not {"orderBy", "q", "iCalUID", "updatedMin", "privateExtendedProperty", "sharedExtendedProperty"} & set(
        parameters
    )


def matches_list(entry: Entry, view: View, parameters: Mapping[str, Any]) -> bool:
    """Whether the parameters select this event. The time window is not looked at."""
    kinds = parameters.get("eventTypes")
    return (
        all(
            entry.private.get(view.who, {}).get(name) == value
            for name, value in _split_properties(parameters, "private")
        )
        and all(entry.shared.get(name) == value for name, value in _split_properties(parameters, "shared"))
        and parameters.get("iCalUID", entry.ical_uid) == entry.ical_uid
        and (not kinds or (entry.fields.get("eventType") or "default") in kinds)
        and entry.updated >= parameters.get("updatedMin", WHOLE_TIME[0])
        and _contains_words(entry, view, str(parameters.get("q", "")))
    )


def _split_properties(parameters: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    listed = [one.partition("=") for one in parameters.get(f"{kind}ExtendedProperty", ())]
    return [(name, value) for name, _, value in listed]


def _contains_words(entry: Entry, view: View, words: str) -> bool:
    """Whether the title, description, place and people of the event contain all these words."""
    people = [
        value for key, guest in entry.guests.items() for value in (view.get_address(key), guest.get("displayName", ""))
    ]
    listed = [entry.fields.get(name) or "" for name in ("summary", "description", "location")]
    text = " ".join([*map(str, listed), *map(str, people), view.get_address(entry.organizer)]).casefold()
    return all(word in text for word in words.casefold().split())
