"""A calendar that its service tells to be unchanged is not read, and counts as read (R-9: all others are read)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Set
from datetime import timedelta

import pytest

from tests.support.companies import DAY, MINUTE, SERVICE, Fails, Office, RecordedOperations, company, settings, span
from worker.domain.model import Address, Cursor
from worker.engine.comparison import SMALL_CLAIM_PERIOD
from worker.errors import Forbidden, Unavailable
from worker.providers.memory import MemoryCalendar

OFTEN = 10 * MINUTE
COUNT = 45


class ComparingCalendar(MemoryCalendar):
    """A service that tells which calendars have not changed, unless it is silent or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.compared: list[int] = []
        self.error: Exception | None = None
        self.is_silent = False

    def find_unchanged(self, cursors: Mapping[Address, Cursor]) -> Set[Address]:
        self.compared.append(len(cursors))
        if self.error:
            raise self.error
        return {address for address, cursor in cursors.items() if self._is_current(address, cursor)}

    def _is_current(self, address: Address, cursor: Cursor) -> bool:
        return not self.is_silent and max(self._get_index(address).last_changes.values(), default=0) <= int(cursor)


class Poll:
    """An office with many managers, whose calendars are looked at often."""

    def __init__(self, url: str) -> None:
        known = settings(url, sync={"every": "10 minutes", "full_every": "1 day"})
        self.office = Office(url, *company(COUNT, 1), known=known)
        self.calendar = ComparingCalendar()
        self.office.worker.services.use(calendars={SERVICE: self.calendar})
        self.look()

    def look(self, after: timedelta = timedelta()) -> int:
        """Read what is due by then. Returns how many calendars the service was asked to read."""
        self.office.clock.advance(after)
        self.calendar.compared.clear()
        if self.calendar.fail is None or isinstance(self.calendar.fail, RecordedOperations):
            self.calendar.fail = RecordedOperations()
        while self.office.worker.sync.run("one"):
            pass
        return Counter(self.calendar.fail.seen)["changes"] if isinstance(self.calendar.fail, RecordedOperations) else -1


@pytest.fixture
def poll(database_url: str) -> Iterator[Poll]:
    made = Poll(database_url)
    yield made
    made.office.close()


def test_many_calendars_are_compared_at_once_and_the_changed_one_is_read(poll: Poll) -> None:
    assert (poll.look(OFTEN), poll.calendar.compared) == (0, [20, COUNT - 20])  # now it is known that services compare
    assert (poll.look(OFTEN), poll.calendar.compared) == (0, [COUNT])
    assert poll.office.store.load_next_due().calendar == poll.office.clock() + OFTEN
    poll.calendar.add("m7@corp.example", span(poll.office.clock() + DAY))
    assert (poll.look(OFTEN), poll.calendar.compared) == (1, [COUNT])


def test_once_a_day_all_are_read_in_full_nevertheless(poll: Poll) -> None:
    poll.look(OFTEN)
    assert poll.look(DAY) == 2 * COUNT  # what changed, and then everything
    assert poll.calendar.compared == []


@pytest.mark.parametrize("error", [Forbidden(), Unavailable(), RuntimeError("a fault")])
def test_a_comparison_that_fails_keeps_no_calendar_from_being_read(poll: Poll, error: Exception) -> None:
    poll.calendar.error = error
    assert poll.look(OFTEN) == COUNT


def test_many_are_not_claimed_again_soon_after_they_were_compared_in_vain(poll: Poll) -> None:
    """Calendars that have to be read are shared among processes, a few for each."""
    poll.calendar.is_silent = True
    assert (poll.look(OFTEN), poll.calendar.compared) == (COUNT, [20, COUNT - 20, COUNT - 40])
    assert (poll.look(OFTEN), poll.calendar.compared) == (COUNT, [20, 20, COUNT - 40])
    poll.calendar.is_silent = False
    assert (poll.look(SMALL_CLAIM_PERIOD - OFTEN), poll.calendar.compared) == (0, [COUNT])


def test_a_calendar_that_could_not_be_read_and_has_not_changed_is_in_order(poll: Poll) -> None:
    poll.calendar.is_silent, poll.calendar.fail = True, Fails(Unavailable, "changes")
    poll.look(OFTEN)
    assert poll.office.store.calendars.load_failures()[SERVICE].calendars == COUNT
    poll.calendar.is_silent, poll.calendar.fail = False, None
    assert poll.look(OFTEN) == 0
    assert poll.office.store.calendars.load_failures() == {}
