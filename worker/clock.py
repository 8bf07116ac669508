"""The only module that reads the machine's clock.

Other functions take the current time as `now`, and classes take a `Clock`. So tests, simulations and the demo can set
the time without patching anything.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

#: Years outside this range are rejected: their time zone rules are unknown, and date arithmetic may overflow.
SUPPORTED_YEARS = range(2000, 2100)

#: Returns the current instant as an aware `datetime` in UTC.
Clock = Callable[[], datetime]


def utcnow() -> datetime:
    """Return the current instant in UTC, in whole seconds, which is the precision of the database."""
    return datetime.now(UTC).replace(microsecond=0)


def is_recent(instant: datetime, now: datetime, age: timedelta) -> bool:
    """Return whether `instant` is less than `age` before `now`.

    An instant after `now` is not recent: the clock was put back, and nothing tells how long ago the instant was.
    """
    return timedelta(0) <= now - instant < age


class SteppedClock:
    """A clock that stands still until it is moved, and never moves backwards."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Move the clock to `instant`. Does nothing when the clock is past `instant` already."""
        self._now = max(self._now, instant.astimezone(UTC))

    def advance(self, step: timedelta) -> None:
        """Move the clock forward by `step`."""
        self.move_to(self._now + step)
