"""Calendars and mail of Microsoft 365 pass the tests that each provider of calendars or mail inherits, on the strict
double."""

from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, make_section
from tests.support.mailer_contract import MailerContract
from tests.support.provider_contract import CalendarContract, TextContract
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar
from worker.providers.outlook.mail import GraphMailer


class TestOutlookCalendar(CalendarContract, TextContract):
    """The contract of a calendar, where free/busy of people who organize nothing is read by getSchedule."""

    remembers_cancelled = False  # the service promises nothing about the transaction id of a deleted event


class TestOutlookOrganizers(CalendarContract):
    """The contract of a calendar, where everybody organizes events and free/busy is read from the calendars."""

    remembers_cancelled = False  # as above

    @pytest.fixture
    def provider(self, double: Double, hands: Hands) -> Iterator[OutlookCalendar]:
        calendar = outlook.build_calendar(make_section(double, organizers=lambda _: set(double.world.mailboxes)))
        yield calendar
        calendar.close()


class _Inbox:
    """Has the fixture `inbox`, which reads what the double has delivered to an address."""

    @pytest.fixture
    def inbox(self, double: Double) -> Any:
        def read(address: str) -> list[EmailMessage]:
            return [message for to, message in double.mails.outbox if to == address]

        return read


class TestOutlookMail(_Inbox, MailerContract):
    """The contract of a mailer with only the right to send."""

    knows_what_it_sent = False  # that would need the right to read

    @pytest.fixture
    def mailer(self, double: Double) -> GraphMailer:
        double.world.add_person("dana@example.org")
        return outlook.build_mailer(make_section(double, sender="dana@example.org"))


class TestOutlookMailExactlyOnce(_Inbox, MailerContract):
    """The contract of a mailer that may also read and write mail."""

    @pytest.fixture
    def mailer(self, double: Double) -> GraphMailer:
        double.world.add_person("dana@example.org")
        settings = make_section(double, sender="dana@example.org", exactly_once=True)
        application = double.login.applications[settings["client_id"]]
        application.rights = (*application.rights, "Mail.ReadWrite")
        return outlook.build_mailer(settings)
