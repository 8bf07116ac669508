"""Whatever somebody's calendar holds, it is read to an end: what makes no sense is said to make none."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from worker.domain.model import Event, EventRef, Span
from worker.errors import InvalidResponse
from worker.providers import icalendars

BERLIN = ZoneInfo("Europe/Berlin")
WINDOW = Span(datetime(2026, 9, 7, tzinfo=UTC), datetime(2026, 12, 7, tzinfo=UTC))
AT_TEN = ("DTSTART:20260907T080000Z", "DTEND:20260907T090000Z")
ALWAYS = ("DTSTART:19700101T080000Z", "DTEND:19700101T090000Z")


def read(*lines: str) -> list[Event]:
    """The events of a calendar object with these lines, in a calendar in Berlin."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", "BEGIN:VEVENT", "UID:x", "DTSTAMP:20260101T000000Z")
    text = "\r\n".join([*head, *lines, "END:VEVENT", "END:VCALENDAR", ""])
    return icalendars.events(icalendars.parse(text, "here"), EventRef("sam@x.example", "x", "1"), BERLIN, WINDOW)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=1000000000000",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=MINUTELY;INTERVAL=59",
        "FREQ=SECONDLY;COUNT=1000000000",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;BYMINUTE=0,30",
        f"FREQ=WEEKLY;BYHOUR=9;BYMINUTE={','.join(map(str, range(60)))};BYSECOND=0",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=999",
        "FREQ=NEVER",
    ],
)
def test_a_series_that_nobody_s_time_is_like_is_unreadable_at_once(rule: str) -> None:
    for times in (AT_TEN, ALWAYS):
        with pytest.raises(InvalidResponse, match="times that can't be read"):
            read(*times, f"RRULE:{rule}")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("FREQ=DAILY;COUNT=1000000000", 91),
        ("FREQ=HOURLY;BYHOUR=8,9;BYMINUTE=0", 182),
        ("FREQ=MINUTELY;INTERVAL=1440", 91),
        ("FREQ=MINUTELY;COUNT=10", 10),
        ("FREQ=DAILY;BYHOUR=8,13;BYMINUTE=0,30", 364),
        ("FREQ=DAILY;UNTIL=20200101T000000Z", 0),
    ],
)
def test_a_series_of_any_kind_is_followed_through_the_window(rule: str, count: int) -> None:
    assert len(read(*AT_TEN, f"RRULE:{rule}")) == count


@pytest.mark.timeout(20)
def test_days_by_the_thousand_added_and_taken_away() -> None:
    hours = ",".join(f"{WINDOW.start + timedelta(hours=n):%Y%m%dT%H%M%SZ}" for n in range(3000))
    assert len(read(*AT_TEN, f"RDATE:{hours}")) == 91 * 24
    assert read(*AT_TEN, "RRULE:FREQ=HOURLY;COUNT=2900", f"EXDATE:{hours}") == []


@pytest.mark.parametrize(
    ("lines", "year"),
    [
        (("DTSTART:20260907T080000Z", "DTEND:99991231T235959Z"), 2200),
        (("DTSTART:20260907T080000Z", "DTEND;TZID=America/Los_Angeles:99991231T235959"), 2200),
        (("DTSTART;VALUE=DATE:20260907", "DTEND;VALUE=DATE:99991231"), 2200),
        (("DTSTART;TZID=Asia/Tokyo:00010101T000000", "DTEND:20260907T090000Z"), 2026),
    ],
)
def test_what_is_meant_as_always_ends_somewhere(lines: tuple[str, ...], year: int) -> None:
    (event,) = read(*lines)
    assert event.span.end.year == year
    assert event.span.start.year in (1900, 2026)


@pytest.mark.parametrize(
    "lines",
    [
        ("SUMMARY:No time at all",),
        ("DTSTART:20260907T080000Z", "DURATION:P1000000000D"),
        ("DTSTART:20260907T080000Z", "DTEND;VALUE=DATE:20260908"),
        ("DTSTART:20260907T080000Z", "DTEND:99991231T235959Z", "RRULE:FREQ=DAILY"),
    ],
)
def test_times_that_make_no_sense_are_said_to(lines: tuple[str, ...]) -> None:
    with pytest.raises(InvalidResponse, match=r"sam@x\.example: the event x has times that can't be read"):
        read(*lines)
