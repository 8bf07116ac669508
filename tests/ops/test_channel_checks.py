"""`longarc check` requests the notification address as Microsoft does, and reports whether services reach it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import insert

from tests.support.companies import BASE_URL, DANA, DAY, SAM, START, Office, new_store, pair, pairs, people, settings
from tests.support.company_proxy import CompanyProxy, ProxyAnswer, serve_proxy
from worker.ops.channel_checks import check_notifications, try_address
from worker.providers.base import Finding
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.tables import channel
from worker.web.server import PageServer

#: An address at which nothing listens.
UNUSED_ADDRESS = "127.0.0.1:1"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[CompanyProxy]:
    with serve_proxy(tmp_path) as proxy:
        yield proxy


def make_settings(notify_url: str, url: str = "sqlite://", listen: str = UNUSED_ADDRESS, **options: Any) -> Settings:
    pages = {"listen": listen}
    return settings(
        url, base_url=options.pop("base_url", BASE_URL), sync={"notify_url": notify_url}, pages=pages, **options
    )


def make_roster(calendar: str) -> Roster:
    persons = {
        email: replace(calendar_person, calendar=calendar) for email, calendar_person in people(DANA, SAM).items()
    }
    return Roster(persons, pairs(pair()))


def list_findings(known_settings: Settings, calendar: str = "google", ca_file: str = "") -> list[Finding]:
    return list(check_notifications(known_settings, make_roster(calendar), START, ca_file))


def get_finding(findings: list[Finding], statement_part: str) -> Finding:
    """Return the only finding whose statement has these words."""
    [finding] = [candidate for candidate in findings if statement_part in candidate.statement]
    return finding


def create_database(tmp_path: Path, **columns: Any) -> str:
    """Create a database where Dana's channel has these columns. Return its URL."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store = new_store(url)
    store.migrate()
    with store.database.write() as connection:
        connection.execute(insert(channel), [{"calendar": DANA, "due_at": START, **columns}])
    store.close()
    return url


def test_validation_request_returns_from_the_pages_unchanged(proxy: CompanyProxy) -> None:
    office = Office("sqlite://", office_settings=make_settings(proxy.url, listen="127.0.0.1:0"))
    with PageServer(office.worker) as pages:
        proxy.pages_port = pages.port
        assert try_address(proxy.url, proxy.ca_file) is None
        [finding, *_] = list_findings(make_settings(proxy.url), ca_file=proxy.ca_file)
    office.close()
    assert finding == Finding(f"{proxy.url}/notify leads to the pages from here (sync.notify_url)", True)
    [token] = parse_qs(urlsplit(proxy.requested_paths[0]).query)["validationToken"]
    assert set("+% ") <= set(token)  # characters that a proxy may change
    assert urlsplit(proxy.requested_paths[0]).path == "/notify/outlook"


@pytest.mark.parametrize(
    ("answer", "statement", "remedy"),
    [
        (
            ProxyAnswer(302, headers={"Location": "https://login.corp.example/?a=1"}),
            "redirects to login.corp.example",
            "redirect",
        ),
        (ProxyAnswer(301, headers={"Location": "/notify/outlook/"}), "redirects to another path", "redirect"),
        (ProxyAnswer(404), "answers 404", "pass POST /notify/ on"),
        (ProxyAnswer(401), "answers 401", "without a login"),
        (ProxyAnswer(200, b"<h1>Welcome</h1>"), "another text", "without a page of its own"),
        (ProxyAnswer(200, b"x", {"Content-Type": "text/plain"}), "another text", "without a page of its own"),
        (ProxyAnswer(204), "answers 204", "pass POST"),
    ],
)
def test_wrong_answer_of_a_proxy_is_reported_with_a_remedy(
    proxy: CompanyProxy, answer: ProxyAnswer, statement: str, remedy: str
) -> None:
    proxy.answer = answer
    [finding, *_] = list_findings(make_settings(proxy.url, listen=proxy.listen), ca_file=proxy.ca_file)
    assert not finding.ok
    assert statement in finding.statement and remedy in finding.remedy
    assert "\n" not in finding.remedy and len(proxy.requested_paths) == 1


