"""Reads and writes heartbeats: each worker process stores every few seconds that it is alive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select

from worker.store.database import Database
from worker.store.tables import worker

#: The row of a process is deleted when the process has had no heartbeat for this long.
FORGET_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last heartbeat of a process."""

    holder: str  #: the name with which the process leases rows
    host: str
    pid: int
    started_at: datetime  #: when the process started
    seen_at: datetime  #: the time of the heartbeat
    version: str  #: version of the program


class Heartbeats:
    """Reads and writes the table `worker`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Store the heartbeat of a process, and delete the rows of processes that had none for `FORGET_AFTER`."""
        with self._database.write() as connection:
            self._database.upsert(connection, worker, [asdict(heartbeat)])
            connection.execute(delete(worker).where(worker.c.seen_at < heartbeat.seen_at - FORGET_AFTER))

    def delete_heartbeat(self, holder: str) -> None:
        """Delete the heartbeat of a process that has stopped."""
        with self._database.write() as connection:
            connection.execute(delete(worker).where(worker.c.holder == holder))

    def list_heartbeats(self) -> Sequence[Heartbeat]:
        """Return the heartbeats of all processes, in the order in which the processes started."""
        query = select(worker).order_by(worker.c.started_at, worker.c.holder)
        with self._database.read() as connection:
            return [Heartbeat(**row) for row in connection.execute(query).mappings()]
