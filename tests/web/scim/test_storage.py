"""The storage keeps what the library promises of any, apart from what the server says that it doesn't offer."""

from collections.abc import Iterator

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract

from tests.support.companies import START, new_store
from worker.web.scim.schema import get_provider
from worker.web.scim.storage import PushedUsers

#: About groups, sorting and cursors, which there are not, and about transactions: these tests are in one already.
NOT_OFFERED = ("_group", "_root", "_type", "_sort", "_cursor", "_get_keeps", "_operation")


class TestPushedUsers(ScimStorageContract):
    """Every test is one transaction."""

    @pytest.fixture
    def provider(self) -> Iterator[ScimProvider]:
        with get_provider() as provider:
            yield provider

    @pytest.fixture
    def storage(self) -> Iterator[PushedUsers]:
        store = new_store("sqlite://")
        store.create_tables()
        storage = PushedUsers(store.pushed_people, START, is_writing=True)
        with storage.operation():
            yield storage
        store.close()


for name in dir(ScimStorageContract):
    if name.startswith("test_") and any(part in name for part in NOT_OFFERED):
        setattr(TestPushedUsers, name, None)
