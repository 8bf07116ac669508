"""The order in which transactions lock rows on PostgreSQL. SQLite has one writer at a time.

Two transactions that lock the same rows in different orders may wait for each other, and PostgreSQL then ends one of
them. Each test locks rows as one transaction does, while a second process begins the other one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest
from sqlalchemy import Connection, select

from tests.support.companies import DANA, SAM, Office
from worker.domain.model import PairId
from worker.domain.rollout import StandingPauses
from worker.store import tables
from worker.store.plans import wake_pairs

pytestmark = pytest.mark.databases("postgresql")
PAIR = PairId(DANA, SAM)

Lock = Callable[[Connection], object]


def run_between(office: Office, first: Lock, write: Callable[[], object], second: Lock) -> None:
    """Begin `write` between the two locks of a transaction. Both have to come to their ends."""
    with ThreadPoolExecutor(1) as pool:
        with office.store.database.write() as connection:
            first(connection)
            writing = pool.submit(write)
            assert not wait_for([writing], timeout=1).done
            second(connection)
        writing.result(timeout=10)


def lock_calendars(connection: Connection) -> object:
    return connection.execute(select(tables.calendar).with_for_update())


def pause_everybody(office: Office) -> None:
    participation = office.another("second").store.participation
    participation.update(None, StandingPauses(everybody=True), office.clock(), lambda _: "")


def import_only_manager(office: Office) -> None:
    office.another("second").store.people.apply_import({DANA: office.persons[DANA]}, {}, office.clock())


@pytest.mark.parametrize("write", [pause_everybody, import_only_manager])
def test_change_of_participation_locks_calendars_before_pairs_as_a_reading_does(
    office: Office, write: Callable[[Office], None]
) -> None:
    office.tick()
    run_between(
        office,
        lock_calendars,
        lambda: write(office),
        lambda connection: wake_pairs(connection, [PAIR], office.clock()),
    )
