"""A rate limit for page requests: a token bucket for each asker."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from worker.clock import Clock

#: How many askers are remembered; the one that has not asked for longest is forgotten and starts with a full bucket.
MAX_ASKERS = 20_000


class RateLimiter:
    """Allows each asker a number of requests a minute, at most one minute's number at once. Not shared by processes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = Lock()

    def allow(self, asker: str, per_minute: int) -> bool:
        """Whether this asker may make a request now; if so, the request is counted."""
        now = self._clock()
        with self._lock:
            tokens, filled_at = self._buckets.pop(asker, (float(per_minute), now))
            tokens = min(tokens + (now - filled_at).total_seconds() * per_minute / 60, float(per_minute))
            allowed = tokens >= 1
            self._buckets[asker] = (tokens - 1 if allowed else tokens, now)
            while len(self._buckets) > MAX_ASKERS:
                self._buckets.popitem(last=False)
        return allowed
