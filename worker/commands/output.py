"""Standard output and standard error, which may be closed, full, or read by nobody.

Python writes out what is still buffered when the interpreter ends. A failure there is a traceback's rest and exit code
120, unless PYTHONUNBUFFERED is set. So a command writes everything out itself and says what came of it.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from worker.errors import LongarcError, describe_error


def open_missing_streams() -> None:
    """Open the null device in place of each standard stream that is closed, so that no file of ours takes its number:
    what a library writes to standard error would otherwise land in the database."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def refuse_closed_stdout() -> None:
    """Raises LongarcError when there is no standard output, before a command does anything."""
    if sys.stdout is None:
        raise LongarcError("standard output is closed. Send it to a file or to /dev/null.")


def flush_streams(code: int, say: Callable[[str], None]) -> int:
    """The exit code after everything buffered was written out, or can't be: then never 0. A reader who left is no
    error to speak of."""
    error = _flush(sys.stdout)
    if error and not code:
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):  # standard error is full, too: the exit code tells
                say(f"longarc: {describe_error(error)}")
        code = 1
    _flush(sys.stderr)
    return code


def _flush(stream: TextIO | None) -> OSError | None:
    """Why what is buffered can't be written; it is dropped then. None when all was written."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        _redirect_to_null(stream)
        return error
    return None


def _redirect_to_null(stream: TextIO | None) -> None:
    """Lead the stream to the null device, where the interpreter's last attempt succeeds."""
    if stream is None:
        return
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
