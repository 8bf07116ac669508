"""Reads the rows of a CSV file that people keep: the people file, and the openings file.

All problems are reported at once, with line and column. Columns may be in any order, unknown ones are ignored. How the
file is encoded and separated is recognized (`csv_dialect`). Formulas are text like any other: nothing is evaluated.
"""

import csv
import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from worker.errors import Problem, Problems
from worker.settings.csv_dialect import (
    SEPARATOR_NAMES,
    UndecodableText,
    decode_text,
    describe_csv_error,
    detect_delimiter,
    find_other_separator,
    is_cut_off,
)
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value
from worker.settings.problem_report import ProblemReport

#: Control characters, and characters that reverse the direction of text.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

#: What is left out at the ends of a cell: blanks, and characters that nobody sees but that come along when copying.
_EDGES = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$")
#: Blanks of all kinds, and the line breaks that people put into cells.
_BLANKS = re.compile(r"[ \t\n\x0b\x0c\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
#: How spreadsheets keep the zeros at the beginning of a number: `="0042"`.
_QUOTED_BY_FORMULA = re.compile(r'="([^"]*)"')

T = TypeVar("T")


class HeaderReader(Protocol):
    """Finds out what the columns of a header mean."""

    def __call__(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return the name of each known column by its index. Two columns may have the same name."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The columns of a kind of file, and what messages call it."""

    name: str
    indefinite_name: str  #: with the article, at the beginning of a sentence
    required: Sequence[str]
    optional: Sequence[str]
    read_header: HeaderReader | None = None  #: without one, each column has its own name in the header
    #: columns of which one may stand in for a required one
    substitutes: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: what the settings call a column in this file, by our name: these columns have to be there
    named_by_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the required ones first."""
        return (*self.required, *self.optional)

    def find_columns(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return the name of each known column of a header by its index."""
        if self.read_header:
            return self.read_header(header)
        names = [" ".join(cell.split()).casefold() for cell in header]
        return {index: name for index, name in enumerate(names) if name in self.columns}


@dataclass(slots=True)
class CsvRow:
    """One row of the file: its line number, and its cells by column."""

    line: int
    cells: Mapping[str, str]
    problem_report: ProblemReport

    def add_problem(self, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        self.problem_report.add_problem(self.line, column, what, remedy)

    def parse_cell(self, column: str, parser: Callable[[str], T], default: T) -> T:
        """Return the parsed cell; the default when the cell is empty or can't be used."""
        text = self.cells.get(column, "")
        if not text:
            return default
        try:
            return parser(refuse_control_characters(text))
        except InvalidValue as error:
            self.add_problem(column, error.what, error.build_remedy)
            return default


def refuse_control_characters(text: str) -> str:
    """Return the text. Raises InvalidValue when it contains a control character or reverses the direction of text."""
    if _CONTROL_CHARACTER.search(text):
        raise InvalidValue("There is a control character in this cell.", "Type it anew.")
    return text


def read_text(path: Path, file_format: CsvFormat, problem_report: ProblemReport) -> str:
    """Return the text of the file, with `\\n` at the end of each line. Raises Problems when it can't be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        where, remedy = str(path), f"Give the path of the {file_format.name} in the settings, and let Longarc read it."
        raise Problems([Problem(where, f"The {file_format.name} can't be read: {error.strerror}.", remedy)]) from None
    try:
        return decode_text(content).text
    except UndecodableText as error:
        problem_report.add_problem(error.line, "", error.what, "Save it as UTF-8 (in Excel: `CSV UTF-8`).")
        problem_report.raise_problems()
        return ""


def read_rows(text: str, file_format: CsvFormat, problem_report: ProblemReport) -> Iterator[CsvRow]:
    """Yield the rows below the header. Problems of the header, quotes and cells go to `problem_report`."""
    skipped = 0  # lines before the text that the reader gets
    if re.match(r"sep=.\n", text):  # Excel writes this line to name the separator
        skipped, text = 1, text.partition("\n")[2]
    delimiter = detect_delimiter(text, lambda header: len(set(file_format.find_columns(header).values())))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    columns: Mapping[int, str] | None = None
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
                if problem_report.has_problems:
                    return
            elif row_separator := find_other_separator(cells, delimiter):
                what = f"This row is separated by {SEPARATOR_NAMES[row_separator]}, the header by "
                what += f"{SEPARATOR_NAMES[delimiter]}."
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
                yield CsvRow(row_line, _collect_cells(cells, columns), problem_report)
    except csv.Error as error:
        problem_report.add_problem(next_line + skipped, "", *describe_csv_error(str(error)))
    if columns is None and not problem_report.has_problems:
        problem_report.add_problem(1, "", "The file is empty.", f"Begin with a header: {','.join(file_format.columns)}")


def _collect_cells(cells: Sequence[str], columns: Mapping[int, str]) -> dict[str, str]:
    """Return the cells by column. Of two columns with the same meaning, the first one with a text counts."""
    collected: dict[str, str] = {}
    for index, name in columns.items():
        text = clean_cell(cells[index]) if index < len(cells) else ""
        collected[name] = collected.get(name) or text
    return collected


def clean_cell(text: str) -> str:
    """Return the text of a cell on one line, without blanks and invisible characters at its ends."""
    trimmed = _EDGES.sub("", _BLANKS.sub(" ", text))
    quoted = _QUOTED_BY_FORMULA.fullmatch(trimmed)
    return quoted[1].strip() if quoted else trimmed


def _locate_columns(
    header: Sequence[str], line: int, file_format: CsvFormat, problem_report: ProblemReport
) -> Mapping[int, str]:
    """Return the known columns by index. Unknown columns are ignored, unless they look like a misspelt known one."""
    columns = file_format.find_columns(header)
    names = [" ".join(cell.split()).casefold() for cell in header]
    if not columns and any("@" in name for name in names):
        remedy = f"Write a line above it: {','.join(file_format.required)}."
        problem_report.add_problem(line, "", "The file begins with a person: its columns have no names.", remedy)
        return columns
    if len(names) == 1 and not columns:
        what = f"`{shorten_value(names[0])}` is not a header: no separator is between the columns."
        problem_report.add_problem(
            line, "", what, f"Write {','.join(file_format.required)}, with commas, semicolons or tabs."
        )
        return columns
    for name in dict.fromkeys(name for name in columns.values() if names.count(name) > 1):
        problem_report.add_problem(line, name, "This column appears twice.", "Keep one of them.")
    problem_report.labels.update(
        {name: shorten_value(clean_cell(header[index])) for index, name in sorted(columns.items(), reverse=True)}
    )
    _report_missing_columns(names, columns, line, file_format, problem_report)
    return columns


def _report_missing_columns(
    names: Sequence[str],
    columns: Mapping[int, str],
    line: int,
    file_format: CsvFormat,
    problem_report: ProblemReport,
) -> None:
    unknown = [name for index, name in enumerate(names) if name and index not in columns]
    for name in dict.fromkeys([*file_format.columns, *file_format.named_by_settings]):
        if name in file_format.named_by_settings and name not in columns.values():
            what = f"There is no column `{file_format.named_by_settings[name]}`, which `roster.columns` names."
            problem_report.add_problem(line, name, what, "Correct the name in the settings.")
            continue
        if not {name, *file_format.substitutes.get(name, ())}.isdisjoint(columns.values()):
            continue
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


def _find_misspelling(name: str, unknown: Sequence[str], required: Collection[str]) -> str:
    """Return the unknown column that looks like a misspelling of `name`. For an optional column it must be closer."""
    by_letters = {re.sub(r"[\W_]", "", column): column for column in unknown}
    letters = name.replace("_", "")
    return by_letters.get(letters) or by_letters.get(
        find_nearest(letters, by_letters, 0.75 if name in required else 0.88), ""
    )
