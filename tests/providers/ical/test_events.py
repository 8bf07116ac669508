"""Each calendar is read completely: an event that makes no sense hides no other event, however it is written."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.drafts import draft
from worker.domain.model import Event, EventRef, Span
from worker.errors import InvalidResponse
from worker.providers.ical.events import amend_event, compose_calendar, find_main_event, to_text
from worker.providers.ical.parser import parse_calendar
from worker.providers.ical.reader import CalendarContents, read_calendar, read_single_event

BERLIN = ZoneInfo("Europe/Berlin")
#: The window has 91 days, and begins with the day of `AT_TEN`.
WINDOW = Span(datetime(2026, 9, 7, tzinfo=UTC), datetime(2026, 12, 7, tzinfo=UTC))
#: From 10:00 to 11:00 in Berlin.
AT_TEN = ("DTSTART:20260907T080000Z", "DTEND:20260907T090000Z")
SINCE_1970 = ("DTSTART:19700101T080000Z", "DTEND:19700101T090000Z")


def read_event(*lines: str) -> list[Event]:
    """Return the events of a calendar object with these lines, in a calendar in Berlin."""
    return read_text(make_calendar("UID:x", "DTSTAMP:20260101T000000Z", *lines)).events


def make_calendar(*lines: str) -> str:
    """Return the text of a calendar object with one event of these lines."""
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", "BEGIN:VEVENT", *lines, "END:VEVENT"]
    return "\r\n".join([*head, "END:VCALENDAR", ""])


def read_text(text: str) -> CalendarContents:
    """Return the contents of that text, on a calendar in Berlin."""
    return read_calendar(parse_calendar(text, "here"), EventRef("sam@x.example", "x", "1"), BERLIN, WINDOW)


@pytest.fixture
def log_without_titles(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Asserts after the test that no message in the log contains a title or a UID."""
    yield
    messages = [record.getMessage() for record in caplog.get_records("call")]
    assert not [line for line in messages if "Secret" in line or "uid-of" in line]


def read_broken_event(*lines: str, before: tuple[str, ...] = ()) -> list[Event]:
    """Return the events with these lines. A readable event beside them has to be found too, and is left out."""
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN", *before, "BEGIN:VEVENT", "UID:uid-of-somebody")
    readable_event = ("BEGIN:VEVENT", "UID:good", "DTSTART:20261001T100000Z", "DTEND:20261001T110000Z", "END:VEVENT")
    text = "\r\n".join([*head, "SUMMARY:Secret", *lines, "END:VEVENT", *readable_event, "END:VCALENDAR", ""])
    events = read_text(text).events
    assert [event.span.start for event in events if event.ref.id == "good"] == [datetime(2026, 10, 1, 10, tzinfo=UTC)]
    return [event for event in events if event.ref.id != "good"]


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
@pytest.mark.usefixtures("log_without_titles")
def test_series_that_cannot_be_expanded_is_unknown_after_its_first_occurrence(rule: str) -> None:
    """Nobody means such a rule, or it gives too many occurrences. The first occurrence takes its time all the same."""
    (event,) = read_broken_event(*AT_TEN, f"RRULE:{rule}")
    assert event.span == Span(WINDOW.start + timedelta(hours=8), WINDOW.start + timedelta(hours=9))
    assert read_broken_event(*SINCE_1970, f"RRULE:{rule}") == []
    for start in (AT_TEN, SINCE_1970):
        assert read_text(make_calendar("UID:x", *start, f"RRULE:{rule}")).list_unreadable_events(WINDOW)


@pytest.mark.usefixtures("log_without_titles")
def test_series_that_is_over_or_takes_no_time_is_not_unknown() -> None:
    rule = "RRULE:FREQ=SECONDLY;UNTIL=20200101T000000Z"
    assert not read_text(make_calendar("UID:x", *SINCE_1970, rule)).list_unreadable_events(WINDOW)
    free_event = (*SINCE_1970, "RRULE:FREQ=SECONDLY", "TRANSP:TRANSPARENT")
    assert not read_text(make_calendar("UID:x", *free_event)).list_unreadable_events(WINDOW)


