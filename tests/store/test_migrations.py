"""The migrations lead to exactly the schema that the program uses, on both databases."""

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


def insert_people_of_then(connection: Connection) -> None:
    """Insert two people and their pair as the program of then did, knowing nothing of columns that came later."""
    then = MetaData()
    then.reflect(connection)
    known = {"left_at": None, "due_at": None, "first_seen": START.date(), "rests": False, "cycle": 0, "wakes": 0}
    for name, listed in (
        ("person", [rows.build_person_row(one) for one in people(DANA, KIM).values()]),
        ("pair", [{**rows.build_pair_row(pair(DANA, KIM)), "id": "dana@corp.example>kim@corp.example"}]),
    ):
        columns = then.tables[name].columns.keys()
        written = [{key: value for key, value in {**row, **known}.items() if key in columns} for row in listed]
        connection.execute(then.tables[name].insert(), written)


def test_the_migrated_schema_is_the_one_in_tables(empty_url: str) -> None:
    store = new_store(empty_url)
    store.migrate()
    with store.database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
        names = set(inspect(connection).get_table_names())
    store.close()
    assert differences == []
    assert names == set(metadata.tables) | {"alembic_version"}


def test_there_is_one_line_of_migrations() -> None:
    revisions = list(ScriptDirectory.from_config(make_alembic_config()).walk_revisions())
    assert [one.down_revision for one in reversed(revisions)] == [None, *(one.revision for one in revisions[:0:-1])]


def test_a_database_of_the_first_version_comes_along_with_what_is_in_it(empty_url: str) -> None:
    store = new_store(empty_url)
    config = make_alembic_config()
    first = ScriptDirectory.from_config(config).get_base()
    assert first is not None
    with store.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, first)
        insert_people_of_then(connection)
    store.migrate()
    with store.database.read() as connection:
        head = MigrationContext.configure(connection).get_current_revision()
    kept = store.people.load_all_pairs()
    store.close()
    assert head == ScriptDirectory.from_config(config).get_current_head()
    assert set(kept) == {PairId(DANA, KIM)}


def make_booked_session() -> Session:
    window = SessionWindow(START, START, START)
    owed = make_session(PairId(DANA, KIM), SessionKind.CAREER, Topic.ALL, cycle=1, minutes=75, window=window, now=START)
    return replace(owed, state=SessionState.BOOKED, start=START, end=START + 75 * MINUTE)


def migrate_session(url: str, revision: str, written: Session) -> Session:
    """The session as it is read today, when the program of that revision wrote it."""
    store = new_store(url)
    config = make_alembic_config()
    with store.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        insert_people_of_then(connection)
    with store.database.write() as connection:
        known = {column["name"] for column in inspect(connection).get_columns("session")}
        row = rows.build_session_row(written)
        connection.execute(session.insert(), [{name: value for name, value in row.items() if name in known}])
    store.migrate()
    (kept,) = store.queries.list_sessions()
    store.close()
    return kept


def test_t19_what_is_booked_before_first_sessions_take_turns_keeps_its_time(empty_url: str) -> None:
    """A session of an earlier version has no turn: its window goes on following its rhythm."""
    booked = make_booked_session()
    assert migrate_session(empty_url, "0008", booked) == booked
    assert not booked.in_turn


def test_t19_times_that_were_held_before_offers_had_an_end_are_held_until_the_first_begins(empty_url: str) -> None:
    booked = make_booked_session()
    times = tuple(Span(START + n * DAY, START + n * DAY + 75 * MINUTE) for n in range(3))
    kept = migrate_session(empty_url, "0010", replace(booked, offer=Offer(times, START + 9 * DAY)))
    assert kept == replace(booked, offer=Offer(times, START, OfferPurpose.DEFERRAL))


def test_migrating_again_changes_nothing(database_url: str) -> None:
    office = Office(database_url)
    office.tick()
    before = office.store.queries.list_sessions()
    office.store.migrate()
    assert office.store.queries.list_sessions() == before and before
    office.close()


def test_many_may_migrate_at_once(empty_url: str) -> None:
    stores = [new_store(empty_url) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        done = list(pool.map(lambda store: store.migrate(), stores))
    assert len(done) == 4
    assert stores[0].people.load_all_pairs() == {}
    for store in stores:
        store.close()


def test_a_folder_with_a_per_cent_sign_is_a_folder(tmp_path: Path) -> None:
    """Alembic's settings give the sign a meaning; whoever installs into such a folder need not know."""
    place = tmp_path / "100% (ours)"
    shutil.copytree(MIGRATIONS.parents[1], place / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        f"import sys; sys.path.insert(0, {str(place)!r});"
        "from worker.store.database import MIGRATIONS, Database; assert '%' in str(MIGRATIONS);"
        "Database('sqlite:///new.db').migrate()"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "new.db").stat().st_size > 0
