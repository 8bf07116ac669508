"""Bits say the same as datetimes do, rounded the careful way (T-2)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.model import QUARTER_HOUR, BusyTime, FreeBusy, Person, ShowAs, Span, TakenTime
from worker.domain.model.quarters import get_quarter_start
from worker.domain.time.availability import (
    QuarterGrid,
    find_day_bits,
    find_midnight_quarter,
    find_starts,
    get_free_busy,
    iterate_set_bits,
    measure_longest_run,
)
from worker.domain.time.worktime import list_spells, parse_hours, wall_to_utc

START = datetime(2027, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def person(zone: str = "Europe/Berlin", hours: str = "Mon-Fri 09:00-17:00", calendar: str = "caldav") -> Person:
    return Person(
        email="dana@x.example", name="Dana", zone=zone, country="DE", hours=parse_hours(hours), calendar=calendar
    )


def span(start: int, end: int) -> Span:
    """From and to so many minutes after `START`."""
    return Span(START + start * MINUTE, START + end * MINUTE)


def quarters(grid: QuarterGrid) -> list[Span]:
    return [Span(grid.get_instant(index), grid.get_instant(index) + QUARTER_HOUR) for index in range(grid.size)]


spans = st.builds(lambda start, length: span(start, start + length), st.integers(-300, 1700), st.integers(1, 400))
windows = st.builds(lambda start, length: span(start, start + length), st.integers(-40, 40), st.integers(0, 1500))


@given(windows)
def test_a_grid_holds_the_whole_quarters_of_its_window(window: Span) -> None:
    grid = QuarterGrid(window)
    inside = [at for at in (START + step * QUARTER_HOUR for step in range(-4, 120)) if at >= window.start]
    assert [part.start for part in quarters(grid)] == [at for at in inside if at + QUARTER_HOUR <= window.end]


@given(windows, st.lists(spans, max_size=6), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_busy_time_is_rounded_outward(window: Span, busy: list[Span], pad: int) -> None:
    grid = QuarterGrid(window)
    margin = pad * QUARTER_HOUR
    wide = [Span(part.start - margin, part.end + margin) for part in busy]
    touched = [index for index, part in enumerate(quarters(grid)) if any(part.overlaps(other) for other in wide)]
    assert list(iterate_set_bits(grid.find_touched(busy, pad))) == touched


long_spans = st.builds(
    lambda start, length: span(start * 7, (start + length) * 7), st.integers(-9000, 9000), st.integers(1, 9000)
)


@given(st.integers(-40_000, 40_000), st.integers(0, 90_000), st.lists(long_spans, max_size=6), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_busy_time_of_a_calendar_is_found_wherever_the_window_begins(
    start: int, length: int, busy: list[Span], pad: int
) -> None:
    """Free/busy is kept in blocks of 32 days: windows of several of them, and busy spans that reach over their ends."""
    grid, free_busy = QuarterGrid(span(start, start + length)), FreeBusy(tuple(map(BusyTime, busy)))
    expected = grid.find_touched(busy, pad)
    assert grid.find_busy(person(), free_busy, (), pad) == expected
    assert grid.find_busy(person(), free_busy, (), pad) == expected, "now from the cache"


@given(windows, st.lists(spans, max_size=6))
@settings(max_examples=100, deadline=None)
def test_working_time_is_rounded_inward(window: Span, work: list[Span]) -> None:
    grid = QuarterGrid(window)
    inside = [
        index
        for index, part in enumerate(quarters(grid))
        if any(other.start <= part.start and part.end <= other.end for other in work)
    ]
    assert list(iterate_set_bits(grid.find_filled(work))) == inside


@given(
    st.sampled_from(("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns", "Pacific/Apia")),
    st.sampled_from(("Mon-Fri 09:00-17:00", "Mon-Sun 22:00-06:00", "Tue,Sat 00:00-24:00")),
    st.dates(date(2011, 12, 1), date(2031, 1, 1)),
)
@settings(max_examples=60, deadline=None)
def test_work_bits_are_the_spells(zone: str, hours: str, day: date) -> None:
    who = person(zone, hours)
    start = datetime.combine(day, datetime.min.time(), UTC)
    grid = QuarterGrid(Span(start, start + timedelta(days=3)))
    around = [part for step in range(-3, 6) for part in list_spells(who, day + timedelta(days=step))]
    assert grid.find_working(who) == grid.find_filled(around)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Chatham"])
@pytest.mark.parametrize("hours", ["Mon-Sun 00:00-24:00", "Mon-Sun 22:00-12:00"])
def test_no_work_is_lost_where_blocks_meet(zone: str, hours: str) -> None:
    who = person(zone, hours)
    grid = QuarterGrid(Span(START, START + timedelta(days=100)))
    around = [part for step in range(-3, 103) for part in list_spells(who, START.date() + timedelta(days=step))]
    assert grid.find_working(who) == grid.find_filled(around)


def test_offsets_of_old_that_are_no_quarters_make_the_day_shorter() -> None:
    """Monrovia was 44 minutes and 30 seconds behind until 1972: 09:00 there lies within a quarter, which isn't work."""
    who = Person(
        email="a@x.example", name="A", zone="Africa/Monrovia", country="LR", hours=parse_hours("Mon-Sun 09:00-17:00")
    )
    (spell,) = list_spells(who, date(1971, 1, 6))
    bits = list(
        iterate_set_bits(
            QuarterGrid(Span(spell.start - timedelta(hours=2), spell.end + timedelta(hours=2))).find_working(who)
        )
    )
    assert len(bits) == 31


