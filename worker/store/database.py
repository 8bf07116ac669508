"""Connects to the database, begins transactions, and migrates the schema.

The database is SQLite or PostgreSQL. SQLite allows one writing transaction at a time.
"""

import json
import select
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from sqlite3 import OperationalError as SqliteError
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
#: SQLite's name for a temporary database, which is deleted when its connection closes. It is written to disk only when
#: it does not fit into the cache.
TEMPORARY_DATABASE = "file:"
TEMPORARY_DATABASE_URL = f"sqlite:///{TEMPORARY_DATABASE}?uri=true"
#: How long a SQLite transaction waits for another one that writes.
LOCK_TIMEOUT_SECONDS = 30
#: A connection to PostgreSQL that is older than this is replaced. Proxies in front of the server may drop a connection
#: that was idle for longer, without closing it.
MAX_CONNECTION_AGE = timedelta(minutes=5)
#: How long the compaction of a SQLite file waits for another transaction.
COMPACTION_LOCK_TIMEOUT_MS = 500
#: The number of the PostgreSQL advisory lock for changes of the schema. No other lock of Longarc has this number.
_SCHEMA_LOCK = 7251890


class DatabaseUnreachable(LongarcError):
    """The database can't be reached."""


#: The names of the drivers' errors which mean that the database is down, is shutting down, or can't be written.
_OUTAGE_ERRORS = {"OperationalError", "InterfaceError"}


def describe_database_outage(error: BaseException) -> str:
    """Return the driver's reason why the database can't be used; empty when the error has another cause."""
    if isinstance(error, DatabaseUnreachable):
        return get_first_line(error)
    driver_error = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    class_names = {error_class.__name__ for error_class in type(driver_error).__mro__}
    is_of_driver = type(driver_error).__module__.partition(".")[0] in ("psycopg", "sqlite3")
    is_outage = is_of_driver and not class_names.isdisjoint(_OUTAGE_ERRORS)
    is_connection_lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return get_first_line(driver_error) if is_outage or is_connection_lost else ""


@cache  # the program writes few tables, each with few sets of columns
def _prepare_insert(
    is_sqlite: bool, table: Table, columns: tuple[str, ...], unique: tuple[str, ...]
) -> PreparedStatement:
    """Return the statement that inserts a row with these columns.

    When `unique` is empty and a row with the same primary key exists, that row is updated. When `unique` names columns
    and a row with the same values in them exists, that row is left unchanged.
    """
    insert = _build_sqlite_insert(table) if is_sqlite else _build_postgresql_insert(table)
    if unique:
        return PreparedStatement(insert.on_conflict_do_nothing(index_elements=list(unique)), columns)
    primary_key = [column.name for column in table.primary_key]
    changes = {name: insert.excluded[name] for name in columns if name not in primary_key}
    return PreparedStatement(insert.on_conflict_do_update(index_elements=primary_key, set_=changes), columns)


def _build_sqlite_insert(table: Table) -> "sqlite.Insert":
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _build_postgresql_insert(table: Table) -> "postgresql.Insert":
    from sqlalchemy.dialects import postgresql  # imports drivers, which take a while to load

    return postgresql.insert(table)


