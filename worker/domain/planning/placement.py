"""Finding a time for what is owed, and saying why when there is none (T-1, T-2, T-3, T-4, T-10, T-12, T-14)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Address,
    DeferralCause,
    EffectKind,
    FreeBusy,
    MailName,
    Preference,
    Reason,
    Reasons,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning import anchors, cadence
from worker.domain.planning.deferrals import count_deferrals_in_cycle
from worker.domain.planning.plan_builder import DAILY, PlanBuilder, find_last_look
from worker.domain.planning.reviews import is_waiting_for_1on1
from worker.domain.time.slots import Search, Slot, explain_no_slot, has_same_blockers, rank_slots
from worker.domain.time.worktime import add_shared_working_days, get_local_date, wall_to_utc

#: A regular session is not put closer than this many working days: people need to see it coming.
LEAD_DAYS = 2
#: Of a window that is nearly over too little is left; what is owed then belongs into the three weeks to come. The
#: days of a later part of a series are few, and kept to the last (T-13).
LEAST_WINDOW, LEAST_OF_SERIES = timedelta(days=7), timedelta(days=1)
#: Not even a hurried one is put closer than this: when its event stands, four hours remain to think (T-5).
LEAD_HOURS = timedelta(hours=4, minutes=15)
#: From this deferral of a cycle on, the manager is offered times to choose from (T-12).
OFFER_CHOICE_FROM = 3


#: What the history says of an ad hoc conversation: more would tell how soon it has to be, and with it why.
_TIME_FOUND, _NO_TIME = "A time was found for it.", "No time for it exists just now."


@dataclass(frozen=True, slots=True)
class SearchAttempt:
    """One attempt at a place: how long, where, and whether the quarter hours around it must be free."""

    minutes: int
    window: Span
    buffer: bool = True


def place_owed_sessions(p: PlanBuilder) -> None:
    """Give every owed session a time, the most urgent first, so that it gets the best choice."""
    owed = [s for s in p.sessions.values() if s.owed]
    for session in sorted(owed, key=lambda s: (not s.urgent, not s.adhoc, s.deferred_at or s.earliest, s.id)):
        blocked = p.find_retry_time(session.id)
        if blocked and p.now < blocked:
            p.wake_at(blocked)
        elif is_waiting_for_1on1(p, session):
            p.wake_at(session.target)
        elif session.unplaceable and not _is_retry_due(p, session):
            p.wake_at(find_last_look(p.now, DAILY) + DAILY)
        else:
            _place_session(p, anchors.refresh_window(p, session))


def _place_session(p: PlanBuilder, session: Session) -> None:
    tries = list(_list_attempts(p, session))
    known = p.get_free_busy(p.people, Span(p.now, max(t.window.end for t in tries)))
    if known is None:
        return
    searches = [
        make_search(p, session, known, attempt) for attempt in tries if attempt.window.minutes >= attempt.minutes
    ]
    wanted = OFFER_CHOICE_FROM if count_deferrals_in_cycle(p, session) >= OFFER_CHOICE_FROM else 1
    for search in searches:
        slots = rank_slots(search, limit=wanted)
        if slots:
            _book_slot(p, session, slots, search)
            return
    _mark_unplaceable(p, session, explain_no_slot(searches[-1]) if searches else (Reason("window_over"),))


# --- where to look ---


def _list_attempts(p: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    if session.urgent:
        return _list_urgent_attempts(p, session)
    if session.adhoc or session.kind is SessionKind.CHECKIN:
        return _list_adhoc_attempts(p, session)
    if session.state is SessionState.DEFERRED:
        return _list_deferred_attempts(p, session)
    return _list_regular_attempts(p, session)


def _list_lengths(p: PlanBuilder, session: Session) -> Iterator[int]:
    """T-1: the wished length, then 15 minutes less at a time, down to the shortest allowed."""
    floor = p.policy.min_minutes if session.kind is SessionKind.CAREER else session.minutes
    minutes = max(session.minutes, floor)
    while minutes >= floor:
        yield minutes
        minutes -= 15


def _find_day_end(p: PlanBuilder, days: int, now: datetime) -> datetime:
    """The end of the manager's day that lies so many shared working days ahead."""
    zone = p.manager.zone
    day = add_shared_working_days(p.people, get_local_date(zone, now), days)
    return wall_to_utc(zone, day + timedelta(days=1), 0)


