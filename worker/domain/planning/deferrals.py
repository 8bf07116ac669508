"""What calendars tell about booked sessions, and what follows from it (R-8, R-9, R-10; T-1, T-10, T-11, T-12)."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import (
    Address,
    Answer,
    Busy,
    Cause,
    Deferral,
    Kind,
    MailName,
    Person,
    Placed,
    Session,
    Show,
    Span,
    State,
    What,
)
from worker.domain.planning.plan_builder import DAILY, HALF_DAILY, SOON, Planning, last_look
from worker.domain.planning.reviews import inside
from worker.domain.time.worktime import holiday, spells, today

LAST_HOURS = timedelta(hours=4)
SOON_HOURS = timedelta(hours=48)
WARNING = timedelta(hours=24)

IN_WORDS = {
    Cause.DECLINED: "declined",
    Cause.DELETED: "taken off the calendar",
    Cause.MOVED_OUT: "moved out of its window or made too short",
    Cause.BOOKED_OVER: "booked over",
    Cause.OUT_OF_OFFICE: "somebody is out of office then",
    Cause.HOLIDAY: "the day is a public holiday",
    Cause.NOT_HELD: "it did not take place",
    Cause.ASKED: "another time was asked for",
}


def observe(p: Planning, but: Collection[str] = ()) -> None:
    """Compare each booked session with its event, and defer, accept or warn; those sessions aside."""
    for session in [s for s in p.sessions.values() if s.booked and s.id not in but]:
        if inside(p, session):
            continue  # there is no event to see
        placed = p.state.placed.get(session.key)
        if p.in_flight(session.id):  # what we see may be older than what we decided
            if look_due(p, session) or (placed is not None and _tells(placed)):
                p.wake(p.now + SOON)
        elif placed is None:
            _owe_again(p, session)
        elif p.now < session.span.end or placed.gone:
            _compare(p, session, placed)
        elif placed.span != placed.written:
            _handle_move(p, session, placed)


def _tells(placed: Placed) -> bool:
    """Whether a calendar tells something of an event that has to be answered."""
    return placed.gone or placed.span != placed.written or Answer.DECLINED in placed.answers.values()


def _owe_again(p: Planning, session: Session) -> None:
    """The event never came to be: its message was dropped as too old, or refused. Owed again, which is no deferral."""
    state = State.DEFERRED if session.count else State.OWED
    p.put(session, state=state, start=None, end=None, generation=session.generation + 1, by_hand=False, options=())


def _compare(p: Planning, session: Session, placed: Placed) -> None:
    if placed.gone:
        defer(p, session, Cause.DELETED)
        return
    if placed.span == placed.written != session.span:
        _write_again(p, session)
        return
    declined = [who for who, answer in placed.answers.items() if answer is Answer.DECLINED]
    if declined:
        p.acknowledge(placed)  # so that this answer is never counted twice, should the event refuse to move
        defer(p, session, Cause.DECLINED, declined[0])
        return
    if placed.span != placed.written:
        session = _handle_move(p, session, placed)
    if session.booked and session.span.start - p.now > LAST_HOURS:
        _holiday(p, session)
    if p.sessions[session.id].booked:
        _clash(p, p.sessions[session.id])


def lost_already(p: Planning, session: Session, placed: Placed) -> bool:
    """Whether the time on the calendar is one it was deferred from, with the cause still there: nobody keeps it."""
    too_short = session.kind is Kind.CAREER and placed.span.minutes < p.policy.min_by_hand
    if too_short or placed.span.start > session.latest or Answer.DECLINED in placed.answers.values():
        return True
    standing = (Cause.BOOKED_OVER, Cause.OUT_OF_OFFICE, Cause.HOLIDAY)
    mine = [d for d in p.state.deferrals if d.session == session.id and d.cause in standing]
    return any(d.was == placed.span for d in mine)


def _write_again(p: Planning, session: Session) -> None:
    """Our last change never reached the calendar, so whatever was answered there was answered to an older time."""
    blocked = p.refused_until(session.id)
    if blocked and p.now < blocked:
        p.wake(blocked)
        return
    again = p.put(session, sequence=session.sequence + 1)
    p.write_event(What.UPDATE, again.id, again.key, again.sequence)


def _handle_move(p: Planning, session: Session, placed: Placed) -> Session:
    """T-11: a hand move inside the rules is respected; outside them the session is owed."""
    span = placed.span
    p.acknowledge(placed)
    if span.minutes < p.policy.min_by_hand and session.kind is Kind.CAREER:
        return defer(p, session, Cause.MOVED_OUT, detail=f"{span.minutes} minutes are too few")
    if span.start > max(session.latest, session.span.start):
        return defer(p, session, Cause.MOVED_OUT, detail="the new time is past the window")
    moved = p.put(session, start=span.start, end=span.end, by_hand=True, warned_at=None, options=())
    p.decide_session(moved, "Moved by hand inside the rules; respected.", cause="moved")
    if session.kind is Kind.CAREER and span.minutes < p.policy.min_minutes:
        p.mail(MailName.SHORT_SESSION, session.id, p.manager.email, start=span.start)
    return moved


def _holiday(p: Planning, session: Session) -> None:
    if session.by_hand:
        return
    for person in p.people:
        day = today(person.zone, session.span.start)
        if holiday(person.country, day) and not _since_the_day_before(person, day, session.span):
            defer(p, session, Cause.HOLIDAY)
            return


def _since_the_day_before(person: Person, day: date, span: Span) -> bool:
    """A night shift belongs to the day it starts on, and may run on into a holiday."""
    return any(spell.start <= span.start and span.end <= spell.end for spell in spells(person, day - DAILY))


# --- what is booked over it ---


def _clash(p: Planning, session: Session) -> None:
    """T-10: what stands over the session now. Only when a look is due; in between nothing is asked."""
    left = session.span.start - p.now
    if left <= LAST_HOURS:
        return
    if not look_due(p, session):
        p.wake(next_look(p, session))
        return
    show, whose = _over(p, session)
    if whose is None:
        return
    if show is None:
        _no_clash(p, session)
    elif show is Show.AWAY:
        defer(p, session, Cause.OUT_OF_OFFICE, whose)
    elif left < SOON_HOURS or (session.warned_at and p.now >= session.warned_at + WARNING):
        defer(p, session, Cause.BOOKED_OVER, whose)
    elif session.warned_at is None:
        _warn(p, session, whose)
    else:
        p.wake(session.warned_at + WARNING)


def _no_clash(p: Planning, session: Session) -> None:
    if session.warned_at is not None:
        session = p.put(session, warned_at=None)
        p.decide("warning", "The time is free again; the session stays.", session.id, cause=Cause.BOOKED_OVER.value)
    p.wake(next_look(p, session))


def _warn(p: Planning, session: Session, whose: Address) -> None:
    p.put(session, warned_at=p.now)
    p.decide(
        "warning",
        f"Something was booked over the session in {whose}'s calendar. Unless it goes, the session moves in a day.",
        session.id,
        cause=Cause.BOOKED_OVER.value,
    )
    p.mail(MailName.BOOKED_OVER_WARNING, session.id, p.manager.email, start=session.start)
    p.wake(p.now + WARNING)


def _over(p: Planning, session: Session) -> tuple[Show | None, Address | None]:
    """What the two calendars hold over the session, and whose. `(None, "")`: nothing; `(None, None)`: not told yet."""
    known = p.free_busy(p.people, session.span, giving=False)
    if known is None:
        return None, None
    found: tuple[Show | None, Address] = (None, "")
    for email, free_busy in known.items():
        for busy in free_busy.busy:
            if busy.span.start >= session.span.end:
                break
            if busy.key == session.key or busy.show is Show.TENTATIVE or not busy.span.overlaps(session.span):
                continue
            if busy.show is Show.AWAY:
                return Show.AWAY, email
            if found[0] is None and not _may_be_ours(p, session, busy, email):
                found = (busy.show, email)
    return found


def _may_be_ours(p: Planning, session: Session, busy: Busy, email: Address) -> bool:
    """A report's service that is not the manager's can't tell our event from another one, so what covers all of it is
    taken for it."""
    elsewhere = email == p.report.email and p.report.calendar != p.manager.calendar
    covers = busy.span.start <= session.span.start and session.span.end <= busy.span.end
    return elsewhere and busy.key is None and covers


#: How many days before its start a session's calendars are looked at; more often as it comes near.
LOOKS = {Kind.CAREER: (28, 14, 7, 4, 3, 2, 1), Kind.REVIEW: (3, 1), Kind.CHECKIN: (1,)}


def looks(session: Session) -> tuple[datetime, ...]:
    """The instants at which a booked session's calendars are looked at, whether or not anything was heard of them."""
    return _looks(session.kind, session.span.start)


