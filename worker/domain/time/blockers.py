"""Explains why a search found no time slot: what blocks each day, and which change would make a slot possible.

A blocker is anything that takes a shared working hour: a busy event, another session, an unreadable calendar. When no
time exists, people are told the blockers, with counts, and which change would free a time (R-8, T-4).
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from operator import or_
from typing import NamedTuple

from worker.domain.model import Address, Person, Reason, Reasons, ReasonValue, SessionKind, Span
from worker.domain.time.absences import list_days_after_absence
from worker.domain.time.availability import (
    MINUTES_PER_QUARTER,
    QuarterGrid,
    count_quarters,
    find_day_bits,
    find_starts,
    get_free_busy,
    measure_longest_run,
)
from worker.domain.time.explain import explain_missing_calendars
from worker.domain.time.search import (
    MAX_IN_TURN_A_WEEK,
    MIN_MINUTES,
    Conditions,
    Search,
    find_bits_after_absence,
    find_busy_bits,
    find_conditions,
    find_possible_starts,
    get_padding,
    list_days,
    list_taken_times,
)
from worker.domain.time.worktime import find_holiday

#: By how much the length of a session is shortened in each step, when no longer one fits.
SHORTEN_STEP_MINUTES = 15
#: The most hours by which a working day is extended when longer hours are tried.
MAX_EXTRA_HOURS = 4
#: The kinds of blockers among taken times: a career session, and any other session or commitment.
CAREER_BLOCKER = "career"
TAKEN_BLOCKER = "time"
#: Codes of the reasons that only accompany other reasons, because they concern some days at most.
#: `has_same_blockers` ignores them.
SIDE_REASONS = frozenset({"holidays", "unreadable", "full_days", "full_weeks", "after_absence", "just_lost"})
#: Codes of the reasons that name a change which would make a slot possible.
REMEDY_CODES = frozenset(
    {
        "calendar_first",
        "shorter_has_room",
        "tighter_has_room",
        "both_have_room",
        "moving",
        "started_earlier",
        "ended_later",
        "no_change",
    }
)
#: How far ahead working hours are compared to find out whether two people ever work at the same time.
HOURS_COMPARED = timedelta(weeks=13)


def explain_no_slot(search: Search) -> Reasons:
    """Return why the search found no slot.

    The reasons are, in this order: the changes that would make a slot possible, the blockers with counts, the people
    whose calendar is not connected, and the public holidays. A change is suggested only when a search with that change
    has found a slot. A reason holds the time of a blocker, never its title. When a slot does exist, the only reason
    returned is `room`.
    """
    grid = QuarterGrid(search.window)
    conditions = find_conditions(search, grid)
    if start_bits := conditions.find_starts():
        return (Reason("room", {"count": start_bits.bit_count()}),)
    return (
        *_suggest_changes(search, grid, conditions),
        *_explain_blockers(search, grid, conditions),
        *explain_missing_calendars(search),
        *_explain_holidays(search, grid),
    )


def order_for_reader(reasons: Reasons, name: str) -> Reasons:
    """Return the reasons in the order that is most useful to the person with that name.

    The changes that this person can make come first, then the changes that the other person can make, then the
    blockers, and public holidays last.
    """

    def get_rank(reason: Reason) -> int:
        """Return the place of the reason's group."""
        if reason.code in REMEDY_CODES:
            is_own_change = name in (reason.values.get("name"), reason.values.get("other"))
            return 0 if is_own_change else 1
        return 3 if reason.code == "holidays" else 2

    return tuple(sorted(reasons, key=get_rank))


def never_work_together(people: tuple[Person, Person], now: datetime, shortest_minutes: int = MIN_MINUTES) -> bool:
    """Return whether the shared working hours of the next 13 weeks are always shorter than the shortest session."""
    grid = QuarterGrid(Span(now, now + HOURS_COMPARED))
    shared_bits = grid.find_working(people[0]) & grid.find_working(people[1])
    return not find_starts(shared_bits, count_quarters(shortest_minutes))


def has_same_blockers(reasons: Reasons, other_reasons: Reasons) -> bool:
    """Return whether both tuples of reasons name the same blockers of the same people.

    Days, counts and suggested changes are not compared.
    """
    return _collect_blocking_codes(reasons) == _collect_blocking_codes(other_reasons)


def _collect_blocking_codes(reasons: Reasons) -> set[tuple[str, ReasonValue]]:
    """Return the code of each blocker with the name of the person that it concerns."""
    # When all reasons are suggested changes, the suggested changes are compared instead.
    blockers = [reason for reason in reasons if reason.code not in REMEDY_CODES] or reasons
    return {(reason.code, reason.values.get("name", "")) for reason in blockers if reason.code not in SIDE_REASONS}


