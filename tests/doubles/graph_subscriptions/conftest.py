"""The company's endpoint, and an app that subscribes to changes for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.doubles.graph import Double, Hands
from tests.doubles.graph_subscriptions.support import Endpoint, connect_app
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
    """The client of the app's subscriptions in python-o365."""
    return connect_app(double)


@pytest.fixture
def hands(double: Double) -> Hands:
    return Hands(double)
