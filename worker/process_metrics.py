"""What this process has done, counted for Prometheus. Nothing here names a person, a pair or an address.

Each process tells its own counters, and Prometheus adds its `instance`. What is in the database, any process can tell:
`worker.ops.metrics` reads it when it is asked.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from worker.domain.model import Effect, EffectKind, EffectProgress

_drop_created_series: Callable[[], None] = disable_created_metrics
_drop_created_series()  # a second series for each counter, which nobody asks for

#: The metrics of this process.
REGISTRY = CollectorRegistry()

#: The kinds of work besides effects, whose kind is that of the outbox (`event.create`, …, `mail`).
READ_CALENDAR, PLAN_PAIR = "read_calendar", "plan_pair"
DONE, FAILED = "done", "failed"
#: The status of a request that got no answer.
NO_ANSWER = "none"

_LAG_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
_REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_WORK = Counter(
    "longarc_work_total",
    "Work that came to an end, by kind and outcome. A mail or change of a calendar that is `waiting` is tried again.",
    ["work", "outcome"],
    registry=REGISTRY,
)
_PLAN_LAG = Histogram(
    "longarc_plan_lag_seconds",
    "From when a pair was due, because something changed or its hour came, until its plan was written.",
    buckets=_LAG_BUCKETS,
    registry=REGISTRY,
)
_EFFECT_LAG = Histogram(
    "longarc_effect_lag_seconds",
    "From when a mail or change of a calendar was due until it was done.",
    ["work"],
    buckets=_LAG_BUCKETS,
    registry=REGISTRY,
)
_MAILS = Counter(
    "longarc_mails_total",
    "Mails that came to an end, by name and outcome.",
    ["mail", "outcome"],
    registry=REGISTRY,
)
_ALERTS = Counter(
    "longarc_alerts_total",
    "Things that need a person, by cause, whether the operator got a mail of each or one for many.",
    ["cause"],
    registry=REGISTRY,
)
_REQUESTS = Counter(
    "longarc_provider_requests_total",
    "Requests to calendar, mail and other services. The status is that of HTTP or SMTP, or `none` without an answer.",
    ["service", "kind", "status"],
    registry=REGISTRY,
)
_REQUEST_DURATION = Histogram(
    "longarc_provider_request_duration_seconds",
    "How long the requests to services took.",
    ["service", "kind"],
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
_PAGES = Counter("longarc_page_requests_total", "Requests to the pages, by HTTP status.", ["status"], registry=REGISTRY)

_NOTIFICATIONS = Counter(
    "longarc_notifications_total",
    "Notifications of changes, by outcome: `accepted`, or `refused` as forged or of a channel that is not open.",
    ["outcome"],
    registry=REGISTRY,
)


# A counter that begins with its first event shows no increase: those that alerts look at begin at zero.
for _outcome in (DONE, FAILED):
    for _work in (READ_CALENDAR, PLAN_PAIR):
        _WORK.labels(_work, _outcome)


def count_work(work: str, outcome: str) -> None:
    """Count work that came to an end."""
    _WORK.labels(work, outcome).inc()


def count_notifications(accepted: int, refused: int) -> None:
    """Count notifications of calendar services."""
    _NOTIFICATIONS.labels("accepted").inc(accepted)
    _NOTIFICATIONS.labels("refused").inc(refused)


def count_effect(effect: Effect, progress: EffectProgress, now: datetime) -> None:
    """Count an attempt at an effect, and note how long the effect was due when it is done."""
    count_work(effect.kind.value, progress.value)
    if effect.kind is EffectKind.MAIL:
        _MAILS.labels(effect.name, progress.value).inc()
    if progress is EffectProgress.DONE:
        _EFFECT_LAG.labels(effect.kind.value).observe(max((now - effect.due_at).total_seconds(), 0))


def count_alert(cause: str) -> None:
    """Count an alert. Of its cause only what stands before the first colon is told: the rest may be an address."""
    _ALERTS.labels(cause.partition(":")[0]).inc()


def count_page(status: int) -> None:
    """Count a request to a page."""
    _PAGES.labels(str(status)).inc()


def count_request(service: str, kind: str, status: object = NO_ANSWER) -> None:
    """Count a request to a service that was part of a batch, and took no time of its own."""
    _REQUESTS.labels(service, kind, str(status)).inc()


def count_plan(due_at: datetime | None, now: datetime, *, has_failed: bool) -> None:
    """Count the plan of a pair, and note how long the pair was due until it was written."""
    count_work(PLAN_PAIR, FAILED if has_failed else DONE)
    if due_at is not None and not has_failed:
        _PLAN_LAG.observe(max((now - due_at).total_seconds(), 0))


@dataclass(slots=True)
class Observation:
    """A request that is being made: its status is set once there is an answer."""

    status: object = NO_ANSWER


@contextmanager
def observe_request(service: str, kind: str) -> Iterator[Observation]:
    """Count a request to a service and note how long it took, also when it fails."""
    observation, began_at = Observation(), monotonic()
    try:
        yield observation
    finally:
        _REQUEST_DURATION.labels(service, kind).observe(monotonic() - began_at)
        count_request(service, kind, observation.status)
