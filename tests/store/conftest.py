"""Two stores on one database, as two processes have them."""

from collections.abc import Iterator

import pytest

from tests.support.companies import DANA, KIM, SAM, START, new_store, pair, pairs, people
from worker.store.store import Store


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with Dana and her reports Sam and Kim, imported at `START`."""
    store = new_store(database_url)
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START)
    yield store
    store.close()


@pytest.fixture
def second_store(database_url: str, store: Store) -> Iterator[Store]:
    """The store of another process on the same database."""
    second_store = new_store(database_url)
    yield second_store
    second_store.close()
