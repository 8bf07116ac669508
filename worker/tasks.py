"""The Huey object and its few short tasks: the only module that does something when it is imported.

Huey only wakes us. No argument of a task holds anything but nothing at all: what is due, the database knows. A task
that is lost, doubled or late changes nothing.

The settings are found through `LONGARC_CONFIG`; `longarc run` sets it for its own process.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Event

from huey.api import Huey, PostgresHuey, RedisHuey, SqliteHuey, crontab
from huey.storage import PostgresStorage
from sqlalchemy import make_url

from worker import private_files
from worker.app import Worker, build
from worker.clock import utcnow
from worker.engine.outages import DATABASE, QUEUE, Outages
from worker.errors import LongarcError, PeopleImportRefused, Problems
from worker.settings import load as settings_file
from worker.store.database import LOCK_TIMEOUT_SECONDS, DatabaseUnreachable, describe_database_outage
from worker.store.store import Store

QUEUE_NAME = "longarc"
#: Set when this process was asked to stop: what is in somebody's hands is finished, nothing more is begun.
stopping = Event()
#: What can't be reached just now, as far as this process knows.
outages = Outages()


def make_huey(settings: settings_file.Settings) -> Huey:
    """The queue that goes with the database: beside SQLite, inside PostgreSQL; Redis when a URL says so."""
    if settings.queue.startswith(("redis://", "rediss://")):
        return RedisHuey(QUEUE_NAME, url=settings.queue, results=False)
    url = make_url(settings.database)
    if url.get_backend_name() == "postgresql":
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return PostgresHuey(QUEUE_NAME, dsn=plain, results=False, create_tables=False)
    file = Path(url.database or "longarc.db")
    queue = file.with_suffix(".queue.db")
    private_files.make_folder(queue.parent)
    private_files.create(queue)
    return SqliteHuey(QUEUE_NAME, filename=str(queue), results=False, timeout=LOCK_TIMEOUT_SECONDS)


def create_queue_tables(queue: Huey, store: Store) -> None:
    """Make the queue's own tables in PostgreSQL, one process at a time; in the other places the queue does so itself.

    The statements of the queue collide when several processes run them at once on an empty database.
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
    """This process's worker, made at the first task unless one was given."""
    return _worker_overrides[-1] if _worker_overrides else _build_worker()


@cache
def _build_worker() -> Worker:
    made = build(_load_settings())
    made.store.migrate()
    create_queue_tables(huey, made.store)
    return made


@contextmanager
def run_tasks_immediately(given: Worker) -> Iterator[None]:
    """Have the tasks done here and at once, with this worker: the demo's, whose clock is stepped."""
    before, huey.immediate = huey.immediate, True
    _worker_overrides.append(given)
    try:
        yield
    finally:
        _worker_overrides.pop()
        huey.immediate = before


@contextmanager
def record_outages(name: str) -> Iterator[None]:
    """Counts what is out of reach instead of letting Huey tell each failure; the next minute tries again."""
    task = f"The task {name}"
    outages.record_recovery(QUEUE, utcnow())
    try:
        yield
    except Exception as error:
        if why := describe_database_outage(error):
            outages.record_failure(DATABASE, why, utcnow())
        elif isinstance(error, LongarcError):
            outages.record_failure(task, str(error), utcnow())
        else:
            raise
    else:
        outages.record_recovery(DATABASE, utcnow())
        outages.record_recovery(task, utcnow())


@huey.periodic_task(crontab())
def tick() -> None:
    """Each minute: take over the people file if it changed, and wake whoever has something to do."""
    with record_outages("tick"):
        _run_tick(get_worker())


def _run_tick(mine: Worker) -> None:
    unsent = mine.store.outbox.load_mail_failures(mine.settings.mail.operator_by)
    outages.update_services(mine.store.calendars.load_failures(), unsent, mine.clock())
    try:
        mine.import_people()
    except PeopleImportRefused as held:  # the operator is asked once
        mine.store.outbox.alert(f"people:{held.digest}", str(held), mine.clock(), mine.settings.operator)
    except DatabaseUnreachable:
        raise
    except (Problems, LongarcError) as error:
        now = mine.clock()
        mine.store.outbox.alert(f"people:{now:%Y-%m-%d}", str(error), now, mine.settings.operator)
    due = mine.store.next_due().select_due(mine.clock())
    for wanted, task in ((due.calendar, sync), (due.pair, sweep), (due.effect, deliver)):
        if wanted:
            task()


@huey.task()
def sync() -> None:
    """Read calendars that are due, then plan what follows from it."""
    with record_outages("sync"):
        mine = get_worker()
        while not stopping.is_set() and mine.sync.run(mine.holder):
            pass
        _start_due_tasks(mine)


@huey.task()
def sweep() -> None:
    """Plan pairs that are due, then perform what was decided."""
    with record_outages("sweep"):
        mine = get_worker()
        while not stopping.is_set() and mine.sweep.run(mine.holder):
            pass
        _start_due_tasks(mine)


@huey.task()
def deliver() -> None:
    """Perform messages that are due."""
    with record_outages("deliver"):
        mine = get_worker()
        while not stopping.is_set() and mine.outbox.run(mine.holder):
            pass
        _start_due_tasks(mine)


def _start_due_tasks(mine: Worker) -> None:
    """What was just done may have made something else due: it need not wait for the next minute."""
    due = mine.store.next_due().select_due(mine.clock())
    if due.pair:
        sweep()
    elif due.effect:
        deliver()
