"""The actions of people, as changes to a plan.

People report whether a session took place, ask for another time or for a session soon, choose whether they meet in one
long session or in a series, and record a contract or the end of a commitment. Each function changes the given
`PlanBuilder`. The caller writes `builder.build()` like any other plan, and has the pair planned again. An action that
the rules do not allow raises `Refused`, or a subclass of it, with a sentence for the operator. Pages show another
sentence, which they choose by the class of the error (`worker.web.refusals`).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from worker.domain.contract.check import MAX_RECORDING_DELAY
from worker.domain.model import (
    Address,
    Commitment,
    CommitmentStanding,
    Deferral,
    DeferralCause,
    EndReason,
    Format,
    IdentifiedCommitment,
    MailName,
    OfferPurpose,
    Policy,
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
from worker.errors import (
    CalendarMissing,
    CommitmentEnded,
    ContractRecorded,
    NoContractSession,
    NotBegun,
    NotHeldYet,
    NothingToExplain,
    NotOffered,
    PairInactive,
    QuestionClosed,
    Refused,
    SessionOver,
    TalkRequested,
    TimeBeforeEarlierPart,
    TimePast,
    TimeTooFar,
    TimeTooShort,
)

#: A session that begins within this time keeps its format when the report chooses another one, because the
#: reflection prompt for it may have been sent.
NEAR_PERIOD = timedelta(days=7)
#: The longest time from now to a time that a person may choose.
MAX_AHEAD = timedelta(days=370)


def is_recorded_as_not_held(builder: PlanBuilder, session: Session) -> bool:
    """Return whether somebody has recorded already that the session did not take place.

    Such a record no longer counts once a later time of the session has begun.
    """
    if session.start is not None and session.start <= builder.now:
        return False
    last_deferral = deferrals.find_last_deferral(builder, session)
    return last_deferral is not None and last_deferral.cause is DeferralCause.NOT_HELD


def record_not_held(builder: PlanBuilder, session: Session) -> None:
    """Record that the session did not take place, which defers the session (T-10)."""
    if session.start is None or session.start > builder.now:
        raise NotBegun(f"Session {session.id} has not begun yet. Use `longarc defer` to ask for another time.")
    if session.state is SessionState.CONTRACTED:
        raise ContractRecorded(f"Session {session.id} has a contract, so it took place.")
    deferrals.defer_session(builder, session, DeferralCause.NOT_HELD)
    invitations.update_invitation_mails(builder)


def record_held(builder: PlanBuilder, session: Session, end: datetime | None = None) -> None:
    """Record that the session took place. It ended at `end`, or at its booked end when `end` is None."""
    if session.state is SessionState.CONTRACTED:
        raise ContractRecorded(f"Session {session.id} has a contract, so it is known that it took place.")
    if end and end < builder.now - MAX_RECORDING_DELAY:
        raise Refused(f"Session {session.id} can't have ended that long ago. Check the year of --at.")
    end = end or session.end
    if end is None or end > builder.now:
        raise Refused(f"Session {session.id} can't have ended in the future. Say when it ended, with --at.")
    if session.booked and session.span.end > builder.now:
        # The session took place before its booked time, so that the event is not needed.
        session_events.take_off_calendar(builder, session)
    current = builder.sessions.get(session.id, session)  # the builder does not contain sessions closed long ago
    start = end - timedelta(minutes=session.minutes)
    held = contract_mails.mark_held(builder, current, held_at=end, start=start, end=end)
    builder.record_session_decision(held, "Somebody said that it took place.")
    invitations.update_invitation_mails(builder)


def request_time(builder: PlanBuilder, session: Session, requested_time: Span | None, by: Address = "") -> None:
    """Give the session another time: the requested one or, when that is None, one that the next plan finds.

    A choice among offered times is no deferral (T-12). `by` is the address of the person who asks; empty when unknown.
    """
    if session.is_closed or session.state is SessionState.HELD:
        raise SessionOver(f"Session {session.id} is over; there is nothing to move.")
    is_offered = requested_time is not None and requested_time in offers.list_open_times(session, builder.now)
    if session.booked and session.span == requested_time:
        if is_offered:  # otherwise a person pressed the button twice, and nothing changes
            offers.end_offer(builder, session, "A person chose the time that the session has.")
            builder.update_session(builder.sessions[session.id], by_hand=True)
        return
    if session.booked and not is_offered:
        deferrals.defer_session(builder, session, DeferralCause.ASKED, by=by)
    if requested_time is not None:
        book_requested_time(builder, builder.sessions[session.id], requested_time, by=by)


def choose_offered_time(builder: PlanBuilder, session: Session, chosen_time: Span) -> None:
    """Give the session one of the times that are offered for it (T-12).

    A session that has the chosen time already keeps it, since a person may have pressed the button twice. Raises
    NotOffered when the time is no longer offered.
    """
    has_that_time = session.booked and session.span == chosen_time
    if not has_that_time and chosen_time not in offers.list_open_times(session, builder.now):
        raise NotOffered(f"That time is no longer reserved for session {session.id}.")
    request_time(builder, session, chosen_time)


def find_deferral_to_explain(builder: PlanBuilder, session: Session) -> Deferral:
    """Return the deferral, or the report's own move by hand, for which the report may give an explanation (R-18).

    This is the last loss of the session's time. The caller stores the explanation sealed. Raises NothingToExplain when
    the session has lost no time, when the manager moved it last, or when it is over.
    """
    last_loss = deferrals.find_last_loss(builder, session)
    if not (session.owed or session.booked):
        raise NothingToExplain(f"Session {session.id} is over, so there is nothing to explain.")
    if last_loss is None:
        raise NothingToExplain(f"Session {session.id} has not lost its time, so there is nothing to explain.")
    is_move_by_hand = not last_loss.is_counted
    if is_move_by_hand and last_loss.who != builder.report.email:
        raise NothingToExplain(f"The manager moved session {session.id}, so there is nothing to explain.")
    return last_loss


def leave_until_next_cycle(builder: PlanBuilder, session: Session) -> None:
    """Make the session owed one rhythm later, which is one of the answers to a question (T-11). This is no deferral.

    A question is asked in place of a third automatic move (see `questions`). People read "until the next quarter", as
    the usual rhythm is 13 weeks. Raises QuestionClosed when no question was asked or it is no longer open.
    """
    was_asked = session.offer is not None and session.offer.purpose is OfferPurpose.QUESTION
    if not was_asked or not questions.can_be_left_until_next_cycle(session):
        raise QuestionClosed(f"Session {session.id} can't be left until the next quarter: nobody was asked about it.")
    if session.booked and session.span.start <= builder.now:
        raise QuestionClosed(f"Session {session.id} has begun, so it can't be left until the next quarter.")
    if not offers.is_offer_open(session, builder.now):
        raise QuestionClosed(f"Session {session.id} can't be left until the next quarter: the time to answer is over.")
    day = get_local_date(builder.manager.zone, session.start or session.target)
    window = cadence.make_window(day, cadence.choose_interval(builder.pair, day, builder.policy))
    owed = builder.update_session(
        cadence.set_window(session, window),
        state=SessionState.OWED,
        start=None,
        end=None,
        by_hand=False,
        deferred_at=None,
        warned_at=None,
        offer=None,
    )
    builder.record_session_decision(owed, "The two leave it until the next quarter.", cause="left")


def _require_active_pair(builder: PlanBuilder) -> None:
    """Raise PairInactive when nothing is planned for the pair."""
    if builder.pair.ended is not EndReason.NO:
        raise PairInactive("This pair has ended.")
    if builder.pair.paused:
        raise PairInactive("This pair is paused. Resume it first.")
    if not builder.pair.is_active:
        raise PairInactive("This pair does not take part in the rollout yet.")


def _require_manager_calendar(builder: PlanBuilder) -> None:
    """Raise CalendarMissing when the manager has no calendar on which an event could be created."""
    if not builder.manager.has_calendar:
        remedy = "Name a calendar in the people file: the event of a session is created there."
        raise CalendarMissing(f"{builder.manager.email} has no calendar. {remedy}")


def _require_bookable_time(builder: PlanBuilder, session: Session, requested_time: Span) -> None:
    """Raise the refusal that names the rule, when the rules do not allow the time (T-1, T-13)."""
    if requested_time.start <= builder.now:
        raise TimePast("The new time is in the past. Give a time in the future.")
    if requested_time.start > builder.now + MAX_AHEAD:
        raise TimeTooFar(f"The new time is too far ahead. Give a time before {builder.now + MAX_AHEAD:%Y-%m-%d}.")
    if cadence.is_before_earlier_part(requested_time.start, session, list(builder.sessions.values())):
        raise TimeBeforeEarlierPart(
            "The new time is before the end of an earlier part of the series. Give a later time."
        )
    shortest = find_shortest_minutes(session, builder.policy)
    if requested_time.minutes < shortest:
        raise TimeTooShort(
            f"{requested_time.minutes} minutes are too few for this conversation. Give at least {shortest}."
        )


def find_shortest_minutes(session: Session, policy: Policy) -> int:
    """Return the shortest length in minutes that a person may give the session (T-1)."""
    return policy.min_by_hand if session.kind is SessionKind.CAREER else 0


def book_requested_time(
    builder: PlanBuilder, session: Session, requested_time: Span, *, by: Address = "", cause: str = ""
) -> Session:
    """Book the session at a time that a person chose, and write its event. Return the booked session.

    `by` is the address of the person, or empty when unknown. `cause` goes into the history. Raises Refused when the
    rules do not allow the time.
    """
    _require_manager_calendar(builder)
    _require_bookable_time(builder, session, requested_time)
    placed = builder.state.placed_events.get(session.key)
    booked = builder.update_session(
        session,
        state=SessionState.BOOKED,
        start=requested_time.start,
        end=requested_time.end,
        # The window is extended to the chosen time, so that the session does not count as moved past its window.
        latest=max(session.latest, requested_time.end),
        # An event that was deleted can't be written again, so that the next event gets another key.
        generation=session.generation + (1 if placed is not None and placed.is_gone else 0),
        sequence=session.sequence + 1,
        by_hand=True,
        intended=None,
        unplaceable=None,
        warned_at=None,
        offer=None,
    )
    session_events.show_on_calendar(builder, booked)
    builder.record_session_decision(booked, "A person chose this time.", cause=cause, who=by)
    if session.kind is SessionKind.CAREER and requested_time.minutes < builder.policy.min_minutes:
        builder.add_mail(MailName.SHORT_SESSION, session.id, builder.manager.email, start=requested_time.start)
    return booked


def request_ad_hoc_session(builder: PlanBuilder, trigger: Trigger, *, at_once: bool = False) -> Session:
    """Add an ad hoc session (R-6). The caller stores the trigger sealed; the plan contains only the urgency.

    Any session can be made urgent with `at_once`, so that urgency alone does not reveal the trigger `leaving`.
    """
    is_urgent = at_once or trigger is Trigger.LEAVING
    days = placement.URGENT_DAYS if is_urgent else placement.ADHOC_DAYS
    session = _make_soon_session(builder, SessionKind.CAREER, minutes=builder.pair.minutes, days=days)
    session = builder.update_session(session, adhoc=True, urgent=is_urgent)
    builder.record_session_decision(session, "A person asked to talk soon.")
    return session


def choose_format(builder: PlanBuilder, wanted: Format) -> None:
    """Cancel the coming cycles when the report chooses another format, so that they are planned again in it (R-4).

    The caller stores the format. A cycle keeps its format when one of its sessions is over, near or deferred.
    """
    if wanted is builder.pair.format:
        return
    for cycle in _list_coming_cycles(builder):
        _cancel_for_replanning(builder, cycle, "The report chose another format for it.")


def _list_coming_cycles(builder: PlanBuilder) -> list[list[Session]]:
    """Return the cycles in which no session is over, near or deferred, each as a list of its sessions."""
    cycles: dict[int, list[Session]] = {}
    for session in cadence.select_regular_sessions(list(builder.sessions.values())):
        cycles.setdefault(session.cycle, []).append(session)
    return [cycle for cycle in cycles.values() if all(_can_be_replanned(builder, session) for session in cycle)]


def _can_be_replanned(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session is owed without a deferral, or booked by Longarc and not near."""
    if session.owed:
        return not session.count
    return session.booked and session.span.start > builder.now + NEAR_PERIOD and not session.by_hand


