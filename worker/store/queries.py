"""Looking things up: what commands, pages and reports ask about sessions, commitments and their history."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, or_, select

from worker.domain.model import Commitment, CommitmentStanding, Deferral, PairId, Session
from worker.errors import WrongKey
from worker.store import rows
from worker.store.content import Content
from worker.store.database import Database
from worker.store.statements import PreparedStatement
from worker.store.tables import bind_instant, commitment, deferral, history, in_bound_list, session

_HISTORY = select(history).order_by(history.c.id)
_HISTORY_AFTER = PreparedStatement(_HISTORY.where(history.c.id > bindparam("after")))
_PAIR_OF_SESSION = PreparedStatement(select(session.c.pair).where(session.c.id == bindparam("one")))
_SESSION = PreparedStatement(select(session).where(session.c.id == bindparam("one")))
_COMMITMENT = PreparedStatement(select(commitment).where(commitment.c.id == bindparam("one")))
_COMMITMENTS_OF_SESSION = PreparedStatement(
    select(commitment).where(commitment.c.session == bindparam("one")).order_by(commitment.c.id)
)
_ENDED_COMMITMENTS = PreparedStatement(
    select(commitment).where(in_bound_list(commitment.c.pair, "pairs"), commitment.c.closed_at >= bind_instant("since"))
)


@dataclass(slots=True)
class PairYear:
    """The conversations, deferrals and commitments of a pair in a stretch of time."""

    sessions: list[Session] = field(default_factory=list)
    deferrals: list[Deferral] = field(default_factory=list)
    commitments: list[Commitment] = field(default_factory=list)


class Queries:
    """All there is and was, to be read."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    def get_pair_id(self, session_id: str) -> PairId | None:
        """The pair a session belongs to."""
        with self._database.read() as connection:
            found: PairId | None = _PAIR_OF_SESSION.fetch_value(connection, one=session_id)
        return found

    def get_session(self, session_id: str) -> Session | None:
        """One session, however old. Of an ad hoc one that the keys don't open, what is in the clear."""
        with self._database.read() as connection:
            found = _SESSION.fetch_first(connection, one=session_id)
        if found is None:
            return None
        try:
            return rows.session(found, self._content.open_plan)
        except WrongKey:
            return rows.session(found)

    def list_sessions(self, pair_id: PairId | None = None) -> list[Session]:
        """All sessions there ever were, of a pair or of all, in order of time."""
        query = select(session).order_by(func.coalesce(session.c.start, session.c.target), session.c.id)
        if pair_id:
            query = query.where(session.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.session(row) for row in connection.execute(query).mappings()]

    def load_years(self, pairs: Collection[PairId], since: datetime) -> dict[PairId, "PairYear"]:
        """What these pairs had and have since then, in order of time: what a picture of it is drawn from."""
        ids = list(pairs)
        found = {one: PairYear() for one in ids}
        moment = func.coalesce(session.c.start, session.c.target)
        sessions = select(session).where(session.c.pair.in_(ids), or_(session.c.closed.is_(False), moment >= since))
        lost = select(deferral, session.c.pair).join(session).where(session.c.pair.in_(ids), deferral.c.at >= since)
        promised = or_(commitment.c.due >= since.date(), commitment.c.standing == CommitmentStanding.OPEN.value)
        commitments = select(commitment).where(commitment.c.pair.in_(ids), promised)
        with self._database.read() as connection:
            for row in connection.execute(sessions.order_by(moment, session.c.id)).mappings():
                found[row["pair"]].sessions.append(rows.session(row))
            for row in connection.execute(lost.order_by(deferral.c.at)).mappings():
                found[row["pair"]].deferrals.append(rows.deferral(row))
            for row in connection.execute(commitments.order_by(commitment.c.due, commitment.c.id)).mappings():
                found[row["pair"]].commitments.append(rows.commitment(row))
        return found

    def list_mails_to(self, person: str, pairs: Collection[PairId]) -> list[Mapping[str, Any]]:
        """The lines of the history that tell of a mail to somebody, oldest first."""
        query = _HISTORY.where(history.c.what == "mail", history.c.pair.in_(list(pairs)))
        with self._database.read() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        return [line for line in found if line["fields"].get("to") == person]

    def get_commitment(self, commitment_id: str) -> Commitment | None:
        """One commitment."""
        with self._database.read() as connection:
            found = _COMMITMENT.fetch_first(connection, one=commitment_id)
        return rows.commitment(found) if found else None

    def list_commitments_of_session(self, session_id: str) -> list[Commitment]:
        """Every commitment that came from a session."""
        with self._database.read() as connection:
            return [rows.commitment(row) for row in _COMMITMENTS_OF_SESSION.fetch_rows(connection, one=session_id)]

    def list_commitments(self, pair_id: PairId | None = None) -> list[Commitment]:
        """Every commitment, of a pair or of all, by due date."""
        query = select(commitment).order_by(commitment.c.due, commitment.c.id)
        if pair_id:
            query = query.where(commitment.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.commitment(row) for row in connection.execute(query).mappings()]

    def list_history_after(self, number: int) -> list[dict[str, Any]]:
        """The lines of the history after that number, oldest first."""
        with self._database.read() as connection:
            return _HISTORY_AFTER.fetch_rows(connection, after=number)

    def list_history(self, *, session_id: str = "", pair_id: PairId | None = None) -> list[Mapping[str, Any]]:
        """The lines of the history, oldest first: of a session, of a pair, or all."""
        query = _HISTORY
        if session_id:
            query = query.where(history.c.session == session_id)
        if pair_id:
            query = query.where(history.c.pair == pair_id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def list_ended_commitments(self, pairs: Collection[PairId], since: datetime) -> dict[PairId, list[Commitment]]:
        """The commitments of these pairs that ended since then, by pair."""
        found: dict[PairId, list[Commitment]] = defaultdict(list)
        with self._database.read() as connection:
            for row in _ENDED_COMMITMENTS.fetch_rows(connection, pairs=list(pairs), since=since):
                found[row["pair"]].append(rows.commitment(row))
        return found
