"""What changed on the organizers' calendars since the last look, as rows.

Reading is one request per calendar. What it means is decided by `read`, which is pure: which of our events moved,
vanished or were answered, whose time was booked over, and where the 1:1s of the pairs are.
"""

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from worker.clock import Clock
from worker.domain.model import Address, Answer, Changes, Cursor, Event, PairId, Placed, Span
from worker.engine.identities import learn_from_reading, resolve_changes
from worker.engine.suspensions import SUSPENDED, describe_revoked
from worker.errors import AuthRevoked, ProviderError, Refused, Transient, unforeseen
from worker.providers.base import CalendarProvider
from worker.providers.identities import Identities
from worker.store.calendars import CalendarReading, CalendarSnapshot, Look
from worker.store.database import database_outage
from worker.store.store import Store

log = logging.getLogger(__name__)

BACK, AHEAD = timedelta(days=2), timedelta(days=200)
LEASE = timedelta(minutes=10)
AFTER_FAILURE = timedelta(minutes=5)
AFTER_PUZZLE = timedelta(hours=1)
SOON = timedelta(minutes=1)
#: A calendar on which so many of our events stood, and which now shows none, is not believed.
SUSPICIOUS = 5

#: Finds the provider of a person's calendar; None when it can't be read.
CalendarOf = Callable[[Address], CalendarProvider | None]


