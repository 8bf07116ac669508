"""Whatever a calendar holds, it reads as an independent expansion says, and one odd line makes nothing free."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.ical_expansion import HARMLESS_LINES, UNREADABLE_LINES, Calendar, GeneratedEvent, merge
from tests.support.proof import FULL
from worker.domain.model import EventRef, Span
from worker.providers.ical.parser import parse_calendar
from worker.providers.ical.reader import CalendarContents, read_calendar

#: With a change of the clocks in America and one in Europe.
WINDOW = Span(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))
FIRST_DAY = datetime.fromisoformat("2027-01-04")
MINUTES = st.integers(0, 23 * 4).map(lambda quarter: timedelta(minutes=15 * quarter))


@st.composite
def written(draw: Any, number: int) -> GeneratedEvent:
    all_day = draw(st.booleans())
    day = FIRST_DAY + timedelta(days=draw(st.integers(0, 110)))
    frequency = draw(st.sampled_from([None, "DAILY", "WEEKLY", "MONTHLY"]))
    ending = draw(st.sampled_from(["count", "until", "never"])) if frequency else "never"
    return GeneratedEvent(
        number=number,
        start=day if all_day else day + draw(MINUTES),
        length=timedelta(days=draw(st.integers(1, 3))) if all_day else timedelta(minutes=draw(st.integers(5, 1500))),
        zone=None
        if all_day
        else draw(st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"])),
        all_day=all_day,
        frequency=frequency,
        interval=draw(st.integers(1, 3)),
        count=draw(st.integers(1, 8)) if ending == "count" else None,
        until=draw(st.integers(0, 60)) if ending != "count" and frequency else None,
        until_form=draw(st.sampled_from(["utc", "local", "date"])),
        weekdays=tuple(draw(st.sets(st.integers(0, 6), max_size=3))) if frequency == "WEEKLY" else (),
        excluded=tuple(draw(st.sets(st.integers(0, 6), max_size=3))) if frequency else (),
        exdate_form=draw(st.sampled_from(["own", "utc", "dates", "comma"])),
        moved=draw(st.none() | st.tuples(st.integers(0, 5), st.integers(-30, 30))) if frequency else None,
        length_form=draw(st.sampled_from(["end", "duration", "both"])),
        extra_lines=tuple(draw(st.lists(st.sampled_from(HARMLESS_LINES), max_size=2))),
        has_uid=draw(st.integers(0, 4)) > 0,
    )


@st.composite
def calendars(draw: Any) -> Calendar:
    return Calendar([draw(written(number)) for number in range(draw(st.integers(1, 3)))])


def read(calendar: Calendar) -> CalendarContents:
    return read_calendar(
        parse_calendar(calendar.text(), "file"),
        EventRef("sam@x.example", "file", ""),
        ZoneInfo("Europe/Berlin"),
        WINDOW,
    )


def taken(reading: CalendarContents) -> list[tuple[datetime, datetime]]:
    spans = [event.span for event in reading.events if event.show_as is not None and event.span.overlaps(WINDOW)]
    return merge([(max(span.start, WINDOW.start), min(span.end, WINDOW.end)) for span in spans])


def compare(calendar: Calendar) -> None:
    reading = read(calendar)
    assert not reading.unknown_spans
    assert taken(reading) == calendar.busy(WINDOW.start, WINDOW.end)


def compare_darkened(calendar: Calendar, line: str) -> None:
    """What can be told of one event is taken, the stretch in which it may lie is unknown, the others are as ever."""
    first, *others = calendar.events
    reading = read(Calendar([replace(first, extra_lines=(*first.extra_lines, line)), *others]))
    assert reading.list_unreadable_events(Span(first.utc(first.start), WINDOW.end))
    busy = taken(reading)
    for begin, end in Calendar(others).busy(WINDOW.start, WINDOW.end):
        assert any(one <= begin and end <= other for one, other in busy)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calendars())
def test_calendars_read_as_an_independent_expansion_says(calendar: Calendar) -> None:
    compare(calendar)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(calendars(), st.sampled_from(UNREADABLE_LINES))
def test_a_dark_line_makes_nothing_free(calendar: Calendar, line: str) -> None:
    compare_darkened(calendar, line)


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="ten thousand calendars take a while: run `make proof`")
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(calendars(), st.sampled_from(UNREADABLE_LINES))
def test_ten_thousand_calendars_read_as_an_independent_expansion_says(calendar: Calendar, line: str) -> None:
    compare(calendar)
    compare_darkened(calendar, line)
