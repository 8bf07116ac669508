"""Several workers start at the same time on an empty database, and all of them run."""

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

#: In how many rounds so many processes start together: fewer, unless the proofs run whole.
ROUNDS, STARTS = (20, 6) if FULL else (1, 3)
THREADS = 6
#: The people in `config/people.example.csv`.
EXAMPLE_PEOPLE = 8


def start_together(folder: Path, database: str) -> None:
    """Start `STARTS` processes `longarc run` on this database at the same time, and stop them."""
    folder.mkdir()
    (folder / "people.csv").write_bytes((ROOT / "config" / "people.example.csv").read_bytes())
    config = folder / "longarc.toml"
    config.write_text(
        f'database = "{database}"\noperator = "ops@corp.example"\n'
        '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n[mailers.smtp]\nhost = "127.0.0.1"\nport = 9\n'
    )
    clean_env = {name: value for name, value in os.environ.items() if not name.startswith("LONGARC_")}
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.start_child", str(config), str(STARTS)],
        cwd=ROOT,
        env={**clean_env, "LONGARC_KEY": KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (process.stdout.strip(), process.stderr) == (str([0] * STARTS), "")  # the exit codes, and no error


def count_people(database: str) -> int:
    store = new_store(database)
    count = len(store.people.load_current_people())
    store.close()
    return count


@pytest.mark.parametrize("round_", range(3))
def test_six_workers_create_schema_and_queue_at_the_same_time(
    postgres: Postgres, monkeypatch: MonkeyPatch, round_: int
) -> None:
    """PostgreSQL's IF NOT EXISTS alone does not keep two connections from creating the same table."""
    database = postgres.create_empty()
    monkeypatch.setenv("LONGARC_DATABASE_URL", database)
    tasks = import_module("worker.tasks")
    barrier = Barrier(THREADS)

    def start(_: int) -> None:
        store = new_store(database)
        barrier.wait(timeout=30)
        queue = tasks.make_huey(settings(database))
        store.migrate()
        tasks.create_queue_tables(queue, store)
        assert queue.pending_count() == 0
        queue.storage.close()
        store.close()

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(start, range(THREADS)))


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_workers_that_start_together_on_an_empty_database_all_run(
    request: pytest.FixtureRequest, backend: str, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        sqlite_url = f"sqlite:///{tmp_path / f'{number}.db'}"
        database = request.getfixturevalue("postgres").create_empty() if backend == "postgresql" else sqlite_url
        start_together(tmp_path / str(number), database)
        assert count_people(database) == EXAMPLE_PEOPLE
