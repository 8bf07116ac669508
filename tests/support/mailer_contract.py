"""What `worker.providers.base` promises of mail, as tests that every mail provider inherits."""

from email.message import EmailMessage
from typing import Any

import pytest

from tests.support.drafts import letter
from worker.providers.base import Mailer


class MailerContract:
    """One test for each promise of a mailer.

    A test class has two fixtures: `mailer`, and `inbox`, a function that returns the messages that reached an address.
    """

    knows_what_it_sent = True  #: the service can say whether it sent a message
    keeps_message_ids = True  #: the service leaves our Message-ID as it is

    def test_a_message_arrives_unchanged(self, mailer: Mailer, inbox: Any) -> None:
        message = letter("sam@example.org")
        mailer.send(message, "m1")
        [arrived] = inbox("sam@example.org")
        for name in ("From", "To", "Subject", *(["Message-ID"] if self.keeps_message_ids else [])):
            assert arrived[name] == message[name]
        assert _body(arrived) == _body(message)

    def test_was_sent_reports_whether_the_service_sent_a_message(self, mailer: Mailer, inbox: Any) -> None:
        answer_before = mailer.was_sent("m2")
        mailer.send(letter("sam@example.org"), "m2")
        if self.knows_what_it_sent:
            assert (answer_before, mailer.was_sent("m2"), mailer.was_sent("other")) == (False, True, False)
        else:
            assert (answer_before, mailer.was_sent("m2")) == (None, None)

    def test_a_line_break_in_a_header_is_refused(self, mailer: Mailer, inbox: Any) -> None:
        for value in ("Hello\r\nBcc: eve@example.org", "Hello\nX: y", "Hello\rX: y"):
            with pytest.raises(ValueError, match=r"linefeed|carriage"):
                letter("sam@example.org", subject=value)
        assert inbox("eve@example.org") == []


def _body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")
