"""Turns repeated failures of a service, the database, Huey's queue or a task into outages, so that the log stays short.

An outage is logged when it begins, once an hour while it lasts, and when it ends, with the number of failed attempts.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from worker.clock import Clock
from worker.domain.counts import format_count
from worker.errors import get_first_line
from worker.logs import Action
from worker.store.calendars import CalendarFailures
from worker.store.database import describe_database_outage
from worker.store.outbox import MailFailures

log = logging.getLogger(__name__)

#: Subjects of outages. Log lines begin with the subject. The queue is the one in Redis from which Huey takes tasks.
DATABASE, QUEUE = "The database", "The queue"
_CALENDAR_PREFIX, _MAIL_PREFIX = "The calendar service ", "Sending mail by "
LOG_INTERVAL = timedelta(hours=1)


@dataclass(slots=True)
class Outage:
    """One outage: its start, the number of failed attempts, and the time of the last log line."""

    since: datetime
    count: int
    logged_at: datetime


class Outages:
    """The current outages that this process has noticed, by subject. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._current: dict[str, Outage] = {}

    def record_failure(self, subject: str, reason: str, now: datetime, count: int | None = None) -> None:
        """Count a failed attempt. `count` is the number of failed attempts so far, if the caller knows it."""
        with self._lock:
            outage = self._current.get(subject)
            if outage is None:
                self._current[subject] = Outage(now, count or 1, now)
                log.error(
                    "%s is out of order: %s It is tried again until it works.",
                    subject,
                    reason,
                    extra={"action": Action.OUTAGE_BEGINS},
                )
                return
            outage.count = count or outage.count + 1
            if now - outage.logged_at >= LOG_INTERVAL:
                outage.logged_at = now
                arguments = (subject, f"{outage.since:%Y-%m-%d %H:%M}", format_count(outage.count, "attempt"))
                log.warning(
                    "%s is still out of order, since %s UTC: %s failed.",
                    *arguments,
                    extra={"action": Action.OUTAGE_LASTS},
                )

    def record_recovery(self, subject: str, now: datetime) -> None:
        """End the outage of this subject, if there is one."""
        with self._lock:
            outage = self._current.pop(subject, None)
        if outage is not None:
            minutes = max(int((now - outage.since).total_seconds()) // 60, 0)
            arguments = (subject, format_count(minutes, "minute"), format_count(outage.count, "failed attempt"))
            log.warning(
                "%s works again, after %s and %s.",
                *arguments,
                extra={"action": Action.OUTAGE_ENDS},
            )

    def update_services(
        self,
        calendar_failures: Mapping[str, CalendarFailures],
        mail_failures: Mapping[str, MailFailures],
        now: datetime,
    ) -> None:
        """Update the outages of services from the failures in the database, which any process may have stored.

        `calendar_failures` holds the failures to read calendars, and `mail_failures` the failures to send mails, both
        by the name of the service.
        """
        # by the subject of the outage: the symptom, the text of the last error, and the number of failed attempts
        failing_services: dict[str, tuple[str, str, int]] = {}
        for name, failed_readings in calendar_failures.items():
            count = failed_readings.calendars
            symptom = f"{format_count(count, 'calendar')} can't be read."
            attempts = failed_readings.failures
            failing_services[_CALENDAR_PREFIX + name] = (symptom, failed_readings.problem, attempts)
        for name, failed_mails in mail_failures.items():
            count = failed_mails.mails
            symptom = f"{format_count(count, 'mail')} could not be sent."
            failing_services[_MAIL_PREFIX + name] = (symptom, failed_mails.problem, failed_mails.attempts)
        for subject, (symptom, problem, attempts) in failing_services.items():
            first_line = get_first_line(Exception(problem))  # the function takes errors; this is the text of one
            self.record_failure(subject, f"{symptom} {first_line}", now, attempts)
        for subject in list(self._current):
            if subject.startswith((_CALENDAR_PREFIX, _MAIL_PREFIX)) and subject not in failing_services:
                self.record_recovery(subject, now)


class OutageFilter(logging.Filter):
    """Drops Huey's log records about outages of the database or the queue, and counts them as failed attempts."""

    def __init__(self, outages: Outages, clock: Clock) -> None:
        super().__init__()
        self._outages = outages
        self._clock = clock

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or record.name.partition(".")[0] != "huey":
            return True
        subject, reason = DATABASE, describe_database_outage(error)
        if not reason and type(error).__module__.partition(".")[0] == "redis":
            subject, reason = QUEUE, get_first_line(error)
        if reason:
            self._outages.record_failure(subject, reason, self._clock())
        return not reason
