"""The storage of pushed people passes the library's tests of a storage, except for what the server does not offer."""

from collections.abc import Iterator

import pytest
from scim2_models import ScimProvider
from scim2_server.testing import ScimStorageContract

from tests.support.companies import START, new_store
from worker.web.scim.schema import get_provider
from worker.web.scim.storage import PushedUsers

#: Parts of the names of tests that are left out: of groups, sorting and cursors, which the server does not offer, and
#: of transactions, because each test here runs inside of one.
NOT_OFFERED = ("_group", "_root", "_type", "_sort", "_cursor", "_get_keeps", "_operation")


class TestPushedUsers(ScimStorageContract):
    """Each test runs in one transaction."""

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
