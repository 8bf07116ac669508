"""Several processes at one mailbox: the service refuses what goes over its limit, and everything is done exactly once.

Three real processes of four threads work on one PostgreSQL, through the real provider and over HTTP. The double of
Microsoft 365 takes four requests at a time for each mailbox, and answers the others with 429 and a Retry-After.
"""

import select
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Event
from time import monotonic

import pytest
from pydantic import SecretStr

from tests.conftest import Postgres
from tests.doubles.graph import Double, Hands, section
from tests.support import ROOT
from tests.support.companies import DANA, HOUR, MINUTE, START, Office, pair, pairs, person, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Answer, EffectProgress, SessionState
from worker.providers.limiter import MAX_CONCURRENT
from worker.settings.load import Settings

PROCESSES, THREADS, REPORTS = 3, 4, 8
REACH = ("endpoint", "authority", "tenant", "client_id", "ca_file")


def graph_settings(database: str, secret: str, *reach: str) -> Settings:
    """Calendars and mail go to the double, all mail from the manager's own mailbox."""
    return settings(
        database,
        calendars={"outlook": dict(zip(REACH, reach, strict=True))},
        mail={"from": DANA, "operator_by": "outlook"},
        passwords={"outlook": SecretStr(secret)},
    )


# --- one of the processes ---


def child(*given: str) -> None:
    """Lines on standard input come in twos: at the first, an instant, begin to do what is due then; at the second, stop
    and print how much was done."""
    clock = SteppedClock(START)
    worker = build(graph_settings(*given), clock)
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            clock.move_to(max(clock(), datetime.fromisoformat(line.strip())))
            stop = Event()
            running = [threads.submit(work, worker, stop) for _ in range(THREADS)]
            sys.stdin.readline()
            stop.set()
            sys.stdout.write(f"{sum(one.result() for one in running)}\n")
            sys.stdout.flush()
    worker.close()


def work(worker: Worker, stop: Event) -> int:
    """Do what is due, an effect at a time; how much that was."""
    done = 0
    while not stop.is_set():
        some = worker.sync.run(worker.holder) + worker.sweep.run(worker.holder) + worker.outbox.run(worker.holder, 1)
        done += some
        stop.wait(0 if some else 0.1)
    return done


class Processes:
    """The processes, in step: each has the same time, which moves while none of them does anything."""

    def __init__(self, running: list["subprocess.Popen[str]"]) -> None:
        self._running = running
        self.done = [0] * len(running)
        self.round(START, lambda: True)  # all of them have begun when this is over

    def round(self, now: datetime, over: Callable[[], bool]) -> None:
        """Let them work at this instant until it is over."""
        self._say(now.isoformat())
        end = monotonic() + 60
        while not over():
            assert monotonic() < end, "the processes came to no end"
            select.select([], [], [], 0.05)
        self._say("stop")
        for number, one in enumerate(self._running):
            assert one.stdout
            self.done[number] += int(one.stdout.readline())

    def _say(self, line: str) -> None:
        for one in self._running:
            assert one.stdin
            one.stdin.write(f"{line}\n")
            one.stdin.flush()


@contextmanager
def processes(*given: str) -> Iterator[Processes]:
    """Start them; they end with their input."""
    command = [sys.executable, "-m", "tests.engine.test_mailbox_limit", *given]
    with ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(PROCESSES)
        ]
        yield Processes(running)


# --- the proof ---


def run_until_done(office: Office, machines: Processes) -> None:
    """Tick every minute, as `longarc run` does, until every effect came to its end."""

    for _ in range(600):
        while not office.is_at_rest():
            machines.round(office.clock(), office.is_at_rest)
        if not any(effect.is_live and effect.due_at <= office.clock() + HOUR for effect in office.messages()):
            return  # what is left of the day's mails is told in one, the next morning (T-16)
        office.clock.move_to(office.clock() + MINUTE)
    raise AssertionError(office.store.outbox.count_by_progress())


@pytest.mark.proof
def test_three_processes_lose_and_double_nothing_at_one_mailbox(
    postgres: Postgres, record_property: Callable[[str, object], None]
) -> None:
    reports = [f"r{number}@corp.example" for number in range(REPORTS)]
    persons = {who: person(who, calendar="outlook", mail="outlook") for who in (DANA, *reports)}
    with Double(delay=0.15) as double:
        reach = section(double)
        for who in persons:
            double.world.add_person(who, "Europe/Berlin")
        given = (postgres.migrated(), reach["password"], *(str(reach[name]) for name in REACH))
        office = Office(given[0], persons, pairs(*(pair(DANA, who) for who in reports)), known=graph_settings(*given))
        with processes(*given) as machines:
            run_until_done(office, machines)
            for session in office.store.queries.list_sessions():
                Hands(double).answer(DANA, session.pair.report, session.key, Answer.DECLINED)
            office.clock.move_to(office.clock() + MINUTE)
            office.store.calendars.make_due([DANA], office.clock())
            run_until_done(office, machines)
        throttled, performed = double.counts["throttled"], len(double.seen)
        message = f"{throttled} requests of {throttled + performed} were answered with 429"
        record_property("throttled", message)
        assert throttled and max(double.peak.values()) == MAX_CONCURRENT, message
        assert min(machines.done) > 0, "each of them did a part"
        check(office, double)
        office.close()


def check(office: Office, double: Double) -> None:
    """One event for each session, at the time that the database says, and each mail once."""
    sessions = office.store.queries.list_sessions()
    assert len({s.pair for s in sessions}) == len(sessions) == REPORTS
    assert {(s.count, s.state) for s in sessions} == {(1, SessionState.BOOKED)}
    ours = [item for item in double.world.mailboxes[DANA].items.values() if item.extended_properties]
    stand = sorted((*item.extended_properties.values(), item.start, item.end) for item in ours)
    assert stand == sorted((f"longarc/{s.key}", s.span.start, s.span.end) for s in sessions)
    sent = Counter(mail["Message-ID"] for _, mail in double.mails.outbox)
    assert set(sent.values()) == {1}
    effects = [effect for effect in office.messages() if effect.name]
    decided = Counter(effect.name for effect in effects)
    assert (decided["introduction"], decided["deferral_notice"]) == (REPORTS + 1, 2 * REPORTS)
    told = Counter(line["what"] for line in office.history())
    assert (told["event.create"], told["event.update"]) == (REPORTS, REPORTS)
    done = [effect for effect in effects if effect.progress is EffectProgress.DONE]
    assert told["mail"] == len(sent) == len(done) - told["mail.folded"]
    others = [effect for effect in office.messages() if effect.progress is not EffectProgress.DONE]
    assert all(effect.name and effect.due_at != office.clock() for effect in others), "mails of another day"


if __name__ == "__main__":
    child(*sys.argv[1:])
