"""A manager with five reports on real servers, pages and all, and a browser that finds its way there.

The calendar server, the mail server and the pages are real; the clock is stepped. Every conversation of the five has
just been held, and the mail that asks for its contract lies in the manager's mailbox.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.browser import find_chromium
from tests.support.companies import DANA, KIM, OPERATOR, SAM, START, contract, new_store, pair, pairs, person, settings
from tests.support.web_company import ALEX, LEE
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Commitment, Event, Owner, PairId, Session, SessionKind, SessionState, Span
from worker.embedded import EmbeddedServers, get_mailbox_path
from worker.providers import maildir
from worker.web.server import PageServer

CHROMIUM = find_chromium()
#: The browser is told where this is; no other machine is asked.
BASE = "http://longarc.test"
NOAH = "noah@corp.example"
#: A story each; the last one's is told already, for whoever only looks.
REPORTS = (SAM, KIM, ALEX, LEE, NOAH)
#: Monday, three weeks from the start.
WEEK_OF_CONVERSATIONS = START + timedelta(days=21, hours=3)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class Street:
    """The whole company, and a browser."""

    worker: Worker
    clock: SteppedClock
    servers: EmbeddedServers
    browser: Browser

    # --- time ---

    def tick(self) -> None:
        self.worker.tick()

    def run_until(self, done: Any, limit: datetime) -> None:
        """Let time pass, from one due instant to the next, until that is so."""
        while not done():
            assert self.clock() < limit
            upcoming = self.worker.tick()
            later = [at for at in upcoming if at is not None]
            self.clock.move_to(max(min(later), self.clock() + timedelta(seconds=1)))

    def all_held(self) -> bool:
        return all(self.session(one).state is SessionState.HELD for one in REPORTS)

    # --- what there is ---

    def session(self, report: str) -> Session:
        """The first conversation with that report."""
        found = self.worker.store.queries.list_sessions(PairId(DANA, report))
        return next(one for one in found if one.kind is SessionKind.CAREER)

    def mails(self, who: str, subject: str = "") -> list[EmailMessage]:
        """The mails in somebody's mailbox, oldest first."""
        files = maildir.list_messages(get_mailbox_path(self.servers.mail_folder, who))
        read = [BytesParser(policy=default).parsebytes(path.read_bytes()) for path in files]
        return [mail for mail in read if isinstance(mail, EmailMessage) and subject in str(mail["Subject"])]

    def link(self, who: str, about: str) -> str:
        """The link in the newest mail to somebody that speaks of that."""
        for mail in reversed(self.mails(who)):
            body = mail.get_body(("plain",))
            said = body.get_content() if body else ""
            found = re.search(rf"{re.escape(BASE)}/in/\S+", said)
            if found and about in said:
                return found[0]
        raise AssertionError(f"no link for {who} about {about}")

    def blocks(self, report: str) -> list[Event]:
        """The manager's commitments to that report, as they stand on the manager's calendar."""
        keys = {one.key for one in self.commitments(report, Owner.MANAGER)}
        window = Span(self.clock() - timedelta(days=2), self.clock() + timedelta(days=200))
        provider = self.worker.services.get_calendar("caldav")
        return [one for one in provider.changes(DANA, None, window).events if one.key in keys and not one.cancelled]

    def commitments(self, report: str, owner: Owner) -> list[Commitment]:
        found = self.worker.store.queries.list_commitments(PairId(DANA, report))
        return [one for one in found if one.owner is owner]

    # --- looking ---

    @contextmanager
    def looking(self, size: dict[str, int] | None = None, **how: Any) -> Iterator[Page]:
        """Somebody's browser, with a mind of its own. Fails on what a page's script or policy complains of."""
        context: BrowserContext = self.browser.new_context(viewport=size or DESKTOP, **how)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)  # a page takes a moment where much else is going on
        expect.set_options(timeout=30_000)
        page, complaints = context.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
        yield page
        context.close()
        assert complaints == []


@contextmanager
def street(folder: Path) -> Iterator[Street]:
    """Everything running, the five conversations held, the last one's contract recorded."""
    people = {one: person(one, calendar="caldav", mail="smtp") for one in (DANA, *REPORTS)}
    clock = SteppedClock(START)
    with EmbeddedServers(folder, list(people), zones=dict.fromkeys(people, "Europe/Berlin")) as servers:
        url = f"sqlite:///{folder / 'longarc.db'}"
        known = settings(
            url,
            operator=OPERATOR,
            base_url=BASE,
            mail={"from": "longarc@corp.example", "operator_by": "smtp"},
            calendars={"caldav": {"url": servers.caldav_url, "attendee_copies": True}},
            mailers={"smtp": {"host": servers.smtp_host, "port": servers.smtp_port, "security": "none"}},
            pages={"listen": "127.0.0.1:0", "per_minute": 10_000},  # the clock stands still between steps
        )
        store = new_store(url)
        store.migrate()
        store.people.apply_import(people, pairs(*(pair(DANA, one, start=START.date()) for one in REPORTS)), START)
        worker = build(known, clock, store=store, holder="street")
        with PageServer(worker) as pages, sync_playwright() as playwright:
            where = f"MAP longarc.test:80 127.0.0.1:{pages.port}"
            arguments = ["--no-sandbox", f"--host-resolver-rules={where}", "--disable-dev-shm-usage", "--disable-gpu"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            made = Street(worker, clock, servers, browser)
            made.tick()
            for day, report in enumerate(REPORTS):  # Dana wants them all in one week
                start = WEEK_OF_CONVERSATIONS + timedelta(days=day)
                worker.actions.defer_session(made.session(report).id, Span(start, start + timedelta(minutes=75)))
            made.tick()
            made.run_until(made.all_held, START + timedelta(days=60))
            worker.contracts.record(made.session(NOAH).id, contract(clock(), "Introduce Noah to Priya"))
            made.tick()
            yield made
            browser.close()
        worker.close()
