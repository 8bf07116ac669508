"""Restore what an earlier version left: its database on SQLite or PostgreSQL, and its calendars and sent mails."""

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
from worker.domain.model import Answer, EventDraft, Guest, Span
from worker.engine.roster_reader import read_people
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.settings.load import load_settings
from worker.store.database import make_alembic_config

FOLDER = Path(__file__).parent / "before"
SETTINGS = FOLDER / "longarc.toml"


@dataclass(frozen=True, slots=True)
class Left:
    """What the earlier version left outside its database."""

    at: datetime  #: when it stopped
    sent: tuple[str, ...]  #: the keys of the mails that had left
    tick: int  #: the number of the last change on the calendars
    entries: tuple[Mapping[str, Any], ...]


def read_left() -> Left:
    """Return what the fixture holds beside the database."""
    told = json.loads((FOLDER / "calendars.json").read_text(encoding="utf-8"))
    return Left(datetime.fromisoformat(told["at"]), tuple(told["sent"]), told["tick"], tuple(told["entries"]))


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
    """Fill an empty database with what the earlier version wrote, in the schema of that version."""
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
    """Copy each table of the dump, in an order in which each row finds those it refers to."""
    then = MetaData()
    then.reflect(connection)
    for table in then.sorted_tables:
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


def restore_calendar(left: Left) -> MemoryCalendar:
    """Return the calendars as they were: the same ids, keys, versions, answers, and number of changes."""
    calendar = MemoryCalendar()
    inner = vars(calendar)
    for entry in sorted(left.entries, key=lambda one: int(one["id"][1:])):
        inner["_last_id"] = int(entry["id"][1:]) - 1
        span = Span(datetime.fromisoformat(entry["start"]), datetime.fromisoformat(entry["end"]))
        guests = tuple(Guest(email=who, name=who) for who in entry["answers"])
        organizer = Guest(email=entry["organizer"], name=entry["organizer"])
        draft = EventDraft(
            key=entry["key"],
            subject="",
            body="",
            span=span,
            zone="Europe/Berlin",
            organizer=organizer,
            guests=guests,
            all_day=entry["all_day"],
            sequence=entry["sequence"],
        )
        calendar.create(entry["organizer"], draft)
        restored = inner["_entries"][entry["id"]]
        restored.answers = {who: Answer(answer) for who, answer in entry["answers"].items()}
        restored.version, restored.sequence = entry["version"], entry["sequence"]
        restored.cached_events = restored.cached_busy = None
    inner["_last_change"] = left.tick
    return calendar


def open_office(url: str, left: Left) -> Office:
    """Return the present program on that database, with the calendars, settings and people of the earlier version."""
    settings = load_settings(SETTINGS, {"LONGARC_KEY": KEY, "LONGARC_DATABASE_URL": url})
    daily = settings.sync.model_copy(update={"near": settings.sync.every})  # the earlier version knew no other pace
    settings = settings.model_copy(update={"people": FOLDER / "people.csv", "sync": daily})
    people = read_people(settings, left.at)
    office = Office(url, people.persons, people.pairs, at=left.at, known=settings)
    office.calendar, office.mailer = restore_calendar(left), MemoryMailer()
    vars(office.mailer)["_keys"].update(left.sent)
    office.worker.services.use(calendars={SERVICE: office.calendar}, mailers={SERVICE: office.mailer})
    return office
