"""The monthly review of a contract: as an event of its own, or inside the 1:1 the two have anyway (R-7, T-9)."""

from datetime import timedelta

from worker.domain.model import Kind, Review, Session, State
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import Planning

#: A contract that comes later than this after its session gets no reviews: the next session is nearer.
TOO_LATE = timedelta(days=27)


def want_reviews(p: Planning) -> None:
    """Have the reviews owed that are due: they look at a contract, and come when it is there or overdue."""
    if p.pair.review is Review.NONE:
        return
    for session in p.of_kind(Kind.CAREER):
        over = session.state in (State.CONTRACTED, State.UNFINISHED) and not session.adhoc
        if not over or session.held_at is None or session.held_at < p.now - TOO_LATE:
            continue
        if any(s.cycle == session.cycle and s.state is not State.CANCELLED for s in p.of_kind(Kind.REVIEW)):
            continue
        for review in cadence.reviews_after(session, p.pair, p.policy, p.now):
            p.put(review)


def inside(p: Planning, session: Session) -> bool:
    """True for a review that takes place inside a meeting the two have anyway: it never had an event."""
    return session.kind is Kind.REVIEW and p.pair.review is Review.IN_1ON1 and session.sequence == 0


def waits(p: Planning, session: Session) -> bool:
    """True for a review that may still find its 1:1: it gets no event of its own before its day has come."""
    return inside(p, session) and session.count == 0 and p.now < session.target


def into_1on1s(p: Planning) -> None:
    """Give each review that has no event the time of the 1:1 nearest to its day."""
    for review in [s for s in p.of_kind(Kind.REVIEW) if inside(p, s) and (s.owed or s.booked)]:
        _into_1on1(p, review)


def _into_1on1(p: Planning, review: Session) -> None:
    near = [m.span for m in p.state.meetings if review.earliest <= m.span.start <= review.latest and m.span.end > p.now]
    best = min(near, key=lambda span: (abs(span.start - review.target), span), default=None)
    if best is not None:
        if not (review.booked and review.span == best):
            taken = p.put(review, state=State.BOOKED, start=best.start, end=best.end)
            p.decide_session(taken, "Takes place inside the 1:1 of that day; no event of its own.")
    elif review.booked and review.span.end > p.now:
        p.put(review, state=State.OWED, start=None, end=None)
    elif review.owed and p.now < review.target:
        p.wake(review.target)  # the 1:1s may not stand that far ahead yet
