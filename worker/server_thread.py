"""Runs a waitress server in a thread of its own, and opens its listening socket.

The pages, the metrics and the embedded calendar server use this module.
"""

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


def make_server_socket() -> socket.socket:
    """Return an unbound TCP socket. It can be bound to a port as soon as no other process listens there any more."""
    # asyncio sets TCP_NODELAY, so that small responses are not delayed, only when the protocol is given explicitly.
    server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return server_socket


def open_socket(address: str, service: str, setting: str) -> socket.socket:
    """Return a socket that listens on the address `host:port`.

    Raises PortTaken when another process listens there, and LongarcError for any other failure. The message names the
    `service` to be served, such as "The pages", and the `setting` of the address.
    """
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, int(port)), family=family, backlog=1024)
    except OSError as error:
        cause = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        text = f"{service} can't be served at {address}: {cause}. See {setting}."
        error_class = PortTaken if error.errno == errno.EADDRINUSE else LongarcError
        raise error_class(text) from error


def open_free_socket(addresses: Sequence[str], service: str, setting: str) -> socket.socket:
    """Return a socket that listens on the first of these addresses that no process listens on.

    Raises PortTaken when all of them are taken, and otherwise the errors of `open_socket`.
    """
    for address in addresses[:-1]:
        with suppress(PortTaken):
            return open_socket(address, service, setting)
    return open_socket(addresses[-1], service, setting)


class ServerThread:
    """A context manager that runs a waitress server in a thread.

    `after_iteration` is called after each iteration of the server's event loop, and at least once a second while
    connections are open.
    """

    def __init__(self, server: Any, name: str, after_iteration: Callable[[], None] | None = None) -> None:
        self._server = server
        self._after_iteration = after_iteration
        self._is_stopping = Event()
        self._thread = Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_stopping.set()
        self._server.trigger.pull_trigger()
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        # the connections, and the trigger by which the threads wake the event loop, so that they are closed last
        for channel in list(self._server._map.values()):
            with suppress(OSError):
                channel.close()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            timeout = 1 if self._after_iteration and self._server.active_channels else 30  # seconds
            # with `poll`, since `select` can't watch file descriptors above 1,023
            self._server.asyncore.loop(timeout=timeout, map=self._server._map, count=1, use_poll=True)
            if self._after_iteration:
                self._after_iteration()
