"""Performs effects: claim a due effect under a lease, attempt it, settle it.

The row says `sending` before the call. When its lease ends with the row in that state, the outcome is unknown: the
event or the mail is looked up by its key, and where the service cannot tell, `planner.settle_effect` decides by the
kind of the effect.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from worker.clock import Clock
from worker.domain.model import (
    Address,
    Answer,
    Commitment,
    Effect,
    EffectKind,
    EffectProgress,
    Event,
    EventDraft,
    Outcome,
    PairId,
    PairState,
    PlacedEvent,
    Session,
    Settlement,
)
from worker.domain.planning import notices, planner
from worker.engine.identities import learn_from_write, resolve_event
from worker.engine.material import open_material
from worker.engine.suspensions import SUSPENSION_LENGTH, describe_revoked_grant
from worker.errors import (
    AuthRevoked,
    Conflict,
    LongarcError,
    NotFound,
    Permanent,
    ProviderError,
    Transient,
    describe_unexpected_error,
)
from worker.mail import calendar_part
from worker.mail.compose import Composer, OpenedContent
from worker.mail.context import MailContext, Reader
from worker.mail.kinds import KINDS
from worker.mail.render import MailRenderer
from worker.providers.base import CalendarProvider, Mailer, can_send_as
from worker.providers.identities import Identities
from worker.store.database import describe_database_outage
from worker.store.outbox import ClaimedEffect, EffectResult
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
BATCH = 50
#: What was read for a batch is read again after this long: performing takes time, and mails have to be true.
MAX_CONTEXT_AGE = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one attempt went."""

    outcome: Outcome
    problem: str = ""
    retry_after: timedelta | None = None
    placed: PlacedEvent | None = None
    replaced_etag: str = ""  #: the etag that was written over
    removed_key: str = ""
    history_fields: Mapping[str, Any] | None = None
    needs_reread: bool = False  #: the calendar is not what we thought: read it again


STALE = Attempt(Outcome.STALE)


@dataclass(frozen=True, slots=True)
class BatchContext:
    """The pairs and texts that a batch of effects is about, as of one moment."""

    loaded_at: datetime
    states: Mapping[PairId, PairState]
    material: OpenedContent
    problem: str = ""  #: why it could not be read


