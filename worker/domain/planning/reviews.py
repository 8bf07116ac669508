"""Plans the monthly reviews of a contract (R-7, T-9).

A review is a short session. It has an event of its own, or takes place inside a 1:1, a recurring meeting of the two
people. A review lies near its target and far from every career session. When that is impossible, the review is dropped,
and the brief of the next career session reminds the manager of the contract. A review that loses its time moves by a
calendar update alone: nothing counts as a deferral, and no mail is sent.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from worker.domain.model import Reasons, ReviewMode, Session, SessionKind, SessionState, Span, Topic
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.planning.session_events import take_off_calendar
from worker.domain.time.worktime import get_local_date

#: The most weekdays between a review and its target (T-9).
MAX_DAYS_FROM_TARGET = 10
#: The fewest weekdays between a review and a career session (T-9).
MIN_DAYS_FROM_CAREER = 10
#: A review is not added when its target is less than this from the target of an existing review.
MIN_TARGET_DISTANCE = timedelta(days=15)


def ensure_reviews(builder: PlanBuilder) -> None:
    """Add the reviews of the last contract. Drop reviews without a contract, without room, or no longer wanted."""
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
    """Return the career session, regular or ad hoc, whose contract was recorded last; None without a contract."""
    contracted = [s for s in builder.list_sessions(SessionKind.CAREER) if s.state is SessionState.CONTRACTED]
    return max((s for s in contracted if s.contracted_at), key=lambda s: (s.contracted_at, s.id), default=None)


def end_reviews(builder: PlanBuilder, why: str) -> None:
    """Cancel every future review, because a new contract replaces the reviewed one. `why` goes into the history."""
    for review in _list_open_reviews(builder):
        drop_review(builder, review, why)


def _list_open_reviews(builder: PlanBuilder) -> list[Session]:
    """Return the reviews that are owed, or booked and still to come."""
    reviews = builder.list_sessions(SessionKind.REVIEW)
    return [s for s in reviews if s.owed or (s.booked and s.span.start > builder.now)]


def _list_due_reviews(builder: PlanBuilder, contract_session: Session, recorded_at: datetime) -> Iterator[Session]:
    """Yield the reviews that the contract still needs, each with its window."""
    until = _find_end_of_reviews(builder, contract_session, recorded_at)
    existing_reviews = [s for s in builder.list_sessions(SessionKind.REVIEW) if s.state is not SessionState.CANCELLED]
    for month, target in enumerate(cadence.list_review_targets(recorded_at, until), 1):
        if any(abs(s.target - target) < MIN_TARGET_DISTANCE for s in existing_reviews):
            continue
        review = _make_review(builder, contract_session, recorded_at, month, target)
        window = find_review_window(builder, review)
        if review.id not in builder.sessions and window is not None:
            yield cadence.set_window(review, window)


def _make_review(
    builder: PlanBuilder, contract_session: Session, recorded_at: datetime, month: int, target: datetime
) -> Session:
    """Return the review of the contract's `month`-th month, counted from 1.

    The id of the review follows from the session, the month, and the number of times that the review of this month was
    cancelled before, because the pair was paused or a career session came near. Planning again gives the same id.
    """
    window = cadence.SessionWindow(target, target, target)  # the caller sets the real window
    minutes = builder.policy.review_minutes
    for cancel_count in range(len(builder.sessions) + 1):
        discriminator = f"{contract_session.id}.{month}.{cancel_count}"
        review = cadence.make_session(
            builder.pair.id,
            SessionKind.REVIEW,
            Topic.ALL,
            cycle=contract_session.cycle,
            minutes=minutes,
            window=window,
            now=recorded_at,
            discriminator=discriminator,
        )
        existing = builder.sessions.get(review.id)
        # A review that was dropped because no time exists keeps its id, so that it is not added again.
        if existing is None or existing.state is not SessionState.CANCELLED or existing.unplaceable:
            break
    return review


def _find_end_of_reviews(builder: PlanBuilder, contract_session: Session, recorded_at: datetime) -> datetime:
    """Return the end of the last day for a review, which is ten weekdays before the next regular session.

    A next session without a time counts with its target. When there is no next session yet, it is assumed one rhythm
    after the contract was recorded.
    """
    regular = cadence.select_regular_sessions(list(builder.sessions.values()))
    starts = [s.start or s.target for s in regular if (s.start or s.owed) and s.id != contract_session.id]
    later_starts = [start for start in starts if start > recorded_at]
    day = get_local_date(builder.manager.zone, recorded_at)
    assumed_start = recorded_at + cadence.compute_rhythm(builder.pair, day, builder.policy)
    return builder.find_weekday_end(-MIN_DAYS_FROM_CAREER, min(later_starts, default=assumed_start))


def find_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """Return the window of a review: within ten weekdays of its target, and ten from every career session (T-9).

    Return None when the part of that window from now on is shorter than the review.
    """
    earliest = builder.find_weekday_start(-MAX_DAYS_FROM_TARGET, review.target)
    latest = builder.find_weekday_end(MAX_DAYS_FROM_TARGET, review.target)
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
    """Give a review its current window, which follows from the career sessions around it.

    The review becomes owed when its time lies outside the window, and is dropped when it has no window. A booked review
    stays as it is when a person chose its time, when it is in its last hours, or when no booked career session is near
    (T-19).
    """
    if review.booked:
        is_in_last_hours = review.span.start - builder.now <= LAST_HOURS
        if review.by_hand or is_in_last_hours or not _is_near_booked_session(builder, review):
            return
    if builder.has_pending_change(review.id):
        builder.plan_again_at(builder.now + RECHECK_SOON)
        return
    window = refresh_review_window(builder, review)
    updated = builder.sessions[review.id]
    if window and updated.booked and not window.earliest <= updated.span.start <= window.latest:
        release_review(builder, updated, "A career session comes too near, so the review gets another time.")


def _is_near_booked_session(builder: PlanBuilder, review: Session) -> bool:
    """Return whether a booked career session lies at most ten weekdays from the booked review."""
    start = review.span.start
    first = builder.find_weekday_start(-MIN_DAYS_FROM_CAREER, start)
    last = builder.find_weekday_end(MIN_DAYS_FROM_CAREER, start)
    careers = [s for s in builder.list_sessions(SessionKind.CAREER) if s.booked]
    return any(first < career.span.start < last for career in careers)


def refresh_review_window(builder: PlanBuilder, review: Session) -> cadence.SessionWindow | None:
    """Give a review its current window, and return the window. Drop the review and return None if it has none."""
    window = find_review_window(builder, review)
    if window is None:
        drop_review(builder, review, "There is no room for this review; the next brief takes the contract up.")
        return None
    builder.update_session(cadence.set_window(review, window))
    return window


def release_review(builder: PlanBuilder, review: Session, why: str, *, needs_new_key: bool = False) -> Session:
    """Make a review that lost its time owed, without a deferral. `why` goes into the history.

    `needs_new_key` means that the present event can't be used any more, so that the next event gets another key.
    """
    owed = builder.update_session(
        review,
        state=SessionState.OWED,
        start=None,
        end=None,
        generation=review.generation + (1 if needs_new_key else 0),
        by_hand=False,
        warned_at=None,
        held_at=None,
    )
    builder.record_session_decision(owed, why)
    return owed


def list_previous_event_times(builder: PlanBuilder, review: Session) -> tuple[Span, ...]:
    """Return the times of the present and the previous event of an owed review, which it must not get again."""
    keys = (review.key, replace(review, generation=review.generation - 1).key)
    events = [builder.state.placed_events[key] for key in keys if key in builder.state.placed_events]
    return tuple(event.span for event in events)


def drop_review(builder: PlanBuilder, review: Session, why: str, *, reasons: Reasons | None = None) -> None:
    """Cancel a review and its event without telling anybody. `why` goes into the history.

    `reasons` says why no time exists for the review. A review that is dropped with reasons is not added again.
    """
    take_off_calendar(builder, review)
    dropped = builder.update_session(
        builder.sessions[review.id], state=SessionState.CANCELLED, start=None, end=None, unplaceable=reasons
    )
    builder.record_session_decision(dropped, why)


# --- inside a 1:1 ---


def is_inside_1on1(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session is a review inside a 1:1: the pair has that mode, and no event was ever written."""
    return session.kind is SessionKind.REVIEW and builder.pair.review is ReviewMode.IN_1ON1 and session.sequence == 0


