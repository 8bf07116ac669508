"""What the program asks of the database while it lives: everything by an index, however long it has lived."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import event

from bench.company import company
from tests.worlds import START, settings
from worker.behaviour import MANNERS, Crowd, Meetings
from worker.simulate import World, simulated_settings
from worker.store import Store, tables

#: It has a handful of rows, whatever the size of the company.
SMALL = {"fact"}


@contextmanager
def heard(store: Store) -> Iterator[dict[str, Any]]:
    """Every statement that is performed meanwhile, with the values of one time."""
    found: dict[str, Any] = {}

    def hear(connection: Any, cursor: Any, statement: str, values: Any, context: Any, many: bool) -> None:
        found.setdefault(statement, values[0] if many else values)

    event.listen(store.database.engine, "before_cursor_execute", hear)
    yield found
    event.remove(store.database.engine, "before_cursor_execute", hear)


def scanned(store: Store, statement: str, values: Any) -> list[str]:
    """The tables of ours that SQLite reads from end to end for it."""
    with store.database.read() as connection:
        steps = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    names = [found[1] for step in steps if (found := re.match(r"SCAN (\w+)", step))]
    return [name for name in names if name in tables.metadata.tables and name not in SMALL]


def test_nothing_that_is_asked_in_daily_life_reads_a_table_from_end_to_end() -> None:
    """The cost of a tick follows what is due, never how much there is or was."""
    persons, pairs = company(14, START.date())
    world = World(simulated_settings(settings()), persons, pairs, START)
    world.humans = Crowd(world, MANNERS["hostile"], seed=5)
    Meetings(world, MANNERS["hostile"], seed=5).refresh()
    world.step()  # who there is, is read whole, once
    with heard(world.worker.store) as statements:
        world.run_until(START + timedelta(days=40))
    assert len(statements) > 40
    asked = {what: values for what, values in statements.items() if not what.startswith(("PRAGMA", "BEGIN"))}
    found = {what: names for what, values in asked.items() if (names := scanned(world.worker.store, what, values))}
    assert found == {}
    world.worker.close()
