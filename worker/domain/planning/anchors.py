"""The rhythm counts from what was really held, and from what is booked before (T-3, T-11, T-13)."""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence, deferrals, series, turns
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.time.worktime import wall_to_utc


def reanchor_sessions(builder: PlanBuilder) -> None:
    """Give every session to come its present window; what no longer lies in its window gets a new time."""
    for session in cadence.select_regular_sessions(list(builder.sessions.values())):
        if cadence.is_later_part(session):
            if session.booked or session.owed:
                series.keep_in_order(builder, builder.sessions[session.id])
            continue
        window = _find_new_window(builder, session) or _make_way_for_adhoc(builder, session)
        if window is None or (session.booked and _follows_owed_session(builder, session)):
            continue
        if builder.has_pending_change(session.id):
            builder.wake_at(builder.now + RECHECK_SOON)
            continue
        moved = builder.update_session(session, earliest=window.earliest, target=window.target, latest=window.latest)
        if moved.booked and not moved.by_hand and _is_outside(moved, window, builder):
            again = builder.update_session(moved, state=SessionState.OWED, start=None, end=None, offer=None)
            builder.record_session_decision(
                again, "The rhythm counts from another day now; it gets a time in its new window."
            )


def refresh_window(builder: PlanBuilder, session: Session) -> Session:
    """An owed session with its present window: what comes before it may just have been given a time, and what was not
    given one in its rhythm takes its turn (T-3a)."""
    left_behind = _may_move(session) and not session.in_turn and _is_left_behind(builder, session)
    window = find_first_window(builder) if left_behind else _find_new_window(builder, session)
    if window is None:
        return session
    return builder.update_session(
        session,
        earliest=window.earliest,
        target=window.target,
        latest=window.latest,
        in_turn=session.in_turn or left_behind,
    )


def find_first_window(builder: PlanBuilder) -> cadence.SessionWindow:
    """The window of a session that follows no other: the pair's turn among its manager's, or after its start."""
    turn = turns.find_turn(builder.pair, builder.state.waiting, builder.now, builder.policy)
    return turns.make_first_window(builder.pair, turn, builder.manager.zone, builder.now, builder.policy)


def _may_move(session: Session) -> bool:
    """Whether its window follows from others: it isn't held, and lost no time yet. That of a later part of a series
    always does."""
    if not cadence.is_regular(session) or not (session.booked or session.owed):
        return False
    return not session.count or cadence.is_later_part(session)


def _find_new_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """Its present window; None when it is the one it has. A session with a turn of its own (T-3a) only makes way for
    an ad hoc conversation, and for a start that is later by now."""
    if not _may_move(session):
        return None
    sessions = list(builder.sessions.values())
    window: cadence.SessionWindow | None
    if session.in_turn:
        window = cadence.keep_clear_of_adhoc(_keep_turn_window(builder, session), sessions)
    else:
        window = cadence.find_window(session, sessions, builder.pair, builder.people, builder.policy)
    return window if window is not None and window.target != session.target else None


def _make_way_for_adhoc(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """T-14: a window at least three weeks after an ad hoc conversation for a session booked less than that after it,
    wherever its target lies; None for any other. It moves by three weeks at most, where there is room."""
    if not _may_move(session) or not session.booked or session.by_hand:
        return None
    start = session.span.start
    adhoc = cadence.list_adhoc_ends(list(builder.sessions.values()))
    ends = [end for end in adhoc if end <= start < end + cadence.CLEAR_OF_ADHOC]
    if not ends:
        return None
    latest = max(session.latest, start + cadence.CLEAR_OF_ADHOC)
    return cadence.SessionWindow(max(ends) + cadence.CLEAR_OF_ADHOC, session.target, latest)


def _follows_owed_session(builder: PlanBuilder, session: Session) -> bool:
    """Whether a session of an earlier cycle has no time just now. Its next time says where this one belongs; to count
    from its old target meanwhile would move this one there, and back."""
    earlier = (s for s in builder.sessions.values() if s.owed and cadence.is_regular(s))
    return any(s.cycle < session.cycle for s in earlier)


def _keep_turn_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow:
    """The window that a session with a turn has; another one when it begins before the pair's start (T-3a)."""
    start = builder.pair.start
    if start is not None and session.earliest < wall_to_utc(builder.manager.zone, start, 0):
        return find_first_window(builder)
    return cadence.SessionWindow(session.earliest, session.target, session.latest)


def _is_left_behind(builder: PlanBuilder, session: Session) -> bool:
    """Whether its day passed without a time."""
    return session.owed and cadence.is_overdue(session, session.target, builder.now)


def _is_outside(session: Session, window: cadence.SessionWindow, builder: PlanBuilder) -> bool:
    start = session.span.start
    return start - builder.now > deferrals.LAST_HOURS and not window.earliest <= start <= window.latest
