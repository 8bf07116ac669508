"""Tests that the program survives days with many faults.

Workers are killed, the database server is restarted, calendar and mail servers refuse requests, the connection to the
mail server breaks after a mail was accepted, and clocks are ahead or behind. Meanwhile people record contracts and ask
for other times.

Afterwards there is one event and one copy for each session, no other event of ours, and no mail is lost. Only the
summary of a contract may be sent twice, with the same Message-ID: when it is unknown whether it was sent.

Three processes work on one PostgreSQL. Radicale and an SMTP server run in the process of the test, which is not killed.
"""

import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from pytest import MonkeyPatch

from tests.conftest import Postgres
from tests.support.companies import DAY, HOUR, KEY, MINUTE, new_store
from tests.support.crash_child import OUT_OF_REACH
from tests.support.crash_stories import KILLED, CrashCompany, OwnServers, ProcessStarter, check_events
from tests.support.proof import FULL
from worker import embedded
from worker.domain.model import EffectProgress
from worker.store.store import Store

PAIRS, DAYS, STEP, KILLS = (60, 14, 2 * HOUR, 60) if FULL else (2, 1, 8 * HOUR, 2)
PROCESSES = 3
#: Longer than the leases of a process that was killed, whose work others can then take over.
AFTER_LEASE = 11 * MINUTE
#: After half a day, in which sessions are booked, time jumps to this instant shortly before the first sessions.
FIRST_SESSIONS_NEAR = datetime.fromisoformat("2026-09-28T06:00Z")


class Fault(StrEnum):
    """A kind of fault. Its value names it in the figures that the test prints."""

    KILL = "kills"
    CALENDARS_OUT = "requests that Radicale refused"
    MAIL_DROPPED = "mails taken and dropped"
    RESTART = "restarts of the database server"
    MAIL_OUT = "mails that the SMTP server refused"
    CLOCK_AHEAD = "clocks some hours ahead"
    CLOCK_BEHIND = "clocks some minutes behind"


