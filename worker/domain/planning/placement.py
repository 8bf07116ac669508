"""Finds a time for each owed session, or records and reports why no time exists (R-8, T-4).

A search makes several attempts, each with a length and a window, and begins with what the two people want most. The
first attempt that finds a time slot wins. When no attempt finds a time slot, the session is unplaceable: people are
told why, and the search is repeated each day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from worker.domain.model import (
    Address,
    DeferralCause,
    FreeBusy,
    OfferPurpose,
    Preference,
    Reason,
    Session,
    SessionKind,
    SessionState,
    Span,
)
from worker.domain.planning import anchors, cadence, displacement, offers, series
from worker.domain.planning.deferrals import find_last_deferral
from worker.domain.planning.plan_builder import DAILY, PlanBuilder, floor_to_shared_grid
from worker.domain.planning.questions import has_question
from worker.domain.planning.reviews import (
    drop_review,
    is_waiting_for_1on1,
    list_previous_event_times,
    refresh_review_window,
)
from worker.domain.planning.session_events import show_on_calendar, take_off_calendar
from worker.domain.planning.unplaceable import is_retry_due, mark_unplaceable
from worker.domain.time.absences import find_free_busy_start
from worker.domain.time.availability import BUFFER
from worker.domain.time.blockers import SHORTEN_STEP_MINUTES, explain_no_slot
from worker.domain.time.search import NO_PREFERENCE, Search, find_possible_starts
from worker.domain.time.slots import Slot, rank_slots
from worker.domain.time.worktime import get_local_date

#: The fewest weekdays from today to a new time, except for an ad hoc session or a check-in, so that people have notice.
LEAD_WEEKDAYS = 2
#: When no length fits in the window, the end of the window is extended by this time, repeatedly (T-4).
EXTENSION_STEP = timedelta(weeks=3)
#: A window is extended by one rhythm in all, or by this time if the rhythm is shorter (T-4).
MIN_EXTENSION = timedelta(weeks=13)
#: The window of a deferred session begins this many weekdays before the time that it lost (T-10).
WEEKDAYS_BEFORE_LOST_TIME = 5
#: The window of a deferred session ends this many weekdays after the lost time or today, whichever is later. The second
#: number is tried when nothing fits with the first (T-10).
WEEKDAYS_AFTER_LOST_TIME = (10, 20)
#: The least time from now to a new time of an ad hoc session. Once its event is on the calendar, four hours remain in
#: which the report can read the prompt (T-5).
ADHOC_LEAD_TIME = timedelta(hours=4, minutes=15)
#: An ad hoc session takes place within this many weekdays, even at a time that displaces other events (T-14).
ADHOC_DAYS = 5
#: An urgent ad hoc session, such as one for a person who may leave, takes place within this many weekdays (T-14).
URGENT_DAYS = 2

#: The reason in the history of an ad hoc session. More detail would show how urgent the session is, and thus why it was
#: requested (R-6).
_TIME_FOUND = "A time was found for it."


@dataclass(frozen=True, slots=True)
class SearchAttempt:
    """A combination of length, window and buffer for one attempt to find a time."""

    minutes: int
    window: Span
    has_buffer: bool = True  #: the quarter-hours before and after the session have to be free


#: The free/busy for all attempts of one stage is requested at once. Stages with near windows come first, since most
#: sessions find a time there and need no further free/busy.
SearchStage = tuple[SearchAttempt, ...]


def place_owed_sessions(builder: PlanBuilder) -> None:
    """Search for a time for every owed session, the most urgent first, so that urgent sessions have the most choice."""
    owed = [s for s in builder.sessions.values() if s.owed]
    for session in sorted(owed, key=_get_urgency):
        if builder.has_to_wait_for_retry(session.id):
            continue
        if series.is_waiting(builder, session):
            continue  # an earlier part of the series needs a time first
        if is_waiting_for_1on1(builder, session):
            continue  # the review gets the time of a 1:1 in `reviews`, and no event of its own
        if session.unplaceable and offers.is_offer_open(session, builder.now):
            continue  # the two are choosing among times that displace other events (T-14)
        if session.unplaceable and not is_retry_due(builder, session):
            builder.plan_again_at(floor_to_shared_grid(builder.now, DAILY) + DAILY)
        elif session.kind is SessionKind.REVIEW:
            if refresh_review_window(builder, session):  # None when the review has been dropped
                _place_session(builder, builder.sessions[session.id])
        else:
            _place_session(builder, anchors.refresh_window(builder, session))


def _get_urgency(session: Session) -> tuple[bool, bool, bool, datetime, str]:
    """Return a sort key: urgent sessions, then ad hoc ones, then those that have been deferred or due for longest.

    Reviews come last, since their windows depend on career sessions (T-9).
    """
    is_review = session.kind is SessionKind.REVIEW
    return is_review, not session.urgent, not session.adhoc, session.deferred_at or session.earliest, session.id


def _place_session(builder: PlanBuilder, session: Session) -> None:
    """Book the best time slot for the session or, when none exists, explain why.

    When free/busy is missing, nothing is booked. The builder then holds a request for it, and the next plan searches
    again.
    """
    # The search of the first stage, before the window is extended. If no time exists, its blockers are explained, since
    # people can change these best.
    first_search: Search | None = None
    window_end: datetime | None = None  # where the session's window ended before it was extended
    for stage in _list_stages(builder, session):
        attempts = [attempt for attempt in stage if attempt.window.minutes >= attempt.minutes]
        if not attempts:
            window_end = window_end or session.latest  # too little of the window is left for the session
            continue
        start = find_free_busy_start(builder.now, min(attempt.window.start for attempt in attempts))
        # A session may end when its window ends, so that the free/busy for the buffer after it is needed as well.
        end = max(attempt.window.end for attempt in attempts) + BUFFER
        free_busy_by_address = builder.get_free_busy(builder.people, Span(start, end))
        if free_busy_by_address is None:
            return
        search, slots = _search_stage(builder, session, free_busy_by_address, attempts)
        if slots:
            _book_slot(builder, session, slots, search, window_end)
            return
        first_search = first_search or search
        window_end = window_end or attempts[-1].window.end
    reasons = explain_no_slot(first_search) if first_search else (Reason("window_over"),)
    if session.kind is SessionKind.REVIEW:
        why = "No time for this review exists; the next brief takes the contract up."
        drop_review(builder, session, why, reasons=reasons)
        return
    if session.unplaceable is None and session.adhoc and first_search:
        # Times that displace other events are offered only once, when the session becomes unplaceable.
        displacing_search = _make_displacing_search(builder, session, first_search)
        if displacing_search is not None:  # None while free/busy is missing: then the next plan decides
            mark_unplaceable(builder, session, reasons)
            displacement.offer_displacing_times(builder, builder.sessions[session.id], displacing_search)
        return
    mark_unplaceable(builder, session, reasons)


def _search_stage(
    builder: PlanBuilder,
    session: Session,
    free_busy_by_address: Mapping[Address, FreeBusy],
    attempts: Sequence[SearchAttempt],
) -> tuple[Search, tuple[Slot, ...]]:
    """Return the search of the first attempt that finds a slot, with its best slots.

    When no attempt finds one, return the last search without slots. The last attempt has the widest window and the
    shortest length, so that nothing fits in any attempt when nothing fits in the last.
    """
    slot_count = offers.OFFER_COUNT if offers.gets_alternatives(builder, session) else 1
    search = make_search(builder, session, free_busy_by_address, attempts[0])
    if slots := rank_slots(search, limit=slot_count):
        return search, slots
    last_search = make_search(builder, session, free_busy_by_address, attempts[-1])
    _, possible_starts = find_possible_starts(last_search)
    if not possible_starts:
        return last_search, ()
    for attempt in attempts[1:]:
        search = make_search(builder, session, free_busy_by_address, attempt)
        if slots := rank_slots(search, limit=slot_count):
            return search, slots
    return last_search, ()


def _make_displacing_search(builder: PlanBuilder, session: Session, search: Search) -> Search | None:
    """Return the search for times of an ad hoc session that displace other events (T-14).

    Return None while the calendars have not been read. The window is at least five weekdays long, also for an urgent
    session, so that the offered times do not show how urgent the session is (R-6).
    """
    window = Span(search.window.start, max(search.window.end, builder.find_weekday_end(ADHOC_DAYS, builder.now)))
    start = find_free_busy_start(builder.now, window.start)
    free_busy_by_address = builder.get_free_busy(builder.people, Span(start, window.end))
    if free_busy_by_address is None:
        return None
    without_own_event = exclude_own_event(free_busy_by_address, session)
    return replace(search, window=window, free_busy=without_own_event, preference=NO_PREFERENCE)


def exclude_own_event(free_busy_by_address: Mapping[Address, FreeBusy], session: Session) -> dict[Address, FreeBusy]:
    """Return the free/busy without the session's own event, which must not block the session's new time."""
    return {address: free_busy.exclude_event(session.key) for address, free_busy in free_busy_by_address.items()}


# --- the attempts of a search ---


def _list_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    """Yield the stages of the search for the session's time, by its kind and state."""
    if session.urgent:
        yield tuple(_list_urgent_attempts(builder, session))
    elif session.adhoc or session.kind is SessionKind.CHECKIN:
        yield tuple(_list_adhoc_attempts(builder, session))
    elif session.kind is SessionKind.REVIEW:
        yield tuple(_list_attempts(builder, session, _find_earliest_start(builder, session), [session.latest]))
    elif session.state is SessionState.DEFERRED:
        yield from _list_deferred_stages(builder, session)
    else:
        yield from _list_regular_stages(builder, session)


