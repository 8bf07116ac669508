"""The command `longarc`: what it does to the database, what it says, and that bad input ends in a clear line."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from tests.support import ROOT
from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, new_store
from tests.support.terminal import BERLIN, PAIR, PEOPLE, SECRET, Terminal, berlin_time, record_held
from worker.cli import main
from worker.clock import utcnow
from worker.commands.base import describe_failure
from worker.domain.model import AliasSource, PairId, PersonAlias, Reason, SessionKind, SessionState, Span, Trigger
from worker.domain.time.worktime import find_holiday
from worker.errors import LongarcError
from worker.store import tables

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
    others = {name for name in ours - before if name not in sys.stdlib_module_names}
    assert {name for name in others if not name.startswith("_sysconfigdata")} == {"worker"}  # zoneinfo's, of Python
    assert not (ours - before) & {"getpass", "socket", "sqlite3", "subprocess", "tempfile", "urllib3"}


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_explains_itself_and_takes_the_settings(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "--config FILE" in result.output


def test_the_commands_of_the_design_are_there() -> None:
    named = "run check plan status why coverage sessions contract commitment talk defer held not-held pause resume"
    more = "rollout undo export forget people simulate key rotate connect serve revoke example retry note learning"
    more += " init backup restore completion man"
    assert set(f"{named} {more}".split()) == set(main.commands)
    assert {"template", "record", "show"} == set(main.commands["contract"].commands)  # type: ignore[attr-defined]
    listed = set(main.commands["commitment"].commands)  # type: ignore[attr-defined]
    assert listed == {"list", "done", "change", "let-go"}
    assert {"add", "show"} == set(main.commands["note"].commands)  # type: ignore[attr-defined]


def test_as_a_module_and_as_a_command_it_ends_with_the_same_codes(fresh_terminal: Terminal) -> None:
    def code(*words: str) -> int:
        env = {**os.environ, "LONGARC_CONFIG": str(fresh_terminal.folder / "longarc.toml")}
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
        ("undo", "--json"),
        ("simulate", "--people", "nowhere.csv", "--from", "2027-01-01", "--out", "x"),
    ],
    ids=" ".join,
)
def test_misuse_ends_with_2_and_a_word_on_what_is_right(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert "Error: " in terminal.error_of(*words, code=2)


def test_settings_are_named_before_or_after_the_command_or_lie_where_you_are(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(terminal.folder / "longarc.toml")
    runner = CliRunner(env={"LONGARC_CONFIG": None})
    monkeypatch.chdir(terminal.folder)
    for words in (["--config", config, "status"], ["status", "--config", config], ["status"]):
        assert runner.invoke(main, words).exit_code == 0, words
    assert "nowhere.toml" in terminal.error_of("status", "--config", "nowhere.toml")


def test_everything_wrong_with_the_settings_is_told_at_once(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("longarc.toml", 'peeple = "x"\n[rules]\nahead = 9\n[smtp]\n')
    said = fresh_terminal.error_of("status").splitlines()
    assert [line.partition(": ")[0] for line in said] == ["longarc.toml:1", "longarc.toml:3", "longarc.toml:4"]
    assert "Did you mean `people`?" in said[0]


def test_servers_of_our_own_need_ports_before_anything_is_written(fresh_terminal: Terminal) -> None:
    (fresh_terminal.folder / "own").mkdir()
    fresh_terminal.write("own/longarc.toml", f'database = "{fresh_terminal.url}"\n')
    said = fresh_terminal.error_of("run", "--embedded", str(fresh_terminal.folder / "own"))
    assert said.splitlines() == [said]
    assert said.startswith(f"longarc: {fresh_terminal.folder / 'own' / 'longarc.toml'} names no port for the calendars")
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_without_a_database_a_command_says_so_and_makes_none(fresh_terminal: Terminal) -> None:
    for words in (("status",), ("why", "c1"), ("talk", SAM, "--trigger", "doubt")):
        said = fresh_terminal.error_of(*words)
        assert said.splitlines() == [said]
        assert "There is no database yet" in said
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_a_database_that_is_none_or_out_of_reach_is_one_clear_line(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("longarc.db", "this is not a database, however long one looks at it" * 99)
    said = fresh_terminal.error_of("status")
    assert said.splitlines() == [said]
    assert "database" in said
    fresh_terminal.env["LONGARC_DATABASE_URL"] = "postgresql://longarc:hunter2@127.0.0.1:9/longarc"
    for command in ("status", "run"):
        said = fresh_terminal.error_of(command)
        assert "can't be reached" in said.splitlines()[0]
        assert "hunter2" not in said


def test_r23_an_error_nobody_foresaw_does_not_repeat_what_was_said() -> None:
    assert describe_failure(ValueError(SECRET)).startswith("longarc: an unexpected error (ValueError)")
    assert SECRET not in describe_failure(KeyError(SECRET))
    assert describe_failure(LongarcError("That is so.")) == "longarc: That is so."


def test_r23_of_what_a_database_says_only_the_reason_is_shown(tmp_path: Path) -> None:
    store = new_store(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(OperationalError) as raised, store.database.write() as connection:
        connection.execute(text("SELECT :said FROM nowhere"), {"said": SECRET})
    assert SECRET not in str(raised.value), "not in a traceback either"
    assert describe_failure(raised.value) == "longarc: the database can't be used: no such table: nowhere."
    store.close()
    for error in (
        sqlite3.OperationalError("attempt to write a readonly database"),
        psycopg.errors.AdminShutdown(f"attempt to write a readonly database\nLINE 1: {SECRET}"),
        psycopg.errors.ReadOnlySqlTransaction(f"attempt to write a readonly database\nDETAIL: {SECRET}"),
    ):
        assert describe_failure(error) == "longarc: the database can't be used: attempt to write a readonly database."
    for other in (psycopg.errors.InvalidTextRepresentation(f"no number: {SECRET}"), sqlite3.IntegrityError(SECRET)):
        assert "an unexpected error" in describe_failure(other)
        assert SECRET not in describe_failure(other)


# --- how things are named ---


@pytest.mark.parametrize("words", [[PAIR], [DANA, SAM], [SAM], [SAM.upper()], [f"{DANA} > {SAM}"]], ids=" ".join)
def test_a_pair_is_named_in_any_of_three_ways(terminal: Terminal, words: list[str]) -> None:
    assert terminal.output_of("pause", *words).startswith(f"{PAIR} is paused")


def test_whoever_is_not_known_is_told_with_who_may_be_meant(terminal: Terminal) -> None:
    assert f"Did you mean {SAM}?" in terminal.error_of("pause", "samm@corp.example")
    assert f"Did you mean {PAIR}?" in terminal.error_of("pause", DANA, "samm@corp.example")
    assert "Name the report" in terminal.error_of("pause", DANA)
    for words in (("why",), ("defer",), ("held",), ("not-held",), ("contract", "show"), ("contract", "template")):
        said = terminal.error_of(*words, "c0unknown")
        assert said == "longarc: There is no session c0unknown. `longarc sessions` lists the sessions there are."
    assert "There is no commitment p0" in terminal.error_of("commitment", "done", "p0")


def test_somebody_who_is_not_in_the_roster_is_looked_for_there(terminal: Terminal) -> None:
    """Sessions say nothing of somebody who has none."""
    for words in (("retry", "nobody@x"), ("sessions", "--person", "nobody@x")):
        assert terminal.error_of(*words) == (
            "longarc: Nobody in the roster is nobody@x. `longarc people` reads the roster, and shows what it would "
            "change."
        )


def test_names_are_never_read_as_markup_or_control(terminal: Terminal) -> None:
    terminal.write("people.csv", PEOPLE.replace(",Sam,", ",[red]Sam[/red],"))
    terminal.output_of("people", "--apply")
    assert "[red]Sam[/red]" in terminal.output_of("contract", "template", terminal.booked_session().id)
    terminal.error_of("why", "c\x1b[31m")
    assert "\x1b" not in terminal.run("why", "c\x1b[31m").output


# --- looking ---


def test_sessions_are_listed_in_the_managers_time(terminal: Terminal) -> None:
    session = terminal.booked_session()
    there = session.span.start.astimezone(BERLIN)
    line = next(line for line in terminal.output_of("sessions").splitlines() if session.id in line)
    assert f"{there:%a} {there.day} {there:%b %Y %H:%M}" in line
    told = {one["session"]: one for one in terminal.json_of("sessions", "--pair", SAM)}
    assert told[session.id]["start"] == f"{session.start:%Y-%m-%dT%H:%M:%SZ}"
    assert {one["pair"] for one in told.values()} == {PAIR}
    assert {one["pair"] for one in terminal.json_of("sessions", "--person", KIM)} == {f"{DANA}>{KIM}"}
    assert f"Did you mean {KIM}?" in terminal.error_of("sessions", "--person", "kimm@corp.example")
    assert terminal.error_of("sessions", "--person", "nope", "--json").startswith(
        "longarc: Nobody in the roster is nope."
    )


def test_a_person_may_be_named_by_an_alias(terminal: Terminal) -> None:
    store = terminal.open_store()
    persons, listed = (
        store.people.load_current_people(),
        {k: p for k, p in store.people.load_all_pairs().items() if not p.ended},
    )
    forms = [
        PersonAlias("s.okafor@corp.example", SAM, AliasSource.PEOPLE_FILE),
        PersonAlias("77", DANA, AliasSource.LEARNED),
    ]
    store.people.apply_import(persons, listed, utcnow(), forms)
    store.close()
    wanted = terminal.json_of("sessions", "--pair", SAM)
    assert wanted and terminal.json_of("sessions", "--pair", "S.Okafor@corp.example") == wanted
    assert terminal.json_of("sessions", "--pair", "77 > s.okafor@corp.example") == wanted
    assert terminal.json_of("sessions", "--person", "s.okafor@corp.example") == terminal.json_of(
        "sessions", "--person", SAM
    )


def test_why_tells_the_story_in_order(terminal: Terminal) -> None:
    held = next(one for one in terminal.sessions() if one.held_at)
    story = terminal.json_of("why", held.id)
    assert [one["at"] for one in story] == sorted(one["at"] for one in story)
    states = [one["state"] for one in story if one["what"] == "session"]
    assert states == ["booked", "held", "unfinished"]
    told = terminal.output_of("why", held.id)
    assert told.index("on the calendar") < told.index("mail to the manager: brief") < told.index("counts as held")
    assert "Europe/Berlin" in told


def test_status_tells_what_waits_and_what_needs_a_person(terminal: Terminal) -> None:
    assert "Start `longarc run`." in terminal.output_of("status")
    assert "Start a worker with `longarc run`. Nothing else needs a person." in terminal.output_of("status", "--all")
    store = terminal.open_store()
    with store.database.write() as connection:
        first = select(tables.outbox.c.key).where(tables.outbox.c.name == "brief").limit(1).scalar_subquery()
        change = tables.outbox.update().where(tables.outbox.c.key == first)
        connection.execute(change.values(progress="uncertain", problem="the line broke"))
        owed = tables.session.update().where(tables.session.c.id == terminal.booked_session().id)
        connection.execute(
            owed.values(
                state="owed", start=None, end=None, unplaceable=(Reason("verbatim", {"words": "Dana is never there."}),)
            )
        )
    store.people.suspend(DANA, utcnow() + HOUR)
    store.close()
    told = terminal.json_of("status")
    assert [(one["progress"], one["name"]) for one in told["troubled"]] == [("uncertain", "brief")]
    assert [one["reason"] for one in told["unplaceable"]] == ["Dana is never there."]
    assert [one["person"] for one in told["suspended"]] == [DANA]
    for options in ((), ("--all",)):
        words = terminal.output_of("status", *options)
        for wanted in ("the line broke", "Dana is never there.", f"{DANA}: no access", "eeds a person"):
            assert wanted in words


# --- what people say ---


def test_talk_keeps_the_reason_sealed(terminal: Terminal) -> None:
    """R-6: why is never written where anyone but the manager can read it."""
    said = terminal.output_of("talk", SAM, "--trigger", "leaving", "--reason", "-", given=SECRET)
    session = said.partition(":")[0]
    found = terminal.session(session)
    assert (found.adhoc, found.urgent, found.state) == (True, True, SessionState.OWED)
    assert SECRET not in said
    store = terminal.open_store()
    assert store.content.get_trigger(session) == (Trigger.LEAVING, SECRET)
    store.close()
    everything = b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))
    assert SECRET.encode() not in everything
    assert b"leaving" not in everything


def test_a_check_in_needs_no_reason(terminal: Terminal) -> None:
    session = terminal.output_of("talk", DANA, SAM, "--check-in").partition(":")[0]
    assert terminal.session(session).kind is SessionKind.CHECKIN


def test_defer_takes_a_time_of_the_managers_clock(terminal: Terminal) -> None:
    session = terminal.booked_session()
    wish = (utcnow() + 30 * DAY).astimezone(BERLIN).replace(hour=10, minute=0, second=0)
    told = terminal.output_of("defer", session.id, "--at", f"{wish:%Y-%m-%d %H:%M}", "--minutes", "60")
    assert f"{wish:%H:%M}, 60 minutes (Europe/Berlin)" in told
    moved = terminal.session(session.id)
    assert (moved.start, moved.span.minutes, moved.by_hand) == (wish, 60, True)


def test_defer_to_a_time_when_somebody_does_not_work_says_so(terminal: Terminal) -> None:
    """R-9: it is booked all the same, for a person asked for it."""
    session = terminal.booked_session()
    people = (terminal.folder / "people.csv").read_text().splitlines()
    people[0] += ",working_hours"
    people[1:] = [f"{one},Mon-Sun {'04:00-17:00' if one.startswith(DANA) else '09:00-17:00'}" for one in people[1:]]
    terminal.write("people.csv", "\n".join(people))
    terminal.output_of("people", "--apply")
    days = ((utcnow() + n * DAY).astimezone(BERLIN).date() for n in count(30))
    wish = next(day for day in days if find_holiday("DE", day) is None)
    for hour, whose in ((3, "Dana and Sam"), (5, "Sam"), (10, "")):
        told = terminal.output_of("defer", session.id, "--at", f"{wish:%Y-%m-%d} {hour:02}:00", "--minutes", "60")
        assert f"{hour:02}:00, 60 minutes (Europe/Berlin)" in told
        assert ("outside the working hours" in told) is bool(whose)
        assert not whose or f"That is outside the working hours of {whose}." in told
        assert terminal.session(session.id).by_hand


def test_defer_without_a_time_leaves_it_to_us(terminal: Terminal) -> None:
    session = terminal.booked_session().id
    terminal.output_of("defer", session)
    assert (terminal.session(session).state, terminal.session(session).count) == (SessionState.DEFERRED, 1)


def test_r18_defer_keeps_the_reports_reason_sealed_and_both_are_told(terminal: Terminal) -> None:
    """R-18: who asks is stored, what they say is sealed; a command that writes in somebody's name tells both."""
    session = terminal.booked_session().id
    told = terminal.output_of("defer", session, "--on-behalf-of", SAM, "--reason", "-", given=SECRET)
    assert "must be scheduled again" in told and SECRET not in told
    (lost,) = terminal.read_database()["deferral"]
    assert lost.who == SAM and lost.explained_at is not None
    store = terminal.open_store()
    assert store.content.load_deferral_reasons([session]) == {session: {1: SECRET}}
    store.close()
    rows = terminal.read_database()
    assert [(row.what, row.on_behalf_of) for row in rows["access"]] == [("defer", SAM)]
    assert {row.to for row in rows["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(rows) and SECRET not in terminal.output_of("why", session)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))


def test_defer_stores_who_asks(terminal: Terminal) -> None:
    terminal.output_of("defer", terminal.booked_session().id, "--on-behalf-of", DANA)
    rows = terminal.read_database()
    assert [(lost.who, lost.explained_at) for lost in rows["deferral"]] == [(DANA, None)] and rows["access"] == []


def test_defer_refuses_a_reason_that_nobody_or_the_manager_gives(terminal: Terminal) -> None:
    """R-38: and nothing has moved then."""
    session, before = terminal.booked_session().id, terminal.read_database()
    said = ("--reason", SECRET)
    assert "--on-behalf-of PERSON" in terminal.error_of("defer", session, *said, code=2)
    assert "Leave --reason out" in terminal.error_of("defer", session, "--on-behalf-of", DANA, *said)
    assert "neither of the two" in terminal.error_of("defer", session, "--on-behalf-of", KIM, *said)
    assert "takes no --reason" in terminal.error_of("defer", session, "--next-quarter", *said, code=2)
    assert terminal.read_database() == before


def test_defer_takes_one_of_the_times_held(terminal: Terminal) -> None:
    session = terminal.booked_session()
    assert "no times are reserved" in terminal.error_of("defer", session.id, "--option", "1")
    starts = [session.span.start + n * DAY for n in (1, 2, 3)]
    reserved = tuple(Span(start, start + HOUR) for start in starts)
    store = terminal.open_store()
    with store.database.write() as connection:
        offer = {"options": reserved, "offered_until": starts[0] - HOUR}
        connection.execute(tables.session.update().where(tables.session.c.id == session.id).values(offer))
    store.close()
    assert "3 times are reserved" in terminal.error_of("defer", session.id, "--option", "4")
    assert "longarc defer" in terminal.output_of("why", session.id)
    terminal.output_of("defer", session.id, "--option", "2")
    assert terminal.session(session.id).start == starts[1]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2020-01-06 10:00", "past"),
        ("2030-03-31 02:30", "clocks"),
        ("2099-01-05 10:00", "is too far ahead. Give a time"),
    ],
)
def test_defer_refuses_what_cannot_be(terminal: Terminal, at: str, why: str) -> None:
    session = terminal.booked_session()
    assert why in terminal.error_of("defer", session.id, "--at", at)
    assert terminal.session(session.id) == session


