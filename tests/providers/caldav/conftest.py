"""The CalDAV provider on the embedded server, and people who use its calendars."""

from collections.abc import Iterator

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import open_calendar
from worker.embedded import EmbeddedServers
from worker.providers.caldav.calendar import CalDavCalendar


@pytest.fixture
def undisturbed(interceptor: RequestInterceptor) -> Iterator[None]:
    """Nothing stands in the server's way but what the test itself puts there."""
    interceptor.clear()
    yield
    interceptor.clear()


@pytest.fixture(scope="module")
def provider(server: EmbeddedServers) -> Iterator[CalDavCalendar]:
    made = open_calendar(server)
    yield made
    made.close()


@pytest.fixture
def hands(server: EmbeddedServers) -> Iterator[CalDavHands]:
    made = CalDavHands(server)
    yield made
    made.close()
