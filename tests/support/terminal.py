"""A terminal in which tests run commands: a folder with settings, people and a database of some weeks of use."""

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
#: A pair as commands take and print it.
PAIR = f"{DANA}>{SAM}"
#: Content of a conversation, which no output may contain unless a command asks for it.
SECRET = "Ruth in the Oslo office"
#: Commands that open or change contracts and commitments name on whose behalf they are run, and a reason.
WHY = "She is travelling and asked by telephone"
BEHALF = ("--on-behalf-of", DANA, "--reason", WHY)
RECORD, SHOW = (("contract", name, *BEHALF) for name in ("record", "show"))
DONE, CHANGE, LET_GO = (("commitment", name, *BEHALF) for name in ("done", "change", "let-go"))
LIST_WORDS = ("commitment", "list", "--words", *BEHALF)

PEOPLE_CSV = f"""\
email,name,manager,time_zone,country,calendar,mail
{DANA},Dana,,Europe/Berlin,DE,memory,memory
{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory
{KIM},Kim,{DANA},Europe/Berlin,DE,memory,memory
"""


@dataclass(slots=True)
class Terminal:
    """A folder with settings, people and, after the first run, a database, in which commands are run."""

    folder: Path
    env: dict[str, str] = field(default_factory=lambda: {"LONGARC_KEY": KEY, "COLUMNS": "160"})

    @property
    def url(self) -> str:
        return f"sqlite:///{self.folder / 'longarc.db'}"

    def write(self, name: str, text: str) -> str:
        """Write a file of the folder, and return its path."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return str(self.folder / name)

    def write_settings(self) -> None:
        """Write the settings and the people file."""
        self.write("people.csv", PEOPLE_CSV)
        sender = '[mail]\nfrom = "longarc@corp.example"\noperator_by = "memory"\n'
        self.write("longarc.toml", f'database = "{self.url}"\noperator = "ops@corp.example"\n{sender}')

    def run(self, *arguments: str, given: str | None = None) -> Result:
        """Run a command. `given`: what is typed at its prompts."""
        env = {"LONGARC_CONFIG": str(self.folder / "longarc.toml"), **self.env}
        result = CliRunner().invoke(main, arguments, input=given, env=env)
        assert "Traceback" not in result.output
        return result

    def output_of(self, *arguments: str, given: str | None = None) -> str:
        """Run a command that succeeds, and return its standard output."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == 0, result.output
        assert SECRET not in result.stderr
        return result.stdout

    def json_of(self, *arguments: str) -> Any:
        """Run a command with `--json`, and return the value that it prints."""
        return json.loads(self.output_of(*arguments, "--json"))

    def error_of(self, *arguments: str, given: str | None = None, code: int = 1) -> str:
        """Run a command that fails with this exit code, and return its standard error."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == code, result.output
        assert SECRET not in result.output
        return result.stderr.strip()

    def open_store(self) -> Store:
        return new_store(self.url)

    def sessions(self, kind: SessionKind = SessionKind.CAREER) -> list[Session]:
        """The sessions of Dana and Sam of that kind."""
        store = self.open_store()
        sessions = [session for session in store.queries.list_sessions(PairId.parse(PAIR)) if session.kind is kind]
        store.close()
        return sessions

    def session(self, session_id: str) -> Session:
        store = self.open_store()
        session = store.queries.get_session(session_id)
        store.close()
        assert session is not None
        return session

    def booked_session(self) -> Session:
        """The booked career session of Dana and Sam."""
        return next(session for session in self.sessions() if session.booked)

    def read_database(self) -> dict[str, list[Any]]:
        """The rows of each table of the database."""
        store = self.open_store()
        with store.database.read() as connection:
            rows = {table.name: list(connection.execute(select(table))) for table in tables.metadata.sorted_tables}
        store.close()
        return rows


@pytest.fixture(scope="session", name="saved_database")
def build_saved_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a company of three after eighty days in which nobody answered or changed anything."""
    file = tmp_path_factory.mktemp("saved") / "longarc.db"
    store = new_store(f"sqlite:///{file}")
    store.migrate()
    store.close()
    now = utcnow()
    start = (now - 80 * DAY).replace(hour=6, minute=0, second=0)
    both_pairs = pairs(*(pair(report=report, first_seen=start.date()) for report in (SAM, KIM)))
    office = Office(f"sqlite:///{file}", people(DANA, SAM, KIM), both_pairs, at=start)
    office.run_to(now)
    office.close()
    return file


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    """Undo what a command changes in logging: it sets logging up for its process, which is here that of the tests."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


@pytest.fixture(name="fresh_terminal")
def create_fresh_terminal(tmp_path: Path) -> Terminal:
    """A terminal before the first run: with settings and people, without a database."""
    terminal = Terminal(tmp_path)
    terminal.write_settings()
    return terminal


@pytest.fixture(name="terminal")
def create_terminal(fresh_terminal: Terminal, saved_database: Path) -> Terminal:
    """A terminal with a copy of the saved database."""
    shutil.copy(saved_database, fresh_terminal.folder / "longarc.db")
    return fresh_terminal


def write_contract_file(terminal: Terminal, promise: str = f"Introduce Sam to {SECRET}", days: int = 20) -> str:
    """Write a contract whose commitments are due in so many days, and return the file's path."""
    due = f"{utcnow() + days * DAY:%Y-%m-%d}"
    return terminal.write(
        "contract.md",
        f"## Their commitments\n- Draft one page on direction by {due}\n## Manager's commitments\n"
        f"- {promise} by {due}\n## What we will review\n- {due[:7]}: the page\n## The open question\nWhat next?\n",
    )


def berlin_time(instant: datetime) -> str:
    """The date and time in Berlin, as commands take and print times."""
    return f"{instant.astimezone(BERLIN):%Y-%m-%d %H:%M}"


def hold_booked_session(terminal: Terminal) -> str:
    """Record that Dana and Sam held their booked session an hour ago, and return its id."""
    session_id = terminal.booked_session().id
    terminal.output_of("held", session_id, "--at", berlin_time(utcnow() - HOUR))
    return session_id


@pytest.fixture(name="contract_terminal")
def create_contract_terminal(terminal: Terminal) -> Terminal:
    """A terminal in which Dana and Sam have recorded a contract."""
    terminal.output_of(*RECORD, hold_booked_session(terminal), write_contract_file(terminal), "--yes")
    return terminal
