"""Counting, and looking at the database itself: what `status`, `check` and `coverage` ask. Nothing is opened."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, inspect, or_, select

from worker.domain.model import Address, Commitment, EffectProgress, PairId, Person, Session, SessionKind, SessionState
from worker.errors import LongarcError
from worker.store import rows
from worker.store.content import SEALED_COLUMNS
from worker.store.database import Database, make_alembic_config
from worker.store.tables import commitment, contract, deferral, message, metadata, pair, person, session


class Statistics:
    """Questions about many rows at once."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_schema_versions(self) -> tuple[str | None, str | None]:
        """The version the database is at, None when it has no tables; and the one this program is made for. Raises
        LongarcError when no migration leads from the one to the other."""
        from alembic.runtime.migration import MigrationContext
        from alembic.script import ScriptDirectory

        migrations = ScriptDirectory.from_config(make_alembic_config())
        head, known = migrations.get_current_head(), {one.revision for one in migrations.walk_revisions()}
        with self._database.read() as connection:
            now = MigrationContext.configure(connection).get_current_heads()
        if len(now) > 1 or not known.issuperset(now):
            raise LongarcError(
                f"The database is at version {' and '.join(sorted(now))}, of which this program knows nothing; it is "
                f"made for {head}. Run the newer program, or name another database."
            )
        return next(iter(now), None), head

    def list_missing_tables(self) -> list[str]:
        """The tables that the database lacks."""
        with self._database.read() as connection:
            return sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))

    def load_all_people(self) -> dict[Address, Person]:
        """Everybody there ever was in the people file."""
        with self._database.read() as connection:
            return {row["email"]: rows.person(row) for row in connection.execute(select(person)).mappings()}

    # --- what is open ---

    def list_owed_sessions(self) -> list[Session]:
        """The sessions that have no time."""
        states = [SessionState.OWED.value, SessionState.DEFERRED.value]
        query = select(session).where(session.c.state.in_(states)).order_by(session.c.target, session.c.id)
        return self._load_sessions(query)

    def list_recent_sessions(self, since: datetime) -> list[Session]:
        """The sessions that are not closed, and those that ended since then, in order of time."""
        wanted = or_(session.c.closed.is_(False), session.c.end >= since)
        query = select(session).where(wanted)
        return self._load_sessions(query.order_by(func.coalesce(session.c.start, session.c.target), session.c.id))

    def count_sessions_by_state(self) -> dict[str, int]:
        """How many conversations stand where."""
        query = select(session.c.state, func.count()).group_by(session.c.state)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def count_due_effects(self, now: datetime) -> list[tuple[str, str, int, datetime]]:
        """The messages that are due by now: what, which mail, how many, and since when."""
        columns = (message.c.what, message.c.name, func.count(), func.min(message.c.due_at))
        live = [EffectProgress.WAITING.value, EffectProgress.CLAIMED.value, EffectProgress.SENDING.value]
        due = and_(message.c.progress.in_(live), message.c.due_at <= now)
        query = select(*columns).where(due).group_by(message.c.what, message.c.name).order_by(*columns[:2])
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]

    def count_retried_effects(self) -> list[tuple[str, str, int, datetime, str]]:
        """The messages that failed and wait for another try: what, which mail, how many, when the first is tried, and
        why one of them failed."""
        columns = (
            message.c.what,
            message.c.name,
            func.count(),
            func.min(message.c.due_at),
            func.max(message.c.problem),
        )
        failed = and_(message.c.progress == EffectProgress.WAITING.value, message.c.attempts > 0)
        query = select(*columns).where(failed).group_by(message.c.what, message.c.name).order_by(*columns[:2])
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3], row[4] or "") for row in connection.execute(query)]

    def load_next_plan_times(self) -> dict[PairId, datetime]:
        """When each pair is planned next."""
        query = select(pair.c.id, pair.c.due_at).where(pair.c.due_at.is_not(None))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    # --- a stretch of time ---

    def list_career_sessions(self, start: datetime, end: datetime) -> list[Session]:
        """The career sessions that were held in that stretch, and those that are open, whenever they are due."""
        held = and_(session.c.held_at >= start, session.c.held_at < end)
        wanted = and_(session.c.kind == SessionKind.CAREER.value, or_(held, session.c.closed.is_(False)))
        return self._load_sessions(select(session).where(wanted))

    def count_deferrals(self, start: datetime, end: datetime) -> dict[PairId, int]:
        """How often each pair's career sessions lost their time in that stretch."""
        inside = and_(session.c.kind == SessionKind.CAREER.value, deferral.c.at >= start, deferral.c.at < end)
        query = select(session.c.pair, func.count()).join(deferral).where(inside).group_by(session.c.pair)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def load_contract_times(self, start: datetime) -> dict[str, datetime]:
        """When the contract of each session was first recorded, since then."""
        query = select(contract.c.session, contract.c.recorded_at)
        with self._database.read() as connection:
            found = connection.execute(query.where(contract.c.revision == 1, contract.c.recorded_at >= start))
            return {row[0]: row[1] for row in found}

    def list_due_commitments(self, first: date, last: date) -> list[Commitment]:
        """The commitments that are or were due from one day to the other, both included."""
        query = select(commitment).where(commitment.c.due >= first, commitment.c.due <= last)
        with self._database.read() as connection:
            return [rows.commitment(row) for row in connection.execute(query).mappings()]

    # --- what is sealed ---

    def load_sealed_values(self, limit: int | None = None) -> Mapping[str, list[bytes]]:
        """The sealed pieces as they are stored, by table; so many of each column, or all. An older database
        has fewer."""
        pieces: dict[str, list[bytes]] = {}
        with self._database.read() as connection:
            inspector = inspect(connection)
            tables_there = inspector.get_table_names()
            newer = session.c.sealed_plan
            known = (
                {one["name"] for one in inspector.get_columns(session.name)} if session.name in tables_there else set()
            )
            for column in SEALED_COLUMNS:
                if column.table.name in tables_there and (column is not newer or newer.name in known):
                    query = select(column).where(column.is_not(None)).limit(limit)
                    pieces.setdefault(column.table.name, []).extend(connection.execute(query).scalars())
        return pieces

    def _load_sessions(self, query: Any) -> list[Session]:
        with self._database.read() as connection:
            return [rows.session(row) for row in connection.execute(query).mappings()]
