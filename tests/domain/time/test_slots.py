"""Where a conversation fits (T-2), which time is best (T-3), and why there is none: against a slow and plain oracle."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.model import (
    QUARTER,
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
from worker.domain.time.availability import iterate_set_bits
from worker.domain.time.search import find_possible_starts
from worker.domain.time.slots import Search, Slot, explain_no_slot, find_solo_time, rank_slots
from worker.domain.time.worktime import find_holiday, parse_hours

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
FREE = FreeBusy()


def person(
    name: str = "Dana",
    zone: str = "Europe/Berlin",
    country: str = "DE",
    hours: str = "Mon-Fri 09:00-17:00",
    calendar: str = "caldav",
) -> Person:
    email = f"{name.lower()}@x.example"
    return Person(email=email, name=name, zone=zone, country=country, hours=parse_hours(hours), calendar=calendar)


DANA, SAM = person(), person("Sam")


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


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
    known = s.free_busy.get(who.email, FreeBusy(known=False))
    margin = QUARTER if s.buffer else timedelta()
    spans = [item.span for item in s.taken_times.get(who.email, ()) if item.session != s.exclude]
    if who.calendar != "none":
        if not known.known:
            return True
        spans += [item.span for item in known.busy]
    return any(slot.start < span.end + margin and slot.end > span.start - margin for span in spans)


def local_day(who: Person, instant: datetime) -> date:
    return instant.astimezone(ZoneInfo(who.zone)).date()


def oracle(s: Search) -> list[datetime]:
    careers = {
        local_day(s.manager, item.span.start)
        for item in s.taken_times.get(s.manager.email, ())
        if item.kind is SessionKind.CAREER and item.session != s.exclude
    }
    midnight = s.window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    quarters = [midnight + step * QUARTER for step in range((s.window.end - midnight) // QUARTER + 1)]
    works = {at: at_work(s.manager, at) and at_work(s.report, at) for at in quarters}
    hits = []
    for start in quarters:
        slot = Span(start, start + s.minutes * MINUTE)
        inside = s.window.start <= start and slot.end <= s.window.end
        parts = [start + step * QUARTER for step in range(s.minutes // 15)]
        if not inside or not all(works.get(part, False) for part in parts):
            continue
        if any(blocked(s, who, slot) for who in (s.manager, s.report)) or any(slot.overlaps(a) for a in s.avoid):
            continue
        if not (s.career and local_day(s.manager, start) in careers):
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

    shows = st.sampled_from(list(ShowAs))
    calendars = {
        who.email: FreeBusy(tuple(BusyTime(part, draw(shows)) for part in some(6)), known=draw(st.integers(0, 9)) < 9)
        for who in (manager, report)
    }
    kinds = st.sampled_from((SessionKind.CAREER, SessionKind.REVIEW, None))
    taken = {
        who.email: [TakenTime(part, draw(st.sampled_from(("own", "other"))), draw(kinds)) for part in some(2)]
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
        buffer=draw(st.booleans()),
        career=draw(st.booleans()),
        exclude="own",
    )


@given(searches())
@settings(max_examples=150, deadline=None)
def test_what_fits_is_what_a_plain_search_finds(s: Search) -> None:
    """T-2 in zones of both hemispheres, on the days the clocks change, over holidays, leap days and a missing day."""
    expected = oracle(s)
    assert found(s) == expected
    slots = rank_slots(s, limit=400)
    assert {slot.span.start for slot in slots} <= set(expected)
    assert {local_day(s.manager, slot.span.start) for slot in slots} == {local_day(s.manager, at) for at in expected}
    assert len({local_day(s.manager, slot.span.start) for slot in slots}) == len(slots)


@given(searches(moments=(utc(2027, 1, 11), utc(2027, 6, 10), utc(2026, 12, 21)), hours=HOURS[:4]))
@settings(max_examples=100, deadline=None)
def test_the_order_is_that_of_the_cost_and_then_of_time(s: Search) -> None:
    """T-3: away from changes of the clocks, cost and order are what every candidate weighed one by one gives."""
    s = replace(
        s,
        taken_times={email: [t for t in ts if t.kind is SessionKind.CAREER] for email, ts in s.taken_times.items()},
        exclude="",
    )
    best: dict[date, tuple[float, datetime]] = {}
    for at in oracle(s):
        day = local_day(s.manager, at)
        best[day] = min(best.get(day, (1e9, at)), (naive_cost(s, at), at))
    assert [(slot.cost, slot.span.start) for slot in rank_slots(s, limit=3)] == sorted(best.values())[:3]


@given(searches())
@settings(max_examples=40, deadline=None)
def test_the_same_search_gives_the_same_answer(s: Search) -> None:
    turned = replace(
        s,
        free_busy={email: replace(fb, busy=fb.busy[::-1]) for email, fb in reversed(list(s.free_busy.items()))},
        taken_times={email: list(reversed(items)) for email, items in s.taken_times.items()},
    )
    assert rank_slots(s, 3) == rank_slots(s, 3) == rank_slots(turned, 3)
    assert rank_slots(s, 1) == rank_slots(s, 3)[:1]
    assert explain_no_slot(s) == explain_no_slot(s)


@given(searches())
@settings(max_examples=40, deadline=None)
def test_unknown_is_never_free(s: Search) -> None:
    """T-2: who isn't in the answer, or is in it as unknown, is never offered a time, unless it's agreed for them."""
    if s.manager.calendar == "none":
        s = replace(s, manager=replace(s.manager, calendar="caldav"))
    missing = {email: fb for email, fb in s.free_busy.items() if email != s.manager.email}
    unknown = {**missing, s.manager.email: FreeBusy(known=False)}
    for free_busy in (missing, unknown):
        assert rank_slots(replace(s, free_busy=free_busy), 3) == ()


# --- T-2, one rule at a time ----------------------------------------------------------------------------------------


def only(day: int, first: tuple[int, int], last: tuple[int, int]) -> Span:
    """A window on a day in June 2027, on Berlin's clocks."""
    return Span(utc(2027, 6, day, first[0] - 2, first[1]), utc(2027, 6, day, last[0] - 2, last[1]))


