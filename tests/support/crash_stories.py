"""Companies whose process is killed with SIGKILL in the middle of its work, while calendar and mail servers go on.

Here are the processes, the servers, and the checks of what has to be true in the end.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import select as sql_select

from tests.doubles.google import Google
from tests.doubles.graph import CLIENT, Double
from tests.doubles.graph import make_section as app_section
from tests.doubles.graph.login import APP_RIGHTS, Application, make_certificate, write_parts
from tests.support import ROOT
from tests.support.companies import DAY, OPERATOR, START, new_store
from worker.domain.model import Effect, EffectProgress, Event, PairId, Span
from worker.embedded import EmbeddedServers, get_mailbox_path
from worker.providers import base, maildir
from worker.providers.google.auth import EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE
from worker.store import rows, tables
from worker.store.store import Store

#: The exit code of a process that SIGKILL ended.
KILLED = -9


# --- the process that is killed ---


class ProcessStarter:
    """Has `tests.support.crash_child` fork a process for each command, and returns the exit codes of the processes."""

    def __init__(self) -> None:
        self._running = self._start()

    @staticmethod
    def _start() -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )

    def run(self, command: dict[str, Any], patience: float = 60) -> int:
        """Carry out a command; return the exit code, negative for a signal. `patience` is in seconds."""
        return self.run_together([command], patience)[0]

    def run_together(self, commands: Sequence[dict[str, Any]], patience: float = 60) -> list[int]:
        """Carry out commands at once, each by a process of its own; return the exit codes."""
        try:
            return self._ask(commands, patience)
        except BaseException:  # a late answer must not be read as that of the next command
            self._start_anew()
            raise

    def _ask(self, commands: Sequence[dict[str, Any]], patience: float) -> list[int]:
        assert self._running.stdin and self._running.stdout
        self._running.stdin.write(json.dumps(commands) + "\n")
        self._running.stdin.flush()
        ready, _, _ = select.select([self._running.stdout], [], [], patience)
        assert ready, "the process did not end"
        return [int(code) for code in self._running.stdout.readline().split()]

    def _start_anew(self) -> None:
        """Kill the process and those that it forked, and start another."""
        assert self._running.stdin and self._running.stdout
        os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait(30)
        self._running.stdout.close()
        with suppress(BrokenPipeError):
            self._running.stdin.close()
        self._running = self._start()

    def close(self) -> None:
        assert self._running.stdin and self._running.stdout
        self._running.stdin.close()
        self._running.wait(30)
        self._running.stdout.close()


class Servers(Protocol):
    """A calendar service and a mail service, which outlive every kill."""

    mail_folder: Path

    @property
    def sections(self) -> dict[str, Any]:
        """The part of a command that names the two services and gives their sections of the settings."""

    def add_person(self, person: str, zone: str = "") -> None: ...

    def folders(self, person: str) -> list[Path]:
        """Return the folders with everything that the servers keep of a person; none when it is in memory."""


class OwnServers(EmbeddedServers):
    """The servers that come with Longarc."""

    @property
    def sections(self) -> dict[str, Any]:
        return {
            "calendar": "caldav",
            "calendar_section": {"url": self.caldav_url, "attendee_copies": True},
            "mailer": "smtp",
            "mailer_section": {"host": "127.0.0.1", "port": self.smtp_port, "security": "none"},
        }

    def folders(self, person: str) -> list[Path]:
        return [self._folder / "calendars" / "collection-root" / person, get_mailbox_path(self.mail_folder, person)]


class GoogleServers(Google):
    """The double of Google. It keeps our Message-IDs, unlike Gmail, so that tests can tell mails apart."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.mail_folder = folder / "mail"
        self._key = folder / "key.json"
        self._key.write_text(json.dumps(self.tokens.add_service_account()))
        self.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        self.gmail.rewrites_message_id = False  # the Message-IDs
        self.gmail.deliver = self._deliver
        self.add_person("longarc@corp.example")

    def _deliver(self, to: str, content: bytes) -> None:
        maildir.write_message(get_mailbox_path(self.mail_folder, to), content)

    def add_person(self, person: str, zone: str = "") -> None:
        self.calendars.add_person(person, zone or "UTC")

    def folders(self, person: str) -> list[Path]:
        return []

    @property
    def sections(self) -> dict[str, Any]:
        shared = {"service_account": str(self._key), "token_endpoint": f"{self.url}/token"}
        return {
            "calendar": "google",
            "calendar_section": {**shared, "endpoint": f"{self.url}/calendar/v3/"},
            "mailer": "google",
            "mailer_section": {**shared, "endpoint": f"{self.url}/"},
        }


