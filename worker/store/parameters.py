"""Conditions and bound parameters of prepared statements.

A statement is built only once, because building takes longer than executing. Therefore a list of values is passed as
one parameter: SQLAlchemy's `in_` would need another statement for each length of the list.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Column, ColumnElement, Dialect, String, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from worker.store.types import Instant


def bind_instant(name: str) -> Any:
    """Return a parameter that takes an aware datetime."""
    return bindparam(name, type_=Instant())


def in_fixed_values(column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that the column has one of these values, which are the same at each execution.

    `literal` makes each value a parameter of its own. For plain values, SQLAlchemy would complete the SQL text only at
    each execution, but prepared statements are executed without SQLAlchemy.
    """
    return column.in_([literal(value) for value in values])


class _ListParameter(TypeDecorator[Sequence[Any]]):
    """The type of a parameter that is a list: JSON text for SQLite, an array for PostgreSQL."""

    impl = String
    cache_ok = True

    def __init__(self, item_type: TypeEngine[Any]) -> None:
        super().__init__()
        self.item_type = item_type

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(self.item_type))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        items = list(value or ())
        if dialect.name != "sqlite":
            return items  # the type ARRAY converts the items
        convert = self.item_type.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([convert(item) for item in items] if convert else items)


class _InBoundList(FunctionElement[Any]):
    """The condition that a column's value is in a list that is passed as one parameter.

    The condition has no SQL type. With the type Boolean, SQLAlchemy would append `= 1` on SQLite, which then would not
    use an index.
    """

    inherit_cache = True  # SQLAlchemy caches the compiled text by the column and the parameter


@compiles(_InBoundList, "sqlite")
def _compile_in_bound_list_sqlite(element: _InBoundList, compiler: SQLCompiler, **options: Any) -> str:
    column, parameter = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({parameter}))"  # noqa: S608  # a column name and a placeholder


@compiles(_InBoundList, "postgresql")
def _compile_in_bound_list_postgresql(element: _InBoundList, compiler: SQLCompiler, **options: Any) -> str:
    column, parameter = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({parameter})"


def in_bound_list(column: Column[Any], name: str) -> Any:
    """Return the condition that the column's value is in the list that is passed as the parameter `name`."""
    return _InBoundList(column, bindparam(name, type_=_ListParameter(column.type)))