def _list_lengths(builder: PlanBuilder, session: Session) -> Iterator[int]:
    """Yield the wanted length, then lengths 15 minutes shorter at a time, down to the shortest allowed (T-1)."""
    shortest = builder.policy.min_minutes if session.kind is SessionKind.CAREER else session.minutes
    minutes = max(session.minutes, shortest)
    while minutes >= shortest:
        yield minutes
        minutes -= SHORTEN_STEP_MINUTES


def _list_regular_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    """Yield the session's window at every length (T-3), then the extended window (T-4)."""
    earliest = _find_earliest_start(builder, session)
    yield tuple(_list_attempts(builder, session, earliest, [session.latest]))
    yield _make_extended_stage(builder, session, earliest=earliest, latest=session.latest)


def _find_earliest_start(builder: PlanBuilder, session: Session) -> datetime:
    """Return the start of the session's window, but at least two weekdays from today."""
    return max(session.earliest, builder.find_weekday_start(LEAD_WEEKDAYS, builder.now))


def _list_deferred_stages(builder: PlanBuilder, session: Session) -> Iterator[SearchStage]:
    """Yield windows near the time that the session lost, never long before it (T-10), then the extended window (T-4).

    The full length is tried in the near and in the far window before shorter lengths.
    """
    lost_start = find_lost_start(builder, session) or builder.now
    earliest = max(
        builder.find_weekday_start(LEAD_WEEKDAYS, builder.now),
        builder.find_weekday_start(-WEEKDAYS_BEFORE_LOST_TIME, lost_start),
        *_list_lower_bounds(builder, session),
    )
    counted_from = max(builder.now, lost_start)
    near_end, far_end = (builder.find_weekday_end(weekdays, counted_from) for weekdays in WEEKDAYS_AFTER_LOST_TIME)
    full_length = [SearchAttempt(session.minutes, Span(earliest, end)) for end in (near_end, far_end) if end > earliest]
    # The first of these attempts has the full length, and is one of `full_length` already.
    shorter = list(_list_attempts(builder, session, earliest, [far_end]))[1:]
    yield (*full_length, *shorter)
    yield _make_extended_stage(builder, session, earliest=earliest, latest=far_end)


