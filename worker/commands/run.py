"""`longarc run`: the consumer that wakes us each minute, the workers, and, if wanted, servers of our own beside them.

SIGINT and SIGTERM mean the same: begin nothing new, finish what is in flight, go. A second one goes at once; what it
cuts off is found again by its lease.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import gethostname
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from worker import __version__
from worker.clock import utcnow
from worker.commands.base import Command, get_global_options
from worker.commands.context import find_settings_path, is_database_absent, load_settings, open_store, refuse_other_key
from worker.commands.terminal import add_row, format_count, make_table, print_line, print_table
from worker.errors import LongarcError, Problems

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.commands.embedded import EmbeddedFolder
    from worker.embedded import EmbeddedServers
    from worker.engine.outages import Outages

#: How many people's addresses are printed.
MAX_SHOWN = 20
#: How often the consumer's threads, and the people who joined, are looked at. Seconds.
CHECK_INTERVAL = 10.0


@click.command("run", cls=Command, short_help="Book, protect and follow through, until stopped: the one service.")
@click.option("--workers", default=4, show_default=True, type=click.IntRange(1, 64), help="What is done at one time.")
@click.option(
    "--embedded",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="With a calendar and a mail server of its own, everything in DIR: to try it without any account.",
)
def run(workers: int, embedded: Path | None) -> None:
    """Book, protect and follow through, until it is stopped.

    It may run on any number of machines at once when the database is PostgreSQL. Ctrl-C and SIGTERM finish what is in
    flight.
    """
    if embedded and get_global_options().config:
        raise click.UsageError("--embedded DIR brings its own settings, DIR/longarc.toml; leave --config out.")
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signal())
        house = _prepare_folder(embedded) if embedded else None
        _export_settings_path()
        if house:
            house.read_ports(load_settings())  # before anything is written
        worker = _start_worker()
        servers = (
            stack.enter_context(
                house.start_servers(load_settings(), worker.store.people.load_current_people().values())
            )
            if house
            else None
        )
        if servers and house:
            _show_addresses(worker, servers, house)
        if worker.settings.base_url:
            _serve_pages(worker, stack)
        print_line(_describe_run(worker, workers))
        _run_consumer(worker, workers, stop, servers)
    print_line("Stopped; everything in flight was finished.")


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """An event that is set by the first SIGINT or SIGTERM; a second one ends the program at once."""
    stop = threading.Event()

    def handle_signal(number: int, _: Any) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, handle_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare_folder(folder: Path) -> "EmbeddedFolder":
    from worker.commands.embedded import EmbeddedFolder

    house = EmbeddedFolder(folder.resolve())
    house.write_missing_files()
    house.set_environment(os.environ)
    return house


def _export_settings_path() -> None:
    """Tell the tasks, which find their settings by the environment, of the file that was named here."""
    path = find_settings_path()
    if path is not None:
        os.environ["LONGARC_CONFIG"] = str(path.resolve())
    get_global_options().config = ""


def _start_worker() -> "Worker":
    """This process's worker, with the people taken over. Raises what is wrong, before anything runs."""
    from worker.engine.people_import import read_people
    from worker.logs import set_up_logging
    from worker.ops.checks import reach_queue, refuse_unwritable
    from worker.store.statistics import Statistics

    found = load_settings()
    set_up_logging(found.log.level, found.log.format)
    refuse_unwritable(found.database)
    if found.queue:
        reach_queue(found.queue)
    with closing(open_store(found, seals=True)) as store:
        # `schema` says in clear words when there is no using the database, before Huey tries.
        if is_database_absent(found.database) or Statistics(store.database).get_schema_versions()[0] is None:
            read_people(found, utcnow())  # raises what is wrong before a database is made for nobody
        else:
            refuse_other_key(store, found)
    from worker import tasks

    worker = tasks.get_worker()
    try:
        worker.import_people()
    except (Problems, LongarcError) as error:
        if not worker.store.people.load_current_people():
            raise
        # those known so far are looked after; each tick tries again and tells the operator
        click.echo(f"{error}\nThe people known so far stay in force.", err=True)
    tasks.tick()  # the first minute begins now
    return worker


