"""Fixtures for the tests of `longarc init`: servers with which it tries answers, and a people file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.companies import DANA, KIM, SAM
from worker.embedded import EmbeddedServers

#: The password of the servers, with the user name `longarc`.
PASSWORD = "a long one"
PEOPLE = f"""\
Work Email,Name,Reporting to,Time Zone,Country,Department
{DANA},Dana,,Europe/Berlin,Germany,Sales
{SAM},Sam,Dana,Europe/Berlin,Germany,Sales
{KIM},Kim,Dana,Europe/Berlin,Germany,Care
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    with EmbeddedServers(
        tmp_path_factory.mktemp("servers"), [DANA, SAM, KIM], username="longarc", password=PASSWORD
    ) as embedded_servers:
        yield embedded_servers


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """The file that an HR system exports."""
    file = tmp_path / "export.csv"
    file.write_text(PEOPLE)
    return file
