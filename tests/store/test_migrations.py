"""Migrations: the resulting schema, data of earlier versions, and migration by several processes at once."""

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, inspect

from tests.support.companies import DANA, DAY, KIM, MINUTE, START, Office, new_store, pair, people
from worker.domain.model import Offer, OfferPurpose, PairId, Session, SessionKind, SessionState, Span, Topic
from worker.domain.planning.cadence import SessionWindow, make_session
from worker.store import rows
from worker.store.database import MIGRATIONS, make_alembic_config
from worker.store.tables import metadata, session

#: The last revisions of the schema before turns of pairs, and before ends of offers.
BEFORE_TURNS, BEFORE_ENDS_OF_OFFERS = "0008", "0010"


def insert_people_of_earlier_version(connection: Connection) -> None:
    """Insert two people and their pair as the earlier version did, into the columns that existed then."""
    earlier_schema = MetaData()
    earlier_schema.reflect(connection)
    # columns of people and pairs that do not come from the roster
    other_values = {"left_at": None, "due_at": None, "first_seen": START.date(), "rests": False, "cycle": 0, "wakes": 0}
    for name, rows_of_table in (
        ("person", [rows.build_person_row(item) for item in people(DANA, KIM).values()]),
        ("pair", [{**rows.build_pair_row(pair(DANA, KIM)), "id": "dana@corp.example>kim@corp.example"}]),
    ):
        columns = earlier_schema.tables[name].columns.keys()
        earlier_rows = [
            {key: value for key, value in {**row, **other_values}.items() if key in columns} for row in rows_of_table
        ]
        connection.execute(earlier_schema.tables[name].insert(), earlier_rows)


def test_migrated_schema_equals_the_tables(empty_url: str) -> None:
    store = new_store(empty_url)
    store.migrate()
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
        names = set(inspect(connection).get_table_names())
    store.close()
    assert differences == []
    assert names == set(metadata.tables) | {"alembic_version"}


def test_migrations_form_one_sequence() -> None:
    newest_first = ScriptDirectory.from_config(make_alembic_config()).walk_revisions()
    revisions = list(reversed(list(newest_first)))
    ids = [revision.revision for revision in revisions]
    assert [revision.down_revision for revision in revisions] == [None, *ids[:-1]]


def test_database_of_the_first_version_keeps_its_rows(empty_url: str) -> None:
    store = new_store(empty_url)
    config = make_alembic_config()
    first = ScriptDirectory.from_config(config).get_base()
    assert first is not None
    with store.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, first)
        insert_people_of_earlier_version(connection)
    store.migrate()
    with store.database.read() as connection:
        head = MigrationContext.configure(connection).get_current_revision()
    migrated_pairs = store.people.load_all_pairs()
    store.close()
    assert head == ScriptDirectory.from_config(config).get_current_head()
    assert set(migrated_pairs) == {PairId(DANA, KIM)}


def make_booked_session() -> Session:
    window = SessionWindow(START, START, START)
    owed_session = make_session(
        PairId(DANA, KIM), SessionKind.CAREER, Topic.ALL, cycle=1, minutes=75, window=window, now=START
    )
    return replace(owed_session, state=SessionState.BOOKED, start=START, end=START + 75 * MINUTE)


def migrate_session(url: str, revision: str, earlier_session: Session) -> Session:
    """Store a session in the schema of an earlier revision, migrate, and return the session as it is read now."""
    store = new_store(url)
    config = make_alembic_config()
    with store.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        insert_people_of_earlier_version(connection)
    with store.database.write() as connection:
        earlier_columns = {column["name"] for column in inspect(connection).get_columns("session")}
        row = rows.build_session_row(earlier_session)
        connection.execute(session.insert(), [{name: value for name, value in row.items() if name in earlier_columns}])
    store.migrate()
    (migrated_session,) = store.queries.list_sessions()
    store.close()
    return migrated_session


def test_t19_session_booked_before_turns_existed_keeps_its_time(empty_url: str) -> None:
    """A session of an earlier version has no turn. Its window still follows the rhythm."""
    booked_session = make_booked_session()
    assert migrate_session(empty_url, BEFORE_TURNS, booked_session) == booked_session
    assert not booked_session.in_turn


def test_t19_offer_without_an_end_ends_when_its_first_time_begins(empty_url: str) -> None:
    booked_session = make_booked_session()
    times = tuple(Span(START + number * DAY, START + number * DAY + 75 * MINUTE) for number in range(3))
    # the schema of that time has no column for `until`
    session_with_offer = replace(booked_session, offer=Offer(times, until=START + 9 * DAY))
    migrated_session = migrate_session(empty_url, BEFORE_ENDS_OF_OFFERS, session_with_offer)
    assert migrated_session == replace(booked_session, offer=Offer(times, until=START, purpose=OfferPurpose.DEFERRAL))


def test_second_migration_changes_nothing(database_url: str) -> None:
    office = Office(database_url)
    office.tick()
    sessions_before = office.store.queries.list_sessions()
    office.store.migrate()
    assert office.store.queries.list_sessions() == sessions_before and sessions_before
    office.close()


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    stores = [new_store(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        results = list(pool.map(lambda store: store.migrate(), stores))
    assert len(results) == 4
    assert stores[0].people.load_all_pairs() == {}
    for store in stores:
        store.close()


def test_migrations_run_in_a_folder_with_a_per_cent_sign(tmp_path: Path) -> None:
    """In Alembic's settings the sign has a special meaning, which has to be escaped."""
    folder = tmp_path / "100% (ours)"
    shutil.copytree(MIGRATIONS.parents[1], folder / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(folder)!r});"
        "from worker.store.database import MIGRATIONS, Database; assert '%' in str(MIGRATIONS);"
        "Database('sqlite:///new.db').migrate()"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    assert (tmp_path / "new.db").stat().st_size > 0
