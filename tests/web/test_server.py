"""The pages as they are served: alone, behind a proxy, below a path; the links in mails, and their commands."""

import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.companies import DAY, KEY, SAM, contract, texts
from tests.support.terminal import Terminal
from tests.support.web_company import BASE, SavedCompany, WebCompany
from worker.links import Purpose
from worker.server_thread import PortTaken
from worker.web.connections import MAX_CONNECTIONS, Connections
from worker.web.server import PageServer


@pytest.fixture
def served(saved_company: SavedCompany, tmp_path: Path) -> Iterator[tuple[WebCompany, PageServer]]:
    """Below a path, as some companies have it."""
    company = WebCompany.of(saved_company, tmp_path, base_url=f"{BASE}/talks", pages={"listen": "127.0.0.1:0"})
    with PageServer(company.office.worker) as serving:
        yield company, serving
    company.office.close()


def ask(port: int, where: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, where, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_below_a_path_links_cookies_and_ways_keep_to_it(served: tuple[WebCompany, PageServer]) -> None:
    company, serving = served
    way = company.link(SAM, Purpose.ME)
    assert way.startswith("/talks/in/")
    status, headers, _ = ask(serving.port, way)
    assert (status, headers["Location"]) == (303, "/talks/me")
    assert "Path=/talks/me" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].partition(";")[0]
    status, headers, page = ask(serving.port, "/talks/me", Cookie=cookie)
    assert status == 200 and 'href="/talks/me/data"' in page and 'href="/talks/asset/pages.css' in page
    assert "waitress" not in headers.get("Server", "")


def test_what_is_too_large_never_reaches_us(served: tuple[WebCompany, PageServer]) -> None:
    _, serving = served
    with socket.create_connection(("127.0.0.1", serving.port), timeout=10) as line:
        line.sendall(b"POST /talks/me/talk HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 413 " in line.recv(1000)


def test_the_proxys_word_on_who_asks_counts_and_nobody_elses(saved_company: SavedCompany, tmp_path: Path) -> None:
    """Else one reader could use up what all others may ask for, or ask without end."""
    for proxy, blocked in (("127.0.0.1", 404), ("10.9.8.7", 429)):
        folder = tmp_path / proxy
        folder.mkdir()
        company = WebCompany.of(saved_company, folder, pages={"listen": "127.0.0.1:0", "proxy": proxy})
        with PageServer(company.office.worker) as serving:
            answers = [ask(serving.port, f"/in/x{n}", X_Forwarded_For=f"192.0.2.{n}")[0] for n in range(25)]
        company.office.close()
        assert answers[-1] == blocked, proxy


def test_a_port_that_is_taken_is_named(served: tuple[WebCompany, PageServer]) -> None:
    company, serving = served
    pages = company.office.settings.pages.model_copy(update={"listen": f"127.0.0.1:{serving.port}"})
    company.office.worker.settings = company.office.settings.model_copy(update={"pages": pages})
    with pytest.raises(PortTaken, match=str(serving.port)):
        PageServer(company.office.worker)


def test_whatever_watches_it_is_answered(served: tuple[WebCompany, PageServer]) -> None:
    assert ask(served[1].port, "/talks/healthy")[::2] == (200, "well\n")


# --- connections that say little ---


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Our clients alone open more files than a process may on most machines."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_many_files")
def test_it_is_answered_under_eleven_hundred_connections_that_never_finish_a_request(
    served: tuple[WebCompany, PageServer],
) -> None:
    _, serving = served
    with ExitStack() as lines:
        for number in range(1, 1101):
            line = lines.enter_context(socket.create_connection(("127.0.0.1", serving.port), timeout=10))
            line.sendall(b"GET /talks/healthy HTTP/1.1\r\nHost: x\r\n")
            if number % 100 == 0:
                assert ask(serving.port, "/talks/healthy")[0] == 200
        assert ask(serving.port, "/talks/healthy")[::2] == (200, "well\n")
        assert len(serving._server.active_channels) <= MAX_CONNECTIONS


class Channel:
    """What waitress keeps of a connection."""

    def __init__(self, request: object = None, *, answering: bool = False) -> None:
        self.request = request
        self.requests = [object()] if answering else []
        self.total_outbufs_len = 0
        self.closed = False

    def handle_close(self) -> None:
        self.closed = True


def test_beyond_the_number_the_oldest_that_waits_is_closed() -> None:
    channels = {n: Channel(answering=n == 0) for n in range(5)}
    Connections(channels, max_connections=3, clock=lambda: 0.0).close_stale()
    assert [n for n, one in channels.items() if one.closed] == [1, 2]