def _cancel_for_replanning(builder: PlanBuilder, sessions: Sequence[Session], why: str) -> None:
    """Cancel the sessions with that reason, so that the next plan adds new ones in their place."""
    for session in sessions:
        placement.cancel_session(builder, session, why)
    invitations.update_invitation_mails(builder)


def request_check_in(builder: PlanBuilder) -> Session:
    """Add an informal check-in (R-7)."""
    session = builder.update_session(
        _make_soon_session(
            builder, SessionKind.CHECKIN, minutes=builder.policy.checkin_minutes, days=placement.ADHOC_DAYS
        )
    )
    builder.record_session_decision(session, "A person asked for a check-in.")
    return session


def _make_soon_session(builder: PlanBuilder, kind: SessionKind, *, minutes: int, days: int) -> Session:
    """Return a new session that belongs in the next `days` weekdays. Raises TalkRequested when there is one already."""
    _require_active_pair(builder)
    _require_manager_calendar(builder)
    requested = [s for s in builder.list_sessions(kind) if s.adhoc or kind is SessionKind.CHECKIN]
    if any(s.owed or s.booked for s in requested):
        raise TalkRequested("Such a conversation was requested already, and is owed or on the calendar.")
    latest = builder.find_weekday_end(days, builder.now)
    window = cadence.SessionWindow(earliest=builder.now, target=builder.now, latest=latest)
    cycle = max((s.cycle for s in builder.sessions.values()), default=1)
    return cadence.make_session(
        builder.pair.id,
        kind,
        Topic.ALL,
        cycle=cycle,
        minutes=minutes,
        window=window,
        now=builder.now,
        discriminator="soon",
    )


