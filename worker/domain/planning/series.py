"""Keeps the three parts of a series of sessions in order when the time of one part changes (T-13).

A part takes place five to ten weekdays after the part before it. When a part gets another time or loses its time, for
whatever reason, the later parts get new times. The later parts are not deferred by that: no deferral is counted.
"""

from worker.domain.model import Session, SessionState
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import LAST_HOURS, RECHECK_SOON, PlanBuilder
from worker.domain.planning.session_events import take_off_calendar


def is_waiting(builder: PlanBuilder, session: Session) -> bool:
    """Return whether an earlier part of the session's series is owed, so that the session can't have a time yet."""
    return any(part.owed for part in cadence.list_earlier_parts(session, list(builder.sessions.values())))


def keep_in_order(builder: PlanBuilder, session: Session) -> None:
    """Give a later part its current window, and make the part owed when it no longer follows the part before it."""
    earlier_parts = cadence.list_earlier_parts(session, list(builder.sessions.values()))
    if not earlier_parts:
        return
    if any(part.owed for part in earlier_parts):
        # An earlier part that is owed usually gets a time soon. If no time exists for it, this part can't keep its own.
        unplaceable_parts = [part for part in earlier_parts if part.owed and part.unplaceable]
        if unplaceable_parts and session.booked:
            _release_time(builder, session, "The part of the series before it has no time.", keeps_event=False)
        return
    window = cadence.make_part_window(earlier_parts, builder.manager.zone)
    if window.target != session.target:
        keeps_time = _may_keep_time(session, earlier_parts, window)
        if session.booked and not keeps_time and builder.has_pending_change(session.id):
            builder.plan_again_at(builder.now + RECHECK_SOON)
            return
        was_deferred = session.count > 0
        latest = max(window.latest, session.latest) if was_deferred else window.latest
        session = builder.update_session(session, earliest=window.earliest, target=window.target, latest=latest)
    elif session.booked and session.by_hand:
        # The window is counted in days. Within its day, the part before may have moved behind the start of this one.
        keeps_time = session.span.start >= cadence.find_end_of_parts(earlier_parts)
    else:
        return
    if session.booked and not keeps_time:
        _release_time(builder, session, "The part before it has another time, so this part gets a new time as well.")


def _may_keep_time(session: Session, earlier_parts: list[Session], window: cadence.SessionWindow) -> bool:
    """Return whether the part may keep the time that it has, because this time lies in the window.

    A deferred part may also lie after its window. A part whose time a person chose only has to come after the earlier
    parts.
    """
    if not session.booked:
        return True
    start = session.span.start
    if session.by_hand:
        return start >= cadence.find_end_of_parts(earlier_parts)
    was_deferred = session.count > 0
    return window.earliest <= start and (was_deferred or start <= window.latest)


def _release_time(builder: PlanBuilder, session: Session, why: str, *, keeps_event: bool = True) -> None:
    """Make a booked part owed without a deferral, unless it begins within the next four hours.

    With `keeps_event`, the event stays on the calendar until the part has a new time. Otherwise the event is cancelled.
    """
    if session.span.start - builder.now <= LAST_HOURS:
        return
    if builder.has_pending_change(session.id):
        builder.plan_again_at(builder.now + RECHECK_SOON)
        return
    owed = builder.update_session(
        session, state=SessionState.OWED, start=None, end=None, by_hand=False, warned_at=None, offer=None
    )
    builder.record_session_decision(owed, why)
    if not keeps_event:
        take_off_calendar(builder, owed)
