"""The remedies of failed checks, as `longarc init` words them for somebody who answers its questions."""

from pathlib import Path

import pytest

from tests.support.companies import START
from worker.errors import Problem, Problems
from worker.ops.checks import run_checks
from worker.setup.questions import list_questions
from worker.setup.remedies import reword_finding, reword_remedy

QUESTIONS = tuple(list_questions({"way": "caldav", "caldav_username": "longarc"}))


def test_a_failed_check_of_the_pages_names_their_answer(tmp_path: Path) -> None:
    settings = tmp_path / "longarc.toml"
    settings.write_text('base_url = "http://longarc.example.com"\n')
    (finding,) = [one for one in run_checks(settings, {}, START) if one.statement.startswith("Mails link")]
    remedy = reword_finding(finding, QUESTIONS, {}).remedy
    assert remedy.endswith("To correct `base_url`, choose `change` below, and name it there.")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("longarc.toml:3: mailers.smtp.host: it does not answer.", "`smtp_host`"),
        ("Write `url` under [calendars.caldav].", "`caldav_url`"),
        ("Set LONGARC_CALDAV_PASSWORD.", "`caldav_password`"),
        ("Fix `database` in the settings.", "`database`"),
    ],
)
def test_an_error_names_the_answer_that_became_its_setting(text: str, named: str) -> None:
    assert f"To correct {named}, choose `change` below" in reword_remedy(text, QUESTIONS, {})


def test_an_error_about_no_answer_stays_as_it_is() -> None:
    text = str(Problems([Problem("people.csv:2: manager", "Nobody has this address.", "Add the person.")]))
    assert reword_remedy(text, QUESTIONS, {}) == text
