"""The command `longarc`: its effects on the database, its output, and one clear error line for bad input."""

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
from tests.support.terminal import BERLIN, PAIR, PEOPLE_CSV, SECRET, Terminal, berlin_time, hold_booked_session
from worker.cli import main
from worker.clock import utcnow
from worker.commands.base import describe_failure
from worker.domain.model import AliasSource, PersonAlias, Reason, SessionKind, SessionState, Span, Trigger
from worker.domain.time.worktime import find_holiday
from worker.errors import LongarcError
from worker.store import tables

# --- the program as a whole ---


def list_commands(group: click.Group = main, *parents: str) -> Iterator[tuple[str, ...]]:
    """Yield the words that name each command and each group of commands, such as `("contract", "show")`."""
    for name, command in group.commands.items():
        yield (*parents, name)
        if isinstance(command, click.Group):
            yield from list_commands(command, *parents, name)


def test_help_imports_no_library_but_click() -> None:
    """Apart from the program itself, and from slow modules of the standard library."""
    print_modules = "print(*{name.partition('.')[0] for name in sys.modules})"
    print_help = "import sys, click, worker.cli\ntry: worker.cli.main(['--help'])\nexcept SystemExit: print()"

    def list_modules(code: str) -> set[str]:
        process = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        return set(process.stdout.splitlines()[-1].split())

    additional = list_modules(f"{print_help}\n{print_modules}") - list_modules(f"import sys, click; {print_modules}")
    libraries = {name for name in additional if name not in sys.stdlib_module_names}
    # Python's zoneinfo imports `_sysconfigdata…`, which belongs to the standard library, but is not in its list
    assert {name for name in libraries if not name.startswith("_sysconfigdata")} == {"worker"}
    assert not additional & {"getpass", "socket", "sqlite3", "subprocess", "tempfile", "urllib3"}


