"""Whatever somebody's calendar holds, it is read to an end: what makes no sense hides nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain.model import Event, EventRef, Span
from worker.errors import InvalidResponse
from worker.providers.ical.parser import parse_calendar
from worker.providers.ical.reader import CalendarContents, read_calendar, read_single_event

BERLIN = ZoneInfo("Europe/Berlin")
WINDOW = Span(datetime(2026, 9, 7, tzinfo=UTC), datetime(2026, 12, 7, tzinfo=UTC))
AT_TEN = ("DTSTART:20260907T080000Z", "DTEND:20260907T090000Z")
ALWAYS = ("DTSTART:19700101T080000Z", "DTEND:19700101T090000Z")


def read(*lines: str) -> list[Event]:
    """The events of a calendar object with these lines, in a calendar in Berlin."""
    return reading(calendar("UID:x", "DTSTAMP:20260101T000000Z", *lines)).events


def calendar(*lines: str) -> str:
    """The text of a calendar object with one event of these lines."""
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", "BEGIN:VEVENT", *lines, "END:VEVENT"]
    return "\r\n".join([*whole, "END:VCALENDAR", ""])


def reading(text: str) -> CalendarContents:
    """What is read of that text on a calendar in Berlin."""
    return read_calendar(parse_calendar(text, "here"), EventRef("sam@x.example", "x", "1"), BERLIN, WINDOW)


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What was logged, each line without a word that somebody wrote."""
    yield (said := [])
    said += [record.getMessage() for record in caplog.records]
    assert not [line for line in said if "Secret" in line or "uid-of" in line]


