"""Column types: the stored text, read without these types, and the values that they return."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.support.companies import DANA, KIM, SAM, Office
from worker.domain.model import IntendedTime, Owner, PairId, Reason, SessionState, ShowAs, Span
from worker.store import tables


def read_texts(office: Office, query: str) -> set[Any]:
    with office.store.database.read() as connection:
        return set(connection.exec_driver_sql(query).scalars())


def test_pair_id_is_stored_as_its_text(office: Office) -> None:
    office.tick()
    office.worker.actions.request_check_in(PairId(DANA, SAM))
    for query in ("SELECT id FROM pair", "SELECT pair FROM session", "SELECT pair FROM history WHERE pair <> ''"):
        assert read_texts(office, query) == {"dana@corp.example>sam@corp.example"}


def test_operator_alert_is_stored_with_an_empty_pair(office: Office) -> None:
    office.store.outbox.alert("disk", "The disk is full.", office.clock(), "ops@corp.example")
    assert read_texts(office, "SELECT pair FROM message") == {""}
    with office.store.database.read() as connection:
        assert list(connection.execute(select(tables.outbox.c.pair)).scalars()) == [None]


def test_rows_are_found_by_pair_ids(office: Office) -> None:
    pair_ids = [PairId(DANA, SAM), PairId(DANA, KIM)]
    with office.store.database.read() as connection:
        statement = select(tables.pair.c.report).where(tables.pair.c.id.in_(pair_ids))
        assert list(connection.execute(statement).scalars()) == [SAM]
    assert [state.pair.id for state in office.store.plans.load(pair_ids, office.clock()).states] == pair_ids[:1]


def test_error_names_a_text_that_is_no_enumeration_value(office: Office) -> None:
    office.tick()
    with office.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE session SET topic = 'weather'")
    problem = "'weather' is not a value of Topic"
    with office.store.database.read() as connection, pytest.raises(ValueError, match=problem):
        connection.execute(select(tables.session.c.topic)).scalars().all()


def test_intended_times_are_read_back_and_none_stays_none(office: Office) -> None:
    """T-11: an empty list means that no event was at the time. None means that the calendar was not read."""
    span = Span(datetime(2027, 1, 4, 9, tzinfo=UTC), datetime(2027, 1, 4, 10, tzinfo=UTC))
    office.tick()
    for times in ((IntendedTime(Owner.REPORT, span, ShowAs.AWAY),), (), None):
        with office.store.database.write() as connection:
            connection.execute(update(tables.session).values(intended=times))
            assert connection.execute(select(tables.session.c.intended)).scalar() == times


def test_spans_and_reasons_are_stored_as_json_and_states_as_text(office: Office) -> None:
    span = Span(datetime(2027, 1, 4, 9, tzinfo=UTC), datetime(2027, 1, 4, 10, tzinfo=UTC))
    reasons = (Reason("no_change"),)
    office.tick()
    with office.store.database.write() as connection:
        connection.execute(update(tables.session).values(unplaceable=reasons, options=(span,), state=SessionState.HELD))
        columns = tables.session.c.unplaceable, tables.session.c.options, tables.session.c.state
        assert connection.execute(select(*columns)).first() == (reasons, (span,), SessionState.HELD)
    assert read_texts(office, "SELECT unplaceable FROM session") == {'[["no_change", {}]]'}
    assert read_texts(office, "SELECT state FROM session") == {"held"}
