"""The process that is killed, and the servers that outlive it."""

from collections.abc import Iterator

import pytest

from tests.support.crash_stories import Child, Googles, Ours, Outlooks, Servers


@pytest.fixture(scope="session")
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.close()


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ours]:
    running = Ours(tmp_path_factory.mktemp("servers"), [])
    with running:
        yield running


@pytest.fixture(scope="session")
def googles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Googles]:
    running = Googles(tmp_path_factory.mktemp("google"))
    with running:
        yield running


@pytest.fixture(scope="session")
def outlooks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outlooks]:
    running = Outlooks(tmp_path_factory.mktemp("outlook"))
    with running:
        yield running


@pytest.fixture(params=["ours", "googles", "outlooks"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found
