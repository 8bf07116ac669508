"""Reads and writes the people whom a directory pushed by SCIM.

A push is one request about one person. Each push is one transaction that locks the rows which it changes, so that
neither of two pushes about the same person is lost.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from worker.domain.model import PushedPerson, PushLog, fold_user_name
from worker.errors import LongarcError
from worker.store.database import Database
from worker.store.tables import pushed_person, stored_value

#: The name of the stored value that is the `PushLog`: how often and when a directory pushed changes.
PUSH_LOG_NAME = "push_log"


class UserNameTaken(LongarcError):
    """Another person has this user name."""


@dataclass(frozen=True, slots=True)
class PushedRows:
    """Reads and writes the table `pushed_person` within one transaction."""

    connection: Connection
    database: Database
    is_writing: bool = False

    def get_person(self, person_id: str) -> PushedPerson | None:
        """Return the person with this id; None when there is none.

        A transaction that writes locks the person's row until its end.
        """
        query = select(pushed_person).where(pushed_person.c.id == person_id)
        return next(self._fetch(query.with_for_update() if self.is_writing else query), None)

    def count_people(self) -> int:
        """Return how many people a directory has pushed."""
        return int(self.connection.execute(select(func.count()).select_from(pushed_person)).scalar_one())

    def list_people(self, first: int = 0, limit: int | None = None) -> Sequence[PushedPerson]:
        """Return up to `limit` people from the index `first` on, in the order in which they were added."""
        query = select(pushed_person).order_by(pushed_person.c.created_at, pushed_person.c.id)
        return list(self._fetch(query.offset(first).limit(limit)))

    def find_people(self, *, user_name: str = "", external_id: str = "") -> Sequence[PushedPerson]:
        """Return everybody with this user name; without a user name, everybody with this external id."""
        if user_name:
            is_wanted = pushed_person.c.user_name_key == fold_user_name(user_name)
        else:
            is_wanted = pushed_person.c.external_id == external_id
        query = select(pushed_person).where(is_wanted)
        return list(self._fetch(query.order_by(pushed_person.c.created_at, pushed_person.c.id)))

    def find_people_by_names(self, names: Collection[str]) -> Sequence[PushedPerson]:
        """Return what was pushed about a person. For `names`, see `delete_pushed_people`."""
        return list(self._fetch(select(pushed_person).where(_has_any_name(names)).order_by(pushed_person.c.id)))

    def add_person(self, person: PushedPerson) -> None:
        """Add a person, and count the push. Raises UserNameTaken."""
        self._execute(insert(pushed_person).values(_build_person_row(person)))
        self._count_push(person.changed_at)

    def replace_person(self, person: PushedPerson) -> None:
        """Replace an existing person, and count the push. Raises UserNameTaken."""
        self._execute(update(pushed_person).where(pushed_person.c.id == person.id).values(_build_person_row(person)))
        self._count_push(person.changed_at)

    def delete_person(self, person_id: str, now: datetime) -> None:
        """Delete an existing person, and count the push."""
        self.connection.execute(delete(pushed_person).where(pushed_person.c.id == person_id))
        self._count_push(now)

    def get_push_log(self) -> PushLog | None:
        """Return the log of the pushes; None before the first push."""
        query = select(stored_value.c.value).where(stored_value.c.name == PUSH_LOG_NAME)
        text = self.connection.execute(query.with_for_update() if self.is_writing else query).scalar()
        return _parse_push_log(text) if text else None

    def _execute(self, statement: Any) -> None:
        """Execute an insert or update. Raises UserNameTaken when the user name of the row belongs to another person."""
        try:
            self.connection.execute(statement)
        except IntegrityError:
            raise UserNameTaken from None

    def _count_push(self, now: datetime) -> None:
        """Count a push in the log. Called last in each transaction, because from then on other pushes wait for it."""
        empty_log = PushLog(count=0, wave_began_at=now, last_at=now)
        new_row = {"name": PUSH_LOG_NAME, "value": _format_push_log(empty_log)}
        self.database.insert_new(self.connection, stored_value, [new_row], ("name",))
        log = self.get_push_log() or empty_log
        value = _format_push_log(log.add_push(now))
        self.connection.execute(update(stored_value).where(stored_value.c.name == PUSH_LOG_NAME).values(value=value))

    def _fetch(self, query: Select[Any]) -> Iterator[PushedPerson]:
        for row in self.connection.execute(query).mappings():
            yield PushedPerson(**{name: value for name, value in row.items() if name != "user_name_key"})


class PushedPeople:
    """Reads and writes the table `pushed_person`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def read(self) -> Iterator[PushedRows]:
        """Begin a transaction that only reads."""
        with self._database.read() as connection:
            yield PushedRows(connection, self._database)

    @contextmanager
    def write(self) -> Iterator[PushedRows]:
        """Begin a transaction that writes. It is rolled back when an error is raised."""
        with self._database.write() as connection:
            yield PushedRows(connection, self._database, is_writing=True)

    def get_push_log(self) -> PushLog | None:
        """Return the log of the pushes; None before the first push."""
        with self.read() as rows:
            return rows.get_push_log()

    def list_people(self) -> Sequence[PushedPerson]:
        """Return everybody whom a directory has pushed, in the order in which they were added."""
        with self.read() as rows:
            return rows.list_people()

    def find_people_by_names(self, names: Collection[str]) -> Sequence[PushedPerson]:
        """Return what was pushed about a person. For `names`, see `delete_pushed_people`."""
        with self.read() as rows:
            return rows.find_people_by_names(names)


def delete_pushed_people(connection: Connection, names: Collection[str]) -> None:
    """Delete what was pushed about a person, without counting a push.

    `names` are the person's addresses and aliases. One of the aliases is the directory id, as `scim:<id>`.
    """
    connection.execute(delete(pushed_person).where(_has_any_name(names)))


def _has_any_name(names: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that a row belongs to the person with these names."""
    user_name_keys = [fold_user_name(name) for name in names]
    ids = [name.rpartition(":")[2] for name in names]  # an address has no colon: it stays whole, and is nobody's id
    return or_(pushed_person.c.user_name_key.in_(user_name_keys), pushed_person.c.id.in_(ids))


def _build_person_row(person: PushedPerson) -> dict[str, Any]:
    return {
        "id": person.id,
        "user_name": person.user_name,
        "user_name_key": person.user_name_key,
        "external_id": person.external_id,
        "attributes": dict(person.attributes),
        "created_at": person.created_at,
        "changed_at": person.changed_at,
        "revision": person.revision,
    }


def _format_push_log(log: PushLog) -> str:
    return f"{log.count} {log.wave_began_at.isoformat()} {log.last_at.isoformat()}"


def _parse_push_log(text: str) -> PushLog:
    count, wave_began_at, last_at = text.split(" ")
    return PushLog(int(count), datetime.fromisoformat(wave_began_at), datetime.fromisoformat(last_at))
