"""Reads sessions, commitments and history for commands, pages and reports."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select

from worker.domain.model import Address, Commitment, CommitmentStanding, Deferral, PairId, Session
from worker.errors import WrongKey
from worker.store import rows
from worker.store.content import Content
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import commitment, deferral, history, session

_HISTORY = select(history).order_by(history.c.id)
_HISTORY_AFTER = PreparedStatement(_HISTORY.where(history.c.id > bindparam("after")))
_PAIR_OF_SESSION = PreparedStatement(select(session.c.pair).where(session.c.id == bindparam("session_id")))
_SESSION = PreparedStatement(select(session).where(session.c.id == bindparam("session_id")))
_COMMITMENT = PreparedStatement(select(commitment).where(commitment.c.id == bindparam("commitment_id")))
_COMMITMENTS_OF_SESSION = PreparedStatement(
    select(commitment).where(commitment.c.session == bindparam("session_id")).order_by(commitment.c.id)
)
_ENDED_COMMITMENTS = PreparedStatement(
    select(commitment).where(in_bound_list(commitment.c.pair, "pairs"), commitment.c.closed_at >= bind_instant("since"))
)


@dataclass(slots=True)
class PairActivity:
    """The sessions, deferrals and commitments of a pair since an instant, and those that are to come."""

    sessions: list[Session] = field(default_factory=list)
    deferrals: list[Deferral] = field(default_factory=list)
    commitments: list[Commitment] = field(default_factory=list)


class Queries:
    """Reads sessions, commitments and history of all pairs, also of those that have ended."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    def get_pair_id(self, session_id: str) -> PairId | None:
        """Return the pair of a session; None when there is no such session."""
        with self._database.read_once() as connection:
            pair_id: PairId | None = _PAIR_OF_SESSION.fetch_value(connection, session_id=session_id)
        return pair_id

    def get_session(self, session_id: str) -> Session | None:
        """Return a session, however old it is; None when there is no such session.

        When no key opens the sealed fields of an ad hoc session, they have placeholders as values.
        """
        with self._database.read_once() as connection:
            row = _SESSION.fetch_first(connection, session_id=session_id)
        if row is None:
            return None
        try:
            return rows.read_session(row, self._content.open_ad_hoc_fields)
        except WrongKey:
            return rows.read_session(row)

    def list_sessions(self, pair_id: PairId | None = None) -> list[Session]:
        """Return every session of a pair, or of all pairs, in order of time.

        The time of a session is its start. For a session without a start it is the target. The sealed fields of ad hoc
        sessions have placeholders as values.
        """
        query = select(session).order_by(func.coalesce(session.c.start, session.c.target), session.c.id)
        if pair_id:
            query = query.where(session.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.read_session(row) for row in connection.execute(query).mappings()]

    def load_activities(self, pairs: Collection[PairId], since: datetime) -> dict[PairId, PairActivity]:
        """Return the sessions, deferrals and commitments of these pairs from `since` on, each in order of time.

        Sessions that are not closed and commitments that are open are included, however old they are. The sealed fields
        of ad hoc sessions have placeholders as values.
        """
        ids = list(pairs)
        activities = {pair_id: PairActivity() for pair_id in ids}
        start_or_target = func.coalesce(session.c.start, session.c.target)
        is_recent_session = or_(session.c.closed.is_(False), start_or_target >= since)
        sessions = select(session).where(session.c.pair.in_(ids), is_recent_session)
        deferrals = (
            select(deferral, session.c.pair).join(session).where(session.c.pair.in_(ids), deferral.c.at >= since)
        )
        is_recent_commitment = or_(
            commitment.c.due >= since.date(), commitment.c.standing == CommitmentStanding.OPEN.value
        )
        commitments = select(commitment).where(commitment.c.pair.in_(ids), is_recent_commitment)
        with self._database.read() as connection:
            for row in connection.execute(sessions.order_by(start_or_target, session.c.id)).mappings():
                activities[row["pair"]].sessions.append(rows.read_session(row))
            for row in connection.execute(deferrals.order_by(deferral.c.at)).mappings():
                activities[row["pair"]].deferrals.append(rows.read_deferral(row))
            for row in connection.execute(commitments.order_by(commitment.c.due, commitment.c.id)).mappings():
                activities[row["pair"]].commitments.append(rows.read_commitment(row))
        return activities

    def list_mails_to(self, reader: Address, pairs: Collection[PairId]) -> list[Mapping[str, Any]]:
        """Return the history lines of the mails that this reader got about these pairs, oldest first."""
        query = _HISTORY.where(history.c.what == "mail", history.c.pair.in_(list(pairs)))
        with self._database.read() as connection:
            lines = [dict(row) for row in connection.execute(query).mappings()]
        return [line for line in lines if line["fields"].get("to") == reader]

    def get_commitment(self, commitment_id: str) -> Commitment | None:
        """Return a commitment; None when no commitment has this id."""
        with self._database.read_once() as connection:
            row = _COMMITMENT.fetch_first(connection, commitment_id=commitment_id)
        return rows.read_commitment(row) if row else None

    def list_commitments_of_session(self, session_id: str) -> list[Commitment]:
        """Return every commitment that was recorded in the contract of a session."""
        with self._database.read() as connection:
            return [
                rows.read_commitment(row)
                for row in _COMMITMENTS_OF_SESSION.fetch_rows(connection, session_id=session_id)
            ]

    def list_commitments(self, pair_id: PairId | None = None) -> list[Commitment]:
        """Return every commitment of a pair, or of all pairs, in order of due date."""
        query = select(commitment).order_by(commitment.c.due, commitment.c.id)
        if pair_id:
            query = query.where(commitment.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.read_commitment(row) for row in connection.execute(query).mappings()]

    def list_history_after(self, line_id: int) -> list[dict[str, Any]]:
        """Return the history lines whose id is greater than `line_id`, oldest first."""
        with self._database.read_once() as connection:
            return _HISTORY_AFTER.fetch_rows(connection, after=line_id)

    def list_history(self, *, session_id: str = "", pair_id: PairId | None = None) -> list[Mapping[str, Any]]:
        """Return the history lines of a session, or of a pair, or all lines, oldest first."""
        query = _HISTORY
        if session_id:
            query = query.where(history.c.session == session_id)
        if pair_id:
            query = query.where(history.c.pair == pair_id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def list_ended_commitments(self, pairs: Collection[PairId], since: datetime) -> dict[PairId, list[Commitment]]:
        """Return the commitments of these pairs that ended at `since` or later, by pair."""
        commitments: dict[PairId, list[Commitment]] = defaultdict(list)
        with self._database.read_once() as connection:
            for row in _ENDED_COMMITMENTS.fetch_rows(connection, pairs=list(pairs), since=since):
                commitments[row["pair"]].append(rows.read_commitment(row))
        return commitments
