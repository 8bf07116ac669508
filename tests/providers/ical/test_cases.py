"""Calendar files of real programs are read as their owners understand them, by each module that reads such files."""

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
#: Runs a test with the name of each case. A case is a file, and its entry in `expected.json`.
each_case = pytest.mark.parametrize("name", sorted(EXPECTED))


def read_case(name: str) -> str:
    """Return the text of a case's file."""
    return decode_text((CASES / f"{name}.ics").read_bytes())


def list_expected_spans(name: str) -> list[Span]:
    """Return the times that the case takes in January."""
    return [Span(*map(datetime.fromisoformat, pair)) for pair in EXPECTED[name]["busy"]]


def merge_spans(busy: tuple[BusyTime, ...]) -> list[Span]:
    """Return the times that these busy times take, with those joined that overlap."""
    merged_spans: list[Span] = []
    for span in sorted(busy_time.span for busy_time in busy):
        if merged_spans and span.start < merged_spans[-1].end:
            merged_spans[-1] = Span(merged_spans[-1].start, max(merged_spans[-1].end, span.end))
        else:
            merged_spans.append(span)
    return merged_spans


def test_each_case_has_an_expected_result() -> None:
    assert sorted(EXPECTED) == sorted(file.stem for file in CASES.glob("*.ics"))


@each_case
def test_reader_finds_the_expected_times(name: str) -> None:
    zone = ZoneInfo(EXPECTED[name]["owner_zone"])
    reading = read_calendar(parse_calendar(read_case(name), name), EventRef(OWNER, name, ""), zone, JANUARY)
    busy_times = [BusyTime(event.span) for event in reading.events if event.show_as is not None]
    assert (merge_spans(tuple(busy_times)), reading.unknown_spans) == (list_expected_spans(name), [])


@each_case
def test_caldav_provider_finds_the_expected_times(
    name: str, server: EmbeddedServers, interceptor: RequestInterceptor
) -> None:
    """When Radicale refuses a file, or would store it in another form, the answers contain the text of the file."""
    interceptor.clear()
    hands, provider = CalDavHands(server), open_provider(server)
    try:
        owner = hands.person(EXPECTED[name]["owner_zone"])
        text = re.sub("owner@field.example", owner, read_case(name), flags=re.IGNORECASE)
        try:
            hands.put(owner, "case.ics", text)
        except requests.HTTPError:
            serve_text(hands, interceptor, owner, text)
        free_busy = provider.free_busy([owner], JANUARY)[owner]
        assert (free_busy.is_known, merge_spans(free_busy.busy)) == (True, list_expected_spans(name))
    finally:
        interceptor.clear()
        hands.close()
        provider.close()


def open_provider(server: EmbeddedServers) -> CalDavCalendar:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": server.caldav_url, "timeout": 10})
    assert isinstance(provider, CalDavCalendar)
    return provider


def serve_text(hands: CalDavHands, interceptor: RequestInterceptor, owner: Address, text: str) -> None:
    """Store an event, and replace its content by this text in each answer of the server."""
    hands.put_event(owner, ["DTSTART:20270105T080000Z", "DTEND:20270105T090000Z"], "case.ics")
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").encode()

    def rewrite(content: bytes) -> bytes:
        if b"BEGIN:VCALENDAR" not in content or b"case.ics" not in content:
            return content
        last_line = b"END:VCALENDAR"
        begin, end = content.find(b"BEGIN:VCALENDAR"), content.find(last_line) + len(last_line)
        return content[:begin] + escaped + content[end:]

    interceptor.rewrite = rewrite


@each_case
def test_simulation_finds_the_expected_times(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{OWNER}.ics").write_bytes((CASES / f"{name}.ics").read_bytes())
    calendar = MemoryCalendar()
    load_calendars(tmp_path, {OWNER: make_person(OWNER, EXPECTED[name]["owner_zone"])}, calendar, JANUARY)
    free_busy = calendar.free_busy([OWNER], JANUARY)[OWNER]
    assert (free_busy.is_known, merge_spans(free_busy.busy)) == (True, list_expected_spans(name))


def make_person(address: Address, zone: str) -> Person:
    """Return a person without working hours."""
    return Person(email=address, name="Sam", zone=zone, country="DE", hours=WorkingHours(((),) * 7))
