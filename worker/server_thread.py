"""Runs a waitress server in a thread of its own: for the pages, the metrics and the embedded calendars."""

import errno
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Self

from worker.errors import LongarcError


class PortTaken(LongarcError):
    """Another process listens on the port, usually another Longarc worker."""


def open_socket(address: str, what: str, setting: str) -> socket.socket:
    """Return a listening socket on `host:port`. Raises PortTaken, or LongarcError when it can't be opened otherwise.

    `what` is served there, as the error says, and `setting` names the address.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=1024)
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        text = f"{what} can't be served at {address}: {cause}. See {setting}."
        raise (PortTaken if error.errno == errno.EADDRINUSE else LongarcError)(text) from error


def open_free_socket(addresses: Sequence[str], what: str, setting: str) -> socket.socket:
    """Return a listening socket on the first of these addresses that nobody listens on.

    Raises as `open_socket` does; PortTaken when all are taken.
    """
    for address in addresses[:-1]:
        with suppress(PortTaken):
            return open_socket(address, what, setting)
    return open_socket(addresses[-1], what, setting)


class ServerThread:
    """A waitress server that serves inside a `with` block.

    `watch` is called after each turn of the loop, and at least each second while connections are open.
    """

    def __init__(self, server: Any, name: str, watch: Callable[[], None] | None = None) -> None:
        self._server = server
        self._watch = watch
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._server.trigger.pull_trigger()
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        for channel in list(self._server._map.values()):  # the trigger, too: not before it was pulled
            with suppress(OSError):
                channel.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            # `poll`, because `select` can't watch file numbers above 1,023.
            timeout = 1 if self._watch and self._server.active_channels else 30
            self._server.asyncore.loop(timeout=timeout, map=self._server._map, count=1, use_poll=True)
            if self._watch:
                self._watch()
