"""Reads and writes learnings: what a manager says about the manager's own learning, in one sealed sentence (R-35).

The sentence waits for the next reflection prompt to the report of a pair. It is deleted when that mail was sent.
"""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select

from worker.domain.model import Learning, PairId
from worker.seal import Seal
from worker.store import tables
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement

learning = tables.learning

_WAITING = PreparedStatement(select(learning).where(in_bound_list(learning.c.pair, "pairs")))
_DELETE_SHOWN = PreparedStatement(
    delete(learning).where(learning.c.pair == bindparam("pair_id"), learning.c.written_at <= bind_instant("until"))
)
_WITHDRAW = PreparedStatement(delete(learning).where(in_bound_list(learning.c.pair, "pairs")))


class Learnings:
    """Reads and writes the table `learning`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def write(self, pairs: Collection[PairId], text: str, now: datetime) -> None:
        """Store the sentence for each of these pairs, in place of an earlier sentence. An empty text deletes it."""
        with self._database.write() as connection:
            self.save(connection, pairs, text, now)

    def save(self, connection: Connection, pairs: Collection[PairId], text: str, now: datetime) -> None:
        """Do the same as `write`, within the caller's transaction."""
        if text:
            sealed = self._seal.seal_padded(json.dumps(text))
            new_rows = [{"pair": pair, "written_at": now, "sealed": sealed} for pair in sorted(pairs)]
            self._database.upsert(connection, learning, new_rows)
        else:
            withdraw_learnings(connection, pairs)

    def load_waiting(self, pairs: Collection[PairId]) -> dict[PairId, Learning]:
        """Return the sentences that wait for a prompt, by pair. Raises WrongKey when one can't be opened."""
        with self._database.read_once() as connection:
            waiting = _WAITING.fetch_rows(connection, pairs=list(pairs))
        return {
            row["pair"]: Learning(json.loads(self._seal.unseal(row["sealed"])), row["written_at"]) for row in waiting
        }


def withdraw_learnings(connection: Connection, pairs: Collection[PairId]) -> None:
    """Delete the waiting sentences of these pairs, because the manager withdrew them or the pairs have ended."""
    if pairs:
        _WITHDRAW.execute(connection, pairs=sorted(pairs))


def delete_shown_learning(connection: Connection, pair: PairId, written_at: datetime) -> None:
    """Delete the sentence of a pair, in the transaction that stores that its prompt was sent.

    A sentence that was written later than `written_at` was not in the prompt, and stays.
    """
    _DELETE_SHOWN.execute(connection, pair_id=pair, until=written_at)
