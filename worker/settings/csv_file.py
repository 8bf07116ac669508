"""Reads the rows of a CSV file that people keep: the people file, and the openings file.

All problems are reported at once, with line and column. Columns may be in any order, unknown ones are ignored, and the
separator is a comma, a semicolon or a tab.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from worker.errors import Problem, Problems
from worker.settings.csv_dialect import (
    SEPARATOR_NAMES,
    describe_csv_error,
    detect_delimiter,
    find_other_separator,
    is_cut_off,
)
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value

#: Problems beyond this number are only counted.
MAX_PROBLEMS = 200

#: Control characters, line separators, and characters that reverse the direction of text.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

#: What is left out at the ends of a cell: blanks, and characters that nobody sees but that come along when copying.
_EDGES = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The columns of a kind of file, and what messages call it."""

    name: str
    indefinite_name: str  #: with the article, at the beginning of a sentence
    required: Sequence[str]
    optional: Sequence[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the required ones first."""
        return (*self.required, *self.optional)


class ProblemReport:
    """The problems of one file: the first MAX_PROBLEMS as texts, the rest as a count."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._uncollected_count = 0

    def add_problem(self, line: int, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            self._uncollected_count += 1
            return
        where = f"{self.file}:line {line}" + (f", {column}" if column else "")
        self.problems.append(Problem(where, what, remedy if isinstance(remedy, str) else remedy()))

    def raise_problems(self) -> None:
        """Raises Problems when there are any."""
        if self._uncollected_count:
            what = f"There are {self._uncollected_count:,} more problems."
            self.problems.append(Problem(self.file, what, "Mend these first."))
        if self.problems:
            raise Problems(self.problems)


@dataclass(slots=True)
class CsvRow:
    """One row of the file: its line number, and its cells by column. The first problem clears `is_usable`."""

    line: int
    cells: Mapping[str, str]
    problem_report: ProblemReport
    is_usable: bool = True

    def add_problem(self, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        self.is_usable = False
        self.problem_report.add_problem(self.line, column, what, remedy)

    def parse_cell(self, column: str, parser: Callable[[str], T], default: T) -> T:
        """Return the parsed cell; the default when the cell is empty or can't be used."""
        text = self.cells.get(column, "")
        if not text:
            return default
        if _CONTROL_CHARACTER.search(text):
            self.add_problem(
                column, "There is a line break or a control character in this cell.", "Keep it on one line."
            )
            return default
        try:
            return parser(text)
        except InvalidValue as error:
            self.add_problem(column, error.what, error.build_remedy)
            return default


def read_text(path: Path, file_format: CsvFormat, problem_report: ProblemReport) -> str:
    """Return the text of the file. Raises Problems when it can't be read, or is no text in UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        where, remedy = str(path), f"Give the path of the {file_format.name} in the settings, and let Longarc read it."
        raise Problems([Problem(where, f"The {file_format.name} can't be read: {error.strerror}.", remedy)]) from None
    remedy = "Save it as UTF-8 (in Excel: `CSV UTF-8`)."
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        problem_report.add_problem(1, "", "The file is written in UTF-16.", remedy)
    elif content.startswith(b"PK\3\4"):
        problem_report.add_problem(1, "", "This is a workbook, not a CSV file.", remedy)
    elif b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        problem_report.add_problem(line, "", "There is a zero byte: this is no CSV file, or one in UTF-16.", remedy)
    if not problem_report.problems:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            offset = len(content) - len(error.object) + error.start
            line = content[:offset].count(b"\n") + 1
            problem_report.add_problem(line, "", f"The byte 0x{content[offset]:02X} is not UTF-8.", remedy)
    problem_report.raise_problems()
    return ""


def read_rows(text: str, file_format: CsvFormat, problem_report: ProblemReport) -> Iterator[CsvRow]:
    """Yield the rows below the header. Problems of the header, quotes and cells go to `problem_report`."""
    skipped = 0  # lines before the text that the reader gets
    if re.match(r"sep=.\r?\n", text):  # Excel writes this line to name the separator
        skipped, text = 1, text.partition("\n")[2]
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=detect_delimiter(text, file_format.columns), strict=True
    )
    columns: dict[int, str] | None = None
    next_line = 1
    fewest_cells = 0
    try:
        for cells in reader:
            row_line = next_line + skipped
            next_line = reader.line_num + 1  # a quoted cell may span several lines
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _locate_columns(cells, row_line, file_format, problem_report)
                header_width = len(cells)
                if problem_report.problems:
                    return
            elif row_separator := find_other_separator(cells, reader.dialect.delimiter):
                header_separator = SEPARATOR_NAMES[reader.dialect.delimiter]
                what = f"This row is separated by {SEPARATOR_NAMES[row_separator]}, the header by {header_separator}."
                problem_report.add_problem(row_line, "", what, "Use one separator in the whole file.")
            elif any(cell.strip() for cell in cells[header_width:]):
                what = f"There are {len(cells)} cells under a header of {header_width}."
                problem_report.add_problem(row_line, "", what, "Put quotes around a cell that holds the separator.")
            elif len(cells) < fewest_cells and is_cut_off(text, reader.line_num):
                problem_report.add_problem(
                    row_line, "", "The file ends in the middle of this row.", "Have it exported again, to its end."
                )
            else:
                fewest_cells = min(fewest_cells or header_width, len(cells))
                yield CsvRow(
                    row_line,
                    {name: _EDGES.sub("", cells[i]) if i < len(cells) else "" for i, name in columns.items()},
                    problem_report,
                )
    except csv.Error as error:
        problem_report.add_problem(next_line + skipped, "", *describe_csv_error(str(error)))
    if columns is None and not problem_report.problems:
        problem_report.add_problem(1, "", "The file is empty.", f"Begin with a header: {','.join(file_format.columns)}")


def _locate_columns(
    header: Sequence[str], line: int, file_format: CsvFormat, problem_report: ProblemReport
) -> dict[int, str]:
    """Return the known columns by index. Unknown columns are ignored, unless they look like a misspelt known one."""
    names = [" ".join(cell.split()).casefold() for cell in header]
    columns: dict[int, str] = {}
    if len(names) == 1 and names[0] not in file_format.columns:
        what = f"`{shorten_value(names[0])}` is not a header: no separator is between the columns."
        problem_report.add_problem(
            line, "", what, f"Write {','.join(file_format.required)}, with commas, semicolons or tabs."
        )
        return columns
    for index, name in enumerate(names):
        if name in file_format.columns and name in columns.values():
            problem_report.add_problem(line, name, "This column appears twice.", "Keep one of them.")
        elif name in file_format.columns:
            columns[index] = name
    missing = [name for name in file_format.columns if name not in columns.values()]
    unknown = [name for name in names if name and name not in file_format.columns]
    for name in missing:
        misspelt = _find_misspelling(name, unknown, file_format.required)
        if misspelt:
            problem_report.add_problem(
                line, name, f"The column `{shorten_value(misspelt)}` is not known.", f"Did you mean `{name}`?"
            )
        elif name in file_format.required:
            problem_report.add_problem(
                line,
                name,
                "This column is missing.",
                f"{file_format.indefinite_name} needs {', '.join(file_format.required)}.",
            )
    return columns


def _find_misspelling(name: str, unknown: Sequence[str], required: Collection[str]) -> str:
    """Return the unknown column that looks like a misspelling of `name`. For an optional column it must be closer."""
    by_letters = {re.sub(r"[\W_]", "", column): column for column in unknown}
    letters = name.replace("_", "")
    return by_letters.get(letters) or by_letters.get(
        find_nearest(letters, by_letters, 0.75 if name in required else 0.88), ""
    )
