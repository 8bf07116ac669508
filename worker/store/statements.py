"""Statements that are asked all day long: built once, compiled once, and given to the driver as they are.

SQLAlchemy says what is asked, in the words of either database, and how a value goes in and comes out. What it does
around each single call is left out: SQLite answers most of our questions in five microseconds, and those took it
thirty more. Whatever is asked seldom is executed by SQLAlchemy itself.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.types import TypeEngine

log = logging.getLogger(__name__)

Convert = Callable[[Any], Any]
Statement = Select[Any] | Insert | Update | Delete


class Row(Protocol):
    """A row: its values by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement in the words of one database."""

    text: str
    fixed: dict[str, Any]  #: what stands in the statement itself
    given: dict[str, Convert]  #: how what comes with each call goes in
    names: tuple[str, ...]
    read: tuple[tuple[int, Convert], ...]  #: how columns come out that don't come out as they are

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self.fixed, **given}
        for name, convert in self.given.items():
            if name in given:
                values[name] = convert(given[name])
        return values

    def row(self, values: Sequence[Any]) -> list[Any]:
        row = list(values)
        for number, convert in self.read:
            if row[number] is not None:
                row[number] = convert(row[number])
        return row


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement, and what it is in each database it was performed on. `columns`: what an insert or update writes."""

    statement: Statement
    columns: Sequence[str] = ()
    _compiled: dict[str, _Compiled] = field(default_factory=dict)

    # --- asking ---

    def rows(self, connection: Connection, **given: Any) -> list[dict[str, Any]]:
        """All rows, by the names of their columns."""
        compiled, cursor = self._perform(connection, given)
        return [dict(zip(compiled.names, compiled.row(values), strict=True)) for values in cursor.fetchall()]

    def first(self, connection: Connection, **given: Any) -> dict[str, Any] | None:
        """The first row, if there is one."""
        found = self.rows(connection, **given)
        return found[0] if found else None

    def tuples(self, connection: Connection, **given: Any) -> list[Sequence[Any]]:
        """All rows, as they are ordered in the statement."""
        compiled, cursor = self._perform(connection, given)
        return [compiled.row(values) for values in cursor.fetchall()]

    def column(self, connection: Connection, **given: Any) -> list[Any]:
        """The first value of each row."""
        return [values[0] for values in self.tuples(connection, **given)]

    def value(self, connection: Connection, **given: Any) -> Any:
        """The first value of the first row; None when there is none."""
        found = self.tuples(connection, **given)
        return found[0][0] if found else None

    # --- changing ---

    def run(self, connection: Connection, **given: Any) -> int:
        """Perform it; how many rows it was about."""
        _, cursor = self._perform(connection, given)
        return int(cursor.rowcount)

    def run_each(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Perform it once with each of these."""
        compiled = self._for(connection)
        log.debug("%s", compiled.text)
        connection.connection.cursor().executemany(compiled.text, [compiled.values(row) for row in rows])

    def _perform(self, connection: Connection, given: Mapping[str, Any]) -> tuple[_Compiled, DBAPICursor]:
        compiled = self._for(connection)
        log.debug("%s", compiled.text)  # and never a value
        cursor = connection.connection.cursor()
        cursor.execute(compiled.text, compiled.values(given))
        return compiled, cursor

    # --- compiling ---

    def _for(self, connection: Connection) -> _Compiled:
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self.statement, self.columns, dialect)
        return found


def _compile(statement: Statement, columns: Sequence[str], dialect: Dialect) -> _Compiled:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
    binds = {compiled.bind_names[bind]: bind for bind in compiled.binds.values()}
    ways = {name: _way_in(bind.type, dialect) for name, bind in binds.items()}
    presets: list[Any] = [(column.key, column.default) for column in compiled.insert_prefetch]
    preset = compiled.params | {name: default.arg for name, default in presets}
    by_call = {name for name, bind in binds.items() if bind.required} | set(columns)
    fixed = {name: (ways.get(name) or _same)(value) for name, value in preset.items() if name not in by_call}
    listed = list(statement.exported_columns)
    return _Compiled(
        text=str(compiled),
        fixed=fixed,
        given={name: way for name in by_call if (way := ways.get(name))},
        names=tuple(str(column.key) for column in listed),
        read=tuple((number, way) for number, column in enumerate(listed) if (way := _way_out(column.type, dialect))),
    )


def _way_in(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _way_out(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _same(value: Any) -> Any:
    return value
