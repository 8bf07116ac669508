"""A company whose calendar service tells of changes."""

from collections.abc import Iterator

import pytest

from tests.support.telling import TellingOffice


@pytest.fixture
def office() -> Iterator[TellingOffice]:
    made = TellingOffice()
    yield made
    made.close()
