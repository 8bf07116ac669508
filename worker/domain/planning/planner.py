"""`plan` decides what to do about one pair now; `settle_effect` decides what becomes of an effect after an attempt.

Both are pure. `plan` returns everything that is to be written, given the state and the free/busy that was read. When
it lacks free/busy, it returns only the request for it. The same state planned again gives an empty plan.
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
    """Return what to write about this pair at `now`, and when to plan it again."""
    builder = PlanBuilder(now, state, snapshot, policy)
    retry_refused_cancellations(builder)
    offers.release_ended_offers(builder)
    if not builder.pair.is_active:
        mark_past_sessions_held(builder)  # those that took place before the pair was withdrawn
        withdraw_pair(builder)
        return builder.build()
    if not builder.manager.has_calendar:  # nothing can be booked until the people file names one
        mark_past_sessions_held(builder)
        builder.wake_at(builder.now + DAILY)
        return builder.build()
    deferrals.check_booked_sessions(builder, except_for=requested_times.answer_requested_times(builder))
    if builder.has_request:
        return builder.build()
    mark_past_sessions_held(builder)
    arrange_sessions(builder)
    commitment_blocks.update_blocks(builder)
    invitations.add_invitations(builder)
    notices.add_due_mails(builder)
    handovers.add_new_manager_mail(builder)
    return builder.build()


# --- the passing of time ---


def mark_past_sessions_held(builder: PlanBuilder) -> None:
    """A session whose end has passed was held, unless somebody says otherwise (T-7)."""
    for session in [s for s in builder.sessions.values() if s.booked]:
        end, placed = session.span.end, builder.find_event(session.key)
        if builder.now < end:
            builder.wake_at(end)
        elif placed and placed.span != session.span and deferrals.is_lost_time(builder, session, placed):
            builder.update_session(
                session, state=SessionState.DEFERRED, start=None, end=None, by_hand=False, offer=None
            )
            builder.record_decision(
                "warning", "The calendar never took the new time, so it gets another one.", session.id
            )
        elif placed and placed.span.end > builder.now:
            kept = builder.update_session(
                session, start=placed.span.start, end=placed.span.end, by_hand=True, intended=None
            )
            builder.record_session_decision(
                kept, "The calendar never took the new time; people see the old one, and it stands."
            )
            builder.wake_at(builder.now)
        elif placed or reviews.is_inside_1on1(builder, session):
            held = contract_mails.mark_held(builder, session, end)
            builder.record_session_decision(held, "Its end has passed; taken as held unless somebody says otherwise.")


# --- the sessions that a pair needs ---

#: How often windows and times are computed at most: a session that gets a time may move the windows of those after it.
MAX_ROUNDS = 4


def arrange_sessions(builder: PlanBuilder) -> None:
    """Give the pair the sessions that it needs, each with its present window and, where one fits, a time."""
    for _ in range(MAX_ROUNDS):
        before = dict(builder.sessions)
        anchors.reanchor_sessions(builder)
        ensure_sessions(builder)
        placement.place_owed_sessions(builder)
        if builder.sessions == before:
            return


def ensure_sessions(builder: PlanBuilder) -> None:
    """Add the sessions that the pair needs and lacks: the next career sessions (T-4, T-15) and the reviews (T-9)."""
    everything = list(builder.sessions.values())
    first_notice = turns.find_first_notice(builder.pair, builder.manager.zone)
    if first_notice is not None and builder.now < first_notice and not everything:
        builder.wake_at(first_notice)  # nobody of the pair hears of us before (T-3a)
        return
    while len([s for s in cadence.select_regular_sessions(everything) if s.owed or s.booked]) < builder.policy.ahead:
        cycle = cadence.make_next_cycle(
            everything,
            builder.pair,
            builder.people,
            builder.policy,
            builder.now,
            lambda: anchors.find_first_window(builder),
        )
        everything += [builder.update_session(session) for session in cycle]
    reviews.ensure_reviews(builder)
    reviews.place_reviews_in_1on1s(builder)


# --- a pair that ended, is paused, or takes no part ---

_WHY_NOT_PLANNED = {
    Participation.YES: "The pair is paused.",
    Participation.NOT_CHOSEN: "The pair does not take part in the rollout.",
    Participation.NOT_BEGUN: "The rollout has not begun for this pair.",
    Participation.EVERYBODY_PAUSED: "Everybody is paused.",
    Participation.WITHDRAWN_QUIETLY: "Everybody is paused.",
    Participation.GROUP_PAUSED: "The group of the report is paused.",
    Participation.PERSON_PAUSED: "One of the two is paused.",
}


def withdraw_pair(builder: PlanBuilder) -> None:
    """Take everything of a pair that ended, is paused or takes no part off the calendar. The history stays.

    R-36: when only the manager changes, the blocks of the old manager's promises stay until these have ended.
    """
    why = "The pair has ended." if builder.pair.ended else _WHY_NOT_PLANNED[builder.pair.participation]
    for session in [s for s in builder.sessions.values() if s.booked or s.owed]:
        placement.cancel_session(builder, session, why)
    if builder.pair.participation is not Participation.WITHDRAWN_QUIETLY:
        invitations.add_invitations(builder)
    handovers.end_promises_of_leaver(builder)
    is_held_back = builder.pair.participation is not Participation.YES
    if builder.pair.ended is EndReason.CHANGED and not is_held_back:
        commitment_blocks.follow_blocks(builder)
    else:
        _withdraw_blocks(builder)
    if not is_held_back:
        _add_end_mails(builder)


def _withdraw_blocks(builder: PlanBuilder) -> None:
    for commitment in [c for c in builder.commitments.values() if c.block]:
        if builder.is_on_calendar(commitment.key):
            builder.cancel_event(commitment.id, commitment.key)
        builder.update_commitment(commitment, block=None, generation=commitment.generation + 1)


def _add_end_mails(builder: PlanBuilder) -> None:
    cycle = max((s.cycle for s in builder.sessions.values()), default=0)
    handovers.add_open_promises_mail(builder, cycle)
    for person in handovers.list_end_recipients(builder):
        told = [
            m
            for name in (MailName.PAIR_ENDED, MailName.OPEN_PROMISES)
            for m in builder.list_mails(name, str(builder.pair.id))
        ]
        if not any(m.to == person.email and m.number == cycle for m in told):
            due_at = notices.find_next_working_morning(person, builder.now)
            builder.add_mail(MailName.PAIR_ENDED, str(builder.pair.id), person.email, number=cycle, due_at=due_at)


def retry_refused_cancellations(builder: PlanBuilder) -> None:
    """Cancel once more the events that a calendar refused to cancel, less and less often: people still see them."""
    if not any(one.kind is EffectKind.CANCEL and one.progress is EffectProgress.DEAD for one in builder.effects):
        return
    wanted = {s.key for s in builder.sessions.values() if not s.is_closed} | {
        c.key for c in builder.commitments.values() if c.block
    }
    for key, placed in builder.state.placed_events.items():
        if key in wanted or placed.gone or placed.span.end <= builder.now:
            continue
        cancels = [one for one in builder.effects if one.event == key and one.kind is EffectKind.CANCEL]
        if not cancels or cancels[-1].progress is not EffectProgress.DEAD:
            continue
        if not builder.wait_for_retry(cancels[-1].subject):
            builder.cancel_event(cancels[-1].subject, key)


# --- effects ---

#: The wait after the first failed attempt; it doubles with each further one, up to the longest.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: An event that was decided from an older state than this is not created: its pair is planned again.
MAX_SNAPSHOT_AGE = timedelta(minutes=5)
#: The number of failed attempts after which the operator is told, and the one after which the effect is given up.
TELL_OPERATOR_AFTER, GIVE_UP_AFTER = 6, 60


def is_fresh(effect: Effect, now: datetime) -> bool:
    """Return whether the effect may be carried out by the state it was decided from; only a create can be too old."""
    return effect.kind is not EffectKind.CREATE or now - effect.snapshot_at <= MAX_SNAPSHOT_AGE


def settle_effect(
    effect: Effect,
    outcome: Outcome,
    now: datetime,
    retry_after: timedelta | None = None,
    *,
    resend: bool = False,
) -> Settlement:
    """Return what becomes of an effect after an attempt. `resend`: a mail may go twice when its outcome is unknown."""
    if outcome is Outcome.DONE:
        return Settlement(EffectProgress.DONE)
    if outcome is Outcome.STALE:
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
    """Settle a mail of which nobody knows whether it went out: send it once more with the same Message-ID, or leave it
    to the operator."""
    if resend and effect.attempts < 2:
        return Settlement(EffectProgress.WAITING, due_at=now)
    return Settlement(EffectProgress.UNCERTAIN, alerts_operator=True)


def _compute_backoff(effect: Effect) -> timedelta:
    """Return 1, 2, 4, … minutes up to an hour, plus some seconds so that many effects are not tried at one moment."""
    wait = min(FIRST_WAIT * (1 << min(max(effect.attempts - 1, 0), 10)), LONGEST_WAIT)
    return wait + timedelta(seconds=sum(effect.key.encode()) % 20)
