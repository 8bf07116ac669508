"""Events that carry our key on a calendar while the database knows nothing of them.

One comes to be when a service makes an event and the answer is lost for good, or when the database was put back to an
earlier day. If it is the one that is wanted, it is taken in; if not, it is taken off. What belongs to nothing we know
is left alone: it may be another installation's.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, exists, select

from worker.domain.model import Address, Effect, EffectKind, Event, PairId, SessionState
from worker.store import rows
from worker.store.database import Database
from worker.store.plans import wake_pairs
from worker.store.tables import commitment, event, message, pair, session
from worker.store.types import convert_to_seconds


def adopt_orphans(
    database: Database, connection: Connection, address: Address, strays: Iterable[Event], now: datetime
) -> None:
    """Note these events, and have those taken off that are not to be there."""
    for stray in strays:
        subject = (stray.key or "").rpartition(".")[0]
        owner = _find_pair_id(connection, subject, address)
        if owner is None or _is_known(connection, stray):
            continue
        written = _find_wanted_time(connection, subject, stray)
        database.upsert(connection, event, [_build_event_row(stray, subject, owner, written)])
        if written is None:
            off = rows.message_row(_build_cancel(stray, subject, owner, now))
            database.insert_new(connection, message, [off], ("key",))
        wake_pairs(connection, [owner], now)


def _find_pair_id(connection: Connection, subject: str, manager: Address) -> PairId | None:
    for table in (session, commitment):
        query = select(table.c.pair).join(pair, pair.c.id == table.c.pair)
        found: PairId | None = connection.execute(
            query.where(table.c.id == subject, pair.c.manager == manager)
        ).scalar()
        if found:
            return found
    return None


def _is_known(connection: Connection, stray: Event) -> bool:
    """Whether the outbox has it in hand, or the database has heard of it since."""
    coming = exists().where(
        message.c.event == stray.key, message.c.due_at.is_not(None), message.c.what != EffectKind.MAIL.value
    )
    stands = exists().where(event.c.key == stray.key, event.c.gone.is_(False))
    return bool(connection.execute(select(coming | stands)).scalar())


def _find_wanted_time(connection: Connection, subject: str, stray: Event) -> tuple[datetime, datetime] | None:
    """The time at which this very event is wanted; None when it is not."""
    columns = (session.c.start, session.c.end, session.c.generation)
    booked = connection.execute(
        select(*columns).where(session.c.id == subject, session.c.state == SessionState.BOOKED.value)
    )
    blocks = (commitment.c.block_start, commitment.c.block_end, commitment.c.generation)
    open_ = commitment.c.block_start.is_not(None)
    blocked = connection.execute(select(*blocks).where(commitment.c.id == subject, open_))
    found = booked.first() or blocked.first()
    return (found[0], found[1]) if found and stray.key == f"{subject}.{found[2]}" else None


def _build_event_row(
    stray: Event, subject: str, owner: PairId, written: tuple[datetime, datetime] | None
) -> dict[str, object]:
    start, end = written or (stray.span.start, stray.span.end)
    return {
        "key": stray.key,
        "subject": subject,
        "pair": owner,
        "calendar": stray.ref.calendar,
        "provider_id": stray.ref.id,
        "etag": stray.ref.etag,
        "start": stray.span.start,
        "end": stray.span.end,
        "written_start": start,
        "written_end": end,
        "sequence": 0,
        "gone": False,
        "answers": {who: answer.value for who, answer in stray.answers.items()},
    }


def _build_cancel(stray: Event, subject: str, owner: PairId, now: datetime) -> Effect:
    return Effect(
        key=f"{EffectKind.CANCEL.value}:{stray.key}:stray:{convert_to_seconds(now)}",
        kind=EffectKind.CANCEL,
        pair=owner,
        subject=subject,
        due_at=now,
        snapshot_at=now,
        calendar=stray.ref.calendar,
        event=stray.key or "",
        start=stray.span.start,
    )
