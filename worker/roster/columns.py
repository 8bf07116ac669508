"""The parsers of the values in a directory or in the people file, one for each column of the people file."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.domain.model import NO_CALENDAR, Format, ReviewMode
from worker.roster.base import RosterRecord
from worker.roster.countries import parse_country_name
from worker.roster.parsers import parse_day, parse_group_name, parse_person_name
from worker.roster.time_zones import parse_zone_name
from worker.settings.csv_file import refuse_control_characters
from worker.settings.parsers import (
    InvalidValue,
    make_choice_parser,
    parse_boolean,
    parse_interval,
    parse_locale,
    parse_minutes,
    parse_preference,
    parse_working_hours,
)
from worker.settings.problem_report import ProblemReport

#: The fields of a record that are parsed like cells of the people file. Its `wishes` are parsed, too.
_TEXT_FIELDS = ("name", "time_zone", "country", "locale", "working_hours", "group")

_Parsers = Mapping[str, Callable[[str], Any]]

_PARSERS: _Parsers = {
    "name": parse_person_name,
    "time_zone": parse_zone_name,
    "country": parse_country_name,
    "locale": parse_locale,
    "working_hours": parse_working_hours,
    "group": parse_group_name,
    "start": parse_day,
    "every": parse_interval,
    "minutes": parse_minutes,
    "format": make_choice_parser(list(Format)),
    "review": make_choice_parser(list(ReviewMode)),
    "transition_until": parse_day,
    "prefer": parse_preference,
    "trust": parse_boolean,  # whether the two trust each other enough for the hardest questions in the brief
    "paused": parse_boolean,
    "paused_until": parse_day,
}


def build_parsers(calendars: Collection[str], mailers: Collection[str]) -> _Parsers:
    """Return the parser of each column by its name. `calendars` and `mailers`: the providers that a cell may name."""
    calendar_parser = make_choice_parser(list(dict.fromkeys([*calendars, NO_CALENDAR])))
    return {**_PARSERS, "calendar": calendar_parser, "mail": make_choice_parser(list(mailers))}


@dataclass(slots=True)
class ParsedRecord:
    """A record and its parsed values."""

    record: RosterRecord
    problem_report: ProblemReport  #: the report to which the faults of this record are added
    values: dict[str, Any] = field(default_factory=dict)  #: the parsed values, by column
    unusable_columns: frozenset[str] = frozenset()  #: the columns whose text can't be parsed

    @property
    def place(self) -> str:
        """The place of the record, for messages: the line of a file, or the entry in a directory with the address."""
        where, addresses = self.record.where, self.record.addresses
        return where if where.startswith("line ") or not addresses else f"{where} ({addresses[0]})"

    def add_fault(self, column: str, fault: str, remedy: str | Callable[[], str]) -> None:
        """Add a fault of this record to the problem report. A callable remedy is computed only when it is shown."""
        self.problem_report.add_fault(self.place, column, fault, remedy)

    def add_invalid_value(self, column: str, error: InvalidValue) -> None:
        """Add to the problem report that the text of a column can't be used; `error` says why."""
        self.add_fault(column, error.what, error.build_remedy)


def parse_record(record: RosterRecord, parsers: _Parsers, problem_report: ProblemReport) -> ParsedRecord:
    """Return the record with its parsed values. Values that can't be parsed are added to the problem report."""
    parsed = ParsedRecord(record, problem_report)
    # here wishes are all columns that only the people file has, such as `calendar`, `start` and `paused` (WISH_COLUMNS)
    texts = {name: getattr(record, name) for name in _TEXT_FIELDS} | dict(record.wishes)
    for column, text in texts.items():
        if not text:
            continue
        try:
            parsed.values[column] = parsers[column](refuse_control_characters(text))
        except InvalidValue as error:
            parsed.unusable_columns |= {column}
            parsed.add_invalid_value(column, error)
    return parsed
