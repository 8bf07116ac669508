"""The append-only history: every decision and every effect, each a line with its reason, none with content."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert

from worker.domain.model import PairId
from worker.store.statements import Prepared
from worker.store.tables import history

#: at, what, pair, session, reason, fields
Line = tuple[datetime, str, PairId | None, str, str, Mapping[str, Any]]

_APPEND = Prepared(insert(history), ("at", "what", "pair", "session", "reason", "fields"))


def record(connection: Connection, lines: Iterable[Line]) -> None:
    """Append lines, within a transaction that is under way."""
    values = [
        {"at": at, "what": what, "pair": pair_id, "session": session_id, "reason": reason, "fields": _plain(fields)}
        for at, what, pair_id, session_id, reason, fields in lines
    ]
    if values:
        _APPEND.run_each(connection, values)


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as JSON knows them; instants and dates in ISO 8601, instants with Z."""
    return {name: _text(value) for name, value in fields.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else value
