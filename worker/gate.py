"""The gate that all processes go through: rooms in the database, behind those within this process.

The second keeps the threads of one process from asking the database in turns: whoever has a room there waits only for
other processes.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from worker.clock import Clock
from worker.errors import RateLimited
from worker.providers.limiter import AT_ONCE, PATIENCE, LocalGate
from worker.store.store import Store

#: Longer than requests take: a room whose holder died comes free by itself, soon enough to go on.
LEASE = timedelta(minutes=2)
PAUSE = 0.05  #: between two looks for a free room, in seconds


class SharedGate:
    """A Gate across all processes that share a database."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._local = LocalGate(clock)

    @contextmanager
    def through(self, name: str) -> Iterator[None]:
        holder = uuid.uuid4().hex
        with self._local.through(name):
            room = self._enter(name, holder)
            try:
                yield
            finally:
                self._store.gates.leave(name, room, holder)

    def _enter(self, name: str, holder: str) -> int:
        for _ in range(int(PATIENCE.total_seconds() / PAUSE)):
            now = self._clock()
            room, closed = self._store.gates.enter(name, AT_ONCE, holder, now, now + LEASE)
            if room:
                return room
            if closed is not None:
                raise RateLimited(f"{name}: the service asked for a pause.", retry_after=closed - now)
            time.sleep(PAUSE)
        raise RateLimited(f"{name}: too many requests at a time.", retry_after=PATIENCE)

    def close(self, name: str, lasting: timedelta) -> None:
        self._local.close(name, lasting)
        self._store.gates.close(name, self._clock() + lasting)
