"""A manager with five reports on real servers, with web pages, and a Chromium that reaches them.

The calendar server, the mail server and the page server are real; the clock is stepped. The first conversation with
each report has just been held, and the mail that asks for its contract lies in the manager's mailbox.
"""

import re
from collections.abc import Callable, Iterator
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
#: The browser resolves this host name to the page server by itself, without DNS.
BASE_URL = "http://longarc.test"
NOAH = "noah@corp.example"
#: Each test that records a contract takes another report. That of the last one is recorded from the beginning, for
#: tests that only look at pages.
REPORTS = (SAM, KIM, ALEX, LEE, NOAH)
#: When the conversation with the first report begins, on a Monday; each next one is a day later.
FIRST_CONVERSATION = START + timedelta(days=21, hours=3)
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@dataclass
class CompanyOnServers:
    """The company with its worker, its servers and a browser."""

    worker: Worker
    clock: SteppedClock
    servers: EmbeddedServers
    browser: Browser

    # --- time ---

    def tick(self) -> None:
        self.worker.tick()

    def run_until(self, is_done: Callable[[], bool], limit: datetime) -> None:
        """Advance the clock from one due instant to the next until `is_done()`. Fails at `limit`."""
        while not is_done():
            assert self.clock() < limit
            due_instants = [at for at in self.worker.tick() if at is not None]
            self.clock.move_to(max(min(due_instants), self.clock() + timedelta(seconds=1)))

    def are_all_held(self) -> bool:
        """Whether the first conversation with each report was held."""
        return all(self.session(report).state is SessionState.HELD for report in REPORTS)

    # --- what the company has ---

    def session(self, report: str) -> Session:
        """The first conversation with that report."""
        sessions = self.worker.store.queries.list_sessions(PairId(DANA, report))
        return next(session for session in sessions if session.kind is SessionKind.CAREER)

    def mails(self, who: str, subject: str = "") -> list[EmailMessage]:
        """The mails in somebody's mailbox, oldest first."""
        files = maildir.list_messages(get_mailbox_path(self.servers.mail_folder, who))
        read = [BytesParser(policy=default).parsebytes(path.read_bytes()) for path in files]
        return [mail for mail in read if isinstance(mail, EmailMessage) and subject in str(mail["Subject"])]

    def link(self, who: str, about: str) -> str:
        """The link in the newest mail to `who` whose text contains `about`."""
        for mail in reversed(self.mails(who)):
            body = mail.get_body(("plain",))
            text = body.get_content() if body else ""
            match = re.search(rf"{re.escape(BASE_URL)}/in/\S+", text)
            if match and about in text:
                return match[0]
        raise AssertionError(f"no link for {who} about {about}")

    def blocks(self, report: str) -> list[Event]:
        """The events on the manager's calendar for the manager's commitments to that report."""
        keys = {commitment.key for commitment in self.commitments(report, Owner.MANAGER)}
        window = Span(self.clock() - timedelta(days=2), self.clock() + timedelta(days=200))
        provider = self.worker.services.get_calendar("caldav")
        return [
            event for event in provider.changes(DANA, None, window).events if event.key in keys and not event.cancelled
        ]

    def commitments(self, report: str, owner: Owner) -> list[Commitment]:
        commitments = self.worker.store.queries.list_commitments(PairId(DANA, report))
        return [commitment for commitment in commitments if commitment.owner is owner]

    # --- the browser ---

    @contextmanager
    def open_page(self, size: dict[str, int] | None = None, **options: Any) -> Iterator[Page]:
        """Open a page in a browser context with its own cookies, with further options of Playwright.

        At the end, assert that no script failed and that nothing violated the Content Security Policy.
        """
        context: BrowserContext = self.browser.new_context(viewport=size or DESKTOP, **options)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)  # pages are slow while other tests use the machine
        expect.set_options(timeout=30_000)
        page, complaints = context.new_page(), []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if "Security Policy" in line.text else None)
        yield page
        context.close()
        assert complaints == []


@contextmanager
def run_company(folder: Path) -> Iterator[CompanyOnServers]:
    """Start the servers and the browser, and let the five conversations be held.

    The contract with the last report is recorded.
    """
    people = {address: person(address, calendar="caldav", mail="smtp") for address in (DANA, *REPORTS)}
    clock = SteppedClock(START)
    with EmbeddedServers(folder, list(people), zones=dict.fromkeys(people, "Europe/Berlin")) as servers:
        url = f"sqlite:///{folder / 'longarc.db'}"
        company_settings = settings(
            url,
            operator=OPERATOR,
            base_url=BASE_URL,
            mail={"from": "longarc@corp.example", "operator_by": "smtp"},
            # the calendar server sends no invitations, so Longarc puts a copy on each report's calendar
            calendars={"caldav": {"url": servers.caldav_url, "attendee_copies": True}},
            mailers={"smtp": {"host": servers.smtp_host, "port": servers.smtp_port, "security": "none"}},
            # the clock stands still between steps, so that all requests of a test fall into one minute
            pages={"listen": "127.0.0.1:0", "per_minute": 10_000},
        )
        store = new_store(url)
        store.migrate()
        store.people.apply_import(people, pairs(*(pair(DANA, report, start=START.date()) for report in REPORTS)), START)
        worker = build(company_settings, clock, store=store, holder="company")
        with PageServer(worker) as pages, sync_playwright() as playwright:
            resolver_rule = f"MAP longarc.test:80 127.0.0.1:{pages.port}"
            arguments = [
                "--no-sandbox",
                f"--host-resolver-rules={resolver_rule}",
                "--disable-dev-shm-usage",
                "--disable-gpu",
            ]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            company = CompanyOnServers(worker, clock, servers, browser)
            company.tick()
            # Each pair asks for another time: by itself, the program spreads first conversations over weeks.
            for day, report in enumerate(REPORTS):
                start = FIRST_CONVERSATION + timedelta(days=day)
                requested_time = Span(start, start + timedelta(minutes=75))
                worker.actions.request_another_time(company.session(report).id, requested_time)
            company.tick()
            company.run_until(company.are_all_held, START + timedelta(days=60))
            worker.contracts.record(company.session(NOAH).id, contract(clock(), "Introduce Noah to Priya"))
            company.tick()
            yield company
            browser.close()
        worker.close()
