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

    def sign_path(self, who: str, purpose: Purpose, about: str = "") -> str:
        given = LinkClaims(person=who, purpose=purpose, session_id=about, issued_at=NOW)
        return self.links.build_url(given).removeprefix(BASE)


def measure() -> list[tuple[str, str]]:
    """Pages of 1,400 pairs, eight clients at once; then 200 managers who all save five times."""
    with _serve_company() as company:
        pairs = MANAGERS * TEAM_SIZE
        rows = [
            (f"{name}, {pairs:,} pairs, {CLIENTS} clients at once", _measure_times(company, ways))
            for name, ways in (
                ("the contract", [_contract_path(company, one) for one in company.sessions]),
                ("the report's page", [company.sign_path(one.pair.report, Purpose.ME) for one in company.sessions]),
                (f"the manager's page, {TEAM_SIZE} people", [_team_path(company, one) for one in company.sessions]),
            )
        ]
        rows += _measure_drafts(company)
    return rows


def _contract_path(company: ServedCompany, one: Session) -> str:
    return company.sign_path(one.pair.manager, Purpose.CONTRACT, one.id)


def _team_path(company: ServedCompany, one: Session) -> str:
    return company.sign_path(one.pair.manager, Purpose.TEAM)


@contextmanager
def _serve_company() -> Iterator[ServedCompany]:
    with TemporaryDirectory() as folder:
        key = generate_key()
        known = Settings.model_validate(
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
        worker = build(known, clock, store=store, holder="bench")
        worker.services.use(calendars={"memory": MemoryCalendar()}, mailers={"memory": MemoryMailer()})
        worker.tick()
        held = [
            _hold_session(worker, PairId(f"manager{team}@bench.example", f"report{team * TEAM_SIZE}@bench.example"))
            for team in range(MANAGERS)
        ]
        with PageServer(worker) as serving:
            yield ServedCompany(worker, LinkSigner(BASE, [key]), serving.port, held)
        worker.close()


def _hold_session(worker: Worker, pair: PairId) -> Session:
    """The pair's first conversation took place, and has a contract, so that there is something to show."""
    sessions = [one for one in worker.store.queries.list_sessions(pair) if one.kind is SessionKind.CAREER]
    worker.actions.record_held(sessions[0].id, NOW - timedelta(hours=1))
    day = NOW.date() + timedelta(days=30)
    promises = tuple(WrittenCommitment(text=f"Introduce somebody to group {n}", due=day) for n in range(3))
    worker.contracts.record(sessions[0].id, Contract(report=promises, manager=promises, question="What next?"))
    found = worker.store.queries.get_session(sessions[0].id)
    assert found is not None
    return found


# --- asking ---


def _measure_times(company: ServedCompany, ways: list[str]) -> str:
    """Each client follows a link and reads the page behind it, again and again."""

    def one(number: int) -> float:
        begun = time.perf_counter()
        _open_page(company.port, ways[number % len(ways)])
        return time.perf_counter() - begun

    _open_page(company.port, ways[0])
    with ThreadPoolExecutor(CLIENTS) as pool:
        taken = sorted(pool.map(one, range(ROUNDS)))
    return f"{median(taken) * 1000:.0f} ms median, {taken[int(len(taken) * 0.99)] * 1000:.0f} ms p99"


def _open_page(port: int, way: str) -> tuple[str, str, str]:
    """From link to last byte. The address of the page, its cookie, and the page."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    cookie = ""
    while True:
        connection.request("GET", way, headers={"Cookie": cookie})
        answer = connection.getresponse()
        page = answer.read().decode()
        cookie = (answer.getheader("Set-Cookie") or cookie).partition(";")[0]
        if answer.status == 200:
            connection.close()
            return way, cookie, page
        assert answer.status == 303, (answer.status, way)
        way = answer.getheader("Location") or ""


def _measure_drafts(company: ServedCompany) -> list[tuple[str, str]]:
    """200 managers type at the same time, each saving five times; what was answered as kept has to be there."""
    opened = [_open_form(company, one) for one in company.sessions]
    together, begun = threading.Barrier(MANAGERS), [0.0]
    taken: list[float] = []

    def save(number: int) -> int:
        together.wait()
        kept = 0
        for typed in range(5):
            at = time.perf_counter()
            kept = _save_draft(company.port, *opened[number], f"{number} typed {typed}", kept)
            taken.append(time.perf_counter() - at)
        return kept

    begun[0] = time.perf_counter()
    with ThreadPoolExecutor(MANAGERS) as pool:
        versions = list(pool.map(save, range(MANAGERS)))
    whole = time.perf_counter() - begun[0]
    sketches = [company.worker.store.content.get_contract_draft(one.id) for one in company.sessions]
    kept = sum(bool(s and s.fields["question"] == f"{n} typed 4") for n, s in enumerate(sketches))
    assert kept == MANAGERS and versions == [5] * MANAGERS
    speed = f"{median(taken) * 1000:.0f} ms median, {sorted(taken)[int(len(taken) * 0.99)] * 1000:.0f} ms p99"
    return [
        (f"drafts of {MANAGERS} managers, saved five times each at the same time", f"{len(taken):,} in {whole:.1f} s"),
        ("one of these saves", speed),
        ("drafts lost", f"{MANAGERS - kept}"),
    ]


def _open_form(company: ServedCompany, one: Session) -> tuple[str, str, str]:
    """The address of the form, the cookie, and the form's token."""
    way, cookie, _ = _open_page(company.port, _contract_path(company, one))
    connection = HTTPConnection("127.0.0.1", company.port, timeout=60)
    connection.request("GET", f"{way}/write", headers={"Cookie": cookie})
    page = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    return f"{way}/write", cookie, found[1]


def _save_draft(port: int, where: str, cookie: str, token: str, typed: str, version: int) -> int:
    body = urlencode({"token": token, "version": version, "do": "keep", "question": typed, "after": 1})
    headers = {"Cookie": cookie, "Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", where, body, headers)
    answer = connection.getresponse()
    told = answer.read().decode()
    connection.close()
    assert answer.status == 200, (answer.status, told)
    return int(re.search(r'"version":\s*(\d+)', told)[1])  # type: ignore[index]
