"""The command `longarc`: what it does to the database, what it says, and that bad input ends in a clear line."""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from sqlalchemy import select

from tests.worlds import DANA, DAY, HOUR, KEY, KIM, SAM, Office, new_store, pair, pairs, people
from worker.cli import main
from worker.clock import utcnow
from worker.commands.base import in_words
from worker.domain.model import Kind, Session, State, Trigger
from worker.errors import LongarcError
from worker.store import Store, tables

ROOT = Path(__file__).resolve().parent.parent
BERLIN = ZoneInfo("Europe/Berlin")
PAIR = f"{DANA}>{SAM}"
#: Words that nobody but the two may ever read.
SECRET = "Ruth in the Oslo office"

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

    def sessions(self, kind: Kind = Kind.CAREER) -> list[Session]:
        store = self.store()
        found = [one for one in store.register.sessions(PAIR) if one.kind is kind]
        store.close()
        return found

    def session(self, session_id: str) -> Session:
        store = self.store()
        found = store.register.session(session_id)
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


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def _logging_stays() -> Iterator[None]:
    """A command sets up logging for its own process; here it is ours."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before


@pytest.fixture
def fresh(tmp_path: Path) -> Desk:
    """Before the first run: settings and people, no database."""
    desk = Desk(tmp_path)
    desk.settle_in()
    return desk


@pytest.fixture
def desk(fresh: Desk, lived: Path) -> Desk:
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


# --- the command itself ---


def commands(group: click.Group = main, *before: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*before, name)
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


def test_help_imports_nothing_that_help_does_not_need() -> None:
    listed = "; print(*{name.partition('.')[0] for name in sys.modules})"
    asks = "import sys, click, worker.cli\ntry: worker.cli.main(['--help'])\nexcept SystemExit: print()"

    def modules(code: str) -> set[str]:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        return set(done.stdout.splitlines()[-1].split())

    ours = modules(asks + "\n" + listed.lstrip("; "))
    before = modules("import sys, click" + listed)
    assert {name for name in ours - before if name not in sys.stdlib_module_names} == {"worker"}


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself_and_takes_the_settings(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "--config FILE" in result.output


def test_the_commands_of_the_design_are_there() -> None:
    named = "run check plan status why coverage sessions contract commitment talk defer held not-held pause resume"
    assert set(f"{named} people simulate key rotate demo".split()) == set(main.commands)
    assert {"template", "record", "show"} == set(main.commands["contract"].commands)  # type: ignore[attr-defined]
    listed = set(main.commands["commitment"].commands)  # type: ignore[attr-defined]
    assert listed == {"list", "done", "change", "let-go"}


def test_as_a_module_and_as_a_command_it_ends_with_the_same_codes(fresh: Desk) -> None:
    def code(*words: str) -> int:
        env = {**os.environ, "LONGARC_CONFIG": str(fresh.folder / "longarc.toml")}
        done = subprocess.run(
            [sys.executable, "-m", "worker", *words], cwd=ROOT, env=env, capture_output=True, check=False
        )
        return done.returncode

    assert (code("key"), code("status"), code("defer", "c1", "--at", "soon")) == (0, 1, 2)


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("why",),
        ("defer", "c1", "--at", "tomorrow"),
        ("defer", "c1", "--at", "2027-02-30 10:00"),
        ("defer", "c1", "--minutes", "60"),
        ("defer", "c1", "--at", "2027-03-01 10:00", "--option", "1"),
        ("talk", SAM),
        ("talk", SAM, "--trigger", "boredom"),
        ("talk", SAM, "--check-in", "--trigger", "doubt"),
        ("people", "--force"),
        ("commitment", "change", "p1"),
        ("commitment", "list", "--words"),
        ("coverage", "--quarter", "summer"),
        ("pause", "a@x.com", "b@x.com", "c@x.com"),
        ("run", "--embedded", "x", "--config", "y"),
        ("simulate", "--people", "nowhere.csv", "--from", "2027-01-01", "--out", "x"),
    ],
    ids=" ".join,
)
def test_misuse_ends_with_2_and_a_word_on_what_is_right(desk: Desk, words: tuple[str, ...]) -> None:
    assert "Error: " in desk.refused(*words, code=2)


def test_settings_are_named_before_or_after_the_command_or_lie_where_you_are(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(desk.folder / "longarc.toml")
    runner = CliRunner(env={"LONGARC_CONFIG": None})
    monkeypatch.chdir(desk.folder)
    for words in (["--config", config, "status"], ["status", "--config", config], ["status"]):
        assert runner.invoke(main, words).exit_code == 0, words
    assert "nowhere.toml" in desk.refused("status", "--config", "nowhere.toml")


def test_everything_wrong_with_the_settings_is_told_at_once(fresh: Desk) -> None:
    fresh.write("longarc.toml", 'peeple = "x"\n[rules]\nahead = 9\n[smtp]\n')
    said = fresh.refused("status").splitlines()
    assert [line.partition(": ")[0] for line in said] == ["longarc.toml:1", "longarc.toml:3", "longarc.toml:4"]
    assert "Did you mean `people`?" in said[0]


def test_without_a_database_a_command_says_so_and_makes_none(fresh: Desk) -> None:
    for words in (("status",), ("why", "c1"), ("talk", SAM, "--trigger", "doubt"), ("people",)):
        said = fresh.refused(*words)
        assert said.splitlines() == [said]
        assert "There is no database yet" in said
    assert not (fresh.folder / "longarc.db").exists()


def test_a_database_that_is_none_or_out_of_reach_is_one_clear_line(fresh: Desk) -> None:
    fresh.write("longarc.db", "this is not a database, however long one looks at it" * 99)
    said = fresh.refused("status")
    assert said.splitlines() == [said]
    assert "database" in said
    fresh.env["LONGARC_DATABASE_URL"] = "postgresql://longarc:hunter2@127.0.0.1:9/longarc"
    for command in ("status", "run"):
        said = fresh.refused(command)
        assert "can't be reached" in said.splitlines()[0]
        assert "hunter2" not in said


def test_r23_an_error_nobody_foresaw_does_not_repeat_what_was_said() -> None:
    assert in_words(ValueError(SECRET)).startswith("longarc: an error that nobody foresaw (ValueError)")
    assert SECRET not in in_words(KeyError(SECRET))
    assert in_words(LongarcError("That is so.")) == "longarc: That is so."


# --- how things are named ---


@pytest.mark.parametrize("words", [[PAIR], [DANA, SAM], [SAM], [SAM.upper()], [f"{DANA} > {SAM}"]], ids=" ".join)
def test_a_pair_is_named_in_any_of_three_ways(desk: Desk, words: list[str]) -> None:
    assert desk.told("pause", *words).startswith(f"{PAIR} rests")


def test_whoever_is_not_known_is_told_with_who_may_be_meant(desk: Desk) -> None:
    assert f"Did you mean {SAM}?" in desk.refused("pause", "samm@corp.example")
    assert f"Did you mean {PAIR}?" in desk.refused("pause", DANA, "samm@corp.example")
    assert "Name the report" in desk.refused("pause", DANA)
    for words in (("why",), ("defer",), ("held",), ("not-held",), ("contract", "show"), ("contract", "template")):
        said = desk.refused(*words, "c0unknown")
        assert said == "longarc: There is no session c0unknown. `longarc sessions` lists those there are."
    assert "There is no commitment p0" in desk.refused("commitment", "done", "p0")


def test_names_are_never_read_as_markup_or_control(desk: Desk) -> None:
    desk.write("people.csv", PEOPLE.replace(",Sam,", ",[red]Sam[/red],"))
    desk.told("people", "--apply")
    assert "[red]Sam[/red]" in desk.told("contract", "template", desk.booked().id)
    desk.refused("why", "c\x1b[31m")
    assert "\x1b" not in desk.run("why", "c\x1b[31m").output


# --- looking ---


def test_sessions_are_listed_in_the_managers_time(desk: Desk) -> None:
    session = desk.booked()
    there = session.span.start.astimezone(BERLIN)
    line = next(line for line in desk.told("sessions").splitlines() if session.id in line)
    assert f"{there:%a} {there.day} {there:%b %Y %H:%M}" in line
    told = {one["session"]: one for one in desk.json("sessions", "--pair", SAM)}
    assert told[session.id]["start"] == f"{session.start:%Y-%m-%dT%H:%M:%SZ}"
    assert {one["pair"] for one in told.values()} == {PAIR}
    assert {one["pair"] for one in desk.json("sessions", "--person", KIM)} == {f"{DANA}>{KIM}"}
    assert desk.json("sessions", "--person", "nobody@corp.example") == []


def test_why_tells_the_story_in_order(desk: Desk) -> None:
    held = next(one for one in desk.sessions() if one.held_at)
    story = desk.json("why", held.id)
    assert [one["at"] for one in story] == sorted(one["at"] for one in story)
    states = [one["state"] for one in story if one["what"] == "session"]
    assert states == ["booked", "held", "unfinished"]
    told = desk.told("why", held.id)
    assert told.index("put on the calendar") < told.index("mail brief") < told.index("taken as held")
    assert "Europe/Berlin" in told


def test_status_tells_what_waits_and_what_needs_a_person(desk: Desk) -> None:
    assert "Nothing needs a person." in desk.told("status")
    store = desk.store()
    with store.database.write() as connection:
        first = select(tables.message.c.key).where(tables.message.c.name == "brief").limit(1).scalar_subquery()
        change = tables.message.update().where(tables.message.c.key == first)
        connection.execute(change.values(progress="uncertain", problem="the line broke"))
        owed = tables.session.update().where(tables.session.c.id == desk.booked().id)
        connection.execute(owed.values(state="owed", start=None, end=None, unplaceable="Dana is never there."))
    store.people.suspend(DANA, utcnow() + HOUR)
    store.close()
    told = desk.json("status")
    assert [(one["progress"], one["name"]) for one in told["troubled"]] == [("uncertain", "brief")]
    assert [one["reason"] for one in told["unplaceable"]] == ["Dana is never there."]
    assert [one["person"] for one in told["suspended"]] == [DANA]
    words = desk.told("status")
    for wanted in ("the line broke", "Dana is never there.", f"{DANA}: no access", "needs a person"):
        assert wanted in words


# --- plan ---


def test_plan_shows_the_first_run_before_there_is_anything(fresh: Desk) -> None:
    told = fresh.told("plan")
    assert "2 to book, 0 to move, 0 to take off, 4 mails to send, for 2 pairs. Nothing was written" in told
    assert "Dana and Kim" in told
    assert "target" in told  # the reason
    assert not (fresh.folder / "longarc.db").exists()


def test_plan_writes_nothing(desk: Desk) -> None:
    desk.told("pause", SAM)
    before = desk.rows()
    (made,) = desk.json("plan")
    assert made["pair"] == PAIR
    assert {one["what"] for one in made["messages"]} >= {"event.cancel"}
    assert desk.rows() == before


def test_plan_says_which_service_it_could_not_ask(fresh: Desk) -> None:
    fresh.write("people.csv", PEOPLE.replace("memory,memory", "caldav,memory"))
    toml = (fresh.folder / "longarc.toml").read_text()
    fresh.write("longarc.toml", toml + '[calendars.caldav]\nurl = "http://127.0.0.1:9/{email}/"\n')
    assert "Nothing answers at http://127.0.0.1:9/" in fresh.refused("plan")


# --- what people say ---


def test_talk_keeps_the_reason_sealed(desk: Desk) -> None:
    """R-6: why is never written where anyone but the manager can read it."""
    said = desk.told("talk", SAM, "--trigger", "leaving", "--reason", "-", given=SECRET)
    session = said.partition(":")[0]
    found = desk.session(session)
    assert (found.adhoc, found.urgent, found.state) == (True, True, State.OWED)
    assert SECRET not in said
    store = desk.store()
    assert store.content.trigger(session) == (Trigger.LEAVING, SECRET)
    store.close()
    everything = b"".join(path.read_bytes() for path in desk.folder.glob("longarc.db*"))
    assert SECRET.encode() not in everything
    assert b"leaving" not in everything


def test_a_check_in_needs_no_reason(desk: Desk) -> None:
    session = desk.told("talk", DANA, SAM, "--check-in").partition(":")[0]
    assert desk.session(session).kind is Kind.CHECKIN


def test_defer_takes_a_time_of_the_managers_clock(desk: Desk) -> None:
    session = desk.booked()
    wish = (utcnow() + 30 * DAY).astimezone(BERLIN).replace(hour=10, minute=0, second=0)
    told = desk.told("defer", session.id, "--at", f"{wish:%Y-%m-%d %H:%M}", "--minutes", "60")
    assert f"{wish:%H:%M}, 60 minutes (Europe/Berlin)" in told
    moved = desk.session(session.id)
    assert (moved.start, moved.span.minutes, moved.by_hand) == (wish, 60, True)


def test_defer_without_a_time_leaves_it_to_us(desk: Desk) -> None:
    session = desk.booked().id
    desk.told("defer", session)
    assert (desk.session(session).state, desk.session(session).count) == (State.DEFERRED, 1)


def test_defer_takes_one_of_the_times_held(desk: Desk) -> None:
    session = desk.booked()
    assert "no times are held" in desk.refused("defer", session.id, "--option", "1")
    starts = [session.span.start + n * DAY for n in (1, 2, 3)]
    held = [(int(one.timestamp()), int((one + HOUR).timestamp())) for one in starts]
    store = desk.store()
    with store.database.write() as connection:
        connection.execute(tables.session.update().where(tables.session.c.id == session.id).values(options=held))
    store.close()
    assert "3 times are held" in desk.refused("defer", session.id, "--option", "4")
    assert "longarc defer" in desk.told("why", session.id)
    desk.told("defer", session.id, "--option", "2")
    assert desk.session(session.id).start == starts[1]


@pytest.mark.parametrize(("at", "why"), [("2020-01-06 10:00", "past"), ("2030-03-31 02:30", "clocks")])
def test_defer_refuses_what_cannot_be(desk: Desk, at: str, why: str) -> None:
    session = desk.booked()
    assert why in desk.refused("defer", session.id, "--at", at)
    assert desk.session(session.id) == session


def test_held_and_not_held(desk: Desk) -> None:
    session = just_held(desk)
    assert desk.session(session).state is State.HELD
    assert "future" in desk.refused("held", desk.sessions()[-1].id, "--at", wall(utcnow() + 9 * DAY))
    desk.told("not-held", session)
    assert desk.session(session).state is State.DEFERRED


def test_pause_and_resume(desk: Desk) -> None:
    def active() -> bool:
        store = desk.store()
        found = store.people.pairs()[PAIR].active
        store.close()
        return found

    desk.told("pause", SAM)
    assert not active()
    desk.told("resume", SAM)
    assert active()


# --- contracts ---


def test_r14_a_contract_is_recorded_shown_and_sealed(desk: Desk) -> None:
    session = just_held(desk)
    told = desk.told("contract", "record", session, contract_file(desk), given="y\n")
    assert "Recorded: 2 commitments" in told
    assert "The summary leaves for both within five minutes" in told
    assert "Its 48 hours end " in told
    assert desk.session(session).state is State.CONTRACTED
    shown = desk.told("contract", "show", session)
    assert f"- Introduce Sam to {SECRET} by " in shown
    assert SECRET not in told + desk.told("why", session) + desk.told("status") + desk.told("commitment", "list")
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in desk.folder.glob("longarc.db*"))


def test_r15_a_late_contract_is_said_to_be_late(desk: Desk) -> None:
    late = next(one for one in desk.sessions() if one.state is State.UNFINISHED)
    assert "Its 48 hours ended " in desk.told("contract", "record", late.id, contract_file(desk), "--yes")


def test_r16_promises_are_questioned_by_line_and_recorded_only_when_confirmed(desk: Desk) -> None:
    session, file = just_held(desk), contract_file(desk, f"Get Sam a promotion, says {SECRET},")
    result = desk.run("contract", "record", session, file, given="n\n")
    assert result.exit_code == 1
    assert f"{file}:4, your own commitment: It promises an outcome that others decide." in result.stdout
    assert "I can advocate" in result.stdout
    assert SECRET not in result.output
    assert desk.session(session).state is State.HELD
    assert "Nothing was recorded" in desk.refused("contract", "record", session, file, given="")
    desk.told("contract", "record", session, file, "--yes")
    assert desk.session(session).state is State.CONTRACTED


def test_a_contract_with_problems_tells_them_all_and_writes_nothing(desk: Desk) -> None:
    session = just_held(desk)
    before = desk.rows()
    file = desk.write("bad.md", f"## Their commitments\n- {SECRET}\n## Manager's commitments\n- x by 2027-02-30\n")
    said = desk.refused("contract", "record", session, file, "--yes")
    assert [line.partition(": ")[0] for line in said.splitlines()][:2] == [f"{file}:2", f"{file}:4"]
    assert len(said.splitlines()) >= 4  # and two headings are missing
    assert desk.rows() == before


def test_a_contract_comes_by_standard_input_with_yes_alone(desk: Desk) -> None:
    session, text = just_held(desk), Path(contract_file(desk)).read_text()
    assert "Nothing was recorded" in desk.refused("contract", "record", session, "-", given=text)
    assert "standard input:2" in desk.refused(
        "contract", "record", session, "-", "--yes", given="## Their commitments\n- x"
    )
    desk.told("contract", "record", session, "-", "--yes", given=text)
    assert desk.session(session).state is State.CONTRACTED


def test_what_is_no_text_or_not_there_is_one_clear_line(desk: Desk) -> None:
    session = just_held(desk)
    (desk.folder / "image.md").write_bytes(b"\x89PNG\xff\xfe")
    assert "This is not UTF-8 text." in desk.refused("contract", "record", session, str(desk.folder / "image.md"))
    assert "can't be read: No such file" in desk.refused("contract", "record", session, "nowhere.md")
    assert "can't be read: Is a directory" in desk.refused("contract", "record", session, str(desk.folder))


def test_r18_a_shown_contract_is_the_next_revision_to_be(desk: Desk) -> None:
    session = just_held(desk)
    desk.told("contract", "record", session, contract_file(desk), "--yes")
    file = desk.write("next.md", desk.told("contract", "show", session).replace("What next?", "And then?"))
    assert "as revision 2" in desk.told("contract", "record", session, file, "--yes")
    assert "And then?" in desk.told("contract", "show", session)
    assert "What next?" in desk.told("contract", "show", session, "--revision", "1")
    assert "none of number 3" in desk.refused("contract", "show", session, "--revision", "3")
    assert len(desk.json("commitment", "list")) == 2  # the same two go on


def test_a_template_says_what_is_still_to_be_written(desk: Desk) -> None:
    session = just_held(desk)
    blank = desk.told("contract", "template", session)
    assert blank.startswith("# Dana and Sam, ")
    assert desk.told("contract", "template").startswith("# Manager and Report, ")
    said = desk.refused("contract", "record", session, desk.write("blank.md", blank), "--yes")
    assert all(re.match(r".*blank\.md:\d+: ", line) for line in said.splitlines())


def test_commitments_are_followed(desk: Desk) -> None:
    session = just_held(desk)
    desk.told("contract", "record", session, contract_file(desk), "--yes")
    mine, theirs = sorted(desk.json("commitment", "list", "--pair", SAM), key=lambda one: str(one["owner"]))
    due = f"{utcnow() + 40 * DAY:%Y-%m-%d}"
    desk.told("commitment", "change", mine["commitment"], "--due", due, "--reason", SECRET)
    desk.told("commitment", "let-go", theirs["commitment"], "--reason", SECRET)
    (left,) = desk.json("commitment", "list")
    assert (left["commitment"], left["due"]) == (mine["commitment"], due)
    assert SECRET in desk.told("commitment", "list", "--pair", SAM, "--words")
    desk.told("commitment", "done", mine["commitment"])
    assert "ended already, as done" in desk.refused("commitment", "done", mine["commitment"])
    assert {one["standing"] for one in desk.json("commitment", "list", "--all")} == {"done", "let_go"}
    assert desk.told("commitment", "list").strip() == "There are none."


# --- keys ---


def test_r23_an_operator_without_the_key_sees_how_it_goes_and_opens_nothing(desk: Desk) -> None:
    session = just_held(desk)
    desk.told("contract", "record", session, contract_file(desk), "--yes")
    for key in ("", Fernet.generate_key().decode()):
        desk.env["LONGARC_KEY"] = key
        for words in (("status",), ("sessions",), ("why", session), ("coverage",), ("plan",), ("commitment", "list")):
            desk.told(*words)
        assert "key" in desk.refused("contract", "show", session)
        before = desk.rows()
        assert "key" in desk.refused("contract", "record", session, contract_file(desk), "--yes")
        assert desk.rows() == before


def test_keys_are_changed_without_losing_a_word(desk: Desk) -> None:
    session, new = just_held(desk), desk.told("key").strip()
    desk.told("contract", "record", session, contract_file(desk), "--yes")
    desk.env["LONGARC_KEY"] = f"{new},{KEY}"
    assert "3 pieces" in desk.told("rotate")
    desk.env["LONGARC_KEY"] = new
    assert SECRET in desk.told("contract", "show", session)


# --- people ---


def test_people_shows_and_applies_what_the_file_changes(desk: Desk) -> None:
    desk.write(
        "people.csv", "\n".join(PEOPLE.splitlines()[:-1]) + f"\nlee@corp.example,Lee,{DANA},UTC,DE,memory,memory\n"
    )
    before = desk.rows()
    told = desk.told("people")
    for wanted in ("1 person joins: lee@corp.example", f"1 person leaves: {KIM}", f"1 pair ends: {DANA}>{KIM}"):
        assert wanted in told
    assert re.search(r"[1-9] events? would be cancelled", told)
    assert desk.rows() == before
    assert "taken over" in desk.told("people", "--apply")
    assert "nothing has changed" in desk.told("people", "--apply")
    assert "Nobody joins or leaves" in desk.told("people")


def test_people_who_would_take_much_away_need_force(desk: Desk) -> None:
    toml = (desk.folder / "longarc.toml").read_text()
    desk.write("longarc.toml", toml + "[rules]\nmax_cancels = 1\n")
    desk.write("people.csv", "\n".join(PEOPLE.splitlines()[:2]) + "\n")
    before = desk.rows()
    assert "--apply --force" in desk.refused("people")
    assert "Nothing was changed" in desk.refused("people", "--apply")
    assert desk.rows() == before
    desk.told("people", "--apply", "--force")
    assert "1 people, 0 active pairs" in desk.told("status")


def test_people_begins_an_empty_company(fresh: Desk) -> None:
    assert "3 people in 2 pairs: taken over" in fresh.told("people", "--apply")
    fresh.write("people.csv", PEOPLE.replace("Europe/Berlin", "Europe/Berln"))
    assert len(fresh.refused("people", "--apply").splitlines()) == 3
    assert "3 people, 2 active pairs" in fresh.told("status")


# --- simulate ---


def simulated(desk: Desk, name: str, *more: str) -> tuple[bytes, bytes, str]:
    out = desk.folder / name
    people = str(desk.folder / "people.csv")
    words = ("simulate", "--people", people, "--from", "2026-03-02", "--days", "45", "--out", str(out))
    told = desk.told(*words, *more)
    assert sorted(path.name for path in out.iterdir()) == ["ledger.jsonl", "summary.txt"]
    return (out / "ledger.jsonl").read_bytes(), (out / "summary.txt").read_bytes(), told


def test_simulate_gives_the_same_bytes_for_the_same_seed(fresh: Desk) -> None:
    one = simulated(fresh, "one", "--people-behave", "busy", "--seed", "7")
    assert simulated(fresh, "two", "--people-behave", "busy", "--seed", "7")[:2] == one[:2]
    assert simulated(fresh, "three", "--people-behave", "busy", "--seed", "8")[0] != one[0]
    lines = [json.loads(line) for line in one[0].splitlines()]
    assert {"event.create", "mail", "session"} <= {line["what"] for line in lines}
    assert "Pairs that met" in one[2]
    assert b"2 of 2" in one[1]


ICS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//
BEGIN:VEVENT
UID:weekly-one
DTSTART:20260302T080000Z
DTEND:20260302T160000Z
RRULE:FREQ=DAILY;COUNT=20
ORGANIZER:mailto:dana@corp.example
ATTENDEE;PARTSTAT=ACCEPTED:mailto:sam@corp.example
END:VEVENT
END:VCALENDAR
"""


