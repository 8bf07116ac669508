"""`longarc init`: an installation from answers, each way against its services."""

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Any

import pytest
import requests
from click.testing import CliRunner, Result
from hypothesis import example, given
from hypothesis import strategies as st

from tests.doubles.google import Google
from tests.doubles.graph import CLIENT, Double, section
from tests.support import ROOT
from tests.support.companies import DANA, KEY, KIM, SAM
from worker.cli import main
from worker.commands.terminal import name_program
from worker.embedded import EmbeddedServers, get_mailbox_path
from worker.engine.roster_reader import RosterReading
from worker.errors import Problem
from worker.providers.google.auth import (
    DIRECTORY_READ_SCOPE,
    EVENTS_READ_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
)
from worker.roster.model import Roster
from worker.settings.load import load_settings
from worker.setup.answers import read_answers
from worker.setup.files import render_settings
from worker.setup.questions import QUESTIONS, list_questions
from worker.setup.roster_summary import list_roster_findings
from worker.setup.ways import Way

PEOPLE = f"""\
Work Email,Name,Reporting to,Time Zone,Country,Department
{DANA},Dana,,Europe/Berlin,Germany,Sales
{SAM},Sam,Dana,Europe/Berlin,Germany,Sales
{KIM},Kim,Dana,Europe/Berlin,Germany,Care
"""


PASSWORDS = {"LONGARC_CALDAV_PASSWORD": "a long one", "LONGARC_SMTP_PASSWORD": "a long one"}


def run(*arguments: str, given: str | None = None, **env: str) -> Result:
    result = CliRunner().invoke(main, ["init", *arguments], input=given, env={"COLUMNS": "80", **env})
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(
        tmp_path_factory.mktemp("servers"), [DANA, SAM, KIM], username="longarc", password="a long one"
    ) as running:
        yield running


@pytest.fixture
def people(tmp_path: Path) -> Path:
    file = tmp_path / "export.csv"
    file.write_text(PEOPLE)
    return file


def write_answers(folder: Path, **answers: str) -> str:
    file = folder / "given.toml"
    file.write_text("".join(f"{name} = '{value}'\n" for name, value in answers.items()))
    return str(file)


def begin_set_up(tmp_path: Path, **answers: str) -> Path:
    """Return the folder of a set-up that was stopped after these answers, and those that are the same each time."""
    folder = tmp_path / "longarc"
    folder.mkdir(mode=0o700)
    usual = {"locale": "en", "base_url": "", "database": f"sqlite:///{folder}/var/longarc.db"}
    Path(write_answers(folder, **usual, **answers)).rename(folder / "answers.toml")
    return folder


