"""A small company with its web pages: two managers, four pairs, after a month; and Flask test clients as browsers."""

import re
import shutil
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from tests.support.companies import (
    BASE_URL,
    DANA,
    DAY,
    HOUR,
    KIM,
    OPERATOR,
    SAM,
    SERVICE,
    START,
    WEEK,
    Office,
    contract,
    pair,
    pairs,
    person,
)
from tests.support.companies import settings as known_settings
from worker.domain.model import PairId, Session, SessionKind, Span
from worker.links import LinkClaims, Purpose
from worker.providers.memory import MemoryCalendar
from worker.settings.load import Settings
from worker.store import tables
from worker.web.app import make_app

LEE, ALEX = "lee@corp.example", "alex@corp.example"
#: She is not in the people file. Sam has asked her a question as a third voice.
PRIYA = "priya@corp.example"
QUESTION = "What would you miss if I stopped doing peppermint reviews?"
#: When the next conversation of Dana and Sam takes place.
NEXT_CONVERSATION = START + 5 * WEEK + 2 * DAY + 7 * HOUR
PEOPLE = {
    member.email: member
    for member in (
        person(DANA, name="Dana Whitfield"),
        person(SAM, name="Sam Okafor", zone="Europe/London", country="GB", locale="en_GB"),
        person(KIM, name="Kim Tran"),
        person(LEE, name="Lee Haddad"),
        person(ALEX, name="Alex Moreau"),
    )
}
#: All pairs begin on the same day, so that each has met after four weeks (T-3a).
PAIRS = pairs(*(pair(*two, start=START.date()) for two in ((DANA, SAM), (DANA, KIM), (LEE, ALEX), (LEE, DANA))))
#: The manager's promise to each report. Only that report and the manager may read it.
SECRETS = {SAM: "Introduce Sam to the zephyrine group", KIM: "Introduce Kim to the saxifrage group",
           ALEX: "Introduce Alex to the tamarisk group", DANA: "Introduce Dana to the larkspur group"}  # fmt: skip


def settings(url: str, **more: Any) -> Settings:
    return known_settings(url, **{"base_url": BASE_URL, **more})


@dataclass(frozen=True)
class SavedCompany:
    """A company after a month: its database, its calendars and the time at which they were saved."""

    file: Path  #: the SQLite database
    calendar: MemoryCalendar
    saved_at: datetime


def play_month(file: Path) -> SavedCompany:
    """Let a month pass in the company, with its database in `file`, and return it.

    Each pair has a contract. Dana kept a promise to Sam and asked for a nearer time for their next conversation. That
    conversation has just ended, and its contract is not yet recorded.
    """
    url = f"sqlite:///{file}"
    office = Office(url, PEOPLE, PAIRS, office_settings=settings(url))
    office.run_to(START + 4 * WEEK)
    for pair_ in PAIRS.values():
        held_sessions = [session for session in office.store.queries.list_sessions(pair_.id) if session.held_at]
        office.worker.contracts.record(held_sessions[-1].id, contract(office.clock(), SECRETS[pair_.report]))
    office.run(DAY)
    kept = next(c for c in office.store.queries.list_commitments(PairId(DANA, SAM)) if c.owner == "manager")
    office.worker.contracts.mark_done(kept.id)
    office.worker.actions.request_another_time(
        _find_booked_session(office).id, Span(NEXT_CONVERSATION, NEXT_CONVERSATION + timedelta(minutes=75))
    )
    office.tick()
    office.worker.third_voices.ask(PEOPLE[SAM], PRIYA, QUESTION)
    office.run_to(_find_booked_session(office).span.end + HOUR)
    office.close()
    return SavedCompany(file, office.calendar, office.clock())


def _find_booked_session(office: Office) -> Session:
    """Return the booked career session of Dana and Sam."""
    sessions = office.store.queries.list_sessions(PairId(DANA, SAM))
    return next(session for session in sessions if session.kind is SessionKind.CAREER and session.booked)


