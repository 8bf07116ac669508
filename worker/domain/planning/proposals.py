"""Proposes times to a person who moves a session by hand on a web page, and checks a time that the person picks.

Proposals are the times that fit best, with reasons. A picked time may break rules, such as buffers, working hours or
one career session a day. The page then shows the objections, and the person decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from worker.domain.model import (
    Address,
    FreeBusyRequest,
    Reason,
    Reasons,
    Session,
    SessionKind,
    Span,
)
from worker.domain.planning import cadence
from worker.domain.planning.deferrals import find_last_allowed_start
from worker.domain.planning.offers import list_open_times
from worker.domain.planning.placement import LEAD_WEEKDAYS, WEEKDAYS_BEFORE_LOST_TIME, exclude_own_event
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.absences import find_free_busy_start
from worker.domain.time.availability import BUFFER, BUFFER_QUARTERS, MINUTES_PER_QUARTER, QuarterGrid
from worker.domain.time.blockers import explain_no_slot, is_unknown
from worker.domain.time.explain import explain_missing_calendars
from worker.domain.time.search import NO_PREFERENCE, Search, list_career_days
from worker.domain.time.slots import Slot, rank_slots
from worker.domain.time.worktime import get_local_date

#: The best times are searched for within the first number of weekdays from now, and then within the second.
NEAR_DAYS, FAR_DAYS = 15, 40
PROPOSAL_COUNT = 3
#: Times are proposed from the session's own window only while at least a week of the window is left.
WEEK_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Proposals:
    """The times that fit best, or the reasons why there are none."""

    times: tuple["ProposedTime", ...]
    why_none: Reasons = ()
    #: The names of people whose connected calendar could not be read now. If there are any, `times` is empty.
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProposedTime:
    """One of the times that fit best, with the reasons."""

    span: Span
    reasons: Reasons  #: shown to both people; they concern only this session
    details: Reasons  #: shown to the manager; one for each criterion, including the manager's other sessions


@dataclass(frozen=True, slots=True)
class CheckedTime:
    """A time that a person picked, and the objections to it."""

    span: Span
    against: Reasons = ()  #: the objections, and a warning for each person whose calendar is not connected to Longarc
    is_busy: bool = False  #: one of the two people is busy then
    is_unread: bool = False  #: one of the connected calendars could not be read now


def make_free_busy_request(builder: PlanBuilder, session: Session, pick: Span | None = None) -> FreeBusyRequest:
    """Return the request for the free/busy that proposals need, and that checking the picked time needs, if any."""
    windows = _make_windows(builder, session)
    # The start may be before now: a long absence that has begun already forbids the first days after it (T-16).
    start = find_free_busy_start(builder.now, min(window.start for window in windows))
    end = max(window.end for window in windows)
    if pick:
        start, end = min(start, pick.start), max(end, pick.end)
    people = tuple(person.email for person in builder.people if person.has_calendar)
    return FreeBusyRequest(people, Span(start, end + BUFFER))  # a proposed time may end when its window ends


def propose_times(builder: PlanBuilder, session: Session) -> Proposals:
    """Return the three best times, each on a different day.

    Times inside the session's window come first, because a move past the window counts as a deferral (T-10, T-11). The
    builder's snapshot must contain the free/busy that `make_free_busy_request` asks for.
    """
    searches = [_make_search(builder, session, window) for window in _make_windows(builder, session)]
    widest_search = searches[-1]  # the second window contains the first
    unread = tuple(person.name for person in builder.people if is_unknown(widest_search, person))
    if unread:
        return Proposals((), unread=unread)
    slots: list[Slot] = []
    uncounted_window = _find_uncounted_window(builder, session)
    first_searches = [_make_search(builder, session, uncounted_window)] if uncounted_window else []
    zone = builder.manager.zone
    for search in first_searches + searches:
        proposed_days = {get_local_date(zone, slot.span.start) for slot in slots}
        # `rank_slots` returns one slot for each day. The limit is higher by the number of days that have a proposal
        # already, because slots on these days are left out.
        ranked = rank_slots(search, limit=PROPOSAL_COUNT + len(proposed_days))
        slots += [slot for slot in ranked if get_local_date(zone, slot.span.start) not in proposed_days]
        if len(slots) >= PROPOSAL_COUNT:
            break
    times = tuple(_explain_time(builder, session, slot) for slot in slots[:PROPOSAL_COUNT])
    return Proposals(times, () if times else tuple(explain_no_slot(widest_search)))


def is_past_window(session: Session, span: Span) -> bool:
    """Return whether the span is past the session's window, so that a move there counts as a deferral (T-10, T-11)."""
    return session.booked and span.start > find_last_allowed_start(session)


