"""Why no time exists, in words and numbers, and what would make room (R-8)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from itertools import accumulate
from operator import or_
from typing import NamedTuple
from zoneinfo import ZoneInfo

from worker.domain.availability import Grid, day_bits, known, longest, quarters_in, readable, starts
from worker.domain.fitting import Search, busy_bits, days_of, full_days, others, pad, possible, shared_work
from worker.domain.model import Kind, Person, Show, Span
from worker.domain.reasons import count_text, date_text, unreadable
from worker.domain.worktime import holiday, today

SHORTEST = 60  #: T-1: nothing is shortened below this by itself
SHORTER = 15
#: How many hours earlier or later somebody's hours are tried.
MOST_HOURS_MOVED = 4
CAREER = "career session"
SHOWN = {Show.BUSY: "busy time", Show.TENTATIVE: "tentative time", Show.AWAY: "time away"}


def why_none(search: Search) -> str:
    """Why nothing fits, blocker by blocker and in numbers, and the least change found that makes room.

    A change is named only after the search was tried with it. What is in a calendar is never named, only when it is.
    """
    grid, free = possible(search)
    if free:
        return f"There is room at {count_text(free.bit_count(), 'starting time')}."
    sentences = [*_blockers(search, grid), *unreadable(search)]
    return " ".join([*sentences, _way_out(search, grid)])


def _blockers(search: Search, grid: Grid) -> Iterator[str]:
    need = quarters_in(search.minutes)
    if grid.size < need:
        yield f"The window holds {grid.size * 15} minutes, under the {search.minutes} needed."
        return
    unknown = [person for person in search.people if _unknown(search, person)]
    for person in unknown:
        reason = known(search.free_busy, person).reason
        yield f"{person.name}'s calendar is unknown{f' ({reason})' if reason else ''}, and unknown time is never free."
    shared = shared_work(search, grid)
    fitting = starts(shared, need)
    yield from _holiday_sentences(search, grid)
    if not fitting:
        yield _hours_sentence(search, grid, shared)
    elif not unknown:
        yield from _busy_sentences(search, grid, shared)
    else:
        yield f"On {_days_with(search, grid, fitting)} the two share {search.minutes} minutes of working hours."


def _unknown(search: Search, person: Person) -> bool:
    return readable(person) and not known(search.free_busy, person).known


def _days_with(search: Search, grid: Grid, bits: int) -> str:
    return count_text(len(_dates_with(search, grid, bits)), "day")


def _dates_with(search: Search, grid: Grid, bits: int) -> list[date]:
    zone = search.manager.zone
    return [day for day in days_of(search, grid) if bits & day_bits(grid, zone, day)]


def _holiday_sentences(search: Search, grid: Grid) -> Iterator[str]:
    for person in search.people:
        days = (day for day in days_of(search, grid) if person.hours.week[day.weekday()])
        count = sum(holiday(person.country, day) is not None for day in days)
        if count:
            yield f"Public holidays take {count_text(count, 'working day')} from {person.name}."


def _hours_sentence(search: Search, grid: Grid, shared: int) -> str:
    names = " and ".join(person.name for person in search.people)
    if shared:
        return (
            f"The longest time {names} are both at work is {longest(shared) * 15} minutes,"
            f" under the {search.minutes} needed."
        )
    work = [f"{person.name} works on {_days_with(search, grid, grid.work(person))}" for person in search.people]
    return f"{names} share no working hours in the window: {', '.join(work)}."


def _busy_sentences(search: Search, grid: Grid, shared: int) -> Iterator[str]:
    need = quarters_in(search.minutes)
    busy = [busy_bits(search, grid, person) for person in search.people]
    alone = [_days_with(search, grid, starts(shared & ~bits, need)) for bits in busy]
    both = starts(shared & ~busy[0] & ~busy[1], need)
    left = [
        f"{person.name}'s calendar leaves room on {days}" for person, days in zip(search.people, alone, strict=True)
    ]
    yield (
        f"On {_days_with(search, grid, starts(shared, need))} the two share {search.minutes} minutes of working hours;"
        f" {', '.join(left)}, the two together on {_days_with(search, grid, both)}."
    )
    full = both & full_days(search, grid)
    if full:
        dates = _dates_with(search, grid, full)
        yield f"{search.manager.name} already has a career session on {count_text(len(dates), 'day')} with room."
    if both & ~full:
        yield f"All that is left are times just lost, on {_days_with(search, grid, both & ~full)}."


def _way_out(search: Search, grid: Grid) -> str:
    """The least change that makes room, in the order in which changes cost people something."""
    if any(_unknown(search, person) for person in search.people):
        return "Nothing can be booked before that calendar can be read."
    found = _lighter(search) or _without_a_block(search, grid) or _other_hours(search, grid)
    return found or "No single change that was tried makes room: it takes a longer window."


def _lighter(search: Search) -> str:
    for buffer in (True, False) if search.buffer else (False,):
        for minutes in range(search.minutes, min(SHORTEST, search.minutes) - 1, -SHORTER):
            grid, free = possible(replace(search, minutes=minutes, buffer=buffer))
            if free:
                words = [] if minutes == search.minutes else [f"with {minutes} minutes"]
                words += ["without the free 15 minutes on each side"] if search.buffer and not buffer else []
                change = " and ".join(words)
                return f"{change[0].upper()}{change[1:]} there is room on {_days_with(search, grid, free)}."
    return ""


class _Block(NamedTuple):
    """Something in the way that somebody could move, and the quarters it takes."""

    span: Span
    words: str
    busy: int
    full: int  #: quarters closed because it is a career session on that day


def _blocks(search: Search, grid: Grid) -> list[_Block]:
    """All that is in the way, each stretch once: a meeting of both is one thing to move."""
    found: dict[Span, _Block] = {}
    for person in search.people:
        for span, words in _stretches(search, person):
            career = search.career and words == CAREER and person is search.manager
            full = day_bits(grid, person.zone, today(person.zone, span.start)) if career else 0
            old = found.get(span)
            whose = f"{person.name}'s {words}" if old is None else f"{old.words} and {person.name}'s"
            found[span] = _Block(span, whose, grid.touched([span], pad(search)), full | (old.full if old else 0))
    return list(found.values())


def _stretches(search: Search, person: Person) -> Iterator[tuple[Span, str]]:
    taken = {item.span: CAREER if item.kind is Kind.CAREER else "time" for item in others(search, person)}
    yield from taken.items()
    if readable(person):
        shown = {item.span: item.show for item in known(search.free_busy, person).busy}
        yield from ((span, SHOWN[show]) for span, show in shown.items() if span not in taken)


def _without_a_block(search: Search, grid: Grid) -> str:
    """Name the one stretch whose removal frees the most starts; the earliest of equals."""
    blocks = _blocks(search, grid)
    base, need = shared_work(search, grid) & ~grid.touched(search.avoid), quarters_in(search.minutes)
    busy = _all_but_one([block.busy for block in blocks])
    full = _all_but_one([block.full for block in blocks])
    room = [starts(base & ~taken, need) & ~closed for taken, closed in zip(busy, full, strict=True)]
    gains = sorted(
        (-bits.bit_count(), block.span, block.words) for bits, block in zip(room, blocks, strict=True) if bits
    )
    if not gains:
        return ""
    gain, span, words = gains[0]
    return f"Moving {words} of {_when(search, span)} frees {count_text(-gain, 'starting time')}."


def _all_but_one(masks: list[int]) -> list[int]:
    """For each mask, all the others together."""
    before = list(accumulate(masks, or_, initial=0))
    after = list(accumulate(reversed(masks), or_, initial=0))[::-1]
    return [low | high for low, high in zip(before, after[1:], strict=False)]


def _when(search: Search, span: Span) -> str:
    zone = ZoneInfo(search.manager.zone)
    start, end = span.start.astimezone(zone), span.end.astimezone(zone)
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{date_text(end.date())} {end:%H:%M}"
    return f"{date_text(start.date())} {start:%H:%M} to {until} ({search.manager.zone})"


def _other_hours(search: Search, grid: Grid) -> str:
    """Try longer days: each of the two starting earlier or ending later, by as few whole hours as possible."""
    busy = grid.touched(search.avoid) | full_days(search, grid)
    for person in search.people:
        busy |= busy_bits(search, grid, person)
    for hours in range(1, MOST_HOURS_MOVED + 1):
        for person, other in (search.people, search.people[::-1]):
            work = grid.work(person)
            for longer, change in ((_earlier(work, hours), "started"), (_later(work, hours), "ended")):
                free = starts(grid.work(other) & longer & ~busy, quarters_in(search.minutes))
                if free:
                    return (
                        f"If {person.name}'s working hours {change} {count_text(hours, 'hour')}"
                        f" {'earlier' if change == 'started' else 'later'},"
                        f" there would be room on {_days_with(search, grid, free)}."
                    )
    return ""


def _earlier(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work >> 1
    return work


def _later(work: int, hours: int) -> int:
    for _ in range(4 * hours):
        work |= work << 1
    return work
