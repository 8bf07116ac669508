"""Reads and writes records of copies: the events that Longarc itself writes into guests' calendars.

A record is stored before its copy is written, so that there is never a copy without a record.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.exc import DBAPIError

from worker.domain.model import Address, CopyRecord
from worker.errors import Unavailable
from worker.store.database import Database, DatabaseUnreachable
from worker.store.parameters import in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import attendee_copy

_COPIES_OF_ORGANIZER = PreparedStatement(
    select(attendee_copy).where(attendee_copy.c.calendar == bindparam("organizer"))
)
_DELETE_COPIES = PreparedStatement(
    delete(attendee_copy).where(
        attendee_copy.c.calendar == bindparam("organizer"),
        attendee_copy.c.id == bindparam("event_id"),
        in_bound_list(attendee_copy.c.guest, "guests"),
    )
)
_PRIMARY_KEY = ("calendar", "id", "guest")


class AttendeeCopyRows:
    """Reads and writes the table `attendee_copy`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        """Return the records of all copies of this organizer's events. Raises Unavailable, as every method does."""
        with self._begin_read() as connection:
            copy_rows = _COPIES_OF_ORGANIZER.fetch_rows(connection, organizer=organizer)
        return [CopyRecord(row["id"], row["guest"], row["placed"]) for row in copy_rows]

    def intend_copy(self, organizer: Address, event_id: str, guest: Address) -> None:
        """Store that a copy is about to be written. An existing record of the copy is left unchanged."""
        row = {"calendar": organizer, "id": event_id, "guest": guest, "placed": False}
        with self._begin_write() as connection:
            self._database.insert_new(connection, attendee_copy, [row], _PRIMARY_KEY)

    def confirm_copy(self, organizer: Address, event_id: str, guest: Address) -> None:
        """Store that a copy was written."""
        row = {"calendar": organizer, "id": event_id, "guest": guest, "placed": True}
        with self._begin_write() as connection:
            self._database.upsert(connection, attendee_copy, [row])

    def forget_copies(self, organizer: Address, event_id: str, guests: Collection[Address]) -> None:
        """Delete the records of these guests' copies of an event."""
        with self._begin_write() as connection:
            _DELETE_COPIES.execute(connection, organizer=organizer, event_id=event_id, guests=list(guests))

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
        """Raise Unavailable in place of an error of the database.

        Unavailable is marked as uncertain, since the event may have been written already. The effect is then tried
        again.
        """
        driver = self._database.engine.dialect.loaded_dbapi
        try:
            yield
        # a prepared statement raises the driver's own errors, other statements those of SQLAlchemy
        except (driver.Error, DBAPIError, DatabaseUnreachable) as error:
            message = "The database failed, so it can't be recorded which guests have a copy of the event."
            raise Unavailable(message, uncertain=True) from error
