"""The CalDAV provider keeps every promise on a real server, and says in one line what stands in its way."""

import json
import logging
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from tests.providers.conftest import CalDavHands, Watched
from tests.support.provider_contract import (
    WINDOW,
    CalendarContract,
    GuestDeletionContract,
    GuestMoveContract,
    at,
    days,
    draft,
    span,
)
from worker.domain.model import Answer, EventRef, Guest, ShowAs, Span
from worker.embedded import EmbeddedServers
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from worker.logs import set_up_logging
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.ical import events as icalendars
from worker.providers.ical import parser
from worker.providers.ical.reader import read_calendar, read_single_event
from worker.providers.ical.zones import zone_of


def open_calendar(server: EmbeddedServers, **changed: Any) -> CalDavCalendar:
    section = {"url": server.caldav_url, "attendee_copies": True, "timeout": 10} | changed
    made = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)
    assert isinstance(made, CalDavCalendar)
    return made


@pytest.fixture(autouse=True)
def undisturbed(watched: Watched) -> Iterator[None]:
    watched.clear()
    yield
    watched.clear()


@pytest.fixture(scope="module")
def provider(server: EmbeddedServers) -> Iterator[CalDavCalendar]:
    made = open_calendar(server)
    yield made
    made.close()


@pytest.fixture
def hands(server: EmbeddedServers) -> Iterator[CalDavHands]:
    made = CalDavHands(server)
    yield made
    made.close()


class TestWithCopies(CalendarContract, GuestDeletionContract, GuestMoveContract):
    """Radicale delivers no invitations, so that we do."""

    remembers_cancelled = False


class SchedulingHands(CalDavHands):
    """What a server that schedules by itself (RFC 6638) would do to the organizer's event is done here by hand."""

    def answer(self, organizer: str, guest: str, key: str, answer: Answer) -> None:
        super().answer(organizer, organizer, key, answer)


class TestServerThatSchedules:
    """`attendee_copies` off: answers are read where such a server writes them, nothing is written elsewhere."""

    @pytest.fixture
    def provider(self, server: EmbeddedServers) -> Iterator[CalDavCalendar]:
        made = open_calendar(server, attendee_copies=False)
        yield made
        made.close()

    @pytest.fixture
    def hands(self, server: EmbeddedServers) -> Iterator[SchedulingHands]:
        made = SchedulingHands(server)
        yield made
        made.close()

    def test_answers_are_read_from_the_organizers_event(self, provider: CalDavCalendar, hands: SchedulingHands) -> None:
        dana, sam = hands.person(), hands.person()
        wanted = draft(dana, sam)
        provider.create(dana, wanted)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.answer(dana, sam, wanted.key, Answer.DECLINED)
        [event] = provider.changes(dana, cursor, WINDOW).events
        assert event.answers == {sam: Answer.DECLINED}
        moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
        assert moved.answers == {sam: Answer.NEEDS_ACTION}

    def test_the_server_is_left_to_invite(self, provider: CalDavCalendar, hands: SchedulingHands) -> None:
        dana, sam = hands.person(), hands.person()
        wanted = draft(dana, sam)
        event = provider.create(dana, wanted)
        assert "SCHEDULE-AGENT" not in hands.text(dana, event.ref.id)
        assert provider.find(sam, wanted.key) is None
        provider.cancel(event.ref)
        assert provider.find(dana, wanted.key) is None


def without(*names: str) -> Any:
    """Takes these properties out of the server's answers, as if it did not know them."""
    pattern = "|".join(names)
    return lambda content: re.sub(rf"<(/?)(?:\w+:)?({pattern})\b".encode(), rb"<\1X-unknown", content)


