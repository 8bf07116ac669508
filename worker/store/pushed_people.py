"""Reads and writes the people whom a directory pushed by SCIM.

A request is one transaction that locks the rows it changes, so that of two requests about one person none is lost.
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

#: Name of the stored value that tells when a directory pushed changes.
PUSH_LOG_NAME = "push_log"


class UserNameTaken(LongarcError):
    """Another person has this user name."""


@dataclass(frozen=True, slots=True)
class PushedRows:
    """The rows of the table `pushed_person` inside one transaction."""

    connection: Connection
    database: Database
    is_writing: bool = False

    def get_person(self, person_id: str) -> PushedPerson | None:
        """Return the person of that id; in a transaction that writes, nobody else changes it until its end."""
        query = select(pushed_person).where(pushed_person.c.id == person_id)
        return next(self._fetch(query.with_for_update() if self.is_writing else query), None)

    def count_people(self) -> int:
        """Return how many people there are."""
        return int(self.connection.execute(select(func.count()).select_from(pushed_person)).scalar_one())

    def list_people(self, first: int = 0, limit: int | None = None) -> Sequence[PushedPerson]:
        """Return people in the order in which they came, `limit` of them from the index `first` on."""
        query = select(pushed_person).order_by(pushed_person.c.created_at, pushed_person.c.id)
        return list(self._fetch(query.offset(first).limit(limit)))

    def find_people(self, *, user_name: str = "", external_id: str = "") -> Sequence[PushedPerson]:
        """Return everybody with that user name or external id."""
        by_name = pushed_person.c.user_name_key == fold_user_name(user_name)
        query = select(pushed_person).where(by_name if user_name else pushed_person.c.external_id == external_id)
        return list(self._fetch(query.order_by(pushed_person.c.created_at, pushed_person.c.id)))

    def list_people_of(self, names: Collection[str]) -> Sequence[PushedPerson]:
        """Return what was pushed about a person. `names`: as for `delete_pushed_people`."""
        return list(self._fetch(select(pushed_person).where(_is_of(names)).order_by(pushed_person.c.id)))

    def add_person(self, person: PushedPerson) -> None:
        """Add a person. Raises UserNameTaken."""
        self._execute(insert(pushed_person).values(_encode(person)))
        self._count_push(person.changed_at)

    def replace_person(self, person: PushedPerson) -> None:
        """Replace a person, who has to be there. Raises UserNameTaken."""
        self._execute(update(pushed_person).where(pushed_person.c.id == person.id).values(_encode(person)))
        self._count_push(person.changed_at)

    def delete_person(self, person_id: str, now: datetime) -> None:
        """Delete a person, who has to be there."""
        self.connection.execute(delete(pushed_person).where(pushed_person.c.id == person_id))
        self._count_push(now)

    def get_push_log(self) -> PushLog | None:
        """Return the log of the pushes; None before the first push."""
        query = select(stored_value.c.value).where(stored_value.c.name == PUSH_LOG_NAME)
        text = self.connection.execute(query.with_for_update() if self.is_writing else query).scalar()
        return _parse_push_log(text) if text else None

    def _execute(self, statement: Any) -> None:
        try:
            self.connection.execute(statement)
        except IntegrityError:
            raise UserNameTaken from None

    def _count_push(self, now: datetime) -> None:
        """Count a push. All pushes wait for one another here, at the end of their transactions."""
        first = {"name": PUSH_LOG_NAME, "value": _format_push_log(PushLog(0, now, now))}
        self.database.insert_new(self.connection, stored_value, [first], ("name",))
        log = self.get_push_log() or PushLog(0, now, now)
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
        """Begin a transaction that writes. Nothing is written when an error is raised in it."""
        with self._database.write() as connection:
            yield PushedRows(connection, self._database, is_writing=True)

    def get_push_log(self) -> PushLog | None:
        """Return the log of the pushes; None before the first push."""
        with self.read() as rows:
            return rows.get_push_log()

    def list_people(self) -> Sequence[PushedPerson]:
        """Return everybody, in the order in which they came."""
        with self.read() as rows:
            return rows.list_people()

    def list_people_of(self, names: Collection[str]) -> Sequence[PushedPerson]:
        """Return what was pushed about a person. `names`: as for `delete_pushed_people`."""
        with self.read() as rows:
            return rows.list_people_of(names)


def delete_pushed_people(connection: Connection, names: Collection[str]) -> None:
    """Delete what was pushed about a person, without counting a push.

    `names`: the person's addresses and aliases, among them the id, as `scim:<id>`.
    """
    connection.execute(delete(pushed_person).where(_is_of(names)))


def _is_of(names: Collection[str]) -> ColumnElement[bool]:
    keys, ids = [fold_user_name(name) for name in names], [name.rpartition(":")[2] for name in names]
    return or_(pushed_person.c.user_name_key.in_(keys), pushed_person.c.id.in_(ids))


def _encode(person: PushedPerson) -> dict[str, Any]:
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
