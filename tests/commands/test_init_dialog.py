"""`longarc init` with somebody who answers: stopping and going on, changing answers, the list for the pilot."""

import json
import tomllib
from pathlib import Path
from threading import Thread

import pytest
import requests

from tests.doubles.google import Google
from tests.doubles.graph import CLIENT, Double, section
from tests.support.companies import DANA, SAM
from tests.support.set_up import add_settings, caldav_answers, run_init, write_answers, write_stopped_set_up
from worker.embedded import EmbeddedServers
from worker.settings.load import load_settings
from worker.setup.questions import list_questions


def test_a_set_up_goes_on_where_it_stopped(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    folder, answers = tmp_path / "longarc", caldav_answers(servers, people)
    first = ["caldav", "Northlight", "nobody", "?", DANA, "", answers["caldav_url"], "longarc", "wrong"]
    stopped = run_init(str(folder), given="\n".join([*first, ""]))
    assert stopped.exit_code == 1
    assert "`nobody` is not an e-mail address." in stopped.output
    assert "gets a mail" in stopped.output, "`?` explains"
    assert f" init {folder}\n" in stopped.output, "the command that goes on from here"
    mail = ["yes", answers["smtp_host"], "none", answers["smtp_port"], "", "longarc@corp.example"]
    rest = ["", *mail, "", "", "", "change"]
    mended = ["caldav_pasword", "caldav_password", "a long one", ""]
    end = ["n", str(people), "groups", "Cares", "", "change", "pilot_groups", "Care", ""]
    result = run_init(str(folder), given="\n".join([*rest, *mended, *end, ""]))
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "log-in refused" in shown
    assert "To correct `caldav_username` or `caldav_password`, choose `change` below" in shown
    assert "Did you mean `caldav_password`?" in shown
    assert "Did you mean `Care`?" in shown
    assert "1 to book" in shown
    assert "a long one" not in shown, "no list of answers shows a secret"


def test_one_answer_is_changed_and_the_rest_stays(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    """Also an answer of an earlier step, whose check is then run again; and what no answer calls for is not written."""
    answers = caldav_answers(servers, people, smtp_username="somebody", pilot_groups="Car", start="")
    folder = write_stopped_set_up(tmp_path, **answers)
    begin = ["", "a long one", "a long one", DANA]
    no_user = ["change", "smtp_username", "-", "", "n"]
    number = [one.name for one in list_questions({**answers, "smtp_username": ""})].index("company")
    other_pilot = ["change", str(number + 1), "Southlight", "pilot", "managers", "1", "", "n"]
    result = run_init(str(folder), given="\n".join([*begin, *no_user, *other_pilot, ""]))
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.rollout.managers, settings.rollout.groups) == ("Southlight", (DANA,), None)
    assert not (folder / "secrets" / "LONGARC_SMTP_PASSWORD").exists(), "no answer calls for it any more"
    assert result.output.count("Trying calendar and mail") == 3, "twice for its own step, once for the changed answer"


def test_enter_keeps_a_secret_and_the_answers_so_far(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = caldav_answers(servers, people, caldav_url="http://127.0.0.1:9/{email}/")
    folder = write_stopped_set_up(tmp_path, **answers, smtp_username="")
    changed = ["change", "caldav_password", "", "company", "", "caldav_url", servers.caldav_url, "", "later"]
    stopped = run_init(str(folder), given="\n".join(["", "a long one", DANA, *changed, ""]))
    assert "http://127.0.0.1:9" in stopped.output and "passed" in stopped.output
    assert (folder / "secrets" / "LONGARC_CALDAV_PASSWORD").read_text() == "a long one\n"
    assert tomllib.loads((folder / "answers.toml").read_text())["company"] == "Northlight"


@pytest.mark.parametrize("in_environment", [False, True])
def test_a_wrong_secret_is_corrected_where_it_was_typed(tmp_path: Path, in_environment: bool) -> None:
    """The remedy names the answer, and the variable only where the environment has it, and it counts."""
    with Double() as double:
        told = section(double)
        double.world.add_person(DANA, "Europe/Berlin")
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
        result = run_init(str(folder), given="\n".join(["", "wrong", *mended, ""]), **env)
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
    folder = write_stopped_set_up(tmp_path, **answers)
    given = ["", "a long one", DANA, "n", "managers", "11", "1, manager03@corp.example", "", "later"]
    result = run_init(str(folder), given="\n".join([*given, ""]))
    rows = [line.split() for line in result.output.splitlines() if "@corp.example  " in line and " with " in line]
    assert [row[0] for row in rows] == [str(number) for number in range(1, 11)]
    assert [row[2] for row in rows[:3]] == ["11", "04", "10"]
    assert "and 3 more managers, to be named by address" in result.output
    assert "The list has no line 11. Write a number from 1 to 10, or an address." in result.output
    kept = tomllib.loads((folder / "answers.toml").read_text())
    assert kept["pilot_managers"] == "manager11@corp.example, manager03@corp.example"


def test_further_settings_outlast_a_stop(tmp_path: Path) -> None:
    folder = tmp_path / "longarc"
    folder.mkdir(mode=0o700)
    (folder / "answers.toml").write_text("[settings.calendars.outlook]\nauthority = 'https://login.example.com'\n")
    stopped = run_init(str(folder), given="microsoft-account\nNorthlight\n")
    assert stopped.exit_code == 1
    kept = tomllib.loads((folder / "answers.toml").read_text())
    assert kept["company"] == "Northlight"
    assert kept["settings"]["calendars"]["outlook"]["authority"] == "https://login.example.com"


def test_the_way_is_changed_and_what_was_for_the_former_way_goes(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    """Answers to questions of both ways stay; answers, key file and grants of the former way alone do not."""
    key = tmp_path / "key.json"
    common = {"company": "Northlight", "operator": DANA, "sender": "longarc@corp.example", "first_manager": DANA}
    former = {"way": "google-domain", "google_key": str(key), "people": "directory", "country": "DE"}
    folder = write_stopped_set_up(tmp_path, **common, **former)
    (folder / "var" / "google").mkdir(parents=True)
    grant = folder / "var" / "google" / f"{DANA}.sealed"
    grant.touch()
    with Google() as double:
        key.write_text(json.dumps(double.tokens.service_account()))
        places = {"calendars.google": double.section, "mailers.google": double.mail_section}
        add_settings(str(folder / "answers.toml"), places)
        refused = run_init(str(folder), given="\n")
    assert "✗" in refused.output
    assert (folder / "secrets" / "google-key.json").exists()
    answers = caldav_answers(servers, people)
    services = [answers["caldav_url"], "longarc", "a long one", "yes", answers["smtp_host"], "none"]
    given = ["way", "caldav", "", *services, answers["smtp_port"], "", "n", str(people), "managers", DANA, ""]
    result = run_init(str(folder), given="\n".join([*given, ""]))
    assert result.exit_code == 0, result.output
    assert "2 to book" in result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.people, settings.roster.country) == ("Northlight", people, "")
    assert settings.calendars.google.service_account is None
    assert not (folder / "secrets" / "google-key.json").exists() and not grant.exists()
    assert former.keys() & tomllib.loads((folder / "answers.toml").read_text()).keys() == {"way", "people"}


def test_an_installation_that_was_only_tried_gets_other_services_in_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "long arc"
    tried = run_init(str(folder), given="embedded\n")
    assert f" run --embedded '{folder}'" in tried.output
    stopped = run_init(str(folder), given="way\ncaldav\n\nNorthlight\n")
    assert f" init '{folder}'\n" in stopped.output
    assert not (folder / "longarc.toml").exists(), "it was for the built-in servers"
    again = run_init(str(folder), given="1\nembedded\n\n")
    assert again.exit_code == 0, again.output
    assert "attendee_copies = true" in (folder / "longarc.toml").read_text()


def test_after_a_failed_check_the_way_can_be_changed_to_embedded(tmp_path: Path) -> None:
    answers = {"way": "caldav", "company": "", "operator": DANA, "caldav_url": "http://127.0.0.1:9/{email}/"}
    answers |= {"caldav_username": "", "attendee_copies": "no", "smtp_host": "127.0.0.1", "smtp_port": "9"}
    answers |= {"smtp_security": "none", "smtp_username": "", "sender": DANA, "first_manager": DANA}
    folder = write_stopped_set_up(tmp_path, **answers)
    result = run_init(str(folder), given="\nchange\nway\nembedded\n\n")
    assert result.exit_code == 0, result.output
    assert f" run --embedded {folder}" in result.output
    assert "2 of 3" not in result.output


@pytest.mark.parametrize("stops_at_sign_in", [False, True])
def test_a_changed_account_signs_in(stops_at_sign_in: bool, tmp_path: Path) -> None:
    """Also when the new sign-in was stopped, the next run does not take the former account's grant for it."""
    with Double() as double:
        told = section(double)
        for address in (DANA, SAM):
            double.world.add_person(address, "Europe/Berlin")
        answers = {"way": "microsoft-account", "company": "", "operator": DANA, "tenant": told["tenant"]}
        folder = write_stopped_set_up(tmp_path, **answers, client_id=CLIENT, account=DANA, sender=DANA)
        places = {name: told[name] for name in ("endpoint", "authority", "ca_file")}
        add_settings(str(folder / "answers.toml"), {"calendars.outlook": places})
        double.login.signed_in = DANA
        run_init(str(folder), given="\nn\n")
        grant = folder / "var" / "outlook-account"
        former = grant.read_bytes()
        for given in ("\nn\n", "way\n\n\nn\n"):
            assert "To sign in" not in run_init(str(folder), given=given).output, "the grant is stored"
        double.login.signed_in = "" if stops_at_sign_in else SAM
        changed = run_init(str(folder), given=f"account\n{SAM}\n\nn\n")
        assert "To sign in" in changed.output
        if stops_at_sign_in:
            assert not grant.exists()
            double.login.signed_in = SAM
            changed = run_init(str(folder), given="\nn\n")
        assert "2 of 3" in changed.output, changed.output
        assert grant.read_bytes() != former


def test_a_changed_google_client_is_signed_in_to_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        places = {"calendars.google": double.section, "mailers.google": double.mail_section}
        add_settings(str(folder / "answers.toml"), places)
        run_init(str(folder), given=f"\n{secret}\nn\n")
        run_init(str(folder), given="\nn\n")
        assert len(sign_ins) == 1, "the grant is stored"
        for changed, answer in (("account", SAM), ("google_client_secret", secret)):
            result = run_init(str(folder), given=f"{changed}\n{answer}\n\nn\n")
            assert "2 of 3" in result.output, result.output
        assert len(sign_ins) == 3
