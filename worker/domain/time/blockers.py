"""Explains what would make room when a search finds no time, and what stands in the way, with counts (R-8, T-4)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from operator import or_
from typing import NamedTuple

from worker.domain.model import Person, Reason, Reasons, ReasonValue, SessionKind, Span
from worker.domain.time.availability import (
    QuarterGrid,
    count_quarters,
    find_day_bits,
    find_starts,
    get_free_busy,
    measure_longest_run,
)
from worker.domain.time.explain import warn_of_unreadable
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

MIN_MINUTES = 60  #: T-1: no session is shortened below this automatically
SHORTEN_STEP_MINUTES = 15
#: How far a working day is extended at most when longer hours are tried.
MAX_EXTRA_HOURS = 4
#: Kinds of blockers that come from taken time: a career session, or any other time decided for the person.
CAREER_BLOCKER = "career"
TAKEN_BLOCKER = "time"
#: Codes of reasons that only accompany others: what they name blocks no day, or only some days.
SIDE_REASONS = frozenset({"holidays", "unreadable", "full_days", "just_lost"})
#: Codes of the reasons that say what would make room.
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
#: How far ahead working hours are compared, to tell whether two people ever work at the same time.
HOURS_COMPARED = timedelta(weeks=13)


def explain_no_slot(search: Search) -> Reasons:
    """Return what would make room, then a reason with counts for each blocker, then the public holidays.

    A change is suggested only after a search with it found room. A reason holds the time of a blocker, never its title.
    """
    grid, start_bits = find_possible_starts(search)
    if start_bits:
        return (Reason("room", {"count": start_bits.bit_count()}),)
    return (
        *_suggest_changes(search, grid),
        *_explain_blockers(search, grid),
        *warn_of_unreadable(search),
        *_explain_holidays(search, grid),
    )


def order_for_reader(reasons: Reasons, name: str) -> Reasons:
    """Return the reasons in the order in which the person of that name can act on them: what they can change
    themselves, what the other can change, what stands in the way; public holidays last."""

    def get_rank(reason: Reason) -> int:
        if reason.code in REMEDIES:
            return 0 if name in (reason.values.get("name"), reason.values.get("other")) else 1
        return 3 if reason.code == "holidays" else 2

    return tuple(sorted(reasons, key=get_rank))


def never_work_together(people: tuple[Person, Person], now: datetime) -> bool:
    """True when the two are never both at work for as long as the shortest session takes, in a quarter from now."""
    grid = QuarterGrid(Span(now, now + HOURS_COMPARED))
    shared_bits = grid.find_working(people[0]) & grid.find_working(people[1])
    return not find_starts(shared_bits, count_quarters(MIN_MINUTES))


def has_same_blockers(reasons: Reasons, other_reasons: Reasons) -> bool:
    """True when both name the same blockers of the same people; days, counts and the suggested change may differ."""
    return _collect_blocking_codes(reasons) == _collect_blocking_codes(other_reasons)


def _collect_blocking_codes(reasons: Reasons) -> set[tuple[str, ReasonValue]]:
    """Return the code of each blocker, with the name of the person it concerns."""
    blocking = [reason for reason in reasons if reason.code not in REMEDIES] or reasons
    return {(reason.code, reason.values.get("name", "")) for reason in blocking if reason.code not in SIDE_REASONS}


def _explain_blockers(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    """Yield a reason for each blocker: a short window, unknown calendars, working hours, busy time."""
    needed = count_quarters(search.minutes)
    if grid.size < needed:
        yield Reason("window_short", {"minutes": grid.size * 15, "needed": search.minutes})
        return
    unknown_people = [person for person in search.people if is_unknown(search, person)]
    for person in unknown_people:
        yield Reason("unknown", {"name": person.name, "detail": get_free_busy(search.free_busy, person).reason})
    shared_bits = find_shared_work(search, grid)
    shared_starts = find_starts(shared_bits, needed)
    if not shared_starts:
        yield _explain_hours(search, grid, shared_bits)
    elif not unknown_people:
        yield from _explain_busy(search, grid, shared_bits)
    else:
        yield Reason("shared", {"days": _count_days(search, grid, shared_starts), "minutes": search.minutes})


def is_unknown(search: Search, person: Person) -> bool:
    """Return whether the person has a calendar that could not be read this time."""
    return person.has_calendar and not get_free_busy(search.free_busy, person).known


def _count_days(search: Search, grid: QuarterGrid, bits: int) -> int:
    """Return on how many of the manager's days at least one of the bits is set."""
    zone = search.manager.zone
    return sum(bool(bits & find_day_bits(grid, zone, day)) for day in list_days(search, grid))


