"""The rhythm counts from what was really held, and from what is booked before (T-3, T-11, T-13)."""

from worker.domain.model import Session, State
from worker.domain.planning import cadence, deferrals
from worker.domain.planning.plan_builder import SOON, Planning


def re_anchor(p: Planning) -> None:
    """Give every session to come its present window; what no longer lies in its window gets a new time."""
    for session in cadence.regular(list(p.sessions.values())):
        window = _new_window(p, session)
        if window is None:
            continue
        if p.in_flight(session.id):
            p.wake(p.now + SOON)
            continue
        moved = p.put(session, earliest=window.earliest, target=window.target, latest=window.latest)
        if moved.booked and not moved.by_hand and _outside(moved, window, p):
            again = p.put(moved, state=State.OWED, start=None, end=None, options=())
            p.decide_session(again, "The rhythm counts from another day now; it gets a time in its new window.")


def refresh_window(p: Planning, session: Session) -> Session:
    """An owed session with its present window: what comes before it may just have been given a time."""
    window = _new_window(p, session)
    if window is None:
        return session
    return p.put(session, earliest=window.earliest, target=window.target, latest=window.latest)


def _new_window(p: Planning, session: Session) -> cadence.Window | None:
    """The window of a regular session that isn't held and lost no time yet; None when it is the one it has."""
    if not cadence.is_regular(session) or not (session.booked or session.owed) or session.count:
        return None
    window = cadence.window_of(session, list(p.sessions.values()), p.pair, p.people, p.policy)
    return cadence.still_open(window, p.now, session.topic) if window.target != session.target else None


def _outside(session: Session, window: cadence.Window, p: Planning) -> bool:
    start = session.span.start
    return start - p.now > deferrals.LAST_HOURS and not window.earliest <= start <= window.latest
