"""Google's scopes, tokens and key files, and what `longarc check` finds out about them."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import UNUSED_KEY, WINDOW, draft
from tests.support.google import EVENTS_GET, connect, requested_methods
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, InvalidResponse, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google import mail
from worker.providers.google.auth import CALENDARS_READ_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.calendar import GoogleCalendar

# --- grants ---------------------------------------------------------------------------------------------------------


def test_missing_scope_prevents_only_what_needs_it(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """The error names the missing scope."""
    dana = hands.person()
    double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE}
    event = provider.create(dana, draft(dana))
    free_busy = provider.free_busy([dana], WINDOW)[dana]
    assert event.key and not free_busy.is_known
    assert EVENTS_READ_SCOPE in free_busy.reason and OWNED_EVENTS_SCOPE not in free_busy.reason
    assert "Manage domain wide delegation" in free_busy.reason


def test_token_is_requested_once_an_hour(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    clock = SteppedClock(utcnow())
    double.tokens.clock = clock
    provider = google.build_with_clock(section, clock)
    dana = hands.person()
    for _ in range(3):
        provider.find(dana, UNUSED_KEY)
    assert len(double.tokens.token_requests) == 1
    clock.advance(timedelta(hours=1))
    provider.find(dana, UNUSED_KEY)
    assert len(double.tokens.token_requests) == 2


def test_refused_token_is_renewed_once(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    provider.find(dana, UNUSED_KEY)
    double.tokens.expire_access_tokens()
    assert provider.create(dana, draft(dana)).key
    # to find, to create, and to create again with another token
    assert (len(requested_methods(double)), len(double.tokens.token_requests)) == (3, 2)
    double.faults.add(EVENTS_GET, "authError", times=9)
    with pytest.raises(AuthRevoked):
        provider.find(dana, UNUSED_KEY)
    # to find, and to find again with a third token
    assert (len(requested_methods(double)), len(double.tokens.token_requests)) == (5, 3)


@pytest.mark.parametrize("cause", ["suspended", "outside"])
def test_service_account_cannot_act_as_a_suspended_or_outside_person(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, cause: str
) -> None:
    person = hands.person() if cause == "suspended" else "kim@elsewhere.example"
    if cause == "suspended":
        double.calendars.suspended_accounts.add(person)
    with pytest.raises(AuthRevoked, match="suspended, deleted, or not in the domain"):
        provider.create(person, draft(person))


def test_error_says_that_google_no_longer_accepts_the_key(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    double.tokens.withdraw_keys()
    with pytest.raises(AuthRevoked, match="no longer accepts the key"):
        provider.find(hands.person(), UNUSED_KEY)


@pytest.mark.parametrize(
    ("content", "expected_text"),
    [
        ("", "not JSON"),
        ("not a key", "not JSON"),
        ("[1]", "something else"),
        ('{"installed": {"client_id": "x"}}', "an OAuth client"),
        ('{"type": "service_account"}', "lacks client_email"),
        (
            '{"type":"service_account","client_email":"a@b.c","client_id":"1","private_key":"x","private_key_id":"k","project_id":"p"}',
            "private key can't be read",
        ),
    ],
)
def test_error_says_what_is_wrong_with_the_key_file(
    section: dict[str, Any], tmp_path: Path, content: str, expected_text: str
) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(AuthRevoked, match=expected_text) as error_info:
        google.build_calendar({**section, "service_account": str(file)}).find("dana@example.org", UNUSED_KEY)
    assert "\n" not in str(error_info.value) and "Add key > JSON" in str(error_info.value)
    with pytest.raises(AuthRevoked, match="No such file"):
        google.build_calendar({**section, "service_account": str(tmp_path / "none")}).find(
            "dana@example.org", UNUSED_KEY
        )


def test_error_names_a_wrong_clock(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    provider = google.build_with_clock(section, SteppedClock(utcnow() + timedelta(days=2)))
    with pytest.raises(AuthRevoked, match="correct the clock"):
        provider.find(hands.person(), UNUSED_KEY)


def test_revoked_grant_names_the_connect_command(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    connect(double, account_section, dana)
    provider = google.build_calendar(account_section)
    assert provider.find(dana, UNUSED_KEY) is None
    double.tokens.revoke(dana)
    with pytest.raises(AuthRevoked, match=f"longarc connect google {dana}"):
        provider.find(dana, UNUSED_KEY)


@pytest.mark.parametrize("reason", [None, "reset", "html"])
def test_failure_of_the_token_endpoint_is_unavailable_or_an_invalid_response(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str | None
) -> None:
    double.faults.add("token", reason or "backendError")
    with pytest.raises(Unavailable if reason != "html" else InvalidResponse):
        provider.find(hands.person(), UNUSED_KEY)


# --- checks ---------------------------------------------------------------------------------------------------------


def test_check_has_a_finding_for_the_api_and_each_scope(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    findings = provider.check(hands.person())
    assert all(finding.ok for finding in findings)
    assert any("API is enabled" in finding.statement for finding in findings)
    for scope in (OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE):
        assert any(scope in finding.statement for finding in findings), scope


@pytest.mark.parametrize("scope", [OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE])
def test_failed_check_names_the_client_and_the_missing_scope(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, section: dict[str, Any], scope: str
) -> None:
    double.tokens.granted_scopes -= {scope}
    [failed_finding] = [finding for finding in provider.check(hands.person()) if not finding.ok]
    client = json.loads(Path(section["service_account"]).read_text())["client_id"]
    assert f"`{client}`" in failed_finding.remedy and f"`{scope}`" in failed_finding.remedy
    assert "admin.google.com" in failed_finding.remedy and "Manage domain wide delegation" in failed_finding.remedy


def test_failed_check_names_the_api_to_enable_and_the_page_for_it(
    double: Google, provider: GoogleCalendar, section: dict[str, Any], hands: GoogleHands
) -> None:
    double.faults.add("calendar.", "accessNotConfigured")
    [failed_finding] = [finding for finding in provider.check(hands.person()) if not finding.ok]
    assert "Calendar API is enabled" in failed_finding.statement
    assert "console.cloud.google.com/apis/library/calendar-json.googleapis.com" in failed_finding.remedy
    assert "longarc-test" in failed_finding.remedy  # the project of the service account
    double.faults.add("gmail.", "accessNotConfigured")
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": hands.person()})
    [failed_finding] = [finding for finding in mailer.check() if not finding.ok]
    assert "library/gmail.googleapis.com" in failed_finding.remedy


def test_check_reports_a_person_without_a_google_calendar(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """The finding is another than for a missing scope or an API that is not enabled."""
    dana = hands.person()
    double.calendars.without_calendar.add(dana)
    [failed_finding] = [finding for finding in provider.check(dana) if not finding.ok]
    assert failed_finding.statement == f"{dana} has a Google Calendar"
    assert "Apps > Google Workspace > Calendar" in failed_finding.remedy and dana in failed_finding.remedy


def test_check_reports_whether_meet_is_offered(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    """Without the scope for it nothing is known, which is no failure. Without `video` nothing is requested."""
    dana, kim = hands.person(), hands.person()
    double.calendars.without_meet.add(kim)
    provider = google.build_calendar(section)
    [unknown_finding] = [finding for finding in provider.check(kim) if "Meet" in finding.statement]
    assert unknown_finding.ok and CALENDARS_READ_SCOPE in unknown_finding.statement
    double.tokens.granted_scopes |= {CALENDARS_READ_SCOPE}
    assert all(finding.ok for finding in provider.check(dana))
    [failed_finding] = [finding for finding in provider.check(kim) if not finding.ok]
    assert failed_finding.statement == f"Google Meet is offered to {kim}" and "Google Meet" in failed_finding.remedy
    assert all(finding.ok for finding in google.build_calendar({**section, "video": False}).check(kim))


def test_check_of_mail_sends_no_mail(double: Google, section: dict[str, Any]) -> None:
    """Google refuses the check's empty message only after it has checked everything else."""
    double.calendars.add_person("dana@example.org")
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"})
    assert all(finding.ok for finding in mailer.check()) and double.gmail.sent == []
    double.gmail.without_gmail.add("dana@example.org")
    # the scope is granted and the API is enabled, but this person cannot send
    assert [finding.ok for finding in mailer.check()] == [True, True, False]
    double.tokens.granted_scopes -= {GMAIL_SEND_SCOPE}
    [failed_finding] = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"}).check()
    assert not failed_finding.ok and GMAIL_SEND_SCOPE in failed_finding.remedy


