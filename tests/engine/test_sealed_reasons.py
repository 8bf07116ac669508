"""What is in the clear does not tell who was asked about leaving (R-6): two databases that differ in nothing else are
alike, row by row, but for what SECURITY.md names."""

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, inspect, select, text

from tests.conftest import migrate
from tests.support.companies import DANA, DAY, HOUR, KEY, SAM, START, Office, new_store, pair, pairs, people
from worker.domain.model import Owner, PairId, Session, SessionKind, Span, Trigger
from worker.errors import WrongKey
from worker.ops.status import collect_status
from worker.seal import PADDING_STEP, NoSeal, Seal
from worker.store import tables
from worker.store.database import make_alembic_config
from worker.store.store import Store

PAIR = PairId(DANA, SAM)
#: Of different lengths, as people write.
REASONS = {Trigger.LEAVING: "Somebody called her.", Trigger.MOTIVATION: "It has been a long year, and it shows. " * 12}


def live(folder: Path, trigger: Trigger, busy: bool) -> Office:
    """A company in which somebody asks for a talk soon, on the second day; with no free time for weeks if `busy`."""
    url = f"sqlite:///{folder / f'{trigger.value}.db'}"
    migrate(url)
    office = Office(url, people(DANA, SAM), pairs(pair()))
    office.run(DAY + 3 * HOUR)
    if busy:
        for day in range(1, 40):
            start = START + day * DAY
            office.calendar.add(DANA, Span(start, start + DAY))
    office.worker.actions.request_talk(PAIR, trigger, REASONS[trigger], by=Owner.REPORT)
    office.run(4 * HOUR)
    return office


def ad_hoc(office: Office) -> Session:
    return next(s for s in office.store.queries.list_sessions(PAIR) if s.adhoc)