def test_fifteen_minutes_stay_free_on_each_side() -> None:
    s = search(window=only(8, (9, 0), (17, 0)), busy=[only(8, (9, 0), (10, 0)), only(8, (11, 45), (17, 0))])
    assert found(s) == [utc(2027, 6, 8, 8, 15)]
    assert len(found(replace(s, buffer=False))) == 3


def test_the_buffer_counts_against_busy_time_not_against_working_hours() -> None:
    starts = found(search(window=only(8, (0 + 2, 0), (24, 0))))
    assert (starts[0], starts[-1]) == (utc(2027, 6, 8, 7), utc(2027, 6, 8, 13, 45))


def test_a_window_off_the_grid_starts_at_the_next_quarter() -> None:
    assert found(search(window=only(8, (9, 1), (10, 30)))) == [utc(2027, 6, 8, 7, 15)]


def test_one_career_session_a_day_for_the_manager() -> None:
    other = TakenTime(only(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = replace(search(window=only(8, (9, 0), (17, 0))), taken_times={DANA.email: (other,)})
    assert found(s) == []
    assert found(replace(s, career=False))
    assert found(replace(s, taken_times={DANA.email: (replace(other, kind=SessionKind.REVIEW),)}))
    assert found(replace(s, taken_times={SAM.email: (other,)}))
    assert found(replace(s, exclude="other"))


def test_a_review_of_25_minutes_takes_two_quarters() -> None:
    """T-9: its end may lie inside a quarter, and the next thing doesn't begin in that quarter."""
    s = replace(search(window=only(8, (9, 0), (10, 0)), minutes=25), buffer=False)
    assert [at.minute for at in found(s)] == [0, 15, 30]
    assert rank_slots(s)[0].span == only(8, (9, 0), (9, 25))


def test_times_just_lost_are_not_offered_again() -> None:
    lost = only(8, (10, 0), (11, 15))
    s = replace(search(window=only(8, (9, 0), (13, 0))), avoid=(lost,))
    assert found(s) == [utc(2027, 6, 8, 9, 15), utc(2027, 6, 8, 9, 30), utc(2027, 6, 8, 9, 45)]


def test_a_calendar_nobody_can_read_is_said_to_be_unread() -> None:
    quiet = person("Sam", calendar="none")
    s = replace(search(report=quiet), free_busy={DANA.email: FREE})
    (slot,) = rank_slots(s)
    assert "Sam's calendar can't be read; working hours count as free." in said(slot.reasons)
    full = replace(s, free_busy={DANA.email: FreeBusy((BusyTime(WINDOW),))})
    assert "Sam's calendar can't be read" in none_words(full)


# --- T-3, one wish at a time ----------------------------------------------------------------------------------------


def best(s: Search) -> Slot:
    return rank_slots(s)[0]


def test_the_target_day_wins_in_the_morning() -> None:
    slot = best(search())
    assert slot.span == Span(utc(2027, 6, 15, 7), utc(2027, 6, 15, 8, 15))
    assert slot.cost == 0
    assert said(slot.reasons)[0] == "Tue 15 Jun is the target day."


def test_the_preferred_weekday_and_hour_win_within_a_week() -> None:
    slot = best(replace(search(), preference=Preference(weekday=3, minute=14 * 60)))
    assert slot.span.start == utc(2027, 6, 17, 12)
    assert "It is on Thursday, the weekday the two prefer." in said(slot.reasons)
    assert "It is at 14:00, the hour the two prefer." in said(slot.reasons)


def test_the_preference_is_on_the_reports_clock_and_calendar() -> None:
    """Monday 08:00 in Auckland is Sunday in Berlin: the weekday is the report's."""
    dana = person(hours="Mon-Sun 06:00-24:00")
    sam = person("Sam", "Pacific/Auckland", "NZ", "Mon-Sun 06:00-24:00")
    slot = best(replace(search(dana, sam), preference=Preference(weekday=0, minute=8 * 60)))
    assert slot.span.start == utc(2027, 6, 13, 20)


@pytest.mark.parametrize(("target", "day"), [(16, 16), (17, 16), (18, 16), (19, 21)])
def test_early_weekdays_win_over_thursday_and_friday(target: int, day: int) -> None:
    """So that the 48 hours for the contract end in working time; a Thursday or Friday has to be nearer."""
    s = search(busy=[Span(utc(2027, 6, 14), utc(2027, 6, 16)), Span(utc(2027, 6, 22), utc(2027, 6, 28))])
    assert best(replace(s, target=utc(2027, 6, target, 12))).span.start.day == day


def test_thursday_wins_over_friday() -> None:
    s = replace(search(window=Span(utc(2027, 6, 17), utc(2027, 6, 19))), target=utc(2027, 6, 18, 12))
    first, second = rank_slots(s, 2)
    assert (first.span.start.day, second.span.start.day) == (17, 18)
    assert "48 hours later it is Sunday, with no working days for Dana on the way." in said(second.reasons)


def test_sessions_are_spread_over_the_managers_weeks() -> None:
    others = [
        TakenTime(Span(utc(2027, 6, day, 7), utc(2027, 6, day, 8)), f"s{day}", SessionKind.CAREER)
        for day in (14, 16, 17)
    ]
    slot = best(replace(search(), taken_times={DANA.email: others}))
    assert slot.span.start.day == 9
    assert "Dana has no other career sessions that week." in said(slot.reasons)


def test_three_slots_lie_on_three_days_best_first() -> None:
    slots = rank_slots(search(), 3)
    assert [slot.span.start.day for slot in slots] == [15, 14, 16]
    assert [slot.cost for slot in slots] == sorted(slot.cost for slot in slots)
    assert rank_slots(search(), 0) == ()


def test_at_equal_cost_the_earliest_wins() -> None:
    """Tuesday at noon costs as much as Monday morning, and Monday's hour is only found after Tuesday's."""
    taken_hours = [only(15, (2, 0), (11, 45)), only(15, (13, 30), (24, 0)), Span(utc(2027, 6, 16), utc(2027, 6, 28))]
    slot = best(search(busy=taken_hours, window=Span(utc(2027, 6, 14), utc(2027, 6, 28))))
    assert (slot.cost, slot.span.start) == (1.0, utc(2027, 6, 14, 7))


def test_reasons_name_both_clocks() -> None:
    slot = best(search(report=person("Sam", "Asia/Kathmandu", "NP", "Sun-Fri 10:00-18:00")))
    assert "It starts at 09:15 for Dana and 13:00 for Sam." in said(slot.reasons)
    assert "It starts at 09:00 for both." in said(best(search()).reasons)


# --- why there is none ----------------------------------------------------------------------------------------------


def test_no_shared_hours() -> None:
    s = search(report=person("Sam", hours="Mon-Fri 19:00-23:00"))
    text = none_words(s)
    assert "Dana and Sam share no working hours in the window: Dana works on 15 days, Sam works on 15 days." in text
    assert "If Dana's working hours ended 4 hours later, there would be room on 15 days." in text


def test_longer_hours_are_offered_only_when_they_are_free() -> None:
    late = person("Sam", hours="Mon-Fri 19:00-23:00")
    evenings = [Span(utc(2027, 6, day, 15), utc(2027, 6, day, 23)) for day in range(7, 28) if day != 9]
    s = search(report=late, busy=evenings)
    assert "If Dana's working hours ended 4 hours later, there would be room on 1 day." in none_words(s)


def test_overlap_under_an_hour() -> None:
    text = none_words(search(report=person("Sam", hours="Mon-Fri 16:15-22:00"), minutes=60))
    assert "The longest time Dana and Sam are both at work is 45 minutes, under the 60 needed." in text
    assert "If Dana's working hours ended 1 hour later, there would be room on 15 days." in text


def test_holidays_are_counted() -> None:
    easter = Span(utc(2027, 3, 26), utc(2027, 3, 30))
    assert "Public holidays take 2 working days from Dana." in none_words(search(window=easter))


def test_an_unknown_calendar_is_named_with_its_reason() -> None:
    s = replace(search(), free_busy={DANA.email: FREE, SAM.email: FreeBusy(known=False, reason="the grant is gone")})
    text = none_words(s)
    assert "Sam's calendar is unknown (the grant is gone), and unknown time is never free." in text
    assert "Dana's calendar" not in text


def test_a_shorter_session_is_offered_when_it_fits() -> None:
    gap = only(8, (10, 0), (11, 30))
    s = search(window=only(8, (9, 0), (17, 0)), busy=[Span(gap.start - DAY, gap.start), Span(gap.end, gap.end + DAY)])
    assert "With 60 minutes there is room on 1 day." in none_words(s)


def test_giving_up_the_buffer_is_offered_when_it_helps() -> None:
    gap = only(8, (10, 0), (11, 0))
    s = search(window=only(8, (9, 0), (17, 0)), busy=[Span(gap.start - DAY, gap.start), Span(gap.end, gap.end + DAY)])
    assert "With 60 minutes and without the free 15 minutes on each side there is room on 1 day." in none_words(s)


def test_the_block_that_frees_most_is_named_by_its_time_only() -> None:
    leave = Span(utc(2027, 6, 6, 22), utc(2027, 6, 19, 22))
    s = search(busy=[leave, Span(utc(2027, 6, 20), utc(2027, 6, 28))])
    s = replace(
        s,
        free_busy={
            **s.free_busy,
            DANA.email: FreeBusy((BusyTime(leave, ShowAs.AWAY), BusyTime(Span(leave.end, WINDOW.end)))),
        },
    )
    text = none_words(s)
    assert "Dana's calendar leaves room on no days, Sam's calendar leaves room on 15 days" in text
    assert "Moving Dana's time away of Mon 7 Jun 00:00 to Sun 20 Jun 00:00 (Europe/Berlin) frees" in text


def test_a_days_career_session_is_named_as_the_blocker() -> None:
    other = TakenTime(only(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = replace(search(window=only(8, (9, 0), (17, 0))), taken_times={DANA.email: (other,)})
    text = none_words(s)
    assert "Dana already has a career session on 1 day with room." in text
    assert "Moving Dana's career session of Tue 8 Jun 09:00 to 10:15 (Europe/Berlin) frees" in text


def test_a_day_that_is_full_isnt_freed_by_moving_something_else() -> None:
    other = TakenTime(only(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = search(window=only(8, (9, 0), (17, 0)), busy=[only(8, (11, 0), (17, 0))], minutes=60)
    text = none_words(replace(s, taken_times={DANA.email: (other,)}))
    assert "Moving Dana's career session of Tue 8 Jun 09:00 to 10:15 (Europe/Berlin) frees 4 starting times." in text


def test_a_window_too_short_is_said_to_be() -> None:
    assert "The window holds 60 minutes, under the 75 needed." in none_words(search(window=only(8, (9, 5), (10, 20))))


@given(searches())
@settings(max_examples=60, deadline=None)
def test_there_is_always_an_answer_and_what_it_offers_works(s: Search) -> None:
    """R-8: silence is never the outcome."""
    text = none_words(s)
    assert text.startswith("There is room") == bool(oracle(s))
    if "Without the free 15 minutes" in text:
        assert oracle(replace(s, buffer=False))
    for minutes in (60, 75):
        if f"With {minutes} minutes there is room" in text:
            assert oracle(replace(s, minutes=minutes))


# --- one person alone -----------------------------------------------------------------------------------------------


def test_a_block_for_a_commitment_takes_the_latest_day_early() -> None:
    """T-8: no buffer, the latest working day with room, and there the earliest time."""
    busy = FreeBusy(
        (BusyTime(Span(utc(2027, 6, 25), utc(2027, 6, 26))), BusyTime(Span(utc(2027, 6, 24, 7), utc(2027, 6, 24, 8))))
    )
    assert find_solo_time(DANA, WINDOW, 30, busy, (), latest=True) == Span(utc(2027, 6, 24, 8), utc(2027, 6, 24, 8, 30))
    assert find_solo_time(DANA, WINDOW, 30, busy, (), latest=False) == Span(utc(2027, 6, 7, 7), utc(2027, 6, 7, 7, 30))


def test_a_blocks_day_is_the_persons_own() -> None:
    """In Auckland the working day begins on the evening before, in UTC."""
    tui = person("Tui", "Pacific/Auckland", "NZ")
    evening = utc(2027, 6, 23, 21)
    assert find_solo_time(tui, Span(utc(2027, 6, 21), utc(2027, 6, 23, 22, 30)), 30, FREE, (), latest=True) == Span(
        evening, evening + 30 * MINUTE
    )


def test_a_block_never_takes_unknown_or_given_time() -> None:
    window = only(8, (9, 0), (10, 0))
    given_away = TakenTime(only(8, (9, 0), (9, 20)), "s1")
    assert find_solo_time(DANA, window, 30, FreeBusy(known=False), (), latest=True) is None
    assert find_solo_time(DANA, window, 30, FREE, (given_away,), latest=True) == only(8, (9, 30), (10, 0))
    assert find_solo_time(DANA, only(12, (9, 0), (17, 0)), 30, FREE, (), latest=True) is None
    assert find_solo_time(person(calendar="none"), window, 30, FreeBusy(known=False), (), latest=False) == only(
        8, (9, 0), (9, 30)
    )
