"""Google's scopes, tokens and key files, and the checks that prove them (1.14)."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import WINDOW, draft
from tests.support.google import GET, connect
from worker.clock import SteppedClock, utcnow
from worker.errors import AuthRevoked, InvalidResponse, Unavailable
from worker.providers.google import calendar as google
from worker.providers.google import mail
from worker.providers.google.auth import CALENDARS_READ_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer

# --- the grants (1.14) ----------------------------------------------------------------------------------------------


def test_1_14_each_scope_is_asked_for_by_itself(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    """What lacks one of them still does what the others allow; the remedy names the one that lacks."""
    dana = hands.person()
    double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE}
    event = provider.create(dana, draft(dana))
    found = provider.free_busy([dana], WINDOW)[dana]
    assert (
        event.key
        and not found.is_known
        and EVENTS_READ_SCOPE in found.reason
        and OWNED_EVENTS_SCOPE not in found.reason
    )
    assert "Manage domain wide delegation" in found.reason


def test_a_token_is_asked_for_once_an_hour(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    clock = SteppedClock(utcnow())
    double.tokens.clock = clock
    provider = google.build_with_clock(section, clock)
    dana = hands.person()
    for _ in range(3):
        provider.find(dana, "s1.1")
    assert len(double.tokens.grant_types) == 1
    clock.advance(timedelta(hours=1))
    provider.find(dana, "s1.1")
    assert len(double.tokens.grant_types) == 2


def test_a_token_that_died_early_is_renewed_once(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    provider.find(dana, "s1.1")
    double.tokens.expire_access_tokens()
    assert provider.create(dana, draft(dana)).key
    double.faults.add(GET, "authError", times=9)
    with pytest.raises(AuthRevoked):
        provider.find(dana, "s1.1")


@pytest.mark.parametrize("who", ["suspended", "outside"])
def test_nobody_can_act_as_who_is_suspended_or_elsewhere(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, who: str
) -> None:
    person = hands.person() if who == "suspended" else "kim@elsewhere.example"
    double.calendars.suspended_accounts.add(person)
    with pytest.raises(AuthRevoked, match="suspended, deleted, or not in the domain"):
        provider.create(person, draft(person))


def test_a_key_that_was_deleted_says_so(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    double.tokens.withdraw_keys()
    with pytest.raises(AuthRevoked, match="no longer accepts the key"):
        provider.find(hands.person(), "s1.1")


@pytest.mark.parametrize(
    ("content", "says"),
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
def test_a_key_file_that_is_none_says_what_it_is(
    section: dict[str, Any], tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(AuthRevoked, match=says) as caught:
        google.build_calendar({**section, "service_account": str(file)}).find("dana@example.org", "s1.1")
    assert "\n" not in str(caught.value) and "Add key > JSON" in str(caught.value)
    with pytest.raises(AuthRevoked, match="No such file"):
        google.build_calendar({**section, "service_account": str(tmp_path / "none")}).find("dana@example.org", "s1.1")


def test_a_clock_that_is_wrong_is_named(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    provider = google.build_with_clock(section, SteppedClock(utcnow() + timedelta(days=2)))
    with pytest.raises(AuthRevoked, match="correct the clock"):
        provider.find(hands.person(), "s1.1")


def test_a_grant_taken_back_says_how_to_give_it_again(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    connect(double, alone, dana)
    provider = google.build_calendar(alone)
    assert provider.find(dana, "s1.1") is None
    double.tokens.revoke(dana)
    with pytest.raises(AuthRevoked, match=f"longarc connect google {dana}"):
        provider.find(dana, "s1.1")


@pytest.mark.parametrize("reason", [None, "reset", "html"])
def test_a_token_endpoint_out_of_order_is_tried_later(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str | None
) -> None:
    double.faults.add("token", reason or "backendError")
    with pytest.raises(Unavailable if reason != "html" else InvalidResponse):
        provider.find(hands.person(), "s1.1")


# --- proving --------------------------------------------------------------------------------------------------------


def test_a_check_proves_each_thing_by_itself(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    found = provider.check(hands.person())
    assert all(one.ok for one in found)
    assert sum("API is enabled" in one.statement for one in found) >= 1
    assert {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE} <= {
        scope for one in found for scope in (OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE) if scope in one.statement
    }


@pytest.mark.parametrize("scope", [OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE])
def test_a_check_says_what_to_paste_where(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, section: dict[str, Any], scope: str
) -> None:
    double.tokens.granted_scopes -= {scope}
    [failed] = [one for one in provider.check(hands.person()) if not one.ok]
    client = json.loads(Path(section["service_account"]).read_text())["client_id"]
    assert f"`{client}`" in failed.remedy and f"`{scope}`" in failed.remedy
    assert "admin.google.com" in failed.remedy and "Manage domain wide delegation" in failed.remedy


def test_a_check_says_which_api_to_enable_where(
    double: Google, provider: GoogleCalendar, mailer: GmailMailer, section: dict[str, Any], hands: GoogleHands
) -> None:
    double.faults.add("calendar.", "accessNotConfigured")
    [failed] = [one for one in provider.check(hands.person()) if not one.ok]
    assert "Calendar API is enabled" in failed.statement
    assert "console.cloud.google.com/apis/library/calendar-json.googleapis.com" in failed.remedy
    assert "longarc-test" in failed.remedy
    double.faults.add("gmail.", "accessNotConfigured")
    one = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"})
    [failed] = [found for found in one.check() if not found.ok]
    assert "library/gmail.googleapis.com" in failed.remedy


def test_a_check_says_that_somebody_has_no_google_calendar(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """A finding of its own: it is neither the scope nor the API that lacks."""
    dana = hands.person()
    double.calendars.without_calendar.add(dana)
    [failed] = [one for one in provider.check(dana) if not one.ok]
    assert failed.statement == f"{dana} has a Google Calendar"
    assert "Apps > Google Workspace > Calendar" in failed.remedy and dana in failed.remedy


def test_a_check_looks_whether_meet_is_offered(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    """Where the scope for it is granted; else nothing is known, which is no fault. Without video nobody asks."""
    dana, kim = hands.person(), hands.person()
    double.calendars.without_meet.add(kim)
    provider = google.build_calendar(section)
    [unknown] = [one for one in provider.check(kim) if "Meet" in one.statement]
    assert unknown.ok and CALENDARS_READ_SCOPE in unknown.statement
    double.tokens.granted_scopes |= {CALENDARS_READ_SCOPE}
    assert all(one.ok for one in provider.check(dana))
    [failed] = [one for one in provider.check(kim) if not one.ok]
    assert failed.statement == f"Google Meet is offered to {kim}" and "Google Meet" in failed.remedy
    assert all(one.ok for one in google.build_calendar({**section, "video": False}).check(kim))


def test_a_check_of_mail_sends_none(double: Google, section: dict[str, Any]) -> None:
    """An empty message is refused for being empty, after everything else was looked at."""
    double.calendars.add_person("dana@example.org")
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"})
    assert all(one.ok for one in mailer.check()) and double.gmail.sent == []
    double.gmail.without_gmail.add("dana@example.org")
    assert [one.ok for one in mailer.check()] == [True, True, False]
    double.tokens.granted_scopes -= {GMAIL_SEND_SCOPE}
    [failed] = mail.build_mailer({**section, **double.mail_section, "sender": "dana@example.org"}).check()
    assert not failed.ok and GMAIL_SEND_SCOPE in failed.remedy


@pytest.mark.parametrize("sender", ["recipient@example.org", "empty@example.org"])
def test_a_check_of_mail_is_not_deceived_by_the_words_in_an_address(
    double: Google, section: dict[str, Any], sender: str
) -> None:
    double.calendars.add_person(sender)
    mailer = mail.build_mailer({**section, **double.mail_section, "sender": sender})
    assert all(one.ok for one in mailer.check())
    double.faults.add("gmail.", "domainPolicy")
    [failed] = [one for one in mailer.check() if not one.ok]
    assert failed.statement == f"{sender} can send mail by Gmail" and "domainPolicy" in failed.remedy


def test_a_check_of_a_connected_account_proves_what_was_ticked(
    double: Google, alone: dict[str, Any], hands: GoogleHands
) -> None:
    dana = hands.person()
    assert not google.build_calendar(alone).check(dana)[0].ok
    connect(double, alone, dana)
    assert all(one.ok for one in google.build_calendar(alone).check(dana))
    assert all(one.ok for one in mail.build_mailer({**alone, **double.mail_section}).check())
    connect(double, alone, dana, OWNED_EVENTS_SCOPE)
    failed = [one for one in google.build_calendar(alone).check(dana) if not one.ok]
    assert len(failed) == 1 and "free/busy" in failed[0].statement
