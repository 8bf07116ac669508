"""The report of problems in a file: frequent faults are combined, and the number of problems is limited."""

import pytest

from worker.errors import Problems
from worker.settings.problem_report import MAX_PROBLEMS, ProblemReport


def test_report_has_a_maximum_number_of_problems() -> None:
    report = ProblemReport("people.csv")
    for number in range(MAX_PROBLEMS + 7):
        report.add_fault(number, f"column {number}", "This is wrong.", "Fix it.")
    problems = report.build_problems()
    assert len(problems) == MAX_PROBLEMS + 1
    assert str(problems[-1]) == "people.csv: There are 7 more problems. Fix these first."


def test_remedies_are_searched_only_for_reported_problems() -> None:
    searches: list[int] = []

    def find_remedy() -> str:
        searches.append(1)
        return "Fix it."

    report = ProblemReport("people.csv")
    for number in range(1000):
        report.add_fault(number, "name", f"`{number}` is wrong.", find_remedy)
    assert report.count == 1000 and len(report.build_problems()) == 1
    assert len(searches) < 20, "a remedy was searched for faults that are only counted"


def test_problem_names_the_column_and_the_place_as_the_directory_does() -> None:
    report = ProblemReport("Google Directory", "people")
    report.labels["time_zone"] = "Time Zone"
    report.add_fault("user 17", "time_zone", "The time zone is missing.", "Fill it in.")
    with pytest.raises(
        Problems, match=r"^Google Directory: user 17, Time Zone: The time zone is missing\. Fill it in\.$"
    ):
        report.raise_problems()
