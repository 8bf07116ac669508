"""The company's endpoint, and an app that subscribes to changes for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands
from tests.doubles.graph_subscriptions.support import Endpoint, connect
from tests.support.loopback import serve


@pytest.fixture
def endpoint(double: Double) -> Iterator[Endpoint]:
    """A running endpoint, which the double reaches at https://longarc.example."""
    endpoint = Endpoint()
    with serve(endpoint.answer) as server:
        double.subscriptions.routes["https://longarc.example"] = server.url.rstrip("/")
        yield endpoint
        double.subscriptions.reset()


@pytest.fixture
def client(double: Double, endpoint: Endpoint) -> Any:
    """The subscriptions of the app in python-o365."""
    return connect(double)


@pytest.fixture
def hands(double: Double) -> Hands:
    return Hands(double)