def _run_consumer(worker: "Worker", workers: int, stop: threading.Event, servers: "EmbeddedServers | None") -> None:
    from huey.consumer import Consumer

    from worker import tasks
    from worker.engine.outages import OutageFilter

    class SignalFreeConsumer(Consumer):
        """Leaves the signals to us: of the two, Huey would let only one finish what is in flight."""

        def _set_signal_handlers(self) -> None:
            return

    make: Any = SignalFreeConsumer  # Huey has no types
    consumer = make(tasks.huey, workers=workers, periodic=True, max_delay=2.0)
    for handler in logging.getLogger().handlers:
        handler.addFilter(OutageFilter(tasks.outages, utcnow))
    consumer.start()
    pulse = HeartbeatWriter(worker, tasks.outages)
    pulse.beat()
    looked = monotonic()
    while not stop.wait(0.2):
        if monotonic() - looked >= CHECK_INTERVAL:
            looked = monotonic()
            consumer.check_worker_health()
            pulse.beat()
            if servers:
                _add_new_people(worker, servers)
    tasks.stopping.set()
    consumer.stop(graceful=True)
    pulse.end()
    worker.close()


class HeartbeatWriter:
    """Says of this process that it lives; `longarc status` reads it."""

    def __init__(self, worker: "Worker", outages: "Outages") -> None:
        self._store, self._holder, self._outages = worker.store, worker.holder, outages
        self._started_at = utcnow()

    def beat(self) -> None:
        from worker.store.heartbeats import Heartbeat

        now = utcnow()
        heartbeat = Heartbeat(self._holder, gethostname(), os.getpid(), self._started_at, now, __version__)
        self._write_heartbeat(lambda: self._store.heartbeats.save_heartbeat(heartbeat))

    def end(self) -> None:
        self._write_heartbeat(lambda: self._store.heartbeats.delete_heartbeat(self._holder))

    def _write_heartbeat(self, write: Callable[[], None]) -> None:
        from worker.engine.outages import DATABASE
        from worker.store.database import describe_database_outage

        try:
            write()
        except Exception as error:
            why = describe_database_outage(error)
            if not why:
                raise
            self._outages.record_failure(DATABASE, why, utcnow())


def _serve_pages(worker: "Worker", stack: ExitStack) -> None:
    from worker.web.server import PageServer, PortTaken

    try:
        pages = stack.enter_context(PageServer(worker))
    except PortTaken as error:  # of several workers on a machine one serves the pages, and the others go on without
        print_line(f"{error} This worker goes on without them.", "yellow")
        return
    print_line(f"The pages of {pages.base_url} are served at port {pages.port}.")


def _add_new_people(worker: "Worker", servers: "EmbeddedServers") -> None:
    """Give those who joined a calendar."""
    for person in worker.store.people.load_current_people().values():
        servers.add_person(person.email, person.zone)


# --- what it says ---


def _describe_run(worker: "Worker", workers: int) -> str:
    from worker.store.database import mask_password

    pairs = sum(pair.is_active for pair in worker.store.people.load_all_pairs().values())
    people = format_count(len(worker.store.people.load_current_people()), "person", "people")
    where = mask_password(worker.settings.database)
    return (
        f"Longarc runs: {format_count(workers, 'worker')} for {people} in {format_count(pairs, 'active pair')}, "
        f"on {where}. Ctrl-C finishes what is in flight and stops."
    )


def _show_addresses(worker: "Worker", servers: "EmbeddedServers", house: "EmbeddedFolder") -> None:
    from worker.commands.embedded import list_addresses

    people = sorted(one.email for one in worker.store.people.load_current_people().values() if one.calendar == "caldav")
    shown = make_table("Calendars to subscribe to, and mail", ["Person", ("Calendar (CalDAV)", "id"), "Mail"])
    for person, calendar, mail in list_addresses(servers, people[:MAX_SHOWN]):
        add_row(shown, person, calendar, mail)
    print_table(shown)
    if len(people) > MAX_SHOWN:
        print_line(f"… and {len(people) - MAX_SHOWN:,} more, alike.", "dim")
    print_line(f"Settings, people and key are in {house.folder}. For the other commands:")
    print_line(f"  export LONGARC_CONFIG={house.config} LONGARC_KEY_FILE={house.key}\n", "bold")
