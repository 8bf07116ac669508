"""Adds invitations by mail, for a report whom the manager's calendar service does not invite.

Some calendar services send no invitations to attendees of other services (`Policy.providers_without_invitations`). A
report with a calendar elsewhere then gets a mail with a calendar part (RFC 5546, RFC 6047) whenever a session gets,
changes or loses its time. The report can answer this invitation in any calendar program.
"""

from datetime import datetime

from worker.domain.model import Effect, MailName, PairState, Session
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1

INVITATION, WITHDRAWAL = MailName.INVITATION, MailName.INVITATION_WITHDRAWN


def update_invitation_mails(builder: PlanBuilder) -> None:
    """Invite the report by mail to sessions with a new time, and withdraw the invitations to those that lost it."""
    is_same_service = builder.report.calendar == builder.manager.calendar
    if is_same_service or builder.manager.calendar not in builder.policy.providers_without_invitations:
        return
    for session in list(builder.sessions.values()):
        last_mail = _find_last_mail(builder, session)
        if session.booked and session.span.start > builder.now:
            if not is_inside_1on1(builder, session):
                _invite_to(builder, session, last_mail)
        elif last_mail and not session.booked:
            _withdraw_invitation(builder, session, last_mail)


def _invite_to(builder: PlanBuilder, session: Session, last_mail: Effect | None) -> None:
    """Add an invitation to a booked session, unless the last mail invited to the same event at the same time.

    An invitation to an event that has been replaced is withdrawn first.
    """
    if last_mail and last_mail.name == INVITATION:
        is_same_event = last_mail.event == session.key
        if is_same_event and last_mail.start == session.span.start:
            return
    if builder.find_event(session.key) is None or builder.has_pending_change(session.id):
        builder.plan_again_at(builder.now + RECHECK_SOON)  # the event is not on the calendar yet
        return
    if last_mail and last_mail.event != session.key:
        _withdraw_invitation(builder, session, last_mail)
    # The last mail is looked up again, because it may be the withdrawal that was just added.
    _add_mail(builder, INVITATION, session, session.key, _find_last_mail(builder, session))


def _withdraw_invitation(builder: PlanBuilder, session: Session, last_mail: Effect) -> None:
    """Add a withdrawal when the last mail was an invitation to a time that is still to come."""
    if last_mail.name == INVITATION and last_mail.start is not None and last_mail.start > builder.now:
        _add_mail(builder, WITHDRAWAL, session, last_mail.event, last_mail)


def _add_mail(builder: PlanBuilder, name: MailName, session: Session, event: str, last_mail: Effect | None) -> None:
    """Add an invitation or a withdrawal.

    The number of the mail becomes the SEQUENCE of the event in the report's calendar, so that it grows with each mail.
    """
    if name == INVITATION:
        start: datetime | None = session.span.start
    else:
        start = last_mail.start if last_mail else None
    number = 0 if last_mail is None else last_mail.number + 1
    builder.add_mail(name, session.id, builder.report.email, start=start, number=number, event=event)


def _find_last_mail(builder: PlanBuilder, session: Session) -> Effect | None:
    """Return the last invitation or withdrawal for the session; None when there was none."""
    mails = [mail for name in (INVITATION, WITHDRAWAL) for mail in builder.list_mails(name, session.id)]
    return max(mails, key=lambda mail: mail.number, default=None)


def is_invitation_current(mail: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is still booked at the time in the invitation.

    If it has another time by now, another invitation follows.
    """
    session = state.find_session(mail.subject)
    return session is not None and session.booked and (session.key, session.start) == (mail.event, mail.start)
