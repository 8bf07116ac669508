"""The Huey queue and its tasks. Importing this module creates the queue from the settings.

Each minute `tick` starts the tasks that have something to do: `keep_channels`, `sync`, which reads calendars, `sweep`,
which plans pairs, and `deliver`, which performs effects. Tasks have no arguments, since each one reads from the
database what is due. So a task that is lost, repeated or late does no harm.

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
#: How many effects a worker claims at once. The others that are due stay free for other workers.
EFFECTS_AT_ONCE = 10
#: For how long a task begins new work. Then the next tasks in the queue run.
TASK_BUDGET, CHANNELS_BUDGET = timedelta(seconds=10), timedelta(seconds=30)
#: Set when this process has to stop. Tasks then finish their work in progress, and begin no more work.
stopping = Event()
#: The outages that this process has noticed.
outages = Outages()


def make_huey(settings: settings_file.Settings) -> Huey:
    """Create the queue: in Redis if the setting `queue` is a Redis URL, or else with the database of the settings.

    With PostgreSQL, the queue is in the same database. With SQLite, it is in a second file beside the database file.
    """
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
    """Create the tables of a queue in PostgreSQL, in one process at a time. Does nothing for other queues.

    Huey's own statements fail when several processes run them at once on an empty database.
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
    """Return the worker of `run_tasks_immediately` in its block, or else that of this process.

    The worker of this process is built at the first call.
    """
    return _worker_overrides[-1] if _worker_overrides else _build_worker()


@cache
def _build_worker() -> Worker:
    worker = build(_load_settings())
    worker.store.migrate()
    create_queue_tables(huey, worker.store)
    worker.schedule_sync = start_sync
    return worker


def start_sync(delay: timedelta) -> None:
    """Put the task `sync` into the queue, to be run by any worker process after a delay."""
    if delay > timedelta(0):
        sync.schedule(delay=delay)
    else:
        sync()


@contextmanager
def run_tasks_immediately(worker: Worker) -> Iterator[None]:
    """Make tasks run with this worker, and in this thread as soon as they are called. For the demo and tests."""
    was_immediate = huey.immediate
    huey.immediate = True
    _worker_overrides.append(worker)
    try:
        yield
    finally:
        _worker_overrides.pop()
        huey.immediate = was_immediate


@contextmanager
def record_outages(task_name: str) -> Iterator[None]:
    """Record an expected error of the block as an outage of the database or of this task. The next tick tries again.

    Huey would log each such error with its traceback. Unexpected errors are raised.
    """
    task = f"The task {task_name}"
    outages.record_recovery(QUEUE, utcnow())  # a task runs, so the queue works
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
    """Import the roster if it changed, and start the tasks that have something to do. Huey runs this each minute."""
    with record_outages("tick"):
        _run_tick(get_worker())


def _run_tick(worker: Worker) -> None:
    operator_mail_service = worker.settings.mail.operator_by
    mail_failures = worker.store.outbox.load_mail_failures(operator_mail_service)
    outages.update_services(worker.store.calendars.load_failures(), mail_failures, worker.clock())
    try:
        worker.import_people()
    except PeopleImportRefused as refusal:  # the operator gets one alert for each content of the roster
        worker.store.outbox.alert(f"people:{refusal.digest}", str(refusal), worker.clock(), worker.settings.operator)
    except DatabaseUnreachable:
        raise  # an alert could not be stored; `record_outages` records the outage
    except LongarcError as error:
        now = worker.clock()
        # the operator gets one alert a day
        worker.store.outbox.alert(f"people:{now:%Y-%m-%d}", str(error), now, worker.settings.operator)
    worker.participation.update()
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
        worker, budget = get_worker(), TimeBudget(CHANNELS_BUDGET)
        worker.channels.run_until(worker.holder, budget.is_spent)
        if worker.store.load_next_due().select_due(worker.clock()).calendar:
            sync()


@huey.task()
def sync() -> None:
    """Read the calendars that are due, then plan pairs and perform effects."""
    budget = TimeBudget(TASK_BUDGET)
    _run_repeatedly("sync", budget, lambda worker: worker.sync.run(worker.holder))
    _plan_and_deliver(budget)


@huey.task()
def sweep() -> None:
    """Plan the pairs that are due, then perform effects and plan again."""
    budget = TimeBudget(TASK_BUDGET)
    _plan_pairs(budget)
    _plan_and_deliver(budget)


@huey.task()
def deliver() -> None:
    """Perform the effects that are due, then plan pairs and perform their effects."""
    budget = TimeBudget(TASK_BUDGET)
    _perform_effects(budget)
    _plan_and_deliver(budget)


class TimeBudget:
    """The time during which a task begins new work. Afterwards the next tasks in the queue run.

    Without a budget, the sync of a calendar that has just changed would wait until all conversations of a large company
    are booked.
    """

    def __init__(self, length: timedelta) -> None:
        self._end = monotonic() + length.total_seconds()

    def is_spent(self) -> bool:
        """Return whether the task must begin no more work, also because the process is stopping."""
        return stopping.is_set() or monotonic() >= self._end


def _plan_and_deliver(budget: TimeBudget) -> None:
    """Plan pairs and perform effects until none are due, or other workers have claimed all of them.

    When the budget is spent earlier, a new task continues with the work that is still due.

    This loop does the work in the current task. If tasks started each other instead, each would wait in the queue, and
    far more tasks would be started than needed, since each task sees work that others are about to do.
    """
    with record_outages("plan_and_deliver"):
        worker, has_worked = get_worker(), True
        while has_worked and not budget.is_spent():
            due = worker.store.load_next_due().select_due(worker.clock())
            has_planned = bool(due.pair) and _plan_pairs(budget) > 0
            # a pair that was just planned may have effects that are due at once
            has_delivered = bool(due.pair or due.effect) and _perform_effects(budget) > 0
            has_worked = has_planned or has_delivered
        if budget.is_spent() and not stopping.is_set():
            _start_due_task(worker)


def _start_due_task(worker: Worker) -> None:
    """Start one task: the first of `sync`, `sweep` and `deliver` that has something to do."""
    due = worker.store.load_next_due().select_due(worker.clock())
    for is_due, task in ((due.calendar, sync), (due.pair, sweep), (due.effect, deliver)):
        if is_due:
            task()
            return


def _plan_pairs(budget: TimeBudget) -> int:
    """Plan the pairs that are due. Returns how many were planned."""
    return _run_repeatedly("sweep", budget, lambda worker: worker.sweep.run(worker.holder))


def _perform_effects(budget: TimeBudget) -> int:
    """Perform the effects that are due, and return how many were performed.

    When there are more than a few, one more `deliver` task is started, so that another worker takes its share.
    """
    # a task that runs immediately, in this thread, would not call another worker
    has_called_another_worker = huey.immediate

    def perform(worker: Worker) -> int:
        nonlocal has_called_another_worker
        count = worker.outbox.run(worker.holder, EFFECTS_AT_ONCE)
        if count == EFFECTS_AT_ONCE and not has_called_another_worker:
            deliver()
            has_called_another_worker = True
        return count

    return _run_repeatedly("deliver", budget, perform)


def _run_repeatedly(task_name: str, budget: TimeBudget, run_once: Callable[[Worker], int]) -> int:
    """Call `run_once` until it returns 0 or the budget is spent, and at least once. Returns the sum of its results.

    `run_once` processes one batch, and returns how many items it processed.
    """
    total = 0
    with record_outages(task_name):
        worker = get_worker()
        while not stopping.is_set() and (count := run_once(worker)):
            total += count
            if budget.is_spent():
                break
    return total
