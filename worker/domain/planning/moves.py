"""Moves of a session by hand on a web page (R-38): whether the session can be moved, and the move itself.

A move inside the session's window is no deferral (T-11). A move past the window counts as one.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from worker.domain.model import Address, Deferral, DeferralCause, Session, SessionState, Span
from worker.domain.planning import actions, deferrals
from worker.domain.planning.intended_times import read_intended_times
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.proposals import check_time, is_past_window
from worker.domain.planning.reviews import is_inside_1on1
from worker.errors import CalendarUnread, MovedMeanwhile, TimeTaken

#: A session that begins sooner than this can't be moved, since the other person may be on the way already.
MOVE_NOTICE = timedelta(hours=1)


class Obstacle(StrEnum):
    """The reason why a session can't be moved by hand."""

    CANCELLED = "cancelled"
    OVER = "over"
    UNDER_WAY = "under_way"
    TOO_NEAR = "too_near"
    IN_1ON1 = "in_1on1"  #: the session takes place inside a recurring meeting of the two, and moves with that meeting


def find_obstacle(builder: PlanBuilder, session: Session) -> Obstacle | None:
    """Return why the session can't be moved by hand now; None when it can be moved, or is owed and can get a time."""
    if session.state is SessionState.CANCELLED:
        return Obstacle.CANCELLED
    if is_inside_1on1(builder, session):
        return Obstacle.IN_1ON1
    if session.owed:
        return None
    if not session.booked or session.span.end <= builder.now:
        return Obstacle.OVER
    if session.span.start <= builder.now:
        return Obstacle.UNDER_WAY
    return Obstacle.TOO_NEAR if session.span.start < builder.now + MOVE_NOTICE else None


def make_time_version(session: Session) -> str:
    """Return a text that changes whenever the session gets another time or loses its time.

    A form on a page contains the version that was valid when the page was made, so that pressing a button on an
    outdated page has no effect.
    """
    start = int(session.start.timestamp()) if session.booked and session.start else 0
    return f"{session.sequence}.{session.generation}.{start}"


@dataclass(frozen=True, slots=True)
class Press:
    """A press of a button on a page, by which a person chose a time for a session."""

    span: Span
    by: Address
    version: str  #: `make_time_version` of the session when the page was made
    #: Whether both calendars must be free at that time. False when the person accepts the clashes that the page showed.
    must_be_free: bool = True


def move_session(builder: PlanBuilder, session: Session, press: Press, free_busy_builder: PlanBuilder) -> None:
    """Book the session at the chosen time. This is no deferral unless the time is past the window (T-11).

    `free_busy_builder` is a builder of the same state that has the current free/busy and taken times. It is only read.
    A session that has the chosen time already is left unchanged, since both people may have pressed the button.

    Raises MovedMeanwhile when the session has changed since the page was made, TimeTaken when the time is no longer
    free, CalendarUnread when a calendar can't be read, and Refused when the rules do not allow the time.
    """
    if session.booked and session.span == press.span:
        return
    if press.version != make_time_version(session) or find_obstacle(builder, session) is not None:
        raise MovedMeanwhile("The conversation has been moved meanwhile, or is over.")
    if press.must_be_free:
        _require_free(free_busy_builder, session, press.span)
    cause = ""
    if is_past_window(session, press.span):
        deferrals.defer_session(builder, session, DeferralCause.ASKED, by=press.by)
    elif session.booked:
        cause = DeferralCause.MOVED.value
        _record_move(builder, session, press.by)
    moved = actions.book_requested_time(builder, builder.sessions[session.id], press.span, by=press.by, cause=cause)
    # The page showed the person the busy times at the new time. They are intended, and do not clash with the session.
    builder.update_session(moved, intended=read_intended_times(free_busy_builder, moved.key, press.span))


def _require_free(free_busy_builder: PlanBuilder, session: Session, span: Span) -> None:
    """Raise TimeTaken or CalendarUnread unless both calendars are known to be free in the span."""
    checked = check_time(free_busy_builder, session, span)
    if checked.is_busy:
        raise TimeTaken("That time has been taken meanwhile.")
    if checked.is_unread:
        raise CalendarUnread("A calendar can't be read just now.")


def _record_move(builder: PlanBuilder, session: Session, by: Address) -> None:
    """Record who moved the session and which time it had, so that the report can explain the move (R-18).

    The move is kept as a deferral with a negative number, which does not count.
    """
    earlier_moves = [loss for loss in builder.list_time_losses(session.id) if not loss.is_counted]
    builder.add_deferral(
        Deferral(
            session=session.id,
            number=-len(earlier_moves) - 1,
            at=builder.now,
            cause=DeferralCause.MOVED,
            who=by,
            was=session.span,
        )
    )