def add_settings(answers: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Add further settings to an answers file: the addresses of the doubles."""
    with Path(answers).open("a") as file:
        for name, values in sections.items():
            told = {key: f"{value:.0f} seconds" if key == "timeout" else value for key, value in values.items()}
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())
            file.write(f"[settings.{name}]\n{lines}")


def caldav_answers(servers: EmbeddedServers, export: Path, **changed: str) -> dict[str, str]:
    return {
        "way": "caldav",
        "company": "Northlight",
        "operator": DANA,
        "caldav_url": servers.caldav_url,
        "caldav_username": "longarc",
        "attendee_copies": "yes",
        "smtp_host": servers.smtp_host,
        "smtp_port": str(servers.smtp_port),
        "smtp_security": "none",
        "sender": "longarc@corp.example",
        "people": str(export),
        "pilot": "groups",
        "pilot_groups": "Care",
        **changed,
    }


def test_caldav_from_an_answers_file_to_the_plan(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    folder = tmp_path / "longarc"
    result = run(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="a long one")
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert settings.company == "Northlight"
    assert settings.rollout.groups == ("Care",)
    assert settings.passwords["caldav"].get_secret_value() == "a long one"
    assert len(settings.keys) == 1
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))
    assert "2 pairs" in result.output
    assert len(list((get_mailbox_path(servers.mail_folder, DANA) / "new").iterdir())) == 1
    assert (folder / "preview.html").read_text().count("Kim") > 0
    unit = (folder / "longarc.service").read_text()
    assert f"--config {folder}/longarc.toml run" in unit
    assert f"ReadWritePaths={folder}/var" in unit
    assert not list(folder.glob("var/*")), "nothing was booked: there is no database yet"
    assert tomllib.loads((folder / "answers.toml").read_text())["way"] == "caldav"


def test_google_domain_with_its_directory(tmp_path: Path) -> None:
    with Google() as double:
        double.tokens.granted = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, DIRECTORY_READ_SCOPE}
        double.users.admins.add(DANA)
        for address, manager in ((DANA, ""), (SAM, DANA), (KIM, DANA)):
            double.calendars.add_person(address, "Europe/Berlin")
            double.users.add(address, address.partition("@")[0].title(), manager)
        double.calendars.add_person("longarc@corp.example")
        key = tmp_path / "key.json"
        key.write_text(json.dumps(double.tokens.service_account()))
        answers = write_answers(
            tmp_path,
            way="google-domain",
            operator=DANA,
            google_key=str(key),
            sender="longarc@corp.example",
            people="directory",
            country="DE",
            time_zone="Europe/Berlin",
            pilot="everybody",
        )
        add_settings(
            answers,
            {
                "calendars.google": double.section,
                "mailers.google": double.mail_section,
                "roster.google": {"endpoint": double.directory_section["endpoint"]},
            },
        )
        result = run(str(tmp_path / "longarc"), "--answers", answers)
        assert result.exit_code == 0, result.output
        assert "2 pairs" in result.output and "2 to book" in result.output
        double.tokens.granted -= {DIRECTORY_READ_SCOPE}
        double.tokens.forget()
        refused = run(str(tmp_path / "again"), "--answers", answers, "--no-mail")
        assert refused.exit_code == 1
        assert DIRECTORY_READ_SCOPE in refused.output, "the remedy names the scope that is missing"


def test_google_account_signs_in_and_goes_on(tmp_path: Path, people: Path) -> None:
    with Google() as double:
        for address in (DANA, SAM, KIM):
            double.calendars.add_person(address, "Europe/Berlin")
        client, secret = double.tokens.client
        answers = write_answers(
            tmp_path,
            way="google-account",
            operator=DANA,
            google_client_id=client,
            people=str(people),
            pilot="managers",
            pilot_managers=DANA,
        )
        add_settings(answers, {"calendars.google": double.section, "mailers.google": double.mail_section})
        command = [sys.executable, "-m", "worker", "init", str(tmp_path / "longarc"), "--answers", answers]
        env = {"PATH": os.environ["PATH"], "LONGARC_GOOGLE_CLIENT_SECRET": secret, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [*command, "--no-browser"], cwd=ROOT, env=env, stdout=PIPE, stderr=STDOUT, text=True
        ) as running:
            assert running.stdout is not None
            shown = next(line for line in running.stdout if line.startswith("http"))
            requests.get(shown.strip(), timeout=10)
            output = running.stdout.read()
        assert "ssh -L" in output, "how a browser on another machine reaches this one"
        assert running.returncode == 0, output
        assert "2 to book" in output
        assert list((tmp_path / "longarc" / "var" / "google").glob("*.sealed"))


@pytest.mark.parametrize("way", ["microsoft-app", "microsoft-account"])
def test_microsoft_365(way: str, tmp_path: Path, people: Path) -> None:
    with Double() as double:
        told = section(double)
        double.login.applications[CLIENT].rights = (*double.login.applications[CLIENT].rights, "User.Read.All")
        manager = ""
        for address in (DANA, SAM, KIM):
            mailbox = double.world.person(address, "Europe/Berlin")
            name = address.partition("@")[0].title()
            mailbox.directory_id = double.directory.add(address, name, manager, mail=address, usageLocation="DE")
            manager = manager or mailbox.directory_id
        double.login.signs_in = DANA
        common = {"way": way, "operator": DANA, "client_id": CLIENT, "sender": DANA, "pilot": "everybody"}
        common |= {"base_url": "https://127.0.0.1:9", "notify_url": "https://127.0.0.1:9/"}
        of_app = {"tenant": told["tenant"], "people": "directory"}
        of_account = {"account": DANA, "people": str(people)}
        answers = write_answers(tmp_path, **common, **(of_app if way == "microsoft-app" else of_account))
        places = {name: told[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(answers, {"calendars.outlook": places, "pages": {"listen": "127.0.0.1:1"}})
        folder = tmp_path / "longarc"
        result = run(str(folder), "--answers", answers, LONGARC_OUTLOOK_SECRET=told["password"])
        assert result.exit_code == 0, result.output
        assert "2 to book" in result.output
        assert load_settings(folder / "longarc.toml", {}).sync.notify_url == "https://127.0.0.1:9"
        assert "the pages are not running at" in " ".join(result.output.split()), (
            "it is only a warning while nothing runs"
        )
        assert len(double.mails.outbox) == 1, "the test mail, and no other"


def test_embedded_needs_no_answer(tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    result = run(str(folder), given="\n")
    assert result.exit_code == 0, result.output
    assert f" run --embedded {folder}" in result.output
    assert (folder / "preview.html").exists()
    (folder / "longarc.db").touch()
    again = run(str(folder), given="\n")
    assert "has run already" in again.output and again.exit_code == 1


def test_embedded_is_refused_before_anything_is_written_where_its_servers_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.setup.parsers.find_spec", {"radicale": "there"}.get)
    folder = tmp_path / "longarc"
    stopped = run(str(folder), given="embedded\n")
    assert "not installed. Take another way" in " ".join(stopped.output.split())
    assert stopped.exit_code == 1 and not folder.exists()


def test_a_command_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name where PATH leads to this very program, else by its path."""
    for folder in (tmp_path / "of us", tmp_path / "other"):
        folder.mkdir()
        (folder / "longarc").touch(mode=0o755)
    program = tmp_path / "of us" / "longarc"
    monkeypatch.setattr(sys, "argv", [str(program)])
    for path, named in (("of us", "longarc"), ("other", f"'{program}'"), ("nowhere", f"'{program}'")):
        monkeypatch.setenv("PATH", str(tmp_path / path))
        assert name_program() == named


def test_a_set_up_goes_on_where_it_stopped(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    folder, answers = tmp_path / "longarc", caldav_answers(servers, people)
    first = ["caldav", "Northlight", "nobody", "?", DANA, "", answers["caldav_url"], "longarc", "wrong"]
    stopped = run(str(folder), given="\n".join([*first, ""]))
    assert stopped.exit_code == 1
    assert "`nobody` is not an e-mail address." in stopped.output
    assert "gets a mail" in stopped.output, "`?` explains"
    assert f"`longarc init {folder}` goes on from here" in stopped.output
    rest = ["yes", answers["smtp_host"], "none", answers["smtp_port"], "", "longarc@corp.example", "", "", "", "change"]
    mended = ["caldav_pasword", "caldav_password", "a long one", ""]
    end = ["n", str(people), "groups", "Cares", "", "change", "pilot_groups", "Care", ""]
    result = run(str(folder), given="\n".join([*rest, *mended, *end, ""]))
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "log-in refused" in shown
    assert "To correct `caldav_username` or `caldav_password`, choose `change` below" in shown
    assert "Did you mean `caldav_password`?" in shown
    assert "Did you mean `Care`?" in shown
    assert "1 to book" in shown
    assert "a long one" not in shown, "no list of answers shows a secret"


def test_one_answer_is_changed_and_the_rest_stays(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    """Also an answer of an earlier part, whose check is then run again; and what no answer calls for is not written."""
    answers = caldav_answers(servers, people, smtp_username="somebody", pilot_groups="Car", start="")
    folder = begin_set_up(tmp_path, **answers)
    begin = ["a long one", "a long one", DANA]
    no_user = ["change", "smtp_username", "-", "", "n"]
    number = [one.name for one in list_questions({**answers, "smtp_username": ""}) if one.name != "way"].index(
        "company"
    )
    other_pilot = ["change", str(number + 1), "Southlight", "pilot", "managers", "1", "", "n"]
    result = run(str(folder), given="\n".join([*begin, *no_user, *other_pilot, ""]))
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.rollout.managers, settings.rollout.groups) == ("Southlight", (DANA,), None)
    assert not (folder / "secrets" / "LONGARC_SMTP_PASSWORD").exists(), "no answer calls for it any more"
    assert result.output.count("Trying calendar and mail") == 3, "twice for its own part, once for the changed answer"


def test_enter_keeps_a_secret_and_the_answers_so_far(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = caldav_answers(servers, people, caldav_url="http://127.0.0.1:9/{email}/")
    folder = begin_set_up(tmp_path, **answers, smtp_username="")
    changed = ["change", "caldav_password", "", "company", "", "caldav_url", servers.caldav_url, "", "later"]
    stopped = run(str(folder), given="\n".join(["a long one", DANA, *changed, ""]))
    assert "http://127.0.0.1:9" in stopped.output and "passed" in stopped.output
    assert (folder / "secrets" / "LONGARC_CALDAV_PASSWORD").read_text() == "a long one\n"
    assert tomllib.loads((folder / "answers.toml").read_text())["company"] == "Northlight"


@pytest.mark.parametrize("in_environment", [False, True])
def test_a_wrong_secret_is_corrected_where_it_was_typed(tmp_path: Path, in_environment: bool) -> None:
    """The remedy names the answer, and the variable only where the environment has it, and it counts."""
    with Double() as double:
        told = section(double)
        double.world.person(DANA, "Europe/Berlin")
        folder = tmp_path / "longarc"
        folder.mkdir(mode=0o700)
        answers = {"way": "microsoft-app", "company": "", "operator": DANA, "locale": "en", "tenant": told["tenant"]}
        answers |= {
            "client_id": CLIENT,
            "certificate": "",
            "sender": DANA,
            "base_url": "",
            "database": "sqlite:///x.db",
        }
        file = write_answers(folder, **answers, first_manager=DANA)
        places = {name: told[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(file, {"calendars.outlook": places})
        Path(file).rename(folder / "answers.toml")
        mended = ["change", "client_secret", told["password"], "", "n"]
        env = {"LONGARC_OUTLOOK_SECRET": "wrong"} if in_environment else {}
        result = run(str(folder), given="\n".join(["wrong", *mended, ""]), **env)
        shown = " ".join(result.output.split())
        assert "write it into the answer `client_secret`. " in shown
        if in_environment:
            assert "The environment has LONGARC_OUTLOOK_SECRET" in shown and "unset it" in shown
            assert "2 of 3" not in shown
        else:
            assert "To correct `client_secret`, choose `change` below, and name it there." in shown
            assert "LONGARC_OUTLOOK_SECRET" not in shown
            assert "2 of 3" in shown


def test_the_pilot_is_chosen_from_a_list_by_number_or_address(servers: EmbeddedServers, tmp_path: Path) -> None:
    """The most suitable managers come first: those who share working hours with all, then those with more reports."""
    lines = ["email,name,manager,time_zone,country,calendar", f"{DANA},Dana,,Europe/Berlin,DE,caldav"]
    for number in range(12):
        manager = f"manager{number:02}@corp.example"
        zone = "Pacific/Auckland" if number == 5 else "Europe/Berlin"
        lines.append(f"{manager},Manager {number:02},{DANA},Europe/Berlin,DE,caldav")
        lines += [
            f"r{number}-{i}@corp.example,R {number} {i},{manager},{zone},DE,caldav" for i in range(number % 6 + 1)
        ]
    file = tmp_path / "people.csv"
    file.write_text("\n".join(lines))
    answers = caldav_answers(servers, file, smtp_username="")
    for name in ("pilot", "pilot_groups"):
        del answers[name]
    folder = begin_set_up(tmp_path, **answers)
    given = ["a long one", DANA, "n", "managers", "11", "1, manager03@corp.example", "", "later"]
    result = run(str(folder), given="\n".join([*given, ""]))
    rows = [line.split() for line in result.output.splitlines() if "@corp.example  " in line and " with " in line]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 11)]
    assert [row[2] for row in rows[:3]] == ["11", "04", "10"]
    assert "and 3 more managers, to be named by address" in result.output
    assert "The list has no line 11. Write a number from 1 to 10, or an address." in result.output
    kept = tomllib.loads((folder / "answers.toml").read_text())
    assert kept["pilot_managers"] == "manager11@corp.example, manager03@corp.example"


def test_a_roster_without_anybody_is_told_so() -> None:
    """Of people who are all left out it is not said that they have no manager."""
    fault = Problem("Microsoft Entra: user 1", "country: The country is missing.", "Set `country`.")
    *_, last = list_roster_findings(RosterReading(Roster({}, {}), "", [fault]))
    assert (last.statement, last.ok) == ("The roster has nobody in it", False)


def test_further_settings_outlast_a_stop(tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    folder.mkdir(mode=0o700)
    (folder / "answers.toml").write_text("[settings.calendars.outlook]\nauthority = 'https://login.example.com'\n")
    stopped = run(str(folder), given="microsoft-account\nNorthlight\n")
    assert stopped.exit_code == 1
    kept = tomllib.loads((folder / "answers.toml").read_text())
    assert kept["company"] == "Northlight"
    assert kept["settings"]["calendars"]["outlook"]["authority"] == "https://login.example.com"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"way": "lotus"}, "line 1: way: `lotus`"),
        ({"operater": DANA}, "operater: There is no such question. Did you mean `operator`?"),
        ({"caldav_password": "x"}, "A secret does not belong in this file."),
        ({"operator": "Dana"}, "`Dana` is not an e-mail address."),
        ({"people": "/nowhere.csv"}, "can't be read: No such file or directory."),
        ({"smtp_port": "99999"}, "`99999` is not a port."),
        ({"pilot_groups": ""}, "pilot_groups: This has no answer."),
    ],
)
def test_wrong_answers_are_told_before_anything_is_written(
    servers: EmbeddedServers, people: Path, tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, **changed))
    folder = tmp_path / "longarc"
    result = run(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="x")
    assert result.exit_code == 1
    assert message in result.output
    assert not folder.exists()


