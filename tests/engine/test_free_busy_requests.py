"""How much is asked of calendar services: many people at once, and nothing when nothing is due."""

from collections.abc import Mapping, Sequence

import pytest

from tests.support.companies import HOUR, Office, RecordedOperations, company
from worker.domain.model import FreeBusy, Span


@pytest.mark.parametrize(("count", "requests"), [(1, 1), (15, 1), (40, 3)])
def test_free_busy_is_asked_once_per_twenty_people_and_sweep(database_url: str, count: int, requests: int) -> None:
    """Two managers for each dozen of reports: 15 pairs are 18 people, 40 pairs are 47."""
    office = Office(database_url, *company(count))
    office.worker.sync.run("one")
    office.calendar.fail = seen = RecordedOperations()
    office.worker.sweep.run("one")
    assert seen.seen == ["free_busy"] * requests
    assert sum(session.booked for session in office.store.queries.list_sessions()) == count
    office.close()


def test_the_reports_of_a_manager_are_asked_for_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """However far their turns lie apart (T-3a): a manager's calendar may be read for each group that has a report."""
    office = Office("sqlite://", *company(40))
    office.worker.sync.run("one")
    groups: list[set[str]] = []
    read = office.calendar.free_busy

    def record(people: Sequence[str], window: Span) -> Mapping[str, FreeBusy]:
        managers = {who: f"m{int(who.partition('@')[0][1:]) // 6}" for who in people if who.startswith("r")}
        groups.append(set(managers.values()))
        return read(people, window)

    monkeypatch.setattr(office.calendar, "free_busy", record)
    office.worker.sweep.run("one")
    assert len(groups) == 3 and len(set.union(*groups)) == 7
    assert sum(map(len, groups)) <= 7 + 2, "at most one team is divided at each end of a group"
    office.close()


def test_a_quiet_company_is_asked_nothing(office: Office) -> None:
    """The cost follows what is due, and two hours after everything was booked nothing is."""
    office.tick()
    office.clock.advance(2 * HOUR)
    office.calendar.fail = seen = RecordedOperations()
    before = len(office.messages())
    office.tick()
    assert seen.seen == [] and len(office.messages()) == before
