"""Benchmark of a tick when nothing is due, with few and with many pairs."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import update

from bench.company import build_company
from worker.app import build
from worker.clock import SteppedClock
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.store.store import Store
from worker.store.tables import calendar, pair

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)


def measure() -> list[tuple[str, str]]:
    """Return the fastest of many ticks on a database file, with 1,000 and with 100,000 pairs, and their ratio."""
    few, many = _measure_idle_tick(1_000), _measure_idle_tick(100_000)
    return [
        ("tick with nothing due, 1,000 pairs", f"{few * 1000:.2f} ms"),
        ("tick with nothing due, 100,000 pairs", f"{many * 1000:.2f} ms"),
        ("ratio (promised: at most 1.5)", f"{many / few:.2f}"),
    ]


def _measure_idle_tick(size: int) -> float:
    with TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'bench.db'}", Seal([generate_key()]))
        store.create_tables()
        persons, pairs = build_company(size, NOW.date())
        store.people.apply_import(persons, pairs, NOW)
        with store.database.write() as connection:
            connection.execute(update(pair).values(due_at=NOW + timedelta(days=1)))
            connection.execute(update(calendar).values(due_at=NOW + timedelta(days=1)))
        worker = build(Settings(), SteppedClock(NOW), store=store, holder="bench")
        best = min(_time_call(worker.tick) for _ in range(200))
        worker.close()
    return best


def _time_call(tick: object) -> float:
    assert callable(tick)
    start = time.perf_counter()
    tick()
    return time.perf_counter() - start
