"""Loads a people file whole: everybody in it, or all its problems at once, with line and column."""

from collections.abc import Mapping
from pathlib import Path

from worker.roster.csv_source import CsvSource, PeopleFileFormat
from worker.roster.model import Roster, RosterRules, StoredRoster
from worker.roster.resolve import resolve_roster
from worker.settings.people_columns import REQUIRED_COLUMNS
from worker.settings.problem_report import ProblemReport


def load_people_file(
    path: Path, rules: RosterRules, mapping: Mapping[str, str] | None = None, stored: StoredRoster | None = None
) -> Roster:
    """Return the roster that a people file makes. Raises Problems with everything that is wrong in it.

    `mapping`: our name of a column to its name in the file. `stored`: what the database has of earlier readings.
    """
    report = ProblemReport(path.name)
    defaults = {"time_zone": rules.default_zone, "country": rules.default_country}
    required = [column for column in REQUIRED_COLUMNS if not defaults.get(column)]
    source = CsvSource(path, PeopleFileFormat(mapping=mapping or {}, required=required))
    roster = resolve_roster(source.read_into(report), rules, report, stored=stored or StoredRoster())
    report.raise_problems()
    return roster
