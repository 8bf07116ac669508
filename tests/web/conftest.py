"""One company is lived in for all of these tests; each gets a copy of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.support.web_company import Lived, Room, live


@pytest.fixture(scope="session", name="lived_room")
def room_lived_in(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """What is left of a company's month."""
    file = tmp_path_factory.mktemp("room") / "longarc.db"
    migrate(f"sqlite:///{file}")
    return live(file)


@pytest.fixture
def room(lived_room: Lived, tmp_path: Path) -> Iterator[Room]:
    """A copy for this test alone."""
    made = Room.of(lived_room, tmp_path)
    yield made
    made.office.close()
