"""A company whose calendar service sends notifications of changes."""

from collections.abc import Iterator

import pytest

from tests.support.notifying import NotifyingOffice


@pytest.fixture
def office() -> Iterator[NotifyingOffice]:
    running_office = NotifyingOffice()
    yield running_office
    running_office.close()
