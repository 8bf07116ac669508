"""Adds the mails after a session: the request for its contract, and reminders (T-7, R-15).

A contract is what the two people agreed on in the session. Without one, the session ends unfinished some days after
the deadline (R-17).
"""

from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from worker.domain.model import MailName, Person, Session, SessionState
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.preparations import SWEEP_SLACK
from worker.domain.planning.weekly import find_weekly_time, has_manager_weekly
from worker.domain.time.mail_hours import find_next_mail_time, find_working_day_start_after, list_last_mail_times
from worker.domain.time.worktime import DAY, add_working_days, get_local_date, wall_to_utc

#: The time from the end of a session until its contract is due (R-15).
CONTRACT_PERIOD = timedelta(hours=48)
#: The least time between two mails that ask for the same contract, up to the deadline.
REMINDER_GAP = timedelta(hours=4)
#: The least time between the last of these mails and the deadline.
REMIND_BEFORE = timedelta(hours=2)
#: The least time between the request and the first of two reminders, so that there is a night between them.
FIRST_REMINDER_AFTER = timedelta(hours=12)
#: The working time that is left on the day of a reminder to write the contract.
WRITING_TIME = timedelta(hours=1)
#: The most reminders before the deadline, and after it. They have the numbers 1 and 2, and the numbers 3 to 5.
MAX_EARLY_REMINDERS, MAX_LATE_REMINDERS = 2, 3


def mark_held(builder: PlanBuilder, session: Session, held_at: datetime, **fields: datetime) -> Session:
    """Mark the session as held until `held_at`, and change the given other fields. Return the session.

    When more than 15 minutes (`SWEEP_SLACK`) have passed since the session ended, `noted_at` is set to the present
    instant, because the contract is then due later as well (T-7).
    """
    noted_at = builder.now if builder.now > held_at + SWEEP_SLACK else None
    if session.held_at == held_at:
        noted_at = session.noted_at  # the same end was recorded before
    return builder.update_session(
        session,
        state=SessionState.HELD,
        held_at=held_at,
        noted_at=noted_at,
        offer=None,
        unplaceable=None,
        warned_at=None,  # a warning about a clash is over
        **fields,
    )


def find_contract_deadline(manager: Person, session: Session) -> datetime:
    """Return when the contract of a held session is due (T-7, R-15).

    The contract is due 48 hours after the session's end, or one working day after the session was recorded as held,
    whichever is later. Raises ValueError when the session has no end.
    """
    end = session.held_at or session.end
    if end is None:
        raise ValueError(f"session {session.id} has not been held")
    if session.noted_at is None:
        return end + CONTRACT_PERIOD
    noted_at = session.noted_at.astimezone(ZoneInfo(manager.zone))
    next_working_day = add_working_days(manager, noted_at.date(), 1)
    same_time = wall_to_utc(manager.zone, next_working_day, 60 * noted_at.hour + noted_at.minute)
    return max(end + CONTRACT_PERIOD, same_time)


@lru_cache(maxsize=1 << 12)
def list_reminder_times(manager: Person, *, asked_at: datetime, deadline: datetime) -> tuple[datetime, ...]:
    """Return the instants of the reminders before the deadline: up to two, on different working days (T-7).

    The request for the contract is sent at `asked_at`. Each reminder is sent one hour before the manager's mail hours
    end, so that an hour is left to write the contract. All these mails are at least four hours apart, and the first of
    two reminders is at least twelve hours after the request. The last reminder is at least two hours before the
    deadline, also when its sweep comes 15 minutes late. When too few working hours are left, as after a late session on
    a Friday, there are fewer reminders.
    """
    latest = deadline - REMIND_BEFORE - SWEEP_SLACK
    last_times_of_days = list_last_mail_times(manager, asked_at + REMINDER_GAP, latest, time_to_act=WRITING_TIME)
    if not last_times_of_days:
        return ()
    second, *earlier_times = last_times_of_days  # the last day comes first
    earliest_first, latest_first = asked_at + FIRST_REMINDER_AFTER, second - REMINDER_GAP
    first = next((instant for instant in earlier_times if earliest_first <= instant <= latest_first), None)
    return (first, second) if first else (second,)


@lru_cache(maxsize=1 << 12)
def list_late_reminder_times(manager: Person, deadline: datetime) -> tuple[datetime, ...]:
    """Return the starts of the four working days after the deadline (T-7).

    A reminder is sent on each of the first three, and the session becomes unfinished on the fourth. When the manager
    has too few working days in the next 400 days, calendar days are counted instead.
    """
    day = get_local_date(manager.zone, deadline)
    starts = (find_working_day_start_after(manager, day, count) for count in range(1, MAX_LATE_REMINDERS + 2))
    return tuple(start or deadline + count * DAY for count, start in enumerate(starts, start=1))