class Outbox:
    """Performs the effects that are due."""

    def __init__(
        self,
        store: Store,
        calendar_of: Callable[[Address], CalendarProvider | None],
        mailers: Callable[[str], Mailer],
        emails: MailRenderer,
        drafts: Composer,
        clock: Clock,
        operator: str,
        identities: Identities,
    ) -> None:
        self._store = store
        self._calendar_of = calendar_of
        self._mailers = mailers
        self._emails = emails
        self._drafts = drafts
        self._clock = clock
        self._operator = operator
        self._identities = identities

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Perform up to `limit` due effects, and return how many were claimed."""
        now = self._clock()
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"  # each run by itself: one process may have several
        claimed = self._store.outbox.claim(now, holder, now + LEASE, limit)
        if not claimed:
            return 0
        context = self._load_context(claimed)
        if context.problem:  # an effect whose texts cannot be opened must not hold up the others
            for one in claimed:
                self._perform(one, self._load_context([one]), holder)
            return len(claimed)
        for number, one in enumerate(claimed):
            if self._clock() - context.loaded_at > MAX_CONTEXT_AGE:
                context = self._load_context(claimed[number:])
            self._perform(one, context, holder)
        return len(claimed)

    def _load_context(self, claimed: Sequence[ClaimedEffect]) -> BatchContext:
        try:
            return self._read_context(claimed)
        except Exception as error:  # a wrong key, a damaged row: these wait, and the operator hears of it
            if describe_database_outage(error):
                raise
            why = str(error) if isinstance(error, LongarcError) else describe_unexpected_error(error)
            return BatchContext(self._clock(), {}, OpenedContent(), why)

    def _read_context(self, claimed: Sequence[ClaimedEffect]) -> BatchContext:
        now = self._clock()
        pairs = sorted({one.effect.pair for one in claimed if one.effect.pair is not None})
        states = {s.pair.id: s for s in self._store.plans.load(pairs, now).states}
        material = open_material(self._store, [one.effect for one in claimed], states, now)
        return BatchContext(
            now, states, replace(material, alert_texts={one.effect.key: one.alert_text for one in claimed})
        )

    # --- one message ---

    def _perform(self, one: ClaimedEffect, context: BatchContext, holder: str) -> None:
        """Begin the effect, attempt it, settle it. Each step is stored before the next: after a crash at most this
        effect has an unknown outcome."""
        if not self._store.outbox.begin(one.effect.key, holder, self._clock() + LEASE):
            return
        result = self._attempt_claimed(one, context)
        now = self._clock()
        self._store.outbox.settle(result, holder, now)
        if result.needs_reread:
            self._store.calendars.request_full_read([result.effect.calendar], now)

    def _attempt_claimed(self, one: ClaimedEffect, context: BatchContext) -> EffectResult:
        effect, pair = replace(one.effect, attempts=one.effect.attempts + 1), one.effect.pair
        state = None if pair is None else context.states.get(pair)
        if context.problem:
            attempt = Attempt(Outcome.TRANSIENT, context.problem)
        else:
            attempt = self._attempt(effect, state, context.material, lost=one.is_outcome_unknown)
        now = self._clock()
        settlement = planner.settle_effect(
            effect, attempt.outcome, now, attempt.retry_after, resend=_may_resend(effect)
        )
        if effect.kind in (EffectKind.CREATE, EffectKind.UPDATE):
            settlement = _replan_if_new_time(settlement, _find_subject(effect, state))
        settlement = _replan_if_changed(settlement, attempt.placed)
        self._report_result(effect, attempt, settlement, now)
        return EffectResult(
            effect=effect,
            settlement=settlement,
            problem=attempt.problem,
            placed=attempt.placed,
            replaced_etag=attempt.replaced_etag,
            removed_key=attempt.removed_key,
            history_fields=attempt.history_fields,
            needs_reread=attempt.needs_reread,
        )

    def _attempt(self, effect: Effect, state: PairState | None, material: OpenedContent, *, lost: bool) -> Attempt:
        """Perform it; every way in which it can go wrong becomes an outcome."""
        try:
            if effect.kind is EffectKind.MAIL:
                return self._perform_mail(effect, state, material, lost=lost)
            return self._perform_event(effect, state, material)
        except AuthRevoked as error:
            return self._suspend_revoked(effect, error)
        except (Conflict, NotFound) as error:
            if effect.kind is EffectKind.MAIL:
                return Attempt(Outcome.PERMANENT, str(error))
            return Attempt(Outcome.STALE, str(error), needs_reread=True)
        except Permanent as error:
            return Attempt(Outcome.PERMANENT, str(error))
        except Transient as error:
            outcome = Outcome.UNCERTAIN if error.uncertain else Outcome.TRANSIENT
            return Attempt(outcome, str(error), error.retry_after)
        except LongarcError as error:
            return Attempt(Outcome.PERMANENT, str(error))
        except Exception as error:  # a template of the company's own, a library: one message must not stop the others
            if why := describe_database_outage(error):
                return Attempt(Outcome.TRANSIENT, why)  # ours, and no reason to give up what is to be done
            return Attempt(Outcome.PERMANENT, describe_unexpected_error(error))

    def _suspend_revoked(self, effect: Effect, error: AuthRevoked) -> Attempt:
        """A person whose grant is gone rests for a while. Mail goes by one grant for everybody: nobody rests for it."""
        who = effect.calendar or "the sender of mails"
        now = self._clock()
        if effect.kind is EffectKind.MAIL or self._store.people.suspend(who, now + SUSPENSION_LENGTH):
            words = f"The grant to act for {who} is gone: {error}"
            words = words if effect.kind is EffectKind.MAIL else describe_revoked_grant(who, error)
            self._store.outbox.alert(f"revoked:{who}:{now:%Y-%m-%d}", words, now, self._operator)
        return Attempt(Outcome.TRANSIENT, str(error), SUSPENSION_LENGTH)

    def _report_result(self, effect: Effect, attempt: Attempt, settlement: Settlement, now: datetime) -> None:
        level = logging.DEBUG if settlement.progress is EffectProgress.WAITING else logging.INFO  # tries are counted
        arguments = (effect.kind.value, effect.name or effect.event, settlement.progress.value)
        extra = {"action": effect.kind.value, "key": effect.key, "problem": attempt.problem}
        log.log(level, "%s %s: %s", *arguments, extra=extra)
        if settlement.tell_operator and not _is_alert(effect):
            what = f"the mail {effect.name}" if effect.kind is EffectKind.MAIL else effect.kind.value
            words = f"{what} for {effect.pair or 'the operator'} is {settlement.progress.value}: {attempt.problem}"
            key, cause = f"{effect.key}:{settlement.progress.value}", effect.kind.value
            self._store.outbox.alert(key, words, now, self._operator, cause)

    # --- mails ---

    def _perform_mail(self, effect: Effect, state: PairState | None, material: OpenedContent, *, lost: bool) -> Attempt:
        """What an earlier attempt did comes first: a mail that went out went out, whether it is still true or not."""
        now = self._clock()
        holds = state is None or KINDS[effect.name].holds(effect, state, now)
        mailer = self._mailers((state.manager if state is not None else self._drafts.build_operator()).mail)
        letter = self._drafts.build_mail_context(effect, state, material, now)
        author = self._drafts.choose_sender(effect, state) if state is not None else ""
        if author and can_send_as(mailer, author):
            letter = replace(letter, sender=author)
        fields = self._build_mail_history_fields(effect, state, letter)
        if lost or effect.attempts > 1:
            sent = mailer.was_sent(effect.key)
            if sent:
                return Attempt(Outcome.DONE, history_fields=fields)
            if sent is None and lost and not (holds and _may_resend(effect) and effect.attempts <= 2):
                return Attempt(Outcome.UNCERTAIN, "The outcome of an earlier attempt is not known.")
        if not holds:
            return STALE
        return self._send_mail(mailer, self._build_mail(effect, state, letter), effect.key, fields)

    def _build_mail_history_fields(
        self, effect: Effect, state: PairState | None, letter: MailContext
    ) -> dict[str, Any]:
        """What the history keeps of a mail."""
        due = {"due": letter.due} if letter.due else {}
        return {
            "message": effect.name,
            "to": effect.to,
            "from": str(self._emails.make_sender(letter)),
            "message_id": self._emails.make_message_id(letter.key),
            "number": effect.number or None,
            **_build_history_fields(_find_subject(effect, state)),
            **due,
        }

    def _build_mail(self, effect: Effect, state: PairState | None, letter: MailContext) -> EmailMessage:
        email = self._render_mail(letter)
        session = _find_subject(effect, state)
        if state is not None and KINDS[effect.name].calendar_method and isinstance(session, Session):
            draft = self._drafts.build_invitation_event(state, session, effect)
            calendar_part.attach_event(email, effect.name, draft, self._clock())
        return email

    def _render_mail(self, letter: MailContext) -> EmailMessage:
        """A company's own template that fails keeps no mail back: that one says it our way, and the operator hears."""
        try:
            return self._emails.render(letter)
        except Exception as error:
            email = self._emails.render_default(letter)
            if email is None:
                raise
            why = str(error) if isinstance(error, LongarcError) else describe_unexpected_error(error)
            words = f"Your own template of the mail {letter.name} can't be used, ours took its place: {why}"
            now = self._clock()
            cause = f"template:{letter.name}"
            self._store.outbox.alert(f"{cause}:{now:%Y-%m-%d}", words, now, self._operator, cause)
            return email

    def _send_mail(self, mailer: Mailer, email: EmailMessage, key: str, fields: Mapping[str, Any]) -> Attempt:
        try:
            mailer.send(email, key)
        except Exception as error:
            if why := describe_database_outage(
                error
            ):  # asked for by the limiter, before or after the mail was handed over
                error = Transient(why, uncertain=True)
            if not isinstance(error, Transient):
                raise
            sent = _was_sent(mailer, key) if error.uncertain else False
            if not sent:
                outcome = Outcome.UNCERTAIN if sent is None else Outcome.TRANSIENT
                return Attempt(outcome, str(error), error.retry_after)
        return Attempt(Outcome.DONE, history_fields=fields)

    # --- events ---

    def _perform_event(self, effect: Effect, state: PairState | None, material: OpenedContent) -> Attempt:
        provider = self._calendar_of(effect.calendar)
        if state is None or provider is None:  # a manager whose calendar is `none`: there is nowhere to write it
            return Attempt(Outcome.STALE, f"There is no calendar of {effect.calendar} to write to.")
        if effect.kind is EffectKind.CANCEL:
            return self._cancel_event(effect, state, provider)
        subject = _find_subject(effect, state)
        wanted = subject is not None and _is_wanted(effect, subject)
        there = provider.find(effect.calendar, effect.event) if effect.attempts > 1 else None
        if subject is None or not wanted:
            if there is not None and effect.kind is EffectKind.CREATE:
                provider.cancel(there.ref)  # an earlier attempt did make it, and nobody heard of it
            return STALE
        draft = self._build_event_draft(state, subject, material)
        if effect.kind is EffectKind.CREATE:
            return self._create_event(effect, provider, draft, subject, there)
        return self._update_event(effect, provider, draft, subject, there, state.placed_events.get(effect.event))

    def _create_event(
        self,
        effect: Effect,
        provider: CalendarProvider,
        draft: EventDraft,
        subject: Session | Commitment,
        there: Event | None,
    ) -> Attempt:
        """`there` is the event when an earlier attempt made it; where it stands now somebody may have moved it."""
        if there is not None and there.is_delivered:
            placed = self._resolve_placed(there, draft)
        elif there is not None or planner.is_fresh(effect, self._clock()):
            placed = self._resolve_placed(provider.create(effect.calendar, draft), draft)
        else:
            return STALE
        return Attempt(Outcome.DONE, placed=placed, history_fields=_build_history_fields(subject))

    def _update_event(
        self,
        effect: Effect,
        provider: CalendarProvider,
        draft: EventDraft,
        subject: Session | Commitment,
        there: Event | None,
        placed: PlacedEvent | None,
    ) -> Attempt:
        """`there` is the event as it stands, when an earlier attempt may have changed it already: then its time is the
        new one, or its version when the time stays."""
        if placed is None or placed.gone:
            return STALE
        same = placed.written == draft.span and there is not None and there.ref.etag == placed.ref.etag
        if there is None or there.span != draft.span or same or not there.is_delivered:
            if effect.start and placed.span.start != effect.start:
                return STALE
            there = provider.update(placed.ref, draft)
        return Attempt(
            Outcome.DONE,
            placed=self._resolve_placed(there, draft),
            replaced_etag=placed.ref.etag,
            history_fields=_build_history_fields(subject),
        )

    def _resolve_placed(self, event: Event, draft: EventDraft) -> PlacedEvent:
        """The event as the service says it stands, its guests under their primary addresses."""
        if len(draft.guests) == 1:
            learn_from_write(event, draft.guests[0].email, self._identities)
        return _build_placed(resolve_event(event, self._identities), draft)

    def _build_event_draft(
        self, state: PairState, subject: Session | Commitment, material: OpenedContent
    ) -> EventDraft:
        if isinstance(subject, Session):
            return self._drafts.build_session_event(state, subject)
        return self._drafts.build_commitment_event(state, subject, material.promises.get(subject.id))

    def _cancel_event(self, effect: Effect, state: PairState, provider: CalendarProvider) -> Attempt:
        placed = state.placed_events.get(effect.event)
        if placed is None or placed.gone:
            return STALE
        provider.cancel(replace(placed.ref, etag=""))
        fields = {**_build_history_fields(_find_subject(effect, state)), "key": effect.event}
        fields.update(start=placed.span.start, end=placed.span.end)
        return Attempt(Outcome.DONE, removed_key=effect.event, history_fields=fields)


