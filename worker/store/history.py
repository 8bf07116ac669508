"""Appends lines to the history, the append-only list of decisions and effects. A line never contains content."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert

from worker.domain.model import PairId
from worker.store.statements import PreparedStatement
from worker.store.tables import history

#: The values of a line's columns `at`, `what`, `pair`, `session`, `reason` and `fields`, in this order.
HistoryLine = tuple[datetime, str, PairId | None, str, str, Mapping[str, Any]]

_APPEND = PreparedStatement(insert(history), columns=("at", "what", "pair", "session", "reason", "fields"))


def append_history(connection: Connection, lines: Iterable[HistoryLine]) -> None:
    """Append lines within a transaction."""
    values = [
        {
            "at": at,
            "what": what,
            "pair": pair_id,
            "session": session_id,
            "reason": reason,
            "fields": _convert_fields(fields),
        }
        for at, what, pair_id, session_id, reason, fields in lines
    ]
    if values:
        _APPEND.execute_many(connection, values)


def _convert_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that are not None, as JSON values. Instants in UTC and dates become texts in ISO 8601."""
    return {name: _convert_value(value) for name, value in fields.items() if value is not None}


def _convert_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else value
