"""Finding a time for what is owed, and saying why when there is none (T-1, T-2, T-3, T-4, T-10, T-12, T-14)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Address,
    DeferralCause,
    FreeBusy,
    MailName,
    OfferPurpose,
    Person,
    Preference,
    Reason,
    Reasons,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning import anchors, cadence, displacement, offers, series
from worker.domain.planning.deferrals import find_last_deferral
from worker.domain.planning.plan_builder import DAILY, PlanBuilder, find_last_look
from worker.domain.planning.questions import is_question
from worker.domain.planning.reviews import drop_review, is_waiting_for_1on1, list_lost_times, refresh_review_window
from worker.domain.planning.session_events import show_on_calendar, take_off_calendar
from worker.domain.planning.weekly import has_weekly
from worker.domain.time.absences import find_free_busy_start
from worker.domain.time.blockers import explain_no_slot, has_same_blockers
from worker.domain.time.search import Search, find_possible_starts
from worker.domain.time.slots import Slot, rank_slots
from worker.domain.time.worktime import get_local_date

#: A regular session is not put closer than this many working days: people need to see it coming.
LEAD_DAYS = 2
#: When nothing fits in its window, the window is extended by this, again after every length was tried…
WIDENING = timedelta(weeks=3)
#: … up to one rhythm past its end, and at least by this (T-4).
MIN_OPENING = timedelta(weeks=13)
#: A time for a deferred session is sought from this many working days before the time it lost (T-10)…
DAYS_BEFORE_LOST = 5
#: … to the first of these numbers of working days after it, or after today where that is later; then to the second.
DAYS_AFTER_LOST = (10, 20)
#: Not even an urgent one is put closer than this: once its event is on the calendar, four hours remain to think (T-5).
LEAD_HOURS = timedelta(hours=4, minutes=15)
#: An ad hoc session takes place within this many working days; times that displace something lie within them (T-14).
ADHOC_DAYS = 5
#: The same for an urgent one, as when somebody signalled that they may leave.
URGENT_DAYS = 2
#: How often people are told that there is still no time (T-4).
TOLD_AGAIN_AFTER = timedelta(weeks=4)

#: What the history says of an ad hoc conversation. More would reveal how soon it has to be, and so why.
_TIME_FOUND, _NO_TIME = "A time was found for it.", "No time for it exists just now."


@dataclass(frozen=True, slots=True)
class SearchAttempt:
    """One combination to search for a time with."""

    minutes: int
    window: Span
    buffer: bool = True  #: the quarter hours before and after have to be free


#: Attempts for which calendars are read together. Near windows come first: most sessions need no later one.
SearchStage = tuple[SearchAttempt, ...]


def place_owed_sessions(builder: PlanBuilder) -> None:
    """Give every owed session a time, the most urgent first, so that it gets the best choice."""
    owed = [s for s in builder.sessions.values() if s.owed]
    for session in sorted(owed, key=_get_urgency):
        if builder.wait_for_retry(session.id):
            continue
        if series.is_waiting(builder, session):
            continue  # it is placed once the part before it has a time
        if is_waiting_for_1on1(builder, session):
            continue  # it has no event of its own, and wakes by itself
        if session.unplaceable and offers.is_offer_open(session, builder.now):
            continue  # the two are asked whose hour it may take (T-14)
        if session.unplaceable and not _is_retry_due(builder, session):
            builder.wake_at(find_last_look(builder.now, DAILY) + DAILY)
        elif session.kind is SessionKind.REVIEW:
            if refresh_review_window(builder, session):
                _place_session(builder, builder.sessions[session.id])
        else:
            _place_session(builder, anchors.refresh_window(builder, session))


def _get_urgency(session: Session) -> tuple[bool, bool, bool, datetime, str]:
    """Reviews come last: they keep away from every career session (T-9)."""
    is_review = session.kind is SessionKind.REVIEW
    return is_review, not session.urgent, not session.adhoc, session.deferred_at or session.earliest, session.id


def _place_session(builder: PlanBuilder, session: Session) -> None:
    explained: Search | None = None  # the window itself: what stands in the way there is what people can change
    window_end: datetime | None = None
    for stage in _list_stages(builder, session):
        attempts = [attempt for attempt in stage if attempt.window.minutes >= attempt.minutes]
        if not attempts:
            window_end = window_end or session.latest  # its window is over, or as good as over
            continue
        first = find_free_busy_start(builder.now, min(a.window.start for a in attempts))
        free_busy = builder.get_free_busy(builder.people, Span(first, max(a.window.end for a in attempts)))
        if free_busy is None:
            return
        search, slots = _search_stage(builder, session, free_busy, attempts)
        if slots:
            _book_slot(builder, session, slots, search, window_end)
            return
        explained = explained or search
        window_end = window_end or attempts[-1].window.end
    reasons = explain_no_slot(explained) if explained else (Reason("window_over"),)
    if session.kind is SessionKind.REVIEW:
        why = "No time for this review exists; the next brief takes the contract up."
        drop_review(builder, session, why, reasons=reasons)
        return
    if session.unplaceable is None and session.adhoc and explained:
        soon = _search_soon(builder, session, explained)
        if soon is not None:
            _mark_unplaceable(builder, session, reasons)
            displacement.offer_displacing_times(builder, builder.sessions[session.id], soon)
        return
    _mark_unplaceable(builder, session, reasons)


def _search_stage(
    builder: PlanBuilder, session: Session, free_busy: Mapping[Address, FreeBusy], attempts: Sequence[SearchAttempt]
) -> tuple[Search, tuple[Slot, ...]]:
    """Return the first attempt that finds a time, and what it finds; the last one and nothing when none does.

    The last attempt asks for least: where it has no room, none has.
    """
    wanted = offers.OFFER_COUNT if offers.is_due(builder, session) else 1
    search = make_search(builder, session, free_busy, attempts[0])
    if slots := rank_slots(search, limit=wanted):
        return search, slots
    widest = make_search(builder, session, free_busy, attempts[-1])
    for attempt in attempts[1:] if find_possible_starts(widest)[1] else ():
        search = make_search(builder, session, free_busy, attempt)
        if slots := rank_slots(search, limit=wanted):
            return search, slots
    return widest, ()


def _search_soon(builder: PlanBuilder, session: Session, search: Search) -> Search | None:
    """The search for times that displace something (T-14), at least five working days long; None when calendars have
    to be read first.

    It is the same however soon the conversation has to be: what is offered must not tell why it was asked for (R-6).
    """
    window = Span(search.window.start, max(search.window.end, builder.find_weekday_end(ADHOC_DAYS, builder.now)))
    first = find_free_busy_start(builder.now, window.start)
    free_busy = builder.get_free_busy(builder.people, Span(first, window.end))
    if free_busy is None:
        return None
    known = {who: known.exclude_event(session.key) for who, known in free_busy.items()}
    return replace(search, window=window, free_busy=known, preference=Preference())


# --- where to look ---


def _list_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    if session.urgent:
        yield tuple(_list_urgent_attempts(builder, session))
    elif session.adhoc or session.kind is SessionKind.CHECKIN:
        yield tuple(_list_adhoc_attempts(builder, session))
    elif session.kind is SessionKind.REVIEW:
        yield tuple(_list_attempts(builder, session, _find_first_day(builder, session), [session.latest]))
    elif session.state is SessionState.DEFERRED:
        yield from _list_deferred_stages(builder, session)
    else:
        yield from _list_regular_stages(builder, session)


def _list_lengths(builder: PlanBuilder, session: Session) -> Iterator[int]:
    """T-1: the wanted length, then 15 minutes less at a time, down to the shortest allowed."""
    floor = builder.policy.min_minutes if session.kind is SessionKind.CAREER else session.minutes
    minutes = max(session.minutes, floor)
    while minutes >= floor:
        yield minutes
        minutes -= 15


def _list_regular_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    """T-3, then T-4: the window at every length; then the window opened step by step, each at every length."""
    earliest = _find_first_day(builder, session)
    yield tuple(_list_attempts(builder, session, earliest, [session.latest]))
    yield _open_window(builder, session, earliest, session.latest)


def _find_first_day(builder: PlanBuilder, session: Session) -> datetime:
    return max(session.earliest, builder.find_weekday_start(LEAD_DAYS, builder.now))


def _list_deferred_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    """T-10: near the time that was lost, and never long before it; then as T-4 opens any window."""
    lost = find_lost_start(builder, session) or builder.now
    earliest = max(
        builder.find_weekday_start(LEAD_DAYS, builder.now),
        builder.find_weekday_start(-DAYS_BEFORE_LOST, lost),
        *_list_lower_bounds(builder, session),
    )
    near, far = (builder.find_weekday_end(days, max(builder.now, lost)) for days in DAYS_AFTER_LOST)
    first = [SearchAttempt(session.minutes, Span(earliest, end)) for end in (near, far) if end > earliest]
    shorter = list(_list_attempts(builder, session, earliest, [far]))[1:]
    yield (*first, *shorter)
    yield _open_window(builder, session, earliest, far)


def _list_lower_bounds(builder: PlanBuilder, session: Session) -> Iterator[datetime]:
    """What a deferred session of the rhythm may not come before: half a rhythm after the last conversation of an
    earlier cycle, the part of its series before it, and the pair's start (T-10, T-13)."""
    if not cadence.is_regular(session):
        return
    sessions = list(builder.sessions.values())
    yield from cadence.list_lower_bounds(session, sessions, builder.pair, builder.people, builder.policy)


