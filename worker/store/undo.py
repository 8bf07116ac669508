"""What undoing reads and writes: how far it is, and the cancels of the events that still stand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from worker.domain.model import LIVE_PROGRESS, Address, Effect, EffectKind, EffectProgress
from worker.store import rows
from worker.store.database import Database
from worker.store.tables import commitment, event, fact, message, pair, person, session
from worker.store.types import convert_to_seconds

_UNDO_NAME = "undo"
_IS_CANCEL = message.c.what == EffectKind.CANCEL.value
_IS_LIVE = message.c.progress.in_(sorted(progress.value for progress in LIVE_PROGRESS))


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoState:
    """How far undoing is."""

    begun_at: datetime
    finished_at: datetime | None = None
    includes_past: bool = False
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class StandingEvent:
    """An event of ours that still stands, and why the last attempt to take it off failed; empty without one."""

    key: str
    calendar: Address
    problem: str


class UndoRows:
    """Reads and writes the stored value `undo`, and effects that cancel events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> UndoState | None:
        """Return how far undoing is; None when it was not asked for, or everything was resumed since."""
        query = select(fact.c.value).where(fact.c.name == _UNDO_NAME)
        with self._database.read() as connection:
            value = connection.execute(query).scalar()
        return _parse_state(json.loads(value)) if value else None

    def save(self, connection: Connection, state: UndoState | None) -> None:
        """Store how far undoing is; None: it is not asked for any more."""
        value = json.dumps(_dump_state(state)) if state else ""
        self._database.upsert(connection, fact, [{"name": _UNDO_NAME, "value": value}])

    def end(self, connection: Connection) -> None:
        """Store that undoing is not asked for any more."""
        self.save(connection, None)

    def finish(self, state: UndoState) -> None:
        """Store that undoing has come to its end."""
        with self._database.write() as connection:
            self.save(connection, state)

    def list_standing(self, now: datetime, *, includes_past: bool) -> list[StandingEvent]:
        """Return the events that still stand, by calendar: those to come, and with `includes_past` all."""
        problem = (
            select(message.c.problem)
            .where(message.c.event == event.c.key, _IS_CANCEL)
            .order_by(message.c.id.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(event.c.key, event.c.calendar, problem).where(_is_standing(now, includes_past=includes_past))
        with self._database.read() as connection:
            found = connection.execute(query.order_by(event.c.calendar, event.c.key)).all()
        return [StandingEvent(key, address, why or "") for key, address, why in found]

    def count_standing(self, now: datetime, *, includes_past: bool) -> int:
        """Count the events that still stand."""
        query = select(func.count()).select_from(event).where(_is_standing(now, includes_past=includes_past))
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def add_cancels(self, now: datetime, *, includes_past: bool, is_quiet: bool) -> int:
        """Decide to cancel each event that still stands and has no cancel under way. Returns how many they are."""
        cancel = message.alias("cancel")
        has_cancel = exists().where(
            cancel.c.event == event.c.key,
            cancel.c.what == EffectKind.CANCEL.value,
            cancel.c.progress.in_(sorted(progress.value for progress in LIVE_PROGRESS)),
        )
        query = select(event).where(_is_standing(now, includes_past=includes_past), ~has_cancel)
        with self._database.write() as connection:
            new_rows = [
                rows.message_row(_build_cancel(row, now, is_quiet=is_quiet))
                for row in connection.execute(query).mappings()
            ]
            self._database.insert_new(connection, message, new_rows, ("key",))
        return len(new_rows)

    def retry_cancels(self, now: datetime) -> None:
        """Have the cancels that failed tried again now."""
        has_failed = and_(_IS_CANCEL, message.c.progress == EffectProgress.WAITING.value, message.c.due_at > now)
        with self._database.write() as connection:
            connection.execute(update(message).where(has_failed).values(due_at=now))

    def find_lease_end(self, now: datetime) -> datetime | None:
        """Return when the first of the leases ends that others hold on changes of events, or on people of pairs that
        are due; None when there are none. Their holders work on, or have died."""
        is_leased = message.c.progress.in_([EffectProgress.CLAIMED.value, EffectProgress.SENDING.value])
        effects = select(func.min(message.c.due_at)).where(
            message.c.what != EffectKind.MAIL.value, is_leased, message.c.due_at > now
        )
        people = (
            select(func.min(person.c.held_until))
            .join(pair, or_(pair.c.manager == person.c.email, pair.c.report == person.c.email))
            .where(person.c.held_until > now, pair.c.due_at <= now)
        )
        with self._database.read() as connection:
            ends = [connection.execute(query).scalar() for query in (effects, people)]
        return min((end for end in ends if end is not None), default=None)

    def list_organizers(self) -> list[Address]:
        """Return everybody who ever was the manager of a pair."""
        with self._database.read() as connection:
            return list(connection.execute(select(pair.c.manager).distinct().order_by(pair.c.manager)).scalars())

    def list_known_subjects(self, subjects: Sequence[str]) -> set[str]:
        """Return those of the ids that are sessions or commitments of this database."""
        with self._database.read() as connection:
            return {
                str(found)
                for table in (session, commitment)
                for found in connection.execute(select(table.c.id).where(table.c.id.in_(subjects))).scalars()
            }


def _is_standing(now: datetime, *, includes_past: bool) -> ColumnElement[bool]:
    is_there = event.c.gone.is_(False)
    return is_there if includes_past else and_(is_there, event.c.end > now)


def _build_cancel(row: Any, now: datetime, *, is_quiet: bool) -> Effect:
    return Effect(
        key=f"{EffectKind.CANCEL.value}:{row['key']}:undo:{convert_to_seconds(now)}",
        kind=EffectKind.CANCEL,
        pair=row["pair"],
        subject=row["subject"],
        due_at=now,
        snapshot_at=now,
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
