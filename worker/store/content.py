"""What two people said to each other, and only sealed: contracts, promises, why a talk was asked for."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from worker.domain.model import Contract, Owner, Promise, ReviewPoint, Trigger
from worker.errors import Refused
from worker.seal import Seal
from worker.store import tables
from worker.store.base import Database
from worker.store.prepared import Prepared, Row
from worker.store.tables import one_of

contract, commitment, session, sketch = tables.contract, tables.commitment, tables.session, tables.sketch

_KEEP = Prepared(contract.insert())
_REVISIONS = Prepared(select(contract).where(contract.c.session == bindparam("one")).order_by(contract.c.revision))
_LATEST = Prepared(
    select(contract.c.pair, contract.c.session, contract.c.revision, contract.c.recorded_at, contract.c.sealed)
    .where(one_of(contract.c.pair, "pairs"))
    .order_by(contract.c.recorded_at, contract.c.revision)
)
_PROMISES = Prepared(select(commitment.c.id, commitment.c.sealed).where(one_of(commitment.c.id, "commitments")))
_TRIGGER = Prepared(select(session.c.sealed).where(session.c.id == bindparam("one")))
_SEAL_PROMISE = Prepared(update(commitment).where(commitment.c.id == bindparam("one")).values(sealed=bindparam("new")))
_SEAL_TRIGGER = Prepared(update(session).where(session.c.id == bindparam("one")).values(sealed=bindparam("new")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A revision of a contract."""

    session: str
    revision: int
    recorded_at: datetime
    contract: Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """A contract that is being written: what stands in the form."""

    version: int
    saved_at: datetime
    fields: Mapping[str, Any]


