"""Microsoft 365 against the strict double: the contract, and what only this vendor does."""

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, section
from tests.support.provider_contract import CalendarContract, MailerContract
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar
from worker.providers.outlook.mail import GraphMailer


class TestOutlookCalendar(CalendarContract):
    """Everything a calendar promises. Who organizes nothing is read by getSchedule."""

    remembers_cancelled = False  # what becomes of a transaction id after its event is gone, nobody promises


class TestOutlookOrganizers(CalendarContract):
    """The same, where everybody organizes something: their time is read from their calendars."""

    remembers_cancelled = False

    @pytest.fixture
    def provider(self, double: Double, hands: Hands) -> Iterator[OutlookCalendar]:
        calendar = outlook.build_calendar(section(double, organizers=lambda _: set(double.world.mailboxes)))
        yield calendar
        calendar.close()


class _Inbox:
    @pytest.fixture
    def inbox(self, double: Double) -> Any:
        def read(address: str) -> list[EmailMessage]:
            return [message for to, message in double.mails.outbox if to == address]

        return read


class TestOutlookMail(_Inbox, MailerContract):
    """With the right to send alone."""

    knows_what_it_sent = False

    @pytest.fixture
    def mailer(self, double: Double) -> GraphMailer:
        double.world.add_person("dana@example.org")
        return outlook.build_mailer(section(double, sender="dana@example.org"))


class TestOutlookMailExactlyOnce(_Inbox, MailerContract):
    """With the right to read and write mail besides."""

    @pytest.fixture
    def mailer(self, double: Double) -> GraphMailer:
        double.world.add_person("dana@example.org")
        given = section(double, sender="dana@example.org", exactly_once=True)
        known = double.login.applications[given["client_id"]]
        known.rights = (*known.rights, "Mail.ReadWrite")
        return outlook.build_mailer(given)