def _explain_blockers(search: Search, grid: QuarterGrid, conditions: Conditions) -> Iterator[Reason]:
    """Yield a reason for each blocker: a window that is too short, unknown free/busy, working hours, busy time."""
    needed_quarters = count_quarters(search.minutes)
    if grid.size < needed_quarters:
        yield Reason("window_short", {"minutes": grid.size * MINUTES_PER_QUARTER, "needed": search.minutes})
        return
    unknown_people = [person for person in search.people if is_unknown(search, person)]
    for person in unknown_people:
        yield Reason("unknown", {"name": person.name, "detail": get_free_busy(search.free_busy, person).reason})
    shared_starts = find_starts(conditions.work, needed_quarters)
    if not shared_starts:
        yield _explain_hours(search, grid, conditions.work)
    elif not unknown_people:
        yield from _explain_busy(search, grid, conditions)
    else:
        yield Reason("shared", {"days": _count_days(search, grid, shared_starts), "minutes": search.minutes})


def is_unknown(search: Search, person: Person) -> bool:
    """Return whether the person has a calendar whose free/busy could not be read."""
    return person.has_calendar and not get_free_busy(search.free_busy, person).is_known


def _count_days(search: Search, grid: QuarterGrid, bits: int) -> int:
    """Return the number of the manager's days on which at least one bit is set."""
    zone = search.manager.zone
    return sum(bool(bits & find_day_bits(grid, zone, day)) for day in list_days(search, grid))