@pytest.mark.parametrize("words", list(list_commands()), ids=" ".join)
def test_every_command_has_help_and_the_option_config(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0
    assert "--config FILE" in result.output


def test_longarc_has_exactly_these_commands() -> None:
    expected = "run check plan status why coverage sessions contract commitment talk defer held not-held pause resume"
    expected += " rollout undo export forget people simulate key rotate connect serve revoke example retry note"
    expected += " learning init backup restore completion man"
    assert set(expected.split()) == set(main.commands)
    assert {"template", "record", "show"} == set(main.commands["contract"].commands)  # type: ignore[attr-defined]
    commitment_commands = set(main.commands["commitment"].commands)  # type: ignore[attr-defined]
    assert commitment_commands == {"list", "done", "change", "let-go"}
    assert {"add", "show"} == set(main.commands["note"].commands)  # type: ignore[attr-defined]


def test_python_m_worker_ends_with_the_exit_codes_of_longarc(fresh_terminal: Terminal) -> None:
    """0 after success, 1 after an error, such as the missing database, and 2 after misuse."""

    def run_module(*words: str) -> int:
        env = {**os.environ, "LONGARC_CONFIG": str(fresh_terminal.folder / "longarc.toml")}
        command = [sys.executable, "-m", "worker", *words]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False).returncode

    assert (run_module("key"), run_module("status"), run_module("defer", "c1", "--at", "soon")) == (0, 1, 2)


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
def test_misuse_ends_with_exit_code_2_and_an_error_message(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert "Error: " in terminal.error_of(*words, code=2)


def test_the_settings_file_is_found_by_option_or_in_the_current_folder(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = str(terminal.folder / "longarc.toml")
    runner = CliRunner(env={"LONGARC_CONFIG": None})
    monkeypatch.chdir(terminal.folder)
    for words in (["--config", config, "status"], ["status", "--config", config], ["status"]):
        assert runner.invoke(main, words).exit_code == 0, words
    assert "nowhere.toml" in terminal.error_of("status", "--config", "nowhere.toml")


def test_all_faults_of_the_settings_are_listed_together(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("longarc.toml", 'peeple = "x"\n[rules]\nahead = 9\n[smtp]\n')
    lines = fresh_terminal.error_of("status").splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["longarc.toml:1", "longarc.toml:3", "longarc.toml:4"]
    assert "Did you mean `people`?" in lines[0]


def test_run_embedded_writes_nothing_when_the_settings_name_no_ports(fresh_terminal: Terminal) -> None:
    (fresh_terminal.folder / "own").mkdir()
    fresh_terminal.write("own/longarc.toml", f'database = "{fresh_terminal.url}"\n')
    error = fresh_terminal.error_of("run", "--embedded", str(fresh_terminal.folder / "own"))
    assert error.splitlines() == [error]
    assert error.startswith(
        f"longarc: {fresh_terminal.folder / 'own' / 'longarc.toml'} names no port for the calendars"
    )
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_commands_fail_without_a_database_and_do_not_create_one(fresh_terminal: Terminal) -> None:
    for words in (("status",), ("why", "c1"), ("talk", SAM, "--trigger", "doubt")):
        error = fresh_terminal.error_of(*words)
        assert error.splitlines() == [error]
        assert "There is no database yet" in error
    assert not (fresh_terminal.folder / "longarc.db").exists()


def test_unusable_and_unreachable_databases_are_each_reported_in_one_line(fresh_terminal: Terminal) -> None:
    fresh_terminal.write("longarc.db", "this is not a SQLite database " * 99)
    error = fresh_terminal.error_of("status")
    assert error.splitlines() == [error]
    assert "database" in error
    # nothing listens at port 9
    fresh_terminal.env["LONGARC_DATABASE_URL"] = "postgresql://longarc:hunter2@127.0.0.1:9/longarc"
    for command in ("status", "run"):
        error = fresh_terminal.error_of(command)
        assert "can't be reached" in error.splitlines()[0]
        assert "hunter2" not in error


def test_r23_an_unexpected_error_shows_its_type_and_not_its_text() -> None:
    """The text of an unexpected error may hold content, so only its type is shown."""
    assert describe_failure(ValueError(SECRET)).startswith("longarc: an unexpected error (ValueError)")
    assert SECRET not in describe_failure(KeyError(SECRET))
    assert describe_failure(LongarcError("This is the text.")) == "longarc: This is the text."


def test_r23_database_errors_are_shown_without_values_and_details(tmp_path: Path) -> None:
    store = new_store(f"sqlite:///{tmp_path / 'x.db'}")
    with pytest.raises(OperationalError) as error_info, store.database.write() as connection:
        connection.execute(text("SELECT :value FROM nowhere"), {"value": SECRET})
    assert SECRET not in str(error_info.value), "a traceback would show the value"
    assert describe_failure(error_info.value) == "longarc: the database can't be used: no such table: nowhere."
    store.close()
    for error in (
        sqlite3.OperationalError("attempt to write a readonly database"),
        psycopg.errors.AdminShutdown(f"attempt to write a readonly database\nLINE 1: {SECRET}"),
        psycopg.errors.ReadOnlySqlTransaction(f"attempt to write a readonly database\nDETAIL: {SECRET}"),
    ):
        assert describe_failure(error) == "longarc: the database can't be used: attempt to write a readonly database."
    for unexpected in (
        psycopg.errors.InvalidTextRepresentation(f"no number: {SECRET}"),
        sqlite3.IntegrityError(SECRET),
    ):
        assert "an unexpected error" in describe_failure(unexpected)
        assert SECRET not in describe_failure(unexpected)


# --- files that commands write ---


@pytest.mark.parametrize(
    "words",
    [("backup",), ("example", "settings"), ("plan", "--html"), ("export", SAM, "--reason", "She asked", "--out")],
    ids=lambda words: words[0],
)
def test_a_missing_folder_is_refused_before_anything_is_done(terminal: Terminal, words: tuple[str, ...]) -> None:
    before = terminal.read_database()
    folder = terminal.folder / "missing"
    assert terminal.error_of(*words, str(folder / "file")) == (
        f"longarc: There is no folder {folder}. Make it, or name another place than {folder / 'file'}."
    )
    assert terminal.read_database() == before and not folder.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("sessions", "--person", ""),
        ("sessions", "--pair="),
        ("commitment", "list", "--pair", ""),
        ("--config", "", "sessions"),
        ("sessions", "--config", ""),
        ("run", "--embedded", ""),
        ("pause", "--group", ""),
    ],
    ids=" ".join,
)
def test_an_empty_value_of_an_option_is_not_taken_for_a_missing_option(
    terminal: Terminal, words: tuple[str, ...]
) -> None:
    """A script passes one when its variable is not set."""
    before = terminal.read_database()
    option = next(word for word in words if word.startswith("--")).removesuffix("=")
    assert f"{option} is empty." in terminal.error_of(*words, code=2)
    assert terminal.read_database() == before


# --- how a pair, a person or a session is named ---


@pytest.mark.parametrize("words", [[PAIR], [DANA, SAM], [SAM], [SAM.upper()], [f"{DANA} > {SAM}"]], ids=" ".join)
def test_a_pair_is_named_as_a_pair_by_both_addresses_or_by_the_report(terminal: Terminal, words: list[str]) -> None:
    assert terminal.output_of("pause", *words).startswith(f"{PAIR} is paused")


def test_unknown_names_are_refused_with_a_suggestion(terminal: Terminal) -> None:
    assert f"Did you mean {SAM}?" in terminal.error_of("pause", "samm@corp.example")
    assert f"Did you mean {PAIR}?" in terminal.error_of("pause", DANA, "samm@corp.example")
    assert "Name the report" in terminal.error_of("pause", DANA)
    for words in (("why",), ("defer",), ("held",), ("not-held",), ("contract", "show"), ("contract", "template")):
        error = terminal.error_of(*words, "c0unknown")
        assert error == "longarc: There is no session c0unknown. `longarc sessions` lists the sessions there are."
    assert "There is no commitment p0" in terminal.error_of("commitment", "done", "p0")


def test_a_person_who_is_not_in_the_roster_is_refused(terminal: Terminal) -> None:
    """`longarc sessions` does so too, rather than print an empty list."""
    for words in (("retry", "nobody@x"), ("sessions", "--person", "nobody@x")):
        assert terminal.error_of(*words) == (
            "longarc: Nobody in the roster is nobody@x. `longarc people` reads the roster, and shows what it would "
            "change."
        )


def test_markup_and_control_characters_in_names_have_no_effect(terminal: Terminal) -> None:
    terminal.write("people.csv", PEOPLE_CSV.replace(",Sam,", ",[red]Sam[/red],"))
    terminal.output_of("people", "--apply")
    assert "[red]Sam[/red]" in terminal.output_of("contract", "template", terminal.booked_session().id)
    terminal.error_of("why", "c\x1b[31m")
    assert "\x1b" not in terminal.run("why", "c\x1b[31m").output


# --- commands that only read ---


def test_sessions_are_listed_in_the_time_zone_of_the_manager(terminal: Terminal) -> None:
    session = terminal.booked_session()
    local_start = session.span.start.astimezone(BERLIN)
    line = next(line for line in terminal.output_of("sessions").splitlines() if session.id in line)
    assert f"{local_start:%a} {local_start.day} {local_start:%b %Y %H:%M}" in line
    listed = {row["session"]: row for row in terminal.json_of("sessions", "--pair", SAM)}
    assert listed[session.id]["start"] == f"{session.start:%Y-%m-%dT%H:%M:%SZ}"
    assert {row["pair"] for row in listed.values()} == {PAIR}
    assert {row["pair"] for row in terminal.json_of("sessions", "--person", KIM)} == {f"{DANA}>{KIM}"}
    assert f"Did you mean {KIM}?" in terminal.error_of("sessions", "--person", "kimm@corp.example")
    assert terminal.error_of("sessions", "--person", "nope", "--json").startswith(
        "longarc: Nobody in the roster is nope."
    )


def test_an_alias_names_a_person(terminal: Terminal) -> None:
    store = terminal.open_store()
    persons = store.people.load_current_people()
    pairs = {pair_id: pair for pair_id, pair in store.people.load_all_pairs().items() if not pair.ended}
    aliases = [
        PersonAlias("s.okafor@corp.example", SAM, AliasSource.PEOPLE_FILE),
        PersonAlias("77", DANA, AliasSource.LEARNED),
    ]
    store.people.apply_import(persons, pairs, utcnow(), aliases)
    store.close()
    sessions = terminal.json_of("sessions", "--pair", SAM)
    assert sessions and terminal.json_of("sessions", "--pair", "S.Okafor@corp.example") == sessions
    assert terminal.json_of("sessions", "--pair", "77 > s.okafor@corp.example") == sessions
    assert terminal.json_of("sessions", "--person", "s.okafor@corp.example") == terminal.json_of(
        "sessions", "--person", SAM
    )


def test_why_lists_what_happened_to_a_session_in_order_of_time(terminal: Terminal) -> None:
    held_session = next(session for session in terminal.sessions() if session.held_at)
    entries = terminal.json_of("why", held_session.id)
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    states = [entry["state"] for entry in entries if entry["what"] == "session"]
    assert states == ["booked", "held", "unfinished"]
    output = terminal.output_of("why", held_session.id)
    assert output.index("on the calendar") < output.index("mail to the manager: brief") < output.index("counts as held")
    assert "Europe/Berlin" in output


def test_status_lists_uncertain_mails_unplaceable_sessions_and_suspensions(terminal: Terminal) -> None:
    assert "Start `longarc run`." in terminal.output_of("status")
    assert "Start a worker with `longarc run`. Nothing else needs a person." in terminal.output_of("status", "--all")
    store = terminal.open_store()
    with store.database.write() as connection:
        brief = select(tables.outbox.c.key).where(tables.outbox.c.name == "brief").limit(1).scalar_subquery()
        brief_update = tables.outbox.update().where(tables.outbox.c.key == brief)
        connection.execute(brief_update.values(progress="uncertain", problem="the connection broke"))
        session_update = tables.session.update().where(tables.session.c.id == terminal.booked_session().id)
        reasons = (Reason("verbatim", {"words": "Dana is never free."}),)
        connection.execute(session_update.values(state="owed", start=None, end=None, unplaceable=reasons))
    store.people.suspend(DANA, utcnow() + HOUR)
    store.close()
    status = terminal.json_of("status")
    assert [(effect["progress"], effect["name"]) for effect in status["troubled"]] == [("uncertain", "brief")]
    assert [session["reason"] for session in status["unplaceable"]] == ["Dana is never free."]
    assert [suspension["person"] for suspension in status["suspended"]] == [DANA]
    for options in ((), ("--all",)):
        output = terminal.output_of("status", *options)
        # `Needs a person` or `needs a person`
        for words in ("the connection broke", "Dana is never free.", f"{DANA}: no access", "eeds a person"):
            assert words in output


# --- commands that change something ---


def test_talk_stores_the_reason_sealed(terminal: Terminal) -> None:
    """R-6: the reason is never written where anyone but the manager can read it."""
    output = terminal.output_of("talk", SAM, "--trigger", "leaving", "--reason", "-", given=SECRET)
    session_id = output.partition(":")[0]
    session = terminal.session(session_id)
    assert (session.adhoc, session.urgent, session.state) == (True, True, SessionState.OWED)
    assert SECRET not in output
    store = terminal.open_store()
    assert store.content.get_trigger(session_id) == (Trigger.LEAVING, SECRET)
    store.close()
    database = b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))
    assert SECRET.encode() not in database
    assert b"leaving" not in database


