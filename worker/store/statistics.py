"""Queries over the whole database for the commands `status` and `coverage`. They open no sealed content."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, or_, select

from worker.domain.model import (
    PENDING_PROGRESS,
    UNRECORDED_MAILS,
    Commitment,
    DeferralCause,
    EffectProgress,
    PairId,
    Session,
    SessionKind,
    SessionState,
)
from worker.store import rows
from worker.store.database import Database
from worker.store.parameters import in_fixed_values
from worker.store.tables import commitment, contract, deferral, outbox, pair, session

#: The condition that leaves out `UNRECORDED_MAILS`, of which the operator must not know.
IS_RECORDED = ~in_fixed_values(outbox.c.name, [name.value for name in UNRECORDED_MAILS])


class Statistics:
    """Queries the whole database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- open work ---

    def list_owed_sessions(self) -> list[Session]:
        """Return the sessions that are due and have no time: their state is owed or deferred."""
        states = [SessionState.OWED.value, SessionState.DEFERRED.value]
        query = select(session).where(session.c.state.in_(states)).order_by(session.c.target, session.c.id)
        return self._load_sessions(query)

    def list_recent_sessions(self, since: datetime) -> list[Session]:
        """Return the sessions that are not closed, and those that ended at `since` or later, in order of time."""
        is_recent = or_(session.c.closed.is_(False), session.c.end >= since)
        query = select(session).where(is_recent)
        return self._load_sessions(query.order_by(func.coalesce(session.c.start, session.c.target), session.c.id))

    def count_sessions_by_state(self) -> dict[str, int]:
        """Return the number of sessions in each state."""
        query = select(session.c.state, func.count()).group_by(session.c.state)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def count_due_effects(self, now: datetime) -> list[tuple[str, str, int, datetime]]:
        """Count the effects that are due, except for `UNRECORDED_MAILS`.

        Each item of the result has the kind of effect, the name of the mail, the number of effects, and when the first
        of them was due.
        """
        columns = (outbox.c.what, outbox.c.name, func.count(), func.min(outbox.c.due_at))
        pending = sorted(progress.value for progress in PENDING_PROGRESS)
        is_due = and_(outbox.c.progress.in_(pending), outbox.c.due_at <= now, IS_RECORDED)
        query = select(*columns).where(is_due).group_by(outbox.c.what, outbox.c.name).order_by(*columns[:2])
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3]) for row in connection.execute(query)]

    def count_retried_effects(self) -> list[tuple[str, str, int, datetime, str]]:
        """Count the effects that failed and wait for another attempt, except for `UNRECORDED_MAILS`.

        Each item of the result has the kind of effect, the name of the mail, the number of effects, the time of the
        next attempt, and the problem of one of the effects.
        """
        columns = (
            outbox.c.what,
            outbox.c.name,
            func.count(),
            func.min(outbox.c.due_at),
            func.max(outbox.c.problem),
        )
        is_retried = and_(outbox.c.progress == EffectProgress.WAITING.value, outbox.c.attempts > 0, IS_RECORDED)
        query = select(*columns).where(is_retried).group_by(outbox.c.what, outbox.c.name).order_by(*columns[:2])
        with self._database.read() as connection:
            return [(row[0], row[1], row[2], row[3], row[4] or "") for row in connection.execute(query)]

    def load_next_plan_times(self) -> dict[PairId, datetime]:
        """Return when each pair is planned next."""
        query = select(pair.c.id, pair.c.due_at).where(pair.c.due_at.is_not(None))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    # --- within a period ---

    def list_open_or_held_career_sessions(self, start: datetime, end: datetime) -> list[Session]:
        """Return all career sessions that are not closed, and those that were held in the period."""
        was_held = and_(session.c.held_at >= start, session.c.held_at < end)
        is_career = session.c.kind == SessionKind.CAREER.value
        return self._load_sessions(select(session).where(is_career, or_(was_held, session.c.closed.is_(False))))

    def count_deferrals(self, start: datetime, end: datetime) -> dict[PairId, int]:
        """Return the number of deferrals of career sessions in the period, by pair."""
        is_within = and_(session.c.kind == SessionKind.CAREER.value, deferral.c.at >= start, deferral.c.at < end)
        is_counted = deferral.c.cause != DeferralCause.MOVED  # a move by hand does not count (T-11)
        query = select(session.c.pair, func.count()).join(deferral).where(is_within, is_counted)
        query = query.group_by(session.c.pair)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def load_contract_times(self, start: datetime) -> dict[str, datetime]:
        """Return when the first revision of each contract was recorded, by session, if that was at `start` or later."""
        query = select(contract.c.session, contract.c.recorded_at)
        with self._database.read() as connection:
            result = connection.execute(query.where(contract.c.revision == 1, contract.c.recorded_at >= start))
            return {row[0]: row[1] for row in result}

    def list_due_commitments(self, first: date, last: date) -> list[Commitment]:
        """Return the commitments that are due from the first to the last day, both included."""
        query = select(commitment).where(commitment.c.due >= first, commitment.c.due <= last)
        with self._database.read() as connection:
            return [rows.read_commitment(row) for row in connection.execute(query).mappings()]

    def _load_sessions(self, query: Any) -> list[Session]:
        with self._database.read() as connection:
            return [rows.read_session(row) for row in connection.execute(query).mappings()]