def _open_window(builder: PlanBuilder, session: Session, earliest: datetime, latest: datetime) -> SearchStage:
    """T-4: up to one rhythm past its end, nearest first, at every length before the next width."""
    rhythm = cadence.compute_rhythm(builder.pair, get_local_date(builder.manager.zone, session.target), builder.policy)
    end, limit = max(earliest, latest), max(earliest, latest) + max(rhythm, MIN_OPENING)
    ends = []
    while end < limit:
        end = min(end + WIDENING, limit)
        ends.append(end)
    return tuple(_list_attempts(builder, session, earliest, ends))


def _list_attempts(
    builder: PlanBuilder, session: Session, earliest: datetime, ends: Sequence[datetime]
) -> Iterator[SearchAttempt]:
    for end in ends:
        if end > earliest:
            for minutes in _list_lengths(builder, session):
                yield SearchAttempt(minutes, Span(earliest, end))


def find_lost_start(builder: PlanBuilder, session: Session) -> datetime | None:
    """Return the start that a session lost last, or when it was recorded as not held (T-10); None when it lost none."""
    last = find_last_deferral(builder, session)
    if last is None:
        return None
    return last.at if last.was is None or last.cause is DeferralCause.NOT_HELD else last.was.start


def _list_adhoc_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within five working days of the request; within ten once people were told that nothing fits in five."""
    earliest = max(builder.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(builder, session, earliest, 2 * ADHOC_DAYS):
        for minutes in _list_lengths(builder, session):
            yield SearchAttempt(minutes, Span(earliest, end))


def _list_window_ends(builder: PlanBuilder, session: Session, earliest: datetime, more_days: int) -> list[datetime]:
    """The end of the window; once people were told that nothing fits in it, also the end of `more_days` from now."""
    ends = [max(session.latest, earliest)]
    return [*ends, max(builder.find_weekday_end(more_days, builder.now), earliest)] if session.unplaceable else ends


def _list_urgent_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """T-14: within two working days, or five once people were told that nothing fits in two; length and buffers yield
    before the date does."""
    earliest = max(builder.now + LEAD_HOURS, session.earliest)
    for end in _list_window_ends(builder, session, earliest, ADHOC_DAYS):
        for buffer in (True, False):
            for minutes in _list_lengths(builder, session):
                yield SearchAttempt(minutes, Span(earliest, end), buffer)


def make_search(
    builder: PlanBuilder, session: Session, known: Mapping[Address, FreeBusy], attempt: SearchAttempt
) -> Search:
    """Return the criteria for the session's time: near the requested time, if there is one, else near its target."""
    requested_time = builder.requested_times.get(session.id)
    return Search(
        manager=builder.manager,
        report=builder.report,
        window=attempt.window,
        minutes=attempt.minutes,
        target=requested_time.start if requested_time else _find_target(builder, session, attempt.window),
        preference=_make_preference(requested_time, builder.report.zone)
        if requested_time
        else Preference()
        if session.urgent
        else builder.pair.preference,
        free_busy={who: free_busy.exclude_event(session.key) for who, free_busy in known.items()},
        taken_times={who: builder.list_taken_times(who, exclude=session.id) for who in builder.addresses},
        avoid=_list_lost_times(builder, session),
        buffer=attempt.buffer,
        career=session.kind is SessionKind.CAREER,
        in_turn=session.in_turn,
        may_follow_absence=session.urgent,
    )