def test_key_of_the_environment_is_the_key_of_the_installation(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    """Given as a file, too: else the installation would seal with another one than the rest of the company's."""
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    (tmp_path / "key").write_text(f"{KEY}\n")
    env = {"LONGARC_CALDAV_PASSWORD": "a long one", "LONGARC_KEY_FILE": str(tmp_path / "key")}
    result = run(str(tmp_path / "longarc"), "--answers", answers, "--no-mail", **env)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "longarc" / "secrets" / "LONGARC_KEY").read_text() == f"{KEY}\n"


@pytest.mark.parametrize(
    ("env", "messages"),
    [
        (
            {**PASSWORDS, "LONGARC_KEY": KEY, "LONGARC_KEY_FILE": "/nowhere"},
            ["LONGARC_KEY: Both LONGARC_KEY and LONGARC_KEY_FILE"],
        ),
        (
            {**PASSWORDS, "LONGARC_KEY_FILE": "/nowhere"},
            ["LONGARC_KEY_FILE: The file that it names can't be read: No such file"],
        ),
        (
            {
                "LONGARC_CALDAV_PASSWORD_FILE": "/nowhere",
                "LONGARC_SMTP_PASSWORD": "x",
                "LONGARC_SMTP_PASSWORD_FILE": "y",
            },
            [
                "LONGARC_CALDAV_PASSWORD_FILE: The file that it names can't be read: No such file",
                "LONGARC_SMTP_PASSWORD: Both LONGARC_SMTP_PASSWORD and LONGARC_SMTP_PASSWORD_FILE are set.",
            ],
        ),
    ],
)
def test_secrets_that_can_t_be_read_are_named_before_anything_is_written(
    servers: EmbeddedServers, people: Path, tmp_path: Path, env: dict[str, str], messages: list[str]
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, smtp_username="longarc"))
    result = run(str(tmp_path / "longarc"), "--answers", answers, **env)
    assert result.exit_code == 1
    shown = " ".join(result.output.split())
    assert [message for message in messages if message not in shown] == []
    assert not (tmp_path / "longarc").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"caldav_url": "http://127.0.0.1:9/{email}/"}, "127.0.0.1:9"),
        ({"smtp_port": "9"}, "127.0.0.1:9"),
        ({"caldav_username": "somebody"}, "log-in refused"),
    ],
)
def test_a_service_that_refuses_ends_with_its_remedy(
    servers: EmbeddedServers, people: Path, tmp_path: Path, changed: dict[str, str], message: str
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, **changed))
    folder = tmp_path / "longarc"
    result = run(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="a long one")
    assert result.exit_code == 1
    assert message in result.output
    assert "→" in result.output
    assert "Nothing was booked" in result.output
    fixed = write_answers(tmp_path, **caldav_answers(servers, people))
    again = run(str(folder), "--answers", fixed, LONGARC_CALDAV_PASSWORD="a long one")
    assert again.exit_code == 0, again.output


