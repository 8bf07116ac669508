"""The provider writes events that are complete, and private because content is confidential (R-23). It reads the events
that other programs write."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import open_calendar

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import WINDOW, at, days, draft, span
from worker.domain.model import Address, Answer, EventRef, NamedAddress, ShowAs, Span
from worker.embedded import EmbeddedServers
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.ical import events as ical_events
from worker.providers.ical import parser
from worker.providers.ical.reader import read_calendar, read_single_event
from worker.providers.ical.zones import find_owner_zone

pytestmark = pytest.mark.usefixtures("untouched_server")

# --- written events ---------------------------------------------------------------------------------------------------


def test_a_written_event_is_private_and_complete(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """R-23, content is confidential: the event is private. It has each property that other programs need to show it."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam, reminders=(15, 60), sequence=3)
    event = provider.create(dana, event_draft)
    calendar: Any = Calendar.from_ical(hands.text(dana, event.ref.id))
    [component] = calendar.walk("VEVENT")
    assert component["CLASS"] == "PRIVATE" and component["SEQUENCE"] == 3 and component["TRANSP"] == "OPAQUE"
    assert component["SUMMARY"] == event_draft.title
    assert (
        component["ORGANIZER"] == f"mailto:{dana}" and component["ORGANIZER"].params["CN"] == event_draft.organizer.name
    )
    assert component["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"
    assert sorted(alarm["TRIGGER"].dt for alarm in calendar.walk("VALARM")) == [
        -timedelta(hours=1),
        -timedelta(minutes=15),
    ]
    assert component["DTSTART"].dt == event_draft.span.start and not component.errors


def test_update_keeps_properties_that_people_added(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """R-9, what people change is respected: a colour, a category and another reminder stay. The sequence number grows
    when the time changes."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)  # with one reminder, 15 minutes before
    provider.create(dana, event_draft)
    added_lines = "CATEGORIES:Long arc\nCOLOR:teal\nX-MINE:1\nBEGIN:VALARM"
    hands.edit(
        dana, event_draft.key, lambda text: text.replace("BEGIN:VALARM", added_lines).replace("-PT15M", "-PT45M")
    )
    event = provider.find(dana, event_draft.key)
    assert event is not None
    provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    text = hands.text(dana, event.ref.id)
    for line in ("CATEGORIES:Long arc", "COLOR:teal", "X-MINE:1", "TRIGGER:-PT45M", "SEQUENCE:1"):
        assert line in text
    assert text.count("BEGIN:VALARM") == 1


def test_texts_cannot_add_properties_to_an_event(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana = hands.person()
    injection = 'Eve"\r\nATTENDEE:mailto:eve@example.org\r\nX:'
    event_draft = draft(
        dana, title=injection, body=injection, guests=(NamedAddress("sam@elsewhere.example", injection),)
    )
    event = provider.create(dana, event_draft)
    assert set(event.answers) == {"sam@elsewhere.example"}
    [component] = Calendar.from_ical(hands.text(dana, event.ref.id)).walk("VEVENT")
    assert component["ATTENDEE"] == "mailto:sam@elsewhere.example"


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@st.composite
def event_drafts(draw: st.DrawFn) -> Any:
    """Return an event draft with any texts, in any of `ZONES`, timed or all-day."""
    zone = draw(st.sampled_from(ZONES))
    if draw(st.booleans()):
        first = date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 900)))
        event_span, all_day = days(zone, first, first + timedelta(days=draw(st.integers(0, 3)))), True
    else:
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 900 * 24 * 60)))
        event_span, all_day = Span(start, start + timedelta(minutes=draw(st.integers(1, 3000)))), False
    return draft(
        "dana@example.org",
        "sam@example.org",
        key=draw(TEXTS.filter(bool)),
        span=event_span,
        all_day=all_day,
        zone=zone,
        title=draw(TEXTS),
        body=draw(TEXTS),
        blocks_time=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event_drafts())
def test_written_event_is_read_back_unchanged(event_draft: Any) -> None:
    """Through the text of RFC 5545 and back, in each zone and on both sides of a change of the clocks."""
    written_at = at(1, 0)
    text = ical_events.to_text(ical_events.compose_calendar(event_draft, written_at, without_server_invitations=True))
    assert all(len(line) <= 75 for line in text.encode().split(b"\r\n"))
    calendar = parser.parse_calendar(text, "here")
    event = read_single_event(calendar, EventRef("dana@example.org", "x.ics", "1"), ZoneInfo("Asia/Tokyo"))
    assert (event.key, event.span, event.all_day) == (event_draft.key, event_draft.span, event_draft.all_day)
    assert event.show_as is (ShowAs.BUSY if event_draft.blocks_time else None)
    assert event.answers == {"sam@example.org": Answer.NEEDS_ACTION}
    assert ical_events.is_written_from(calendar, event_draft)
    component = ical_events.find_main_event(calendar)
    assert component is not None and not component.errors
    assert str(component["SUMMARY"]) == event_draft.title


# --- events of other programs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "show_as"),
    [
        (["STATUS:CANCELLED"], None),
        (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], None),
        (["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], ShowAs.TENTATIVE),
        (["X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "TRANSP:OPAQUE"], ShowAs.BUSY),
        (["X-MICROSOFT-CDO-BUSYSTATUS:OOF", "TRANSP:TRANSPARENT"], None),
    ],
)
def test_busy_status_of_other_programs_is_read(
    provider: CalDavCalendar, hands: CalDavHands, lines: list[str], show_as: ShowAs | None
) -> None:
    dana = hands.person()
    hands.put_event(dana, ["DTSTART:20270305T140000Z", "DURATION:PT1H", *lines])
    busy_times = provider.free_busy([dana], WINDOW)[dana].busy
    assert [(busy.span, busy.show_as) for busy in busy_times] == ([(span(5, 14), show_as)] if show_as else [])


def test_times_without_a_zone_are_in_the_zone_of_the_calendar(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana = hands.person("America/New_York")
    hands.put_event(dana, ["DTSTART:20270305T090000", "DTEND:20270305T100000"])
    [busy] = provider.free_busy([dana], WINDOW)[dana].busy
    assert busy.span == span(5, 14)  # 9:00 in New York


def test_calendar_without_a_zone_has_the_zone_of_the_settings(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana = hands.person(zone="")
    hands.add_all_day(dana, date(2027, 3, 9), date(2027, 3, 9))
    for zones, zone in (({dana: "Asia/Tokyo"}, "Asia/Tokyo"), ({}, "UTC")):
        [busy] = open_calendar(server, zones=zones).free_busy([dana], WINDOW)[dana].busy
        assert busy.span == days(zone, date(2027, 3, 9), date(2027, 3, 9))


def test_series_keeps_its_local_time_when_the_clocks_change(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana = hands.person()
    hands.put_event(dana, ["DTSTART;TZID=Europe/Berlin:20270322T090000", "DURATION:PT30M", "RRULE:FREQ=WEEKLY;COUNT=2"])
    busy_times = provider.free_busy([dana], WINDOW)[dana].busy
    assert [busy.span for busy in busy_times] == [span(22, 8, 30), span(29, 7, 30)]


def add_two_events_and_rewrite(hands: CalDavHands, interceptor: RequestInterceptor, old: bytes, new: bytes) -> Address:
    """Add events on the 5th and the 6th for a new person, and replace `old` in the server's answers by `new`."""
    dana = hands.person()
    hands.add(dana, span(5, 9))
    hands.add(dana, span(6, 9))
    interceptor.rewrite = lambda content: content.replace(old, new)
    return dana


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nno line at all"),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nEXDATE:"),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nDURATION:PT30M"),
        (b"DTEND:20270305T100000Z", b"DTEND:99991231T235959Z"),
        (b"DTEND:20270305T100000Z", b"DTEND:later"),
        (b"DTSTART:20270305T090000Z", b"DTSTART:20270305T110000Z"),
        (b"END:VEVENT\r\nEND:VCALENDAR", b"END:VCALENDAR"),
    ],
)
def test_unreadable_line_frees_no_time_and_hides_no_other_event(
    provider: CalDavCalendar,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    old: bytes,
    new: bytes,
) -> None:
    dana = add_two_events_and_rewrite(hands, interceptor, old, new)
    free_busy = provider.free_busy([dana], WINDOW)[dana]
    assert free_busy.is_known and len(free_busy.busy) == 2
    # two hours, because one of the broken events starts at 11:00, after its end
    assert any(busy_time.span.overlaps(span(5, 9, 120)) for busy_time in free_busy.busy)
    assert len(provider.changes(dana, None, WINDOW).events) == 2


