"""`longarc init` with typed answers: stopping and continuing, changing answers, choosing the pilot.

An empty answer is the Enter key: it keeps the answer in brackets, or ends the choice of answers to change. Each set-up
has three steps: the services (`1 of 3`), the people, and the pilot. After a failed check the command asks whether to
try again, `change` an answer, or leave it for `later`. `n` declines the test mail.
"""

import json
import tomllib
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.commands.conftest import PASSWORD
from tests.doubles.google import Google
from tests.doubles.graph import CLIENT, Double, make_section
from tests.support.companies import DANA, SAM
from tests.support.set_up import add_settings, caldav_answers, run_init, write_answers, write_stopped_set_up
from worker.embedded import EmbeddedServers
from worker.settings.load import load_settings
from worker.setup.questions import list_questions


def test_a_stopped_set_up_continues_with_the_next_question(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    folder, answers = tmp_path / "longarc", caldav_answers(servers, people)
    # the way, the company, the operator (in the third attempt), the language; then address, user and password
    first_answers = ["caldav", "Northlight", "nobody", "?", DANA, "", answers["caldav_url"], "longarc", "wrong"]
    stopped_run = run_init(str(folder), given="\n".join([*first_answers, ""]))
    assert stopped_run.exit_code == 1
    assert "`nobody` is not an e-mail address." in stopped_run.output
    assert "gets a mail" in stopped_run.output, "`?` did not explain the question"
    assert f" init {folder}\n" in stopped_run.output, "the command that continues the set-up is not shown"
    mail_answers = ["yes", answers["smtp_host"], "none", answers["smtp_port"], "", "longarc@corp.example"]
    next_answers = ["", *mail_answers, "", "", "", "change"]
    corrections = ["caldav_pasword", "caldav_password", PASSWORD, ""]  # the first name is misspelt
    last_answers = ["n", str(people), "groups", "Cares", "", "change", "pilot_groups", "Care", ""]
    result = run_init(str(folder), given="\n".join([*next_answers, *corrections, *last_answers, ""]))
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "log-in refused" in output
    assert "To correct `caldav_username` or `caldav_password`, choose `change` below" in output
    assert "Did you mean `caldav_password`?" in output
    assert "Did you mean `Care`?" in output
    assert "1 to book" in output
    assert PASSWORD not in output, "a list of answers shows a secret"


def test_a_changed_answer_leaves_the_other_answers_as_they_were(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    """The check of an earlier step is run again when its answer changes. A secret that no answer needs is removed."""
    answers = caldav_answers(servers, people, smtp_username="somebody", pilot_groups="Car", start="")
    folder = write_stopped_set_up(tmp_path, **answers)
    # no saved answer changes; then the passwords of the calendars and of the mail server, and the first manager
    first_answers = ["", PASSWORD, PASSWORD, DANA]
    remove_user = ["change", "smtp_username", "-", "", "n"]
    names = [question.name for question in list_questions({**answers, "smtp_username": ""})]
    company_number = str(names.index("company") + 1)
    change_pilot = ["change", company_number, "Southlight", "pilot", "managers", "1", "", "n"]
    result = run_init(str(folder), given="\n".join([*first_answers, *remove_user, *change_pilot, ""]))
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.rollout.managers, settings.rollout.groups) == ("Southlight", (DANA,), None)
    assert not (folder / "secrets" / "LONGARC_SMTP_PASSWORD").exists()  # no answer needs it any more
    assert result.output.count("Trying calendar and mail") == 3  # twice for the step, once for the changed answer


def test_enter_keeps_a_secret_and_earlier_answers(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = caldav_answers(servers, people, caldav_url="http://127.0.0.1:9/{email}/")
    folder = write_stopped_set_up(tmp_path, **answers, smtp_username="")
    changes = ["change", "caldav_password", "", "company", "", "caldav_url", servers.caldav_url, "", "later"]
    stopped_run = run_init(str(folder), given="\n".join(["", PASSWORD, DANA, *changes, ""]))
    assert "http://127.0.0.1:9" in stopped_run.output and "passed" in stopped_run.output
    assert (folder / "secrets" / "LONGARC_CALDAV_PASSWORD").read_text() == "a long one\n"
    assert tomllib.loads((folder / "answers.toml").read_text())["company"] == "Northlight"


@pytest.mark.parametrize("in_environment", [False, True])
def test_the_remedy_for_a_wrong_secret_names_the_answer_and_a_set_variable(
    tmp_path: Path, in_environment: bool
) -> None:
    """A variable of the environment has priority over the answer, so the remedy then says to unset it."""
    with Double() as double:
        outlook_section = make_section(double)
        double.world.add_person(DANA, "Europe/Berlin")
        folder = tmp_path / "longarc"
        folder.mkdir(mode=0o700)
        answers = {
            "way": "microsoft-app",
            "company": "",
            "operator": DANA,
            "locale": "en",
            "tenant": outlook_section["tenant"],
        }
        answers |= {
            "client_id": CLIENT,
            "certificate": "",
            "sender": DANA,
            "base_url": "",
            "database": "sqlite:///x.db",
        }
        file = write_answers(folder, **answers, first_manager=DANA)
        service_addresses = {name: outlook_section[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(file, {"calendars.outlook": service_addresses})
        Path(file).rename(folder / "answers.toml")
        correction = ["change", "client_secret", outlook_section["password"], "", "n"]
        env = {"LONGARC_OUTLOOK_SECRET": "wrong"} if in_environment else {}
        result = run_init(str(folder), given="\n".join(["", "wrong", *correction, ""]), **env)
        output = " ".join(result.output.split())
        assert "write it into the answer `client_secret`. " in output
        if in_environment:
            assert "The environment has LONGARC_OUTLOOK_SECRET" in output and "unset it" in output
            assert "2 of 3" not in output
        else:
            assert "To correct `client_secret`, choose `change` below, and name it there." in output
            assert "LONGARC_OUTLOOK_SECRET" not in output
            assert "2 of 3" in output


def test_pilot_managers_are_chosen_from_a_list_by_number_or_address(servers: EmbeddedServers, tmp_path: Path) -> None:
    """Managers who share working hours with all reports come first; among these, those with more reports."""
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
    folder = write_stopped_set_up(tmp_path, **answers)
    replies = ["", PASSWORD, DANA, "n", "managers", "11", "1, manager03@corp.example", "", "later"]
    result = run_init(str(folder), given="\n".join([*replies, ""]))
    rows = [line.split() for line in result.output.splitlines() if "@corp.example  " in line and " with " in line]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 11)]
    # 11 has six reports, 04 and 10 have five; 05 has six too, but all of them are in Auckland
    assert [row[2] for row in rows[:3]] == ["11", "04", "10"]
    assert "and 3 more managers, to be named by address" in result.output
    assert "The list has no line 11. Write a number from 1 to 10, or an address." in result.output
    saved_answers = tomllib.loads((folder / "answers.toml").read_text())
    assert saved_answers["pilot_managers"] == "manager11@corp.example, manager03@corp.example"


def test_further_settings_of_the_answers_file_stay_after_a_stop(tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    folder.mkdir(mode=0o700)
    (folder / "answers.toml").write_text("[settings.calendars.outlook]\nauthority = 'https://login.example.com'\n")
    stopped_run = run_init(str(folder), given="microsoft-account\nNorthlight\n")
    assert stopped_run.exit_code == 1
    saved_answers = tomllib.loads((folder / "answers.toml").read_text())
    assert saved_answers["company"] == "Northlight"
    assert saved_answers["settings"]["calendars"]["outlook"]["authority"] == "https://login.example.com"


def test_a_change_of_way_removes_answers_and_files_of_the_former_way(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    """Answers to questions of both ways stay. Answers, key file and grants of the former way alone are removed."""
    key = tmp_path / "key.json"
    common_answers = {
        "company": "Northlight",
        "operator": DANA,
        "sender": "longarc@corp.example",
        "first_manager": DANA,
    }
    former_answers = {"way": "google-domain", "google_key": str(key), "people": "directory", "country": "DE"}
    folder = write_stopped_set_up(tmp_path, **common_answers, **former_answers)
    (folder / "var" / "google").mkdir(parents=True)
    grant = folder / "var" / "google" / f"{DANA}.sealed"
    grant.touch()
    with Google() as double:
        key.write_text(json.dumps(double.tokens.add_service_account()))
        service_addresses = {"calendars.google": double.calendar_section, "mailers.google": double.mail_section}
        add_settings(str(folder / "answers.toml"), service_addresses)
        failed = run_init(str(folder), given="\n")
    assert "✗" in failed.output
    assert (folder / "secrets" / "google-key.json").exists()
    answers = caldav_answers(servers, people)
    service_answers = [answers["caldav_url"], "longarc", PASSWORD, "yes", answers["smtp_host"], "none"]
    replies = ["way", "caldav", "", *service_answers, answers["smtp_port"], "", "n", str(people), "managers", DANA, ""]
    result = run_init(str(folder), given="\n".join([*replies, ""]))
    assert result.exit_code == 0, result.output
    assert "2 to book" in result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.people, settings.roster.country) == ("Northlight", people, "")
    assert settings.calendars.google.service_account is None
    assert not (folder / "secrets" / "google-key.json").exists() and not grant.exists()
    assert former_answers.keys() & tomllib.loads((folder / "answers.toml").read_text()).keys() == {"way", "people"}


def test_an_embedded_trial_can_be_set_up_again_with_other_services(tmp_path: Path) -> None:
    folder = tmp_path / "long arc"
    embedded = run_init(str(folder), given="embedded\n")
    assert f" run --embedded '{folder}'" in embedded.output
    stopped_run = run_init(str(folder), given="way\ncaldav\n\nNorthlight\n")
    assert f" init '{folder}'\n" in stopped_run.output
    assert not (folder / "longarc.toml").exists(), "the settings of the embedded servers were kept"
    embedded_again = run_init(str(folder), given="1\nembedded\n\n")
    assert embedded_again.exit_code == 0, embedded_again.output
    assert "attendee_copies = true" in (folder / "longarc.toml").read_text()


def test_the_way_can_be_changed_to_embedded_after_a_failed_check(tmp_path: Path) -> None:
    answers = {"way": "caldav", "company": "", "operator": DANA, "caldav_url": "http://127.0.0.1:9/{email}/"}
    answers |= {"caldav_username": "", "attendee_copies": "no", "smtp_host": "127.0.0.1", "smtp_port": "9"}
    answers |= {"smtp_security": "none", "smtp_username": "", "sender": DANA, "first_manager": DANA}
    folder = write_stopped_set_up(tmp_path, **answers)
    result = run_init(str(folder), given="\nchange\nway\nembedded\n\n")
    assert result.exit_code == 0, result.output
    assert f" run --embedded {folder}" in result.output
    assert "2 of 3" not in result.output


@pytest.mark.parametrize("stops_at_sign_in", [False, True])
def test_a_changed_account_needs_a_new_sign_in(stops_at_sign_in: bool, tmp_path: Path) -> None:
    """If the new sign-in is stopped, the next run does not use the grant of the former account for the new one."""
    with Double() as double:
        outlook_section = make_section(double)
        for address in (DANA, SAM):
            double.world.add_person(address, "Europe/Berlin")
        answers = {"way": "microsoft-account", "company": "", "operator": DANA, "tenant": outlook_section["tenant"]}
        folder = write_stopped_set_up(tmp_path, **answers, client_id=CLIENT, account=DANA, sender=DANA)
        service_addresses = {name: outlook_section[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(str(folder / "answers.toml"), {"calendars.outlook": service_addresses})
        double.login.consenting_person = DANA
        run_init(str(folder), given="\nn\n")
        grant = folder / "var" / "outlook-account"
        former_grant = grant.read_bytes()
        for replies in ("\nn\n", "way\n\n\nn\n"):
            assert "To sign in" not in run_init(str(folder), given=replies).output, "the stored grant was not used"
        double.login.consenting_person = "" if stops_at_sign_in else SAM
        result = run_init(str(folder), given=f"account\n{SAM}\n\nn\n")
        assert "To sign in" in result.output
        if stops_at_sign_in:
            assert not grant.exists()
            double.login.consenting_person = SAM
            result = run_init(str(folder), given="\nn\n")
        assert "2 of 3" in result.output, result.output
        assert grant.read_bytes() != former_grant


def test_a_changed_google_account_or_client_needs_a_new_sign_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_ins: list[str] = []

    def open_browser(url: str) -> None:
        sign_ins.append(url)
        Thread(target=requests.get, args=[url], kwargs={"timeout": 10}).start()

    monkeypatch.setattr("worker.commands.connect._has_browser", lambda: True)
    monkeypatch.setattr("click.launch", open_browser)
    with Google() as double:
        for address in (DANA, SAM):
            double.calendars.add_person(address, "Europe/Berlin")
        client, secret = double.tokens.client
        answers = {"way": "google-account", "company": "", "operator": DANA, "google_client_id": client}
        folder = write_stopped_set_up(tmp_path, **answers, account=DANA, sender=DANA)
        service_addresses = {"calendars.google": double.calendar_section, "mailers.google": double.mail_section}
        add_settings(str(folder / "answers.toml"), service_addresses)
        run_init(str(folder), given=f"\n{secret}\nn\n")
        run_init(str(folder), given="\nn\n")
        assert len(sign_ins) == 1, "the second run did not use the stored grant"
        for question, answer in (("account", SAM), ("google_client_secret", secret)):
            result = run_init(str(folder), given=f"{question}\n{answer}\n\nn\n")
            assert "2 of 3" in result.output, result.output
        assert len(sign_ins) == 3
