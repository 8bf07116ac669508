"""Appends lines to the history, the append-only list of decisions and effects. A line never contains content."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert

from worker.domain.model import PairId
from worker.store.statements import PreparedStatement
from worker.store.tables import history

_APPEND = PreparedStatement(insert(history), columns=("at", "what", "pair", "session", "reason", "fields"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLine:
    """A line of the history: the values of its columns."""

    at: datetime
    what: str  #: the kind of line
    pair: PairId | None  #: None for a line that concerns no single pair
    session: str = ""  #: the id of the session, or of the commitment; empty when the line is about neither
    reason: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


def append_history(connection: Connection, lines: Iterable[HistoryLine]) -> None:
    """Append lines within a transaction."""
    values = [
        {
            "at": line.at,
            "what": line.what,
            "pair": line.pair,
            "session": line.session,
            "reason": line.reason,
            "fields": _convert_fields(line.fields),
        }
        for line in lines
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