@dataclass(slots=True)
class FaultInjector:
    """Causes the faults that are active, and counts how often each of them occurred."""

    active: set[Fault] = field(default_factory=set)
    counts: Counter[Fault] = field(default_factory=Counter)

    def is_struck_by(self, fault: Fault) -> bool:
        """Return whether the fault is active. Counts the fault if it is."""
        self.counts[fault] += fault in self.active
        return fault in self.active

    def wrap_calendar_server(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Return a calendar server that answers 503 while CALENDARS_OUT is active."""

        def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            if not self.is_struck_by(Fault.CALENDARS_OUT):
                return app(environ, start)
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []

        return serve

    def wrap_mail_handler(self, accept_mail: Callable[..., Any]) -> Callable[..., Any]:
        """Return a mail handler that closes the connection before a mail is accepted, or after it without an answer."""

        async def handle(postbox: Any, server: Any, session: Any, envelope: Any) -> Any:
            if self.is_struck_by(Fault.MAIL_OUT):
                server.transport.abort()
                return "451 out of order"
            answer = await accept_mail(postbox, server, session, envelope)
            if self.is_struck_by(Fault.MAIL_DROPPED):
                server.transport.abort()
            return answer

        return handle


@dataclass(slots=True)
class PostgresCompany(CrashCompany):
    """A company on PostgreSQL that three processes work for."""

    url: str = ""

    def store(self) -> Store:
        return new_store(self.url, KEY)

    def make_command(self, name: str, step: list[Any], offset: timedelta = timedelta()) -> dict[str, Any]:
        """Return a command for a process: one step, at the current time plus the offset of its clock."""
        return {
            "database": self.url,
            **self.servers.sections,
            "pairs": self.pairs,
            "at": (self.at + offset).isoformat(),
            "steps": [step],
            "log": str(self.folder / f"log-{name}"),
            "errors": str(self.folder / f"errors-{name}"),
        }

    def run_commands(self, commands: list[dict[str, Any]]) -> list[int]:
        """Run these commands at the same time, each in a process. Returns the exit codes.

        A process may end normally, be killed, or fail because the database was unreachable. Other ends fail the test.
        """
        codes = self.starter.run_together(commands, 300)
        for code, command in zip(codes, commands, strict=True):
            error_output = Path(command["errors"]).read_text()
            assert "Traceback" not in error_output, error_output
            was_database_unreachable = code == 1 and error_output.splitlines()[-1].startswith(OUT_OF_REACH)
            assert code in (0, KILLED) or was_database_unreachable, (code, error_output)
        return codes

    def tick_all(self) -> list[int]:
        """Let all processes do what is due now. Returns the exit codes."""
        return self.run_commands([self.make_command(str(n), ["tick_despite_outage"]) for n in range(PROCESSES)])

    def count_log_lines(self, beginning: str) -> int:
        """Return how many lines in the logs of all processes begin with this text."""
        lines = (line for log in self.folder.glob("log-*") for line in log.read_text().splitlines())
        return sum(line.startswith(beginning) for line in lines)


@pytest.fixture
def injector(monkeypatch: MonkeyPatch) -> FaultInjector:
    new_injector = FaultInjector()
    handle_data = new_injector.wrap_mail_handler(embedded._MailHandler.handle_DATA)
    monkeypatch.setattr(embedded._MailHandler, "handle_DATA", handle_data)
    return new_injector


@pytest.fixture(name="company")
def create_company(injector: FaultInjector, postgres: Postgres, tmp_path: Path) -> Iterator[PostgresCompany]:
    starter = ProcessStarter()
    servers = OwnServers(tmp_path / "servers", [], wrap_caldav=injector.wrap_calendar_server)
    url = postgres.take_migrated()
    postgres.keep_commits(url)
    with servers:
        yield PostgresCompany(starter, servers, tmp_path / "chaos", schema=None, name="chaos", count=PAIRS, url=url)
    starter.close()


#: The faults of the first rounds. Each of them is sure to hit something that the processes do in that round.
FIRST_FAULTS = (
    {Fault.MAIL_OUT, Fault.CLOCK_AHEAD},
    {Fault.MAIL_DROPPED, Fault.CLOCK_BEHIND},
    {Fault.CALENDARS_OUT},
    {Fault.KILL, Fault.RESTART},
)


def choose_faults(dice: random.Random, number: int) -> set[Fault]:
    """Return the faults of this round: each fault in turn, and at random others.

    Kills have a chance of one half, since an idle process may end before it reaches the boundary where it is killed.
    """
    if number < len(FIRST_FAULTS):
        return FIRST_FAULTS[number]
    chances = {fault: 0.5 if fault is Fault.KILL else 0.1 for fault in Fault}
    return {list(Fault)[number % len(Fault)]} | {fault for fault in Fault if dice.random() < chances[fault]}


def run_round(company: PostgresCompany, injector: FaultInjector, postgres: Postgres, dice: random.Random) -> None:
    """Let the processes do what is due now while people act and the active faults occur."""
    offsets = [timedelta(seconds=dice.randrange(-60, 60)) for _ in range(PROCESSES)]
    # one clock is ahead and another one behind
    offsets[1] += dice.randrange(2, 7) * HOUR * injector.is_struck_by(Fault.CLOCK_AHEAD)
    offsets[2] -= dice.randrange(3, 30) * MINUTE * injector.is_struck_by(Fault.CLOCK_BEHIND)
    commands = [company.make_command(str(n), ["tick_despite_outage"], offset) for n, offset in enumerate(offsets)]
    if Fault.KILL in injector.active:
        for command in commands:
            # after so many boundaries: most processes pass only some, and others more than twenty
            command["kill"] = dice.randrange(dice.choice((2, 6, 30)))
    if Fault.RESTART in injector.active:
        commands[0]["restart"] = {
            **postgres.make_restart_command(dice.choice(("fast", "immediate"))),
            "after": dice.randrange(4),
        }
    act_as_people = company.make_command("people", ["act", dice.randrange(2**32)])
    injector.counts[Fault.KILL] += company.run_commands([*commands, act_as_people]).count(KILLED)
    injector.counts[Fault.RESTART] = company.count_log_lines("restarted")


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_days_with_faults_lose_no_mail_and_double_only_contract_summaries(
    company: PostgresCompany, injector: FaultInjector, postgres: Postgres
) -> None:
    test_started, dice, rounds = monotonic(), random.Random(7), 0
    assert company.run_commands([company.make_command("people", ["people"])]) == [0]  # imports the people
    simulated_time = timedelta()
    while (
        simulated_time < DAYS * DAY or injector.counts[Fault.KILL] < KILLS or not has_met_all_faults(company, injector)
    ):
        injector.active = choose_faults(dice, rounds)
        run_round(company, injector, postgres, dice)
        step = dice.choice((STEP, STEP, AFTER_LEASE, 2 * STEP))
        company.at, simulated_time, rounds = company.at + step, simulated_time + step, rounds + 1
        if simulated_time > DAY / 2:
            company.at = max(company.at, FIRST_SESSIONS_NEAR)
        assert rounds < 40 * DAYS, injector.counts
    injector.active = set()
    for _ in range(3):
        company.at += 4 * HOUR  # together, longer than a lease of a clock that was up to 6 hours ahead
        assert company.tick_all() == [0] * PROCESSES
    check_events(company)
    doubled_count = check_mails(company)
    figures = {
        **{fault.value: injector.counts[fault] for fault in Fault},
        "outages waited through": company.count_log_lines("waited for the database"),
        "pairs": PAIRS,
        "simulated days": round((simulated_time + 12 * HOUR) / DAY, 1),  # with the hours after the last fault
        "rounds": rounds,
        "contracts recorded": company.count_log_lines("acted _record_contract"),
        "sessions deferred": company.count_log_lines("acted _ask_for_another_time"),
        "mails": sum(len(company.mails(email)) for email in company.people),
        "summaries doubled": doubled_count,
        "events": sum(len(company.events(manager)) for manager, _ in company.pairs),
        "seconds": round(monotonic() - test_started),
    }
    sys.stdout.write(f"{figures}\n")


def has_met_all_faults(company: PostgresCompany, injector: FaultInjector) -> bool:
    """Return whether each fault occurred, and people recorded a contract meanwhile."""
    return all(injector.counts[fault] for fault in Fault) and company.count_log_lines("acted _record_contract") > 0


def check_mails(company: PostgresCompany) -> int:
    """Check by Message-ID that each mail whose effect is done was sent once; a contract summary may be sent twice.

    Returns the number of mails that were sent twice.
    """
    effects = {
        make_message_id(effect.key): effect
        for effect in company.effects()
        if effect.name and effect.to in company.people
    }
    sent = Counter(str(mail["Message-ID"]) for email in company.people for mail in company.mails(email))
    done = {message_id for message_id, effect in effects.items() if effect.progress is EffectProgress.DONE}
    uncertain = {message_id for message_id, effect in effects.items() if effect.progress is EffectProgress.UNCERTAIN}
    assert done <= sent.keys() <= done | uncertain
    doubled = [message_id for message_id, count in sent.items() if count > 1]
    assert {(effects[message_id].name, sent[message_id]) for message_id in doubled} <= {("contract_summary", 2)}
    assert not [effect.key for effect in company.effects() if effect.progress is EffectProgress.DEAD]
    assert not [effect.key for effect in company.effects() if effect.is_pending and effect.due_at <= company.at]
    return len(doubled)


def make_message_id(key: str) -> str:
    """Return the Message-ID of the mail with this key in the outbox."""
    return f"<{sha256(key.encode()).hexdigest()[:32]}@corp.example>"
