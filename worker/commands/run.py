"""`longarc run`: runs a worker, which is a Huey consumer with its threads, and serves the pages.

With `--embedded`, it also runs calendar and mail servers of its own.

The first SIGINT or SIGTERM stops the worker when the effects in progress are finished. A second signal ends the process
at once; another worker continues with the interrupted effects when their lease ends.
"""

import logging
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from worker import __version__
from worker.clock import utcnow
from worker.commands.base import Command, get_global_options
from worker.commands.context import (
    find_settings_path,
    import_without_gc,
    is_database_absent,
    load_settings,
    open_store,
    refuse_other_key,
)
from worker.commands.terminal import add_row, make_table, name_program, print_line, print_table
from worker.domain.counts import format_count
from worker.errors import LongarcError, Problems
from worker.logs import Action

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.commands.embedded import EmbeddedFolder
    from worker.embedded import EmbeddedServers
    from worker.engine.outages import Outages

log = logging.getLogger(__name__)

#: With `--embedded`, the calendars and mailboxes of at most this many people are printed.
MAX_SHOWN = 20
#: How often the threads of the consumer are checked, a heartbeat is written, and, with `--embedded`, new people get a
#: calendar.
CHECK_INTERVAL_SECONDS = 10.0
#: How often the main thread checks whether the process has to stop.
_STOP_POLL_SECONDS = 0.2
#: The longest pause of a thread of the consumer between two checks of an empty queue.
_MAX_QUEUE_DELAY_SECONDS = 2.0


@click.command("run", cls=Command, short_help="Run the service: book conversations, and move them after clashes.")
@click.option(
    "--workers",
    "thread_count",
    default=4,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many threads run tasks at the same time.",
)
@click.option(
    "--embedded",
    "embedded_path",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Try it without any account: built-in calendar and mail servers, all files in DIR.",
)
def run(thread_count: int, embedded_path: Path | None) -> None:
    """Run the service until it is stopped: book conversations, move them after clashes, and follow
    commitments.

    With PostgreSQL it may run on several machines at once. Ctrl-C or SIGTERM stops it when tasks in progress are done.
    """
    if embedded_path and get_global_options().config:
        raise click.UsageError("--embedded DIR brings its own settings, DIR/longarc.toml; leave --config out.")
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signal())
        embedded_folder = _prepare_folder(embedded_path) if embedded_path else None
        export_settings_path()
        if embedded_folder:
            # raises LongarcError when a port is missing, before a database is created
            embedded_folder.read_ports(load_settings())
        worker = _start_worker()
        servers = None
        if embedded_folder:
            people = worker.store.people.load_current_people().values()
            servers = stack.enter_context(embedded_folder.start_servers(load_settings(), people))
            worker.people_import.prepare_people = servers.add_people
            _show_addresses(worker, servers, embedded_folder)
        if worker.settings.base_url:
            _serve_pages(worker, stack)
        if worker.settings.metrics.listen:
            serve_metrics(worker, stack, count_tasks=_count_tasks)
        print_line(_describe_run(worker, thread_count))
        log.info("longarc run %s has started", __version__, extra={"action": Action.RUN_STARTED})
        _run_consumer(worker, thread_count, stop, servers)
    log.info("longarc run has stopped", extra={"action": Action.RUN_STOPPED})
    print_line("Stopped; everything in progress was finished.")


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Yield an event that the first SIGINT or SIGTERM sets; a second one ends the process at once."""
    stop = threading.Event()

    def handle_signal(number: int, _: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    previous_handlers = {number: signal.signal(number, handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)


def _prepare_folder(folder: Path) -> "EmbeddedFolder":
    """Write the missing files of the folder, and let this process use its settings and key."""
    from worker.commands.embedded import EmbeddedFolder

    embedded_folder = EmbeddedFolder(folder.resolve())
    embedded_folder.write_missing_files()
    embedded_folder.set_environment(os.environ)
    return embedded_folder


def export_settings_path() -> None:
    """Set LONGARC_CONFIG to the path of the settings, since the tasks of Huey load the settings from there."""
    path = find_settings_path()
    if path is not None:
        os.environ["LONGARC_CONFIG"] = str(path.resolve())
    # From now on, this command loads them from there as well.
    get_global_options().config = ""


def _start_worker() -> "Worker":
    """Apply the roster and return the worker of this process. Raises LongarcError when the service can't start."""
    with import_without_gc():
        from worker.engine.roster_reader import read_people
        from worker.logs import set_up_logging
        from worker.ops.checks import refuse_unreachable_queue, refuse_unwritable_database
        from worker.store.inspection import has_tables

    settings = load_settings()
    set_up_logging(settings.log.level, settings.log.format)
    refuse_unwritable_database(settings.database)
    if settings.queue:
        refuse_unreachable_queue(settings.queue)
    with closing(open_store(settings, needs_encryption_key=True)) as store:
        # has_tables raises a clear error when the database can't be used, before Huey opens it
        if is_database_absent(settings.database) or not has_tables(store.database):
            if not settings.roster.is_pushed:  # pushed people come only when there is a database
                read_people(settings, utcnow())  # raises Problems before a database is created
        else:
            refuse_other_key(store, settings)
    from worker import tasks

    worker = tasks.get_worker()
    try:
        worker.import_people()
    except (Problems, LongarcError) as error:
        if not worker.store.people.load_current_people():
            raise
        # each tick reads the roster again and alerts the operator
        click.echo(f"{error}\nLongarc continues with the people in its database.", err=True)
    tasks.tick()  # the consumer itself would start the first tick only at the next full minute
    return worker


