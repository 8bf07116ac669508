"""Decides which mails are due: the introduction, the news of a deferral, and commitments that fall due.

The mails before and after a session have modules of their own, `preparations` and `contract_mails`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import (
    Commitment,
    DeferralCause,
    Effect,
    EffectProgress,
    MailName,
    Owner,
    Person,
    Session,
    SessionKind,
    SessionState,
)
from worker.domain.planning.contract_mails import add_contract_mails
from worker.domain.planning.deferrals import (
    count_deferrals_in_cycle,
    find_last_deferral,
    find_last_loss,
    find_next_calendar_check,
)
from worker.domain.planning.mail_validity import make_due_instant
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.preparations import add_preparation_mails
from worker.domain.planning.reviews import is_inside_1on1
from worker.domain.planning.weekly import add_weekly_mail, has_weekly
from worker.domain.time.mail_hours import find_following_day_start, list_day_starts_before
from worker.domain.time.worktime import DAY, get_local_date, wall_to_utc

#: The accesses to a pair's content within such a period are reported in one mail.
ACCESS_MAIL_PERIOD = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_due_mails(builder: PlanBuilder) -> None:
    """Decide every mail that is due, and wake for the next one."""
    _add_introduction(builder)
    for session in list(builder.sessions.values()):
        if session.booked and session.span.start > builder.now:
            _add_mails_before(builder, session)
        elif session.state is SessionState.HELD and session.asks_contract:
            add_contract_mails(builder, session)
    for commitment in builder.commitments.values():
        _add_due_mail(builder, commitment)
    add_weekly_mail(builder)


def _add_introduction(builder: PlanBuilder) -> None:
    """R-23: both are told once what this is and who can read what, when the first session stands.

    The manager is told once for all reports: one mail names those with whom a first talk stands when it leaves. A
    report whose conversations go on with a new manager knows it from before.
    """
    if not any(s.booked or s.held_at for s in builder.list_sessions(SessionKind.CAREER)):
        return
    report = builder.report.email
    is_known = builder.state.incoming is not None  # another mail tells of the new manager
    if not is_known and not any(
        m.to == report for m in builder.list_mails(MailName.INTRODUCTION, str(builder.pair.id))
    ):
        builder.add_mail(MailName.INTRODUCTION, str(builder.pair.id), report)
    earlier = [m for m in builder.effects if m.name == MailName.INTRODUCTION and m.to == builder.manager.email]
    if all(m.progress is EffectProgress.DROPPED for m in earlier):
        builder.add_personal_mail(MailName.INTRODUCTION, f"{len(earlier) + 1}")


def _add_mails_before(builder: PlanBuilder, session: Session) -> None:
    builder.wake_at(session.span.end)
    if not is_inside_1on1(builder, session):
        builder.wake_at(find_next_calendar_check(builder, session))
        _add_deferral_notice(builder, session)
    add_preparation_mails(builder, session)


def _add_deferral_notice(builder: PlanBuilder, session: Session) -> None:
    """R-8, R-10, R-38: both hear of the time we gave a session that lost its own, once it stands on the calendar, and
    of the others that are held for the two (T-12). A manager who knows why it moved is told by the calendar, but hears
    in any case what the report says about it (R-18)."""
    told = builder.list_mails(MailName.DEFERRAL_NOTICE, session.id)
    has_reason = _has_untold_reason(builder, session, told)
    readers, number = list[Person](), session.count
    if has_new_time(session) and all(m.number != session.count for m in told):
        is_expected = is_expected_by_manager(builder, session) and not has_reason
        readers = [builder.report] if is_expected else [*builder.people]
    elif has_reason and (last := find_last_loss(builder, session)) is not None:
        readers, number = [builder.manager], last.number
    placed = builder.find_event(session.key)
    if placed is not None and placed.span == session.span and not builder.has_pending_change(session.id):
        for person in readers:
            builder.add_mail(MailName.DEFERRAL_NOTICE, session.id, person.email, start=session.start, number=number)


def is_expected_by_manager(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the manager knows that the session had to move, and why.

    That is so at the first deferral of a cycle, when the manager is out of office then, or was warned (T-10).
    """
    last = find_last_deferral(builder, session)
    if last is None or last.was is None or count_deferrals_in_cycle(builder.sessions.values(), session) > 1:
        return False
    if last.cause is DeferralCause.OUT_OF_OFFICE:
        return last.who == builder.manager.email
    warnings = builder.list_mails(MailName.BOOKED_OVER_WARNING, session.id)
    return last.cause is DeferralCause.BOOKED_OVER and any(mail.start == last.was.start for mail in warnings)


def _has_untold_reason(builder: PlanBuilder, session: Session, told: Sequence[Effect]) -> bool:
    """Return whether the report explained the last deferral, or its own last move by hand, after the manager was told.

    A mail that still waits will contain the explanation.
    """
    last = find_last_loss(builder, session)
    if last is None or last.explained_at is None:
        return False
    to_manager = [m for m in told if m.to == builder.manager.email and m.number == last.number]
    return all(m.progress is not EffectProgress.WAITING and m.snapshot_at < last.explained_at for m in to_manager)


def has_new_time(session: Session) -> bool:
    """Return whether it is a career session that we gave a new time after a deferral.

    A person who chose a time knows it; a review's or a check-in's new time is on the calendar alone (T-9, T-12).
    """
    return session.kind is SessionKind.CAREER and session.booked and session.count > 0 and not session.by_hand


def find_access_start(instant: datetime) -> datetime:
    """Return when the period of `ACCESS_MAIL_PERIOD` began in which that instant lies."""
    return instant - (instant - EPOCH) % ACCESS_MAIL_PERIOD


def find_next_working_morning(person: Person, now: datetime) -> datetime:
    """Return the start of the person's next working day (T-17)."""
    return find_following_day_start(person, get_local_date(person.zone, now)) or now + DAY


@lru_cache(maxsize=1 << 14)
def find_due_mail_time(owner: Person, due: date) -> datetime:
    """Return when the mail about a due commitment leaves: at the start of the owner's last working day up to its due
    date."""
    starts = (start for _, start in list_day_starts_before(owner, due))
    return next(starts, wall_to_utc(owner.zone, due, 0))


def _add_due_mail(builder: PlanBuilder, commitment: Commitment) -> None:
    if not commitment.is_open or (commitment.owner is Owner.MANAGER and has_weekly(builder.state)):
        return
    owner = commitment.owner.select(builder.manager, builder.report)
    at, start = find_due_mail_time(owner, commitment.due), make_due_instant(commitment.due)
    if any(
        m.to == owner.email and m.start == start
        for m in builder.list_mails(MailName.COMMITMENT_DUE, str(builder.pair.id))
    ):
        return
    if builder.now < at:
        builder.wake_at(at)
    elif builder.now < at + timedelta(days=1) and commitment.recorded_at < at:
        builder.add_mail(MailName.COMMITMENT_DUE, str(builder.pair.id), owner.email, start=start)
