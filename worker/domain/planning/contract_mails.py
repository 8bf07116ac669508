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

CONTRACT_HOURS = timedelta(hours=48)
#: So far apart are the mails that ask for one contract, up to the deadline.
REMINDER_GAP = timedelta(hours=4)
REMIND_BEFORE = timedelta(hours=2)
#: Of two reminders the first is no sooner than this after the request, so that a night lies between.
FIRST_REMINDER_AFTER = timedelta(hours=12)
#: A reminder leaves so much of the working day, to write the contract in.
WRITING_TIME = timedelta(hours=1)
MAX_LATE_MAILS = 3


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
        offer=None,
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
    """T-7: up to two instants inside the manager's working hours, one a working day, each as late on its day as leaves
    an hour to write; four hours apart and four after the contract was asked for, the last at least two hours before the
    deadline.

    The first is not due on the day of the request. Fewer when there is less working time until then, as after a late
    session on a Friday.
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
    """T-7: after the deadline one mail at the start of each working day for three days; the fourth instant ends it."""
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
        if number > 2 and _is_in_weekly(builder, instant):
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
    """R-17: visible as unfinished, in the history, in `status` and in the next brief; the report is told once (T-7)."""
    new = builder.update_session(session, state=SessionState.UNFINISHED)
    builder.record_session_decision(new, "No contract was recorded; the conversation is unfinished.")
    if not builder.list_mails(MailName.UNFINISHED, session.id):
        builder.add_mail(MailName.UNFINISHED, session.id, builder.report.email, start=session.held_at)
    builder.wake_at(builder.now)


def _has_mail(builder: PlanBuilder, name: MailName, session: Session, number: int) -> bool:
    """True when that mail went out about that very holding of the session."""
    return any(m.number == number and m.start == session.held_at for m in builder.list_mails(name, session.id))
