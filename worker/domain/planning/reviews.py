"""The monthly review of a contract: as an event of its own, or inside the 1:1 the two have anyway (R-7, T-9)."""

from datetime import timedelta

from worker.domain.model import ReviewMode, Session, SessionKind, SessionState
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import PlanBuilder

#: A contract that comes later than this after its session gets no reviews: the next session is nearer.
MAX_CONTRACT_DELAY = timedelta(days=27)


def ensure_reviews(builder: PlanBuilder) -> None:
    """Have the reviews owed that are due: they look at a contract, and come when it is there or overdue."""
    if builder.pair.review is ReviewMode.NONE:
        return
    for session in builder.list_sessions(SessionKind.CAREER):
        over = session.state in (SessionState.CONTRACTED, SessionState.UNFINISHED) and not session.adhoc
        if not over or session.held_at is None or session.held_at < builder.now - MAX_CONTRACT_DELAY:
            continue
        if any(
            s.cycle == session.cycle and s.state is not SessionState.CANCELLED
            for s in builder.list_sessions(SessionKind.REVIEW)
        ):
            continue
        for review in cadence.make_reviews(session, builder.pair, builder.policy, builder.now):
            builder.update_session(review)


def is_inside_1on1(builder: PlanBuilder, session: Session) -> bool:
    """True for a review that takes place inside a meeting the two have anyway: it never had an event."""
    return session.kind is SessionKind.REVIEW and builder.pair.review is ReviewMode.IN_1ON1 and session.sequence == 0


def is_waiting_for_1on1(builder: PlanBuilder, session: Session) -> bool:
    """True for a review that may still find its 1:1: it gets no event of its own before its day has come."""
    return is_inside_1on1(builder, session) and session.count == 0 and builder.now < session.target


def place_reviews_in_1on1s(builder: PlanBuilder) -> None:
    """Give each review that has no event the time of the 1:1 nearest to its day."""
    for review in [
        s for s in builder.list_sessions(SessionKind.REVIEW) if is_inside_1on1(builder, s) and (s.owed or s.booked)
    ]:
        _place_review_in_1on1(builder, review)


def _place_review_in_1on1(builder: PlanBuilder, review: Session) -> None:
    near = [
        m.span
        for m in builder.state.meetings
        if review.earliest <= m.span.start <= review.latest and m.span.end > builder.now
    ]
    best = min(near, key=lambda span: (abs(span.start - review.target), span), default=None)
    if best is not None:
        if not (review.booked and review.span == best):
            taken = builder.update_session(review, state=SessionState.BOOKED, start=best.start, end=best.end)
            builder.record_session_decision(taken, "Takes place inside the 1:1 of that day; no event of its own.")
    elif review.booked and review.span.end > builder.now:
        builder.update_session(review, state=SessionState.OWED, start=None, end=None)
    elif review.owed and builder.now < review.target:
        builder.wake_at(review.target)  # the 1:1s may not stand that far ahead yet