def _explain_holidays(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    """Yield, for each person, the number of public holidays that fall on the person's working weekdays."""
    for person in search.people:
        days = (day for day in list_days(search, grid) if person.hours.week[day.weekday()])
        count = sum(find_holiday(person.country, day) is not None for day in days)
        if count:
            yield Reason("holidays", {"name": person.name, "count": count})


def _explain_hours(search: Search, grid: QuarterGrid, shared_bits: int) -> Reason:
    """Return why the shared working hours, which are `shared_bits`, are too short for the session or do not exist."""
    names = {"name": search.manager.name, "other": search.report.name}
    if shared_bits:
        longest = measure_longest_run(shared_bits) * MINUTES_PER_QUARTER
        return Reason("longest", {**names, "minutes": longest, "needed": search.minutes})
    days, other_days = (_count_days(search, grid, grid.find_working(person)) for person in search.people)
    return Reason("never_together", {**names, "days": days, "other_days": other_days})


def _explain_busy(search: Search, grid: QuarterGrid, conditions: Conditions) -> Iterator[Reason]:
    """Yield what fills the shared working hours: busy time, and then what closes the times that are not busy."""
    # Where the session could start if nothing but busy time counted.
    work_and_busy = conditions._replace(lost=0, after_absence=0, full_days=0, full_weeks=0)
    manager_busy, report_busy = (find_busy_bits(search, grid, person) for person in search.people)
    yield Reason(
        "room_by_calendar",
        {
            "days": _count_days(search, grid, work_and_busy._replace(busy=0).find_starts()),
            "minutes": search.minutes,
            "name": search.manager.name,
            "left": _count_days(search, grid, work_and_busy._replace(busy=manager_busy).find_starts()),
            "other": search.report.name,
            "other_left": _count_days(search, grid, work_and_busy._replace(busy=report_busy).find_starts()),
            "both": _count_days(search, grid, work_and_busy.find_starts()),
        },
    )
    yield from _explain_closed_days(search, grid, work_and_busy, conditions)
    # Nothing else closes these times, since the search found no start.
    lost_starts = conditions._replace(lost=0).find_starts()
    if lost_starts:
        yield Reason("just_lost", {"days": _count_days(search, grid, lost_starts)})


def _explain_closed_days(
    search: Search, grid: QuarterGrid, work_and_busy: Conditions, conditions: Conditions
) -> Iterator[Reason]:
    """Yield a reason for each rule that closes days with room: full days, full weeks, days after a long absence.

    `work_and_busy` are the conditions without these rules and without the times just lost.
    """
    starts = work_and_busy.find_starts()
    starts_on_full_days = starts & conditions.full_days
    if starts_on_full_days:
        count = _count_days(search, grid, starts_on_full_days)
        yield Reason("full_days", {"name": search.manager.name, "count": count})
    starts_in_full_weeks = starts & conditions.full_weeks & ~conditions.full_days
    if starts_in_full_weeks:
        count = _count_days(search, grid, starts_in_full_weeks)
        yield Reason("full_weeks", {"name": search.manager.name, "most": MAX_IN_TURN_A_WEEK, "count": count})
    with_full_days = work_and_busy._replace(full_days=conditions.full_days, full_weeks=conditions.full_weeks)
    for person in search.people:
        after_absence = find_bits_after_absence(search, grid, person)
        remaining = with_full_days._replace(after_absence=after_absence)
        closed_starts = with_full_days.find_starts() & ~remaining.find_starts()
        if closed_starts:
            yield Reason("after_absence", {"name": person.name, "count": _count_days(search, grid, closed_starts)})


def _suggest_changes(search: Search, grid: QuarterGrid, conditions: Conditions) -> Reasons:
    """Return the changes that would make a slot possible.

    A shorter session is suggested first. If no shorter length helps, the move of one blocker per person is suggested,
    and otherwise longer working hours.
    """
    if any(is_unknown(search, person) for person in search.people):
        return (Reason("calendar_first"),)
    shorter_session = _try_shorter(search)
    if shorter_session is not None:
        return (shorter_session,)
    blocker_moves = _try_moving_a_blocker(search, grid, conditions)
    if blocker_moves:
        return blocker_moves
    return (_try_longer_hours(search, grid, conditions) or Reason("no_change"),)


def _try_shorter(search: Search) -> Reason | None:
    """Return the reason that names a shorter length, or the omission of buffers, with which a slot exists.

    Shorter lengths with buffers are tried first, then all lengths without buffers. Return None when nothing helps.
    """
    buffer_choices = (True, False) if search.has_buffer else (False,)
    lengths = range(search.minutes, min(search.shortest_minutes, search.minutes) - 1, -SHORTEN_STEP_MINUTES)
    for has_buffer in buffer_choices:
        for minutes in lengths:
            grid, start_bits = find_possible_starts(replace(search, minutes=minutes, has_buffer=has_buffer))
            if start_bits:
                days = {"days": _count_days(search, grid, start_bits)}
                if minutes == search.minutes:  # without buffers: with them, the search itself would have found a slot
                    return Reason("tighter_has_room", days)
                omits_buffers = search.has_buffer and not has_buffer
                code = "both_have_room" if omits_buffers else "shorter_has_room"
                return Reason(code, {**days, "minutes": minutes})
    return None


class _Blocker(NamedTuple):
    """A busy span that somebody could move."""

    span: Span
    kind: str  #: a key of `reason_texts.BLOCKER_NAMES`
    name: str  #: the name of the person whose time the blocker takes
    other: str  #: the name of the other person when the blocker takes the time of both, else empty
    addresses: tuple[Address, ...]  #: of these people, whose names may be the same


def _list_blockers(search: Search) -> list[_Blocker]:
    """Return the busy spans of both people as blockers. A span that is busy for both becomes a single blocker."""
    blockers: dict[Span, _Blocker] = {}
    for person in search.people:
        for span, kind in _list_busy_spans(search, person):
            if span in blockers:
                addresses = (*blockers[span].addresses, person.email)
                blockers[span] = blockers[span]._replace(other=person.name, addresses=addresses)
            else:
                blockers[span] = _Blocker(span, kind, name=person.name, other="", addresses=(person.email,))
    return list(blockers.values())


def _list_busy_spans(search: Search, person: Person) -> Iterator[tuple[Span, str]]:
    """Yield each busy span of the person with its kind of blocker.

    A span that is both a taken time and busy in the calendar is yielded once, as a taken time.
    """
    taken_kinds = {
        item.span: CAREER_BLOCKER if item.kind is SessionKind.CAREER else TAKEN_BLOCKER
        for item in list_taken_times(search, person)
    }
    yield from taken_kinds.items()
    if person.has_calendar:
        busy_kinds = {item.span: item.show_as.value for item in get_free_busy(search.free_busy, person).busy}
        yield from ((span, kind) for span, kind in busy_kinds.items() if span not in taken_kinds)


def _try_moving_a_blocker(search: Search, grid: QuarterGrid, conditions: Conditions) -> Reasons:
    """Return, for each person, the move of the blocker whose removal gives the most possible starts.

    Of two blockers that give equally many starts, the earlier is chosen. The move that gives more starts comes first. A
    blocker that takes the time of both people is returned once. The result is empty when no single move helps.
    """
    if not find_starts(conditions.work, count_quarters(search.minutes)):
        return ()  # the shared working hours are too short, so that moving an event can't help
    # The number of possible starts without each blocker, and the blocker.
    start_counts = [
        (starts.bit_count(), blocker)
        for blocker, without_blocker in _remove_each_blocker(search, grid, conditions)
        if (starts := without_blocker.find_starts())
    ]
    start_counts.sort(key=_rank_by_start_count)
    best_by_person = (
        next((item for item in start_counts if person.email in item[1].addresses), None) for person in search.people
    )
    best = {item for item in best_by_person if item is not None}
    return tuple(_describe_move(search, blocker, count) for count, blocker in sorted(best, key=_rank_by_start_count))


def _remove_each_blocker(
    search: Search, grid: QuarterGrid, conditions: Conditions
) -> Iterator[tuple[_Blocker, Conditions]]:
    """Yield each blocker with the conditions of the same search without it."""
    blockers = _list_blockers(search)
    # People have hundreds of events. The busy time without each of them is therefore not computed from their calendars.
    # The other conditions are computed again only for those few that may change them.
    busy_bits = [grid.find_touched([blocker.span], get_padding(search)) for blocker in blockers]
    closing_spans = _find_closing_spans(search)
    for blocker, busy in zip(blockers, _combine_others(busy_bits), strict=True):
        if blocker.span in closing_spans:
            yield blocker, find_conditions(_remove_span(search, blocker.span), grid, busy)
        else:
            yield blocker, conditions._replace(busy=busy)


def _find_closing_spans(search: Search) -> set[Span]:
    """Return the busy spans that may do more than fill their own time.

    A session may fill a day or a week of the manager, and a long absence closes the days after it.
    """
    spans = {item.span for person in search.people for item in list_taken_times(search, person)}
    for person in search.people:
        free_busy = get_free_busy(search.free_busy, person)
        if any(list_days_after_absence(person, free_busy)):
            spans.update(free_busy.absences)
    return spans


def _remove_span(search: Search, span: Span) -> Search:
    """Return the search without what makes this span busy for either of the two."""
    free_busy = {
        email: replace(shown, busy=tuple(item for item in shown.busy if item.span != span))
        for email, shown in search.free_busy.items()
    }
    taken_times = {
        email: tuple(item for item in taken if item.span != span) for email, taken in search.taken_times.items()
    }
    return replace(search, free_busy=free_busy, taken_times=taken_times)


def _rank_by_start_count(item: tuple[int, _Blocker]) -> tuple[int, _Blocker]:
    """Return a sort key: most possible starts first, then the earliest blocker."""
    start_count, blocker = item
    return -start_count, blocker


def _describe_move(search: Search, blocker: _Blocker, count: int) -> Reason:
    """Return the reason which says that moving the blocker would give `count` possible starts."""
    return Reason(
        "moving",
        {
            "what": blocker.kind,
            "name": blocker.name,
            "other": blocker.other,
            "start": blocker.span.start,
            "end": blocker.span.end,
            "zone": search.manager.zone,
            "count": count,
        },
    )


def _combine_others(bit_sets: list[int]) -> list[int]:
    """Return, for each set of bits, the union of all the other sets."""
    unions_before = list(accumulate(bit_sets, or_, initial=0))
    unions_after = list(accumulate(reversed(bit_sets), or_, initial=0))[::-1]
    # The last of `unions_before` is the union of all sets, and is not used.
    return [before | after for before, after in zip(unions_before, unions_after[1:], strict=False)]


def _try_longer_hours(search: Search, grid: QuarterGrid, conditions: Conditions) -> Reason | None:
    """Return the smallest extension of one person's working days that gives a slot; None if there is none.

    The person starts earlier or ends later, by whole hours up to `MAX_EXTRA_HOURS`.
    """
    for hours in range(1, MAX_EXTRA_HOURS + 1):
        for person, other in (search.people, search.people[::-1]):
            work = grid.find_working(person)
            for longer_work, code in (
                (_extend_earlier(work, hours), "started_earlier"),
                (_extend_later(work, hours), "ended_later"),
            ):
                start_bits = conditions._replace(work=grid.find_working(other) & longer_work).find_starts()
                if start_bits:
                    days = _count_days(search, grid, start_bits)
                    return Reason(code, {"name": person.name, "count": hours, "days": days})
    return None


def _extend_earlier(work: int, hours: int) -> int:
    """Return the working quarter-hours when every spell starts this many hours earlier."""
    for _ in range(count_quarters(60 * hours)):
        work |= work >> 1
    return work


def _extend_later(work: int, hours: int) -> int:
    """Return the working quarter-hours when every spell ends this many hours later."""
    for _ in range(count_quarters(60 * hours)):
        work |= work << 1
    return work
