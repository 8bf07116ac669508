"""Handovers: mails when a report gets another manager, and the end of the former manager's open promises (R-36, T-18).

The report may choose which lines of the old contract and notes are passed on to the new manager.
"""

from datetime import datetime

from worker.domain.model import (
    CommitmentStanding,
    EndReason,
    MailName,
    PairState,
    Person,
    SessionKind,
)
from worker.domain.planning.actions import close_commitment
from worker.domain.planning.mail_validity import list_open_promises
from worker.domain.planning.notices import find_next_working_morning
from worker.domain.planning.plan_builder import PlanBuilder


def can_choose_lines(state: PairState, now: datetime) -> bool:
    """Return whether the report may still choose the lines that are passed on to the new manager (R-36).

    That is possible until the first career session with the new manager begins.
    """
    career_sessions = [s for s in state.sessions if s.kind is SessionKind.CAREER]
    has_begun = any(s.held_at is not None or (s.booked and s.span.start <= now) for s in career_sessions)
    return state.incoming_handover is not None and state.pair.is_active and not has_begun


def add_new_manager_mail(builder: PlanBuilder) -> None:
    """Add the mail that tells the report of the new manager, once, on the report's next working morning (R-36)."""
    incoming = builder.state.incoming_handover
    if incoming is None or not can_choose_lines(builder.state, builder.now):
        return
    subject = str(builder.pair.id)
    # The start of the mail is the end of the former pair, which distinguishes one handover from another.
    if any(m.start == incoming.ended_at for m in builder.list_mails(MailName.NEW_MANAGER, subject)):
        return
    due_at = find_next_working_morning(builder.report, builder.now)
    builder.add_mail(MailName.NEW_MANAGER, subject, builder.report.email, start=incoming.ended_at, due_at=due_at)


def list_end_recipients(builder: PlanBuilder) -> tuple[Person, ...]:
    """Return the people who get the mail that the pair has ended.

    Each person gets only one mail about the change (R-36). A report with a new manager, and a manager with open
    promises, get other mails.
    """
    manager, report = builder.people
    outgoing = builder.state.outgoing_handover
    has_new_manager = outgoing is not None and outgoing.pair is not None
    to_report = () if has_new_manager else (report,)
    to_manager = () if list_open_promises(builder.commitments.values()) else (manager,)
    return {
        EndReason.NO: (),
        EndReason.BOTH_LEFT: (),
        EndReason.REPORT_LEFT: (manager,),
        EndReason.MANAGER_LEFT: to_report,
        EndReason.CHANGED: (*to_manager, *to_report),
    }[builder.pair.ended]


def add_open_promises_mail(builder: PlanBuilder, number: int) -> None:
    """Add the mail that asks the former manager what happens to each open promise, once for each end of a pair (R-36).

    `number` identifies this end of the pair.
    """
    if builder.pair.ended is not EndReason.CHANGED or not list_open_promises(builder.commitments.values()):
        return
    subject = str(builder.pair.id)
    end_mails = [
        mail
        for name in (MailName.OPEN_PROMISES, MailName.PAIR_ENDED)
        for mail in builder.list_mails(name, subject)
        if mail.to == builder.manager.email and mail.number == number
    ]
    if not end_mails:
        due_at = find_next_working_morning(builder.manager, builder.now)
        builder.add_mail(MailName.OPEN_PROMISES, subject, builder.manager.email, number=number, due_at=due_at)


def end_promises_if_manager_left(builder: PlanBuilder) -> None:
    """Let go of the open promises of a manager who has left, from the report's next working morning on (T-18).

    The report is told at that time as well. Because of the wait, a mistake in the roster ends no promises if it is
    corrected soon.
    """
    outgoing = builder.state.outgoing_handover
    if outgoing is None or builder.pair.ended is not EndReason.MANAGER_LEFT:
        return
    ends_at = find_next_working_morning(builder.report, outgoing.ended_at)
    promises = list_open_promises(builder.commitments.values())
    if promises and builder.now < ends_at:
        builder.plan_again_at(ends_at)
        return
    for commitment in promises:
        close_commitment(builder, commitment, CommitmentStanding.LET_GO)
