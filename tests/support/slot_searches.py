"""Searches for a time slot: plain ones, random ones for Hypothesis, and a slow oracle to compare results with."""

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

#: Three weeks in summer without a holiday in Germany, from a Monday on. Berlin is two hours ahead of UTC.
WINDOW = Span(utc(2027, 6, 7), utc(2027, 6, 28))


def search(
    manager: Person = DANA,
    report: Person = SAM,
    window: Span = WINDOW,
    busy: Sequence[Span] = (),
    report_busy: Sequence[Span] = (),
    minutes: int = 75,
) -> Search:
    """A career session of so many minutes in three weeks of June 2027, if nothing else is given."""
    busy_spans = {manager.email: busy, report.email: report_busy}
    return Search(
        manager=manager,
        report=report,
        window=window,
        minutes=minutes,
        target=utc(2027, 6, 15, 12),
        free_busy={email: FreeBusy(tuple(BusyTime(part) for part in parts)) for email, parts in busy_spans.items()},
    )


def find_starts(given_search: Search) -> list[datetime]:
    """Return the starts that the program finds, in order."""
    grid, bits = find_possible_starts(given_search)
    return [grid.get_instant(index) for index in iterate_set_bits(bits)]


# --- the oracle: it compares wall clocks, one quarter-hour after another ----------------------------------------


def list_sentences(why: Reasons) -> list[str]:
    """Return reasons in the sentences of the history."""
    return list(format_sentences(why))


def explain_in_words(s: Search) -> str:
    """Return the reasons why the search finds nothing, in words."""
    return format_reasons(explain_no_slot(s))


def is_at_work(who: Person, instant: datetime) -> bool:
    """Whether the instant is in the working hours of a person. Those of the day before may reach over midnight."""
    local = instant.astimezone(ZoneInfo(who.zone)).replace(tzinfo=None)
    for day in (local.date() - DAY, local.date()):
        minute = (local - datetime.combine(day, time())) // MINUTE
        week = who.hours.week[day.weekday()]
        if not find_holiday(who.country, day) and any(start <= minute < end for start, end in week):
            return True
    return False


def is_blocked(s: Search, who: Person, slot: Span) -> bool:
    """Whether the calendar of a person, or what the program planned for that person, keeps the slot from being used."""
    free_busy = s.free_busy.get(who.email, FreeBusy(is_known=False))
    margin = QUARTER_HOUR if s.has_buffer else timedelta()
    spans = [item.span for item in s.taken_times.get(who.email, ())]
    if who.calendar != "none":
        if not free_busy.is_known:
            return True
        spans += [item.span for item in free_busy.busy]
    return any(slot.start < span.end + margin and slot.end > span.start - margin for span in spans)


def local_day(who: Person, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(who.zone)).date()


