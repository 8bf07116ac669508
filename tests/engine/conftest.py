"""Starts the processes that tests kill, and the servers that outlive them."""

from collections.abc import Iterator

import pytest

from tests.support.crash_stories import GoogleServers, OutlookServers, OwnServers, ProcessStarter, Servers


@pytest.fixture(scope="session")
def starter() -> Iterator[ProcessStarter]:
    running = ProcessStarter()
    yield running
    running.close()


@pytest.fixture(scope="session")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    running = OwnServers(tmp_path_factory.mktemp("servers"), [])
    with running:
        yield running


@pytest.fixture(scope="session")
def google_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServers]:
    running = GoogleServers(tmp_path_factory.mktemp("google"))
    with running:
        yield running


@pytest.fixture(scope="session")
def outlook_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutlookServers]:
    running = OutlookServers(tmp_path_factory.mktemp("outlook"))
    with running:
        yield running


@pytest.fixture(params=["own_servers", "google_servers", "outlook_servers"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found
