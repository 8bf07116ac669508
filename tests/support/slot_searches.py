"""Searches for a slot: one on plain days, any at all (for hypothesis), and what a slow, plain oracle finds."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.support.pairs import DAY, MINUTE, person, utc
from worker.domain.model import (
    QUARTER_HOUR,
    BusyTime,
    FreeBusy,
    Person,
    Preference,
    Reasons,
    SessionKind,
    ShowAs,
    Span,
    TakenTime,
)
from worker.domain.reason_texts import format_reasons, format_sentences
from worker.domain.time.absences import list_days_after_absence
from worker.domain.time.availability import iterate_set_bits
from worker.domain.time.blockers import explain_no_slot
from worker.domain.time.search import Search, find_possible_starts
from worker.domain.time.worktime import find_holiday, wall_to_utc

FREE = FreeBusy()

DANA, SAM = person(), person("Sam")

#: Three summer weeks without a holiday in Germany, Monday to Sunday; Berlin is two hours ahead.
WINDOW = Span(utc(2027, 6, 7), utc(2027, 6, 28))


def search(
    manager: Person = DANA,
    report: Person = SAM,
    window: Span = WINDOW,
    busy: Sequence[Span] = (),
    report_busy: Sequence[Span] = (),
    minutes: int = 75,
) -> Search:
    shown = {manager.email: busy, report.email: report_busy}
    return Search(
        manager=manager,
        report=report,
        window=window,
        minutes=minutes,
        target=utc(2027, 6, 15, 12),
        free_busy={email: FreeBusy(tuple(BusyTime(part) for part in parts)) for email, parts in shown.items()},
    )


def found(given_search: Search) -> list[datetime]:
    grid, bits = find_possible_starts(given_search)
    return [grid.get_instant(index) for index in iterate_set_bits(bits)]


# --- the oracle: wall clocks and comparisons, quarter by quarter ----------------------------------------------------


def said(why: Reasons) -> list[str]:
    """Reasons as the history tells them."""
    return list(format_sentences(why))


def none_words(s: Search) -> str:
    return format_reasons(explain_no_slot(s))


def at_work(who: Person, instant: datetime) -> bool:
    local = instant.astimezone(ZoneInfo(who.zone)).replace(tzinfo=None)
    for day in (local.date() - DAY, local.date()):
        minute = (local - datetime.combine(day, time())) // MINUTE
        week = who.hours.week[day.weekday()]
        if not find_holiday(who.country, day) and any(start <= minute < end for start, end in week):
            return True
    return False


def blocked(s: Search, who: Person, slot: Span) -> bool:
    known = s.free_busy.get(who.email, FreeBusy(is_known=False))
    margin = QUARTER_HOUR if s.has_buffer else timedelta()
    spans = [item.span for item in s.taken_times.get(who.email, ())]
    if who.calendar != "none":
        if not known.is_known:
            return True
        spans += [item.span for item in known.busy]
    return any(slot.start < span.end + margin and slot.end > span.start - margin for span in spans)


def local_day(who: Person, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(who.zone)).date()


def oracle(s: Search) -> list[datetime]:
    careers = {
        local_day(s.manager, item.span.start)
        for item in s.taken_times.get(s.manager.email, ())
        if item.kind is SessionKind.CAREER
    }
    full_weeks = {
        week
        for week, count in Counter(
            local_day(s.manager, item.span.start).isocalendar()[:2]
            for item in s.taken_times.get(s.manager.email, ())
            if item.in_turn
        ).items()
        if s.in_turn and count >= 2
    }
    returns = [
        Span(*(wall_to_utc(who.zone, part, 0) for part in (day, day + DAY)))
        for who in (s.manager, s.report)
        for day in list_days_after_absence(who, s.free_busy.get(who.email, FreeBusy()))
        if not s.may_follow_absence
    ]
    midnight = s.window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    quarters = [midnight + step * QUARTER_HOUR for step in range((s.window.end - midnight) // QUARTER_HOUR + 1)]
    works = {at: at_work(s.manager, at) and at_work(s.report, at) for at in quarters}
    hits = []
    for start in quarters:
        slot = Span(start, start + s.minutes * MINUTE)
        inside = s.window.start <= start and slot.end <= s.window.end
        parts = [start + step * QUARTER_HOUR for step in range(s.minutes // 15)]
        if not inside or not all(works.get(part, False) for part in parts):
            continue
        if any(blocked(s, who, slot) for who in (s.manager, s.report)) or any(slot.overlaps(a) for a in s.avoid):
            continue
        if any(slot.overlaps(day) for day in returns):
            continue
        day = local_day(s.manager, start)
        if not (s.is_career and day in careers) and day.isocalendar()[:2] not in full_weeks:
            hits.append(start)
    return hits


def naive_cost(s: Search, start: datetime) -> float:
    """The cost as the module's constants tell it, from real wall clocks."""
    here, there = (start.astimezone(ZoneInfo(who.zone)) for who in (s.manager, s.report))
    careers = [local_day(s.manager, item.span.start) for item in s.taken_times.get(s.manager.email, ())]
    cost = abs((here.date() - local_day(s.manager, s.target)).days)
    cost += 2 * sum(day.isocalendar()[:2] == here.isocalendar()[:2] for day in careers)
    works = [bool(spells) for spells in s.manager.hours.week] * 2
    contract = 0 if works[here.weekday() + 2] else 1 if works[here.weekday() + 1] else 3
    if s.preference.weekday is None:
        cost += contract
    elif there.weekday() != s.preference.weekday:
        cost += 4 + contract
    steps = (
        (7, 3.0),
        (8, 1.5),
        (9, 0.5),
        (12, 0.0),
        (13, 0.5),
        (15, 0.25),
        (16, 0.75),
        (17, 1.25),
        (18, 2.0),
        (24, 3.0),
    )
    comfort = sum(next(value for until, value in steps if clock.hour < until) for clock in (here, there))
    if s.preference.minute is None:
        return cost + comfort
    off = abs(there.hour * 60 + there.minute - s.preference.minute)
    return cost + min(min(off, 1440 - off) / 60, 3) + comfort / 64


