"""Reads the rows of the CSV files that people keep: the people file and the openings file.

All problems are reported at once, with line and column. A fault is a single wrong place; one problem reports one fault,
or many faults of one kind (see `problem_report`). Columns may be in any order, and unknown columns are ignored.
`csv_dialect` detects the encoding and the separator. Formulas are read as text and are never evaluated.
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
    detect_separator,
    find_other_separator,
    is_cut_off,
)
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value
from worker.settings.problem_report import WHOLE_ROW, ProblemReport

#: Control characters, and characters that reverse the direction of text.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

#: What is removed at both ends of a cell: blanks, and invisible characters that people copy without noticing.
_EDGES = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$")
#: Blanks of all kinds, and the line breaks that people write into cells.
_BLANKS = re.compile(r"[ \t\n\x0b\x0c\r\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
#: The formula by which spreadsheets preserve the zeros at the beginning of a number: `="0042"`.
_QUOTED_BY_FORMULA = re.compile(r'="([^"]*)"')

#: How similar an unknown column has to be to a missing column to be reported as its misspelling (see `find_nearest`).
_REQUIRED_CUTOFF = 0.75
_OPTIONAL_CUTOFF = 0.88

T = TypeVar("T")


class HeaderReader(Protocol):
    """A function that recognizes the columns in a header."""

    def __call__(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return, for the index of each known column, our name of it. Two columns may have the same name."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The columns of a kind of file, and the name of this kind in messages."""

    name: str
    indefinite_name: str  #: the name with its article, as at the beginning of a sentence
    required: Sequence[str]
    optional: Sequence[str]
    read_header: HeaderReader | None = None  #: when it is None, each column has our name in the header
    #: For a required column: other columns, any of which may replace it.
    substitutes: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: Maps our names of columns to the names that the settings give them in this file, which must have these columns.
    named_by_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, the required ones first."""
        return (*self.required, *self.optional)

    def find_columns(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return, for the index of each known column in a header, our name of it."""
        if self.read_header:
            return self.read_header(header)
        names = [" ".join(cell.split()).casefold() for cell in header]
        return {index: name for index, name in enumerate(names) if name in self.columns}


