"""Changes rows of the openings file, for the page on which people-ops edit it (R-29).

The openings are stored only in the file, which may also be edited with another program. A change affects one row.
Other rows, unknown columns and the separator stay as they are, and the file is then in UTF-8. A change that would make
the file invalid is not written.
"""

import csv
import io
import os
from codecs import BOM_UTF8
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from worker import private_files
from worker.domain.model import Opening
from worker.errors import Problem, Problems, Refused
from worker.settings.csv_dialect import UndecodableText, decode_text, detect_separator
from worker.settings.openings_file import FILE_FORMAT, parse_openings

#: The most openings in the file, so that the page with the list stays short.
MAX_OPENINGS = 200
_VERSION_LENGTH = 32  #: characters
_NEW_ROW_LINE = 0  #: the line number of a row that is not in the file yet


class OpeningsChanged(Refused):
    """The openings file has changed since it was read. Nothing was written."""


class TooManyOpenings(Refused):
    """The file has as many openings as it may have."""


@dataclass(frozen=True, slots=True)
class EditableOpenings:
    """The openings in the file."""

    openings: tuple[Opening, ...]
    version: str  #: changes whenever the file changes
    is_writable: bool  #: whether Longarc may write the file and its folder


class OpeningsFile:
    """Reads the openings file and changes single rows of it.

    A change names the version that was read before. Methods raise OpeningsChanged when the file has another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def read(self) -> EditableOpenings:
        """Return the openings; none when there is no file. Raises Problems when the file is invalid."""
        content = self._read_content()
        is_writable = os.access(self._path.parent, os.W_OK) and (content is None or os.access(self._path, os.W_OK))
        openings = parse_openings(self._decode(content), self._path.name) if content is not None else ()
        return EditableOpenings(openings, _make_version(content), is_writable)

    def add(self, cells: Mapping[str, str], version: str) -> None:
        """Add a row at the end. `cells` are its texts by column. Raises Problems and OpeningsChanged."""
        self._write(version, line=None, cells=cells)

    def change(self, line: int, cells: Mapping[str, str], version: str) -> None:
        """Replace the known columns of the row at that line. Raises Problems and OpeningsChanged."""
        self._write(version, line=line, cells=cells)

    def remove(self, line: int, version: str) -> None:
        """Remove the row at that line. Raises Problems and OpeningsChanged."""
        self._write(version, line=line, cells=None)

    def _read_content(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            what = f"The openings file can't be read: {error.strerror}."
            raise Problems([Problem(self._path.name, what, "Let Longarc read it.")]) from None

    def _decode(self, content: bytes) -> str:
        try:
            return decode_text(content).text
        except UndecodableText as error:
            where = f"{self._path.name}:line {error.line}"
            raise Problems([Problem(where, error.what, "Save it as UTF-8 (in Excel: `CSV UTF-8`).")]) from None

    def _write(self, version: str, *, line: int | None, cells: Mapping[str, str] | None) -> None:
        """Replace a row, add one when `line` is None, or remove one when `cells` is None.

        Raises OpeningsChanged when the file no longer has that version.
        """
        content = self._read_content()
        if _make_version(content) != version:
            raise OpeningsChanged
        old_text = self._decode(content) if content is not None else ",".join(FILE_FORMAT.columns)
        new_text = _replace_row(old_text, line=line, cells=cells)
        if len(parse_openings(new_text, self._path.name)) > MAX_OPENINGS:
            raise TooManyOpenings(f"There are more than {MAX_OPENINGS} openings. Take out some that are over.")
        mode = self._path.stat().st_mode & 0o777 if content is not None else None
        try:
            private_files.write(self._path, new_text.encode(_choose_encoding(content)))
            if mode is not None:
                self._path.chmod(mode)
        except OSError as error:
            what = f"The openings file can't be written: {error.strerror}."
            raise Problems([Problem(self._path.name, what, "Let Longarc write it and its folder.")]) from None


def _choose_encoding(content: bytes | None) -> str:
    """Return the encoding in which to write the file, whose content is now `content`: UTF-8 with or without a mark.

    Excel recognizes UTF-8 by a byte order mark. New files, and files in UTF-8 without the mark, get none.
    """
    if content is None:
        return "utf-8"
    try:
        content.decode()
    except UnicodeDecodeError:
        return "utf-8-sig"
    return "utf-8-sig" if content.startswith(BOM_UTF8) else "utf-8"


def _make_version(content: bytes | None) -> str:
    return sha256(content).hexdigest()[:_VERSION_LENGTH] if content is not None else "none"


def _replace_row(text: str, *, line: int | None, cells: Mapping[str, str] | None) -> str:
    """Return the text with one row replaced, added or removed, as `OpeningsFile._write` describes.

    Raises OpeningsChanged when there is no row at that line.
    """
    # Excel names the separator in a line above the header, such as `sep=;`.
    preamble = text.partition("\n")[0] + "\n" if text.startswith("sep=") else ""
    text = text.removeprefix(preamble)
    separator = detect_separator(text, _count_known_columns)
    rows = _number_rows(text, separator, first_line=2 if preamble else 1)
    header_index = next(index for index, (_, row) in enumerate(rows) if any(cell.strip() for cell in row))
    header = rows[header_index][1]
    for name in FILE_FORMAT.columns:
        if cells and cells.get(name) and name not in FILE_FORMAT.find_columns(header).values():
            header.append(name)
    columns = FILE_FORMAT.find_columns(header)
    if line is None:
        rows.append((_NEW_ROW_LINE, [""] * len(header)))
    wanted_line = _NEW_ROW_LINE if line is None else line
    row_index = next((index for index, (row_line, _) in enumerate(rows) if row_line == wanted_line), None)
    if row_index is None or row_index == header_index:
        raise OpeningsChanged
    if cells is None:
        del rows[row_index]
    else:
        row = rows[row_index][1]
        row += [""] * (len(header) - len(row))
        for column, name in columns.items():
            row[column] = " ".join(cells.get(name, "").split())
    output = io.StringIO()
    csv.writer(output, delimiter=separator, lineterminator="\n").writerows(row for _, row in rows if row)
    return preamble + output.getvalue()


def _count_known_columns(header: Sequence[str]) -> int:
    return len(set(FILE_FORMAT.find_columns(header).values()))


def _number_rows(text: str, separator: str, first_line: int) -> list[tuple[int, list[str]]]:
    """Return the rows, each with the number of the line at which it begins. The text begins at `first_line`."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = first_line
    for row in reader:
        rows.append((line, row))
        line = reader.line_num + first_line
    return rows
