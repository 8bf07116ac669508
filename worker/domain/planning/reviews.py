"""The monthly review of a contract: as an event of its own, or inside the 1:1 the two have anyway (R-7, T-9).

A review lives near its day and far from every career session. Where it can't, it is dropped, and the next brief takes
the contract up. One that loses its time moves by a calendar update alone: it is no deferral, and no mail tells of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.model import Reasons, ReviewMode, Session, SessionKind, SessionState, Span, Topic
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.planning.session_events import take_off_calendar
from worker.domain.time.worktime import get_local_date

#: How many working days a review may lie from its target at most, and from a career session at least (T-9).
MAX_DAYS_FROM_TARGET = MIN_DAYS_FROM_CAREER = 10
#: A review is not added when another one has a target nearer to its own than this.
SAME_REVIEW = timedelta(days=15)


def ensure_reviews(builder: PlanBuilder) -> None:
    """Add the reviews that the last contract needs, and drop those without a reason or a window."""
    contract_session = find_reviewed_session(builder)
    for review in _list_open_reviews(builder):
        if contract_session is None:
            drop_review(builder, review, "There is no contract to review.")
        elif builder.pair.review is ReviewMode.NONE:
            drop_review(builder, review, "The pair has no reviews any more.")
        else:
            _keep_in_window(builder, review)
    if contract_session is not None and contract_session.contracted_at and builder.pair.review is not ReviewMode.NONE:
        for review in _list_due_reviews(builder, contract_session, contract_session.contracted_at):
            builder.update_session(review)


def find_reviewed_session(builder: PlanBuilder) -> Session | None:
    """Return the session, ad hoc or not, whose contract was recorded last; None without a contract."""
    recorded = [s for s in builder.list_sessions(SessionKind.CAREER) if s.state is SessionState.CONTRACTED]
    return max((s for s in recorded if s.contracted_at), key=lambda s: (s.contracted_at, s.id), default=None)


def end_reviews(builder: PlanBuilder, why: str) -> None:
    """Cancel every review to come: another contract takes the place of the one they look at."""
    for review in _list_open_reviews(builder):
        drop_review(builder, review, why)


def _list_open_reviews(builder: PlanBuilder) -> list[Session]:
    reviews = builder.list_sessions(SessionKind.REVIEW)
    return [s for s in reviews if s.owed or (s.booked and s.span.start > builder.now)]


def _list_due_reviews(builder: PlanBuilder, contract_session: Session, recorded_at: datetime) -> Iterator[Session]:
    """Yield the reviews that the contract still needs, each with its window."""
    until = _find_last_review_day(builder, contract_session, recorded_at)
    known = [s for s in builder.list_sessions(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]
    for month, target in enumerate(cadence.list_review_days(recorded_at, until), 1):
        if any(abs(s.target - target) < SAME_REVIEW for s in known):
            continue
        review = _make_review(builder, contract_session, recorded_at, month, target)
        window = find_review_window(builder, review)
        if review.id not in builder.sessions and window is not None:
            yield cadence.move_window(review, window)


def _make_review(
    builder: PlanBuilder, contract_session: Session, recorded_at: datetime, month: int, target: datetime
) -> Session:
    """Return the review of that month after the contract, counted from 1.

    The same contract has the same reviews: the id follows from the session, the month, and how often the review of that
    month was cancelled before, because the pair was paused or a career session came near.
    """
    window = cadence.SessionWindow(target, target, target)
    minutes = builder.policy.review_minutes
    for cancel_count in range(len(builder.sessions) + 1):
        origin = f"{contract_session.id}.{month}.{cancel_count}"
        review = cadence.make_session(
            builder.pair.id, SessionKind.REVIEW, Topic.ALL, contract_session.cycle, minutes, window, recorded_at, origin
        )
        known = builder.sessions.get(review.id)
        if known is None or known.state is not SessionState.CANCELLED or known.unplaceable:
            break
    return review


def _find_last_review_day(builder: PlanBuilder, contract_session: Session, recorded_at: datetime) -> datetime:
    """Return the end of the last day for a review: ten working days before the next session of the rhythm.

    That session is at its time or, while it has none, at its target; before there is one, it is one rhythm later.
    """
    zone = builder.manager.zone
    regular = cadence.select_regular_sessions(list(builder.sessions.values()))
    times = [s.start or s.target for s in regular if (s.start or s.owed) and s.id != contract_session.id]
    starts = [start for start in times if start > recorded_at]
    day = get_local_date(zone, recorded_at)
    following = min(starts, default=recorded_at + cadence.compute_rhythm(builder.pair, day, builder.policy))
    return builder.find_weekday_end(-MIN_DAYS_FROM_CAREER, following)


def find_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """Return where a review may be: within ten working days of its target, and ten from every career session (T-9).

    None when that leaves no time from now on.
    """
    earliest, latest = (
        builder.find_weekday_start(-MAX_DAYS_FROM_TARGET, review.target),
        builder.find_weekday_end(MAX_DAYS_FROM_TARGET, review.target),
    )
    for career in builder.list_sessions(SessionKind.CAREER):
        start = career.start or career.held_at
        if start is None or not (career.booked or career.held_at):
            continue
        if start <= review.target:
            earliest = max(earliest, builder.find_weekday_start(MIN_DAYS_FROM_CAREER, start))
        else:
            latest = min(latest, builder.find_weekday_end(-MIN_DAYS_FROM_CAREER, start))
    length = timedelta(minutes=review.minutes)
    if latest - max(earliest, builder.now) < length:
        return None
    return cadence.SessionWindow(earliest, review.target, latest)


def _keep_in_window(builder: PlanBuilder, review: Session) -> None:
    """Give a review its present window, which follows from the career sessions.

    It is owed again when its time lies outside, and dropped when it has no window. A time that a person chose stays,
    and so does one that no career session to come is near to (T-19).
    """
    if review.booked and (
        review.by_hand or review.span.start - builder.now <= LAST_HOURS or not _is_near_booked_session(builder, review)
    ):
        return
    if builder.has_pending_change(review.id):
        builder.wake_at(builder.now + RECHECK_SOON)
        return
    window = refresh_review_window(builder, review)
    moved = builder.sessions[review.id]
    if window and moved.booked and not window.earliest <= moved.span.start <= window.latest:
        release_review(builder, moved, "A career session comes too near to this review; it gets another time.")


def _is_near_booked_session(builder: PlanBuilder, review: Session) -> bool:
    """Return whether a career session to come lies less than ten working days from a booked review."""
    start = review.span.start
    first = builder.find_weekday_start(-MIN_DAYS_FROM_CAREER, start)
    last = builder.find_weekday_end(MIN_DAYS_FROM_CAREER, start)
    careers = [s for s in builder.list_sessions(SessionKind.CAREER) if s.booked]
    return any(first < career.span.start < last for career in careers)


def refresh_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """Give a review its present window, and return it. Drop the review and return None when it has none."""
    window = find_review_window(builder, review)
    if window is None:
        drop_review(builder, review, "There is no room for this review; the next brief takes the contract up.")
        return None
    builder.update_session(cadence.move_window(review, window))
    return window


def release_review(builder: PlanBuilder, review: Session, why: str, *, is_gone: bool = False) -> Session:
    """Have a review that lost its time owed, without a deferral: its event moves, and no mail tells of it."""
    owed = builder.update_session(
        review,
        state=SessionState.OWED,
        start=None,
        end=None,
        generation=review.generation + is_gone,
        by_hand=False,
        warned_at=None,
        held_at=None,
    )
    builder.record_session_decision(owed, why)
    return owed


def list_lost_times(builder: PlanBuilder, review: Session) -> tuple[Span, ...]:
    """Return the times that the events of an owed review have or had: it does not get them again."""
    keys = (review.key, replace(review, generation=review.generation - 1).key)
    events = [builder.state.placed_events[key] for key in keys if key in builder.state.placed_events]
    return tuple(event.span for event in events)


def drop_review(builder: PlanBuilder, review: Session, why: str, *, reasons: Reasons | None = None) -> None:
    """Cancel a review and its event; nobody is told. `reasons`: why no time exists, for one that is not added again."""
    take_off_calendar(builder, review)
    dropped = builder.update_session(
        builder.sessions[review.id], state=SessionState.CANCELLED, start=None, end=None, unplaceable=reasons
    )
    builder.record_session_decision(dropped, why)


# --- inside a 1:1 ---


def is_inside_1on1(builder: PlanBuilder, session: Session) -> bool:
    """True for a review that takes place inside a meeting the two have anyway: it never had an event."""
    return session.kind is SessionKind.REVIEW and builder.pair.review is ReviewMode.IN_1ON1 and session.sequence == 0


def is_waiting_for_1on1(builder: PlanBuilder, session: Session) -> bool:
    """True for a review that may still find its 1:1: it never gets an event of its own."""
    return is_inside_1on1(builder, session) and session.owed


def place_reviews_in_1on1s(builder: PlanBuilder) -> None:
    """Give each review that has no event the time of a 1:1."""
    for review in [
        s for s in builder.list_sessions(SessionKind.REVIEW) if is_inside_1on1(builder, s) and (s.owed or s.booked)
    ]:
        _place_review_in_1on1(builder, review)


def _place_review_in_1on1(builder: PlanBuilder, review: Session) -> None:
    """Give a review the time of the next 1:1 from its target on; where there is none in time, of the last before it."""
    near = [
        m.span
        for m in builder.state.meetings
        if review.earliest <= m.span.start <= review.latest and m.span.end > builder.now
    ]
    day = builder.find_weekday_start(0, review.target)
    best = min(near, key=lambda span: (span.start < day, abs(span.start - day), span), default=None)
    if best is not None:
        if not (review.booked and review.span == best):
            taken = builder.update_session(review, state=SessionState.BOOKED, start=best.start, end=best.end)
            builder.record_session_decision(taken, "Takes place inside the 1:1 of that day; no event of its own.")
    elif review.booked and review.span.end > builder.now:
        builder.update_session(review, state=SessionState.OWED, start=None, end=None)
        builder.wake_at(review.latest)
    elif review.owed:
        builder.wake_at(review.latest)  # the 1:1s may not stand that far ahead yet
