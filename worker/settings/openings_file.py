"""Loads the openings file, in which people-ops list openings, projects and role paths (R-29).

The openings file is a CSV file like the people file. It is read again when it has changed. Who looks at an opening is
not recorded.
"""

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from worker.domain.counts import format_count
from worker.domain.model import Opening, OpeningKind
from worker.errors import Problems
from worker.logs import Action
from worker.settings.csv_file import CsvFormat, CsvRow, read_rows, read_text
from worker.settings.parsers import (
    InvalidValue,
    make_choice_parser,
    parse_address,
    parse_date,
    parse_group,
    shorten_value,
)
from worker.settings.problem_report import ProblemReport

log = logging.getLogger(__name__)

FILE_FORMAT = CsvFormat(
    name="openings file",
    indefinite_name="An openings file",
    required=("title", "kind", "until"),
    optional=("group", "link", "contact", "note"),
)
MAX_TITLE_CHARS = 120
MAX_NOTE_CHARS = 300
MAX_LINK_CHARS = 1000
_FORBIDDEN_IN_LINKS = " \"'<>"
#: The value of `until` in a row in which it can't be parsed. Such a file is refused as a whole.
_NO_DAY = date.min
_parse_kind = make_choice_parser(list(OpeningKind))


def load_openings_file(path: Path) -> tuple[Opening, ...]:
    """Return all openings, including past ones, in the order of the file. Raises Problems with every problem in it."""
    problem_report = ProblemReport(path.name)
    return _parse_file_text(read_text(path, FILE_FORMAT, problem_report), problem_report)


def parse_openings(text: str, name: str) -> tuple[Opening, ...]:
    """Return the openings in the text of the file with that name. Raises Problems with every problem in it."""
    return _parse_file_text(text, ProblemReport(name))


def find_unfit_columns(cells: Mapping[str, str]) -> list[str]:
    """Return the columns whose cells can't stand in a row of the file. `cells` are the texts of the row by column."""
    problem_report = ProblemReport("row")  # its problems are not shown
    trimmed_cells = {column: " ".join(text.split()) for column, text in cells.items()}
    _parse_opening(CsvRow(line=0, cells=trimmed_cells, problem_report=problem_report))
    return problem_report.columns


def _parse_file_text(text: str, problem_report: ProblemReport) -> tuple[Opening, ...]:
    rows = list(read_rows(text, FILE_FORMAT, problem_report))
    openings = tuple(_parse_opening(row) for row in rows)
    problem_report.raise_problems()
    return openings


def _parse_opening(row: CsvRow) -> Opening:
    for column in FILE_FORMAT.required:
        if column in row.cells and not row.cells[column]:
            row.add_fault(column, f"The {column} is missing.", "Fill this cell.")
    return Opening(
        title=row.parse_cell("title", _parse_title, default=""),
        kind=OpeningKind(row.parse_cell("kind", _parse_kind, default=OpeningKind.OPENING.value)),
        until=row.parse_cell("until", parse_date, default=_NO_DAY),
        group=row.parse_cell("group", parse_group, default=""),
        link=row.parse_cell("link", _parse_link, default=""),
        contact=row.parse_cell("contact", parse_address, default=""),
        note=row.parse_cell("note", _parse_note, default=""),
        line=row.line,
    )


def _parse_title(text: str) -> str:
    return _parse_text(text, "title", MAX_TITLE_CHARS)


def _parse_note(text: str) -> str:
    return _parse_text(text, "note", MAX_NOTE_CHARS)


def _parse_text(text: str, column: str, max_chars: int) -> str:
    if len(text) > max_chars:
        what = f"The {column} is longer than {max_chars} characters."
        raise InvalidValue(what, "Shorten it, and write the address of a page with more details as `link`.")
    return " ".join(text.split())


def _parse_link(text: str) -> str:
    remedy = "Write the whole address of a page: `https://jobs.example.com/17`."
    if len(text) > MAX_LINK_CHARS:
        raise InvalidValue(f"The link is longer than {MAX_LINK_CHARS:,} characters.", remedy)
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 -- raises ValueError when the port is not valid
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or set(_FORBIDDEN_IN_LINKS) & set(text):
        raise InvalidValue(f"`{shorten_value(text)}` is not the address of a page.", remedy)
    return text


class OpeningsReader:
    """Reads the openings file, and reads it again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int] | None = None  #: time of the last change in nanoseconds, and size in bytes
        self._openings: tuple[Opening, ...] = ()

    def list_openings(self) -> tuple[Opening, ...]:
        """Return the openings; none when there is no file.

        When the file has problems, they are logged, and the openings of the last file without problems are returned.
        """
        try:
            status = self._path.stat()
        except OSError:
            self._version, self._openings = None, ()
            return ()
        version = status.st_mtime_ns, status.st_size
        if version != self._version:
            self._version = version
            try:
                self._openings = load_openings_file(self._path)
            except Problems as problems:
                count = format_count(len(problems.problems), "problem")
                message = "%s has %s, so it is not used: `longarc check` lists them."
                log.error(message, self._path.name, count, extra={"action": Action.OPENINGS_UNREAD})
        return self._openings
