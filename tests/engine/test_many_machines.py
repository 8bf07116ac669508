"""Tests that several machines on one PostgreSQL write each event and each mail once, and use no time twice.

Three real processes work for one company at the same instant. They take few rows at a time, so that they often compete
for the same rows. The calendar and the mail service run in the process of the test, which counts the requests to them.
"""

import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from itertools import pairwise
from multiprocessing.managers import BaseManager, BaseProxy
from pathlib import Path
from threading import Barrier, Lock, Thread
from time import monotonic
from typing import Any

import pytest

from tests.conftest import Postgres
from tests.support import ROOT
from tests.support.companies import DAY, MINUTE, SERVICE, START, Office, company, new_store, settings
from tests.support.proof import FULL
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import (
    Address,
    Answer,
    CalendarChanges,
    EffectProgress,
    Event,
    EventDraft,
    EventRef,
    FreeBusy,
    Plan,
    SessionKind,
    SessionState,
    Span,
)
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.store.store import Store

PROCESSES, PAIRS = 3, 200 if FULL else 96


# --- the services that the processes share ---


class SharedService:
    """A service for many processes. It serves one request at a time, and counts the requests."""

    def __init__(self, service: object) -> None:
        self._service = service
        self._lock = Lock()
        self.request_counts: Counter[str] = Counter()

    def call(self, operation: str, *arguments: Any) -> Any:
        with self._lock:
            self.request_counts[operation] += 1
            return getattr(self._service, operation)(*arguments)


class ServicesClient(BaseManager):
    """The connection of a process to the shared services, over a socket."""


class RemoteService:
    """The calendar or the mail service, as another process calls it."""

    def __init__(self, proxy: BaseProxy) -> None:
        self._shared: Any = proxy

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        return self._shared.call("free_busy", people, window)  # type: ignore[no-any-return]

    def changes(self, calendar: Address, cursor: str | None, window: Span) -> CalendarChanges:
        return self._shared.call("changes", calendar, cursor, window)  # type: ignore[no-any-return]

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        return self._shared.call("create", calendar, draft)  # type: ignore[no-any-return]

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        return self._shared.call("update", ref, draft)  # type: ignore[no-any-return]

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self._shared.call("cancel", ref)

    def find(self, calendar: Address, key: str) -> Event | None:
        return self._shared.call("find", calendar, key)  # type: ignore[no-any-return]

    def check(self, person: Address) -> list[Any]:
        return []

    def send(self, message: EmailMessage, key: str) -> None:
        self._shared.call("send", message, key)

    def was_sent(self, key: str) -> bool | None:
        return self._shared.call("was_sent", key)  # type: ignore[no-any-return]


# --- a process ---


def do_some_work(worker: Worker) -> int:
    """Do a few things that are due. Returns how many were done."""
    holder = worker.holder
    return worker.sync.run(holder, limit=2) + worker.sweep.run(holder, limit=5) + worker.outbox.run(holder, limit=5)


def run_process(database: str, socket: str) -> None:
    """Work from the first line of standard input until its end, then print how many things were done."""
    ServicesClient.register("calendar")
    ServicesClient.register("mailer")
    services = ServicesClient(address=socket, authkey=b"tests")
    services.connect()
    worker = build(settings(database), SteppedClock(START))
    remote = {name: RemoteService(getattr(services, name)()) for name in ("calendar", "mailer")}
    worker.services.use(calendars={SERVICE: remote["calendar"]}, mailers={SERVICE: remote["mailer"]})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    total, pause = 0, 0.0
    while not select.select([sys.stdin], [], [], pause)[0]:
        count = do_some_work(worker)
        total, pause = total + count, 0.0 if count else 0.05
    worker.close()
    sys.stdout.write(f"{total}\n")


