"""What a list of events holds: which parameters pick what, and which may not stand together."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.doubles.google.entries import Entry, View
from tests.doubles.google.schema import Refusal, bad

#: What can't stand beside a sync token.
FORBIDDEN = (
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
)
#: What has to be the same in each request of one synchronization.
SAME = ("singleEvents", "eventTypes")
#: How far back changes are remembered.
REMEMBERED = timedelta(days=28)


def refuse_question(asked: Mapping[str, Any], now: datetime) -> None:
    """Raises Refusal for a list that can't be asked for."""
    if asked.get("orderBy") == "startTime" and not asked.get("singleEvents"):
        raise bad("The requested ordering is not available for the particular query.", "badRequest", "orderBy")
    start, end, since = asked.get("timeMin"), asked.get("timeMax"), asked.get("updatedMin")
    if start and end and end <= start:
        raise bad("The specified time range is empty.", "timeRangeEmpty", "timeMax")
    for name in ("privateExtendedProperty", "sharedExtendedProperty"):
        if any("=" not in one for one in asked.get(name, ())):
            raise bad(f"Invalid value for {name}: a name and a value with = in between.", "invalid", name)
    if "syncToken" in asked:
        present = [name for name in FORBIDDEN if name in asked]
        if present or asked.get("showDeleted") is False:
            name = present[0] if present else "showDeleted"
            raise bad(f"Sync token cannot be used with other query restrictions ({name}).", "badRequest", name)
    elif since and now - since > REMEMBERED:
        message = "The requested minimum modification time lies too far in the past."
        where = ("parameter", "updatedMin")
        raise Refusal(410, "updatedMinTooLongAgo", message, domain="calendar", location=where)


def begins_sync(asked: Mapping[str, Any]) -> bool:
    """Whether the answer to such a list carries a sync token."""
    return not {"orderBy", "q", "iCalUID", "updatedMin", "privateExtendedProperty", "sharedExtendedProperty"} & set(
        asked
    )


def is_wanted(entry: Entry, view: View, asked: Mapping[str, Any]) -> bool:
    """Whether the event is one of those that were asked for."""
    kinds = asked.get("eventTypes")
    return (
        all(entry.private.get(view.who, {}).get(name) == value for name, value in _pairs(asked, "private"))
        and all(entry.shared.get(name) == value for name, value in _pairs(asked, "shared"))
        and asked.get("iCalUID", entry.ical_uid) == entry.ical_uid
        and (not kinds or (entry.told.get("eventType") or "default") in kinds)
        and entry.updated >= asked.get("updatedMin", _EVER)
        and _holds_words(entry, view, str(asked.get("q", "")))
    )


_EVER = datetime(1970, 1, 1, tzinfo=UTC)


def _pairs(asked: Mapping[str, Any], kind: str) -> list[tuple[str, str]]:
    listed = [one.partition("=") for one in asked.get(f"{kind}ExtendedProperty", ())]
    return [(name, value) for name, _, value in listed]


def _holds_words(entry: Entry, view: View, words: str) -> bool:
    """Whether all these words stand in what is searched: title, text, place, and everybody's names and addresses."""
    people = [value for key, guest in entry.guests.items() for value in (view.names(key), guest.get("displayName", ""))]
    listed = [entry.told.get(name) or "" for name in ("summary", "description", "location")]
    text = " ".join([*map(str, listed), *map(str, people), view.names(entry.organizer)]).casefold()
    return all(word in text for word in words.casefold().split())
