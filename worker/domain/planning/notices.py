"""Adds all mails of a pair that are due.

This module decides the introduction, the notice of a deferral, and the mail about a commitment that is due. Mails
before and after a session are decided in `preparations` and `contract_mails`, and the weekly mail in `weekly`.
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
from worker.domain.planning.weekly import add_weekly_mail, has_manager_weekly
from worker.domain.time.mail_hours import find_working_day_start_after, list_day_starts_backwards
from worker.domain.time.worktime import DAY, find_midnight, get_local_date

#: All accesses of the operator to a pair's content within one period of this length are reported in one mail.
ACCESS_MAIL_PERIOD = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add_due_mails(builder: PlanBuilder) -> None:
    """Add every mail that is due, and have the pair planned again when the next one is due."""
    _add_introduction(builder)
    for session in list(builder.sessions.values()):
        if session.booked and session.span.start > builder.now:
            _add_mails_before(builder, session)
        elif session.state is SessionState.HELD and session.asks_contract:
            add_contract_mails(builder, session)
    for commitment in builder.commitments.values():
        _add_commitment_mail(builder, commitment)
    add_weekly_mail(builder)


def _add_introduction(builder: PlanBuilder) -> None:
    """Add the introduction when the first session is booked: what Longarc is, and who can read what (R-23).

    Each report gets it once, except for a report with a former manager in Longarc, who knows it already. The manager
    gets one mail for all reports, which names the reports with a first session when it is sent.
    """
    if not any(s.booked or s.held_at for s in builder.list_sessions(SessionKind.CAREER)):
        return
    report, subject = builder.report.email, str(builder.pair.id)
    # A report who had a manager before gets another mail, which announces the new manager.
    has_former_manager = builder.state.incoming_handover is not None
    introductions = builder.list_mails(MailName.INTRODUCTION, subject)
    if not has_former_manager and not any(mail.to == report for mail in introductions):
        builder.add_mail(MailName.INTRODUCTION, subject, report)
    to_manager = [m for m in builder.effects if m.name == MailName.INTRODUCTION and m.to == builder.manager.email]
    # The manager needs the mail when there was none so far, and when all earlier ones were dropped.
    if all(mail.progress is EffectProgress.DROPPED for mail in to_manager):
        # The number distinguishes this mail from the earlier ones.
        builder.add_personal_mail(MailName.INTRODUCTION, f"{len(to_manager) + 1}")


def _add_mails_before(builder: PlanBuilder, session: Session) -> None:
    """Add the mails that are due before a booked session.

    Also have the pair planned again for the next calendar check of the session, and when the session ends.
    """
    builder.plan_again_at(session.span.end)
    if not is_inside_1on1(builder, session):
        builder.plan_again_at(find_next_calendar_check(builder, session))
        _add_deferral_notice(builder, session)
    add_preparation_mails(builder, session)


def _add_deferral_notice(builder: PlanBuilder, session: Session) -> None:
    """Add the notice of a deferral once the event is on the calendar at the new time (R-8, R-10, R-38).

    The notice tells both people the new time and the other times that are offered (T-12). A manager who expects the
    move sees the new time on the calendar, and gets no notice. The manager always gets a notice about an explanation
    that the report has written (R-18). The number of a notice is that of the deferral or move by hand that it is about.
    """
    notices = builder.list_mails(MailName.DEFERRAL_NOTICE, session.id)
    has_explanation = _has_new_explanation(builder, session, notices)
    readers: list[Person] = []
    number = session.count
    if has_new_time(session) and all(notice.number != session.count for notice in notices):
        skips_manager = is_expected_by_manager(builder, session) and not has_explanation
        readers = [builder.report] if skips_manager else [*builder.people]
    elif has_explanation and (last_loss := find_last_loss(builder, session)) is not None:
        readers, number = [builder.manager], last_loss.number
    placed = builder.find_event(session.key)
    if placed is not None and placed.span == session.span and not builder.has_pending_change(session.id):
        for person in readers:
            builder.add_mail(MailName.DEFERRAL_NOTICE, session.id, person.email, start=session.start, number=number)


def is_expected_by_manager(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the manager knows that the session had to move, and why (T-10).

    That holds for the first deferral of a cycle when the manager was out of office at the lost time, or was warned that
    another event clashes with the session.
    """
    deferral = find_last_deferral(builder, session)
    if deferral is None or deferral.was is None:
        return False
    if count_deferrals_in_cycle(builder.sessions.values(), session) > 1:
        return False
    if deferral.cause is DeferralCause.OUT_OF_OFFICE:
        return deferral.who == builder.manager.email
    warnings = builder.list_mails(MailName.BOOKED_OVER_WARNING, session.id)
    return deferral.cause is DeferralCause.BOOKED_OVER and any(w.start == deferral.was.start for w in warnings)


