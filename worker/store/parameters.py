"""What is given with each call of a statement: statements are built once, as building takes longer than performing."""

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
    """An instant."""
    return bindparam(name, type_=Instant())


def in_literals(column: Column[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Whether the column is one of these, which stand in the statement itself."""
    return column.in_([literal(value) for value in values])


class _ListParameter(TypeDecorator[Sequence[Any]]):
    """A list given whole: JSON for SQLite, an array for PostgreSQL."""

    impl = String
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String() if dialect.name == "sqlite" else ARRAY(self.item))

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        listed = list(value or ())
        if dialect.name != "sqlite":
            return listed  # an array asks its items' type itself
        convert = self.item.dialect_impl(dialect).bind_processor(dialect)
        return json.dumps([convert(one) for one in listed] if convert else listed)


class _InBoundList(FunctionElement[Any]):
    """Whether a column's value is in a list, in a statement that is the same however long the list is.

    It has no type: of a boolean SQLAlchemy would ask SQLite whether it equals 1, and no index would be used.
    """

    inherit_cache = True  # its column and its parameter tell one from another


@compiles(_InBoundList, "sqlite")
def _compile_in_bound_list_sqlite(element: _InBoundList, compiler: SQLCompiler, **given: Any) -> str:
    column, listed = (compiler.process(clause, **given) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({listed}))"  # noqa: S608  # names of ours and a parameter


@compiles(_InBoundList, "postgresql")
def _compile_in_bound_list_postgresql(element: _InBoundList, compiler: SQLCompiler, **given: Any) -> str:
    column, listed = (compiler.process(clause, **given) for clause in element.clauses)
    return f"{column} = ANY ({listed})"


def in_bound_list(column: Column[Any], name: str) -> Any:
    """Whether the column is one of a list of that name."""
    return _InBoundList(column, bindparam(name, type_=_ListParameter(column.type)))
