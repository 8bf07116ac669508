"""How much anybody may ask for: so many requests a minute, more at once only what was saved up."""

from collections import OrderedDict
from datetime import datetime
from threading import Lock

from worker.clock import Clock

#: Of so many askers the latest are remembered; whoever is forgotten starts afresh.
MAX_ASKERS = 20_000


class RateLimiter:
    """A bucket for each asker, which fills as time passes. Each process has its own."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._lock = Lock()

    def allow(self, asker: str, per_minute: int) -> bool:
        """Whether this asker may go on; if so, it is counted."""
        now = self._clock()
        with self._lock:
            left, at = self._left.pop(asker, (float(per_minute), now))
            left = min(left + (now - at).total_seconds() * per_minute / 60, float(per_minute))
            allowed = left >= 1
            self._left[asker] = (left - 1 if allowed else left, now)
            while len(self._left) > MAX_ASKERS:
                self._left.popitem(last=False)
        return allowed
