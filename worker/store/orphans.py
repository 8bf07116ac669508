"""Adopts orphans: events on a calendar that carry a key of ours, but are not in the database.

An orphan remains when a calendar service creates an event and its response is lost, or when the database is restored
from a backup. An orphan that is still wanted is stored. An orphan that is not wanted is stored and cancelled. An event
of an unknown session or commitment is left alone, because it may belong to another installation. After a restoration,
the sync first recovers the sessions of such events.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, exists, select

from worker.domain.model import Address, Effect, EffectKind, Event, PairId, SessionState
from worker.store import rows
from worker.store.database import Database
from worker.store.tables import commitment, event, outbox, pair, session
from worker.store.types import convert_to_seconds


def adopt_orphans(
    database: Database, connection: Connection, address: Address, orphans: Iterable[Event], now: datetime
) -> set[PairId]:
    """Store the orphans on the calendar of this organizer, and cancel those that are not wanted.

    Return the pairs of these orphans, which have to be planned.
    """
    pairs: set[PairId] = set()
    for orphan in orphans:
        # a key is the id of the session or commitment, a dot, and the generation
        subject = (orphan.key or "").rpartition(".")[0]
        pair_id = _find_pair_id(connection, subject, address)
        if pair_id is None or _is_known(connection, orphan):
            continue
        wanted_time = _find_wanted_time(connection, subject, orphan)
        database.upsert(connection, event, [_build_event_row(orphan, subject, pair_id, wanted_time)])
        if wanted_time is None:
            cancel = rows.build_effect_row(_build_cancel(orphan, subject, pair_id, now))
            database.insert_new(connection, outbox, [cancel], ("key",))
        pairs.add(pair_id)
    return pairs


def _find_pair_id(connection: Connection, subject: str, manager: Address) -> PairId | None:
    """Return the pair of the session or commitment with the id `subject`; None when this manager has no such pair."""
    for table in (session, commitment):
        query = select(table.c.pair).join(pair, pair.c.id == table.c.pair)
        pair_id: PairId | None = connection.execute(
            query.where(table.c.id == subject, pair.c.manager == manager)
        ).scalar()
        if pair_id:
            return pair_id
    return None


def _is_known(connection: Connection, orphan: Event) -> bool:
    """Return whether an effect on the event is not finished yet, or the event has been stored meanwhile."""
    has_effect = exists().where(
        outbox.c.event == orphan.key, outbox.c.due_at.is_not(None), outbox.c.what != EffectKind.MAIL.value
    )
    is_stored = exists().where(event.c.key == orphan.key, event.c.gone.is_(False))
    return bool(connection.execute(select(has_effect | is_stored)).scalar())


def _find_wanted_time(connection: Connection, subject: str, orphan: Event) -> tuple[datetime, datetime] | None:
    """Return the start and the end that the event should have; None when the event is not wanted any more."""
    session_columns = (session.c.start, session.c.end, session.c.generation)
    booked_session = connection.execute(
        select(*session_columns).where(session.c.id == subject, session.c.state == SessionState.BOOKED.value)
    )
    block_columns = (commitment.c.block_start, commitment.c.block_end, commitment.c.generation)
    has_block = commitment.c.block_start.is_not(None)
    block = connection.execute(select(*block_columns).where(commitment.c.id == subject, has_block))
    row = booked_session.first() or block.first()
    if row is None:
        return None
    start, end, generation = row
    return (start, end) if orphan.key == f"{subject}.{generation}" else None


def _build_event_row(
    orphan: Event, subject: str, pair_id: PairId, wanted_time: tuple[datetime, datetime] | None
) -> dict[str, object]:
    """Return the row of an orphan in the table `event`.

    The wanted time is stored as the time that we last wrote. If the event is at another time, planning concludes that a
    person has moved it.
    """
    written_start, written_end = wanted_time or (orphan.span.start, orphan.span.end)
    return {
        "key": orphan.key,
        "subject": subject,
        "pair": pair_id,
        "calendar": orphan.ref.calendar,
        "provider_id": orphan.ref.id,
        "etag": orphan.ref.etag,
        "start": orphan.span.start,
        "end": orphan.span.end,
        "written_start": written_start,
        "written_end": written_end,
        "sequence": 0,
        "gone": False,
        "answers": {address: answer.value for address, answer in orphan.answers.items()},
    }


def _build_cancel(orphan: Event, subject: str, pair_id: PairId, now: datetime) -> Effect:
    """Return the effect that cancels an orphan. `stray` distinguishes its key from the keys of planned effects."""
    return Effect(
        key=f"{EffectKind.CANCEL.value}:{orphan.key}:stray:{convert_to_seconds(now)}",
        kind=EffectKind.CANCEL,
        pair=pair_id,
        subject=subject,
        due_at=now,
        decided_at=now,
        calendar=orphan.ref.calendar,
        event=orphan.key or "",
        start=orphan.span.start,
    )
