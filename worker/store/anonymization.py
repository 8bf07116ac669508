"""Anonymizes a person: every row that names the person is changed to name a pseudonym instead.

The rows of sessions and commitments stay, because they also belong to the other person of the pair. The person's
aliases, calendar rows and events are deleted.
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

from worker.domain.model import NO_CALENDAR, PENDING_PROGRESS, Address, EffectProgress, PairId
from worker.store import tables
from worker.store.aliases import renew_people_version
from worker.store.database import Database
from worker.store.pushed_people import delete_pushed_people
from worker.store.renames import rename_people
from worker.store.tables import attendee_copy, calendar, event, meeting, outbox, pair, person, person_alias, revocation
from worker.store.types import EnumType

#: The domain of the addresses of pseudonyms. No mail can reach it (RFC 2606).
FORGOTTEN_DOMAIN = "forgotten.invalid"


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """The address and the name that replace those of a person."""

    email: Address
    name: str


def make_pseudonym() -> Pseudonym:
    """Return a new pseudonym. It is random, so that nobody can compute it from the person's address."""
    token = secrets.token_hex(4)
    return Pseudonym(f"someone-{token}@{FORGOTTEN_DOMAIN}", f"Former colleague {token}")


def anonymize_person(
    database: Database, connection: Connection, email: Address, names: Collection[str], pseudonym: Pseudonym
) -> None:
    """Replace a person by a pseudonym in every table. `names` are the person's address and aliases.

    Effects that are not finished yet, and that concern the person or the person's pairs, are dropped.
    """
    row = connection.execute(select(person).where(person.c.email == email)).mappings().one()
    pairs = _list_pairs(connection, email)
    _drop_effects(connection, email, pairs)
    _delete_traces(connection, email, pairs)
    delete_pushed_people(connection, names)
    rename_people(database, connection, {email: pseudonym.email})
    # `rename_people` has stored the old address as an alias of the pseudonym
    connection.execute(delete(person_alias).where(person_alias.c.person == pseudonym.email))
    connection.execute(
        update(person)
        .where(person.c.email == pseudonym.email)
        .values(name=pseudonym.name, group="", calendar=NO_CALENDAR, away=[], suspended_until=None)
    )
    replacements = dict.fromkeys(names, pseudonym.email)
    _replace_everywhere(connection, replacements)
    _replace_full_name(connection, row["name"], pseudonym, _list_pairs(connection, pseudonym.email))
    renew_people_version(database, connection)


def _list_pairs(connection: Connection, email: Address) -> list[PairId]:
    query = select(pair.c.id).where(or_(pair.c.manager == email, pair.c.report == email))
    return list(connection.execute(query).scalars())


def _drop_effects(connection: Connection, email: Address, pairs: Collection[PairId]) -> None:
    """Drop the unfinished effects of these pairs, on this person's calendar, and mails to this person."""
    is_pending = outbox.c.progress.in_(sorted(progress.value for progress in PENDING_PROGRESS))
    concerns_person = or_(outbox.c.pair.in_(pairs), outbox.c.to == email, outbox.c.calendar == email)
    dropped = {"progress": EffectProgress.DROPPED.value, "due_at": None, "holder": None}
    connection.execute(update(outbox).where(is_pending, concerns_person).values(dropped))


def _delete_traces(connection: Connection, email: Address, pairs: Collection[PairId]) -> None:
    """Delete rows that only served to read and write calendars. They may contain names of the person."""
    connection.execute(delete(person_alias).where(person_alias.c.person == email))
    connection.execute(delete(event).where(event.c.pair.in_(pairs)))
    connection.execute(delete(meeting).where(or_(meeting.c.pair.in_(pairs), meeting.c.calendar == email)))
    is_copy = or_(attendee_copy.c.calendar == email, attendee_copy.c.guest == email)
    connection.execute(delete(attendee_copy).where(is_copy))
    connection.execute(delete(calendar).where(calendar.c.address == email))
    connection.execute(delete(revocation).where(revocation.c.person == email))


# --- text that names the person ---


def _replace_everywhere(connection: Connection, replacements: Mapping[str, str]) -> None:
    """Replace names in every column that holds text, also in primary keys.

    A longer name that contains one of these names is not changed. A name may end a sentence or stand in quotation
    marks, so a dot or an apostrophe belongs to a longer name only between letters, as in `x.org.uk` and `o'neil`. An
    address before `.sealed` is the name of the file with that person's grant.
    """
    for name, replacement in sorted(replacements.items()):
        pattern = re.compile(rf"(?<![\w.+-])(?<!\w'){re.escape(name)}(?![\w-]|\.(?!sealed\b)\w)", re.IGNORECASE)
        for column in _list_text_columns():
            _replace_in_column(connection, column, name, pattern, replacement)


def _replace_full_name(connection: Connection, full_name: str, pseudonym: Pseudonym, pairs: Collection[PairId]) -> None:
    """Replace a person's full name in the rows of the person's pairs only, because others may have the same name."""
    for spelling in {full_name, json.dumps(full_name)[1:-1]}:  # the name in plain text, and the name inside JSON
        pattern = re.compile(rf"(?<!\w){re.escape(spelling)}(?!\w)")
        for column in _list_text_columns():
            if "pair" in column.table.c and column.name != "pair":
                is_of_pairs = column.table.c.pair.in_(pairs)
                _replace_in_column(connection, column, spelling, pattern, pseudonym.name, is_of_pairs)


def _list_text_columns() -> Iterator[Column[Any]]:
    """Yield the columns that hold text or JSON, except for those of enumerations."""
    for table in tables.metadata.sorted_tables:
        for column in table.c:
            column_type = column.type
            stored_type = column_type.impl_instance if isinstance(column_type, TypeDecorator) else column_type
            holds_text = isinstance(stored_type, String) and not isinstance(column_type, EnumType)
            if holds_text or isinstance(column_type, JSON):
                yield column


def _replace_in_column(
    connection: Connection,
    column: Column[Any],
    searched_text: str,
    pattern: re.Pattern[str],
    replacement: str,
    *conditions: ColumnElement[bool],
) -> None:
    """Replace each match of the pattern in those values of a column that contain `searched_text`."""
    is_json = isinstance(column.type, JSON)
    stored_text = cast(column, String) if is_json else type_coerce(column, String)
    key_columns = list(column.table.primary_key)
    query = select(*key_columns, stored_text).where(stored_text.icontains(searched_text, autoescape=True), *conditions)
    for *key_values, text in connection.execute(query).all():
        changed_text = pattern.sub(lambda _: replacement, text)
        if changed_text != text:
            key_conditions = [key_column == value for key_column, value in zip(key_columns, key_values, strict=True)]
            value = json.loads(changed_text) if is_json else type_coerce(literal(changed_text), String)
            connection.execute(update(column.table).where(*key_conditions).values({column.name: value}))
