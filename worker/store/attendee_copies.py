"""Which guests may have a copy of an organizer's event in their calendar: noted before it is put there."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.exc import DBAPIError

from worker.domain.model import Address, CopyRecord
from worker.errors import Unavailable
from worker.store.database import Database, DatabaseUnreachable
from worker.store.statements import PreparedStatement
from worker.store.tables import attendee_copy, in_bound_list

_COPIES_OF_ORGANIZER = PreparedStatement(select(attendee_copy).where(attendee_copy.c.calendar == bindparam("one")))
_DELETE_COPIES = PreparedStatement(
    delete(attendee_copy).where(
        attendee_copy.c.calendar == bindparam("one"),
        attendee_copy.c.id == bindparam("event"),
        in_bound_list(attendee_copy.c.guest, "guests"),
    )
)
_PRIMARY_KEY = ("calendar", "id", "guest")


class AttendeeCopyRows:
    """The table `attendee_copy`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        """The copies of this organizer's events."""
        with self._begin_read() as connection:
            listed = _COPIES_OF_ORGANIZER.fetch_rows(connection, one=organizer)
        return [CopyRecord(row["id"], row["guest"], row["placed"]) for row in listed]

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Note that a copy may lie there from now on. Changes nothing when one is known to."""
        row = {"calendar": organizer, "id": name, "guest": guest, "placed": False}
        with self._begin_write() as connection:
            self._database.insert_new(connection, attendee_copy, [row], _PRIMARY_KEY)

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Note that a copy lies there."""
        row = {"calendar": organizer, "id": name, "guest": guest, "placed": True}
        with self._begin_write() as connection:
            self._database.upsert(connection, attendee_copy, [row])

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        """Note that no copy lies there, or that nobody needs to know."""
        with self._begin_write() as connection:
            _DELETE_COPIES.execute(connection, one=organizer, event=name, guests=list(guests))

    @contextmanager
    def _begin_read(self) -> Iterator[Connection]:
        with self._translate_errors(), self._database.read() as connection:
            yield connection

    @contextmanager
    def _begin_write(self) -> Iterator[Connection]:
        with self._translate_errors(), self._database.write() as connection:
            yield connection

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raises what a provider may raise: the event is written, so whoever asked for it has to try again."""
        driver = self._database.engine.dialect.loaded_dbapi
        try:
            yield
        except (driver.Error, DBAPIError, DatabaseUnreachable) as error:
            words = "It can't be noted which guests have a copy: the database fails."
            raise Unavailable(words, uncertain=True) from error