def add_contract_mails(builder: PlanBuilder, session: Session) -> None:
    """Add the request for a held session's contract and the reminders that are due.

    A session whose contract has not come by the fourth working day after the deadline is marked as unfinished.
    """
    held_at = session.held_at  # the end of the session, which is the `start` of each mail about its contract
    if held_at is None:
        return
    if not _has_mail(builder, MailName.CONTRACT_REQUEST, session, number=0):
        builder.add_mail(MailName.CONTRACT_REQUEST, session.id, builder.manager.email, start=held_at)
    deadline = find_contract_deadline(builder.manager, session)
    reminders, unfinished_at = _list_reminders(builder.manager, session, held_at, deadline)
    next_instants = [*(instant for _, instant in reminders[1:]), unfinished_at]
    for (number, instant), next_instant in zip(reminders, next_instants, strict=True):
        is_late = number > MAX_EARLY_REMINDERS
        if builder.now < instant:
            builder.plan_again_at(instant)
            return
        is_superseded = builder.now >= next_instant  # once the next step is due, a missed reminder is not made up for
        if is_superseded or _has_mail(builder, MailName.CONTRACT_REMINDER, session, number=number):
            continue
        if is_late and _is_in_weekly(builder, instant):
            continue
        leaves_at = builder.now if is_late else _find_reminder_time(builder, session, instant, deadline)
        if leaves_at is None:
            continue
        if builder.now < leaves_at:
            builder.plan_again_at(leaves_at)
            return
        builder.add_mail(MailName.CONTRACT_REMINDER, session.id, builder.manager.email, start=held_at, number=number)
    if builder.now >= unfinished_at:
        _mark_unfinished(builder, session)
    else:
        builder.plan_again_at(unfinished_at)


def _list_reminders(
    manager: Person, session: Session, held_at: datetime, deadline: datetime
) -> tuple[list[tuple[int, datetime]], datetime]:
    """Return each reminder's number and instant, in order, and the instant at which the session becomes unfinished.

    The last reminder before the deadline always has the number `MAX_EARLY_REMINDERS`.
    """
    asked_at = max(held_at, session.noted_at or held_at)
    early = list_reminder_times(manager, asked_at=asked_at, deadline=deadline)
    *late, unfinished_at = list_late_reminder_times(manager, deadline)
    first_number = 1 + MAX_EARLY_REMINDERS - len(early)
    return list(enumerate([*early, *late], start=first_number)), unfinished_at


def _is_in_weekly(builder: PlanBuilder, instant: datetime) -> bool:
    """Return whether the manager's weekly mail, which also names the late contract, is due at that instant."""
    day = get_local_date(builder.manager.zone, instant)
    return has_manager_weekly(builder.state) and find_weekly_time(builder.manager, day) == instant


def _find_reminder_time(
    builder: PlanBuilder, session: Session, instant: datetime, deadline: datetime
) -> datetime | None:
    """Return when a reminder that was due at `instant` may leave, from now on; None when the deadline is too near.

    The reminder keeps the minimum distance from the last mail that asked for this contract. A mail that has not been
    sent yet counts as sent now.
    """
    mails = [
        mail
        for name in (MailName.CONTRACT_REQUEST, MailName.CONTRACT_REMINDER)
        for mail in builder.list_mails(name, session.id)
        if mail.start == session.held_at  # not about an earlier end that was recorded for the session
    ]
    # There is at least the request, which `add_contract_mails` adds before any reminder. These mails leave as soon as
    # they are decided.
    last_asked_at = max(builder.now if mail.is_pending else mail.decided_at for mail in mails)
    earliest = max(builder.now, last_asked_at + REMINDER_GAP)
    if earliest <= instant + SWEEP_SLACK:  # late by no more than a sweep may be, which `instant` allows for
        return earliest
    return find_next_mail_time(builder.manager, earliest, deadline - REMIND_BEFORE)


def _mark_unfinished(builder: PlanBuilder, session: Session) -> None:
    """Mark the session as unfinished, and tell the report once (T-7).

    The history, the command `status` and the next brief show that the session is unfinished.
    """
    unfinished = builder.update_session(session, state=SessionState.UNFINISHED)
    builder.record_session_decision(unfinished, "No contract was recorded; the conversation is unfinished.")
    if not builder.list_mails(MailName.UNFINISHED, session.id):
        builder.add_mail(MailName.UNFINISHED, session.id, builder.report.email, start=session.held_at)
    builder.plan_again_at(builder.now)  # the session is closed now, and earlier steps of this plan saw it open


def _has_mail(builder: PlanBuilder, name: MailName, session: Session, *, number: int) -> bool:
    """Return whether the mail with that number was decided for the session as it was held last.

    A session that was recorded as not held, and took place later, is asked for its contract again.
    """
    return any(m.number == number and m.start == session.held_at for m in builder.list_mails(name, session.id))
