"""Connections to PostgreSQL are kept for the next transaction, and are looked at before they are used again."""

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


def disconnect(postgres: Postgres, url: str) -> None:
    postgres.disconnect(url)


def restart(postgres: Postgres, _: str) -> None:
    restarting = postgres.restart("fast")
    subprocess.run(restarting["command"], user=restarting["user"], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("interrupt", [disconnect, restart])
def test_no_connection_is_used_that_the_server_has_closed(
    interrupt: Callable[[Postgres, str], None], postgres: Postgres
) -> None:
    """While they idle: one is ended, or the server is started again. Each of the pool is replaced, and no other."""
    url = postgres.migrated()
    postgres.keep_commits(url)
    store = new_store(url)
    with store.database.read(), store.database.read():  # two are kept
        pass
    interrupt(postgres, url)
    with store.database.read() as one, store.database.read() as another:
        kept = {find_server_process(one), find_server_process(another)}
    assert store.load_next_due() == NextDue(None, None, None)
    with store.database.read() as one, store.database.write() as another:
        assert {find_server_process(one), find_server_process(another)} == kept
    store.close()
    postgres.give_back(url)


def find_server_process(connection: Connection) -> int:
    """Which process of the server serves the connection."""
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_single_statement_is_read_without_a_transaction(postgres: Postgres) -> None:
    """It sees one moment by itself; between the statements of `read`, and of `write`, a transaction is open."""
    url = postgres.migrated()
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


def test_a_connection_that_is_lost_within_a_statement_is_told_in_one_error(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """The pool does not try to reset it, which would log a traceback of its own."""
    url = postgres.migrated()
    store = new_store(url)
    end_own = PreparedStatement(select(func.pg_terminate_backend(func.pg_backend_pid())))
    for connect in (store.database.read_once, store.database.read, store.database.write):
        with pytest.raises(Exception, match=r"terminat|lost|closed") as outage, connect() as connection:
            end_own.fetch_value(connection)
        assert describe_database_outage(outage.value)
    assert [record.getMessage() for record in caplog.records] == []
    assert store.load_next_due() == NextDue(None, None, None)
    store.close()
    postgres.give_back(url)
