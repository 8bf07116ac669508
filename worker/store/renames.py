"""A person whose primary address changes: the same person, with the same pairs, under another address.

Whoever takes a new name gets a new primary address, and the one before becomes an alias. Every row that names the
person follows; what the history tells stays as it was told.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, select, update

from worker.domain.model import Address, PairId, PersonAlias
from worker.store.database import Database
from worker.store.tables import (
    access,
    attendee_copy,
    calendar,
    commitment,
    contract,
    deferral,
    event,
    history,
    meeting,
    message,
    pair,
    person,
    person_form,
    revocation,
    session,
)

#: Columns that hold a pair's id, those that PostgreSQL checks against the table `pair` among them.
_PAIR_ID_COLUMNS: tuple[Column[Any], ...] = tuple(
    table.c.pair for table in (session, commitment, contract, event, message, meeting, history, access)
)
#: Columns that hold an address.
_ADDRESS_COLUMNS: tuple[Column[Any], ...] = (
    *(person_form.c.person, deferral.c.who, event.c.calendar, message.c.calendar, message.c.to),
    *(meeting.c.calendar, calendar.c.address, revocation.c.person, access.c.on_behalf_of),
    *(attendee_copy.c.calendar, attendee_copy.c.guest),
)
#: Columns that hold a mapping by address.
_COLUMNS_BY_ADDRESS = (event.c.answers, event.c.proposed)


def find_renames(
    connection: Connection, persons: Collection[Address], forms: Iterable[PersonAlias]
) -> dict[Address, Address]:
    """Whose primary address changes with this people file: the new one by the one before.

    Somebody new is known by a form that was a primary address, and which nobody has as theirs any more; or somebody
    new has a primary address that was a form of a person who is gone.
    """
    before = set(connection.execute(select(person.c.email).where(person.c.left_at.is_(None))).scalars())
    ever = set(connection.execute(select(person.c.email)).scalars())
    listed = connection.execute(select(person_form.c.form, person_form.c.person))
    known = {str(row[0]): str(row[1]) for row in listed}
    gone = before - set(persons)
    pairs = [(one.alias, one.person) for one in forms if one.alias in gone]
    pairs += [(known[new], new) for new in persons if known.get(new) in gone]
    renames = {old: new for old, new in pairs if new not in ever}
    unique = {new for new in renames.values() if list(renames.values()).count(new) == 1}
    return {old: new for old, new in renames.items() if new in unique}


def rename_people(database: Database, connection: Connection, renames: Mapping[Address, Address]) -> None:
    """Put the new primary address in the place of the one before, everywhere but in what the history tells."""
    for old, new in sorted(renames.items()):
        _copy_rows(connection, person, person.c.email == old, partial(_change_email, new))
        _rename_pairs(connection, old, new)
        for column in _ADDRESS_COLUMNS:
            connection.execute(update(column.table).where(column == old).values({column.name: new}))
        _rename_keys(connection, old, new)
        connection.execute(update(calendar).where(calendar.c.address == new).values(cursor=None))
        connection.execute(delete(person).where(person.c.email == old))
        row = {"form": old, "person": new, "source": "learned"}
        database.insert_new(connection, person_form, [row], ("form",))


def _change_email(new: Address, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"email": new}


def _rename_pairs(connection: Connection, old: Address, new: Address) -> None:
    def rename_row(row: Mapping[str, Any]) -> dict[str, Any]:
        manager, report = (new if row[side] == old else row[side] for side in ("manager", "report"))
        return {"id": PairId(manager, report), "manager": manager, "report": report}

    theirs = (pair.c.manager == old) | (pair.c.report == old)
    moved = _copy_rows(connection, pair, theirs, rename_row)
    for before, after in moved.items():
        for column in _PAIR_ID_COLUMNS:
            connection.execute(update(column.table).where(column == before).values({column.name: after}))
        of_pair = update(message).where(message.c.subject == str(before))
        connection.execute(of_pair.values(subject=str(after)))
    connection.execute(delete(pair).where(theirs))


def _copy_rows(
    connection: Connection, table: Table, which: Any, changed: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[Any, Any]:
    """Insert those rows anew under another key; the new key by the old one."""
    (key,) = table.primary_key
    moved: dict[Any, Any] = {}
    for row in connection.execute(select(table).where(which)).mappings().all():
        copy = {**row, **changed(dict(row))}
        connection.execute(table.insert(), [copy])
        moved[row[key.name]] = copy[key.name]
    return moved


def _rename_keys(connection: Connection, old: Address, new: Address) -> None:
    of_report = select(pair.c.id).where(pair.c.report == new)
    query = select(event.c.key, *_COLUMNS_BY_ADDRESS).where(event.c.pair.in_(of_report))
    for row in connection.execute(query).mappings().all():
        changed = {
            column.name: {new if who == old else who: value for who, value in row[column.name].items()}
            for column in _COLUMNS_BY_ADDRESS
            if old in row[column.name]
        }
        if changed:
            connection.execute(update(event).where(event.c.key == row["key"]).values(changed))
