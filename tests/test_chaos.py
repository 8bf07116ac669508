"""Hostile days: workers killed, a database that cuts its connections, servers out of order, mail dropped after it was
taken, clocks that differ. Afterwards one event and one copy for each session, no ghost, no mail lost, none doubled.

Three processes work on one PostgreSQL; Radicale and an SMTP server live outside of them and of the kills. At each
instant all three work at once, so that no lease runs out under a process that lives.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest import MonkeyPatch
from sqlalchemy import create_engine, make_url, text

from tests.conftest import Postgres
from tests.test_crash import KILLED, Child, Ours, Story, check_events
from tests.worlds import DAY, HOUR, KEY, MINUTE, new_store
from worker import embedded
from worker.domain.model import Message, Progress
from worker.store import Store

FULL = os.environ.get("LONGARC_PROOF") == "full"
PAIRS, DAYS, STEP, KILLS = (60, 14, 2 * HOUR, 60) if FULL else (2, 1, 8 * HOUR, 2)
PROCESSES = 3


class Weather:
    """What is out of order just now, and how often it stood in the way."""

    def __init__(self) -> None:
        self.calendars_out = False
        self.drops_mail = False
        self.met: Counter[str] = Counter()

    def around(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """The calendar server, which answers 503 while it is out of order."""

        def served(environ: dict[str, Any], start: Callable[..., Any]) -> Any:
            if not self.calendars_out:
                return app(environ, start)
            self.met["calendar"] += 1
            start("503 Service Unavailable", [("Content-Length", "0")])
            return []

        return served

    def dropping(self, take: Callable[..., Any]) -> Callable[..., Any]:
        """Taking a mail, and then hanging up before a word of it."""

        async def handle(postbox: Any, server: Any, session: Any, envelope: Any) -> Any:
            answer = await take(postbox, server, session, envelope)
            if self.drops_mail:
                self.met["mail"] += 1
                server.transport.abort()
            return answer

        return handle


@dataclass(slots=True)
class Chaos(Story):
    """A company on PostgreSQL that three processes work for."""

    url: str = ""

    def store(self) -> Store:
        return new_store(self.url, KEY)

    def work(self, kills: list[int | None], offsets: list[timedelta]) -> list[int]:
        """Have all of them work at this instant, each with its own clock; how each of them ended."""
        commands = [
            {
                "database": self.url,
                **self.servers.sections,
                "pairs": self.pairs,
                "at": (self.at + offset).isoformat(),
                "steps": [["tick"]],
                "kill": kill,
                "log": str(self.folder / f"told{number}"),
            }
            for number, (kill, offset) in enumerate(zip(kills, offsets, strict=True))
        ]
        return self.child.do_together(commands, 300)

    def begin(self) -> None:
        command = {
            "database": self.url,
            **self.servers.sections,
            "pairs": self.pairs,
            "at": self.at.isoformat(),
            "steps": [["people"]],
            "kill": None,
            "log": str(self.folder / "told"),
        }
        assert self.child.do(command) == 0


@pytest.fixture
def weather(monkeypatch: MonkeyPatch) -> Weather:
    made = Weather()
    monkeypatch.setattr(embedded._Postbox, "handle_DATA", made.dropping(embedded._Postbox.handle_DATA))
    return made


@pytest.fixture
def chaos(weather: Weather, postgres: Postgres, tmp_path: Path) -> Iterator[Chaos]:
    child = Child()
    servers = Ours(tmp_path / "servers", [], around=weather.around)
    with servers:
        yield Chaos(child, servers, tmp_path / "chaos", "chaos", PAIRS, url=postgres.migrated())
    child.close()


def cut_connections(url: str) -> None:
    """What a restart of the database is to those who are connected."""
    address = make_url(url)
    engine = create_engine(address.set(drivername="postgresql+psycopg", database="postgres"))
    with engine.connect() as connection:
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(cut), {"name": address.database})
    engine.dispose()


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_hostile_days_lose_nothing_and_double_nothing(chaos: Chaos, weather: Weather) -> None:
    dice = random.Random(7)
    chaos.begin()
    end, ended, cuts = chaos.at + DAYS * DAY, Counter[int](), 0
    while chaos.at < end or ended[KILLED] < KILLS:
        weather.calendars_out, weather.drops_mail = dice.random() < 0.15, dice.random() < 0.15
        cut = dice.random() < 0.15
        kills = [dice.randrange(40) if dice.random() < 0.5 else None for _ in range(PROCESSES)]
        offsets = [timedelta(seconds=dice.randrange(-60, 60)) for _ in range(PROCESSES)]
        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(chaos.work, kills, offsets)
            while cut and not working.done():
                cut_connections(chaos.url)
                cuts += 1
                cut = cuts % 3 != 0
            codes = working.result()
        ended.update(codes)
        assert set(codes) <= {0, 1, KILLED}
        chaos.at += dice.choice((STEP, STEP, 11 * MINUTE, 3 * STEP))  # now and then a clock jumps
        assert chaos.at < end + 100 * DAY, ended
    weather.calendars_out = weather.drops_mail = False
    for _ in range(6):
        chaos.at += HOUR
        assert chaos.work([None] * PROCESSES, [timedelta()] * PROCESSES) == [0] * PROCESSES
    assert ended[KILLED] >= KILLS
    check_events(chaos)
    check_no_mail_lost(chaos)


def check_no_mail_lost(chaos: Chaos) -> None:
    """Each mail once, by its Message-ID; of what is uncertain at most one, and nothing is left undone."""
    messages: list[Message] = [m for m in chaos.messages() if m.name and m.to in chaos.people]
    progress = Counter(m.progress for m in messages)
    sent = Counter(str(mail["Message-ID"]) for email in chaos.people for mail in chaos.mails(email))
    assert progress[Progress.DONE] <= len(sent) <= progress[Progress.DONE] + progress[Progress.UNCERTAIN], progress
    assert set(sent.values()) == {1}
    assert progress[Progress.DEAD] == 0
    assert [m.key for m in chaos.messages() if m.live and m.due_at <= chaos.at] == []