def _list_lower_bounds(builder: PlanBuilder, session: Session) -> Iterator[datetime]:
    """Yield the instants before which a deferred regular session may not begin; none for other sessions.

    See `cadence.list_lower_bounds` (T-10, T-13).
    """
    if not cadence.is_regular(session):
        return
    sessions = list(builder.sessions.values())
    yield from cadence.list_lower_bounds(session, sessions, builder.pair, builder.manager.zone, builder.policy)


def _make_extended_stage(
    builder: PlanBuilder, session: Session, *, earliest: datetime, latest: datetime
) -> SearchStage:
    """Return attempts in extended windows, whose ends are later and later, in this order (T-4).

    The last end is one rhythm after `latest`, or `MIN_EXTENSION` if that is longer. Every length is tried with one end
    before the next end is tried.
    """
    rhythm = cadence.compute_rhythm(builder.pair, get_local_date(builder.manager.zone, session.target), builder.policy)
    end = max(earliest, latest)
    limit = end + max(rhythm, MIN_EXTENSION)
    ends: list[datetime] = []
    while end < limit:
        end = min(end + EXTENSION_STEP, limit)
        ends.append(end)
    return tuple(_list_attempts(builder, session, earliest, ends))


def _list_attempts(
    builder: PlanBuilder, session: Session, earliest: datetime, ends: Sequence[datetime]
) -> Iterator[SearchAttempt]:
    """Yield an attempt for each window end and each length, in that order."""
    for end in ends:
        if end > earliest:
            for minutes in _list_lengths(builder, session):
                yield SearchAttempt(minutes, Span(earliest, end))


