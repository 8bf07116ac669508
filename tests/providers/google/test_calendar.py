"""Google's calendars and mail pass the tests that each provider of calendars or mail inherits, on the strict double."""

import json
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import WINDOW, Hands, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.mailer_contract import MailerContract
from tests.support.provider_contract import CalendarContract, GuestDeletionContract, TextContract
from worker.domain.model import Address, Answer
from worker.providers.base import CalendarProvider
from worker.providers.google import calendar as google
from worker.providers.google import mail as gmail
from worker.providers.google.auth import (
    ACCOUNT_SCOPES,
    EVENTS_READ_SCOPE,
    GMAIL_SEND_SCOPE,
    OWNED_EVENTS_SCOPE,
    TokenFolder,
)
from worker.providers.google.calendar import GoogleCalendar
from worker.providers.google.mail import GmailMailer
from worker.providers.identities import InMemoryIdentities


@pytest.fixture(scope="module")
def double() -> Iterator[Google]:
    with Google() as google_double:
        google_double.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE, GMAIL_SEND_SCOPE}
        yield google_double


@pytest.fixture(scope="module")
def section(double: Google, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The section of the settings with a service account, which may act for all people of the domain.

    The limits are so high that no test reaches them.
    """
    file = tmp_path_factory.mktemp("google") / "key.json"
    file.write_text(json.dumps(double.tokens.add_service_account()))
    return {**double.calendar_section, "service_account": str(file), "per_person": 10_000, "per_project": 100_000}


@pytest.fixture(autouse=True)
def clear_faults(double: Google) -> Iterator[None]:
    yield
    double.faults.clear()


class TestDelegated(CalendarContract, TextContract, GuestDeletionContract):
    """A service account that acts as everybody."""

    hand_moves_ask_anew = False  # as in each class below: Google keeps the answers when the organizer moves an event


class TestAliasesOfThePeopleFile(CalendarContract, GuestDeletionContract):
    """Google names everybody by another address than the invited one, and the people file has both addresses."""

    hand_moves_ask_anew = False

    @pytest.fixture
    def identities(self) -> InMemoryIdentities:
        return InMemoryIdentities()

    @pytest.fixture
    def hands(self, double: Google, identities: InMemoryIdentities) -> GoogleHands:
        return AliasingHands(double, identities)

    @pytest.fixture
    def provider(self, section: dict[str, Any], identities: InMemoryIdentities) -> Iterator[GoogleCalendar]:
        calendar = google.build_calendar({**section, "identities": identities})
        yield calendar
        calendar.close()


class AliasingHands(GoogleHands):
    """Adds people whose other addresses are in `identities` from the beginning."""

    def __init__(self, double: Google, identities: InMemoryIdentities) -> None:
        super().__init__(double.calendars, aliased=True)
        self._identities = identities

    def person(self, zone: str = "UTC") -> Address:
        address = super().person(zone)
        self._identities.learn(address, self.shown_as(address))
        return address


class TestLearnedAliases(CalendarContract, GuestDeletionContract):
    """Google names everybody by another address, which Longarc learns from the answer to our own invitation."""

    hand_moves_ask_anew = False

    @pytest.fixture
    def hands(self, double: Google) -> GoogleHands:
        return GoogleHands(double.calendars, aliased=True)

    def test_an_event_of_two_people_names_organizer_and_guest(self, provider: CalendarProvider, hands: Hands) -> None:
        """T-9, a review may take place in a 1:1 of the two. Its guest, whom Google names by another address, is
        recognized as soon as our own invitation has shown whose address that is."""
        dana, sam = hands.person(), hands.person()
        hands.invite(dana, sam, span(5, 14), Answer.ACCEPTED)
        [event] = provider.changes(dana, None, WINDOW).events
        assert (event.organizer, list(event.answers.values())) == (dana, [Answer.ACCEPTED])
        provider.create(dana, draft(dana, sam, span=span(9, 10)))
        answers = {event.key: dict(event.answers) for event in provider.changes(dana, None, WINDOW).events}
        assert answers[None] == {sam: Answer.ACCEPTED}  # None is the key of the event that is not ours


class ConnectingHands(GoogleHands):
    """Adds people who each connect their own account."""

    def __init__(self, double: Google, folder: TokenFolder) -> None:
        super().__init__(double.calendars)
        self._double, self._folder = double, folder

    def person(self, zone: str = "UTC") -> Address:
        address = super().person(zone)
        self.connect(address)
        return address

    def outsider(self, zone: str = "UTC") -> Address:
        """Add a person with a calendar who has not connected it."""
        return super().person(zone)

    def connect(self, address: Address) -> None:
        self._folder.save(address, self._double.tokens.issue_refresh_token(address, set(ACCOUNT_SCOPES)))


class TestConnected(CalendarContract, GuestDeletionContract):
    """Managers who connected their own accounts."""

    hand_moves_ask_anew = False

    @pytest.fixture
    def hands(self, double: Google, account_section: dict[str, Any]) -> ConnectingHands:
        return ConnectingHands(double, TokenFolder(Path(account_section["token_folder"]), account_section["keys"]))

    @pytest.fixture
    def provider(self, account_section: dict[str, Any]) -> Iterator[GoogleCalendar]:
        calendar = google.build_calendar(account_section)
        yield calendar
        calendar.close()


class TestGmail(MailerContract):
    """Gmail sets its own Message-ID, so a sent mail cannot be looked up."""

    knows_what_it_sent = False
    keeps_message_ids = False

    @pytest.fixture
    def mailer(self, double: Google, section: dict[str, Any]) -> Iterator[GmailMailer]:
        double.calendars.add_person("dana@example.org")
        gmail_mailer = gmail.build_mailer({**section, **double.mail_section, "per_person": 100_000})
        yield gmail_mailer
        gmail_mailer.close()

    @pytest.fixture
    def inbox(self, double: Google) -> Callable[[str], list[EmailMessage]]:
        double.gmail.sent.clear()
        return lambda address: [mail for _, mail in double.gmail.sent if address in str(mail["To"])]
