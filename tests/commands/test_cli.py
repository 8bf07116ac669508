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
from tests.support.terminal import BERLIN, PAIR, PEOPLE, SECRET, Desk, just_held, wall
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
        ("undo", "--json"),
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


def test_servers_of_our_own_need_ports_before_anything_is_written(fresh: Desk) -> None:
    (fresh.folder / "own").mkdir()
    fresh.write("own/longarc.toml", f'database = "{fresh.url}"\n')
    said = fresh.refused("run", "--embedded", str(fresh.folder / "own"))
    assert said.splitlines() == [said]
    assert said.startswith(f"longarc: {fresh.folder / 'own' / 'longarc.toml'} names no port for the calendars")
    assert not (fresh.folder / "longarc.db").exists()


def test_without_a_database_a_command_says_so_and_makes_none(fresh: Desk) -> None:
    for words in (("status",), ("why", "c1"), ("talk", SAM, "--trigger", "doubt")):
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
def test_a_pair_is_named_in_any_of_three_ways(desk: Desk, words: list[str]) -> None:
    assert desk.told("pause", *words).startswith(f"{PAIR} is paused")


def test_whoever_is_not_known_is_told_with_who_may_be_meant(desk: Desk) -> None:
    assert f"Did you mean {SAM}?" in desk.refused("pause", "samm@corp.example")
    assert f"Did you mean {PAIR}?" in desk.refused("pause", DANA, "samm@corp.example")
    assert "Name the report" in desk.refused("pause", DANA)
    for words in (("why",), ("defer",), ("held",), ("not-held",), ("contract", "show"), ("contract", "template")):
        said = desk.refused(*words, "c0unknown")
        assert said == "longarc: There is no session c0unknown. `longarc sessions` lists the sessions there are."
    assert "There is no commitment p0" in desk.refused("commitment", "done", "p0")


def test_somebody_who_is_not_in_the_roster_is_looked_for_there(desk: Desk) -> None:
    """Sessions say nothing of somebody who has none."""
    for words in (("retry", "nobody@x"), ("sessions", "--person", "nobody@x")):
        assert desk.refused(*words) == (
            "longarc: Nobody in the roster is nobody@x. `longarc people` reads the roster, and shows what it would "
            "change."
        )


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
    assert f"Did you mean {KIM}?" in desk.refused("sessions", "--person", "kimm@corp.example")
    assert desk.refused("sessions", "--person", "nope", "--json").startswith("longarc: Nobody in the roster is nope.")


def test_a_person_may_be_named_by_an_alias(desk: Desk) -> None:
    store = desk.store()
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
    wanted = desk.json("sessions", "--pair", SAM)
    assert wanted and desk.json("sessions", "--pair", "S.Okafor@corp.example") == wanted
    assert desk.json("sessions", "--pair", "77 > s.okafor@corp.example") == wanted
    assert desk.json("sessions", "--person", "s.okafor@corp.example") == desk.json("sessions", "--person", SAM)


def test_why_tells_the_story_in_order(desk: Desk) -> None:
    held = next(one for one in desk.sessions() if one.held_at)
    story = desk.json("why", held.id)
    assert [one["at"] for one in story] == sorted(one["at"] for one in story)
    states = [one["state"] for one in story if one["what"] == "session"]
    assert states == ["booked", "held", "unfinished"]
    told = desk.told("why", held.id)
    assert told.index("on the calendar") < told.index("mail to the manager: brief") < told.index("counts as held")
    assert "Europe/Berlin" in told


def test_status_tells_what_waits_and_what_needs_a_person(desk: Desk) -> None:
    assert "Start `longarc run`." in desk.told("status")
    assert "Start a worker with `longarc run`. Nothing else needs a person." in desk.told("status", "--all")
    store = desk.store()
    with store.database.write() as connection:
        first = select(tables.outbox.c.key).where(tables.outbox.c.name == "brief").limit(1).scalar_subquery()
        change = tables.outbox.update().where(tables.outbox.c.key == first)
        connection.execute(change.values(progress="uncertain", problem="the line broke"))
        owed = tables.session.update().where(tables.session.c.id == desk.booked().id)
        connection.execute(
            owed.values(
                state="owed", start=None, end=None, unplaceable=(Reason("verbatim", {"words": "Dana is never there."}),)
            )
        )
    store.people.suspend(DANA, utcnow() + HOUR)
    store.close()
    told = desk.json("status")
    assert [(one["progress"], one["name"]) for one in told["troubled"]] == [("uncertain", "brief")]
    assert [one["reason"] for one in told["unplaceable"]] == ["Dana is never there."]
    assert [one["person"] for one in told["suspended"]] == [DANA]
    for options in ((), ("--all",)):
        words = desk.told("status", *options)
        for wanted in ("the line broke", "Dana is never there.", f"{DANA}: no access", "eeds a person"):
            assert wanted in words