def _find_uncounted_window(builder: PlanBuilder, session: Session) -> Span | None:
    """Return the part of the first window for proposals in which a move does not count as a deferral.

    Return None when that part needs no search of its own: because it is the whole window, or because it is empty.
    """
    first_window = _make_windows(builder, session)[0]
    # up to this start a move is no deferral; that may be before the end of the window
    end = find_last_allowed_start(session) if session.booked else first_window.end
    return Span(first_window.start, end) if first_window.start < end < first_window.end else None


#: Codes of the reasons that concern only this session, so that both people may see them. Other reasons reveal something
#: of the manager's other sessions.
_SHARED_REASONS = (
    "preferred_weekday",
    "preferred_hour",
    "start_apart",  # the session starts at different hours in the two people's time zones
    "buffer",
    "unreadable",  # the calendar of one of the two is not connected to Longarc
)


def _explain_time(builder: PlanBuilder, session: Session, slot: Slot) -> ProposedTime:
    """Return the slot as a proposed time, with the reasons for both people and the details for the manager."""
    reasons = list(_explain_move(builder, session, slot.span))
    was_deferred = session.count > 0
    if not was_deferred and not session.adhoc and session.kind is SessionKind.CAREER:
        reasons.append(_explain_nearness(builder, session, slot.span))
    reasons += [reason for reason in slot.reasons if reason.code in _SHARED_REASONS]
    if is_past_window(session, slot.span):
        reasons.append(Reason("counts"))  # the move counts as a deferral
    return ProposedTime(slot.span, tuple(reasons), slot.reasons)


def _explain_nearness(builder: PlanBuilder, session: Session, span: Span) -> Reason:
    """Return the reason that names the distance in days from the session's target, the day that the rhythm asks for."""
    target, day = (get_local_date(builder.manager.zone, start) for start in (session.target, span.start))
    if day == target:
        return Reason("rhythm_day")
    return Reason("rhythm_near", {"target": target, "count": abs((day - target).days)})


def _explain_move(builder: PlanBuilder, session: Session, span: Span) -> Iterator[Reason]:
    """Yield the reason that names the distance in days from the time that a booked session has now."""
    if not session.booked:
        return
    old_day, new_day = (get_local_date(builder.manager.zone, start) for start in (session.span.start, span.start))
    if new_day == old_day:
        yield Reason("same_day")
    else:
        yield Reason("later" if new_day > old_day else "earlier", {"count": abs((new_day - old_day).days)})


def check_time(builder: PlanBuilder, session: Session, pick: Span) -> CheckedTime:
    """Return the objections to a time that a person picked.

    A connected calendar that could not be read now is an objection. A calendar that is not connected gives a warning.
    The builder's snapshot must contain the free/busy that `make_free_busy_request` asks for.
    """
    search = _make_search(builder, session, pick)
    busy_names = [person.name for person in search.people if _is_busy(search, pick, person.email)]
    objections = [Reason("busy_then", {"name": name}) for name in busy_names]
    unread_names = [person.name for person in search.people if is_unknown(search, person)]
    objections += [Reason("unread_now", {"name": name}) for name in unread_names]
    objections += _list_objections(search, pick)
    if session.kind is SessionKind.CAREER and pick.minutes < builder.policy.min_minutes:
        objections.append(Reason("short_for_it", {"minutes": builder.policy.min_minutes}))
    if is_past_window(session, pick):
        objections.append(Reason("counts"))  # the move counts as a deferral
    reasons = (*objections, *explain_missing_calendars(search))
    return CheckedTime(pick, reasons, is_busy=bool(busy_names), is_unread=bool(unread_names))


def _list_objections(search: Search, pick: Span) -> Iterator[Reason]:
    """Yield a reason for each rule that the picked time breaks: working hours, one career session a day, buffers."""
    grid = QuarterGrid(pick)
    for person in search.people:
        if grid.find_working(person) != grid.all:
            yield Reason("outside_hours", {"name": person.name})
    if search.is_career and get_local_date(search.manager.zone, pick.start) in list_career_days(search):
        yield Reason("another_that_day", {"name": search.manager.name})
    with_buffers = Span(pick.start - BUFFER, pick.end + BUFFER)
    if any(_is_busy(search, with_buffers, person.email) for person in search.people):
        yield Reason("no_buffer", {"minutes": BUFFER_QUARTERS * MINUTES_PER_QUARTER})