class OutlookServers(Double):
    """The double of Microsoft 365; mails are sent as drafts, so that none is sent twice."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.mail_folder = folder / "mail"
        self._secret = folder / "app.pem"

    def __enter__(self) -> "OutlookServers":
        super().__enter__()
        self.mails.take = self._deliver
        self.add_person("longarc@corp.example")
        key, public = make_certificate("longarc")
        write_parts(self._secret.parent, self._secret.name, key, public)
        rights = (*APP_RIGHTS, "Mail.ReadWrite")
        self.login.applications[CLIENT] = Application(CLIENT, rights, certificates=[public])
        return self

    def _deliver(self, content: bytes) -> None:
        message = BytesParser(_class=EmailMessage, policy=default).parsebytes(content)
        for one in message["To"].addresses:
            maildir.write_message(get_mailbox_path(self.mail_folder, one.addr_spec), content)

    def add_person(self, person: str, zone: str = "") -> None:
        self.world.add_person(person, zone or "UTC")

    def folders(self, person: str) -> list[Path]:
        return []

    @property
    def sections(self) -> dict[str, Any]:
        usual = app_section(self)
        shared = {name: usual[name] for name in ("endpoint", "authority", "tenant", "client_id", "ca_file")}
        return {
            "calendar": "outlook",
            "calendar_section": {**shared, "certificate": str(self._secret)},
            "mailer": "outlook",
            "mailer_section": {"exactly_once": True},
        }


# --- one company ---


@dataclass(slots=True)
class CrashCompany:
    """One or more pairs, each a manager and a report, with a database of their own; `at` is the time on their clock."""

    starter: ProcessStarter
    servers: Servers
    folder: Path
    schema: Path | None  #: a SQLite file with our tables and nothing in them, to be copied; None for PostgreSQL
    name: str
    count: int = 1  #: of pairs
    at: datetime = START
    log_lines: list[str] = field(default_factory=list)  #: of the last process

    def __post_init__(self) -> None:
        self.folder.mkdir()
        if self.schema:
            shutil.copy(self.schema, self.folder / "longarc.db")
        for email in self.people:
            self.servers.add_person(email, "Europe/Berlin")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return [(f"dana{n}.{self.name}@corp.example", f"sam{n}.{self.name}@corp.example") for n in range(self.count)]

    @property
    def people(self) -> list[str]:
        return [email for one in self.pairs for email in one]

    def run_process(self, steps: Sequence[Sequence[str]], kill: int | None = None) -> int:
        """Have a process do these steps, or be killed after `kill` boundaries; return its exit code.

        A step is the name of a step of `crash_child.WorkerProcess` and its arguments: `["record"]`. A boundary is the
        moment before or after a call to the database, the calendar or the mail server: see `crash_child.WRAPPED`.
        """
        log = self.folder / "log"
        before = len(log.read_text().splitlines()) if log.exists() else 0
        code = self.starter.run(self.describe_work(steps, kill))
        self.log_lines = log.read_text().splitlines()[before:]
        for line in self.log_lines:
            if line.startswith("at "):
                self.at = max(self.at, datetime.fromisoformat(line[3:]))
        return code

    def describe_work(self, steps: Sequence[Sequence[str]], kill: int | None = None) -> dict[str, Any]:
        """Return the command for a process that does these steps."""
        return {
            "database": f"sqlite:///{self.folder / 'longarc.db'}",
            **self.servers.sections,
            "pairs": self.pairs,
            "at": self.at.isoformat(),
            "steps": steps,
            "kill": kill,
            "log": str(self.folder / "log"),
        }

    @property
    def boundaries(self) -> list[str]:
        """The boundaries that the last process passed, in order."""
        return [line.removeprefix("boundary ") for line in self.log_lines if line.startswith("boundary ")]

    # --- the result ---

    def store(self) -> Store:
        return new_store(f"sqlite:///{self.folder / 'longarc.db'}")

    def effects(self) -> list[Effect]:
        """Return all rows of the outbox."""
        store = self.store()
        with store.database.read() as connection:
            query = sql_select(tables.outbox).order_by(tables.outbox.c.id)
            effects = [rows.read_effect(row) for row in connection.execute(query).mappings()]
        store.close()
        return effects

    def events(self, address: str) -> list[Event]:
        """Return our events on that calendar, as the server has them, by start."""
        organizers = {manager for manager, _ in self.pairs}
        section = {**self.servers.sections["calendar_section"], "organizers": lambda _: organizers}
        provider = base.load_factory(base.CALENDAR_FACTORIES, self.servers.sections["calendar"])(section)
        listed = provider.changes(address, None, Span(START - DAY, START + 300 * DAY)).events
        provider.close()
        return sorted((event for event in listed if event.key), key=lambda event: event.span)

    def mails(self, address: str) -> list[EmailMessage]:
        paths = maildir.list_messages(get_mailbox_path(self.servers.mail_folder, address))
        return [BytesParser(_class=EmailMessage, policy=default).parsebytes(path.read_bytes()) for path in paths]


class PreparedCompanies:
    """Gives out companies that have done the same steps.

    Where the servers keep files, one company does the steps, and its files are restored for each further use. Where
    they keep everything in memory, each company does the steps itself.
    """

    def __init__(self, starter: ProcessStarter, servers: Servers, folder: Path, schema: Path, name: str) -> None:
        self._make_company = partial(CrashCompany, starter, servers, schema=schema)
        self._folder, self._name, self._numbers = folder, name, count()
        self._first: CrashCompany | None = None
        self._at = START
        self._kept: list[tuple[Path, Path]] = []  #: folders, each with its copy

    def prepare(self, steps: Sequence[Sequence[str]]) -> CrashCompany:
        """Return a company that has done these steps, and nothing else; they are the same at each call."""
        if self._first and self._kept:
            return self._put_back(self._first)
        number = next(self._numbers)
        company = self._make_company(folder=self._folder / str(number), name=f"{self._name}-{number}")
        assert company.run_process(steps) == 0
        if self._first is None:
            self._first, self._at = company, company.at
            self._keep(company)
        return company

    def _keep(self, company: CrashCompany) -> None:
        folders = [folder for email in company.people for folder in company.servers.folders(email)]
        if folders:
            self._kept = [(folder, self._folder / "kept" / str(number)) for number, folder in enumerate(folders)]
            self._kept.append((company.folder, self._folder / "kept" / "database"))
        for folder, kept in self._kept:
            if folder.exists():
                shutil.copytree(folder, kept)

    def _put_back(self, company: CrashCompany) -> CrashCompany:
        for folder, kept in self._kept:
            if folder.exists():
                shutil.rmtree(folder)
            if kept.exists():
                shutil.copytree(kept, folder)
        company.at, company.log_lines = self._at, []
        return company


def check_end(company: CrashCompany) -> None:
    """Check that each session and block has one event, and each mail went out once, or twice with the same Message-ID.

    A mail of which nobody knows whether it went out is in the outbox as uncertain.
    """
    check_events(company)
    check_mails(company)
    assert not [effect.key for effect in company.effects() if effect.is_pending], "something is left undone"


def check_events(company: CrashCompany) -> None:
    """Check that calendars show the booked sessions and open blocks, and nothing else that is of ours and to come."""
    store = company.store()
    sessions = store.queries.list_sessions()
    commitments = store.queries.list_commitments()
    store.close()
    for manager, report in company.pairs:
        mine = [s for s in sessions if s.pair == PairId(manager, report)]
        expected_spans = {s.key: s.span for s in mine if s.booked}
        own = [c for c in commitments if c.pair == PairId(manager, report)]
        expected_spans |= {c.key: c.block for c in own if c.block and c.is_open}
        past = {s.key for s in mine if s.held_at}
        on_calendar = company.events(manager)
        ahead = [event for event in on_calendar if event.key not in past]
        assert [event.key for event in ahead] == [
            key for key, _ in sorted(expected_spans.items(), key=lambda one: one[1])
        ]
        assert {event.key: event.span for event in ahead} == expected_spans
        booked = {s.key: s.span for s in mine if s.booked}
        copies = {event.key: event.span for event in company.events(report) if event.key not in past}
        assert copies == booked, "the report's calendar shows something else"


def check_mails(company: CrashCompany) -> None:
    """Check each mail by its Message-ID, which is computed from the outbox key alone."""
    sent = Counter(str(mail["Message-ID"]) for email in company.people for mail in company.mails(email))
    counts = {EffectProgress.DONE: 0, EffectProgress.UNCERTAIN: 0}  # a mail with another progress is an error
    summaries = lost_alerts = 0
    for effect in company.effects():
        if effect.name == "operator_alert":
            lost_alerts += effect.progress is EffectProgress.UNCERTAIN
        elif effect.name and effect.progress is not EffectProgress.DROPPED:
            counts[effect.progress] += 1
            summaries += effect.name == "contract_summary"
    repeated = sum(count - 1 for count in sent.values())
    assert counts[EffectProgress.DONE] <= len(sent) <= sum(counts.values())
    assert max(sent.values(), default=1) <= 2 and repeated <= summaries
    alerts = {
        effect.key
        for effect in company.effects()
        if effect.name == "operator_alert" and effect.key.endswith(":uncertain")
    }
    # an alert with this key only counts further alerts
    alerts -= {key for key in alerts if key.startswith("operator_alert:more:")}
    assert len(alerts) == counts[EffectProgress.UNCERTAIN], "the operator was not told of each uncertain mail"
    assert not alerts or lost_alerts or company.mails(OPERATOR)