def record_contract(
    builder: PlanBuilder, session: Session, commitments: Sequence[IdentifiedCommitment], revision: int
) -> None:
    """Record a revision of the session's contract, and add the mails with its summary (R-14, R-15).

    `commitments` are all commitments of this revision, and `revision` is its number. A commitment of an earlier
    revision that is not among them ends (R-18). Raises NoContractSession for a session that can't have a contract, and
    NotHeldYet before the session has begun.
    """
    if session.kind is not SessionKind.CAREER or session.state is SessionState.CANCELLED:
        raise NoContractSession(f"Session {session.id} is cancelled, or of a kind that has no contract.")
    if session.held_at is None and (session.start is None or session.start > builder.now):
        raise NotHeldYet(f"Session {session.id} has not taken place yet.")
    if session.held_at is None:
        session = builder.update_session(session, held_at=session.end)
    is_first_revision = session.state is not SessionState.CONTRACTED
    if is_first_revision:
        reviews.end_reviews(builder, "Another contract replaces the one that this review is about.")
        session = builder.update_session(session, contracted_at=builder.now)
    recorded = builder.update_session(
        session, state=SessionState.CONTRACTED, unplaceable=None, offer=None, warned_at=None
    )
    _update_commitments(builder, session, commitments)
    is_late = builder.now > contract_mails.find_contract_deadline(builder.manager, recorded)
    if is_first_revision:
        reason = "The contract was recorded" + (", after its deadline." if is_late else ", before its deadline.")
        builder.record_session_decision(recorded, reason, late=True if is_late else None)  # None leaves the field out
    else:
        builder.record_decision(
            "contract", f"Revision {revision} of the contract was recorded.", session.id, revision=revision
        )
    for email in builder.addresses:
        builder.add_mail(MailName.CONTRACT_SUMMARY, session.id, email, start=recorded.held_at, number=revision)


