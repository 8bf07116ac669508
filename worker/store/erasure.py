"""Erases what the two of a pair wrote to each other: the sealed values, and the mentions of them in mails.

Dates, states and counts stay. What was erased is overwritten in the pages of a SQLite file (`secure_delete`).
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from worker.domain.model import Address, EndReason, Pair, PairId, PlacedEvent
from worker.store import rows, tables
from worker.store.content import SEALED_COLUMNS
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import event, mention, pair, session
from worker.store.undo import StandingEvent

#: The sealed columns without anything that a pair wrote: they belong to the report alone, to a round of the pulse, or
#: to the planning of an open session.
_OTHER_COLUMNS = (
    tables.third_voice.c.sealed, tables.third_voice.c.sealed_answer, tables.pulse_round.c.sealed, session.c.sealed_plan
)  # fmt: skip
#: The sealed columns with what a pair wrote.
CONTENT_COLUMNS: tuple[Column[Any], ...] = tuple(
    column for column in SEALED_COLUMNS if not any(column is other for other in _OTHER_COLUMNS)
)


_RECORD_ENDS = PreparedStatement(
    update(pair)
    .where(pair.c.ended != EndReason.NO.value, pair.c.ended_at.is_(None))
    .values(ended_at=bind_instant("now"))
)


class ErasureRows:
    """Erases contents, and finds those that are due to be erased."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_contents(self, pairs: Collection[PairId]) -> dict[str, int]:
        """Count the sealed values of these pairs, by table; tables without any are left out."""
        counts: dict[str, int] = {}
        with self._database.read() as connection:
            for column in CONTENT_COLUMNS:
                query = select(func.count()).where(column.is_not(None), _is_of_pairs(column.table))
                count = int(connection.execute(query, {"pairs": list(pairs)}).scalar_one())
                if count:
                    counts[column.table.name] = counts.get(column.table.name, 0) + count
        return counts

    def list_blocks(self, pairs: Collection[PairId]) -> list[PlacedEvent]:
        """Return the events of commitments of these pairs that still stand, past ones included."""
        is_block = event.c.subject.in_(select(tables.commitment.c.id).where(_is_of_pairs(tables.commitment)))
        query = select(event).where(is_block, event.c.gone.is_(False)).order_by(event.c.key)
        with self._database.read() as connection:
            event_rows = connection.execute(query, {"pairs": list(pairs)}).mappings()
            return [rows.read_placed_event(row) for row in event_rows]

    def list_standing_events(self, pairs: Collection[PairId], now: datetime) -> list[StandingEvent]:
        """Return the events of sessions of these pairs that still stand and are to come."""
        is_session = event.c.subject.in_(select(session.c.id).where(_is_of_pairs(session)))
        is_standing = and_(is_session, event.c.gone.is_(False), event.c.end > now)
        query = select(event.c.key, event.c.calendar).where(is_standing).order_by(event.c.calendar, event.c.key)
        with self._database.read() as connection:
            return [StandingEvent(key, who, "") for key, who in connection.execute(query, {"pairs": list(pairs)})]

    def mark_gone(self, key: str) -> None:
        """Store that the event with that key is off its calendar."""
        with self._database.write() as connection:
            connection.execute(update(event).where(event.c.key == key).values(gone=True))

    def list_ended_pairs(self, until: datetime) -> list[PairId]:
        """Return the pairs that ended by then and still have contents."""
        has_content = or_(*(pair.c.id.in_(_select_pairs(column)) for column in CONTENT_COLUMNS))
        query = select(pair.c.id).where(pair.c.ended != EndReason.NO.value, pair.c.ended_at <= until, has_content)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(pair.c.id)).scalars())

    def set_missing_end_times(self, now: datetime) -> None:
        """Store now as the end of the pairs that ended before ends were stored."""
        with self._database.write() as connection:
            _RECORD_ENDS.execute(connection, now=now)

    def list_erased_pairs(self, person: Address) -> list[Pair]:
        """Return the pairs of a person whose contents were erased, the latest first."""
        is_theirs = or_(pair.c.manager == person, pair.c.report == person)
        query = select(pair).where(is_theirs, pair.c.erased_at.is_not(None)).order_by(pair.c.erased_at.desc())
        with self._database.read() as connection:
            return [rows.read_pair(row) for row in connection.execute(query).mappings()]

    def count_erased(self) -> int:
        """Count the pairs whose contents were erased."""
        with self._database.read() as connection:
            query = select(func.count()).select_from(pair).where(pair.c.erased_at.is_not(None))
            return int(connection.execute(query).scalar_one())


def erase_contents(connection: Connection, pairs: Collection[PairId], now: datetime) -> None:
    """Erase what these pairs wrote, for both of each, within a transaction."""
    values = {"pairs": list(pairs)}
    is_mention_of_pairs = or_(
        mention.c.subject.in_(select(tables.commitment.c.id).where(_is_of_pairs(tables.commitment))),
        mention.c.subject.in_(select(literal("note:").concat(session.c.id)).where(_is_of_pairs(session))),
    )
    connection.execute(delete(mention).where(is_mention_of_pairs), values)
    for column in CONTENT_COLUMNS:
        condition = and_(column.is_not(None), _is_of_pairs(column.table))
        if column.nullable:
            connection.execute(update(column.table).where(condition).values({column.name: None}), values)
        else:
            connection.execute(delete(column.table).where(condition), values)
    connection.execute(update(pair).where(in_bound_list(pair.c.id, "pairs")).values(erased_at=now), values)


def _is_of_pairs(table: Table) -> ColumnElement[bool]:
    """Return the condition that a row of the table belongs to one of the pairs in the parameter `pairs`."""
    condition: ColumnElement[bool]
    if table is tables.handover:
        condition = in_bound_list(table.c.former, "pairs")
    elif "pair" in table.c:
        condition = in_bound_list(table.c.pair, "pairs")
    else:
        condition = table.c.session.in_(select(session.c.id).where(in_bound_list(session.c.pair, "pairs")))
    return condition


def _select_pairs(column: Column[Any]) -> Any:
    """Return the query of the pairs that have a value in this column."""
    table = column.table
    if table is tables.handover:
        return select(table.c.former).where(column.is_not(None))
    if "pair" in table.c:
        return select(table.c.pair).where(column.is_not(None))
    return select(session.c.pair).join(table, table.c.session == session.c.id).where(column.is_not(None))
