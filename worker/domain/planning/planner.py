"""The entry point of planning: `plan` plans one pair, and `settle_effect` settles an effect after an attempt.

Both are pure functions. `plan` gets the state of the pair and the free/busy that was read, and returns everything that
is to be written to the database. When free/busy is missing, it returns only a request for it. Once a plan has been
written, planning the pair again at the same instant changes nothing, unless the plan asks for that: a late step of the
plan may have changed what an early step has looked at.
"""

from datetime import datetime, timedelta

from worker.domain.model import (
    Effect,
    EffectKind,
    EffectProgress,
    EndReason,
    FreeBusySnapshot,
    MailName,
    Outcome,
    PairState,
    Participation,
    Plan,
    Policy,
    SessionState,
    Settlement,
)
from worker.domain.planning import (
    anchors,
    cadence,
    commitment_blocks,
    contract_mails,
    deferrals,
    handovers,
    invitations,
    notices,
    offers,
    placement,
    requested_times,
    reviews,
    turns,
)
from worker.domain.planning.plan_builder import DAILY, PlanBuilder


def plan(now: datetime, state: PairState, snapshot: FreeBusySnapshot | None, policy: Policy) -> Plan:
    """Return the plan for the pair at `now`: the changes to write, and when to plan the pair again."""
    builder = PlanBuilder(now, state, snapshot, policy)
    retry_refused_cancellations(builder)
    offers.release_ended_offers(builder)
    if not builder.pair.is_active:
        mark_past_sessions_held(builder)  # before the pair was withdrawn, sessions may have taken place
        withdraw_pair(builder)
        return builder.build()
    if not builder.manager.has_calendar:  # nothing can be booked until the people file names a calendar
        mark_past_sessions_held(builder)
        builder.plan_again_at(builder.now + DAILY)
        return builder.build()
    # Whoever proposes another time may have declined the event. Until the free/busy for that time has been read, the
    # session must not be deferred because of this answer.
    waiting_ids = requested_times.answer_requested_times(builder)
    deferrals.check_booked_sessions(builder, skipped_ids=waiting_ids)
    if builder.lacks_free_busy:
        return builder.build()
    mark_past_sessions_held(builder)
    arrange_sessions(builder)
    commitment_blocks.update_and_place_blocks(builder)
    if builder.lacks_free_busy:
        return builder.build()
    invitations.update_invitation_mails(builder)
    notices.add_due_mails(builder)
    handovers.add_new_manager_mail(builder)
    return builder.build()


# --- the passing of time ---


def mark_past_sessions_held(builder: PlanBuilder) -> None:
    """Mark each booked session whose end has passed as held, if its event is on the calendar at its time (T-7).

    A review inside a 1:1 is marked, too, although it has no event of its own.

    A calendar may have refused the new time of a session, so that its event still shows an older time. If the session
    can't have that older time, it is deferred. If the older time is still to come, the session gets it back.
    """
    for session in [s for s in builder.sessions.values() if s.booked]:
        end, placed = session.span.end, builder.find_event(session.key)
        if builder.now < end:
            builder.plan_again_at(end)
        elif placed and placed.span != session.span and deferrals.is_event_time_lost(builder, session, placed):
            builder.update_session(
                session, state=SessionState.DEFERRED, start=None, end=None, by_hand=False, offer=None
            )
            builder.record_decision(
                "warning", "The calendar never accepted the new time, so the session gets another one.", session.id
            )
        elif placed and placed.span.end > builder.now:
            # with `by_hand`, the session keeps the time even outside its window or over busy time
            restored = builder.update_session(
                session, start=placed.span.start, end=placed.span.end, by_hand=True, intended=None
            )
            builder.record_session_decision(
                restored, "The calendar never accepted the new time, so the session keeps the old one that people see."
            )
            builder.plan_again_at(builder.now)  # the session with its old time has not been checked by `deferrals` yet
        elif placed or reviews.is_inside_1on1(builder, session):
            held = contract_mails.mark_held(builder, session, end)
            builder.record_session_decision(
                held, "Its end has passed, so it counts as held unless somebody says otherwise."
            )


# --- the sessions that a pair needs ---

#: The most rounds in which windows and times are computed. They are computed again because a session that gets a time
#: may change the windows of later sessions.
MAX_ROUNDS = 4


