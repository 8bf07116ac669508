"""Mail by Microsoft 365: what leaves from whose mailbox, once."""

from typing import Any

import pytest

from tests.doubles.graph import Double, Fault, section
from tests.support.drafts import letter
from tests.support.outlook import mails_to_sam
from worker.errors import Forbidden, Permanent, Unavailable
from worker.providers.outlook import calendar as outlook


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_manager_s_mail_leaves_from_the_manager_s_mailbox(double: Double, exactly_once: bool) -> None:
    for address in ("dana@example.org", "longarc@example.org"):
        double.world.add_person(address)
    known = {"sender": "longarc@example.org", "as_author": True, "exactly_once": exactly_once}
    given = section(double, **known)
    application = double.login.applications[given["client_id"]]
    application.rights = (*application.rights, "Mail.ReadWrite")
    mailer = outlook.build_mailer(given)
    assert mailer.can_send_as("dana@example.org")
    mailer.send(letter("sam@example.org"), "m1")
    [got] = mails_to_sam(double)
    assert str(got["From"].addresses[0].addr_spec) == "dana@example.org"
    assert mailer.was_sent("m1") is (True if exactly_once else None)
    assert mailer.was_sent("m2") is None, "nobody knows from whose mailbox"
    boxes = {name for _, url, _ in double.seen for name in ("dana", "longarc") if f"/users/{name}" in url}
    assert boxes == {"dana"}


def test_headers_survive_since_it_goes_as_mime(plain: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message["Auto-Submitted"] = "auto-generated"
    message["In-Reply-To"] = "<1@longarc.example>"
    plain.send(message, "m1")
    [got] = mails_to_sam(double)
    assert (got["Auto-Submitted"], got["In-Reply-To"]) == ("auto-generated", "<1@longarc.example>")


def test_with_the_right_to_send_alone_a_504_is_not_repeated(plain: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 504, after=True))
    with pytest.raises(Unavailable) as caught:
        plain.send(letter("sam@example.org"), "m1")
    assert caught.value.uncertain and plain.was_sent("m1") is None
    assert len(mails_to_sam(double)) == 1


def test_accepted_with_retry_after_is_accepted(plain: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 202, after=True, headers=(("Retry-After", "9"),), body=b""))
    plain.send(letter("sam@example.org"), "m1")
    assert len(mails_to_sam(double)) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("path", ["messages$", "messages/[^/]+$", "send$"])
def test_by_drafts_a_mail_goes_once_whatever_fails(sure: Any, double: Double, path: str, after: bool) -> None:
    message = letter("sam@example.org")
    double.faults.append(Fault("POST|PATCH", path, 504, after=after))
    with pytest.raises(Unavailable):
        sure.send(message, "m1")
    sent = sure.was_sent("m1")
    assert sent is (after and path == "send$")
    if not sent:
        sure.send(message, "m1")
    sure.send(message, "m1")
    assert sure.was_sent("m1") is True
    assert len(mails_to_sam(double)) == 1


def test_by_drafts_a_copy_that_comes_late_is_waited_for(sure: Any, double: Double) -> None:
    """Nobody says `not sent` of a message that left its folder and is not seen in another yet."""
    double.mails.hides_sent = True
    double.faults.append(Fault("POST", "send$", 504, after=True))
    with pytest.raises(Unavailable):
        sure.send(letter("sam@example.org"), "m1")
    assert sure.was_sent("m1") is None
    double.mails.hides_sent = False
    assert sure.was_sent("m1") is True


def test_bad_news_that_comes_later_is_no_failure_of_the_send(plain: Any, double: Double) -> None:
    double.mails.unknown_recipients.add("sam@example.org")
    plain.send(letter("sam@example.org"), "m1")
    assert double.world.mailboxes["dana@example.org"].inbox[0].startswith(b"Subject: Undeliverable")


def test_a_mail_without_a_recipient_or_too_large_is_refused_before_it_goes(plain: Any, double: Double) -> None:
    nobody = letter("sam@example.org")
    del nobody["To"]
    large = letter("sam@example.org")
    large.add_attachment(b"x" * 4_000_000, maintype="application", subtype="octet-stream")
    for message in (nobody, large):
        with pytest.raises(Permanent):
            plain.send(message, "m1")
    assert double.counts["POST sendMail"] == 0


def test_sending_as_somebody_else_is_refused_with_the_remedy(plain: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message.replace_header("From", "Eve <eve@example.org>")
    with pytest.raises(Forbidden, match="Send As"):
        plain.send(message, "m1")


def test_a_check_says_which_of_the_two_it_is(plain: Any, sure: Any, double: Double) -> None:
    [first], [second] = plain.check(), sure.check()
    assert first.ok and "at most once" in first.statement
    assert second.ok and "exactly once" in second.statement
    double.login.applications[section(double)["client_id"]].rights = ("Mail.Send",)
    [third] = outlook.build_mailer(section(double, sender="dana@example.org", exactly_once=True)).check()
    assert not third.ok and "Mail.ReadWrite" in third.remedy