def whole(*lines: str, before: tuple[str, ...] = ()) -> list[Event]:
    """The same beside an event that makes sense, which is there whatever the other is; what the other gave."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", *before, "BEGIN:VEVENT", "UID:uid-of-somebody")
    good = ("BEGIN:VEVENT", "UID:good", "DTSTART:20261001T100000Z", "DTEND:20261001T110000Z", "END:VEVENT")
    text = "\r\n".join([*head, "SUMMARY:Secret", *lines, "END:VEVENT", *good, "END:VCALENDAR", ""])
    found = reading(text).events
    assert [event.span.start for event in found if event.ref.id == "good"] == [datetime(2026, 10, 1, 10, tzinfo=UTC)]
    return [event for event in found if event.ref.id != "good"]


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=1000000000000",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=MINUTELY;INTERVAL=59",
        "FREQ=SECONDLY;COUNT=1000000000",
        "FREQ=MINUTELY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MINUTELY;COUNT=1;UNTIL=99991231T000000Z;BYHOUR=3;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=HOURLY;BYMINUTE=0,30",
        "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=DAILY;BYMONTH=99",
        "FREQ=DAILY;BYYEARDAY=400",
        f"FREQ=WEEKLY;BYHOUR=9;BYMINUTE={','.join(map(str, range(60)))};BYSECOND=0",
        f"FREQ=YEARLY;INTERVAL=1000;BYMINUTE={','.join(map(str, range(60)))};BYDAY=MO,TU,WE,TH,FR,SA,SU",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=999",
        "FREQ=DAILY;BYSETPOS=2",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        f"FREQ=YEARLY;BYDAY=MO;BYSETPOS={','.join(['60'] * 400)}",
        f"FREQ=MONTHLY;BYMONTHDAY={','.join(['1'] * 1000)}",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=NEVER",
        "COUNT=5",
    ],
)
def test_a_series_that_nobody_s_time_is_like_is_unknown_and_counts_for_its_own_span(
    rule: str, warned: list[str]
) -> None:
    (event,) = whole(*AT_TEN, f"RRULE:{rule}")
    assert event.span == Span(WINDOW.start + timedelta(hours=8), WINDOW.start + timedelta(hours=9))
    assert whole(*ALWAYS, f"RRULE:{rule}") == []
    for start in (AT_TEN, ALWAYS):
        assert reading(calendar("UID:x", *start, f"RRULE:{rule}")).list_unreadable_events(WINDOW)


def test_a_series_that_is_over_before_the_window_is_of_no_account(warned: list[str]) -> None:
    rule = "RRULE:FREQ=SECONDLY;UNTIL=20200101T000000Z"
    assert not reading(calendar("UID:x", *ALWAYS, rule)).list_unreadable_events(WINDOW)
    assert not reading(calendar("UID:x", *ALWAYS, "RRULE:FREQ=SECONDLY", "TRANSP:TRANSPARENT")).list_unreadable_events(
        WINDOW
    )


def test_a_step_that_leads_out_of_the_calendar_is_taken_once() -> None:
    told = reading(calendar("UID:x", *AT_TEN, "RRULE:FREQ=DAILY;INTERVAL=2000000000"))
    assert len(told.events) == 1 and not told.unknown_spans


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("lines", "spans"),
    [
        (("DTSTART:19000101T080000Z", "DTEND:21001231T235959Z", "RRULE:FREQ=HOURLY"), 1),
        (("DTSTART:20261001T080000Z", "DTEND:99991231T235959Z", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:P999999999D", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:-P500000D", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:-P5D"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:P1000000000D"), 1),
        (("DTSTART:00010101T000000Z", "DTEND:00010101T080000Z", "RRULE:FREQ=HOURLY"), 0),
        (("DTSTART;TZID=Asia/Tokyo:00010101T000000", "RRULE:FREQ=DAILY"), 0),
        ((*AT_TEN, "RRULE:FREQ=DAILY", "RRULE:FREQ=SECONDLY"), 1),
        ((*AT_TEN, f"RDATE:{','.join(['20261001T080000Z'] * 100_000)}"), 1),
        ((*AT_TEN, "RDATE;VALUE=PERIOD:20261001T080000Z/P99999999D"), 1),
        ((*AT_TEN, "RRULE:FREQ=DAILY", "EXDATE:tomorrow"), 91),
        ((*AT_TEN, "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20260908"), 2),
        (("DTSTART;VALUE=DATE:20260907", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20260908T000000Z"), 2),
        (("DTSTART;VALUE=DATE:20260907", "RRULE:FREQ=DAILY;UNTIL=20260909T080000Z"), 3),
        (("DTSTART;TZID=Mars/Base:20261001T080000", "RRULE:FREQ=DAILY;COUNT=3"), 3),
        (("DTSTART;TZID=../../etc/passwd:20261001T080000",), 1),
        (("DTSTART:20261001T080000Z", "X-LONGARC-ZONE:Mars/Base"), 1),
        (("DTSTART:20261001T090000Z", "RECURRENCE-ID:20261001T080000Z"), 1),
        (("DTSTART:20261001T090000Z", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261001T080000Z"), 1),
        (("DTSTART:20261001T090000Z", "RECURRENCE-ID:whenever"), 1),
        (("RRULE:FREQ=DAILY",), 0),
        (("DTEND:20261001T090000Z",), 0),
        (("DTSTART:20261001T090000Z", "DTEND:later"), 1),
        (("DTSTART:20261001T090000Z", "DTSTART:20261002T090000Z"), 1),
    ],
)
def test_whatever_one_event_is_the_others_are_read(lines: tuple[str, ...], spans: int, warned: list[str]) -> None:
    assert len(whole(*lines)) == spans


@pytest.mark.timeout(20)
def test_an_occurrence_moved_by_a_century_does_not_make_a_series_a_century_long(warned: list[str]) -> None:
    moved = ("END:VEVENT", "BEGIN:VEVENT", "UID:uid-of-somebody", "RECURRENCE-ID:20261001T080000Z")
    assert len(whole(*AT_TEN, "RRULE:FREQ=HOURLY", *moved, "DTSTART:21500101T080000Z")) == 1


def zone(*lines: str) -> tuple[str, ...]:
    return ("BEGIN:VTIMEZONE", "TZID:Odd", "BEGIN:STANDARD", *lines, "END:STANDARD", "END:VTIMEZONE")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "before",
    [
        ("a line that is none",),
        ("BEGIN:VTODO", "DUE:whenever", "END:VTODO"),
        ("BEGIN:VEVENT",) * 1000,
        zone("DTSTART:19700101T000000", "TZOFFSETFROM:+9900", "TZOFFSETTO:+9900"),
        zone("DTSTART:16010101T000000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "RRULE:FREQ=SECONDLY"),
    ],
)
def test_what_is_broken_around_the_events_hides_none(before: tuple[str, ...], warned: list[str]) -> None:
    alarm = ("BEGIN:VALARM", "TRIGGER:never", "END:VALARM")
    assert len(whole("DTSTART;TZID=Odd:20261001T080000", *alarm, before=before)) == 1


@pytest.mark.timeout(60)
@settings(max_examples=150, deadline=None)
@given(
    rule=st.fixed_dictionaries(
        {"FREQ": st.sampled_from(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])},
        optional={
            "INTERVAL": st.integers(-1, 10**6),
            "COUNT": st.integers(-1, 10**9),
            "BYHOUR": st.integers(-1, 25),
            "BYMONTH": st.integers(-1, 13),
            "BYMONTHDAY": st.integers(-32, 32),
            "BYSETPOS": st.integers(-400, 400),
            "BYDAY": st.sampled_from(["MO", "-1SU", "5FR", "54SA", "MO,TU"]),
        },
    ),
    year=st.sampled_from(["0001", "1604", "1970", "2020", "2026", "9999"]),
)
def test_no_rule_keeps_a_calendar_from_being_read(rule: dict[str, object], year: str) -> None:
    text = ";".join(f"{name}={value}" for name, value in rule.items())
    whole(f"DTSTART:{year}1001T080000Z", f"RRULE:{text}")


def test_one_event_that_is_asked_for_and_makes_no_sense_is_an_error() -> None:
    text = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:Secret\r\nDTSTART:never\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    with pytest.raises(InvalidResponse, match=r"^sam@x\.example: the event [0-9a-f]{12} has times that can't be read"):
        read_single_event(parse_calendar(text, "here"), EventRef("sam@x.example", "Secret", "1"), BERLIN)


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
        (("DTSTART:20260907T080000Z", "DURATION:P999999999D"), 2200),
        (("DTSTART;TZID=Asia/Tokyo:00010101T000000", "DTEND:20260907T090000Z"), 2026),
    ],
)
def test_what_is_meant_as_always_ends_somewhere(lines: tuple[str, ...], year: int) -> None:
    (event,) = read(*lines)
    assert event.span.end.year == year
    assert event.span.start.year in (1900, 2026)
