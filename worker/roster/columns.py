"""The columns of the people file, and the parser of each value that a directory or the people file tells."""

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

#: The values of a record that are parsed like cells.
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
    "trust": parse_boolean,
    "paused": parse_boolean,
    "paused_until": parse_day,
}


def build_parsers(calendars: Collection[str], mailers: Collection[str]) -> _Parsers:
    """Return the parser of each column by its name. `calendars` and `mailers` are the providers that may be named."""
    calendar_parser = make_choice_parser(list(dict.fromkeys([*calendars, NO_CALENDAR])))
    return {**_PARSERS, "calendar": calendar_parser, "mail": make_choice_parser(list(mailers))}


@dataclass(slots=True)
class ParsedRecord:
    """A record, and those of its values that can be used, by column."""

    record: RosterRecord
    report: ProblemReport  #: where the faults of this record go
    values: dict[str, Any] = field(default_factory=dict)
    unusable: frozenset[str] = frozenset()  #: columns that the directory tells, in a form that can't be used

    @property
    def place(self) -> str:
        """Where the person is found, for messages: the line of a file; in a directory, with the address."""
        where, addresses = self.record.where, self.record.addresses
        return where if where.startswith("line ") or not addresses else f"{where} ({addresses[0]})"

    def add_problem(self, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        self.report.add_problem(self.place, column, what, remedy)


def parse_record(record: RosterRecord, parsers: _Parsers, report: ProblemReport) -> ParsedRecord:
    """Parse the values of a record. Faults go to the report."""
    parsed = ParsedRecord(record, report)
    texts = {name: getattr(record, name) for name in _TEXT_FIELDS} | dict(record.wishes)
    for column, text in texts.items():
        if not text:
            continue
        try:
            parsed.values[column] = parsers[column](refuse_control_characters(text))
        except InvalidValue as error:
            parsed.unusable |= {column}
            parsed.add_problem(column, error.what, error.build_remedy)
    return parsed