class Sync:
    """Reads calendars that are due and writes down what they tell."""

    def __init__(
        self,
        store: Store,
        calendar_of: CalendarOf,
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
        """Read up to `limit` calendars that are due; how many that were."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # each run by itself: one process may have several
        looks = self._store.calendars.claim(now, holder, now + LEASE, limit)
        for look in looks:
            self._one(look, holder, now)
        return len(looks)

    def _one(self, look: Look, holder: str, now: datetime) -> None:
        stale = look.full_at is None or now - look.full_at >= self._full_every
        try:
            provider = self._calendar_of(look.address)
            if provider is None:
                self._store.calendars.postpone(look, holder, now + self._full_every)
                return
            early = False
            if look.cursor is not None:
                early = self._read(look, provider, look.cursor, holder, now)
            if look.cursor is None or stale:  # what the cursor told is checked against everything, once a day
                early = self._read(look, provider, None, holder, now)
        except AuthRevoked as error:
            self._suspend_revoked(look, holder, error, now)
        except ProviderError as error:
            self._record_failure(look, holder, error, now)
        except Refused as error:
            log.warning("sync refused", extra={"action": "sync_refused", "calendar": look.address})
            self._store.outbox.alert(f"empty:{look.address}:{now:%Y-%m-%d}", str(error), now, self._operator)
            self._store.calendars.fail(look, holder, now + self._every, str(error), now)
        except Exception as error:  # nobody foresaw it: one calendar must not keep the others from being read
            if database_outage(error):
                raise
            self._puzzling(look, holder, error, now)
        else:
            self._store.calendars.postpone(look, holder, now + (min(SOON, self._every) if early else self._every))

    def _read(self, look: Look, provider: CalendarProvider, cursor: Cursor | None, holder: str, now: datetime) -> bool:
        """Read it from that cursor on and write down what it told; true when it has to tell it once more."""
        known = self._store.calendars.load_snapshot(look.address, now)
        changes = provider.changes(look.address, cursor, window(now))
        self._learn(changes, known)
        changes = resolve_changes(changes, self._identities)
        reading = read(changes, known, look.address, now, distrusted=look.cursor is None)
        self._tell_unread(look, changes, known, now)
        size = len(changes.events) if changes.full else None
        upto = cursor if reading.early else changes.cursor
        self._store.calendars.save(look, holder, reading, upto, size=size, now=now)
        return reading.early

    def _learn(self, changes: Changes, known: CalendarSnapshot) -> None:
        """Keep the forms by which this calendar names the reports who are invited to our events."""
        invited = {pair: report for report, pair in known.reports.items()}
        for event in changes.events:
            before = known.placed.get(event.key or "")
            report = invited.get(known.pairs[before.key]) if before else None
            if before and report:
                learn_from_reading(event, report, before, self._identities)

    def _tell_unread(self, look: Look, changes: Changes, known: CalendarSnapshot, now: datetime) -> None:
        """Tell the operator, once a day, that events of ours can't be read any more."""
        unread = sorted(old.span.start for old in known.placed.values() if old.ref.id in changes.unread)
        if unread:
            when = ", ".join(f"{start:%Y-%m-%d %H:%M} UTC" for start in unread)
            words = (
                f"The calendar of {look.address} holds events of ours that can't be read any more ({when}). They are "
                "taken to stand as they did. Open them in a calendar program and save them again, or delete them."
            )
            self._store.outbox.alert(f"unread:{look.address}:{now:%Y-%m-%d}", words, now, self._operator)

    def _record_failure(self, look: Look, holder: str, error: ProviderError, now: datetime) -> None:
        # of an outage each failure is counted, and the outage is told as one (`outages`)
        log.debug("sync failed: %s", error, extra={"action": "sync_failed", "calendar": look.address})
        wait = error.retry_after if isinstance(error, Transient) and error.retry_after else AFTER_FAILURE
        if not isinstance(error, Transient):
            words = f"The calendar of {look.address} can't be read: {error}"
            self._store.outbox.alert(f"sync:{look.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.fail(look, holder, now + wait, str(error), now)

    def _puzzling(self, look: Look, holder: str, error: Exception, now: datetime) -> None:
        words = f"The calendar of {look.address} could not be read: {unforeseen(error)}. It is tried again in an hour."
        log.error("%s", words, extra={"action": "sync_failed", "calendar": look.address})
        self._store.outbox.alert(f"sync:{look.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.fail(look, holder, now + AFTER_PUZZLE, unforeseen(error), now)

    def _suspend_revoked(self, look: Look, holder: str, error: AuthRevoked, now: datetime) -> None:
        """A revoked grant pauses the person and tells the operator once."""
        if self._store.people.suspend(look.address, now + SUSPENDED):
            words = describe_revoked(look.address, error)
            self._store.outbox.alert(f"revoked:{look.address}:{now:%Y-%m-%d}", words, now, self._operator)
        self._store.calendars.fail(look, holder, now + SUSPENDED, str(error), now)


def window(now: datetime) -> Span:
    """What of a calendar matters: a little of the past, and as far ahead as anything is booked. Moves once a day."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Span(day - BACK, day + AHEAD)


def read(
    changes: Changes, known: CalendarSnapshot, organizer: Address, now: datetime, *, distrusted: bool = False
) -> CalendarReading:
    """What a calendar told. Raises Refused when it tells that everything is gone: that is not believed.

    Of a calendar that was distrusted everything matters, a new etag too: somebody waits to write with it.
    """
    listed = {event.key: event for event in changes.events if event.key}
    vanished = set(changes.gone)
    placed: list[tuple[Placed, str]] = []
    inside = window(now)
    lost = 0
    for key, old in known.placed.items():
        new = _as_seen(old, listed.get(key), changes, vanished, inside)
        if new != old:
            placed.append((new, old.ref.etag))
            lost += new.gone
    if changes.full and not changes.events and lost >= SUSPICIOUS:
        raise Refused(
            f"The calendar of {organizer} read empty, where {lost} of our events stood. Nothing was changed. "
            "Look whether the calendar was replaced or access was lost; it is read again until then."
        )
    moved = [(new, known.placed[new.key]) for new, _ in placed]
    wake = {known.pairs[new.key] for new, old in moved if distrusted or _matters(new, old)}
    meetings = [(event, known.reports[who]) for event, who in _one_on_ones(changes, organizer, known)]
    voided = ({event.series for event in changes.events if event.series} | vanished) - set(changes.unread)
    return CalendarReading(
        placed=placed,
        wake=wake | {pair for _, pair in meetings},
        look=_booked_over(changes, known),
        meetings=meetings,
        dropped_series=voided,
        strays=[event for event in listed.values() if _stray(event, known, organizer, now)],
        early=any(key in known.coming for key in listed.keys() - known.placed.keys()),
    )


def _stray(event: Event, known: CalendarSnapshot, organizer: Address, now: datetime) -> bool:
    """Whether it is an event of ours to come that we know nothing of."""
    theirs = event.cancelled or event.organizer not in ("", organizer)
    return not theirs and event.span.start > now and event.key not in {*known.placed, *known.coming}


def _as_seen(old: Placed, event: Event | None, changes: Changes, vanished: set[str], inside: Span) -> Placed:
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


def _matters(new: Placed, old: Placed) -> bool:
    """Whether planning has to hear of it: a move, a deletion, a decline, another time proposed. A yes or a new etag
    changes nothing."""
    return _news(new) != _news(old)


def _news(placed: Placed) -> tuple[Span, bool, set[Address], Mapping[Address, Span]]:
    return placed.span, placed.gone, _list_decliners(placed), placed.proposed


def _list_decliners(placed: Placed) -> set[Address]:
    return {who for who, answer in placed.answers.items() if answer is Answer.DECLINED}


def _booked_over(changes: Changes, known: CalendarSnapshot) -> set[PairId]:
    """The pairs with a session to come over which something else of the organizer stands now."""
    others = [e.span for e in changes.events if e.key not in known.placed and e.show is not None and not e.cancelled]
    return {pair for pair, spans in known.booked.items() if any(a.overlaps(b) for a in spans for b in others)}


def _one_on_ones(changes: Changes, organizer: Address, known: CalendarSnapshot) -> list[tuple[Event, Address]]:
    """Occurrences of recurring meetings of the organizer and exactly one report (T-9)."""
    found: list[tuple[Event, Address]] = []
    for event in changes.events:
        if event.series is None or event.cancelled or event.key:
            continue
        others = {event.organizer, *event.answers} - {organizer, ""}
        if len(others) == 1 and (who := next(iter(others))) in known.reports:
            found.append((event, who))
    return found
