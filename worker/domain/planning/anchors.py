"""Keeps the windows of future sessions up to date.

The window of a session, the days in which it belongs, follows from the session before it: from the day on which that
session was held or is booked (T-3, T-11, T-13). That day is the anchor.
"""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence, series, turns
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.time.worktime import find_midnight


def reanchor_sessions(builder: PlanBuilder) -> None:
    """Give every future regular session its current window. A session with a time outside its window becomes owed.

    A session keeps its window while a change to its event is decided but not finished.
    """
    for session in cadence.select_regular_sessions(list(builder.sessions.values())):
        if cadence.is_later_part(session):
            if session.booked or session.owed:
                series.keep_in_order(builder, builder.sessions[session.id])
            continue
        window = _find_new_window(builder, session) or _find_window_clear_of_adhoc(builder, session)
        if window is None or (session.booked and _follows_owed_session(builder, session)):
            continue
        if builder.has_pending_change(session.id):
            builder.plan_again_at(builder.now + RECHECK_SOON)
            continue
        updated = builder.update_session(cadence.set_window(session, window))
        if updated.booked and not updated.by_hand and _is_outside(updated, window, builder):
            owed = builder.update_session(updated, state=SessionState.OWED, start=None, end=None, offer=None)
            builder.record_session_decision(
                owed, "The rhythm counts from another day now, so the session gets a time in its new window."
            )


def refresh_window(builder: PlanBuilder, session: Session) -> Session:
    """Return the owed session with its current window, because the session before it may just have received a time.

    A session whose target has passed gets the window of the pair's turn instead (T-3a).
    """
    takes_turn = _has_derived_window(session) and not session.in_turn and _has_missed_target(builder, session)
    window = find_turn_window(builder) if takes_turn else _find_new_window(builder, session)
    if window is None:
        return session
    return builder.update_session(cadence.set_window(session, window), in_turn=session.in_turn or takes_turn)


def find_turn_window(builder: PlanBuilder) -> cadence.SessionWindow:
    """Return the window that the pair's turn or its recent start gives (T-3a).

    It is for a session that can't follow an earlier one: the pair's first session, or one whose target has passed.
    """
    turn = turns.find_turn(builder.pair, builder.state.waiting_pairs, builder.now, builder.policy)
    return turns.make_turn_window(builder.pair, turn, builder.manager.zone, builder.now, builder.policy)


def _has_derived_window(session: Session) -> bool:
    """Return whether the window of the session is derived from other sessions, and changes with them.

    That holds for a regular session that is owed or booked and has never been deferred. It also holds for a deferred
    later part of a series.
    """
    if not cadence.is_regular(session) or not (session.booked or session.owed):
        return False
    was_deferred = session.count > 0
    return not was_deferred or cadence.is_later_part(session)


def _find_new_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """Return the window that the session should have now; None when the session has that window already.

    A session with a turn (`in_turn`) gets another window only because of an ad hoc session, or because the pair's start
    was moved to a later day (T-3a).
    """
    if not _has_derived_window(session):
        return None
    sessions = list(builder.sessions.values())
    window: cadence.SessionWindow | None
    if session.in_turn:
        window = cadence.move_clear_of_adhoc(_refresh_turn_window(builder, session), sessions)
    else:
        window = cadence.find_window(session, sessions, builder.pair, builder.manager.zone, builder.policy)
    # Only the targets are compared, because the end of a window may have been extended to the session's booked time.
    return window if window is not None and window.target != session.target else None


def _find_window_clear_of_adhoc(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """Return a later window for a session that is booked less than three weeks after an ad hoc session (T-14).

    The window begins three weeks after the ad hoc session, so that the session moves by three weeks at most. Return
    None for a session that need not move.
    """
    if not _has_derived_window(session) or not session.booked or session.by_hand:
        return None
    start = session.span.start
    adhoc_ends = cadence.list_adhoc_ends(list(builder.sessions.values()))
    near_ends = [end for end in adhoc_ends if end <= start < end + cadence.CLEAR_OF_ADHOC]
    if not near_ends:
        return None
    latest = max(session.latest, start + cadence.CLEAR_OF_ADHOC)
    return cadence.SessionWindow(max(near_ends) + cadence.CLEAR_OF_ADHOC, session.target, latest)


def _follows_owed_session(builder: PlanBuilder, session: Session) -> bool:
    """Return whether a session of an earlier cycle is owed.

    The given session then keeps its window until the earlier session has a time. If the window were computed from the
    target of the earlier session at once, the given session would move twice.
    """
    owed = (s for s in builder.sessions.values() if s.owed and cadence.is_regular(s))
    return any(s.cycle < session.cycle for s in owed)


def _refresh_turn_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow:
    """Return the present window of a session with a turn, or a new window if that begins before the pair's start."""
    start = builder.pair.start
    if start is not None and session.earliest < find_midnight(builder.manager.zone, start):
        return find_turn_window(builder)
    return cadence.SessionWindow(session.earliest, session.target, session.latest)


def _has_missed_target(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session is owed and overdue: its target has passed."""
    return session.owed and cadence.is_overdue(session, target=session.target, now=builder.now)


def _is_outside(session: Session, window: cadence.SessionWindow, builder: PlanBuilder) -> bool:
    """Return whether the session starts outside the window.

    Return False for a session that starts within the next four hours, because it keeps its time (T-10).
    """
    start = session.span.start
    return start - builder.now > LAST_HOURS and not window.earliest <= start <= window.latest
