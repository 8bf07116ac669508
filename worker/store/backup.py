"""Backs up the database and restores it: all tables as of one moment, the same for SQLite and PostgreSQL.

A backup is made while the program works, and restored into an empty database, of either kind. What changed between
the backup and the restoration is found out afterwards: see `worker.store.restorations`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

#: Tables that are not backed up: which processes work just now.
_LEFT_OUT = {tables.worker.name}
#: Rows that are read and written at once.
BATCH = 1000
#: Is told how many rows are done.
Watch = Callable[[int], None]

#: The kind of a column in a backup, by the type that the database knows.
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (String, backup_file.TEXT),
    (Boolean, backup_file.BOOLEAN),
    (Integer, backup_file.INTEGER),  # BigInteger, too
    (Date, backup_file.DATE),
    (LargeBinary, backup_file.BYTES),
    (JSON, backup_file.JSON_VALUE),
)
#: The type of a column of each kind, whatever the program makes of its values.
_TYPES: Mapping[str, TypeEngine[Any]] = {
    backup_file.TEXT: String(),
    backup_file.BOOLEAN: Boolean(),
    backup_file.INTEGER: BigInteger(),
    backup_file.DATE: Date(),
    backup_file.BYTES: LargeBinary(),
    backup_file.JSON_VALUE: JSON(none_as_null=True),
}


# --- to a file ---


def count_rows(database: Database) -> int:
    """Return how many rows a backup has."""
    with database.read() as connection:
        return sum(_describe_table(connection, one).rows for one in _list_tables())


def write_backup(database: Database, out: IO[bytes], now: datetime, watch: Watch) -> BackupHeader:
    """Write all tables to the open file, as they are at one moment, and return what the backup says of itself.

    `watch` is told how many rows are done. The database is at the version of this program.
    """
    with database.read() as connection:
        headers = [_describe_table(connection, one) for one in _list_tables()]
        header = BackupHeader(
            version=__version__,
            schema=list_migrations()[-1],
            database=database.url.get_backend_name(),
            at=now,
            tables=tuple(headers),
        )
        writer, done = BackupWriter(out, header), 0
        for one in headers:
            source = _make_table(one)
            keys = [key.name for key in tables.metadata.tables[one.name].primary_key]
            query = select(source).order_by(*(source.c[key] for key in keys))
            for row in connection.execute(query, execution_options={"yield_per": BATCH}):
                writer.write_row(one, row)
                done += 1
                watch(done)
        writer.finish()
    return header


def _list_tables() -> list[Table]:
    """Return the tables, each after those that it refers to."""
    return [one for one in tables.metadata.sorted_tables if one.name not in _LEFT_OUT]


def _describe_table(connection: Connection, source: Table) -> TableHeader:
    columns = tuple((one.name, _find_kind(one)) for one in source.columns)
    return TableHeader(
        source.name, columns, int(connection.execute(select(func.count()).select_from(source)).scalar_one())
    )


def _find_kind(source: Column[Any]) -> str:
    kind = source.type.impl_instance if isinstance(source.type, TypeDecorator) else source.type
    return next(name for known, name in _KINDS if isinstance(kind, known))


def _make_table(header: TableHeader) -> TableClause:
    return table(header.name, *(column(name, _TYPES[kind]) for name, kind in header.columns))


# --- from a file ---


def verify_backup(file: BackupFile, seal: Seal, watch: Watch) -> int:
    """Read the whole file, and open all that is sealed in it. Returns how many sealed pieces there are.

    Raises BrokenBackup, WrongKey, and Refused for a backup of a newer version.
    """
    header = file.read_header()
    if header.schema not in list_migrations():
        raise Refused(
            f"{file.path} was made by version {header.version} at schema {header.schema}, which this program does not "
            f"know: it is made for {list_migrations()[-1]}. Restore it with the newer program."
        )
    sealed_columns = {one.name: _list_sealed(one) for one in header.tables}
    pieces = 0
    for done, (one, row) in enumerate(file.read_rows(), 1):
        for number in sealed_columns[one.name]:
            if row[number] is not None:
                _open_piece(seal, row[number], one.name)
                pieces += 1
        watch(done)
    return pieces


def _list_sealed(header: TableHeader) -> list[int]:
    """Return the positions of the columns with ciphertext, which are named so."""
    return [number for number, (name, _) in enumerate(header.columns) if name.startswith("sealed")]


def _open_piece(seal: Seal, piece: bytes, table_name: str) -> None:
    try:
        seal.open(piece)
    except WrongKey:
        raise WrongKey(
            f"A sealed {table_name} of this backup can't be opened with the keys given, so nothing was restored. A "
            "backup holds no key: give the one that was in use as LONGARC_KEY or LONGARC_KEY_FILE."
        ) from None


def restore_backup(
    database: Database, file: BackupFile, seal: Seal, now: datetime, watch: Watch, *, is_moved: bool
) -> int:
    """Fill the empty database from the file, in one transaction, and bring its schema up to date.

    Before anything is written, the file is read once to see that it is whole and that the key opens it; so `watch` is
    told of each row twice. `is_moved`: no process worked after the backup was made, so nothing has happened that it
    does not show. Returns how many sealed pieces there are. Raises BrokenBackup, WrongKey, and Refused for a database
    that is not empty and for a backup of a newer version.
    """
    pieces = verify_backup(file, seal, watch)
    header = file.read_header()
    with database.lock_schema() as connection:
        refuse_filled(database, connection)
        database.upgrade(connection, seal, header.schema)
        for one in reversed(header.tables):  # a migration may have put something there
            connection.execute(_make_table(one).delete())
        _insert_rows(connection, file, lambda done: watch(header.row_count + done))
        _reset_sequences(connection, header.tables)
        if not is_moved:
            restorations.prepare_restored(database, connection, header.at, now)
    database.migrate(seal)
    return pieces


def _insert_rows(connection: Connection, file: BackupFile, watch: Watch) -> None:
    done = 0
    for one, rows in groupby(file.read_rows(), key=lambda pair: pair[0]):
        target, names = _make_table(one), [name for name, _ in one.columns]
        values = (dict(zip(names, row, strict=True)) for _, row in rows)
        while batch := list(islice(values, BATCH)):
            connection.execute(target.insert(), batch)
            done += len(batch)
            watch(done)


def refuse_filled(database: Database, connection: Connection) -> None:
    """Raises Refused when the database has tables of Longarc."""
    if set(inspect(connection).get_table_names()) & {*tables.metadata.tables, "alembic_version"}:
        raise Refused(
            f"The database {mask_password(database.url)} is not empty, so nothing was restored. Name another as "
            "`database`, or remove the old one first: its file with -wal and -shm beside it; or dropdb and createdb."
        )


def _reset_sequences(connection: Connection, headers: Iterable[TableHeader]) -> None:
    """Have PostgreSQL number new rows after the restored ones. SQLite does so by itself."""
    if connection.dialect.name == "sqlite":
        return
    for one in headers:
        names: Sequence[str] = [name for name, _ in one.columns]
        if "id" not in names or dict(one.columns)["id"] != backup_file.INTEGER:
            continue
        target = _make_table(one)
        sequence = func.pg_get_serial_sequence(one.name, "id")
        last = (
            select(func.setval(sequence, func.max(target.c.id)))
            .where(sequence.is_not(None))
            .having(func.max(target.c.id).is_not(None))
        )
        connection.execute(last)
