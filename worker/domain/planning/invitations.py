"""Invitations by mail, for a report whom the manager's calendar service does not invite (RFC 5546 by way of RFC 6047).

Some calendar services send no invitations, so a report whose calendar is elsewhere would not hear of a time. That
report gets a mail with a calendar part whenever a session gets, changes or loses its time, and answers it in any
calendar program.
"""

from datetime import datetime

from worker.domain.model import Effect, MailName, PairState, Session
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1

INVITATION, WITHDRAWAL = MailName.INVITATION, MailName.INVITATION_WITHDRAWN


def add_invitations(builder: PlanBuilder) -> None:
    """Decide a mail for each session whose time differs from what the last mail told the report."""
    if not (builder.manager.calendar in builder.policy.silent and builder.report.calendar != builder.manager.calendar):
        return
    for session in list(builder.sessions.values()):
        last_mail = _find_last_mail(builder, session)
        if session.booked and session.span.start > builder.now:
            if not is_inside_1on1(builder, session):
                _invite_to(builder, session, last_mail)
        elif last_mail and not session.booked:
            _withdraw_invitation(builder, session, last_mail)


def _invite_to(builder: PlanBuilder, session: Session, last_mail: Effect | None) -> None:
    if (
        last_mail
        and last_mail.name == INVITATION
        and (last_mail.event, last_mail.start) == (session.key, session.span.start)
    ):
        return
    if builder.find_event(session.key) is None or builder.has_pending_change(session.id):
        builder.wake_at(builder.now + RECHECK_SOON)  # it is not on the calendar yet
        return
    if last_mail and last_mail.event != session.key:
        _withdraw_invitation(builder, session, last_mail)
    _add_mail(builder, INVITATION, session, session.key, _find_last_mail(builder, session))


def _withdraw_invitation(builder: PlanBuilder, session: Session, last_mail: Effect) -> None:
    if last_mail.name == INVITATION and last_mail.start is not None and last_mail.start > builder.now:
        _add_mail(builder, WITHDRAWAL, session, last_mail.event, last_mail)


def _add_mail(builder: PlanBuilder, name: MailName, session: Session, event: str, last_mail: Effect | None) -> None:
    """Decide the mail. Its number is the SEQUENCE of the event in the report's calendar: it grows with each mail."""
    start = session.span.start if name == INVITATION else last_mail and last_mail.start
    number = 0 if last_mail is None else last_mail.number + 1
    builder.add_mail(name, session.id, builder.report.email, start=start or None, number=number, event=event)


def _find_last_mail(builder: PlanBuilder, session: Session) -> Effect | None:
    """Return the last mail that told the report of the session's time; None when there was none."""
    mails = [mail for name in (INVITATION, WITHDRAWAL) for mail in builder.list_mails(name, session.id)]
    return max(mails, key=lambda mail: mail.number, default=None)


def is_current(mail: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session still has the time that the invitation tells; a later time has a mail of its own."""
    session = state.find_session(mail.subject)
    return session is not None and session.booked and (session.key, session.start) == (mail.event, mail.start)
