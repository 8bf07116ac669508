"""Creates files and folders that only their owner can use (modes 0600 and 0700), whatever the umask is.

Every command runs inside `restrict_to_owner`, which covers the files that libraries write themselves, such as those of
the embedded calendar server. The other functions don't depend on it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

FILE_MODE, FOLDER_MODE = 0o600, 0o700


@contextmanager
def restrict_to_owner() -> Iterator[None]:
    """Make every file and folder that is created in the block usable by its owner alone, by setting the umask."""
    previous_umask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(previous_umask)


def make_folder(folder: Path) -> None:
    """Create a folder and its missing parents. Folders that exist keep their modes. Raises OSError."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(FOLDER_MODE, exist_ok=True)  # another process may create it at the same time
    folder.mkdir(FOLDER_MODE, exist_ok=True)  # raises FileExistsError when the path is a file


def create(file: Path) -> None:
    """Create an empty file unless it exists. Raises OSError.

    A database of SQLite is created in this way before SQLite opens it: its journals get the mode of the database file.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))


def write_new(file: Path, content: bytes) -> None:
    """Write a new file, and flush it to the disk. Raises FileExistsError when it exists, and OSError."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


@contextmanager
def write_whole(file: Path) -> Iterator[IO[bytes]]:
    """Yield an open draft file that replaces `file` at the end of the block, after it was flushed to the disk.

    A link stays, and the file that it leads to is replaced. An error in the block leaves that file unchanged. Raises
    OSError, which names `file` when no draft can be created, or when `file` is a device or a pipe.
    """
    target = Path(os.path.realpath(file))  # unlike `resolve`, also of links that lead in a circle
    if target.exists() and not (target.is_file() or target.is_dir()):  # to replace a folder fails by itself
        raise OSError(errno.EINVAL, "This is no regular file", str(file))
    draft = target.with_name(f".{uuid4().hex}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except OSError as error:
        error.filename = str(file)  # nobody knows the name of the draft
        raise
    try:
        with os.fdopen(descriptor, "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def write(file: Path, content: bytes) -> None:
    """Write a file atomically, in place of an existing one. Raises OSError."""
    with write_whole(file) as opened:
        opened.write(content)