def test_an_installation_that_has_run_is_left_alone(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    run(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="a long one")
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (folder / "var" / "longarc.db").touch()
    result = run(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="a long one")
    assert result.exit_code == 1
    assert "has run already" in result.output
    assert before == {file: file.read_bytes() for file in before}


@pytest.mark.parametrize("way", list(Way))
def test_printed_questions_are_an_answers_file(way: Way, tmp_path: Path) -> None:
    printed = run("--questions", way.value).output
    file = tmp_path / "printed.toml"
    file.write_text(printed.replace("\n#", "\n").replace("\n ", "\n# "))
    given = read_answers(file)
    names = {question.name for question in QUESTIONS if way in question.ways and not question.is_secret}
    assert set(given.values) == names


@pytest.mark.parametrize(
    ("name", "typed", "kept", "setting"),
    [
        ("attendee_copies", "YES", "yes", True),
        ("attendee_copies", "no", "no", False),
        ("smtp_port", "0587", "587", 587),
        ("pilot_groups", "R&D , Care,", "R&D, Care", ["R&D", "Care"]),
        ("pilot_managers", f"{DANA} {SAM}", f"{DANA}, {SAM}", [DANA, SAM]),
        ("start", "2027-01-11", "2027-01-11", date(2027, 1, 11)),
        ("company", "true", "true", "true"),
    ],
)
def test_an_answer_is_kept_as_it_is_typed_and_written_as_its_setting_wants_it(
    name: str, typed: str, kept: str, setting: object
) -> None:
    question = next(one for one in QUESTIONS if one.name == name)
    assert question.parse(typed) == question.parse(kept) == kept, "and goes in once more as it is offered"
    values: Any = tomllib.loads(
        render_settings({"way": "caldav", "pilot": name.removeprefix("pilot_"), name: kept}, {})
    )
    for key in question.setting.split("."):
        values = values[key]
    assert values == setting


@pytest.mark.parametrize("way", Way)
def test_the_address_for_notifications_is_asked_where_a_service_tells_and_there_are_pages(way: Way) -> None:
    def asks(base_url: str) -> bool:
        return "notify_url" in {one.name for one in list_questions({"way": way.value, "base_url": base_url})}

    assert asks("https://longarc.corp.example") is way.value.startswith(("google", "microsoft"))
    assert not asks("")


@example("true")
@example("false")
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_any_text_survives_in_the_settings(text: str) -> None:
    rendered = render_settings({"way": "caldav", "company": text}, {})
    assert tomllib.loads(rendered).get("company", "") == text
