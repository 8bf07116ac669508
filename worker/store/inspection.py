"""Inspects a database that may be empty, incomplete or of an older version: its schema and its sealed values."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Inspector, column, inspect, select, table

from worker.errors import LongarcError
from worker.store.content import SEALED_COLUMNS
from worker.store.database import Database, list_migrations
from worker.store.tables import deferral, metadata, session

#: The table in which Alembic keeps the version of the schema.
_SCHEMA_VERSION = table("alembic_version", column("version_num"))
#: The sealed columns that were added to an existing table. A database of an older version lacks them.
_LATER_COLUMNS = frozenset({session.c.sealed_plan, deferral.c.sealed})


def has_tables(database: Database) -> bool:
    """Return whether the database has tables. Raises LongarcError for a version that this program does not know."""
    version, _ = get_schema_versions(database)
    return version is not None


def get_schema_versions(database: Database) -> tuple[str | None, str]:
    """Return the version of the database's schema, and the version that this program needs.

    The first is None when the database has no tables. Raises LongarcError for a version that this program does not
    know. Alembic is not used here, because importing it takes longer than the rest of `longarc status`.
    """
    migrations = list_migrations()
    query = select(_SCHEMA_VERSION.c.version_num)
    with database.read() as connection:
        has_version = inspect(connection).has_table(_SCHEMA_VERSION.name)
        versions = set(connection.execute(query).scalars()) if has_version else set()
    if len(versions) > 1 or not versions.issubset(migrations):
        raise LongarcError(
            f"The database is at version {' and '.join(sorted(versions))}, which this program does not know: it "
            f"needs version {migrations[-1]}. Run the newer program, or name another database."
        )
    return next(iter(versions), None), migrations[-1]


def list_tables(database: Database) -> list[str]:
    """Return the names of all tables of the database, also those of other programs."""
    with database.read() as connection:
        return sorted(inspect(connection).get_table_names())


def list_missing_tables(database: Database) -> list[str]:
    """Return the names of the tables that the database lacks."""
    return sorted(set(metadata.tables) - set(list_tables(database)))


def load_sealed_values(database: Database, limit: int | None = None) -> Mapping[str, list[bytes]]:
    """Return sealed values as they are stored, by table: all of them, or up to `limit` of each column.

    Tables and columns that a database of an older version lacks are left out.
    """
    values: dict[str, list[bytes]] = {}
    with database.read() as connection:
        inspector = inspect(connection)
        table_names = set(inspector.get_table_names())
        for sealed_column in SEALED_COLUMNS:
            table_name = sealed_column.table.name
            has_table = table_name in table_names
            if not has_table or (sealed_column in _LATER_COLUMNS and not _has_column(inspector, sealed_column)):
                continue
            query = select(sealed_column).where(sealed_column.is_not(None)).limit(limit)
            values.setdefault(table_name, []).extend(connection.execute(query).scalars())
    return values


def _has_column(inspector: Inspector, wanted: Column[Any]) -> bool:
    return any(existing["name"] == wanted.name for existing in inspector.get_columns(wanted.table.name))
