"""Requests to services are counted by service, kind and status, on the doubles and servers that answer them."""

import json
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.doubles.google import Google
from tests.doubles.graph import Double, section
from tests.support.caldav import open_calendar
from tests.support.companies import HOUR
from tests.support.drafts import letter
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


class Counted:
    """What was counted since this was made."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._before = self._read()

    def _read(self) -> dict[tuple[str, str], float]:
        (family,) = [one for one in REGISTRY.collect() if one.name == "longarc_provider_requests"]
        labels = [(one.labels, one.value) for one in family.samples]
        return {(one["kind"], one["status"]): value for one, value in labels if one["service"] == self._service}

    def since(self) -> dict[tuple[str, str], int]:
        now = self._read()
        rises = {labels: int(value - self._before.get(labels, 0)) for labels, value in now.items()}
        return {labels: rise for labels, rise in rises.items() if rise}


def test_requests_to_google_are_counted_and_those_of_a_batch_by_their_own_status(tmp_path: Path) -> None:
    with Google() as double:
        double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        (tmp_path / "key.json").write_text(json.dumps(double.tokens.service_account()))
        for who in ("dana@example.org", "sam@example.org"):
            double.calendars.add_person(who)
        counted = Counted("google")
        provider = google.build_calendar({**double.section, "service_account": str(tmp_path / "key.json")})
        provider.free_busy(["dana@example.org", "sam@example.org"], WINDOW)
        provider.close()
    counts = counted.since()
    assert counts["token", "200"] == 2
    assert counts["batch", "200"] == 1
    assert counts["calendar", "200"] == 2


def test_requests_to_microsoft_are_counted_by_what_they_are_for() -> None:
    with Double() as double:
        double.world.add_person("dana@example.org")
        counted = Counted("outlook")
        provider = outlook.build_calendar(section(double))
        provider.changes("dana@example.org", None, WINDOW)
        provider.close()
        mailer = outlook.build_mailer(section(double, sender="dana@example.org"))
        mailer.send(letter("sam@example.org"), "m1")
    counts = counted.since()
    assert {kind for kind, _ in counts} == {"token", "calendar", "mail"}
    assert counts["mail", "202"] == 1


def test_a_batch_that_microsoft_refuses_as_a_whole_leaves_nobody_without_an_answer() -> None:
    with Double() as double:
        people = ["dana@example.org", "sam@example.org"]
        for who in people:
            double.world.add_person(who)
        provider = outlook.build_calendar(section(double, organizers=lambda who: {who}))
        provider.free_busy(people, WINDOW)
        double.login.grants.clear()  # the token that the provider has is refused
        counted = Counted("outlook")
        assert all(one.is_known for one in provider.free_busy(people, WINDOW).values())
        provider.close()
    assert [status for kind, status in counted.since() if kind == "calendar"] == ["200"]


def test_requests_to_a_calendar_server_are_counted(server: EmbeddedServers) -> None:
    server.add_person("counted@example.org", "UTC")
    counted = Counted("caldav")
    provider = open_calendar(server)
    provider.find("counted@example.org", "c1.0")
    provider.close()
    assert counted.since() == {("calendar", "404"): 1}


def test_a_mail_server_that_does_not_answer_is_counted_as_none() -> None:
    counted = Counted("smtp")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    given = {"host": "127.0.0.1", "port": port, "security": "none", "timeout": 2}
    mailer = base.load_factory(base.MAILER_FACTORIES, "smtp")(given)
    with pytest.raises(Unavailable):
        mailer.send(letter("sam@example.org"), "m1")
    assert counted.since() == {("mail", "none"): 1}