def test_a_check_in_is_requested_without_a_trigger(terminal: Terminal) -> None:
    session_id = terminal.output_of("talk", DANA, SAM, "--check-in").partition(":")[0]
    assert terminal.session(session_id).kind is SessionKind.CHECKIN


def test_defer_reads_a_time_in_the_time_zone_of_the_manager(terminal: Terminal) -> None:
    session = terminal.booked_session()
    start = (utcnow() + 30 * DAY).astimezone(BERLIN).replace(hour=10, minute=0, second=0)
    output = terminal.output_of("defer", session.id, "--at", f"{start:%Y-%m-%d %H:%M}", "--minutes", "60")
    assert f"{start:%H:%M}, 60 minutes (Europe/Berlin)" in output
    deferred = terminal.session(session.id)
    assert (deferred.start, deferred.span.minutes, deferred.by_hand) == (start, 60, True)


def test_defer_warns_when_the_time_is_outside_working_hours(terminal: Terminal) -> None:
    """R-9: the session is booked all the same, because a person asked for that time."""
    session = terminal.booked_session()
    header, *people = (terminal.folder / "people.csv").read_text().splitlines()
    rows = [f"{row},Mon-Sun {'04:00-17:00' if row.startswith(DANA) else '09:00-17:00'}" for row in people]
    terminal.write("people.csv", "\n".join([f"{header},working_hours", *rows]))
    terminal.output_of("people", "--apply")
    days = ((utcnow() + n * DAY).astimezone(BERLIN).date() for n in count(30))
    working_day = next(day for day in days if find_holiday("DE", day) is None)
    for hour, people_outside in ((3, "Dana and Sam"), (5, "Sam"), (10, "")):
        time = f"{working_day:%Y-%m-%d} {hour:02}:00"
        output = terminal.output_of("defer", session.id, "--at", time, "--minutes", "60")
        assert f"{hour:02}:00, 60 minutes (Europe/Berlin)" in output
        assert ("outside the working hours" in output) is bool(people_outside)
        assert not people_outside or f"That is outside the working hours of {people_outside}." in output
        assert terminal.session(session.id).by_hand