# --- what people say ---


def test_talk_keeps_the_reason_sealed(desk: Desk) -> None:
    """R-6: why is never written where anyone but the manager can read it."""
    said = desk.told("talk", SAM, "--trigger", "leaving", "--reason", "-", given=SECRET)
    session = said.partition(":")[0]
    found = desk.session(session)
    assert (found.adhoc, found.urgent, found.state) == (True, True, SessionState.OWED)
    assert SECRET not in said
    store = desk.store()
    assert store.content.get_trigger(session) == (Trigger.LEAVING, SECRET)
    store.close()
    everything = b"".join(path.read_bytes() for path in desk.folder.glob("longarc.db*"))
    assert SECRET.encode() not in everything
    assert b"leaving" not in everything


def test_a_check_in_needs_no_reason(desk: Desk) -> None:
    session = desk.told("talk", DANA, SAM, "--check-in").partition(":")[0]
    assert desk.session(session).kind is SessionKind.CHECKIN


def test_defer_takes_a_time_of_the_managers_clock(desk: Desk) -> None:
    session = desk.booked()
    wish = (utcnow() + 30 * DAY).astimezone(BERLIN).replace(hour=10, minute=0, second=0)
    told = desk.told("defer", session.id, "--at", f"{wish:%Y-%m-%d %H:%M}", "--minutes", "60")
    assert f"{wish:%H:%M}, 60 minutes (Europe/Berlin)" in told
    moved = desk.session(session.id)
    assert (moved.start, moved.span.minutes, moved.by_hand) == (wish, 60, True)


def test_defer_to_a_time_when_somebody_does_not_work_says_so(desk: Desk) -> None:
    """R-9: it is booked all the same, for a person asked for it."""
    session = desk.booked()
    people = (desk.folder / "people.csv").read_text().splitlines()
    people[0] += ",working_hours"
    people[1:] = [f"{one},Mon-Sun {'04:00-17:00' if one.startswith(DANA) else '09:00-17:00'}" for one in people[1:]]
    desk.write("people.csv", "\n".join(people))
    desk.told("people", "--apply")
    days = ((utcnow() + n * DAY).astimezone(BERLIN).date() for n in count(30))
    wish = next(day for day in days if find_holiday("DE", day) is None)
    for hour, whose in ((3, "Dana and Sam"), (5, "Sam"), (10, "")):
        told = desk.told("defer", session.id, "--at", f"{wish:%Y-%m-%d} {hour:02}:00", "--minutes", "60")
        assert f"{hour:02}:00, 60 minutes (Europe/Berlin)" in told
        assert ("outside the working hours" in told) is bool(whose)
        assert not whose or f"That is outside the working hours of {whose}." in told
        assert desk.session(session.id).by_hand


def test_defer_without_a_time_leaves_it_to_us(desk: Desk) -> None:
    session = desk.booked().id
    desk.told("defer", session)
    assert (desk.session(session).state, desk.session(session).count) == (SessionState.DEFERRED, 1)


