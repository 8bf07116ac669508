"""The name of a time zone means what its own file defines, whichever files were read before, also in threads."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from worker.domain.model import EventRef, Span
from worker.providers.ical.parser import parse_calendar
from worker.providers.ical.reader import read_calendar
from worker.providers.ical.zones import find_owner_zone, find_zone_by_name

WINDOW = Span(datetime(2027, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
CUSTOM_ZONE = "Customized Time Zone"


def define_zone(winter: str, summer: str = "", name: str = CUSTOM_ZONE) -> list[str]:
    """Return the lines that define a zone with these offsets. Without `summer`, the offset never changes."""
    lines = ["BEGIN:STANDARD", "DTSTART:16011028T030000", f"TZOFFSETFROM:{summer or winter}", f"TZOFFSETTO:{winter}"]
    if summer:
        lines += [
            "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
            "END:STANDARD",
            "BEGIN:DAYLIGHT",
            "DTSTART:16010325T020000",
        ]
        lines += [f"TZOFFSETFROM:{winter}", f"TZOFFSETTO:{summer}", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3"]
    last_line = "END:DAYLIGHT" if summer else "END:STANDARD"
    return ["BEGIN:VTIMEZONE", f"TZID:{name}", *lines, last_line, "END:VTIMEZONE"]


def make_calendar(definition: Iterable[str], name: str = CUSTOM_ZONE, *, defined_last: bool = False) -> str:
    """Return a calendar with one event at 12:00 in that zone; `defined_last` writes the definition behind the event."""
    event = ["BEGIN:VEVENT", "UID:x", f'DTSTART;TZID="{name}":20270712T120000', "DURATION:PT1H", "END:VEVENT"]
    body = [*event, *definition] if defined_last else [*definition, *event]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *body, "END:VCALENDAR", ""])


def read_start_hour(content: str) -> float:
    """Return the hour in UTC at which the event in that text starts. Its owner lives in Berlin."""
    ref = EventRef("sam@x.example", "x", "")
    [event] = read_calendar(parse_calendar(content, "file"), ref, ZoneInfo("Europe/Berlin"), WINDOW).events
    return (event.span.start - event.span.start.replace(hour=0, minute=0)) / timedelta(hours=1)


#: Files that define the same name differently, by the hour in UTC of their event, which starts at 12:00 local time.
FILES_BY_HOUR = {
    9.0: make_calendar(define_zone("+0200", "+0300")),
    10.0: make_calendar(define_zone("+0200"), defined_last=True),
    17.0: make_calendar(define_zone("-0500")),
    6.5: make_calendar(define_zone("+0530")),
}


@pytest.mark.parametrize("order", list(permutations(FILES_BY_HOUR)))
def test_zone_name_is_read_by_the_definition_in_its_own_file(order: tuple[float, ...]) -> None:
    assert tuple(read_start_hour(FILES_BY_HOUR[hour]) for hour in order) == order


def test_zone_cache_of_another_library_changes_nothing() -> None:
    """The library `icalendar` keeps the zones of each text that it parses, by their names."""
    Calendar.from_ical(FILES_BY_HOUR[17.0])
    assert read_start_hour(FILES_BY_HOUR[9.0]) == 9


def test_zone_definitions_are_not_mixed_between_threads() -> None:
    hours = list(FILES_BY_HOUR) * 40
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read_start_hour, [FILES_BY_HOUR[hour] for hour in hours])) == hours


@pytest.mark.parametrize(
    ("name", "definition", "expected_hour"),  # in UTC, of an event at 12:00 local time in July
    [
        ("Europe/Berlin", define_zone("-0500", name="Europe/Berlin"), 10),
        ("europe/berlin", [], 10),
        ("W. Europe Standard Time", define_zone("-0500", name="W. Europe Standard Time"), 10),
        ("Eastern Standard Time", [], 16),
        ("/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", [], 15),
        ("/mozilla.org/20050126_1/Asia/Tokyo", [], 3),
        ("tzone://Microsoft/Utc", [], 12),
        ("EST", define_zone("-0500", "-0400", name="EST"), 16),
        ("Eastern", define_zone("-0300", name="Eastern"), 15),
        ("(UTC+09:00) Osaka, Sapporo, Tokyo", [], 3),
        ("(UTC-05:00) Eastern Time (US & Canada)", [], 16),
        ("(GMT+05:30) Somewhere", [], 6.5),
        ("UTC+03:00", [], 9),
        ("UTC\u221203:00", [], 15),
        ("Q2 Plant", [], 10),
        ("UTC05", [], 10),
        ("Mars/Base", [], 10),
        ("Mars/Base", ["BEGIN:VTIMEZONE", "TZID:Mars/Base", "END:VTIMEZONE"], 10),
        ("Odd", define_zone("+9900", name="Odd"), 10),
    ],
)
def test_zone_names_are_recognized_in_each_usual_form(name: str, definition: list[str], expected_hour: float) -> None:
    """A known place is read by its present rules, not by those in the file. An unknown name means the owner's zone."""
    assert read_start_hour(make_calendar(definition, name)) == expected_hour


def test_zone_name_without_quotes_is_recognized() -> None:
    """Also when it has commas. Without a definition, 12:00 is at UTC-5; with the definition below, at UTC+1."""
    name = "(UTC-05:00) Bogota, Lima, Quito, Rio Branco"
    assert read_start_hour(make_calendar([], name).replace('"', "")) == 17
    assert read_start_hour(make_calendar(define_zone("+0100", name=name.replace(",", "\\,")), name)) == 11


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (["X-WR-TIMEZONE:Asia/Tokyo", *define_zone("-0500")], "Asia/Tokyo"),
        (["X-WR-TIMEZONE:W. Europe Standard Time"], "Europe/Berlin"),
        (["X-WR-TIMEZONE:Nowhere", *define_zone("+0900", name="Tokyo Standard Time")], "Europe/Paris"),
        ([*define_zone("-0500", name="America/New_York"), *define_zone("+0100", name="Europe/Paris")], "Europe/Paris"),
        ([], "Europe/Paris"),
    ],
)
def test_zone_of_the_owner_is_the_named_one_or_the_most_frequent(head: list[str], expected: str) -> None:
    event_lines = ["BEGIN:VEVENT", "UID:{}", "DTSTART;TZID={}:20270112T120000", "END:VEVENT"]
    event = "\r\n".join(event_lines)
    names = ("Europe/Paris", "America/New_York", "Europe/Paris")
    content = "\r\n".join(event.format(number, name) for number, name in enumerate(names))
    zone = find_owner_zone(parse_calendar("\r\n".join(["BEGIN:VCALENDAR", *head, content, "END:VCALENDAR"]), "file"))
    assert zone == ZoneInfo(expected)


def test_custom_zone_is_used_for_times_without_a_zone() -> None:
    zone = find_owner_zone(
        parse_calendar("\r\n".join(["BEGIN:VCALENDAR", *define_zone("+0430"), "END:VCALENDAR"]), "file")
    )
    assert zone is not None
    assert datetime(2027, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=4, minutes=30)


def test_text_without_a_zone_name_gives_no_zone() -> None:
    assert find_owner_zone(parse_calendar("BEGIN:VCALENDAR\r\nEND:VCALENDAR", "file")) is None
    assert find_zone_by_name("") is None
    assert find_zone_by_name("../../etc/passwd") is None
