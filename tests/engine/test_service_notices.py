"""What a service notices reaches the operator, once."""

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
_SECTIONS: list[Mapping[str, Any]] = []


def calendar(section: Mapping[str, Any]) -> MemoryCalendar:
    """A calendar service that keeps what it was made with."""
    _SECTIONS.append(section)
    return MemoryCalendar()


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setitem(base.CALENDAR_FACTORIES, "google", f"{__name__}:calendar")
    made = Office()
    yield made
    made.close()
    _SECTIONS.clear()


def test_operator_hears_of_a_cause_once_however_often_it_is_noticed(office: Office) -> None:
    office.worker.services.get_calendar("google")
    notify = get_alert_function(_SECTIONS[0])
    for _ in range(3):
        notify("meet:dana@corp.example", "Meet is not offered to dana@corp.example.")
        office.clock.advance(timedelta(days=3))
    notify("meet:kim@corp.example", "Meet is not offered to kim@corp.example.")
    alerts = [words for _, words in office.store.outbox.list_alerts(START - DAY)]
    assert alerts == ["Meet is not offered to kim@corp.example.", "Meet is not offered to dana@corp.example."]


def test_a_service_without_an_operator_has_nobody_to_notify() -> None:
    heard: list[tuple[str, str]] = []
    get_alert_function({"alert_operator": lambda cause, words: heard.append((cause, words))})(
        "meet", "Meet is not offered."
    )
    get_alert_function({})("teams", "Teams is not offered.")
    assert heard == [("meet", "Meet is not offered.")]


def test_where_meet_is_not_offered_the_company_is_booked_and_the_operator_told_once(tmp_path: Path) -> None:
    """The whole program on the stand-in for Google: two conversations of two managers, no link, one alert."""
    with Google() as google:
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        key = tmp_path / "key.json"
        key.write_text(json.dumps(google.tokens.service_account()))
        where = {"endpoint": google.section["endpoint"], "token_endpoint": google.section["token_endpoint"]}
        known = settings(calendars={"google": {**where, "service_account": key}}, event={"video": True})
        persons = {who: person(who, calendar="google") for who in (DANA, SAM, KIM, MAX)}
        for who in persons:
            google.calendars.add_person(who, "Europe/Berlin")
        google.calendars.without_meet = set(persons)
        office = Office(persons=persons, listed=pairs(pair(DANA, SAM), pair(KIM, MAX)), known=known)
        office.tick()
        titles = [event for who in (DANA, KIM) for event in google.calendars.list_events(who)]
        assert len(titles) == 2 and not any("hangoutLink" in event for event in titles)
        alerts = [words for _, words in office.store.outbox.list_alerts(START - DAY)]
        assert len(alerts) == 1 and "Meet" in alerts[0]
        office.close()
