"""`longarc init` with an answers file: what is refused before anything is written, and where secrets come from."""

from pathlib import Path

import pytest

from tests.support.companies import DANA, KEY
from tests.support.set_up import caldav_answers, run_init, write_answers
from worker.embedded import EmbeddedServers
from worker.setup.answers import read_answers
from worker.setup.questions import QUESTIONS
from worker.setup.ways import Way

PASSWORDS = {"LONGARC_CALDAV_PASSWORD": "a long one", "LONGARC_SMTP_PASSWORD": "a long one"}


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
    result = run_init(str(folder), "--answers", answers, LONGARC_CALDAV_PASSWORD="x")
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
    result = run_init(str(tmp_path / "longarc"), "--answers", answers, "--no-mail", **env)
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
def test_secrets_that_can_t_be_read_are_named_before_anything_is_written(
    servers: EmbeddedServers, people: Path, tmp_path: Path, env: dict[str, str], messages: list[str]
) -> None:
    answers = write_answers(tmp_path, **caldav_answers(servers, people, smtp_username="longarc"))
    result = run_init(str(tmp_path / "longarc"), "--answers", answers, **env)
    assert result.exit_code == 1
    shown = " ".join(result.output.split())
    assert [message for message in messages if message not in shown] == []
    assert not (tmp_path / "longarc").exists()


@pytest.mark.parametrize("way", list(Way))
def test_printed_questions_are_an_answers_file(way: Way, tmp_path: Path) -> None:
    printed = run_init("--questions", way.value).output
    file = tmp_path / "printed.toml"
    file.write_text(printed.replace("\n#", "\n").replace("\n ", "\n# "))
    given = read_answers(file)
    names = {question.name for question in QUESTIONS if way in question.ways and not question.is_secret}
    assert set(given.values) == names
