"""Mails after a session: the request for its contract, its reminders, and when it ends unfinished (T-7, R-15, R-17)."""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.domain.model import MailName, Person, Session, SessionState
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.preparations import SWEEP_SLACK
from worker.domain.planning.weekly import find_weekly_time, has_weekly
from worker.domain.time.mail_hours import find_following_day_start, find_next_mail_time, list_last_mail_times
from worker.domain.time.worktime import DAY, add_working_days, get_local_date, wall_to_utc

#: How long after a session its contract is due (R-15).
CONTRACT_HOURS = timedelta(hours=48)
#: The least time between two mails that ask for one contract, up to the deadline.
REMINDER_GAP = timedelta(hours=4)
#: The least time between the last of them and the deadline.
REMIND_BEFORE = timedelta(hours=2)
#: The least time between the request and the first of two reminders, so that a night lies between.
FIRST_REMINDER_AFTER = timedelta(hours=12)
#: How much of the working day a reminder leaves for writing the contract.
WRITING_TIME = timedelta(hours=1)
#: How many reminders a contract has before and after its deadline at most. Their numbers are 1, 2 and 3, 4, 5.
MAX_EARLY_MAILS, MAX_LATE_MAILS = 2, 3


def mark_held(builder: PlanBuilder, session: Session, held_at: datetime, **fields: datetime) -> Session:
    """Record that the session ended at `held_at`, and when that was recorded if it was later (T-7)."""
    noted_at = builder.now if builder.now > held_at + SWEEP_SLACK else None
    if session.held_at == held_at:
        noted_at = session.noted_at  # it was recorded before
    return builder.update_session(
        session,
        state=SessionState.HELD,
        held_at=held_at,
        noted_at=noted_at,
        offer=None,
        unplaceable=None,
        warned_at=None,
        **fields,
    )


def find_contract_deadline(manager: Person, session: Session) -> datetime:
    """Return when the contract is due (T-7, R-15).

    That is 48 hours after the end, or one working day after the session was recorded as held, whichever is later.
    """
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
    """Return when the reminders before the deadline `by` are due: up to two, on different working days (T-7).

    Each is as late in the manager's working hours of its day as leaves an hour to write. They are four hours apart and
    four after the request, the first not on its day, the last at least two hours before the deadline. Where there is
    too little working time, as after a late session on a Friday, there are fewer.
    """
    last_times = list_last_mail_times(manager, asked_at + REMINDER_GAP, by - REMIND_BEFORE - SWEEP_SLACK, WRITING_TIME)
    second, *earlier = last_times or (None,)
    if second is None:
        return ()
    firsts = (at for at in earlier if asked_at + FIRST_REMINDER_AFTER <= at <= second - REMINDER_GAP)
    first = next(firsts, None)
    return (first, second) if first else (second,)


@lru_cache(maxsize=1 << 12)
def list_late_reminder_times(manager: Person, by: datetime) -> tuple[datetime, ...]:
    """Return the starts of the three working days after the deadline, each for one mail, and of the fourth, when the
    session becomes unfinished (T-7)."""
    day = get_local_date(manager.zone, by)
    starts = (find_following_day_start(manager, day, n + 1) for n in range(MAX_LATE_MAILS + 1))
    return tuple(start or by + (n + 1) * DAY for n, start in enumerate(starts))


def add_contract_mails(builder: PlanBuilder, session: Session) -> None:
    """Decide the request for a held session's contract and its reminders; without a contract it ends unfinished."""
    held = session.held_at
    if held is None:
        return
    if not _has_mail(builder, MailName.CONTRACT_REQUEST, session, 0):
        builder.add_mail(MailName.CONTRACT_REQUEST, session.id, builder.manager.email, start=held)
    by = find_contract_deadline(builder.manager, session)
    before = list_reminder_times(builder.manager, max(held, session.noted_at or held), by)
    after = list_late_reminder_times(builder.manager, by)
    instants = [
        *enumerate(before, start=1 + MAX_EARLY_MAILS - len(before)),
        *enumerate(after[:-1], start=1 + MAX_EARLY_MAILS),
    ]
    for n, (number, instant) in enumerate(instants):
        is_late = number > MAX_EARLY_MAILS
        if builder.now < instant:
            builder.wake_at(instant)
            return
        following = instants[n + 1][1] if n + 1 < len(instants) else after[-1]
        if builder.now >= following or _has_mail(builder, MailName.CONTRACT_REMINDER, session, number):
            continue
        if is_late and _is_in_weekly(builder, instant):
            continue
        leaves_at = builder.now if is_late else _find_reminder_time(builder, session, instant, by)
        if leaves_at is None:
            continue
        if builder.now < leaves_at:
            builder.wake_at(leaves_at)
            return
        builder.add_mail(MailName.CONTRACT_REMINDER, session.id, builder.manager.email, start=held, number=number)
    if builder.now >= after[-1]:
        _mark_unfinished(builder, session)
    else:
        builder.wake_at(after[-1])


def _is_in_weekly(builder: PlanBuilder, instant: datetime) -> bool:
    """True when the manager's weekly mail of that morning names the contract that is late: one mail is enough."""
    day = get_local_date(builder.manager.zone, instant)
    return has_weekly(builder.state) and find_weekly_time(builder.manager, day) == instant


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
    return find_next_mail_time(builder.manager, earliest, by - REMIND_BEFORE)


def _mark_unfinished(builder: PlanBuilder, session: Session) -> None:
    """End the session as unfinished: history, `status` and the next brief say so, and the report is told once (T-7)."""
    new = builder.update_session(session, state=SessionState.UNFINISHED)
    builder.record_session_decision(new, "No contract was recorded; the conversation is unfinished.")
    if not builder.list_mails(MailName.UNFINISHED, session.id):
        builder.add_mail(MailName.UNFINISHED, session.id, builder.report.email, start=session.held_at)
    builder.wake_at(builder.now)


def _has_mail(builder: PlanBuilder, name: MailName, session: Session, number: int) -> bool:
    """Return whether that mail was decided since the session was recorded as held at its present time."""
    return any(m.number == number and m.start == session.held_at for m in builder.list_mails(name, session.id))
