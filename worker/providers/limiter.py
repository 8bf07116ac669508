"""Limits how many requests this process sends to one mailbox at the same time.

Microsoft 365 accepts four concurrent requests for each mailbox and app. It counts the requests of all processes
together, and answers requests above the limit with status 429 and a Retry-After header. A process that gets this answer
pauses its own requests to that mailbox; the outbox repeats the effect later.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import BoundedSemaphore, Lock

from worker.clock import Clock, utcnow
from worker.errors import RateLimited

#: How many requests to one mailbox may run at the same time.
MAX_CONCURRENT = 4
#: How long a request waits for a slot before it is refused.
MAX_WAIT = timedelta(seconds=30)


class Limiter:
    """Limits the concurrent requests to each mailbox: a request must hold one of the mailbox's slots while it runs. All
    threads of a process share one limiter."""

    def __init__(
        self, clock: Clock = utcnow, max_concurrent: int = MAX_CONCURRENT, max_wait: timedelta = MAX_WAIT
    ) -> None:
        """`max_concurrent`: the number of slots of each mailbox. `max_wait`: how long a request waits for a slot."""
        self._clock = clock
        self._max_wait = max_wait
        self._lock = Lock()
        self._slots: defaultdict[str, BoundedSemaphore] = defaultdict(lambda: BoundedSemaphore(max_concurrent))
        self._paused_until: dict[str, datetime] = {}

    @contextmanager
    def hold_slot(self, mailbox: str) -> Iterator[None]:
        """Hold one of the mailbox's slots inside the `with` block. Raises RateLimited, before the block runs, when the
        mailbox is paused or no slot becomes free within `max_wait`."""
        with self._lock:
            slots = self._slots[mailbox]
            paused_until = self._paused_until.get(mailbox)
        remaining_pause = paused_until - self._clock() if paused_until else timedelta()
        if remaining_pause > timedelta():
            raise RateLimited(f"{mailbox}: the service asked for a pause.", retry_after=remaining_pause)
        if not slots.acquire(timeout=self._max_wait.total_seconds()):
            raise RateLimited(f"{mailbox}: too many concurrent requests.", retry_after=self._max_wait)
        try:
            yield
        finally:
            slots.release()

    def pause(self, mailbox: str, duration: timedelta) -> None:
        """Refuse slots of this mailbox for `duration`, as the service asked. Of overlapping pauses, the one that ends
        last counts."""
        until = self._clock() + duration
        with self._lock:
            self._paused_until[mailbox] = max(self._paused_until.get(mailbox, until), until)
