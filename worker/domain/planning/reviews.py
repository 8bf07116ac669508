"""The monthly review of a contract: as an event of its own, or inside the 1:1 the two have anyway (R-7, T-9).

A review lives near its day and far from every career session. Where it can't, it is dropped, and the next brief takes
the contract up. One that loses its time moves by a calendar update alone: it is no deferral, and no mail tells of it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.model import Reasons, ReviewMode, Session, SessionKind, SessionState, Span, Topic
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.session_events import take_off_calendar
from worker.domain.time.worktime import get_local_date

#: So many working days a review may lie from its day, and so many at least from a career session.
REACH = 10
#: A review that is there already takes the place of one whose day is so near.
SAME_REVIEW = timedelta(days=15)
#: Inside so long before it, a review stays where it is.
LAST_MOMENT = timedelta(hours=4)


def ensure_reviews(builder: PlanBuilder) -> None:
    """Have the reviews of the last contract owed, and drop those that have no reason or no room any more."""
    contract = find_reviewed_session(builder)
    for review in _list_open_reviews(builder):
        if contract is None:
            drop_review(builder, review, "There is no contract to review.")
        elif builder.pair.review is ReviewMode.NONE:
            drop_review(builder, review, "The pair has no reviews any more.")
        else:
            _keep_in_window(builder, review)
    if contract is not None and contract.contracted_at and builder.pair.review is not ReviewMode.NONE:
        for review in _list_due_reviews(builder, contract, contract.contracted_at):
            builder.update_session(review)


def find_reviewed_session(builder: PlanBuilder) -> Session | None:
    """The session with the contract that was recorded last; an ad hoc one has reviews too. None without a contract."""
    recorded = [s for s in builder.list_sessions(SessionKind.CAREER) if s.state is SessionState.CONTRACTED]
    return max((s for s in recorded if s.contracted_at), key=lambda s: (s.contracted_at, s.id), default=None)


def end_reviews(builder: PlanBuilder, why: str) -> None:
    """Cancel every review to come: another contract takes the place of the one they look at."""
    for review in _list_open_reviews(builder):
        drop_review(builder, review, why)


def _list_open_reviews(builder: PlanBuilder) -> list[Session]:
    reviews = builder.list_sessions(SessionKind.REVIEW)
    return [s for s in reviews if s.owed or (s.booked and s.span.start > builder.now)]


def _list_due_reviews(builder: PlanBuilder, contract: Session, recorded_at: datetime) -> Iterator[Session]:
    """The reviews that are wanted and not there yet, each with its window."""
    until = _find_last_review_day(builder, contract, recorded_at)
    known = [s for s in builder.list_sessions(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]
    for month, target in enumerate(cadence.list_review_days(recorded_at, until), 1):
        if any(abs(s.target - target) < SAME_REVIEW for s in known):
            continue
        review = _make_review(builder, contract, recorded_at, month, target)
        window = find_review_window(builder, review)
        if review.id not in builder.sessions and window is not None:
            yield cadence.move_window(review, window)


def _make_review(
    builder: PlanBuilder, contract: Session, recorded_at: datetime, month: int, target: datetime
) -> Session:
    """The review of that month. The same contract has the same reviews: the id follows from both, and from how often
    that month's review was taken off because the pair paused, or because a career session came near and went again."""
    window = cadence.SessionWindow(target, target, target)
    minutes = builder.policy.review_minutes
    for again in range(len(builder.sessions) + 1):
        mark = f"{contract.id}.{month}.{again}"
        review = cadence.make_session(
            builder.pair.id, SessionKind.REVIEW, Topic.ALL, contract.cycle, minutes, window, recorded_at, mark
        )
        known = builder.sessions.get(review.id)
        if known is None or known.state is not SessionState.CANCELLED or known.unplaceable:
            break
    return review


def _find_last_review_day(builder: PlanBuilder, contract: Session, recorded_at: datetime) -> datetime:
    """Ten working days before the next session of the rhythm: before its time or, while it has
    none, its target; or before the day the rhythm gives."""
    zone = builder.manager.zone
    regular = cadence.select_regular_sessions(list(builder.sessions.values()))
    times = [s.start or s.target for s in regular if (s.start or s.owed) and s.id != contract.id]
    starts = [start for start in times if start > recorded_at]
    day = get_local_date(zone, recorded_at)
    following = min(starts, default=recorded_at + cadence.compute_rhythm(builder.pair, day, builder.policy))
    return builder.find_weekday_end(-REACH, following)


def find_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """T-9: within ten working days of its day, and at least ten from every career session; None where that leaves
    nothing from now on."""
    earliest, latest = builder.find_weekday_start(-REACH, review.target), builder.find_weekday_end(REACH, review.target)
    for career in builder.list_sessions(SessionKind.CAREER):
        start = career.start or career.held_at
        if start is None or not (career.booked or career.held_at):
            continue
        if start <= review.target:
            earliest = max(earliest, builder.find_weekday_start(REACH, start))
        else:
            latest = min(latest, builder.find_weekday_end(-REACH, start))
    length = timedelta(minutes=review.minutes)
    if latest - max(earliest, builder.now) < length:
        return None
    return cadence.SessionWindow(earliest, review.target, latest)


def _keep_in_window(builder: PlanBuilder, review: Session) -> None:
    """Follow the career sessions: a review gets its present window, another time when it lies outside, or is dropped.
    What a person chose stays, and so does what no session to come is near to (T-19)."""
    if review.booked and (
        review.by_hand or review.span.start - builder.now <= LAST_MOMENT or not _is_near_booked_session(builder, review)
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
    """Whether a career session to come lies less than ten working days from a booked review."""
    start = review.span.start
    first, last = builder.find_weekday_start(-REACH, start), builder.find_weekday_end(REACH, start)
    careers = [s for s in builder.list_sessions(SessionKind.CAREER) if s.booked]
    return any(first < career.span.start < last for career in careers)


def refresh_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """Give a review its present window; where there is none, it is dropped, and None comes back."""
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
    """Where the event of a review without a time still stands, or stood: it is not put there again."""
    keys = (review.key, replace(review, generation=review.generation - 1).key)
    events = [builder.state.placed_events[key] for key in keys if key in builder.state.placed_events]
    return tuple(event.span for event in events)


def drop_review(builder: PlanBuilder, review: Session, why: str, *, reasons: Reasons | None = None) -> None:
    """End a review that is not to take place: its event goes, and nobody is told. `reasons`: why no time exists, for
    one that is not wanted again."""
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
    """The next 1:1 from its day on; where none follows in time, the last one before it."""
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
