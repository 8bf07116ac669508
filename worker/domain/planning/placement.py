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


def place_owed_sessions(builder: PlanBuilder) -> None:
    """Give every owed session a time, the most urgent first, so that it gets the best choice."""
    owed = [s for s in builder.sessions.values() if s.owed]
    for session in sorted(owed, key=lambda s: (not s.urgent, not s.adhoc, s.deferred_at or s.earliest, s.id)):
        blocked = builder.find_retry_time(session.id)
        if blocked and builder.now < blocked:
            builder.wake_at(blocked)
        elif is_waiting_for_1on1(builder, session):
            builder.wake_at(session.target)
        elif session.unplaceable and not _is_retry_due(builder, session):
            builder.wake_at(find_last_look(builder.now, DAILY) + DAILY)
        else:
            _place_session(builder, anchors.refresh_window(builder, session))


def _place_session(builder: PlanBuilder, session: Session) -> None:
    tries = list(_list_attempts(builder, session))
    known = builder.get_free_busy(builder.people, Span(builder.now, max(t.window.end for t in tries)))
    if known is None:
        return
    searches = [
        make_search(builder, session, known, attempt) for attempt in tries if attempt.window.minutes >= attempt.minutes
    ]
    wanted = OFFER_CHOICE_FROM if count_deferrals_in_cycle(builder, session) >= OFFER_CHOICE_FROM else 1
    for search in searches:
        slots = rank_slots(search, limit=wanted)
        if slots:
            _book_slot(builder, session, slots, search)
            return
    _mark_unplaceable(builder, session, explain_no_slot(searches[-1]) if searches else (Reason("window_over"),))


# --- where to look ---


def _list_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    if session.urgent:
        return _list_urgent_attempts(builder, session)
    if session.adhoc or session.kind is SessionKind.CHECKIN:
        return _list_adhoc_attempts(builder, session)
    if session.state is SessionState.DEFERRED:
        return _list_deferred_attempts(builder, session)
    return _list_regular_attempts(builder, session)


def _list_lengths(builder: PlanBuilder, session: Session) -> Iterator[int]:
    """T-1: the wished length, then 15 minutes less at a time, down to the shortest allowed."""
    floor = builder.policy.min_minutes if session.kind is SessionKind.CAREER else session.minutes
    minutes = max(session.minutes, floor)
    while minutes >= floor:
        yield minutes
        minutes -= 15


def _find_day_end(builder: PlanBuilder, days: int, now: datetime) -> datetime:
    """The end of the manager's day that lies so many shared working days ahead."""
    zone = builder.manager.zone
    day = add_shared_working_days(builder.people, get_local_date(zone, now), days)
    return wall_to_utc(zone, day + timedelta(days=1), 0)


def _find_day_start(builder: PlanBuilder, days: int, now: datetime) -> datetime:
    zone = builder.manager.zone
    return wall_to_utc(zone, add_shared_working_days(builder.people, get_local_date(zone, now), days), 0)


def _list_regular_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    lead = _find_day_start(builder, LEAD_DAYS, builder.now)
    earliest = max(session.earliest, lead)
    latest = max(session.latest, earliest)
    if session.latest - earliest < (LEAST_OF_SERIES if session.topic in cadence.SERIES_TOPICS[1:] else LEAST_WINDOW):
        latest = max(session.latest, builder.now + cadence.WINDOW_AFTER)
    for minutes in _list_lengths(builder, session):
        yield SearchAttempt(minutes, Span(earliest, max(latest, earliest)))


