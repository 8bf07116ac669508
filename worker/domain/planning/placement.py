"""Finding a time for what is owed, and saying why when there is none (T-1, T-2, T-3, T-4, T-10, T-12, T-14)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Address,
    Cause,
    FreeBusy,
    Kind,
    MailName,
    Preference,
    Reason,
    Session,
    Span,
    State,
    What,
    Why,
)
from worker.domain.planning import anchors, cadence
from worker.domain.planning.deferrals import count_in_cycle
from worker.domain.planning.plan_builder import DAILY, Planning, last_look
from worker.domain.planning.reviews import waits
from worker.domain.time.slots import Search, Slot, alike, rank, why_none
from worker.domain.time.worktime import shared_working_day, today, wall

#: A regular session is not put closer than this many working days: people need to see it coming.
LEAD_DAYS = 2
#: Of a window that is nearly over too little is left; what is owed then belongs into the three weeks to come. The
#: days of a later part of a series are few, and kept to the last (T-13).
LEAST_WINDOW, LEAST_OF_SERIES = timedelta(days=7), timedelta(days=1)
#: Not even a hurried one is put closer than this: when its event stands, four hours remain to think (T-5).
LEAD_HOURS = timedelta(hours=4, minutes=15)
#: From this deferral of a cycle on, the manager is offered times to choose from (T-12).
CHOOSE_FROM = 3


#: What the history says of an ad hoc conversation: more would tell how soon it has to be, and with it why.
_TIME_FOUND, _NO_TIME = "A time was found for it.", "No time for it exists just now."


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt at a place: how long, where, and whether the quarter hours around it must be free."""

    minutes: int
    window: Span
    buffer: bool = True


def place_all(p: Planning) -> None:
    """Give every owed session a time, the most urgent first, so that it gets the best choice."""
    owed = [s for s in p.sessions.values() if s.owed]
    for session in sorted(owed, key=lambda s: (not s.urgent, not s.adhoc, s.deferred_at or s.earliest, s.id)):
        blocked = p.refused_until(session.id)
        if blocked and p.now < blocked:
            p.wake(blocked)
        elif waits(p, session):
            p.wake(session.target)
        elif session.unplaceable and not _retry_due(p, session):
            p.wake(last_look(p.now, DAILY) + DAILY)
        else:
            _place(p, anchors.refresh_window(p, session))


def _place(p: Planning, session: Session) -> None:
    tries = list(_tries(p, session))
    known = p.free_busy(p.people, Span(p.now, max(t.window.end for t in tries)))
    if known is None:
        return
    searches = [
        search_for(p, session, known, attempt) for attempt in tries if attempt.window.minutes >= attempt.minutes
    ]
    wanted = CHOOSE_FROM if count_in_cycle(p, session) >= CHOOSE_FROM else 1
    for search in searches:
        slots = rank(search, limit=wanted)
        if slots:
            _book(p, session, slots, search)
            return
    _unplaceable(p, session, why_none(searches[-1]) if searches else (Reason("window_over"),))


# --- where to look ---


def _tries(p: Planning, session: Session) -> Iterator[Try]:
    if session.urgent:
        return _urgent(p, session)
    if session.adhoc or session.kind is Kind.CHECKIN:
        return _adhoc(p, session)
    if session.state is State.DEFERRED:
        return _list_deferred_attempts(p, session)
    return _regular(p, session)


def _lengths(p: Planning, session: Session) -> Iterator[int]:
    """T-1: the wished length, then 15 minutes less at a time, down to the shortest allowed."""
    floor = p.policy.min_minutes if session.kind is Kind.CAREER else session.minutes
    minutes = max(session.minutes, floor)
    while minutes >= floor:
        yield minutes
        minutes -= 15


def _day_end(p: Planning, days: int, now: datetime) -> datetime:
    """The end of the manager's day that lies so many shared working days ahead."""
    zone = p.manager.zone
    day = shared_working_day(p.people, today(zone, now), days)
    return wall(zone, day + timedelta(days=1), 0)


