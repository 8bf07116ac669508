"""Why no time exists, blocker by blocker and in numbers, and what would make room (R-8)."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from operator import or_
from typing import NamedTuple

from worker.domain.model import Kind, Person, Reason, Span, Value, Why
from worker.domain.time.availability import Grid, day_bits, get_free_busy, longest, quarters_in, readable, starts
from worker.domain.time.explain import unreadable
from worker.domain.time.search import Search, busy_bits, days_of, full_days, others, pad, possible, shared_work
from worker.domain.time.worktime import holiday, today

SHORTEST = 60  #: T-1: nothing is shortened below this by itself
SHORTER = 15
#: How many hours earlier or later somebody's hours are tried.
MOST_HOURS_MOVED = 4
CAREER, OURS = "career", "time"
#: What is said besides, and blocks nothing by itself or only on some days.
BESIDES = frozenset({"holidays", "unreadable", "full_days", "just_lost"})


def why_none(search: Search) -> Why:
    """Why nothing fits, blocker by blocker and in numbers, and the least change found that makes room.

    A change is named only after the search was tried with it. What is in a calendar is never named, only when it is.
    """
    grid, free = possible(search)
    if free:
        return (Reason("room", {"count": free.bit_count()}),)
    return (*_blockers(search, grid), *unreadable(search), _way_out(search, grid))


def alike(one: Why, other: Why) -> bool:
    """Whether the same stands in the way of two conversations, be it on other days. How to make room may differ."""
    return _what_blocks(one) == _what_blocks(other)


def _what_blocks(why: Why) -> set[tuple[str, Value]]:
    blocking = why[:-1] or why  # the last one says what would make room
    return {(one.code, one.values.get("name", "")) for one in blocking if one.code not in BESIDES}


def _blockers(search: Search, grid: Grid) -> Iterator[Reason]:
    need = quarters_in(search.minutes)
    if grid.size < need:
        yield Reason("window_short", {"minutes": grid.size * 15, "needed": search.minutes})
        return
    unknown = [person for person in search.people if _unknown(search, person)]
    for person in unknown:
        yield Reason("unknown", {"name": person.name, "detail": get_free_busy(search.free_busy, person).reason})
    shared = shared_work(search, grid)
    fitting = starts(shared, need)
    yield from _holidays(search, grid)
    if not fitting:
        yield _hours(search, grid, shared)
    elif not unknown:
        yield from _busy(search, grid, shared)
    else:
        yield Reason("shared", {"days": _days_with(search, grid, fitting), "minutes": search.minutes})


def _unknown(search: Search, person: Person) -> bool:
    return readable(person) and not get_free_busy(search.free_busy, person).known


def _days_with(search: Search, grid: Grid, bits: int) -> int:
    """On how many of the manager's days there is one of these quarters."""
    zone = search.manager.zone
    return sum(bool(bits & day_bits(grid, zone, day)) for day in days_of(search, grid))


def _holidays(search: Search, grid: Grid) -> Iterator[Reason]:
    for person in search.people:
        days = (day for day in days_of(search, grid) if person.hours.week[day.weekday()])
        count = sum(holiday(person.country, day) is not None for day in days)
        if count:
            yield Reason("holidays", {"name": person.name, "count": count})


def _hours(search: Search, grid: Grid, shared: int) -> Reason:
    one, other = search.people
    names = {"name": one.name, "other": other.name}
    if shared:
        return Reason("longest", {**names, "minutes": longest(shared) * 15, "needed": search.minutes})
    days, other_days = (_days_with(search, grid, grid.work(person)) for person in search.people)
    return Reason("never_together", {**names, "days": days, "other_days": other_days})


def _busy(search: Search, grid: Grid, shared: int) -> Iterator[Reason]:
    need = quarters_in(search.minutes)
    busy = [busy_bits(search, grid, person) for person in search.people]
    left, other_left = (_days_with(search, grid, starts(shared & ~bits, need)) for bits in busy)
    both = starts(shared & ~busy[0] & ~busy[1], need)
    yield Reason(
        "room_by_calendar",
        {
            "days": _days_with(search, grid, starts(shared, need)),
            "minutes": search.minutes,
            "name": search.manager.name,
            "left": left,
            "other": search.report.name,
            "other_left": other_left,
            "both": _days_with(search, grid, both),
        },
    )
    full = both & full_days(search, grid)
    if full:
        yield Reason("full_days", {"name": search.manager.name, "count": _days_with(search, grid, full)})
    if both & ~full:
        yield Reason("just_lost", {"days": _days_with(search, grid, both & ~full)})


