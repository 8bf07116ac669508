"""`longarc init` with somebody who answers: stopping and going on, changing answers, the list for the pilot."""

import tomllib
from pathlib import Path

import pytest

from tests.doubles.graph import CLIENT, Double, section
from tests.support.companies import DANA
from tests.support.set_up import add_settings, begin_set_up, caldav_answers, run_init, write_answers
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
    assert f"`longarc init {folder}` goes on from here" in stopped.output
    rest = ["yes", answers["smtp_host"], "none", answers["smtp_port"], "", "longarc@corp.example", "", "", "", "change"]
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
    """Also an answer of an earlier part, whose check is then run again; and what no answer calls for is not written."""
    answers = caldav_answers(servers, people, smtp_username="somebody", pilot_groups="Car", start="")
    folder = begin_set_up(tmp_path, **answers)
    begin = ["a long one", "a long one", DANA]
    no_user = ["change", "smtp_username", "-", "", "n"]
    number = [one.name for one in list_questions({**answers, "smtp_username": ""}) if one.name != "way"].index(
        "company"
    )
    other_pilot = ["change", str(number + 1), "Southlight", "pilot", "managers", "1", "", "n"]
    result = run_init(str(folder), given="\n".join([*begin, *no_user, *other_pilot, ""]))
    assert result.exit_code == 0, result.output
    settings = load_settings(folder / "longarc.toml", {})
    assert (settings.company, settings.rollout.managers, settings.rollout.groups) == ("Southlight", (DANA,), None)
    assert not (folder / "secrets" / "LONGARC_SMTP_PASSWORD").exists(), "no answer calls for it any more"
    assert result.output.count("Trying calendar and mail") == 3, "twice for its own part, once for the changed answer"


def test_enter_keeps_a_secret_and_the_answers_so_far(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    answers = caldav_answers(servers, people, caldav_url="http://127.0.0.1:9/{email}/")
    folder = begin_set_up(tmp_path, **answers, smtp_username="")
    changed = ["change", "caldav_password", "", "company", "", "caldav_url", servers.caldav_url, "", "later"]
    stopped = run_init(str(folder), given="\n".join(["a long one", DANA, *changed, ""]))
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
        result = run_init(str(folder), given="\n".join(["wrong", *mended, ""]), **env)
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
