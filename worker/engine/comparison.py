"""Finds out which due calendars need not be read, because their service tells that they have not changed."""

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

#: The most calendars that are compared at once.
MAX_COMPARED = 200
#: How long few calendars are claimed after many were compared in vain.
PAUSE = timedelta(hours=1)


class CalendarComparison:
    """Asks services which of the due calendars have not changed. Several threads may use it at once."""

    def __init__(self, find_calendar: Callable[[Address], CalendarProvider | None]) -> None:
        self._find_calendar = find_calendar
        self._many_from: datetime | None = None  #: since when many are claimed; None while no service compares any

    def choose_count(self, limit: int, now: datetime) -> int:
        """Return how many calendars to claim at once: more than `limit`, where services tell which have changed."""
        return max(limit, MAX_COMPARED) if self._many_from is not None and self._many_from <= now else limit

    def find_unchanged(self, due_calendars: Sequence[DueCalendar], limit: int, now: datetime) -> set[Address]:
        """Return those of the calendars, all with a cursor, that have certainly not changed. Raises nothing but
        database outages: a service that fails here fails again when the calendar is read."""
        cursors: dict[int, tuple[ComparableCalendar, dict[Address, Cursor]]] = {}
        for due_calendar in due_calendars:
            provider = self._find_comparable(due_calendar.address)
            if provider is not None and due_calendar.cursor is not None:
                cursors.setdefault(id(provider), (provider, {}))[1][due_calendar.address] = due_calendar.cursor
        unchanged: set[Address] = set()
        for provider, cursors_of_provider in cursors.values():
            unchanged |= _compare(provider, cursors_of_provider)
        if cursors and len(due_calendars) > limit and not unchanged:
            self._many_from = now + PAUSE
        elif cursors and self._many_from is None:
            self._many_from = now
        return unchanged

    def _find_comparable(self, address: Address) -> ComparableCalendar | None:
        try:
            provider = self._find_calendar(address)
        except Exception as error:  # it is met again, and reported, when the calendar is read
            if describe_database_outage(error):
                raise
            return None
        return as_comparable(provider)


def _compare(provider: ComparableCalendar, cursors: dict[Address, Cursor]) -> set[Address]:
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
