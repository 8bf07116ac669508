"""Invitations by mail, for a report whom the manager's calendar service does not invite (RFC 5546 by way of RFC 6047).

A server that schedules by itself tells every guest; one that doesn't tells nobody, and a report whose calendar is
elsewhere would never hear of a time. So that person gets a mail with a calendar part for each time that is given,
changed or taken back, and answers it in any calendar program.
"""

from datetime import datetime

from worker.domain.model import Effect, MailName, PairState, Session
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1

INVITATION, WITHDRAWAL = MailName.INVITATION, MailName.INVITATION_WITHDRAWN


def add_invitations(builder: PlanBuilder) -> None:
    """Decide a mail for each session whose time is another than the report was last told."""
    if not (builder.manager.calendar in builder.policy.silent and builder.report.calendar != builder.manager.calendar):
        return
    for session in list(builder.sessions.values()):
        told = _find_last_mail(builder, session)
        if session.booked and session.span.start > builder.now:
            if not is_inside_1on1(builder, session):
                _invite_to(builder, session, told)
        elif told and not session.booked:
            _withdraw_invitation(builder, session, told)


def _invite_to(builder: PlanBuilder, session: Session, told: Effect | None) -> None:
    if told and told.name == INVITATION and (told.event, told.start) == (session.key, session.span.start):
        return
    if builder.find_event(session.key) is None or builder.has_pending_change(session.id):
        builder.wake_at(builder.now + RECHECK_SOON)  # it is not on the calendar yet
        return
    if told and told.event != session.key:
        _withdraw_invitation(builder, session, told)
    _add_mail(builder, INVITATION, session, session.key, _find_last_mail(builder, session))


def _withdraw_invitation(builder: PlanBuilder, session: Session, told: Effect) -> None:
    if told.name == INVITATION and told.start is not None and told.start > builder.now:
        _add_mail(builder, WITHDRAWAL, session, told.event, told)


def _add_mail(builder: PlanBuilder, name: MailName, session: Session, event: str, told: Effect | None) -> None:
    """The number is the SEQUENCE of the event in that person's calendar: it grows with each mail about a session."""
    start = session.span.start if name == INVITATION else told and told.start
    number = 0 if told is None else told.number + 1
    builder.add_mail(name, session.id, builder.report.email, start=start or None, number=number, event=event)


def _find_last_mail(builder: PlanBuilder, session: Session) -> Effect | None:
    """What the report was last told of that session's time."""
    told = [m for name in (INVITATION, WITHDRAWAL) for m in builder.list_mails(name, session.id)]
    return max(told, key=lambda m: m.number, default=None)


def is_current(message: Effect, state: PairState, now: datetime) -> bool:
    """Whether the time of an invitation is still to be told: one given since is told by a mail of its own."""
    session = state.find_session(message.subject)
    return session is not None and session.booked and (session.key, session.start) == (message.event, message.start)