def test_r18_defer_keeps_the_reports_reason_sealed_and_both_are_told(desk: Desk) -> None:
    """R-18: who asks is stored, what they say is sealed; a command that writes in somebody's name tells both."""
    session = desk.booked().id
    told = desk.told("defer", session, "--on-behalf-of", SAM, "--reason", "-", given=SECRET)
    assert "must be scheduled again" in told and SECRET not in told
    (lost,) = desk.rows()["deferral"]
    assert lost.who == SAM and lost.explained_at is not None
    store = desk.store()
    assert store.content.load_deferral_reasons([session]) == {session: {1: SECRET}}
    store.close()
    rows = desk.rows()
    assert [(row.what, row.on_behalf_of) for row in rows["access"]] == [("defer", SAM)]
    assert {row.to for row in rows["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(rows) and SECRET not in desk.told("why", session)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in desk.folder.glob("longarc.db*"))


def test_defer_stores_who_asks(desk: Desk) -> None:
    desk.told("defer", desk.booked().id, "--on-behalf-of", DANA)
    rows = desk.rows()
    assert [(lost.who, lost.explained_at) for lost in rows["deferral"]] == [(DANA, None)] and rows["access"] == []


def test_defer_refuses_a_reason_that_nobody_or_the_manager_gives(desk: Desk) -> None:
    """R-38: and nothing has moved then."""
    session, before = desk.booked().id, desk.rows()
    said = ("--reason", SECRET)
    assert "--on-behalf-of PERSON" in desk.refused("defer", session, *said, code=2)
    assert "Leave --reason out" in desk.refused("defer", session, "--on-behalf-of", DANA, *said)
    assert "neither of the two" in desk.refused("defer", session, "--on-behalf-of", KIM, *said)
    assert "takes no --reason" in desk.refused("defer", session, "--next-quarter", *said, code=2)
    assert desk.rows() == before


def test_defer_takes_one_of_the_times_held(desk: Desk) -> None:
    session = desk.booked()
    assert "no times are reserved" in desk.refused("defer", session.id, "--option", "1")
    starts = [session.span.start + n * DAY for n in (1, 2, 3)]
    reserved = tuple(Span(start, start + HOUR) for start in starts)
    store = desk.store()
    with store.database.write() as connection:
        offer = {"options": reserved, "offered_until": starts[0] - HOUR}
        connection.execute(tables.session.update().where(tables.session.c.id == session.id).values(offer))
    store.close()
    assert "3 times are reserved" in desk.refused("defer", session.id, "--option", "4")
    assert "longarc defer" in desk.told("why", session.id)
    desk.told("defer", session.id, "--option", "2")
    assert desk.session(session.id).start == starts[1]


@pytest.mark.parametrize(
    ("at", "why"),
    [
        ("2020-01-06 10:00", "past"),
        ("2030-03-31 02:30", "clocks"),
        ("2099-01-05 10:00", "is too far ahead. Give a time"),
    ],
)
def test_defer_refuses_what_cannot_be(desk: Desk, at: str, why: str) -> None:
    session = desk.booked()
    assert why in desk.refused("defer", session.id, "--at", at)
    assert desk.session(session.id) == session


@pytest.mark.parametrize("year", ["0001", "1969", "2100", "9999"])
def test_a_time_of_no_year_that_anybody_means_is_misused(desk: Desk, year: str) -> None:
    session = desk.booked()
    for words in (("held", session.id), ("defer", session.id)):
        assert "the years 2000 to 2099" in desk.refused(*words, "--at", f"{year}-01-01 10:00", code=2)
    assert "that long ago" in desk.refused("held", session.id, "--at", "2020-01-06 10:00")
    assert desk.session(session.id) == session


def test_held_and_not_held(desk: Desk) -> None:
    session = just_held(desk)
    assert desk.session(session).state is SessionState.HELD
    assert "future" in desk.refused("held", desk.sessions()[-1].id, "--at", wall(utcnow() + 9 * DAY))
    desk.told("not-held", session)
    assert desk.session(session).state is SessionState.DEFERRED
    assert "already recorded" in desk.told("not-held", session)


def test_retry_lifts_a_suspension(desk: Desk) -> None:
    desk.booked()
    store = desk.store()
    for person in (DANA, KIM):
        store.people.suspend(person, utcnow() + HOUR)
    assert "longarc retry --all" in " ".join(desk.told("status").split())
    assert "it was not suspended" not in desk.told("retry", DANA)
    assert set(store.people.load_suspensions()) == {KIM}
    assert "it was not suspended" in desk.told("retry", DANA)
    desk.told("retry", "--all")
    assert not store.people.load_suspensions()
    store.close()
    desk.refused("retry", "nobody@corp.example")


def test_pause_and_resume(desk: Desk) -> None:
    def active() -> bool:
        store = desk.store()
        found = store.people.load_all_pairs()[PairId.parse(PAIR)].is_active
        store.close()
        return found

    desk.told("pause", SAM)
    assert not active()
    desk.told("resume", SAM)
    assert active()


def test_the_start_is_measured_against_click_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import startup

    monkeypatch.setattr(startup, "RUNS", 1)
    told = dict(startup.measure())
    assert told["`python -c 'import click'`"].endswith("(1.00 times click alone)")
    assert set(told) == set(startup.COMMANDS)
