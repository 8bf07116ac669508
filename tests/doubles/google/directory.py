"""What the Calendar API tells of calendars themselves and of their owners' settings."""

from typing import Any

from tests.doubles.google.schema import Call, Refusal


def about_calendar(name: str, zone: str, *, meet: bool) -> dict[str, Any]:
    """A calendar, as `calendars.get` has it."""
    return {
        "kind": "calendar#calendar",
        "etag": '"calendar"',
        "id": name,
        "summary": name,
        "timeZone": zone,
        "conferenceProperties": {"allowedConferenceSolutionTypes": ["hangoutsMeet"] if meet else []},
    }


def about_settings(call: Call, zone: str) -> dict[str, Any]:
    """One setting, or all of them. Raises Refusal."""
    known = {"timezone": zone, "locale": "en", "weekStart": "1", "format24HourTime": "true"}
    listed = [{"kind": "calendar#setting", "etag": '"1"', "id": one, "value": value} for one, value in known.items()]
    if call.method == "calendar.settings.list":
        return {"kind": "calendar#settings", "etag": '"1"', "items": listed, "nextSyncToken": "settings"}
    for one in listed:
        if one["id"] == call.path["setting"]:
            return one
    raise Refusal(404, "notFound", "Not Found")


def in_list(calendar: dict[str, Any]) -> dict[str, Any]:
    """The same calendar, as its owner's list of calendars has it."""
    shown = {"kind": "calendar#calendarListEntry", "accessRole": "owner", "primary": True, "selected": True}
    return {**calendar, **shown, "defaultReminders": [{"method": "popup", "minutes": 10}]}
