"""The queue of notifications, which threads of its own deliver to the endpoints of subscribers.

A failed delivery is repeated after a growing delay. Notifications to a slow endpoint are delayed, those to a very slow
one are dropped.
"""

import threading
import time
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from urllib.parse import urlsplit

import requests

from tests.doubles.graph.state import Json

_THREADS = 2
_WAIT_SECONDS = 20.0  #: the longest wait until the queue is idle
_NUMBERS = count(1)
NO_ANSWER = 0  #: stands for the status


def _read_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class DeliveryRules:
    """The limits and delays of the service, which tests may change. Numbers without another unit are seconds."""

    validation_limit: float = 10.0  #: until an endpoint has answered its validation
    answer_limit: float = 30.0  #: until an endpoint has answered a notification
    batch_size: int = 20  #: most notifications in one request
    first_retry: timedelta = timedelta(seconds=10)  #: the delay, which doubles with each attempt
    retry_period: timedelta = timedelta(hours=4)  #: from the first attempt on
    #: The period whose answers decide whether an endpoint is slow, and for which notifications are delayed or dropped.
    window: timedelta = timedelta(minutes=10)
    min_answers: int = 10  #: with fewer answers in the window, an endpoint is never slow
    slow: float = 3.0  #: an answer that takes longer is slow
    slow_share: float = 0.10  #: with more slow answers, notifications to the endpoint are delayed
    very_slow: float = 10.0
    very_slow_share: float = 0.15  #: with more very slow answers, they are dropped
    mailbox_quota: int = 1000  #: most subscriptions to one mailbox
    page_size: int = 100  #: subscriptions in one page of a list


@dataclass(order=True)
class QueuedNotification:
    """A notification that is to be delivered at `due`, if it is still wanted then."""

    due: datetime
    number: int  #: orders notifications that are due at the same time
    url: str = field(compare=False)
    item: Json = field(compare=False)
    is_wanted: Callable[[], bool] = field(compare=False)
    is_lifecycle: bool = field(compare=False, default=False)
    queued_at: datetime = field(compare=False, default=datetime.min.replace(tzinfo=UTC))
    attempts: int = field(compare=False, default=0)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


@dataclass
class Endpoint:
    """The times and durations in seconds of a host's last answers, and what follows from them."""

    answers: deque[tuple[datetime, float]] = field(default_factory=deque)
    held_until: datetime | None = None  #: notifications are delayed until then
    dropped_until: datetime | None = None  #: notifications are dropped until then