PLACES = (
    ("Europe/Berlin", "DE-BY"),
    ("America/New_York", "US"),
    ("America/St_Johns", "CA"),
    ("America/Santiago", "CL"),
    ("Asia/Kolkata", "IN"),
    ("Asia/Kathmandu", "NP"),
    ("Australia/Lord_Howe", "AU-NSW"),
    ("Pacific/Chatham", "NZ"),
    ("Pacific/Apia", "WS"),
    ("Antarctica/Troll", "NO"),
)

#: No edge between 00:00 and 04:00: there, on the days the clocks change, an hour's name is not one hour.
HOURS = (
    "Mon-Fri 09:00-17:00",
    "Mon-Fri 08:30-12:15,13:00-18:45",
    "Tue,Thu 09:00-13:00",
    "Sun-Thu 07:00-23:00",
    "Mon-Sun 22:00-06:00",
    "Mon-Sun 05:00-24:00",
)

#: Just before: clocks going forth and back in either hemisphere, a leap day, a year's end, Samoa's missing day,
#: holidays.
MOMENTS = (
    utc(2027, 3, 26),
    utc(2027, 10, 29),
    utc(2026, 10, 2),
    utc(2027, 4, 2),
    utc(2028, 2, 27),
    utc(2026, 12, 30),
    utc(2011, 12, 28),
    utc(2027, 7, 1),
    utc(2026, 11, 25),
)


@st.composite
def people(draw: st.DrawFn, name: str, hours: Sequence[str] = HOURS) -> Person:
    zone, country = draw(st.sampled_from(PLACES))
    calendar = draw(st.sampled_from(("caldav", "caldav", "caldav", "none")))
    return person(name, zone, country, draw(st.sampled_from(hours)), calendar)


@st.composite
def searches(draw: st.DrawFn, moments: Sequence[datetime] = MOMENTS, hours: Sequence[str] = HOURS) -> Search:
    manager, report = draw(people("Dana", hours)), draw(people("Sam", hours))
    if draw(st.booleans()):  # two anywhere on earth seldom share an hour
        report = replace(report, zone=manager.zone, country=manager.country)
    start = draw(st.sampled_from(moments)) + draw(st.integers(0, 600)) * MINUTE
    window = Span(start, start + draw(st.sampled_from((300, 1440, 2900, 7200, 10080, 10083))) * MINUTE)
    length = window.minutes

    def span() -> Span:
        begin = start + draw(st.integers(-120, length)) * MINUTE
        return Span(begin, begin + draw(st.sampled_from((10, 25, 30, 60, 90, 300))) * MINUTE)

    def some(most: int) -> list[Span]:
        return [span() for _ in range(draw(st.integers(0, most)))]

    def away() -> list[BusyTime]:
        """Now and then, three weeks away that end in the window."""
        end = start + draw(st.integers(0, length)) * MINUTE
        return [BusyTime(Span(end - 21 * DAY, end), ShowAs.AWAY)] if draw(st.integers(0, 4)) == 0 else []

    shows = st.sampled_from(list(ShowAs))
    calendars = {
        who.email: FreeBusy(
            (*(BusyTime(part, draw(shows)) for part in some(6)), *away()), is_known=draw(st.integers(0, 9)) < 9
        )
        for who in (manager, report)
    }
    kinds = st.sampled_from((SessionKind.CAREER, SessionKind.REVIEW, None))
    taken = {
        who.email: [
            TakenTime(part, draw(st.sampled_from(("own", "other"))), draw(kinds), in_turn=draw(st.booleans()))
            for part in some(2)
        ]
        for who in (manager, report)
    }
    return Search(
        manager=manager,
        report=report,
        window=window,
        minutes=draw(st.sampled_from((15, 30, 45, 60, 75, 90))),
        target=start + draw(st.integers(-1440, length + 1440)) * MINUTE,
        preference=Preference(
            weekday=draw(st.none() | st.integers(0, 6)),
            minute=draw(st.none() | st.integers(0, 95).map(lambda q: q * 15)),
        ),
        free_busy=calendars,
        taken_times=taken,
        avoid=tuple(some(1)),
        has_buffer=draw(st.booleans()),
        in_turn=draw(st.booleans()),
        may_follow_absence=draw(st.booleans()),
        is_career=draw(st.booleans()),
    )


# --- T-2, one rule at a time ----------------------------------------------------------------------------------------


def only(day: int, first: tuple[int, int], last: tuple[int, int]) -> Span:
    """A window on a day in June 2027, on Berlin's clocks."""
    return Span(utc(2027, 6, day, first[0] - 2, first[1]), utc(2027, 6, day, last[0] - 2, last[1]))
