"""The double of Microsoft 365, which the tests of a module share and each finds empty, and the providers on it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands, section
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
    calendar = outlook.build_calendar(section(double, organizers=hands.organizers))
    yield calendar
    calendar.close()


@pytest.fixture
def plain(double: Double) -> Any:
    """A mailer that only sends, so that it does not know what was sent."""
    double.world.add_person("dana@example.org")
    return outlook.build_mailer(section(double, sender="dana@example.org"))


@pytest.fixture
def sure(double: Double) -> Any:
    """A mailer with the setting `exactly_once`, which may read and write mails."""
    double.world.add_person("dana@example.org")
    given = section(double, sender="dana@example.org", exactly_once=True)
    known = double.login.applications[given["client_id"]]
    known.rights = (*known.rights, "Mail.ReadWrite")
    return outlook.build_mailer(given)