def _way_out(search: Search, grid: Grid) -> Reason:
    """The least change that makes room, in the order in which changes cost people something."""
    if any(_unknown(search, person) for person in search.people):
        return Reason("calendar_first")
    found = _lighter(search) or _without_a_block(search, grid) or _other_hours(search, grid)
    return found or Reason("no_change")


def _lighter(search: Search) -> Reason | None:
    for buffer in (True, False) if search.buffer else (False,):
        for minutes in range(search.minutes, min(SHORTEST, search.minutes) - 1, -SHORTER):
            grid, free = possible(replace(search, minutes=minutes, buffer=buffer))
            if free:
                days = {"days": _days_with(search, grid, free)}
                if minutes == search.minutes:
                    return Reason("tighter_has_room", days)
                code = "shorter_has_room" if buffer == search.buffer else "both_have_room"
                return Reason(code, {**days, "minutes": minutes})
    return None


class _Block(NamedTuple):
    """Something in the way that somebody could move, and the quarters it takes."""

    span: Span
    what: str
    name: str
    other: str  #: when it is in both calendars
    busy: int
    full: int  #: quarters closed because it is a career session on that day


def _blocks(search: Search, grid: Grid) -> list[_Block]:
    """All that is in the way, each stretch once: a meeting of both is one thing to move."""
    found: dict[Span, _Block] = {}
    for person in search.people:
        for span, what in _stretches(search, person):
            career = search.career and what == CAREER and person is search.manager
            full = day_bits(grid, person.zone, today(person.zone, span.start)) if career else 0
            if span in found:
                found[span] = found[span]._replace(other=person.name, full=found[span].full | full)
            else:
                found[span] = _Block(span, what, person.name, "", grid.find_touched([span], pad(search)), full)
    return list(found.values())


def _stretches(search: Search, person: Person) -> Iterator[tuple[Span, str]]:
    taken = {item.span: CAREER if item.kind is Kind.CAREER else OURS for item in others(search, person)}
    yield from taken.items()
    if readable(person):
        shown = {item.span: item.show for item in get_free_busy(search.free_busy, person).busy}
        yield from ((span, show.value) for span, show in shown.items() if span not in taken)


def _without_a_block(search: Search, grid: Grid) -> Reason | None:
    """Name the one stretch whose removal frees the most starts; the earliest of equals."""
    blocks = _blocks(search, grid)
    base, need = shared_work(search, grid) & ~grid.find_touched(search.avoid), quarters_in(search.minutes)
    busy = _all_but_one([block.busy for block in blocks])
    full = _all_but_one([block.full for block in blocks])
    room = [starts(base & ~taken, need) & ~closed for taken, closed in zip(busy, full, strict=True)]
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


def _all_but_one(masks: list[int]) -> list[int]:
    """For each mask, all the others together."""
    before = list(accumulate(masks, or_, initial=0))
    after = list(accumulate(reversed(masks), or_, initial=0))[::-1]
    return [low | high for low, high in zip(before, after[1:], strict=False)]


def _other_hours(search: Search, grid: Grid) -> Reason | None:
    """Try longer days: each of the two starting earlier or ending later, by as few whole hours as possible."""
    busy = grid.find_touched(search.avoid) | full_days(search, grid)
    for person in search.people:
        busy |= busy_bits(search, grid, person)
    for hours in range(1, MOST_HOURS_MOVED + 1):
        for person, other in (search.people, search.people[::-1]):
            work = grid.work(person)
            for longer, code in ((_earlier(work, hours), "started_earlier"), (_later(work, hours), "ended_later")):
                free = starts(grid.work(other) & longer & ~busy, quarters_in(search.minutes))
                if free:
                    days = _days_with(search, grid, free)
                    return Reason(code, {"name": person.name, "count": hours, "days": days})
    return None


def _earlier(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work >> 1
    return work


def _later(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work << 1
    return work