def _list_lost_times(builder: PlanBuilder, session: Session) -> tuple[Span, ...]:
    """The times it lost, which are not offered again. Of a session that can wait it is the whole day, unless that day
    lost no more than an hour to something else: who can't come at ten seldom can at eleven."""
    if session.kind is SessionKind.REVIEW:
        return list_lost_times(builder, session)
    return tuple(
        deferral.was
        if session.adhoc or deferral.cause is DeferralCause.BOOKED_OVER
        else Span(builder.find_weekday_start(0, deferral.was.start), builder.find_weekday_end(0, deferral.was.start))
        for deferral in builder.list_deferrals(session.id)
        if deferral.was
    )


def _find_target(builder: PlanBuilder, session: Session, window: Span) -> datetime:
    """The instant to be near to: soon for what was asked for, the lost start for what was deferred, else its target."""
    if session.adhoc or session.kind is SessionKind.CHECKIN:
        return window.start
    lost = find_lost_start(builder, session) if session.state is SessionState.DEFERRED else None
    return max(lost, window.start) if lost else session.target


def _make_preference(requested_time: Span, zone: str) -> Preference:
    """That day of the week and that time of the day."""
    local = requested_time.start.astimezone(ZoneInfo(zone))
    return Preference(weekday=local.weekday(), minute=60 * local.hour + local.minute)


