"""A line that can't be read frees no time: its event takes time or is unknown, and everything else is read."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from worker.domain.model import Answer, Event, EventRef, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers.ical.parser import decode_text, parse_calendar
from worker.providers.ical.reader import CalendarContents, read_calendar

BERLIN = ZoneInfo("Europe/Berlin")
WINDOW = Span(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 5, 1, tzinfo=UTC))
OWNER = "sam@x.example"
EVENT = ("DTSTART:20270112T090000Z", "DTEND:20270112T100000Z")
WEEKLY = (*EVENT, "RRULE:FREQ=WEEKLY;COUNT=3")


def read_event(*lines: str, head: tuple[str, ...] = (), uid: str = "UID:x") -> CalendarContents:
    """Return the contents of a calendar with one event of these lines."""
    return read_text(
        "\r\n".join(["BEGIN:VCALENDAR", *head, "BEGIN:VEVENT", uid, *lines, "END:VEVENT", "END:VCALENDAR"])
    )


def read_text(text: str) -> CalendarContents:
    """Return the contents of a calendar file, whose owner lives in Berlin."""
    return read_calendar(parse_calendar(text, "file"), EventRef(OWNER, "file", ""), BERLIN, WINDOW)


def list_busy_times(reading: CalendarContents) -> list[str]:
    """Return the times that the events take, as day and time in UTC."""
    spans = sorted(event.span for event in reading.events if event.show_as is not None)
    return [f"{span.start:%d %H:%M}-{span.end:%d %H:%M}" for span in spans]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("DTSTART:20270112T090000Z", "DTEND:20270112T100000Z", "DURATION:PT3H"), ["12 09:00-12 12:00"]),
        (("DTSTART:20270112T090000Z", "DTEND:20270112T100000Z", "DURATION:PT5M"), ["12 09:00-12 10:00"]),
        (("DTSTART:20270112T090000Z", "DTEND:soon"), ["12 09:00-13 00:00"]),
        (("DTSTART;TZID=Europe/Berlin:20270112T090000", "DURATION:long"), ["12 08:00-12 23:00"]),
        (("DTSTART:20270112T090000Z", "DTEND 20270112T100000Z"), ["12 09:00-12 10:00"]),
        (("DTSTART:20270112T220000Z", "DTEND:20270112T010000Z"), ["12 01:00-13 01:00"]),
        (("DTSTART:20270114T090000Z", "DTEND:20270112T090000Z"), ["12 09:00-14 09:00"]),
        (("DTSTART:20270112T090000Z", "DURATION:-PT1H"), ["12 08:00-12 10:00"]),
        (("DTSTART:20270112T090000Z", "DTSTART:20270112T070000Z", "DURATION:PT1H"), ["12 07:00-12 10:00"]),
        (("DTSTART;VALUE=DATE:20270112", "DTEND;VALUE=DATE:20270111"), ["10 23:00-12 23:00"]),
        (("DTSTART;VALUE=DATE:20270112", "DTEND:20270112T150000Z"), ["11 23:00-12 15:00"]),
        (("DTSTART;VALUE=DATE:20270112", "DURATION:P2D"), ["11 23:00-13 23:00"]),
        (("DTSTART:20270112T090000Z", "DTEND;VALUE=DATE:20270112"), ["12 09:00-12 23:00"]),
        (("DTSTART;VALUE=DATE:20270112T000000", "DTEND;VALUE=DATE:20270113T000000"), ["11 23:00-12 23:00"]),
        (("DTSTART:2027-01-12T09:00:00Z", "DTEND:2027-01-12T10:00:00.000Z"), ["12 09:00-12 10:00"]),
        (("DTSTART:20270112T0900Z", "DTEND:20270112T240000Z"), ["12 09:00-13 00:00"]),
        (("DTSTART;TZID=Europe/Berlin:20270112T090000Z", "DURATION:PT1H"), ["12 09:00-12 10:00"]),
        (('DTSTART;TZID=Europe/Berlin:"20270112T090000"', "DURATION:PT1H"), ["12 08:00-12 09:00"]),
        (('DTSTART;VALUE=DATE:"20270112"', 'DTEND;VALUE=DATE:20270113"'), ["11 23:00-12 23:00"]),
        (("DTSTART;TZID=Europe/Berlin:20270327T120000", "DURATION:P1D"), ["27 11:00-28 10:00"]),
        (("DTSTART;TZID=Europe/Berlin:20270327T120000", "DURATION:PT24H"), ["27 11:00-28 11:00"]),
        (("DTSTART;TZID=Europe/Berlin:20270328T013000", "DURATION:PT2H"), ["28 00:30-28 02:30"]),
        (("RECURRENCE-ID:20270112T090000Z", "DTSTART:whenever", "DTEND:20270112T100000Z"), ["12 09:00-12 10:00"]),
        ((*EVENT, "STATUS:"), ["12 09:00-12 10:00"]),
        ((*EVENT, "TRANSP:OPAQUE", "TRANSP:TRANSPARENT"), ["12 09:00-12 10:00"]),
        ((*EVENT, "TRANSP: transparent "), []),
        ((*EVENT, "BEGIN:VALARM", "TRIGGER:never", "nothing", "DURATION:x", "END:VALARM"), ["12 09:00-12 10:00"]),
        (("BEGIN:VALARM", "TRIGGER:-PT5M", *EVENT), ["12 09:00-12 10:00"]),
    ],
)
def test_single_event_takes_the_longest_time_that_it_names(lines: tuple[str, ...], expected: list[str]) -> None:
    """Days are those of the owner in Berlin, where midnight is 23:00 UTC."""
    reading = read_event(*lines)
    assert (list_busy_times(reading), reading.unknown_spans) == (expected, [])


@pytest.mark.parametrize(
    ("lines", "days"),  # of January; without the lines, the series is on the 12th, 19th and 26th
    [
        (("EXDATE:",), [12, 19, 26]),
        (("EXDATE;VALUE=DATE:",), [12, 19, 26]),
        (("EXDATE:never,20270119T090000Z",), [12, 26]),
        (("EXDATE;TZID=Europe/Berlin:20270119T100000,",), [12, 26]),
        (("EXDATE:2027011", "9T090000Z"), [12, 26]),
        (("EXDATE;VALUE=DATE:20270119",), [12, 26]),
        (("EXRULE:FREQ=DAILY",), [12, 19, 26]),
        (("RDATE:20270120T090000Z,",), [12, 19, 20, 26]),
        (("RDATE;VALUE=DATE:20270120",), [12, 19, 20, 26]),
        (("RDATE:",), [12, 19, 26]),
        (("END:VEVENT", "BEGIN:VEVENT", "UID:x", "RECURRENCE-ID:20270119T090000Z", "STATUS:CANCELLED"), [12, 26]),
        (("END:VEVENT", "BEGIN:VEVENT", "UID:x", "RECURRENCE-ID:2027", "DTSTART:20270120T090000Z"), [12, 19, 20, 26]),
    ],
)
def test_series_is_expanded_despite_an_unreadable_line(lines: tuple[str, ...], days: list[int]) -> None:
    reading = read_event(*WEEKLY, *lines)
    starts = [event.span.start for event in reading.events if event.show_as is not None]
    assert ([start.day for start in sorted(starts)], reading.unknown_spans) == (days, [])


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=WEEKLY;UNTIL=20270126", [12, 19, 26]),
        ("FREQ=WEEKLY;UNTIL=20270126T090000Z", [12, 19, 26]),
        ("FREQ=WEEKLY;UNTIL=20270126T090000", [12, 19, 26]),
        ("FREQ=WEEKLY;COUNT=1;UNTIL=20270126T090000Z", [12, 19, 26]),
        ("FREQ=WEEKLY;COUNT=3;UNTIL=20270113T090000Z", [12, 19, 26]),
        ("freq=weekly;count=3;", [12, 19, 26]),
        ("FREQ=WEEKLY;COUNT=4;BYDAY=TU, TH", [12, 14, 19, 21]),
        ("FREQ=MONTHLY;COUNT=1;BYDAY=MO,TU;BYSETPOS=-1", [12, 26]),
        ("FREQ=WEEKLY;RSCALE=GREGORIAN;SKIP=OMIT;COUNT=1", [12]),
    ],
)
def test_recurrence_rule_ends_at_its_last_date_or_count(rule: str, days: list[int]) -> None:
    reading = read_event(*EVENT, f"RRULE:{rule}")
    assert ([event.span.start.day for event in reading.events], reading.unknown_spans) == (days, [])


@pytest.mark.parametrize(
    "lines",
    [
        ("UID:y",),
        ("DTSTART:whenever",),
        ("DTEND:whenever",),
        (*EVENT, "RRULE:FREQ=WEEKLY;BYDAY MO"),
        (*EVENT, "RRULE:FREQ=WEEKLY;FREQ=DAILY"),
        (*EVENT, "RRULE:FREQ=WEEKLY;BYDAY=MO,TU", "W,FR"),
        (*EVENT, "RRULE:FREQ=FORTNIGHTLY"),
        (*EVENT, "RRULE:FREQ=WEEKLY;UNTIL=soon"),
        (*EVENT, "RRULE:FREQ=MONTHLY;SKIP=FORWARD;BYMONTHDAY=31"),
        (*EVENT, "RRULE:FREQ=DAILY;BYEASTER=0"),
        (*EVENT, "RRULE:FREQ=MINUTELY;INTERVAL=15"),
        (*EVENT, "RRULE:"),
        (*EVENT, "RRULE DAILY"),
        (*EVENT, "RDATE:tomorrow"),
        ("RECURRENCE-ID;RANGE=THISANDFUTURE:20270112T090000Z", *EVENT),
    ],
)
def test_unreadable_event_is_unknown_unless_it_takes_no_time(lines: tuple[str, ...]) -> None:
    """Its end is not known, so it is unknown until the end of the window."""
    assert read_event(*lines).list_unreadable_events(Span(datetime(2027, 4, 1, tzinfo=UTC), WINDOW.end))
    assert not read_event(*lines, "TRANSP:TRANSPARENT").unknown_spans
    assert not read_event(*lines, "STATUS:CANCELLED").unknown_spans
    assert not read_event(*lines, head=("METHOD:CANCEL",)).unknown_spans


#: A rule that gives too many occurrences to expand.
UNEXPANDABLE_RULE = "RRULE:FREQ=SECONDLY;UNTIL=20270120T090000Z"


@pytest.mark.parametrize(
    ("lines", "end"),
    [
        ((*EVENT, UNEXPANDABLE_RULE), datetime(2027, 1, 22, 1, tzinfo=UTC)),
        (("DTSTART:20270112T090000Z", "DURATION:P30D", UNEXPANDABLE_RULE), datetime(2027, 2, 21, tzinfo=UTC)),
        ((*EVENT, UNEXPANDABLE_RULE, "RDATE:20270401T090000Z"), WINDOW.end),
        (
            (
                *EVENT,
                UNEXPANDABLE_RULE,
                *("END:VEVENT", "BEGIN:VEVENT", "UID:x", "RECURRENCE-ID;RANGE=THISANDFUTURE:20270118T090000Z"),
                *("DTSTART:20270330T090000Z", "DURATION:PT1H"),
            ),
            WINDOW.end,
        ),
    ],
    ids=["short", "long", "further dates", "later occurrences moved"],
)
def test_series_that_cannot_be_expanded_is_unknown_until_its_end(lines: tuple[str, ...], end: datetime) -> None:
    """The end is two days after the start of the day of UNTIL, plus the length of an occurrence, if both are known."""
    reading = read_event(*lines)
    assert reading.list_unreadable_events(Span(end - timedelta(minutes=1), end))
    # After the end of the window there is nothing to check.
    assert end == WINDOW.end or not reading.list_unreadable_events(Span(end, WINDOW.end))


def test_event_with_only_an_end_is_unknown_until_its_end() -> None:
    reading = read_event("DTSTART:whenever", "DTEND:20270112T100000Z")
    assert reading.list_unreadable_events(Span(WINDOW.start, datetime(2027, 1, 12, 9, tzinfo=UTC)))
    assert not reading.list_unreadable_events(Span(datetime(2027, 1, 12, 10, tzinfo=UTC), WINDOW.end))


OTHER_EVENT = "BEGIN:VEVENT\nUID:other\nDTSTART:20270113T090000Z\nDURATION:PT1H\nEND:VEVENT\n"
FIRST_EVENT = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:x\nDTSTART:20270112T090000Z\nDURATION:PT1H\nEND:VEVENT\n"
FILE = f"{FIRST_EVENT}{OTHER_EVENT}END:VCALENDAR\n"
BOTH_TIMES = ["12 09:00-12 10:00", "13 09:00-13 10:00"]


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        FILE.replace("\n", "\r"),
        FILE.replace("\n", "\n\n"),
        f"\ufeff{FILE}",
        FILE.replace("END:VEVENT\n", "", 1),
        FILE.replace("END:VCALENDAR\n", ""),
        FILE.replace("BEGIN:VCALENDAR\n", ""),
        FILE.replace("UID:x\n", "").replace("UID:other\n", ""),
        FILE.replace("UID:other", "UID:x"),
        FILE.replace("UID:x", "UID:x\nBEGIN:VALARM\nTRIGGER:x"),
        FILE.replace("UID:x", "UID:x\nSUMMARY:broken\nin two"),
        FILE.replace("BEGIN:VEVENT", "BEGIN:VTODO\nDUE:whenever\nBEGIN:VEVENT", 1),
        FILE + FILE.replace("UID:other", "UID:x"),
        "a line before\n" + FILE + "a line behind\n",
    ],
)
def test_errors_between_events_hide_no_event(text: str) -> None:
    reading = read_text(text)
    assert (sorted(set(list_busy_times(reading))), reading.unknown_spans) == (BOTH_TIMES, [])


@pytest.mark.parametrize(
    "text",
    [
        FILE.replace("BEGIN:VEVENT\nUID:x", "BEGIN:NOTHING\nUID:x"),
        FILE.replace("BEGIN:VEVENT\nUID:x", "BEGINVEVENT\nUID:x"),
        FILE.partition("DURATION:PT1H\nEND:VEVENT\nEND:VCALENDAR")[0],
    ],
)
def test_event_with_a_lost_part_is_unknown(text: str) -> None:
    assert read_text(text).list_unreadable_events(WINDOW)


def test_files_of_each_usual_encoding_are_decoded() -> None:
    text = FILE.replace("UID:x", "UID:x\nSUMMARY:Größe")
    for content in (text.encode(), text.encode("utf-8-sig"), text.encode("utf-16"), text.encode("cp1252")):
        assert decode_text(content).removeprefix("\ufeff") == text


def test_text_without_a_calendar_is_an_error() -> None:
    for text in ("", "no calendar", "BEGIN:VCALENDAR\nnothing that makes sense"):
        with pytest.raises(InvalidResponse, match=r"^file is not a readable calendar object"):
            parse_calendar(text, "file")


# --- invitations ---


def read_invitation(*attendees: str) -> list[Event]:
    """Return the events of an invitation to these attendees."""
    lines = [f"ATTENDEE;{attendee}" for attendee in attendees]
    return read_event(*EVENT, "ORGANIZER:mailto:dana@x.example", *lines).events


def test_delegated_invitation_counts_as_declined() -> None:
    """The owner's time stays free, and the delegate has an own answer."""
    delegator = 'PARTSTAT=DELEGATED;DELEGATED-TO="mailto:kim@x.example":mailto:sam@x.example'
    delegate = 'PARTSTAT=ACCEPTED;DELEGATED-FROM="mailto:sam@x.example":mailto:kim@x.example'
    [event] = read_invitation(delegator, delegate)
    assert event.show_as is None
    assert event.answers == {OWNER: Answer.DECLINED, "kim@x.example": Answer.ACCEPTED}


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("NEEDS-ACTION",), ShowAs.TENTATIVE),
        (("TENTATIVE",), ShowAs.TENTATIVE),
        (("X-MAYBE",), ShowAs.TENTATIVE),
        (("ACCEPTED",), ShowAs.BUSY),
        (("DECLINED",), None),
        (("DELEGATED",), None),
        (("DECLINED", "ACCEPTED"), ShowAs.BUSY),
        (("DELEGATED", "TENTATIVE"), ShowAs.TENTATIVE),
    ],
)
def test_answer_decides_whether_an_invitation_takes_time(answers: tuple[str, ...], expected: ShowAs | None) -> None:
    [event] = read_invitation(*(f"PARTSTAT={answer}:mailto:{OWNER}" for answer in answers))
    assert event.show_as is expected


