"""What a service notices reaches the operator, once."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.worlds import DAY, START, Office
from worker.providers import base
from worker.providers.base import notify_of
from worker.providers.memory import MemoryCalendar

_SECTIONS: list[Mapping[str, Any]] = []


def calendar(section: Mapping[str, Any]) -> MemoryCalendar:
    """A calendar service that keeps what it was made with."""
    _SECTIONS.append(section)
    return MemoryCalendar()


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setitem(base.CALENDARS, "google", f"{__name__}:calendar")
    made = Office()
    yield made
    made.close()
    _SECTIONS.clear()


def test_operator_hears_of_a_cause_once_however_often_it_is_noticed(office: Office) -> None:
    office.worker.services.calendar("google")
    notify = notify_of(_SECTIONS[0])
    for _ in range(3):
        notify("meet:dana@corp.example", "Meet is not offered to dana@corp.example.")
        office.clock.advance(timedelta(days=3))
    notify("meet:kim@corp.example", "Meet is not offered to kim@corp.example.")
    alerts = [words for _, words in office.store.outbox.alerts(START - DAY)]
    assert alerts == ["Meet is not offered to kim@corp.example.", "Meet is not offered to dana@corp.example."]


def test_a_service_that_is_told_of_no_operator_tells_nobody() -> None:
    notify_of({})("meet", "Meet is not offered.")
