"""Busy and working time in cached blocks of 32 days: the same as without blocks, also where two meet (T-2)."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.model import QUARTER_HOUR, BusyTime, FreeBusy, Person, Span
from worker.domain.model.quarters import BLOCK_DAYS, BLOCK_QUARTERS, get_block_span, join_blocks
from worker.domain.time.availability import QuarterGrid, iterate_set_bits
from worker.domain.time.worktime import list_spells, parse_hours

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EPOCH_DAY = date(1970, 1, 1)
#: Blocks of the years 1952 to 2075, numbered from 1970 on.
blocks = st.integers(-200, 1200)
#: Minutes from the place where two blocks meet, often exactly at it or a quarter-hour beside it.
minutes = st.one_of(st.sampled_from((-16, -15, -1, 0, 1, 15, 16)), st.integers(-3_000, 3_000))
#: The lengths of events in minutes, from a quarter-hour to three years.
event_lengths = st.one_of(
    st.integers(1, 60), st.sampled_from((DAY // MINUTE, 33 * DAY // MINUTE, 3 * 366 * DAY // MINUTE))
)


def person(zone: str = "Europe/Berlin", hours: str = "Mon-Fri 09:00-17:00") -> Person:
    return Person(email="dana@x.example", name="Dana", zone=zone, country="DE", hours=parse_hours(hours))


@given(
    st.integers(-4 * BLOCK_QUARTERS, 4 * BLOCK_QUARTERS) | st.sampled_from((-BLOCK_QUARTERS, 0, BLOCK_QUARTERS)),
    st.integers(0, 200) | st.sampled_from((BLOCK_QUARTERS, 2 * BLOCK_QUARTERS)),
    st.sets(st.integers(-5 * BLOCK_QUARTERS, 8 * BLOCK_QUARTERS), max_size=60),
)
def test_joined_blocks_hold_each_quarter_hour_of_the_window(first: int, size: int, quarters: set[int]) -> None:
    def get_bits(block: int) -> int:
        positions = (index - block * BLOCK_QUARTERS for index in quarters)
        return sum(1 << position for position in positions if 0 <= position < BLOCK_QUARTERS)

    expected = sorted(index - first for index in quarters if first <= index < first + size)
    assert list(iterate_set_bits(join_blocks(first, size, get_bits))) == expected


@given(
    blocks, minutes, st.integers(0, 1_500), st.lists(st.tuples(minutes, event_lengths), max_size=5), st.integers(0, 2)
)
@settings(max_examples=150, deadline=None)
def test_busy_time_is_complete_where_blocks_meet(
    block: int, start: int, length: int, events: list[tuple[int, int]], padding: int
) -> None:
    """Also before 1970, and for events that fill whole blocks."""
    edge = get_block_span(block).start
    grid = QuarterGrid(Span(edge + start * MINUTE, edge + (start + length) * MINUTE))
    busy = [Span(edge + begin * MINUTE, edge + (begin + duration) * MINUTE) for begin, duration in events]
    margin = padding * QUARTER_HOUR
    spans_with_padding = [Span(span.start - margin, span.end + margin) for span in _round_outward(busy)]
    quarters = [
        Span(grid.get_instant(position), grid.get_instant(position) + QUARTER_HOUR) for position in range(grid.size)
    ]
    expected = [
        position
        for position, quarter in enumerate(quarters)
        if any(quarter.overlaps(span) for span in spans_with_padding)
    ]
    free_busy = FreeBusy(tuple(map(BusyTime, busy)))
    assert list(iterate_set_bits(grid.find_busy(person(), free_busy, (), padding))) == expected


def _round_outward(spans: list[Span]) -> list[Span]:
    """Return the spans, extended to whole quarter-hours."""
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [
        Span(span.start - (span.start - epoch) % QUARTER_HOUR, span.end + (epoch - span.end) % QUARTER_HOUR)
        for span in spans
    ]


#: Zones whose clocks change by an hour, by half an hour or by two hours, or that left out a day (Apia on 2011-12-30,
#: Kwajalein on 1993-08-21), and zones at both ends of the world.
ZONES = (
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Pacific/Apia",
    "Pacific/Kwajalein",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Africa/Monrovia",
)
HOURS = ("Mon-Fri 09:00-17:00", "Mon-Sun 22:00-06:00", "Mon-Sun 00:00-24:00", "Mon-Sun 22:00-12:00")


@given(st.sampled_from(ZONES), st.sampled_from(HOURS), st.integers(-100, 700), st.integers(-3, 2), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_working_time_is_complete_where_blocks_meet(zone: str, hours: str, block: int, step: int, days: int) -> None:
    """Also before 1970, and where the clocks of a zone change."""
    assert_working_time_is_that_of_spells(person(zone, hours), EPOCH_DAY + (BLOCK_DAYS * block + step) * DAY, days)


@pytest.mark.parametrize("hours", HOURS)
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", date(2027, 3, 28)),
        ("Europe/Berlin", date(2027, 10, 31)),
        ("Australia/Lord_Howe", date(2027, 4, 4)),
        ("Antarctica/Troll", date(2027, 10, 31)),
        ("Pacific/Apia", date(2011, 12, 30)),
        ("Pacific/Kwajalein", date(1993, 8, 21)),
    ],
)
def test_working_time_is_complete_where_the_clocks_change(zone: str, day: date, hours: str) -> None:
    assert_working_time_is_that_of_spells(person(zone, hours), day - DAY, 3)


def assert_working_time_is_that_of_spells(worker: Person, first: date, days: int) -> None:
    """Compare the working time of these days in UTC with the spells of each day around them."""
    start = datetime.combine(first, datetime.min.time(), UTC)
    grid = QuarterGrid(Span(start, start + days * DAY))
    spells = [spell for step in range(-3, days + 3) for spell in list_spells(worker, first + step * DAY)]
    assert grid.find_working(worker) == grid.find_filled(spells)