def _may_resend(effect: Effect) -> bool:
    """Whether it is a mail that is sent once more when nobody knows whether it went out."""
    return effect.name in KINDS and KINDS[effect.name].resend


def _is_alert(effect: Effect) -> bool:
    return effect.name in KINDS and Reader.OPERATOR in KINDS[effect.name].readers


def _find_subject(effect: Effect, state: PairState | None) -> Session | Commitment | None:
    """The session or commitment a message is about; None when it is about neither."""
    if state is not None:
        subjects: dict[str, Session | Commitment] = {s.id: s for s in state.sessions}
        subjects.update({c.id: c for c in state.commitments})
        return subjects.get(effect.subject)
    return None


def _is_wanted(effect: Effect, subject: Session | Commitment) -> bool:
    """Whether the event is still to be there, as that very event."""
    if isinstance(subject, Session):
        return subject.booked and subject.key == effect.event
    return subject.is_open and subject.block is not None and subject.key == effect.event


def _build_placed(event: Event, draft: EventDraft) -> PlacedEvent:
    """The event as the service says it stands. For whole days, services go by the zone of the calendar."""
    return PlacedEvent(
        key=draft.key,
        ref=event.ref,
        span=event.span,
        written=event.span if draft.all_day else draft.span,
        sequence=draft.sequence,
        answers=dict(event.answers),
        proposed=dict(event.proposed),
    )


