"""Generated calendars are read as an independent library expands them, and an unreadable line frees no time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.ical_expansion import (
    HARMLESS_LINES,
    UNREADABLE_LINES,
    Calendar,
    GeneratedEvent,
    OccurrenceChange,
    merge,
)
from tests.support.proof import FULL
from worker.domain.model import EventRef, Span
from worker.providers.ical.parser import parse_calendar
from worker.providers.ical.reader import CalendarContents, read_calendar

#: The clocks change within it in America and in Europe.
WINDOW = Span(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))
#: The first day on which an event may start.
FIRST_DAY = datetime.fromisoformat("2027-01-04")
TIMES_OF_DAY = st.integers(0, 23 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))


@st.composite
def generated_events(draw: Any, number: int) -> GeneratedEvent:
    """Return an event with that number in its UID."""
    all_day = draw(st.booleans())
    day = FIRST_DAY + timedelta(days=draw(st.integers(0, 110)))
    frequency = draw(st.sampled_from([None, "DAILY", "WEEKLY", "MONTHLY"]))
    ending = draw(st.sampled_from(["count", "until", "never"])) if frequency else None
    return GeneratedEvent(
        number=number,
        start=day if all_day else day + draw(TIMES_OF_DAY),
        length=timedelta(days=draw(st.integers(1, 3))) if all_day else timedelta(minutes=draw(st.integers(5, 1500))),
        zone=None
        if all_day
        else draw(st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"])),
        all_day=all_day,
        frequency=frequency,
        interval=draw(st.integers(1, 3)),
        count=draw(st.integers(1, 8)) if ending == "count" else None,
        until=draw(st.integers(0, 60)) if ending == "until" else None,
        until_form=draw(st.sampled_from(["utc", "local", "date"])),
        weekdays=tuple(draw(st.sets(st.integers(0, 6), max_size=3))) if frequency == "WEEKLY" else (),
        excluded=tuple(draw(st.sets(st.integers(0, 6), max_size=3))) if frequency else (),
        exdate_form=draw(st.sampled_from(["own", "utc", "dates", "comma"])),
        change=draw(st.none() | st.builds(OccurrenceChange, st.integers(0, 5), st.integers(-30, 30)))
        if frequency
        else None,
        length_form=draw(st.sampled_from(["end", "duration", "both"])),
        extra_lines=tuple(draw(st.lists(st.sampled_from(HARMLESS_LINES), max_size=2))),
        has_uid=draw(st.integers(0, 4)) > 0,
    )


@st.composite
def generated_calendars(draw: Any) -> Calendar:
    """Return a calendar with one to three events."""
    return Calendar([draw(generated_events(number)) for number in range(draw(st.integers(1, 3)))])


def read_contents(calendar: Calendar) -> CalendarContents:
    """Return what the reader finds in the calendar, whose owner lives in Berlin."""
    return read_calendar(
        parse_calendar(calendar.text(), "file"),
        EventRef("sam@x.example", "file", ""),
        ZoneInfo("Europe/Berlin"),
        WINDOW,
    )


def list_busy_times(reading: CalendarContents) -> list[tuple[datetime, datetime]]:
    """Return the times in the window that the events take."""
    spans = [event.span for event in reading.events if event.show_as is not None and event.span.overlaps(WINDOW)]
    return merge([(max(span.start, WINDOW.start), min(span.end, WINDOW.end)) for span in spans])


def assert_read_as_expanded(calendar: Calendar) -> None:
    """Assert that the reader finds the times at which the calendar's events take place."""
    reading = read_contents(calendar)
    assert not reading.unknown_spans
    assert list_busy_times(reading) == calendar.busy(WINDOW.start, WINDOW.end)


def assert_unreadable_line_frees_no_time(calendar: Calendar, line: str) -> None:
    """Assert that with this line in its first event, the time from there on is unknown, and the others are read."""
    first_event, *other_events = calendar.events
    unreadable_event = replace(first_event, extra_lines=(*first_event.extra_lines, line))
    reading = read_contents(Calendar([unreadable_event, *other_events]))
    assert reading.list_unreadable_events(Span(first_event.utc(first_event.start), WINDOW.end))
    busy = list_busy_times(reading)
    for begin, end in Calendar(other_events).busy(WINDOW.start, WINDOW.end):
        assert any(busy_begin <= begin and end <= busy_end for busy_begin, busy_end in busy)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(generated_calendars())
def test_calendar_is_read_as_an_independent_library_expands_it(calendar: Calendar) -> None:
    assert_read_as_expanded(calendar)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(generated_calendars(), st.sampled_from(UNREADABLE_LINES))
def test_unreadable_line_frees_no_time(calendar: Calendar, line: str) -> None:
    assert_unreadable_line_frees_no_time(calendar, line)


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="ten thousand calendars take a while: run `make proof`")
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(generated_calendars(), st.sampled_from(UNREADABLE_LINES))
def test_ten_thousand_calendars_are_read_as_an_independent_library_expands_them(calendar: Calendar, line: str) -> None:
    assert_read_as_expanded(calendar)
    assert_unreadable_line_frees_no_time(calendar, line)
