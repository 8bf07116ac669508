"""Restore the state of an earlier version: its database on SQLite or PostgreSQL, its calendars and sent mails."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic import command
from sqlalchemy import JSON, Boolean, Connection, MetaData, Table, inspect, text

from tests.support.companies import KEY, SERVICE, Office, new_store
from worker.domain.model import Answer, EventDraft, NamedAddress, Span
from worker.engine.roster_reader import read_people
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.settings.load import load_settings
from worker.store.database import make_alembic_config

FOLDER = Path(__file__).parent / "before"
SETTINGS = FOLDER / "longarc.toml"


@dataclass(frozen=True, slots=True)
class EarlierState:
    """The state that the earlier version left outside its database."""

    at: datetime  #: when the earlier version stopped
    sent_keys: tuple[str, ...]  #: the keys of the mails that were sent
    last_change: int  #: the number of the last change on the calendars
    entries: tuple[Mapping[str, Any], ...]  #: the events on the calendars


def read_earlier_state() -> EarlierState:
    """Return the state that the fixture contains beside the database."""
    stored = json.loads((FOLDER / "calendars.json").read_text(encoding="utf-8"))
    return EarlierState(
        at=datetime.fromisoformat(stored["at"]),
        sent_keys=tuple(stored["sent"]),
        last_change=stored["tick"],  # as the earlier version called it
        entries=tuple(stored["entries"]),
    )


def open_dump() -> sqlite3.Connection:
    """Return the database of the fixture, in memory, as the earlier version wrote it."""
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    connection.executescript((FOLDER / "database.sql").read_text(encoding="utf-8"))
    return connection


def list_rows(query: str) -> list[dict[str, Any]]:
    """Return rows of the database as the earlier version wrote them."""
    dump = open_dump()
    rows = [dict(row) for row in dump.execute(query)]
    dump.close()
    return rows


def restore_database(url: str) -> None:
    """Fill an empty database with the rows of the earlier version, in the schema of that version."""
    if url.startswith("sqlite"):
        file = sqlite3.connect(url.removeprefix("sqlite:///"))
        file.executescript((FOLDER / "database.sql").read_text(encoding="utf-8"))
        file.close()
        return
    (version,) = list_rows("SELECT version_num FROM alembic_version")
    store, config = new_store(url), make_alembic_config()
    with store.database.write() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version["version_num"])
        _copy_rows(connection)
    store.close()


def _copy_rows(connection: Connection) -> None:
    """Copy each table of the dump, after the tables to which its rows refer."""
    earlier_schema = MetaData()
    earlier_schema.reflect(connection)
    for table in earlier_schema.sorted_tables:
        rows = [_restore_types(row, table) for row in list_rows(f'SELECT * FROM "{table.name}"')]
        if rows and table.name != "alembic_version":
            connection.execute(table.insert(), rows)
        for column in inspect(connection).get_columns(table.name):
            if rows and column["autoincrement"] and column["name"] == "id":
                last = max(row["id"] for row in rows)
                connection.execute(text(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {last})"))


def _restore_types(row: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """Return the row with the types that SQLite does not keep: Booleans and JSON."""
    restored = dict(row)
    for column in table.columns:
        value = row[column.name]
        if value is not None and isinstance(column.type, Boolean):
            restored[column.name] = bool(value)
        elif value is not None and isinstance(column.type, JSON):
            restored[column.name] = json.loads(value)
    return restored


def restore_calendar(earlier_state: EarlierState) -> MemoryCalendar:
    """Return the calendars with the ids, keys, versions, answers and number of changes that they had."""
    calendar = MemoryCalendar()
    attributes = vars(calendar)  # ids and versions can't be chosen otherwise
    for entry in sorted(earlier_state.entries, key=lambda entry: int(entry["id"].removeprefix("e"))):
        attributes["_last_id"] = int(entry["id"].removeprefix("e")) - 1  # `create` takes the next number
        span = Span(datetime.fromisoformat(entry["start"]), datetime.fromisoformat(entry["end"]))
        guests = tuple(NamedAddress(email=email, name=email) for email in entry["answers"])
        organizer = NamedAddress(email=entry["organizer"], name=entry["organizer"])
        draft = EventDraft(
            key=entry["key"],
            title="",
            body="",
            span=span,
            zone="Europe/Berlin",
            organizer=organizer,
            guests=guests,
            all_day=entry["all_day"],
            sequence=entry["sequence"],
        )
        calendar.create(entry["organizer"], draft)
        restored = attributes["_entries"][entry["id"]]
        restored.answers = {email: Answer(answer) for email, answer in entry["answers"].items()}
        restored.version, restored.sequence = entry["version"], entry["sequence"]
        restored.cached_events = restored.cached_busy = None
    attributes["_last_change"] = earlier_state.last_change
    return calendar


def open_office(url: str, earlier_state: EarlierState) -> Office:
    """Return the present program on that database, with the calendars, settings and people of the earlier version."""
    settings = load_settings(SETTINGS, {"LONGARC_KEY": KEY, "LONGARC_DATABASE_URL": url})
    # the earlier version had no `sync.near`, and read all calendars equally often
    sync_settings = settings.sync.model_copy(update={"near": settings.sync.every})
    settings = settings.model_copy(update={"people": FOLDER / "people.csv", "sync": sync_settings})
    people = read_people(settings, earlier_state.at)
    office = Office(url, people.persons, people.pairs, at=earlier_state.at, office_settings=settings)
    office.calendar, office.mailer = restore_calendar(earlier_state), MemoryMailer()
    vars(office.mailer)["_keys"].update(earlier_state.sent_keys)
    office.worker.services.use(calendars={SERVICE: office.calendar}, mailers={SERVICE: office.mailer})
    return office
