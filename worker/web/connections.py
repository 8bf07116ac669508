"""Limits on open connections, so that clients that send nothing can't block the pages.

At its connection limit, waitress accepts no new connection until an old one times out, and each received byte restarts
that timeout. `Connections` instead closes the oldest idle connections to make room, and every connection whose request
is not complete in time.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

#: Most machines allow a process 1,024 open files.
MAX_CONNECTIONS = 500
#: Seconds from a request's first byte until it must be complete.
REQUEST_TIMEOUT = 30
#: Seconds until waitress closes a connection without a request.
IDLE_TIMEOUT = 60
#: Seconds between two searches for incomplete requests.
_CHECK_INTERVAL = 1


class Connections:
    """The open connections of a waitress server, which calls them channels.

    `channels` is the server's mapping of channels by file number, in the order in which they were opened.
    """

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
        #: By file number: an incomplete request, and when it was first seen, in seconds of `clock`.
        self._incomplete_requests: dict[int, tuple[Any, float]] = {}
        self._checked_at = clock()

    def close_stale(self) -> None:
        """Close idle connections above the limit, oldest first; once a second also those with an overdue request.

        A connection whose request is being answered stays open.
        """
        excess = len(self._channels) - self._max_connections
        if excess > 0:
            # Idle: no request is being answered, and no part of an answer is still to be sent.
            idle_channels = [
                channel for channel in self._channels.values() if not channel.requests and not channel.total_outbufs_len
            ]
            for channel in idle_channels[:excess]:
                channel.handle_close()
        if self._clock() - self._checked_at >= _CHECK_INTERVAL:
            self._checked_at = self._clock()
            self._close_incomplete()

    def _close_incomplete(self) -> None:
        """Close every connection whose request is still incomplete after the request timeout."""
        now = self._checked_at
        incomplete: dict[int, tuple[Any, float]] = {}
        for file_number, channel in list(self._channels.items()):
            request = channel.request
            if request is None:  # nothing of a request has come, or it is complete and being answered
                continue
            previous_request, first_seen = self._incomplete_requests.get(file_number, (None, now))
            if previous_request is not request:
                first_seen = now
            if now - first_seen >= self._request_timeout:
                channel.handle_close()
            else:
                incomplete[file_number] = (request, first_seen)
        self._incomplete_requests = incomplete