def _day_start(p: Planning, days: int, now: datetime) -> datetime:
    zone = p.manager.zone
    return wall(zone, shared_working_day(p.people, today(zone, now), days), 0)


def _regular(p: Planning, session: Session) -> Iterator[Try]:
    lead = _day_start(p, LEAD_DAYS, p.now)
    earliest = max(session.earliest, lead)
    latest = max(session.latest, earliest)
    if session.latest - earliest < (LEAST_OF_SERIES if session.topic in cadence.SERIES[1:] else LEAST_WINDOW):
        latest = max(session.latest, p.now + cadence.AFTER)
    for minutes in _lengths(p, session):
        yield Try(minutes, Span(earliest, max(latest, earliest)))


def _list_deferred_attempts(p: Planning, session: Session) -> Iterator[Try]:
    """T-10: two to ten working days from now; then twenty; then the shortest allowed; each day anew.

    Who asks for another time wants a later one: then it all counts from the start that was given up.
    """
    begin = max(p.now, _given_up(p, session) or p.now)
    earliest = max(_day_start(p, LEAD_DAYS, p.now), begin)
    near, far = _day_end(p, 10, begin), _day_end(p, 20, begin)
    yield Try(session.minutes, Span(earliest, near))
    yield Try(session.minutes, Span(earliest, far))
    floor = p.policy.min_minutes
    if session.kind is Kind.CAREER and session.minutes > floor:
        yield Try(floor, Span(earliest, far))


def _given_up(p: Planning, session: Session) -> datetime | None:
    """The start that somebody gave up by asking for another time; None when it lost its time otherwise."""
    mine = [d for d in (*p.state.deferrals, *p.new_deferrals) if d.session == session.id]
    last = max(mine, key=lambda deferral: deferral.number, default=None)
    return last.was.start if last and last.was and last.cause is Cause.ASKED else None


def _adhoc(p: Planning, session: Session) -> Iterator[Try]:
    """T-14: within five working days of the asking; once somebody was told that this can't be, within ten."""
    earliest = max(p.now + LEAD_HOURS, session.earliest)
    for end in _ends(p, session, earliest, 10):
        for minutes in _lengths(p, session):
            yield Try(minutes, Span(earliest, end))


def _ends(p: Planning, session: Session, earliest: datetime, later: int) -> list[datetime]:
    """The date asked for, and when a person knows that nothing fits until then, a later one."""
    ends = [max(session.latest, earliest)]
    return [*ends, max(_day_end(p, later, p.now), earliest)] if session.unplaceable else ends


def _urgent(p: Planning, session: Session) -> Iterator[Try]:
    """T-14: within two working days; length and buffers yield before the date does."""
    earliest = max(p.now + LEAD_HOURS, session.earliest)
    for end in _ends(p, session, earliest, 5):
        for buffer in (True, False):
            for minutes in _lengths(p, session):
                yield Try(minutes, Span(earliest, end), buffer)


def search_for(p: Planning, session: Session, known: Mapping[Address, FreeBusy], attempt: Try) -> Search:
    """What to look for: near the time that somebody wished for, when somebody did."""
    hurried = session.adhoc or session.state is State.DEFERRED
    wish = p.wishes.get(session.id)
    lost = tuple(d.was for d in p.state.deferrals if d.session == session.id and d.was)
    lost += tuple(d.was for d in p.new_deferrals if d.session == session.id and d.was)
    return Search(
        manager=p.manager,
        report=p.report,
        window=attempt.window,
        minutes=attempt.minutes,
        target=wish.start if wish else attempt.window.start if hurried else session.target,
        prefer=_like(wish, p.report.zone) if wish else Preference() if session.urgent else p.pair.prefer,
        free_busy={who: without(free_busy, session.key) for who, free_busy in known.items()},
        taken={who: p.list_taken_times(who, but=session.id) for who in p.addresses},
        avoid=lost,
        buffer=attempt.buffer,
        career=session.kind is Kind.CAREER,
    )


def _like(wish: Span, zone: str) -> Preference:
    """That day of the week and that time of the day."""
    local = wish.start.astimezone(ZoneInfo(zone))
    return Preference(weekday=local.weekday(), minute=60 * local.hour + local.minute)


