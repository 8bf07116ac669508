"""Sessions that stand on a calendar and not in the database, after the database was restored from a backup. Pure.

Their events carry the key, which names the session and its generation, and the two people. What else a session was
(how often it was deferred, why an ad hoc one was asked for) is not on the calendar, and stays lost.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from worker.domain.model import Event, PairState, Policy, Session, SessionKind, SessionState, Topic
from worker.domain.planning import cadence

#: The first letter of a session's id tells its kind. Check-ins begin like career sessions, and are shorter than any.
_KINDS = {kind[0]: kind for kind in (SessionKind.REVIEW, SessionKind.CAREER)}
#: A conversation that begins this long after the last of the rhythm is the next of the rhythm; otherwise it is ad hoc.
_MIN_DISTANCE = timedelta(weeks=4)


def recover_sessions(state: PairState, events: Sequence[Event], policy: Policy) -> list[Session]:
    """Return the sessions that these events of the pair show and the state lacks, booked at the time of their event.

    A known session whose event was created again gets the generation and the time of the newer event.
    """
    sessions = {session.id: session for session in state.sessions}
    recovered: dict[str, Session] = {}
    for event in sorted(events, key=lambda one: (one.span, one.key)):
        subject, _, generation = (event.key or "").rpartition(".")
        if event.cancelled or event.all_day or subject[:1] not in _KINDS or not generation.isdecimal():
            continue
        known = sessions.get(subject)
        if known is not None and not _is_newer(int(generation), known):
            continue
        session = known or _make_session(state, list(sessions.values()), subject, event, policy)
        sessions[subject] = recovered[subject] = replace(
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


def _is_newer(generation: int, known: Session) -> bool:
    """Whether an event of that generation was created after the session was as we know it."""
    if known.is_closed or known.held_at:
        return False
    return generation > known.generation or (generation == known.generation and known.owed)


def _make_session(state: PairState, sessions: Sequence[Session], subject: str, event: Event, policy: Policy) -> Session:
    start, minutes = event.span.start, event.span.minutes
    kind = _KINDS[subject[0]]
    if kind is SessionKind.CAREER and minutes <= policy.checkin_minutes:
        kind = SessionKind.CHECKIN
    newest = max((session.cycle for session in sessions), default=1)
    session = Session(
        id=subject,
        pair=state.pair.id,
        kind=kind,
        cycle=newest,
        minutes=minutes,
        earliest=start,
        target=start,
        latest=start,
    )
    if kind is not SessionKind.CAREER:
        return session
    regular = cadence.select_regular_sessions(sessions)
    if cadence.is_series(state.pair, start.date(), policy):
        return _place_in_series(session, regular)
    if any(one.end is None or start < one.end + _MIN_DISTANCE for one in regular if not one.held_at):
        return replace(session, adhoc=True)
    return replace(session, cycle=max((one.cycle for one in regular), default=newest - 1) + 1)


def _place_in_series(session: Session, regular: Sequence[Session]) -> Session:
    """Return the session as the next part of the newest series, or as the first of another one (T-13)."""
    newest = max((one.cycle for one in regular), default=0)
    topics = {one.topic for one in regular if one.cycle == newest}
    left = [topic for topic in cadence.SERIES_TOPICS if topic not in topics] if Topic.ALL not in topics else []
    if newest and left:
        return replace(session, cycle=newest, topic=left[0])
    return replace(session, cycle=newest + 1, topic=cadence.SERIES_TOPICS[0])