def _list_deferred_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-10: two to ten working days from now; then twenty; then the shortest allowed; each day anew.

    Who asks for another time wants a later one: then it all counts from the start that was given up.
    """
    begin = max(builder.now, _find_given_up_start(builder, session) or builder.now)
    earliest = max(_find_day_start(builder, LEAD_DAYS, builder.now), begin)
    near, far = _find_day_end(builder, 10, begin), _find_day_end(builder, 20, begin)
    yield SearchAttempt(session.minutes, Span(earliest, near))
    yield SearchAttempt(session.minutes, Span(earliest, far))
    floor = builder.policy.min_minutes
    if session.kind is SessionKind.CAREER and session.minutes > floor:
        yield SearchAttempt(floor, Span(earliest, far))


def _find_given_up_start(builder: PlanBuilder, session: Session) -> datetime | None:
    """The start that somebody gave up by asking for another time; None when it lost its time otherwise."""
    mine = [d for d in (*builder.state.deferrals, *builder.new_deferrals) if d.session == session.id]
    last = max(mine, key=lambda deferral: deferral.number, default=None)
    return last.was.start if last and last.was and last.cause is DeferralCause.ASKED else None


def _list_adhoc_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within five working days of the asking; once somebody was told that this can't be, within ten."""
    earliest = max(builder.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(builder, session, earliest, 10):
        for minutes in _list_lengths(builder, session):
            yield SearchAttempt(minutes, Span(earliest, end))


def _list_window_ends(builder: PlanBuilder, session: Session, earliest: datetime, later: int) -> list[datetime]:
    """The date asked for, and when a person knows that nothing fits until then, a later one."""
    ends = [max(session.latest, earliest)]
    return [*ends, max(_find_day_end(builder, later, builder.now), earliest)] if session.unplaceable else ends


def _list_urgent_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within two working days; length and buffers yield before the date does."""
    earliest = max(builder.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(builder, session, earliest, 5):
        for buffer in (True, False):
            for minutes in _list_lengths(builder, session):
                yield SearchAttempt(minutes, Span(earliest, end), buffer)


def make_search(
    builder: PlanBuilder, session: Session, known: Mapping[Address, FreeBusy], attempt: SearchAttempt
) -> Search:
    """What to look for: near the time that somebody wished for, when somebody did."""
    hurried = session.adhoc or session.state is SessionState.DEFERRED
    wish = builder.requested_times.get(session.id)
    lost = tuple(d.was for d in builder.state.deferrals if d.session == session.id and d.was)
    lost += tuple(d.was for d in builder.new_deferrals if d.session == session.id and d.was)
    return Search(
        manager=builder.manager,
        report=builder.report,
        window=attempt.window,
        minutes=attempt.minutes,
        target=wish.start if wish else attempt.window.start if hurried else session.target,
        preference=_make_preference(wish, builder.report.zone)
        if wish
        else Preference()
        if session.urgent
        else builder.pair.preference,
        free_busy={who: exclude_event(free_busy, session.key) for who, free_busy in known.items()},
        taken_times={who: builder.list_taken_times(who, exclude=session.id) for who in builder.addresses},
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


def _book_slot(builder: PlanBuilder, session: Session, slots: tuple[Slot, ...], search: Search) -> None:
    slot = slots[0]
    placed = builder.state.placed_events.get(session.key)
    new = builder.update_session(
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
    show_on_calendar(builder, new)
    builder.record_session_decision(
        new, _TIME_FOUND if session.adhoc else (*slot.reasons, *_explain_length(session, slot)), key=new.key
    )
    count = count_deferrals_in_cycle(builder, new)
    announced = any(m.number == new.count for m in builder.list_mails(MailName.DEFERRAL_NOTICE, new.id))
    if new.count and count >= OFFER_CHOICE_FROM and not announced:
        builder.record_decision(
            "warning", f"The {count}th deferral of this cycle; the manager is asked to choose.", new.id
        )


def _explain_length(session: Session, slot: Slot) -> Iterator[Reason]:
    if slot.span.minutes < session.minutes:
        yield Reason("shorter", {"minutes": slot.span.minutes, "needed": session.minutes})


def show_on_calendar(builder: PlanBuilder, session: Session) -> None:
    """Have the event made, or moved when it exists or is on its way."""
    what = (
        EffectKind.UPDATE
        if builder.find_event(session.key) or builder.has_pending_write(session.key)
        else EffectKind.CREATE
    )
    builder.write_event(what, session.id, session.key, session.sequence)


def take_off_calendar(builder: PlanBuilder, session: Session) -> None:
    """Have the event cancelled, if there is one or one is on its way; the next one will be another."""
    if builder.find_event(session.key) or builder.has_pending_write(session.key):
        builder.write_event(EffectKind.CANCEL, session.id, session.key, session.sequence)
    builder.update_session(session, generation=session.generation + 1)


def _mark_unplaceable(builder: PlanBuilder, session: Session, why: Reasons) -> None:
    """T-4, T-10: nothing fits. A person is told why; it is tried again each day."""
    builder.wake_at(find_last_look(builder.now, DAILY) + DAILY)
    new = session.unplaceable is None
    told = builder.update_session(session, unplaceable=why)
    known = _has_mail_for_same_cause(builder, told) or (not new and _has_unplaceable_mail(builder, told))
    if new:
        reason = _NO_TIME if session.adhoc else why
        builder.record_decision("unplaceable", reason, session.id, kind=session.kind.value, count=session.count)
    if not known:
        builder.add_mail(MailName.UNPLACEABLE, session.id, builder.manager.email, number=session.count)
    if new:
        take_off_calendar(builder, told)


def _has_unplaceable_mail(builder: PlanBuilder, session: Session) -> bool:
    return any(m.number == session.count for m in builder.list_mails(MailName.UNPLACEABLE, session.id))


def _has_mail_for_same_cause(builder: PlanBuilder, session: Session) -> bool:
    """Whether a mail about another conversation of the two says the same: three parts of a series take one mail.

    What somebody asked for has a mail of its own.
    """
    return any(
        has_same_cause(session, other) and _has_unplaceable_mail(builder, other) for other in builder.sessions.values()
    )


def has_same_cause(one: Session, other: Session) -> bool:
    """Whether two conversations of a pair have no time for the same reason, so that one mail speaks for both."""
    if one.id == other.id or one.adhoc or other.adhoc or SessionKind.CHECKIN in (one.kind, other.kind):
        return False
    return other.owed and bool(
        one.unplaceable and other.unplaceable and has_same_blockers(one.unplaceable, other.unplaceable)
    )


def _is_retry_due(builder: PlanBuilder, session: Session) -> bool:
    if not any(s.id == session.id and s.unplaceable for s in builder.state.sessions):
        return False  # found out in this very plan
    looked = builder.state.looked_at
    return looked is None or looked < find_last_look(builder.now, DAILY)