class Machines:
    """The processes. They are ready when this is constructed, and work from `start` to `stop`."""

    def __init__(self, database: str, socket: str) -> None:
        command = [sys.executable, "-m", "tests.engine.test_many_machines", database, socket]
        self._processes = [
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        for process in self._processes:
            assert self._read_line(process) == "ready"

    @staticmethod
    def _read_line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout
        readable, _, _ = select.select([process.stdout], [], [], 60)
        assert readable, "a process printed nothing for a minute"
        return process.stdout.readline().strip()

    def start(self) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()

    def stop(self) -> list[int]:
        """End the processes. Returns how many things each of them did."""
        for process in self._processes:
            assert process.stdin
            process.stdin.close()
        counts = [self._read_line(process) for process in self._processes]
        assert [process.wait(30) for process in self._processes] == [0] * PROCESSES
        for process in self._processes:
            assert process.stdout
            process.stdout.close()
        return [int(count) for count in counts]


# --- the tests ---


@pytest.fixture
def shared_services(tmp_path: Path) -> Iterator[tuple[SharedService, SharedService, str]]:
    """The calendar service, the mail service, and the socket on which a thread of this process serves them."""
    calendar, mailer = SharedService(MemoryCalendar()), SharedService(MemoryMailer())

    class ServicesServer(BaseManager):
        pass

    ServicesServer.register("calendar", lambda: calendar, exposed=("call",))
    ServicesServer.register("mailer", lambda: mailer, exposed=("call",))
    socket = str(tmp_path / "services")
    server = ServicesServer(address=socket, authkey=b"tests").get_server()

    def serve() -> None:
        with suppress(SystemExit):  # at its end, `serve_forever` raises SystemExit, which must end this thread alone
            server.serve_forever()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield calendar, mailer, socket
    server.stop_event.set()  # type: ignore[attr-defined]
    thread.join(10)


def wait_until(condition: Callable[[], bool], office: Office, seconds: float = 60) -> None:
    """Check the condition repeatedly until it is true. Fails after so many seconds."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, office.store.outbox.count_by_progress()
        select.select([], [], [], 0.1)


@pytest.mark.proof
def test_three_machines_write_each_event_and_mail_once(
    postgres: Postgres, shared_services: tuple[SharedService, SharedService, str]
) -> None:
    calendar, mailer, socket = shared_services
    url = postgres.take_migrated()
    persons, listed = company(PAIRS, reports=8)
    office = Office(url, persons, listed)
    machines = Machines(url, socket)
    machines.start()
    wait_until(lambda: office.is_at_rest() and len(office.effects("event.create")) >= PAIRS, office)
    sessions = {s.pair: s for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER}
    assert len(sessions) == PAIRS and {s.state for s in sessions.values()} == {SessionState.BOOKED}
    managers = len({pair_id.manager for pair_id in listed})
    assert calendar.request_counts["create"] == PAIRS and mailer.request_counts["send"] == PAIRS + managers
    memory: MemoryCalendar = calendar._service  # type: ignore[assignment]
    for pair_id, session in sessions.items():
        memory.answer(pair_id.manager, session.key, pair_id.report, Answer.DECLINED)
    office.store.calendars.make_due(sorted({pair.manager for pair in listed.values()}), START)
    wait_until(lambda: office.is_at_rest() and len(office.effects("event.update")) >= PAIRS, office)
    counts = machines.stop()
    assert min(counts) > 0, "a process did nothing"
    assert calendar.request_counts["update"] == PAIRS and calendar.request_counts["create"] == PAIRS
    check_company(office, memory, mailer._service)  # type: ignore[arg-type]
    office.close()


def check_company(office: Office, memory: MemoryCalendar, mailer: MemoryMailer) -> None:
    """Check that each session was moved once, has one event and keeps the buffer, and that each mail was sent once."""
    sessions = office.store.queries.list_sessions()
    assert {(s.count, s.state) for s in sessions} == {(1, SessionState.BOOKED)}
    for manager in {s.pair.manager for s in sessions}:
        manager_sessions = sorted((s for s in sessions if s.pair.manager == manager), key=lambda s: s.span)
        sixty_days = Span(START, START + 60 * DAY)
        events = sorted((e for e in memory.changes(manager, None, sixty_days).events if e.key), key=lambda e: e.span)
        assert [(e.key, e.span) for e in events] == [(s.key, s.span) for s in manager_sessions]
        assert len({s.span.start.date() for s in manager_sessions}) == len(manager_sessions), (
            "two sessions are on one day"
        )
        assert all(b.span.start - a.span.end >= 15 * MINUTE for a, b in pairwise(manager_sessions)), (
            "two sessions are closer than the buffer"
        )
    sent = Counter(key for key, _ in mailer.sent)
    assert set(sent.values()) == {1}
    managers = {s.pair.manager for s in sessions}
    mails = [effect for effect in office.effects() if effect.name]
    mail_counts = Counter(mail.name for mail in mails)
    assert (mail_counts["introduction"], mail_counts["deferral_notice"]) == (PAIRS + len(managers), 2 * PAIRS)
    folded = {mail.key for mail in mails if mail.progress is EffectProgress.DONE} - sent.keys()
    mails_by_reader = Counter(mail.to for mail in mails if mail.key in sent)
    assert max(mails_by_reader[manager] for manager in managers) <= 3  # more mails go into the overflow mail (T-16)
    history_counts = Counter(line["what"] for line in office.history())
    event_and_mail_counts = history_counts["event.create"], history_counts["event.update"], history_counts["mail"]
    assert event_and_mail_counts == (PAIRS, PAIRS, len(sent))
    dropped = [mail.name for mail in mails if mail.progress is EffectProgress.DROPPED]
    assert dropped == ["weekly"] * len(managers)  # the notices already tell the times to choose from
    folded_count = history_counts["mail.folded"]
    assert folded_count == len(folded) == len(mails) - mail_counts["overflow"] - len(sent) - len(dropped)
    assert mail_counts["overflow"] == len(managers)


def test_concurrent_sweeps_wakes_and_imports_do_not_deadlock(postgres: Postgres) -> None:
    """Two transactions that lock the same pairs in opposite orders deadlock, and PostgreSQL aborts one of them."""
    url = postgres.take_migrated()
    persons, listed = company(60, reports=1)
    sweep_store, wake_store, other_wake_store, import_store = stores = [new_store(url) for _ in range(4)]
    sweep_store.people.apply_import(persons, listed, START)
    ids = sorted(listed)

    barrier = Barrier(3)  # each round, the sweep commits while the other two wake the same pairs

    def sweep() -> None:
        for _ in range(15):
            claimed_ids = sweep_store.plans.claim_pairs(ids, START, "sweep", START + MINUTE)
            wake_counts = sweep_store.plans.load(claimed_ids, START).wake_counts
            plans = [Plan(pair=pair_id, used_free_busy=n % 2 == 0) for n, pair_id in enumerate(reversed(claimed_ids))]
            barrier.wait(30)
            sweep_store.plans.commit(plans, wake_counts, "sweep", START)
            barrier.wait(30)

    def wake_pairs(store: Store) -> None:
        for _ in range(15):
            barrier.wait(30)
            store.plans.wake(ids, START, reread_free_busy=True)
            barrier.wait(30)

    def import_people() -> None:
        for _ in range(10):
            import_store.people.apply_import(dict(reversed(persons.items())), dict(reversed(listed.items())), START)

    with ThreadPoolExecutor(4) as pool:
        futures = [
            pool.submit(sweep),
            pool.submit(wake_pairs, wake_store),
            pool.submit(wake_pairs, other_wake_store),
            pool.submit(import_people),
        ]
        assert [future.exception(60) for future in futures] == [None] * 4
    for store in stores:
        store.close()


if __name__ == "__main__":
    run_process(*sys.argv[1:])
