"""The double of Microsoft 365, which the tests of a module share and which each test finds empty, and providers that
use it. `make_section` returns the section of the settings for the double."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, make_section
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook.calendar import OutlookCalendar


@pytest.fixture(scope="module")
def shared_double() -> Iterator[Double]:
    with Double() as double:
        yield double


@pytest.fixture
def double(shared_double: Double) -> Iterator[Double]:
    shared_double.reset()
    yield shared_double
    shared_double.reset()


@pytest.fixture
def hands(double: Double) -> Hands:
    return Hands(double)


@pytest.fixture
def provider(double: Double, hands: Hands) -> Iterator[OutlookCalendar]:
    calendar = outlook.build_calendar(make_section(double, organizers=hands.organizers))
    yield calendar
    calendar.close()


@pytest.fixture
def send_only_mailer(double: Double) -> Any:
    """A mailer that may only send, so that it cannot look up what was sent."""
    double.world.add_person("dana@example.org")
    return outlook.build_mailer(make_section(double, sender="dana@example.org"))


@pytest.fixture
def exactly_once_mailer(double: Double) -> Any:
    """A mailer with the setting `exactly_once`, which may read and write mails."""
    double.world.add_person("dana@example.org")
    settings = make_section(double, sender="dana@example.org", exactly_once=True)
    application = double.login.applications[settings["client_id"]]
    application.rights = (*application.rights, "Mail.ReadWrite")
    return outlook.build_mailer(settings)
