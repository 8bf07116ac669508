"""Mail through Gmail (2)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import letter
from tests.support.google import SENDING, methods
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, Forbidden, Permanent, RateLimited, Unavailable
from worker.providers.google import mail
from worker.providers.google.mail import GmailMailer


def test_2_mail_goes_out_as_the_account_that_its_from_names(
    double: Google, mailer: GmailMailer, section: dict[str, Any]
) -> None:
    mailer.send(letter("sam@example.org"), "m1")
    double.calendars.add_person("longarc@example.org")
    one = mail.build_mailer({**section, **double.mail_section, "sender": "longarc@example.org"})
    one.send(letter("sam@example.org"), "m2")
    assert [who for who, _ in double.gmail.sent] == ["dana@example.org", "longarc@example.org"]
    assert "longarc@example.org" in str(double.gmail.sent[1][1]["From"])


def test_2_a_manager_s_mail_leaves_from_the_manager_s_account(double: Google, section: dict[str, Any]) -> None:
    """Also where another account sends what comes from the service."""
    double.calendars.add_person("longarc@example.org")
    double.calendars.add_person("dana@example.org")
    known = {"sender": "longarc@example.org", "service": "no-reply@example.org"}
    one = mail.build_mailer({**section, **double.mail_section, **known})
    one.send(letter("sam@example.org"), "m1")
    ours = letter("sam@example.org")
    ours.replace_header("From", "Longarc <no-reply@example.org>")
    one.send(ours, "m2")
    assert [who for who, _ in double.gmail.sent] == ["dana@example.org", "longarc@example.org"]
    assert one.can_send_as("dana@example.org")


def test_2_the_message_id_is_googles_and_so_nothing_is_known_afterwards(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    mailer.send(message, "m1")
    assert double.gmail.sent[0][1]["Message-ID"] != message["Message-ID"]
    assert mailer.was_sent("m1") is None
    assert methods(double) == [SENDING], "with the one scope there is nobody to ask"


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("how", ["backendError", "reset", "cut"])
def test_2_a_mail_of_unknown_fate_says_so_and_is_not_repeated(
    double: Google, mailer: GmailMailer, how: str, after: bool
) -> None:
    double.faults.add(SENDING, how, after=after)
    with pytest.raises(Unavailable) as caught:
        mailer.send(letter("sam@example.org"), "m1")
    assert caught.value.uncertain
    assert len(double.gmail.sent) == after and methods(double) == [SENDING]


def test_2_the_time_to_wait_stands_in_the_words(double: Google, mailer: GmailMailer) -> None:
    when = utcnow() + timedelta(minutes=20)
    words = f"User-rate limit exceeded.  Retry after {when:%Y-%m-%dT%H:%M:%S}.000Z"
    double.faults.add(SENDING, "userRateLimitExceeded", status=429, message=words)
    with pytest.raises(RateLimited) as caught:
        mailer.send(letter("sam@example.org"), "m1")
    assert caught.value.retry_after is not None
    assert timedelta(minutes=19) < caught.value.retry_after <= timedelta(minutes=20)


def test_2_a_message_costs_a_hundred_units(double: Google, section: dict[str, Any]) -> None:
    double.calendars.add_person("dana@example.org")
    clock = SteppedClock(utcnow())
    mailer = mail.build_with_clock({**section, **double.mail_section, "per_person": 250}, clock)
    mailer.send(letter("sam@example.org"), "m1")
    mailer.send(letter("sam@example.org"), "m2")
    with pytest.raises(RateLimited):
        mailer.send(letter("sam@example.org"), "m3")
    assert double.gmail.units == {"dana@example.org": 200}


def test_2_an_account_without_gmail_is_refused_for_good(double: Google, mailer: GmailMailer) -> None:
    double.gmail.without_gmail.add("dana@example.org")
    with pytest.raises(Forbidden, match="Gmail is not switched on"):
        mailer.send(letter("sam@example.org"), "m1")


def test_2_a_message_that_nobody_could_take_is_not_sent(double: Google, mailer: GmailMailer) -> None:
    message = letter("sam@example.org")
    del message["To"]
    with pytest.raises(Permanent, match="recipient"):
        mailer.send(message, "m1")
    del message["From"]
    with pytest.raises(Permanent, match="no sender in From"):
        mailer.send(message, "m1")
    assert methods(double) == []


def test_only_who_is_connected_sends(double: Google, alone: dict[str, Any], hands: GoogleHands) -> None:
    mailer = mail.build_mailer({**alone, **double.mail_section})
    with pytest.raises(AuthRevoked, match=r"longarc connect google dana@example\.org"):
        mailer.send(letter("sam@example.org"), "m1")
