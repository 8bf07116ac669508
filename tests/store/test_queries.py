"""Statements of daily operation use indexes."""

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

#: Tables with a few rows in a company of any size, which may be scanned: that of stored values.
SMALL_TABLES = {tables.stored_value.name}
#: Statements that read or write rows. Others begin and end transactions.
VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
#: Values, which differ between calls of one statement: texts, bytes, numbers and NULL.
VALUES = re.compile(r"'(?:[^']|'')*'|\bX'[0-9A-F]*'|\b\d+\b|\bNULL\b")


@contextmanager
def record_statements(driver: Connection) -> Iterator[dict[str, str]]:
    """Collect one example of each statement that SQLite executes, by the statement without its values."""
    statements: dict[str, str] = {}
    driver.set_trace_callback(lambda statement: statements.setdefault(VALUES.sub("?", statement), statement))
    yield statements
    driver.set_trace_callback(None)


def list_scanned_tables(driver: Connection, statement: str) -> list[str]:
    """Return the tables, except small ones, that SQLite scans for this statement."""
    rows = driver.execute(f"EXPLAIN QUERY PLAN {statement}")
    steps = [detail for _id, _parent, _unused, detail in rows]
    names = [match[1] for step in steps if (match := re.match(r"SCAN (\w+)", step))]
    return [name for name in names if name in tables.metadata.tables and name not in SMALL_TABLES]


def test_no_statement_of_40_days_scans_a_large_table() -> None:
    """The cost of a tick depends on the work that is due, and not on the number of stored rows."""
    persons, pairs = build_company(14, START.date())
    world = SimulatedWorld(make_simulation_settings(settings()), persons, pairs, START)
    world.humans = SimulatedHumans(world, BEHAVIOURS["hostile"], seed=5)
    OtherMeetings(world, BEHAVIOURS["hostile"], seed=5).refresh()
    world.step()  # the first step reads all people once
    driver = world.worker.store.database.engine.raw_connection().driver_connection
    assert isinstance(driver, Connection)
    with record_statements(driver) as statements:
        world.run_until(START + timedelta(days=40))
    row_statements = {shape: statement for shape, statement in statements.items() if statement.startswith(VERBS)}
    assert len(row_statements) > 40, "too few statements to speak for the daily operation"
    scans = {
        shape: names for shape, statement in row_statements.items() if (names := list_scanned_tables(driver, statement))
    }
    assert scans == {}
    world.worker.close()
