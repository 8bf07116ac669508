"""Loads the roster from a people file, or reports all problems of the file at once, with line and column."""

from collections.abc import Mapping
from pathlib import Path

from worker.roster.csv_source import CsvSource, PeopleFileFormat
from worker.roster.model import Roster, RosterRules, StoredRoster
from worker.roster.resolve import resolve_roster
from worker.settings.people_columns import REQUIRED_COLUMNS
from worker.settings.problem_report import ProblemReport


def load_people_file(
    path: Path, rules: RosterRules, mapping: Mapping[str, str] | None = None, stored_roster: StoredRoster | None = None
) -> Roster:
    """Return the roster in a people file. Raises Problems with all problems of the file.

    `mapping`: the name in the file for each of our column names. `stored_roster`: the roster of earlier readings.
    """
    problem_report = ProblemReport(path.name)
    defaults = {"time_zone": rules.default_zone, "country": rules.default_country}
    required = [column for column in REQUIRED_COLUMNS if not defaults.get(column)]
    source = CsvSource(path, PeopleFileFormat(mapping=mapping or {}, required=required))
    records = source.read_into(problem_report)
    roster = resolve_roster(records, rules, problem_report, stored_roster=stored_roster or StoredRoster())
    problem_report.raise_problems()
    return roster
