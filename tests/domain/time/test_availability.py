"""Quarter-hours of a window as bits: the same as comparisons of instants, with busy time rounded outward (T-2)."""

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


def make_span(start: int, end: int) -> Span:
    """Return the span between these minutes after `START`."""
    return Span(START + start * MINUTE, START + end * MINUTE)


def list_quarters(grid: QuarterGrid) -> list[Span]:
    """Return the quarter-hours of a grid as spans."""
    return [Span(grid.get_instant(index), grid.get_instant(index) + QUARTER_HOUR) for index in range(grid.size)]


spans = st.builds(lambda start, length: make_span(start, start + length), st.integers(-300, 1700), st.integers(1, 400))
windows = st.builds(lambda start, length: make_span(start, start + length), st.integers(-40, 40), st.integers(0, 1500))


@given(windows)
def test_grid_holds_the_whole_quarter_hours_of_its_window(window: Span) -> None:
    grid = QuarterGrid(window)
    starts_in_window = [
        start for start in (START + step * QUARTER_HOUR for step in range(-4, 120)) if start >= window.start
    ]
    assert [part.start for part in list_quarters(grid)] == [
        start for start in starts_in_window if start + QUARTER_HOUR <= window.end
    ]


@given(windows, st.lists(spans, max_size=6), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_busy_time_is_rounded_outward(window: Span, busy: list[Span], padding: int) -> None:
    grid = QuarterGrid(window)
    margin = padding * QUARTER_HOUR
    spans_with_padding = [Span(part.start - margin, part.end + margin) for part in busy]
    expected = [
        index
        for index, part in enumerate(list_quarters(grid))
        if any(part.overlaps(busy_span) for busy_span in spans_with_padding)
    ]
    assert list(iterate_set_bits(grid.find_touched(busy, padding))) == expected


#: Spans of up to some weeks, in steps of seven minutes, so that few of them begin or end at a quarter-hour.
long_spans = st.builds(
    lambda start, length: make_span(start * 7, (start + length) * 7), st.integers(-9000, 9000), st.integers(1, 9000)
)


@given(st.integers(-40_000, 40_000), st.integers(0, 90_000), st.lists(long_spans, max_size=6), st.integers(0, 2))
@settings(max_examples=150, deadline=None)
def test_cached_busy_time_is_the_same_wherever_the_window_begins(
    start: int, length: int, busy: list[Span], padding: int
) -> None:
    """Free/busy is cached in blocks of 32 days.

    The windows reach over several blocks, and busy spans reach over the ends of blocks.
    """
    grid, free_busy = QuarterGrid(make_span(start, start + length)), FreeBusy(tuple(map(BusyTime, busy)))
    expected = grid.find_touched(busy, padding)
    assert grid.find_busy(person(), free_busy, (), padding) == expected
    assert grid.find_busy(person(), free_busy, (), padding) == expected, (
        "the second search, which reads the cache, has another result"
    )


@given(windows, st.lists(spans, max_size=6))
@settings(max_examples=100, deadline=None)
def test_working_time_is_rounded_inward(window: Span, work: list[Span]) -> None:
    grid = QuarterGrid(window)
    expected = [
        index
        for index, part in enumerate(list_quarters(grid))
        if any(work_span.start <= part.start and part.end <= work_span.end for work_span in work)
    ]
    assert list(iterate_set_bits(grid.find_filled(work))) == expected


@given(
    st.sampled_from(("Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "America/St_Johns", "Pacific/Apia")),
    st.sampled_from(("Mon-Fri 09:00-17:00", "Mon-Sun 22:00-06:00", "Tue,Sat 00:00-24:00")),
    st.dates(date(2011, 12, 1), date(2031, 1, 1)),
)
@settings(max_examples=60, deadline=None)
def test_working_bits_are_the_quarter_hours_of_spells(zone: str, hours: str, day: date) -> None:
    worker = person(zone, hours)
    start = datetime.combine(day, datetime.min.time(), UTC)
    grid = QuarterGrid(Span(start, start + timedelta(days=3)))
    spells = [part for step in range(-3, 6) for part in list_spells(worker, day + timedelta(days=step))]
    assert grid.find_working(worker) == grid.find_filled(spells)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Pacific/Chatham"])
@pytest.mark.parametrize("hours", ["Mon-Sun 00:00-24:00", "Mon-Sun 22:00-12:00"])
def test_working_time_is_complete_where_cached_blocks_meet(zone: str, hours: str) -> None:
    worker = person(zone, hours)
    grid = QuarterGrid(Span(START, START + timedelta(days=100)))
    spells = [part for step in range(-3, 103) for part in list_spells(worker, START.date() + timedelta(days=step))]
    assert grid.find_working(worker) == grid.find_filled(spells)


def test_quarter_hour_with_part_of_a_spell_is_no_working_time() -> None:
    """Monrovia was 44 minutes and 30 seconds behind UTC until 1972.

    A spell of 8 hours there fills 31 whole quarter-hours and part of two more.
    """
    worker = Person(
        email="a@x.example", name="A", zone="Africa/Monrovia", country="LR", hours=parse_hours("Mon-Sun 09:00-17:00")
    )
    (spell,) = list_spells(worker, date(1971, 1, 6))
    bits = list(
        iterate_set_bits(
            QuarterGrid(Span(spell.start - timedelta(hours=2), spell.end + timedelta(hours=2))).find_working(worker)
        )
    )
    assert len(bits) == 31


@given(st.integers(0, 2**200 - 1), st.integers(1, 12))
def test_starts_are_quarter_hours_that_enough_free_ones_follow(free: int, count: int) -> None:
    expected = [start for start in range(200) if all(free >> start + step & 1 for step in range(count))]
    assert list(iterate_set_bits(find_starts(free, count))) == expected


@given(st.integers(0, 2**100))
def test_longest_run_is_the_longest_row_of_set_bits(free: int) -> None:
    assert measure_longest_run(free) == max(len(run) for run in f"{free:b}".split("0"))


def test_unknown_time_is_never_free() -> None:
    """T-2: unknown or missing free/busy makes the whole window busy."""
    grid = QuarterGrid(make_span(0, 24 * 60))
    assert grid.find_busy(person(), FreeBusy(is_known=False, reason="no grant"), ()) == grid.all
    assert grid.find_busy(person(), get_free_busy({}, person()), ()) == grid.all
    assert grid.find_busy(person(), FreeBusy(), ()) == 0


@pytest.mark.parametrize("show", list(ShowAs))
def test_busy_tentative_and_away_time_is_all_busy(show: ShowAs) -> None:
    grid = QuarterGrid(make_span(0, 24 * 60))
    busy_from_60_to_80 = FreeBusy((BusyTime(make_span(60, 80), show),))
    assert list(iterate_set_bits(grid.find_busy(person(), busy_from_60_to_80, ()))) == [4, 5]
    assert list(iterate_set_bits(grid.find_busy(person(), busy_from_60_to_80, (), padding=1))) == [3, 4, 5, 6]


def test_person_without_calendar_is_busy_only_at_taken_times() -> None:
    grid = QuarterGrid(make_span(0, 24 * 60))
    person_without_calendar = person(calendar="none")
    assert grid.find_busy(person_without_calendar, FreeBusy(is_known=False), ()) == 0
    assert grid.find_busy(person_without_calendar, FreeBusy((BusyTime(make_span(0, 600)),)), ()) == 0
    assert list(
        iterate_set_bits(grid.find_busy(person_without_calendar, FreeBusy(), (TakenTime(make_span(30, 60), "s1"),)))
    ) == [2, 3]


def test_local_day_has_as_many_quarter_hours_as_it_lasts() -> None:
    """Clock changes make a day shorter or longer by up to two hours. A day outside the window has none.

    The day that Apia skipped begins when the next one begins.
    """
    grid = QuarterGrid(Span(START, START + timedelta(days=365)))
    assert find_day_bits(grid, "Europe/Berlin", date(2027, 3, 28)).bit_count() == 23 * 4
    assert find_day_bits(grid, "Australia/Lord_Howe", date(2027, 4, 4)).bit_count() == 24 * 4 + 2
    assert find_day_bits(grid, "Antarctica/Troll", date(2027, 10, 31)).bit_count() == 26 * 4
    assert find_day_bits(grid, "UTC", date(2029, 1, 1)) == 0
    assert find_midnight_quarter("Pacific/Apia", date(2011, 12, 30)) == find_midnight_quarter(
        "Pacific/Apia", date(2011, 12, 31)
    )
    assert get_quarter_start(find_midnight_quarter("Asia/Kolkata", date(2027, 5, 1))) == wall_to_utc(
        "Asia/Kolkata", date(2027, 5, 1), 0
    )