# --- the result of the search ---


def _book_slot(
    builder: PlanBuilder, session: Session, slots: tuple[Slot, ...], search: Search, window_end: datetime | None
) -> None:
    """Give the session the best slot. `window_end`: where its window ended before it was opened; None when it was
    not."""
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
        offer=None,
    )
    show_on_calendar(builder, new)
    builder.record_session_decision(
        new,
        _TIME_FOUND if session.adhoc else (*slot.reasons, *_explain_compromise(session, slot, window_end)),
        key=new.key,
    )
    if offers.is_due(builder, session):
        purpose = OfferPurpose.QUESTION if is_question(builder, new) else OfferPurpose.DEFERRAL
        offers.add_offer(builder, new, [one.span for one in slots], purpose)
        offers.warn_of_repeated_deferral(builder, new)


def _explain_compromise(session: Session, slot: Slot, window_end: datetime | None) -> Iterator[Reason]:
    """Yield what the two did not get: the wanted length (T-1), a day in the window (T-4)."""
    if slot.span.minutes < session.minutes:
        yield Reason("shorter", {"minutes": slot.span.minutes, "needed": session.minutes})
    if window_end is not None and slot.span.start > window_end:
        yield Reason("past_window", {"count": max((slot.span.start - window_end).days, 1)})


def cancel_session(builder: PlanBuilder, session: Session, why: str) -> None:
    """End a session that is not to take place: its event goes, and the history says why."""
    take_off_calendar(builder, session)
    cancelled = builder.update_session(
        builder.sessions[session.id],
        state=SessionState.CANCELLED,
        start=None,
        end=None,
        offer=None,
        unplaceable=None,
    )
    builder.record_session_decision(cancelled, why)


def _mark_unplaceable(builder: PlanBuilder, session: Session, why: Reasons) -> None:
    """T-4, T-10: nothing fits. Both are told why, at once and again every four weeks; it is tried again each day."""
    builder.wake_at(find_last_look(builder.now, DAILY) + DAILY)
    is_news = session.unplaceable is None
    unplaced = builder.update_session(session, unplaceable=why)
    if is_news:
        reason = _NO_TIME if session.adhoc else why
        builder.record_decision("unplaceable", reason, session.id, kind=session.kind.value, count=session.count)
    if not _was_told_lately(builder, unplaced):
        for person in _list_people_to_tell(builder, unplaced):
            builder.add_mail(MailName.UNPLACEABLE, session.id, person.email, number=session.count)
    if is_news:
        take_off_calendar(builder, unplaced)


def _list_people_to_tell(builder: PlanBuilder, session: Session) -> tuple[Person, ...]:
    """Both; of an ad hoc one the manager alone, since how soon it has to be could reveal why it was asked for (R-6).

    A manager who was told once reads it again in the weekly mail, and gets no second mail.
    """
    if not cadence.is_regular(session):
        return (builder.manager,)
    told = [m for m in builder.list_mails(MailName.UNPLACEABLE, session.id) if m.number == session.count]
    is_repeated = has_weekly(builder.state) and any(m.to == builder.manager.email for m in told)
    return (builder.report,) if is_repeated else builder.people


def _was_told_lately(builder: PlanBuilder, session: Session) -> bool:
    """Whether a mail of the last four weeks says so, about this session or, for the same cause, about another one of
    the two: three parts of a series take one mail. What somebody asked for has a mail of its own."""
    alike = [session, *(other for other in builder.sessions.values() if has_same_cause(session, other))]
    return any(
        effect.number == other.count and builder.now - effect.snapshot_at < TOLD_AGAIN_AFTER
        for other in alike
        for effect in builder.list_mails(MailName.UNPLACEABLE, other.id)
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
        return False  # this very plan found no time
    looked = builder.state.looked_at
    return looked is None or looked < find_last_look(builder.now, DAILY)
