"""Undo: takes every event of ours off every calendar, and pauses everybody.

A pause of everybody makes the sweep plan the cancellation of all events, and undo performs these effects at once. Each
step is stored before the next, as in the outbox, so that an interrupted undo can be continued by another run. The
result lists what could not be taken off, with the reason.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.counts import format_count
from worker.domain.model import Address, Event, Span
from worker.engine.outbox import Outbox
from worker.engine.participation import ParticipationUpdate
from worker.engine.sweep import Sweep
from worker.errors import LongarcError
from worker.logs import Action
from worker.providers.base import CalendarProvider
from worker.store.store import Store
from worker.store.undo import RemainingEvent, UndoState

log = logging.getLogger(__name__)

#: How far calendars are searched for events that the database does not know.
SEARCH_AHEAD, SEARCH_BACK = timedelta(days=400), timedelta(days=1100)
#: How many effects are claimed at once. When the process is killed, only these stay leased until the lease ends.
BATCH = 10


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What an undo did, and what it left on calendars."""

    removed_count: int  #: the number of events in the database that were taken off
    orphan_count: int  #: the number of events taken off that the database did not have, or had marked as deleted
    remaining_events: tuple[RemainingEvent, ...]  #: events that could not be taken off
    unsearched_calendars: dict[Address, str]  #: calendars that could not be searched, with the reason
    stranger_count: int  #: the number of events left in place that another database of Longarc has written

    @property
    def is_complete(self) -> bool:
        """Whether no event of this database is left on a calendar."""
        return not (self.remaining_events or self.unsearched_calendars)


@dataclass(slots=True)
class _Search:
    """The fields of `UndoResult` that a search of the calendars for unknown events fills."""

    orphan_count: int = 0
    stranger_count: int = 0
    unsearched_calendars: dict[Address, str] = field(default_factory=dict)


#: Called to report progress: with the name of the current phase, and the numbers of its finished steps and of all
#: steps.
ReportProgress = Callable[[str, int, int], None]
#: Called to wait until an instant.
Wait = Callable[[datetime], None]


