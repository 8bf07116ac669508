"""Heartbeats: each working process stores every few seconds that it is alive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from worker.store.database import Database
from worker.store.tables import worker

#: A process without a heartbeat for this long is deleted.
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of a process, at `seen_at`."""

    holder: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    version: str


class Heartbeats:
    """Reads and writes the table `worker`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Store the heartbeat of this process, and delete processes without a recent one."""
        with self._database.write() as connection:
            self._database.upsert(connection, worker, [asdict(heartbeat)])
            connection.execute(delete(worker).where(worker.c.seen_at < heartbeat.seen_at - FORGET_AFTER))

    def delete_heartbeat(self, holder: str) -> None:
        """Delete a process that has stopped."""
        with self._database.write() as connection:
            connection.execute(delete(worker).where(worker.c.holder == holder))

    def list_heartbeats(self) -> Sequence[Heartbeat]:
        """Return the heartbeats of all processes, the one that started first at the top."""
        query = select(worker).order_by(worker.c.started_at, worker.c.holder)
        with self._database.read() as connection:
            return [Heartbeat(**row) for row in connection.execute(query).mappings()]
