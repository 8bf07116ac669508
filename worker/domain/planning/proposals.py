"""Times to choose from when a person moves a conversation by hand: the best ones with their reasons, and what speaks
against a time that the person picks.

A picked time may break the rules (buffers, working hours, one a day): the page says so, and the person decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import QUARTER_HOUR, FreeBusyRequest, Preference, Reason, Reasons, Session, SessionKind, Span
from worker.domain.planning.placement import DAYS_BEFORE_LOST, LEAD_DAYS
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.absences import find_free_busy_start
from worker.domain.time.availability import BUFFER_QUARTERS, QuarterGrid
from worker.domain.time.blockers import explain_no_slot, is_unknown
from worker.domain.time.explain import explain_missing_calendars
from worker.domain.time.search import Search, find_shared_work, list_career_days
from worker.domain.time.slots import Slot, rank_slots
from worker.domain.time.worktime import get_local_date

#: The best times are sought within this many weekdays from now, then within that many.
NEAR_DAYS, FAR_DAYS = 15, 40
PROPOSAL_COUNT = 3
#: A session's own window is used only while at least a week of it is left. Minutes.
WEEK_MINUTES = 7 * 24 * 60


@dataclass(frozen=True, slots=True)
class Proposals:
    """The times that fit best, or why there are none."""

    times: tuple["ProposedTime", ...]
    why_none: Reasons = ()
    unread: tuple[str, ...] = ()  #: the names of those whose calendar can't be read just now; nothing is proposed then


@dataclass(frozen=True, slots=True)
class ProposedTime:
    """One of the times that fit best, and why."""

    span: Span
    reasons: Reasons  #: for both of the two: of this conversation alone
    details: Reasons  #: for the manager: every criterion, of the manager's weeks too


@dataclass(frozen=True, slots=True)
class CheckedTime:
    """A time that somebody picked, and what speaks against it."""

    span: Span
    against: Reasons = ()
    is_taken: bool = False  #: a calendar of the two is not free then
    is_unread: bool = False  #: a calendar of the two can't be read just now


def make_free_busy_request(builder: PlanBuilder, session: Session, pick: Span | None = None) -> FreeBusyRequest:
    """Return the request for the free/busy that proposals need: of the weeks they come from, and of the picked time."""
    end = max(far.end for far in (*_make_windows(builder, session), *((pick,) if pick else ()))) + timedelta(days=1)
    start = find_free_busy_start(builder.now, min(window.start for window in _make_windows(builder, session)))
    start = min(start, pick.start) if pick else start
    return FreeBusyRequest(tuple(person.email for person in builder.people if person.has_calendar), Span(start, end))


def propose_times(builder: PlanBuilder, session: Session) -> Proposals:
    """Return the three best times, those inside the session's window first: a move past it counts (T-10, T-11).

    The builder's snapshot has what `make_free_busy_request` asks for.
    """
    searches = [_make_search(builder, session, window) for window in _make_windows(builder, session)]
    unread = tuple(person.name for person in builder.people if is_unknown(searches[-1], person))
    if unread:
        return Proposals((), unread=unread)
    slots: list[Slot] = []
    inside = _find_own_window(builder, session)
    for search in ([_make_search(builder, session, inside)] if inside else []) + searches:
        days = {get_local_date(builder.manager.zone, slot.span.start) for slot in slots}
        further = rank_slots(search, limit=PROPOSAL_COUNT + len(days))
        slots += [one for one in further if get_local_date(builder.manager.zone, one.span.start) not in days]
        if len(slots) >= PROPOSAL_COUNT:
            break
    times = tuple(_explain_time(builder, session, slot) for slot in slots[:PROPOSAL_COUNT])
    return Proposals(times, () if times else tuple(explain_no_slot(searches[-1])))


def is_past_window(session: Session, span: Span) -> bool:
    """Return whether a move to that time counts as a deferral: it lands past the session's window (T-10, T-11)."""
    return session.booked and span.start > max(session.latest, session.span.start)


def _find_own_window(builder: PlanBuilder, session: Session) -> Span | None:
    """Return the part of the nearest window in which a move counts as nothing; None when that is all of it or none."""
    near = _make_windows(builder, session)[0]
    end = max(session.latest, session.span.start) if session.booked else near.end
    return Span(near.start, end) if near.start < end < near.end else None


#: The reasons that are about this conversation, and so for both of the two. The others tell of the manager's weeks.
_SHARED_REASONS = ("preferred_weekday", "preferred_hour", "start_apart", "buffer", "unreadable")


def _explain_time(builder: PlanBuilder, session: Session, slot: Slot) -> ProposedTime:
    """Return the time with its reasons: how far it is from the time that it has and from the day aimed for, whether it
    is the pair's usual hour, and what is free around it."""
    reasons = list(_explain_move(builder, session, slot.span))
    if not session.count and not session.adhoc and session.kind is SessionKind.CAREER:
        reasons.append(_explain_nearness(builder, session, slot.span))
    reasons += [one for one in slot.reasons if one.code in _SHARED_REASONS]
    if is_past_window(session, slot.span):
        reasons.append(Reason("counts"))
    return ProposedTime(slot.span, tuple(reasons), slot.reasons)