def test_defer_without_a_time_counts_a_deferral(terminal: Terminal) -> None:
    session_id = terminal.booked_session().id
    terminal.output_of("defer", session_id)
    assert (terminal.session(session_id).state, terminal.session(session_id).count) == (SessionState.DEFERRED, 1)


def test_r18_defer_seals_the_reports_reason_and_both_get_a_mail(terminal: Terminal) -> None:
    """R-18: the report may say why. The person is stored, and the reason sealed.

    Both get a mail because a command acted in somebody's name.
    """
    session_id = terminal.booked_session().id
    output = terminal.output_of("defer", session_id, "--on-behalf-of", SAM, "--reason", "-", given=SECRET)
    assert "must be scheduled again" in output and SECRET not in output
    (deferral,) = terminal.read_database()["deferral"]
    assert deferral.who == SAM and deferral.explained_at is not None
    store = terminal.open_store()
    reasons_by_count = {1: SECRET}  # the session was deferred once
    assert store.content.load_deferral_reasons([session_id]) == {session_id: reasons_by_count}
    store.close()
    rows = terminal.read_database()
    assert [(row.what, row.on_behalf_of) for row in rows["access"]] == [("defer", SAM)]
    assert {row.to for row in rows["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(rows) and SECRET not in terminal.output_of("why", session_id)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))


def test_defer_stores_the_person_on_whose_behalf_it_runs(terminal: Terminal) -> None:
    terminal.output_of("defer", terminal.booked_session().id, "--on-behalf-of", DANA)
    rows = terminal.read_database()
    assert [(deferral.who, deferral.explained_at) for deferral in rows["deferral"]] == [(DANA, None)]
    assert rows["access"] == []


def test_defer_takes_a_reason_from_the_report_alone(terminal: Terminal) -> None:
    """R-38: the manager has to give no reason. Any other use of `--reason` is refused, and nothing is deferred."""
    session_id, before = terminal.booked_session().id, terminal.read_database()
    reason = ("--reason", SECRET)
    assert "--on-behalf-of PERSON" in terminal.error_of("defer", session_id, *reason, code=2)
    assert "Leave --reason out" in terminal.error_of("defer", session_id, "--on-behalf-of", DANA, *reason)
    assert "neither of the two" in terminal.error_of("defer", session_id, "--on-behalf-of", KIM, *reason)
    assert "takes no --reason" in terminal.error_of("defer", session_id, "--next-quarter", *reason, code=2)
    assert terminal.read_database() == before


def test_defer_books_a_chosen_time_of_the_offer(terminal: Terminal) -> None:
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
    ("at", "message"),
    [
        ("2020-01-06 10:00", "past"),
        ("2030-03-31 02:30", "clocks"),  # in the hour that is left out when summer time begins
        ("2099-01-05 10:00", "is too far ahead. Give a time"),
    ],
)
def test_defer_refuses_a_past_or_impossible_time(terminal: Terminal, at: str, message: str) -> None:
    session = terminal.booked_session()
    assert message in terminal.error_of("defer", session.id, "--at", at)
    assert terminal.session(session.id) == session


@pytest.mark.parametrize("year", ["0001", "1969", "2100", "9999"])
def test_times_outside_the_years_2000_to_2099_are_refused(terminal: Terminal, year: str) -> None:
    session = terminal.booked_session()
    for words in (("held", session.id), ("defer", session.id)):
        assert "the years 2000 to 2099" in terminal.error_of(*words, "--at", f"{year}-01-01 10:00", code=2)
    assert "that long ago" in terminal.error_of("held", session.id, "--at", "2020-01-06 10:00")
    assert terminal.session(session.id) == session


def test_held_and_not_held_record_whether_a_session_took_place(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    assert terminal.session(session_id).state is SessionState.HELD
    assert "future" in terminal.error_of("held", terminal.sessions()[-1].id, "--at", berlin_time(utcnow() + 9 * DAY))
    terminal.output_of("not-held", session_id)
    assert terminal.session(session_id).state is SessionState.DEFERRED
    assert "already recorded" in terminal.output_of("not-held", session_id)


def test_retry_lifts_a_suspension(terminal: Terminal) -> None:
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


def test_startup_benchmark_compares_each_command_with_click_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import startup

    monkeypatch.setattr(startup, "RUNS", 1)
    measurements = dict(startup.measure())
    assert measurements["`python -c 'import click'`"].endswith("(1.00 times click alone)")
    assert set(measurements) == set(startup.COMMANDS)