def _run_consumer(
    worker: "Worker", thread_count: int, stop: threading.Event, servers: "EmbeddedServers | None"
) -> None:
    """Run the tasks of this worker until the event is set, then finish the tasks in progress and close the worker."""
    from huey.consumer import Consumer

    from worker import tasks
    from worker.engine.outages import OutageFilter

    class SignalFreeConsumer(Consumer):
        """Sets no signal handlers. Those of Huey let running tasks finish after SIGINT, but not after SIGTERM."""

        def _set_signal_handlers(self) -> None:
            return

    consumer_class: Any = SignalFreeConsumer  # Huey has no types
    consumer = consumer_class(tasks.huey, workers=thread_count, periodic=True, max_delay=_MAX_QUEUE_DELAY_SECONDS)
    # Huey logs every failed access to the database and the queue; Longarc logs an outage once, and then once an hour.
    for handler in logging.getLogger().handlers:
        handler.addFilter(OutageFilter(tasks.outages, utcnow))
    consumer.start()
    heartbeat_writer = HeartbeatWriter(worker, tasks.outages)
    heartbeat_writer.beat()
    checked_at = monotonic()
    while not stop.wait(_STOP_POLL_SECONDS):
        if monotonic() - checked_at >= CHECK_INTERVAL_SECONDS:
            checked_at = monotonic()
            consumer.check_worker_health()
            heartbeat_writer.beat()
            if servers:
                servers.add_people(worker.store.people.load_current_people().values())  # whom another process imported
    tasks.stopping.set()
    consumer.stop(graceful=True)
    heartbeat_writer.end()
    worker.close()


class HeartbeatWriter:
    """Writes the heartbeat of this process, which `longarc status` reads."""

    def __init__(self, worker: "Worker", outages: "Outages") -> None:
        self._store, self._holder, self._outages = worker.store, worker.holder, outages
        self._started_at = utcnow()

    def beat(self) -> None:
        """Write a heartbeat. When the database can't be reached, record the outage instead of raising an error."""
        from socket import gethostname

        from worker.store.heartbeats import Heartbeat

        now = utcnow()
        heartbeat = Heartbeat(self._holder, gethostname(), os.getpid(), self._started_at, now, __version__)
        self._write_heartbeat(lambda: self._store.heartbeats.save_heartbeat(heartbeat))

    def end(self) -> None:
        """Delete the heartbeat, so that this process does not count as one that has died."""
        self._write_heartbeat(lambda: self._store.heartbeats.delete_heartbeat(self._holder))

    def _write_heartbeat(self, write: Callable[[], None]) -> None:
        from worker.engine.outages import DATABASE
        from worker.store.database import describe_database_outage

        try:
            write()
        except Exception as error:
            reason = describe_database_outage(error)
            if not reason:
                raise
            self._outages.record_failure(DATABASE, reason, utcnow())


