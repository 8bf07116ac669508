"""The order in which transactions lock rows on PostgreSQL. SQLite has one writer at a time.

Two transactions that lock the same rows in different orders may wait for each other, and PostgreSQL then ends one of
them. Each test locks rows as one transaction does, while a second process begins the other one.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest
from sqlalchemy import Connection, delete, select, update

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, SAM, Office, pair, pairs, people, span
from worker.domain.model import PairId
from worker.domain.rollout import OperatorPauses, Rollout
from worker.store import participation, tables
from worker.store.calendars import CalendarReading
from worker.store.plans import wake_pairs
from worker.store.rows import build_person_row

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


def lock_person(connection: Connection, email: str) -> object:
    return connection.execute(select(tables.person).where(tables.person.c.email == email).with_for_update())


def find_no_objection(_: object) -> str:
    """Object to no change of participation."""
    return ""


def pause_everybody(office: Office) -> None:
    participation = office.add_worker("second").store.participation
    participation.update(None, OperatorPauses(everybody=True), office.clock(), find_no_objection)


def import_only_manager(office: Office) -> None:
    office.add_worker("second").store.people.apply_import({DANA: office.persons[DANA]}, {}, office.clock())


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


def test_end_of_a_suspension_locks_the_calendar_before_the_person_as_a_reading_does(office: Office) -> None:
    office.tick()
    office.store.people.suspend(DANA, office.clock() + HOUR)
    other_store = office.add_worker("second").store
    suspended = tables.person.c.suspended_until.is_not(None)
    run_between(
        office,
        lock_calendars,
        lambda: other_store.calendars.lift_suspension(DANA, office.clock()),
        lambda connection: connection.execute(update(tables.person).where(suspended).values(suspended_until=None)),
    )
    assert office.store.people.load_suspensions() == {}


def test_plan_locks_events_before_pairs_as_a_reading_does(office: Office) -> None:
    """The plan accepts the time to which somebody moved the event."""
    office.tick()
    session = office.session()
    assert session.start is not None
    moved = span(session.start + DAY, session.minutes)
    office.calendar.move(DANA, session.key, moved)
    office.clock.advance(MINUTE)
    office.store.calendars.make_due([DANA], office.clock())
    office.worker.sync.run("first")
    other_worker = office.add_worker("second")
    run_between(
        office,
        lambda connection: connection.execute(select(tables.event).with_for_update()),
        lambda: other_worker.sweep.run("second"),
        lambda connection: wake_pairs(connection, [PAIR], office.clock()),
    )
    placed = office.placed_event(session.key)
    assert placed is not None and placed.written_span == moved


def test_reading_locks_all_its_pairs_in_order(office: Office) -> None:
    """A reading may find changes of two kinds, each of which makes another pair due."""
    office.persons, office.pairs = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    office.apply()
    office.tick()
    office.store.calendars.make_due([DANA], office.clock())
    other_store = office.add_worker("second").store
    (due_calendar,) = other_store.calendars.claim(office.clock(), "second", office.clock() + HOUR, limit=1)
    first, last = sorted([PAIR, PairId(DANA, KIM)])
    reading = CalendarReading(
        placed=(), pairs_to_plan={last}, pairs_to_reread={first}, meetings=(), dropped_meeting_ids=()
    )
    run_between(
        office,
        lambda connection: wake_pairs(connection, [first], office.clock()),
        lambda: other_store.calendars.save(due_calendar, "second", reading, None, size=None, now=office.clock()),
        lambda connection: wake_pairs(connection, [last], office.clock()),
    )


def test_end_of_pauses_locks_pairs_in_order_as_a_plan_does(office: Office) -> None:
    office.persons, office.pairs = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    office.apply()
    first, last = sorted([PAIR, PairId(DANA, KIM)])
    with office.store.database.write() as connection:
        for pair_id in (last, first):  # PostgreSQL finds the rows in the order in which they were last written
            paused = update(tables.pair).where(tables.pair.c.id == pair_id)
            connection.execute(paused.values(paused=True, paused_until=office.clock().date()))
    other_store = office.add_worker("second").store
    run_between(
        office,
        lambda connection: wake_pairs(connection, [first], office.clock()),
        lambda: other_store.people.end_pauses(office.clock()),
        lambda connection: wake_pairs(connection, [last], office.clock()),
    )
    assert not any(pair_.paused for pair_ in office.store.people.load_all_pairs().values())


def test_import_locks_people_in_order_as_a_plan_does(office: Office) -> None:
    """Somebody leaves whose address comes before those of the others."""
    first, last = sorted([DANA, SAM])
    other_store = office.add_worker("second").store
    run_between(
        office,
        lambda connection: lock_person(connection, first),
        lambda: other_store.people.apply_import({last: office.persons[last]}, {}, office.clock()),
        lambda connection: lock_person(connection, last),
    )
    assert office.store.people.load_current_people().keys() == {last}


def test_the_first_imports_of_several_processes_run_one_after_the_other(office: Office) -> None:
    """On an empty database there is no row yet that an import could lock."""
    database = office.store.database
    with database.write() as connection:
        for table in (tables.pair, tables.person, tables.calendar, tables.stored_value):
            connection.execute(delete(table))
    other_store = office.add_worker("second").store
    run_between(
        office,
        lambda connection: participation.lock_calendars(database, connection),
        lambda: other_store.people.apply_import(office.persons, office.pairs, office.clock()),
        lambda connection: database.upsert(connection, tables.person, [build_person_row(office.persons[SAM])]),
    )
    assert other_store.people.load_current_people().keys() == {DANA, SAM}


def test_the_first_decisions_of_two_processes_run_one_after_the_other(office: Office) -> None:
    """The second decision keeps the pauses that the first one stores."""
    with office.store.database.write() as connection:
        connection.execute(delete(tables.stored_value))
    other_participation, now = office.add_worker("second").store.participation, office.clock()
    with ThreadPoolExecutor(1) as pool:
        decisions: list[Future[object]] = []

        def decide_meanwhile(_: Connection) -> None:
            decisions.append(pool.submit(other_participation.update, Rollout(), None, now, find_no_objection))
            assert not wait_for(decisions, timeout=1).done

        office.store.participation.update(
            None, OperatorPauses(everybody=True), now, find_no_objection, decide_meanwhile
        )
        decisions[0].result(timeout=10)
    assert other_participation.load().pauses.everybody


def test_end_of_leases_locks_people_in_order_as_a_plan_does(office: Office) -> None:
    first, last = sorted([DANA, SAM])
    with office.store.database.write() as connection:
        for email in (last, first):  # PostgreSQL finds the rows in the order in which they were last written
            leased = update(tables.person).where(tables.person.c.email == email)
            connection.execute(leased.values(holder="second", held_until=office.clock() + HOUR))
    other_store = office.add_worker("second").store
    run_between(
        office,
        lambda connection: lock_person(connection, first),
        lambda: other_store.plans.release("second"),
        lambda connection: lock_person(connection, last),
    )
    assert office.store.plans.claim_pairs([PAIR], office.clock(), "third", office.clock() + HOUR) == [PAIR]
