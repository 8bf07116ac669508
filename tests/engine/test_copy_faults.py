"""Tests of a booking on a CalDAV server, which delivers no invitations, when writing the report's copy fails once."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import migrate
from tests.support.companies import DANA, DAY, HOUR, SAM, START, pair, pairs, person, settings
from worker.app import build
from worker.clock import SteppedClock
from worker.domain.model import Event, Span
from worker.embedded import EmbeddedServers
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.providers import base


class Fault:
    """Wraps the calendar server, and lets the first write to the report's calendar fail.

    With `silent`, the server does not answer until the client gives up, otherwise it answers 503. With `stored`, the
    copy is stored all the same.
    """

    def __init__(self, *, silent: bool, stored: bool) -> None:
        self._silent = silent
        self._stored = stored
        self.client_gave_up = threading.Event()  #: the client does not wait for the answer any more
        self.has_occurred = False

    def wrap(self, app: Any) -> Any:
        def serve(environ: dict[str, Any], start_response: Any) -> Any:
            if self.has_occurred or environ["REQUEST_METHOD"] != "PUT" or SAM not in environ["PATH_INFO"]:
                return app(environ, start_response)
            self.has_occurred = True
            if self._stored:
                list(app(environ, lambda *_: None))
            if self._silent:
                self.client_gave_up.wait(20)
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]

        return serve


@pytest.fixture(params=["503", "503 after it was stored", "time-out", "time-out after it was stored"])
def fault(request: pytest.FixtureRequest) -> Fault:
    return Fault(silent="time-out" in request.param, stored="stored" in request.param)


@pytest.fixture
def servers(fault: Fault, tmp_path: Path) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(
        tmp_path / "servers", [DANA, SAM, "longarc@corp.example"], wrap_caldav=fault.wrap
    ) as embedded_servers:
        yield embedded_servers
        fault.client_gave_up.set()


def list_our_events(servers: EmbeddedServers, email: str) -> list[Event]:
    """Return our events on the person's calendar, as the server lists them."""
    reader = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": servers.caldav_url, "timeout": 10})
    events = reader.changes(email, None, Span(START - DAY, START + 200 * DAY)).events
    reader.close()
    return [event for event in events if event.key]


def test_booking_with_a_failed_copy_ends_with_one_event_on_each_calendar(
    servers: EmbeddedServers, fault: Fault, tmp_path: Path
) -> None:
    """R-1: the session has its event, whether or not the server stored the copy, and whether or not it answered."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    migrate(url)
    company_settings = settings(
        url,
        calendars={"caldav": {"url": servers.caldav_url, "attendee_copies": True, "timeout": "1 second"}},
        mailers={"smtp": {"host": "127.0.0.1", "port": servers.smtp_port, "security": "none"}},
        mail={"from": "longarc@corp.example", "operator_by": "smtp"},
    )
    clock = SteppedClock(START)
    worker = build(company_settings, clock)
    persons = {email: replace(person(email), calendar="caldav", mail="smtp") for email in (DANA, SAM)}
    worker.store.people.apply_import(persons, pairs(pair()), clock())
    worker.store.people.set_stored_value(IMPORT_VERSION_NAME, "as of today")
    worker.tick()
    fault.client_gave_up.set()
    assert fault.has_occurred
    for _ in range(6):
        clock.move_to(clock() + HOUR)
        worker.tick()
    (session,) = [session for session in worker.store.queries.list_sessions() if session.booked]
    for email in (DANA, SAM):
        assert [(event.key, event.span) for event in list_our_events(servers, email)] == [(session.key, session.span)]
    assert session.count == 0
    worker.close()