def _has_new_explanation(builder: PlanBuilder, session: Session, notices: Sequence[Effect]) -> bool:
    """Return whether the report has explained the last loss of the session's time since the manager got a notice of it.

    This holds as well when the manager got no notice of that loss. It does not hold while a notice waits to be sent,
    since that notice will contain the explanation.
    """
    last_loss = find_last_loss(builder, session)
    if last_loss is None or last_loss.explained_at is None:
        return False
    explained_at = last_loss.explained_at
    manager = builder.manager.email
    to_manager = [notice for notice in notices if notice.to == manager and notice.number == last_loss.number]
    return all(
        notice.progress is not EffectProgress.WAITING and notice.decided_at < explained_at for notice in to_manager
    )


def has_new_time(session: Session) -> bool:
    """Return whether Longarc gave the session, a career session, a new time after a deferral.

    A time that a person chose needs no notice. The new time of a review or a check-in is only shown on the calendar
    (T-9, T-12).
    """
    return session.kind is SessionKind.CAREER and session.booked and session.count > 0 and not session.by_hand


def find_access_period_start(instant: datetime) -> datetime:
    """Return the start of the period of `ACCESS_MAIL_PERIOD` that contains the instant."""
    return instant - (instant - EPOCH) % ACCESS_MAIL_PERIOD


def find_next_working_morning(person: Person, now: datetime) -> datetime:
    """Return the start of the person's next working day after today (T-17)."""
    return find_working_day_start_after(person, get_local_date(person.zone, now)) or now + DAY


@lru_cache(maxsize=1 << 14)
def find_commitment_mail_time(owner: Person, due: date) -> datetime:
    """Return when the mail about a commitment that is due on `due` leaves.

    It leaves at the start of the owner's last working day that is not after the due date.
    """
    starts = (start for _, start in list_day_starts_backwards(owner, due))
    return next(starts, find_midnight(owner.zone, due))


def _add_commitment_mail(builder: PlanBuilder, commitment: Commitment) -> None:
    """Add the mail about an open commitment that is due. One mail covers all commitments of a person on one day.

    The commitments of a manager who gets weekly mails are named there instead.
    """
    if not commitment.is_open or (commitment.owner is Owner.MANAGER and has_manager_weekly(builder.state)):
        return
    owner, subject = commitment.owner.select(builder.manager, builder.report), str(builder.pair.id)
    mail_time, due_instant = find_commitment_mail_time(owner, commitment.due), make_due_instant(commitment.due)
    mails = builder.list_mails(MailName.COMMITMENT_DUE, subject)
    if any(mail.to == owner.email and mail.start == due_instant for mail in mails):
        return
    if builder.now < mail_time:
        builder.plan_again_at(mail_time)
    # A mail that is a day late is omitted, and so is a mail about a commitment that was recorded after the mail's time.
    elif builder.now < mail_time + DAY and commitment.recorded_at < mail_time:
        builder.add_mail(MailName.COMMITMENT_DUE, subject, owner.email, start=due_instant)
