"""What stands in the columns, read past our own types."""

from typing import Any

from sqlalchemy import select

from tests.support.companies import DANA, KIM, SAM, Office
from worker.domain.model import PairId
from worker.store import tables


def texts(office: Office, question: str) -> set[Any]:
    with office.store.database.read() as connection:
        return set(connection.exec_driver_sql(question).scalars())


def test_pair_id_is_stored_as_its_text(office: Office) -> None:
    office.tick()
    office.worker.actions.request_check_in(PairId(DANA, SAM))
    for question in ("SELECT id FROM pair", "SELECT pair FROM session", "SELECT pair FROM history"):
        assert texts(office, question) == {"dana@corp.example>sam@corp.example"}


def test_message_to_the_operator_has_an_empty_text_for_its_pair(office: Office) -> None:
    office.store.outbox.alert("disk", "The disk is full.", office.clock(), "ops@corp.example")
    assert texts(office, "SELECT pair FROM message") == {""}
    with office.store.database.read() as connection:
        assert list(connection.execute(select(tables.message.c.pair)).scalars()) == [None]


def test_rows_are_found_by_pair_ids(office: Office) -> None:
    known = [PairId(DANA, SAM), PairId(DANA, KIM)]
    with office.store.database.read() as connection:
        among = select(tables.pair.c.report).where(tables.pair.c.id.in_(known))
        assert list(connection.execute(among).scalars()) == [SAM]
    assert [state.pair.id for state in office.store.plans.load(known, office.clock()).states] == known[:1]
