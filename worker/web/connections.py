"""How many connections may stand open, and for how long, so that a client that sends nothing keeps nobody out.

waitress stops accepting at its limit until old connections time out, and takes each byte for a sign of life. Here the
oldest connection that waits makes room for a new one, and a request has to be whole after some seconds.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

#: So many connections stand open at once; a process may open 1,024 files on most machines.
MAX_CONNECTIONS = 500
#: A request is whole after so many seconds, from its first byte.
REQUEST_TIMEOUT = 30
#: A connection without a request is closed after so many seconds.
IDLE_TIMEOUT = 60


class Connections:
    """The open connections of a waitress server: its channels, by file number, in the order they were opened."""

    def __init__(
        self,
        channels: Mapping[int, Any],
        most: int = MAX_CONNECTIONS,
        whole: float = REQUEST_TIMEOUT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channels = channels
        self._most = most
        self._whole = whole
        self._clock = clock
        self._begun: dict[int, tuple[Any, float]] = {}
        self._looked = clock()

    def close_waiting(self) -> None:
        """Close what is beyond the number, oldest first, and once a second what has waited too long.

        A connection whose request is being answered is left alone.
        """
        excess = len(self._channels) - self._most
        if excess > 0:
            waiting = [one for one in self._channels.values() if not one.requests and not one.total_outbufs_len]
            for channel in waiting[:excess]:
                channel.handle_close()
        if self._clock() - self._looked >= 1:
            self._looked = self._clock()
            self._close_unfinished()

    def _close_unfinished(self) -> None:
        """Close every connection whose request was begun too long ago and is still not whole."""
        now = self._looked
        begun: dict[int, tuple[Any, float]] = {}
        for number, channel in list(self._channels.items()):
            request = channel.request
            if request is None:
                continue
            before, since = self._begun.get(number, (None, now))
            since = since if before is request else now
            if now - since >= self._whole:
                channel.handle_close()
            else:
                begun[number] = (request, since)
        self._begun = begun
