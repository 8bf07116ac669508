"""The connection to the database, its transactions, and its schema."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from sqlite3 import OperationalError as DriverError
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import StaticPool

from worker import private_files
from worker.errors import LongarcError, get_first_line
from worker.seal import Seal
from worker.store.statements import PreparedStatement

if TYPE_CHECKING:
    from alembic.config import Config


MIGRATIONS = Path(__file__).resolve().parent / "migrations"


#: A file of SQLite's own that ends with its connection, and is in memory as far as the cache goes.
SCRATCH_FILE = "file:"


SCRATCH_URL = f"sqlite:///{SCRATCH_FILE}?uri=true"


#: How long a writer waits for another before it gives up, in seconds.
LOCK_TIMEOUT_SECONDS = 30


class DatabaseUnreachable(LongarcError):
    """The database can't be reached."""


#: What drivers raise when the database is gone, is going, or can't be written.
_OUTAGE_ERRORS = {"OperationalError", "InterfaceError"}


def describe_database_outage(error: BaseException) -> str:
    """Why the database can't be used, as its driver says it; empty when the error is of another kind."""
    if isinstance(error, DatabaseUnreachable):
        return get_first_line(error)
    driver = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    kinds = {kind.__name__ for kind in type(driver).__mro__}
    is_outage = type(driver).__module__.partition(".")[0] in ("psycopg", "sqlite3") and kinds & _OUTAGE_ERRORS
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return get_first_line(Exception(str(driver))) if is_outage or lost else ""


class Database:
    """An engine and its two kinds of transactions."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(url, self.is_sqlite)
        # the same pool of connections; how a transaction begins is said once, not with each
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._inserts: dict[tuple[str, ...], PreparedStatement] = {}
        # what ends with its connection has one, which stays open
        self._only = self.engine.connect() if isinstance(self.engine.pool, StaticPool) else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; nothing is written."""
        with self._connect(self._reader) as connection, connection.begin():
            if self.is_sqlite:
                _begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """All of it is written at the end, or nothing."""
        with self._connect(self.engine) as connection, connection.begin():
            if (
                self.is_sqlite
            ):  # a writer takes its lock at once: two that read first and write later would stop each other
                _begin(connection, "BEGIN IMMEDIATE")
            yield connection

    def _connect(self, engine: Engine) -> AbstractContextManager[Connection]:
        if self._only is not None:
            return nullcontext(self._only)
        try:
            return engine.connect()
        except DBAPIError as error:
            why = get_first_line(error.orig or error)
            raise DatabaseUnreachable(f"The database {mask_password(self.url)} can't be reached: {why}") from error

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows, or change those columns of the rows that are there already."""
        self._insert(connection, table, rows)

    def insert_new(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str]
    ) -> None:
        """Insert the rows whose unique columns aren't there yet; leave the others as they are."""
        self._insert(connection, table, rows, unique)

    def _insert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str] = ()
    ) -> None:
        if not rows:
            return
        columns = tuple(rows[0])
        name = (table.name, *columns, "unique", *unique)
        if name not in self._inserts:
            self._inserts[name] = self._prepare_insert(table, columns, unique)
        self._inserts[name].execute_many(connection, rows)

    def _prepare_insert(self, table: Table, columns: Sequence[str], unique: Sequence[str]) -> PreparedStatement:
        insert = (sqlite if self.is_sqlite else postgresql).insert(table)
        if unique:
            return PreparedStatement(insert.on_conflict_do_nothing(index_elements=list(unique)), columns)
        key = [column.name for column in table.primary_key]
        changes = {name: insert.excluded[name] for name in columns if name not in key}
        return PreparedStatement(insert.on_conflict_do_update(index_elements=key, set_=changes), columns)

    @contextmanager
    def lock_schema(self) -> Iterator[Connection]:
        """A transaction in which no other process of ours makes or changes tables."""
        with self.write() as connection:
            if not self.is_sqlite:  # PostgreSQL's IF NOT EXISTS doesn't keep two that make one table from colliding
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7251890)")
            yield connection

    def migrate(self, seal: Seal | None = None) -> None:
        """Bring the schema up to date. Safe to call from many processes at once.

        Migrations that seal what stood in the clear use `seal`, and raise WrongKey without one. Afterwards SQLite
        writes its file anew, so that what was sealed is in none of its free pages.
        """
        from alembic import command

        config = make_alembic_config()
        with self.lock_schema() as connection:
            config.attributes.update(connection=connection, seal=seal)
            command.upgrade(config, "head")
        if config.attributes.get("vacuum") and self.is_sqlite:
            self._vacuum()

    def _vacuum(self) -> None:
        with self._connect(self.engine) as connection:
            driver: Any = connection.connection.dbapi_connection
            with suppress(DriverError):  # somebody else reads or writes: deleted rows were overwritten all the same
                driver.execute("VACUUM")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Let go of every connection."""
        if self._only is not None:
            self._only.close()
        self.engine.dispose()


def make_alembic_config() -> "Config":
    """Where the migrations are. Alembic fills in what follows a `%`, and a folder may have one in its name."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _create_engine(url: str, lite: bool) -> Engine:
    if not lite:
        server = make_url(url).set(drivername="postgresql+psycopg")
        return create_engine(server, pool_pre_ping=True, hide_parameters=True)
    alone = make_url(url).database in (None, "", ":memory:", SCRATCH_FILE)
    if not alone:
        _make_folder(Path(str(make_url(url).database)))
    engine = create_engine(
        url,
        hide_parameters=True,  # what people said is in no error
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
        paramstyle="named",  # as `prepared` gives values
        json_deserializer=_parse_json,
        pool_reset_on_return=None,  # every transaction of ours ends in its own commit or rollback
        **({"poolclass": StaticPool} if alone else {}),
    )
    if not alone:
        event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _make_folder(file: Path) -> None:
    try:
        private_files.make_folder(file.parent)
    except OSError as error:
        what = f"The folder {file.parent} of the database can't be made: {error.strerror}."
        raise DatabaseUnreachable(what) from error


def _create_file(dialect: object, record: object, given: Sequence[Any], named: object) -> None:
    """SQLite would make it with the mode that the umask leaves; where it can't be made, SQLite says so."""
    with suppress(OSError):
        private_files.create(Path(given[0]))


def _parse_json(text: str) -> Any:
    """The value of a JSON text. The empty ones, which most are, skip the parser."""
    return {} if text == "{}" else [] if text == "[]" else json.loads(text)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, above
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(DriverError):  # it stays with the file: while another process sets it, this one need not
            if cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":  # it ends with its connection
                cursor.execute("PRAGMA journal_mode=MEMORY")
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection, statement: str) -> None:
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.execute(statement)
    except DriverError as error:
        raise OperationalError(statement, None, error) from error


def mask_password(address: str | URL) -> str:
    """The address of a database as anybody may read it: without its password, wherever that stands."""
    return make_url(address).set(query={}).render_as_string(hide_password=True)
