"""The double of Google, and a calendar and a mailer that use it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.companies import KEY
from worker.providers.google import calendar as google
from worker.providers.google import mail
from worker.providers.google.auth import EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as google_double:
        google_double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        yield google_double


@pytest.fixture
def section(double: Google, tmp_path: Path) -> dict[str, Any]:
    """The section of the settings with a service account, which may act for all people of the domain."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(double.tokens.add_service_account()))
    return {**double.calendar_section, "service_account": str(file), "timeout": 2.0}


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    return GoogleHands(double.calendars)


@pytest.fixture
def provider(section: dict[str, Any]) -> Iterator[GoogleCalendar]:
    calendar = google.build_calendar(section)
    yield calendar
    calendar.close()


@pytest.fixture
def mailer(double: Google, section: dict[str, Any]) -> Iterator[GmailMailer]:
    double.calendars.add_person("dana@example.org")
    gmail_mailer = mail.build_mailer({**section, **double.mail_section, "timeout": 2.0})
    yield gmail_mailer
    gmail_mailer.close()


@pytest.fixture
def account_section(double: Google, tmp_path: Path) -> dict[str, Any]:
    """The section of the settings with an OAuth client, to which managers grant access to their own accounts. `keys`
    seal the grants."""
    client, secret = double.tokens.client
    folder = {"token_folder": str(tmp_path / "tokens"), "keys": [KEY]}
    return {**double.calendar_section, **folder, "client_id": client, "password": secret}
