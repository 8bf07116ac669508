"""Anonymizes a person: every row that names the person names a pseudonym instead.

The rows of sessions and commitments stay, because they are also the other person's. The person's aliases, calendar rows
and events are deleted.
"""

import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    String,
    TypeDecorator,
    cast,
    delete,
    literal,
    or_,
    select,
    type_coerce,
    update,
)

from worker.domain.model import LIVE_PROGRESS, NO_CALENDAR, Address, EffectProgress, PairId
from worker.store import tables
from worker.store.aliases import renew_version
from worker.store.database import Database
from worker.store.pushed_people import delete_pushed_people
from worker.store.renames import rename_people
from worker.store.tables import attendee_copy, calendar, event, meeting, outbox, pair, person, person_alias, revocation
from worker.store.types import EnumType

#: The domain of the addresses of those who were forgotten. No mail can reach it (RFC 2606).
FORGOTTEN_DOMAIN = "forgotten.invalid"


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """The address and the name that replace a person's."""

    email: Address
    name: str


def make_pseudonym() -> Pseudonym:
    """Return a new pseudonym. It is random: nobody can compute it from the person's address."""
    token = secrets.token_hex(4)
    return Pseudonym(f"someone-{token}@{FORGOTTEN_DOMAIN}", f"Former colleague {token}")


def anonymize_person(
    database: Database, connection: Connection, email: Address, names: Collection[str], pseudonym: Pseudonym
) -> None:
    """Replace a person by a pseudonym in every table. `names`: the person's address and aliases.

    Effects that are under way for the person or their pairs are dropped.
    """
    row = connection.execute(select(person).where(person.c.email == email)).mappings().one()
    pairs = _list_pairs(connection, email)
    _drop_effects(connection, email, pairs)
    _delete_traces(connection, email, pairs)
    delete_pushed_people(connection, names)
    rename_people(database, connection, {email: pseudonym.email})
    connection.execute(delete(person_alias).where(person_alias.c.person == pseudonym.email))
    connection.execute(
        update(person)
        .where(person.c.email == pseudonym.email)
        .values(name=pseudonym.name, group="", calendar=NO_CALENDAR, away=[], suspended_until=None)
    )
    replacements = dict.fromkeys(names, pseudonym.email)
    _replace_everywhere(connection, replacements)
    _replace_name(connection, row["name"], pseudonym, _list_pairs(connection, pseudonym.email))
    renew_version(database, connection)


def _list_pairs(connection: Connection, email: Address) -> list[PairId]:
    query = select(pair.c.id).where(or_(pair.c.manager == email, pair.c.report == email))
    return list(connection.execute(query).scalars())


def _drop_effects(connection: Connection, email: Address, pairs: Collection[PairId]) -> None:
    is_live = outbox.c.progress.in_(sorted(progress.value for progress in LIVE_PROGRESS))
    is_theirs = or_(outbox.c.pair.in_(pairs), outbox.c.to == email, outbox.c.calendar == email)
    dropped = {"progress": EffectProgress.DROPPED.value, "due_at": None, "holder": None}
    connection.execute(update(outbox).where(is_live, is_theirs).values(dropped))


def _delete_traces(connection: Connection, email: Address, pairs: Collection[PairId]) -> None:
    """Delete what only reading and writing calendars needed, and may hold names of the person in ids and addresses."""
    connection.execute(delete(person_alias).where(person_alias.c.person == email))
    connection.execute(delete(event).where(event.c.pair.in_(pairs)))
    connection.execute(delete(meeting).where(or_(meeting.c.pair.in_(pairs), meeting.c.calendar == email)))
    is_copy = or_(attendee_copy.c.calendar == email, attendee_copy.c.guest == email)
    connection.execute(delete(attendee_copy).where(is_copy))
    connection.execute(delete(calendar).where(calendar.c.address == email))
    connection.execute(delete(revocation).where(revocation.c.person == email))


# --- text that names the person ---


def _replace_everywhere(connection: Connection, replacements: Mapping[str, str]) -> None:
    """Replace names by others in every column that holds text, keys included. Longer names that contain one of them
    are not changed."""
    for name, new in sorted(replacements.items()):
        pattern = re.compile(rf"(?<![\w.+-]){re.escape(name)}(?![\w-])", re.IGNORECASE)
        for column in _list_text_columns():
            _replace_in_column(connection, column, name, pattern, new)


def _replace_name(connection: Connection, name: str, pseudonym: Pseudonym, pairs: Collection[PairId]) -> None:
    """Replace the person's name in the rows of their pairs alone: others may have the same name."""
    for spelling in {name, json.dumps(name)[1:-1]}:  # in plain text, and inside JSON
        pattern = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
        for column in _list_text_columns():
            if "pair" in column.table.c and column.name != "pair":
                is_theirs = column.table.c.pair.in_(pairs)
                _replace_in_column(connection, column, spelling, pattern, pseudonym.name, is_theirs)


def _list_text_columns() -> Iterator[Column[Any]]:
    """Yield the columns that hold free text, and JSON with texts in it."""
    for table in tables.metadata.sorted_tables:
        for column in table.c:
            kind = column.type
            stored = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
            holds_text = isinstance(stored, String) and not isinstance(kind, EnumType)
            if holds_text or isinstance(kind, JSON):
                yield column


def _replace_in_column(
    connection: Connection,
    column: Column[Any],
    name: str,
    pattern: re.Pattern[str],
    new: str,
    *conditions: ColumnElement[bool],
) -> None:
    stored = cast(column, String) if isinstance(column.type, JSON) else type_coerce(column, String)
    key = list(column.table.primary_key)
    query = select(*key, stored).where(stored.contains(name, autoescape=True), *conditions)
    for *key_values, text in connection.execute(query).all():
        changed = pattern.sub(lambda _: new, text)
        if changed != text:
            has_key = [key_column == value for key_column, value in zip(key, key_values, strict=True)]
            value = json.loads(changed) if isinstance(column.type, JSON) else type_coerce(literal(changed), String)
            connection.execute(update(column.table).where(*has_key).values({column.name: value}))
