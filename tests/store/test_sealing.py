"""Content is sealed at rest: read with the key, sealed anew when keys change, closed to a wrong key (R-23)."""

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


def sealed_office(url: str) -> tuple[Office, str]:
    """An office with a contract, a talk put off and an ad hoc one, each with a reason; the session of the contract."""
    office = Office(url)
    office.tick()
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock(), "Hyacinth"))
    office.tick()
    office.worker.actions.defer_session(office.session().id, by=SAM, reason="Primrose")
    office.worker.actions.request_talk(held.pair, Trigger.LEAVING, "Marigold")
    return office, held.id


def everything(store: Store) -> str:
    """Every value of every row, as text."""
    with store.database.read() as connection:
        return "\n".join(
            str(list(line)) for t in tables.metadata.tables for line in connection.execute(text(f'SELECT * FROM "{t}"'))
        )


def test_content_is_stored_sealed_and_read_with_the_key(database_url: str) -> None:
    office, session = sealed_office(database_url)
    stored = everything(office.store)
    assert "Hyacinth" not in stored and "Marigold" not in stored and "leaving" not in stored
    assert "Primrose" not in stored
    (kept,) = office.store.content.list_revisions(session)
    assert kept.contract == contract(kept.recorded_at, "Hyacinth")
    adhoc = next(s for s in office.store.queries.list_sessions() if s.adhoc)
    assert office.store.content.get_trigger(adhoc.id) == (Trigger.LEAVING, "Marigold")
    moved = next(s.id for s in office.store.queries.list_sessions() if s.count)
    assert office.store.content.load_deferral_reasons([moved, adhoc.id]) == {moved: {1: "Primrose"}}
    assert office.worker.actions.explain_deferral(moved, "") and not office.worker.actions.explain_deferral(moved, "")
    assert office.store.content.load_deferral_reasons([moved]) == {}
    office.close()


def test_keys_change_without_a_stop(database_url: str) -> None:
    office, session = sealed_office(database_url)
    new = generate_key()
    both, only_new, only_old = (new_store(database_url, keys) for keys in (f"{new},{KEY}", new, KEY))
    assert both.content.list_revisions(session)
    with pytest.raises(WrongKey):
        only_new.content.list_revisions(session)
    assert (
        both.content.reseal_all() == 1 + len(both.queries.list_commitments()) + 3
    )  # why one moved; why, and how soon, a talk was asked for
    assert only_new.content.list_revisions(session) == both.content.list_revisions(session)
    commitments = [c.id for c in only_new.queries.list_commitments()]
    assert all(isinstance(p, WrittenCommitment) for p in only_new.content.get_written_commitments(commitments).values())
    with pytest.raises(WrongKey):
        only_old.content.list_revisions(session)
    for one in (both, only_new, only_old):
        one.close()
    office.close()


def test_a_wrong_key_says_so_and_shows_nothing(database_url: str) -> None:
    office, session = sealed_office(database_url)
    stranger = new_store(database_url, generate_key())
    with pytest.raises(WrongKey) as caught:
        stranger.content.list_revisions(session)
    assert "key" in str(caught.value) and "Hyacinth" not in str(caught.value)
    with pytest.raises(WrongKey):
        stranger.content.reseal_all()
    assert office.store.content.list_revisions(session)
    stranger.close()
    office.close()


def test_a_change_of_keys_reaches_every_column_that_holds_ciphertext() -> None:
    """A column that is left out could not be opened any more once the old key is gone."""
    binary = {c for t in tables.metadata.tables.values() for c in t.c if isinstance(c.type, LargeBinary)}
    named = {c for t in tables.metadata.tables.values() for c in t.c if c.name.startswith("sealed")}
    assert binary == named == set(SEALED_COLUMNS)


def test_what_is_written_during_a_change_of_keys_is_kept(postgres: Postgres) -> None:
    """An answer to the pulse, or a draft, that another process writes between reading and sealing anew."""
    url = postgres.migrated()
    seal, store, other = Seal([KEY]), new_store(url, KEY), new_store(url, KEY)
    row = tables.pulse_round.c.round == "2026-09"
    with store.database.write() as connection:
        connection.execute(tables.pulse_round.insert(), {"round": "2026-09", "sealed": seal.seal("before")})
    with ThreadPoolExecutor(1) as pool:
        with store.database.write() as connection:
            connection.execute(tables.pulse_round.update().where(row).values(sealed=seal.seal("after")))
            resealing = pool.submit(other.content.reseal_all)
            with pytest.raises(TimeoutError):
                resealing.result(timeout=1)
        assert resealing.result(timeout=60) == 1
    with store.database.read() as connection:
        assert seal.unseal(connection.execute(select(tables.pulse_round.c.sealed)).scalar_one()).rstrip() == "after"
    store.close()
    other.close()
