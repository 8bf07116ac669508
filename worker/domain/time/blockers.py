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

from worker.domain.model import Person, Reason, Reasons, ReasonValue, SessionKind, Span
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
    Search,
    find_busy_bits,
    find_full_days,
    find_possible_starts,
    find_shared_work,
    get_padding,
    list_days,
    list_taken_times,
)
from worker.domain.time.worktime import find_holiday, get_local_date

MIN_MINUTES = 60  #: no session is shortened below this automatically (T-1)
SHORTEN_STEP_MINUTES = 15
#: The most hours by which a working day is extended when longer hours are tried.
MAX_EXTRA_HOURS = 4
#: The kinds of blockers among taken times: a career session, and any other session or commitment.
CAREER_BLOCKER = "career"
TAKEN_BLOCKER = "time"
#: Codes of the reasons that only accompany other reasons, because they concern some days at most.
#: `has_same_blockers` ignores them.
SIDE_REASONS = frozenset({"holidays", "unreadable", "full_days", "just_lost"})
#: Codes of the reasons that name a change which would make a slot possible.
REMEDIES = frozenset(
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
    grid, start_bits = find_possible_starts(search)
    if start_bits:
        return (Reason("room", {"count": start_bits.bit_count()}),)
    return (
        *_suggest_changes(search, grid),
        *_explain_blockers(search, grid),
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
        if reason.code in REMEDIES:
            is_own_change = name in (reason.values.get("name"), reason.values.get("other"))
            return 0 if is_own_change else 1
        return 3 if reason.code == "holidays" else 2

    return tuple(sorted(reasons, key=get_rank))


def never_work_together(people: tuple[Person, Person], now: datetime) -> bool:
    """Return whether the shared working hours of the next 13 weeks are always shorter than the shortest session."""
    grid = QuarterGrid(Span(now, now + HOURS_COMPARED))
    shared_bits = grid.find_working(people[0]) & grid.find_working(people[1])
    return not find_starts(shared_bits, count_quarters(MIN_MINUTES))


def has_same_blockers(reasons: Reasons, other_reasons: Reasons) -> bool:
    """Return whether both tuples of reasons name the same blockers of the same people.

    Days, counts and suggested changes are not compared.
    """
    return _collect_blocking_codes(reasons) == _collect_blocking_codes(other_reasons)


def _collect_blocking_codes(reasons: Reasons) -> set[tuple[str, ReasonValue]]:
    """Return the code of each blocker with the name of the person that it concerns."""
    # When all reasons are suggested changes, the suggested changes are compared instead.
    blockers = [reason for reason in reasons if reason.code not in REMEDIES] or reasons
    return {(reason.code, reason.values.get("name", "")) for reason in blockers if reason.code not in SIDE_REASONS}


def _explain_blockers(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    """Yield a reason for each blocker: a window that is too short, unknown free/busy, working hours, busy time."""
    needed_quarters = count_quarters(search.minutes)
    if grid.size < needed_quarters:
        yield Reason("window_short", {"minutes": grid.size * MINUTES_PER_QUARTER, "needed": search.minutes})
        return
    unknown_people = [person for person in search.people if is_unknown(search, person)]
    for person in unknown_people:
        yield Reason("unknown", {"name": person.name, "detail": get_free_busy(search.free_busy, person).reason})
    shared_bits = find_shared_work(search, grid)
    shared_starts = find_starts(shared_bits, needed_quarters)
    if not shared_starts:
        yield _explain_hours(search, grid, shared_bits)
    elif not unknown_people:
        yield from _explain_busy(search, grid, shared_bits)
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


def _explain_busy(search: Search, grid: QuarterGrid, shared_bits: int) -> Iterator[Reason]:
    """Yield what fills the shared working hours: busy time, days with a career session, and times just lost."""
    needed_quarters = count_quarters(search.minutes)
    manager_busy, report_busy = (find_busy_bits(search, grid, person) for person in search.people)
    starts = find_starts(shared_bits & ~manager_busy & ~report_busy, needed_quarters)
    yield Reason(
        "room_by_calendar",
        {
            "days": _count_days(search, grid, find_starts(shared_bits, needed_quarters)),
            "minutes": search.minutes,
            "name": search.manager.name,
            "left": _count_days(search, grid, find_starts(shared_bits & ~manager_busy, needed_quarters)),
            "other": search.report.name,
            "other_left": _count_days(search, grid, find_starts(shared_bits & ~report_busy, needed_quarters)),
            "both": _count_days(search, grid, starts),
        },
    )
    starts_on_full_days = starts & find_full_days(search, grid)
    if starts_on_full_days:
        count = _count_days(search, grid, starts_on_full_days)
        yield Reason("full_days", {"name": search.manager.name, "count": count})
    lost_starts = starts & ~starts_on_full_days
    if lost_starts:
        yield Reason("just_lost", {"days": _count_days(search, grid, lost_starts)})


def _suggest_changes(search: Search, grid: QuarterGrid) -> Reasons:
    """Return the changes that would make a slot possible.

    A shorter session is suggested first. If no shorter length helps, the move of one blocker per person is suggested,
    and otherwise longer working hours.
    """
    if any(is_unknown(search, person) for person in search.people):
        return (Reason("calendar_first"),)
    shorter_session = _try_shorter(search)
    if shorter_session is not None:
        return (shorter_session,)
    blocker_moves = _try_moving_a_blocker(search, grid)
    if blocker_moves:
        return blocker_moves
    return (_try_longer_hours(search, grid) or Reason("no_change"),)


def _try_shorter(search: Search) -> Reason | None:
    """Return the reason that names a shorter length, or the omission of buffers, with which a slot exists.

    Shorter lengths with buffers are tried first, then all lengths without buffers. Return None when nothing helps.
    """
    buffer_choices = (True, False) if search.has_buffer else (False,)
    # A session that is shorter than MIN_MINUTES anyway, such as a review, is tried at its own length only.
    lengths = range(search.minutes, min(MIN_MINUTES, search.minutes) - 1, -SHORTEN_STEP_MINUTES)
    for has_buffer in buffer_choices:
        for minutes in lengths:
            grid, start_bits = find_possible_starts(replace(search, minutes=minutes, has_buffer=has_buffer))
            if start_bits:
                days = {"days": _count_days(search, grid, start_bits)}
                if minutes == search.minutes:
                    return Reason("tighter_has_room", days)
                code = "shorter_has_room" if has_buffer == search.has_buffer else "both_have_room"
                return Reason(code, {**days, "minutes": minutes})
    return None


class _Blocker(NamedTuple):
    """A busy span that somebody could move, and the quarter-hours at which it prevents a session."""

    span: Span
    kind: str  #: a key of `reason_texts.BLOCKER_NAMES`
    name: str  #: the name of the person whose time the blocker takes
    other: str  #: the name of the other person when the blocker takes the time of both, else empty
    busy_bits: int  #: the quarter-hours of the blocker, with the padding
    #: For a career session of the manager, the whole day, since a day holds at most one; else 0.
    day_bits: int


def _list_blockers(search: Search, grid: QuarterGrid) -> list[_Blocker]:
    """Return the busy spans of both people as blockers. A span that is busy for both becomes a single blocker."""
    blockers: dict[Span, _Blocker] = {}
    for person in search.people:
        for span, kind in _list_busy_spans(search, person):
            fills_day = search.is_career and kind == CAREER_BLOCKER and person is search.manager
            day_bits = find_day_bits(grid, person.zone, get_local_date(person.zone, span.start)) if fills_day else 0
            if span in blockers:
                day_bits |= blockers[span].day_bits
                blockers[span] = blockers[span]._replace(other=person.name, day_bits=day_bits)
            else:
                busy_bits = grid.find_touched([span], get_padding(search))
                blockers[span] = _Blocker(span, kind, person.name, "", busy_bits, day_bits)
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


def _try_moving_a_blocker(search: Search, grid: QuarterGrid) -> Reasons:
    """Return, for each person, the move of the blocker whose removal gives the most possible starts.

    Of two blockers that give equally many starts, the earlier is chosen. The move that gives more starts comes first. A
    blocker that takes the time of both people is returned once. The result is empty when no single move helps.
    """
    work = find_shared_work(search, grid) & ~grid.find_touched(search.avoid)
    needed_quarters = count_quarters(search.minutes)
    if not find_starts(work, needed_quarters):
        return ()  # the shared working hours are too short, so that moving an event can't help
    blockers = _list_blockers(search, grid)
    # For each blocker: the quarter-hours that would still be busy, and the days that would still be full, without it.
    remaining_busy = _combine_others([blocker.busy_bits for blocker in blockers])
    remaining_days = _combine_others([blocker.day_bits for blocker in blockers])
    starts_without = [
        find_starts(work & ~busy_bits, needed_quarters) & ~day_bits
        for busy_bits, day_bits in zip(remaining_busy, remaining_days, strict=True)
    ]
    start_counts = [
        (starts.bit_count(), blocker) for starts, blocker in zip(starts_without, blockers, strict=True) if starts
    ]
    start_counts.sort(key=_rank_by_start_count)
    best_by_person = (
        next((item for item in start_counts if person.name in (item[1].name, item[1].other)), None)
        for person in search.people
    )
    best = {item for item in best_by_person if item is not None}
    return tuple(_describe_move(search, blocker, count) for count, blocker in sorted(best, key=_rank_by_start_count))


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


def _try_longer_hours(search: Search, grid: QuarterGrid) -> Reason | None:
    """Return the smallest extension of one person's working days that gives a slot; None if there is none.

    The person starts earlier or ends later, by whole hours up to `MAX_EXTRA_HOURS`.
    """
    busy_bits = grid.find_touched(search.avoid) | find_full_days(search, grid)
    for person in search.people:
        busy_bits |= find_busy_bits(search, grid, person)
    for hours in range(1, MAX_EXTRA_HOURS + 1):
        for person, other in (search.people, search.people[::-1]):
            work = grid.find_working(person)
            for longer_work, code in (
                (_extend_earlier(work, hours), "started_earlier"),
                (_extend_later(work, hours), "ended_later"),
            ):
                shared_bits = grid.find_working(other) & longer_work
                start_bits = find_starts(shared_bits & ~busy_bits, count_quarters(search.minutes))
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
