"""Reads the organizers' calendars and stores what changed since the last reading.

`interpret_changes`, which is pure, finds out which of our events moved, vanished or were answered, whose time was
booked over, and when the recurring 1:1s of the pairs are.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import (
    Address,
    Answer,
    CalendarChanges,
    Cursor,
    Event,
    PairId,
    Person,
    PlacedEvent,
    Policy,
    Session,
    Span,
    WatchedCalendar,
)
from worker.domain.planning.recovery import recover_sessions
from worker.domain.polling import ReadingPace, find_next_read
from worker.engine.comparison import CalendarComparison
from worker.engine.identities import learn_from_reading, resolve_changes
from worker.engine.suspensions import SUSPENSION_LENGTH, describe_revoked_grant
from worker.errors import AuthRevoked, ProviderError, Refused, Transient, describe_unexpected_error
from worker.logs import Action
from worker.process_metrics import DONE, FAILED, READ_CALENDAR, count_work
from worker.providers.base import CalendarProvider
from worker.providers.identities import Identities
from worker.store.calendars import CalendarReading, CalendarSnapshot, DueCalendar
from worker.store.database import describe_database_outage
from worker.store.restorations import Restoration
from worker.store.store import Store

log = logging.getLogger(__name__)

#: How far calendars are read before and after today.
WINDOW_BACK, WINDOW_AHEAD = timedelta(days=2), timedelta(days=200)
LEASE = timedelta(minutes=10)
#: When a calendar is read again that a service could not read, and one whose reading raised an unexpected error.
RETRY_AFTER_FAILURE, RETRY_AFTER_UNEXPECTED = timedelta(minutes=5), timedelta(hours=1)
#: When a calendar is read again that has an event whose effect is not settled yet.
REPEAT_AFTER = timedelta(minutes=1)
#: How many of our events have to be missing from an empty calendar for the reading to be refused.
MAX_LOST_EVENTS = 5

#: Finds the provider of a person's calendar; None for a person without one.
FindCalendar = Callable[[Address], CalendarProvider | None]
#: Finds a person; None for a stranger.
FindPerson = Callable[[Address], Person | None]


@dataclass(frozen=True, slots=True)
class ReadSummary:
    """What decides when a calendar that was read is read next."""

    needs_repeat: bool  #: it has to be read again soon, from the same cursor
    has_changed: bool
    next_session: datetime | None  #: when the next session on it begins


class Sync:
    """Reads the calendars that are due and stores what changed on them."""

    def __init__(
        self,
        store: Store,
        find_calendar: FindCalendar,
        find_person: FindPerson,
        clock: Clock,
        identities: Identities,
        *,
        pace: ReadingPace,
        full_every: timedelta,
        operator: str,
        policy: Policy,
    ) -> None:
        self._store = store
        self._find_calendar = find_calendar
        self._find_person = find_person
        self._comparison = CalendarComparison(find_calendar)
        self._clock = clock
        self._identities = identities
        self._pace = pace
        self._full_every = full_every
        self._operator = operator
        self._policy = policy

    def run(self, holder: str, limit: int = 20) -> int:
        """Read up to `limit` calendars that are due, and any number that have not changed. Returns how many were
        read."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # unique for each run: threads of a process run at once
        count = self._comparison.choose_count(limit, now)
        due_calendars = self._store.calendars.claim(now, holder, now + LEASE, count)
        comparable = [one for one in due_calendars if not self._needs_full_read(one, now)]
        unchanged = self._comparison.find_unchanged(comparable, limit, now)
        to_read = [one for one in due_calendars if one.address not in unchanged]
        for due_calendar in to_read[limit:]:
            self._store.calendars.postpone(due_calendar, holder, now)
        chosen = [one for one in due_calendars if one.address in unchanged] + to_read[:limit]
        for due_calendar in chosen:
            is_done = self._sync_calendar(due_calendar, holder, now, is_unchanged=due_calendar.address in unchanged)
            count_work(READ_CALENDAR, DONE if is_done else FAILED)
        return len(chosen)

    def _needs_full_read(self, due_calendar: DueCalendar, now: datetime) -> bool:
        """Whether all of it has to be read, which corrects what incremental reads missed."""
        is_old = due_calendar.full_at is None or now - due_calendar.full_at >= self._full_every
        return is_old or due_calendar.cursor is None

    def _sync_calendar(self, due_calendar: DueCalendar, holder: str, now: datetime, *, is_unchanged: bool) -> bool:
        """Read the calendar, store what changed, and say when it is read next. False when it could not be read. One
        that has not changed is not asked for changes: they are known to be none."""
        watched = self._store.channels.begin_reading(due_calendar.address)
        try:
            provider = self._find_calendar(due_calendar.address)
            if provider is None:
                self._store.calendars.postpone(due_calendar, holder, now + self._full_every)
                return True
            read = None
            if due_calendar.cursor is not None:
                known = CalendarChanges((), (), due_calendar.cursor, is_full=False) if is_unchanged else None
                read = self._read_and_save(due_calendar, provider, due_calendar.cursor, holder, now, known)
            if read is None or self._needs_full_read(due_calendar, now):
                full_read = self._read_and_save(due_calendar, provider, None, holder, now)
                read = replace(full_read, has_changed=read is not None and read.has_changed)
        except AuthRevoked as error:
            self._suspend_revoked(due_calendar, holder, error, now)
        except ProviderError as error:
            self._record_failure(due_calendar, holder, error, now)
        except Refused as error:
            log.warning("sync refused", extra={"action": Action.SYNC_REFUSED, "calendar": due_calendar.address})
            self._store.outbox.alert(f"empty:{due_calendar.address}:{now:%Y-%m-%d}", str(error), now, self._operator)
            self._store.calendars.record_failure(due_calendar, holder, now + self._pace.every, str(error), now)
        except Exception as error:  # one calendar must not keep the others from being read
            if describe_database_outage(error):
                raise
            self._record_unexpected(due_calendar, holder, error, now)
        else:
            self._store.calendars.postpone(due_calendar, holder, self._find_next_read(due_calendar, watched, read, now))
            return True
        if watched:
            self._store.channels.abandon_reading(watched)
        return False

    def _find_next_read(
        self, due_calendar: DueCalendar, watched: WatchedCalendar | None, read: ReadSummary, now: datetime
    ) -> datetime:
        """Return when the calendar is read next. `watched` is what was known of its channel when the reading began: a
        change that was not told by then ends the trust. One that is still being told restores it when it comes."""
        if read.needs_repeat:
            if watched:
                self._store.channels.abandon_reading(watched)
            return now + min(REPEAT_AFTER, self._pace.every)
        if watched and watched.proven_at and read.has_changed and not watched.has_told:
            self._store.channels.distrust(due_calendar.address)
        return find_next_read(
            due_calendar.address,
            now,
            self._pace,
            watched=self._store.channels.load(due_calendar.address),
            owner=self._find_person(due_calendar.address),
            next_session=read.next_session,
            changed_at=now if read.has_changed else due_calendar.changed_at,
        )

    def _read_and_save(
        self,
        due_calendar: DueCalendar,
        provider: CalendarProvider,
        cursor: Cursor | None,
        holder: str,
        now: datetime,
        known: CalendarChanges | None = None,
    ) -> ReadSummary:
        """Read a calendar from the cursor on (None: all of it) unless its changes are known, and store the changes."""
        restoration = self._find_restoration(due_calendar, now)
        since = restoration.backup_at if restoration else None
        window = compute_window(now, since)
        snapshot = self._store.calendars.load_snapshot(due_calendar.address, now, since)
        changes = known or provider.changes(due_calendar.address, cursor, window)
        self._learn_aliases(changes, snapshot)
        changes = resolve_changes(changes, self._identities)
        reading = interpret_changes(
            changes, snapshot, due_calendar.address, now, window=window, distrusted=due_calendar.cursor is None
        )
        if restoration:
            reading = self._recover_lost_sessions(reading, changes, snapshot, restoration, now)
        self._alert_unread_events(due_calendar, changes, snapshot, now)
        size = len(changes.events) if changes.is_full else None
        new_cursor = cursor if reading.needs_repeat else changes.cursor
        has_changed = not changes.is_full and bool(changes.events or changes.gone)
        self._store.calendars.save(
            due_calendar, holder, reading, new_cursor, size=size, now=now, has_changed=has_changed
        )
        starts = [span.start for spans in snapshot.booked_spans.values() for span in spans]
        return ReadSummary(reading.needs_repeat, has_changed, min(starts, default=None))

    def _find_restoration(self, due_calendar: DueCalendar, now: datetime) -> Restoration | None:
        """Return the restoration after which this calendar is read for the first time; None usually."""
        if due_calendar.full_at is not None:
            return None
        restoration = self._store.restorations.load(now)
        return restoration if restoration and restoration.is_searching(now) else None

    def _recover_lost_sessions(
        self,
        reading: CalendarReading,
        changes: CalendarChanges,
        snapshot: CalendarSnapshot,
        restoration: Restoration,
        now: datetime,
    ) -> CalendarReading:
        """Return the reading with the sessions that stand on the calendar since the backup was made, and with all pairs
        of the calendar to be planned."""
        known = {*snapshot.placed, *snapshot.pending_keys}
        lost: dict[PairId, list[Event]] = {}
        for event in changes.events:
            pairs = {snapshot.reports[who] for who in event.answers if who in snapshot.reports}
            if event.key and event.key not in known and event.span.end > restoration.backup_at and len(pairs) == 1:
                lost.setdefault(pairs.pop(), []).append(event)
        recovered: list[Session] = []
        for state in self._store.plans.load_readable(sorted(lost), now).states:
            recovered += recover_sessions(state, lost[state.pair.id], self._policy)
        log.info("%d sessions were found on a calendar", len(recovered), extra={"action": Action.SESSIONS_RECOVERED})
        keys = {session.key for session in recovered}
        orphans = {event.key: event for event in changes.events if event.key in keys}
        return replace(
            reading,
            recovered=recovered,
            orphans=[*(event for event in reading.orphans if event.key not in keys), *orphans.values()],
            pairs_to_plan={*reading.pairs_to_plan, *snapshot.reports.values()},
        )

    def _learn_aliases(self, changes: CalendarChanges, snapshot: CalendarSnapshot) -> None:
        """Store the aliases by which this calendar lists the reports who are invited to our events."""
        invited = {pair: report for report, pair in snapshot.reports.items()}
        for event in changes.events:
            earlier = snapshot.placed.get(event.key or "")
            report = invited.get(snapshot.pair_by_key[earlier.key]) if earlier else None
            if earlier and report:
                learn_from_reading(event, report, earlier, self._identities)

    def _alert_unread_events(
        self, due_calendar: DueCalendar, changes: CalendarChanges, snapshot: CalendarSnapshot, now: datetime
    ) -> None:
        """Alert the operator, once a day, when events of ours can't be read any more."""
        unread = sorted(old.span.start for old in snapshot.placed.values() if old.ref.id in changes.unread)
        if unread:
            times = ", ".join(f"{start:%Y-%m-%d %H:%M} UTC" for start in unread)
            text = (
                f"The calendar of {due_calendar.address} holds events of ours that can't be read any more ({times}). "
                "They are taken to stand as they did. Open them in a calendar program and save them again, or delete "
                "them."
            )
            self._store.outbox.alert(f"unread:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)

    def _record_failure(self, due_calendar: DueCalendar, holder: str, error: ProviderError, now: datetime) -> None:
        # debug: `Outages` counts failures, and logs them as one outage
        log.debug("sync failed: %s", error, extra={"action": Action.SYNC_FAILED, "calendar": due_calendar.address})
        wait = error.retry_after if isinstance(error, Transient) and error.retry_after else RETRY_AFTER_FAILURE
        if not isinstance(error, Transient):
            text = f"The calendar of {due_calendar.address} can't be read: {error}"
            self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + wait, str(error), now)

    def _record_unexpected(self, due_calendar: DueCalendar, holder: str, error: Exception, now: datetime) -> None:
        problem = describe_unexpected_error(error)
        text = f"The calendar of {due_calendar.address} could not be read: {problem}. It is tried again in an hour."
        log.error("%s", text, extra={"action": Action.SYNC_UNFORESEEN, "calendar": due_calendar.address})
        self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + RETRY_AFTER_UNEXPECTED, problem, now)

    def _suspend_revoked(self, due_calendar: DueCalendar, holder: str, error: AuthRevoked, now: datetime) -> None:
        """Suspend the calendar of a revoked grant, and alert the operator once."""
        if self._store.people.suspend(due_calendar.address, now + SUSPENSION_LENGTH):
            text = describe_revoked_grant(due_calendar.address, error)
            self._store.outbox.alert(f"revoked:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + SUSPENSION_LENGTH, str(error), now)


def compute_window(now: datetime, since: datetime | None = None) -> Span:
    """Return the window in which calendars are read. It moves once a day. `since`: it begins no later than that."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(min(since or now, day) - WINDOW_BACK, day + WINDOW_AHEAD)


def interpret_changes(
    changes: CalendarChanges,
    snapshot: CalendarSnapshot,
    organizer: Address,
    now: datetime,
    *,
    window: Span | None = None,
    distrusted: bool = False,
) -> CalendarReading:
    """Compare the changes of a calendar with the database. Raises Refused when a full read shows an empty calendar.

    `window` is what was read, by default `compute_window(now)`. With `distrusted`, a new etag is a reason to plan a
    pair, too: an effect failed for the old one, and waits.
    """
    listed = {event.key: event for event in changes.events if event.key}
    vanished = set(changes.gone)
    placed: list[tuple[PlacedEvent, str]] = []
    window = window or compute_window(now)
    lost_count = 0
    for key, old in snapshot.placed.items():
        new = _update_placed(old, listed.get(key), changes, vanished, window)
        if new != old:
            placed.append((new, old.ref.etag))
            lost_count += new.gone
    if changes.is_full and not changes.events and lost_count >= MAX_LOST_EVENTS:
        raise Refused(
            f"The calendar of {organizer} read empty, where {lost_count} of our events stood. Nothing was changed. "
            "Look whether the calendar was replaced or access was lost; it is read again until then."
        )
    changed = [(new, snapshot.placed[new.key]) for new, _ in placed]
    pairs_to_plan = {
        snapshot.pair_by_key[new.key] for new, old in changed if distrusted or _is_relevant_change(new, old)
    }
    meetings = [(event, snapshot.reports[who]) for event, who in _find_one_on_ones(changes, organizer, snapshot)]
    dropped_series = ({event.series for event in changes.events if event.series} | vanished) - set(changes.unread)
    return CalendarReading(
        placed=placed,
        pairs_to_plan=pairs_to_plan | {pair for _, pair in meetings},
        pairs_to_refresh=_find_booked_over_pairs(changes, snapshot),
        meetings=meetings,
        dropped_series=dropped_series,
        orphans=[event for event in listed.values() if _is_orphan(event, snapshot, organizer, now)],
        needs_repeat=any(key in snapshot.pending_keys for key in listed.keys() - snapshot.placed.keys()),
    )


def _is_orphan(event: Event, snapshot: CalendarSnapshot, organizer: Address, now: datetime) -> bool:
    """Return whether it is a future event of ours that is not in the database."""
    is_foreign = event.cancelled or event.organizer not in ("", organizer)
    return not is_foreign and event.span.start > now and event.key not in {*snapshot.placed, *snapshot.pending_keys}


def _update_placed(
    old: PlacedEvent, event: Event | None, changes: CalendarChanges, vanished: set[str], window: Span
) -> PlacedEvent:
    if old.ref.id in changes.unread:
        return old  # it exists, but can't be read
    if event is not None:
        return replace(
            old,
            ref=event.ref,
            span=event.span,
            gone=event.cancelled,
            answers=dict(event.answers),
            proposed=dict(event.proposed),
        )
    is_absent = changes.is_full and window.start <= old.span.start and old.span.end <= window.end
    return replace(old, gone=True) if is_absent or old.ref.id in vanished else old


def _is_relevant_change(new: PlacedEvent, old: PlacedEvent) -> bool:
    """Return whether the pair has to be planned: after a move, a deletion, a decline, or a proposed time."""
    return _extract_relevant(new) != _extract_relevant(old)


def _extract_relevant(placed: PlacedEvent) -> tuple[Span, bool, set[Address], Mapping[Address, Span]]:
    return placed.span, placed.gone, _list_decliners(placed), placed.proposed


def _list_decliners(placed: PlacedEvent) -> set[Address]:
    return {who for who, answer in placed.answers.items() if answer is Answer.DECLINED}


def _find_booked_over_pairs(changes: CalendarChanges, snapshot: CalendarSnapshot) -> set[PairId]:
    """Return the pairs whose booked session overlaps another event of the organizer now."""
    others = [
        event.span
        for event in changes.events
        if event.key not in snapshot.placed and event.show_as is not None and not event.cancelled
    ]
    return {pair for pair, spans in snapshot.booked_spans.items() if any(a.overlaps(b) for a in spans for b in others)}


def _find_one_on_ones(
    changes: CalendarChanges, organizer: Address, snapshot: CalendarSnapshot
) -> list[tuple[Event, Address]]:
    """Return occurrences of recurring meetings of the organizer with exactly one report, and that report (T-9)."""
    one_on_ones: list[tuple[Event, Address]] = []
    for event in changes.events:
        if event.series is None or event.cancelled or event.key:
            continue
        others = {event.organizer, *event.answers} - {organizer, ""}
        if len(others) == 1 and (who := next(iter(others))) in snapshot.reports:
            one_on_ones.append((event, who))
    return one_on_ones
