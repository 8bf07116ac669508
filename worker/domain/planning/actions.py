"""The actions of people, as changes to a plan: it took place or not, another time, a talk soon, the contract.

Each function changes the `PlanBuilder` that it is given; the caller commits `builder.build()` like any other plan, and
has the pair planned again. Raises `Refused` with a sentence when the rules don't allow what was asked for.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.domain.contract.check import MAX_RECORDING_DELAY
from worker.domain.model import (
    Address,
    Commitment,
    CommitmentStanding,
    DatedCommitment,
    Deferral,
    DeferralCause,
    Format,
    MailName,
    OfferPurpose,
    Session,
    SessionKind,
    SessionState,
    Span,
    Topic,
    Trigger,
)
from worker.domain.planning import (
    cadence,
    commitment_blocks,
    contract_mails,
    deferrals,
    invitations,
    offers,
    placement,
    questions,
    reviews,
    session_events,
)
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import get_local_date
from worker.errors import NoContractSession, NotHeldYet, NotOffered, Refused

#: A session that begins within this keeps its format when the pair chooses another: its prompt may have gone out.
NEAR_PERIOD = timedelta(days=7)
#: How far ahead a person may put a session.
MAX_AHEAD = timedelta(days=370)


def is_missed(builder: PlanBuilder, session: Session) -> bool:
    """True when it is recorded already that it did not take place, and it has had no other time since."""
    if session.start is not None and session.start <= builder.now:
        return False
    last = deferrals.find_last_deferral(builder, session)
    return last is not None and last.cause is DeferralCause.NOT_HELD


def record_not_held(builder: PlanBuilder, session: Session) -> None:
    """Record that the session did not take place: it is owed again, soon (T-10)."""
    if session.start is None or session.start > builder.now:
        raise Refused(f"Session {session.id} has not begun yet. Use `longarc defer` to ask for another time.")
    if session.state is SessionState.CONTRACTED:
        raise Refused(f"Session {session.id} has a contract, so it took place.")
    deferrals.defer(builder, session, DeferralCause.NOT_HELD)
    invitations.add_invitations(builder)


def record_held(builder: PlanBuilder, session: Session, end: datetime | None = None) -> None:
    """Record that the session took place. `end`: when it ended, unless at its booked time."""
    if session.state is SessionState.CONTRACTED:
        raise Refused(f"Session {session.id} has a contract, so it is known that it took place.")
    if end and end < builder.now - MAX_RECORDING_DELAY:
        raise Refused(f"Session {session.id} can't have ended that long ago. Look at the year of --at again.")
    end = end or session.end
    if end is None or end > builder.now:
        raise Refused(f"Session {session.id} can't have ended in the future. Say when it ended, with --at.")
    if session.booked and session.span.end > builder.now:
        session_events.take_off_calendar(builder, session)
    known = builder.sessions.get(session.id, session)  # the plan has no sessions of long ago
    done = contract_mails.mark_held(builder, known, end, start=end - timedelta(minutes=session.minutes), end=end)
    builder.record_session_decision(done, "Somebody said that it took place.")
    invitations.add_invitations(builder)


def request_time(builder: PlanBuilder, session: Session, requested_time: Span | None, by: Address = "") -> None:
    """Give the session another time: the requested one, or one that the next plan finds when None is requested.

    Choosing a time that is offered is no deferral (T-12). `by` is who asks, where that is known.
    """
    if session.is_closed or session.state is SessionState.HELD:
        raise Refused(f"Session {session.id} is over; there is nothing to move.")
    is_offered = requested_time is not None and requested_time in offers.list_open_times(session, builder.now)
    if session.booked and session.span == requested_time:
        if is_offered:  # otherwise the button was pressed twice
            offers.end_offer(builder, session, "A person chose the time that it has.")
            builder.update_session(builder.sessions[session.id], by_hand=True)
        return
    if session.booked and not is_offered:
        deferrals.defer(builder, session, DeferralCause.ASKED, by)
    if requested_time is not None:
        book_requested_time(builder, builder.sessions[session.id], requested_time, by)


def choose_offered_time(builder: PlanBuilder, session: Session, requested_time: Span) -> None:
    """Give the session one of the times that are offered for it (T-12). Raises NotOffered when it no longer is one.

    Choosing the time that the session has already changes nothing: the button was pressed twice.
    """
    has_that_time = session.booked and session.span == requested_time
    if not has_that_time and requested_time not in offers.list_open_times(session, builder.now):
        raise NotOffered(f"That time is not held for session {session.id} any more.")
    request_time(builder, session, requested_time)


def find_deferral_to_explain(builder: PlanBuilder, session: Session) -> Deferral:
    """Return the last time that was lost, or that the report gave up by hand: the report may say why (R-18). The caller
    stores the explanation sealed.

    Raises Refused when the session has lost no time, when the manager moved it, or when it is over.
    """
    last = deferrals.find_last_loss(builder, session)
    is_of_manager = last is not None and not last.is_counted and last.who != builder.report.email
    if last is None or is_of_manager or not (session.owed or session.booked):
        raise Refused(f"Session {session.id} has lost no time that there would be something to say about.")
    return last


def leave_until_next_cycle(builder: PlanBuilder, session: Session) -> None:
    """Move the session to one rhythm later, which is one answer to the question of T-11. It is no deferral.

    Raises Refused when no question was asked, or the time to answer it is over.
    """
    offer = session.offer
    if offer is None or offer.purpose is not OfferPurpose.QUESTION or not questions.may_leave(session):
        raise Refused(f"Session {session.id} can't be left until the next quarter: nobody was asked about it.")
    if session.booked and session.span.start <= builder.now:
        raise Refused(f"Session {session.id} has begun, so it can't be left until the next quarter.")
    if not offers.is_offer_open(session, builder.now):
        raise Refused(f"Session {session.id} can't be left until the next quarter: the time to answer is over.")
    day = get_local_date(builder.manager.zone, session.start or session.target)
    window = cadence.make_window(day, cadence.choose_interval(builder.pair, day, builder.policy))
    left = builder.update_session(
        session,
        state=SessionState.OWED,
        earliest=window.earliest,
        target=window.target,
        latest=window.latest,
        start=None,
        end=None,
        by_hand=False,
        deferred_at=None,
        warned_at=None,
        offer=None,
    )
    builder.record_session_decision(left, "The two leave it until the next quarter.", cause="left")


def _refuse_without_calendar(builder: PlanBuilder) -> None:
    if not builder.manager.has_calendar:
        remedy = "Name one in the people file: an event needs it to stand on."
        raise Refused(f"{builder.manager.email} has no calendar. {remedy}")


def book_requested_time(
    builder: PlanBuilder, session: Session, requested_time: Span, by: Address = "", cause: str = ""
) -> Session:
    """Return the session at the time that a person chose, which its event shows. `by`: who, where that is known;
    `cause`: for the history.

    Raises Refused when the time lies in the past or too far ahead, or is too short (T-1).
    """
    _refuse_without_calendar(builder)
    if requested_time.start <= builder.now:
        raise Refused("The new time lies in the past. Give one that is still to come.")
    if requested_time.start > builder.now + MAX_AHEAD:
        raise Refused(f"The new time is too far ahead. Give one before {builder.now + MAX_AHEAD:%Y-%m-%d}.")
    if requested_time.minutes < builder.policy.min_by_hand and session.kind is SessionKind.CAREER:
        raise Refused(
            f"{requested_time.minutes} minutes are too few for this conversation. "
            f"Give at least {builder.policy.min_by_hand}."
        )
    placed = builder.state.placed_events.get(session.key)
    new = builder.update_session(
        session,
        state=SessionState.BOOKED,
        start=requested_time.start,
        end=requested_time.end,
        latest=max(session.latest, requested_time.end),
        generation=session.generation + (placed is not None and placed.gone),
        sequence=session.sequence + 1,
        by_hand=True,
        intended=None,
        unplaceable=None,
        warned_at=None,
        offer=None,
    )
    session_events.show_on_calendar(builder, new)
    builder.record_session_decision(new, "A person chose this time.", cause=cause, who=by)
    if session.kind is SessionKind.CAREER and requested_time.minutes < builder.policy.min_minutes:
        builder.add_mail(MailName.SHORT_SESSION, session.id, builder.manager.email, start=requested_time.start)
    return new


def request_talk(builder: PlanBuilder, trigger: Trigger, *, at_once: bool = False) -> Session:
    """Add an ad hoc session (R-6). The caller stores sealed why; the plan knows only how soon it has to be.

    `at_once` makes it as urgent as one for somebody who may leave, so that urgency alone does not reveal the trigger.
    """
    at_once = at_once or trigger is Trigger.LEAVING
    days = placement.URGENT_DAYS if at_once else placement.ADHOC_DAYS
    session = _make_soon_session(builder, SessionKind.CAREER, builder.pair.minutes, days)
    session = builder.update_session(session, adhoc=True, urgent=at_once)
    builder.record_session_decision(session, "A person asked to talk soon.")
    return session


def choose_format(builder: PlanBuilder, wanted: Format) -> None:
    """Plan the coming cycle anew in the other format (R-4), unless a part of it is over or near."""
    if wanted is builder.pair.format:
        return
    for cycle in _list_coming_cycles(builder):
        _cancel_for_replanning(builder, cycle, "The report chose another format for it.")


def _list_coming_cycles(builder: PlanBuilder) -> list[list[Session]]:
    """The sessions of each cycle of which no session is over, near or deferred."""
    cycles: dict[int, list[Session]] = {}
    for session in cadence.select_regular_sessions(list(builder.sessions.values())):
        cycles.setdefault(session.cycle, []).append(session)
    return [cycle for cycle in cycles.values() if all(_can_be_replanned(builder, session) for session in cycle)]


def _can_be_replanned(builder: PlanBuilder, session: Session) -> bool:
    if session.owed:
        return not session.count
    return session.booked and session.span.start > builder.now + NEAR_PERIOD and not session.by_hand


def _cancel_for_replanning(builder: PlanBuilder, sessions: Sequence[Session], why: str) -> None:
    for session in sessions:
        placement.cancel_session(builder, session, why)
    invitations.add_invitations(builder)


def request_check_in(builder: PlanBuilder) -> Session:
    """Add an informal check-in (R-7)."""
    session = builder.update_session(
        _make_soon_session(builder, SessionKind.CHECKIN, builder.policy.checkin_minutes, placement.ADHOC_DAYS)
    )
    builder.record_session_decision(session, "A person asked for a check-in.")
    return session


def _make_soon_session(builder: PlanBuilder, kind: SessionKind, minutes: int, days: int) -> Session:
    if not builder.pair.is_active:
        raise Refused("This pair is paused, has ended, or does not take part in the rollout. Resume it first.")
    _refuse_without_calendar(builder)
    if any((s.adhoc or kind is SessionKind.CHECKIN) and (s.owed or s.booked) for s in builder.list_sessions(kind)):
        raise Refused("A conversation soon has been asked for already; it is owed or on the calendar.")
    window = cadence.SessionWindow(builder.now, builder.now, builder.find_weekday_end(days, builder.now))
    cycle = max((s.cycle for s in builder.sessions.values()), default=1)
    return cadence.make_session(builder.pair.id, kind, Topic.ALL, cycle, minutes, window, builder.now, "soon")


def record_contract(builder: PlanBuilder, session: Session, dated: Sequence[DatedCommitment], revision: int) -> None:
    """Record a contract: its commitments begin, change or end, and both get the summary (R-14, R-15, R-18).

    Raises NoContractSession, and NotHeldYet before the session has begun.
    """
    if session.kind is not SessionKind.CAREER or session.state is SessionState.CANCELLED:
        raise NoContractSession(f"Session {session.id} is not one that ends with a contract.")
    if session.held_at is None and (session.start is None or session.start > builder.now):
        raise NotHeldYet(f"Session {session.id} has not taken place yet.")
    if session.held_at is None:
        session = builder.update_session(session, held_at=session.end)
    was = session.state
    if was is not SessionState.CONTRACTED:
        reviews.end_reviews(builder, "Another contract takes the place of the one it looks at.")
        session = builder.update_session(session, contracted_at=builder.now)
    recorded = builder.update_session(
        session, state=SessionState.CONTRACTED, unplaceable=None, offer=None, warned_at=None
    )
    _update_commitments(builder, session, dated)
    late = builder.now > contract_mails.find_contract_deadline(builder.manager, recorded)
    if was is not SessionState.CONTRACTED:
        reason = "The contract was recorded" + (", after its deadline." if late else ", before its deadline.")
        builder.record_session_decision(recorded, reason, late=late or None)
    else:
        builder.record_decision(
            "contract", f"Revision {revision} of the contract was recorded.", session.id, revision=revision
        )
    for email in builder.addresses:
        builder.add_mail(MailName.CONTRACT_SUMMARY, session.id, email, start=recorded.held_at, number=revision)


def _update_commitments(builder: PlanBuilder, session: Session, dated: Sequence[DatedCommitment]) -> None:
    """Add the new commitments, give known ones their new date, and close as changed those that are no longer listed."""
    listed = {one.id for one in dated}
    for old in [
        c for c in builder.commitments.values() if c.session == session.id and c.is_open and c.id not in listed
    ]:
        close_commitment(builder, old, CommitmentStanding.CHANGED)
    for one in dated:
        known = builder.commitments.get(one.id)
        if known is None:
            builder.update_commitment(_make_commitment(builder, session, one))
        elif known.due != one.due:
            builder.update_commitment(known, due=one.due, block=None, all_day=False, by_hand=False, dismissed=False)
        elif one.reworded:
            commitment_blocks.update_block_text(builder, known)


def _make_commitment(builder: PlanBuilder, session: Session, dated: DatedCommitment) -> Commitment:
    return Commitment(
        id=dated.id,
        pair=builder.pair.id,
        session=session.id,
        owner=dated.owner,
        due=dated.due,
        recorded_at=builder.now,
    )


def close_commitment(builder: PlanBuilder, commitment: Commitment, standing: CommitmentStanding) -> None:
    """Close a commitment as done, changed or let go (R-18). The next sweep takes the manager's block off (T-8)."""
    if not commitment.is_open:
        raise Refused(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
    builder.update_commitment(commitment, standing=standing, closed_at=builder.now)
    words = {
        CommitmentStanding.DONE: "done",
        CommitmentStanding.CHANGED: "changed",
        CommitmentStanding.LET_GO: "let go",
    }[standing]
    builder.record_decision(
        "commitment",
        f"A commitment of the {commitment.owner.value} ended as {words}.",
        commitment.session,
        due=commitment.due,
    )
