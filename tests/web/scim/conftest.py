"""The company whose people a directory pushes, and that directory; new ones for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pushing import Directory, PushedCompany, open_company


@pytest.fixture
def company(tmp_path: Path) -> Iterator[PushedCompany]:
    pushed_company = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", people=tmp_path / "people.csv")
    yield pushed_company
    pushed_company.close()


@pytest.fixture
def directory(company: PushedCompany) -> Directory:
    return company.directory
