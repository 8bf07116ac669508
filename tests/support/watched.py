"""Values of `WatchedCalendar` for tests of the domain."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.domain.model import WatchedCalendar

DANA = "dana@example.com"
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UNWATCHED = WatchedCalendar(calendar=DANA, service="google")


def watched_calendar(**changed: Any) -> WatchedCalendar:
    """A calendar whose channel was opened and proven a day ago, with these fields changed."""
    defaults = replace(
        UNWATCHED,
        id="a" * 32,
        remote_id="r",
        opened_at=NOW - DAY,
        renew_at=NOW + 2 * DAY,
        expires_at=NOW + 6 * DAY,
        proven_at=NOW - DAY,
    )
    return replace(defaults, **changed)