def _explain_holidays(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    """Yield a reason for each person with public holidays on working weekdays, with their count."""
    for person in search.people:
        days = (day for day in list_days(search, grid) if person.hours.week[day.weekday()])
        count = sum(find_holiday(person.country, day) is not None for day in days)
        if count:
            yield Reason("holidays", {"name": person.name, "count": count})


def _explain_hours(search: Search, grid: QuarterGrid, shared_bits: int) -> Reason:
    """Return why the two never work together for long enough; in `shared_bits` are the quarter-hours both work."""
    names = {"name": search.manager.name, "other": search.report.name}
    if shared_bits:
        return Reason("longest", {**names, "minutes": measure_longest_run(shared_bits) * 15, "needed": search.minutes})
    days, other_days = (_count_days(search, grid, grid.find_working(person)) for person in search.people)
    return Reason("never_together", {**names, "days": days, "other_days": other_days})


def _explain_busy(search: Search, grid: QuarterGrid, shared_bits: int) -> Iterator[Reason]:
    """Yield why the shared working hours have no room: calendars, days with a career session, and times just lost."""
    needed = count_quarters(search.minutes)
    manager_busy, report_busy = (find_busy_bits(search, grid, person) for person in search.people)
    starts = find_starts(shared_bits & ~manager_busy & ~report_busy, needed)
    yield Reason(
        "room_by_calendar",
        {
            "days": _count_days(search, grid, find_starts(shared_bits, needed)),
            "minutes": search.minutes,
            "name": search.manager.name,
            "left": _count_days(search, grid, find_starts(shared_bits & ~manager_busy, needed)),
            "other": search.report.name,
            "other_left": _count_days(search, grid, find_starts(shared_bits & ~report_busy, needed)),
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
    """Return the changes that make room: a shorter session, else the blocker of each that frees most, else longer
    working hours."""
    if any(is_unknown(search, person) for person in search.people):
        return (Reason("calendar_first"),)
    shorter = _try_shorter(search)
    if shorter is not None:
        return (shorter,)
    moves = _try_moving_a_blocker(search, grid)
    if moves:
        return moves
    return (_try_longer_hours(search, grid) or Reason("no_change"),)


def _try_shorter(search: Search) -> Reason | None:
    """Try shorter sessions, first with the buffer and then without it."""
    for buffer in (True, False) if search.buffer else (False,):
        for minutes in range(search.minutes, min(MIN_MINUTES, search.minutes) - 1, -SHORTEN_STEP_MINUTES):
            grid, start_bits = find_possible_starts(replace(search, minutes=minutes, buffer=buffer))
            if start_bits:
                days = {"days": _count_days(search, grid, start_bits)}
                if minutes == search.minutes:
                    return Reason("tighter_has_room", days)
                code = "shorter_has_room" if buffer == search.buffer else "both_have_room"
                return Reason(code, {**days, "minutes": minutes})
    return None


class _Blocker(NamedTuple):
    """A busy span that somebody could move, and the quarter-hours at which it prevents a session."""

    span: Span
    kind: str  #: a key of `reason_texts.BLOCKER_NAMES`
    name: str  #: of the person whose time it is
    other: str  #: name of the other person when both have it, else empty
    busy_bits: int  #: quarter-hours it takes, with the padding
    day_bits: int  #: the whole day when it is a career session of the manager, who has one a day at most; else 0


def _list_blockers(search: Search, grid: QuarterGrid) -> list[_Blocker]:
    """Return the busy spans of the two as blockers; the same span of both is one blocker."""
    blockers: dict[Span, _Blocker] = {}
    for person in search.people:
        for span, kind in _list_busy_spans(search, person):
            fills_day = search.career and kind == CAREER_BLOCKER and person is search.manager
            day_bits = find_day_bits(grid, person.zone, get_local_date(person.zone, span.start)) if fills_day else 0
            if span in blockers:
                day_bits |= blockers[span].day_bits
                blockers[span] = blockers[span]._replace(other=person.name, day_bits=day_bits)
            else:
                busy_bits = grid.find_touched([span], get_padding(search))
                blockers[span] = _Blocker(span, kind, person.name, "", busy_bits, day_bits)
    return list(blockers.values())


def _list_busy_spans(search: Search, person: Person) -> Iterator[tuple[Span, str]]:
    """Yield each busy span of the person with its kind of blocker. Taken time hides the same span in free/busy."""
    taken = {
        item.span: CAREER_BLOCKER if item.kind is SessionKind.CAREER else TAKEN_BLOCKER
        for item in list_taken_times(search, person)
    }
    yield from taken.items()
    if person.has_calendar:
        show_by_span = {item.span: item.show for item in get_free_busy(search.free_busy, person).busy}
        yield from ((span, show.value) for span, show in show_by_span.items() if span not in taken)


def _try_moving_a_blocker(search: Search, grid: QuarterGrid) -> Reasons:
    """Find, for each of the two, the blocker without which there are most possible starts; of equals, the earliest.

    The one that frees more comes first. One that both have is named once.
    """
    work = find_shared_work(search, grid) & ~grid.find_touched(search.avoid)
    needed = count_quarters(search.minutes)
    if not find_starts(work, needed):
        return ()  # no event stands in the way: the working hours do
    blockers = _list_blockers(search, grid)
    others_busy = _combine_others([blocker.busy_bits for blocker in blockers])
    others_days = _combine_others([blocker.day_bits for blocker in blockers])
    starts = [
        find_starts(work & ~busy_bits, needed) & ~day_bits
        for busy_bits, day_bits in zip(others_busy, others_days, strict=True)
    ]
    # Negative, so that the smallest has the greatest gain and then the earliest span.
    gains = sorted((-bits.bit_count(), blocker) for bits, blocker in zip(starts, blockers, strict=True) if bits)
    best: dict[_Blocker, int] = {}
    for person in search.people:
        own = next((pair for pair in gains if person.name in (pair[1].name, pair[1].other)), None)
        if own is not None:
            best.setdefault(own[1], -own[0])
    ordered = sorted(best.items(), key=lambda item: (-item[1], item[0]))
    return tuple(_describe_move(search, blocker, count) for blocker, count in ordered)


def _describe_move(search: Search, blocker: _Blocker, count: int) -> Reason:
    """Return the reason that says how many starts a blocker frees when it is moved."""
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
    """Return, for each set of bits, the union of all the others."""
    unions_before = list(accumulate(bit_sets, or_, initial=0))
    unions_after = list(accumulate(reversed(bit_sets), or_, initial=0))[::-1]
    return [before | after for before, after in zip(unions_before, unions_after[1:], strict=False)]


def _try_longer_hours(search: Search, grid: QuarterGrid) -> Reason | None:
    """Try longer working days: one of the two starts earlier or ends later, by as few whole hours as possible."""
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
    for _ in range(4 * hours):
        work |= work >> 1
    return work


def _extend_later(work: int, hours: int) -> int:
    """Return the working quarter-hours when every spell ends this many hours later."""
    for _ in range(4 * hours):
        work |= work << 1
    return work