@lru_cache(maxsize=1 << 14)
def _looks(kind: Kind, start: datetime) -> tuple[datetime, ...]:
    days = [last_look(start - timedelta(days=n), DAILY) for n in LOOKS[kind]]
    return tuple(sorted({*days, last_look(start - LAST_HOURS, HALF_DAILY)}))


def look_due(p: Planning, session: Session) -> bool:
    """True when this session's calendars have to be read now."""
    looked = p.state.looked_at
    if looked is None:
        return True
    warned = (session.warned_at + WARNING,) if session.warned_at else ()
    return any(looked < instant <= p.now for instant in looks(session) + warned)


def next_look(p: Planning, session: Session) -> datetime:
    """When this session's calendars are looked at next; its start when they are no more."""
    warned = (session.warned_at + WARNING,) if session.warned_at else ()
    return min((instant for instant in looks(session) + warned if instant > p.now), default=session.span.start)


# --- deferring ---


def defer(p: Planning, session: Session, cause: Cause, who: Address = "", detail: str = "") -> Session:
    """The session lost its time and is owed again, soon (T-10). The count and the cause are kept."""
    number = session.count + 1
    gone = cause is Cause.DELETED or session.state is not State.BOOKED
    p.add_deferral(Deferral(session=session.id, number=number, at=p.now, cause=cause, who=who, was=session.span))
    owed = p.put(
        session,
        state=State.DEFERRED,
        start=None,
        end=None,
        count=number,
        deferred_at=p.now,
        generation=session.generation + gone,
        by_hand=False,
        warned_at=None,
        held_at=None,
        options=(),
    )
    by = f" by {who}" if who else ""
    words = IN_WORDS[cause] + (f" ({detail})" if detail else "")
    reason = f"Deferred{by}: {words}. Deferral number {number}; it is owed."
    p.decide_session(owed, reason, cause=cause.value, who=who)
    return owed


def count_in_cycle(p: Planning, session: Session) -> int:
    """T-12: deferrals of this cycle's career sessions; a review or check-in counts alone."""
    if session.kind is not Kind.CAREER:
        return session.count
    return sum(s.count for s in p.of_kind(Kind.CAREER) if s.cycle == session.cycle and s.adhoc == session.adhoc)
