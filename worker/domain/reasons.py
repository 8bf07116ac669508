"""Why a time was chosen, in short plain sentences with numbers and names, and never a word of what a calendar holds."""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from worker.domain.availability import BUFFER, readable
from worker.domain.fitting import Search, careers, contract_margin, week_of
from worker.domain.model import Person, Span
from worker.domain.worktime import DAYS, clock, today

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def reasons(search: Search, span: Span, day: date) -> Iterator[str]:
    """One sentence for each thing that was weighed; `day` is the manager's date of `span`."""
    yield _nearness(search, day)
    yield from _preference(search, span)
    yield f"It starts {_both_clocks(search, span.start)}."
    yield _contract_reason(search.manager, day)
    yield _week_reason(search, day)
    if search.buffer:
        yield f"At least {BUFFER * 15} minutes before and after it are free."
    yield from unreadable(search)


def _nearness(search: Search, day: date) -> str:
    target = today(search.manager.zone, search.target)
    days = (day - target).days
    if not days:
        return f"{date_text(day)} is the target day."
    away = f"{count_text(abs(days), 'day')} {'after' if days > 0 else 'before'}"
    return f"{date_text(day)} is {away} the target, {date_text(target)}."


def _preference(search: Search, span: Span) -> Iterator[str]:
    local = span.start.astimezone(ZoneInfo(search.report.zone))
    weekday, minute = search.prefer.weekday, search.prefer.minute
    if weekday is not None:
        hit = local.weekday() == weekday
        yield f"It is {'' if hit else 'not '}on {_weekday(weekday)}, the weekday the two prefer."
    if minute is not None:
        off = abs((local.hour * 60 + local.minute - minute + 720) % 1440 - 720)
        away = f"{count_text(off, 'minute')} away from {clock(minute)}" if off else f"at {clock(minute)}"
        yield f"It is {away}, the hour the two prefer."


def _both_clocks(search: Search, instant: datetime) -> str:
    here, there = (f"{instant.astimezone(ZoneInfo(person.zone)):%H:%M}" for person in search.people)
    if here == there:
        return f"at {here} for both"
    return f"at {here} for {search.manager.name} and {there} for {search.report.name}"


def _contract_reason(manager: Person, day: date) -> str:
    margin = contract_margin(manager)[day.weekday()]
    later = _weekday((day.weekday() + 2) % 7)
    if margin == 2:
        return f"48 hours later it is {later}, a weekday on which {manager.name} works."
    return f"48 hours later it is {later}, with {count_text(margin, 'working day')} for {manager.name} on the way."


def _week_reason(search: Search, day: date) -> str:
    count = sum(week_of(other) == week_of(day) for other in careers(search))
    return f"{search.manager.name} has {count_text(count, 'other career session')} that week."


def unreadable(search: Search) -> Iterator[str]:
    """A warning for each of the two whose calendar nobody can read."""
    for person in search.people:
        if not readable(person):
            yield f"{person.name}'s calendar can't be read; working hours count as free."


def date_text(day: date) -> str:
    """`Tue 6 Oct`"""
    return f"{DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"


def _weekday(index: int) -> str:
    return ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")[index]


def count_text(number: int, noun: str) -> str:
    """`no days`, `1 day`, `2 days`"""
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
