"""Erases the content of pairs, which is what the two people wrote to each other: the sealed values and the mentions.

Dates, states and counts stay. SQLite overwrites the erased values in its file (option `secure_delete`).
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
from worker.store.undo import RemainingEvent

#: The sealed columns that are not content of a pair: a third voice belongs to the report alone, a round of the pulse to
#: no pair, and `sealed_plan` to the planning of an open session.
_OTHER_SEALED_COLUMNS = (
    tables.third_voice.c.sealed, tables.third_voice.c.sealed_answer, tables.pulse_round.c.sealed, session.c.sealed_plan
)  # fmt: skip
#: The sealed columns that are content of a pair. Columns are compared by identity, since `==` makes an SQL expression.
CONTENT_COLUMNS: tuple[Column[Any], ...] = tuple(
    column for column in SEALED_COLUMNS if not any(column is other for other in _OTHER_SEALED_COLUMNS)
)


_SET_MISSING_END_TIMES = PreparedStatement(
    update(pair)
    .where(pair.c.ended != EndReason.NO.value, pair.c.ended_at.is_(None))
    .values(ended_at=bind_instant("now"))
)


class ErasureRows:
    """Finds the pairs whose content is to be erased, and the events that have to be cancelled before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count_contents(self, pairs: Collection[PairId]) -> dict[str, int]:
        """Return how many sealed values these pairs have, by table. A table without sealed values is left out."""
        counts: dict[str, int] = {}
        with self._database.read() as connection:
            for column in CONTENT_COLUMNS:
                query = select(func.count()).where(column.is_not(None), _is_of_pairs(column.table))
                count = int(connection.execute(query, {"pairs": list(pairs)}).scalar_one())
                if count:
                    counts[column.table.name] = counts.get(column.table.name, 0) + count
        return counts

    def list_blocks(self, pairs: Collection[PairId]) -> list[PlacedEvent]:
        """Return the events of commitments of these pairs that are still on a calendar, also past events."""
        is_block = event.c.subject.in_(select(tables.commitment.c.id).where(_is_of_pairs(tables.commitment)))
        query = select(event).where(is_block, event.c.gone.is_(False)).order_by(event.c.key)
        with self._database.read() as connection:
            event_rows = connection.execute(query, {"pairs": list(pairs)}).mappings()
            return [rows.read_placed_event(row) for row in event_rows]

    def list_remaining_events(self, pairs: Collection[PairId], now: datetime) -> list[RemainingEvent]:
        """Return the future events of sessions of these pairs that are still on a calendar."""
        is_session = event.c.subject.in_(select(session.c.id).where(_is_of_pairs(session)))
        is_remaining = and_(is_session, event.c.gone.is_(False), event.c.end > now)
        query = select(event.c.key, event.c.calendar).where(is_remaining).order_by(event.c.calendar, event.c.key)
        with self._database.read() as connection:
            event_rows = connection.execute(query, {"pairs": list(pairs)})
            return [RemainingEvent(key, calendar, problem="") for key, calendar in event_rows]

    def mark_gone(self, key: str) -> None:
        """Store that the event with this key is off its calendar."""
        with self._database.write() as connection:
            connection.execute(update(event).where(event.c.key == key).values(gone=True))

    def list_ended_pairs(self, until: datetime) -> list[PairId]:
        """Return the pairs that ended at `until` or earlier, and still have content."""
        has_content = or_(*(pair.c.id.in_(_select_pairs(column)) for column in CONTENT_COLUMNS))
        query = select(pair.c.id).where(pair.c.ended != EndReason.NO.value, pair.c.ended_at <= until, has_content)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(pair.c.id)).scalars())

    def set_missing_end_times(self, now: datetime) -> None:
        """Store `now` as the end of each pair that ended while an older version stored no time of the end."""
        with self._database.write() as connection:
            _SET_MISSING_END_TIMES.execute(connection, now=now)

    def list_erased_pairs(self, person: Address) -> list[Pair]:
        """Return the pairs of a person whose content was erased, the latest erasure first."""
        has_person = or_(pair.c.manager == person, pair.c.report == person)
        query = select(pair).where(has_person, pair.c.erased_at.is_not(None)).order_by(pair.c.erased_at.desc())
        with self._database.read() as connection:
            return [rows.read_pair(row) for row in connection.execute(query).mappings()]

    def count_erased(self) -> int:
        """Return how many pairs there are whose content was erased."""
        with self._database.read() as connection:
            query = select(func.count()).select_from(pair).where(pair.c.erased_at.is_not(None))
            return int(connection.execute(query).scalar_one())


def erase_contents(connection: Connection, pairs: Collection[PairId], now: datetime) -> None:
    """Erase the content of these pairs, for both people of each pair, within a transaction."""
    values = {"pairs": list(pairs)}
    # the subject of a mention is the id of a commitment, or `note:` and the id of a session
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
    """Return a query that selects the ids of the pairs that have a value in this column."""
    table = column.table
    if table is tables.handover:
        return select(table.c.former).where(column.is_not(None))
    if "pair" in table.c:
        return select(table.c.pair).where(column.is_not(None))
    return select(session.c.pair).join(table, table.c.session == session.c.id).where(column.is_not(None))
