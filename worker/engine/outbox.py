"""Performs the effects in the outbox: claims due effects under a lease, attempts each one, and settles it.

An effect is an event to write or a mail to send. Its progress is `sending` while the service is called. If the
lease ends meanwhile, the outcome of the call is unknown. The next attempt then asks the service for the event or
mail with that key. When the service does not know, `planner.settle_effect` decides by the kind of the effect whether it
may be attempted again.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from email.message import EmailMessage
from typing import Any

from worker.clock import Clock, is_recent
from worker.domain.model import (
    UNRECORDED_MAILS,
    Address,
    Effect,
    EffectKind,
    EffectProgress,
    Outcome,
    PairState,
    Session,
    Settlement,
)
from worker.domain.planning import planner
from worker.engine.attempts import STALE, Attempt, find_subject, replan_if_changed, replan_if_new_time
from worker.engine.batch_context import BatchContext, read_batch_context
from worker.engine.event_attempts import EventAttempts
from worker.engine.history_fields import build_history_fields
from worker.engine.mail_content import reserve_mentions
from worker.engine.personal_mails import is_personal
from worker.engine.suspensions import SUSPENSION_LENGTH, describe_revoked_grant
from worker.engine.third_voices import load_mail_parties
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
from worker.logs import Action
from worker.mail import calendar_part
from worker.mail.compose import Composer, OpenedContent
from worker.mail.context import MailContext, Reader
from worker.mail.kinds import KINDS
from worker.mail.render import MailRenderer
from worker.process_metrics import count_effect
from worker.providers.base import CalendarProvider, Mailer, can_send_as
from worker.providers.identities import Identities
from worker.store.database import describe_database_outage
from worker.store.outbox import ClaimedEffect, Doubt, EffectResult
from worker.store.store import Store

log = logging.getLogger(__name__)

#: For how long a run holds the effects that it has claimed.
LEASE = timedelta(minutes=5)
#: How many effects are claimed at once, unless the caller sets a limit.
BATCH = 50
#: After how long the data of a batch is loaded again, so that mails show the current state of their pairs.
MAX_CONTEXT_AGE = timedelta(seconds=15)
#: When an earlier attempt may have sent a mail, the mail is sent again up to this attempt, if its kind permits that.
MAX_ATTEMPTS_IN_DOUBT = 2


class Outbox:
    """Performs the effects that are due."""

    def __init__(
        self,
        store: Store,
        find_calendar_provider: Callable[[Address], CalendarProvider | None],
        get_mailer: Callable[[str], Mailer],
        mail_renderer: MailRenderer,
        composer: Composer,
        clock: Clock,
        operator: str,
        identities: Identities,
    ) -> None:
        self._store = store
        self._get_mailer = get_mailer
        self._mail_renderer = mail_renderer
        self._composer = composer
        self._clock = clock
        self._operator = operator
        self._event_attempts = EventAttempts(store, find_calendar_provider, composer, clock, identities)

    def run(self, holder: str, limit: int = BATCH, *, calendars_only: bool = False) -> int:
        """Perform up to `limit` due effects, and return how many were claimed.

        With `calendars_only`, only changes of events are performed, and mails that withdraw invitations sent by mail.
        """
        now = self._clock()
        # the holder is unique for each run, since several threads of a process may run this at once
        holder = f"{holder}:{uuid.uuid4().hex[:8]}"
        claimed_effects = self._store.outbox.claim(now, holder, now + LEASE, limit, calendars_only=calendars_only)
        if not claimed_effects:
            return 0
        context = self._load_context(claimed_effects)
        if context.problem:
            # each effect's data is loaded by itself, so that content that can't be opened stops only this one effect
            for claimed_effect in claimed_effects:
                self._perform(claimed_effect, self._load_context([claimed_effect]), holder)
            return len(claimed_effects)
        for number, claimed_effect in enumerate(claimed_effects):
            if not is_recent(context.loaded_at, self._clock(), MAX_CONTEXT_AGE):
                context = self._load_context(claimed_effects[number:])
            self._perform(claimed_effect, context, holder)
        return len(claimed_effects)

    def _load_context(self, claimed_effects: Sequence[ClaimedEffect]) -> BatchContext:
        """Load the data for these effects. After an error, such as a wrong key, return only the problem."""
        try:
            return read_batch_context(self._store, claimed_effects, self._clock())
        except Exception as error:
            if describe_database_outage(error):
                raise
            return BatchContext(self._clock(), {}, OpenedContent(), problem=_describe_error(error))

    # --- one effect ---

    def _perform(self, claimed_effect: ClaimedEffect, context: BatchContext, holder: str) -> None:
        """Mark the effect as begun, attempt it, and settle it.

        Each step is stored before the next one, so that after a crash only this effect has an unknown outcome.
        """
        if not self._store.outbox.begin(claimed_effect.effect.key, holder, self._clock() + LEASE):
            return
        result = self._attempt_claimed(claimed_effect, context)
        now = self._clock()
        self._store.outbox.settle(result, holder, now)
        if result.needs_reread:
            self._store.calendars.request_full_read([result.effect.calendar], now)

    def _attempt_claimed(self, claimed_effect: ClaimedEffect, context: BatchContext) -> EffectResult:
        """Attempt an effect, and return what has to be stored about it."""
        effect, began_at = replace(claimed_effect.effect, attempts=claimed_effect.effect.attempts + 1), self._clock()
        state = None if effect.pair is None else context.states.get(effect.pair)
        if context.problem:
            attempt = Attempt(Outcome.TRANSIENT, context.problem)
        else:
            attempt = self._attempt(effect, state, context, doubt=claimed_effect.doubt)
        if effect.name in UNRECORDED_MAILS:  # the error of a mail service may name the recipient
            attempt = replace(attempt, problem="The mail service did not take it." if attempt.problem else "")
        now = self._clock()
        settlement = planner.settle_effect(
            effect, attempt.outcome, now, attempt.retry_after, resend=_may_resend(effect)
        )
        if effect.kind in (EffectKind.CREATE, EffectKind.UPDATE):
            settlement = replan_if_new_time(settlement, find_subject(effect, state))
        settlement = replan_if_changed(settlement, attempt.placed)
        self._report_result(effect, attempt, settlement, now)
        return EffectResult(
            effect=effect,
            settlement=settlement,
            began_at=began_at,
            problem=attempt.problem,
            placed=attempt.placed,
            replaced_etag=attempt.replaced_etag,
            removed_key=attempt.removed_key,
            history_fields=attempt.history_fields,
            needs_reread=attempt.needs_reread,
            shown_learning_written_at=self._find_shown_learning_time(effect, state, context.content),
        )

    def _find_shown_learning_time(
        self, effect: Effect, state: PairState | None, content: OpenedContent
    ) -> datetime | None:
        """Return when the manager's learning that this mail shows was written; None for a mail without one (R-35)."""
        learning = self._composer.choose_learning(effect, state, content) if state is not None else None
        return learning.written_at if learning else None

    def _attempt(self, effect: Effect, state: PairState | None, context: BatchContext, *, doubt: Doubt) -> Attempt:
        """Perform the effect, and convert its errors to outcomes."""
        try:
            if effect.kind is EffectKind.MAIL:
                return self._perform_mail(effect, state, context, doubt=doubt)
            return self._event_attempts.perform(effect, state, context.content)
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
        except Exception as error:  # raised by a custom template or a library; must not stop the other effects
            if problem := describe_database_outage(error):
                return Attempt(Outcome.TRANSIENT, problem)
            return Attempt(Outcome.PERMANENT, describe_unexpected_error(error))

    def _suspend_revoked(self, effect: Effect, error: AuthRevoked) -> Attempt:
        """Alert the operator that a grant was revoked. Unless the effect is a mail, suspend the calendar.

        There is no alert about a calendar that was suspended before, since the operator has had one.
        """
        owner = effect.calendar or "the sender of mails"
        now = self._clock()
        if effect.kind is EffectKind.MAIL:
            needs_alert, text = True, f"The grant to act for {owner} was revoked: {error}"
        else:
            needs_alert = self._store.people.suspend(owner, now + SUSPENSION_LENGTH)
            text = describe_revoked_grant(owner, error)
        if needs_alert:
            self._store.outbox.alert(f"revoked:{owner}:{now:%Y-%m-%d}", text, now, self._operator)
        return Attempt(Outcome.TRANSIENT, str(error), SUSPENSION_LENGTH)

    def _report_result(self, effect: Effect, attempt: Attempt, settlement: Settlement, now: datetime) -> None:
        """Count and log the result of an attempt, and alert the operator when the settlement says so."""
        if effect.name in UNRECORDED_MAILS:
            return
        count_effect(effect, settlement.progress, now)
        level = logging.DEBUG if settlement.progress is EffectProgress.WAITING else logging.INFO
        kind, progress, problem = effect.kind.value, settlement.progress.value, attempt.problem
        log_line = f"{kind} {effect.name or effect.event}: {progress}"
        log.log(
            level,
            "%s",
            log_line,
            extra={"action": Action.EFFECT, "key": effect.key, "what": kind, "outcome": progress, "problem": problem},
        )
        if settlement.alerts_operator and not _is_alert(effect):
            effect_name = f"the mail {effect.name}" if effect.kind is EffectKind.MAIL else kind
            text = f"{effect_name} for {effect.pair or effect.to} is {progress}: {problem}"
            # of the alerts with one cause, at most one mail an hour is sent
            self._store.outbox.alert(f"{effect.key}:{progress}", text, now, self._operator, cause=kind)

    # --- mails ---

    def _perform_mail(self, effect: Effect, state: PairState | None, context: BatchContext, *, doubt: Doubt) -> Attempt:
        """Send a mail, unless an earlier attempt has sent it, or it is no longer wanted."""
        now = self._clock()
        if effect.name in UNRECORDED_MAILS:
            return self._perform_third_voice_mail(effect, now, doubt=doubt)
        personal_mail = context.personal_mails.get(effect.key)
        if personal_mail is not None:
            sending_person = personal_mail.person
            mail_context = self._composer.build_personal_context(
                effect, personal_mail.person, personal_mail.states, personal_mail.folded_mails, context.content, now
            )
            is_current = bool(mail_context.news)  # the news are the lines of a personal mail
        elif is_personal(effect):
            return STALE  # the reader has left
        else:
            sending_person = state.manager if state is not None else self._composer.build_operator()
            is_current = state is None or KINDS[effect.name].is_valid(effect, state, now)
            mentions = frozenset[str]()
            if is_current:
                mentions = reserve_mentions(self._store, effect, state, context.content, now)
            mail_context = self._composer.build_mail_context(effect, state, context.content, now, mentions)
        mailer = self._get_mailer(sending_person.mail)
        is_to_operator = personal_mail is None and state is None
        sender = "" if is_to_operator else self._composer.choose_sender(effect, sending_person.email)
        if sender and can_send_as(mailer, sender):
            mail_context = replace(mail_context, sender=sender)
        history_fields = self._build_mail_history_fields(effect, state, mail_context)
        # an earlier attempt may have sent the mail, or the program did before its database was restored (`doubt`)
        if doubt is not Doubt.NONE or effect.attempts > 1:
            was_sent = mailer.was_sent(effect.key)  # None when the service does not know
            if was_sent:
                return Attempt(Outcome.DONE, history_fields=history_fields)
            may_send_again = is_current and _may_resend(effect) and effect.attempts <= MAX_ATTEMPTS_IN_DOUBT
            if was_sent is None and doubt is Doubt.UNKNOWN and not may_send_again:
                return Attempt(Outcome.UNCERTAIN, "It is unknown whether an earlier attempt has sent it.")
        if not is_current:
            return STALE
        return self._send_mail(mailer, self._build_mail(effect, state, mail_context), effect.key, history_fields)

    def _perform_third_voice_mail(self, effect: Effect, now: datetime, *, doubt: Doubt) -> Attempt:
        """Send a mail about a report's question to a third person (R-30). The result does not name the recipient."""
        parties = load_mail_parties(self._store, effect, now)
        if parties is None:
            return STALE
        mailer = self._get_mailer(parties.report.mail)
        if doubt is not Doubt.NONE or effect.attempts > 1:  # an earlier attempt may have sent the mail
            was_sent = mailer.was_sent(effect.key)  # None when the service does not know
            if was_sent or (was_sent is None and doubt is Doubt.UNKNOWN):
                return Attempt(Outcome.DONE if was_sent else Outcome.UNCERTAIN)
        context = self._composer.build_voice_context(effect, parties.voice, parties.report, parties.third_person, now)
        return self._send_mail(mailer, self._render_mail(context), effect.key, {})

    def _build_mail_history_fields(
        self, effect: Effect, state: PairState | None, mail_context: MailContext
    ) -> dict[str, Any]:
        """Return the fields of the history line about a sent mail."""
        due_field = {"due": mail_context.due} if mail_context.due else {}
        return {
            "message": effect.name,
            "to": effect.to,
            "from": str(self._mail_renderer.make_sender(mail_context)),
            "message_id": self._mail_renderer.make_message_id(mail_context.key),
            "number": effect.number or None,
            **build_history_fields(find_subject(effect, state)),
            **due_field,
        }

    def _build_mail(self, effect: Effect, state: PairState | None, mail_context: MailContext) -> EmailMessage:
        """Return the rendered mail, with a calendar part if its kind has one."""
        email = self._render_mail(mail_context)
        session = find_subject(effect, state)
        if state is not None and KINDS[effect.name].calendar_method and isinstance(session, Session):
            draft = self._composer.build_invitation_event(state, session, effect)
            calendar_part.attach_event(email, effect.name, draft, self._clock())
        return email

    def _render_mail(self, mail_context: MailContext) -> EmailMessage:
        """Return the rendered mail. When a custom template fails, use the default one, and alert the operator."""
        try:
            return self._mail_renderer.render(mail_context)
        except Exception as error:
            email = self._mail_renderer.render_default(mail_context)
            if email is None:
                raise
            problem = _describe_error(error)
            text = f"Your own template of the mail {mail_context.name} failed, so the default was used: {problem}"
            if mail_context.name in UNRECORDED_MAILS:  # an alert would tell the operator that there was such a mail
                return email
            now = self._clock()
            cause = f"template:{mail_context.name}"
            self._store.outbox.alert(f"{cause}:{now:%Y-%m-%d}", text, now, self._operator, cause=cause)
            return email

    def _send_mail(self, mailer: Mailer, email: EmailMessage, key: str, history_fields: Mapping[str, Any]) -> Attempt:
        """Send a mail. After an error that leaves the outcome unknown, ask the service whether the mail was sent."""
        try:
            mailer.send(email, key)
        except Exception as error:
            if problem := describe_database_outage(error):  # raised by the limiter, perhaps after the mail was sent
                error = Transient(problem, uncertain=True)
            if not isinstance(error, Transient):
                raise
            was_sent = _was_sent(mailer, key) if error.uncertain else False
            if not was_sent:
                outcome = Outcome.UNCERTAIN if was_sent is None else Outcome.TRANSIENT
                return Attempt(outcome, str(error), error.retry_after)
        return Attempt(Outcome.DONE, history_fields=history_fields)


def _describe_error(error: Exception) -> str:
    return str(error) if isinstance(error, LongarcError) else describe_unexpected_error(error)


def _may_resend(effect: Effect) -> bool:
    """Return whether a mail of this kind may be sent again when it is unknown whether it was sent."""
    return effect.name in KINDS and KINDS[effect.name].is_repeatable


def _is_alert(effect: Effect) -> bool:
    """Return whether this is a mail to the operator. Its failure raises no further alert, which would fail as well."""
    return effect.name in KINDS and Reader.OPERATOR in KINDS[effect.name].readers


def _was_sent(mailer: Mailer, key: str) -> bool | None:
    """Return whether the mail with this key was sent; None when that is unknown."""
    try:
        return mailer.was_sent(key)
    except ProviderError:
        return None
