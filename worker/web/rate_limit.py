"""A rate limit for page requests: a token bucket for each client."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from worker.clock import Clock

#: The number of remembered clients. Beyond it, the one idle for longest is forgotten: its bucket is full again.
MAX_CLIENTS = 20_000


class RateLimiter:
    """Limits each client to a number of requests a minute, all of which may come at once. Not shared by processes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = Lock()

    def allow(self, client: str, per_minute: int) -> bool:
        """Return whether this client may make a request now; if so, the request is counted."""
        now = self._clock()
        with self._lock:
            tokens, filled_at = self._buckets.pop(client, (float(per_minute), now))
            tokens = min(tokens + (now - filled_at).total_seconds() * per_minute / 60, float(per_minute))
            allowed = tokens >= 1
            self._buckets[client] = (tokens - 1 if allowed else tokens, now)
            while len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        return allowed
