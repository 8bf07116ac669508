"""The CalDAV provider on the embedded server, and people who use its calendars."""

from collections.abc import Iterator

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import open_calendar
from worker.embedded import EmbeddedServers
from worker.providers.caldav.calendar import CalDavCalendar


@pytest.fixture
def untouched_server(interceptor: RequestInterceptor) -> Iterator[None]:
    """Before and after the test, the server answers by itself."""
    interceptor.clear()
    yield
    interceptor.clear()


@pytest.fixture(scope="module")
def provider(server: EmbeddedServers) -> Iterator[CalDavCalendar]:
    calendar = open_calendar(server)
    yield calendar
    calendar.close()


@pytest.fixture
def hands(server: EmbeddedServers) -> Iterator[CalDavHands]:
    caldav_hands = CalDavHands(server)
    yield caldav_hands
    caldav_hands.close()
