"""The file of a backup: gzipped JSON, one value on each line, the same for SQLite and PostgreSQL.

The first line is the header: the version of the format and of the program, and the name, columns and row count of each
table. Then come the rows, table by table, each an array in the order of the columns. The last line holds the SHA-256 of
all lines before it, so that a file that was cut off or changed is recognized.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

from worker.errors import LongarcError, Refused

#: The version of the file format that this module writes and reads.
FORMAT = 1
#: The field of the header that holds the version of the format.
_FORMAT_FIELD = "longarc_backup"
#: With this the header begins, and so every backup once it is unpacked.
_BEGINNING = f'{{"{_FORMAT_FIELD}":'.encode()
#: With this every gzipped file begins.
_GZIP_BEGINNING = b"\x1f\x8b"

#: The kinds of columns, by the names that a file uses.
TEXT, INTEGER, BOOLEAN, DATE, BYTES, JSON_VALUE = "text", "integer", "boolean", "date", "bytes", "json"
#: Converters to a value that JSON has, by kind of column. Other kinds need no conversion.
_ENCODERS: Mapping[str, Callable[[Any], Any]] = {
    DATE: lambda day: day.isoformat(),
    BYTES: lambda content: base64.b64encode(content).decode("ascii"),
}
_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    DATE: date.fromisoformat,
    BYTES: lambda text: base64.b64decode(text, validate=True),
}


class BrokenBackup(LongarcError):
    """The backup is damaged."""


@dataclass(frozen=True, slots=True)
class TableHeader:
    """The name, columns and row count of a table in a backup."""

    name: str
    columns: tuple[tuple[str, str], ...]  #: name and kind of each column
    rows: int  #: number of rows


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupHeader:
    """The header of a backup."""

    version: str  #: version of the program that made the backup
    schema: str  #: version of the database's schema
    database: str  #: the kind of database: `sqlite` or `postgresql`
    at: datetime  #: when the backup was made
    tables: tuple[TableHeader, ...]

    @property
    def row_count(self) -> int:
        """The number of rows in all tables."""
        return sum(table.rows for table in self.tables)


class BackupWriter:
    """Writes a backup to an open file.

    The constructor writes the header. Call `write_row` for each row, and then `finish`.
    """

    def __init__(self, out: IO[bytes], header: BackupHeader) -> None:
        self._gzip = gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0)
        self._hash = hashlib.sha256()
        fields = asdict(header) | {"at": header.at.astimezone(UTC).isoformat()}
        self._write_line({_FORMAT_FIELD: FORMAT, **fields})

    def write_row(self, table: TableHeader, row: Sequence[Any]) -> None:
        """Write one row of a table. The values are in the order of the columns."""
        self._write_line(
            [_convert(_ENCODERS, kind, value) for (_, kind), value in zip(table.columns, row, strict=True)]
        )

    def finish(self) -> None:
        """Write the checksum. The open file that the constructor got is not closed."""
        self._write_line({"sha256": self._hash.hexdigest()})
        self._gzip.close()

    def _write_line(self, value: Any) -> None:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._hash.update(line)
        self._gzip.write(line)


@dataclass(frozen=True, slots=True)
class BackupFile:
    """A backup on disk.

    Every method raises BrokenBackup when the file is damaged, and Refused when it is not a backup or has a newer
    format.
    """

    path: Path

    def read_header(self) -> BackupHeader:
        """Return the header of the file."""
        with self._open() as lines:
            return self._parse_header(next(lines, b""))

    def read_rows(self) -> Iterator[tuple[TableHeader, list[Any]]]:
        """Yield each row with its table. After the last row, check that the file is complete and unchanged."""
        with self._open() as lines:
            header_line = next(lines, b"")
            header, digest = self._parse_header(header_line), hashlib.sha256(header_line)
            for table in header.tables:
                for _ in range(table.rows):
                    line = next(lines, b"")
                    digest.update(line)
                    yield table, self._parse_row(table, line)
            has_checksum = self._parse(next(lines, b"")) == {"sha256": digest.hexdigest()}
            has_more_lines = bool(next(lines, b""))
            if not has_checksum or has_more_lines:
                raise self._make_damage_error()

    def _open(self) -> "_Lines":
        self._refuse_other_file()
        return _Lines(self.path, self._make_damage_error())

    def _refuse_other_file(self) -> None:
        """Raise Refused for a file that is empty, was unpacked, or is of another kind."""
        with self.path.open("rb") as opened:
            beginning = opened.read(len(_BEGINNING))
        if not beginning:
            raise Refused(f"{self.path} is empty: its backup was not written to the end. Use another backup.")
        if beginning == _BEGINNING:
            raise Refused(
                f"{self.path} is a backup that was unpacked. Pack it again with `gzip`, and restore that file."
            )
        if not beginning.startswith(_GZIP_BEGINNING):
            raise self._make_kind_error()

    def _parse_header(self, line: bytes) -> BackupHeader:
        if not line.startswith(_BEGINNING):
            raise self._make_kind_error()
        fields = self._parse(line)
        if fields[_FORMAT_FIELD] != FORMAT:
            raise Refused(f"{self.path} was made by a newer version of Longarc. Restore it with that version.")
        try:
            tables = tuple(
                TableHeader(table["name"], tuple((name, kind) for name, kind in table["columns"]), int(table["rows"]))
                for table in fields["tables"]
            )
            at = datetime.fromisoformat(fields["at"])
            texts = {name: str(fields[name]) for name in ("version", "schema", "database")}
            return BackupHeader(**texts, at=at, tables=tables)
        except (KeyError, TypeError, ValueError):
            raise self._make_damage_error() from None

    def _parse_row(self, table: TableHeader, line: bytes) -> list[Any]:
        values = self._parse(line)
        try:
            return [_convert(_DECODERS, kind, value) for (_, kind), value in zip(table.columns, values, strict=True)]
        except (TypeError, ValueError):
            raise self._make_damage_error() from None

    def _parse(self, line: bytes) -> Any:
        try:
            return json.loads(line)
        except ValueError:
            raise self._make_damage_error() from None

    def _make_kind_error(self) -> Refused:
        return Refused(f"{self.path} is not a backup of Longarc. Name a file that `longarc backup` wrote.")

    def _make_damage_error(self) -> BrokenBackup:
        return BrokenBackup(f"{self.path} is damaged or cut off, so nothing was restored from it. Use another backup.")


def is_backup(path: Path) -> bool:
    """Return whether the file begins as a backup does, even one of another version or one that was cut off."""
    try:
        with gzip.open(path, "rb") as opened:
            return opened.read(len(_BEGINNING)) == _BEGINNING
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return False


class _Lines:
    """The lines of a gzipped file, inside a `with` block. Raises `damage_error` for a file that can't be unpacked."""

    def __init__(self, path: Path, damage_error: BrokenBackup) -> None:
        self._path = path
        self._damage_error = damage_error

    def __enter__(self) -> Iterator[bytes]:
        self._file = gzip.open(self._path, "rb")  # closed by __exit__
        return self._iterate()

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _iterate(self) -> Iterator[bytes]:
        try:
            yield from self._file
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise self._damage_error from None


def _convert(converters: Mapping[str, Callable[[Any], Any]], kind: str, value: Any) -> Any:
    convert = converters.get(kind)
    return value if value is None or convert is None else convert(value)