@given(st.integers(0, 2**200 - 1), st.integers(1, 12))
def test_starts_are_where_enough_quarters_follow(free: int, count: int) -> None:
    naive = [at for at in range(200) if all(free >> at + step & 1 for step in range(count))]
    assert list(iterate_set_bits(find_starts(free, count))) == naive


@given(st.integers(0, 2**100))
def test_the_longest_run(free: int) -> None:
    assert measure_longest_run(free) == max(len(run) for run in f"{free:b}".split("0"))


def test_unknown_time_is_never_free() -> None:
    """T-2, whatever else the answer holds."""
    grid = QuarterGrid(span(0, 1440))
    assert grid.find_busy(person(), FreeBusy(is_known=False, reason="no grant"), ()) == grid.all
    assert grid.find_busy(person(), get_free_busy({}, person()), ()) == grid.all
    assert grid.find_busy(person(), FreeBusy(), ()) == 0


@pytest.mark.parametrize("show", list(ShowAs))
def test_busy_tentative_and_away_all_block(show: ShowAs) -> None:
    grid = QuarterGrid(span(0, 1440))
    assert list(iterate_set_bits(grid.find_busy(person(), FreeBusy((BusyTime(span(60, 80), show),)), ()))) == [4, 5]
    assert list(
        iterate_set_bits(grid.find_busy(person(), FreeBusy((BusyTime(span(60, 80), show),)), (), padding=1))
    ) == [
        3,
        4,
        5,
        6,
    ]


def test_a_calendar_nobody_can_read_is_free_but_for_what_was_decided() -> None:
    grid = QuarterGrid(span(0, 1440))
    unread = person(calendar="none")
    assert grid.find_busy(unread, FreeBusy(is_known=False), ()) == 0
    assert grid.find_busy(unread, FreeBusy((BusyTime(span(0, 600)),)), ()) == 0
    assert list(iterate_set_bits(grid.find_busy(unread, FreeBusy(), (TakenTime(span(30, 60), "s1"),)))) == [2, 3]


def test_a_local_day_has_as_many_quarters_as_it_lasts() -> None:
    grid = QuarterGrid(Span(START, START + timedelta(days=365)))
    assert find_day_bits(grid, "Europe/Berlin", date(2027, 3, 28)).bit_count() == 92
    assert find_day_bits(grid, "Australia/Lord_Howe", date(2027, 4, 4)).bit_count() == 98
    assert find_day_bits(grid, "Antarctica/Troll", date(2027, 10, 31)).bit_count() == 104
    assert find_day_bits(grid, "UTC", date(2029, 1, 1)) == 0
    assert find_midnight_quarter("Pacific/Apia", date(2011, 12, 30)) == find_midnight_quarter(
        "Pacific/Apia", date(2011, 12, 31)
    )
    assert get_quarter_start(find_midnight_quarter("Asia/Kolkata", date(2027, 5, 1))) == wall_to_utc(
        "Asia/Kolkata", date(2027, 5, 1), 0
    )
