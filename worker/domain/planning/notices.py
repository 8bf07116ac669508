"""Which mail is due when, and whether one that was decided still holds (T-5, T-6, T-7, T-9; R-11, R-12, R-15)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Commitment,
    Effect,
    EndReason,
    MailName,
    Owner,
    PairState,
    Person,
    Session,
    SessionKind,
    SessionState,
)
from worker.domain.planning.deferrals import find_next_look
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1
from worker.domain.time.worktime import (
    add_working_days,
    find_last_working_moment,
    find_next_working_moment,
    get_local_date,
    is_working_day,
    wall_to_utc,
)

NINE, EIGHT, TEN = 9 * 60, 8 * 60, 10 * 60
PROMPT_DAYS, BRIEF_DAYS = 3, 1
#: A prompt that comes later than this is no preparation any more.
PROMPT_MIN_LEAD = timedelta(hours=4)
BRIEF_MIN_LEAD = timedelta(hours=1)
NOTE_MIN_LEAD = timedelta(minutes=15)
#: A session that moved by more than this after its prompt or brief went out gets another; after its note, by this.
MOVED_FAR, NOTE_REACH = timedelta(days=14), timedelta(hours=12)
CONTRACT_HOURS = timedelta(hours=48)
#: So far apart are the mails that ask for one contract, up to the deadline.
REMINDER_GAP = timedelta(hours=4)
REMIND_BEFORE = timedelta(hours=2)
#: What has to be out by an instant is due so long before it: a sweep comes some seconds late, or some minutes.
SWEEP_SLACK = timedelta(minutes=15)
MAX_LATE_MAILS = 3
#: What commands did with what a pair wrote down, within so long, is told in one mail.
ACCESS_MAIL_PERIOD = timedelta(minutes=15)


def add_due_mails(builder: PlanBuilder) -> None:
    """Decide every mail that is due, and wake for the next one."""
    _add_introduction(builder)
    for session in list(builder.sessions.values()):
        if session.booked and session.span.start > builder.now:
            _add_preparation_mails(builder, session)
        elif session.state is SessionState.HELD and session.asks_contract:
            _add_contract_mails(builder, session)
    for commitment in builder.commitments.values():
        _add_due_mail(builder, commitment)


def _add_introduction(builder: PlanBuilder) -> None:
    """R-23: both are told once what this is and who can read what, when the first session stands."""
    if any(s.booked or s.held_at for s in builder.list_sessions(SessionKind.CAREER)):
        for person in builder.people:
            if not any(m.to == person.email for m in builder.list_mails(MailName.INTRODUCTION, str(builder.pair.id))):
                builder.add_mail(MailName.INTRODUCTION, str(builder.pair.id), person.email)


# --- before a session ---


@lru_cache(maxsize=1 << 14)
def find_working_day_before(person: Person, start: datetime, days: int, minute: int) -> datetime:
    """That minute of the day, in the person's zone, so many of the person's working days before."""
    return wall_to_utc(person.zone, add_working_days(person, get_local_date(person.zone, start), -days), minute)


def prompt_at(report: Person, start: datetime) -> datetime:
    """T-5: 09:00 in the report's zone, three working days before."""
    return find_working_day_before(report, start, PROMPT_DAYS, NINE)


def brief_at(manager: Person, start: datetime) -> datetime:
    """T-6: 09:00 in the manager's zone, one working day before."""
    return find_working_day_before(manager, start, BRIEF_DAYS, NINE)


def note_at(manager: Person, start: datetime) -> datetime:
    """T-9: 08:00 in the manager's zone on the day itself; on the working day before when it begins too early."""
    day = get_local_date(manager.zone, start)
    instant = wall_to_utc(manager.zone, day, EIGHT)
    return (
        instant
        if instant + NOTE_MIN_LEAD + SWEEP_SLACK <= start
        else find_working_day_before(manager, start, BRIEF_DAYS, EIGHT)
    )


