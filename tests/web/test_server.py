"""The web server: behind a proxy, below a path, with slow clients; the commands about pages, and links in mails."""

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
from tests.support.companies import BASE_URL, DAILY_SYNC, DAY, KEY, SAM, contract, texts
from tests.support.terminal import Terminal
from tests.support.web_company import SavedCompany, WebCompany
from worker.links import Purpose
from worker.server_thread import PortTaken
from worker.web.connections import MAX_CONNECTIONS, Connections
from worker.web.logins import MAX_INVALID_LINKS_PER_MINUTE
from worker.web.server import PageServer


@pytest.fixture
def served_company(saved_company: SavedCompany, tmp_path: Path) -> Iterator[tuple[WebCompany, PageServer]]:
    """The company and its web server, with a path in `base_url`, as some companies have it."""
    company = WebCompany.of(saved_company, tmp_path, base_url=f"{BASE_URL}/talks", pages={"listen": "127.0.0.1:0"})
    with PageServer(company.office.worker) as server:
        yield company, server
    company.office.close()


def request_page(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
    """Send a request, and return the status, the headers and the body of the answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_with_a_path_in_base_url_all_links_and_cookies_contain_it(
    served_company: tuple[WebCompany, PageServer],
) -> None:
    company, server = served_company
    link = company.link(SAM, Purpose.ME)
    assert link.startswith("/talks/in/")
    status, headers, _ = request_page(server.port, link)
    assert (status, headers["Location"]) == (303, "/talks/me")
    assert "Path=/talks/me" in headers["Set-Cookie"]
    cookie = headers["Set-Cookie"].partition(";")[0]
    status, headers, page = request_page(server.port, "/talks/me", Cookie=cookie)
    assert status == 200 and 'href="/talks/me/data"' in page and 'href="/talks/asset/pages.css' in page
    assert "waitress" not in headers.get("Server", "")


def test_the_server_refuses_a_request_that_is_too_large(served_company: tuple[WebCompany, PageServer]) -> None:
    _, server = served_company
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        # twice the limit of a form is accepted: 512 KiB
        connection.sendall(b"POST /talks/me/talk HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
        assert b" 413 " in connection.recv(1000)


def test_only_the_proxy_in_the_settings_is_trusted_about_the_client(
    saved_company: SavedCompany, tmp_path: Path
) -> None:
    """Otherwise all readers behind the proxy would share one limit, or a reader could evade the limit.

    Each request names another client. The program believes it when the requests come from the proxy, 127.0.0.1.
    """
    for proxy, expected_status in (("127.0.0.1", 404), ("10.9.8.7", 429)):
        folder = tmp_path / proxy
        folder.mkdir()
        company = WebCompany.of(saved_company, folder, pages={"listen": "127.0.0.1:0", "proxy": proxy})
        with PageServer(company.office.worker) as server:
            answers = [
                request_page(server.port, f"/in/x{number}", X_Forwarded_For=f"192.0.2.{number}")[0]
                for number in range(MAX_INVALID_LINKS_PER_MINUTE + 5)
            ]
        company.office.close()
        assert answers[-1] == expected_status, proxy


def test_the_error_about_a_port_in_use_names_the_port(served_company: tuple[WebCompany, PageServer]) -> None:
    company, server = served_company
    pages = company.office.settings.pages.model_copy(update={"listen": f"127.0.0.1:{server.port}"})
    company.office.worker.settings = company.office.settings.model_copy(update={"pages": pages})
    with pytest.raises(PortTaken, match=str(server.port)):
        PageServer(company.office.worker)


def test_the_health_page_answers_monitoring(served_company: tuple[WebCompany, PageServer]) -> None:
    _, server = served_company
    status, _, body = request_page(server.port, "/talks/healthy")
    assert (status, body) == (200, "well\n")


# --- slow connections ---


@pytest.fixture
def _raised_file_limit() -> Iterator[None]:
    """Raise the limit of open files, so that the test can open its connections; restore it afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_raised_file_limit")
def test_requests_are_answered_despite_1100_connections_that_never_finish(
    served_company: tuple[WebCompany, PageServer],
) -> None:
    _, server = served_company
    with ExitStack() as connections:
        for number in range(1, 1101):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            connection.sendall(b"GET /talks/healthy HTTP/1.1\r\nHost: x\r\n")
            if number % 100 == 0:
                assert request_page(server.port, "/talks/healthy")[0] == 200
        status, _, body = request_page(server.port, "/talks/healthy")
        assert (status, body) == (200, "well\n")
        assert len(server._server.active_channels) <= MAX_CONNECTIONS


class Channel:
    """A stand-in for a connection of waitress, with the attributes of waitress that `Connections` reads."""

    def __init__(self, incomplete_request: object = None, *, answering: bool = False) -> None:
        self.request = incomplete_request
        self.requests = [object()] if answering else []  # the complete requests that are being answered
        self.total_outbufs_len = 0  # how many bytes of answers are still to be sent
        self.closed = False

    def handle_close(self) -> None:
        self.closed = True


def test_beyond_the_limit_the_oldest_waiting_connections_are_closed() -> None:
    """Connection 0 is the oldest, and is being answered."""
    channels = {number: Channel(answering=number == 0) for number in range(5)}
    Connections(channels, max_connections=3, clock=lambda: 0.0).close_stale()
    assert [number for number, channel in channels.items() if channel.closed] == [1, 2]


def test_a_slow_request_is_closed_at_its_time_limit() -> None:
    """It is closed although bytes still arrive. Each new request on the same connection has its own time limit."""
    now = [0.0]  # in seconds
    slow_channel = Channel(request := object())
    active_channel, idle_channel = Channel(object()), Channel()
    connections = Connections(
        {1: slow_channel, 2: active_channel, 3: idle_channel}, request_timeout=30, clock=lambda: now[0]
    )
    for second in range(1, 31):
        now[0] = float(second)
        active_channel.request = object()  # a new request each second
        connections.close_stale()
    assert not slow_channel.closed and slow_channel.request is request
    now[0] = 31.0
    connections.close_stale()
    assert [channel.closed for channel in (slow_channel, active_channel, idle_channel)] == [True, False, False]


# --- commands ---


def enable_pages(terminal: Terminal) -> Terminal:
    """Add the settings of the web pages to the terminal's settings file."""
    config = terminal.folder / "longarc.toml"
    config.write_text(f'base_url = "{BASE_URL}"\n{config.read_text()}[pages]\nlisten = "127.0.0.1:0"\n')
    return terminal


def test_serve_runs_only_the_pages_until_it_is_stopped(terminal: Terminal) -> None:
    enable_pages(terminal)
    env = {"LONGARC_CONFIG": str(terminal.folder / "longarc.toml"), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-u", "-m", "worker", "serve"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        first_line = process.stdout.readline()
        match = re.search(r"served at port (\d+)", first_line)
        assert match, first_line
        link = terminal.output_of("status", "--link").strip().removeprefix(BASE_URL)
        status, headers, _ = request_page(int(match[1]), link)
        assert (status, headers["Location"]) == (303, "/status")
        page = request_page(int(match[1]), "/status", Cookie=headers["Set-Cookie"].partition(";")[0])[2]
        assert "Status" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_commands_about_pages_need_base_url(terminal: Terminal) -> None:
    assert "base_url" in terminal.error_of("serve")
    assert "base_url" in terminal.error_of("status", "--link")


def test_status_prints_a_link_without_the_key(terminal: Terminal) -> None:
    link = enable_pages(terminal).output_of("status", "--link").strip()
    assert link.startswith(f"{BASE_URL}/in/") and KEY not in link


def list_revoked(terminal: Terminal) -> list[str]:
    """Return whose links are void: addresses, or `*` for everybody."""
    return [address for address, *_ in terminal.read_database()["revocation"]]


def test_the_command_revoke_ends_links_of_a_person_or_of_everybody(terminal: Terminal) -> None:
    enable_pages(terminal)
    assert f"The links sent to {SAM} until now are void." in terminal.output_of("revoke", SAM.upper())
    assert "everybody" in terminal.output_of("revoke", "--everybody")
    assert list_revoked(terminal) == [SAM, "*"]
    assert "Nobody in the roster" in terminal.error_of("revoke", "nobody@corp.example")
    terminal.error_of("revoke", code=2)
    store = terminal.open_store()
    store.aliases.learn("s.okafor@corp.example", SAM)
    store.close()
    terminal.output_of("revoke", "s.okafor@corp.example")
    assert list_revoked(terminal) == [SAM, "*"]  # the alias stands for Sam
    terminal.error_of("revoke", SAM, "--everybody", code=2)


def test_mails_have_links_with_base_url_and_commands_without(saved_company: SavedCompany, tmp_path: Path) -> None:
    for base_url, expected, unexpected in (
        (BASE_URL, f"{BASE_URL}/in/", "longarc contract record"),
        ("", "longarc contract record", "/in/"),
    ):
        folder = tmp_path / ("with" if base_url else "without")
        folder.mkdir()
        company = WebCompany.of(saved_company, folder, base_url=base_url)
        company.office.run(2 * DAY)
        reminders = texts(company.office.mails("contract_reminder"))
        assert expected in reminders and unexpected not in reminders
        company.office.close()


def test_every_link_in_every_mail_opens_a_page(saved_company: SavedCompany, tmp_path: Path) -> None:
    """Of the mails of four months, one of each kind is tested."""
    company = WebCompany.of(saved_company, tmp_path, sync=DAILY_SYNC)  # with more polls, four months take long
    company.office.worker.contracts.record(company.held_session().id, contract(company.office.clock()))
    for _ in range(3):  # so that deferral notices are sent
        company.office.worker.actions.request_another_time(company.next_session().id)
        company.office.tick()
    opened_names = set()
    for _ in range(12):
        company.office.run(10 * DAY)
        for key, mail in company.office.mailer.sent:
            name = key.partition(":")[0]
            if name in opened_names:
                continue
            for link in re.findall(rf"{BASE_URL}(/in/[^\s\"<>]+)", texts([mail])):
                client = company.browser()
                answer = client.get(link)
                assert answer.status_code == 303, key
                assert client.get(answer.headers["Location"], follow_redirects=True).status_code == 200, key
                opened_names.add(name)
        company.office.mailer.sent.clear()
    assert {"reflection_prompt", "brief", "contract_request", "contract_reminder", "contract_summary",
            "commitment_due", "review_note", "deferral_notice"} <= opened_names  # fmt: skip