class Content:
    """The sealed columns."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    # --- writing: inside the transaction of the plan that goes with it ---

    def seal_contract(
        self, connection: Connection, pair: str, session_id: str, revision: int, new: Contract, now: datetime
    ) -> None:
        """Keep a revision."""
        row = {"session": session_id, "revision": revision, "pair": pair, "recorded_at": now}
        sealed = self._seal.close(json.dumps(_contract_out(new)))
        _KEEP.run(connection, **row, sealed=sealed)

    def seal_promise(self, connection: Connection, commitment_id: str, promise: Promise, reason: str = "") -> None:
        """Keep the words of a commitment, and the reason for which it ended."""
        sealed = self._seal.close(json.dumps({**_promise_out(promise), "reason": reason}))
        _SEAL_PROMISE.run(connection, one=commitment_id, new=sealed)

    def seal_trigger(
        self, connection: Connection, session_id: str, trigger: Trigger, reason: str, by: Owner = Owner.MANAGER
    ) -> None:
        """Keep why a talk was asked for, and which of the two asked; only the manager ever reads it."""
        sealed = self._seal.close(json.dumps({"trigger": trigger.value, "reason": reason, "by": by.value}))
        _SEAL_TRIGGER.run(connection, one=session_id, new=sealed)

    def keep_sketch(self, session_id: str, fields: Mapping[str, Any], now: datetime, over: int | None = None) -> int:
        """Keep what stands in a form; returns its version.

        With `over`, only when the version kept so far is that one. Raises Refused when somebody kept another since.
        """
        sealed = self._seal.close(json.dumps(fields))
        with self._database.write() as connection:
            if not self._database.lite:  # two that keep the first one at once: one after the other
                connection.execute(select(session.c.id).where(session.c.id == session_id).with_for_update())
            kept = connection.execute(select(sketch.c.version).where(sketch.c.session == session_id)).scalar() or 0
            if over is not None and over != kept:
                raise Refused("This draft was changed in another window since.")
            row = {"session": session_id, "version": kept + 1, "saved_at": now, "sealed": sealed}
            self._database.upsert(connection, sketch, [row])
        return kept + 1

    def drop_sketch(self, connection: Connection, session_id: str) -> None:
        """What was being written is written, or no longer wanted."""
        connection.execute(delete(sketch).where(sketch.c.session == session_id))

    # --- reading ---

    def sketch(self, session_id: str) -> Sketch | None:
        """What is being written as the contract of a session."""
        with self._database.read() as connection:
            row = connection.execute(select(sketch).where(sketch.c.session == session_id)).mappings().first()
        if row is None:
            return None
        told = json.loads(self._seal.open(row["sealed"]))
        return Sketch(version=row["version"], saved_at=row["saved_at"], fields=told)

    def revisions(self, session_id: str) -> list[Recorded]:
        """All revisions of a session's contract, oldest first."""
        with self._database.read() as connection:
            return [self._recorded(row) for row in _REVISIONS.rows(connection, one=session_id)]

    def latest(self, pairs: Collection[str]) -> dict[str, Recorded]:
        """Each pair's contract in force: the newest revision of the newest one."""
        newest: dict[str, Any] = {}
        with self._database.read() as connection:
            for row in _LATEST.rows(connection, pairs=list(pairs)):
                newest[row["pair"]] = row
        return {pair: self._recorded(row) for pair, row in newest.items()}

    def promises(self, commitments: Collection[str]) -> dict[str, Promise]:
        """The words of these commitments."""
        with self._database.read() as connection:
            found = _PROMISES.tuples(connection, commitments=list(commitments))
        return {one: _promise_in(json.loads(self._seal.open(sealed))) for one, sealed in found if sealed}

    def trigger(self, session_id: str) -> tuple[Trigger, str] | None:
        """Why a talk was asked for. For the manager's eyes."""
        with self._database.read() as connection:
            sealed = _TRIGGER.value(connection, one=session_id)
        if sealed is None:
            return None
        told = json.loads(self._seal.open(sealed))
        return Trigger(told["trigger"]), told["reason"]

    def asked_by(self, session_id: str) -> Owner:
        """Which of the two asked for a talk."""
        with self._database.read() as connection:
            sealed = connection.execute(select(session.c.sealed).where(session.c.id == session_id)).scalar()
        return Owner(json.loads(self._seal.open(sealed)).get("by", Owner.MANAGER)) if sealed else Owner.MANAGER

    def renew(self) -> int:
        """Seal everything with the first key. How many pieces that were."""
        count = 0
        with self._database.write() as connection:
            for table in (contract, commitment, session, sketch):
                key = list(table.primary_key)
                found = connection.execute(select(*key, table.c.sealed).where(table.c.sealed.is_not(None))).all()
                for row in found:
                    same = [column == value for column, value in zip(key, row[:-1], strict=True)]
                    change = update(table).where(*same).values(sealed=bindparam("again"))
                    connection.execute(change, {"again": self._seal.renew(row[-1])})
                    count += 1
        return count

    def _recorded(self, row: Row) -> Recorded:
        told = json.loads(self._seal.open(row["sealed"]))
        return Recorded(
            session=row["session"],
            revision=row["revision"],
            recorded_at=row["recorded_at"],
            contract=_contract_in(told),
        )


def _promise_out(promise: Promise) -> dict[str, Any]:
    due = promise.due.isoformat() if promise.due else None
    return {"text": promise.text, "due": due, "support": promise.support, "success": promise.success}


def _promise_in(told: Mapping[str, Any]) -> Promise:
    due = date.fromisoformat(told["due"]) if told["due"] else None
    return Promise(text=told["text"], due=due, support=told["support"], success=told["success"])


def _contract_out(one: Contract) -> dict[str, Any]:
    return {
        "report": [_promise_out(p) for p in one.report],
        "manager": [_promise_out(p) for p in one.manager],
        "reviews": [{"month": r.month.isoformat(), "text": r.text} for r in one.reviews],
        "question": one.question,
        "progress": list(one.progress),
    }


def _contract_in(told: Mapping[str, Any]) -> Contract:
    return Contract(
        report=tuple(_promise_in(p) for p in told["report"]),
        manager=tuple(_promise_in(p) for p in told["manager"]),
        reviews=tuple(ReviewPoint(month=date.fromisoformat(r["month"]), text=r["text"]) for r in told["reviews"]),
        question=told["question"],
        progress=tuple(told["progress"]),
    )
