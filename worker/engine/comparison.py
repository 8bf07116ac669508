"""Finds out which due calendars need not be read, because their service reports that they have not changed.

Some services can compare the cursors of many calendars with one request. They are called comparable.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from worker.domain.model import Address, Cursor
from worker.errors import ProviderError, describe_unexpected_error
from worker.logs import Action
from worker.providers.base import CalendarProvider, ComparableCalendar, as_comparable
from worker.store.calendars import DueCalendar
from worker.store.database import describe_database_outage

log = logging.getLogger(__name__)

#: How many calendars are claimed and compared at once.
MAX_COMPARED = 200
#: After many calendars were claimed and all had changed, only the usual number is claimed for this long, since the
#: claims beyond it have to be given back.
SMALL_CLAIM_PERIOD = timedelta(hours=1)


class CalendarComparison:
    """Asks comparable services which of the due calendars have not changed. Thread-safe."""

    def __init__(self, find_calendar_provider: Callable[[Address], CalendarProvider | None]) -> None:
        self._find_calendar_provider = find_calendar_provider
        #: the instant from which many calendars are claimed at once; None until a comparable service was found
        self._claims_many_from: datetime | None = None

    def choose_claim_limit(self, limit: int, now: datetime) -> int:
        """Return how many calendars to claim at once: more than `limit` when a service can compare many at once."""
        claims_many = self._claims_many_from is not None and self._claims_many_from <= now
        return max(limit, MAX_COMPARED) if claims_many else limit

    def find_unchanged(self, due_calendars: Sequence[DueCalendar], limit: int, now: datetime) -> set[Address]:
        """Return the addresses of those calendars with a cursor that have certainly not changed.

        Only outages of the database are raised: the error of a service is reported when its calendars are read.
        """
        cursors: dict[int, tuple[ComparableCalendar, dict[Address, Cursor]]] = {}  # by identity of the provider
        for due_calendar in due_calendars:
            provider = self._find_comparable(due_calendar.address)
            if provider is not None and due_calendar.cursor is not None:
                cursors.setdefault(id(provider), (provider, {}))[1][due_calendar.address] = due_calendar.cursor
        unchanged: set[Address] = set()
        for provider, cursors_of_provider in cursors.values():
            unchanged |= _compare(provider, cursors_of_provider)
        if cursors and len(due_calendars) > limit and not unchanged:
            self._claims_many_from = now + SMALL_CLAIM_PERIOD
        elif cursors and self._claims_many_from is None:
            self._claims_many_from = now
        return unchanged

    def _find_comparable(self, address: Address) -> ComparableCalendar | None:
        """Return the provider of a person's calendar if it can compare calendars; None if it can't."""
        try:
            provider = self._find_calendar_provider(address)
        except Exception as error:  # reported when the calendar is read
            if describe_database_outage(error):
                raise
            return None
        return as_comparable(provider)


def _compare(provider: ComparableCalendar, cursors: dict[Address, Cursor]) -> set[Address]:
    """Return which of these calendars have not changed since their cursor; none when the service fails."""
    try:
        return set(provider.find_unchanged(cursors)) & cursors.keys()
    except ProviderError as error:
        log.debug("calendars can't be compared: %s", error, extra={"action": Action.SYNC_FAILED})
    except Exception as error:  # a fault in the comparison must not keep calendars from being read
        if describe_database_outage(error):
            raise
        text = describe_unexpected_error(error)
        log.error("Calendars could not be compared: %s", text, extra={"action": Action.SYNC_UNFORESEEN})
    return set()
