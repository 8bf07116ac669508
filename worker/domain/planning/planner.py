"""`plan`: what is to be done about one pair, now. `settle`: what becomes of an effect that was tried.

Both are pure. `plan` reads the state and what was seen of the calendars, and returns everything that is to be
written; when it lacks free/busy it returns only the question. The same world planned again gives an empty plan.
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
    Person,
    Plan,
    Policy,
    SessionState,
    Settlement,
)
from worker.domain.planning import (
    anchors,
    cadence,
    commitment_blocks,
    deferrals,
    invitations,
    notices,
    placement,
    requested_times,
    reviews,
)
from worker.domain.planning.plan_builder import DAILY, PlanBuilder


def plan(now: datetime, state: PairState, seen: FreeBusySnapshot | None, policy: Policy) -> Plan:
    """What to write about this pair at `now`, and when to look again."""
    p = PlanBuilder(now, state, seen, policy)
    retry_refused_cancellations(p)
    if not p.pair.is_active:
        mark_past_sessions_held(p)  # what took place before took place
        withdraw_pair(p)
        return p.build()
    if not p.manager.has_calendar:  # nothing can stand anywhere until the people file names one
        mark_past_sessions_held(p)
        p.wake_at(p.now + DAILY)
        return p.build()
    deferrals.check_booked_sessions(p, but=requested_times.answer_requested_times(p))
    if p.has_request:
        return p.build()
    mark_past_sessions_held(p)
    arrange_sessions(p)
    commitment_blocks.sync_blocks(p)
    invitations.add_invitations(p)
    notices.add_due_mails(p)
    return p.build()


# --- the passing of time ---


def mark_past_sessions_held(p: PlanBuilder) -> None:
    """A session whose end has passed was held, unless somebody says otherwise (T-7)."""
    for session in [s for s in p.sessions.values() if s.booked]:
        end, placed = session.span.end, p.find_event(session.key)
        if p.now < end:
            p.wake_at(end)
        elif placed and placed.span != session.span and deferrals.is_lost_time(p, session, placed):
            p.update_session(session, state=SessionState.DEFERRED, start=None, end=None, by_hand=False, options=())
            p.record_decision("warning", "The calendar never took the new time, so it gets another one.", session.id)
        elif placed and placed.span.end > p.now:
            stands = p.update_session(session, start=placed.span.start, end=placed.span.end, by_hand=True)
            p.record_session_decision(
                stands, "The calendar never took the new time; people see the old one, and it stands."
            )
            p.wake_at(p.now)
        elif placed or reviews.is_inside_1on1(p, session):
            held = notices.mark_held(p, session, end)
            p.record_session_decision(held, "Its end has passed; taken as held unless somebody says otherwise.")


# --- what there has to be ---

#: A time that is given may move the windows of what follows it: so often at most they are gone through.
MAX_ROUNDS = 4


def arrange_sessions(p: PlanBuilder) -> None:
    """Have what there has to be, in its window and with a time."""
    for _ in range(MAX_ROUNDS):
        before = dict(p.sessions)
        anchors.reanchor_sessions(p)
        ensure_sessions(p)
        placement.place_owed_sessions(p)
        if p.sessions == before:
            return


def ensure_sessions(p: PlanBuilder) -> None:
    """Have every session owed that there has to be: the next career sessions (T-4, T-15) and the reviews (T-9)."""
    everything = list(p.sessions.values())
    while len([s for s in cadence.select_regular_sessions(everything) if s.owed or s.booked]) < p.policy.ahead:
        for session in cadence.make_next_cycle(everything, p.pair, p.people, p.policy, p.now):
            p.update_session(session)
            everything.append(session)
    reviews.ensure_reviews(p)
    reviews.place_reviews_in_1on1s(p)


# --- a pair that is no more, or rests ---


def withdraw_pair(p: PlanBuilder) -> None:
    """Paused or ended: nothing stays on the calendar; the history stays."""
    why = "The pair is paused." if p.pair.ended is EndReason.NO else "The pair has ended."
    for session in [s for s in p.sessions.values() if s.booked or s.owed]:
        placement.take_off_calendar(p, session)
        off = p.update_session(
            p.sessions[session.id], state=SessionState.CANCELLED, start=None, end=None, options=(), unplaceable=None
        )
        p.record_session_decision(off, why)
    invitations.add_invitations(p)
    for commitment in [c for c in p.commitments.values() if c.block]:
        if p.find_event(commitment.key) or p.has_pending_write(commitment.key):
            p.write_event(EffectKind.CANCEL, commitment.id, commitment.key, commitment.sequence)
        p.update_commitment(commitment, block=None, generation=commitment.generation + 1)
    cycle = max((s.cycle for s in p.sessions.values()), default=0)
    for person in _list_end_recipients(p):
        if not any(
            m.to == person.email and m.number == cycle for m in p.list_mails(MailName.PAIR_ENDED, str(p.pair.id))
        ):
            due_at = notices.find_next_working_morning(person, p.now)
            p.add_mail(MailName.PAIR_ENDED, str(p.pair.id), person.email, number=cycle, due_at=due_at)


def retry_refused_cancellations(p: PlanBuilder) -> None:
    """Ask again, ever more seldom, for what is to be gone and a calendar would not give up: people still see it."""
    wanted = {s.key for s in p.sessions.values() if not s.is_closed} | {
        c.key for c in p.commitments.values() if c.block
    }
    for key, placed in p.state.placed_events.items():
        if key in wanted or placed.gone or placed.span.end <= p.now:
            continue
        mine = [m for m in p.messages if m.event == key and m.kind is EffectKind.CANCEL]
        if not mine or mine[-1].progress is not EffectProgress.DEAD:
            continue
        blocked = p.find_retry_time(mine[-1].subject)
        if blocked and p.now < blocked:
            p.wake_at(blocked)
        else:
            p.write_event(EffectKind.CANCEL, mine[-1].subject, key, placed.sequence)


def _list_end_recipients(p: PlanBuilder) -> tuple[Person, ...]:
    manager, report = p.people
    return {
        EndReason.NO: (),
        EndReason.BOTH_LEFT: (),
        EndReason.REPORT_LEFT: (manager,),
        EndReason.MANAGER_LEFT: (report,),
        EndReason.CHANGED: (manager, report),
    }[p.pair.ended]


# --- effects ---

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: A create or update decided on a world older than this is decided again.
MAX_SNAPSHOT_AGE = timedelta(minutes=5)
TELL_OPERATOR_AFTER = 6
GIVE_UP_AFTER = 60


def is_fresh(message: Effect, now: datetime) -> bool:
    """Whether an event may still be written on the strength of what was read when it was decided."""
    return message.kind is not EffectKind.CREATE or now - message.snapshot_at <= MAX_SNAPSHOT_AGE


def settle_effect(
    message: Effect,
    outcome: Outcome,
    now: datetime,
    retry_after: timedelta | None = None,
    *,
    resend: bool = False,
) -> Settlement:
    """What becomes of a message after an attempt. `resend`: a mail of unknown fate may be sent a second time."""
    if outcome is Outcome.DONE:
        return Settlement(EffectProgress.DONE)
    if outcome is Outcome.STALE:
        return Settlement(EffectProgress.DROPPED, replan=True)
    if outcome is Outcome.PERMANENT:
        return Settlement(EffectProgress.DEAD, replan=True, tell_operator=True)
    if outcome is Outcome.UNCERTAIN and message.kind is EffectKind.MAIL:
        return _settle_uncertain_mail(message, now, resend)
    if message.attempts >= GIVE_UP_AFTER:
        return Settlement(EffectProgress.DEAD, replan=True, tell_operator=True)
    wait = max(_compute_backoff(message), retry_after or timedelta())
    return Settlement(EffectProgress.WAITING, due_at=now + wait, tell_operator=message.attempts == TELL_OPERATOR_AFTER)


def _settle_uncertain_mail(message: Effect, now: datetime, resend: bool) -> Settlement:
    """Nobody knows whether it went out. Some go once more, with the same Message-ID; others wait for a human."""
    if resend and message.attempts < 2:
        return Settlement(EffectProgress.WAITING, due_at=now)
    return Settlement(EffectProgress.UNCERTAIN, tell_operator=True)


def _compute_backoff(message: Effect) -> timedelta:
    """1, 2, 4, … minutes up to an hour, and a few seconds apart so that many don't come back at the same moment."""
    wait = min(FIRST_WAIT * (1 << min(max(message.attempts - 1, 0), 10)), LONGEST_WAIT)
    return wait + timedelta(seconds=sum(message.key.encode()) % 20)