@pytest.mark.parametrize("year", ["0001", "1969", "2100", "9999"])
def test_a_time_of_no_year_that_anybody_means_is_misused(terminal: Terminal, year: str) -> None:
    session = terminal.booked_session()
    for words in (("held", session.id), ("defer", session.id)):
        assert "the years 2000 to 2099" in terminal.error_of(*words, "--at", f"{year}-01-01 10:00", code=2)
    assert "that long ago" in terminal.error_of("held", session.id, "--at", "2020-01-06 10:00")
    assert terminal.session(session.id) == session


def test_held_and_not_held(terminal: Terminal) -> None:
    session = record_held(terminal)
    assert terminal.session(session).state is SessionState.HELD
    assert "future" in terminal.error_of("held", terminal.sessions()[-1].id, "--at", berlin_time(utcnow() + 9 * DAY))
    terminal.output_of("not-held", session)
    assert terminal.session(session).state is SessionState.DEFERRED
    assert "already recorded" in terminal.output_of("not-held", session)


def test_retry_lifts_a_suspension(terminal: Terminal) -> None:
    terminal.booked_session()
    store = terminal.open_store()
    for person in (DANA, KIM):
        store.people.suspend(person, utcnow() + HOUR)
    assert "longarc retry --all" in " ".join(terminal.output_of("status").split())
    assert "it was not suspended" not in terminal.output_of("retry", DANA)
    assert set(store.people.load_suspensions()) == {KIM}
    assert "it was not suspended" in terminal.output_of("retry", DANA)
    terminal.output_of("retry", "--all")
    assert not store.people.load_suspensions()
    store.close()
    terminal.error_of("retry", "nobody@corp.example")


def test_pause_and_resume(terminal: Terminal) -> None:
    def active() -> bool:
        store = terminal.open_store()
        found = store.people.load_all_pairs()[PairId.parse(PAIR)].is_active
        store.close()
        return found

    terminal.output_of("pause", SAM)
    assert not active()
    terminal.output_of("resume", SAM)
    assert active()


def test_the_start_is_measured_against_click_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import startup

    monkeypatch.setattr(startup, "RUNS", 1)
    told = dict(startup.measure())
    assert told["`python -c 'import click'`"].endswith("(1.00 times click alone)")
    assert set(told) == set(startup.COMMANDS)
