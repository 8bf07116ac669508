"""The double of Microsoft Graph: one for each module, and empty for each test but for two people."""

from collections.abc import Iterator

import pytest

from tests.doubles.graph import Double

PEOPLE = ("dana@example.org", "sam@example.org")


@pytest.fixture(scope="module")
def service() -> Iterator[Double]:
    with Double() as running:
        yield running


@pytest.fixture
def double(service: Double) -> Iterator[Double]:
    service.forget()
    for person in PEOPLE:
        service.world.person(person)
    yield service
    service.forget()
