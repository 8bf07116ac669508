"""Runs a waitress server in a thread of its own: for the pages and the embedded calendars."""

from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Any, Self


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
        # The loop itself notes that it is to stop: else it may end, and close the trigger, before this has pulled it.
        self._server.trigger.pull_trigger(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            # `poll`, because `select` can't watch file numbers above 1,023.
            timeout = 1 if self._watch and self._server.active_channels else 30
            self._server.asyncore.loop(timeout=timeout, map=self._server._map, count=1, use_poll=True)
            if self._watch:
                self._watch()
        self._server.task_dispatcher.shutdown()
        for channel in list(self._server._map.values()):
            with suppress(OSError):
                channel.close()
