"""What stands in the columns, read past our own types."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.support.companies import DANA, KIM, SAM, Office
from worker.domain.model import IntendedTime, Owner, PairId, Reason, SessionState, ShowAs, Span
from worker.store import tables


def texts(office: Office, question: str) -> set[Any]:
    with office.store.database.read() as connection:
        return set(connection.exec_driver_sql(question).scalars())


def test_pair_id_is_stored_as_its_text(office: Office) -> None:
    office.tick()
    office.worker.actions.request_check_in(PairId(DANA, SAM))
    for question in ("SELECT id FROM pair", "SELECT pair FROM session", "SELECT pair FROM history WHERE pair <> ''"):
        assert texts(office, question) == {"dana@corp.example>sam@corp.example"}


def test_message_to_the_operator_has_an_empty_text_for_its_pair(office: Office) -> None:
    office.store.outbox.alert("disk", "The disk is full.", office.clock(), "ops@corp.example")
    assert texts(office, "SELECT pair FROM message") == {""}
    with office.store.database.read() as connection:
        assert list(connection.execute(select(tables.outbox.c.pair)).scalars()) == [None]


def test_rows_are_found_by_pair_ids(office: Office) -> None:
    known = [PairId(DANA, SAM), PairId(DANA, KIM)]
    with office.store.database.read() as connection:
        among = select(tables.pair.c.report).where(tables.pair.c.id.in_(known))
        assert list(connection.execute(among).scalars()) == [SAM]
    assert [state.pair.id for state in office.store.plans.load(known, office.clock()).states] == known[:1]


def test_text_that_no_enumeration_has_is_named(office: Office) -> None:
    office.tick()
    with office.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE session SET topic = 'weather'")
    problem = "'weather' is not a value of Topic"
    with office.store.database.read() as connection, pytest.raises(ValueError, match=problem):
        connection.execute(select(tables.session.c.topic)).scalars().all()


def test_intended_times_come_back_and_those_nobody_read_stay_unread(office: Office) -> None:
    """T-11: nothing stood there is another thing than nobody looked."""
    span = Span(datetime(2027, 1, 4, 9, tzinfo=UTC), datetime(2027, 1, 4, 10, tzinfo=UTC))
    office.tick()
    for times in ((IntendedTime(Owner.REPORT, span, ShowAs.AWAY),), (), None):
        with office.store.database.write() as connection:
            connection.execute(update(tables.session).values(intended=times))
            assert connection.execute(select(tables.session.c.intended)).scalar() == times


def test_spans_reasons_and_members_are_stored_as_json_and_text(office: Office) -> None:
    span = Span(datetime(2027, 1, 4, 9, tzinfo=UTC), datetime(2027, 1, 4, 10, tzinfo=UTC))
    reasons = (Reason("no_change"),)
    office.tick()
    with office.store.database.write() as connection:
        connection.execute(update(tables.session).values(unplaceable=reasons, options=(span,), state=SessionState.HELD))
        columns = tables.session.c.unplaceable, tables.session.c.options, tables.session.c.state
        assert connection.execute(select(*columns)).first() == (reasons, (span,), SessionState.HELD)
    assert texts(office, "SELECT unplaceable FROM session") == {'[["no_change", {}]]'}
    assert texts(office, "SELECT state FROM session") == {"held"}