@dataclass(frozen=True, slots=True)
class Preparation:
    """A mail before a session: once for each, and again only when the session moves far after it went out."""

    name: MailName
    kind: SessionKind  #: of the sessions that it prepares
    reader: Owner
    due: Callable[[Person, datetime], datetime]  #: when it is due, for that reader and that start of the session
    least: timedelta  #: later than so long before the session it does not leave
    far: timedelta  #: a session that moved by more than this gets another


PREPARATIONS = (
    Preparation(MailName.REFLECTION_PROMPT, SessionKind.CAREER, Owner.REPORT, prompt_at, PROMPT_MIN_LEAD, MOVED_FAR),
    Preparation(MailName.BRIEF, SessionKind.CAREER, Owner.MANAGER, brief_at, BRIEF_MIN_LEAD, MOVED_FAR),
    Preparation(MailName.REVIEW_NOTE, SessionKind.REVIEW, Owner.MANAGER, note_at, NOTE_MIN_LEAD, NOTE_REACH),
)


def _add_preparation_mails(builder: PlanBuilder, session: Session) -> None:
    builder.wake_at(session.span.end)
    if not is_inside_1on1(builder, session):
        builder.wake_at(find_next_look(builder, session))
        _add_deferral_notice(builder, session)
    for preparation in PREPARATIONS:
        if preparation.kind is session.kind:
            _prepare(builder, session, preparation)


def _add_deferral_notice(builder: PlanBuilder, session: Session) -> None:
    """R-8, R-10: the manager hears of the time we gave a session that lost its own, once it stands on the calendar."""
    told = builder.list_mails(MailName.DEFERRAL_NOTICE, session.id)
    if not has_new_time(session) or any(m.number == session.count for m in told):
        return
    placed = builder.find_event(session.key)
    if placed is not None and placed.span == session.span and not builder.has_pending_change(session.id):
        builder.add_mail(
            MailName.DEFERRAL_NOTICE, session.id, builder.manager.email, start=session.start, number=session.count
        )


def has_new_time(session: Session) -> bool:
    """Whether it has a time we gave it after it had lost one. A person who chose a time knows it."""
    return session.booked and session.count > 0 and not session.by_hand


def _prepare(builder: PlanBuilder, session: Session, mail: Preparation) -> None:
    start = session.span.start
    if any(m.start and abs(start - m.start) <= mail.far for m in builder.list_mails(mail.name, session.id)):
        return
    reader = builder.manager if mail.reader is Owner.MANAGER else builder.report
    due = mail.due(reader, start)
    if builder.now < due:
        builder.wake_at(due)
    elif start - builder.now >= mail.least:
        if builder.find_event(session.key) is None and not is_inside_1on1(builder, session):
            builder.wake_at(builder.now + RECHECK_SOON)  # it is not on the calendar yet
        else:
            builder.add_mail(mail.name, session.id, reader.email, start=start)


# --- after a session ---


def mark_held(builder: PlanBuilder, session: Session, held_at: datetime, **fields: datetime) -> Session:
    """The session as one that took place and ended then. T-7: when that is recorded only later is kept."""
    noted_at = builder.now if builder.now > held_at + SWEEP_SLACK else None
    if session.held_at == held_at:
        noted_at = session.noted_at  # said once more
    return builder.update_session(
        session,
        state=SessionState.HELD,
        held_at=held_at,
        noted_at=noted_at,
        options=(),
        unplaceable=None,
        warned_at=None,
        **fields,
    )


def find_contract_deadline(manager: Person, session: Session) -> datetime:
    """T-7, R-15: 48 hours after the end; one working day after it was recorded as held, where that is later."""
    end = session.held_at or session.end
    if end is None:
        raise ValueError(f"session {session.id} has not been held")
    if session.noted_at is None:
        return end + CONTRACT_HOURS
    local = session.noted_at.astimezone(ZoneInfo(manager.zone))
    day = add_working_days(manager, local.date(), 1)
    return max(end + CONTRACT_HOURS, wall_to_utc(manager.zone, day, 60 * local.hour + local.minute))


