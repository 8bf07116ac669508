"""Tests of the number of free/busy requests: one for many people, and none when nothing is due."""

from collections.abc import Mapping, Sequence

import pytest

from tests.support.companies import HOUR, Office, RecordedOperations, company
from worker.domain.model import FreeBusy, Span


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (15, 1), (40, 3)])
def test_sweep_sends_one_free_busy_request_for_twenty_people(database_url: str, count: int, requests: int) -> None:
    """Two managers for each dozen of reports: 15 pairs are 18 people, 40 pairs are 47."""
    office = Office(database_url, *company(count))
    office.worker.sync.run(holder="one")
    office.calendar.fail = operations = RecordedOperations()
    office.worker.sweep.run(holder="one")
    assert operations.seen == ["free_busy"] * requests
    assert sum(session.booked for session in office.store.queries.list_sessions()) == count
    office.close()


def test_requests_group_the_reports_by_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """T-3a: this holds although their turns lie far apart, since each request with a report also reads the manager."""
    office = Office("sqlite://", *company(40))
    office.worker.sync.run(holder="one")
    managers_by_request: list[set[str]] = []
    read_free_busy = office.calendar.free_busy

    def record_managers(people: Sequence[str], window: Span) -> Mapping[str, FreeBusy]:
        # the address of a report is r<number>@corp.example
        report_numbers = [int(email.partition("@")[0][1:]) for email in people if email.startswith("r")]
        managers_by_request.append({f"m{number // 6}" for number in report_numbers})  # each manager has six reports
        return read_free_busy(people, window)

    monkeypatch.setattr(office.calendar, "free_busy", record_managers)
    office.worker.sweep.run(holder="one")
    assert len(managers_by_request) == 3 and len(set.union(*managers_by_request)) == 7
    divided_limit = 2  # between each two requests, the reports of one manager may be divided
    assert sum(map(len, managers_by_request)) <= 7 + divided_limit
    office.close()


def test_no_request_is_sent_when_nothing_is_due(office: Office) -> None:
    """Two hours after everything was booked, nothing is due."""
    office.tick()
    office.clock.advance(2 * HOUR)
    office.calendar.fail = operations = RecordedOperations()
    effect_count = len(office.effects())
    office.tick()
    assert operations.seen == [] and len(office.effects()) == effect_count
