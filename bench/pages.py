"""Benchmark of the pages: time from link to last byte, and whether drafts saved at the same time are all kept."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from pydantic import SecretStr

from bench.company import TEAM_SIZE, build_company
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Contract, PairId, Session, SessionKind, WrittenCommitment
from worker.links import LinkClaims, LinkSigner, Purpose
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.store.store import Store
from worker.web.server import PageServer

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
MANAGERS = 200
CLIENTS = 8
ROUNDS = 400
BASE = "http://bench.example"


@dataclass
class ServedCompany:
    """A company whose pages are served, and a session of each manager that was just held."""

    worker: Worker
    links: LinkSigner
    port: int
    sessions: list[Session]

    def sign_path(self, who: str, purpose: Purpose, subject_id: str = "") -> str:
        """Return the path of a signed link."""
        claims = LinkClaims(person=who, purpose=purpose, subject_id=subject_id, issued_at=NOW)
        return self.links.build_url(claims).removeprefix(BASE)


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: times of pages with 1,400 pairs, and drafts that 200 managers save at once."""
    with _serve_company() as company:
        pairs = MANAGERS * TEAM_SIZE
        rows = [
            (f"{name}, {pairs:,} pairs, {CLIENTS} clients at once", _measure_times(company, paths))
            for name, paths in (
                ("the contract", [_contract_path(company, session) for session in company.sessions]),
                (
                    "the report's page",
                    [company.sign_path(session.pair.report, Purpose.ME) for session in company.sessions],
                ),
                (
                    f"the manager's page, {TEAM_SIZE} people",
                    [_team_path(company, session) for session in company.sessions],
                ),
            )
        ]
        rows += _measure_drafts(company)
    return rows


def _contract_path(company: ServedCompany, session: Session) -> str:
    return company.sign_path(session.pair.manager, Purpose.CONTRACT, session.id)


def _team_path(company: ServedCompany, session: Session) -> str:
    return company.sign_path(session.pair.manager, Purpose.TEAM)


@contextmanager
def _serve_company() -> Iterator[ServedCompany]:
    with TemporaryDirectory() as folder:
        key = generate_key()
        settings = Settings.model_validate(
            {
                "base_url": BASE,
                "keys": (SecretStr(key),),
                "pages": {"listen": "127.0.0.1:0", "per_minute": 10_000},
                "mail": {"operator_by": "memory"},
            }
        )
        store = Store(f"sqlite:///{Path(folder) / 'bench.db'}", Seal([key]))
        store.create_tables()
        persons, pairs = build_company(MANAGERS * TEAM_SIZE, NOW.date())
        clock = SteppedClock(NOW)
        store.people.apply_import(persons, pairs, NOW)
        worker = build(settings, clock, store=store, holder="bench")
        worker.services.use(calendars={"memory": MemoryCalendar()}, mailers={"memory": MemoryMailer()})
        worker.tick()
        sessions = [
            _hold_session(worker, PairId(f"manager{team}@bench.example", f"report{team * TEAM_SIZE}@bench.example"))
            for team in range(MANAGERS)
        ]
        with PageServer(worker) as serving:
            yield ServedCompany(worker, LinkSigner(BASE, [key]), serving.port, sessions)
        worker.close()


def _hold_session(worker: Worker, pair: PairId) -> Session:
    """Record that the first session of the pair was held, with a contract that the pages show. Return the session."""
    sessions = [session for session in worker.store.queries.list_sessions(pair) if session.kind is SessionKind.CAREER]
    worker.actions.record_held(sessions[0].id, NOW - timedelta(hours=1))
    day = NOW.date() + timedelta(days=30)
    promises = tuple(WrittenCommitment(text=f"Introduce somebody to group {n}", due=day) for n in range(3))
    worker.contracts.record(sessions[0].id, Contract(report=promises, manager=promises, question="What next?"))
    session = worker.store.queries.get_session(sessions[0].id)
    assert session is not None
    return session


# --- asking ---


def _measure_times(company: ServedCompany, paths: list[str]) -> str:
    """Follow links with all clients at once, and return the median and the 99th percentile of the times."""

    def time_page(number: int) -> float:
        started = time.perf_counter()
        _open_page(company.port, paths[number % len(paths)])
        return time.perf_counter() - started

    _open_page(company.port, paths[0])
    with ThreadPoolExecutor(CLIENTS) as pool:
        seconds = sorted(pool.map(time_page, range(ROUNDS)))
    return f"{median(seconds) * 1000:.0f} ms median, {seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms p99"


def _open_page(port: int, path: str) -> tuple[str, str, str]:
    """Follow a link to the end of its page. Return the path of the page, the cookie, and the HTML."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    cookie = ""
    while True:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        page = answer.read().decode()
        cookie = (answer.getheader("Set-Cookie") or cookie).partition(";")[0]
        if answer.status == 200:
            connection.close()
            return path, cookie, page
        assert answer.status == 303, (answer.status, path)
        path = answer.getheader("Location") or ""


def _measure_drafts(company: ServedCompany) -> list[tuple[str, str]]:
    """Save five drafts each as 200 managers at once, and check that the last draft of each was kept."""
    forms = [_open_form(company, session) for session in company.sessions]
    barrier = threading.Barrier(MANAGERS)
    save_times: list[float] = []

    def save(number: int) -> int:
        barrier.wait()
        version = 0
        for draft_number in range(5):
            started = time.perf_counter()
            version = _save_draft(company.port, *forms[number], f"{number} typed {draft_number}", version)
            save_times.append(time.perf_counter() - started)
        return version

    all_started = time.perf_counter()
    with ThreadPoolExecutor(MANAGERS) as pool:
        versions = list(pool.map(save, range(MANAGERS)))
    seconds = time.perf_counter() - all_started
    drafts = [company.worker.store.content.get_contract_draft(session.id) for session in company.sessions]
    kept = sum(bool(draft and draft.fields["question"] == f"{n} typed 4") for n, draft in enumerate(drafts))
    assert kept == MANAGERS and versions == [5] * MANAGERS
    p99 = sorted(save_times)[int(len(save_times) * 0.99)]
    speed = f"{median(save_times) * 1000:.0f} ms median, {p99 * 1000:.0f} ms p99"
    return [
        (
            f"drafts of {MANAGERS} managers, saved five times each at the same time",
            f"{len(save_times):,} in {seconds:.1f} s",
        ),
        ("one of these saves", speed),
        ("drafts lost", f"{MANAGERS - kept}"),
    ]


def _open_form(company: ServedCompany, session: Session) -> tuple[str, str, str]:
    """Return the path of the form, the cookie, and the token of the form."""
    path, cookie, _ = _open_page(company.port, _contract_path(company, session))
    connection = HTTPConnection("127.0.0.1", company.port, timeout=60)
    connection.request("GET", f"{path}/write", headers={"Cookie": cookie})
    page = connection.getresponse().read().decode()
    connection.close()
    match = re.search(r'name="token" value="([^"]+)"', page)
    assert match
    return f"{path}/write", cookie, match[1]


def _save_draft(port: int, path: str, cookie: str, token: str, question: str, version: int) -> int:
    """Save a draft over the given version. Return the new version."""
    # `after`: the draft is of changes to the first revision
    body = urlencode({"token": token, "version": version, "do": "keep", "question": question, "after": 1})
    headers = {"Cookie": cookie, "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    assert answer.status == 200, (answer.status, content)
    return int(re.search(r'"version":\s*(\d+)', content)[1])  # type: ignore[index]