@dataclass(slots=True)
class CsvRow:
    """One row of the file: the number of its first line, and its cells by column."""

    line: int
    cells: Mapping[str, str]
    problem_report: ProblemReport

    def add_fault(self, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        """Add a fault in a cell of this row to the problem report."""
        self.problem_report.add_fault(self.line, column, what, remedy)

    def parse_cell(self, column: str, parser: Callable[[str], T], default: T) -> T:
        """Return the value of a cell; the default when the cell is empty, or when its text is a fault."""
        text = self.cells.get(column, "")
        if not text:
            return default
        try:
            return parser(refuse_control_characters(text))
        except InvalidValue as error:
            self.add_fault(column, error.what, error.build_remedy)
            return default


def refuse_control_characters(text: str) -> str:
    """Return the text. Raises InvalidValue when it has a control character or one that reverses the text direction."""
    if _CONTROL_CHARACTER.search(text):
        raise InvalidValue("There is a control character in this cell.", "Type this cell again.")
    return text


def read_text(path: Path, file_format: CsvFormat, problem_report: ProblemReport) -> str:
    """Return the text of the file, with `\\n` at the end of each line. Raises Problems when it can't be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        where, remedy = str(path), f"Write the path of the {file_format.name} in the settings, and let Longarc read it."
        raise Problems([Problem(where, f"The {file_format.name} can't be read: {error.strerror}.", remedy)]) from None
    try:
        return decode_text(content).text
    except UndecodableText as error:
        problem_report.add_fault(error.line, WHOLE_ROW, error.what, "Save it as UTF-8 (in Excel: `CSV UTF-8`).")
        problem_report.raise_problems()
        return ""  # never reached, because the report has a fault


def read_rows(text: str, file_format: CsvFormat, problem_report: ProblemReport) -> Iterator[CsvRow]:
    """Yield the rows below the header. Faults are added to `problem_report`."""
    skipped_lines = 0  # the number of lines before the text that the csv module reads
    if re.match(r"sep=.\n", text):  # Excel writes this line to name the separator
        skipped_lines, text = 1, text.partition("\n")[2]
    separator = detect_separator(text, lambda header: len(set(file_format.find_columns(header).values())))
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    columns: Mapping[int, str] | None = None
    next_line = 1
    fewest_cells = 0  # the least number of cells in the header and the valid rows so far; 0 before the first row
    try:
        for cells in reader:
            row_line = next_line + skipped_lines
            next_line = reader.line_num + 1  # a quoted cell may span several lines
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _locate_columns(cells, row_line, file_format, problem_report)
                header_width = len(cells)
                if problem_report.has_faults:
                    return
            elif row_separator := find_other_separator(cells, separator):
                what = f"This row is separated by {SEPARATOR_NAMES[row_separator]}, the header by "
                what += f"{SEPARATOR_NAMES[separator]}."
                problem_report.add_fault(row_line, WHOLE_ROW, what, "Use one separator in the whole file.")
            elif any(cell.strip() for cell in cells[header_width:]):
                what = f"There are {len(cells)} cells under a header of {header_width}."
                problem_report.add_fault(
                    row_line, WHOLE_ROW, what, "Put quotes around a cell that holds the separator."
                )
            elif len(cells) < fewest_cells and is_cut_off(text, reader.line_num):
                problem_report.add_fault(
                    row_line,
                    WHOLE_ROW,
                    "The file ends in the middle of this row.",
                    "Export the file again, and completely.",
                )
            else:
                fewest_cells = min(fewest_cells or header_width, len(cells))
                yield CsvRow(row_line, _collect_cells(cells, columns), problem_report)
    except csv.Error as error:
        problem_report.add_fault(next_line + skipped_lines, WHOLE_ROW, *describe_csv_error(str(error)))
    if columns is None and not problem_report.has_faults:
        problem_report.add_fault(
            1, WHOLE_ROW, "The file is empty.", f"Begin with a header: {','.join(file_format.columns)}"
        )


def _collect_cells(cells: Sequence[str], columns: Mapping[int, str]) -> dict[str, str]:
    """Return the cells by column. Of two columns with the same name, the first one that is not empty counts."""
    collected: dict[str, str] = {}
    for index, name in columns.items():
        text = clean_cell(cells[index]) if index < len(cells) else ""
        collected[name] = collected.get(name) or text
    return collected


def clean_cell(text: str) -> str:
    """Return the text of a cell in one line, without blanks and invisible characters at its ends."""
    trimmed = _EDGES.sub("", _BLANKS.sub(" ", text))
    quoted = _QUOTED_BY_FORMULA.fullmatch(trimmed)
    return quoted[1].strip() if quoted else trimmed


def _locate_columns(
    header: Sequence[str], line: int, file_format: CsvFormat, problem_report: ProblemReport
) -> Mapping[int, str]:
    """Return the names of the known columns by index, and report problems of the header.

    An unknown column is ignored unless its name looks like a misspelt known name.
    """
    columns = file_format.find_columns(header)
    names = [" ".join(cell.split()).casefold() for cell in header]
    if not columns and any("@" in name for name in names):
        remedy = f"Write a header above this line: {','.join(file_format.required)}."
        problem_report.add_fault(
            line, WHOLE_ROW, "The file begins with a person, so its columns have no names.", remedy
        )
        return columns
    if len(names) == 1 and not columns:
        what = f"`{shorten_value(names[0])}` is not a header: there is no separator between columns."
        problem_report.add_fault(
            line, WHOLE_ROW, what, f"Write {','.join(file_format.required)}, with commas, semicolons or tabs."
        )
        return columns
    for name in dict.fromkeys(name for name in columns.values() if names.count(name) > 1):
        problem_report.add_fault(line, name, "This column appears twice.", "Keep one of them.")
    # Problems name a column by its label. In reverse order, so that of two columns with one name the first gives it.
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
    """Report required columns that are missing, and unknown columns that look like a misspelt known one."""
    unknown = [name for index, name in enumerate(names) if name and index not in columns]
    for name in dict.fromkeys([*file_format.columns, *file_format.named_by_settings]):
        if name in file_format.named_by_settings and name not in columns.values():
            what = f"There is no column `{file_format.named_by_settings[name]}`, which `roster.columns` names."
            problem_report.add_fault(line, name, what, "Fix the name in the settings.")
            continue
        if any(column in columns.values() for column in (name, *file_format.substitutes.get(name, ()))):
            continue
        misspelt = _find_misspelling(name, unknown, file_format.required)
        if misspelt:
            problem_report.add_fault(
                line, name, f"The column `{shorten_value(misspelt)}` is not known.", f"Did you mean `{name}`?"
            )
        elif name in file_format.required:
            problem_report.add_fault(
                line,
                name,
                "This column is missing.",
                f"{file_format.indefinite_name} needs {', '.join(file_format.required)}.",
            )


def _find_misspelling(name: str, unknown: Sequence[str], required: Collection[str]) -> str:
    """Return the unknown column that looks like a misspelling of `name`; empty when there is none.

    The misspelling of an optional column has to be more similar than that of a required column.
    """
    columns_by_letters = {re.sub(r"[\W_]", "", column): column for column in unknown}
    letters = name.replace("_", "")
    cutoff = _REQUIRED_CUTOFF if name in required else _OPTIONAL_CUTOFF
    nearest_letters = find_nearest(letters, columns_by_letters, cutoff)
    return columns_by_letters.get(letters) or columns_by_letters.get(nearest_letters, "")