def refuse_sync(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
    """An older server: no sync tokens."""
    if environ["REQUEST_METHOD"] != "REPORT":
        return None
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = BytesIO(body)
    return ("501 Not Implemented", [], b"") if b"sync-collection" in body else None


@pytest.mark.parametrize("unknown", [["sync-token"], ["sync-token", "getctag"]])
def test_a_server_without_sync_tokens_is_compared(
    server: EmbeddedServers, hands: CalDavHands, watched: Watched, unknown: list[str]
) -> None:
    """By its ctag, else by all etags: nothing changed is nothing told, any change is a full pass."""
    watched.before, watched.rewrite = refuse_sync, without(*unknown)
    provider = open_calendar(server)
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    first = provider.changes(dana, None, WINDOW)
    again = provider.changes(dana, first.cursor, WINDOW)
    assert (again.events, again.gone, again.full) == ((), (), False)
    hands.answer(dana, sam, wanted.key, Answer.ACCEPTED)
    [event] = provider.changes(dana, again.cursor, WINDOW).events
    assert event.answers == {sam: Answer.ACCEPTED}
    hands.add(dana, span(5, 9))
    after = provider.changes(dana, again.cursor, WINDOW)
    assert after.full and len(after.events) == 2


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_when_nothing_changed_a_calendar_costs_one_request(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    dana, sams = hands.person(), [hands.person() for _ in range(3)]
    for sam in sams:
        for day in (9, 10):
            provider.create(dana, draft(dana, sam, span=span(day, 10)))
    alone = hands.person()
    cursors = {person: provider.changes(person, None, WINDOW).cursor for person in (alone, dana)}
    watched.seen.clear()
    provider.changes(alone, cursors[alone], WINDOW)
    assert watched.seen == ["REPORT"]
    watched.seen.clear()
    provider.changes(dana, cursors[dana], WINDOW)
    assert watched.seen == ["REPORT"] * 4  # the manager's calendar, and that of each report


def test_free_busy_costs_one_request_for_each_person(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    people = [hands.person() for _ in range(3)]
    for person in people:
        hands.add(person, span(5, 9))
    watched.seen.clear()
    provider.free_busy(people, WINDOW)
    assert watched.seen == ["REPORT"] * 3


def test_no_title_is_asked_for(provider: CalDavCalendar, hands: CalDavHands, watched: Watched) -> None:
    """R-23: a server that can leave titles out is told to."""
    bodies: list[bytes] = []

    def listen(environ: dict[str, Any]) -> None:
        bodies.append(environ["wsgi.input"].read())
        environ["wsgi.input"] = BytesIO(bodies[-1])

    dana = hands.person()
    hands.add(dana, span(5, 9))
    watched.before = listen
    provider.free_busy([dana], WINDOW)
    provider.changes(dana, None, WINDOW)
    asked = [body for body in bodies if b"calendar-data" in body]
    assert asked and all(b'name="DTSTART"' in body for body in asked)
    assert not any(word in body for body in asked for word in (b"SUMMARY", b"DESCRIPTION", b"allprop"))


# --- half-done work heals ---------------------------------------------------------------------------------------------


def fail_on(method: str, number: int, *, after: bool, watched: Watched) -> None:
    """The connection breaks at that request of that method: before the server has it, or after it did it."""
    seen = 0

    def stand_in_the_way(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        nonlocal seen
        seen += environ["REQUEST_METHOD"] == method
        broken = environ["REQUEST_METHOD"] == method and seen == number
        return ("502 Bad Gateway", [], b"") if broken else None

    if after:
        watched.after = stand_in_the_way
    else:
        watched.before = stand_in_the_way


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_a_create_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, number: int, after: bool
) -> None:
    """Between the organizer's event and the guest's copy: one event, one copy, no false answer."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    fail_on("PUT", number, after=after, watched=watched)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain
    watched.clear()
    for event in provider.changes(dana, None, WINDOW).events:
        assert event.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.create(dana, wanted).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [wanted.span]
    hands.delete(sam, wanted.key)
    found = provider.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.DECLINED}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_an_update_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    moved = replace(wanted, span=span(11, 13))
    fail_on("PUT", number, after=after, watched=watched)
    with pytest.raises(Unavailable):
        provider.update(event.ref, moved)
    watched.clear()
    assert provider.update(event.ref, moved).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [moved.span]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("method", "number"), [("PUT", 1), ("DELETE", 1), ("DELETE", 2)])
def test_a_cancel_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, method: str, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    fail_on(method, number, after=after, watched=watched)
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    watched.clear()
    provider.cancel(event.ref)
    for person in (dana, sam):
        assert provider.find(person, wanted.key) is None


def test_a_dead_cursor_still_knows_which_copies_to_take_away(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """The organizer deletes the event while nobody could tell what changed: the guest does not keep an orphan."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.delete(dana, wanted.key)
    assert provider.changes(dana, hands.kill(dana, cursor), WINDOW).events == ()
    assert provider.free_busy([sam], WINDOW)[sam].busy == ()


def test_only_those_named_local_get_a_copy(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    provider = open_calendar(server, local=[dana, sam])
    wanted = draft(dana, sam, kim)
    assert provider.create(dana, wanted).answers == {sam: Answer.NEEDS_ACTION, kim: Answer.NEEDS_ACTION}
    assert provider.find(sam, wanted.key) is not None
    assert provider.find(kim, wanted.key) is None


def test_a_guest_left_out_of_the_draft_loses_the_copy(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    wanted = draft(dana, sam, kim)
    event = provider.create(dana, wanted)
    smaller = provider.update(event.ref, replace(wanted, guests=wanted.guests[:1]))
    assert smaller.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.free_busy([kim], WINDOW)[kim].busy == ()


def test_a_guests_copy_is_not_ours_to_change(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    copy = provider.find(sam, wanted.key)
    assert copy is not None
    with pytest.raises(Forbidden):
        provider.cancel(copy.ref)


# --- what is written --------------------------------------------------------------------------------------------------


def test_what_is_written_is_private_and_complete(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """R-23: private; and whatever another program needs to show it."""
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam, reminders=(15, 60), sequence=3))
    written: Any = Calendar.from_ical(hands.text(dana, event.ref.id))
    [component] = written.walk("VEVENT")
    assert component["CLASS"] == "PRIVATE" and component["SEQUENCE"] == 3 and component["TRANSP"] == "OPAQUE"
    assert component["SUMMARY"] == "Career conversation: Dana and Sam"
    assert component["ORGANIZER"] == f"mailto:{dana}" and component["ORGANIZER"].params["CN"] == "Dana Ö."
    assert component["ATTENDEE"].params["PARTSTAT"] == "NEEDS-ACTION"
    assert sorted(alarm["TRIGGER"].dt for alarm in written.walk("VALARM")) == [
        -timedelta(hours=1),
        -timedelta(minutes=15),
    ]
    assert component["DTSTART"].dt == at(9, 10) and not component.errors


def test_an_update_keeps_what_people_added(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """R-9: a colour, a category, another reminder stay; the sequence grows when the time changes."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    extra = "CATEGORIES:Long arc\nCOLOR:teal\nX-MINE:1\nBEGIN:VALARM"
    hands.edit(dana, wanted.key, lambda text: text.replace("BEGIN:VALARM", extra).replace("-PT15M", "-PT45M"))
    event = provider.find(dana, wanted.key)
    assert event is not None
    provider.update(event.ref, replace(wanted, span=span(11, 13)))
    text = hands.text(dana, event.ref.id)
    for kept in ("CATEGORIES:Long arc", "COLOR:teal", "X-MINE:1", "TRIGGER:-PT45M", "SEQUENCE:1"):
        assert kept in text
    assert text.count("BEGIN:VALARM") == 1


def test_nothing_can_be_smuggled_into_an_event(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana = hands.person()
    wicked = 'Eve"\r\nATTENDEE:mailto:eve@example.org\r\nX:'
    wanted = draft(dana, subject=wicked, body=wicked, guests=(Guest("sam@elsewhere.example", wicked),))
    event = provider.create(dana, wanted)
    assert set(event.answers) == {"sam@elsewhere.example"}
    [component] = Calendar.from_ical(hands.text(dana, event.ref.id)).walk("VEVENT")
    assert component["ATTENDEE"] == "mailto:sam@elsewhere.example"


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Apia"]
_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@st.composite
def drafts(draw: st.DrawFn) -> Any:
    zone = draw(st.sampled_from(ZONES))
    if draw(st.booleans()):
        first = date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 900)))
        time, all_day = days(zone, first, first + timedelta(days=draw(st.integers(0, 3)))), True
    else:
        start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 900 * 24 * 60)))
        time, all_day = Span(start, start + timedelta(minutes=draw(st.integers(1, 3000)))), False
    return draft(
        "dana@example.org",
        "sam@example.org",
        key=draw(_TEXT.filter(bool)),
        span=time,
        all_day=all_day,
        zone=zone,
        subject=draw(_TEXT),
        body=draw(_TEXT),
        blocks_time=draw(st.booleans()),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drafts())
def test_whatever_is_written_reads_back_as_it_was_meant(wanted: Any) -> None:
    """Through the text of RFC 5545 and back, in every zone and on both sides of a change of the clocks."""
    text = icalendars.to_text(icalendars.compose_calendar(wanted, at(1, 0), we_schedule=True))
    assert all(len(line) <= 75 for line in text.encode().split(b"\r\n"))
    calendar = parser.parse_calendar(text, "here")
    event = read_single_event(calendar, EventRef("dana@example.org", "x.ics", "1"), ZoneInfo("Asia/Tokyo"))
    assert (event.key, event.span, event.all_day) == (wanted.key, wanted.span, wanted.all_day)
    assert event.show is (ShowAs.BUSY if wanted.blocks_time else None)
    assert event.answers == {"sam@example.org": Answer.NEEDS_ACTION}
    assert icalendars.is_written_from(calendar, wanted)
    component = icalendars.find_main_event(calendar)
    assert component is not None and not component.errors
    assert str(component["SUMMARY"]) == wanted.subject


# --- what others wrote ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["STATUS:CANCELLED"], None),
        (["X-MICROSOFT-CDO-BUSYSTATUS:FREE"], None),
        (["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"], ShowAs.TENTATIVE),
        (["X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "TRANSP:OPAQUE"], ShowAs.BUSY),
        (["X-MICROSOFT-CDO-BUSYSTATUS:OOF", "TRANSP:TRANSPARENT"], None),
    ],
)
def test_other_programs_ways_to_say_it(
    provider: CalDavCalendar, hands: CalDavHands, lines: list[str], expected: ShowAs | None
) -> None:
    dana = hands.person()
    hands.put_event(dana, ["DTSTART:20270305T140000Z", "DURATION:PT1H", *lines])
    found = provider.free_busy([dana], WINDOW)[dana].busy
    assert [(busy.span, busy.show) for busy in found] == ([(span(5, 14), expected)] if expected else [])


def test_local_times_are_taken_where_the_owner_lives(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana = hands.person("America/New_York")
    hands.put_event(dana, ["DTSTART:20270305T090000", "DTEND:20270305T100000"])
    [busy] = provider.free_busy([dana], WINDOW)[dana].busy
    assert busy.span == span(5, 14)


def test_a_calendar_without_a_zone_takes_it_from_the_settings(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana = hands.person(zone="")
    hands.add_all_day(dana, date(2027, 3, 9), date(2027, 3, 9))
    for zones, zone in (({dana: "Asia/Tokyo"}, "Asia/Tokyo"), ({}, "UTC")):
        [busy] = open_calendar(server, zones=zones).free_busy([dana], WINDOW)[dana].busy
        assert busy.span == days(zone, date(2027, 3, 9), date(2027, 3, 9))


def test_a_series_keeps_its_wall_clock_over_a_change_of_the_clocks(
    provider: CalDavCalendar, hands: CalDavHands
) -> None:
    dana = hands.person()
    hands.put_event(dana, ["DTSTART;TZID=Europe/Berlin:20270322T090000", "DURATION:PT30M", "RRULE:FREQ=WEEKLY;COUNT=2"])
    found = provider.free_busy([dana], WINDOW)[dana].busy
    assert [busy.span for busy in found] == [span(22, 8, 30), span(29, 7, 30)]


@pytest.mark.parametrize(
    ("was", "becomes", "busy"),
    [
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nno line at all", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nEXDATE:", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:20270305T100000Z\r\nDURATION:PT30M", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:99991231T235959Z", 2),
        (b"DTEND:20270305T100000Z", b"DTEND:later", 2),
        (b"DTSTART:20270305T090000Z", b"DTSTART:20270305T110000Z", 2),
        (b"END:VEVENT\r\nEND:VCALENDAR", b"END:VCALENDAR", 2),
    ],
)
def test_an_odd_line_makes_no_time_free_and_hides_no_other_event(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, was: bytes, becomes: bytes, busy: int
) -> None:
    dana = hands.person()
    hands.add(dana, span(5, 9))
    hands.add(dana, span(6, 9))
    watched.rewrite = lambda content: content.replace(was, becomes)
    shown = provider.free_busy([dana], WINDOW)[dana]
    assert shown.known and len(shown.busy) == busy
    assert any(one.span.overlaps(span(5, 9, 120)) for one in shown.busy)
    assert len(provider.changes(dana, None, WINDOW).events) == busy


@pytest.mark.parametrize(
    ("was", "becomes", "events"),
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
def test_time_that_cannot_be_read_is_unknown(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, was: bytes, becomes: bytes, events: int
) -> None:
    """T-2: never known and free. The reason says which event by a fingerprint, and what to do."""
    dana = hands.person()
    hands.add(dana, span(5, 9))
    hands.add(dana, span(6, 9))
    watched.rewrite = lambda content: content.replace(was, becomes)
    shown = provider.free_busy([dana], WINDOW)[dana]
    assert not shown.known
    assert re.search(r"can't be read.*\([0-9a-f, ]+\)\. Open the event", shown.reason)
    if b"calendar-data" not in was:
        assert len(provider.changes(dana, None, WINDOW).events) == events


@pytest.mark.parametrize("is_full", [True, False])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b"DTSTART", b"DTSTART;X-WHEN=soon:sometime\r\nX-START"),
        (b"BEGIN:VEVENT", b"BEGIN:NOTHING"),
        (b"BEGIN:V", b"NOTHING:V"),
    ],
)
def test_an_event_of_ours_that_can_t_be_read_any_more_is_not_gone(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, was: bytes, becomes: bytes, is_full: bool
) -> None:
    """T-2: neither gone nor free. Its copy stays, and it is an event like others once it can be read again."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    cursor = None if is_full else provider.changes(dana, None, WINDOW).cursor
    hands.edit(dana, wanted.key, lambda text: text.replace("END:VEVENT", "X-OTHER:1\r\nEND:VEVENT"))
    watched.rewrite = lambda content: content.replace(was, becomes)
    told = provider.changes(dana, cursor, WINDOW)
    assert (told.unread, told.gone, told.full) == ((event.ref.id,), (), is_full)
    assert not provider.free_busy([dana], WINDOW)[dana].known
    watched.clear()
    hands.edit(dana, wanted.key, lambda text: text.replace("X-OTHER:1", "X-OTHER:2"))
    again = provider.changes(dana, told.cursor, WINDOW)
    assert [(one.key, one.answers) for one in again.events] == [(wanted.key, {sam: Answer.NEEDS_ACTION})]
    assert (again.unread, again.gone) == ((), ())
    hands.text(sam, event.ref.id)


def test_a_whole_calendar_is_read_by_uid() -> None:
    """A file that a person exported: each series keeps to itself, single events are none."""
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
    zone = zone_of(calendar)
    assert zone is not None
    found = read_calendar(calendar, EventRef("dana@example.org", "file", ""), zone, WINDOW).events
    assert [(event.ref.id.partition("#")[0], event.series, event.span) for event in found] == [
        ("weekly", "weekly", span(8, 8, 30)),
        ("weekly", "weekly", span(15, 8, 30)),
        ("once", None, days("Europe/Berlin", date(2027, 3, 9), date(2027, 3, 9))),
    ]


# --- what stands in the way -------------------------------------------------------------------------------------------


def answers(status: str, content: bytes = b"", *headers: tuple[str, str]) -> Any:
    return lambda environ: (status, list(headers), content)


HTML = b"<!DOCTYPE html><html><body><h1>Welcome</h1><br></body></html>"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answers("401 Unauthorized"), AuthRevoked),
        (answers("403 Forbidden"), Forbidden),
        (answers("404 Not Found"), NotFound),
        (answers("412 Precondition Failed"), Conflict),
        (answers("429 Too Many Requests", b"", ("Retry-After", "7")), RateLimited),
        (answers("503 Service Unavailable", b"", ("Retry-After", "7")), RateLimited),
        (answers("503 Service Unavailable"), Unavailable),
        (answers("500 Internal Server Error"), Unavailable),
        (answers("507 Insufficient Storage"), Forbidden),
        (answers("405 Method Not Allowed"), InvalidResponse),
        (answers("200 OK", HTML, ("Content-Type", "text/html")), InvalidResponse),
        (answers("207 Multi-Status", b"<broken", ("Content-Type", "text/xml")), InvalidResponse),
        (answers("207 Multi-Status", b"", ("Content-Type", "text/xml")), InvalidResponse),
    ],
)
def test_each_refusal_is_one_clear_line(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, answer: Any, error: type[ProviderError]
) -> None:
    dana = hands.person()
    watched.before = answer
    with pytest.raises(error) as caught:
        provider.changes(dana, None, WINDOW)
    assert str(caught.value) and "\n" not in str(caught.value)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == timedelta(seconds=7)
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert failed and "\n" not in failed[0].remedy


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_one_person_out_of_reach_does_not_hide_the_others(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, status: str
) -> None:
    dana, sam = hands.person(), hands.person()
    watched.before = lambda environ: (status, [], b"") if dana in environ["PATH_INFO"] else None
    found = provider.free_busy([dana, sam], WINDOW)
    assert not found[dana].known and found[dana].reason
    assert found[sam].known


def test_a_server_out_of_order_is_not_a_person_out_of_reach(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    dana = hands.person()
    watched.before = answers("503 Service Unavailable")
    with pytest.raises(Unavailable):
        provider.free_busy([dana], WINDOW)
    with pytest.raises(Unavailable):
        provider.free_busy([dana, hands.person(), hands.person()], WINDOW)


def test_one_person_who_cannot_be_read_now_waits_alone(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    """T-2: unknown for now, and no reason to keep the others waiting."""
    sam, dana, kim = hands.person(), hands.person(), hands.person()
    watched.before = lambda environ: ("500 Oh", [], b"") if dana in environ["PATH_INFO"] else None
    times = provider.free_busy([sam, dana, kim], WINDOW)
    assert [(times[who].known, times[who].temporary) for who in (sam, dana, kim)] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert times[dana].reason


def test_where_nothing_listens_nothing_is_uncertain() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(
            {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/{{email}}/"}
        )
        with pytest.raises(Unavailable, match="Nothing answers") as caught:
            provider.create("dana@example.org", draft("dana@example.org"))
    assert not caught.value.uncertain and "\n" not in str(caught.value)


@pytest.mark.parametrize("silent", [True, False])
def test_a_server_that_takes_and_never_answers_leaves_a_write_uncertain(silent: bool) -> None:
    """The time it may take is bounded, and nobody claims to know what became of the write."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held: list[socket.socket] = []

        def take() -> None:
            taken, _ = listening.accept()
            taken.recv(65536)
            held.append(taken)
            if not silent:
                taken.close()

        waiting = Thread(target=take)
        waiting.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{{email}}/"
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 0.2})
        with pytest.raises(Unavailable) as caught:
            provider.create("dana@example.org", draft("dana@example.org"))
        assert caught.value.uncertain and "\n" not in str(caught.value)
        waiting.join()
        held[0].close()


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">%s]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&a30;</D:sync-token></D:multistatus>""" % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 31)
)
FILE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&f;</D:sync-token></D:multistatus>"""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("content", [BOMB, FILE, b"<a>" * 1_000_000, HTML])
def test_xml_that_is_meant_to_harm_is_read_as_nothing(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, content: bytes
) -> None:
    dana, sam = hands.person(), hands.person()
    harm = ("207 Multi-Status", [("Content-Type", "text/xml")], content)
    watched.before = lambda environ: harm if dana in environ["PATH_INFO"] else None
    found = provider.free_busy([dana, sam], WINDOW)
    assert found[sam].known and not found[dana].busy
    assert "root:" not in found[dana].reason


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "answer",
    [
        answers("429 Too Many Requests", b"", ("Retry-After", "9" * 30)),
        answers("200 OK", b"\xff\xfe\xfd", ("Content-Type", "text/calendar")),
        answers("404 Not Found", b"\xff\xfe\xfd", ("Content-Type", "text/plain")),
    ],
)
def test_whatever_a_server_says_only_errors_of_ours_are_raised(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, answer: Any
) -> None:
    watched.before = answer
    with pytest.raises(ProviderError):
        provider.changes(hands.person(), None, WINDOW)
    with suppress(ProviderError):
        provider.find(hands.person(), "a-key")


@pytest.mark.timeout(60)
def test_changes_that_never_come_to_an_end_are_a_full_pass(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    dana, number = hands.person(), count()
    hands.add(dana, span(5, 9))
    cursor = provider.changes(dana, None, WINDOW).cursor

    def more(environ: dict[str, Any]) -> Any:
        if environ["REQUEST_METHOD"] != "REPORT" or b"sync-collection" not in (body := environ["wsgi.input"].read()):
            environ["wsgi.input"] = BytesIO(body) if environ["REQUEST_METHOD"] == "REPORT" else environ["wsgi.input"]
            return None
        rest = "<D:response><D:href>/</D:href><D:status>HTTP/1.1 507 More</D:status></D:response>"
        token = f"<D:sync-token>t{next(number)}</D:sync-token>"
        content = f'<D:multistatus xmlns:D="DAV:">{rest}{token}</D:multistatus>'.encode()
        return "207 Multi-Status", [("Content-Type", "text/xml")], content

    watched.before = more
    found = provider.changes(dana, cursor, WINDOW)
    assert found.full and [event.span for event in found.events] == [span(5, 9)]


def test_no_answer_that_could_not_be_read_is_logged(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    dana = hands.person()
    watched.before = answers("207 Multi-Status", b"<broken>Secret plans", ("Content-Type", "text/xml"))
    try:
        set_up_logging()
        with pytest.raises(InvalidResponse):
            provider.changes(dana, None, WINDOW)
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "Secret" not in capfd.readouterr().err


@pytest.mark.parametrize("url", ["not a url/{email}", "ftp://example.org/{email}/", "http://nowhere.invalid/{email}/"])
def test_an_address_that_leads_nowhere_is_one_clear_line(url: str) -> None:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 2})
    [finding] = provider.check("dana@example.org")
    assert not finding.ok and "caldav.url" in finding.remedy and "\n" not in finding.remedy


def test_an_unknown_place_in_the_address_is_named() -> None:
    with pytest.raises(NotFound, match=r"only \{email\} and \{user\}"):
        base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": "http://example.org/{mail}/"})


def test_a_collection_that_is_no_calendar_is_found_out(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana = hands.person()
    provider = open_calendar(server, url=server.caldav_url.removesuffix("calendar/"))
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed) == 1 and "path in caldav.url" in failed[0].remedy


def test_a_calendar_we_may_only_read_is_found_out(
    provider: CalDavCalendar, hands: CalDavHands, watched: Watched
) -> None:
    dana = hands.person()
    watched.rewrite = without("write", "write-content", "all")
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed) == 1 and "right to write" in failed[0].remedy
    watched.rewrite = without("current-user-privilege-set")
    assert all(finding.ok for finding in provider.check(dana))


def test_the_log_in_is_used_and_a_wrong_one_is_one_clear_line(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, ["dana@example.org"], username="longarc", password="right") as server:
        good = open_calendar(server, username="longarc", password="right")
        assert good.create("dana@example.org", draft("dana@example.org")).key
        assert all(finding.ok for finding in good.check("dana@example.org"))
        good.close()
        for password in ("wrong", None):
            bad = open_calendar(server, username="longarc", password=password)
            with pytest.raises(AuthRevoked, match=r"caldav\.username") as caught:
                bad.changes("dana@example.org", None, WINDOW)
            assert "\n" not in str(caught.value) and "wrong" not in str(caught.value)
            bad.close()


def test_a_cursor_is_small_and_holds_no_content(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    for number in range(5):
        provider.create(dana, draft(dana, sam, span=span(9 + number, 10)))
    cursor = provider.changes(dana, None, WINDOW).cursor
    assert set(json.loads(cursor)) == {"mark", "copies"} and len(cursor) < 1000
    assert "Career" not in cursor
