"""The double of Google with two people, a client of it, and the listener to which notifications go."""

from collections.abc import Iterator

import pytest

from tests.doubles.google import Google
from tests.doubles.google.channels import Channels
from tests.doubles.google_channels.support import NOW, PlainClient
from tests.support.channel_contract import PUBLIC, Listener, listen
from tests.support.companies import DANA, SAM
from worker.clock import SteppedClock


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(NOW)


@pytest.fixture
def double(clock: SteppedClock) -> Iterator[Google]:
    with Google(clock=clock) as running:
        for person in (DANA, SAM):
            running.calendars.add_person(person)
        yield running
    assert running.crashes == []


@pytest.fixture
def channels(double: Google) -> Channels:
    return double.calendars.channels


@pytest.fixture
def listener(channels: Channels) -> Iterator[Listener]:
    with listen() as running:
        channels.routes[PUBLIC] = running.url
        yield running


@pytest.fixture
def client(double: Google) -> PlainClient:
    return PlainClient(double)
