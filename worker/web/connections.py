"""Limits on open connections, so that clients that send nothing can't block the pages.

waitress stops accepting connections at its limit until old ones time out, and each received byte restarts that
timeout. Here the oldest idle connection is closed to make room, and a request must be complete within some seconds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

#: Most machines allow a process 1,024 open files.
MAX_CONNECTIONS = 500
#: Seconds from a request's first byte until it must be complete.
REQUEST_TIMEOUT = 30
#: Seconds until a connection without a request is closed.
IDLE_TIMEOUT = 60


class Connections:
    """The open connections of a waitress server. `channels`: by file number, in the order they were opened."""

    def __init__(
        self,
        channels: Mapping[int, Any],
        max_connections: int = MAX_CONNECTIONS,
        request_timeout: float = REQUEST_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = channels
        self._max_connections = max_connections
        self._request_timeout = request_timeout
        self._clock = clock
        #: By file number: an incomplete request, and when it was first seen.
        self._unfinished: dict[int, tuple[Any, float]] = {}
        self._checked_at = clock()

    def close_stale(self) -> None:
        """Close idle connections beyond the limit, oldest first, and once a second those with an overdue request.

        A connection with a request that is being answered stays open.
        """
        excess = len(self._channels) - self._max_connections
        if excess > 0:
            idle_channels = [
                channel for channel in self._channels.values() if not channel.requests and not channel.total_outbufs_len
            ]
            for channel in idle_channels[:excess]:
                channel.handle_close()
        if self._clock() - self._checked_at >= 1:
            self._checked_at = self._clock()
            self._close_unfinished()

    def _close_unfinished(self) -> None:
        """Close every connection whose request is still incomplete after the request timeout."""
        now = self._checked_at
        unfinished: dict[int, tuple[Any, float]] = {}
        for number, channel in list(self._channels.items()):
            request = channel.request
            if request is None:
                continue
            previous_request, since = self._unfinished.get(number, (None, now))
            since = since if previous_request is request else now
            if now - since >= self._request_timeout:
                channel.handle_close()
            else:
                unfinished[number] = (request, since)
        self._unfinished = unfinished
