"""The answers of the Calendar API about calendars as a whole, and about their owners' settings."""

from typing import Any

from tests.doubles.google.schema import Call, Refusal


def describe_calendar(address: str, zone: str, *, meet: bool) -> dict[str, Any]:
    """The calendar of the person with that address, in the form of `calendars.get`. `meet`: it offers Meet links."""
    return {
        "kind": "calendar#calendar",
        "etag": '"calendar"',
        "id": address,
        "summary": address,
        "timeZone": zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"] if meet else []},
    }


def answer_settings(call: Call, zone: str) -> dict[str, Any]:
    """One setting, or all of them. Raises Refusal."""
    values = {"timezone": zone, "locale": "en", "weekStart": "1", "format24HourTime": "true"}
    settings = [
        {"kind": "calendar#setting", "etag": '"1"', "id": name, "value": value} for name, value in values.items()
    ]
    if call.method == "calendar.settings.list":
        return {"kind": "calendar#settings", "etag": '"1"', "items": settings, "nextSyncToken": "settings"}
    for one in settings:
        if one["id"] == call.path["setting"]:
            return one
    raise Refusal(404, "notFound", "Not Found")


def describe_list_entry(calendar: dict[str, Any]) -> dict[str, Any]:
    """The same calendar, in the form of `calendarList`."""
    extra = {"kind": "calendar#calendarListEntry", "accessRole": "owner", "primary": True, "selected": True}
    return {**calendar, **extra, "defaultReminders": [{"method": "popup", "minutes": 10}]}