class NotificationQueue:
    """Delivers notifications. `routes`: the local address of each public base URL; all other addresses are unreachable.

    Tests may replace `clock` and `stopwatch`, which measures the answers in seconds.
    """

    def __init__(self) -> None:
        self.routes: dict[str, str] = {}
        self.rules = DeliveryRules()
        self.clock: Callable[[], datetime] = _read_clock
        self.stopwatch: Callable[[], float] = time.monotonic
        self._clock_offset = timedelta()
        self._waiting: list[QueuedNotification] = []
        self._busy: set[str] = set()  #: hosts: each gets one request at a time
        self._endpoints: dict[str, Endpoint] = {}
        self._paused = self._stopped = False
        self._threads: list[threading.Thread] = []
        self._changed = threading.Condition()

    def now(self) -> datetime:
        """Return the time of the service."""
        return self.clock() + self._clock_offset

    def advance(self, step: timedelta) -> None:
        """Put the time of the service forward."""
        with self._changed:
            self._clock_offset += step
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def reset(self) -> None:
        """Empty the queue, and restore the defaults."""
        with self._changed:
            self._waiting.clear()
            idle = self._changed.wait_for(lambda: not self._busy, _WAIT_SECONDS)
            self._waiting.clear()
            self._endpoints.clear()
            self.routes.clear()
            self.rules, self._clock_offset, self._paused = DeliveryRules(), timedelta(), False
            self.clock, self.stopwatch = _read_clock, time.monotonic
        assert idle, "a notification is still being delivered"

    def settle(self) -> None:
        """Wait until no notification is due: each was delivered or dropped, or is due later."""
        with self._changed:
            self._changed.notify_all()  # the clock may have been moved
            settled = self._changed.wait_for(lambda: not self._busy and not self._list_due(), _WAIT_SECONDS)
        assert settled, "notifications are still on their way"

    @property
    def next_due(self) -> datetime | None:
        """The time at which the next notification is due; None for an empty queue."""
        with self._changed:
            return min((one.due for one in self._waiting), default=None)

    @property
    def is_running(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold all notifications back within the block, and send them afterwards."""
        self._paused = True
        try:
            yield
        finally:
            with self._changed:
                self._paused = False
                self._changed.notify_all()

    # --- deliveries ---------------------------------------------------------------------------------------------------

    def send(
        self,
        url: str,
        item: Json,
        is_wanted: Callable[[], bool],
        *,
        delay: timedelta = timedelta(),
        is_lifecycle: bool = False,
    ) -> None:
        """Deliver the item after the delay, if `is_wanted` is true then."""
        now = self.now()
        with self._changed:
            insort(
                self._waiting, QueuedNotification(now + delay, next(_NUMBERS), url, item, is_wanted, is_lifecycle, now)
            )
            if not self._threads and not self._stopped:
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(_THREADS)]
                for thread in self._threads:
                    thread.start()
            self._changed.notify_all()

    def _list_due(self) -> list[QueuedNotification]:
        now = self.now()
        return [one for one in self._waiting if one.due <= now]

    def _work(self) -> None:
        while (notifications := self._take_next()) is not None:
            started = self.stopwatch()
            status = self._post(notifications)
            with self._changed:
                self._handle_result(notifications, status, self.stopwatch() - started)
                self._busy.discard(notifications[0].host)
                self._changed.notify_all()

    def _take_next(self) -> list[QueuedNotification] | None:
        """Wait for the next notifications that fit in one request, and return them; None once the queue is closed."""
        with self._changed:
            while not self._stopped:
                due = [] if self._paused else [one for one in self._list_due() if one.host not in self._busy]
                sendable = [one for one in due if self._may_be_sent(one)]
                if sendable:
                    first = sendable[0]
                    fitting = [
                        one for one in sendable if (one.url, one.is_lifecycle) == (first.url, first.is_lifecycle)
                    ]
                    chosen = fitting[: self.rules.batch_size]
                    self._busy.add(first.host)
                    self._waiting = [one for one in self._waiting if one not in chosen]
                    return chosen
                if due:
                    self._changed.notify_all()  # `settle` may wait until nothing is due
                later = [one.due for one in self._waiting if one.due > self.now()]
                self._changed.wait((min(later) - self.now()).total_seconds() if later else None)
        return None

    def _may_be_sent(self, notification: QueuedNotification) -> bool:
        """Return whether a due notification may be sent now.

        It is dropped if it is no longer wanted or its endpoint is very slow, and due later if the endpoint is slow.
        """
        endpoint, now = self._endpoints.get(notification.host, Endpoint()), self.now()
        if not notification.is_wanted() or (endpoint.dropped_until and now < endpoint.dropped_until):
            self._waiting.remove(notification)
            return False
        if endpoint.held_until and now < endpoint.held_until:
            self._waiting.remove(notification)
            notification.due = endpoint.held_until
            insort(self._waiting, notification)
            return False
        return True

    def _handle_result(self, notifications: list[QueuedNotification], status: int, seconds: float) -> None:
        """Record how long the answer took. If it was no success, queue the notifications for another attempt,
        unless `retry_period` has passed by then."""
        self._judge_speed(notifications[0].host, seconds)
        if 200 <= status < 300:
            return
        now = self.now()
        for one in notifications:
            one.due = now + self.rules.first_retry * 2**one.attempts
            one.attempts += 1
            if one.due - one.queued_at <= self.rules.retry_period:
                insort(self._waiting, one)

    def _judge_speed(self, host: str, seconds: float) -> None:
        """Delay or drop the notifications to a host from now on, if too many of its last answers were slow."""
        rules, now = self.rules, self.now()
        endpoint = self._endpoints.setdefault(host, Endpoint())
        endpoint.answers.append((now, seconds))
        while endpoint.answers[0][0] <= now - rules.window:
            endpoint.answers.popleft()
        total = len(endpoint.answers)
        if total < rules.min_answers:
            return
        if sum(taken > rules.very_slow for _, taken in endpoint.answers) > rules.very_slow_share * total:
            endpoint.dropped_until = now + rules.window
        elif sum(taken > rules.slow for _, taken in endpoint.answers) > rules.slow_share * total:
            endpoint.held_until = now + rules.window

    # --- requests -----------------------------------------------------------------------------------------------------

    def find_target(self, url: str) -> str | None:
        """Return the address on this machine for a public one; None for an unreachable one."""
        for base, target in self.routes.items():
            if url == base or url.startswith((f"{base}/", f"{base}?")):
                return target + url.removeprefix(base)
        return None

    def _post(self, notifications: list[QueuedNotification]) -> int:
        """Send the notifications in one request; return the status of the answer, `NO_ANSWER` without one."""
        target = self.find_target(notifications[0].url)
        if target is None:
            return NO_ANSWER
        body = {"value": [one.item for one in notifications]}
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(target, json=body, timeout=self.rules.answer_limit, allow_redirects=False)
                return answer.status_code
        except requests.RequestException:
            return NO_ANSWER

    def validate_endpoint(self, url: str, token: str, query: str) -> str:
        """Ask the endpoint to return the token, which `query` contains encoded. Return the error; empty for success."""
        target = self.find_target(url)
        if target is None:
            return "Subscription validation request failed. Notification endpoint can't be reached."
        target += ("&" if "?" in target else "?") + query
        started = self.stopwatch()
        try:
            with requests.Session() as session:
                session.trust_env = False
                headers = {"Content-Type": "text/plain; charset=utf-8"}
                limit = self.rules.validation_limit
                answer = session.post(target, headers=headers, timeout=limit, allow_redirects=False)
        except requests.Timeout:
            return "Subscription validation request timed out."
        except requests.RequestException:
            return "Subscription validation request failed. Notification endpoint can't be reached."
        if self.stopwatch() - started > self.rules.validation_limit:
            return "Subscription validation request timed out."
        failed = "Subscription validation request failed. "
        if answer.status_code != 200:
            words = f"HTTP status code is '{answer.status_code}'. "
            return f"{failed}{words}Notification endpoint must respond with 200 OK to validation request."
        if answer.headers.get("Content-Type", "").partition(";")[0].strip().casefold() != "text/plain":
            return f"{failed}Response content type must be text/plain."
        return (
            "" if answer.content == token.encode() else f"{failed}Response must match validationToken query parameter."
        )
