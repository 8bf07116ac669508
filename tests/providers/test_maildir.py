"""The Maildir mailer writes each message once for its key, completely or not at all, and knows what it has sent."""

import errno
import mailbox
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path

import pytest

from tests.support.drafts import letter
from tests.support.mailer_contract import MailerContract
from worker.domain.model import Address
from worker.errors import Forbidden
from worker.providers import base, maildir
from worker.providers.maildir import MaildirMailer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that does not exist yet, and neither does the one around it."""
    return tmp_path / "a" / "mail"


@pytest.fixture
def mailer(folder: Path) -> MaildirMailer:
    maildir_mailer = base.load_factory(base.MAILER_FACTORIES, "maildir")({"folder": str(folder)})
    assert isinstance(maildir_mailer, MaildirMailer)
    return maildir_mailer


@pytest.fixture
def inbox(folder: Path) -> Callable[[Address], list[EmailMessage]]:
    parser = BytesParser(policy=policy.default)

    def read_messages(to: Address) -> list[EmailMessage]:
        messages = [parser.parsebytes(path.read_bytes()) for path in maildir.list_messages(folder)]
        return [message for message in messages if message["To"] == to]

    return read_messages


class TestMaildirMailer(MailerContract):
    """This mailer keeps all promises, because it knows what it has sent."""


def test_message_with_the_same_key_is_stored_once(mailer: MaildirMailer, folder: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: mailer.send(letter("sam@example.org"), "m1"), range(8)))
    mailer.send(letter("sam@example.org"), "m2")
    assert len(maildir.list_messages(folder)) == 2
    assert list((folder / "tmp").iterdir()) == []


def test_message_that_a_mail_program_moved_still_counts_as_sent(mailer: MaildirMailer, folder: Path) -> None:
    """A mail program moves a message that was read, and appends flags to its name."""
    mailer.send(letter("sam@example.org"), "m1")
    [path] = maildir.list_messages(folder)
    path.rename(folder / "cur" / f"{path.name}:2,S")
    assert mailer.was_sent("m1") is True
    mailer.send(letter("sam@example.org"), "m1")
    assert len(maildir.list_messages(folder)) == 1


def test_any_text_can_be_a_key(mailer: MaildirMailer, folder: Path) -> None:
    for key in ("../../escape", "a" * 500, "x:2,S", "ü/\0"):
        mailer.send(letter("sam@example.org"), key)
        assert mailer.was_sent(key)
    assert len(maildir.list_messages(folder)) == 4


def test_maildir_can_be_read_by_another_library(mailer: MaildirMailer, folder: Path) -> None:
    mailer.send(letter("sam@example.org", subject="Hello"), "m1")
    assert [message["Subject"] for message in mailbox.Maildir(folder, create=False)] == ["Hello"]


def test_folder_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    mailer = MaildirMailer(tmp_path / "file" / "mail")
    with pytest.raises(Forbidden, match=r"maildir\.folder") as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert "\n" not in str(error_info.value)
    [finding] = mailer.check()
    assert not finding.ok and "maildir.folder" in finding.remedy


def test_check_creates_no_folder(mailer: MaildirMailer, folder: Path) -> None:
    [finding] = mailer.check()
    assert finding.ok and not folder.exists()


def test_interrupted_delivery_leaves_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when the message is moved to its final place."""

    def fail_to_rename(self: Path, target: Path) -> Path:
        raise OSError(os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "rename", fail_to_rename)
    with pytest.raises(OSError, match="No space"):
        maildir.write_message(folder, b"Subject: x\r\n\r\n", "m1")
    assert maildir.list_messages(folder) == [] and list((folder / "tmp").iterdir()) == []