class Database:
    """Begins transactions that read or write. `engine` is the SQLAlchemy engine."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _create_engine(url, self.is_sqlite)
        # the next two engines share the connection pool of `engine`
        self._snapshot_engine = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="REPEATABLE READ")
        )
        self._autocommit_engine = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        # a temporary database has a single connection, which stays open
        self._single_connection = self.engine.connect() if isinstance(self.engine.pool, StaticPool) else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Begin a transaction that only reads. All its statements see the database as of the same moment."""
        with self._connect(self._snapshot_engine) as connection, connection.begin():
            if self.is_sqlite:
                _begin(connection, "BEGIN")
            yield connection

    @contextmanager
    def read_once(self) -> Iterator[Connection]:
        """Connect for a single statement that only reads, without a transaction.

        This saves two of three requests to PostgreSQL: the one that begins and the one that ends the transaction.
        """
        with self._connect(self._autocommit_engine) as connection:
            try:
                yield connection
            except Exception as error:
                if not self.is_sqlite and describe_database_outage(error):
                    connection.invalidate()  # otherwise the pool tries to reset the connection and logs the failure
                raise

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Begin a transaction that writes. It is committed at the end, or rolled back when an error is raised.

        PostgreSQL ends one of two transactions that wait for each other's rows. Therefore readings, notifications,
        sweeps, imports and changes of participation lock rows in the same order: channel, calendar, person, event, and
        last pair; and several rows of one table in order of their primary key.
        """
        with self._connect(self.engine) as connection, connection.begin():
            if self.is_sqlite:
                # locks the database at once: two transactions that read first and write later would block each other
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
        """Insert the rows, which all have the same columns. A row whose primary key exists is updated instead."""
        self._insert(connection, table, rows)

    def insert_new(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str]
    ) -> None:
        """Insert the rows, which all have the same columns.

        A row whose values in the `unique` columns exist already is skipped, and the existing row is left unchanged.
        """
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
            if not self.is_sqlite:
                # in PostgreSQL, CREATE TABLE IF NOT EXISTS fails when two processes execute it at once
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})")
            yield connection

    def migrate(self, seal: Seal | None = None) -> None:
        """Bring the schema up to date. Several processes may call this at once.

        Some migrations seal values that an older version stored unsealed. They use `seal`, and raise WrongKey when it
        has no key. Afterwards a SQLite file is rewritten, so that no free page contains the unsealed values.
        """
        with self.lock_schema() as connection:
            needs_vacuum = self.upgrade(connection, seal)
        if needs_vacuum and self.is_sqlite:
            self.compact()

    def upgrade(self, connection: Connection, seal: Seal | None, version: str = "head") -> bool:
        """Bring the schema to this version, within the transaction of `lock_schema`.

        Return whether a migration sealed values, so that the file of the database should be rewritten.
        """
        from alembic import command

        config = make_alembic_config()
        config.attributes.update(connection=connection, seal=seal)
        command.upgrade(config, version)
        return bool(config.attributes.get("vacuum"))  # set by each migration that seals values

    def compact(self) -> bool:
        """Rewrite the file of a SQLite database and empty its journal, so that neither contains deleted rows.

        Return False when another connection prevents that. Even then, deleted rows are overwritten in the file
        (`secure_delete`), and the journal is emptied at its next checkpoint. PostgreSQL marks the space of deleted rows
        as free, and overwrites it when it is used again.
        """
        if not self.is_sqlite:
            with self._connect(self._autocommit_engine) as connection:  # VACUUM can't run inside a transaction
                connection.exec_driver_sql("VACUUM")
            return True
        with self._connect(self.engine) as connection:
            dbapi_connection: Any = connection.connection.dbapi_connection
            dbapi_connection.execute(f"PRAGMA busy_timeout={COMPACTION_LOCK_TIMEOUT_MS}")
            try:
                dbapi_connection.execute("VACUUM")
                is_blocked, *_ = dbapi_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                return not is_blocked
            except SqliteError:
                return False
            finally:
                dbapi_connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_SECONDS * 1000}")

    def close(self) -> None:
        """Close every connection."""
        if self._single_connection is not None:
            self._single_connection.close()
        self.engine.dispose()


def make_alembic_config() -> "Config":
    """Return a configuration of Alembic that names the folder of the migrations."""
    from alembic.config import Config

    config = Config()
    location = str(MIGRATIONS).replace("%", "%%")  # Alembic takes a single % for the start of an interpolation
    config.set_main_option("script_location", location)
    return config


def list_migrations() -> list[str]:
    """Return the versions of the schema, oldest first, from the file names of the migrations."""
    return sorted(file.name.partition("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def _create_engine(url: str, is_sqlite: bool) -> Engine:
    """Return the SQLAlchemy engine for a URL. For a SQLite file, the folder is made when it does not exist."""
    if not is_sqlite:
        server_url = make_url(url).set(drivername="postgresql+psycopg")
        recycle = round(MAX_CONNECTION_AGE.total_seconds())
        engine = create_engine(server_url, pool_recycle=recycle, hide_parameters=True)
        event.listen(engine, "checkout", _require_open_connection)
        return engine
    is_temporary = make_url(url).database in (None, "", ":memory:", TEMPORARY_DATABASE)
    if not is_temporary:
        _make_folder(Path(str(make_url(url).database)))
    engine = create_engine(
        url,
        hide_parameters=True,  # keeps content out of error texts
        connect_args={"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False},
        paramstyle="named",  # `PreparedStatement` passes parameters by name
        json_deserializer=_parse_json,
        pool_reset_on_return=None,  # `read` and `write` always commit or roll back
        **({"poolclass": StaticPool} if is_temporary else {}),
    )
    if not is_temporary:
        event.listen(engine, "do_connect", _create_file)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _require_open_connection(connection: Any, pool_entry: ConnectionPoolEntry, _: object) -> None:
    """Raise InvalidatePoolError when the server has closed a connection that the pool is about to hand out.

    The pool then makes a new connection. SQLAlchemy's option `pool_pre_ping` does the same, but sends the server a
    request before each transaction.
    """
    is_reused = "used" in pool_entry.info  # SQLAlchemy empties `info` when it makes a new connection
    pool_entry.info["used"] = True
    if is_reused and not _is_open(connection):
        raise InvalidatePoolError


def _is_open(connection: Any) -> bool:
    """Return whether the server has left this idle connection open."""
    if connection.closed:
        return False
    # the socket of a connection that the server has closed is ready to be read
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)  # 0: without waiting


def _make_folder(file: Path) -> None:
    try:
        private_files.make_folder(file.parent)
    except OSError as error:
        problem = f"The folder {file.parent} of the database can't be made: {error.strerror}."
        raise DatabaseUnreachable(problem) from error


def _create_file(dialect: object, record: object, arguments: Sequence[Any], keywords: object) -> None:
    """Create the file of the database so that only its owner may read it. SQLite itself would let the umask decide.

    `arguments` and `keywords` are those with which the driver connects; the first argument is the path.
    """
    with suppress(OSError):  # SQLite meets the same error, and reports it
        private_files.create(Path(arguments[0]))


def _parse_json(text: str) -> Any:
    """Return the value of a JSON text. Empty values are the most frequent, so they skip the parser."""
    if text == "{}":
        return {}
    return [] if text == "[]" else json.loads(text)


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Set the options of a new connection to SQLite."""
    connection.isolation_level = None  # `read` and `write` begin transactions themselves
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        with suppress(SqliteError):  # the mode is stored in the file, so another process may be setting it just now
            if cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0] != "wal":  # a temporary database can't use WAL
                cursor.execute("PRAGMA journal_mode=MEMORY")
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection, statement: str) -> None:
    """Begin a transaction of SQLite with this statement. Raises OperationalError, as SQLAlchemy's own methods do."""
    dbapi_connection: Any = connection.connection.dbapi_connection
    try:
        dbapi_connection.execute(statement)
    except SqliteError as error:
        raise OperationalError(statement, params=None, orig=error) from error


def mask_password(url: str | URL) -> str:
    """Return the URL with `***` for a password, and without the query, whose parameters may hold one as well."""
    return make_url(url).set(query={}).render_as_string(hide_password=True)
