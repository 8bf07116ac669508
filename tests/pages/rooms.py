"""A small company whose pages are open: two managers, four pairs, some months behind them; and browsers without eyes."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from html import unescape
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.worlds import DANA, DAY, HOUR, KIM, SAM, START, WEEK, Office, contract, pair, pairs, person, settings
from worker.domain.model import Kind, Session, Standing
from worker.links import Pass, Purpose
from worker.pages.app import make_app

LEE, ALEX = "lee@corp.example", "alex@corp.example"
BASE = "https://longarc.corp.example"
PEOPLE = {
    one.email: one
    for one in (
        person(DANA, name="Dana Whitfield"),
        person(SAM, name="Sam Okafor", zone="Europe/London", country="GB"),
        person(KIM, name="Kim Tran"),
        person(LEE, name="Lee Haddad"),
        person(ALEX, name="Alex Moreau"),
    )
}
PAIRS = pairs(pair(DANA, SAM), pair(DANA, KIM), pair(LEE, ALEX), pair(LEE, DANA))


@dataclass
class Room:
    """The company with its pages open."""

    office: Office
    clients: dict[str, FlaskClient] = field(default_factory=dict)

    @cached_property
    def app(self) -> Flask:
        return make_app(self.office.worker)

    # --- who and what ---

    def session(self, manager: str = DANA, report: str = SAM) -> Session:
        """The career conversation that was held last between the two."""
        found = [s for s in self.office.store.register.sessions(f"{manager}>{report}") if s.kind is Kind.CAREER]
        return [s for s in found if s.held_at][-1]

    def coming(self, manager: str = DANA, report: str = SAM) -> Session:
        """The next one."""
        found = self.office.store.register.sessions(f"{manager}>{report}")
        return next(s for s in found if s.kind is Kind.CAREER and (s.booked or s.owed))

    def link(self, who: str, purpose: Purpose, about: str = "", age: timedelta = timedelta(0)) -> str:
        """The path of a link, as it stands in a mail."""
        site = self.app.extensions["longarc"]
        given = Pass(who=who, purpose=purpose, about=about, issued=self.office.clock() - age)
        return str(site.links.url(given)).removeprefix(BASE)

    # --- coming and going ---

    def browser(self) -> FlaskClient:
        return self.app.test_client()

    def visitor(self, who: str, purpose: Purpose, about: str = "") -> FlaskClient:
        """A browser in which somebody followed a link."""
        client = self.browser()
        answer = client.get(self.link(who, purpose, about))
        assert answer.status_code == 303, answer.status_code
        return client


def text(answer: TestResponse) -> str:
    """What stands on a page."""
    plain = re.sub(r"<(script|style)\b.*?</\1>|<[^>]+>", " ", answer.get_data(as_text=True), flags=re.DOTALL)
    return " ".join(unescape(plain).split())


def token(answer: TestResponse) -> str:
    """What a form of that page has to send along."""
    found = re.search(r'name="token" value="([^"]+)"', answer.get_data(as_text=True))
    assert found, text(answer)
    return found[1]


def send(client: FlaskClient, page: str, where: str, **fields: str) -> TestResponse:
    """Send a form of a page."""
    return client.post(where, data={"token": token(client.get(page)), **fields})


def open_room(url: str = "sqlite://", **more: Any) -> Room:
    """Months after it began: contracts, a promise kept, a conversation just held whose contract is still to come."""
    office = Office(url, PEOPLE, PAIRS, known=settings(url, base_url=BASE, **more))
    office.run_to(START + 4 * WEEK)
    for report in (SAM, KIM):
        held = [s for s in office.store.register.sessions(f"{DANA}>{report}") if s.held_at]
        if held:
            office.worker.acts.record(
                held[-1].id, contract(office.clock(), f"Introduce {report.split('@')[0].title()}")
            )
    office.run(DAY)
    kept = next(c for c in office.store.register.commitments(f"{DANA}>{SAM}") if c.owner == "manager")
    office.worker.acts.close(kept.id, Standing.DONE)
    coming = next(s for s in office.store.register.sessions(f"{DANA}>{SAM}") if s.kind is Kind.CAREER and s.booked)
    office.worker.acts.defer(coming.id)
    office.tick()
    coming = next(s for s in office.store.register.sessions(f"{DANA}>{SAM}") if s.kind is Kind.CAREER and s.booked)
    office.run_to(coming.span.end + HOUR)
    return Room(office)