def is_waiting_for_1on1(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session is an owed review inside a 1:1, which never gets an event of its own."""
    return is_inside_1on1(builder, session) and session.owed


def place_reviews_in_1on1s(builder: PlanBuilder) -> None:
    """Give each open review that takes place inside a 1:1 the time of a suitable 1:1."""
    for review in builder.list_sessions(SessionKind.REVIEW):
        if is_inside_1on1(builder, review) and (review.owed or review.booked):
            _place_review_in_1on1(builder, review)


def _place_review_in_1on1(builder: PlanBuilder, review: Session) -> None:
    """Give a review the time of the first 1:1 from its target day on or, if there is none, of the last 1:1 before."""
    candidates = [
        meeting.span
        for meeting in builder.state.meetings
        if review.earliest <= meeting.span.start <= review.latest and meeting.span.end > builder.now
    ]
    target_day = builder.find_weekday_start(0, review.target)
    best = min(candidates, key=lambda span: (span.start < target_day, abs(span.start - target_day), span), default=None)
    if best is not None:
        if not (review.booked and review.span == best):
            booked = builder.update_session(review, state=SessionState.BOOKED, start=best.start, end=best.end)
            builder.record_session_decision(booked, "The review takes place inside the 1:1 of that day.")
    elif review.booked and review.span.end > builder.now:
        builder.update_session(review, state=SessionState.OWED, start=None, end=None)
        builder.plan_again_at(review.latest)  # see below
    elif review.owed:
        # A suitable 1:1 may still be added to the calendar. At the end of its window, the review is dropped.
        builder.plan_again_at(review.latest)
