"""Looking things up: what commands, pages and reports ask about sessions, commitments and their history."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from worker.domain.model import Commitment, Session
from worker.store import rows
from worker.store.base import Database
from worker.store.tables import at, commitment, history, one_of, session

_HISTORY = select(history).where(history.c.id > bindparam("after")).order_by(history.c.id)
_PAIR_OF = select(session.c.pair).where(session.c.id == bindparam("one"))
_SESSION = select(session).where(session.c.id == bindparam("one"))
_COMMITMENT = select(commitment).where(commitment.c.id == bindparam("one"))
_COMMITMENTS_OF = select(commitment).where(commitment.c.session == bindparam("one")).order_by(commitment.c.id)
_ENDED = select(commitment).where(one_of(commitment.c.pair, "pairs"), commitment.c.closed_at >= at("since"))


class Register:
    """All there is and was, to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pair_of(self, session_id: str) -> str | None:
        """The pair a session belongs to."""
        with self._database.read() as connection:
            return connection.execute(_PAIR_OF, {"one": session_id}).scalar()

    def session(self, session_id: str) -> Session | None:
        """One session, however old."""
        with self._database.read() as connection:
            found = connection.execute(_SESSION, {"one": session_id}).mappings().first()
        return rows.session(found) if found else None

    def sessions(self, pair_id: str = "") -> list[Session]:
        """All sessions there ever were, of a pair or of all, in order of time."""
        query = select(session).order_by(func.coalesce(session.c.start, session.c.target), session.c.id)
        if pair_id:
            query = query.where(session.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.session(row) for row in connection.execute(query).mappings()]

    def commitment(self, commitment_id: str) -> Commitment | None:
        """One commitment."""
        with self._database.read() as connection:
            found = connection.execute(_COMMITMENT, {"one": commitment_id}).mappings().first()
        return rows.commitment(found) if found else None

    def commitments_of(self, session_id: str) -> list[Commitment]:
        """Every commitment that came from a session."""
        with self._database.read() as connection:
            found = connection.execute(_COMMITMENTS_OF, {"one": session_id}).mappings()
            return [rows.commitment(row) for row in found]

    def commitments(self, pair_id: str = "") -> list[Commitment]:
        """Every commitment, of a pair or of all, by due date."""
        query = select(commitment).order_by(commitment.c.due, commitment.c.id)
        if pair_id:
            query = query.where(commitment.c.pair == pair_id)
        with self._database.read() as connection:
            return [rows.commitment(row) for row in connection.execute(query).mappings()]

    def history(self, *, session_id: str = "", pair_id: str = "", after: int = 0) -> list[Mapping[str, Any]]:
        """The lines of the history, oldest first: of a session, of a pair, or all; those after a number."""
        query = _HISTORY
        if session_id:
            query = query.where(history.c.session == session_id)
        if pair_id:
            query = query.where(history.c.pair == pair_id)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query, {"after": after}).mappings()]

    def ended(self, pairs: Collection[str], since: datetime) -> dict[str, list[Commitment]]:
        """The commitments of these pairs that ended since then, by pair."""
        found: dict[str, list[Commitment]] = defaultdict(list)
        with self._database.read() as connection:
            for row in connection.execute(_ENDED, {"pairs": list(pairs), "since": since}).mappings():
                found[row["pair"]].append(rows.commitment(row))
        return found
