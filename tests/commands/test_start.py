"""Several workers that start at once on a database with nothing in it: each of them runs, none dies."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from threading import Barrier

import pytest
from pytest import MonkeyPatch

from tests.conftest import Postgres
from tests.support import ROOT
from tests.support.companies import KEY, new_store, settings
from tests.support.proof import FULL

ROUNDS, STARTS = (20, 6) if FULL else (1, 3)


def start_together(folder: Path, database: str) -> None:
    """Have so many `longarc run` start at one instant on this database, and stop again."""
    folder.mkdir()
    (folder / "people.csv").write_bytes((ROOT / "config" / "people.example.csv").read_bytes())
    config = folder / "longarc.toml"
    config.write_text(
        f'database = "{database}"\noperator = "ops@corp.example"\n'
        '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n[mailers.smtp]\nhost = "127.0.0.1"\nport = 9\n'
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LONGARC_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.start_child", str(config), str(STARTS)],
        cwd=ROOT,
        env={**clean, "LONGARC_KEY": KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == (str([0] * STARTS), "")


def people_known(database: str) -> int:
    store = new_store(database)
    known = len(store.people.load_current_people())
    store.close()
    return known


@pytest.mark.parametrize("round_", range(3))
def test_schema_and_queue_are_made_by_six_at_once(postgres: Postgres, monkeypatch: MonkeyPatch, round_: int) -> None:
    """None collides with another: PostgreSQL's IF NOT EXISTS alone lets two make the same table."""
    database = postgres.empty()
    monkeypatch.setenv("LONGARC_DATABASE_URL", database)
    tasks = import_module("worker.tasks")
    together = Barrier(6)

    def start(_: int) -> None:
        store = new_store(database)
        together.wait(30)
        queue = tasks.make_huey(settings(database))
        store.migrate()
        tasks.create_queue_tables(queue, store)
        assert queue.pending_count() == 0
        queue.storage.close()
        store.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(start, range(6)))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_workers_that_start_at_once_on_an_empty_database_all_run(
    request: pytest.FixtureRequest, backend: str, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        empty = f"sqlite:///{tmp_path / f'{number}.db'}"
        database = request.getfixturevalue("postgres").empty() if backend == "postgresql" else empty
        start_together(tmp_path / str(number), database)
        assert people_known(database) == 8
