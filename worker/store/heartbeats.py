"""Which processes work: each says every few seconds that it lives. No names of people."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from worker.store.database import Database
from worker.store.tables import worker

#: A process that said nothing for so long is forgotten.
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """That a process lived at that instant."""

    holder: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    version: str


class Heartbeats:
    """The table `worker`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Note that this process lives, and forget those of long ago."""
        with self._database.write() as connection:
            self._database.upsert(connection, worker, [asdict(heartbeat)])
            connection.execute(delete(worker).where(worker.c.seen_at < heartbeat.seen_at - FORGET_AFTER))

    def delete_heartbeat(self, holder: str) -> None:
        """Forget a process that stopped in order."""
        with self._database.write() as connection:
            connection.execute(delete(worker).where(worker.c.holder == holder))

    def list_heartbeats(self) -> Sequence[Heartbeat]:
        """Every process that is known, the oldest first."""
        query = select(worker).order_by(worker.c.started_at, worker.c.holder)
        with self._database.read() as connection:
            return [Heartbeat(**row) for row in connection.execute(query).mappings()]
