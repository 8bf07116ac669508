"""Attempts the effects that write events: creates, updates or cancels one on the manager's calendar.

An earlier attempt may have written the event without our knowing. So each further attempt reads the event first.
"""

from collections.abc import Callable
from dataclasses import replace

from worker.clock import Clock
from worker.domain.model import (
    Address,
    Commitment,
    Effect,
    EffectKind,
    Event,
    EventDraft,
    Outcome,
    PairState,
    Participation,
    PlacedEvent,
    Session,
)
from worker.domain.planning import planner
from worker.engine.attempts import STALE, Attempt, find_subject
from worker.engine.history_fields import build_history_fields
from worker.engine.identities import learn_from_write, resolve_event
from worker.mail.compose import Composer, OpenedContent
from worker.providers.base import CalendarProvider
from worker.providers.identities import Identities
from worker.store.store import Store


class EventAttempts:
    """Performs single effects on events. The outbox claims and settles them."""

    def __init__(
        self,
        store: Store,
        find_calendar_provider: Callable[[Address], CalendarProvider | None],
        composer: Composer,
        clock: Clock,
        identities: Identities,
    ) -> None:
        self._store = store
        self._find_calendar_provider = find_calendar_provider
        self._composer = composer
        self._clock = clock
        self._identities = identities

    def perform(self, effect: Effect, state: PairState | None, content: OpenedContent) -> Attempt:
        """Create, update or cancel an event, unless the session or commitment no longer needs that.

        Raises ProviderError.
        """
        provider = self._find_calendar_provider(effect.calendar)
        if state is None or provider is None:  # the manager has no calendar now
            return Attempt(Outcome.STALE, f"There is no calendar of {effect.calendar} to write to.")
        if effect.kind is EffectKind.CANCEL:
            return self._cancel_event(effect, state, provider)
        subject = find_subject(effect, state)
        takes_part = state.pair.participation is Participation.YES
        is_wanted = takes_part and subject is not None and _is_wanted(effect, subject)
        # at the first attempt, nothing can have been written yet
        existing = provider.find(effect.calendar, effect.event) if effect.attempts > 1 else None
        if subject is None or not is_wanted:
            if existing is not None and effect.kind is EffectKind.CREATE:
                provider.cancel(existing.ref)  # an earlier attempt created it
            return STALE
        draft = self._build_event_draft(state, subject, content)
        if effect.kind is EffectKind.CREATE:
            return self._create_event(effect, provider, draft, subject, existing)
        return self._update_event(effect, provider, draft, subject, existing, state.placed_events.get(effect.event))

    def _create_event(
        self,
        effect: Effect,
        provider: CalendarProvider,
        draft: EventDraft,
        subject: Session | Commitment,
        existing: Event | None,
    ) -> Attempt:
        """Create the event, unless an earlier attempt has created it.

        `existing` is the event as read from the calendar, where somebody may have moved it. It is None at the first
        attempt, and when the calendar has no such event. An event that has not been delivered to its guest is created
        again, however old the effect is.
        """
        if existing is not None and existing.is_delivered:
            placed = self._resolve_placed(existing, draft)
        elif existing is not None or planner.is_fresh(effect, self._clock()):  # fresh: decided not too long ago
            placed = self._resolve_placed(provider.create(effect.calendar, draft), draft)
        else:
            return STALE
        return Attempt(Outcome.DONE, placed=placed, history_fields=build_history_fields(subject))

    def _update_event(
        self,
        effect: Effect,
        provider: CalendarProvider,
        draft: EventDraft,
        subject: Session | Commitment,
        existing: Event | None,
        placed: PlacedEvent | None,
    ) -> Attempt:
        """Update the event, unless an earlier attempt has done so.

        `existing` is the event as read from the calendar. It is None at the first attempt, and when the calendar has no
        such event. `placed` is the event as stored.
        """
        if placed is None or placed.is_gone:
            return STALE
        if existing is None or not _was_updated(existing, placed, draft):
            if effect.start and placed.span.start != effect.start:
                return STALE  # somebody has moved the event since the update was decided
            existing = provider.update(placed.ref, draft)
        return Attempt(
            Outcome.DONE,
            placed=self._resolve_placed(existing, draft),
            replaced_etag=placed.ref.etag,
            history_fields=build_history_fields(subject),
        )

    def _resolve_placed(self, event: Event, draft: EventDraft) -> PlacedEvent:
        """Return the placed event to store, with the span that the service returned and primary addresses of guests."""
        if len(draft.guests) == 1:  # then any other address in the response is an alias of this guest
            learn_from_write(event, draft.guests[0].email, self._identities)
        return _build_placed(resolve_event(event, self._identities), draft)

    def _build_event_draft(self, state: PairState, subject: Session | Commitment, content: OpenedContent) -> EventDraft:
        if isinstance(subject, Session):
            return self._composer.build_session_event(state, subject)
        return self._composer.build_commitment_event(state, subject, content.commitment_texts.get(subject.id))

    def _cancel_event(self, effect: Effect, state: PairState, provider: CalendarProvider) -> Attempt:
        # the state does not have the events of sessions that were closed long ago
        placed = state.placed_events.get(effect.event) or self._store.calendars.find_event(effect.event)
        if placed is None or placed.is_gone:
            return STALE
        # without an etag, the event is cancelled even if somebody has changed it since it was read
        provider.cancel(replace(placed.ref, etag=""), quiet=effect.quiet)
        history_fields = {**build_history_fields(find_subject(effect, state)), "key": effect.event}
        history_fields.update(start=placed.span.start, end=placed.span.end)
        return Attempt(Outcome.DONE, removed_key=effect.event, history_fields=history_fields)


def _is_wanted(effect: Effect, subject: Session | Commitment) -> bool:
    """Return whether the session or commitment still needs this event."""
    if isinstance(subject, Session):
        return subject.booked and subject.key == effect.event
    return subject.is_open and subject.block is not None and subject.key == effect.event


def _was_updated(existing: Event, placed: PlacedEvent, draft: EventDraft) -> bool:
    """Return whether an earlier attempt wrote the draft: the calendar has its time, and not the version we stored."""
    if existing.span != draft.span or not existing.is_delivered:
        return False
    has_stored_version = placed.written_span == draft.span and existing.ref.etag == placed.ref.etag
    return not has_stored_version


def _build_placed(event: Event, draft: EventDraft) -> PlacedEvent:
    """Return the placed event to store, after a service has returned `event` for the draft that was written.

    The span of an all-day event depends on the time zone of the calendar. So for an all-day event, the span that the
    service returned is stored as the written one.
    """
    return PlacedEvent(
        key=draft.key,
        ref=event.ref,
        span=event.span,
        written_span=event.span if draft.all_day else draft.span,
        sequence=draft.sequence,
        answers=dict(event.answers),
        proposed=dict(event.proposed),
    )
