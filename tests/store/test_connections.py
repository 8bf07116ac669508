"""Connections to PostgreSQL are kept for later transactions, and are tested before they are used again."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, func, select, text

from tests.conftest import Postgres
from tests.support.companies import new_store
from worker.store.database import describe_database_outage
from worker.store.statements import PreparedStatement
from worker.store.store import NextDue


def end_connections(postgres: Postgres, url: str) -> None:
    postgres.disconnect(url)


def restart_server(postgres: Postgres, _: str) -> None:
    restart_command = postgres.make_restart_command("fast")
    subprocess.run(restart_command["command"], user=restart_command["user"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("interrupt", [end_connections, restart_server])
def test_connections_that_the_server_closed_are_replaced(
    interrupt: Callable[[Postgres, str], None], postgres: Postgres
) -> None:
    """Idle connections are ended, or the server restarts. Each connection of the pool is replaced once."""
    url = postgres.take_migrated()
    postgres.keep_commits(url)
    store = new_store(url)
    with store.database.read(), store.database.read():  # the pool keeps two connections
        pass
    interrupt(postgres, url)
    with store.database.read() as first, store.database.read() as second:
        server_processes = {find_server_process(first), find_server_process(second)}
    assert store.load_next_due() == NextDue(None, None, None)
    with store.database.read() as first, store.database.write() as second:
        assert {find_server_process(first), find_server_process(second)} == server_processes
    store.close()
    postgres.give_back(url)


def find_server_process(connection: Connection) -> int:
    """Return the id of the server process of the connection."""
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_read_once_opens_no_transaction(postgres: Postgres) -> None:
    """One statement reads one snapshot without a transaction. In `read` and `write`, a transaction is open."""
    url = postgres.take_migrated()
    store = new_store(url)
    for connect, status in (
        (store.database.read_once, TransactionStatus.IDLE),
        (store.database.read, TransactionStatus.INTRANS),
        (store.database.read_once, TransactionStatus.IDLE),
        (store.database.write, TransactionStatus.INTRANS),
        (store.database.read_once, TransactionStatus.IDLE),
    ):
        with connect() as connection:
            driver: Any = connection.connection.dbapi_connection
            assert driver.execute("SELECT 1").fetchone() == (1,)
            assert driver.info.transaction_status == status
    store.close()
    postgres.give_back(url)


def test_a_compaction_that_fails_leaves_transactions_as_they_were(postgres: Postgres) -> None:
    """VACUUM runs outside of transactions. Afterwards the same connection begins them again."""
    url = postgres.take_migrated()
    store, locking_store = new_store(f"{url}&options=-c%20lock_timeout%3D100"), new_store(url)
    with locking_store.database.write() as connection:
        connection.execute(text("LOCK TABLE person IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(Exception, match="lock timeout"):
            store.database.compact()
    with store.database.write() as connection:
        driver: Any = connection.connection.dbapi_connection
        assert driver.execute("SELECT 1").fetchone() == (1,)
        assert driver.info.transaction_status == TransactionStatus.INTRANS
    assert store.database.compact()
    store.close()
    locking_store.close()
    postgres.give_back(url)


def test_connection_lost_within_a_statement_raises_one_error_and_logs_nothing(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool does not reset the connection, because that would log a second traceback."""
    url = postgres.take_migrated()
    store = new_store(url)
    end_own_connection = PreparedStatement(select(func.pg_terminate_backend(func.pg_backend_pid())))
    for connect in (store.database.read_once, store.database.read, store.database.write):
        with pytest.raises(Exception, match=r"terminat|lost|closed") as error_info, connect() as connection:
            end_own_connection.fetch_value(connection)
        assert describe_database_outage(error_info.value)
    assert [record.getMessage() for record in caplog.records] == []
    assert store.load_next_due() == NextDue(None, None, None)
    store.close()
    postgres.give_back(url)