@dataclass
class WebCompany:
    """The company with its web pages."""

    office: Office

    @classmethod
    def of(cls, saved: SavedCompany, folder: Path, **more: Any) -> "WebCompany":
        """Return a copy of a saved company, with its database in the folder. `more`: further settings."""
        shutil.copy(saved.file, folder / "longarc.db")
        url = f"sqlite:///{folder / 'longarc.db'}"
        office = Office(url, PEOPLE, PAIRS, at=saved.saved_at, office_settings=settings(url, **more), imports=False)
        office.calendar = deepcopy(saved.calendar)
        office.worker.services.use(calendars={SERVICE: office.calendar})
        return cls(office)

    @cached_property
    def app(self) -> Flask:
        return make_app(self.office.worker)

    # --- what the company has ---

    def sessions(self, manager: str = DANA, report: str = SAM) -> list[Session]:
        """The career sessions of that pair."""
        sessions = self.office.store.queries.list_sessions(PairId(manager, report))
        return [session for session in sessions if session.kind is SessionKind.CAREER]

    def contracted_session(self, manager: str = DANA, report: str = SAM) -> Session:
        """The session of that pair that has a contract."""
        return next(session for session in self.sessions(manager, report) if session.state == "contracted")

    def held_session(self) -> Session:
        """The session of Dana and Sam whose contract is still to be written."""
        return next(session for session in self.sessions() if session.state == "held")

    def next_session(self, manager: str = DANA, report: str = SAM) -> Session:
        """The session of that pair that is booked or owed."""
        return next(session for session in self.sessions(manager, report) if session.booked or session.owed)

    def open_commitment_id(self, owner: str, manager: str = DANA, report: str = SAM) -> str:
        """The id of an open commitment of that owner: `manager` or `report`."""
        commitments = self.office.store.queries.list_commitments(PairId(manager, report))
        return next(commitment.id for commitment in commitments if commitment.owner == owner and commitment.is_open)

    def link(self, who: str, purpose: Purpose, about: str = "", age: timedelta = timedelta(0)) -> str:
        """The path of a link as mails contain it. `age`: how long ago the link was issued."""
        claims = LinkClaims(person=who, purpose=purpose, subject_id=about, issued_at=self.office.clock() - age)
        return str(self.app.extensions["longarc"].links.build_url(claims)).removeprefix(BASE_URL)

    def read_database(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """The rows of each table of the database."""
        with self.office.store.database.read() as connection:
            return {
                table.name: [tuple(row) for row in connection.execute(select(table))]
                for table in tables.metadata.sorted_tables
            }

    def third_voice_id(self) -> str:
        """The id of the question that Sam has asked Priya."""
        return self.office.worker.third_voices.list_voices(SAM)[-1].id

    # --- browsers ---

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def visitor(self, who: str, purpose: Purpose, about: str = "") -> FlaskClient:
        """A browser in which somebody followed a link."""
        client = self.browser()
        answer = client.get(self.link(who, purpose, about))
        assert answer.status_code == 303, answer.status_code
        return client

    def operator(self) -> FlaskClient:
        """A browser in which the operator is signed in."""
        return self.visitor(OPERATOR, Purpose.STATUS)

    def open_contract_form(self) -> tuple[FlaskClient, str]:
        """Dana's browser, and the path of the form in which she writes her contract with Sam."""
        session = self.held_session().id
        return self.visitor(DANA, Purpose.CONTRACT, session), f"/contract/{session}/write"


def text(answer: TestResponse) -> str:
    """The text that a reader sees on a page."""
    plain = re.sub(
        r"<(script|style|template|title)\b.*?</\1>|<[^>]+>", " ", answer.get_data(as_text=True), flags=re.DOTALL
    )
    return " ".join(unescape(plain).split())


def hidden_value(answer: TestResponse, name: str) -> str:
    """The value of the hidden form field of that name on a page."""
    match = re.search(rf'name="{name}" value="([^"]*)"', answer.get_data(as_text=True))
    assert match, text(answer)
    return match[1]


def send_form(client: FlaskClient, page: str, target: str, **fields: str) -> TestResponse:
    """Send the form that stands on `page` and posts to the path `target`, with these fields."""
    return client.post(target, data={"token": hidden_value(client.get(page), "token"), **fields})


#: The fields of a contract form that was filled in.
FILLED_FIELDS = {
    "report-0-text": "Draft one page on direction",
    "report-0-due": "2026-12-01",
    "manager-0-text": "Introduce Sam to Priya",
    "manager-0-due": "2026-10-20",
    "manager-0-support": "Jordan",
    "reviews-0-month": "2026-11",
    "reviews-0-text": "how the first review went",
    "question": "What next?",
    "progress-0-text": "Ran the incident review",
}


def fill_form(client: FlaskClient, page: str, do: str = "preview", **fields: str) -> TestResponse:
    """Fill in the contract form on that page, and press its button `do`."""
    opened = client.get(page)
    hidden_fields = {name: hidden_value(opened, name) for name in ("token", "version", "after")}
    return client.post(page, data={**hidden_fields, **FILLED_FIELDS, "do": do, **fields})


def get_send_fields(client: FlaskClient, page: str) -> dict[str, str]:
    """Fill in the contract form, and return the hidden fields that the button of its preview sends."""
    answer = fill_form(client, page)
    preview = client.get(answer.headers["Location"])
    return {name: hidden_value(preview, name) for name in ("token", "version")}
