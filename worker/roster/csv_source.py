"""The roster source for a people file: a CSV file that an HR system exports, or that a person writes."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from worker.errors import LongarcError, Problems
from worker.providers.base import Finding
from worker.roster.base import ManagerReference, RosterRecord, SourceCheck
from worker.roster.countries import find_country_of_place
from worker.roster.csv_headers import PeopleHeaderReader
from worker.settings.csv_dialect import decode_text
from worker.settings.csv_file import CsvFormat, CsvRow, read_rows, read_text
from worker.settings.parsers import shorten_value
from worker.settings.people_columns import COLUMNS, REQUIRED_COLUMNS, WISH_COLUMNS
from worker.settings.problem_report import WHOLE_ROW, ProblemReport

#: By required column: the columns of HR exports any of which can replace it.
_SUBSTITUTES = {
    "name": ("first_name", "last_name"),
    "manager": ("manager_email", "manager_id"),
    "country": ("location",),
}
#: The statuses of people who work here, including those on leave: leave is read from the calendar,
#: or set in the column `paused`.
_ACTIVE_STATUSES = frozenset(
    (
        *("active", "aktiv", "yes", "ja", "true", "1", "employed", "current", "working", "beschäftigt", "angestellt"),
        *("onboarding", "probation", "probezeit", "in probezeit", "regular", "permanent", "temporary", "contract"),
        *("full-time", "full time", "part-time", "part time", "vollzeit", "teilzeit", "contractor", "intern"),
        *("leave", "on leave", "paid leave", "unpaid leave", "leave of absence", "active - on leave", "beurlaubt"),
        *("elternzeit", "mutterschutz", "parental leave"),
    )
)
#: The statuses of people who no longer work here.
_FORMER_STATUSES = frozenset(
    (
        *("inactive", "inaktiv", "not active", "no", "nein", "false", "0", "former", "left", "leaver", "terminated"),
        *("ausgeschieden", "ausgetreten", "ehemalig", "former employee", "ex-employee", "retired", "deceased"),
        *("dismissed", "offboarded", "disabled", "deactivated", "suspended"),
    )
)
#: The texts that HR systems write into an empty cell. `none` and `NA` are not among them: `none` is a value of the
#: column `calendar`, and `NA` the country code of Namibia.
_PLACEHOLDERS = frozenset(("-", "--", "–", "—", "n/a", "#n/a", "null"))
#: The mark that Workday appends to the name of a former worker.
_TERMINATED_MARK = re.compile(r"\(terminated\)$", re.IGNORECASE)
#: What stands between several addresses in one cell.
_SEPARATORS = re.compile(r"[\s;,]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleFileFormat:
    """The required columns of a people file, and the names of columns in its header."""

    mapping: Mapping[str, str]  #: the name in the file for each of our column names
    required: Collection[str] = REQUIRED_COLUMNS  #: fewer of them when the file only adds to a directory

    def build_csv_format(self) -> CsvFormat:
        """Return the format with which the rows of the file are read."""
        optional = [name for name in COLUMNS if name not in self.required]
        required = [name for name in REQUIRED_COLUMNS if name in self.required]
        return CsvFormat(
            name="people file",
            indefinite_name="A people file",
            required=required,
            optional=optional,
            read_header=PeopleHeaderReader(self.mapping),
            substitutes=_SUBSTITUTES,
            named_by_settings=self.mapping,
        )


class CsvSource:
    """Reads a people file."""

    def __init__(self, path: Path, file_format: PeopleFileFormat) -> None:
        self._path = path
        self._format = file_format
        self.name = path.name

    def get_version(self) -> str:
        """Return a digest of the file and of the settings that say how to read it. Raises LongarcError."""
        try:
            content = self._path.read_bytes()
        except OSError as error:
            raise LongarcError(f"The people file {self._path} can't be read: {error.strerror}.") from error
        settings = repr(sorted(self._format.mapping.items())) if self._format.mapping else ""
        return sha256(content + settings.encode()).hexdigest()

    def read(self, now: datetime) -> Sequence[RosterRecord]:
        """Return a record for each row. Raises Problems when anything in the file can't be read.

        `now` is for sources that have to know it; a file does not.
        """
        problem_report = ProblemReport(self.name)
        records = self.read_into(problem_report)
        problem_report.raise_problems()
        return records

    def read_into(self, problem_report: ProblemReport) -> Sequence[RosterRecord]:
        """Return a record for each row that can be read, and add the faults to `problem_report`.

        Raises Problems when no row can be read.
        """
        file_format = self._format.build_csv_format()
        text = read_text(self._path, file_format, problem_report)
        records = [_build_record(row) for row in read_rows(text, file_format, problem_report)]
        if not records and not problem_report.has_faults:
            remedy = "Write one line for each person under the header."
            problem_report.add_fault(1, WHOLE_ROW, "There is nobody in this file.", remedy)
        return records

    def check(self) -> SourceCheck:
        """Check whether the file can be read. The result has a warning when the file's encoding had to be guessed."""
        problem_report = ProblemReport(self.name)
        try:
            records = self.read_into(problem_report)
            problem_report.raise_problems()
            decoded = decode_text(self._path.read_bytes())
        except Problems as error:
            return SourceCheck(
                [
                    Finding(f"{problem.where}: {problem.what}", ok=False, remedy=problem.remedy)
                    for problem in error.problems
                ]
            )
        if not decoded.is_guessed:
            return SourceCheck([Finding(f"{self.name} can be read", ok=True)], records)
        example = next((word for word in decoded.text.split() if not word.isascii()), "")
        statement = f"{self.name} is not UTF-8; it is read as Windows-1252, for example `{shorten_value(example)}`"
        remedy = "If this example is wrong, save the file as UTF-8 (in Excel: `CSV UTF-8`)."
        return SourceCheck([Finding(statement, ok=True, remedy=remedy)], records)


