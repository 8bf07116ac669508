"""The sync: reads the organizers' calendars that are due, and stores what changed since they were last read.

`interpret_changes`, which is pure, compares the changes that a service returned with the database. It finds the events
of ours that were moved, deleted or answered, the sessions that another event overlaps, and the recurring one-on-one
meetings (1:1s) of the pairs.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.counts import format_count
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
from worker.domain.polling import PollingPace, find_next_poll
from worker.engine.comparison import CalendarComparison
from worker.engine.identities import learn_from_reading, resolve_changes
from worker.engine.suspensions import SUSPENSION_LENGTH, describe_revoked_grant
from worker.errors import AuthRevoked, ProviderError, Refused, Transient, describe_unexpected_error
from worker.logs import Action
from worker.process_metrics import DONE, FAILED, READ_CALENDAR, count_work
from worker.providers.base import CalendarProvider
from worker.providers.identities import Identities
from worker.store.calendars import CalendarReading, DueCalendar, StoredCalendar
from worker.store.database import describe_database_outage
from worker.store.restorations import Restoration
from worker.store.store import Store

log = logging.getLogger(__name__)

#: The window in which calendars are read: how far it reaches before and after today.
WINDOW_BACK, WINDOW_AHEAD = timedelta(days=2), timedelta(days=200)
#: For how long a run holds the calendars that it has claimed.
LEASE = timedelta(minutes=10)
#: How many calendars are read in one run, unless the caller sets a limit.
BATCH = 20
#: After how long a calendar is read again when its service failed, and when reading it raised an unexpected error.
RETRY_AFTER_FAILURE, RETRY_AFTER_UNEXPECTED = timedelta(minutes=5), timedelta(hours=1)
#: After how long a calendar is read again when it has an event whose effect is not settled in the database yet.
REPEAT_AFTER = timedelta(minutes=1)
#: A reading that returns an empty calendar is refused when at least this many of our events are missing from it.
MIN_LOST_EVENTS_TO_REFUSE = 5

#: Returns the calendar service of a person; None for a person without a calendar.
FindCalendarProvider = Callable[[Address], CalendarProvider | None]
#: Returns the person with an address; None when the roster never had one.
FindPerson = Callable[[Address], Person | None]


@dataclass(frozen=True, slots=True)
class ReadSummary:
    """The facts about a reading that decide when the calendar is read next."""

    needs_repeat: bool  #: the calendar has to be read again soon, from the same cursor
    has_changed: bool
    next_session: datetime | None  #: the start of the next session on the calendar


class Sync:
    """Reads the calendars that are due and stores what changed on them."""

    def __init__(
        self,
        store: Store,
        find_calendar_provider: FindCalendarProvider,
        find_person: FindPerson,
        clock: Clock,
        identities: Identities,
        *,
        pace: PollingPace,
        full_every: timedelta,
        operator: str,
        policy: Policy,
    ) -> None:
        """`full_every` is the longest time between two full readings of a calendar."""
        self._store = store
        self._find_calendar_provider = find_calendar_provider
        self._find_person = find_person
        self._comparison = CalendarComparison(find_calendar_provider)
        self._clock = clock
        self._identities = identities
        self._pace = pace
        self._full_every = full_every
        self._operator = operator
        self._policy = policy

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Read up to `limit` due calendars, and return how many were processed.

        Calendars that the service reports as unchanged don't count towards the limit, since they are not read.
        """
        now = self._clock()
        # the holder is unique for each run, since several threads of a process may run this at once
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"
        # more than `limit` when a service can tell of many calendars at once that they are unchanged
        claim_limit = self._comparison.choose_claim_limit(limit, now)
        due_calendars = self._store.calendars.claim(now, holder, now + LEASE, claim_limit)
        to_compare = [calendar for calendar in due_calendars if not self._needs_full_read(calendar, now)]
        unchanged_addresses = self._comparison.find_unchanged(to_compare, limit, now)
        unchanged = [calendar for calendar in due_calendars if calendar.address in unchanged_addresses]
        to_read = [calendar for calendar in due_calendars if calendar.address not in unchanged_addresses]
        for due_calendar in to_read[limit:]:
            self._store.calendars.postpone(due_calendar, holder, now)  # gives back the claim: the calendar is due again
        to_process = [*unchanged, *to_read[:limit]]
        for due_calendar in to_process:
            is_unchanged = due_calendar.address in unchanged_addresses
            is_done = self._sync_calendar(due_calendar, holder, now, is_unchanged=is_unchanged)
            count_work(READ_CALENDAR, DONE if is_done else FAILED)
        return len(to_process)

    def _needs_full_read(self, due_calendar: DueCalendar, now: datetime) -> bool:
        """Return whether the whole calendar has to be read, which finds changes that incremental reads have missed."""
        is_old = due_calendar.full_at is None or now - due_calendar.full_at >= self._full_every
        return is_old or due_calendar.cursor is None

    def _sync_calendar(self, due_calendar: DueCalendar, holder: str, now: datetime, *, is_unchanged: bool) -> bool:
        """Read a calendar, and store what changed and when it is due next. Returns False when it could not be read.

        For a calendar that `is_unchanged`, the service is not queried, and an empty list of changes is processed.
        """
        # None for a calendar that is to have no channel
        channel_before = self._store.channels.begin_reading(due_calendar.address)
        try:
            provider = self._find_calendar_provider(due_calendar.address)
            if provider is None:
                # the person has no calendar now
                self._store.calendars.postpone(due_calendar, holder, now + self._full_every)
                return True
            summary = None
            if due_calendar.cursor is not None:
                no_changes = _make_empty_changes(due_calendar.cursor) if is_unchanged else None
                summary = self._read_and_save(due_calendar, provider, due_calendar.cursor, holder, now, no_changes)
            if summary is None or self._needs_full_read(due_calendar, now):
                full_summary = self._read_and_save(due_calendar, provider, None, holder, now)
                # a full read lists old and new events alike, so only the incremental read shows whether any changed
                summary = replace(full_summary, has_changed=summary is not None and summary.has_changed)
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
            due_at = self._find_next_poll(due_calendar, channel_before, summary, now)
            self._store.calendars.postpone(due_calendar, holder, due_at)
            return True
        if channel_before:  # the notifications that have come count for the next reading
            self._store.channels.abandon_reading(channel_before)
        return False

    def _find_next_poll(
        self, due_calendar: DueCalendar, channel_before: WatchedCalendar | None, summary: ReadSummary, now: datetime
    ) -> datetime:
        """Return when the calendar is polled next.

        `channel_before` is the state of the calendar's channel when the reading began. If the reading found a change of
        which no notification had arrived by then, the channel is no longer trusted. A late notification restores the
        trust.
        """
        if summary.needs_repeat:
            if channel_before:
                self._store.channels.abandon_reading(channel_before)
            return now + min(REPEAT_AFTER, self._pace.every)
        if channel_before and channel_before.proven_at and summary.has_changed and not channel_before.has_told:
            self._store.channels.distrust(due_calendar.address)
        return find_next_poll(
            due_calendar.address,
            now,
            self._pace,
            watched=self._store.channels.load(due_calendar.address),
            owner=self._find_person(due_calendar.address),
            next_session=summary.next_session,
            changed_at=now if summary.has_changed else due_calendar.changed_at,
        )

    def _read_and_save(
        self,
        due_calendar: DueCalendar,
        provider: CalendarProvider,
        cursor: Cursor | None,
        holder: str,
        now: datetime,
        known_changes: CalendarChanges | None = None,
    ) -> ReadSummary:
        """Read the changes of a calendar since the cursor, and store them. Without a cursor, read the whole calendar.

        `known_changes`, if given, are used instead of querying the service.
        """
        restoration = self._find_restoration(due_calendar, now)
        since = restoration.backup_at if restoration else None  # events since the backup may be unknown
        window = compute_window(now, since)
        stored_calendar = self._store.calendars.load_stored_calendar(due_calendar.address, now, since)
        changes = known_changes or provider.changes(due_calendar.address, cursor, window)
        self._learn_aliases(changes, stored_calendar)
        changes = resolve_changes(changes, self._identities)
        reading = interpret_changes(
            changes,
            stored_calendar,
            due_calendar.address,
            now,
            window=window,
            # the stored cursor is missing before the first read, and after the outbox has found that the calendar
            # differs from the database (`needs_reread`)
            replans_all_changes=due_calendar.cursor is None,
        )
        if restoration:
            reading = self._recover_lost_sessions(reading, changes, stored_calendar, restoration, now)
        self._alert_unread_events(due_calendar, changes, stored_calendar, now)
        size = len(changes.events) if changes.is_full else None  # changes alone don't tell how many events there are
        new_cursor = cursor if reading.needs_repeat else changes.cursor
        has_changed = not changes.is_full and bool(changes.events or changes.deleted_ids)
        self._store.calendars.save(
            due_calendar, holder, reading, new_cursor, size=size, now=now, has_changed=has_changed
        )
        starts = [span.start for spans in stored_calendar.booked_spans.values() for span in spans]
        return ReadSummary(reading.needs_repeat, has_changed, min(starts, default=None))

    def _find_restoration(self, due_calendar: DueCalendar, now: datetime) -> Restoration | None:
        """Return the restoration of a backup if this calendar is read for the first time after it; usually None."""
        if due_calendar.full_at is not None:  # a restoration sets it to None for all calendars
            return None
        restoration = self._store.restorations.load(now)
        return restoration if restoration and restoration.is_searching(now) else None

    def _recover_lost_sessions(
        self,
        reading: CalendarReading,
        changes: CalendarChanges,
        stored_calendar: StoredCalendar,
        restoration: Restoration,
        now: datetime,
    ) -> CalendarReading:
        """Return the reading with the sessions that were booked after the backup was made, recovered from their events.

        All pairs of the calendar are among `pairs_to_plan` of the reading.
        """
        known_keys = {*stored_calendar.placed, *stored_calendar.pending_keys}
        lost_events: dict[PairId, list[Event]] = {}
        for event in changes.events:
            pairs = {stored_calendar.reports[guest] for guest in event.answers if guest in stored_calendar.reports}
            is_unknown = bool(event.key) and event.key not in known_keys
            # an event of several reports of this organizer can't be assigned to one pair
            if is_unknown and event.span.end > restoration.backup_at and len(pairs) == 1:
                lost_events.setdefault(pairs.pop(), []).append(event)
        recovered: list[Session] = []
        for state in self._store.plans.load_readable(sorted(lost_events), now).states:
            recovered += recover_sessions(state, lost_events[state.pair.id], self._policy)
        log.info(
            "found on a calendar: %s",
            format_count(len(recovered), "session"),
            extra={"action": Action.SESSIONS_RECOVERED},
        )
        recovered_keys = {session.key for session in recovered}
        recovered_events = {event.key: event for event in changes.events if event.key in recovered_keys}
        other_orphans = [event for event in reading.orphans if event.key not in recovered_keys]
        return replace(
            reading,
            recovered=recovered,
            # as orphans, the events of the recovered sessions are stored together with these sessions
            orphans=[*other_orphans, *recovered_events.values()],
            pairs_to_plan={*reading.pairs_to_plan, *stored_calendar.reports.values()},
        )

    def _learn_aliases(self, changes: CalendarChanges, stored_calendar: StoredCalendar) -> None:
        """Learn the aliases under which this calendar lists the reports who are invited to our events."""
        report_by_pair = {pair: report for report, pair in stored_calendar.reports.items()}
        for event in changes.events:
            placed = stored_calendar.placed.get(event.key or "")
            report = report_by_pair.get(stored_calendar.pair_by_key[placed.key]) if placed else None
            if placed and report:
                learn_from_reading(event, report, placed, self._identities)

    def _alert_unread_events(
        self, due_calendar: DueCalendar, changes: CalendarChanges, stored_calendar: StoredCalendar, now: datetime
    ) -> None:
        """Alert the operator, once a day, when the service can no longer return some events of ours."""
        unread_events = [
            placed for placed in stored_calendar.placed.values() if placed.ref.id in changes.unreadable_ids
        ]
        if unread_events:
            unread_starts = sorted(placed.span.start for placed in unread_events)
            times = ", ".join(f"{start:%Y-%m-%d %H:%M} UTC" for start in unread_starts)
            text = (
                f"The calendar of {due_calendar.address} holds events of ours that can't be read any more ({times}). "
                "They are treated as unchanged. Open them in a calendar program and save them again, or delete them."
            )
            self._store.outbox.alert(f"unread:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)

    def _record_failure(self, due_calendar: DueCalendar, holder: str, error: ProviderError, now: datetime) -> None:
        # logged at debug level, since `Outages` logs all failures of a service as one outage
        log.debug("sync failed: %s", error, extra={"action": Action.SYNC_FAILED, "calendar": due_calendar.address})
        wait = error.retry_after if isinstance(error, Transient) and error.retry_after else RETRY_AFTER_FAILURE
        if not isinstance(error, Transient):
            text = f"The calendar of {due_calendar.address} can't be read: {error}"
            self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + wait, str(error), now)

    def _record_unexpected(self, due_calendar: DueCalendar, holder: str, error: Exception, now: datetime) -> None:
        problem = describe_unexpected_error(error)
        text = f"The calendar of {due_calendar.address} could not be read: {problem}. It is read again in an hour."
        log.error("%s", text, extra={"action": Action.SYNC_UNFORESEEN, "calendar": due_calendar.address})
        self._store.outbox.alert(f"sync:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + RETRY_AFTER_UNEXPECTED, problem, now)

    def _suspend_revoked(self, due_calendar: DueCalendar, holder: str, error: AuthRevoked, now: datetime) -> None:
        """Suspend the calendar, since the grant to read it was revoked. Alert the operator once."""
        if self._store.people.suspend(due_calendar.address, now + SUSPENSION_LENGTH):
            text = describe_revoked_grant(due_calendar.address, error)
            self._store.outbox.alert(f"revoked:{due_calendar.address}:{now:%Y-%m-%d}", text, now, self._operator)
        self._store.calendars.record_failure(due_calendar, holder, now + SUSPENSION_LENGTH, str(error), now)


def _make_empty_changes(cursor: Cursor) -> CalendarChanges:
    """Return the changes of a calendar on which nothing has changed since the cursor."""
    return CalendarChanges(events=(), deleted_ids=(), cursor=cursor, is_full=False)


def compute_window(now: datetime, since: datetime | None = None) -> Span:
    """Return the window in which calendars are read; it is the same for a whole day (UTC).

    With `since`, the window begins WINDOW_BACK before that instant at the latest.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(min(since or now, today) - WINDOW_BACK, today + WINDOW_AHEAD)


def interpret_changes(
    changes: CalendarChanges,
    stored_calendar: StoredCalendar,
    organizer: Address,
    now: datetime,
    *,
    window: Span | None = None,
    replans_all_changes: bool = False,
) -> CalendarReading:
    """Compare the changes of a calendar with the database, and return what has to be stored.

    Raises Refused when a full read returns an empty calendar that had several events of ours. `window` is the window
    that was read, by default `compute_window(now)`. With `replans_all_changes`, every change of an event of ours makes
    its pair due, even if only the etag is new, since an effect may have failed because of the old etag.
    """
    own_events = {event.key: event for event in changes.events if event.key}
    deleted_ids = set(changes.deleted_ids)
    changed_events: list[tuple[PlacedEvent, str]] = []  # each with the etag that the database should still have
    window = window or compute_window(now)
    lost_count = 0
    for key, old in stored_calendar.placed.items():
        new = _update_placed(old, own_events.get(key), changes, deleted_ids, window)
        if new != old:
            changed_events.append((new, old.ref.etag))
            lost_count += new.is_gone  # counts 1 for an event that is gone
    if changes.is_full and not changes.events and lost_count >= MIN_LOST_EVENTS_TO_REFUSE:
        raise Refused(
            f"The calendar of {organizer} was returned empty, although it had {lost_count} of our events. Nothing was "
            "changed, and the calendar is read again. Check whether it was replaced, or access to it was lost."
        )
    pairs_to_plan = {
        stored_calendar.pair_by_key[new.key]
        for new, _ in changed_events
        if replans_all_changes or _is_relevant_change(new, stored_calendar.placed[new.key])
    }
    meetings = [
        (event, stored_calendar.reports[report])
        for event, report in _find_one_on_ones(changes, organizer, stored_calendar)
    ]
    listed_series = {event.series for event in changes.events if event.series}
    return CalendarReading(
        placed=changed_events,
        pairs_to_plan=pairs_to_plan | {pair for _, pair in meetings},
        # planned with free/busy that is read again, since a session and another event overlap
        pairs_to_reread=_find_booked_over_pairs(changes, stored_calendar),
        meetings=meetings,
        # `meetings` replaces the stored 1:1s of these series; a deleted id may be that of a series
        dropped_meeting_ids=(listed_series | deleted_ids) - set(changes.unreadable_ids),
        orphans=[event for event in own_events.values() if _is_orphan(event, stored_calendar, organizer, now)],
        # an event that is not stored yet, because its effect is not settled, can only be compared by a later reading
        needs_repeat=any(
            key in stored_calendar.pending_keys for key in own_events.keys() - stored_calendar.placed.keys()
        ),
    )


def _is_orphan(event: Event, stored_calendar: StoredCalendar, organizer: Address, now: datetime) -> bool:
    """Return whether this is a future event of ours, by this organizer, that the database does not know."""
    is_known = event.key in stored_calendar.placed or event.key in stored_calendar.pending_keys
    is_by_organizer = event.organizer in ("", organizer)  # empty when the calendar names no organizer
    return is_by_organizer and not event.cancelled and event.span.start > now and not is_known


def _update_placed(
    old: PlacedEvent, event: Event | None, changes: CalendarChanges, deleted_ids: set[str], window: Span
) -> PlacedEvent:
    """Return the stored event `old`, updated from `event`, which is None when the changes don't list the event."""
    if old.ref.id in changes.unreadable_ids:
        return old  # the event exists, but the service could not return it
    if event is not None:
        return replace(
            old,
            ref=event.ref,
            span=event.span,
            is_gone=event.cancelled,
            answers=dict(event.answers),
            proposed=dict(event.proposed),
        )
    # a full read returns all events inside the window, and tells nothing about those outside
    is_absent = changes.is_full and window.start <= old.span.start and old.span.end <= window.end
    return replace(old, is_gone=True) if is_absent or old.ref.id in deleted_ids else old


def _is_relevant_change(new: PlacedEvent, old: PlacedEvent) -> bool:
    """Return whether the change makes the pair due: a move, a deletion, a decline, or a proposed time."""
    return _extract_relevant_fields(new) != _extract_relevant_fields(old)


def _extract_relevant_fields(placed: PlacedEvent) -> tuple[Span, bool, set[Address], Mapping[Address, Span]]:
    return placed.span, placed.is_gone, _list_decliners(placed), placed.proposed


def _list_decliners(placed: PlacedEvent) -> set[Address]:
    return {guest for guest, answer in placed.answers.items() if answer is Answer.DECLINED}


def _find_booked_over_pairs(changes: CalendarChanges, stored_calendar: StoredCalendar) -> set[PairId]:
    """Return the pairs whose booked session overlaps a changed event of the organizer that counts as busy."""
    changed_spans = [
        event.span
        for event in changes.events
        # without `show_as`, an event does not block time
        if event.key not in stored_calendar.placed and event.show_as is not None and not event.cancelled
    ]
    return {
        pair
        for pair, session_spans in stored_calendar.booked_spans.items()
        if any(session_span.overlaps(span) for session_span in session_spans for span in changed_spans)
    }


def _find_one_on_ones(
    changes: CalendarChanges, organizer: Address, stored_calendar: StoredCalendar
) -> list[tuple[Event, Address]]:
    """Return the occurrences of the recurring 1:1s between the organizer and a report, each with the report (T-9)."""
    one_on_ones: list[tuple[Event, Address]] = []
    for event in changes.events:
        if event.series is None or event.cancelled or event.key:
            continue
        other_people = {event.organizer, *event.answers} - {organizer, ""}
        if len(other_people) == 1 and (report := other_people.pop()) in stored_calendar.reports:
            one_on_ones.append((event, report))
    return one_on_ones