@pytest.mark.parametrize(
    ("old", "new", "event_count"),
    [
        (b"DTSTART:20270305T090000Z", b"DTSTART:not-a-time", 1),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nRRULE:FREQ=SECONDLY", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nRRULE:FREQ=WEEKLY;BYDAY MO", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nRDATE:tomorrow", 2),
        (b"BEGIN:VEVENT", b"BEGIN:NOTHING", 0),
        (b"BEGIN:V", b"NOTHING:V", 0),
        (b"calendar-data>", b"other-data>", 0),
    ],
)
def test_time_of_an_unreadable_event_is_unknown(
    provider: CalDavCalendar,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    old: bytes,
    new: bytes,
    event_count: int,
) -> None:
    """T-2, unknown time is never free. The reason names the event by a fingerprint, and says what to do."""
    dana = add_two_events_and_rewrite(hands, interceptor, old, new)
    free_busy = provider.free_busy([dana], WINDOW)[dana]
    assert not free_busy.is_known
    assert re.search(r"can't be read.*\([0-9a-f, ]+\)\. Open the event", free_busy.reason)
    if b"calendar-data" not in old:  # without calendar data, `changes` has nothing to read
        assert len(provider.changes(dana, None, WINDOW).events) == event_count


@pytest.mark.parametrize("is_full", [True, False], ids=["all events", "changes"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"DTSTART", b"DTSTART;X-WHEN=soon:sometime\r\nX-START"),
        (b"BEGIN:VEVENT", b"BEGIN:NOTHING"),
        (b"BEGIN:V", b"NOTHING:V"),
    ],
)
def test_own_event_that_became_unreadable_does_not_count_as_deleted(
    provider: CalDavCalendar,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    old: bytes,
    new: bytes,
    is_full: bool,
) -> None:
    """T-2, unknown time is never free: neither is that of this event. The guest's copy stays, and the event can be read
    again later."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    cursor = None if is_full else provider.changes(dana, None, WINDOW).cursor
    # a change, so that the next reading of changes contains the event
    hands.edit(dana, event_draft.key, lambda text: text.replace("END:VEVENT", "X-OTHER:1\r\nEND:VEVENT"))
    interceptor.rewrite = lambda content: content.replace(old, new)
    unreadable_changes = provider.changes(dana, cursor, WINDOW)
    assert (unreadable_changes.unreadable_ids, unreadable_changes.deleted_ids, unreadable_changes.is_full) == (
        (event.ref.id,),
        (),
        is_full,
    )
    assert not provider.free_busy([dana], WINDOW)[dana].is_known
    interceptor.clear()
    hands.edit(dana, event_draft.key, lambda text: text.replace("X-OTHER:1", "X-OTHER:2"))
    readable_changes = provider.changes(dana, unreadable_changes.cursor, WINDOW)
    assert [(changed_event.key, changed_event.answers) for changed_event in readable_changes.events] == [
        (event_draft.key, {sam: Answer.NEEDS_ACTION})
    ]
    assert (readable_changes.unreadable_ids, readable_changes.deleted_ids) == ((), ())
    hands.text(sam, event.ref.id)  # raises an error when the copy is missing


def test_unchanged_event_is_parsed_once(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """What `multiget` returns is shared with a cache; what `get` returns may be modified."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam))
    collection = provider.get_collection(dana)
    (first,), (second,) = collection.multiget({event.ref.id}), collection.multiget({event.ref.id})
    assert first.calendar is second.calendar
    modifiable = collection.get(event.ref.id)
    ical_events.mark_cancelled(modifiable.calendar, at(8, 12))
    assert collection.read_single(modifiable).cancelled
    (third,) = collection.multiget({event.ref.id})
    assert not collection.read_single(third).cancelled
    assert event.key
    hands.edit(dana, event.key, lambda text: text.replace("SUMMARY:", "SUMMARY:Our "))
    (fourth,) = collection.multiget({event.ref.id})
    assert fourth.calendar is not first.calendar
    assert ical_events.to_text(fourth.calendar) != ical_events.to_text(first.calendar)


def test_series_and_single_events_of_one_file_are_told_apart_by_uid() -> None:
    """The file holds a whole calendar, as a person exports it."""
    text = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:theirs
X-WR-TIMEZONE:Europe/Berlin
BEGIN:VEVENT
UID:weekly
DTSTART;TZID=Europe/Berlin:20270308T090000
DURATION:PT30M
RRULE:FREQ=WEEKLY;COUNT=2
END:VEVENT
BEGIN:VEVENT
UID:once
DTSTART;VALUE=DATE:20270309
END:VEVENT
END:VCALENDAR
"""
    calendar = parser.parse_calendar(text, "file")
    zone = find_owner_zone(calendar)
    assert zone is not None
    events = read_calendar(calendar, EventRef("dana@example.org", "file", ""), zone, WINDOW).events
    assert [(event.ref.id.partition("#")[0], event.series, event.span) for event in events] == [
        ("weekly", "weekly", span(8, 8, 30)),
        ("weekly", "weekly", span(15, 8, 30)),
        ("once", None, days("Europe/Berlin", date(2027, 3, 9), date(2027, 3, 9))),
    ]
