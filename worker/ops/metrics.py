"""The endpoint `/metrics` for Prometheus: counters of this process, and gauges that are read from the database.

Every process reports the same gauges of the database, so a query must not add them up over instances, but take for
example `max by (work) (longarc_due)`. No metric names a person: labels are kinds, states, services and statuses.
"""

import logging
import platform
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from waitress.server import create_server

from worker import __version__
from worker.app import Worker
from worker.clock import Clock
from worker.domain.channels import ChannelStanding
from worker.domain.model import EffectKind, EffectProgress
from worker.errors import describe_error
from worker.logs import Action
from worker.ops.status import ALIVE_WITHIN
from worker.process_metrics import PLAN_PAIR, READ_CALENDAR, REGISTRY
from worker.server_thread import ServerThread, open_free_socket
from worker.settings.parsers import list_listen_addresses
from worker.store.database import Database, describe_database_outage
from worker.store.measurements import Counts, DueWork, Measurements, read_measurements

log = logging.getLogger(__name__)

#: A function that returns the number of tasks in the queue.
CountTasks = Callable[[], int]


class DatabaseCollector(Collector):
    """Reads the database at each scrape. When it can't be read, yields only `longarc_database_up`, with 0."""

    def __init__(self, database: Database, clock: Clock, count_tasks: CountTasks | None = None) -> None:
        self._database = database
        self._clock = clock
        self._count_tasks = count_tasks

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that the registry does not call `collect` at registration, which reads the database."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the database and of the queue."""
        now = self._clock()
        try:
            measurements = read_measurements(self._database, now, live_since=now - ALIVE_WITHIN)
            task_count = self._count_tasks() if self._count_tasks else None
        except Exception as error:  # a scrape must not fail, or the metrics of this process would also be missing
            log.warning("%s", _describe_failure(error), extra={"action": Action.METRICS_UNREAD})
            yield _make_gauge("longarc_database_up", "Whether the database can be read.", 0)
            return
        yield _make_gauge("longarc_database_up", "Whether the database can be read.", 1)
        yield from _build_work_metrics(measurements, now)
        yield from _build_state_metrics(measurements)
        yield from _build_channel_metrics(measurements, now)
        if task_count is not None:
            yield _make_gauge("longarc_queue_tasks", "Tasks in the queue that wakes the workers.", task_count)


def _describe_failure(error: Exception) -> str:
    return describe_database_outage(error) or describe_error(error)


def _build_work_metrics(measurements: Measurements, now: datetime) -> Iterator[Metric]:
    """Yield the metrics of due work: calendars to read, pairs to plan, and effects."""
    work_by_kind = {
        READ_CALENDAR: measurements.calendars_due,
        PLAN_PAIR: measurements.pairs_due,
        **measurements.effects_due,
    }
    due: Counts = {(kind,): work.count for kind, work in work_by_kind.items()}
    yield _make_gauges("longarc_due", "Work that is due now, by kind.", ["work"], due)
    help_text = "For how long the first of the due work has been due, by kind."
    age = GaugeMetricFamily("longarc_due_age_seconds", help_text, labels=["work"])
    for kind, work in work_by_kind.items():
        age.add_metric([kind], _measure_age(work, now))
    yield age
    help_text = "Mails and changes of calendars by kind and progress."
    # with a 0 for each combination of which there is no effect
    effects: Counts = {(kind.value, progress.value): 0 for kind in EffectKind for progress in EffectProgress}
    yield _make_gauges("longarc_effects", help_text, ["work", "progress"], {**effects, **measurements.effects})


def _measure_age(work: DueWork, now: datetime) -> float:
    """Return for how many seconds the first of the work has been due."""
    return max((now - work.since).total_seconds(), 0) if work.since else 0


