"""The parts of a series stay in order, whatever changes one of them (T-13).

A part comes five to ten working days after the part before it. When that one gets another time, by us, by hand or for
want of a time, the parts that follow get new times; that is no deferral of theirs.
"""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.planning.session_events import take_off_calendar


def is_waiting(builder: PlanBuilder, session: Session) -> bool:
    """Return whether a part before it is owed, so that this part can't have a time either."""
    return any(part.owed for part in cadence.list_parts_before(session, list(builder.sessions.values())))


def keep_in_order(builder: PlanBuilder, session: Session) -> None:
    """Give a later part its present window, and take its time away when it no longer follows the part before it."""
    before = cadence.list_parts_before(session, list(builder.sessions.values()))
    if not before:
        return
    if any(part.owed for part in before):
        without_time = [part for part in before if part.owed and part.unplaceable]
        if without_time and session.booked:
            _release_time(builder, session, "The part of the series before it has no time.", is_shown=False)
        return
    window = cadence.make_part_window(before, builder.people)
    if window.target != session.target:
        follows = _may_keep_time(session, before, window)
        if session.booked and not follows and builder.has_pending_change(session.id):
            builder.wake_at(builder.now + RECHECK_SOON)
            return
        latest = window.latest if not session.count else max(window.latest, session.latest)
        session = builder.update_session(session, earliest=window.earliest, target=window.target, latest=latest)
    elif session.booked and session.by_hand:
        follows = session.span.start >= cadence.find_end(before)
    else:
        return
    if session.booked and not follows:
        _release_time(builder, session, "The part of the series before it has another time; this one comes after it.")


def _may_keep_time(session: Session, before: list[Session], window: cadence.SessionWindow) -> bool:
    """Return whether a booked part may keep its time, because it lies in its window.

    One that was deferred may lie later, and one that a person put there only has to come after the part before it.
    """
    if not session.booked:
        return True
    start = session.span.start
    if session.by_hand:
        return start >= cadence.find_end(before)
    return window.earliest <= start and (session.count > 0 or start <= window.latest)


def _release_time(builder: PlanBuilder, session: Session, why: str, *, is_shown: bool = True) -> None:
    """Take a part's time away without a deferral, unless it begins within hours. `is_shown`: its event stays on the
    calendar until it moves to the new time."""
    if session.span.start - builder.now <= LAST_HOURS:
        return
    if builder.has_pending_change(session.id):
        builder.wake_at(builder.now + RECHECK_SOON)
        return
    owed = builder.update_session(
        session, state=SessionState.OWED, start=None, end=None, by_hand=False, warned_at=None, offer=None
    )
    builder.record_session_decision(owed, why)
    if not is_shown:
        take_off_calendar(builder, owed)
