"""Tests that several processes at one mailbox do everything once, although the service refuses requests above a limit.

Three real processes with four threads each work on one PostgreSQL, through the real provider and over HTTP. The double
of Microsoft 365 serves four requests at a time for each mailbox, and answers the others with 429 and a Retry-After.
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
from tests.doubles.graph import Double, Hands, make_section
from tests.support import ROOT
from tests.support.companies import DANA, HOUR, MINUTE, START, Office, pair, pairs, person, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Answer, EffectProgress, SessionState
from worker.providers.limiter import MAX_CONCURRENT
from worker.settings.load import Settings

PROCESSES, THREADS, REPORTS = 3, 4, 8
#: The fields of the section `outlook` by which the processes reach the double.
ENDPOINT_FIELDS = ("endpoint", "authority", "tenant", "client_id", "ca_file")


def graph_settings(database: str, secret: str, *endpoint_fields: str) -> Settings:
    """Return settings with calendars and mail on the double. All mails are sent from the manager's own mailbox."""
    return settings(
        database,
        calendars={"outlook": dict(zip(ENDPOINT_FIELDS, endpoint_fields, strict=True))},
        mail={"from": DANA, "operator_by": "outlook"},
        passwords={"outlook": SecretStr(secret)},
    )


# --- a process ---


def run_process(*arguments: str) -> None:
    """Work in rounds, for each of which standard input has two lines.

    The first line is an instant: do what is due then. At the second line, stop and print how much was done.
    """
    clock = SteppedClock(START)
    worker = build(graph_settings(*arguments), clock)
    with ThreadPoolExecutor(THREADS) as threads:
        for line in sys.stdin:
            clock.move_to(max(clock(), datetime.fromisoformat(line.strip())))
            stop = Event()
            futures = [threads.submit(work_until, stop, worker) for _ in range(THREADS)]
            sys.stdin.readline()
            stop.set()
            sys.stdout.write(f"{sum(future.result() for future in futures)}\n")
            sys.stdout.flush()
    worker.close()


def work_until(stop: Event, worker: Worker) -> int:
    """Do what is due, one effect at a time, until `stop` is set. Returns how much was done."""
    total = 0
    while not stop.is_set():
        count = (
            worker.sync.run(worker.holder) + worker.sweep.run(worker.holder) + worker.outbox.run(worker.holder, limit=1)
        )
        total += count
        stop.wait(0 if count else 0.1)
    return total


class Processes:
    """The processes. They all have the same time, which moves only between rounds."""

    def __init__(self, processes: list["subprocess.Popen[str]"]) -> None:
        self._processes = processes
        self.done_counts = [0] * len(processes)
        self.run_round(START, lambda: True)  # waits until all processes have started

    def run_round(self, now: datetime, is_over: Callable[[], bool]) -> None:
        """Let the processes do what is due at this instant, until the round is over."""
        self._write_line(now.isoformat())
        end = monotonic() + 60
        while not is_over():
            assert monotonic() < end, "the processes did not finish within a minute"
            select.select([], [], [], 0.05)
        self._write_line("stop")
        for number, process in enumerate(self._processes):
            assert process.stdout
            self.done_counts[number] += int(process.stdout.readline())

    def _write_line(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{line}\n")
            process.stdin.flush()


@contextmanager
def start_processes(*arguments: str) -> Iterator[Processes]:
    """Start the processes. They end when their standard input ends."""
    command = [sys.executable, "-m", "tests.engine.test_mailbox_limit", *arguments]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            for _ in range(PROCESSES)
        ]
        yield Processes(processes)


# --- the test ---


def run_until_done(office: Office, processes: Processes) -> None:
    """Tick every minute, as `longarc run` does, until no effect is due within the next hour."""

    for _ in range(600):
        while not office.is_at_rest():
            processes.run_round(office.clock(), office.is_at_rest)
        if not any(effect.is_pending and effect.due_at <= office.clock() + HOUR for effect in office.effects()):
            return  # the mails above the daily limit are due the next morning, as one overflow mail (T-16)
        office.clock.move_to(office.clock() + MINUTE)
    raise AssertionError(office.store.outbox.count_by_progress())


@pytest.mark.proof
def test_three_processes_at_one_mailbox_do_everything_once(
    postgres: Postgres, record_property: Callable[[str, object], None]
) -> None:
    reports = [f"r{number}@corp.example" for number in range(REPORTS)]
    persons = {email: person(email, calendar="outlook", mail="outlook") for email in (DANA, *reports)}
    with Double(delay=0.15) as double:
        outlook_section = make_section(double)
        for email in persons:
            double.world.add_person(email, "Europe/Berlin")
        database = postgres.take_migrated()
        endpoint_fields = [str(outlook_section[name]) for name in ENDPOINT_FIELDS]
        arguments = (database, outlook_section["password"], *endpoint_fields)
        office = Office(
            database,
            persons,
            pairs(*(pair(DANA, report) for report in reports)),
            office_settings=graph_settings(*arguments),
        )
        with start_processes(*arguments) as processes:
            run_until_done(office, processes)
            for session in office.store.queries.list_sessions():
                Hands(double).answer(DANA, session.pair.report, session.key, Answer.DECLINED)
            office.clock.move_to(office.clock() + MINUTE)
            office.store.calendars.make_due([DANA], office.clock())
            run_until_done(office, processes)
        throttled, served = double.counts["throttled"], len(double.seen)
        message = f"{throttled} requests of {throttled + served} were answered with 429"
        record_property("throttled", message)
        assert throttled and max(double.most_at_once.values()) == MAX_CONCURRENT, message
        assert min(processes.done_counts) > 0, "a process did nothing"
        check_events_and_mails(office, double)
        office.close()


def check_events_and_mails(office: Office, double: Double) -> None:
    """Check that each session has one event, at the time in the database, and that each mail was sent once."""
    sessions = office.store.queries.list_sessions()
    assert len({s.pair for s in sessions}) == len(sessions) == REPORTS
    assert {(s.count, s.state) for s in sessions} == {(1, SessionState.BOOKED)}
    items = [item for item in double.world.mailboxes[DANA].items.values() if item.extended_properties]
    tags_and_times = sorted((*item.extended_properties.values(), item.start, item.end) for item in items)
    assert tags_and_times == sorted((f"longarc/{s.key}", s.span.start, s.span.end) for s in sessions)
    sent = Counter(mail["Message-ID"] for _, mail in double.mails.outbox)
    assert set(sent.values()) == {1}
    mails = [effect for effect in office.effects() if effect.name]
    mail_counts = Counter(mail.name for mail in mails)
    assert (mail_counts["introduction"], mail_counts["deferral_notice"]) == (REPORTS + 1, 2 * REPORTS)
    history_counts = Counter(line["what"] for line in office.history())
    assert (history_counts["event.create"], history_counts["event.update"]) == (REPORTS, REPORTS)
    done = [mail for mail in mails if mail.progress is EffectProgress.DONE]
    assert history_counts["mail"] == len(sent) == len(done) - history_counts["mail.folded"]
    not_done = [effect for effect in office.effects() if effect.progress is not EffectProgress.DONE]
    assert all(effect.name and effect.due_at != office.clock() for effect in not_done), (
        "other effects than later mails are not done"
    )


if __name__ == "__main__":
    run_process(*sys.argv[1:])
