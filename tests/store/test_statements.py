"""Statements given to the driver as they are: they answer what SQLAlchemy answers, on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Select, select

from tests.support.companies import DANA, DAY, HOUR, SAM, SERVICE, Office, contract
from worker.domain.model import PairId
from worker.store import calendars, content, outbox, pair_state, people, plans, queries, tables
from worker.store.statements import PreparedStatement

MODULES = (calendars, content, pair_state, outbox, people, plans, queries)


@pytest.fixture
def lived(office: Office) -> Office:
    """Dana and Sam after a conversation, a contract and a decline."""
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(DAY)
    office.decline(office.session())
    office.run(HOUR)
    return office


def selects() -> Iterator[tuple[str, PreparedStatement]]:
    for module in MODULES:
        for name, one in vars(module).items():
            if isinstance(one, PreparedStatement) and isinstance(one.statement, Select):
                yield f"{module.__name__}{name}", one


def values(office: Office) -> dict[str, Any]:
    """Something for whatever a statement may be given."""
    with office.store.database.read() as connection:
        names = {
            "sessions": list(connection.execute(select(tables.session.c.id)).scalars()),
            "commitments": list(connection.execute(select(tables.commitment.c.id)).scalars()),
        }
    pair = PairId(DANA, SAM)
    instants = dict.fromkeys(("now", "since", "lately", "start"), office.clock() - 60 * DAY)
    lists = {"pairs": [pair], "people": [DANA, SAM], "others": [SAM], "addresses": [DANA, SAM]}
    lists |= {"managers": [DANA], "reports": [SAM]}
    return {
        **names,
        **instants,
        "end": office.clock(),
        "operator_by": SERVICE,
        **lists,
        "subjects": [str(pair), *names["sessions"]],
        "limit": 50,
        "me": "",
        "after": 0,
    }


#: Parameters that take a single value, and values for them besides the ids of sessions and commitments.
SINGLE_BINDS = ("one", "name", "address", "session_id", "commitment_id")
SINGLE_VALUES = (DANA, "people")


def test_each_answers_what_sqlalchemy_answers(lived: Office) -> None:
    told = 0
    known = values(lived)
    for name, one in selects():
        for single in (*SINGLE_VALUES, *known["sessions"], *known["commitments"]):
            given = {**known, **dict.fromkeys(SINGLE_BINDS, single)}
            needed = {bind for bind in one.statement.compile(lived.store.database.engine).params if bind in given}
            asked = {bind: given[bind] for bind in needed}
            with lived.store.database.write() as connection:
                ours = one.fetch_rows(connection, **asked)
                theirs = [dict(row) for row in connection.execute(one.statement, asked).mappings()]
            assert ours == theirs, name
            told += len(ours)
    assert told > 100


def test_what_is_written_is_what_sqlalchemy_reads(office: Office) -> None:
    """Defaults of columns that are not given, nothing, and JSON."""
    with office.store.database.read() as connection:
        row = connection.execute(select(tables.pair)).mappings().one()
    assert (row["cycle"], row["rests"], row["chosen"], row["start"]) == (0, False, None, None)
