"""Reads and writes handovers: when a report gets another manager, the report passes lines on to the new manager (R-36).

A handover leads from the former pair, which has ended, to the new pair of the same report. It is *open* while the
report has no new manager. What the report passes on is sealed.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, literal, select, update

from worker.domain.model import (
    MAX_HANDOVER_GAP,
    Address,
    Handover,
    HandoverContent,
    HandoverLine,
    HandoverLineKind,
    PairId,
)
from worker.seal import Seal
from worker.store.database import Database
from worker.store.parameters import in_bound_list
from worker.store.statements import PreparedStatement, Row
from worker.store.tables import handover

_COLUMNS = (handover.c.former, handover.c.pair, handover.c.ended_at)
_HANDOVERS = PreparedStatement(
    select(*_COLUMNS)
    .where(in_bound_list(handover.c.former, "pairs") | in_bound_list(handover.c.pair, "pairs"))
    .order_by(handover.c.ended_at, handover.c.former)
)
_DELETE_HANDOVERS_FROM = PreparedStatement(delete(handover).where(in_bound_list(handover.c.former, "pairs")))
_SET_NEW_PAIR = PreparedStatement(
    update(handover).where(handover.c.former == bindparam("former_pair")).values(pair=bindparam("new_pair"))
)
_SEALED_QUERY = select(handover.c.sealed).where(handover.c.former == bindparam("former_pair"))
_SEALED = PreparedStatement(_SEALED_QUERY)
_SEALED_FOR_CHANGE = PreparedStatement(_SEALED_QUERY.with_for_update())


def load_handovers(
    connection: Connection, pairs: Sequence[PairId]
) -> tuple[dict[PairId, Handover], dict[PairId, Handover]]:
    """Return the handovers to these pairs by new pair, and the handovers from these pairs by former pair.

    Of several handovers to one pair, the latest is returned. A handover to one of these pairs is in the second mapping
    as well, under its former pair; a handover from one of these pairs is in the first as well, under its new pair.
    """
    # oldest first, so that the latest handover to a pair stays in the mapping
    handovers = [_parse_handover(row) for row in _HANDOVERS.fetch_rows(connection, pairs=list(pairs))]
    handovers_to = {found.pair: found for found in handovers if found.pair is not None}
    handovers_from = {found.former_pair: found for found in handovers}
    return handovers_to, handovers_from


def record_handovers(
    database: Database,
    connection: Connection,
    ended_pairs: Collection[PairId],
    new_pairs: Collection[PairId],
    now: datetime,
) -> None:
    """Store an open handover from each ended pair, and give open handovers their new pairs.

    `ended_pairs` are ended pairs whose reports stay in the company. When a pair begins again, the handover from it is
    deleted. An open handover from a pair that ended more than 180 days ago gets no new pair.
    """
    if new_pairs:
        _DELETE_HANDOVERS_FROM.execute(connection, pairs=sorted(new_pairs))
    rows = [{"former": pair_id, "pair": None, "ended_at": now, "sealed": None} for pair_id in sorted(ended_pairs)]
    database.upsert(connection, handover, rows)
    if not new_pairs:
        return
    # an open handover has no new pair, which the database stores as an empty text
    query = select(*_COLUMNS).where(handover.c.pair == literal(""), handover.c.ended_at >= now - MAX_HANDOVER_GAP)
    open_handovers = [_parse_handover(row) for row in connection.execute(query).mappings()]
    open_handovers.sort(key=lambda open_handover: (open_handover.ended_at, open_handover.former_pair))
    latest_by_report = {open_handover.former_pair.report: open_handover for open_handover in open_handovers}
    # `pop`, because only one of a report's new pairs gets the handover
    changes = [
        {"former_pair": open_handover.former_pair, "new_pair": pair_id}
        for pair_id in sorted(new_pairs)
        if (open_handover := latest_by_report.pop(pair_id.report, None)) is not None
    ]
    if changes:
        _SET_NEW_PAIR.execute_many(connection, changes)


class HandoverRows:
    """Reads and writes the table `handover`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def find_incoming(self, pair_id: PairId) -> Handover | None:
        """Return the handover to a pair; None when there is none."""
        with self._database.read() as connection:
            handovers_to, _ = load_handovers(connection, [pair_id])
        return handovers_to.get(pair_id)

    def find_outgoing(self, pair_id: PairId) -> Handover | None:
        """Return the handover from a pair that has ended; None when there is none."""
        with self._database.read() as connection:
            _, handovers_from = load_handovers(connection, [pair_id])
        return handovers_from.get(pair_id)

    def list_from_manager(self, manager: Address) -> list[Handover]:
        """Return the handovers from the former pairs of this manager, in order of the pairs' ids."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_COLUMNS).order_by(handover.c.former)).mappings()
            handovers = [_parse_handover(row) for row in rows]
        return [outgoing for outgoing in handovers if outgoing.former_pair.manager == manager]

    def load_content(self, former_pair: PairId) -> HandoverContent:
        """Return the content of the handover from a pair, which is empty at first. Raises WrongKey."""
        with self._database.read() as connection:
            return self._open_content(_SEALED.fetch_value(connection, former_pair=former_pair))

    def load_content_for_change(self, connection: Connection, former_pair: PairId) -> HandoverContent:
        """Return the same as `load_content`, within a transaction that will change the content.

        On PostgreSQL the row is locked until the transaction ends, because the report and the former manager may decide
        at the same time, each by an action on another pair.
        """
        return self._open_content(_SEALED_FOR_CHANGE.fetch_value(connection, former_pair=former_pair))

    def _open_content(self, sealed: bytes | None) -> HandoverContent:
        return _parse_content(json.loads(self._seal.unseal(sealed))) if sealed else HandoverContent()

    def save(self, connection: Connection, former_pair: PairId, content: HandoverContent) -> None:
        """Store the content of the handover from a pair, within a transaction."""
        sealed = self._seal.seal_padded(json.dumps(_dump_content(content)))
        connection.execute(update(handover).where(handover.c.former == former_pair).values(sealed=sealed))


def _parse_handover(row: Row | Mapping[str, Any]) -> Handover:
    return Handover(former_pair=row["former"], pair=row["pair"], ended_at=row["ended_at"])


def _dump_content(content: HandoverContent) -> dict[str, Any]:
    return {
        "lines": [_dump_line(line) for line in content.lines],
        "offers": [_dump_line(line) for line in content.suggestions],  # an older word for suggestions
        "kept": list(content.kept_ids),  # the promises that the former manager will still keep
    }


def _dump_line(line: HandoverLine) -> dict[str, Any]:
    return {"kind": line.kind.value, "text": line.text, "due": line.due.isoformat() if line.due else None}


def _parse_content(fields: Mapping[str, Any]) -> HandoverContent:
    return HandoverContent(
        lines=tuple(_parse_line(line) for line in fields["lines"]),
        suggestions=tuple(_parse_line(line) for line in fields["offers"]),
        kept_ids=tuple(fields["kept"]),
    )


def _parse_line(fields: Mapping[str, Any]) -> HandoverLine:
    due = date.fromisoformat(fields["due"]) if fields["due"] else None
    return HandoverLine(kind=HandoverLineKind(fields["kind"]), text=fields["text"], due=due)
