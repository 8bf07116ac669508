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

Converter = Callable[[Any], Any]
Statement = Select[Any] | Insert | Update | Delete


class Row(Protocol):
    """A row: its values by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any: ...


@dataclass(frozen=True, slots=True)
class _CompiledStatement:
    """A statement in the words of one database."""

    text: str
    fixed_values: dict[str, Any]  #: what stands in the statement itself
    bind_converters: dict[str, Converter]  #: how what comes with each call goes in
    column_names: tuple[str, ...]
    result_converters: tuple[tuple[int, Converter], ...]  #: how columns come out that don't come out as they are

    def convert_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        values = {**self.fixed_values, **given}
        for name, convert in self.bind_converters.items():
            if name in given:
                values[name] = convert(given[name])
        return values

    def convert_row(self, values: Sequence[Any]) -> list[Any]:
        row = list(values)
        for number, convert in self.result_converters:
            if row[number] is not None:
                row[number] = convert(row[number])
        return row


@dataclass(frozen=True, slots=True)
class PreparedStatement:
    """A statement, and what it is in each database it was performed on. `columns`: what an insert or update writes."""

    statement: Statement
    columns: Sequence[str] = ()
    _compiled: dict[str, _CompiledStatement] = field(default_factory=dict)

    # --- asking ---

    def fetch_rows(self, connection: Connection, **given: Any) -> list[dict[str, Any]]:
        """All rows, by the names of their columns."""
        compiled, cursor = self._execute(connection, given)
        return [
            dict(zip(compiled.column_names, compiled.convert_row(values), strict=True)) for values in cursor.fetchall()
        ]

    def fetch_first(self, connection: Connection, **given: Any) -> dict[str, Any] | None:
        """The first row, if there is one."""
        found = self.fetch_rows(connection, **given)
        return found[0] if found else None

    def fetch_tuples(self, connection: Connection, **given: Any) -> list[Sequence[Any]]:
        """All rows, as they are ordered in the statement."""
        compiled, cursor = self._execute(connection, given)
        return [compiled.convert_row(values) for values in cursor.fetchall()]

    def fetch_column(self, connection: Connection, **given: Any) -> list[Any]:
        """The first value of each row."""
        return [values[0] for values in self.fetch_tuples(connection, **given)]

    def fetch_value(self, connection: Connection, **given: Any) -> Any:
        """The first value of the first row; None when there is none."""
        found = self.fetch_tuples(connection, **given)
        return found[0][0] if found else None

    # --- changing ---

    def execute(self, connection: Connection, **given: Any) -> int:
        """Perform it; how many rows it was about."""
        _, cursor = self._execute(connection, given)
        return int(cursor.rowcount)

    def execute_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Perform it once with each of these."""
        compiled = self._compile_for(connection)
        log.debug("%s", compiled.text)
        connection.connection.cursor().executemany(compiled.text, [compiled.convert_values(row) for row in rows])

    def _execute(self, connection: Connection, given: Mapping[str, Any]) -> tuple[_CompiledStatement, DBAPICursor]:
        compiled = self._compile_for(connection)
        log.debug("%s", compiled.text)  # and never a value
        cursor = connection.connection.cursor()
        cursor.execute(compiled.text, compiled.convert_values(given))
        return compiled, cursor

    # --- compiling ---

    def _compile_for(self, connection: Connection) -> _CompiledStatement:
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self.statement, self.columns, dialect)
        return found


def _compile(statement: Statement, columns: Sequence[str], dialect: Dialect) -> _CompiledStatement:
    compiled = statement.compile(dialect=dialect, column_keys=list(columns) or None)
    binds = {compiled.bind_names[bind]: bind for bind in compiled.binds.values()}
    ways = {name: _get_bind_converter(bind.type, dialect) for name, bind in binds.items()}
    presets: list[Any] = [(column.key, column.default) for column in compiled.insert_prefetch]
    preset = compiled.params | {name: default.arg for name, default in presets}
    by_call = {name for name, bind in binds.items() if bind.required} | set(columns)
    fixed = {
        name: (ways.get(name) or _return_unchanged)(value) for name, value in preset.items() if name not in by_call
    }
    listed = list(statement.exported_columns)
    return _CompiledStatement(
        text=str(compiled),
        fixed_values=fixed,
        bind_converters={name: way for name in by_call if (way := ways.get(name))},
        column_names=tuple(str(column.key) for column in listed),
        result_converters=tuple(
            (number, way)
            for number, column in enumerate(listed)
            if (way := _get_result_converter(column.type, dialect))
        ),
    )


def _get_bind_converter(kind: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _get_result_converter(kind: TypeEngine[Any], dialect: Dialect) -> Converter | None:
    return kind.dialect_impl(dialect).result_processor(dialect, None)


def _return_unchanged(value: Any) -> Any:
    return value
