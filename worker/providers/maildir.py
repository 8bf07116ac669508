"""A mail provider that writes messages into a folder, for the demo, for trials, and for the embedded SMTP server.

The folder is a Maildir, so that mail programs can open it. A message's file name is derived from its key: a message
that is sent twice is stored once, and `was_sent` can find it.
"""

import os
from collections.abc import Mapping
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from worker import private_files
from worker.errors import Forbidden, Permanent, Transient, Unavailable
from worker.providers.base import Finding
from worker.providers.message_bytes import to_bytes


def build_mailer(section: Mapping[str, Any]) -> "MaildirMailer":
    """Return the mailer that a section of the settings describes. `folder`: the Maildir, created when it is missing."""
    return MaildirMailer(Path(str(section["folder"])))


class MaildirMailer:
    """A Mailer that writes each message to a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, key: str) -> None:
        """Write the message into the folder, unless a message with that key is there already."""
        if self.was_sent(key):
            return
        try:
            write_message(self._folder, to_bytes(message), _make_file_name(key))
        except ValueError as error:
            raise Permanent(f"The message can't be written: {error}") from error
        except OSError as error:
            raise _translate_error(error, self._folder) from error

    def was_sent(self, key: str) -> bool | None:
        """Return whether the folder has a message with that key, read or unread."""
        try:
            return any(_has_name(path, _make_file_name(key)) for path in list_messages(self._folder))
        except OSError as error:
            raise _translate_error(error, self._folder) from error

    def check(self) -> list[Finding]:
        """Check whether we can write to the folder, or to its nearest existing parent when the folder is missing."""
        nearest_existing = next(path for path in (self._folder, *self._folder.absolute().parents) if path.exists())
        is_writable = nearest_existing.is_dir() and os.access(nearest_existing, os.W_OK)
        remedy = f"Make {nearest_existing} a folder that Longarc may write to, or change maildir.folder."
        statement = f"Mail can be written to {self._folder}"
        return [Finding(statement, ok=is_writable, remedy="" if is_writable else remedy)]


def write_message(folder: Path, content: bytes, name: str = "") -> Path:
    """Write a message into the Maildir at `folder` atomically, and return its file. Replaces an unread message with the
    same file `name`; an empty `name` gets a random one."""
    for subfolder in ("tmp", "new", "cur"):
        private_files.make_folder(folder / subfolder)
    temporary_file = folder / "tmp" / uuid4().hex
    try:
        private_files.write_new(temporary_file, content)
        return temporary_file.rename(folder / "new" / (name or uuid4().hex))
    finally:
        temporary_file.unlink(missing_ok=True)


def list_messages(folder: Path) -> list[Path]:
    """Return the files of all messages in a Maildir, read and unread, sorted by path."""
    return sorted(path for subfolder in ("new", "cur") for path in (folder / subfolder).glob("*") if path.is_file())


def _make_file_name(key: str) -> str:
    """Return the file name of the message with that key. It has no colon: mail programs append a colon and flags."""
    return f"longarc-{sha256(key.encode()).hexdigest()[:40]}"


def _has_name(path: Path, name: str) -> bool:
    """Return whether a file has that name, with or without the flags of a mail program."""
    return path.name.partition(":")[0] == name


def _translate_error(error: OSError, folder: Path) -> Permanent | Transient:
    if isinstance(error, PermissionError | FileExistsError | NotADirectoryError):
        return Forbidden(f"{folder} can't be written to; check maildir.folder.")
    return Unavailable(f"{folder} can't be used now: {error.strerror}.")
