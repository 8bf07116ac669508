"""Somebody at a terminal, in a folder with settings, people and a database in the middle of things."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, KEY, KIM, SAM, Office, new_store, pair, pairs, people
from worker.cli import main
from worker.clock import utcnow
from worker.domain.model import PairId, Session, SessionKind
from worker.store import tables
from worker.store.store import Store

BERLIN = ZoneInfo("Europe/Berlin")
#: A pair as a command is given it, and prints it.
PAIR = f"{DANA}>{SAM}"
#: Words that nobody but the two may ever read.
SECRET = "Ruth in the Oslo office"
#: Commands that open or change what the two wrote down say for whom, and why.
WHY = "She is travelling and asked by telephone"
BEHALF = ("--on-behalf-of", DANA, "--reason", WHY)
RECORD, SHOW = (("contract", name, *BEHALF) for name in ("record", "show"))
DONE, CHANGE, LET_GO = (("commitment", name, *BEHALF) for name in ("done", "change", "let-go"))
LIST_WORDS = ("commitment", "list", "--words", *BEHALF)

PEOPLE = f"""\
email,name,manager,time_zone,country,calendar,mail
{DANA},Dana,,Europe/Berlin,DE,memory,memory
{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory
{KIM},Kim,{DANA},Europe/Berlin,DE,memory,memory
"""


@dataclass(slots=True)
class Desk:
    """A folder with settings, people and a database, and somebody at a terminal in it."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"LONGARC_KEY": KEY, "COLUMNS": "160"})

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'longarc.db'}"

    def write(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def settle_in(self) -> None:
        self.write("people.csv", PEOPLE)
        sender = '[mail]\nfrom = "longarc@corp.example"\noperator_by = "memory"\n'
        self.write("longarc.toml", f'database = "{self.url}"\noperator = "ops@corp.example"\n{sender}')

    def run(self, *arguments: str, given: str | None = None) -> Result:
        """What the command says and how it ends."""
        env = {"LONGARC_CONFIG": str(self.folder / "longarc.toml"), **self.env}
        result = CliRunner().invoke(main, arguments, input=given, env=env)
        assert "Traceback" not in result.output
        return result

    def told(self, *arguments: str, given: str | None = None) -> str:
        """What a command that works says."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.stderr
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.told(*arguments, "--json"))

    def refused(self, *arguments: str, given: str | None = None, code: int = 1) -> str:
        """What a command that does not work says, on standard error."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == code, result.output
        assert SECRET not in result.output
        return result.stderr.strip()

    def store(self) -> Store:
        return new_store(self.url)

    def sessions(self, kind: SessionKind = SessionKind.CAREER) -> list[Session]:
        store = self.store()
        found = [one for one in store.queries.list_sessions(PairId.parse(PAIR)) if one.kind is kind]
        store.close()
        return found

    def session(self, session_id: str) -> Session:
        store = self.store()
        found = store.queries.get_session(session_id)
        store.close()
        assert found is not None
        return found

    def booked(self) -> Session:
        """The conversation of Dana and Sam that is to come."""
        return next(one for one in self.sessions() if one.booked)

    def rows(self) -> dict[str, list[Any]]:
        """Everything in the database."""
        store = self.store()
        with store.database.read() as connection:
            found = {t.name: list(connection.execute(select(t))) for t in tables.metadata.sorted_tables}
        store.close()
        return found


@pytest.fixture(scope="session", name="lived")
def lived_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a company of three after eighty days of nobody saying a word."""
    file = tmp_path_factory.mktemp("lived") / "longarc.db"
    store = new_store(f"sqlite:///{file}")
    store.migrate()
    store.close()
    now = utcnow()
    begun = (now - 80 * DAY).replace(hour=6, minute=0, second=0)
    both = pairs(*(pair(report=report, first_seen=begun.date()) for report in (SAM, KIM)))
    office = Office(f"sqlite:///{file}", people(DANA, SAM, KIM), both, at=begun)
    office.run_to(now)
    office.close()
    return file


@pytest.fixture(autouse=True)
def logging_stays() -> Iterator[None]:
    """A command sets up logging for its own process; here it is ours."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


@pytest.fixture(name="fresh")
def fresh_desk(tmp_path: Path) -> Desk:
    """Before the first run: settings and people, no database."""
    desk = Desk(tmp_path)
    desk.settle_in()
    return desk


@pytest.fixture(name="desk")
def lived_at_desk(fresh: Desk, lived: Path) -> Desk:
    """In the middle of things."""
    shutil.copy(lived, fresh.folder / "longarc.db")
    return fresh


def contract_file(desk: Desk, promise: str = f"Introduce Sam to {SECRET}", days: int = 20) -> str:
    due = f"{utcnow() + days * DAY:%Y-%m-%d}"
    return desk.write(
        "contract.md",
        f"## Their commitments\n- Draft one page on direction by {due}\n## Manager's commitments\n"
        f"- {promise} by {due}\n## What we will review\n- {due[:7]}: the page\n## The open question\nWhat next?\n",
    )


def wall(instant: datetime) -> str:
    return f"{instant.astimezone(BERLIN):%Y-%m-%d %H:%M}"


def just_held(desk: Desk) -> str:
    """A conversation of Dana and Sam that ended an hour ago; its id."""
    session = desk.booked().id
    desk.told("held", session, "--at", wall(utcnow() - HOUR))
    return session
