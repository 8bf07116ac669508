"""Prepared statements return what SQLAlchemy returns for the same statement, on both databases."""

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
def office_with_history(office: Office) -> Office:
    """An office of Dana and Sam after a held session, a contract and a decline."""
    office.tick()
    held_session = office.hold()
    office.worker.contracts.record(held_session.id, contract(office.clock()))
    office.run(DAY)
    office.decline(office.session())
    office.run(HOUR)
    return office


def iter_selects() -> Iterator[tuple[str, PreparedStatement]]:
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, PreparedStatement) and isinstance(value.statement, Select):
                yield f"{module.__name__}{name}", value


def make_values(office: Office) -> dict[str, Any]:
    """Return a value for each parameter of the statements that is not in `SINGLE_BINDS`."""
    with office.store.database.read() as connection:
        names = {
            "sessions": list(connection.execute(select(tables.session.c.id)).scalars()),
            "commitments": list(connection.execute(select(tables.commitment.c.id)).scalars()),
        }
    pair = PairId(DANA, SAM)
    instant_names = ("now", "since", "closed_since", "prompts_since", "weekly_since", "start")
    values_of_times = dict.fromkeys(instant_names, office.clock() - 60 * DAY)
    value_lists = {
        "pairs": [pair],
        "people": [DANA, SAM],
        "addresses": [DANA, SAM],
        "managers": [DANA],
        "reports": [SAM],
    }
    return {
        **names,
        **values_of_times,
        "end": office.clock(),
        "operator_service": SERVICE,
        **value_lists,
        "subjects": [str(pair), *names["sessions"]],
        "limit": 50,
        "lease_holder": "",
        "after": 0,
    }


#: Parameters that take a single value, and values for them besides the ids of sessions and commitments.
SINGLE_BINDS = ("name", "address", "session_id", "commitment_id")
SINGLE_VALUES = (DANA, "people")


def test_each_prepared_select_returns_the_rows_of_sqlalchemy(office_with_history: Office) -> None:
    database = office_with_history.store.database
    row_count = 0
    values = make_values(office_with_history)
    for name, prepared in iter_selects():
        bind_names = prepared.statement.compile(database.engine).params
        for single_value in (*SINGLE_VALUES, *values["sessions"], *values["commitments"]):
            all_values = {**values, **dict.fromkeys(SINGLE_BINDS, single_value)}
            parameters = {bind: all_values[bind] for bind in bind_names if bind in all_values}
            with database.write() as connection:
                rows = prepared.fetch_rows(connection, **parameters)
                expected = [dict(row) for row in connection.execute(prepared.statement, parameters).mappings()]
            assert rows == expected, name
            row_count += len(rows)
    assert row_count > 100


def test_sqlalchemy_reads_rows_of_a_prepared_insert(office: Office) -> None:
    """The row has defaults of columns without a value, None, and JSON."""
    with office.store.database.read() as connection:
        row = connection.execute(select(tables.pair)).mappings().one()
    assert (row["cycle"], row["rests"], row["chosen"], row["start"]) == (0, False, None, None)