def _update_commitments(builder: PlanBuilder, session: Session, commitments: Sequence[IdentifiedCommitment]) -> None:
    """Make the session's commitments those of the new revision: add, update or close each of them.

    An open commitment that the new revision does not contain is closed as changed.
    """
    listed_ids = {item.id for item in commitments}
    open_commitments = [c for c in builder.commitments.values() if c.session == session.id and c.is_open]
    for commitment in open_commitments:
        if commitment.id not in listed_ids:
            close_commitment(builder, commitment, CommitmentStanding.CHANGED)
    for item in commitments:
        existing = builder.commitments.get(item.id)
        if existing is None:
            builder.update_commitment(_make_commitment(builder, session, item))
        elif existing.due != item.due:
            # The next sweep places the block anew, even if the manager had moved or deleted it.
            builder.update_commitment(existing, due=item.due, block=None, all_day=False, by_hand=False, dismissed=False)
        elif item.is_reworded:
            commitment_blocks.update_block_text(builder, existing)


def _make_commitment(builder: PlanBuilder, session: Session, item: IdentifiedCommitment) -> Commitment:
    """Return a new open commitment of the session's contract."""
    return Commitment(
        id=item.id,
        pair=builder.pair.id,
        session=session.id,
        owner=item.owner,
        due=item.due,
        recorded_at=builder.now,
    )


def close_commitment(builder: PlanBuilder, commitment: Commitment, standing: CommitmentStanding) -> None:
    """Close a commitment as done, changed or let go (R-18).

    The next sweep cancels the commitment's block on the manager's calendar (T-8).
    """
    if not commitment.is_open:
        raise CommitmentEnded(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
    builder.update_commitment(commitment, standing=standing, closed_at=builder.now)
    ending = {
        CommitmentStanding.DONE: "done",
        CommitmentStanding.CHANGED: "changed",
        CommitmentStanding.LET_GO: "let go",
    }[standing]
    builder.record_decision(
        "commitment",
        f"A commitment of the {commitment.owner.value} ended as {ending}.",
        commitment.session,
        due=commitment.due,
    )
