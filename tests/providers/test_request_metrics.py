"""Requests to each service are counted by service, kind and status."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.doubles.google import Google
from tests.doubles.graph import Double, make_section
from tests.support.caldav import open_calendar
from tests.support.companies import HOUR
from tests.support.drafts import UNUSED_KEY, letter
from worker.domain.model import Span
from worker.embedded import EmbeddedServers
from worker.errors import Unavailable
from worker.process_metrics import REGISTRY
from worker.providers import base
from worker.providers.google import calendar as google
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.outlook import calendar as outlook

NOON = datetime(2027, 3, 2, 12, tzinfo=UTC)
WINDOW = Span(NOON, NOON + HOUR)


class RequestCounter:
    """Reads how many requests to a service were counted since the counter was created."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._before = self._read_counts()

    def _read_counts(self) -> dict[tuple[str, str], float]:
        """Return the count of all requests to the service, by kind and status."""
        (metric,) = [metric for metric in REGISTRY.collect() if metric.name == "longarc_provider_requests"]
        samples = [(sample.labels, sample.value) for sample in metric.samples]
        return {
            (labels["kind"], labels["status"]): value for labels, value in samples if labels["service"] == self._service
        }

    def read_increases(self) -> dict[tuple[str, str], int]:
        """Return the count of new requests, by kind and status."""
        counts = self._read_counts()
        increases = {labels: int(count - self._before.get(labels, 0)) for labels, count in counts.items()}
        return {labels: increase for labels, increase in increases.items() if increase}


def test_google_batch_requests_are_counted_by_their_own_status(tmp_path: Path) -> None:
    """Besides the batch and the two requests in it, each of the two people needs a token."""
    with Google() as double:
        double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        (tmp_path / "key.json").write_text(json.dumps(double.tokens.add_service_account()))
        for person in ("dana@example.org", "sam@example.org"):
            double.calendars.add_person(person)
        counter = RequestCounter("google")
        provider = google.build_calendar({**double.calendar_section, "service_account": str(tmp_path / "key.json")})
        provider.free_busy(["dana@example.org", "sam@example.org"], WINDOW)
        provider.close()
    counts = counter.read_increases()
    assert counts == {("token", "200"): 2, ("batch", "200"): 1, ("calendar", "200"): 2}


def test_microsoft_requests_are_counted_by_kind() -> None:
    """The calendar and the mailer each read the addresses of the sign-in service, and then get a token."""
    with Double() as double:
        double.world.add_person("dana@example.org")
        counter = RequestCounter("outlook")
        provider = outlook.build_calendar(make_section(double))
        provider.changes("dana@example.org", None, WINDOW)
        provider.close()
        mailer = outlook.build_mailer(make_section(double, sender="dana@example.org"))
        mailer.send(letter("sam@example.org"), "m1")
    counts = counter.read_increases()
    calendar_requests = sum(count for name, count in double.counts.items() if name.startswith("GET "))
    assert counts == {("token", "200"): 4, ("calendar", "200"): calendar_requests, ("mail", "202"): 1}


def test_batch_that_microsoft_refuses_is_sent_again() -> None:
    with Double() as double:
        people = ["dana@example.org", "sam@example.org"]
        for person in people:
            double.world.add_person(person)
        provider = outlook.build_calendar(make_section(double, organizers=lambda person: {person}))
        provider.free_busy(people, WINDOW)
        double.login.grants.clear()  # so that the service refuses the provider's token
        counter = RequestCounter("outlook")
        assert all(free_busy.is_known for free_busy in provider.free_busy(people, WINDOW).values())
        provider.close()
    assert counter.read_increases() == {
        ("batch", "401"): 1,
        ("token", "200"): 1,
        ("batch", "200"): 1,
        ("calendar", "200"): 2,
    }


def test_caldav_requests_are_counted(server: EmbeddedServers) -> None:
    server.add_person("counted@example.org", "UTC")
    counter = RequestCounter("caldav")
    provider = open_calendar(server)
    provider.find("counted@example.org", UNUSED_KEY)
    provider.close()
    assert counter.read_increases() == {("calendar", "404"): 1}


def test_request_without_an_answer_has_the_status_none() -> None:
    counter = RequestCounter("smtp")
    with socket.create_server(("127.0.0.1", 0)) as closed_socket:
        port = closed_socket.getsockname()[1]
    settings = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 2}
    mailer = base.load_factory(base.MAILER_FACTORIES, "smtp")(settings)
    with pytest.raises(Unavailable):
        mailer.send(letter("sam@example.org"), "m1")
    assert counter.read_increases() == {("mail", "none"): 1}
