"""Hostile days: workers killed, a database server restarted, calendar and mail servers out of order, mail dropped after
it was taken, clocks that jump ahead and back. Meanwhile people record contracts and ask for other times.

Afterwards there is one event and one copy for each session, no ghost, and no mail is lost. None is doubled but the
summary of a contract, which goes once more under the same Message-ID when nobody knows whether it went out.

Three processes work on one PostgreSQL; Radicale and an SMTP server live outside of them and of the kills.
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
#: The first day goes into bookings, the others begin when what was booked is near.
NEAR = datetime.fromisoformat("2026-09-28T06:00Z")


class Fault(StrEnum):
    """What may go wrong at an instant."""

    KILL = "kills"
    CALENDARS_OUT = "requests that Radicale refused"
    MAIL_DROPPED = "mails taken and dropped"
    RESTART = "restarts of the database server"
    MAIL_OUT = "mails that the SMTP server refused"
    CLOCK_AHEAD = "clocks some hours ahead"
    CLOCK_BEHIND = "clocks some minutes behind"


@dataclass(slots=True)
class Weather:
    """What goes wrong just now, and how often it really did."""

    faults: set[Fault] = field(default_factory=set)
    met: Counter[Fault] = field(default_factory=Counter)

    def strikes(self, fault: Fault) -> bool:
        self.met[fault] += fault in self.faults
        return fault in self.faults

    def around(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The calendar server, which answers 503 while it is out of order."""

        def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            if not self.strikes(Fault.CALENDARS_OUT):
                return app(environ, start)
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []

        return serve

    def hang_up(self, take: Callable[..., Any]) -> Callable[..., Any]:
        """Hanging up before a mail is taken, or after it and before a word of it."""

        async def handle(postbox: Any, server: Any, session: Any, envelope: Any) -> Any:
            if self.strikes(Fault.MAIL_OUT):
                server.transport.abort()
                return "451 out of order"
            answer = await take(postbox, server, session, envelope)
            if self.strikes(Fault.MAIL_DROPPED):
                server.transport.abort()
            return answer

        return handle


@dataclass(slots=True)
class Chaos(CrashCompany):
    """A company on PostgreSQL that three processes work for."""

    url: str = ""

    def store(self) -> Store:
        return new_store(self.url, KEY)

    def command(self, name: str, step: list[Any], offset: timedelta = timedelta()) -> dict[str, Any]:
        return {
            "database": self.url,
            **self.servers.sections,
            "pairs": self.pairs,
            "at": (self.at + offset).isoformat(),
            "steps": [step],
            "log": str(self.folder / f"log-{name}"),
            "errors": str(self.folder / f"errors-{name}"),
        }

    def do(self, commands: list[dict[str, Any]]) -> list[int]:
        """Have these done at once; how each ended. In order, by a kill, or because the database was out of reach."""
        codes = self.starter.run_together(commands, 300)
        for code, command in zip(codes, commands, strict=True):
            said = Path(command["errors"]).read_text()
            assert "Traceback" not in said, said
            is_explained = code == 1 and said.splitlines()[-1].startswith(OUT_OF_REACH)
            assert code in (0, KILLED) or is_explained, (code, said)
        return codes

    def work(self) -> list[int]:
        """Have all of them work at this instant, and nothing go wrong."""
        return self.do([self.command(str(number), ["tick_despite_outage"]) for number in range(PROCESSES)])

    def lines(self, wanted: str) -> int:
        """How many lines of all that the processes told begin so."""
        told = (line for log in self.folder.glob("log-*") for line in log.read_text().splitlines())
        return sum(line.startswith(wanted) for line in told)


@pytest.fixture
def weather(monkeypatch: MonkeyPatch) -> Weather:
    made = Weather()
    monkeypatch.setattr(embedded._MailHandler, "handle_DATA", made.hang_up(embedded._MailHandler.handle_DATA))
    return made


@pytest.fixture
def chaos(weather: Weather, postgres: Postgres, tmp_path: Path) -> Iterator[Chaos]:
    starter = ProcessStarter()
    servers = OwnServers(tmp_path / "servers", [], wrap_caldav=weather.around)
    url = postgres.migrated()
    postgres.keep_commits(url)
    with servers:
        yield Chaos(starter, servers, tmp_path / "chaos", None, "chaos", PAIRS, url=url)
    starter.close()


#: At the first instants: what is sure to stand in the way of what is done then.
OPENING = (
    {Fault.MAIL_OUT, Fault.CLOCK_AHEAD},
    {Fault.MAIL_DROPPED, Fault.CLOCK_BEHIND},
    {Fault.CALENDARS_OUT},
    {Fault.KILL, Fault.RESTART},
)