def test_busy_times_of_a_vfreebusy_are_read() -> None:
    lines = ["BEGIN:VFREEBUSY", "FREEBUSY:20270112T090000Z/PT1H,20270113T090000Z/20270113T100000Z"]
    lines += ["FREEBUSY;FBTYPE=FREE:20270114T090000Z/PT1H", "END:VFREEBUSY"]
    reading = read_text("\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR"]))
    assert (list_busy_times(reading), reading.unknown_spans) == (BOTH_TIMES, [])
    broken = read_text("\n".join(["BEGIN:VCALENDAR", lines[0], "FREEBUSY:whenever", "END:VFREEBUSY", "END:VCALENDAR"]))
    assert broken.list_unreadable_events(WINDOW)


@pytest.mark.parametrize("excluded", ["EXDATE:20270119T090000Z", "EXDATE;VALUE=DATE:20270119"])
def test_excluded_occurrence_stays_excluded_despite_a_leftover_change(excluded: str) -> None:
    change = ("END:VEVENT", "BEGIN:VEVENT", "UID:x", "RECURRENCE-ID:20270119T090000Z", "DTSTART:20270120T090000Z")
    reading = read_event(*WEEKLY, excluded, *change, "DURATION:PT1H")
    assert list_busy_times(reading) == ["12 09:00-12 10:00", "26 09:00-26 10:00"]


def test_change_of_this_and_future_occurrences_moves_all_later_ones() -> None:
    change = ("END:VEVENT", "BEGIN:VEVENT", "UID:x", "RECURRENCE-ID;RANGE=THISANDFUTURE:20270119T090000Z")
    reading = read_event(*WEEKLY, *change, "DTSTART:20270119T110000Z", "DURATION:PT2H")
    assert list_busy_times(reading) == ["12 09:00-12 10:00", "19 11:00-19 13:00", "26 11:00-26 13:00"]
    lengths = {event.span.end - event.span.start for event in reading.events}
    assert lengths == {timedelta(hours=1), timedelta(hours=2)}