@lru_cache(maxsize=1 << 12)
def list_reminder_times(manager: Person, asked_at: datetime, by: datetime) -> tuple[datetime, ...]:
    """T-7: up to two instants inside the manager's working hours, four hours apart and four after the contract was
    asked for, the last at least two hours before the deadline.

    Fewer when there is less working time until then, as after a late session on a Friday.
    """
    second = find_last_working_moment(manager, asked_at + REMINDER_GAP, by - REMIND_BEFORE - SWEEP_SLACK)
    if second is None:
        return ()
    until = second - REMINDER_GAP + SWEEP_SLACK / 15
    first = find_next_working_moment(manager, asked_at + timedelta(hours=18), until)
    first = first or find_next_working_moment(manager, asked_at + REMINDER_GAP, until)
    return (first, second) if first else (second,)


@lru_cache(maxsize=1 << 12)
def list_late_reminder_times(manager: Person, by: datetime) -> tuple[datetime, ...]:
    """T-7: after the deadline one mail each working day for three days, at 10:00; the fourth instant ends it."""
    day = get_local_date(manager.zone, by)
    return tuple(
        wall_to_utc(manager.zone, add_working_days(manager, day, n + 1), TEN) for n in range(MAX_LATE_MAILS + 1)
    )


def _add_contract_mails(builder: PlanBuilder, session: Session) -> None:
    held = session.held_at
    if held is None:
        return
    if not _has_mail(builder, MailName.CONTRACT_REQUEST, session, 0):
        builder.add_mail(MailName.CONTRACT_REQUEST, session.id, builder.manager.email, start=held)
    by = find_contract_deadline(builder.manager, session)
    before, after = (
        list_reminder_times(builder.manager, max(held, session.noted_at or held), by),
        list_late_reminder_times(builder.manager, by),
    )
    instants = list(enumerate(before, start=3 - len(before))) + list(enumerate(after[:-1], start=3))
    for n, (number, instant) in enumerate(instants):
        if builder.now < instant:
            builder.wake_at(instant)
            return
        following = instants[n + 1][1] if n + 1 < len(instants) else after[-1]
        if builder.now >= following or _has_mail(builder, MailName.CONTRACT_REMINDER, session, number):
            continue
        leaves = builder.now if number > 2 else _find_reminder_time(builder, session, instant, by)
        if leaves is None:
            continue
        if builder.now < leaves:
            builder.wake_at(leaves)
            return
        builder.add_mail(MailName.CONTRACT_REMINDER, session.id, builder.manager.email, start=held, number=number)
    if builder.now >= after[-1]:
        _mark_unfinished(builder, session)
    else:
        builder.wake_at(after[-1])


def _find_reminder_time(builder: PlanBuilder, session: Session, instant: datetime, by: datetime) -> datetime | None:
    """When a reminder that was due at that instant may leave, from now on; None when the deadline is too near.

    It keeps its distance from the last mail that asked for this contract, and from one that has not gone out yet.
    """
    asked = [
        m
        for name in (MailName.CONTRACT_REQUEST, MailName.CONTRACT_REMINDER)
        for m in builder.list_mails(name, session.id)
    ]
    before = max(builder.now if m.is_live else m.snapshot_at for m in asked if m.start == session.held_at)
    earliest = max(builder.now, before + REMINDER_GAP)
    if builder.now <= earliest <= instant + SWEEP_SLACK:
        return earliest
    return find_next_working_moment(builder.manager, earliest, by - REMIND_BEFORE)


def find_next_working_morning(person: Person, now: datetime) -> datetime:
    """09:00 in the person's zone on the next working day (T-17)."""
    return wall_to_utc(person.zone, add_working_days(person, get_local_date(person.zone, now), 1), NINE)


def _mark_unfinished(builder: PlanBuilder, session: Session) -> None:
    """R-17: visible as unfinished, in the history, in `status` and in the next brief."""
    new = builder.update_session(session, state=SessionState.UNFINISHED)
    builder.record_session_decision(new, "No contract was recorded; the conversation is unfinished.")
    builder.wake_at(builder.now)