def _explain_nearness(builder: PlanBuilder, session: Session, span: Span) -> Reason:
    """Return how far it is from the day that the rhythm asks for."""
    target, day = (get_local_date(builder.manager.zone, start) for start in (session.target, span.start))
    if day == target:
        return Reason("rhythm_day")
    return Reason("rhythm_near", {"target": target, "count": abs((day - target).days)})


def _explain_move(builder: PlanBuilder, session: Session, span: Span) -> Iterator[Reason]:
    if not session.booked:
        return
    was, day = (get_local_date(builder.manager.zone, one.start) for one in (session.span, span))
    if day == was:
        yield Reason("same_day")
    else:
        yield Reason("later" if day > was else "earlier", {"count": abs((day - was).days)})


def check_time(builder: PlanBuilder, session: Session, pick: Span) -> CheckedTime:
    """Return what speaks against a time that somebody picked. The snapshot is as for `propose_times`."""
    search = _make_search(builder, session, pick)
    busy = [person.name for person in search.people if _is_busy(search, pick, person.email)]
    against = [Reason("busy_then", {"name": name}) for name in busy]
    unknown = [person.name for person in search.people if is_unknown(search, person)]
    against += [Reason("unread_now", {"name": name}) for name in unknown]
    against += _list_objections(search, pick)
    if session.kind is SessionKind.CAREER and pick.minutes < builder.policy.min_minutes:
        against.append(Reason("short_for_it", {"minutes": builder.policy.min_minutes}))
    if is_past_window(session, pick):
        against.append(Reason("counts"))
    reasons = (*against, *explain_missing_calendars(search))
    return CheckedTime(pick, reasons, is_taken=bool(busy), is_unread=bool(unknown))


def _list_objections(search: Search, pick: Span) -> Iterator[Reason]:
    grid = QuarterGrid(pick)
    for person in search.people:
        if grid.find_working(person) != grid.all:
            yield Reason("outside_hours", {"name": person.name})
    if search.career and get_local_date(search.manager.zone, pick.start) in list_career_days(search):
        yield Reason("another_that_day", {"name": search.manager.name})
    around = Span(pick.start - BUFFER_QUARTERS * QUARTER_HOUR, pick.end + BUFFER_QUARTERS * QUARTER_HOUR)
    if find_shared_work(search, grid) == grid.all and any(_is_busy(search, around, one.email) for one in search.people):
        yield Reason("no_buffer", {"minutes": BUFFER_QUARTERS * 15})


def _is_busy(search: Search, span: Span, who: str) -> bool:
    taken = [item.span for item in search.taken_times.get(who, ())]
    seen = search.free_busy.get(who)
    return any(span.overlaps(one) for one in (*taken, *((item.span for item in seen.busy) if seen else ())))


def _make_search(builder: PlanBuilder, session: Session, window: Span) -> Search:
    seen = builder.snapshot.free_busy if builder.snapshot else {}
    lost = tuple(deferral.was for deferral in builder.list_deferrals(session.id) if deferral.was)
    return Search(
        manager=builder.manager,
        report=builder.report,
        window=window,
        minutes=max(session.minutes, builder.policy.min_minutes)
        if session.kind is SessionKind.CAREER
        else session.minutes,
        target=_find_target(builder, session, window),
        preference=builder.pair.preference if not session.urgent else Preference(),
        free_busy={who: free_busy.exclude_event(session.key) for who, free_busy in seen.items()},
        taken_times={who: builder.list_taken_times(who, exclude=session.id) for who in builder.addresses},
        avoid=(*lost, session.span) if session.booked else lost,
        career=session.kind is SessionKind.CAREER,
        in_turn=session.in_turn,
    )


def _find_target(builder: PlanBuilder, session: Session, window: Span) -> datetime:
    """Return the instant to be near to: its target, the time of a session deferred far ahead, else soon."""
    if _is_deferred_far_ahead(builder, session):
        return max(session.span.start, window.start)
    is_inside = window.start <= session.target <= window.end
    return session.target if is_inside and not session.count else window.start


def _is_deferred_far_ahead(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session was deferred to a time past the near weeks."""
    far = builder.find_weekday_end(NEAR_DAYS, builder.now)
    return session.booked and session.count > 0 and session.span.start > far


def _make_windows(builder: PlanBuilder, session: Session) -> tuple[Span, Span]:
    """Return the windows in which times are sought first and second.

    They are its own window while that is to come, else near its time when it was deferred far ahead (T-10), else soon.
    """
    soon = builder.find_weekday_start(LEAD_DAYS, builder.now)
    if _is_deferred_far_ahead(builder, session):
        near = builder.find_weekday_start(-DAYS_BEFORE_LOST, session.span.start)
        ends = (builder.find_weekday_end(days, session.span.start) for days in (NEAR_DAYS, FAR_DAYS))
        first, further = (Span(max(soon, near), end) for end in ends)
        return first, further
    own = Span(max(soon, session.earliest), session.latest) if session.latest > max(soon, session.earliest) else None
    if own and session.booked and not session.count and own.minutes >= WEEK_MINUTES:
        return own, Span(soon, max(own.end, builder.find_weekday_end(FAR_DAYS, builder.now)))
    return Span(soon, builder.find_weekday_end(NEAR_DAYS, builder.now)), Span(
        soon, builder.find_weekday_end(FAR_DAYS, builder.now)
    )