def test_a_request_that_comes_byte_by_byte_is_closed_when_its_time_is_over() -> None:
    """However often a byte arrives. One that begins anew on the same connection has its own time."""
    now, begun = [0.0], Channel(request := object())
    served, idle = Channel(object()), Channel()
    connections = Connections({1: begun, 2: served, 3: idle}, request_timeout=30, clock=lambda: now[0])
    for second in range(1, 31):
        now[0] = float(second)
        served.request = object()
        connections.close_stale()
    assert not begun.closed and begun.request is request
    now[0] = 31.0
    connections.close_stale()
    assert [one.closed for one in (begun, served, idle)] == [True, False, False]


# --- commands ---


def with_pages(terminal: Terminal) -> Terminal:
    config = terminal.folder / "longarc.toml"
    config.write_text(f'base_url = "{BASE}"\n{config.read_text()}[pages]\nlisten = "127.0.0.1:0"\n')
    return terminal


def test_serve_serves_the_pages_alone_until_it_is_stopped(terminal: Terminal) -> None:
    with_pages(terminal)
    env = {"LONGARC_CONFIG": str(terminal.folder / "longarc.toml"), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-u", "-m", "worker", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline()
        found = re.search(r"served at port (\d+)", said)
        assert found, said
        way = terminal.output_of("status", "--link").strip().removeprefix(BASE)
        status, headers, _ = ask(int(found[1]), way)
        assert (status, headers["Location"]) == (303, "/status")
        page = ask(int(found[1]), "/status", Cookie=headers["Set-Cookie"].partition(";")[0])[2]
        assert "Status" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_without_an_address_pages_are_refused_in_one_line(terminal: Terminal) -> None:
    assert "base_url" in terminal.error_of("serve")
    assert "base_url" in terminal.error_of("status", "--link")


def test_the_operators_link_is_fresh_and_holds_no_secret(terminal: Terminal) -> None:
    link = with_pages(terminal).output_of("status", "--link").strip()
    assert link.startswith(f"{BASE}/in/") and KEY not in link


def test_links_are_revoked_by_command(terminal: Terminal) -> None:
    with_pages(terminal)
    assert f"The links sent to {SAM} until now are void." in terminal.output_of("revoke", SAM.upper())
    assert "everybody" in terminal.output_of("revoke", "--everybody")
    assert [row[0] for row in terminal.read_database()["revocation"]] == [SAM, "*"]
    assert "Nobody in the roster" in terminal.error_of("revoke", "nobody@corp.example")
    terminal.error_of("revoke", code=2)
    store = terminal.open_store()
    store.aliases.learn("s.okafor@corp.example", SAM)
    store.close()
    terminal.output_of("revoke", "s.okafor@corp.example")
    assert [row[0] for row in terminal.read_database()["revocation"]] == [SAM, "*"]
    terminal.error_of("revoke", SAM, "--everybody", code=2)


def test_mails_lead_to_pages_or_name_commands_never_both(saved_company: SavedCompany, tmp_path: Path) -> None:
    """The same mail with `base_url` and without."""
    for base, wanted, other in (
        (BASE, f"{BASE}/in/", "longarc contract record"),
        ("", "longarc contract record", "/in/"),
    ):
        folder = tmp_path / (base[-4:] or "none")
        folder.mkdir()
        company = WebCompany.of(saved_company, folder, base_url=base)
        company.office.run(2 * DAY)
        asked = texts(company.office.mails("contract_reminder"))
        assert wanted in asked and other not in asked
        company.office.close()


def test_each_link_in_a_mail_opens_a_page_of_its_reader(saved_company: SavedCompany, tmp_path: Path) -> None:
    """Every mail of some months, to each of them."""
    company = WebCompany.of(saved_company, tmp_path, sync={"every": "1 day", "near": "1 day", "full_every": "1 day"})
    company.office.worker.contracts.record(company.held_session().id, contract(company.office.clock()))
    for _ in range(3):
        company.office.worker.actions.defer_session(company.next_session().id)
        company.office.tick()
    seen = set()
    for _ in range(12):
        company.office.run(10 * DAY)
        for key, mail in company.office.mailer.sent:
            if key.partition(":")[0] in seen:
                continue
            for way in re.findall(rf"{BASE}(/in/[^\s\"<>]+)", texts([mail])):
                client = company.browser()
                answer = client.get(way)
                assert answer.status_code == 303, key
                assert client.get(answer.headers["Location"], follow_redirects=True).status_code == 200, key
                seen.add(key.partition(":")[0])
        company.office.mailer.sent.clear()
    assert {"reflection_prompt", "brief", "contract_request", "contract_reminder", "contract_summary",
            "commitment_due", "review_note", "deferral_notice"} <= seen  # fmt: skip
