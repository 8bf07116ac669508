"""`longarc init` with an answers file: wrong answers are refused, and secrets are read from the environment."""

from pathlib import Path

import pytest

from tests.commands.conftest import PASSWORD
from tests.support.companies import DANA, KEY
from tests.support.set_up import caldav_answers, run_init, write_answers
from worker.embedded import EmbeddedServers
from worker.setup.answers import read_answers
from worker.setup.questions import QUESTIONS
from worker.setup.ways import Way

SECRETS = {"LONGARC_CALDAV_PASSWORD": PASSWORD, "LONGARC_SMTP_PASSWORD": PASSWORD}


@pytest.mark.parametrize(
    ("wrong_answers", "message"),
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
def test_wrong_answers_are_refused_before_anything_is_written(
    servers: EmbeddedServers, people: Path, tmp_path: Path, wrong_answers: dict[str, str], message: str
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, **wrong_answers))
    folder = tmp_path / "longarc"
    result = run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="x")
    assert result.exit_code == 1
    assert message in result.output
    assert not folder.exists()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"way": "embedded", "pilot_groups": "Sales"}, "line 2: pilot_groups: The way `embedded` does not ask this."),
        ({"way": "embedded", "start": "2027-01-04"}, "line 2: start: The way `embedded` does not ask this."),
        ({}, "way: This has no answer."),
    ],
)
def test_no_answer_is_ignored_and_no_way_is_assumed(tmp_path: Path, answers: dict[str, str], message: str) -> None:
    """An operator who names a pilot must not get an installation for everybody."""
    folder = tmp_path / "longarc"
    result = run_init(str(folder), "--answers", write_answers(tmp_path, **answers))
    assert result.exit_code == 1
    assert message in result.output
    assert not folder.exists()


def test_an_answer_that_other_answers_leave_out_is_refused(
    servers: EmbeddedServers, people: Path, tmp_path: Path
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, pilot="everybody", pilot_groups="Sales"))
    result = run_init(str(tmp_path / "longarc"), "--answers", answers, LONGARC_CALDAV_PASSWORD="x")
    assert result.exit_code == 1
    assert "pilot_groups: The other answers leave this question out." in result.output


def test_init_stores_the_key_of_the_environment(servers: EmbeddedServers, people: Path, tmp_path: Path) -> None:
    """Here the environment names a file with the key. With another key, content of the company could not be opened."""
    answers = write_answers(tmp_path, **caldav_answers(servers, people))
    (tmp_path / "key").write_text(f"{KEY}\n")
    env = {"LONGARC_CALDAV_PASSWORD": PASSWORD, "LONGARC_KEY_FILE": str(tmp_path / "key")}
    result = run_init(str(tmp_path / "longarc"), "--answers", answers, "--no-mail", **env)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "longarc" / "secrets" / "LONGARC_KEY").read_text() == f"{KEY}\n"


@pytest.mark.parametrize(
    ("env", "messages"),
    [
        (
            {**SECRETS, "LONGARC_KEY": KEY, "LONGARC_KEY_FILE": "/nowhere"},
            ["LONGARC_KEY: Both LONGARC_KEY and LONGARC_KEY_FILE"],
        ),
        (
            {**SECRETS, "LONGARC_KEY_FILE": "/nowhere"},
            ["LONGARC_KEY_FILE: The file that this variable names can't be read: No such file"],
        ),
        (
            {
                "LONGARC_CALDAV_PASSWORD_FILE": "/nowhere",
                "LONGARC_SMTP_PASSWORD": "x",
                "LONGARC_SMTP_PASSWORD_FILE": "y",
            },
            [
                "LONGARC_CALDAV_PASSWORD_FILE: The file that this variable names can't be read: No such file",
                "LONGARC_SMTP_PASSWORD: Both LONGARC_SMTP_PASSWORD and LONGARC_SMTP_PASSWORD_FILE are set.",
            ],
        ),
    ],
)
def test_unreadable_secrets_are_named_before_anything_is_written(
    servers: EmbeddedServers, people: Path, tmp_path: Path, env: dict[str, str], messages: list[str]
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, smtp_username="longarc"))
    result = run_init(str(tmp_path / "longarc"), "--answers", answers, **env)
    assert result.exit_code == 1
    output = " ".join(result.output.split())
    assert [message for message in messages if message not in output] == []
    assert not (tmp_path / "longarc").exists()


@pytest.mark.parametrize("way", list(Way))
def test_printed_questions_form_an_answers_file(way: Way, tmp_path: Path) -> None:
    questions = run_init("--questions", way.value).output
    file = tmp_path / "printed.toml"
    # a question is printed as `# its text` and `#name = its default`: only the lines with names become settings
    file.write_text(questions.replace("\n#", "\n").replace("\n ", "\n# "))
    answers = read_answers(file)
    names = {question.name for question in QUESTIONS if way in question.ways and not question.is_secret}
    assert set(answers.values) == names
