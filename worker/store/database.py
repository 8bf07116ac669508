"""Connects to the database, begins transactions, and migrates the schema."""

import json
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from sqlite3 import OperationalError as DriverError
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from worker import private_files
from worker.errors import LongarcError, get_first_line
from worker.seal import Seal
from worker.store.statements import PreparedStatement

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy.dialects import postgresql, sqlite


MIGRATIONS = Path(__file__).resolve().parent / "migrations"


#: SQLite's name for a temporary database: deleted with its connection, and on disk only when it outgrows the cache.
SCRATCH_FILE = "file:"


SCRATCH_URL = f"sqlite:///{SCRATCH_FILE}?uri=true"


#: How long a transaction waits for another one that writes, in seconds.
LOCK_TIMEOUT_SECONDS = 30

#: Proxies before PostgreSQL drop connections that idle for longer, without closing them.
MAX_CONNECTION_AGE = timedelta(minutes=5)


#: How long compacting waits for another transaction, in milliseconds.
COMPACTION_LOCK_TIMEOUT_MS = 500
#: The number of the PostgreSQL lock for changes of the schema; no other lock of Longarc has it.
_SCHEMA_LOCK = 7251890


class DatabaseUnreachable(LongarcError):
    """The database can't be reached."""


#: Names of the drivers' errors for a database that is down, is shutting down, or can't be written.
_OUTAGE_ERRORS = {"OperationalError", "InterfaceError"}


def describe_database_outage(error: BaseException) -> str:
    """Return the driver's reason why the database can't be used; empty when the error has another cause."""
    if isinstance(error, DatabaseUnreachable):
        return get_first_line(error)
    driver = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    kinds = {kind.__name__ for kind in type(driver).__mro__}
    is_outage = type(driver).__module__.partition(".")[0] in ("psycopg", "sqlite3") and kinds & _OUTAGE_ERRORS
    is_connection_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return get_first_line(Exception(str(driver))) if is_outage or is_connection_lost else ""


@cache  # one for each table and set of columns that the program writes
def _prepare_insert(
    is_sqlite: bool, table: Table, columns: tuple[str, ...], unique: tuple[str, ...]
) -> PreparedStatement:
    """Return the statement that inserts rows with these columns. Without `unique` it updates a row whose primary key
    exists; with it, it keeps a row that has the same values in these columns."""
    insert = _insert_into_sqlite(table) if is_sqlite else _insert_into_postgresql(table)
    if unique:
        return PreparedStatement(insert.on_conflict_do_nothing(index_elements=list(unique)), columns)
    key = [column.name for column in table.primary_key]
    changes = {name: insert.excluded[name] for name in columns if name not in key}
    return PreparedStatement(insert.on_conflict_do_update(index_elements=key, set_=changes), columns)


def _insert_into_sqlite(table: Table) -> "sqlite.Insert":
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _insert_into_postgresql(table: Table) -> "postgresql.Insert":
    from sqlalchemy.dialects import postgresql  # with its drivers, which take a while to import

    return postgresql.insert(table)


class Database:
    """An engine, and transactions that read or write."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(url, self.is_sqlite)
        # shares the pool of connections with the engine
        self._reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._statement_reader = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        # a database in memory has a single connection, which stays open
        self._single_connection = self.engine.connect() if isinstance(self.engine.pool, StaticPool) else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that only reads. It sees the database as of one moment."""
        with self._connect(self._reader) as connection, connection.begin():
            if self.is_sqlite:
                _begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def read_once(self) -> Iterator[Connection]:
        """Connect for a single statement that only reads.

        It sees the database as of one moment without a transaction: PostgreSQL is asked once instead of three times.
        """
        with self._connect(self._statement_reader) as connection:
            try:
                yield connection
            except Exception as error:
                if not self.is_sqlite and describe_database_outage(error):
                    connection.invalidate()  # the pool would fail to reset it, and log that
                raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction that writes. It is committed at the end, or rolled back when an error is raised."""
        with self._connect(self.engine) as connection, connection.begin():
            if self.is_sqlite:  # takes the lock at once: two that read first and write later would block each other
                _begin(connection, "BEGIN IMMEDIATE")
            yield connection

    def _connect(self, engine: Engine) -> AbstractContextManager[Connection]:
        if self._single_connection is not None:
            return nullcontext(self._single_connection)
        try:
            return engine.connect()
        except DBAPIError as error:
            reason = get_first_line(error.orig or error)
            raise DatabaseUnreachable(f"The database {mask_password(self.url)} can't be reached: {reason}") from error

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows; where the primary key exists already, update the columns. All rows have the same columns."""
        self._insert(connection, table, rows)

    def insert_new(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str]
    ) -> None:
        """Insert the rows whose values of the unique columns don't exist yet; leave existing rows unchanged."""
        self._insert(connection, table, rows, unique)

    def _insert(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str] = ()
    ) -> None:
        if not rows:
            return
        _prepare_insert(self.is_sqlite, table, tuple(rows[0]), tuple(unique)).execute_many(connection, rows)

    @contextmanager
    def lock_schema(self) -> Iterator[Connection]:
        """Begin a transaction in which no other process of Longarc creates or changes tables."""
        with self.write() as connection:
            if not self.is_sqlite:  # IF NOT EXISTS fails in PostgreSQL when two processes create a table at once
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
            yield connection

    def migrate(self, seal: Seal | None = None) -> None:
        """Bring the schema up to date. Safe to call from many processes at once.

        Migrations that seal values which an older version stored unsealed use `seal`, and raise WrongKey without one.
        Afterwards SQLite rewrites its file, so that no free page contains the unsealed values.
        """
        with self.lock_schema() as connection:
            needs_vacuum = self.upgrade(connection, seal)
        if needs_vacuum and self.is_sqlite:
            self.compact()

    def upgrade(self, connection: Connection, seal: Seal | None, version: str = "head") -> bool:
        """Bring the schema to that version, within the transaction of `lock_schema`. True when values were sealed."""
        from alembic import command

        config = make_alembic_config()
        config.attributes.update(connection=connection, seal=seal)
        command.upgrade(config, version)
        return bool(config.attributes.get("vacuum"))

    def compact(self) -> bool:
        """Rewrite a SQLite file and empty its journal, so that neither holds anything that was deleted.

        Returns False when another connection is in use: deleted rows are overwritten in the file all the same
        (`secure_delete`), and the journal is emptied when it is copied into the file the next time. PostgreSQL gives
        the space of deleted rows back, and overwrites it when it is used again.
        """
        with self._connect(self.engine) as connection:
            dbapi_connection: Any = connection.connection.dbapi_connection
            if not self.is_sqlite:
                dbapi_connection.rollback()
                dbapi_connection.autocommit = True
                dbapi_connection.execute("VACUUM")
                dbapi_connection.autocommit = False
                return True
            dbapi_connection.execute(f"PRAGMA busy_timeout={COMPACTION_LOCK_TIMEOUT_MS}")
            try:
                dbapi_connection.execute("VACUUM")
                return not dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except DriverError:
                return False
            finally:
                dbapi_connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_SECONDS * 1000}")

    def close(self) -> None:
        """Close every connection."""
        if self._single_connection is not None:
            self._single_connection.close()
        self.engine.dispose()