def _serve_pages(worker: "Worker", stack: ExitStack) -> None:
    """Serve the pages until the stack is closed, unless another process on this machine serves them at that port."""
    from worker.server_thread import PortTaken
    from worker.web.server import PageServer

    try:
        pages = stack.enter_context(PageServer(worker))
    except PortTaken as error:
        print_line(f"{error} This worker runs without pages.", "yellow")
        log.warning("%s", error, extra={"action": Action.PORT_TAKEN})
        return
    print_line(f"The pages of {pages.base_url} are served at port {pages.port}.")


def serve_metrics(worker: "Worker", stack: ExitStack, count_tasks: Callable[[], int] | None = None) -> None:
    """Serve the metrics until the stack is closed, unless another process on this machine uses the port.

    `count_tasks`: returns how many tasks wait in the queue.
    """
    from worker.ops.metrics import MetricsServer
    from worker.server_thread import PortTaken

    try:
        metrics = stack.enter_context(MetricsServer(worker, count_tasks))
    except PortTaken as error:
        print_line(f"{error} This process runs without metrics.", "yellow")
        log.warning("%s", error, extra={"action": Action.PORT_TAKEN})
        return
    print_line(f"Metrics are served at port {metrics.port}.")


def _count_tasks() -> int:
    from worker import tasks

    queue: Any = tasks.huey  # Huey has no types
    return int(queue.pending_count())


# --- output ---


def _describe_run(worker: "Worker", thread_count: int) -> str:
    from worker.store.database import mask_password

    pair_count = sum(pair.is_active for pair in worker.store.people.load_all_pairs().values())
    people = format_count(len(worker.store.people.load_current_people()), "person", "people")
    database = mask_password(worker.settings.database)
    return (
        f"Longarc runs: {format_count(thread_count, 'thread')} for {people} and "
        f"{format_count(pair_count, 'active pair')}, on {database}. Ctrl-C finishes what is in progress and stops."
    )


def _show_addresses(worker: "Worker", servers: "EmbeddedServers", embedded_folder: "EmbeddedFolder") -> None:
    """Print the calendar and the mailbox of each person and the operator, and how other commands use these settings."""
    from worker.commands.embedded import list_addresses, list_operator_address

    people = sorted(worker.store.people.load_current_people().values(), key=lambda person: person.email)
    rows = list(list_addresses(servers, people))
    operator_rows = list(list_operator_address(servers, people, worker.settings))
    table = make_table("Calendars to subscribe to, and mail", ["Person", ("Calendar (CalDAV)", "unwrapped"), "Mail"])
    for address, calendar_url, mailbox_path in (*rows[:MAX_SHOWN], *operator_rows):
        add_row(table, address, calendar_url, mailbox_path)
    print_table(table)
    if len(rows) > MAX_SHOWN:
        print_line(f"… and {len(rows) - MAX_SHOWN:,} more.", "dim")
    print_line(f"Each mail also lies in {servers.eml_folder}, as a file that a mail program opens.")
    print_line(f"Settings, people file and key are in {embedded_folder.folder}. For the other commands:")
    print_line(
        f"  export LONGARC_CONFIG={shlex.quote(str(embedded_folder.settings_file))} "
        f"LONGARC_KEY_FILE={shlex.quote(str(embedded_folder.key_file))}\n"
        f"  {name_program()} status\n",
        "bold",
    )
