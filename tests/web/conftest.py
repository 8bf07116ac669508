"""The company whose pages are tested. A month of it is played once for all tests, and each test gets a copy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.support.web_company import SavedCompany, WebCompany, play_month


@pytest.fixture(scope="session", name="saved_company")
def build_saved_company(tmp_path_factory: pytest.TempPathFactory) -> SavedCompany:
    """The company as it was saved after the month."""
    file = tmp_path_factory.mktemp("company") / "longarc.db"
    migrate(f"sqlite:///{file}")
    return play_month(file)


@pytest.fixture
def company(saved_company: SavedCompany, tmp_path: Path) -> Iterator[WebCompany]:
    """A copy of the company for one test, with its web pages."""
    copy = WebCompany.of(saved_company, tmp_path)
    yield copy
    copy.office.close()