def _build_record(row: CsvRow) -> RosterRecord:
    """Return the record of a row. A status that is not understood is added to the problem report of the row."""
    cells = {column: "" if text.casefold() in _PLACEHOLDERS else text for column, text in row.cells.items()}
    return RosterRecord(
        where=f"line {row.line}",
        directory_id=cells.get("directory_id", ""),
        addresses=(cells.get("email", ""), *filter(None, _SEPARATORS.split(cells.get("aliases", "")))),
        name=_find_name(cells),
        managers=tuple(map(ManagerReference, _list_managers(cells))),
        time_zone=cells.get("time_zone", ""),
        country=cells.get("country", "") or find_country_of_place(cells.get("location", "")),
        locale=cells.get("locale", ""),
        working_hours=cells.get("working_hours", ""),
        group=cells.get("group", ""),
        is_active=_is_active(row, cells),
        hire_date=cells.get("hire_date", ""),
        wishes={column: cells[column] for column in WISH_COLUMNS if cells.get(column)},
    )


def _find_name(cells: Mapping[str, str]) -> str:
    """Return the person's name. Where the cell `name` is empty, it is composed of the first and the last name."""
    name = cells.get("name", "")
    return name or " ".join(filter(None, (cells.get("first_name", ""), cells.get("last_name", ""))))


def _list_managers(cells: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts that name the person's managers, from the most reliable column that is filled. A cell with
    several addresses yields one text for each address."""
    columns = ("manager_email", "manager_id", "manager")
    text = next((cells[column] for column in columns if cells.get(column)), "")
    parts = [part for part in _SEPARATORS.split(text) if part]
    # several addresses, and not one name with its address, such as `d@corp.example <d@corp.example>`
    if len(parts) > 1 and all("@" in part and "<" not in part for part in parts):
        yield from parts
    elif text:
        yield text


def _is_active(row: CsvRow, cells: Mapping[str, str]) -> bool:
    """Return whether the person works here. A status that is neither active nor former is reported as a problem."""
    text = cells.get("status", "")
    status = text.casefold()
    if status in _FORMER_STATUSES:
        return False
    if status and status not in _ACTIVE_STATUSES:
        fault = f"`{shorten_value(text)}` says neither that somebody works here nor that they left."
        row.add_fault("status", fault, "Write `active` or `former`, or leave the cell empty.")
    return not _TERMINATED_MARK.search(cells.get("name", ""))