def test_simulate_takes_real_calendars_and_refuses_broken_ones(fresh: Desk) -> None:
    folder = fresh.folder / "calendars"
    folder.mkdir()
    (folder / "Sam@corp.example.ics").write_text(ICS)
    ledger = simulated(fresh, "with", "--calendars", str(folder))[0]
    booked = [line for line in map(json.loads, ledger.splitlines()) if line.get("state") == "booked"]
    first = min(line["start"] for line in booked if line["pair"] == PAIR)
    assert first >= "2026-03-22"  # all day, every day until then, both of them are in that meeting
    (folder / "stranger@corp.example.ics").write_text(ICS)
    (folder / f"{KIM}.ics").write_text("BEGIN:VCALENDAR\nnothing that makes sense")
    words = ("--people", str(fresh.folder / "people.csv"), "--from", "2026-03-02", "--out", str(fresh.folder / "bad"))
    said = fresh.refused("simulate", *words, "--calendars", str(folder)).splitlines()
    assert len(said) == 2
    assert KIM in said[0]
    assert "Nobody of that address" in said[1]
    assert not (fresh.folder / "bad").exists()


def test_the_start_is_measured() -> None:
    from bench.startup import COMMANDS, seconds

    assert all(seconds(arguments) < 20 for arguments in COMMANDS.values())