def find_lost_start(builder: PlanBuilder, session: Session) -> datetime | None:
    """Return the start of the time that the session lost last; None when the session was never deferred.

    For a session that did not take place, or whose lost time is not recorded, return when it was deferred (T-10).
    """
    deferral = find_last_deferral(builder, session)
    if deferral is None:
        return None
    if deferral.was is None or deferral.cause is DeferralCause.NOT_HELD:
        return deferral.at
    return deferral.was.start


def _list_adhoc_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """Yield attempts within five weekdays of the request and, when that window does not do, within ten (T-14)."""
    earliest = max(builder.now + ADHOC_LEAD_TIME, session.earliest)
    for end in _list_window_ends(builder, session, earliest, later_end_days=2 * ADHOC_DAYS):
        for minutes in _list_lengths(builder, session):
            yield SearchAttempt(minutes, Span(earliest, end))


def _list_window_ends(
    builder: PlanBuilder, session: Session, earliest: datetime, *, later_end_days: int
) -> list[datetime]:
    """Return the end of the session's window and, if the session is unplaceable or the window is over, a later end.

    The later end is `later_end_days` weekdays from now. When a session is unplaceable, people have been told that
    nothing fits in the window itself. A window can be over because the calendar refused the event until then.
    """
    window_end = max(session.latest, earliest)
    is_window_over = window_end - earliest < timedelta(minutes=min(_list_lengths(builder, session)))
    if not session.unplaceable and not is_window_over:
        return [window_end]
    return [window_end, max(builder.find_weekday_end(later_end_days, builder.now), earliest)]


def _list_urgent_attempts(builder: PlanBuilder, session: Session) -> Iterator[SearchAttempt]:
    """Yield attempts within two weekdays and, when that window does not do, within five (T-14).

    Shorter lengths and the omission of buffers are tried before a later end.
    """
    earliest = max(builder.now + ADHOC_LEAD_TIME, session.earliest)
    for end in _list_window_ends(builder, session, earliest, later_end_days=ADHOC_DAYS):
        for has_buffer in (True, False):
            for minutes in _list_lengths(builder, session):
                yield SearchAttempt(minutes, Span(earliest, end), has_buffer=has_buffer)


def make_search(
    builder: PlanBuilder, session: Session, free_busy_by_address: Mapping[Address, FreeBusy], attempt: SearchAttempt
) -> Search:
    """Return the criteria for one attempt to find the session's time.

    The time should be near the time that a guest requested if there is one, and otherwise near the target.
    """
    requested_time = builder.requested_times.get(session.id)
    return Search(
        manager=builder.manager,
        report=builder.report,
        window=attempt.window,
        minutes=attempt.minutes,
        shortest_minutes=builder.policy.min_minutes,
        target=requested_time.start if requested_time else _find_target(builder, session, attempt.window),
        preference=_choose_preference(builder, session, requested_time),
        free_busy=exclude_own_event(free_busy_by_address, session),
        taken_times={address: builder.list_taken_times(address, exclude=session.id) for address in builder.addresses},
        avoid=_list_times_to_avoid(builder, session),
        has_buffer=attempt.has_buffer,
        is_career=session.kind is SessionKind.CAREER,
        has_weekly_limit=session.in_turn,  # a manager has at most two sessions in turn a week (T-3a)
        may_follow_absence=session.urgent,
    )


