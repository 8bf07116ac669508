"""The double of Microsoft Graph, one for each module and reset for each test; and hands on the double of Google."""

from collections.abc import Iterator

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.doubles.graph import Double

PEOPLE = ("dana@example.org", "sam@example.org")


@pytest.fixture(scope="module")
def shared_double() -> Iterator[Double]:
    """One double for all tests of a module, as the tests before have left it."""
    with Double() as running:
        yield running


@pytest.fixture
def double(shared_double: Double) -> Iterator[Double]:
    """The double with the empty mailboxes of two people."""
    shared_double.reset()
    for person in PEOPLE:
        shared_double.world.add_person(person)
    yield shared_double
    shared_double.reset()


@pytest.fixture
def hands(double: Google) -> GoogleHands:
    """What people do in Google, in the modules whose `double` is Google's."""
    return GoogleHands(double.calendars)
