"""The Huey queue and its tasks. Importing this module creates the queue from the settings.

Tasks have no arguments: each reads from the database what is due. So a task that is lost, repeated or late does no
harm.

The environment variable `LONGARC_CONFIG` names the settings file; `longarc run` sets it for its own process.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from threading import Event
from time import monotonic

from huey.api import Huey, PostgresHuey, RedisHuey, SqliteHuey, crontab
from huey.storage import PostgresStorage
from sqlalchemy import make_url

from worker import private_files
from worker.app import Worker, build
from worker.clock import utcnow
from worker.engine.outages import DATABASE, QUEUE, Outages
from worker.errors import LongarcError, PeopleImportRefused
from worker.settings import load as settings_file
from worker.store.database import LOCK_TIMEOUT_SECONDS, DatabaseUnreachable, describe_database_outage
from worker.store.store import Store

QUEUE_NAME = "longarc"
#: How many effects a worker takes on before others may take theirs.
EFFECTS_AT_ONCE = 10
#: Set when this process has to stop: tasks finish what they have begun, and begin nothing more.
stopping = Event()
#: The outages that this process has noticed.
outages = Outages()


def make_huey(settings: settings_file.Settings) -> Huey:
    """Create the queue: in Redis when `queue` is a Redis URL; else in PostgreSQL, or in a file beside SQLite's."""
    if settings.queue.startswith(("redis://", "rediss://")):
        return RedisHuey(QUEUE_NAME, url=settings.queue, results=False)
    url = make_url(settings.database)
    if url.get_backend_name() == "postgresql":
        dsn = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return PostgresHuey(QUEUE_NAME, dsn=dsn, results=False, create_tables=False)
    database_file = Path(url.database or "longarc.db")
    queue_file = database_file.with_suffix(".queue.db")
    private_files.make_folder(queue_file.parent)
    private_files.create(queue_file)
    return SqliteHuey(QUEUE_NAME, filename=str(queue_file), results=False, timeout=LOCK_TIMEOUT_SECONDS)


def create_queue_tables(queue: Huey, store: Store) -> None:
    """Create the queue's own tables in PostgreSQL, in one process at a time. Elsewhere Huey needs no help.

    Huey's statements fail when several processes run them at once on an empty database.
    """
    if isinstance(queue.storage, PostgresStorage):
        with store.database.lock_schema():
            queue.storage.initialize_schema()


def _load_settings() -> settings_file.Settings:
    path = os.environ.get("LONGARC_CONFIG")
    return settings_file.load_settings(Path(path) if path else None, os.environ)


huey = make_huey(_load_settings())


_worker_overrides: list[Worker] = []


def get_worker() -> Worker:
    """Return this process's worker. Builds it at the first call, unless `run_tasks_immediately` set one."""
    return _worker_overrides[-1] if _worker_overrides else _build_worker()


@cache
def _build_worker() -> Worker:
    worker = build(_load_settings())
    worker.store.migrate()
    create_queue_tables(huey, worker.store)
    worker.wake = start_sync
    return worker


def start_sync(delay: timedelta) -> None:
    """Have a worker read the calendars and plan the pairs that are due, after a delay."""
    if delay > timedelta(0):
        sync.schedule(delay=delay)
    else:
        sync()


@contextmanager
def run_tasks_immediately(worker: Worker) -> Iterator[None]:
    """Run tasks in this thread as soon as they are called, with this worker. The demo does so, with a stepped clock."""
    was_immediate = huey.immediate
    huey.immediate = True
    _worker_overrides.append(worker)
    try:
        yield
    finally:
        _worker_overrides.pop()
        huey.immediate = was_immediate


@contextmanager
def record_outages(name: str) -> Iterator[None]:
    """Record a failure of the task as an outage, so that Huey does not log each one. The next tick tries again."""
    task = f"The task {name}"
    outages.record_recovery(QUEUE, utcnow())
    try:
        yield
    except Exception as error:
        if problem := describe_database_outage(error):
            outages.record_failure(DATABASE, problem, utcnow())
        elif isinstance(error, LongarcError):
            outages.record_failure(task, str(error), utcnow())
        else:
            raise
    else:
        outages.record_recovery(DATABASE, utcnow())
        outages.record_recovery(task, utcnow())


@huey.periodic_task(crontab())
def tick() -> None:
    """Import the roster if it changed, and start the tasks that have something to do. Runs each minute."""
    with record_outages("tick"):
        _run_tick(get_worker())


