"""The double of Google with a whole company, for tests that otherwise run on the calendar in memory."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.doubles.google.hands import GoogleHands
from tests.doubles.google.schema import Refusal
from tests.doubles.google.server import Google
from tests.doubles.served import ServedCalendar
from worker.clock import Clock
from worker.domain.model import (
    Address,
    Answer,
    Person,
    ShowAs,
    Span,
)
from worker.providers.google import calendar as google
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.events import make_event_id


class GoogleCompany(ServedCalendar[google.GoogleCalendar]):
    """The calendar of a simulation, on the double of Google. The worker's operations go through the real provider,
    those of people through `GoogleHands`. Each answer takes `delay` seconds. `fail` can make operations fail,
    before they reach Google or after."""

    def __init__(self, people: Mapping[Address, Person], clock: Clock, *, delay: float = 0.0) -> None:
        super().__init__()
        self.google = Google(clock=clock)
        self.google.__enter__()
        self.google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        for person in people.values():
            self.google.calendars.add_person(person.email, person.zone)
        self.google.delay = delay
        # no limit: by the simulated clock, all requests of a day may come in one minute
        self.google.quota.per_user = self.google.quota.per_project = 10**8
        self._hands = GoogleHands(self.google.calendars)
        self._folder = TemporaryDirectory()
        key = Path(self._folder.name, "key.json")
        key.write_text(json.dumps(self.google.tokens.add_service_account()))
        section: dict[str, Any] = {**self.google.calendar_section, "service_account": str(key), "per_person": 10**6}
        self.people_per_request = google.GoogleCalendar.people_per_request
        self.provider = google.build_with_clock({**section, "per_project": 10**8}, clock)

    def stop(self) -> None:
        """Stop the server, and delete its folder."""
        self.provider.close()
        self.google.__exit__()
        self._folder.cleanup()

    def has_event(self, calendar: Address, key: str) -> bool:
        """Whether our event with that key is on that calendar, of the organizer or of a guest."""
        try:
            return bool(self._hands.get(calendar, make_event_id(key))["status"] != "cancelled")
        except Refusal:
            return False

    # --- what people do ---

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY, **_: Any) -> str:
        self._calendars_changed_by_hand.add(address)
        return self._hands.add(address, span, show=show)

    def answer(self, calendar: Address, key_or_id: str, address: Address, answer: Answer) -> None:
        self._hands.answer(calendar, address, key_or_id, answer)
        self._calendars_changed_by_hand |= {calendar, address}

    def move(self, calendar: Address, key_or_id: str, span: Span) -> None:
        self._hands.move(calendar, key_or_id, span)
        self._calendars_changed_by_hand.add(calendar)

    def remove(self, calendar: Address, key_or_id: str) -> None:
        self._hands.delete(calendar, key_or_id)
        # also the calendars of all guests, whoever they are
        self._calendars_changed_by_hand |= set(self.google.calendars.person_calendars)

    def forget_cursors(self, calendar: Address) -> None:
        self.google.calendars.expire_sync_tokens(calendar)
