"""Changes a person's primary address, when a roster lists the person with another address than before.

The person keeps all pairs, and the old address becomes an alias. Every row that names the person is changed, except for
the fields of history lines.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, select, update

from worker.domain.model import Address, AliasSource, PairId, PersonAlias
from worker.store.database import Database
from worker.store.tables import (
    access,
    attendee_copy,
    calendar,
    channel,
    commitment,
    contract,
    deferral,
    event,
    handover,
    history,
    learning,
    meeting,
    note,
    outbox,
    pair,
    person,
    person_alias,
    retired_channel,
    revocation,
    session,
)

#: When a larger share of the directory ids belongs to other people than before, the ids are those of another directory.
MAX_MOVED_SHARE = 0.1
#: Columns that hold a pair's id. Some of them are foreign keys.
_PAIR_ID_COLUMNS: tuple[Column[Any], ...] = (
    *(table.c.pair for table in (session, commitment, contract, event, outbox, meeting, history, access)),
    *(learning.c.pair, note.c.pair, handover.c.former, handover.c.pair),
)
#: Columns that hold an address.
_ADDRESS_COLUMNS: tuple[Column[Any], ...] = (
    *(person_alias.c.person, deferral.c.who, event.c.calendar, outbox.c.calendar, outbox.c.to, outbox.c.subject),
    *(meeting.c.calendar, calendar.c.address, revocation.c.person, access.c.on_behalf_of),
    *(attendee_copy.c.calendar, attendee_copy.c.guest, channel.c.calendar, retired_channel.c.calendar),
)
#: Columns that hold a JSON mapping whose keys are addresses.
_COLUMNS_BY_ADDRESS = (event.c.answers, event.c.proposed)


def find_renames(
    connection: Connection, persons: Collection[Address], aliases: Collection[PersonAlias]
) -> dict[Address, Address]:
    """Return the primary addresses that change with a roster, as a mapping from old to new address.

    A person who is new in the roster is the same as a person whom the roster no longer lists in three cases: both have
    the same directory id; the old address is listed as an alias of the new person; or the new address is stored as an
    alias of the old person. A person who left earlier is recognized by the directory id alone, because a company may
    give an address to somebody else.

    `persons` are the addresses in the roster, and `aliases` are the aliases in the roster.
    """
    left_times = {row[0]: row[1] for row in connection.execute(select(person.c.email, person.c.left_at))}
    alias_rows = connection.execute(select(person_alias.c.form, person_alias.c.person)).all()
    stored_owners = {str(row[0]): str(row[1]) for row in alias_rows}
    listed = set(persons)
    # the people whom the stored roster lists and the new roster does not
    unlisted = {email for email, left_at in left_times.items() if left_at is None and email not in listed}
    candidates = [(alias.alias, alias.person) for alias in aliases if alias.alias in unlisted]
    candidates += [(stored_owners[new], new) for new in listed if stored_owners.get(new) in unlisted]
    candidates += _match_directory_ids(listed, aliases, stored_owners)
    renames = {old: new for old, new in candidates if new not in left_times}
    counts = Counter(renames.values())
    # nobody is renamed to a new address that two old addresses would get
    return {old: new for old, new in renames.items() if counts[new] == 1}


def _match_directory_ids(
    listed: Collection[Address], aliases: Iterable[PersonAlias], stored_owners: Mapping[str, Address]
) -> list[tuple[Address, Address]]:
    """Return the old and the new address of each person whose directory id is stored with another address.

    Return an empty list when many ids have moved between people who are still listed, because then the ids are those of
    another directory.
    """
    known_ids = [alias for alias in aliases if alias.source is AliasSource.DIRECTORY and alias.alias in stored_owners]
    owners = [(stored_owners[alias.alias], alias.person) for alias in known_ids]
    moved = [(old, new) for old, new in owners if old != new]
    contradiction_count = sum(old in listed for old, _ in moved)
    if contradiction_count > len(known_ids) * MAX_MOVED_SHARE:
        return []
    return [(old, new) for old, new in moved if old not in listed]


def rename_people(database: Database, connection: Connection, renames: Mapping[Address, Address]) -> None:
    """Replace primary addresses in every row, except for the fields of history lines.

    `renames` maps each old address to the new one.
    """
    for old, new in sorted(renames.items()):
        _copy_rows(connection, person, person.c.email == old, partial(_change_email, new))
        _rename_pairs(connection, old, new)
        for column in _ADDRESS_COLUMNS:
            connection.execute(update(column.table).where(column == old).values({column.name: new}))
        _rename_in_mappings(connection, old, new)
        # without a cursor, the calendar is read in full under its new address
        connection.execute(update(calendar).where(calendar.c.address == new).values(cursor=None))
        connection.execute(delete(person).where(person.c.email == old))
        row = {"form": old, "person": new, "source": AliasSource.LEARNED.value}
        database.insert_new(connection, person_alias, [row], ("form",))


def _change_email(new: Address, _: Mapping[str, Any]) -> dict[str, Any]:
    return {"email": new}


def _rename_pairs(connection: Connection, old: Address, new: Address) -> None:
    """Replace the ids of the person's pairs, which contain the address, in the table `pair` and wherever they occur."""

    def rename_row(row: Mapping[str, Any]) -> dict[str, Any]:
        manager, report = (new if row[side] == old else row[side] for side in ("manager", "report"))
        return {"id": PairId(manager, report), "manager": manager, "report": report}

    has_person = (pair.c.manager == old) | (pair.c.report == old)
    new_ids = _copy_rows(connection, pair, has_person, rename_row)
    for old_id, new_id in new_ids.items():
        for column in _PAIR_ID_COLUMNS:
            connection.execute(update(column.table).where(column == old_id).values({column.name: new_id}))
        is_about_pair = outbox.c.subject == str(old_id)
        connection.execute(update(outbox).where(is_about_pair).values(subject=str(new_id)))
    connection.execute(delete(pair).where(has_person))


def _copy_rows(
    connection: Connection, table: Table, condition: Any, build_changes: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> dict[Any, Any]:
    """Copy the rows that meet the condition, each with another primary key. Return a mapping from old to new key.

    `build_changes` returns the changed columns of a row. Rows are copied because other rows refer to the old key until
    they are changed.
    """
    (key_column,) = table.primary_key
    new_keys: dict[Any, Any] = {}
    for row in connection.execute(select(table).where(condition)).mappings().all():
        copy = {**row, **build_changes(dict(row))}
        connection.execute(table.insert(), [copy])
        new_keys[row[key_column.name]] = copy[key_column.name]
    return new_keys


def _rename_in_mappings(connection: Connection, old: Address, new: Address) -> None:
    """Rename the key `old` in the JSON columns whose keys are addresses.

    Only events of which the person is the attendee have the address in these columns.
    """
    pairs_as_report = select(pair.c.id).where(pair.c.report == new)
    query = select(event.c.key, *_COLUMNS_BY_ADDRESS).where(event.c.pair.in_(pairs_as_report))
    for row in connection.execute(query).mappings().all():
        changed_columns = {
            column.name: {new if address == old else address: value for address, value in row[column.name].items()}
            for column in _COLUMNS_BY_ADDRESS
            if old in row[column.name]
        }
        if changed_columns:
            connection.execute(update(event).where(event.c.key == row["key"]).values(changed_columns))
