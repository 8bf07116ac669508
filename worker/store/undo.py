"""Reads and writes for an undo, which takes every event of ours off every calendar.

An undo also pauses everybody. It is over when everybody is resumed. Its state is stored as JSON in the table of stored
values. A *cancel* is an effect that cancels an event.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from worker.domain.model import PENDING_PROGRESS, Address, Effect, EffectKind, EffectProgress
from worker.store import rows
from worker.store.database import Database
from worker.store.tables import commitment, event, outbox, pair, person, session, stored_value
from worker.store.types import convert_to_seconds

_UNDO_NAME = "undo"
_IS_CANCEL = outbox.c.what == EffectKind.CANCEL.value


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoState:
    """The state of an undo: when it began and finished, and the operator's choices."""

    begun_at: datetime
    finished_at: datetime | None = None
    includes_past: bool = False  #: past events are cancelled, too
    is_quiet: bool = False  #: guests get no notice


@dataclass(frozen=True, slots=True)
class RemainingEvent:
    """An event of ours that is still on a calendar."""

    key: str
    calendar: Address
    problem: str  #: why the last attempt to cancel the event failed; empty when no attempt failed


class UndoRows:
    """Reads and writes the stored value `undo`, and effects that cancel events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> UndoState | None:
        """Return the state of the undo; None when there is no undo, or everybody was resumed after it."""
        query = select(stored_value.c.value).where(stored_value.c.name == _UNDO_NAME)
        with self._database.read() as connection:
            value = connection.execute(query).scalar()
        return _parse_state(json.loads(value)) if value else None

    def save(self, connection: Connection, state: UndoState | None) -> None:
        """Store the state of the undo within a transaction; None when there is no undo any more."""
        value = json.dumps(_dump_state(state)) if state else ""
        self._database.upsert(connection, stored_value, [{"name": _UNDO_NAME, "value": value}])

    def delete_state(self, connection: Connection) -> None:
        """Store that there is no undo any more, within a transaction."""
        self.save(connection, None)

    def save_finished(self, state: UndoState) -> None:
        """Store the state of an undo that has taken off all events, and in which `finished_at` is set."""
        with self._database.write() as connection:
            self.save(connection, state)

    def list_remaining_events(self, now: datetime, *, includes_past: bool) -> list[RemainingEvent]:
        """Return the future events that are still on a calendar, in order of calendar.

        With `includes_past`, return past events as well.
        """
        last_problem = (
            select(outbox.c.problem)
            .where(outbox.c.event == event.c.key, _IS_CANCEL)
            .order_by(outbox.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        is_remaining = _is_remaining(now, includes_past=includes_past)
        query = select(event.c.key, event.c.calendar, last_problem).where(is_remaining)
        with self._database.read() as connection:
            event_rows = connection.execute(query.order_by(event.c.calendar, event.c.key)).all()
        return [RemainingEvent(key, address, problem or "") for key, address, problem in event_rows]

    def count_remaining_events(self, now: datetime, *, includes_past: bool) -> int:
        """Return how many events `list_remaining_events` returns."""
        query = select(func.count()).select_from(event).where(_is_remaining(now, includes_past=includes_past))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def add_cancels(self, now: datetime, *, includes_past: bool, is_quiet: bool) -> int:
        """Add a cancel for each event that is still on a calendar and has no unfinished cancel. Return their number."""
        cancel = outbox.alias("cancel")
        has_cancel = exists().where(
            cancel.c.event == event.c.key,
            cancel.c.what == EffectKind.CANCEL.value,
            cancel.c.progress.in_(sorted(progress.value for progress in PENDING_PROGRESS)),
        )
        query = select(event).where(_is_remaining(now, includes_past=includes_past), ~has_cancel)
        with self._database.write() as connection:
            new_rows = [
                rows.build_effect_row(_build_cancel(row, now, is_quiet=is_quiet))
                for row in connection.execute(query).mappings()
            ]
            self._database.insert_new(connection, outbox, new_rows, ("key",))
        return len(new_rows)

    def retry_cancels(self, now: datetime) -> None:
        """Make all cancels that wait for another attempt due now."""
        is_postponed = and_(_IS_CANCEL, outbox.c.progress == EffectProgress.WAITING.value, outbox.c.due_at > now)
        with self._database.write() as connection:
            connection.execute(update(outbox).where(is_postponed).values(due_at=now))

    def find_lease_end(self, now: datetime) -> datetime | None:
        """Return the earliest end of a lease that keeps an undo from being complete; None when there is no such lease.

        Such a lease is on an effect that changes an event, or on a person of a due pair. The holder of the lease is
        still working, or has died.
        """
        # the `due_at` of a leased effect is the end of its lease
        is_leased = outbox.c.progress.in_([EffectProgress.CLAIMED.value, EffectProgress.SENDING.value])
        effects = select(func.min(outbox.c.due_at)).where(
            outbox.c.what != EffectKind.MAIL.value, is_leased, outbox.c.due_at > now
        )
        # a pair stays due until its plan is written, so a lease on a person without a due pair delays nothing
        people = (
            select(func.min(person.c.held_until))
            .join(pair, or_(pair.c.manager == person.c.email, pair.c.report == person.c.email))
            .where(person.c.held_until > now, pair.c.due_at <= now)
        )
        with self._database.read() as connection:
            ends = [connection.execute(query).scalar() for query in (effects, people)]
        return min((end for end in ends if end is not None), default=None)

    def list_organizers(self) -> list[Address]:
        """Return the addresses of all managers, also of pairs that have ended."""
        with self._database.read() as connection:
            return list(connection.execute(select(pair.c.manager).distinct().order_by(pair.c.manager)).scalars())

    def list_known_subjects(self, subjects: Sequence[str]) -> set[str]:
        """Return the subjects among these that are ids of sessions or commitments in this database.

        The subject of an event is the id of the session or commitment that the event stands for.
        """
        with self._database.read() as connection:
            return {
                str(known_id)
                for table in (session, commitment)
                for known_id in connection.execute(select(table.c.id).where(table.c.id.in_(subjects))).scalars()
            }


def _is_remaining(now: datetime, *, includes_past: bool) -> ColumnElement[bool]:
    """Return the condition that an event is on a calendar and, unless `includes_past` is true, has not ended."""
    is_present = event.c.gone.is_(False)
    return is_present if includes_past else and_(is_present, event.c.end > now)


def _build_cancel(row: Any, now: datetime, *, is_quiet: bool) -> Effect:
    return Effect(
        key=f"{EffectKind.CANCEL.value}:{row['key']}:undo:{convert_to_seconds(now)}",
        kind=EffectKind.CANCEL,
        pair=row["pair"],
        subject=row["subject"],
        due_at=now,
        decided_at=now,
        calendar=row["calendar"],
        event=row["key"],
        start=row["start"],
        quiet=is_quiet,
    )


def _dump_state(state: UndoState) -> dict[str, Any]:
    return {
        "begun_at": state.begun_at.isoformat(),
        "finished_at": state.finished_at.isoformat() if state.finished_at else None,
        "includes_past": state.includes_past,
        "is_quiet": state.is_quiet,
    }


def _parse_state(fields: dict[str, Any]) -> UndoState:
    finished_at = fields["finished_at"]
    return UndoState(
        begun_at=datetime.fromisoformat(fields["begun_at"]),
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        includes_past=fields["includes_past"],
        is_quiet=fields["is_quiet"],
    )