def find_starts_slowly(s: Search) -> list[datetime]:
    """Return the starts that the rules allow, in order."""
    career_days = {
        local_day(s.manager, item.span.start)
        for item in s.taken_times.get(s.manager.email, ())
        if item.kind is SessionKind.CAREER
    }
    full_weeks = {  # T-3a: with two sessions in turn
        week
        for week, count in Counter(
            local_day(s.manager, item.span.start).isocalendar()[:2]
            for item in s.taken_times.get(s.manager.email, ())
            if item.in_turn
        ).items()
        if s.has_weekly_limit and count >= 2
    }
    days_after_absence = [
        Span(*(wall_to_utc(who.zone, part, 0) for part in (day, day + DAY)))
        for who in (s.manager, s.report)
        for day in list_days_after_absence(who, s.free_busy.get(who.email, FreeBusy()))
        if not s.may_follow_absence
    ]
    midnight = s.window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    instants = [midnight + step * QUARTER_HOUR for step in range((s.window.end - midnight) // QUARTER_HOUR + 1)]
    do_both_work = {at: is_at_work(s.manager, at) and is_at_work(s.report, at) for at in instants}
    starts = []
    for start in instants:
        slot = Span(start, start + s.minutes * MINUTE)
        inside = s.window.start <= start and slot.end <= s.window.end
        parts = [start + step * QUARTER_HOUR for step in range(s.minutes // 15)]
        if not inside or not all(do_both_work.get(part, False) for part in parts):
            continue
        if any(is_blocked(s, who, slot) for who in (s.manager, s.report)) or any(slot.overlaps(a) for a in s.avoid):
            continue
        if any(slot.overlaps(day) for day in days_after_absence):
            continue
        day = local_day(s.manager, start)
        if not (s.is_career and day in career_days) and day.isocalendar()[:2] not in full_weeks:
            starts.append(start)
    return starts


def compute_cost_slowly(s: Search, start: datetime) -> float:
    """Return the cost of a slot by the rules of `worker.domain.time.search`, from the wall clocks of both."""
    manager_time, report_time = (start.astimezone(ZoneInfo(who.zone)) for who in (s.manager, s.report))
    career_days = [local_day(s.manager, item.span.start) for item in s.taken_times.get(s.manager.email, ())]
    cost = abs((manager_time.date() - local_day(s.manager, s.target)).days)
    cost += 2 * sum(day.isocalendar()[:2] == manager_time.isocalendar()[:2] for day in career_days)
    works_on = [bool(spells) for spells in s.manager.hours.week] * 2  # two weeks, for the days that follow a Sunday
    # The manager should work on the two days that follow the session, when the contract is due.
    contract_cost = 0 if works_on[manager_time.weekday() + 2] else 1 if works_on[manager_time.weekday() + 1] else 3
    if s.preference.weekday is None:
        cost += contract_cost
    elif report_time.weekday() != s.preference.weekday:
        cost += 4 + contract_cost
    hour_costs = (  # until which hour of the day, and its cost
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
    hour_cost = sum(
        next(value for until, value in hour_costs if clock.hour < until) for clock in (manager_time, report_time)
    )
    if s.preference.minute is None:
        return cost + hour_cost
    minutes_off = abs(report_time.hour * 60 + report_time.minute - s.preference.minute)
    return cost + min(min(minutes_off, 1440 - minutes_off) / 60, 3) + hour_cost / 64


#: Time zones and the countries whose holidays belong to them.
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

#: No working hours begin or end between 00:00 and 04:00: when clocks change, such a time may not exist or occur twice.
HOURS = (
    "Mon-Fri 09:00-17:00",
    "Mon-Fri 08:30-12:15,13:00-18:45",
    "Tue,Thu 09:00-13:00",
    "Sun-Thu 07:00-23:00",
    "Mon-Sun 22:00-06:00",
    "Mon-Sun 05:00-24:00",
)

#: Shortly before the clocks change in either hemisphere, a leap day, the end of a year, the day that Samoa left out in
#: 2011, and holidays.
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
    if draw(st.booleans()):  # in two random places, working hours seldom overlap
        report = replace(report, zone=manager.zone, country=manager.country)
    start = draw(st.sampled_from(moments)) + draw(st.integers(0, 600)) * MINUTE
    window = Span(start, start + draw(st.sampled_from((300, 1440, 2900, 7200, 10080, 10083))) * MINUTE)
    length = window.minutes

    def random_span() -> Span:
        begin = start + draw(st.integers(-120, length)) * MINUTE
        return Span(begin, begin + draw(st.sampled_from((10, 25, 30, 60, 90, 300))) * MINUTE)

    def random_spans(most: int) -> list[Span]:
        return [random_span() for _ in range(draw(st.integers(0, most)))]

    def away() -> list[BusyTime]:
        """Now and then, three weeks away that end in the window."""
        end = start + draw(st.integers(0, length)) * MINUTE
        return [BusyTime(Span(end - 21 * DAY, end), ShowAs.AWAY)] if draw(st.integers(0, 4)) == 0 else []

    shows = st.sampled_from(list(ShowAs))
    calendars = {
        who.email: FreeBusy(
            (*(BusyTime(part, draw(shows)) for part in random_spans(6)), *away()), is_known=draw(st.integers(0, 9)) < 9
        )
        for who in (manager, report)
    }
    kinds = st.sampled_from((SessionKind.CAREER, SessionKind.REVIEW, None))
    taken = {
        who.email: [
            TakenTime(part, draw(st.sampled_from(("own", "other"))), draw(kinds), in_turn=draw(st.booleans()))
            for part in random_spans(2)
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
        avoid=tuple(random_spans(1)),
        has_buffer=draw(st.booleans()),
        has_weekly_limit=draw(st.booleans()),
        may_follow_absence=draw(st.booleans()),
        is_career=draw(st.booleans()),
    )


# --- for tests of T-2 ----------------------------------------------------------------------------------------


def june_window(day: int, first: tuple[int, int], last: tuple[int, int]) -> Span:
    """A window on a day in June 2027, from `first` to `last`: hours and minutes in Berlin."""
    return Span(utc(2027, 6, day, first[0] - 2, first[1]), utc(2027, 6, day, last[0] - 2, last[1]))
