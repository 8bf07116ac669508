"""The only place that asks the machine what time it is.

Everything else is given the time: functions take `now`, objects take a `Clock`. So a test, a simulation or the
demo moves through a quarter without patching anything.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: The years that anybody means: further away, clocks know no rules, and dates come to an end.
SUPPORTED_YEARS = range(2000, 2100)

#: Returns the current instant, aware, in UTC.
Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """The current instant in UTC, to the second: what is stored is what was compared."""
    return datetime.now(UTC).replace(microsecond=0)


class SteppedClock:
    """A clock that stands still until it is moved. Never moves backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Stand at `instant`; an instant already passed leaves the clock where it is."""
        self._now = max(self._now, instant.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Stand `step` later."""
        self.move_to(self._now + step)