def clear(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Everything that can be read without the key; of what is sealed, its length."""
    with store.database.read() as connection:
        return {
            table.name: [
                tuple(len(value) if isinstance(value, bytes) else value for value in row)
                for row in connection.execute(select(table))
                if row[0] not in ("person_forms", "participation")  # random marks of when people last changed
            ]
            for table in tables.metadata.sorted_tables
        }


@pytest.mark.parametrize("busy", [False, True], ids=["free", "busy"])
def test_leaving_and_any_other_reason_leave_the_same_rows(tmp_path: Path, busy: bool) -> None:
    """Sessions, history, outbox, lengths of what is sealed; with a time, and where nothing fits."""
    offices = {trigger: live(tmp_path, trigger, busy) for trigger in REASONS}
    rows = {trigger: clear(office.store) for trigger, office in offices.items()}
    for name in rows[Trigger.LEAVING]:
        assert rows[Trigger.LEAVING][name] == rows[Trigger.MOTIVATION][name], name
    shown = [collect_status(office.store, office.clock()) for office in offices.values()]
    assert shown[0] == shown[1]
    assert bool(ad_hoc(offices[Trigger.LEAVING]).unplaceable) is busy
    for office in offices.values():
        office.close()


def test_how_soon_it_has_to_be_is_known_to_whoever_has_the_key(tmp_path: Path) -> None:
    """T-14: the plan is made from what was sealed."""
    office = live(tmp_path, Trigger.LEAVING, busy=True)
    (opened,) = [s for s in office.store.plans.load([PAIR], office.clock()).states[0].sessions if s.adhoc]
    assert opened.urgent and opened.unplaceable
    assert opened.latest - opened.earliest < 4 * DAY
    for blind in (ad_hoc(office), without_key(office, opened.id)):
        assert (blind.urgent, blind.latest - blind.earliest) == (False, 7 * DAY)
    office.close()


def without_key(office: Office, session_id: str) -> Session:
    store = Store(str(office.store.database.url), NoSeal())
    found = store.queries.get_session(session_id)
    store.close()
    assert found is not None
    return found


def test_the_history_says_the_same_of_every_conversation_that_was_asked_for(tmp_path: Path) -> None:
    office = live(tmp_path, Trigger.LEAVING, busy=False)
    told = {
        line["reason"] for line in office.store.queries.list_history(session_id=ad_hoc(office).id) if line["reason"]
    }
    assert told == {"A person asked to talk soon.", "A time was found for it."}
    office.close()


@pytest.mark.parametrize("length", [0, 1, 200, PADDING_STEP - 2])
def test_sealed_texts_of_a_step_are_equally_long(length: int) -> None:
    seal = Seal([KEY])
    sealed = seal.seal_padded(json.dumps("x" * length))
    assert len(sealed) == len(seal.seal_padded(json.dumps("")))
    assert json.loads(seal.unseal(sealed)) == "x" * length
    assert len(seal.seal_padded("x" * (PADDING_STEP + 1))) > len(sealed)


# --- what older versions wrote ---


def drop_what_came_since(connection: Connection, path: Path) -> None:
    """Drop the tables, columns and indices that a database of that version, made at that path, does not have."""
    then = new_store(f"sqlite:///{path}")
    config = make_alembic_config()
    with then.database.write() as old:
        config.attributes["connection"] = old
        command.upgrade(config, "0005")
        before = inspect(old)
        known = {name: {c["name"] for c in before.get_columns(name)} for name in before.get_table_names()}
        indices = {index["name"] for name in known for index in before.get_indexes(name)}
    then.close()
    now = inspect(connection)
    for table in now.get_table_names():
        if table not in known:
            connection.execute(text(f"DROP TABLE {table}"))
            continue
        later = {column["name"] for column in now.get_columns(table)} - known[table]
        for index in now.get_indexes(table):
            if index["name"] not in indices:
                connection.execute(text(f"DROP INDEX {index['name']}"))
        for column in sorted(later):
            connection.execute(text(f'ALTER TABLE {table} DROP COLUMN "{column}"'))


def as_it_was(url: str, today: Path, old: Session) -> None:
    """Turn a database of today into one as the version before wrote it: the window, the reasons and the urgency in the
    clear, nothing padded."""
    shutil.copy(today, url.removeprefix("sqlite:///"))
    store, seal = new_store(url), Seal([KEY])
    with store.database.write() as connection:
        drop_what_came_since(connection, today.with_suffix(".then.db"))
        connection.execute(text("CREATE TABLE gate (name VARCHAR, room INTEGER, holder VARCHAR, held_until BIGINT)"))
        connection.execute(
            text("UPDATE session SET urgent = 1, latest = :latest, sealed = :sealed WHERE id = :id"),
            {"latest": int(old.latest.timestamp()), "id": old.id,
             "sealed": seal.seal(json.dumps({"trigger": "leaving", "reason": "", "by": "manager"}))},
        )  # fmt: skip
        told = "It starts at 10:00 for both. At least 15 minutes before and after it are free. periwinkle"
        connection.execute(
            text("UPDATE history SET reason = :told WHERE session = :id AND reason LIKE 'A time was found%'"),
            {"id": old.id, "told": told},
        )
        config = make_alembic_config()
        config.attributes["connection"] = connection
        command.stamp(config, "0005")
    store.close()


def test_what_stood_in_the_clear_is_sealed_by_the_upgrade(tmp_path: Path) -> None:
    """Old rows and history too; nothing of it is left in the file, and the plan is what it was."""
    office = live(tmp_path, Trigger.LEAVING, busy=False)
    loaded = office.store.plans.load([PAIR], office.clock()).states[0].sessions
    before, url = next(s for s in loaded if s.adhoc), f"sqlite:///{tmp_path / 'old.db'}"
    office.close()
    as_it_was(url, tmp_path / "leaving.db", before)
    blind = Store(url, NoSeal())
    with pytest.raises(WrongKey, match="LONGARC_KEY"):
        blind.migrate()
    blind.close()
    store = new_store(url)
    store.migrate()
    with store.database.read() as connection:
        row = connection.execute(select(tables.session).where(tables.session.c.id == before.id)).mappings().one()
    assert (row["urgent"], row["latest"] - row["earliest"], len(row["sealed"])) == (False, 7 * DAY, padded())
    assert store.queries.get_session(before.id) == before
    assert {line["reason"] for line in store.queries.list_history(session_id=before.id)} >= {"The reason is not kept."}
    store.close()
    for file in tmp_path.glob("old.db*"):
        assert b"periwinkle" not in file.read_bytes(), file.name
    with sqlite3.connect(tmp_path / "old.db") as connection_:
        assert connection_.execute("PRAGMA freelist_count").fetchone() == (0,)


def padded() -> int:
    return len(Seal([KEY]).seal_padded("{}"))


def test_a_closed_conversation_keeps_nothing_of_how_soon_it_had_to_be(tmp_path: Path) -> None:
    office = live(tmp_path, Trigger.LEAVING, busy=False)
    session = ad_hoc(office)
    office.run_to(session.span.end + 14 * DAY)
    with office.store.database.read() as connection:
        query = select(tables.session.c.closed, tables.session.c.sealed_plan).where(tables.session.c.id == session.id)
        assert tuple(connection.execute(query).one()) == (True, None)
    assert office.session(SessionKind.CAREER, PAIR)
    office.close()