def test_certificate_of_a_private_authority_is_refused_although_this_machine_trusts_it(
    proxy: CompanyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_file)
    [finding, *_] = list_findings(make_settings(proxy.url, listen=proxy.listen))
    assert not finding.ok and "invalid certificate" in finding.statement
    assert "public authority" in finding.remedy


def test_unreachable_address_is_reported_with_the_firewall_as_a_remedy() -> None:
    unreachable_settings = make_settings(f"https://{UNUSED_ADDRESS}", base_url=f"https://{UNUSED_ADDRESS}")
    problem = try_address(f"https://{UNUSED_ADDRESS}")
    assert problem is not None and "does not respond (ConnectionError)" in problem.what
    assert "firewall" in problem.remedy
    assert get_finding(list_findings(unreachable_settings), "the pages are not running at").ok


def test_wrong_answer_is_no_failure_while_the_pages_are_not_running(proxy: CompanyProxy) -> None:
    proxy.answer = ProxyAnswer(502)
    [finding, *_] = list_findings(make_settings(proxy.url), ca_file=proxy.ca_file)
    assert finding.ok and f"the pages are not running at {UNUSED_ADDRESS}" in finding.statement
    assert finding.remedy == "Start `longarc run` first, then run this again."
    proxy.answer = ProxyAnswer(302, headers={"Location": "/login"})
    [finding, *_] = list_findings(make_settings(proxy.url), ca_file=proxy.ca_file)
    assert finding.ok and "redirects" in finding.statement and "services follow no redirect" in finding.remedy


def test_address_passes_when_services_reach_it_although_this_machine_does_not(
    proxy: CompanyProxy, tmp_path: Path
) -> None:
    open_channel = {"service": "outlook", "expires_at": START + DAY}
    unreachable_settings = make_settings(
        f"https://{UNUSED_ADDRESS}", create_database(tmp_path, **open_channel), proxy.listen
    )
    first, second = list_findings(unreachable_settings, "outlook")
    assert first.ok and "can't be reached from here, but services reach it" in first.statement
    assert second == Finding(
        "Microsoft 365 reaches the address: notifications came through 0 of its 1 open channel", True
    )


@pytest.mark.parametrize(
    ("service", "columns", "ok", "statement"),
    [
        ("google", {}, True, "once `longarc run` has opened channels"),
        ("google", {"expires_at": START + DAY}, True, "it has 1 open channel, and no notification"),
        (
            "google",
            {"expires_at": START + DAY, "notified_at": START},
            True,
            "through 1 of its 1 open channel",
        ),
        ("outlook", {"failures": 1, "problem": "No right answer."}, False, "Microsoft 365 can open a channel"),
        ("outlook", {"expires_at": START + DAY}, True, "Microsoft 365 reaches the address"),
        ("outlook", {"expires_at": START - DAY}, True, "once `longarc run` has opened channels"),
    ],
)
def test_channels_of_each_service_show_whether_it_reaches_the_address(
    proxy: CompanyProxy, tmp_path: Path, service: str, columns: dict[str, Any], ok: bool, statement: str
) -> None:
    known_settings = make_settings(proxy.url, create_database(tmp_path, service=service, **columns))
    finding = list_findings(known_settings, service)[-1]
    assert statement in finding.statement and finding.ok is ok
    assert finding.ok or finding.remedy == "No right answer."


def test_missing_notification_address_is_reported_where_it_would_help() -> None:
    [finding] = list_findings(make_settings(""))
    assert finding.ok and "sync.notify_url" in finding.remedy
    assert list_findings(make_settings("", base_url="http://127.0.0.1:8030")) == []  # no service could reach it
    assert list_findings(make_settings(""), "caldav") == []  # CalDAV servers send no notifications
