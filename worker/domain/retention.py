"""How long contents are kept after a pair has ended."""

from datetime import UTC, date, datetime, time

from worker.domain.model import Interval
from worker.domain.planning.cadence import add_interval


def find_erasure_limit(months: int, today: date) -> datetime:
    """Return the end, in UTC, of the day that lies that many months ago: pairs that ended by then are erased today."""
    return datetime.combine(add_interval(today, Interval(months=-months)), time.max, UTC)