def arrange_sessions(builder: PlanBuilder) -> None:
    """Give the pair the sessions that it needs, each with its current window and, if possible, a time."""
    for _ in range(MAX_ROUNDS):
        anchors.reanchor_sessions(builder)
        ensure_sessions(builder)
        sessions_before = dict(builder.sessions)
        placement.place_owed_sessions(builder)
        if builder.sessions == sessions_before:
            return


def ensure_sessions(builder: PlanBuilder) -> None:
    """Add the sessions that the pair lacks: the next career sessions (T-4, T-15) and the reviews (T-9)."""
    sessions = list(builder.sessions.values())
    earliest_contact = turns.find_earliest_contact(builder.pair, builder.manager.zone)
    if earliest_contact is not None and builder.now < earliest_contact and not sessions:
        builder.plan_again_at(earliest_contact)  # before that, the pair gets no invitation and no mail (T-3a)
        return
    wanted_count = builder.policy.ahead
    while len([s for s in cadence.select_regular_sessions(sessions) if s.owed or s.booked]) < wanted_count:
        cycle = cadence.make_next_cycle(
            sessions,
            builder.pair,
            builder.manager.zone,
            builder.policy,
            builder.now,
            make_turn_window=lambda: anchors.find_turn_window(builder),
        )
        sessions += [builder.update_session(session) for session in cycle]
    reviews.ensure_reviews(builder)
    reviews.place_reviews_in_1on1s(builder)


# --- a pair that has ended, is paused, or does not take part ---

#: The reason in the history, by the participation of the pair. `YES` stands here for a pair that is paused on its own.
_WHY_NOT_PLANNED = {
    Participation.YES: "The pair is paused.",
    Participation.NOT_CHOSEN: "The pair does not take part in the rollout.",
    Participation.NOT_BEGUN: "The rollout has not begun for this pair.",
    Participation.EVERYBODY_PAUSED: "Everybody is paused.",
    Participation.WITHDRAWN_QUIETLY: "Everybody is paused.",  # and the guests get no notice of the cancellations
    Participation.GROUP_PAUSED: "The group of the report is paused.",
    Participation.PERSON_PAUSED: "One of the two is paused.",
}


def withdraw_pair(builder: PlanBuilder) -> None:
    """Cancel all sessions and blocks of a pair that has ended, is paused, or does not take part.

    The history stays. When the report has another manager, the blocks of the former manager's promises stay until the
    promises have ended (R-36).
    """
    why = "The pair has ended." if builder.pair.ended else _WHY_NOT_PLANNED[builder.pair.participation]
    for session in [s for s in builder.sessions.values() if s.booked or s.owed]:
        placement.cancel_session(builder, session, why)
    if builder.pair.participation is not Participation.WITHDRAWN_QUIETLY:
        invitations.update_invitation_mails(builder)  # withdraws the invitations to the cancelled sessions
    handovers.end_promises_if_manager_left(builder)
    takes_part = builder.pair.participation is Participation.YES
    if builder.pair.ended is EndReason.CHANGED and takes_part:
        commitment_blocks.update_existing_blocks(builder)  # places no new ones
    else:
        _withdraw_blocks(builder)
    if takes_part:
        _add_end_mails(builder)


def _withdraw_blocks(builder: PlanBuilder) -> None:
    """Cancel the blocks of all commitments on the manager's calendar."""
    for commitment in [c for c in builder.commitments.values() if c.block]:
        if builder.is_on_calendar(commitment.key):
            builder.cancel_event(commitment.id, commitment.key)
        # If the pair resumes, the next block is another event, which needs another key.
        builder.update_commitment(commitment, block=None, generation=commitment.generation + 1)


def _add_end_mails(builder: PlanBuilder) -> None:
    """Add the mails which say that the pair has ended, once for each time that it ends.

    A pair that has ended may resume and end again. The number of its last cycle distinguishes one end from another.
    """
    cycle = max((s.cycle for s in builder.sessions.values()), default=0)
    handovers.add_open_promises_mail(builder, cycle)
    for person in handovers.list_end_recipients(builder):
        # the mail about open promises says, too, that the pair has ended
        end_mails = [
            mail
            for name in (MailName.PAIR_ENDED, MailName.OPEN_PROMISES)
            for mail in builder.list_mails(name, str(builder.pair.id))
        ]
        if not any(mail.to == person.email and mail.number == cycle for mail in end_mails):
            due_at = notices.find_next_working_morning(person, builder.now)
            builder.add_mail(MailName.PAIR_ENDED, str(builder.pair.id), person.email, number=cycle, due_at=due_at)


