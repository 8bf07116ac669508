"""The questions of `longarc init`: what an answer becomes in the settings, and which questions it calls for."""

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


def test_a_roster_without_anybody_is_told_so() -> None:
    """Of people who are all left out it is not said that they have no manager."""
    fault = Problem("Microsoft Entra: user 1", "country: The country is missing.", "Set `country`.")
    *_, last = list_roster_findings(RosterReading(Roster({}, {}), "", [fault]))
    assert (last.statement, last.ok) == ("The roster has nobody in it", False)


@pytest.mark.parametrize(
    ("name", "typed", "kept", "setting"),
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
