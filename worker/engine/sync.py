"""Reads the organizers' calendars and stores what changed since the last reading.

Reading is one request per calendar. `interpret_changes`, which is pure, says what the changes mean: which of our events
moved, vanished or were answered, whose time was booked over, and where the 1:1s of the pairs are.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import Address, Answer, CalendarChanges, Cursor, Event, PairId, PlacedEvent, Span
from worker.engine.identities import learn_from_reading, resolve_changes
from worker.engine.suspensions import SUSPENSION_LENGTH, describe_revoked_grant
from worker.errors import AuthRevoked, ProviderError, Refused, Transient, describe_unexpected_error
from worker.providers.base import CalendarProvider
from worker.providers.identities import Identities
from worker.store.calendars import CalendarReading, CalendarSnapshot, DueCalendar
from worker.store.database import describe_database_outage
from worker.store.store import Store

log = logging.getLogger(__name__)

WINDOW_BACK, WINDOW_AHEAD = timedelta(days=2), timedelta(days=200)
LEASE = timedelta(minutes=10)
RETRY_AFTER_FAILURE = timedelta(minutes=5)
RETRY_AFTER_UNEXPECTED = timedelta(hours=1)
REPEAT_AFTER = timedelta(minutes=1)
#: A calendar on which so many of our events stood, and which now shows none, is not believed.
MAX_LOST_EVENTS = 5

#: Finds the provider of a person's calendar; None when it can't be read.
FindCalendar = Callable[[Address], CalendarProvider | None]


class Sync:
    """Reads the calendars that are due and stores what changed on them."""

    def __init__(
        self,
        store: Store,
        calendar_of: FindCalendar,
        clock: Clock,
        identities: Identities,
        *,
        every: timedelta,
        full_every: timedelta,
        operator: str,
    ) -> None:
        self._store = store
        self._calendar_of = calendar_of
        self._clock = clock
        self._identities = identities
        self._every = every
        self._full_every = full_every
        self._operator = operator

    def run(self, holder: str, limit: int = 20) -> int:
        """Read up to `limit` calendars that are due, and return how many were read."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # each run by itself: one process may have several
        due_calendars = self._store.calendars.claim(now, holder, now + LEASE, limit)
        for due_calendar in due_calendars:
            self._sync_calendar(due_calendar, holder, now)
        return len(due_calendars)

    def _sync_calendar(self, due_calendar: DueCalendar, holder: str, now: datetime) -> None:
        stale = due_calendar.full_at is None or now - due_calendar.full_at >= self._full_every
        try:
            provider = self._calendar_of(due_calendar.address)
            if provider is None:
                self._store.calendars.postpone(due_calendar, holder, now + self._full_every)
                return
            needs_repeat = False
            if due_calendar.cursor is not None:
                needs_repeat = self._read_and_save(due_calendar, provider, due_calendar.cursor, holder, now)
            if due_calendar.cursor is None or stale:  # what the cursor told is checked against everything, once a day
                needs_repeat = self._read_and_save(due_calendar, provider, None, holder, now)
        except AuthRevoked as error:
            self._suspend_revoked(due_calendar, holder, error, now)
        except ProviderError as error:
            self._record_failure(due_calendar, holder, error, now)
        except Refused as error:
            log.warning("sync refused", extra={"action": "sync_refused", "calendar": due_calendar.address})
            self._store.outbox.alert(f"empty:{due_calendar.address}:{now:%Y-%m-%d}", str(error), now, self._operator)
            self._store.calendars.record_failure(due_calendar, holder, now + self._every, str(error), now)
        except Exception as error:  # nobody foresaw it: one calendar must not keep the others from being read
            if describe_database_outage(error):
                raise
            self._record_unexpected(due_calendar, holder, error, now)
        else:
            self._store.calendars.postpone(
                due_calendar, holder, now + (min(REPEAT_AFTER, self._every) if needs_repeat else self._every)
            )

    def _read_and_save(
        self, due_calendar: DueCalendar, provider: CalendarProvider, cursor: Cursor | None, holder: str, now: datetime
    ) -> bool:
        """Read a calendar from a cursor on and store the changes. True when they have to be read once more."""
        snapshot = self._store.calendars.load_snapshot(due_calendar.address, now)
        changes = provider.changes(due_calendar.address, cursor, compute_window(now))
        self._learn_forms(changes, snapshot)
        changes = resolve_changes(changes, self._identities)
        reading = interpret_changes(
            changes, snapshot, due_calendar.address, now, distrusted=due_calendar.cursor is None
        )
        self._alert_unread_events(due_calendar, changes, snapshot, now)
        size = len(changes.events) if changes.full else None
        upto = cursor if reading.needs_repeat else changes.cursor
        self._store.calendars.save(due_calendar, holder, reading, upto, size=size, now=now)
        return reading.needs_repeat

    def _learn_forms(self, changes: CalendarChanges, snapshot: CalendarSnapshot) -> None:
        """Keep the forms by which this calendar names the reports who are invited to our events."""
        invited = {pair: report for report, pair in snapshot.reports.items()}
        for event in changes.events:
            before = snapshot.placed.get(event.key or "")
            report = invited.get(snapshot.pair_by_key[before.key]) if before else None
            if before and report:
                learn_from_reading(event, report, before, self._identities)

    def _alert_unread_events(
        self, due_calendar: DueCalendar, changes: CalendarChanges, snapshot: CalendarSnapshot, now: datetime
    ) -> None:
        """Tell the operator, once a day, that events of ours can't be read any more."""
        unread = sorted(old.span.start for old in snapshot.placed.values() if old.ref.id in changes.unread)
        if unread:
            when = ", ".join(f"{start:%Y-%m-%d %H:%M} UTC" for start in unread)
            words = (
                f"The calendar of {due_calendar.address} holds events of ours that can't be read any more ({when}). "
                "They are taken to stand as they did. Open them in a calendar program and save them again, or delete "
                "them."
            )
            self._store.outbox.alert(f"unread:{due_calendar.address}:{now:%Y-%m-%d}", words, now, self._operator)

    def _record_failure(self, due_calendar: DueCalendar, holder: str, error: ProviderError, now: datetime) -> None:
        # of an outage each failure is counted, and the outage is told as one (`outages`)
        log.debug("sync failed: %s", error, extra={"action": "sync_failed", "calendar": due_calendar.address})
        wait = error.retry_after if isinstance(error, Transient) and error.retry_after else RETRY_AFTER_FAILURE
        if not isinstance(error, Transient):
            words = f"The calendar of {due_calendar.address} can't be read: {error}"
            self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + wait, str(error), now)

    def _record_unexpected(self, due_calendar: DueCalendar, holder: str, error: Exception, now: datetime) -> None:
        what = describe_unexpected_error(error)
        words = f"The calendar of {due_calendar.address} could not be read: {what}. It is tried again in an hour."
        log.error("%s", words, extra={"action": "sync_failed", "calendar": due_calendar.address})
        self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.record_failure(
            due_calendar, holder, now + RETRY_AFTER_UNEXPECTED, describe_unexpected_error(error), now
        )

    def _suspend_revoked(self, due_calendar: DueCalendar, holder: str, error: AuthRevoked, now: datetime) -> None:
        """A revoked grant pauses the person and tells the operator once."""
        if self._store.people.suspend(due_calendar.address, now + SUSPENSION_LENGTH):
            words = describe_revoked_grant(due_calendar.address, error)
            self._store.outbox.alert(f"revoked:{due_calendar.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + SUSPENSION_LENGTH, str(error), now)


def compute_window(now: datetime) -> Span:
    """What of a calendar matters: a little of the past, and as far ahead as anything is booked. Moves once a day."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(day - WINDOW_BACK, day + WINDOW_AHEAD)


def interpret_changes(
    changes: CalendarChanges, snapshot: CalendarSnapshot, organizer: Address, now: datetime, *, distrusted: bool = False
) -> CalendarReading:
    """What a calendar told. Raises Refused when it tells that everything is gone: that is not believed.

    Of a calendar that was distrusted everything matters, a new etag too: somebody waits to write with it.
    """
    listed = {event.key: event for event in changes.events if event.key}
    vanished = set(changes.gone)
    placed: list[tuple[PlacedEvent, str]] = []
    inside = compute_window(now)
    lost = 0
    for key, old in snapshot.placed.items():
        new = _update_placed(old, listed.get(key), changes, vanished, inside)
        if new != old:
            placed.append((new, old.ref.etag))
            lost += new.gone
    if changes.full and not changes.events and lost >= MAX_LOST_EVENTS:
        raise Refused(
            f"The calendar of {organizer} read empty, where {lost} of our events stood. Nothing was changed. "
            "Look whether the calendar was replaced or access was lost; it is read again until then."
        )
    moved = [(new, snapshot.placed[new.key]) for new, _ in placed]
    wake = {snapshot.pair_by_key[new.key] for new, old in moved if distrusted or _is_relevant_change(new, old)}
    meetings = [(event, snapshot.reports[who]) for event, who in _find_one_on_ones(changes, organizer, snapshot)]
    voided = ({event.series for event in changes.events if event.series} | vanished) - set(changes.unread)
    return CalendarReading(
        placed=placed,
        pairs_to_plan=wake | {pair for _, pair in meetings},
        pairs_to_look_at=_find_booked_over_pairs(changes, snapshot),
        meetings=meetings,
        dropped_series=voided,
        orphans=[event for event in listed.values() if _is_orphan(event, snapshot, organizer, now)],
        needs_repeat=any(key in snapshot.pending_keys for key in listed.keys() - snapshot.placed.keys()),
    )


def _is_orphan(event: Event, snapshot: CalendarSnapshot, organizer: Address, now: datetime) -> bool:
    """Whether it is an event of ours to come that we know nothing of."""
    theirs = event.cancelled or event.organizer not in ("", organizer)
    return not theirs and event.span.start > now and event.key not in {*snapshot.placed, *snapshot.pending_keys}


def _update_placed(
    old: PlacedEvent, event: Event | None, changes: CalendarChanges, vanished: set[str], inside: Span
) -> PlacedEvent:
    if old.ref.id in changes.unread:
        return old  # it is there, nobody can tell how
    if event is not None:
        return replace(
            old,
            ref=event.ref,
            span=event.span,
            gone=event.cancelled,
            answers=dict(event.answers),
            proposed=dict(event.proposed),
        )
    absent = changes.full and inside.start <= old.span.start and old.span.end <= inside.end
    return replace(old, gone=True) if absent or old.ref.id in vanished else old


def _is_relevant_change(new: PlacedEvent, old: PlacedEvent) -> bool:
    """Whether planning has to hear of it: a move, a deletion, a decline, another time proposed. A yes or a new etag
    changes nothing."""
    return _extract_relevant(new) != _extract_relevant(old)


def _extract_relevant(placed: PlacedEvent) -> tuple[Span, bool, set[Address], Mapping[Address, Span]]:
    return placed.span, placed.gone, _list_decliners(placed), placed.proposed


def _list_decliners(placed: PlacedEvent) -> set[Address]:
    return {who for who, answer in placed.answers.items() if answer is Answer.DECLINED}


def _find_booked_over_pairs(changes: CalendarChanges, snapshot: CalendarSnapshot) -> set[PairId]:
    """The pairs with a session to come over which something else of the organizer stands now."""
    others = [e.span for e in changes.events if e.key not in snapshot.placed and e.show is not None and not e.cancelled]
    return {pair for pair, spans in snapshot.booked_spans.items() if any(a.overlaps(b) for a in spans for b in others)}


def _find_one_on_ones(
    changes: CalendarChanges, organizer: Address, snapshot: CalendarSnapshot
) -> list[tuple[Event, Address]]:
    """Occurrences of recurring meetings of the organizer and exactly one report (T-9)."""
    found: list[tuple[Event, Address]] = []
    for event in changes.events:
        if event.series is None or event.cancelled or event.key:
            continue
        others = {event.organizer, *event.answers} - {organizer, ""}
        if len(others) == 1 and (who := next(iter(others))) in snapshot.reports:
            found.append((event, who))
    return found
