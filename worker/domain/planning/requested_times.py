"""What becomes of another time that a guest proposes with an answer: it is taken when it fits the rules, and answered
by moving the event; otherwise the session is deferred, and placed near that time (R-8, R-9; T-2, T-11).
"""

from worker.domain.model import Address, DeferralCause, PlacedEvent, Session, SessionKind, Span
from worker.domain.planning.deferrals import defer
from worker.domain.planning.placement import SearchAttempt, make_search
from worker.domain.planning.plan_builder import LAST_HOURS, PlanBuilder
from worker.domain.planning.session_events import show_on_calendar
from worker.domain.time.slots import rank_slots

#: The longest career session (T-1).
MAX_CAREER_MINUTES = 90


def answer_requested_times(builder: PlanBuilder) -> set[str]:
    """Answer each time that a guest proposes. Returns the ids of the sessions that wait until calendars can be read."""
    waiting: set[str] = set()
    for session in [s for s in builder.sessions.values() if s.booked and not builder.has_pending_change(s.id)]:
        placed = builder.find_event(session.key)
        if placed is None or not placed.proposed or not placed.span == placed.written == session.span:
            continue
        who, requested_time = min(placed.proposed.items(), key=lambda one: (one[1], one[0]))
        if requested_time == session.span:
            continue
        fits = _is_acceptable(builder, session, requested_time)
        if fits is None:
            waiting.add(session.id)
        elif fits:
            _accept_time(builder, session, placed, who, requested_time)
        else:
            builder.requested_times[session.id] = requested_time
            builder.accept_move(placed)
            defer(builder, session, DeferralCause.DECLINED, who, detail="the time proposed instead does not fit")
    return waiting


def _is_acceptable(builder: PlanBuilder, session: Session, requested_time: Span) -> bool | None:
    """Whether it is a time that we might have given, buffers aside; None while calendars can't be read."""
    career = session.kind is SessionKind.CAREER
    right_length = (
        builder.policy.min_minutes <= requested_time.minutes <= MAX_CAREER_MINUTES
        if career
        else requested_time.minutes == session.minutes
    )
    if (
        not right_length
        or requested_time.start - builder.now <= LAST_HOURS
        or requested_time.start > max(session.latest, session.span.start)
    ):
        return False
    known = builder.get_free_busy(builder.people, requested_time)
    if known is None:
        return None
    slots = rank_slots(
        make_search(builder, session, known, SearchAttempt(requested_time.minutes, requested_time, buffer=False))
    )
    return bool(slots) and slots[0].span == requested_time


def _accept_time(
    builder: PlanBuilder, session: Session, placed: PlacedEvent, who: Address, requested_time: Span
) -> None:
    builder.accept_move(placed)
    moved = builder.update_session(
        session,
        start=requested_time.start,
        end=requested_time.end,
        sequence=session.sequence + 1,
        by_hand=True,
        intended=None,
        warned_at=None,
        offer=None,
    )
    show_on_calendar(builder, moved)
    builder.record_session_decision(moved, f"{who} proposed this time, and it fits.", cause="proposed", who=who)
