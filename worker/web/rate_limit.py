"""A rate limit for page requests: a token bucket for each client."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from worker.clock import Clock

#: The number of remembered clients. When there are more, the client idle for longest is forgotten.
MAX_CLIENTS = 20_000


class RateLimiter:
    """Limits the requests of each client per minute, all of which may come at once. Each process counts for itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: By client: the tokens in its bucket, and when they were computed. The client idle for longest comes first.
        self._buckets: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = Lock()

    def allow(self, client: str, per_minute: int) -> bool:
        """Return whether this client may make a request now, and count the request if so."""
        now = self._clock()
        with self._lock:
            tokens, computed_at = self._buckets.pop(client, (float(per_minute), now))
            tokens = min(tokens + (now - computed_at).total_seconds() * per_minute / 60, float(per_minute))
            is_allowed = tokens >= 1
            self._buckets[client] = (tokens - 1 if is_allowed else tokens, now)
            while len(self._buckets) > MAX_CLIENTS:
                self._buckets.popitem(last=False)
        return is_allowed
