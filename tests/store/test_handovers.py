"""What the report and the old manager decide about a handover at once, in two processes, is both kept (R-36)."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.conftest import Postgres
from tests.support.companies import DANA, KEY, KIM, SAM, START, new_store
from worker.domain.model import HandoverLine, HandoverLineKind, PairId
from worker.store import tables

FORMER = PairId(DANA, SAM)
LINE = HandoverLine(kind=HandoverLineKind.QUESTION, text="What next?")


def test_two_decisions_at_once_are_both_kept(postgres: Postgres) -> None:
    url = postgres.migrated()
    report, manager = new_store(url, KEY), new_store(url, KEY)
    row = {"former": FORMER, "pair": PairId(KIM, SAM), "ended_at": START, "sealed": None}
    with report.database.write() as connection:
        connection.execute(tables.handover.insert(), row)

    def keep_promise() -> None:
        with manager.database.write() as connection:
            content = manager.handovers.load_content_for_change(connection, FORMER)
            manager.handovers.save(connection, FORMER, replace(content, kept_ids=("p1",)))

    with ThreadPoolExecutor(1) as pool:
        with report.database.write() as connection:
            content = report.handovers.load_content_for_change(connection, FORMER)
            keeping = pool.submit(keep_promise)
            with pytest.raises(TimeoutError):
                keeping.result(timeout=1)
            report.handovers.save(connection, FORMER, replace(content, lines=(LINE,)))
        keeping.result(timeout=60)
    decided = report.handovers.load_content(FORMER)
    assert (decided.lines, decided.kept_ids) == ((LINE,), ("p1",))
    report.close()
    manager.close()
