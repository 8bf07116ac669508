"""Handles a standard output or standard error that is closed, full, or a pipe without a reader.

Python flushes its buffers when the interpreter ends; a failure there prints part of a traceback and ends with exit code
120. So each command flushes them itself and reports the error.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from worker.errors import LongarcError, describe_error


def reserve_stream_numbers() -> None:
    """Open the null device under the file number of each closed standard stream.

    Otherwise, the database could get file number 2, and a library that writes to standard error would write into it.
    `sys.stdout` and `sys.stderr` stay None when their stream was closed at the start.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def refuse_closed_stdout() -> None:
    """Raise LongarcError when there is no standard output, before a command does anything."""
    if sys.stdout is None:
        raise LongarcError("standard output is closed. Send it to a file or to /dev/null.")


def flush_for_exit_code(code: int, print_error: Callable[[str], None]) -> int:
    """Flush both streams and return the exit code: 1 instead of 0 when standard output can't be written.

    A pipe whose reader has closed it is not reported; all other errors are.
    """
    error = _flush(sys.stdout)
    if error and not code:
        if not isinstance(error, BrokenPipeError):
            with suppress(OSError):  # standard error is full too, so only the exit code can report the error
                print_error(f"longarc: {describe_error(error)}")
        code = 1
    _flush(sys.stderr)
    return code


def _flush(stream: TextIO | None) -> OSError | None:
    """Flush the stream. Return the error if that failed and the buffer was dropped, else None."""
    try:
        if stream is not None:
            stream.flush()
    except OSError as error:
        _redirect_to_null(stream)
        return error
    return None


def _redirect_to_null(stream: TextIO | None) -> None:
    """Redirect the stream to the null device, so that the flush at the end of the interpreter succeeds."""
    if stream is None:
        return
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
