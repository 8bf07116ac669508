"""Sealed content (R-23): storing it, reading it with the key, changing keys, and refusing a wrong key."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import LargeBinary, select, text

from tests.conftest import Postgres
from tests.support.companies import KEY, SAM, Office, contract, new_store
from worker.domain.model import Trigger, WrittenCommitment
from worker.errors import WrongKey
from worker.seal import Seal, generate_key
from worker.store import tables
from worker.store.content import SEALED_COLUMNS
from worker.store.store import Store


def make_office_with_content(url: str) -> tuple[Office, str]:
    """Return an office with a contract, a deferral and an ad hoc session, and the id of the session of the contract."""
    office = Office(url)
    office.tick()
    held_session = office.hold()
    office.worker.contracts.record(held_session.id, contract(office.clock(), "Hyacinth"))
    office.tick()
    office.worker.actions.request_another_time(office.session().id, by=SAM, reason="Primrose")
    office.worker.actions.request_ad_hoc_session(held_session.pair, Trigger.LEAVING, "Marigold")
    return office, held_session.id


def read_all_values(store: Store) -> str:
    """Return every value of every row, as text."""
    with store.database.read() as connection:
        return "\n".join(
            str(list(row))
            for table in tables.metadata.tables
            for row in connection.execute(text(f'SELECT * FROM "{table}"'))
        )


def test_content_is_stored_sealed_and_read_with_the_key(database_url: str) -> None:
    office, session_id = make_office_with_content(database_url)
    stored_text = read_all_values(office.store)
    assert "Hyacinth" not in stored_text and "Marigold" not in stored_text and "leaving" not in stored_text
    assert "Primrose" not in stored_text
    (revision,) = office.store.content.list_revisions(session_id)
    assert revision.contract == contract(revision.recorded_at, "Hyacinth")
    ad_hoc_session = next(session_row for session_row in office.store.queries.list_sessions() if session_row.adhoc)
    assert office.store.content.get_trigger(ad_hoc_session.id) == (Trigger.LEAVING, "Marigold")
    deferred_id = next(session_row.id for session_row in office.store.queries.list_sessions() if session_row.count)
    assert office.store.content.load_deferral_reasons([deferred_id, ad_hoc_session.id]) == {
        deferred_id: {1: "Primrose"}
    }
    # an empty text removes the reason, and there is nothing to remove afterwards
    assert office.worker.actions.explain_deferral(deferred_id, "")
    assert not office.worker.actions.explain_deferral(deferred_id, "")
    assert office.store.content.load_deferral_reasons([deferred_id]) == {}
    office.close()


def test_content_is_resealed_with_a_new_key_while_stores_are_open(database_url: str) -> None:
    office, session_id = make_office_with_content(database_url)
    new_key = generate_key()
    store_with_both_keys, store_with_new_key, store_with_old_key = (
        new_store(database_url, keys) for keys in (f"{new_key},{KEY}", new_key, KEY)
    )
    assert store_with_both_keys.content.list_revisions(session_id)
    with pytest.raises(WrongKey):
        store_with_new_key.content.list_revisions(session_id)
    commitment_count = len(store_with_both_keys.queries.list_commitments())
    # the contract and its commitments; the reason of the deferral, the trigger and the urgency of the ad hoc session
    assert store_with_both_keys.content.reseal_all() == 1 + commitment_count + 3
    assert store_with_new_key.content.list_revisions(session_id) == store_with_both_keys.content.list_revisions(
        session_id
    )
    commitments = [commitment.id for commitment in store_with_new_key.queries.list_commitments()]
    assert all(
        isinstance(written, WrittenCommitment)
        for written in store_with_new_key.content.get_written_commitments(commitments).values()
    )
    with pytest.raises(WrongKey):
        store_with_old_key.content.list_revisions(session_id)
    for store in (store_with_both_keys, store_with_new_key, store_with_old_key):
        store.close()
    office.close()


def test_wrong_key_is_refused_without_showing_content(database_url: str) -> None:
    office, session_id = make_office_with_content(database_url)
    store_with_wrong_key = new_store(database_url, generate_key())
    with pytest.raises(WrongKey) as error_info:
        store_with_wrong_key.content.list_revisions(session_id)
    assert "key" in str(error_info.value) and "Hyacinth" not in str(error_info.value)
    with pytest.raises(WrongKey):
        store_with_wrong_key.content.reseal_all()
    assert office.store.content.list_revisions(session_id)
    store_with_wrong_key.close()
    office.close()


def test_resealing_covers_every_column_with_ciphertext() -> None:
    """A column that is left out could not be read after the old key is gone."""
    binary_columns = {
        column
        for table in tables.metadata.tables.values()
        for column in table.c
        if isinstance(column.type, LargeBinary)
    }
    named_columns = {
        column for table in tables.metadata.tables.values() for column in table.c if column.name.startswith("sealed")
    }
    assert binary_columns == named_columns == set(SEALED_COLUMNS)


def test_value_that_is_written_during_resealing_is_kept(postgres: Postgres) -> None:
    """Another process writes an answer to the pulse while `reseal_all` waits for the row."""
    url = postgres.take_migrated()
    seal, store, other_store = Seal([KEY]), new_store(url, KEY), new_store(url, KEY)
    is_round = tables.pulse_round.c.round == "2026-09"
    with store.database.write() as connection:
        connection.execute(tables.pulse_round.insert(), {"round": "2026-09", "sealed": seal.seal("before")})
    with ThreadPoolExecutor(1) as pool:
        with store.database.write() as connection:
            connection.execute(tables.pulse_round.update().where(is_round).values(sealed=seal.seal("after")))
            resealing = pool.submit(other_store.content.reseal_all)
            with pytest.raises(TimeoutError):
                resealing.result(timeout=1)
        assert resealing.result(timeout=60) == 1
    with store.database.read() as connection:
        assert seal.unseal(connection.execute(select(tables.pulse_round.c.sealed)).scalar_one()).rstrip() == "after"
    store.close()
    other_store.close()
