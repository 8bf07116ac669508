"""R-6: without the key, the database does not show why a person asked for an ad hoc session, nor how soon it must be.

Two databases that differ only in the reason have the same unsealed rows, except for what SECURITY.md names.
"""

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
from worker.store.rows import PLACEHOLDER_WINDOW
from worker.store.store import Store

PAIR = PairId(DANA, SAM)
#: Reasons of different lengths.
REASONS = {Trigger.LEAVING: "Somebody called her.", Trigger.MOTIVATION: "It has been a long year, and it shows. " * 12}


def make_office(folder: Path, trigger: Trigger, *, is_busy: bool) -> Office:
    """Return a company in which the report asks for an ad hoc session on the second day.

    If `is_busy`, the manager has no free time for weeks.
    """
    url = f"sqlite:///{folder / f'{trigger.value}.db'}"
    migrate(url)
    office = Office(url, people(DANA, SAM), pairs(pair()))
    office.run(DAY + 3 * HOUR)
    if is_busy:
        for day in range(1, 40):
            start = START + day * DAY
            office.calendar.add(DANA, Span(start, start + DAY))
    office.worker.actions.request_ad_hoc_session(PAIR, trigger, REASONS.get(trigger, "Some words."), by=Owner.REPORT)
    office.run(4 * HOUR)
    return office


def get_ad_hoc_session(office: Office) -> Session:
    return next(s for s in office.store.queries.list_sessions(PAIR) if s.adhoc)