def _run_tick(worker: Worker) -> None:
    mail_failures = worker.store.outbox.load_mail_failures(worker.settings.mail.operator_by)
    outages.update_services(worker.store.calendars.load_failures(), mail_failures, worker.clock())
    try:
        worker.import_people()
    except PeopleImportRefused as refusal:  # one alert for each content of the file
        worker.store.outbox.alert(f"people:{refusal.digest}", str(refusal), worker.clock(), worker.settings.operator)
    except DatabaseUnreachable:
        raise
    except LongarcError as error:
        now = worker.clock()
        worker.store.outbox.alert(f"people:{now:%Y-%m-%d}", str(error), now, worker.settings.operator)
    worker.participation.run()
    worker.pulse.run()
    worker.erasure.run()
    worker.channels.refresh()
    due = worker.store.load_next_due().select_due(worker.clock())
    for is_due, task in ((due.channel, keep_channels), (due.calendar, sync), (due.pair, sweep), (due.effect, deliver)):
        if is_due:
            task()


@huey.task()
def keep_channels() -> None:
    """Open, renew and close the channels that are due, then start the sync of calendars that may have changed."""
    with record_outages("keep_channels"):
        worker = get_worker()
        worker.channels.keep(worker.holder, stopping.is_set)
        if worker.store.load_next_due().select_due(worker.clock()).calendar:
            sync()


@huey.task()
def sync() -> None:
    """Read the calendars that are due, then do what follows."""
    turn = Turn()
    _work("sync", turn, lambda worker: worker.sync.run(worker.holder))
    _do_what_follows(turn)


@huey.task()
def sweep() -> None:
    """Plan the pairs that are due, then do what follows."""
    turn = Turn()
    _plan_pairs(turn)
    _do_what_follows(turn)


@huey.task()
def deliver() -> None:
    """Perform the effects that are due, then do what follows."""
    turn = Turn()
    _perform_effects(turn)
    _do_what_follows(turn)


class Turn:
    """The time that a task has, until others that wait for this worker have theirs: a change that was just told must
    not wait until a whole company is booked."""

    LENGTH = timedelta(seconds=10)

    def __init__(self) -> None:
        self._end = monotonic() + self.LENGTH.total_seconds()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return stopping.is_set() or monotonic() >= self._end


def _do_what_follows(turn: Turn) -> None:
    """Plan pairs and perform effects until none are due, or all are in other hands. What is left when the turn is over
    waits in the queue.

    It is done here and now: tasks that start each other wait in the queue each time, and are far more than there is
    work for, as each sees what the others are about to do.
    """
    with record_outages("what follows"):
        worker, has_worked = get_worker(), True
        while has_worked and not turn.is_over:
            due = worker.store.load_next_due().select_due(worker.clock())
            has_worked = bool(due.pair) and _plan_pairs(turn) > 0
            has_worked = (bool(due.pair or due.effect) and _perform_effects(turn) > 0) or has_worked
        if turn.is_over and not stopping.is_set():
            _start_due_task(worker)


def _start_due_task(worker: Worker) -> None:
    """Start the first task that has something to do."""
    due = worker.store.load_next_due().select_due(worker.clock())
    for is_due, task in ((due.calendar, sync), (due.pair, sweep), (due.effect, deliver)):
        if is_due:
            task()
            return


def _plan_pairs(turn: Turn) -> int:
    """Plan the pairs that are due. Returns how many there were."""
    return _work("sweep", turn, lambda worker: worker.sweep.run(worker.holder))


def _perform_effects(turn: Turn) -> int:
    """Perform the effects that are due; other workers help when there are many. Returns how many there were."""
    are_called = huey.immediate

    def perform(worker: Worker) -> int:
        nonlocal are_called
        count = worker.outbox.run(worker.holder, EFFECTS_AT_ONCE)
        if count == EFFECTS_AT_ONCE and not are_called:
            deliver()
            are_called = True
        return count

    return _work("deliver", turn, perform)


def _work(name: str, turn: Turn, run: Callable[[Worker], int]) -> int:
    """Run it at least once, and until there is nothing to do for it, or the turn is over. Returns how much was done."""
    done = 0
    with record_outages(name):
        worker = get_worker()
        while not stopping.is_set() and (count := run(worker)):
            done += count
            if turn.is_over:
                break
    return done
