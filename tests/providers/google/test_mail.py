"""Mail through Gmail."""

from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import letter
from tests.support.google import MAIL_SEND, requested_methods
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, Forbidden, Permanent, RateLimited, Unavailable
from worker.providers.google import mail
from worker.providers.google.mail import GmailMailer


def test_mail_is_sent_from_the_configured_sender_or_the_account_in_from(
    double: Google, mailer: GmailMailer, section: dict[str, Any]
) -> None:
    mailer.send(letter("sam@example.org"), "m1")
    double.calendars.add_person("longarc@example.org")
    sender_mailer = mail.build_mailer({**section, **double.mail_section, "sender": "longarc@example.org"})
    sender_mailer.send(letter("sam@example.org"), "m2")
    assert [account for account, _ in double.gmail.sent] == ["dana@example.org", "longarc@example.org"]
    assert "longarc@example.org" in str(double.gmail.sent[1][1]["From"])


def test_mail_of_a_manager_is_sent_from_the_managers_account(double: Google, section: dict[str, Any]) -> None:
    """Also when another account sends the mails of the service address."""
    double.calendars.add_person("longarc@example.org")
    double.calendars.add_person("dana@example.org")
    fields = {"sender": "longarc@example.org", "service": "no-reply@example.org"}
    mailer = mail.build_mailer({**section, **double.mail_section, **fields})
    mailer.send(letter("sam@example.org"), "m1")
    service_mail = letter("sam@example.org")
    service_mail.replace_header("From", "Longarc <no-reply@example.org>")
    mailer.send(service_mail, "m2")
    assert [account for account, _ in double.gmail.sent] == ["dana@example.org", "longarc@example.org"]
    assert mailer.can_send_as("dana@example.org")


def test_sent_mail_cannot_be_looked_up_because_google_sets_the_message_id(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    mailer.send(message, "m1")
    assert double.gmail.sent[0][1]["Message-ID"] != message["Message-ID"]
    assert mailer.was_sent("m1") is None
    assert requested_methods(double) == [MAIL_SEND]  # the scope for sending allows no look-up


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("failure", ["backendError", "reset", "cut"])
def test_uncertain_send_is_not_repeated(double: Google, mailer: GmailMailer, failure: str, after: bool) -> None:
    double.faults.add(MAIL_SEND, failure, after=after)
    with pytest.raises(Unavailable) as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert error_info.value.uncertain
    assert len(double.gmail.sent) == after and requested_methods(double) == [MAIL_SEND]


def test_time_to_wait_is_read_from_the_error_message(double: Google, mailer: GmailMailer) -> None:
    retry_at = utcnow() + timedelta(minutes=20)
    message = f"User-rate limit exceeded.  Retry after {retry_at:%Y-%m-%dT%H:%M:%S}.000Z"
    double.faults.add(MAIL_SEND, "userRateLimitExceeded", status=429, message=message)
    with pytest.raises(RateLimited) as error_info:
        mailer.send(letter("sam@example.org"), "m1")
    assert error_info.value.retry_after is not None
    assert timedelta(minutes=19) < error_info.value.retry_after <= timedelta(minutes=20)


def test_one_mail_uses_a_hundred_units_of_the_quota(double: Google, section: dict[str, Any]) -> None:
    double.calendars.add_person("dana@example.org")
    clock = SteppedClock(utcnow())
    # 250 units allow two mails.
    mailer = mail.build_with_clock({**section, **double.mail_section, "per_person": 250}, clock)
    mailer.send(letter("sam@example.org"), "m1")
    mailer.send(letter("sam@example.org"), "m2")
    with pytest.raises(RateLimited):
        mailer.send(letter("sam@example.org"), "m3")
    assert double.gmail.units == {"dana@example.org": 200}


def test_account_without_gmail_is_refused_for_good(double: Google, mailer: GmailMailer) -> None:
    double.gmail.without_gmail.add("dana@example.org")
    with pytest.raises(Forbidden, match="Gmail is not switched on"):
        mailer.send(letter("sam@example.org"), "m1")


def test_mail_without_a_recipient_or_sender_is_not_sent(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    del message["To"]
    with pytest.raises(Permanent, match="recipient"):
        mailer.send(message, "m1")
    del message["From"]
    with pytest.raises(Permanent, match="no sender in From"):
        mailer.send(message, "m1")
    assert requested_methods(double) == []


def test_account_that_is_not_connected_cannot_send(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    mailer = mail.build_mailer({**account_section, **double.mail_section})
    with pytest.raises(AuthRevoked, match=r"longarc connect google dana@example\.org"):
        mailer.send(letter("sam@example.org"), "m1")
