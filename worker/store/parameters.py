"""Conditions and bound parameters of prepared statements.

Statements are built once, because building one takes longer than executing it. So a list is one parameter, and the
statement does not depend on its length.
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
    """Return a parameter for an instant, an aware datetime."""
    return bindparam(name, type_=Instant())


def in_literals(column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that the column has one of these values, which are part of the statement."""
    return column.in_([literal(value) for value in values])


class _ListParameter(TypeDecorator[Sequence[Any]]):
    """A list as one parameter: as JSON for SQLite, as an array for PostgreSQL."""

    impl = String
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(self.item))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        items = list(value or ())
        if dialect.name != "sqlite":
            return items  # ARRAY converts its items itself
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([convert(item) for item in items] if convert else items)


class _InBoundList(FunctionElement[Any]):
    """The condition that a column's value is in a list that is one parameter.

    It has no type: SQLAlchemy would compare a boolean with 1 on SQLite, which then uses no index.
    """

    inherit_cache = True  # the column and the parameter are the whole cache key


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
