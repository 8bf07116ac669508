"""How a CSV file is encoded and separated, and what is wrong with one that the csv module refuses."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: How a message names each separator.
SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
#: What a text of western Europe contains besides letters, in Windows-1252.
_WESTERN_PUNCTUATION = frozenset("€‚„…†‡‰‹‘’“”•–—™›\u00a0¡«»¿´·§°©®ªº")
#: The least share of every second byte that is zero in a text in UTF-16.
_UTF16_ZEROS = 0.4


class UndecodableText(ValueError):
    """The content of a file is not text in a known encoding."""

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
        """Whether the encoding is an assumption that somebody should look at."""
        return self.encoding == "cp1252"


def decode_text(content: bytes) -> DecodedText:
    """Decode a file in UTF-8, UTF-16 or Windows-1252. Raises UndecodableText.

    Windows-1252, in which Excel saves in western Europe, is assumed when the file is not UTF-8 and reads as western
    letters: text in another code page mostly shows signs in the middle of words.
    """
    if content.startswith(b"PK\3\4"):
        raise UndecodableText(1, "This is a workbook, not a CSV file.")
    encoding = _detect_utf16(content) or "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in content:
        raise UndecodableText(_count_lines(content, content.index(b"\0")), "There is a zero byte: this is no CSV file.")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8-sig":
            raise UndecodableText(1, "The file begins like UTF-16, and is not.") from None
        encoding, text = "cp1252", _decode_western(content, len(content) - len(error.object) + error.start)
    return DecodedText(text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n"), encoding)


def _detect_utf16(content: bytes) -> str:
    """Return the encoding when the file is in UTF-16; empty otherwise."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    sample = content[:2000]
    for encoding, first in (("utf-16-le", 1), ("utf-16-be", 0)):
        if len(sample) > 3 and sample[first::2].count(0) > _UTF16_ZEROS * len(sample) / 2:
            return encoding
    return ""


def _decode_western(content: bytes, offset: int) -> str:
    """Decode Windows-1252. `offset` is that of the first byte that is not UTF-8. Raises UndecodableText."""
    text = "" if content.startswith(b"\xef\xbb\xbf") else content.decode("cp1252", errors="ignore")
    if len(text) < len(content) or not all(map(_is_western, set(text))):
        raise UndecodableText(_count_lines(content, offset), f"The byte 0x{content[offset]:02X} is not UTF-8.")
    return text


def _is_western(char: str) -> bool:
    if char < "\x80" or char in _WESTERN_PUNCTUATION:
        return True
    return unicodedata.category(char) in ("Lu", "Ll")


def _count_lines(content: bytes, offset: int) -> int:
    """Return the number of the line that the byte at `offset` is in."""
    return len(re.findall(rb"\r\n|\r|\n", content[:offset])) + 1


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


def detect_delimiter(text: str, count_known: Callable[[Sequence[str]], int]) -> str:
    """Return the separator that yields most known columns in the first line with text; else that which splits most.

    `count_known` returns how many columns of a header are known.
    """
    first_line = next((line for line in io.StringIO(text) if line.strip()), "")
    headers = {separator: _split_header(first_line, separator) for separator in SEPARATOR_NAMES}
    return max(headers, key=lambda separator: (count_known(headers[separator]), len(headers[separator])))


def _split_header(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:  # a quote that is closed in a later line
        return line.split(separator)
