"""Files in forms met in practice, exported by HR systems or kept by hand: each loads, or is refused with the reason."""

from datetime import date
from pathlib import Path

import pytest

from worker.domain.model import PairId
from worker.errors import Problems
from worker.roster.model import Roster, RosterRules
from worker.roster.people_file import load_people_file

CASES = Path(__file__).parent / "cases"
RULES = RosterRules(today=date(2027, 1, 15), calendars=["caldav"], mailers=["smtp"])

ANN, BO = "a@field.example", "b@field.example"


def load_case(name: str) -> Roster:
    return load_people_file(CASES / f"{name}.csv", RULES)


@pytest.mark.parametrize(
    ("name", "ann", "bo"),
    [
        ("bamboo", "Ann Doe", "Bo Roe"),
        ("bom-semicolon", "Änne Groß", "Bo"),
        ("bom-sep", "Änne Groß", "Bo"),
        ("cr", "Änne Groß", "Bo"),
        ("mailto", "Ann", "Bo"),
        ("nbsp", "Ann Doe", "Bo"),
        ("quotednewline", "Ann Doe", "Bo"),
        ("utf16", "Änne Groß", "Bo"),
        ("win1252", "Änne Groß", "Bo"),
        ("workday", "Ann Doe", "Bo Roe"),
    ],
)
def test_each_readable_file_gives_ann_as_manager_of_bo_in_germany(name: str, ann: str, bo: str) -> None:
    roster = load_case(name)
    assert {email: person.name for email, person in roster.persons.items()} == {ANN: ann, BO: bo}
    assert {(person.zone, person.country) for person in roster.persons.values()} == {("Europe/Berlin", "DE")}
    assert list(roster.pairs) == [PairId(ANN, BO)]


@pytest.mark.parametrize(
    ("name", "zone", "country"), [("country-name", "Europe/Berlin", "DE"), ("gb-uk", "Europe/London", "GB")]
)
def test_a_country_is_read_as_a_name_or_an_older_code(name: str, zone: str, country: str) -> None:
    person = load_case(name).persons[ANN]
    assert (person.name, person.zone, person.country) == ("Ann", zone, country)


@pytest.mark.parametrize(
    ("name", "reason", "remedy"),
    [
        (
            "dates",
            "line 3, start: `01/09/2026` can be read as 1 September and as 9 January.",
            "Write year-month-day: `2026-09-01` or `2026-01-09`.",
        ),
        ("dup-formerworker", "line 3, email: `a@field.example` is in line 2 already.", "Keep one row for each person."),
        (
            "formula",
            'line 2, name: `=HYPERLINK("http://x.example")` begins with `=`, as a formula does, and is not computed.',
            "Write the words themselves.",
        ),
        (
            "noheader",
            "line 1: The file begins with a person, so its columns have no names.",
            "Write a header above this line: email,name,manager,time_zone,country.",
        ),
        ("widths", "line 3, country: The country is missing.", "Fill this cell."),
    ],
)
def test_a_refused_file_is_reported_with_place_reason_and_remedy(name: str, reason: str, remedy: str) -> None:
    with pytest.raises(Problems) as error_info:
        load_case(name)
    assert str(error_info.value) == f"{name}.csv:{reason} {remedy}"
