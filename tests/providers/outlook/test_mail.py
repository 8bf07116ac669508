"""Mail by Microsoft 365: the mailbox that a mail leaves from, headers, refusals, and sending exactly once."""

from typing import Any

import pytest

from tests.doubles.graph import Double, Fault, make_section
from tests.support.drafts import letter
from tests.support.outlook import mails_to_sam
from worker.errors import Forbidden, Permanent, Unavailable
from worker.providers.outlook import calendar as outlook


@pytest.mark.parametrize("exactly_once", [False, True])
def test_mail_of_a_manager_is_sent_from_the_managers_mailbox(double: Double, exactly_once: bool) -> None:
    for address in ("dana@example.org", "longarc@example.org"):
        double.world.add_person(address)
    fields = {"sender": "longarc@example.org", "as_author": True, "exactly_once": exactly_once}
    settings = make_section(double, **fields)
    application = double.login.applications[settings["client_id"]]
    application.rights = (*application.rights, "Mail.ReadWrite")
    mailer = outlook.build_mailer(settings)
    assert mailer.can_send_as("dana@example.org")
    mailer.send(letter("sam@example.org"), "m1")
    [delivered_mail] = mails_to_sam(double)
    assert str(delivered_mail["From"].addresses[0].addr_spec) == "dana@example.org"
    assert mailer.was_sent("m1") is (True if exactly_once else None)
    assert mailer.was_sent("m2") is None  # m2 was never sent, so its mailbox is not known
    mailboxes = {name for _, url, _ in double.seen for name in ("dana", "longarc") if f"/users/{name}" in url}
    assert mailboxes == {"dana"}


def test_headers_are_kept_because_mail_is_sent_as_mime(send_only_mailer: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message["Auto-Submitted"] = "auto-generated"
    message["In-Reply-To"] = "<1@longarc.example>"
    send_only_mailer.send(message, "m1")
    [delivered_mail] = mails_to_sam(double)
    assert (delivered_mail["Auto-Submitted"], delivered_mail["In-Reply-To"]) == (
        "auto-generated",
        "<1@longarc.example>",
    )


def test_uncertain_send_is_not_repeated_without_the_right_to_read_mail(send_only_mailer: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 504, after=True))
    with pytest.raises(Unavailable) as error_info:
        send_only_mailer.send(letter("sam@example.org"), "m1")
    assert error_info.value.uncertain and send_only_mailer.was_sent("m1") is None
    assert len(mails_to_sam(double)) == 1


def test_mail_accepted_with_a_retry_after_is_sent_once(send_only_mailer: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 202, after=True, headers=(("Retry-After", "9"),), body=b""))
    send_only_mailer.send(letter("sam@example.org"), "m1")
    assert len(mails_to_sam(double)) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("path", ["messages$", "messages/[^/]+$", "send$"])
def test_mail_sent_by_way_of_a_draft_arrives_once_whatever_fails(
    exactly_once_mailer: Any, double: Double, path: str, after: bool
) -> None:
    message = letter("sam@example.org")
    double.faults.append(Fault("POST|PATCH", path, 504, after=after))
    with pytest.raises(Unavailable):
        exactly_once_mailer.send(message, "m1")
    is_sent = exactly_once_mailer.was_sent("m1")
    assert is_sent is (after and path == "send$")
    if not is_sent:
        exactly_once_mailer.send(message, "m1")
    exactly_once_mailer.send(message, "m1")
    assert exactly_once_mailer.was_sent("m1") is True
    assert len(mails_to_sam(double)) == 1


def test_delivery_is_unknown_until_the_sent_copy_appears(exactly_once_mailer: Any, double: Double) -> None:
    """A message that has left the drafts and is in no other folder yet must not count as not sent."""
    double.mails.hides_sent = True
    double.faults.append(Fault("POST", "send$", 504, after=True))
    with pytest.raises(Unavailable):
        exactly_once_mailer.send(letter("sam@example.org"), "m1")
    assert exactly_once_mailer.was_sent("m1") is None
    double.mails.hides_sent = False
    assert exactly_once_mailer.was_sent("m1") is True


def test_later_undeliverable_report_does_not_fail_the_send(send_only_mailer: Any, double: Double) -> None:
    double.mails.unknown_recipients.add("sam@example.org")
    send_only_mailer.send(letter("sam@example.org"), "m1")
    assert double.world.mailboxes["dana@example.org"].inbox[0].startswith(b"Subject: Undeliverable")


def test_mail_without_a_recipient_or_too_large_is_refused_before_it_is_sent(
    send_only_mailer: Any, double: Double
) -> None:
    mail_without_recipient = letter("sam@example.org")
    del mail_without_recipient["To"]
    large_mail = letter("sam@example.org")
    large_mail.add_attachment(b"x" * 4_000_000, maintype="application", subtype="octet-stream")
    for message in (mail_without_recipient, large_mail):
        with pytest.raises(Permanent):
            send_only_mailer.send(message, "m1")
    assert double.counts["POST sendMail"] == 0


def test_sending_as_another_person_is_refused_with_a_remedy(send_only_mailer: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message.replace_header("From", "Eve <eve@example.org>")
    with pytest.raises(Forbidden, match="Send As"):
        send_only_mailer.send(message, "m1")


def test_check_reports_whether_mail_is_sent_at_most_once_or_exactly_once(
    send_only_mailer: Any, exactly_once_mailer: Any, double: Double
) -> None:
    [send_only_finding], [exactly_once_finding] = send_only_mailer.check(), exactly_once_mailer.check()
    assert send_only_finding.ok and "at most once" in send_only_finding.statement
    assert exactly_once_finding.ok and "exactly once" in exactly_once_finding.statement
    double.login.applications[make_section(double)["client_id"]].rights = ("Mail.Send",)
    [failed_finding] = outlook.build_mailer(make_section(double, sender="dana@example.org", exactly_once=True)).check()
    assert not failed_finding.ok and "Mail.ReadWrite" in failed_finding.remedy
