"""Several machines on one PostgreSQL: each event and each mail exactly once, no hour given away twice.

Three real processes work through one company at the same instant, in small bites so that they get into each other's
way. The calendar and the mail service they share live in the test's own process, which counts what is asked of them.
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
from tests.support.companies import MINUTE, SERVICE, START, Office, company, new_store, settings
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

PROCESSES, PAIRS = 3, 200 if FULL else 96


# --- the services they share ---


class Shared:
    """One service for many processes, one call at a time, each counted."""

    def __init__(self, service: object) -> None:
        self._service = service
        self._lock = Lock()
        self.asked: Counter[str] = Counter()

    def ask(self, operation: str, *given: Any) -> Any:
        with self._lock:
            self.asked[operation] += 1
            return getattr(self._service, operation)(*given)


class Services(BaseManager):
    """Serves them on a socket."""


class Far:
    """The calendar or the mailer, as a process far from it sees it."""

    def __init__(self, shared: BaseProxy) -> None:
        self._shared: Any = shared

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        return self._shared.ask("free_busy", people, window)  # type: ignore[no-any-return]

    def changes(self, calendar: Address, cursor: str | None, window: Span) -> CalendarChanges:
        return self._shared.ask("changes", calendar, cursor, window)  # type: ignore[no-any-return]

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        return self._shared.ask("create", calendar, draft)  # type: ignore[no-any-return]

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        return self._shared.ask("update", ref, draft)  # type: ignore[no-any-return]

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self._shared.ask("cancel", ref)

    def find(self, calendar: Address, key: str) -> Event | None:
        return self._shared.ask("find", calendar, key)  # type: ignore[no-any-return]

    def check(self, person: Address) -> list[Any]:
        return []

    def send(self, message: EmailMessage, key: str) -> None:
        self._shared.ask("send", message, key)

    def was_sent(self, key: str) -> bool | None:
        return self._shared.ask("was_sent", key)  # type: ignore[no-any-return]


# --- one of the processes ---


def work(worker: Worker) -> int:
    """Do what is due in small bites; how much that was."""
    holder = worker.holder
    return worker.sync.run(holder, 2) + worker.sweep.run(holder, 5) + worker.outbox.run(holder, 5)


def child(database: str, socket: str) -> None:
    """Work whenever there is something to do, and count it, until there is no more input."""
    Services.register("calendar")
    Services.register("mailer")
    services = Services(address=socket, authkey=b"tests")
    services.connect()
    worker = build(settings(database), SteppedClock(START))
    far = {name: Far(getattr(services, name)()) for name in ("calendar", "mailer")}
    worker.services.use(calendars={SERVICE: far["calendar"]}, mailers={SERVICE: far["mailer"]})
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    done, idle = 0, 0.0
    while not select.select([sys.stdin], [], [], idle)[0]:
        some = work(worker)
        done, idle = done + some, 0.0 if some else 0.05
    worker.close()
    sys.stdout.write(f"{done}\n")


class Machines:
    """The processes, started together."""

    def __init__(self, database: str, socket: str) -> None:
        command = [sys.executable, "-m", "tests.engine.test_many_machines", database, socket]
        self._all = [
            subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(PROCESSES)
        ]
        for one in self._all:
            assert self._line(one) == "ready"

    @staticmethod
    def _line(one: "subprocess.Popen[str]") -> str:
        assert one.stdout
        ready, _, _ = select.select([one.stdout], [], [], 60)
        assert ready, "a process says nothing"
        return one.stdout.readline().strip()

    def go(self) -> None:
        for one in self._all:
            assert one.stdin
            one.stdin.write("go\n")
            one.stdin.flush()

    def stop(self) -> list[int]:
        """How much each of them did."""
        for one in self._all:
            assert one.stdin
            one.stdin.close()
        done = [self._line(one) for one in self._all]
        assert [one.wait(30) for one in self._all] == [0] * PROCESSES
        for one in self._all:
            assert one.stdout
            one.stdout.close()
        return [int(count) for count in done]


# --- the proof ---


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Shared, Shared, str]]:
    """Calendar, mailer, and the socket they are served on, in this very process."""
    calendar, mailer = Shared(MemoryCalendar()), Shared(MemoryMailer())

    class Serving(BaseManager):
        pass

    Serving.register("calendar", lambda: calendar, exposed=("ask",))
    Serving.register("mailer", lambda: mailer, exposed=("ask",))
    socket = str(tmp_path / "services")
    server = Serving(address=socket, authkey=b"tests").get_server()

    def serve() -> None:
        with suppress(SystemExit):  # a manager ends its process when it has served; this one is a thread among others
            server.serve_forever()

    thread = Thread(target=serve, daemon=True)
    thread.start()
    yield calendar, mailer, socket
    server.stop_event.set()  # type: ignore[attr-defined]
    thread.join(10)


def until(condition: Callable[[], bool], office: Office, seconds: float = 60) -> None:
    """Wait until it holds, asking again and again."""
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, office.store.outbox.count_by_progress()
        select.select([], [], [], 0.1)


@pytest.mark.proof
def test_three_machines_do_everything_once(postgres: Postgres, shared: tuple[Shared, Shared, str]) -> None:
    calendar, mailer, socket = shared
    url = postgres.migrated()
    persons, listed = company(PAIRS, reports=8)
    office = Office(url, persons, listed)
    machines = Machines(url, socket)
    machines.go()
    until(lambda: office.is_at_rest() and len(office.messages("event.create")) >= PAIRS, office)
    sessions = {s.pair: s for s in office.store.queries.list_sessions() if s.kind is SessionKind.CAREER}
    assert len(sessions) == PAIRS and {s.state for s in sessions.values()} == {SessionState.BOOKED}
    managers = len({pair_id.manager for pair_id in listed})
    assert calendar.asked["create"] == PAIRS and mailer.asked["send"] == PAIRS + managers
    memory: MemoryCalendar = calendar._service  # type: ignore[assignment]
    for pair_id, session in sessions.items():
        memory.answer(pair_id.manager, session.key, pair_id.report, Answer.DECLINED)
    office.store.calendars.make_due(sorted({one.manager for one in listed.values()}), START)
    until(lambda: office.is_at_rest() and len(office.messages("event.update")) >= PAIRS, office)
    shares = machines.stop()
    assert min(shares) > 0, "each of them did a part"
    assert calendar.asked["update"] == PAIRS and calendar.asked["create"] == PAIRS
    _check(office, memory, mailer._service)  # type: ignore[arg-type]
    office.close()


def _check(office: Office, memory: MemoryCalendar, mails: MemoryMailer) -> None:
    sessions = office.store.queries.list_sessions()
    assert {(s.count, s.state) for s in sessions} == {(1, SessionState.BOOKED)}
    for manager in {s.pair.manager for s in sessions}:
        mine = sorted((s for s in sessions if s.pair.manager == manager), key=lambda s: s.span)
        whole = Span(START, START + 60 * 24 * 60 * MINUTE)
        events = sorted((e for e in memory.changes(manager, None, whole).events if e.key), key=lambda e: e.span)
        assert [(e.key, e.span) for e in events] == [(s.key, s.span) for s in mine]
        assert len({s.span.start.date() for s in mine}) == len(mine), "one a day"
        assert all(b.span.start - a.span.end >= 15 * MINUTE for a, b in pairwise(mine))
    sent = Counter(key for key, _ in mails.sent)
    assert set(sent.values()) == {1}
    managers = {s.pair.manager for s in sessions}
    effects = [m for m in office.messages() if m.name]
    decided = Counter(m.name for m in effects)
    assert (decided["introduction"], decided["deferral_notice"]) == (PAIRS + len(managers), 2 * PAIRS)
    told_in = {m.key for m in effects if m.progress is EffectProgress.DONE} - sent.keys()
    by_reader = Counter(m.to for m in effects if m.key in sent)
    assert max(by_reader[manager] for manager in managers) <= 3, "the rest of the day in one mail the next morning"
    told = Counter(line["what"] for line in office.history())
    assert (told["event.create"], told["event.update"], told["mail"]) == (PAIRS, PAIRS, len(sent))
    dropped = [m.name for m in effects if m.progress is EffectProgress.DROPPED]
    assert dropped == ["weekly"] * len(managers), "times to choose from are told by the notices"
    assert told["mail.folded"] == len(told_in) == len(effects) - decided["overflow"] - len(sent) - len(dropped)
    assert decided["overflow"] == len(managers)


def test_sweeps_and_wakes_that_cross_do_not_stop_each_other(postgres: Postgres) -> None:
    """Two that lock the same pairs in opposite orders wait for each other, until the database kills one of them."""
    url = postgres.migrated()
    persons, listed = company(60, reports=1)
    stores = [new_store(url) for _ in range(4)]
    stores[0].people.apply_import(persons, listed, START)
    ids = sorted(listed)

    together = Barrier(3)

    def sweeps() -> None:
        for _ in range(15):
            mine = stores[0].plans.claim_pairs(ids, START, "sweep", START + MINUTE)
            wakes = stores[0].plans.load(mine, START).wake_counts
            plans = [Plan(pair=one, used_free_busy=n % 2 == 0) for n, one in enumerate(reversed(mine))]
            together.wait(30)
            stores[0].plans.commit(plans, wakes, "sweep", START)
            together.wait(30)

    def wakes(number: int) -> None:
        for _ in range(15):
            together.wait(30)
            stores[number].plans.wake(ids, START, reread_free_busy=True)
            together.wait(30)

    def takes_over() -> None:
        for _ in range(10):
            stores[3].people.apply_import(dict(reversed(persons.items())), dict(reversed(listed.items())), START)

    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(sweeps), pool.submit(wakes, 1), pool.submit(wakes, 2), pool.submit(takes_over)]
        assert [one.exception(60) for one in running] == [None] * 4
    for store in stores:
        store.close()


if __name__ == "__main__":
    child(*sys.argv[1:])
