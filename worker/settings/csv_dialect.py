"""Detects the encoding and the separator of a CSV file, and explains the errors of the csv module."""

import csv
import io
import re
import unicodedata
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: The names of the separators in messages.
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
#: The characters of Windows-1252, besides ASCII and letters, that occur in texts of western Europe.
_WESTERN_PUNCTUATION = frozenset("€‚„…†‡‰‹‘’“”•–—™›\u00a0¡«»¿´·§°©®ªº")
#: A file is taken for UTF-16 when more than this share of the bytes at even or at odd positions is zero.
_MIN_SHARE_OF_ZEROS = 0.4
_SAMPLE_SIZE = 2000  #: how many bytes at the beginning of a file are examined for UTF-16
_MIN_SAMPLE_SIZE = 4  #: a shorter file, in bytes, is not taken for UTF-16
#: A cell with at least this many separators is taken for a whole row with another separator.
_MIN_SEPARATORS = 3


class UndecodableText(ValueError):
    """The content of a file is not text in a known encoding. `line`: where; `what`: what is wrong, as a sentence."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True)
class DecodedText:
    """The text of a file, and the name of its encoding."""

    text: str  #: with `\n` at the end of each line
    encoding: str

    @property
    def is_guessed(self) -> bool:
        """Whether the encoding is only assumed, so that somebody should check the text."""
        return self.encoding == "cp1252"


def decode_text(content: bytes) -> DecodedText:
    """Return the text of a file in UTF-8, UTF-16 or Windows-1252. Raises UndecodableText.

    In western Europe, Excel saves files in Windows-1252. This encoding is assumed when the file is not in UTF-8 and all
    its characters, decoded this way, are usual in western texts. Text in another code page would mostly contain unusual
    signs.
    """
    if content.startswith(b"PK\3\4"):  # a zip file, such as Excel's .xlsx
        raise UndecodableText(line=1, what="This is a workbook, not a CSV file.")
    encoding = _detect_utf16(content) or "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in content:
        raise UndecodableText(_count_lines(content, content.index(b"\0")), "There is a zero byte in this line.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise UndecodableText(line=1, what="The file begins like UTF-16, but is not in UTF-16.") from None
        size_of_mark = len(content) - len(error.object)  # Python decodes what follows the byte order mark
        encoding, text = "cp1252", _decode_western(content, size_of_mark + error.start)
    return DecodedText(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), encoding)


def _detect_utf16(content: bytes) -> str:
    """Return Python's name of the encoding when the file is in UTF-16; empty otherwise."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    sample = content[:_SAMPLE_SIZE]
    min_zeros = _MIN_SHARE_OF_ZEROS * len(sample) / 2
    for encoding, first_high_byte in (("utf-16-le", 1), ("utf-16-be", 0)):
        if len(sample) >= _MIN_SAMPLE_SIZE and sample[first_high_byte::2].count(0) > min_zeros:
            return encoding
    return ""


def _decode_western(content: bytes, offset: int) -> str:
    """Return the text of a file in Windows-1252. Raises UndecodableText.

    `offset` is the position of the first byte that is not valid in UTF-8.
    """
    text = content.decode("cp1252", errors="ignore")
    has_undefined_bytes = len(text) < len(content)
    has_utf8_mark = content.startswith(BOM_UTF8)
    if has_undefined_bytes or has_utf8_mark or not all(map(_is_western, set(text))):
        raise UndecodableText(_count_lines(content, offset), f"The byte 0x{content[offset]:02X} is not UTF-8.")
    return text


def _is_western(char: str) -> bool:
    """Return whether the character is usual in texts of western Europe."""
    if char < "\x80" or char in _WESTERN_PUNCTUATION:
        return True
    return unicodedata.category(char) in ("Lu", "Ll")


def _count_lines(content: bytes, offset: int) -> int:
    """Return the number of the line that contains the byte at `offset`."""
    return len(re.findall(rb"\r\n|\r|\n", content[:offset])) + 1


def is_cut_off(text: str, line: int) -> bool:
    """Return whether this is the last line and has no line break, which is a sign of an interrupted export."""
    return not text.endswith("\n") and line > text.count("\n")


def find_other_separator(cells: Sequence[str], header_separator: str) -> str:
    """Return the separator of a row when it differs from that of the header; otherwise an empty text.

    `cells` are the cells of the row when it is split by the header's separator.
    """
    if any(cell.strip() for cell in cells[1:]):
        return ""
    return next(
        (
            separator
            for separator in SEPARATOR_NAMES
            if separator != header_separator and cells[0].count(separator) >= _MIN_SEPARATORS
        ),
        "",
    )


def describe_csv_error(message: str) -> tuple[str, str]:
    """Return the problem and the remedy for an error message of the csv module."""
    if "unexpected end" in message:
        return "A quote is opened in this row and never closed.", "Close it. Write a quote inside quotes twice."
    if "field larger" in message:
        what = f"A cell that begins in this row is longer than {csv.field_size_limit():,} characters."
        return what, "Close the quote before this cell, or shorten the cell."
    return "A quote in this row is closed before the cell ends.", "Write a quote inside quotes twice."


def detect_separator(text: str, count_known_columns: Callable[[Sequence[str]], int]) -> str:
    """Return the separator with which the header, the first line that is not blank, has the most known columns.

    Of several such separators, the one with the most columns is returned. `count_known_columns` returns how many of the
    columns in a header are known.
    """
    first_line = next((line for line in io.StringIO(text) if line.strip()), "")
    headers = {separator: _split_header(first_line, separator) for separator in SEPARATOR_NAMES}
    return max(headers, key=lambda separator: (count_known_columns(headers[separator]), len(headers[separator])))


def _split_header(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a quote in this line may be closed in a later line
        return line.split(separator)
