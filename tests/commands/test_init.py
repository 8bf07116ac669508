"""`longarc init`: it sets up an installation from answers, in each way, and tries the services."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from subprocess import PIPE, STDOUT
from threading import Timer

import pytest
import requests

from tests.commands.conftest import PASSWORD
from tests.doubles.google import Google
from tests.doubles.graph import CLIENT, Double, make_section
from tests.support import ROOT
from tests.support.companies import DANA, KIM, SAM
from tests.support.set_up import add_settings, caldav_answers, run_init, write_answers
from worker.commands.terminal import name_program
from worker.embedded import EmbeddedServers, get_mailbox_path
from worker.providers.google.auth import (
    DIRECTORY_READ_SCOPE,
    EVENTS_READ_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
)
from worker.settings.load import load_settings


def test_init_sets_up_caldav_from_an_answers_file(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    folder = tmp_path / "longarc"
    result = run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert settings.company == "Northlight"
    assert settings.rollout.groups == ("Care",)
    assert settings.passwords["caldav"].get_secret_value() == PASSWORD
    assert len(settings.keys) == 1
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))
    assert "2 pairs" in result.output
    assert len(list((get_mailbox_path(servers.mail_folder, DANA) / "new").iterdir())) == 1  # the test mail
    assert (folder / "preview.html").read_text().count("Kim") > 0
    unit = (folder / "longarc.service").read_text()
    assert f"--config {folder}/longarc.toml run" in unit
    assert f"ReadWritePaths={folder}/var" in unit
    assert not list(folder.glob("var/*")), "something was booked: there is a database"
    assert tomllib.loads((folder / "answers.toml").read_text())["way"] == "caldav"


def test_init_sets_up_a_google_domain_with_its_directory(tmp_path: Path) -> None:
    with Google() as double:
        double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, DIRECTORY_READ_SCOPE}
        double.users.admins.add(DANA)
        for address, manager in ((DANA, ""), (SAM, DANA), (KIM, DANA)):
            double.calendars.add_person(address, "Europe/Berlin")
            double.users.add(address, address.partition("@")[0].title(), manager)
        double.calendars.add_person("longarc@corp.example")
        key = tmp_path / "key.json"
        key.write_text(json.dumps(double.tokens.add_service_account()))
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
                "calendars.google": double.calendar_section,
                "mailers.google": double.mail_section,
                "roster.google": {"endpoint": double.directory_section["endpoint"]},
            },
        )
        result = run_init(str(tmp_path / "longarc"), "--answers", answers)
        assert result.exit_code == 0, result.output
        assert "2 pairs" in result.output and "2 to book" in result.output
        double.tokens.granted_scopes -= {DIRECTORY_READ_SCOPE}
        double.tokens.expire_access_tokens()
        refused = run_init(str(tmp_path / "again"), "--answers", answers, "--no-mail")
        assert refused.exit_code == 1
        assert DIRECTORY_READ_SCOPE in refused.output, "the remedy does not name the missing scope"


def test_init_signs_in_to_a_google_account_and_continues(tmp_path: Path, people: Path) -> None:
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
        add_settings(answers, {"calendars.google": double.calendar_section, "mailers.google": double.mail_section})
        command = [sys.executable, "-m", "worker", "init", str(tmp_path / "longarc"), "--answers", answers]
        env = {"PATH": os.environ["PATH"], "LONGARC_GOOGLE_CLIENT_SECRET": secret, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [*command, "--no-browser"], cwd=ROOT, env=env, stdout=PIPE, stderr=STDOUT, text=True
        ) as process:
            assert process.stdout is not None
            limit = Timer(60, process.kill)  # `init` itself waits 300 s for the browser
            limit.start()
            try:
                lines = []
                for line in process.stdout:
                    lines.append(line)
                    if line.startswith("http"):
                        requests.get(line.strip(), timeout=10).raise_for_status()
                process.wait()
            finally:
                limit.cancel()
                process.kill()
        output = "".join(lines)
        assert process.returncode == 0, output
        assert "ssh -L" in output, "the output does not say how a browser on another machine reaches this one"
        assert "2 to book" in output
        assert list((tmp_path / "longarc" / "var" / "google").glob("*.sealed"))


@pytest.mark.parametrize("way", ["microsoft-app", "microsoft-account"])
def test_init_sets_up_microsoft_365(way: str, tmp_path: Path, people: Path) -> None:
    with Double() as double:
        outlook_section = make_section(double)
        double.login.applications[CLIENT].rights = (*double.login.applications[CLIENT].rights, "User.Read.All")
        manager = ""
        for address in (DANA, SAM, KIM):
            mailbox = double.world.add_person(address, "Europe/Berlin")
            name = address.partition("@")[0].title()
            mailbox.directory_id = double.directory.add(address, name, manager, mail=address, usageLocation="DE")
            manager = manager or mailbox.directory_id
        double.login.consenting_person = DANA
        common_answers = {"way": way, "operator": DANA, "client_id": CLIENT, "sender": DANA, "pilot": "everybody"}
        common_answers |= {"base_url": "https://127.0.0.1:9", "notify_url": "https://127.0.0.1:9/"}
        app_answers = {"tenant": outlook_section["tenant"], "people": "directory"}
        account_answers = {"account": DANA, "people": str(people)}
        answers = write_answers(
            tmp_path, **common_answers, **(app_answers if way == "microsoft-app" else account_answers)
        )
        service_addresses = {name: outlook_section[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(answers, {"calendars.outlook": service_addresses, "pages": {"listen": "127.0.0.1:1"}})
        folder = tmp_path / "longarc"
        result = run_init(str(folder), "--answers", answers, LONGARC_OUTLOOK_SECRET=outlook_section["password"])
        assert result.exit_code == 0, result.output
        assert "2 to book" in result.output
        assert load_settings(folder / "longarc.toml", {}).sync.notify_url == "https://127.0.0.1:9"
        # it is only a warning while nothing runs
        assert "the pages are not running at" in " ".join(result.output.split())
        assert len(double.mails.outbox) == 1  # the test mail, and no other


def test_init_sets_up_embedded_servers_without_further_answers(tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    result = run_init(str(folder), given="\n")
    assert result.exit_code == 0, result.output
    assert f" run --embedded {folder}" in result.output
    assert (folder / "preview.html").exists()
    (folder / "longarc.db").touch()
    second_result = run_init(str(folder), given="\n")
    assert "has run already" in second_result.output and second_result.exit_code == 1


def test_init_refuses_embedded_without_its_libraries_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # only the calendar server is installed
    monkeypatch.setattr("worker.setup.parsers.find_spec", {"radicale": "spec"}.get)
    folder = tmp_path / "longarc"
    result = run_init(str(folder), given="embedded\n")
    assert "not installed. Take another way" in " ".join(result.output.split())
    assert result.exit_code == 1 and not folder.exists()


def test_the_program_is_named_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name if PATH leads to this program, otherwise by its path."""
    for folder in (tmp_path / "this program", tmp_path / "another"):
        folder.mkdir()
        (folder / "longarc").touch(mode=0o755)
    program = tmp_path / "this program" / "longarc"
    monkeypatch.setattr(sys, "argv", [str(program)])
    for path, name in (("this program", "longarc"), ("another", f"'{program}'"), ("nowhere", f"'{program}'")):
        monkeypatch.setenv("PATH", str(tmp_path / path))
        assert name_program() == name


@pytest.mark.parametrize(
    ("wrong_answers", "message"),
    [
        ({"caldav_url": "http://127.0.0.1:9/{email}/"}, "127.0.0.1:9"),
        ({"smtp_port": "9"}, "127.0.0.1:9"),
        ({"caldav_username": "somebody"}, "log-in refused"),
    ],
)
def test_init_fails_with_a_remedy_when_a_service_refuses(
    servers: EmbeddedServers, people: Path, tmp_path: Path, wrong_answers: dict[str, str], message: str
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, **wrong_answers))
    folder = tmp_path / "longarc"
    result = run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert result.exit_code == 1
    assert message in result.output
    assert "→" in result.output
    assert "Nothing was booked" in result.output
    right_answers = write_answers(tmp_path, **caldav_answers(servers, people))
    second_result = run_init(str(folder), "--answers", right_answers, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert second_result.exit_code == 0, second_result.output


def test_init_does_not_change_an_installation_that_has_run(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "longarc"
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD=PASSWORD)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    (folder / "var" / "longarc.db").touch()
    result = run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert result.exit_code == 1
    assert "has run already" in result.output
    assert before == {file: file.read_bytes() for file in before}
