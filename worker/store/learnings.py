"""What managers say about their own learning (R-35): one sealed sentence for each pair, shown in its next prompt.

The sentence is deleted when that prompt was sent.
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
        """Store this sentence for each of these pairs, in place of an earlier one; an empty text withdraws it."""
        with self._database.write() as connection:
            self.save(connection, pairs, text, now)

    def save(self, connection: Connection, pairs: Collection[PairId], text: str, now: datetime) -> None:
        """Do the same as `write`, within a transaction."""
        if text:
            sealed = self._seal.close_padded(json.dumps(text))
            new_rows = [{"pair": pair, "written_at": now, "sealed": sealed} for pair in sorted(pairs)]
            self._database.upsert(connection, learning, new_rows)
        else:
            withdraw_learnings(connection, pairs)

    def load_waiting(self, pairs: Collection[PairId]) -> dict[PairId, Learning]:
        """Return the sentences that wait for a prompt, by pair. Raises WrongKey."""
        with self._database.read_once() as connection:
            waiting = _WAITING.fetch_rows(connection, pairs=list(pairs))
        return {row["pair"]: Learning(json.loads(self._seal.open(row["sealed"])), row["written_at"]) for row in waiting}


def withdraw_learnings(connection: Connection, pairs: Collection[PairId]) -> None:
    """Delete the sentences that wait for a prompt of these pairs: the manager withdrew them, or the pairs ended."""
    if pairs:
        _WITHDRAW.execute(connection, pairs=sorted(pairs))


def delete_shown_learning(connection: Connection, pair: PairId, written_at: datetime) -> None:
    """Delete the sentence of a pair, in the transaction that stores that its prompt was sent. A newer one stays."""
    _DELETE_SHOWN.execute(connection, pair_id=pair, until=written_at)
