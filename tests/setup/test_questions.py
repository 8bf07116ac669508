"""The questions of `longarc init`: how answers are written to the settings, and which questions depend on them."""

import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.companies import DANA, SAM
from worker.engine.roster_reader import RosterReading
from worker.errors import Problem
from worker.roster.model import Roster
from worker.setup.files import render_settings
from worker.setup.questions import QUESTIONS, list_questions
from worker.setup.roster_summary import list_roster_findings
from worker.setup.ways import Way


def test_empty_roster_is_reported() -> None:
    """When all people are left out because of faults, the finding is not that they have no manager."""
    fault = Problem("Microsoft Entra: user 1", "country: The country is missing.", "Set `country`.")
    *_, last_finding = list_roster_findings(RosterReading(Roster({}, {}), "", [fault]))
    assert (last_finding.statement, last_finding.ok) == ("The roster has nobody in it", False)


@pytest.mark.parametrize(
    ("name", "typed", "answer", "setting"),
    [
        ("attendee_copies", "YES", "yes", True),
        ("attendee_copies", "no", "no", False),
        ("attendee_copies", "Y", "yes", True),
        ("smtp_port", "0587", "587", 587),
        ("pilot_groups", "R&D , Care,", "R&D, Care", ["R&D", "Care"]),
        ("pilot_managers", f"{DANA} {SAM}", f"{DANA}, {SAM}", [DANA, SAM]),
        ("start", "2027-01-11", "2027-01-11", date(2027, 1, 11)),
        ("company", "true", "true", "true"),
    ],
)
def test_answer_is_normalized_and_written_with_the_type_of_its_setting(
    name: str, typed: str, answer: str, setting: object
) -> None:
    question = next(candidate for candidate in QUESTIONS if candidate.name == name)
    assert question.parse(typed) == question.parse(answer) == answer, (
        "the stored answer is not accepted again as an answer"
    )
    # `pilot_groups` needs the answer `groups` to the question who begins
    values: Any = tomllib.loads(
        render_settings({"way": "caldav", "pilot": name.removeprefix("pilot_"), name: answer}, more_settings={})
    )
    for key in question.setting.split("."):
        values = values[key]
    assert values == setting


@pytest.mark.parametrize("way", Way)
def test_notification_address_is_a_question_for_pages_with_google_or_microsoft(way: Way) -> None:
    def has_question(base_url: str) -> bool:
        return "notify_url" in {question.name for question in list_questions({"way": way.value, "base_url": base_url})}

    assert has_question("https://longarc.corp.example") is way.value.startswith(("google", "microsoft"))
    assert not has_question("")


@example("true")
@example("false")
@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=40))
def test_any_company_name_is_read_back_from_the_settings(text: str) -> None:
    rendered = render_settings({"way": "caldav", "company": text}, more_settings={})
    assert tomllib.loads(rendered).get("company", "") == text
