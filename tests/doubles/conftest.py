"""The double of Microsoft Graph: one for each module, and reset for each test."""

from collections.abc import Iterator

import pytest

from tests.doubles.graph import Double

PEOPLE = ("dana@example.org", "sam@example.org")


@pytest.fixture(scope="module")
def service() -> Iterator[Double]:
    """The double as the tests before have left it."""
    with Double() as running:
        yield running


@pytest.fixture
def double(service: Double) -> Iterator[Double]:
    """The double with the empty mailboxes of two people."""
    service.reset()
    for person in PEOPLE:
        service.world.add_person(person)
    yield service
    service.reset()
