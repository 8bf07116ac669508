"""Handovers: mails when the manager of a report changes, and what becomes of promises still open (R-36, T-18)."""

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


def is_open_for_lines(state: PairState, now: datetime) -> bool:
    """Whether the report may still choose what goes on: until the first session with the new manager (R-36)."""
    talks = [s for s in state.sessions if s.kind is SessionKind.CAREER]
    has_begun = any(s.held_at is not None or (s.booked and s.span.start <= now) for s in talks)
    return state.incoming is not None and state.pair.is_active and not has_begun


def add_new_manager_mail(builder: PlanBuilder) -> None:
    """R-36: the report is told once that there is a new manager, on a working morning, not before the next day."""
    incoming = builder.state.incoming
    if incoming is None or not is_open_for_lines(builder.state, builder.now):
        return
    subject = str(builder.pair.id)
    if any(m.start == incoming.ended_at for m in builder.list_mails(MailName.NEW_MANAGER, subject)):
        return
    due_at = find_next_working_morning(builder.report, builder.now)
    builder.add_mail(MailName.NEW_MANAGER, subject, builder.report.email, start=incoming.ended_at, due_at=due_at)


def list_end_recipients(builder: PlanBuilder) -> tuple[Person, ...]:
    """Return who is told that the pair has ended. R-36: one mail each, so nobody who gets another about the change."""
    manager, report = builder.people
    outgoing = builder.state.outgoing
    has_successor = outgoing is not None and outgoing.pair is not None
    to_report = () if has_successor else (report,)
    to_manager = () if list_open_promises(builder.commitments.values()) else (manager,)
    return {
        EndReason.NO: (),
        EndReason.BOTH_LEFT: (),
        EndReason.REPORT_LEFT: (manager,),
        EndReason.MANAGER_LEFT: to_report,
        EndReason.CHANGED: (*to_manager, *to_report),
    }[builder.pair.ended]


def add_open_promises_mail(builder: PlanBuilder, number: int) -> None:
    """R-36: the old manager is asked once what becomes of each promise that is still open. `number`: of this ending."""
    if builder.pair.ended is not EndReason.CHANGED or not list_open_promises(builder.commitments.values()):
        return
    subject = str(builder.pair.id)
    told = [
        m
        for name in (MailName.OPEN_PROMISES, MailName.PAIR_ENDED)
        for m in builder.list_mails(name, subject)
        if m.to == builder.manager.email and m.number == number
    ]
    if not told:
        due_at = find_next_working_morning(builder.manager, builder.now)
        builder.add_mail(MailName.OPEN_PROMISES, subject, builder.manager.email, number=number, due_at=due_at)


def end_promises_of_leaver(builder: PlanBuilder) -> None:
    """T-18: open promises of a manager who left are ended, once the report is told: a slip of the file ends none."""
    outgoing = builder.state.outgoing
    if outgoing is None or builder.pair.ended is not EndReason.MANAGER_LEFT:
        return
    ends_at = find_next_working_morning(builder.report, outgoing.ended_at)
    promises = list_open_promises(builder.commitments.values())
    if promises and builder.now < ends_at:
        builder.wake_at(ends_at)
        return
    for commitment in promises:
        close_commitment(builder, commitment, CommitmentStanding.LET_GO)
