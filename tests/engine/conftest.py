"""Fixtures: processes that tests kill, and servers that run for the whole session of tests."""

from collections.abc import Iterator

import pytest

from tests.support.crash_stories import GoogleServers, OutlookServers, OwnServers, ProcessStarter, Servers


@pytest.fixture(scope="session")
def starter() -> Iterator[ProcessStarter]:
    process_starter = ProcessStarter()
    yield process_starter
    process_starter.close()


@pytest.fixture(scope="session")
def own_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServers]:
    servers_ = OwnServers(tmp_path_factory.mktemp("servers"), [])
    with servers_:
        yield servers_


@pytest.fixture(scope="session")
def google_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleServers]:
    servers_ = GoogleServers(tmp_path_factory.mktemp("google"))
    with servers_:
        yield servers_


@pytest.fixture(scope="session")
def outlook_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutlookServers]:
    servers_ = OutlookServers(tmp_path_factory.mktemp("outlook"))
    with servers_:
        yield servers_


@pytest.fixture(params=["own_servers", "google_servers", "outlook_servers"])
def servers(request: pytest.FixtureRequest) -> Servers:
    selected_servers: Servers = request.getfixturevalue(request.param)
    return selected_servers