def _has_mail(builder: PlanBuilder, name: MailName, session: Session, number: int) -> bool:
    """True when that mail went out about that very holding of the session."""
    return any(m.number == number and m.start == session.held_at for m in builder.list_mails(name, session.id))


# --- commitments ---


def due_instant(day: date) -> datetime:
    """A due date as the instant a message carries: midnight UTC."""
    return datetime.combine(day, time(), UTC)


@lru_cache(maxsize=1 << 14)
def remind_at(owner: Person, due: date) -> datetime:
    """09:00 in the owner's zone on the day it is due, or on the working day before."""
    day = due if is_working_day(owner, due) else add_working_days(owner, due, -1)
    return wall_to_utc(owner.zone, day, NINE)


def _add_due_mail(builder: PlanBuilder, commitment: Commitment) -> None:
    if not commitment.is_open:
        return
    owner = builder.manager if commitment.owner is Owner.MANAGER else builder.report
    at, start = remind_at(owner, commitment.due), due_instant(commitment.due)
    if any(
        m.to == owner.email and m.start == start
        for m in builder.list_mails(MailName.COMMITMENT_DUE, str(builder.pair.id))
    ):
        return
    if builder.now < at:
        builder.wake_at(at)
    elif builder.now < at + timedelta(days=1) and commitment.recorded_at < at:
        builder.add_mail(MailName.COMMITMENT_DUE, str(builder.pair.id), owner.email, start=start)


# --- does it still hold? ---
#
# Whether a mail that was decided is still true now that it is about to leave: one function for each answer. The table
# of mails names one for each mail. What isn't true is dropped.

#: What such a function is given: the mail, the pair as it is now, and now.
Holds = Callable[[Effect, PairState, datetime], bool]


def holds_always(effect: Effect, state: PairState, now: datetime) -> bool:
    """True: what it says stays true, whatever becomes of the pair."""
    return True


def holds_while_active(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the pair goes on."""
    return state.pair.is_active


def holds_when_ended(effect: Effect, state: PairState, now: datetime) -> bool:
    """Unless the two have become a pair again."""
    return state.pair.ended is not EndReason.NO


def holds_while_due(effect: Effect, state: PairState, now: datetime) -> bool:
    """While a commitment of the reader's that is due on the mail's day is open (R-18, R-20)."""
    return state.pair.is_active and any(_is_due_for(c, effect) for c in state.commitments)


def _is_due_for(commitment: Commitment, effect: Effect) -> bool:
    pair = commitment.pair
    owner = pair.manager if commitment.owner is Owner.MANAGER else pair.report
    return commitment.is_open and due_instant(commitment.due) == effect.start and effect.to == owner


def _about(effect: Effect, state: PairState) -> Session | None:
    """The session that the mail is about; None when the pair does not go on."""
    return state.session(effect.subject) if state.pair.is_active else None


def holds_before_session(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come and has not moved far: the time is read anew when the mail is written (T-5, T-6)."""
    session = _about(effect, state)
    if session is None or not session.booked or session.span.start <= now:
        return False
    return effect.start is None or abs(session.span.start - effect.start) <= MOVED_FAR


def holds_until_contract(effect: Effect, state: PairState, now: datetime) -> bool:
    """While that holding of the session has no contract (T-7)."""
    session = _about(effect, state)
    return session is not None and session.state is SessionState.HELD and session.held_at == effect.start


def holds_without_time(effect: Effect, state: PairState, now: datetime) -> bool:
    """While no time exists for the session."""
    session = _about(effect, state)
    return session is not None and session.owed and session.unplaceable is not None


def holds_after_deferral(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come and was not deferred once more since."""
    session = _about(effect, state)
    return session is not None and session.booked and session.count == effect.number and session.span.start > now


def holds_while_warned(effect: Effect, state: PairState, now: datetime) -> bool:
    """While something is booked over the session at that time."""
    session = _about(effect, state)
    if session is None:
        return False
    return session.booked and session.warned_at is not None and session.start == effect.start


def holds_at_that_time(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come at the very time that the mail is about."""
    session = _about(effect, state)
    return session is not None and session.booked and session.start == effect.start and session.span.start > now
