"""`plan`: what is to be done about one pair, now. `settle`: what becomes of an effect that was tried.

Both are pure. `plan` reads the state and what was seen of the calendars, and returns everything that is to be
written; when it lacks free/busy it returns only the question. The same world planned again gives an empty plan.
"""

from datetime import datetime, timedelta

from worker.domain.model import (
    Ended,
    MailName,
    Message,
    Outcome,
    PairState,
    Person,
    Plan,
    Policy,
    Progress,
    Seen,
    Settlement,
    State,
    What,
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
from worker.domain.planning.plan_builder import DAILY, Planning


def plan(now: datetime, state: PairState, seen: Seen | None, policy: Policy) -> Plan:
    """What to write about this pair at `now`, and when to look again."""
    p = Planning(now, state, seen, policy)
    take_off_again(p)
    if not p.pair.active:
        pass_time(p)  # what took place before took place
        stand_down(p)
        return p.plan()
    if not p.manager.has_calendar:  # nothing can stand anywhere until the people file names one
        pass_time(p)
        p.wake(p.now + DAILY)
        return p.plan()
    deferrals.observe(p, but=requested_times.consider(p))
    if p.asks:
        return p.plan()
    pass_time(p)
    arrange(p)
    commitment_blocks.put_on_calendar(p)
    invitations.invite(p)
    notices.announce(p)
    return p.plan()


# --- the passing of time ---


def pass_time(p: Planning) -> None:
    """A session whose end has passed was held, unless somebody says otherwise (T-7)."""
    for session in [s for s in p.sessions.values() if s.booked]:
        end, placed = session.span.end, p.find_event(session.key)
        if p.now < end:
            p.wake(end)
        elif placed and placed.span != session.span and deferrals.lost_already(p, session, placed):
            p.put(session, state=State.DEFERRED, start=None, end=None, by_hand=False, options=())
            p.decide("warning", "The calendar never took the new time, so it gets another one.", session.id)
        elif placed and placed.span.end > p.now:
            stands = p.put(session, start=placed.span.start, end=placed.span.end, by_hand=True)
            p.decide_session(stands, "The calendar never took the new time; people see the old one, and it stands.")
            p.wake(p.now)
        elif placed or reviews.inside(p, session):
            held = notices.hold(p, session, end)
            p.decide_session(held, "Its end has passed; taken as held unless somebody says otherwise.")


# --- what there has to be ---

#: A time that is given may move the windows of what follows it: so often at most they are gone through.
ROUNDS = 4


def arrange(p: Planning) -> None:
    """Have what there has to be, in its window and with a time."""
    for _ in range(ROUNDS):
        before = dict(p.sessions)
        anchors.re_anchor(p)
        want(p)
        placement.place_all(p)
        if p.sessions == before:
            return


def want(p: Planning) -> None:
    """Have every session owed that there has to be: the next career sessions (T-4, T-15) and the reviews (T-9)."""
    everything = list(p.sessions.values())
    while len([s for s in cadence.regular(everything) if s.owed or s.booked]) < p.policy.ahead:
        for session in cadence.next_cycle(everything, p.pair, p.people, p.policy, p.now):
            p.put(session)
            everything.append(session)
    reviews.want_reviews(p)
    reviews.into_1on1s(p)


# --- a pair that is no more, or rests ---


def stand_down(p: Planning) -> None:
    """Paused or ended: nothing stays on the calendar; the history stays."""
    why = "The pair is paused." if p.pair.ended is Ended.NO else "The pair has ended."
    for session in [s for s in p.sessions.values() if s.booked or s.owed]:
        placement.take_off_calendar(p, session)
        off = p.put(p.sessions[session.id], state=State.CANCELLED, start=None, end=None, options=(), unplaceable=None)
        p.decide_session(off, why)
    invitations.invite(p)
    for commitment in [c for c in p.commitments.values() if c.block]:
        if p.find_event(commitment.key) or p.in_flight_key(commitment.key):
            p.write_event(What.CANCEL, commitment.id, commitment.key, commitment.sequence)
        p.keep(commitment, block=None, generation=commitment.generation + 1)
    cycle = max((s.cycle for s in p.sessions.values()), default=0)
    for person in _to_be_told(p):
        if not any(
            m.to == person.email and m.number == cycle for m in p.list_mails(MailName.PAIR_ENDED, str(p.pair.id))
        ):
            due_at = notices.next_morning(person, p.now)
            p.mail(MailName.PAIR_ENDED, str(p.pair.id), person.email, number=cycle, due_at=due_at)


def take_off_again(p: Planning) -> None:
    """Ask again, ever more seldom, for what is to be gone and a calendar would not give up: people still see it."""
    wanted = {s.key for s in p.sessions.values() if not s.is_closed} | {
        c.key for c in p.commitments.values() if c.block
    }
    for key, placed in p.state.placed.items():
        if key in wanted or placed.gone or placed.span.end <= p.now:
            continue
        mine = [m for m in p.messages if m.event == key and m.what is What.CANCEL]
        if not mine or mine[-1].progress is not Progress.DEAD:
            continue
        blocked = p.refused_until(mine[-1].subject)
        if blocked and p.now < blocked:
            p.wake(blocked)
        else:
            p.write_event(What.CANCEL, mine[-1].subject, key, placed.sequence)


def _to_be_told(p: Planning) -> tuple[Person, ...]:
    manager, report = p.people
    return {
        Ended.NO: (),
        Ended.BOTH_LEFT: (),
        Ended.REPORT_LEFT: (manager,),
        Ended.MANAGER_LEFT: (report,),
        Ended.CHANGED: (manager, report),
    }[p.pair.ended]


# --- effects ---

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
#: A create or update decided on a world older than this is decided again.
FRESH = timedelta(minutes=5)
TELL_AFTER = 6
GIVE_UP_AFTER = 60


def fresh(message: Message, now: datetime) -> bool:
    """Whether an event may still be written on the strength of what was read when it was decided."""
    return message.what is not What.CREATE or now - message.snapshot_at <= FRESH


def settle(
    message: Message,
    outcome: Outcome,
    now: datetime,
    retry_after: timedelta | None = None,
    *,
    resend: bool = False,
) -> Settlement:
    """What becomes of a message after an attempt. `resend`: a mail of unknown fate may be sent a second time."""
    if outcome is Outcome.DONE:
        return Settlement(Progress.DONE)
    if outcome is Outcome.STALE:
        return Settlement(Progress.DROPPED, replan=True)
    if outcome is Outcome.PERMANENT:
        return Settlement(Progress.DEAD, replan=True, tell_operator=True)
    if outcome is Outcome.UNCERTAIN and message.what is What.MAIL:
        return _uncertain_mail(message, now, resend)
    if message.attempts >= GIVE_UP_AFTER:
        return Settlement(Progress.DEAD, replan=True, tell_operator=True)
    wait = max(_backoff(message), retry_after or timedelta())
    return Settlement(Progress.WAITING, due_at=now + wait, tell_operator=message.attempts == TELL_AFTER)


def _uncertain_mail(message: Message, now: datetime, resend: bool) -> Settlement:
    """Nobody knows whether it went out. Some go once more, with the same Message-ID; others wait for a human."""
    if resend and message.attempts < 2:
        return Settlement(Progress.WAITING, due_at=now)
    return Settlement(Progress.UNCERTAIN, tell_operator=True)


def _backoff(message: Message) -> timedelta:
    """1, 2, 4, … minutes up to an hour, and a few seconds apart so that many don't come back at the same moment."""
    wait = min(FIRST_WAIT * (1 << min(max(message.attempts - 1, 0), 10)), LONGEST_WAIT)
    return wait + timedelta(seconds=sum(message.key.encode()) % 20)