def without(free_busy: FreeBusy, key: str) -> FreeBusy:
    """The same, with our own event of that key taken out: it does not stand in its own way."""
    return replace(free_busy, busy=tuple(b for b in free_busy.busy if b.key != key))


# --- what comes of it ---


def _book(p: Planning, session: Session, slots: tuple[Slot, ...], search: Search) -> None:
    slot = slots[0]
    placed = p.state.placed.get(session.key)
    new = p.put(
        session,
        state=State.BOOKED,
        start=slot.span.start,
        end=slot.span.end,
        latest=max(session.latest, search.window.end),
        generation=session.generation + (placed is not None and placed.gone),
        sequence=session.sequence + 1,
        unplaceable=None,
        options=tuple(s.span for s in slots) if len(slots) > 1 else (),
    )
    show_on_calendar(p, new)
    p.decide_session(new, _TIME_FOUND if session.adhoc else (*slot.reasons, *_length(session, slot)), key=new.key)
    count = count_in_cycle(p, new)
    announced = any(m.number == new.count for m in p.list_mails(MailName.DEFERRAL_NOTICE, new.id))
    if new.count and count >= CHOOSE_FROM and not announced:
        p.decide("warning", f"The {count}th deferral of this cycle; the manager is asked to choose.", new.id)


def _length(session: Session, slot: Slot) -> Iterator[Reason]:
    if slot.span.minutes < session.minutes:
        yield Reason("shorter", {"minutes": slot.span.minutes, "needed": session.minutes})


def show_on_calendar(p: Planning, session: Session) -> None:
    """Have the event made, or moved when it exists or is on its way."""
    what = What.UPDATE if p.find_event(session.key) or p.in_flight_key(session.key) else What.CREATE
    p.write_event(what, session.id, session.key, session.sequence)


def take_off_calendar(p: Planning, session: Session) -> None:
    """Have the event cancelled, if there is one or one is on its way; the next one will be another."""
    if p.find_event(session.key) or p.in_flight_key(session.key):
        p.write_event(What.CANCEL, session.id, session.key, session.sequence)
    p.put(session, generation=session.generation + 1)


def _unplaceable(p: Planning, session: Session, why: Why) -> None:
    """T-4, T-10: nothing fits. A person is told why; it is tried again each day."""
    p.wake(last_look(p.now, DAILY) + DAILY)
    new = session.unplaceable is None
    told = p.put(session, unplaceable=why)
    known = _told_with_another(p, told) or (not new and _has_unplaceable_mail(p, told))
    if new:
        reason = _NO_TIME if session.adhoc else why
        p.decide("unplaceable", reason, session.id, kind=session.kind.value, count=session.count)
    if not known:
        p.mail(MailName.UNPLACEABLE, session.id, p.manager.email, number=session.count)
    if new:
        take_off_calendar(p, told)


def _has_unplaceable_mail(p: Planning, session: Session) -> bool:
    return any(m.number == session.count for m in p.list_mails(MailName.UNPLACEABLE, session.id))


def _told_with_another(p: Planning, session: Session) -> bool:
    """Whether a mail about another conversation of the two says the same: three parts of a series take one mail.

    What somebody asked for has a mail of its own.
    """
    return any(same_cause(session, other) and _has_unplaceable_mail(p, other) for other in p.sessions.values())


def same_cause(one: Session, other: Session) -> bool:
    """Whether two conversations of a pair have no time for the same reason, so that one mail speaks for both."""
    if one.id == other.id or one.adhoc or other.adhoc or Kind.CHECKIN in (one.kind, other.kind):
        return False
    return other.owed and bool(one.unplaceable and other.unplaceable and alike(one.unplaceable, other.unplaceable))


def _retry_due(p: Planning, session: Session) -> bool:
    if not any(s.id == session.id and s.unplaceable for s in p.state.sessions):
        return False  # found out in this very plan
    looked = p.state.looked_at
    return looked is None or looked < last_look(p.now, DAILY)
