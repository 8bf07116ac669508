"""Alerts that services raise: the operator gets one for each cause."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google
from tests.support.companies import DANA, DAY, KIM, SAM, START, Office, pair, pairs, person, settings
from worker.providers import base
from worker.providers.base import get_alert_function
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.memory import MemoryCalendar

MAX = "max@corp.example"
#: The sections with which calendar services were made.
_SECTIONS: list[Mapping[str, Any]] = []


def make_calendar(section: Mapping[str, Any]) -> MemoryCalendar:
    """Return a calendar service, and keep the section with which it is made."""
    _SECTIONS.append(section)
    return MemoryCalendar()


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setitem(base.CALENDAR_FACTORIES, "google", f"{__name__}:make_calendar")
    running_office = Office()
    yield running_office
    running_office.close()
    _SECTIONS.clear()


def test_a_repeated_cause_makes_one_alert(office: Office) -> None:
    office.worker.services.get_calendar("google")
    (section,) = _SECTIONS
    alert_operator = get_alert_function(section)
    for _ in range(3):
        alert_operator("meet:dana@corp.example", "Meet is not offered to dana@corp.example.")
        office.clock.advance(timedelta(days=3))
    alert_operator("meet:kim@corp.example", "Meet is not offered to kim@corp.example.")
    alerts = [text for _, text in office.store.outbox.list_alerts(START - DAY)]
    assert alerts == ["Meet is not offered to kim@corp.example.", "Meet is not offered to dana@corp.example."]


def test_a_service_without_an_alert_function_alerts_nobody() -> None:
    alerts: list[tuple[str, str]] = []
    section = {"alert_operator": lambda cause, text: alerts.append((cause, text))}
    get_alert_function(section)("meet", "Meet is not offered.")
    get_alert_function({})("teams", "Teams is not offered.")
    assert alerts == [("meet", "Meet is not offered.")]


def test_without_meet_sessions_are_booked_and_the_operator_gets_one_alert(tmp_path: Path) -> None:
    """The whole program with the double of Google: two sessions of two managers, without a link."""
    with Google() as google:
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        key = tmp_path / "key.json"
        key.write_text(json.dumps(google.tokens.add_service_account()))
        endpoints = {name: google.calendar_section[name] for name in ("endpoint", "token_endpoint")}
        google_settings = {**endpoints, "service_account": key}
        persons = {address: person(address, calendar="google") for address in (DANA, SAM, KIM, MAX)}
        for address in persons:
            google.calendars.add_person(address, "Europe/Berlin")
        google.calendars.without_meet = set(persons)
        office = Office(
            persons=persons,
            listed_pairs=pairs(pair(DANA, SAM), pair(KIM, MAX)),
            office_settings=settings(calendars={"google": google_settings}, event={"video": True}),
        )
        office.tick()
        events = [event for manager in (DANA, KIM) for event in google.calendars.list_events(manager)]
        assert len(events) == 2 and not any("hangoutLink" in event for event in events)
        alerts = [text for _, text in office.store.outbox.list_alerts(START - DAY)]
        assert len(alerts) == 1 and "Meet" in alerts[0]
        office.close()
