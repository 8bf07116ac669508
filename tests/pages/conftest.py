"""One company is lived in for all of these tests; each gets a copy of it."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.pages.rooms import Room, live


@pytest.fixture(scope="session", name="lived_room")
def room_lived_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, datetime]:
    """The database of a company after a month, and when that is."""
    file = tmp_path_factory.mktemp("room") / "longarc.db"
    migrate(f"sqlite:///{file}")
    at = live(f"sqlite:///{file}")
    return file, at


@pytest.fixture
def room(lived_room: tuple[Path, datetime], tmp_path: Path) -> Iterator[Room]:
    """A copy for this test alone."""
    made = Room.of(*lived_room, tmp_path)
    yield made
    made.office.close()
