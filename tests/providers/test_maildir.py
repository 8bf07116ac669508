"""Mail into a Maildir: whole or not at all, once for each key, and known afterwards."""

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
from tests.support.provider_contract import MailerContract
from worker.domain.model import Address
from worker.errors import Forbidden
from worker.providers import base, maildir
from worker.providers.maildir import MaildirMailer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a" / "mail"


@pytest.fixture
def mailer(folder: Path) -> MaildirMailer:
    made = base.load_factory(base.MAILER_FACTORIES, "maildir")({"folder": str(folder)})
    assert isinstance(made, MaildirMailer)
    return made


@pytest.fixture
def inbox(folder: Path) -> Callable[[Address], list[EmailMessage]]:
    parser = BytesParser(policy=policy.default)

    def read(to: Address) -> list[EmailMessage]:
        found = [parser.parsebytes(path.read_bytes()) for path in maildir.list_messages(folder)]
        return [message for message in found if message["To"] == to]

    return read


class TestMaildirMailer(MailerContract):
    """All promises; it knows what it sent."""


def test_sending_twice_with_one_key_is_one_message(mailer: MaildirMailer, folder: Path) -> None:
    with ThreadPoolExecutor(4) as crowd:
        list(crowd.map(lambda _: mailer.send(letter("sam@example.org"), "m1"), range(8)))
    mailer.send(letter("sam@example.org"), "m2")
    assert len(maildir.list_messages(folder)) == 2
    assert list((folder / "tmp").iterdir()) == []


def test_a_message_that_was_read_still_counts_as_sent(mailer: MaildirMailer, folder: Path) -> None:
    """A mail program moves what was read, and appends its flags to the name."""
    mailer.send(letter("sam@example.org"), "m1")
    [path] = maildir.list_messages(folder)
    path.rename(folder / "cur" / f"{path.name}:2,S")
    assert mailer.was_sent("m1") is True
    mailer.send(letter("sam@example.org"), "m1")
    assert len(maildir.list_messages(folder)) == 1


def test_any_key_is_a_legal_name(mailer: MaildirMailer, folder: Path) -> None:
    for key in ("../../escape", "a" * 500, "x:2,S", "ü/\0"):
        mailer.send(letter("sam@example.org"), key)
        assert mailer.was_sent(key)
    assert len(maildir.list_messages(folder)) == 4


def test_a_mail_program_can_open_it(mailer: MaildirMailer, folder: Path) -> None:
    mailer.send(letter("sam@example.org", subject="Hello"), "m1")
    assert [message["Subject"] for message in mailbox.Maildir(folder, create=False)] == ["Hello"]


def test_a_folder_that_can_not_be_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    mailer = MaildirMailer(tmp_path / "file" / "mail")
    with pytest.raises(Forbidden, match=r"maildir\.folder") as caught:
        mailer.send(letter("sam@example.org"), "m1")
    assert "\n" not in str(caught.value)
    [finding] = mailer.check()
    assert not finding.ok and "maildir.folder" in finding.remedy


def test_a_check_creates_nothing(mailer: MaildirMailer, folder: Path) -> None:
    [finding] = mailer.check()
    assert finding.ok and not folder.exists()


def test_what_is_half_written_is_never_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle: nothing is left, neither a part nor a draft."""

    def full(self: Path, target: Path) -> Path:
        raise OSError(os.strerror(28))

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="No space"):
        maildir.deliver(folder, b"Subject: x\r\n\r\n", "m1")
    assert maildir.list_messages(folder) == [] and list((folder / "tmp").iterdir()) == []
