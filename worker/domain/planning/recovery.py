"""Recovers sessions from calendar events after the database was restored from a backup. Pure functions.

A session that was booked after the backup is missing in the database, but its event is on the calendar. The event names
the two people and has a key, which contains the id and the generation of the session. The generation is a number that
increases when the event of a session has to be created again. Other details, such as the number of deferrals and the
trigger of an ad hoc session, are not on the calendar and can't be recovered.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from worker.domain.model import Event, PairState, Policy, Session, SessionKind, SessionState, Topic
from worker.domain.planning import cadence

#: The kind of a session by the first letter of its id. Check-ins share the letter of career sessions, but are shorter
#: than any career session.
_KINDS = {kind[0]: kind for kind in (SessionKind.REVIEW, SessionKind.CAREER)}
#: A recovered career session counts as the next regular session when all regular sessions that were not held yet have a
#: time, and end at least this long before it starts. Otherwise it counts as an ad hoc session.
_MIN_DISTANCE = timedelta(weeks=4)


def recover_sessions(state: PairState, events: Sequence[Event], policy: Policy) -> list[Session]:
    """Return the sessions that the state lacks and for which the pair has an event, booked at the event's time.

    `events` are the pair's events on the calendar that are not in the database.

    A session that the state contains is returned, too, when the event is newer than the state: it gets the generation
    and the time of the event.
    """
    sessions = {session.id: session for session in state.sessions}
    recovered: dict[str, Session] = {}
    for event in sorted(events, key=lambda event: (event.span, event.key)):
        session_id, _, generation = (event.key or "").rpartition(".")
        if event.cancelled or event.all_day or session_id[:1] not in _KINDS or not generation.isdecimal():
            continue
        existing = sessions.get(session_id)
        if existing is not None and not _is_newer(int(generation), existing):
            continue
        session = existing or _make_session(state, list(sessions.values()), session_id, event, policy)
        sessions[session_id] = recovered[session_id] = replace(
            session,
            state=SessionState.BOOKED,
            start=event.span.start,
            end=event.span.end,
            generation=int(generation),
            by_hand=False,
            intended=None,
            unplaceable=None,
            offer=None,
        )
    return list(recovered.values())


def _is_newer(generation: int, existing: Session) -> bool:
    """Return whether an event of that generation was created after the existing session was last stored."""
    if existing.is_closed or existing.held_at:
        return False
    # The database does not know the event, which therefore was created after the session was stored as owed.
    is_event_of_owed_session = generation == existing.generation and existing.owed
    return generation > existing.generation or is_event_of_owed_session


def _make_session(
    state: PairState, sessions: Sequence[Session], session_id: str, event: Event, policy: Policy
) -> Session:
    """Return a session for the event, with the kind, cycle and topic that agree best with the other sessions."""
    start, minutes = event.span.start, event.span.minutes
    kind = _KINDS[session_id[0]]
    if kind is SessionKind.CAREER and minutes <= policy.checkin_minutes:
        kind = SessionKind.CHECKIN
    newest_cycle = max((session.cycle for session in sessions), default=1)
    session = Session(
        id=session_id,
        pair=state.pair.id,
        kind=kind,
        cycle=newest_cycle,
        minutes=minutes,
        earliest=start,
        target=start,
        latest=start,
    )
    if kind is not SessionKind.CAREER:
        return session
    regular = cadence.select_regular_sessions(sessions)
    if cadence.meets_in_series(state.pair, start.date(), policy):
        return _place_in_series(session, regular)
    if any(s.end is None or start < s.end + _MIN_DISTANCE for s in regular if not s.held_at):
        return replace(session, adhoc=True)
    if not regular:
        return session
    return replace(session, cycle=max(s.cycle for s in regular) + 1)


def _place_in_series(session: Session, regular: Sequence[Session]) -> Session:
    """Return the session as the next part of the newest series or, if that is complete, as the first part of another.

    A newest cycle with a single combined session (topic `all`) is complete (T-13).
    """
    newest_cycle = max((s.cycle for s in regular), default=0)
    topics = {s.topic for s in regular if s.cycle == newest_cycle}
    is_combined = Topic.ALL in topics
    missing_topics = [topic for topic in cadence.SERIES_TOPICS if topic not in topics and not is_combined]
    if newest_cycle and missing_topics:
        return replace(session, cycle=newest_cycle, topic=missing_topics[0])
    return replace(session, cycle=newest_cycle + 1, topic=cadence.SERIES_TOPICS[0])
