"""The remedies of failed checks in `longarc init`, which name the answers to correct."""

from pathlib import Path

import pytest

from tests.support.companies import START
from worker.errors import Problem, Problems
from worker.ops.checks import run_checks
from worker.setup.questions import list_questions
from worker.setup.remedies import reword_finding, reword_remedy

QUESTIONS = tuple(list_questions({"way": "caldav", "caldav_username": "longarc"}))


def test_failed_check_of_the_pages_names_the_answer(tmp_path: Path) -> None:
    settings = tmp_path / "longarc.toml"
    settings.write_text('base_url = "http://longarc.example.com"\n')
    (finding,) = [
        candidate for candidate in run_checks(settings, {}, START) if candidate.statement.startswith("Mails link")
    ]
    remedy = reword_finding(finding, QUESTIONS, env={}).remedy
    assert remedy.endswith("To correct `base_url`, choose `change` below, and name it there.")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("longarc.toml:3: mailers.smtp.host: it does not answer.", "`smtp_host`"),
        ("Write `url` under [calendars.caldav].", "`caldav_url`"),
        ("Set LONGARC_CALDAV_PASSWORD.", "`caldav_password`"),
        ("Fix `database` in the settings.", "`database`"),
    ],
)
def test_error_about_a_setting_names_its_answer(text: str, answer: str) -> None:
    assert f"To correct {answer}, choose `change` below" in reword_remedy(text, QUESTIONS, env={})


def test_error_about_no_answer_stays_unchanged() -> None:
    text = str(Problems([Problem("people.csv:2: manager", "Nobody has this address.", "Add the person.")]))
    assert reword_remedy(text, QUESTIONS, env={}) == text
