"""What becomes of another time that a guest proposes with an answer: it is taken when it fits the rules, and answered
by moving the event; otherwise the session is deferred, and the wish says near what it is placed (R-8, R-9; T-2, T-11).
"""

from worker.domain.model import Address, DeferralCause, PlacedEvent, Session, SessionKind, Span
from worker.domain.planning.deferrals import LAST_HOURS, defer
from worker.domain.planning.placement import SearchAttempt, make_search
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.session_events import show_on_calendar
from worker.domain.time.slots import rank_slots

#: No longer than a career session may be (T-1).
MAX_CAREER_MINUTES = 90


def answer_requested_times(builder: PlanBuilder) -> set[str]:
    """Answer each wish. The sessions that have to wait, because calendars can't be asked just now."""
    waiting: set[str] = set()
    for session in [s for s in builder.sessions.values() if s.booked and not builder.has_pending_change(s.id)]:
        placed = builder.find_event(session.key)
        if placed is None or not placed.proposed or not placed.span == placed.written == session.span:
            continue
        who, wish = min(placed.proposed.items(), key=lambda one: (one[1], one[0]))
        if wish == session.span:
            continue
        fits = _is_acceptable(builder, session, wish)
        if fits is None:
            waiting.add(session.id)
        elif fits:
            _accept_time(builder, session, placed, who, wish)
        else:
            builder.requested_times[session.id] = wish
            builder.accept_move(placed)
            defer(builder, session, DeferralCause.DECLINED, who, detail="the time proposed instead does not fit")
    return waiting


def _is_acceptable(builder: PlanBuilder, session: Session, wish: Span) -> bool | None:
    """Whether it is a time that we might have given, buffers aside; None when nobody can tell just now."""
    career = session.kind is SessionKind.CAREER
    right_length = (
        builder.policy.min_minutes <= wish.minutes <= MAX_CAREER_MINUTES if career else wish.minutes == session.minutes
    )
    if (
        not right_length
        or wish.start - builder.now <= LAST_HOURS
        or wish.start > max(session.latest, session.span.start)
    ):
        return False
    known = builder.get_free_busy(builder.people, wish)
    if known is None:
        return None
    slots = rank_slots(make_search(builder, session, known, SearchAttempt(wish.minutes, wish, buffer=False)))
    return bool(slots) and slots[0].span == wish


def _accept_time(builder: PlanBuilder, session: Session, placed: PlacedEvent, who: Address, wish: Span) -> None:
    builder.accept_move(placed)
    moved = builder.update_session(
        session,
        start=wish.start,
        end=wish.end,
        sequence=session.sequence + 1,
        by_hand=True,
        intended=None,
        warned_at=None,
        offer=None,
    )
    show_on_calendar(builder, moved)
    builder.record_session_decision(moved, f"{who} proposed this time, and it fits.", cause="proposed", who=who)
