"""How long contents are kept after a pair has ended."""

from calendar import monthrange
from datetime import UTC, date, datetime, time


def find_erasure_limit(months: int, today: date) -> datetime:
    """Return the instant until which a pair has to have ended for its contents to be erased today.

    It is the end, in UTC, of the day so many months ago; the 31st of a month that has none is its last day.
    """
    year, index = divmod(today.year * 12 + today.month - 1 - months, 12)
    day = date(year, index + 1, min(today.day, monthrange(year, index + 1)[1]))
    return datetime.combine(day, time.max, UTC)
