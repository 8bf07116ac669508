"""Calendars as programs in the field write them read as their owners would read them, by every way in."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from tests.providers.conftest import CalDavHands, RequestInterceptor
from worker.domain.model import Address, BusyTime, EventRef, Person, Span, WorkingHours
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.ical.parser import decode_text, parse_calendar
from worker.providers.ical.reader import read_calendar
from worker.providers.memory import MemoryCalendar
from worker.simulation.calendars import load_calendars

CASES = Path(__file__).parent / "cases"
EXPECTED: dict[str, Any] = json.loads((CASES / "expected.json").read_text())
JANUARY = Span(datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC))
OWNER = "owner@field.example"
each_case = pytest.mark.parametrize("name", sorted(EXPECTED))


def text_of(name: str) -> str:
    return decode_text((CASES / f"{name}.ics").read_bytes())


def spans_of(name: str) -> list[Span]:
    return [Span(*map(datetime.fromisoformat, pair)) for pair in EXPECTED[name]["busy"]]


def merged(busy: tuple[BusyTime, ...]) -> list[Span]:
    """The stretches that are not free, whatever takes them."""
    merged: list[Span] = []
    for span in sorted(one.span for one in busy):
        if merged and span.start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def test_every_file_has_its_right_value() -> None:
    assert sorted(EXPECTED) == sorted(file.stem for file in CASES.glob("*.ics"))


@each_case
def test_reader_finds_the_right_time(name: str) -> None:
    zone = ZoneInfo(EXPECTED[name]["owner_zone"])
    reading = read_calendar(parse_calendar(text_of(name), name), EventRef(OWNER, name, ""), zone, JANUARY)
    taken = [BusyTime(event.span) for event in reading.events if event.show_as is not None]
    assert (merged(tuple(taken)), reading.unknown_spans) == (spans_of(name), [])


@each_case
def test_caldav_reads_the_right_time(name: str, server: EmbeddedServers, interceptor: RequestInterceptor) -> None:
    """Where Radicale refuses a file, or stores it otherwise than another server would, the answer carries it as it
    is."""
    interceptor.clear()
    hands, provider = CalDavHands(server), opened(server)
    try:
        owner = hands.person(EXPECTED[name]["owner_zone"])
        text = re.sub("owner@field.example", owner, text_of(name), flags=re.IGNORECASE)
        try:
            hands.put(owner, "case.ics", text)
        except requests.HTTPError:
            place(hands, interceptor, owner, text)
        shown = provider.free_busy([owner], JANUARY)[owner]
        assert (shown.is_known, merged(shown.busy)) == (True, spans_of(name))
    finally:
        interceptor.clear()
        hands.close()
        provider.close()


def opened(server: EmbeddedServers) -> CalDavCalendar:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": server.caldav_url, "timeout": 10})
    assert isinstance(provider, CalDavCalendar)
    return provider


def place(hands: CalDavHands, interceptor: RequestInterceptor, owner: Address, text: str) -> None:
    """Put an event there whose content is this text in every answer."""
    hands.put_event(owner, ["DTSTART:20270105T080000Z", "DTEND:20270105T090000Z"], "case.ics")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").encode()

    def rewrite(content: bytes) -> bytes:
        begin, end = content.find(b"BEGIN:VCALENDAR"), content.find(b"END:VCALENDAR")
        return content if begin < 0 or b"case.ics" not in content else content[:begin] + escaped + content[end + 13 :]

    interceptor.rewrite = rewrite


@each_case
def test_simulation_reads_the_right_time(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{OWNER}.ics").write_bytes((CASES / f"{name}.ics").read_bytes())
    calendar = MemoryCalendar()
    load_calendars(tmp_path, {OWNER: person(OWNER, EXPECTED[name]["owner_zone"])}, calendar, JANUARY)
    shown = calendar.free_busy([OWNER], JANUARY)[OWNER]
    assert (shown.is_known, merged(shown.busy)) == (True, spans_of(name))


def person(address: Address, zone: str) -> Person:
    return Person(email=address, name="Sam", zone=zone, country="DE", hours=WorkingHours(((),) * 7))
