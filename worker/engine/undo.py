"""Undoes the program's work on calendars: every event of ours comes off, and everybody is paused.

Undoing is a pause of everybody whose effects are performed here and now. Each step is stored before the next, as in
the outbox, so that another run goes on where one was stopped. What is left in the end is named with its reason.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import Address, Event, Span
from worker.engine.outbox import Outbox
from worker.engine.participation import ParticipationUpdate
from worker.engine.sweep import Sweep
from worker.errors import LongarcError
from worker.logs import Action
from worker.providers.base import CalendarProvider
from worker.store.store import Store
from worker.store.undo import StandingEvent, UndoState

log = logging.getLogger(__name__)

#: How far calendars are searched for events that the database does not know.
SEARCH_AHEAD, SEARCH_BACK = timedelta(days=400), timedelta(days=1100)
#: Effects that are claimed together: a process that is killed holds no more of them until its lease ends.
BATCH = 10


@dataclass(frozen=True, slots=True)
class UndoResult:
    """What undoing did, and what is left."""

    removed: int  #: events that the database knows
    orphans: int  #: events that were found on calendars and are not in the database, or were thought to be gone
    standing: tuple[StandingEvent, ...]  #: events that could not be taken off
    unread: dict[Address, str]  #: calendars that could not be searched, with the reason
    strangers: int  #: events with our mark of sessions that this database never had

    @property
    def is_complete(self) -> bool:
        """Whether nothing of this database is left."""
        return not (self.standing or self.unread)


@dataclass(slots=True)
class _Search:
    """What the search of the calendars found."""

    orphans: int = 0
    strangers: int = 0
    unread: dict[Address, str] = field(default_factory=dict)


#: Called while undoing goes on: with what is done now, the number of steps done, and of all steps.
Watch = Callable[[str, int, int], None]
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
        find_calendar: Callable[[Address], CalendarProvider | None],
        clock: Clock,
    ) -> None:
        self._store = store
        self._sweep = sweep
        self._outbox = outbox
        self._participation = participation
        self._find_calendar = find_calendar
        self._clock = clock

    def begin(self, *, includes_past: bool, is_quiet: bool) -> UndoState:
        """Pause everybody, and store that all is to be undone. Returns the state.

        Begun again, it includes the past when either run does.
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
        self, state: UndoState, holder: str, watch: Watch, wait: Wait, *, removes_strangers: bool = False
    ) -> UndoResult:
        """Take everything off, and return what was done and what is left. Other mails than withdrawals stay waiting.

        `wait` is called while another process, which may have died, holds leases. `removes_strangers`: also take off
        events with our mark of sessions that this database never had.
        """
        rows, past = self._store.undo, state.includes_past
        total = rows.count_standing_events(self._clock(), includes_past=past)
        rows.retry_cancels(self._clock())
        self._perform(state, holder, total, watch, wait)
        if rows.add_cancels(self._clock(), includes_past=past, is_quiet=state.is_quiet):
            self._perform(state, holder, total, watch, wait)
        standing = rows.list_standing_events(self._clock(), includes_past=past)
        search = self._search_calendars(state, {event.key for event in standing}, watch, removes_strangers)
        result = UndoResult(
            removed=max(total - len(standing), 0),
            orphans=search.orphans,
            standing=tuple(standing),
            unread=search.unread,
            strangers=search.strangers,
        )
        if result.is_complete:
            rows.finish(replace(state, finished_at=self._clock()))
        log.info(
            "%s events were taken off, %s still stand",
            result.removed + result.orphans,
            len(standing),
            extra={"action": Action.UNDONE},
        )
        return result

    def _perform(self, state: UndoState, holder: str, total: int, watch: Watch, wait: Wait) -> None:
        """Plan the pairs that are due and perform changes of calendars, until nothing is due."""
        while True:
            left = self._store.undo.count_standing_events(self._clock(), includes_past=state.includes_past)
            watch("Taking events off", max(total - left, 0), total)
            worked = self._sweep.run(holder)
            if self._outbox.run(holder, BATCH, calendars_only=True) or worked:
                continue
            lease_end = self._store.undo.find_lease_end(self._clock())
            if lease_end is None:
                return
            watch("Waiting for another process", max(total - left, 0), total)
            wait(lease_end + timedelta(seconds=1))

    # --- what the database does not know ---

    def _search_calendars(self, state: UndoState, standing: set[str], watch: Watch, removes_strangers: bool) -> _Search:
        """Take off the events on organizers' calendars that carry our mark, except for those known to stand."""
        search, now = _Search(), self._clock()
        window = Span(now - SEARCH_BACK if state.includes_past else now, now + SEARCH_AHEAD)
        organizers = self._store.undo.list_organizers()
        for number, organizer in enumerate(organizers):
            watch("Searching calendars", number, len(organizers))
            try:
                provider = self._find_calendar(organizer)
                if provider is not None:
                    events = _list_own_events(provider, organizer, window)
                    leftovers = [event for event in events if event.key not in standing]
                    self._remove_leftovers(provider, leftovers, state, search, removes_strangers)
            except LongarcError as error:
                search.unread[organizer] = str(error)
        return search

    def _remove_leftovers(
        self,
        provider: CalendarProvider,
        leftovers: list[Event],
        state: UndoState,
        search: _Search,
        removes_strangers: bool,
    ) -> None:
        subjects = {event.key: (event.key or "").rpartition(".")[0] for event in leftovers}
        known = self._store.undo.list_known_subjects(sorted(set(subjects.values())))
        for event in leftovers:
            is_stranger = subjects[event.key] not in known
            if is_stranger and not removes_strangers:
                search.strangers += 1
                continue
            provider.cancel(replace(event.ref, etag=""), quiet=state.is_quiet)
            search.orphans += 1


def _list_own_events(provider: CalendarProvider, organizer: Address, window: Span) -> list[Event]:
    """Return the events with our mark on this calendar, of this organizer alone."""
    listed = provider.changes(organizer, None, window).events
    return [event for event in listed if event.key and not event.cancelled and event.organizer in ("", organizer)]