def _find_day_start(p: PlanBuilder, days: int, now: datetime) -> datetime:
    zone = p.manager.zone
    return wall_to_utc(zone, add_shared_working_days(p.people, get_local_date(zone, now), days), 0)


def _list_regular_attempts(p: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    lead = _find_day_start(p, LEAD_DAYS, p.now)
    earliest = max(session.earliest, lead)
    latest = max(session.latest, earliest)
    if session.latest - earliest < (LEAST_OF_SERIES if session.topic in cadence.SERIES_TOPICS[1:] else LEAST_WINDOW):
        latest = max(session.latest, p.now + cadence.WINDOW_AFTER)
    for minutes in _list_lengths(p, session):
        yield SearchAttempt(minutes, Span(earliest, max(latest, earliest)))


def _list_deferred_attempts(p: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-10: two to ten working days from now; then twenty; then the shortest allowed; each day anew.

    Who asks for another time wants a later one: then it all counts from the start that was given up.
    """
    begin = max(p.now, _find_given_up_start(p, session) or p.now)
    earliest = max(_find_day_start(p, LEAD_DAYS, p.now), begin)
    near, far = _find_day_end(p, 10, begin), _find_day_end(p, 20, begin)
    yield SearchAttempt(session.minutes, Span(earliest, near))
    yield SearchAttempt(session.minutes, Span(earliest, far))
    floor = p.policy.min_minutes
    if session.kind is SessionKind.CAREER and session.minutes > floor:
        yield SearchAttempt(floor, Span(earliest, far))


def _find_given_up_start(p: PlanBuilder, session: Session) -> datetime | None:
    """The start that somebody gave up by asking for another time; None when it lost its time otherwise."""
    mine = [d for d in (*p.state.deferrals, *p.new_deferrals) if d.session == session.id]
    last = max(mine, key=lambda deferral: deferral.number, default=None)
    return last.was.start if last and last.was and last.cause is DeferralCause.ASKED else None


def _list_adhoc_attempts(p: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within five working days of the asking; once somebody was told that this can't be, within ten."""
    earliest = max(p.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(p, session, earliest, 10):
        for minutes in _list_lengths(p, session):
            yield SearchAttempt(minutes, Span(earliest, end))


def _list_window_ends(p: PlanBuilder, session: Session, earliest: datetime, later: int) -> list[datetime]:
    """The date asked for, and when a person knows that nothing fits until then, a later one."""
    ends = [max(session.latest, earliest)]
    return [*ends, max(_find_day_end(p, later, p.now), earliest)] if session.unplaceable else ends


def _list_urgent_attempts(p: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within two working days; length and buffers yield before the date does."""
    earliest = max(p.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(p, session, earliest, 5):
        for buffer in (True, False):
            for minutes in _list_lengths(p, session):
                yield SearchAttempt(minutes, Span(earliest, end), buffer)


def make_search(p: PlanBuilder, session: Session, known: Mapping[Address, FreeBusy], attempt: SearchAttempt) -> Search:
    """What to look for: near the time that somebody wished for, when somebody did."""
    hurried = session.adhoc or session.state is SessionState.DEFERRED
    wish = p.wishes.get(session.id)
    lost = tuple(d.was for d in p.state.deferrals if d.session == session.id and d.was)
    lost += tuple(d.was for d in p.new_deferrals if d.session == session.id and d.was)
    return Search(
        manager=p.manager,
        report=p.report,
        window=attempt.window,
        minutes=attempt.minutes,
        target=wish.start if wish else attempt.window.start if hurried else session.target,
        preference=_make_preference(wish, p.report.zone)
        if wish
        else Preference()
        if session.urgent
        else p.pair.preference,
        free_busy={who: exclude_event(free_busy, session.key) for who, free_busy in known.items()},
        taken_times={who: p.list_taken_times(who, but=session.id) for who in p.addresses},
        avoid=lost,
        buffer=attempt.buffer,
        career=session.kind is SessionKind.CAREER,
    )


def _make_preference(wish: Span, zone: str) -> Preference:
    """That day of the week and that time of the day."""
    local = wish.start.astimezone(ZoneInfo(zone))
    return Preference(weekday=local.weekday(), minute=60 * local.hour + local.minute)


def exclude_event(free_busy: FreeBusy, key: str) -> FreeBusy:
    """The same, with our own event of that key taken out: it does not stand in its own way."""
    return replace(free_busy, busy=tuple(b for b in free_busy.busy if b.key != key))


# --- what comes of it ---


def _book_slot(p: PlanBuilder, session: Session, slots: tuple[Slot, ...], search: Search) -> None:
    slot = slots[0]
    placed = p.state.placed_events.get(session.key)
    new = p.update_session(
        session,
        state=SessionState.BOOKED,
        start=slot.span.start,
        end=slot.span.end,
        latest=max(session.latest, search.window.end),
        generation=session.generation + (placed is not None and placed.gone),
        sequence=session.sequence + 1,
        unplaceable=None,
        options=tuple(s.span for s in slots) if len(slots) > 1 else (),
    )
    show_on_calendar(p, new)
    p.record_session_decision(
        new, _TIME_FOUND if session.adhoc else (*slot.reasons, *_explain_length(session, slot)), key=new.key
    )
    count = count_deferrals_in_cycle(p, new)
    announced = any(m.number == new.count for m in p.list_mails(MailName.DEFERRAL_NOTICE, new.id))
    if new.count and count >= OFFER_CHOICE_FROM and not announced:
        p.record_decision("warning", f"The {count}th deferral of this cycle; the manager is asked to choose.", new.id)


def _explain_length(session: Session, slot: Slot) -> Iterator[Reason]:
    if slot.span.minutes < session.minutes:
        yield Reason("shorter", {"minutes": slot.span.minutes, "needed": session.minutes})


def show_on_calendar(p: PlanBuilder, session: Session) -> None:
    """Have the event made, or moved when it exists or is on its way."""
    what = EffectKind.UPDATE if p.find_event(session.key) or p.has_pending_write(session.key) else EffectKind.CREATE
    p.write_event(what, session.id, session.key, session.sequence)


def take_off_calendar(p: PlanBuilder, session: Session) -> None:
    """Have the event cancelled, if there is one or one is on its way; the next one will be another."""
    if p.find_event(session.key) or p.has_pending_write(session.key):
        p.write_event(EffectKind.CANCEL, session.id, session.key, session.sequence)
    p.update_session(session, generation=session.generation + 1)


def _mark_unplaceable(p: PlanBuilder, session: Session, why: Reasons) -> None:
    """T-4, T-10: nothing fits. A person is told why; it is tried again each day."""
    p.wake_at(find_last_look(p.now, DAILY) + DAILY)
    new = session.unplaceable is None
    told = p.update_session(session, unplaceable=why)
    known = _has_mail_for_same_cause(p, told) or (not new and _has_unplaceable_mail(p, told))
    if new:
        reason = _NO_TIME if session.adhoc else why
        p.record_decision("unplaceable", reason, session.id, kind=session.kind.value, count=session.count)
    if not known:
        p.add_mail(MailName.UNPLACEABLE, session.id, p.manager.email, number=session.count)
    if new:
        take_off_calendar(p, told)


def _has_unplaceable_mail(p: PlanBuilder, session: Session) -> bool:
    return any(m.number == session.count for m in p.list_mails(MailName.UNPLACEABLE, session.id))


def _has_mail_for_same_cause(p: PlanBuilder, session: Session) -> bool:
    """Whether a mail about another conversation of the two says the same: three parts of a series take one mail.

    What somebody asked for has a mail of its own.
    """
    return any(has_same_cause(session, other) and _has_unplaceable_mail(p, other) for other in p.sessions.values())


def has_same_cause(one: Session, other: Session) -> bool:
    """Whether two conversations of a pair have no time for the same reason, so that one mail speaks for both."""
    if one.id == other.id or one.adhoc or other.adhoc or SessionKind.CHECKIN in (one.kind, other.kind):
        return False
    return other.owed and bool(
        one.unplaceable and other.unplaceable and has_same_blockers(one.unplaceable, other.unplaceable)
    )


def _is_retry_due(p: PlanBuilder, session: Session) -> bool:
    if not any(s.id == session.id and s.unplaceable for s in p.state.sessions):
        return False  # found out in this very plan
    looked = p.state.looked_at
    return looked is None or looked < find_last_look(p.now, DAILY)