class Undo:
    """Takes every event of ours off the calendars."""

    def __init__(
        self,
        store: Store,
        sweep: Sweep,
        outbox: Outbox,
        participation: ParticipationUpdate,
        find_calendar_provider: Callable[[Address], CalendarProvider | None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._sweep = sweep
        self._outbox = outbox
        self._participation = participation
        self._find_calendar_provider = find_calendar_provider
        self._clock = clock

    def begin(self, *, includes_past: bool, is_quiet: bool) -> UndoState:
        """Pause everybody, and store that an undo has begun. Returns its state, which `run` takes.

        With `includes_past`, past events are taken off, too, even if the undo is begun again later without it. With
        `is_quiet`, guests are not notified of cancellations.
        """
        earlier = self._store.undo.load()
        state = UndoState(
            begun_at=earlier.begun_at if earlier else self._clock(),
            includes_past=includes_past or (earlier is not None and earlier.includes_past),
            is_quiet=is_quiet,
        )
        pauses = self._store.participation.load().pauses.begin_undo(is_quiet=is_quiet)
        self._participation.set_pauses(pauses, lambda connection: self._store.undo.save(connection, state))
        return state

    def run(
        self,
        state: UndoState,
        holder: str,
        report_progress: ReportProgress,
        wait: Wait,
        *,
        removes_strangers: bool = False,
    ) -> UndoResult:
        """Take all events off, and return what was done and what is left.

        Of the mails in the outbox, only those that withdraw an invitation are sent.

        `wait` is called when another process, which may have died, holds leases.
        With `removes_strangers`, events that another database of Longarc has written are taken off as well.
        """
        undo_store, includes_past = self._store.undo, state.includes_past
        total = undo_store.count_remaining_events(self._clock(), includes_past=includes_past)
        undo_store.retry_cancels(self._clock())  # makes cancellations that wait for another attempt due now
        self._perform(state, holder, total, report_progress, wait)
        # events that planning did not cancel, such as past ones and those whose cancellation was refused for good
        if undo_store.add_cancels(self._clock(), includes_past=includes_past, is_quiet=state.is_quiet):
            self._perform(state, holder, total, report_progress, wait)
        remaining_events = undo_store.list_remaining_events(self._clock(), includes_past=includes_past)
        remaining_keys = {event.key for event in remaining_events}
        search = self._search_calendars(state, remaining_keys, report_progress, removes_strangers=removes_strangers)
        result = UndoResult(
            removed_count=max(total - len(remaining_events), 0),
            orphan_count=search.orphan_count,
            remaining_events=tuple(remaining_events),
            unsearched_calendars=search.unsearched_calendars,
            stranger_count=search.stranger_count,
        )
        if result.is_complete:
            undo_store.save_finished(replace(state, finished_at=self._clock()))
        log.info(
            "taken off: %s; still standing: %s",
            format_count(result.removed_count + result.orphan_count, "event"),
            format_count(len(remaining_events), "event"),
            extra={"action": Action.UNDONE},
        )
        return result

    def _perform(self, state: UndoState, holder: str, total: int, report_progress: ReportProgress, wait: Wait) -> None:
        """Plan the pairs that are due, and perform the changes of calendars that are due, until there are none."""
        while True:
            remaining_count = self._store.undo.count_remaining_events(self._clock(), includes_past=state.includes_past)
            removed_count = max(total - remaining_count, 0)
            report_progress("Taking events off", removed_count, total)
            planned_count = self._sweep.run(holder)
            performed_count = self._outbox.run(holder, BATCH, calendars_only=True)
            if planned_count or performed_count:
                continue
            lease_end = self._store.undo.find_lease_end(self._clock())
            if lease_end is None:
                return
            report_progress("Waiting for another process", removed_count, total)
            wait(lease_end + timedelta(seconds=1))  # when the lease has certainly ended

    # --- events that the database does not know ---

    def _search_calendars(
        self, state: UndoState, remaining_keys: set[str], report_progress: ReportProgress, *, removes_strangers: bool
    ) -> _Search:
        """Search the organizers' calendars, and take off the events of ours that are not in `remaining_keys`."""
        search, now = _Search(), self._clock()
        window = Span(now - SEARCH_BACK if state.includes_past else now, now + SEARCH_AHEAD)
        organizers = self._store.undo.list_organizers()
        for number, organizer in enumerate(organizers):
            report_progress("Searching calendars", number, len(organizers))
            try:
                provider = self._find_calendar_provider(organizer)
                if provider is not None:
                    events = _list_own_events(provider, organizer, window)
                    leftovers = [event for event in events if event.key not in remaining_keys]
                    self._remove_leftovers(provider, leftovers, state, search, removes_strangers=removes_strangers)
            except LongarcError as error:
                search.unsearched_calendars[organizer] = str(error)
        return search

    def _remove_leftovers(
        self,
        provider: CalendarProvider,
        leftovers: list[Event],
        state: UndoState,
        search: _Search,
        *,
        removes_strangers: bool,
    ) -> None:
        """Take these events off the calendar. Strangers are only counted, unless `removes_strangers` is set.

        A stranger is an event whose session or commitment this database never had.
        """
        # the key of an event is the id of its session or commitment, a dot, and its generation
        subjects = {event.key: (event.key or "").rpartition(".")[0] for event in leftovers}
        known_subjects = self._store.undo.list_known_subjects(sorted(set(subjects.values())))
        for event in leftovers:
            is_stranger = subjects[event.key] not in known_subjects
            if is_stranger and not removes_strangers:
                search.stranger_count += 1
                continue
            # without an etag, the event is cancelled even if somebody has changed it since it was read
            provider.cancel(replace(event.ref, etag=""), quiet=state.is_quiet)
            search.orphan_count += 1


def _list_own_events(provider: CalendarProvider, organizer: Address, window: Span) -> list[Event]:
    """Return the events of ours on this calendar, without those of other organizers."""
    events = provider.changes(organizer, None, window).events
    return [event for event in events if event.key and not event.cancelled and event.organizer in ("", organizer)]
