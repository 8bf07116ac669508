"""Connections to PostgreSQL are kept for the next transaction."""

from tests.conftest import Postgres
from tests.support.companies import new_store
from worker.store.store import NextDue


def test_no_connection_is_used_that_the_server_has_closed(postgres: Postgres) -> None:
    url = postgres.migrated()
    store = new_store(url)
    assert store.next_due() == NextDue(None, None, None)
    postgres.disconnect(url)
    assert store.next_due() == NextDue(None, None, None)
    store.close()
    postgres.give_back(url)
