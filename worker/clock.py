"""Reads the machine's clock, which no other module does.

Functions elsewhere take `now`, and classes take a `Clock`. So tests, simulations and the demo set the time without
patching anything.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Years outside this range are rejected: zone rules are unknown there, and arithmetic can leave the range of dates.
SUPPORTED_YEARS = range(2000, 2100)

#: Returns the current instant, aware, in UTC.
Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """Return the current instant in UTC, in whole seconds, as the database stores it."""
    return datetime.now(UTC).replace(microsecond=0)


class SteppedClock:
    """A clock that stands still until it is moved, and never moves backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Move the clock to `instant`. Does nothing when that is in the past."""
        self._now = max(self._now, instant.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Move the clock forward by `step`."""
        self.move_to(self._now + step)
