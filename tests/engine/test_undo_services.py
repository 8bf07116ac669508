"""Undoing on each service: nothing of ours is left with organizer or guest, what others put there stays, and a process
that is killed in the middle leaves nothing that the next one does not take off."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from tests.doubles.google.hands import GoogleHands
from tests.doubles.graph.hands import Hands
from tests.support.companies import DAY, HOUR, START
from tests.support.crash_stories import (
    KILLED,
    CrashCompany,
    GoogleServers,
    OutlookServers,
    PreparedCompanies,
    ProcessStarter,
    Servers,
)
from tests.support.proof import FULL
from worker.domain.model import Event, Span
from worker.embedded import EmbeddedServers
from worker.providers import base

pytestmark = pytest.mark.timeout(600)
#: A conversation took place and has a contract, so that a review and a block for a promise are to come.
BEFORE = [["people"], ["tick"], ["move_past_end"], ["tick"], ["record"], ["tick"]]
UNDO = [["undo", "past"]]
#: Where it is killed: before and after a service did something, and in the middle of a stored step.
KILLED_AT = ("sweep.commit before", "cancel after", "outbox.settle before", "step.delete after")
LATER = Span(START + 60 * DAY, START + 60 * DAY + HOUR)
FOREIGN = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//somebody else//EN
BEGIN:VEVENT
UID:dentist
DTSTAMP:20260901T000000Z
DTSTART:{start:%Y%m%dT%H%M%SZ}
DTEND:{end:%Y%m%dT%H%M%SZ}
SUMMARY:Dentist
END:VEVENT
END:VCALENDAR
"""


def put_foreign_event(servers: Servers, address: str) -> None:
    """Somebody's own event."""
    if isinstance(servers, GoogleServers):
        GoogleHands(servers.calendars).add(address, LATER)
    elif isinstance(servers, OutlookServers):
        Hands(servers).add(address, LATER)
    else:
        assert isinstance(servers, EmbeddedServers)
        url = f"{servers.caldav_url.format(email=address)}dentist.ics"
        body = FOREIGN.format(start=LATER.start, end=LATER.end).replace("\n", "\r\n")
        answer = requests.put(url, data=body, headers={"Content-Type": "text/calendar"}, timeout=10)
        assert answer.status_code == 201


def list_events(company: CrashCompany, address: str) -> list[Event]:
    """All that stands on somebody's calendar."""
    sections = company.servers.sections
    section = {**sections["calendar_section"], "organizers": lambda _: {manager for manager, _ in company.pairs}}
    provider = base.load_factory(base.CALENDAR_FACTORIES, sections["calendar"])(section)
    listed = provider.changes(address, None, Span(START - DAY, START + 300 * DAY)).events
    provider.close()
    return [event for event in listed if not event.cancelled]


def begin(companies: PreparedCompanies, steps: Sequence[Sequence[str]]) -> CrashCompany:
    company = companies.prepare(steps)
    for person in company.people:
        put_foreign_event(company.servers, person)
    return company


def check_undone(company: CrashCompany) -> None:
    for address in company.people:
        listed = list_events(company, address)
        assert [event.key for event in listed] == [None], "what somebody else put there, and nothing else"
    assert [message.key for message in company.messages() if message.is_live and not message.name] == []
    store = company.store()
    state = store.undo.load()
    pauses = store.participation.load().pauses
    store.close()
    assert state is not None
    assert state.finished_at is not None
    assert pauses.everybody


def test_killed_in_the_middle_it_is_undone_all_the_same(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    companies = PreparedCompanies(starter, servers, tmp_path, sqlite_schema, "undo")
    whole = begin(companies, BEFORE)
    ours = [event for address in whole.people for event in list_events(whole, address) if event.key]
    assert len(ours) >= 4, "the past conversation, what is to come, and a block; with guests' copies"
    assert whole.run_process(UNDO) == 0
    assert whole.log_lines[-1] == "undone True"
    check_undone(whole)
    passed = whole.boundaries
    kills = range(len(passed)) if FULL else {passed.index(one) for one in KILLED_AT if one in passed}
    for number in sorted(kills):
        company = begin(companies, BEFORE)
        assert company.run_process(UNDO, kill=number) == KILLED, passed[number]
        company.at += timedelta(seconds=5)  # the leases of the dead process are waited for
        assert company.run_process(UNDO) == 0
        try:
            check_undone(company)
        except AssertionError as error:
            raise AssertionError(f"killed at boundary {number}, {passed[number]}: {error}") from error


def test_a_worker_that_runs_after_a_kill_books_nothing_anew(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    company = begin(PreparedCompanies(starter, servers, tmp_path, sqlite_schema, "later"), [["people"], ["tick"]])
    assert company.run_process([["undo"]], kill=12) == KILLED
    company.at += HOUR
    assert company.run_process([["run", (company.at + 2 * DAY).isoformat()]]) == 0
    for address in company.people:
        assert [event.key for event in list_events(company, address)] == [None]