def make_alembic_config() -> "Config":
    """Return the configuration of Alembic: where the migrations are."""
    from alembic.config import Config

    config = Config()
    location = str(MIGRATIONS).replace("%", "%%")  # Alembic interpolates names that follow a single %
    config.set_main_option("script_location", location)
    return config


def list_migrations() -> list[str]:
    """Return the versions of the schema, oldest first: the file name of a migration begins with its version."""
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _create_engine(url: str, is_sqlite: bool) -> Engine:
    if not is_sqlite:
        server_url = make_url(url).set(drivername="postgresql+psycopg")
        recycle = round(MAX_CONNECTION_AGE.total_seconds())
        engine = create_engine(server_url, pool_recycle=recycle, hide_parameters=True)
        event.listen(engine, "checkout", _refuse_closed)
        return engine
    is_temporary = make_url(url).database in (None, "", ":memory:", SCRATCH_FILE)
    if not is_temporary:
        _make_folder(Path(str(make_url(url).database)))
    engine = create_engine(
        url,
        hide_parameters=True,  # errors never contain content
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
        paramstyle="named",  # as `PreparedStatement` passes values
        json_deserializer=_parse_json,
        pool_reset_on_return=None,  # `read` and `write` always commit or roll back
        **({"poolclass": StaticPool} if is_temporary else {}),
    )
    if not is_temporary:
        event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _refuse_closed(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Raise InvalidatePoolError when the server has closed a connection of the pool, which then makes a new one.

    `pool_pre_ping` would send the server a request before each transaction.
    """
    is_reused = "used" in record.info  # SQLAlchemy empties `info` with each new connection
    record.info["used"] = True
    if is_reused and not _is_open(connection):
        raise InvalidatePoolError


def _is_open(connection: Any) -> bool:
    """Return whether the server has left this idle connection open: the socket of a closed one is ready to be read."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


def _make_folder(file: Path) -> None:
    try:
        private_files.make_folder(file.parent)
    except OSError as error:
        problem = f"The folder {file.parent} of the database can't be made: {error.strerror}."
        raise DatabaseUnreachable(problem) from error


def _create_file(dialect: object, record: object, arguments: Sequence[Any], keywords: object) -> None:
    """Create the file for its owner only: SQLite would obey the umask. Leaves errors to SQLite, which reports them."""
    with suppress(OSError):
        private_files.create(Path(arguments[0]))


def _parse_json(text: str) -> Any:
    """Return the value of a JSON text. Empty values, which are the most frequent, skip the parser."""
    return {} if text == "{}" else [] if text == "[]" else json.loads(text)


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # `read` and `write` begin transactions themselves
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(DriverError):  # the mode is stored in the file: another process may be setting it now
            if cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":  # a temporary database has no WAL
                cursor.execute("PRAGMA journal_mode=MEMORY")
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection, statement: str) -> None:
    dbapi_connection: Any = connection.connection.dbapi_connection
    try:
        dbapi_connection.execute(statement)
    except DriverError as error:
        raise OperationalError(statement, None, error) from error


def mask_password(address: str | URL) -> str:
    """Return the address of a database without its password, also where a query parameter holds one."""
    return make_url(address).set(query={}).render_as_string(hide_password=True)
