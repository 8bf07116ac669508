"""Decides how long the content of a pair, what the two said to each other, is kept after the pair has ended."""

from datetime import UTC, date, datetime, time

from worker.domain.model import Interval
from worker.domain.planning.cadence import add_interval


def find_erasure_limit(months: int, today: date) -> datetime:
    """Return the time by which a pair must have ended for its content to be erased today.

    It is the end, in UTC, of the day that lies `months` before today. `months` is the configured retention.
    """
    return datetime.combine(add_interval(today, Interval(months=-months)), time.max, UTC)
