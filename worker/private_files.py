"""Files that nobody but their owner may read (0600), in folders of the same kind (0700), whatever the umask.

Whatever this program writes goes through here. What libraries write by themselves (the calendar server's files) is
covered by the umask that a command runs with.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

FILE_MODE, FOLDER_MODE = 0o600, 0o700


@contextmanager
def restrict_to_owner() -> Iterator[None]:
    """Whatever is made meanwhile, by libraries too, is for its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it that are missing. Those that are there stay as they are. Raises OSError."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(FOLDER_MODE, exist_ok=True)  # another process may make it at the same time
    folder.mkdir(FOLDER_MODE, exist_ok=True)  # raises where a file is in its place


def create(file: Path) -> None:
    """Make an empty file unless there is one. SQLite gives its journals the mode of the file that it opens. Raises
    OSError."""
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))


def write_new(file: Path, content: bytes) -> None:
    """Write a file that isn't there yet; it is on the disk then. Raises FileExistsError, OSError."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


@contextmanager
def write_whole(file: Path) -> Iterator[IO[bytes]]:
    """Yield an open file whose content takes the place of `file` at the end of the block, on the disk by then. An error
    in the block leaves `file` as it was. Raises OSError."""
    draft = file.with_name(f".{uuid4().hex}.part")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def write(file: Path, content: bytes) -> None:
    """Write a file whole or not at all, in place of the one there. Raises OSError."""
    with write_whole(file) as opened:
        opened.write(content)
