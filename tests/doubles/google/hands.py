"""People at work in Google Calendar: what they click, done to the double as their browser would have it done."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

from tests.doubles.google.calendars import Calendars
from tests.doubles.google.schema import Call
from worker.domain.model import Address, Answer, ShowAs, Span
from worker.providers.google import events

_NUMBERS = count(1)
_SAID = {
    Answer.ACCEPTED: "accepted",
    Answer.DECLINED: "declined",
    Answer.TENTATIVE: "tentative",
    Answer.NEEDS_ACTION: "needsAction",
}


class GoogleHands:
    """Everybody with a calendar on the double. `aliased`: Google shows everybody under another address than ours."""

    def __init__(self, calendars: Calendars, *, aliased: bool = False) -> None:
        self._calendars = calendars
        self._aliased = aliased

    def person(self, zone: str = "UTC") -> Address:
        address = f"g{next(_NUMBERS)}@example.org"
        self._calendars.add_person(address, zone, shown_as=f"First.{address}" if self._aliased else "")
        return address

    def shown_as(self, address: Address) -> str:
        """The address by which Google shows that person."""
        return self._calendars.name(address)

    def stranger(self) -> Address:
        return f"stranger{next(_NUMBERS)}@example.org"

    # --- one's own entries ---

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        more: dict[ShowAs | None, dict[str, Any]] = {
            ShowAs.BUSY: {},
            None: {"transparency": "transparent"},
            ShowAs.TENTATIVE: {"status": "tentative"},
            ShowAs.AWAY: {"eventType": "outOfOffice"},
        }
        return self.insert(address, **times(span), **more[show])

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        days = {"start": {"date": f"{first}"}, "end": {"date": f"{last + timedelta(days=1)}"}}
        return self.insert(address, **days, transparency="opaque" if opaque else "transparent")

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        return self.insert(address, **_times(span), recurrence=[f"RRULE:FREQ=DAILY;COUNT={times}"])

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        guests = [
            {"email": organizer, "responseStatus": "accepted"},
            {"email": guest, "responseStatus": _SAID[answer]},
            {"email": "room4@example.org", "resource": True, "responseStatus": "accepted"},
        ]
        return self.insert(organizer, **times(span), attendees=guests)

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None:
        self.patch(address, self._nth(address, series, number), **times(span))

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None:
        self.remove(address, self._nth(address, series, number))

    def remove(self, address: Address, name: str) -> None:
        self.do(address, "delete", eventId=name)

    # --- our events ---

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        said = [{"email": guest, "responseStatus": _SAID[answer]}]
        self.patch(guest, events.make_event_id(key), attendees=said, attendeesOmitted=True)

    def move(self, address: Address, key: str, span: Span) -> None:
        self.patch(address, events.make_event_id(key), **times(span))

    def delete(self, address: Address, key: str) -> None:
        self.remove(address, events.make_event_id(key))

    def kill(self, calendar: Address, cursor: str) -> str:
        self._calendars.expire(calendar)
        assert json.loads(cursor)["token"]
        return cursor

    # --- closer to the wire ---

    def insert(self, address: Address, **told: Any) -> str:
        body = {"summary": "Secret plans", **told}
        return str(self.do(address, "insert", body)["id"])

    def patch(self, address: Address, name: str, **told: Any) -> Any:
        return self.do(address, "patch", told, eventId=name)

    def get(self, address: Address, name: str) -> Any:
        return self.do(address, "get", eventId=name)

    def do(self, address: Address, what: str, body: dict[str, Any] | None = None, **path: str) -> Any:
        """One request of the API, as that person."""
        query = {"sendUpdates": "all"} if what in ("insert", "patch", "delete") else {}
        call = Call(f"calendar.events.{what}", {"calendarId": "primary", **path}, query, body or {}, frozenset())
        return self._calendars.do(address, call)

    def _nth(self, address: Address, series: str, number: int) -> str:
        start = datetime.fromisoformat(self.get(address, series)["start"]["dateTime"]).astimezone(UTC)
        return f"{series}_{start + timedelta(days=number):%Y%m%dT%H%M%SZ}"


def times(span: Span) -> dict[str, Any]:
    return {
        name: {"dateTime": f"{at:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC", "date": None}
        for name, at in (("start", span.start), ("end", span.end))
    }


_times = times  # where a parameter is called `times`, too