@pytest.mark.parametrize("sender", ["recipient@example.org", "empty@example.org"])
def test_check_of_mail_ignores_words_in_the_senders_address(
    double: Google, section: dict[str, Any], sender: str
) -> None:
    """The check expects Gmail to refuse an empty message. An address in another refusal must not look like that."""
    double.calendars.add_person(sender)
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": sender})
    assert all(finding.ok for finding in mailer.check())
    double.faults.add("gmail.", "domainPolicy")
    [failed_finding] = [finding for finding in mailer.check() if not finding.ok]
    assert failed_finding.statement == f"{sender} can send mail by Gmail" and "domainPolicy" in failed_finding.remedy


def test_check_of_a_connected_account_reports_each_missing_scope(
    double: Google, account_section: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    assert not google.build_calendar(account_section).check(dana)[0].ok
    connect(double, account_section, dana)
    assert all(finding.ok for finding in google.build_calendar(account_section).check(dana))
    assert all(finding.ok for finding in mail.build_mailer({**account_section, **double.mail_section}).check())
    connect(double, account_section, dana, OWNED_EVENTS_SCOPE)
    failed_findings = [finding for finding in google.build_calendar(account_section).check(dana) if not finding.ok]
    assert len(failed_findings) == 1 and "free/busy" in failed_findings[0].statement
