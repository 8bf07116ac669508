"""Why no time exists, blocker by blocker and in numbers, and what would make room (R-8)."""

from collections.abc import Iterator
from dataclasses import replace
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
    has_readable_calendar,
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
    list_other_taken_times,
)
from worker.domain.time.worktime import find_holiday, get_local_date

MIN_MINUTES = 60  #: T-1: nothing is shortened below this by itself
SHORTEN_STEP = 15
#: How many hours earlier or later somebody's hours are tried.
MOST_HOURS_MOVED = 4
CAREER, OURS = "career", "time"
#: What is said besides, and blocks nothing by itself or only on some days.
SIDE_REASONS = frozenset({"holidays", "unreadable", "full_days", "just_lost"})


def explain_no_slot(search: Search) -> Reasons:
    """Why nothing fits, blocker by blocker and in numbers, and the least change found that makes room.

    A change is named only after the search was tried with it. What is in a calendar is never named, only when it is.
    """
    grid, free = find_possible_starts(search)
    if free:
        return (Reason("room", {"count": free.bit_count()}),)
    return (*_explain_blockers(search, grid), *warn_of_unreadable(search), _suggest_change(search, grid))


def has_same_blockers(one: Reasons, other: Reasons) -> bool:
    """Whether the same stands in the way of two conversations, be it on other days. How to make room may differ."""
    return _collect_blocking_codes(one) == _collect_blocking_codes(other)


def _collect_blocking_codes(why: Reasons) -> set[tuple[str, ReasonValue]]:
    blocking = why[:-1] or why  # the last one says what would make room
    return {(one.code, one.values.get("name", "")) for one in blocking if one.code not in SIDE_REASONS}


