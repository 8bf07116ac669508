"""A small company whose pages are open: two managers, four pairs, a month behind them; and browsers without eyes."""

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
#: Nobody in the people file. Sam has asked her a question.
PRIYA = "priya@corp.example"
ASKED = "What would you miss if I stopped doing peppermint reviews?"
#: When Dana and Sam talk again.
SOON = START + 5 * WEEK + 2 * DAY + 7 * HOUR
BASE = "https://longarc.corp.example"
PEOPLE = {
    one.email: one
    for one in (
        person(DANA, name="Dana Whitfield"),
        person(SAM, name="Sam Okafor", zone="Europe/London", country="GB", locale="en_GB"),
        person(KIM, name="Kim Tran"),
        person(LEE, name="Lee Haddad"),
        person(ALEX, name="Alex Moreau"),
    )
}
#: They all begin together, so that each pair has met after four weeks (T-3a).
PAIRS = pairs(*(pair(*two, start=START.date()) for two in ((DANA, SAM), (DANA, KIM), (LEE, ALEX), (LEE, DANA))))
#: What was promised, by the report it concerns. Nobody else may read it.
SECRETS = {SAM: "Introduce Sam to the zephyrine group", KIM: "Introduce Kim to the saxifrage group",
           ALEX: "Introduce Alex to the tamarisk group", DANA: "Introduce Dana to the larkspur group"}  # fmt: skip


def settings(url: str, **more: Any) -> Settings:
    return known_settings(url, **{"base_url": BASE, **more})


@dataclass(frozen=True)
class Lived:
    """What is left of a month: the database, the calendars, and when that is."""

    file: Path
    calendar: MemoryCalendar
    at: datetime


def live(file: Path) -> Lived:
    """A month of it: each pair has a contract; Sam's manager kept a promise, has asked for another time, a near one,
    and has just had that conversation, whose contract is still to come."""
    url = f"sqlite:///{file}"
    office = Office(url, PEOPLE, PAIRS, known=settings(url))
    office.run_to(START + 4 * WEEK)
    for one in PAIRS.values():
        held = [s for s in office.store.queries.list_sessions(one.id) if s.held_at]
        office.worker.contracts.record(held[-1].id, contract(office.clock(), SECRETS[one.report]))
    office.run(DAY)
    kept = next(c for c in office.store.queries.list_commitments(PairId(DANA, SAM)) if c.owner == "manager")
    office.worker.contracts.mark_done(kept.id)
    office.worker.actions.defer_session(_booked(office).id, Span(SOON, SOON + timedelta(minutes=75)))
    office.tick()
    office.worker.third_voices.ask(PEOPLE[SAM], PRIYA, ASKED)
    office.run_to(_booked(office).span.end + HOUR)
    office.close()
    return Lived(file, office.calendar, office.clock())


def _booked(office: Office) -> Session:
    found = office.store.queries.list_sessions(PairId(DANA, SAM))
    return next(s for s in found if s.kind is SessionKind.CAREER and s.booked)


@dataclass
class Room:
    """The company with its pages open."""

    office: Office

    @classmethod
    def of(cls, lived: Lived, folder: Path, **more: Any) -> "Room":
        """A copy of a company that was lived in."""
        shutil.copy(lived.file, folder / "longarc.db")
        url = f"sqlite:///{folder / 'longarc.db'}"
        office = Office(url, PEOPLE, PAIRS, at=lived.at, known=settings(url, **more))
        office.calendar = deepcopy(lived.calendar)
        office.worker.services.use(calendars={SERVICE: office.calendar})
        return cls(office)

    @cached_property
    def app(self) -> Flask:
        return make_app(self.office.worker)

    # --- who and what ---

    def sessions(self, manager: str = DANA, report: str = SAM) -> list[Session]:
        found = self.office.store.queries.list_sessions(PairId(manager, report))
        return [one for one in found if one.kind is SessionKind.CAREER]

    def agreed(self, manager: str = DANA, report: str = SAM) -> Session:
        """The conversation that has a contract."""
        return next(one for one in self.sessions(manager, report) if one.state == "contracted")

    def held(self) -> Session:
        """The one of Dana and Sam whose contract is still to be written."""
        return next(one for one in self.sessions() if one.state == "held")

    def coming(self, manager: str = DANA, report: str = SAM) -> Session:
        return next(one for one in self.sessions(manager, report) if one.booked or one.owed)

    def commitment(self, owner: str, manager: str = DANA, report: str = SAM) -> str:
        """The id of one that is open."""
        found = self.office.store.queries.list_commitments(PairId(manager, report))
        return next(one.id for one in found if one.owner == owner and one.is_open)

    def link(self, who: str, purpose: Purpose, about: str = "", age: timedelta = timedelta(0)) -> str:
        """The path of a link, as it stands in a mail."""
        given = LinkClaims(person=who, purpose=purpose, session_id=about, issued_at=self.office.clock() - age)
        return str(self.app.extensions["longarc"].links.build_url(given)).removeprefix(BASE)

    def everything(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """All that is in the database."""
        with self.office.store.database.read() as connection:
            return {
                t.name: [tuple(row) for row in connection.execute(select(t))] for t in tables.metadata.sorted_tables
            }

    def voice(self) -> str:
        """The id of the question that Sam has asked Priya."""
        return self.office.worker.third_voices.list_voices(SAM)[-1].id

    # --- coming ---

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def visitor(self, who: str, purpose: Purpose, about: str = "") -> FlaskClient:
        """A browser in which somebody followed a link."""
        client = self.browser()
        answer = client.get(self.link(who, purpose, about))
        assert answer.status_code == 303, answer.status_code
        return client

    def operator(self) -> FlaskClient:
        return self.visitor(OPERATOR, Purpose.STATUS)

    def writer(self) -> tuple[FlaskClient, str]:
        """Dana, about to write what she and Sam agreed on; and the address of the form."""
        session = self.held().id
        return self.visitor(DANA, Purpose.CONTRACT, session), f"/contract/{session}/write"


def text(answer: TestResponse) -> str:
    """What stands on a page."""
    plain = re.sub(
        r"<(script|style|template|title)\b.*?</\1>|<[^>]+>", " ", answer.get_data(as_text=True), flags=re.DOTALL
    )
    return " ".join(unescape(plain).split())


def hidden(answer: TestResponse, name: str) -> str:
    """What a form of that page sends along under that name."""
    found = re.search(rf'name="{name}" value="([^"]*)"', answer.get_data(as_text=True))
    assert found, text(answer)
    return found[1]


def send(client: FlaskClient, page: str, where: str, **fields: str) -> TestResponse:
    """Send a form of a page."""
    return client.post(where, data={"token": hidden(client.get(page), "token"), **fields})


FILLED = {
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


def fill(client: FlaskClient, page: str, do: str = "preview", **fields: str) -> TestResponse:
    """Fill the contract form and press a button."""
    opened = client.get(page)
    known = {name: hidden(opened, name) for name in ("token", "version", "after")}
    return client.post(page, data={**known, **FILLED, "do": do, **fields})


def send_fields(client: FlaskClient, page: str) -> dict[str, str]:
    """A filled contract that waits to be sent, and what its button sends."""
    answer = fill(client, page)
    preview = client.get(answer.headers["Location"])
    return {name: hidden(preview, name) for name in ("token", "version")}
