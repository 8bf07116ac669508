"""`longarc check` asks the public address as Microsoft does, and says what services have shown of reaching it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import insert

from tests.support.companies import DANA, DAY, SAM, START, Office, new_store, pair, pairs, people, settings
from tests.support.company_proxy import CompanyProxy, ProxyAnswer, serve_proxy
from worker.ops.channel_checks import check_notifications, try_address
from worker.providers.base import Finding
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.tables import channel
from worker.web.server import PageServer

BASE = "https://longarc.corp.example"
CLOSED = "127.0.0.1:1"


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[CompanyProxy]:
    with serve_proxy(tmp_path) as running:
        yield running


def known(notify_url: str, url: str = "sqlite://", listen: str = CLOSED, **more: Any) -> Settings:
    pages = {"listen": listen}
    return settings(url, base_url=more.pop("base_url", BASE), sync={"notify_url": notify_url}, pages=pages, **more)


def roster(calendar: str) -> Roster:
    persons = {who: replace(one, calendar=calendar) for who, one in people(DANA, SAM).items()}
    return Roster(persons, pairs(pair()))


def check(given: Settings, calendar: str = "google", ca_file: str = "") -> list[Finding]:
    return list(check_notifications(given, roster(calendar), START, ca_file))


def one_with(findings: list[Finding], words: str) -> Finding:
    [found] = [one for one in findings if words in one.statement]
    return found


def database(tmp_path: Path, **columns: Any) -> str:
    """A database where Dana's channel is like that."""
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    store = new_store(url)
    store.migrate()
    with store.database.write() as connection:
        connection.execute(insert(channel), [{"calendar": DANA, "due_at": START, **columns}])
    store.close()
    return url


def test_request_to_ourselves_comes_back_from_the_pages_letter_by_letter(proxy: CompanyProxy) -> None:
    office = Office("sqlite://", known=known(proxy.url, listen="127.0.0.1:0"))
    with PageServer(office.worker) as pages:
        proxy.pages_port = pages.port
        assert try_address(proxy.url, proxy.ca_file) is None
        [finding, *_] = check(known(proxy.url), ca_file=proxy.ca_file)
    office.close()
    assert finding == Finding(f"{proxy.url}/notify leads to the pages from here (sync.notify_url)", True)
    [token] = parse_qs(urlsplit(proxy.asked[0]).query)["validationToken"]
    assert set("+% ") <= set(token)
    assert urlsplit(proxy.asked[0]).path == "/notify/outlook"


@pytest.mark.parametrize(
    ("answer", "what", "remedy"),
    [
        (
            ProxyAnswer(302, headers={"Location": "https://login.corp.example/?a=1"}),
            "redirects to login.corp.example",
            "redir",
        ),
        (ProxyAnswer(301, headers={"Location": "/notify/outlook/"}), "redirects to another path", "redirect"),
        (ProxyAnswer(404), "answers 404", "pass POST /notify/ on"),
        (ProxyAnswer(401), "answers 401", "without a login"),
        (ProxyAnswer(200, b"<h1>Welcome</h1>"), "another text", "without a page of its own"),
        (ProxyAnswer(200, b"x", {"Content-Type": "text/plain"}), "another text", "without a page of its own"),
        (ProxyAnswer(204), "answers 204", "pass POST"),
    ],
)
def test_what_a_proxy_does_instead_is_named_with_what_helps(
    proxy: CompanyProxy, answer: ProxyAnswer, what: str, remedy: str
) -> None:
    proxy.answer = answer
    [finding, *_] = check(known(proxy.url, listen=proxy.listen), ca_file=proxy.ca_file)
    assert not finding.ok
    assert what in finding.statement and remedy in finding.remedy
    assert "\n" not in finding.remedy and len(proxy.asked) == 1


def test_certificate_that_the_world_does_not_trust_is_wrong_whoever_trusts_it_here(
    proxy: CompanyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", proxy.ca_file)
    [finding, *_] = check(known(proxy.url, listen=proxy.listen))
    assert not finding.ok and "invalid certificate" in finding.statement
    assert "public authority" in finding.remedy


def test_without_an_answer_it_names_firewall_and_name() -> None:
    given = known("https://127.0.0.1:1", base_url="https://127.0.0.1:1")
    problem = try_address("https://127.0.0.1:1")
    assert problem is not None and "does not respond (ConnectionError)" in problem.what
    assert "firewall" in problem.remedy
    assert one_with(check(given), "the pages are not running at").ok


def test_while_the_pages_do_not_run_nothing_is_wrong_yet(proxy: CompanyProxy) -> None:
    proxy.answer = ProxyAnswer(502)
    [finding, *_] = check(known(proxy.url), ca_file=proxy.ca_file)
    assert finding.ok and f"the pages are not running at {CLOSED}" in finding.statement
    assert finding.remedy == "Start `longarc run` first, then run this again."
    proxy.answer = ProxyAnswer(302, headers={"Location": "/login"})
    [finding, *_] = check(known(proxy.url), ca_file=proxy.ca_file)
    assert finding.ok and "redirects" in finding.statement and "services follow no redirect" in finding.remedy


def test_where_services_arrive_it_is_well_that_this_machine_does_not(proxy: CompanyProxy, tmp_path: Path) -> None:
    opened = {"service": "outlook", "expires_at": START + DAY}
    given = known("https://127.0.0.1:1", database(tmp_path, **opened), proxy.listen)
    first, second = check(given, "outlook")
    assert first.ok and "can't be reached from here, but services reach it" in first.statement
    assert second == Finding(
        "Microsoft 365 reaches the address: notifications came through 0 of its 1 open channels", True
    )


@pytest.mark.parametrize(
    ("service", "columns", "ok", "words"),
    [
        ("google", {}, True, "once `longarc run` has opened channels"),
        ("google", {"expires_at": START + DAY}, True, "1 channels are open, and no notification"),
        (
            "google",
            {"expires_at": START + DAY, "notified_at": START},
            True,
            "through 1 of its 1 open channels",
        ),
        ("outlook", {"failures": 1, "problem": "No right answer."}, False, "Microsoft 365 can open a channel"),
        ("outlook", {"expires_at": START + DAY}, True, "Microsoft 365 reaches the address"),
        ("outlook", {"expires_at": START - timedelta(1)}, True, "once `longarc run` has opened channels"),
    ],
)
def test_each_service_alone_shows_that_it_reaches_us(
    proxy: CompanyProxy, tmp_path: Path, service: str, columns: dict[str, Any], ok: bool, words: str
) -> None:
    given = known(proxy.url, database(tmp_path, service=service, **columns))
    finding = check(given, service)[-1]
    assert words in finding.statement and finding.ok is ok
    assert finding.ok or finding.remedy == "No right answer."


def test_without_an_address_it_says_what_would_help_where_it_would() -> None:
    [finding] = check(known(""))
    assert finding.ok and "sync.notify_url" in finding.remedy
    assert check(known("", base_url="http://127.0.0.1:8030")) == []
    assert check(known(""), "caldav") == []
