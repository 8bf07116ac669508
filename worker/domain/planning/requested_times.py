"""Answers a requested time: another time for a session that a guest proposed in the calendar.

When the requested time fits the rules, the session and its event are moved to it (R-9, T-11). Otherwise the session is
deferred, and gets a time near the requested one (R-8).
"""

from worker.domain.model import Address, DeferralCause, PlacedEvent, Session, SessionKind, Span
from worker.domain.planning import cadence
from worker.domain.planning.deferrals import defer_session, find_last_allowed_start
from worker.domain.planning.placement import SearchAttempt, make_search
from worker.domain.planning.plan_builder import LAST_HOURS, PlanBuilder
from worker.domain.planning.session_events import show_on_calendar
from worker.domain.time.slots import rank_slots

#: The longest career session (T-1).
MAX_CAREER_MINUTES = 90


def answer_requested_times(builder: PlanBuilder) -> set[str]:
    """Answer each time that a guest proposed. Return the ids of sessions whose answer waits for free/busy."""
    waiting: set[str] = set()
    for session in [s for s in builder.sessions.values() if s.booked and not builder.has_pending_change(s.id)]:
        placed = builder.find_event(session.key)
        if placed is None or not placed.proposed:
            continue
        # An event that somebody moved since it was written is not up to date.
        is_up_to_date = placed.span == placed.written_span == session.span
        if not is_up_to_date:
            continue
        # Of several proposed times, the earliest is answered.
        requested_time, guest = min((time, guest) for guest, time in placed.proposed.items())
        if requested_time == session.span:
            continue
        fits = _is_acceptable(builder, session, requested_time)
        if fits is None:
            waiting.add(session.id)
        elif fits:
            _accept_time(builder, session, placed, requested_time, proposed_by=guest)
        else:
            builder.requested_times[session.id] = requested_time
            builder.accept_move(placed)
            detail = "the time proposed instead does not fit"
            defer_session(builder, session, DeferralCause.DECLINED, by=guest, detail=detail)
    return waiting


def _is_acceptable(builder: PlanBuilder, session: Session, requested_time: Span) -> bool | None:
    """Return whether the requested time fits all rules except for buffers; None while the calendars are not read.

    The time has to be of the right length, neither within the next four hours nor past the window, not before the end
    of an earlier part of the series, and free for both people.
    """
    is_too_soon = requested_time.start - builder.now <= LAST_HOURS
    is_past_window = requested_time.start > find_last_allowed_start(session)
    sessions = list(builder.sessions.values())
    is_out_of_order = cadence.is_before_earlier_part(requested_time.start, session, sessions)
    if is_too_soon or is_past_window or is_out_of_order or not _has_right_length(builder, session, requested_time):
        return False
    free_busy = builder.get_free_busy(builder.people, requested_time)
    if free_busy is None:
        return None
    # The window of the search is the requested time itself, so that no other slot can be found.
    attempt = SearchAttempt(requested_time.minutes, requested_time, has_buffer=False)
    slots = rank_slots(make_search(builder, session, free_busy, attempt))
    return bool(slots) and slots[0].span == requested_time


def _has_right_length(builder: PlanBuilder, session: Session, requested_time: Span) -> bool:
    """Return whether the length is allowed for a career session, or is the session's own length for other kinds."""
    if session.kind is SessionKind.CAREER:
        return builder.policy.min_minutes <= requested_time.minutes <= MAX_CAREER_MINUTES
    return requested_time.minutes == session.minutes


def _accept_time(
    builder: PlanBuilder, session: Session, placed: PlacedEvent, requested_time: Span, *, proposed_by: Address
) -> None:
    """Move the session and its event to the requested time."""
    builder.accept_move(placed)
    moved = builder.update_session(
        session,
        start=requested_time.start,
        end=requested_time.end,
        sequence=session.sequence + 1,
        by_hand=True,
        intended=None,
        warned_at=None,
        offer=None,
    )
    show_on_calendar(builder, moved)
    reason = f"{proposed_by} proposed this time, and it fits."
    builder.record_session_decision(moved, reason, cause="proposed", who=proposed_by)
