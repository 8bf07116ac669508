"""Handles unplaceable sessions: owed sessions for which a search has found no time (R-8, T-4).

Both people get a mail with the reasons, at once and then every four weeks. The search for a time is repeated each day.
"""

from datetime import timedelta

from worker.domain.model import Effect, MailName, Person, Reasons, Session, SessionKind
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import DAILY, PlanBuilder, floor_to_shared_grid
from worker.domain.planning.session_events import take_off_calendar
from worker.domain.planning.weekly import has_manager_weekly
from worker.domain.time.blockers import has_same_blockers

#: The time between two mails which say that no time exists for a session.
NOTICE_PERIOD = timedelta(weeks=4)
#: The reason in the history of an ad hoc session. More detail would show how urgent the session is, and thus why it was
#: requested (R-6).
_NO_TIME = "No time for it exists just now."


def mark_unplaceable(builder: PlanBuilder, session: Session, why: Reasons) -> None:
    """Mark the session as unplaceable: no time exists for it (T-4).

    The search is repeated each day, at the same time for all pairs, so that one request can read the calendars of many
    people. Both people are told why, at once and then every four weeks. The event of a session that becomes unplaceable
    now is cancelled.
    """
    builder.plan_again_at(floor_to_shared_grid(builder.now, DAILY) + DAILY)
    is_new = session.unplaceable is None
    unplaceable = builder.update_session(session, unplaceable=why)
    if is_new:
        reason = _NO_TIME if session.adhoc else why
        builder.record_decision("unplaceable", reason, session.id, kind=session.kind.value, count=session.count)
    if not _has_recent_mail(builder, unplaceable):
        for person in _list_people_to_tell(builder, unplaceable):
            builder.add_mail(MailName.UNPLACEABLE, session.id, person.email, number=session.count)
    if is_new:
        take_off_calendar(builder, unplaceable)


def _list_people_to_tell(builder: PlanBuilder, session: Session) -> tuple[Person, ...]:
    """Return the people who get the mail that no time exists for the session.

    Both people get the mail about a regular session. Only the manager gets the mail about an ad hoc session, because
    the urgency of the session could reveal why it was requested (R-6). A manager who gets weekly mails is told once in
    a separate mail, and after that in the weekly mail.
    """
    if not cadence.is_regular(session):
        return (builder.manager,)
    is_manager_told = any(mail.to == builder.manager.email for mail in _list_mails_since_deferral(builder, session))
    return (builder.report,) if is_manager_told and has_manager_weekly(builder.state) else builder.people


def _list_mails_since_deferral(builder: PlanBuilder, session: Session) -> list[Effect]:
    """Return the mails that no time exists for the session, without those from before its last deferral.

    The number of such a mail is the session's count of deferrals when the mail was added.
    """
    return [mail for mail in builder.list_mails(MailName.UNPLACEABLE, session.id) if mail.number == session.count]


def _has_recent_mail(builder: PlanBuilder, session: Session) -> bool:
    """Return whether a mail that was decided in the last four weeks says that no time exists for this session.

    A mail about another session of the pair that is unplaceable for the same cause counts as well, so that the three
    parts of a series need only one mail.
    """
    same_cause = [session, *(other for other in builder.sessions.values() if has_same_cause(session, other))]
    return any(
        builder.now - mail.decided_at < NOTICE_PERIOD
        for unplaceable in same_cause
        for mail in _list_mails_since_deferral(builder, unplaceable)
    )


def has_same_cause(session: Session, other: Session) -> bool:
    """Return whether both sessions of a pair are unplaceable because of the same blockers, so that one mail is enough.

    A mail about a session that somebody asked for is always separate.
    """
    is_requested = session.adhoc or other.adhoc or SessionKind.CHECKIN in (session.kind, other.kind)
    if session.id == other.id or is_requested or not other.owed:
        return False
    if not session.unplaceable or not other.unplaceable:
        return False
    return has_same_blockers(session.unplaceable, other.unplaceable)


def is_retry_due(builder: PlanBuilder, session: Session) -> bool:
    """Return whether it is time to repeat the search for an unplaceable session, which happens once a day."""
    if not any(s.id == session.id and s.unplaceable for s in builder.state.sessions):
        return False  # the present plan has searched already, and found no time
    last_read_at = builder.state.free_busy_used_at
    return last_read_at is None or last_read_at < floor_to_shared_grid(builder.now, DAILY)
