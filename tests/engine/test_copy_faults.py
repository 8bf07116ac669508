"""A guest's copy that fails while the program books: worker, outbox and a CalDAV server that delivers nothing."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import migrate
from tests.support.companies import DANA, HOUR, SAM, START, pair, pairs, person, settings
from worker.app import build
from worker.clock import SteppedClock
from worker.domain.model import Event, Span
from worker.embedded import EmbeddedServers
from worker.providers import base


class Fault:
    """Stands before the calendar server and spoils the first copy that is put into the guest's calendar."""

    def __init__(self, *, silent: bool, stored: bool) -> None:
        self._silent = silent
        self._stored = stored
        self._left = 1
        self.given_up = threading.Event()  #: nobody waits for the answer any more
        self.has_struck = False

    def around(self, app: Any) -> Any:
        def served(environ: dict[str, Any], start_response: Any) -> Any:
            if not (self._left and environ["REQUEST_METHOD"] == "PUT" and SAM in environ["PATH_INFO"]):
                return app(environ, start_response)
            self._left, self.has_struck = 0, True
            if self._stored:
                list(app(environ, lambda *_: None))
            if self._silent:
                self.given_up.wait(20)
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]

        return served


@pytest.fixture(params=["503", "503 after it was stored", "time-out", "time-out after it was stored"])
def fault(request: pytest.FixtureRequest) -> Fault:
    return Fault(silent="time-out" in request.param, stored="stored" in request.param)


@pytest.fixture
def servers(fault: Fault, tmp_path: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(
        tmp_path / "servers", [DANA, SAM, "longarc@corp.example"], wrap_caldav=fault.around
    ) as embedded:
        yield embedded
        fault.given_up.set()


def events(servers: EmbeddedServers, who: str) -> list[Event]:
    """Our events on somebody's calendar, as the server lists them."""
    reader = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": servers.caldav_url, "timeout": 10})
    told = reader.changes(who, None, Span(START - 24 * HOUR, START + 200 * 24 * HOUR)).events
    reader.close()
    return [event for event in told if event.key]


def test_a_booking_whose_copy_failed_once_stands_once_for_both(
    servers: EmbeddedServers, fault: Fault, tmp_path: Path
) -> None:
    """R-1: whatever the server did with it, and whether it said so."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    migrate(url)
    known = settings(
        url,
        calendars={"caldav": {"url": servers.caldav_url, "attendee_copies": True, "timeout": "1 second"}},
        mailers={"smtp": {"host": "127.0.0.1", "port": servers.smtp_port, "security": "none"}},
        mail={"from": "longarc@corp.example", "operator_by": "smtp"},
    )
    clock = SteppedClock(START)
    worker = build(known, clock)
    persons = {who: replace(person(who), calendar="caldav", mail="smtp") for who in (DANA, SAM)}
    worker.store.people.apply_import(persons, pairs(pair()), clock())
    worker.store.people.set_stored_value("people", "as of today")
    worker.tick()
    fault.given_up.set()
    assert fault.has_struck
    for _ in range(6):
        clock.move_to(clock() + HOUR)
        worker.tick()
    (session,) = [one for one in worker.store.queries.list_sessions() if one.booked]
    standing = {who: [(one.key, one.span) for one in events(servers, who)] for who in (DANA, SAM)}
    assert standing == {who: [(session.key, session.span)] for who in (DANA, SAM)}
    assert session.count == 0
    worker.close()
