"""The rhythm counts from what was really held, and from what is booked before (T-3, T-11, T-13)."""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence, deferrals
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder


def reanchor_sessions(builder: PlanBuilder) -> None:
    """Give every session to come its present window; what no longer lies in its window gets a new time."""
    for session in cadence.select_regular_sessions(list(builder.sessions.values())):
        window = _find_new_window(builder, session)
        if window is None:
            continue
        if builder.has_pending_change(session.id):
            builder.wake_at(builder.now + RECHECK_SOON)
            continue
        moved = builder.update_session(session, earliest=window.earliest, target=window.target, latest=window.latest)
        if moved.booked and not moved.by_hand and _is_outside(moved, window, builder):
            again = builder.update_session(moved, state=SessionState.OWED, start=None, end=None, options=())
            builder.record_session_decision(
                again, "The rhythm counts from another day now; it gets a time in its new window."
            )


def refresh_window(builder: PlanBuilder, session: Session) -> Session:
    """An owed session with its present window: what comes before it may just have been given a time."""
    window = _find_new_window(builder, session)
    if window is None:
        return session
    return builder.update_session(session, earliest=window.earliest, target=window.target, latest=window.latest)


def _find_new_window(builder: PlanBuilder, session: Session) -> cadence.SessionWindow | None:
    """The window of a regular session that isn't held and lost no time yet; None when it is the one it has."""
    if not cadence.is_regular(session) or not (session.booked or session.owed) or session.count:
        return None
    window = cadence.find_window(session, list(builder.sessions.values()), builder.pair, builder.people, builder.policy)
    return cadence.extend_window(window, builder.now, session.topic) if window.target != session.target else None


def _is_outside(session: Session, window: cadence.SessionWindow, builder: PlanBuilder) -> bool:
    start = session.span.start
    return start - builder.now > deferrals.LAST_HOURS and not window.earliest <= start <= window.latest
