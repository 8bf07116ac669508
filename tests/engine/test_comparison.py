"""Tests that a calendar is not read when its service reports it as unchanged; all others are read (R-9)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from datetime import timedelta

import pytest

from tests.support.companies import DAY, MINUTE, SERVICE, Fails, Office, RecordedOperations, company, settings, span
from worker.domain.model import Address, Cursor
from worker.engine.comparison import SMALL_CLAIM_PERIOD
from worker.engine.sync import BATCH
from worker.errors import Forbidden, Unavailable
from worker.providers.memory import MemoryCalendar

INTERVAL = 10 * MINUTE
COUNT = 45  #: more than twice BATCH, the number of calendars that a worker usually claims at once


class ComparingCalendar(MemoryCalendar):
    """A service that reports which calendars are unchanged. It reports none while `is_silent`, or raises `error`."""

    def __init__(self) -> None:
        super().__init__()
        self.comparisons: list[int] = []  #: how many calendars each request compared
        self.error: Exception | None = None
        self.is_silent = False

    def find_unchanged(self, cursors: Mapping[Address, Cursor]) -> Set[Address]:
        self.comparisons.append(len(cursors))
        if self.error:
            raise self.error
        return {address for address, cursor in cursors.items() if self._is_current(address, cursor)}

    def _is_current(self, address: Address, cursor: Cursor) -> bool:
        return not self.is_silent and max(self._get_index(address).last_changes.values(), default=0) <= int(cursor)


class PolledOffice:
    """An office with many managers, whose calendars are polled every ten minutes."""

    def __init__(self, url: str) -> None:
        sync_settings = settings(url, sync={"every": "10 minutes", "full_every": "1 day"})
        self.office = Office(url, *company(COUNT, 1), office_settings=sync_settings)
        self.calendar = ComparingCalendar()
        self.office.worker.services.use(calendars={SERVICE: self.calendar})
        self.poll()

    def poll(self, after: timedelta = timedelta()) -> int:
        """Poll the calendars that are due after this time. Returns how many were read, or -1 while `fail` is set."""
        self.office.clock.advance(after)
        self.calendar.comparisons.clear()
        if self.calendar.fail is None or isinstance(self.calendar.fail, RecordedOperations):
            self.calendar.fail = RecordedOperations()
        while self.office.worker.sync.run(holder="one"):
            pass
        return Counter(self.calendar.fail.seen)["changes"] if isinstance(self.calendar.fail, RecordedOperations) else -1


@pytest.fixture
def polled(database_url: str) -> Iterator[PolledOffice]:
    polled = PolledOffice(database_url)
    yield polled
    polled.office.close()


def test_many_calendars_are_compared_at_once_and_only_a_changed_one_is_read(polled: PolledOffice) -> None:
    # at the first of these polls, the worker does not know yet that the service can compare
    assert (polled.poll(INTERVAL), polled.calendar.comparisons) == (0, [BATCH, COUNT - BATCH])
    assert (polled.poll(INTERVAL), polled.calendar.comparisons) == (0, [COUNT])
    assert polled.office.store.load_next_due().calendar == polled.office.clock() + INTERVAL
    polled.calendar.add("m7@corp.example", span(polled.office.clock() + DAY))
    assert (polled.poll(INTERVAL), polled.calendar.comparisons) == (1, [COUNT])


def test_all_calendars_are_read_completely_once_a_day(polled: PolledOffice) -> None:
    polled.poll(INTERVAL)
    assert polled.poll(DAY) == 2 * COUNT  # for each calendar the changes, and then all events
    assert polled.calendar.comparisons == []


@pytest.mark.parametrize("error", [Forbidden(), Unavailable(), RuntimeError("a fault")])
def test_calendars_are_read_when_their_comparison_fails(polled: PolledOffice, error: Exception) -> None:
    polled.calendar.error = error
    assert polled.poll(INTERVAL) == COUNT


def test_few_calendars_are_claimed_for_an_hour_after_a_useless_comparison(polled: PolledOffice) -> None:
    """Calendars that have to be read are shared among processes, so no process may claim many of them."""
    polled.calendar.is_silent = True
    assert (polled.poll(INTERVAL), polled.calendar.comparisons) == (COUNT, [BATCH, COUNT - BATCH, COUNT - 2 * BATCH])
    assert (polled.poll(INTERVAL), polled.calendar.comparisons) == (COUNT, [BATCH, BATCH, COUNT - 2 * BATCH])
    polled.calendar.is_silent = False
    assert (polled.poll(SMALL_CLAIM_PERIOD - INTERVAL), polled.calendar.comparisons) == (0, [COUNT])


def test_unchanged_calendar_ends_the_failure_of_an_earlier_reading(polled: PolledOffice) -> None:
    polled.calendar.is_silent, polled.calendar.fail = True, Fails(Unavailable, "changes")
    polled.poll(INTERVAL)
    assert polled.office.store.calendars.load_failures()[SERVICE].calendars == COUNT
    polled.calendar.is_silent, polled.calendar.fail = False, None
    assert polled.poll(INTERVAL) == 0
    assert polled.office.store.calendars.load_failures() == {}
