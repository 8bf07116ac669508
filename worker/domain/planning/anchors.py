"""The windows of sessions to come: they follow from what was held, and from what is booked before (T-3, T-11, T-13)."""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence, series, turns
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.time.worktime import wall_to_utc


def reanchor_sessions(builder: PlanBuilder) -> None:
    """Give every session to come its present window, and take its time from each that now lies outside."""
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
            owed = builder.update_session(moved, state=SessionState.OWED, start=None, end=None, offer=None)
            builder.record_session_decision(
                owed, "The rhythm counts from another day now; it gets a time in its new window."
            )


def refresh_window(builder: PlanBuilder, session: Session) -> Session:
    """Return an owed session with its present window: the session before it may just have got a time.

    One whose target has passed without a time takes the pair's turn (T-3a).
    """
    takes_turn = _may_move(session) and not session.in_turn and _has_missed_target(builder, session)
    window = find_first_window(builder) if takes_turn else _find_new_window(builder, session)
    if window is None:
        return session
    return builder.update_session(
        session,
        earliest=window.earliest,
        target=window.target,
        latest=window.latest,
        in_turn=session.in_turn or takes_turn,
    )


def find_first_window(builder: PlanBuilder) -> cadence.SessionWindow:
    """Return the window of a session that follows no other: by the pair's turn, or after its start (T-3a)."""
    turn = turns.find_turn(builder.pair, builder.state.waiting, builder.now, builder.policy)
    return turns.make_first_window(builder.pair, turn, builder.manager.zone, builder.now, builder.policy)


def _may_move(session: Session) -> bool:
    """Return whether the session's window follows from other sessions: it is to come, and was not deferred.

    The window of a later part of a series always does.
    """
    if not cadence.is_regular(session) or not (session.booked or session.owed):
        return False
    return not session.count or cadence.is_later_part(session)


def _find_new_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """Return the session's present window; None when that is the one it has.

    A session with a turn (T-3a) gets another window only after an ad hoc conversation, or when the pair's start is
    later by now.
    """
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
    """Return the window of a session that is booked less than three weeks after an ad hoc conversation (T-14).

    It begins three weeks after that conversation, and moves the session by three weeks at most. None for others.
    """
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
    """Return whether a session of an earlier cycle is owed. Where this one belongs follows from the time that it gets;
    to count from its old target until then would move this one twice."""
    earlier = (s for s in builder.sessions.values() if s.owed and cadence.is_regular(s))
    return any(s.cycle < session.cycle for s in earlier)


def _keep_turn_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow:
    """Return the window that a session with a turn has; a new one when it begins before the pair's start (T-3a)."""
    start = builder.pair.start
    if start is not None and session.earliest < wall_to_utc(builder.manager.zone, start, 0):
        return find_first_window(builder)
    return cadence.SessionWindow(session.earliest, session.target, session.latest)


def _has_missed_target(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session is owed, and its target has passed."""
    return session.owed and cadence.is_overdue(session, session.target, builder.now)


def _is_outside(session: Session, window: cadence.SessionWindow, builder: PlanBuilder) -> bool:
    start = session.span.start
    return start - builder.now > LAST_HOURS and not window.earliest <= start <= window.latest