def _was_sent(mailer: Mailer, key: str) -> bool | None:
    """Whether it went out; None when nobody can tell."""
    try:
        return mailer.was_sent(key)
    except ProviderError:
        return None


def _replan_if_changed(settlement: Settlement, placed: PlacedEvent | None) -> Settlement:
    """Plan again at once when an invitation was declined the moment it arrived (an out-of-office does that), or when
    somebody moved the event before we heard that it was made."""
    if placed is not None and (Answer.DECLINED in placed.answers.values() or placed.span != placed.written):
        return replace(settlement, replan=True)
    return settlement


def _replan_if_new_time(settlement: Settlement, subject: Session | Commitment | None) -> Settlement:
    """Plan again at once when a new time stands on the calendar of which the manager has to hear."""
    if settlement.progress is EffectProgress.DONE and isinstance(subject, Session) and notices.has_new_time(subject):
        return replace(settlement, replan=True)
    return settlement


def _build_history_fields(subject: Session | Commitment | None) -> dict[str, Any]:
    """What the history keeps of an effect: whose, when, which; never what was said."""
    if isinstance(subject, Session):
        return {
            "kind": subject.kind.value,
            "topic": subject.topic.value,
            "calendar": subject.pair.manager,
            "attendees": [subject.pair.report],
            "start": subject.start,
            "end": subject.end,
            "key": subject.key,
        }
    if isinstance(subject, Commitment):
        return {
            "kind": "commitment",
            "calendar": subject.pair.manager,
            "attendees": [],
            "start": subject.block.start if subject.block else None,
            "end": subject.block.end if subject.block else None,
            "key": subject.key,
            "due": subject.due,
        }
    return {}