def _list_times_to_avoid(builder: PlanBuilder, session: Session) -> tuple[Span, ...]:
    """Return the times that the session has lost and must not get again.

    The whole day of a lost time is avoided, because a person who can't come at ten can seldom come at eleven. Only the
    lost time itself is avoided when another event clashed with it, or when the session is ad hoc. A review avoids the
    times of its present and its previous event.
    """
    if session.kind is SessionKind.REVIEW:
        return list_previous_event_times(builder, session)
    times: list[Span] = []
    for deferral in builder.list_deferrals(session.id):
        if deferral.was is None:
            continue
        if session.adhoc or deferral.cause is DeferralCause.BOOKED_OVER:
            times.append(deferral.was)
        else:
            lost_start = deferral.was.start
            times.append(Span(builder.find_weekday_start(0, lost_start), builder.find_weekday_end(0, lost_start)))
    return tuple(times)


def _find_target(builder: PlanBuilder, session: Session, window: Span) -> datetime:
    """Return the instant near which the session should take place.

    A session that somebody asked for takes place as soon as possible, and a deferred session near the start that it
    lost. Any other session takes place near its target.
    """
    if session.adhoc or session.kind is SessionKind.CHECKIN:
        return window.start
    lost_start = find_lost_start(builder, session) if session.state is SessionState.DEFERRED else None
    return max(lost_start, window.start) if lost_start else session.target


def _choose_preference(builder: PlanBuilder, session: Session, requested_time: Span | None) -> Preference:
    """Return the weekday and the clock time of the requested time if there is one, else the preference of the pair.

    An urgent session has no preference.
    """
    if requested_time is None:
        return NO_PREFERENCE if session.urgent else builder.pair.preference
    local_start = requested_time.start.astimezone(ZoneInfo(builder.report.zone))
    return Preference(weekday=local_start.weekday(), minute=60 * local_start.hour + local_start.minute)


# --- the result of the search ---


def _book_slot(
    builder: PlanBuilder, session: Session, slots: tuple[Slot, ...], search: Search, window_end: datetime | None
) -> None:
    """Book the first of the slots, which is the best. If the session needs a choice, offer all of them.

    `window_end` is the end of the session's window before it was extended; None when it was not extended.
    """
    slot = slots[0]
    placed = builder.state.placed_events.get(session.key)
    booked = builder.update_session(
        session,
        state=SessionState.BOOKED,
        start=slot.span.start,
        end=slot.span.end,
        latest=max(session.latest, search.window.end),  # so that the new time is not past the session's window
        # A deleted event can't be written again, so the next event gets another key.
        generation=session.generation + (1 if placed is not None and placed.is_gone else 0),
        sequence=session.sequence + 1,
        unplaceable=None,
        offer=None,
    )
    show_on_calendar(builder, booked)
    reasons = (*slot.reasons, *_explain_compromise(session, slot, window_end))
    builder.record_session_decision(booked, _TIME_FOUND if session.adhoc else reasons, key=booked.key)
    if offers.gets_alternatives(builder, session):
        purpose = OfferPurpose.QUESTION if has_question(builder, booked) else OfferPurpose.DEFERRAL
        offers.add_offer(builder, booked, [offered.span for offered in slots], purpose)
        offers.record_repeated_deferral(builder, booked)


def _explain_compromise(session: Session, slot: Slot, window_end: datetime | None) -> Iterator[Reason]:
    """Yield a reason for a length below the wanted one (T-1), and for a day after the window (T-4)."""
    if slot.span.minutes < session.minutes:
        yield Reason("shorter", {"minutes": slot.span.minutes, "needed": session.minutes})
    if window_end is not None and slot.span.start > window_end:
        yield Reason("past_window", {"count": max((slot.span.start - window_end).days, 1)})


def cancel_session(builder: PlanBuilder, session: Session, why: str) -> None:
    """Cancel a session and its event. `why` goes into the history."""
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
