"""What the program asks of the database while it lives: everything by an index, however long it has lived."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from sqlite3 import Connection

from bench.company import build_company
from tests.support.companies import START, settings
from worker.simulation.people import BEHAVIOURS, OtherMeetings, SimulatedHumans
from worker.simulation.world import SimulatedWorld, make_simulation_settings
from worker.store import tables

#: It has a handful of rows, whatever the size of the company.
SMALL = {"fact"}
#: What reads or writes rows; the others begin and end transactions.
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
#: What is another with each call: texts, numbers, bytes, and nothing.
VALUES = re.compile(r"'(?:[^']|'')*'|\bX'[0-9A-F]*'|\b\d+\b|\bNULL\b")


@contextmanager
def heard(driver: Connection) -> Iterator[dict[str, str]]:
    """Every statement that SQLite performs meanwhile, one of each shape, its values in it."""
    found: dict[str, str] = {}
    driver.set_trace_callback(lambda statement: found.setdefault(VALUES.sub("?", statement), statement))
    yield found
    driver.set_trace_callback(None)


def scanned(driver: Connection, statement: str) -> list[str]:
    """The tables of ours that SQLite reads from end to end for it."""
    steps = [row[3] for row in driver.execute(f"EXPLAIN QUERY PLAN {statement}")]
    names = [found[1] for step in steps if (found := re.match(r"SCAN (\w+)", step))]
    return [name for name in names if name in tables.metadata.tables and name not in SMALL]


def test_nothing_that_is_asked_in_daily_life_reads_a_table_from_end_to_end() -> None:
    """The cost of a tick follows what is due, never how much there is or was."""
    persons, pairs = build_company(14, START.date())
    world = SimulatedWorld(make_simulation_settings(settings()), persons, pairs, START)
    world.humans = SimulatedHumans(world, BEHAVIOURS["hostile"], seed=5)
    OtherMeetings(world, BEHAVIOURS["hostile"], seed=5).refresh()
    world.step()  # who there is, is read whole, once
    driver = world.worker.store.database.engine.raw_connection().driver_connection
    assert isinstance(driver, Connection)
    with heard(driver) as statements:
        world.run_until(START + timedelta(days=40))
    asked = {shape: one for shape, one in statements.items() if one.startswith(VERBS)}
    assert len(asked) > 40
    found = {shape: names for shape, one in asked.items() if (names := scanned(driver, one))}
    assert found == {}
    world.worker.close()