def _is_busy(search: Search, span: Span, email: Address) -> bool:
    """Return whether the person has a taken time or a busy time that overlaps the span."""
    free_busy = search.free_busy.get(email)
    spans = [item.span for item in search.taken_times.get(email, ())]
    spans += [item.span for item in free_busy.busy] if free_busy else []
    return any(span.overlaps(other) for other in spans)


def _make_search(builder: PlanBuilder, session: Session, window: Span) -> Search:
    """Return the criteria for a time in that window that the session has not had before, and that is not offered."""
    free_busy_by_address = builder.snapshot.free_busy if builder.snapshot else {}
    lost_times = tuple(deferral.was for deferral in builder.list_deferrals(session.id) if deferral.was)
    own_times = (session.span,) if session.booked else ()
    is_career = session.kind is SessionKind.CAREER
    return Search(
        manager=builder.manager,
        report=builder.report,
        window=window,
        minutes=max(session.minutes, builder.policy.min_minutes) if is_career else session.minutes,
        shortest_minutes=builder.policy.min_minutes,
        target=_find_target(builder, session, window),
        # an urgent session, such as one for a person who may leave, takes any weekday and hour (T-14)
        preference=builder.pair.preference if not session.urgent else NO_PREFERENCE,
        free_busy=exclude_own_event(free_busy_by_address, session),
        taken_times={address: builder.list_taken_times(address, exclude=session.id) for address in builder.addresses},
        avoid=(*lost_times, *own_times, *list_open_times(session, builder.now)),
        is_career=is_career,
        has_weekly_limit=session.in_turn,
    )


def _find_target(builder: PlanBuilder, session: Session, window: Span) -> datetime:
    """Return the instant near which times are proposed.

    For a session that was deferred far ahead, this is its present time. For a session that was never deferred, it is
    the target if the target lies in the window. Otherwise it is the start of the window.
    """
    if _is_deferred_far_ahead(builder, session):
        return max(session.span.start, window.start)
    is_inside = window.start <= session.target <= window.end
    was_deferred = session.count > 0
    return session.target if is_inside and not was_deferred else window.start


def _is_deferred_far_ahead(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session was deferred to a time more than `NEAR_DAYS` weekdays from now."""
    far = builder.find_weekday_end(NEAR_DAYS, builder.now)
    return session.booked and session.count > 0 and session.span.start > far


def _make_windows(builder: PlanBuilder, session: Session) -> tuple[Span, Span]:
    """Return the windows for the first and the second search. The second window contains the first.

    A session that was deferred far ahead gets times near its present time (T-10). Any other session gets times from its
    own window if it is booked without a deferral and a week of the window is left, and otherwise times as soon as two
    weekdays from now.
    """
    begin = _find_begin(builder, session)
    earliest = max(builder.find_weekday_start(LEAD_WEEKDAYS, builder.now), begin)
    if _is_deferred_far_ahead(builder, session):
        # A move makes the present time the lost time, and near that a search for the session would look as well.
        start = max(earliest, builder.find_weekday_start(-WEEKDAYS_BEFORE_LOST_TIME, session.span.start))
        near_end, far_end = (builder.find_weekday_end(days, session.span.start) for days in (NEAR_DAYS, FAR_DAYS))
        return Span(start, near_end), Span(start, far_end)
    near_end, far_end = (builder.find_weekday_end(days, begin) for days in (NEAR_DAYS, FAR_DAYS))
    own_start = max(earliest, session.earliest)
    if session.booked and not session.count and session.latest > own_start:
        own_window = Span(own_start, session.latest)
        if own_window.minutes >= WEEK_MINUTES:
            return own_window, Span(earliest, max(own_window.end, far_end))
    return Span(earliest, near_end), Span(earliest, far_end)


def _find_begin(builder: PlanBuilder, session: Session) -> datetime:
    """Return the instant from which times are proposed: now, or later for a later part of a series (T-13)."""
    earlier_parts = cadence.list_earlier_parts(session, list(builder.sessions.values()))
    if not earlier_parts:
        return builder.now
    return max(builder.now, cadence.make_part_window(earlier_parts, builder.manager.zone).earliest)
