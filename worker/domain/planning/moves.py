"""Moving a session by hand from a page (R-38): whether it can move, and the move, which is no deferral (T-11)."""

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

#: A session that begins sooner stays: the other one may be on the way before the calendar tells of the move.
MOVE_NOTICE = timedelta(hours=1)


class Obstacle(StrEnum):
    """Why a session can't be moved by hand."""

    CANCELLED = "cancelled"
    OVER = "over"
    UNDER_WAY = "under_way"
    TOO_NEAR = "too_near"
    IN_1ON1 = "in_1on1"  #: it takes place inside another meeting of the two, and moves with that


def find_obstacle(builder: PlanBuilder, session: Session) -> Obstacle | None:
    """Return why the session can't be moved by hand now; None when it can. One without a time can get one."""
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
    """Return a text that changes whenever the session gets another time or loses the one it has.

    A form sends along the one that its page was made with, so that a press on an old page moves nothing.
    """
    start = int(session.start.timestamp()) if session.booked and session.start else 0
    return f"{session.sequence}.{session.generation}.{start}"


@dataclass(frozen=True, slots=True)
class Press:
    """A time that one of the two pressed on a page."""

    span: Span
    by: Address
    version: str  #: `make_time_version` of the session that the page showed
    is_checked: bool = True  #: both calendars have to be free; else the person knows what stands there


def move_session(builder: PlanBuilder, session: Session, press: Press, calendars: PlanBuilder) -> None:
    """Give the session the time that was pressed, at once and without a deferral (T-11).

    `calendars` is a builder of the same state with the free/busy and the taken times of this moment; nothing is decided
    in it. A session that has that time already stays as it is: it was pressed twice, or by both.

    Raises MovedMeanwhile, TimeTaken and CalendarUnread, and Refused for a time that nobody can choose.
    """
    if session.booked and session.span == press.span:
        return
    if press.version != make_time_version(session) or find_obstacle(builder, session) is not None:
        raise MovedMeanwhile("The conversation has been moved meanwhile, or is over.")
    if press.is_checked:
        _require_free(calendars, session, press.span)
    cause = ""
    if is_past_window(session, press.span):
        deferrals.defer(builder, session, DeferralCause.ASKED, press.by)
    elif session.booked:
        cause = DeferralCause.MOVED.value
        _record_move(builder, session, press.by)
    moved = actions.book_requested_time(builder, builder.sessions[session.id], press.span, press.by, cause)
    # what stands there now is intended, and no conflict
    builder.update_session(moved, intended=read_intended_times(calendars, moved.key, press.span))


def _require_free(calendars: PlanBuilder, session: Session, span: Span) -> None:
    checked = check_time(calendars, session, span)
    if checked.is_taken:
        raise TimeTaken("That time has been taken meanwhile.")
    if checked.is_unread:
        raise CalendarUnread("A calendar can't be read just now.")


def _record_move(builder: PlanBuilder, session: Session, by: Address) -> None:
    """Keep who moved it and from where, so that the report can say why (R-18). The session's count stays."""
    moves = [one for one in builder.list_lost_times(session.id) if not one.is_counted]
    builder.add_deferral(
        Deferral(
            session=session.id,
            number=-len(moves) - 1,
            at=builder.now,
            cause=DeferralCause.MOVED,
            who=by,
            was=session.span,
        )
    )