def retry_refused_cancellations(builder: PlanBuilder) -> None:
    """Cancel again the events that a calendar refused to cancel, because people still see them.

    The wait between two attempts grows (see `PlanBuilder.find_retry_time`).
    """
    if not any(
        effect.kind is EffectKind.CANCEL and effect.progress is EffectProgress.DEAD for effect in builder.effects
    ):
        return
    wanted_keys = {s.key for s in builder.sessions.values() if not s.is_closed}
    wanted_keys |= {c.key for c in builder.commitments.values() if c.block}
    for key, placed in builder.state.placed_events.items():
        if key in wanted_keys or placed.is_gone or placed.span.end <= builder.now:
            continue
        cancels = [effect for effect in builder.effects if effect.event == key and effect.kind is EffectKind.CANCEL]
        if not cancels or cancels[-1].progress is not EffectProgress.DEAD:
            continue
        if not builder.has_to_wait_for_retry(cancels[-1].subject):
            builder.cancel_event(cancels[-1].subject, key)


# --- effects ---

#: The wait after the first failed attempt. It doubles with each further failure, up to the longest wait.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: An event is not created when that was decided longer ago than this. Its pair is planned again instead.
MAX_DECISION_AGE = timedelta(minutes=5)
#: The number of failed attempts after which the operator is told.
TELL_OPERATOR_AFTER = 6
#: The number of failed attempts after which the effect is given up.
GIVE_UP_AFTER = 60
#: The retries of different effects are spread over this many seconds.
SPREAD_SECONDS = 20


def is_fresh(effect: Effect, now: datetime) -> bool:
    """Return whether the effect was decided recently enough. Only an effect that creates an event can be too old."""
    return effect.kind is not EffectKind.CREATE or now - effect.decided_at <= MAX_DECISION_AGE


def settle_effect(
    effect: Effect,
    outcome: Outcome,
    now: datetime,
    retry_after: timedelta | None = None,
    *,
    resend: bool = False,
) -> Settlement:
    """Return what follows for an effect after an attempt with that outcome.

    `retry_after` is the least wait that the service asked for. `resend` allows a mail whose outcome is unknown to be
    sent a second time.
    """
    if outcome is Outcome.DONE:
        return Settlement(EffectProgress.DONE)
    if outcome is Outcome.STALE:  # the effect was no longer wanted, or the event has changed since it was decided
        return Settlement(EffectProgress.DROPPED, needs_replanning=True)
    if outcome is Outcome.PERMANENT:
        return Settlement(EffectProgress.DEAD, needs_replanning=True, alerts_operator=True)
    if outcome is Outcome.UNCERTAIN and effect.kind is EffectKind.MAIL:
        return _settle_uncertain_mail(effect, now, resend)
    if effect.attempts >= GIVE_UP_AFTER:
        return Settlement(EffectProgress.DEAD, needs_replanning=True, alerts_operator=True)
    wait = max(_compute_backoff(effect), retry_after or timedelta())
    return Settlement(EffectProgress.WAITING, due_at=now + wait, alerts_operator=effect.attempts == TELL_OPERATOR_AFTER)


def _settle_uncertain_mail(effect: Effect, now: datetime, resend: bool) -> Settlement:
    """Return what follows for a mail that may or may not have been sent.

    It is sent once more with the same Message-ID if `resend` allows that; otherwise the operator is told.
    """
    if resend and effect.attempts < 2:
        return Settlement(EffectProgress.WAITING, due_at=now)
    return Settlement(EffectProgress.UNCERTAIN, alerts_operator=True)


def _compute_backoff(effect: Effect) -> timedelta:
    """Return the wait after the last attempt: 1, 2, 4, … minutes up to an hour, plus some seconds.

    The seconds follow from the effect's key, so that the retries of many effects are spread out.
    """
    doublings = min(max(effect.attempts - 1, 0), 10)  # ten doublings exceed the longest wait
    wait = min(FIRST_WAIT * (1 << doublings), LONGEST_WAIT)
    return wait + timedelta(seconds=sum(effect.key.encode()) % SPREAD_SECONDS)