def _explain_blockers(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    need = count_quarters(search.minutes)
    if grid.size < need:
        yield Reason("window_short", {"minutes": grid.size * 15, "needed": search.minutes})
        return
    unknown = [person for person in search.people if _is_unknown(search, person)]
    for person in unknown:
        yield Reason("unknown", {"name": person.name, "detail": get_free_busy(search.free_busy, person).reason})
    shared = find_shared_work(search, grid)
    fitting = find_starts(shared, need)
    yield from _explain_holidays(search, grid)
    if not fitting:
        yield _explain_hours(search, grid, shared)
    elif not unknown:
        yield from _explain_busy(search, grid, shared)
    else:
        yield Reason("shared", {"days": _count_days(search, grid, fitting), "minutes": search.minutes})


def _is_unknown(search: Search, person: Person) -> bool:
    return has_readable_calendar(person) and not get_free_busy(search.free_busy, person).known


def _count_days(search: Search, grid: QuarterGrid, bits: int) -> int:
    """On how many of the manager's days there is one of these quarters."""
    zone = search.manager.zone
    return sum(bool(bits & find_day_bits(grid, zone, day)) for day in list_days(search, grid))


def _explain_holidays(search: Search, grid: QuarterGrid) -> Iterator[Reason]:
    for person in search.people:
        days = (day for day in list_days(search, grid) if person.hours.week[day.weekday()])
        count = sum(find_holiday(person.country, day) is not None for day in days)
        if count:
            yield Reason("holidays", {"name": person.name, "count": count})


def _explain_hours(search: Search, grid: QuarterGrid, shared: int) -> Reason:
    one, other = search.people
    names = {"name": one.name, "other": other.name}
    if shared:
        return Reason("longest", {**names, "minutes": measure_longest_run(shared) * 15, "needed": search.minutes})
    days, other_days = (_count_days(search, grid, grid.find_working(person)) for person in search.people)
    return Reason("never_together", {**names, "days": days, "other_days": other_days})


def _explain_busy(search: Search, grid: QuarterGrid, shared: int) -> Iterator[Reason]:
    need = count_quarters(search.minutes)
    busy = [find_busy_bits(search, grid, person) for person in search.people]
    left, other_left = (_count_days(search, grid, find_starts(shared & ~bits, need)) for bits in busy)
    both = find_starts(shared & ~busy[0] & ~busy[1], need)
    yield Reason(
        "room_by_calendar",
        {
            "days": _count_days(search, grid, find_starts(shared, need)),
            "minutes": search.minutes,
            "name": search.manager.name,
            "left": left,
            "other": search.report.name,
            "other_left": other_left,
            "both": _count_days(search, grid, both),
        },
    )
    full = both & find_full_days(search, grid)
    if full:
        yield Reason("full_days", {"name": search.manager.name, "count": _count_days(search, grid, full)})
    if both & ~full:
        yield Reason("just_lost", {"days": _count_days(search, grid, both & ~full)})


def _suggest_change(search: Search, grid: QuarterGrid) -> Reason:
    """The least change that makes room, in the order in which changes cost people something."""
    if any(_is_unknown(search, person) for person in search.people):
        return Reason("calendar_first")
    found = _try_shorter(search) or _try_moving_a_blocker(search, grid) or _try_longer_hours(search, grid)
    return found or Reason("no_change")


def _try_shorter(search: Search) -> Reason | None:
    for buffer in (True, False) if search.buffer else (False,):
        for minutes in range(search.minutes, min(MIN_MINUTES, search.minutes) - 1, -SHORTEN_STEP):
            grid, free = find_possible_starts(replace(search, minutes=minutes, buffer=buffer))
            if free:
                days = {"days": _count_days(search, grid, free)}
                if minutes == search.minutes:
                    return Reason("tighter_has_room", days)
                code = "shorter_has_room" if buffer == search.buffer else "both_have_room"
                return Reason(code, {**days, "minutes": minutes})
    return None


class _Blocker(NamedTuple):
    """Something in the way that somebody could move, and the quarters it takes."""

    span: Span
    what: str
    name: str
    other: str  #: when it is in both calendars
    busy: int
    full: int  #: quarters closed because it is a career session on that day


def _list_blockers(search: Search, grid: QuarterGrid) -> list[_Blocker]:
    """All that is in the way, each stretch once: a meeting of both is one thing to move."""
    found: dict[Span, _Blocker] = {}
    for person in search.people:
        for span, what in _list_stretches(search, person):
            career = search.career and what == CAREER and person is search.manager
            full = find_day_bits(grid, person.zone, get_local_date(person.zone, span.start)) if career else 0
            if span in found:
                found[span] = found[span]._replace(other=person.name, full=found[span].full | full)
            else:
                found[span] = _Blocker(
                    span, what, person.name, "", grid.find_touched([span], get_padding(search)), full
                )
    return list(found.values())


def _list_stretches(search: Search, person: Person) -> Iterator[tuple[Span, str]]:
    taken = {
        item.span: CAREER if item.kind is SessionKind.CAREER else OURS
        for item in list_other_taken_times(search, person)
    }
    yield from taken.items()
    if has_readable_calendar(person):
        shown = {item.span: item.show for item in get_free_busy(search.free_busy, person).busy}
        yield from ((span, show.value) for span, show in shown.items() if span not in taken)


def _try_moving_a_blocker(search: Search, grid: QuarterGrid) -> Reason | None:
    """Name the one stretch whose removal frees the most starts; the earliest of equals."""
    blocks = _list_blockers(search, grid)
    base, need = find_shared_work(search, grid) & ~grid.find_touched(search.avoid), count_quarters(search.minutes)
    busy = _combine_others([block.busy for block in blocks])
    full = _combine_others([block.full for block in blocks])
    room = [find_starts(base & ~taken, need) & ~closed for taken, closed in zip(busy, full, strict=True)]
    gains = [(-bits.bit_count(), block) for bits, block in zip(room, blocks, strict=True) if bits]
    if not gains:
        return None
    gain, block = min(gains)
    return Reason(
        "moving",
        {
            "what": block.what,
            "name": block.name,
            "other": block.other,
            "start": block.span.start,
            "end": block.span.end,
            "zone": search.manager.zone,
            "count": -gain,
        },
    )


def _combine_others(masks: list[int]) -> list[int]:
    """For each mask, all the others together."""
    before = list(accumulate(masks, or_, initial=0))
    after = list(accumulate(reversed(masks), or_, initial=0))[::-1]
    return [low | high for low, high in zip(before, after[1:], strict=False)]


def _try_longer_hours(search: Search, grid: QuarterGrid) -> Reason | None:
    """Try longer days: each of the two starting earlier or ending later, by as few whole hours as possible."""
    busy = grid.find_touched(search.avoid) | find_full_days(search, grid)
    for person in search.people:
        busy |= find_busy_bits(search, grid, person)
    for hours in range(1, MOST_HOURS_MOVED + 1):
        for person, other in (search.people, search.people[::-1]):
            work = grid.find_working(person)
            for longer, code in (
                (_extend_earlier(work, hours), "started_earlier"),
                (_extend_later(work, hours), "ended_later"),
            ):
                free = find_starts(grid.find_working(other) & longer & ~busy, count_quarters(search.minutes))
                if free:
                    days = _count_days(search, grid, free)
                    return Reason(code, {"name": person.name, "count": hours, "days": days})
    return None


def _extend_earlier(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work >> 1
    return work


def _extend_later(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work << 1
    return work
