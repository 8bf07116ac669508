"""How many requests one mailbox gets at the same time, whoever sends them.

Microsoft 365 takes four at a time for each mailbox and app. Within a process that is a semaphore; across processes
whoever wires the program gives something that knows about all of them.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock
from typing import Protocol

from worker.clock import Clock, utcnow
from worker.errors import RateLimited

#: So many requests at a time, for each mailbox.
AT_ONCE = 4
#: So long a request waits for its turn before it is put off.
PATIENCE = timedelta(seconds=30)


class Gate(Protocol):
    """Lets so many through at a time, for each name."""

    def through(self, name: str) -> AbstractContextManager[None]:
        """While one is inside, it counts. Raises RateLimited when there is no room in good time, or it is closed."""

    def close(self, name: str, lasting: timedelta) -> None:
        """The service asked for a pause: nobody goes through for so long."""


class LocalGate:
    """A Gate within this process."""

    def __init__(self, clock: Clock = utcnow, at_once: int = AT_ONCE) -> None:
        self._clock = clock
        self._guard = Lock()
        self._rooms: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(at_once))
        self._closed: dict[str, datetime] = {}

    @contextmanager
    def through(self, name: str) -> Iterator[None]:
        with self._guard:
            room = self._rooms[name]
            wait = self._closed[name] - self._clock() if name in self._closed else timedelta()
        if wait > timedelta():
            raise RateLimited(f"{name}: the service asked for a pause.", retry_after=wait)
        if not room.acquire(timeout=PATIENCE.total_seconds()):
            raise RateLimited(f"{name}: too many requests at a time.", retry_after=PATIENCE)
        try:
            yield
        finally:
            room.release()

    def close(self, name: str, lasting: timedelta) -> None:
        with self._guard:
            until = self._clock() + lasting
            self._closed[name] = max(self._closed.get(name, until), until)