def read_without_key(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of all tables, with the length in place of each sealed value."""
    with store.database.read() as connection:
        return {
            table.name: [
                tuple(len(value) if isinstance(value, bytes) else value for value in row)
                for row in connection.execute(select(table))
                if row[0] not in ("person_forms", "participation")  # random values, new at each change of people
            ]
            for table in tables.metadata.sorted_tables
        }


@pytest.mark.parametrize("is_busy", [False, True], ids=["free", "busy"])
def test_two_reasons_leave_the_same_unsealed_rows(tmp_path: Path, is_busy: bool) -> None:
    """Sessions, history, outbox and lengths of sealed values are the same, whether a time is found or not."""
    offices = {trigger: make_office(tmp_path, trigger, is_busy=is_busy) for trigger in REASONS}
    rows = {trigger: read_without_key(office.store) for trigger, office in offices.items()}
    for name in rows[Trigger.LEAVING]:
        assert rows[Trigger.LEAVING][name] == rows[Trigger.MOTIVATION][name], name
    statuses = [collect_status(office.store, office.clock()) for office in offices.values()]
    assert statuses[0] == statuses[1]
    assert bool(get_ad_hoc_session(offices[Trigger.LEAVING]).unplaceable) is is_busy
    for office in offices.values():
        office.close()


def test_the_urgency_of_a_session_can_be_read_only_with_the_key(tmp_path: Path) -> None:
    """T-14: sessions are planned with the sealed urgency."""
    office = make_office(tmp_path, Trigger.LEAVING, is_busy=True)
    (opened,) = [s for s in office.store.plans.load([PAIR], office.clock()).states[0].sessions if s.adhoc]
    assert opened.urgent and opened.unplaceable
    assert opened.latest - opened.earliest < 4 * DAY  # two working days, perhaps with a weekend between them
    for unopened in (get_ad_hoc_session(office), load_session_without_key(office, opened.id)):
        assert (unopened.urgent, unopened.latest - unopened.earliest) == (False, PLACEHOLDER_WINDOW)
    office.close()


def load_session_without_key(office: Office, session_id: str) -> Session:
    store = Store(str(office.store.database.url), NoSeal())
    session = store.queries.get_session(session_id)
    store.close()
    assert session is not None
    return session


@pytest.mark.parametrize("trigger", Trigger)
def test_the_history_of_an_ad_hoc_session_has_only_general_reasons(tmp_path: Path, trigger: Trigger) -> None:
    office = make_office(tmp_path, trigger, is_busy=False)
    history = office.store.queries.list_history(session_id=get_ad_hoc_session(office).id)
    reasons = {line["reason"] for line in history if line["reason"]}
    assert reasons == {"A person asked to talk soon.", "A time was found for it."}
    office.close()


@pytest.mark.parametrize("length", [0, 1, 200, PADDING_STEP - 2])
def test_sealed_texts_up_to_the_padding_step_have_the_same_length(length: int) -> None:
    seal = Seal([KEY])
    sealed = seal.seal_padded(json.dumps("x" * length))
    assert len(sealed) == len(seal.seal_padded(json.dumps("")))
    assert json.loads(seal.unseal(sealed)) == "x" * length
    assert len(seal.seal_padded("x" * (PADDING_STEP + 1))) > len(sealed)


# --- databases of older versions ---

#: A word in an unsealed reason of the old database. After the upgrade the files must not contain it.
MARKER = "periwinkle"


def drop_later_schema(connection: Connection, path: Path) -> None:
    """Drop the tables, columns and indices that a database of revision 0005 lacks. Make such a database at `path`."""
    old_store = new_store(f"sqlite:///{path}")
    config = make_alembic_config()
    with old_store.database.write() as old_connection:
        config.attributes["connection"] = old_connection
        command.upgrade(config, "0005")
        old = inspect(old_connection)
        old_columns = {name: {c["name"] for c in old.get_columns(name)} for name in old.get_table_names()}
        old_indices = {index["name"] for name in old_columns for index in old.get_indexes(name)}
    old_store.close()
    current = inspect(connection)
    for table in current.get_table_names():
        if table not in old_columns:
            connection.execute(text(f"DROP TABLE {table}"))
            continue
        later_columns = {column["name"] for column in current.get_columns(table)} - old_columns[table]
        for index in current.get_indexes(table):
            if index["name"] not in old_indices:
                connection.execute(text(f"DROP INDEX {index['name']}"))
        for column in sorted(later_columns):
            connection.execute(text(f'ALTER TABLE {table} DROP COLUMN "{column}"'))


def make_old_database(url: str, current_file: Path, session: Session) -> None:
    """Make a database of revision 0005 from a current one.

    The window, the urgency and the reasons in the history of that session are not sealed, and nothing is padded.
    """
    shutil.copy(current_file, url.removeprefix("sqlite:///"))
    store, seal = new_store(url), Seal([KEY])
    with store.database.write() as connection:
        drop_later_schema(connection, current_file.with_suffix(".old.db"))
        # a table that a later migration drops
        connection.execute(text("CREATE TABLE gate (name VARCHAR, room INTEGER, holder VARCHAR, held_until BIGINT)"))
        connection.execute(
            text("UPDATE session SET urgent = 1, latest = :latest, sealed = :sealed WHERE id = :id"),
            {"latest": int(session.latest.timestamp()), "id": session.id,
             "sealed": seal.seal(json.dumps({"trigger": "leaving", "reason": "", "by": "manager"}))},
        )  # fmt: skip
        reason = f"It starts at 10:00 for both. At least 15 minutes before and after it are free. {MARKER}"
        connection.execute(
            text("UPDATE history SET reason = :reason WHERE session = :id AND reason LIKE 'A time was found%'"),
            {"id": session.id, "reason": reason},
        )
        config = make_alembic_config()
        config.attributes["connection"] = connection
        command.stamp(config, "0005")
    store.close()


def test_the_upgrade_seals_windows_urgency_and_reasons(tmp_path: Path) -> None:
    """It also seals old rows and removes old reasons from the history. No file contains them afterwards, and the
    session is the same as before."""
    office = make_office(tmp_path, Trigger.LEAVING, is_busy=False)
    sessions = office.store.plans.load([PAIR], office.clock()).states[0].sessions
    session, url = next(s for s in sessions if s.adhoc), f"sqlite:///{tmp_path / 'old.db'}"
    office.close()
    make_old_database(url, tmp_path / "leaving.db", session)
    store_without_key = Store(url, NoSeal())
    with pytest.raises(WrongKey, match="LONGARC_KEY"):
        store_without_key.migrate()
    store_without_key.close()
    store = new_store(url)
    store.migrate()
    with store.database.read() as connection:
        row = connection.execute(select(tables.session).where(tables.session.c.id == session.id)).mappings().one()
    assert (row["urgent"], row["latest"] - row["earliest"]) == (False, PLACEHOLDER_WINDOW)
    assert len(row["sealed"]) == get_padded_length()
    assert store.queries.get_session(session.id) == session
    assert {line["reason"] for line in store.queries.list_history(session_id=session.id)} >= {"The reason is not kept."}
    store.close()
    for file in tmp_path.glob("old.db*"):
        assert MARKER.encode() not in file.read_bytes(), file.name
    with sqlite3.connect(tmp_path / "old.db") as connection_:
        # free pages could still contain old rows
        assert connection_.execute("PRAGMA freelist_count").fetchone() == (0,)


def get_padded_length() -> int:
    return len(Seal([KEY]).seal_padded("{}"))


def test_a_closed_session_has_no_sealed_plan(tmp_path: Path) -> None:
    office = make_office(tmp_path, Trigger.LEAVING, is_busy=False)
    session = get_ad_hoc_session(office)
    office.run_to(session.span.end + 14 * DAY)
    with office.store.database.read() as connection:
        query = select(tables.session.c.closed, tables.session.c.sealed_plan).where(tables.session.c.id == session.id)
        assert tuple(connection.execute(query).one()) == (True, None)
    assert office.session(SessionKind.CAREER, PAIR)
    office.close()
