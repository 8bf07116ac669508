"""Reads calendars while somebody waits for a page: each service at once, and none for longer than a few seconds."""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, wait
from threading import BoundedSemaphore, Thread

from worker.domain.model import Address, FreeBusyRequest, FreeBusySnapshot
from worker.logs import Action

log = logging.getLogger(__name__)

#: How long a page waits for the calendars. A service that needs longer counts as one that can't be read just now.
WAIT_SECONDS = 8.0
#: How many reads may be under way in this process, those included that no page waits for any more.
MAX_READS = 16

ReadFreeBusy = Callable[[FreeBusyRequest], FreeBusySnapshot]
#: Groups addresses by calendar service; the values are not used here.
GroupByService = Callable[[Sequence[Address]], Mapping[str, tuple[object, Collection[Address]]]]


class LiveFreeBusy:
    """The free/busy of a few people, as of now."""

    def __init__(
        self, read: ReadFreeBusy, group_by_service: GroupByService, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        """`read` is `Sweep.read_free_busy`, which knows what a failure of each service means."""
        self._read = read
        self._group_by_service = group_by_service
        self._wait_seconds = wait_seconds
        self._slots = BoundedSemaphore(MAX_READS)

    def read(self, request: FreeBusyRequest) -> FreeBusySnapshot:
        """Return the free/busy of these people; who did not answer in time is in `unavailable`."""
        deadline = time.monotonic() + self._wait_seconds
        groups = [tuple(people) for _, people in self._group_by_service(request.people).values()]
        served = {who for people in groups for who in people}
        groups += [rest] if (rest := tuple(who for who in request.people if who not in served)) else []
        reads = {self._start(FreeBusyRequest(people, request.window), deadline): people for people in groups}
        done, late = wait(reads, timeout=max(0.0, deadline - time.monotonic()))
        if late:
            log.warning("free/busy failed: no answer in time", extra={"action": Action.FREE_BUSY_FAILED})
        snapshots = [read.result() for read in done]
        return FreeBusySnapshot(
            windows={
                **dict.fromkeys(request.people, request.window),
                **{who: window for one in snapshots for who, window in one.windows.items()},
            },
            free_busy={who: answer for one in snapshots for who, answer in one.free_busy.items()},
            unavailable=frozenset(who for one in snapshots for who in one.unavailable)
            | {who for read in late for who in reads[read]},
        )

    def _start(self, request: FreeBusyRequest, deadline: float) -> Future[FreeBusySnapshot]:
        """Begin to read in a thread of its own: a service that hangs must not keep the page, nor the process at its
        end. Without a free slot nothing is begun, and the result never comes."""
        result: Future[FreeBusySnapshot] = Future()
        if self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            Thread(target=self._run, args=(request, result), name="longarc-free-busy", daemon=True).start()
        return result

    def _run(self, request: FreeBusyRequest, result: Future[FreeBusySnapshot]) -> None:
        try:
            result.set_result(self._read(request))
        except BaseException as error:
            result.set_exception(error)  # raised where it is waited for
        finally:
            self._slots.release()