def choose_faults(dice: random.Random, number: int) -> set[Fault]:
    """One of them in turn, and now and then others with it; kills half of the time, since an idle process may pass
    too few boundaries to reach the one at which it would be killed."""
    if number < len(OPENING):
        return OPENING[number]
    chances = {fault: 0.5 if fault is Fault.KILL else 0.1 for fault in Fault}
    return {list(Fault)[number % len(Fault)]} | {fault for fault in Fault if dice.random() < chances[fault]}


def live_through(chaos: Chaos, weather: Weather, postgres: Postgres, dice: random.Random) -> None:
    """One instant, with whatever goes wrong at it."""
    offsets = [timedelta(seconds=dice.randrange(-60, 60)) for _ in range(PROCESSES)]
    offsets[1] += dice.randrange(2, 7) * HOUR * weather.strikes(Fault.CLOCK_AHEAD)
    offsets[2] -= dice.randrange(3, 30) * MINUTE * weather.strikes(Fault.CLOCK_BEHIND)
    commands = [chaos.command(str(number), ["tick_despite_outage"], offset) for number, offset in enumerate(offsets)]
    if Fault.KILL in weather.faults:
        for command in commands:
            command["kill"] = dice.randrange(dice.choice((2, 6, 30)))
    if Fault.RESTART in weather.faults:
        commands[0]["restart"] = {**postgres.restart(dice.choice(("fast", "immediate"))), "after": dice.randrange(4)}
    people = chaos.command("people", ["act", dice.randrange(2**32)])
    weather.met[Fault.KILL] += chaos.do([*commands, people]).count(KILLED)
    weather.met[Fault.RESTART] = chaos.lines("restarted")


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_hostile_days_lose_nothing_and_double_only_summaries(
    chaos: Chaos, weather: Weather, postgres: Postgres
) -> None:
    began, dice, rounds = monotonic(), random.Random(7), 0
    assert chaos.do([chaos.command("people", ["people"])]) == [0]
    days = timedelta()
    while days < DAYS * DAY or weather.met[Fault.KILL] < KILLS or not has_met_all(chaos, weather):
        weather.faults = choose_faults(dice, rounds)
        live_through(chaos, weather, postgres, dice)
        passed = dice.choice((STEP, STEP, 11 * MINUTE, 2 * STEP))
        chaos.at, days, rounds = chaos.at + passed, days + passed, rounds + 1
        if days > DAY / 2:
            chaos.at = max(chaos.at, NEAR)
        assert rounds < 40 * DAYS, weather.met
    weather.faults = set()
    for _ in range(3):
        chaos.at += 4 * HOUR  # a clock that was ahead may have taken something into its hands for so long
        assert chaos.work() == [0] * PROCESSES
    check_events(chaos)
    doubled = check_mails_of(chaos)
    acts = {name: chaos.lines(f"acted {name}") for name in ("_record_contract", "_ask_for_another_time")}
    figures = {
        **{fault.value: weather.met[fault] for fault in Fault},
        "outages waited through": chaos.lines("waited for the database"),
        "pairs": PAIRS,
        "simulated days": round((days + 12 * HOUR) / DAY, 1),
        "rounds": rounds,
        "contracts recorded": acts["_record_contract"],
        "sessions deferred": acts["_ask_for_another_time"],
        "mails": sum(len(chaos.mails(email)) for email in chaos.people),
        "summaries doubled": doubled,
        "events": sum(len(chaos.events(manager)) for manager, _ in chaos.pairs),
        "seconds": round(monotonic() - began),
    }
    sys.stdout.write(f"{figures}\n")


def has_met_all(chaos: Chaos, weather: Weather) -> bool:
    """Whether each fault happened at least once, and people recorded a contract meanwhile."""
    return all(weather.met[fault] for fault in Fault) and chaos.lines("acted _record_contract") > 0


def check_mails_of(chaos: Chaos) -> int:
    """Each mail that is done is there once, by its Message-ID; a summary may be there twice. How many are."""
    messages = {message_id(m.key): m for m in chaos.messages() if m.name and m.to in chaos.people}
    sent = Counter(str(mail["Message-ID"]) for email in chaos.people for mail in chaos.mails(email))
    done = {one for one, message in messages.items() if message.progress is EffectProgress.DONE}
    uncertain = {one for one, message in messages.items() if message.progress is EffectProgress.UNCERTAIN}
    assert done <= sent.keys() <= done | uncertain
    doubled = [one for one, count in sent.items() if count > 1]
    assert {(messages[one].name, sent[one]) for one in doubled} <= {("contract_summary", 2)}
    assert not [m.key for m in chaos.messages() if m.progress is EffectProgress.DEAD]
    assert not [m.key for m in chaos.messages() if m.is_live and m.due_at <= chaos.at]
    return len(doubled)


def message_id(key: str) -> str:
    """It follows from the key of the message in the outbox alone."""
    return f"<{sha256(key.encode()).hexdigest()[:32]}@corp.example>"
