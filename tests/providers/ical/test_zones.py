"""A name means what its own file says it means, whatever was read before, and in threads too."""

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
NAME = "Customized Time Zone"


def rules(winter: str, summer: str = "", name: str = NAME) -> list[str]:
    """A definition of a zone with these offsets; without `summer` one that never changes."""
    parts = ["BEGIN:STANDARD", "DTSTART:16011028T030000", f"TZOFFSETFROM:{summer or winter}", f"TZOFFSETTO:{winter}"]
    if summer:
        parts += [
            "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10",
            "END:STANDARD",
            "BEGIN:DAYLIGHT",
            "DTSTART:16010325T020000",
        ]
        parts += [f"TZOFFSETFROM:{winter}", f"TZOFFSETTO:{summer}", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3"]
    end = "END:DAYLIGHT" if summer else "END:STANDARD"
    return ["BEGIN:VTIMEZONE", f"TZID:{name}", *parts, end, "END:VTIMEZONE"]


def text(definition: Iterable[str], name: str = NAME, *, defined_last: bool = False, day: str = "20270712") -> str:
    event = ["BEGIN:VEVENT", "UID:x", f'DTSTART;TZID="{name}":{day}T120000', "DURATION:PT1H", "END:VEVENT"]
    body = [*event, *definition] if defined_last else [*definition, *event]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *body, "END:VCALENDAR", ""])


def hour(content: str) -> float:
    """The hour in UTC at which the event in that text starts; its owner lives in Berlin."""
    ref = EventRef("sam@x.example", "x", "")
    [event] = read_calendar(parse_calendar(content, "file"), ref, ZoneInfo("Europe/Berlin"), WINDOW).events
    return (event.span.start - event.span.start.replace(hour=0, minute=0)) / timedelta(hours=1)


FILES = {
    9.0: text(rules("+0200", "+0300")),
    10.0: text(rules("+0200"), defined_last=True),
    17.0: text(rules("-0500")),
    6.5: text(rules("+0530")),
}


@pytest.mark.parametrize("order", list(permutations(FILES)))
def test_one_name_in_several_files_is_read_by_the_rules_of_each(order: tuple[float, ...]) -> None:
    assert tuple(hour(FILES[one]) for one in order) == order


def test_what_another_library_keeps_for_the_process_changes_nothing() -> None:
    Calendar.from_ical(FILES[17.0])
    assert hour(FILES[9.0]) == 9


def test_files_are_read_by_their_own_rules_in_threads() -> None:
    wanted = list(FILES) * 40
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(hour, [FILES[one] for one in wanted])) == wanted


@pytest.mark.parametrize(
    ("name", "definition", "expected"),
    [
        ("Europe/Berlin", rules("-0500", name="Europe/Berlin"), 10),
        ("europe/berlin", [], 10),
        ("W. Europe Standard Time", rules("-0500", name="W. Europe Standard Time"), 10),
        ("Eastern Standard Time", [], 16),
        ("/freeassociation.sourceforge.net/America/Argentina/Buenos_Aires", [], 15),
        ("/mozilla.org/20050126_1/Asia/Tokyo", [], 3),
        ("tzone://Microsoft/Utc", [], 12),
        ("EST", rules("-0500", "-0400", name="EST"), 16),
        ("Eastern", rules("-0300", name="Eastern"), 15),
        ("(UTC+09:00) Osaka, Sapporo, Tokyo", [], 3),
        ("(UTC-05:00) Eastern Time (US & Canada)", [], 16),
        ("(GMT+05:30) Somewhere", [], 6.5),
        ("UTC+03:00", [], 9),
        ("Mars/Base", [], 10),
        ("Mars/Base", ["BEGIN:VTIMEZONE", "TZID:Mars/Base", "END:VTIMEZONE"], 10),
        ("Odd", rules("+9900", name="Odd"), 10),
    ],
)
def test_names_are_known_in_all_their_forms(name: str, definition: list[str], expected: float) -> None:
    """The rules of a known place are newer than those in a file; an unknown one is where the owner lives."""
    assert hour(text(definition, name)) == expected


def test_a_display_name_need_not_be_quoted() -> None:
    name = "(UTC-05:00) Bogota, Lima, Quito, Rio Branco"
    assert hour(text([], name).replace('"', "")) == 17
    assert hour(text(rules("+0100", name=name.replace(",", "\\,")), name)) == 11


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (["X-WR-TIMEZONE:Asia/Tokyo", *rules("-0500")], "Asia/Tokyo"),
        (["X-WR-TIMEZONE:W. Europe Standard Time"], "Europe/Berlin"),
        (["X-WR-TIMEZONE:Nowhere", *rules("+0900", name="Tokyo Standard Time")], "Europe/Paris"),
        ([*rules("-0500", name="America/New_York"), *rules("+0100", name="Europe/Paris")], "Europe/Paris"),
        ([], "Europe/Paris"),
    ],
)
def test_the_owners_zone_is_the_one_named_or_used_most(head: list[str], expected: str) -> None:
    events = ["BEGIN:VEVENT", "UID:{}", "DTSTART;TZID={}:20270112T120000", "END:VEVENT"]
    body = "\r\n".join(events)
    names = ("Europe/Paris", "America/New_York", "Europe/Paris")
    content = "\r\n".join(body.format(number, name) for number, name in enumerate(names))
    zone = find_owner_zone(parse_calendar("\r\n".join(["BEGIN:VCALENDAR", *head, content, "END:VCALENDAR"]), "file"))
    assert zone == ZoneInfo(expected)


def test_a_zone_of_ones_own_is_kept_for_floating_times() -> None:
    zone = find_owner_zone(parse_calendar("\r\n".join(["BEGIN:VCALENDAR", *rules("+0430"), "END:VCALENDAR"]), "file"))
    assert zone is not None
    assert datetime(2027, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=4, minutes=30)


def test_no_name_is_no_zone() -> None:
    assert find_owner_zone(parse_calendar("BEGIN:VCALENDAR\r\nEND:VCALENDAR", "file")) is None
    assert find_zone_by_name("") is None
    assert find_zone_by_name("../../etc/passwd") is None
