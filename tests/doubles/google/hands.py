"""What people do in Google Calendar, as requests to the API of the double."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from tests.doubles.google.calendars import Calendars
from tests.doubles.google.schema import Call
from worker.domain.model import Address, Answer, ShowAs, Span
from worker.providers.google import events

_NUMBERS = count(1)
_ANSWERS = {
    Answer.ACCEPTED: "accepted",
    Answer.DECLINED: "declined",
    Answer.TENTATIVE: "tentative",
    Answer.NEEDS_ACTION: "needsAction",
}


class GoogleHands:
    """Does what people do on their calendars. `aliased`: people whom it adds have a primary address in Google that
    differs from the one that the worker knows."""

    def __init__(self, calendars: Calendars, *, aliased: bool = False) -> None:
        self._calendars = calendars
        self._aliased = aliased

    def person(self, zone: str = "UTC") -> Address:
        """Add a person with an empty calendar, and return the address."""
        address = f"g{next(_NUMBERS)}@example.org"
        self._calendars.add_person(address, zone, shown_as=f"First.{address}" if self._aliased else "")
        return address

    def shown_as(self, address: Address) -> str:
        """The address by which Google shows that person."""
        return self._calendars.get_address(address)

    def unreadable_person(self) -> Address:
        """An address without an account."""
        return f"stranger{next(_NUMBERS)}@example.org"

    # --- other events than ours, named by their ids ---

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        """Add an event that free/busy shows so, and return its id. None: free/busy does not show it."""
        fields: dict[ShowAs | None, dict[str, Any]] = {
            ShowAs.BUSY: {},
            None: {"transparency": "transparent"},
            ShowAs.TENTATIVE: {"status": "tentative"},
            ShowAs.AWAY: {"eventType": "outOfOffice"},
        }
        return self.insert(address, **_format_times(span), **fields[show])

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        days = {"start": {"date": f"{first}"}, "end": {"date": f"{last + timedelta(days=1)}"}}
        return self.insert(address, **days, transparency="opaque" if opaque else "transparent")

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        return self.insert(address, **_format_times(span), recurrence=[f"RRULE:FREQ=DAILY;COUNT={times}"])

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        """Add an event with a room and a guest who has given that answer, and return its id."""
        guests = [
            {"email": organizer, "responseStatus": "accepted"},
            {"email": guest, "responseStatus": _ANSWERS[answer]},
            {"email": "room4@example.org", "resource": True, "responseStatus": "accepted"},
        ]
        return self.insert(organizer, **_format_times(span), attendees=guests)

    def move_occurrence(self, address: Address, series_id: str, number: int, span: Span) -> None:
        self.patch(address, self._get_occurrence_id(address, series_id, number), **_format_times(span))

    def cancel_occurrence(self, address: Address, series_id: str, number: int) -> None:
        self.remove(address, self._get_occurrence_id(address, series_id, number))

    def remove(self, address: Address, event_id: str) -> None:
        self.call(address, "delete", eventId=event_id)

    # --- our events, named by their keys ---

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        attendees = [{"email": guest, "responseStatus": _ANSWERS[answer]}]
        self.patch(guest, events.make_event_id(key), attendees=attendees, attendeesOmitted=True)

    def move(self, address: Address, key: str, span: Span) -> None:
        self.patch(address, events.make_event_id(key), **_format_times(span))

    def delete(self, address: Address, key: str) -> None:
        self.remove(address, events.make_event_id(key))

    def read_title_and_text(self, address: Address, key: str) -> str:
        """Return the title and the text of our event on that person's calendar."""
        item = self.get(address, events.make_event_id(key))
        return f"{item['summary']}\n{item['description']}"

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        """Expire the sync token in this cursor, with all others of the calendar. Returns the cursor, now refused."""
        self._calendars.expire_sync_tokens(calendar)
        assert json.loads(cursor)["token"]
        return cursor

    # --- single requests ---

    def insert(self, address: Address, **fields: Any) -> str:
        """Create an event with these fields, and return its id."""
        body = {"summary": "Secret plans", **fields}
        return str(self.call(address, "insert", body)["id"])

    def patch(self, address: Address, event_id: str, **fields: Any) -> Any:
        return self.call(address, "patch", fields, eventId=event_id)

    def get(self, address: Address, event_id: str) -> Any:
        return self.call(address, "get", eventId=event_id)

    def call(self, address: Address, method: str, body: dict[str, Any] | None = None, **path: str) -> Any:
        """Call a method of `calendar.events` as that person, and return the answer. Raises Refusal."""
        query = {"sendUpdates": "all"} if method in ("insert", "patch", "delete") else {}
        call = Call(f"calendar.events.{method}", {"calendarId": "primary", **path}, query, body or {}, frozenset())
        return self._calendars.answer(address, call)

    def _get_occurrence_id(self, address: Address, series_id: str, number: int) -> str:
        """The id of an occurrence of a daily series; the first has number 0."""
        first_start = datetime.fromisoformat(self.get(address, series_id)["start"]["dateTime"]).astimezone(UTC)
        return f"{series_id}_{first_start + timedelta(days=number):%Y%m%dT%H%M%SZ}"


def _format_times(span: Span) -> dict[str, Any]:
    """The fields `start` and `end` of a timed event. `date` is None, so that a PATCH removes it."""
    return {
        name: {"dateTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC", "date": None}
        for name, at in (("start", span.start), ("end", span.end))
    }
