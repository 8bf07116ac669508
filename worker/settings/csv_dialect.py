"""How the rows of a CSV file are separated, and what is wrong with one that the csv module refuses."""

import csv
import io
from collections.abc import Collection, Sequence

#: How a message names each separator.
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


def is_cut_off(text: str, line: int) -> bool:
    """Whether this line is the last line of the file and has no line break: the export was cut off."""
    return not text.endswith("\n") and line > text.count("\n")


def find_other_separator(cells: Sequence[str], delimiter: str) -> str:
    """Return the separator of a row when it differs from that of the header; otherwise an empty text."""
    if any(cell.strip() for cell in cells[1:]):
        return ""
    return next(
        (separator for separator in SEPARATOR_NAMES if separator != delimiter and cells[0].count(separator) > 2), ""
    )


def describe_csv_error(message: str) -> tuple[str, str]:
    """Return problem and remedy for an error of the csv module."""
    if "unexpected end" in message:
        return "A quote is opened in this row and never closed.", "Close it, and write a quote inside quotes twice."
    if "field larger" in message:
        what = f"A cell that begins in this row is longer than {csv.field_size_limit():,} characters."
        return what, "Close the quote before it, or shorten it."
    return "A quote in this row is closed before the cell ends.", "Write a quote inside quotes twice."


def detect_delimiter(text: str, columns: Collection[str]) -> str:
    """Return the separator that yields most known columns in the first line with text."""
    header = next((line for line in io.StringIO(text) if line.strip()), "").replace('"', "").casefold()
    return max(
        SEPARATOR_NAMES, key=lambda separator: len({name.strip() for name in header.split(separator)} & set(columns))
    )
