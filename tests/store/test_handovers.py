"""Concurrent decisions of the report and the old manager about one handover (R-36)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.conftest import Postgres
from tests.support.companies import DANA, KEY, KIM, SAM, START, new_store
from worker.domain.model import HandoverLine, HandoverLineKind, PairId
from worker.store import tables

FORMER_PAIR = PairId(DANA, SAM)
LINE = HandoverLine(kind=HandoverLineKind.QUESTION, text="What next?")


def test_r36_concurrent_decisions_are_both_stored(postgres: Postgres) -> None:
    url = postgres.take_migrated()
    report_store, manager_store = new_store(url, KEY), new_store(url, KEY)
    row = {"former": FORMER_PAIR, "pair": PairId(KIM, SAM), "ended_at": START, "sealed": None}
    with report_store.database.write() as connection:
        connection.execute(tables.handover.insert(), row)

    def keep_promise() -> None:
        with manager_store.database.write() as connection:
            content = manager_store.handovers.load_content_for_change(connection, FORMER_PAIR)
            manager_store.handovers.save(connection, FORMER_PAIR, replace(content, kept_ids=("p1",)))

    with ThreadPoolExecutor(1) as pool:
        with report_store.database.write() as connection:
            content = report_store.handovers.load_content_for_change(connection, FORMER_PAIR)
            promise_result = pool.submit(keep_promise)
            with pytest.raises(TimeoutError):
                promise_result.result(timeout=1)
            report_store.handovers.save(connection, FORMER_PAIR, replace(content, lines=(LINE,)))
        promise_result.result(timeout=60)
    saved_content = report_store.handovers.load_content(FORMER_PAIR)
    assert (saved_content.lines, saved_content.kept_ids) == ((LINE,), ("p1",))
    report_store.close()
    manager_store.close()