def _build_state_metrics(measurements: Measurements) -> Iterator[Metric]:
    """Yield the metrics of people, pairs, sessions, calendars and workers."""
    yield _make_gauge("longarc_people", "People in the roster.", measurements.people)
    # A pair is "outside" when the rollout does not include it, or does not include it yet.
    all_states = [(state,) for state in ("active", "paused", "outside", "ended")]
    states: Counts = {state: measurements.pairs.get(state, 0) for state in all_states}
    yield _make_gauges("longarc_pairs", "Pairs by state.", ["state"], states)
    yield _make_gauges("longarc_sessions", "Sessions by kind and state.", ["kind", "state"], measurements.sessions)
    yield _make_gauge(
        "longarc_sessions_unplaceable", "Sessions for which no time exists just now.", measurements.unplaceable
    )
    yield _make_gauges(
        "longarc_calendars",
        "Calendars of managers: read, not yet read, failing, or suspended because access is gone.",
        ["service", "state"],
        measurements.calendars,
    )
    workers: Counts = {(state,): measurements.workers.get((state,), 0) for state in ("live", "silent")}
    help_text = "Processes of `longarc run`, by whether they reported in the last two minutes."
    yield _make_gauges("longarc_workers", help_text, ["state"], workers)


def _build_channel_metrics(measurements: Measurements, now: datetime) -> Iterator[Metric]:
    """Yield, for each service with channels, their number by standing, and the age of the last notification.

    Through a channel, a calendar service notifies Longarc of changes to one calendar.
    """
    services = {service for service, _ in measurements.channels}
    counts: Counts = {(service, standing.value): 0 for service in services for standing in ChannelStanding}
    help_text = "Calendars that are to have a channel, which notifies of their changes, by the channel's standing."
    yield _make_gauges("longarc_channels", help_text, ["service", "standing"], {**counts, **measurements.channels})
    age = GaugeMetricFamily(
        "longarc_notification_age_seconds", "How long ago the last notification was accepted.", labels=["service"]
    )
    for service, notified_at in sorted(measurements.notified_at.items()):
        age.add_metric([service], max((now - notified_at).total_seconds(), 0))
    yield age


def _make_gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value=value)


def _make_gauges(name: str, help_text: str, labels: list[str], counts: Counts) -> Metric:
    """Return a gauge with a value for each key of `counts`, which holds the values of `labels` in their order."""
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for values, number in sorted(counts.items()):
        family.add_metric(list(values), number)
    return family


class BuildCollector(Collector):
    """Collects the version of this program, of Python, and the kind of the database."""

    def __init__(self, database: Database) -> None:
        self._labels = {
            "version": __version__,
            "python": platform.python_version(),
            "database": database.url.get_backend_name(),
        }

    def collect(self) -> Iterator[Metric]:
        """Yield `longarc_build_info`, whose value is always 1."""
        yield InfoMetricFamily("longarc_build", "The version that runs in this process.", value=self._labels)


def build_registry(worker: Worker, count_tasks: CountTasks | None = None) -> CollectorRegistry:
    """Return a registry with all metrics that this process reports. `count_tasks` returns the length of the queue."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)  # the counters of this process; a registry can be a collector of another
    registry.register(BuildCollector(worker.store.database))
    registry.register(DatabaseCollector(worker.store.database, worker.clock, count_tasks))
    ProcessCollector(registry=registry)
    return registry


class MetricsServer(ServerThread):
    """Serves the metrics of a worker inside a `with` block, at every path.

    It listens at the first free address of the setting `metrics.listen`. Port 0 in that setting means any free port.
    """

    def __init__(self, worker: Worker, count_tasks: CountTasks | None = None) -> None:
        """`count_tasks` returns the length of the queue. Raises PortTaken and LongarcError."""
        addresses = list_listen_addresses(worker.settings.metrics.listen)
        listening = open_free_socket(addresses, service="Metrics", setting="metrics.listen")
        self.port = int(listening.getsockname()[1])
        create: Any = create_server  # waitress has no types
        app = make_wsgi_app(build_registry(worker, count_tasks))
        server = create(app, sockets=[listening], threads=2, ident="")  # no ident: responses don't name the server
        super().__init__(server, "longarc-metrics")
