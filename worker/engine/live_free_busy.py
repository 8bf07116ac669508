"""Reads free/busy while somebody waits for a page.

All calendar services are queried in parallel. A service that does not answer within a few seconds counts as
unavailable.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from threading import BoundedSemaphore, Thread

from worker.domain.model import Address, FreeBusyRequest, FreeBusySnapshot
from worker.logs import Action

log = logging.getLogger(__name__)

#: How long a page waits for the calendar services.
WAIT_SECONDS = 8.0
#: How many reads may run at once in this process, including those for which no page waits any longer.
MAX_READS = 16

ReadFreeBusy = Callable[[FreeBusyRequest], FreeBusySnapshot]
#: Groups addresses by calendar service: returns the service and its addresses, by the name of the service.
GroupByService = Callable[[Sequence[Address]], Mapping[str, tuple[object, Collection[Address]]]]


class LiveFreeBusy:
    """Reads the current free/busy of a few people."""

    def __init__(
        self, read: ReadFreeBusy, group_by_service: GroupByService, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        """`read` is `Sweep.read_free_busy`, which raises no errors of services, but reports them in the snapshot."""
        self._read = read
        self._group_by_service = group_by_service
        self._wait_seconds = wait_seconds
        self._permits = BoundedSemaphore(MAX_READS)

    def read(self, request: FreeBusyRequest) -> FreeBusySnapshot:
        """Return the free/busy of these people. People whose service did not answer in time are in `unavailable`."""
        deadline = time.monotonic() + self._wait_seconds
        groups = [tuple(people) for _, people in self._group_by_service(request.people).values()]
        people_with_service = {person for people in groups for person in people}
        people_without_service = tuple(person for person in request.people if person not in people_with_service)
        if people_without_service:  # the snapshot says of them that their free/busy is unknown
            groups.append(people_without_service)
        reads = {self._start(FreeBusyRequest(people, request.window), deadline): people for people in groups}
        done, late = wait(reads, timeout=max(0.0, deadline - time.monotonic()))
        if late:
            log.warning("free/busy failed: no answer in time", extra={"action": Action.FREE_BUSY_FAILED})
        snapshots = [read.result() for read in done]
        return FreeBusySnapshot(
            windows={
                **dict.fromkeys(request.people, request.window),
                **{person: window for snapshot in snapshots for person, window in snapshot.windows.items()},
            },
            free_busy={person: answer for snapshot in snapshots for person, answer in snapshot.free_busy.items()},
            unavailable=frozenset(person for snapshot in snapshots for person in snapshot.unavailable)
            | {person for read in late for person in reads[read]},
        )

    def _start(self, request: FreeBusyRequest, deadline: float) -> Future[FreeBusySnapshot]:
        """Start reading in a daemon thread, so that a hanging service delays neither the page nor the process's exit.

        While MAX_READS reads are running, none is started. Then, after the deadline, the returned future is never done.
        """
        result: Future[FreeBusySnapshot] = Future()
        if self._permits.acquire(timeout=max(0.0, deadline - time.monotonic())):
            Thread(target=self._run, args=(request, result), name="longarc-free-busy", daemon=True).start()
        return result

    def _run(self, request: FreeBusyRequest, result: Future[FreeBusySnapshot]) -> None:
        try:
            result.set_result(self._read(request))
        except BaseException as error:
            result.set_exception(error)  # raised by `result()` in the thread of the page
        finally:
            self._permits.release()