def test_series_whose_second_occurrence_is_beyond_all_dates_has_one() -> None:
    contents = read_text(make_calendar("UID:x", *AT_TEN, "RRULE:FREQ=DAILY;INTERVAL=2000000000"))
    assert len(contents.events) == 1 and not contents.unknown_spans


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("lines", "event_count"),
    [
        (("DTSTART:19000101T080000Z", "DTEND:21001231T235959Z", "RRULE:FREQ=HOURLY"), 1),
        (("DTSTART:20261001T080000Z", "DTEND:99991231T235959Z", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:P999999999D", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:-P500000D", "RRULE:FREQ=DAILY"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:-P5D"), 1),
        (("DTSTART:20261001T080000Z", "DURATION:P1000000000D"), 1),
        (("DTSTART:00010101T000000Z", "DTEND:00010101T080000Z", "RRULE:FREQ=HOURLY"), 0),  # read as of 1900
        (("DTSTART;TZID=Asia/Tokyo:00010101T000000", "RRULE:FREQ=DAILY"), 0),
        ((*AT_TEN, "RRULE:FREQ=DAILY", "RRULE:FREQ=SECONDLY"), 1),
        ((*AT_TEN, f"RDATE:{','.join(['20261001T080000Z'] * 100_000)}"), 1),
        ((*AT_TEN, "RDATE;VALUE=PERIOD:20261001T080000Z/P99999999D"), 1),
        ((*AT_TEN, "RRULE:FREQ=DAILY", "EXDATE:tomorrow"), 91),  # each day of the window
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
@pytest.mark.usefixtures("log_without_titles")
def test_broken_event_hides_no_other_event(lines: tuple[str, ...], event_count: int) -> None:
    """A series that can't be expanded is one event, its first occurrence, when that is in the window."""
    assert len(read_broken_event(*lines)) == event_count


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("log_without_titles")
def test_occurrence_moved_by_a_century_does_not_lengthen_the_series() -> None:
    """Instead, the series is not expanded, and only its first occurrence is found."""
    change = ("END:VEVENT", "BEGIN:VEVENT", "UID:uid-of-somebody", "RECURRENCE-ID:20261001T080000Z")
    assert len(read_broken_event(*AT_TEN, "RRULE:FREQ=HOURLY", *change, "DTSTART:21500101T080000Z")) == 1


def make_zone(*lines: str) -> tuple[str, ...]:
    """Return the lines of a time zone with one rule."""
    return ("BEGIN:VTIMEZONE", "TZID:Odd", "BEGIN:STANDARD", *lines, "END:STANDARD", "END:VTIMEZONE")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "before",
    [
        ("a line that is none",),
        ("BEGIN:VTODO", "DUE:whenever", "END:VTODO"),
        ("BEGIN:VEVENT",) * 1000,
        make_zone("DTSTART:19700101T000000", "TZOFFSETFROM:+9900", "TZOFFSETTO:+9900"),
        make_zone("DTSTART:16010101T000000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", "RRULE:FREQ=SECONDLY"),
    ],
)
@pytest.mark.usefixtures("log_without_titles")
def test_broken_text_around_events_hides_no_event(before: tuple[str, ...]) -> None:
    alarm = ("BEGIN:VALARM", "TRIGGER:never", "END:VALARM")
    assert len(read_broken_event("DTSTART;TZID=Odd:20261001T080000", *alarm, before=before)) == 1


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
def test_any_recurrence_rule_hides_neither_the_first_occurrence_nor_another_event(
    rule: dict[str, object], year: str
) -> None:
    """No occurrence is before the first one, which is in the window when it is in 2026."""
    rule_text = ";".join(f"{name}={value}" for name, value in rule.items())
    events = read_broken_event(f"DTSTART:{year}1001T080000Z", "DURATION:PT1H", f"RRULE:{rule_text}")
    starts = sorted(event.span.start for event in events)
    if year == "2026":
        assert starts[0] == datetime(2026, 10, 1, 8, tzinfo=UTC)
    assert all(event.span.overlaps(WINDOW) for event in events) and (year != "9999" or not events)


def test_reading_a_single_unreadable_event_is_an_error() -> None:
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
def test_series_is_expanded_through_the_whole_window(rule: str, count: int) -> None:
    """Its occurrences on each of the 91 days of the window are found, except where the rule ends before."""
    assert len(read_event(*AT_TEN, f"RRULE:{rule}")) == count


@pytest.mark.timeout(20)
def test_thousands_of_added_or_excluded_dates_are_read() -> None:
    """The hours go on beyond the window, which has 91 * 24."""
    hours = ",".join(f"{WINDOW.start + timedelta(hours=number):%Y%m%dT%H%M%SZ}" for number in range(3000))
    assert len(read_event(*AT_TEN, f"RDATE:{hours}")) == 91 * 24
    assert read_event(*AT_TEN, "RRULE:FREQ=HOURLY;COUNT=2900", f"EXDATE:{hours}") == []


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
def test_times_beyond_1900_and_2200_are_replaced_by_these_years(lines: tuple[str, ...], year: int) -> None:
    (event,) = read_event(*lines)
    assert event.span.end.year == year
    assert event.span.start.year in (1900, 2026)  # 1900 in place of the year 1


@pytest.mark.parametrize(("sequence_lines", "expected"), [("SEQUENCE:4\r\nSEQUENCE:7", 7), ("SEQUENCE:x", 0)])
def test_our_event_with_a_damaged_sequence_is_rewritten(sequence_lines: str, expected: int) -> None:
    event_draft = draft("dana@x.example", "sam@x.example")
    text = to_text(compose_calendar(event_draft, WINDOW.start, without_server_invitations=False))
    assert "SEQUENCE:0" in text
    calendar = parse_calendar(text.replace("SEQUENCE:0", sequence_lines), "here")
    assert not amend_event(calendar, event_draft, WINDOW.start, without_server_invitations=False)
    event = find_main_event(calendar)
    assert event is not None and event["SEQUENCE"] == expected
