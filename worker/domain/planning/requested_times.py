"""What becomes of another time that a guest proposes with an answer: it is taken when it fits the rules, and answered
by moving the event; otherwise the session is deferred, and the wish says near what it is placed (R-8, R-9; T-2, T-11).
"""

from worker.domain.model import Address, Cause, Kind, Placed, Session, Span
from worker.domain.planning.deferrals import LAST_HOURS, defer
from worker.domain.planning.placement import Try, search_for, show_on_calendar
from worker.domain.planning.plan_builder import Planning
from worker.domain.time.slots import rank

#: No longer than a career session may be (T-1).
LONGEST = 90


def consider(p: Planning) -> set[str]:
    """Answer each wish. The sessions that have to wait, because calendars can't be asked just now."""
    waiting: set[str] = set()
    for session in [s for s in p.sessions.values() if s.booked and not p.in_flight(s.id)]:
        placed = p.find_event(session.key)
        if placed is None or not placed.proposed or not placed.span == placed.written == session.span:
            continue
        who, wish = min(placed.proposed.items(), key=lambda one: (one[1], one[0]))
        if wish == session.span:
            continue
        fits = _fits(p, session, wish)
        if fits is None:
            waiting.add(session.id)
        elif fits:
            _take(p, session, placed, who, wish)
        else:
            p.wishes[session.id] = wish
            p.acknowledge(placed)
            defer(p, session, Cause.DECLINED, who, detail="the time proposed instead does not fit")
    return waiting


def _fits(p: Planning, session: Session, wish: Span) -> bool | None:
    """Whether it is a time that we might have given, buffers aside; None when nobody can tell just now."""
    career = session.kind is Kind.CAREER
    right_length = p.policy.min_minutes <= wish.minutes <= LONGEST if career else wish.minutes == session.minutes
    if not right_length or wish.start - p.now <= LAST_HOURS or wish.start > max(session.latest, session.span.start):
        return False
    known = p.free_busy(p.people, wish)
    if known is None:
        return None
    slots = rank(search_for(p, session, known, Try(wish.minutes, wish, buffer=False)))
    return bool(slots) and slots[0].span == wish


def _take(p: Planning, session: Session, placed: Placed, who: Address, wish: Span) -> None:
    p.acknowledge(placed)
    moved = p.put(
        session,
        start=wish.start,
        end=wish.end,
        sequence=session.sequence + 1,
        by_hand=True,
        warned_at=None,
        options=(),
    )
    show_on_calendar(p, moved)
    p.decide_session(moved, f"{who} proposed this time, and it fits.", cause="proposed", who=who)
