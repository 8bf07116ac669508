"""Backs up the database and restores it. A backup contains all tables as of one moment.

A backup can be made while the program works. It is restored into an empty database. A backup of SQLite can be restored
into PostgreSQL, and the other way round. Afterwards the program finds out what happened since the backup: see
`worker.store.restorations`.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from itertools import groupby, islice
from typing import IO, Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Date,
    Integer,
    LargeBinary,
    String,
    Table,
    TableClause,
    column,
    func,
    inspect,
    select,
    table,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from worker import __version__
from worker.errors import Refused, WrongKey
from worker.seal import Seal
from worker.store import backup_file, restorations, tables
from worker.store.backup_file import BackupFile, BackupHeader, BackupWriter, TableHeader
from worker.store.database import Database, list_migrations, mask_password

#: Tables that are not backed up: `worker` lists the processes that work now.
_EXCLUDED_TABLES = {tables.worker.name}
#: How many rows are read or written at once.
BATCH_SIZE = 1000
#: A function that is called repeatedly with the number of rows that were read or written so far.
ProgressListener = Callable[[int], None]

#: The kind of column that a backup has for each SQLAlchemy type.
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (String, backup_file.TEXT),
    (Boolean, backup_file.BOOLEAN),
    (Integer, backup_file.INTEGER),  # also BigInteger, which is a subclass
    (Date, backup_file.DATE),
    (LargeBinary, backup_file.BYTES),
    (JSON, backup_file.JSON_VALUE),
)
#: The SQLAlchemy type with which columns of each kind are read and written. It leaves values as they are stored.
_TYPES: Mapping[str, TypeEngine[Any]] = {
    backup_file.TEXT: String(),
    backup_file.BOOLEAN: Boolean(),
    backup_file.INTEGER: BigInteger(),
    backup_file.DATE: Date(),
    backup_file.BYTES: LargeBinary(),
    backup_file.JSON_VALUE: JSON(none_as_null=True),
}


# --- writing a backup ---


def count_rows(database: Database) -> int:
    """Return how many rows a backup of the database would have now."""
    with database.read() as connection:
        return sum(_describe_table(connection, source).rows for source in _list_tables())


def write_backup(database: Database, out: IO[bytes], now: datetime, report_progress: ProgressListener) -> BackupHeader:
    """Write all tables to the open file, as of one moment. Return the header of the backup.

    The schema of the database must be at the version of this program.
    """
    with database.read() as connection:
        headers = [_describe_table(connection, source) for source in _list_tables()]
        header = BackupHeader(
            version=__version__,
            schema=list_migrations()[-1],
            database=database.url.get_backend_name(),
            at=now,
            tables=tuple(headers),
        )
        writer, done_count = BackupWriter(out, header), 0
        for table_header in headers:
            source = _make_table(table_header)
            key_names = [key.name for key in tables.metadata.tables[table_header.name].primary_key]
            query = select(source).order_by(*(source.c[name] for name in key_names))
            for row in connection.execute(query, execution_options={"yield_per": BATCH_SIZE}):
                writer.write_row(table_header, row)
                done_count += 1
                report_progress(done_count)
        writer.finish()
    return header


def _list_tables() -> list[Table]:
    """Return the tables that are backed up, each after the tables to which it refers."""
    return [source for source in tables.metadata.sorted_tables if source.name not in _EXCLUDED_TABLES]


def _describe_table(connection: Connection, source: Table) -> TableHeader:
    columns = tuple((source_column.name, _find_kind(source_column)) for source_column in source.columns)
    row_count = int(connection.execute(select(func.count()).select_from(source)).scalar_one())
    return TableHeader(source.name, columns, row_count)


def _find_kind(source_column: Column[Any]) -> str:
    column_type = source_column.type
    stored_type = column_type.impl_instance if isinstance(column_type, TypeDecorator) else column_type
    return next(kind for known_type, kind in _KINDS if isinstance(stored_type, known_type))


def _make_table(header: TableHeader) -> TableClause:
    return table(header.name, *(column(name, _TYPES[kind]) for name, kind in header.columns))


# --- restoring a backup ---


def verify_backup(file: BackupFile, seal: Seal, report_progress: ProgressListener) -> int:
    """Read the whole file, and open every sealed value in it. Return how many sealed values there are.

    Raises BrokenBackup for a damaged file, WrongKey when a value can't be opened, and Refused for a backup of a newer
    version.
    """
    header = file.read_header()
    if header.schema not in list_migrations():
        raise Refused(
            f"{file.path} was made by version {header.version} with schema {header.schema}, which this program does "
            f"not know: its own schema is {list_migrations()[-1]}. Restore the backup with the newer program."
        )
    sealed_positions = {table_header.name: _list_sealed_positions(table_header) for table_header in header.tables}
    sealed_count = 0
    unopened_table = ""  # the first table with a value that can't be opened
    for done_count, (table_header, row) in enumerate(file.read_rows(), 1):
        for position in sealed_positions[table_header.name]:
            if row[position] is not None:
                sealed_count += 1
                if not unopened_table and not _can_open(seal, row[position]):
                    unopened_table = table_header.name
        report_progress(done_count)
    # Only now, because a damaged value can't be opened either, and damage may show at the end of the file alone.
    if unopened_table:
        raise WrongKey(
            f"A sealed value of the table {unopened_table} in this backup can't be opened with the keys given, so "
            "nothing was restored. A backup holds no key: give the key that was in use as LONGARC_KEY or "
            "LONGARC_KEY_FILE."
        )
    return sealed_count


def _list_sealed_positions(header: TableHeader) -> list[int]:
    """Return the positions of the columns that hold ciphertext. Their names begin with `sealed`."""
    return [position for position, (name, _) in enumerate(header.columns) if name.startswith("sealed")]


def _can_open(seal: Seal, value: bytes) -> bool:
    try:
        seal.unseal(value)
    except WrongKey:
        return False
    return True


def restore_backup(
    database: Database,
    file: BackupFile,
    seal: Seal,
    now: datetime,
    report_progress: ProgressListener,
    *,
    is_moved: bool,
) -> int:
    """Fill the empty database from the file, in one transaction, and bring its schema up to date.

    `report_progress` counts each row twice, because `verify_backup` first reads the whole file. `is_moved` tells that
    the database only moves to another place, and that no process worked on it after the backup was made. Return how
    many sealed values there are.

    Raises the errors of `verify_backup`, and Refused for a database that is not empty.
    """
    sealed_count = verify_backup(file, seal, report_progress)
    header = file.read_header()
    with database.lock_schema() as connection:
        require_empty(database, connection)
        database.upgrade(connection, seal, header.schema)  # creates the tables as they were at the backup
        for table_header in reversed(header.tables):  # a migration may have inserted rows
            connection.execute(_make_table(table_header).delete())
        _insert_rows(connection, file, lambda done_count: report_progress(header.row_count + done_count))
        _reset_sequences(connection, header.tables)
        if not is_moved:
            restorations.prepare_restored(database, connection, header.at, now)
    database.migrate(seal)  # from the backup's schema to that of this program
    return sealed_count


def _insert_rows(connection: Connection, file: BackupFile, report_progress: ProgressListener) -> None:
    done_count = 0
    for table_header, rows in groupby(file.read_rows(), key=lambda table_and_row: table_and_row[0]):
        target, names = _make_table(table_header), [name for name, _ in table_header.columns]
        values = (dict(zip(names, row, strict=True)) for _, row in rows)
        while batch := list(islice(values, BATCH_SIZE)):
            connection.execute(target.insert(), batch)
            done_count += len(batch)
            report_progress(done_count)


def require_empty(database: Database, connection: Connection) -> None:
    """Raise Refused when the database has tables of Longarc."""
    if set(inspect(connection).get_table_names()) & {*tables.metadata.tables, "alembic_version"}:
        raise Refused(
            f"The database {mask_password(database.url)} is not empty, so nothing was restored. Name another one as "
            "`database`, or remove this one first: for SQLite, delete its file and the files that end in -wal and -shm "
            "beside it; for PostgreSQL, use dropdb and createdb."
        )


def _reset_sequences(connection: Connection, headers: Iterable[TableHeader]) -> None:
    """Make PostgreSQL number new rows after the restored rows. SQLite does so by itself.

    Nothing is set for an empty table, or for an `id` that PostgreSQL does not number.
    """
    if connection.dialect.name == "sqlite":
        return
    for table_header in headers:
        if dict(table_header.columns).get("id") != backup_file.INTEGER:
            continue
        target = _make_table(table_header)
        sequence = func.pg_get_serial_sequence(table_header.name, "id")
        set_sequence = (
            select(func.setval(sequence, func.max(target.c.id)))
            .where(sequence.is_not(None))
            .having(func.max(target.c.id).is_not(None))
        )
        connection.execute(set_sequence)
