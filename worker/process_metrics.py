"""Prometheus counters and histograms of the work that this process has done.

Each process exports its own values, and Prometheus adds the label `instance`. `worker.ops.metrics` exports what the
database holds, which is the same in every process. No label names a person, a pair or an address.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from worker.domain.model import Effect, EffectKind, EffectProgress

_drop_created_series: Callable[[], None] = disable_created_metrics
_drop_created_series()  # otherwise the client exports an unused second series, `…_created`, for each counter

#: The metrics of this process.
REGISTRY = CollectorRegistry()

#: Values of the label `work`, besides the kinds of effects in the outbox (`event.create`, …, `mail`).
READ_CALENDAR, PLAN_PAIR = "read_calendar", "plan_pair"
#: Values of the label `outcome` for reading and planning. The outcome of an effect is its `EffectProgress`.
DONE, FAILED = "done", "failed"
#: The status of a request that got no answer.
NO_ANSWER = "none"

#: Upper bounds of the buckets of histograms, in seconds.
_LAG_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400)
_REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

_WORK = Counter(
    "longarc_work_total",
    "Attempts at work, by kind and outcome. A mail or a change of a calendar that is `waiting` is tried again.",
    ["work", "outcome"],
    registry=REGISTRY,
)
_PLAN_LAG = Histogram(
    "longarc_plan_lag_seconds",
    "Seconds from the time at which a pair became due for planning until its plan was written.",
    buckets=_LAG_BUCKETS,
    registry=REGISTRY,
)
_EFFECT_LAG = Histogram(
    "longarc_effect_lag_seconds",
    "Seconds from the time at which a mail or a change of a calendar was due until it was done.",
    ["work"],
    buckets=_LAG_BUCKETS,
    registry=REGISTRY,
)
_MAILS = Counter(
    "longarc_mails_total",
    "Attempts to send a mail, by name of the mail and outcome.",
    ["mail", "outcome"],
    registry=REGISTRY,
)
_ALERTS = Counter(
    "longarc_alerts_total",
    "Alerts to the operator, by cause. Several alerts may reach the operator in one mail.",
    ["cause"],
    registry=REGISTRY,
)
_REQUESTS = Counter(
    "longarc_provider_requests_total",
    "Requests to calendar, mail and other services, by HTTP or SMTP status; `none` stands for no answer.",
    ["service", "kind", "status"],
    registry=REGISTRY,
)
_REQUEST_DURATION = Histogram(
    "longarc_provider_request_duration_seconds",
    "Duration in seconds of requests to calendar, mail and other services.",
    ["service", "kind"],
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
_PAGES = Counter("longarc_page_requests_total", "Requests to the pages, by HTTP status.", ["status"], registry=REGISTRY)

_NOTIFICATIONS = Counter(
    "longarc_notifications_total",
    "Notifications of changes, by outcome: `accepted`, or `refused` when forged or sent through an unknown channel.",
    ["outcome"],
    registry=REGISTRY,
)


# Prometheus sees no increase when the first sample of a counter is not zero. The counters that alert rules use
# therefore exist from the start, with the value zero.
for _outcome in (DONE, FAILED):
    for _work in (READ_CALENDAR, PLAN_PAIR):
        _WORK.labels(_work, _outcome)


def count_work(work: str, outcome: str) -> None:
    """Count one attempt at reading a calendar, planning a pair or performing an effect."""
    _WORK.labels(work, outcome).inc()


def count_notifications(accepted: int, refused: int) -> None:
    """Count notifications that calendar services sent, by whether they were accepted or refused."""
    _NOTIFICATIONS.labels("accepted").inc(accepted)
    _NOTIFICATIONS.labels("refused").inc(refused)


def count_effect(effect: Effect, progress: EffectProgress, now: datetime) -> None:
    """Count an attempt at an effect. When the effect is done, record how long it had been due."""
    count_work(effect.kind.value, progress.value)
    if effect.kind is EffectKind.MAIL:
        _MAILS.labels(effect.name, progress.value).inc()
    if progress is EffectProgress.DONE:
        _EFFECT_LAG.labels(effect.kind.value).observe(max((now - effect.due_at).total_seconds(), 0))


def count_alert(cause: str) -> None:
    """Count an alert. The label is the part of its cause before the first colon, as the rest may be an address."""
    _ALERTS.labels(cause.partition(":")[0]).inc()


def count_page(status: int) -> None:
    """Count a request to a page."""
    _PAGES.labels(str(status)).inc()


def count_request(service: str, kind: str, status: object = NO_ANSWER) -> None:
    """Count a request to a service without a duration of its own, such as one part of a batch request."""
    _REQUESTS.labels(service, kind, str(status)).inc()


def count_plan(due_at: datetime | None, now: datetime, *, has_failed: bool) -> None:
    """Count the plan of a pair. Unless planning failed, record how long the pair had been due when it was written."""
    count_work(PLAN_PAIR, FAILED if has_failed else DONE)
    if due_at is not None and not has_failed:
        _PLAN_LAG.observe(max((now - due_at).total_seconds(), 0))


@dataclass(slots=True)
class Observation:
    """A request to a service in progress. The caller sets `status` when the service has answered."""

    status: object = NO_ANSWER


@contextmanager
def observe_request(service: str, kind: str) -> Iterator[Observation]:
    """Count the request to a service that the block makes, and record its duration, also when the block raises."""
    observation, began_at = Observation(), monotonic()
    try:
        yield observation
    finally:
        _REQUEST_DURATION.labels(service, kind).observe(monotonic() - began_at)
        count_request(service, kind, observation.status)
