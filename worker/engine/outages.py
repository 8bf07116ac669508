"""What can't be reached just now: one line in the log when an outage begins, one an hour in it, one at its end.

However many things fail for one reason, and however often, they are counted and not told each.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from worker.clock import Clock
from worker.errors import get_first_line
from worker.store.calendars import CalendarFailures
from worker.store.database import describe_database_outage
from worker.store.outbox import MailFailures

log = logging.getLogger(__name__)

DATABASE, QUEUE = "The database", "The queue"
_CALENDAR_PREFIX, _MAIL_PREFIX = "The calendar service ", "Sending mail by "
LOG_INTERVAL = timedelta(hours=1)


@dataclass(slots=True)
class Outage:
    """Since when something can't be reached, how often that was tried, and when the log was told last."""

    since: datetime
    count: int
    logged_at: datetime


class Outages:
    """The outages that this process knows of. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._lasting: dict[str, Outage] = {}

    def record_failure(self, what: str, why: str, now: datetime, count: int | None = None) -> None:
        """One more attempt failed; `count` is how many did so far, where that is known."""
        with self._lock:
            outage = self._lasting.get(what)
            if outage is None:
                self._lasting[what] = Outage(now, count or 1, now)
                log.error("%s is out of order: %s It is tried again until it works.", what, why, extra=_BEGINS)
                return
            outage.count = count or outage.count + 1
            if now - outage.logged_at >= LOG_INTERVAL:
                outage.logged_at = now
                arguments = (what, f"{outage.since:%Y-%m-%d %H:%M}", outage.count)
                log.warning("%s is still out of order, since %s UTC: %d attempts failed.", *arguments, extra=_LASTS)

    def record_recovery(self, what: str, now: datetime) -> None:
        """It works; nothing when that is no news."""
        with self._lock:
            outage = self._lasting.pop(what, None)
        if outage is not None:
            minutes = max(int((now - outage.since).total_seconds()) // 60, 0)
            arguments = (what, minutes, outage.count)
            log.warning("%s works again, after %d minutes and %d failed attempts.", *arguments, extra=_ENDS)

    def update_services(
        self, unreachable: Mapping[str, CalendarFailures], unsent: Mapping[str, MailFailures], now: datetime
    ) -> None:
        """Bring what is told of services in line with what the database knows, whichever process found it out."""
        failing: dict[str, tuple[str, str, int]] = {}
        for name, one in unreachable.items():
            calendars = "1 calendar" if one.calendars == 1 else f"{one.calendars:,} calendars"
            failing[_CALENDAR_PREFIX + name] = f"{calendars} can't be read.", one.problem, one.failures
        for name, mail in unsent.items():
            mails = "1 mail" if mail.mails == 1 else f"{mail.mails:,} mails"
            failing[_MAIL_PREFIX + name] = f"{mails} could not leave.", mail.problem, mail.attempts
        for what, (stopped, problem, failures) in failing.items():
            self.record_failure(what, f"{stopped} {get_first_line(Exception(problem))}", now, failures)
        for what in list(self._lasting):
            if what.startswith((_CALENDAR_PREFIX, _MAIL_PREFIX)) and what not in failing:
                self.record_recovery(what, now)


_BEGINS, _LASTS, _ENDS = ({"action": f"outage_{phase}"} for phase in ("begins", "lasts", "ends"))


class OutageFilter(logging.Filter):
    """Keeps out of the log each single failure by which a queue tells of an outage: it is counted as one."""

    def __init__(self, outages: Outages, clock: Clock) -> None:
        super().__init__()
        self._outages = outages
        self._clock = clock

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or record.name.partition(".")[0] != "huey":
            return True
        what, why = DATABASE, describe_database_outage(error)
        if not why and type(error).__module__.partition(".")[0] == "redis":
            what, why = QUEUE, get_first_line(Exception(str(error)))
        if why:
            self._outages.record_failure(what, why, self._clock())
        return not why
