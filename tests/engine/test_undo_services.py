"""Undo on each service: no event or copy of ours is left, other events stay, and another process completes an undo
that was killed."""

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
#: The steps before the undo: a session is held and gets a contract, so that a review and a block are to come.
STEPS_BEFORE = [["people"], ["tick"], ["move_past_end"], ["tick"], ["record"], ["tick"]]
UNDO_STEPS = [["undo", "past"]]  # `past`: the undo also removes events in the past
#: The boundaries at which the process is killed, unless all of them are tried (`FULL`).
KILLED_AT = ("sweep.commit before", "cancel after", "outbox.settle before")
#: Another one, after a request of the CalDAV client. The clients of other services have no such boundaries.
KILLED_AT_WITH_CALDAV = "step.delete after"
LATER = Span(START + 60 * DAY, START + 60 * DAY + HOUR)
FOREIGN_EVENT = """\
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
    """Put an event that is not ours on a person's calendar."""
    if isinstance(servers, GoogleServers):
        GoogleHands(servers.calendars).add(address, LATER)
    elif isinstance(servers, OutlookServers):
        Hands(servers).add(address, LATER)
    else:
        assert isinstance(servers, EmbeddedServers)
        url = f"{servers.caldav_url.format(email=address)}dentist.ics"
        body = FOREIGN_EVENT.format(start=LATER.start, end=LATER.end).replace("\n", "\r\n")
        response = requests.put(url, data=body, headers={"Content-Type": "text/calendar"}, timeout=10)
        assert response.status_code == 201


def list_events(company: CrashCompany, address: str) -> list[Event]:
    """Return all events on a person's calendar."""
    sections = company.servers.sections
    section = {**sections["calendar_section"], "organizers": lambda _: {manager for manager, _ in company.pairs}}
    provider = base.load_factory(base.CALENDAR_FACTORIES, sections["calendar"])(section)
    events = provider.changes(address, None, Span(START - DAY, START + 300 * DAY)).events
    provider.close()
    return [event for event in events if not event.cancelled]


def prepare_company(companies: PreparedCompanies, steps: Sequence[Sequence[str]]) -> CrashCompany:
    """Return a company after these steps, with one event on each calendar that is not ours."""
    company = companies.prepare(steps)
    for person in company.people:
        put_foreign_event(company.servers, person)
    return company


def assert_is_undone(company: CrashCompany) -> None:
    for address in company.people:
        assert [event.key for event in list_events(company, address)] == [None]  # only the event that is not ours
    assert [effect.key for effect in company.effects() if effect.is_pending and not effect.name] == []
    store = company.store()
    state = store.undo.load()
    pauses = store.participation.load().pauses
    store.close()
    assert state is not None
    assert state.finished_at is not None
    assert pauses.everybody


def test_another_process_completes_an_undo_after_a_kill(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    companies = PreparedCompanies(starter, servers, tmp_path, sqlite_schema, "undo")
    undisturbed = prepare_company(companies, STEPS_BEFORE)
    ours = [event for address in undisturbed.people for event in list_events(undisturbed, address) if event.key]
    assert len(ours) >= 4  # the past session, the coming ones and a block, with guests' copies
    assert undisturbed.run_process(UNDO_STEPS) == 0
    assert undisturbed.log_lines[-1] == "undone True", "the undo is not complete"
    assert_is_undone(undisturbed)
    boundaries = undisturbed.boundaries
    names = [*KILLED_AT, KILLED_AT_WITH_CALDAV] if isinstance(servers, EmbeddedServers) else KILLED_AT
    kills = range(len(boundaries)) if FULL else {boundaries.index(name) for name in names}
    for number in sorted(kills):
        company = prepare_company(companies, STEPS_BEFORE)
        assert company.run_process(UNDO_STEPS, kill=number) == KILLED, boundaries[number]
        company.at += timedelta(seconds=5)  # sooner than the leases of the dead process end
        assert company.run_process(UNDO_STEPS) == 0
        try:
            assert_is_undone(company)
        except AssertionError as error:
            raise AssertionError(f"killed at boundary {number}, {boundaries[number]}: {error}") from error


def test_a_worker_after_a_killed_undo_books_no_session(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    company = prepare_company(
        PreparedCompanies(starter, servers, tmp_path, sqlite_schema, "later"), [["people"], ["tick"]]
    )
    assert company.run_process([["undo"]], kill=12) == KILLED  # after twelve boundaries of the undo
    company.at += HOUR
    assert company.run_process([["run", (company.at + 2 * DAY).isoformat()]]) == 0
    for address in company.people:
        assert [event.key for event in list_events(company, address)] == [None]
