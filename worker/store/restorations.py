"""Restorations: after one, the program finds out what happened since the backup was made.

`prepare_restored` stores a note of the time of the backup. For a while after that, calendars are read in full before
their pairs are planned, sessions that are on a calendar but not in the database are recovered, and a mail that may have
been sent since the backup is looked up before it is sent.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, select, update

from worker.domain.model import EffectKind, EffectProgress
from worker.store import tables
from worker.store.database import Database
from worker.store.statements import PreparedStatement
from worker.store.tables import outbox, stored_value
from worker.store.types import convert_to_instant, convert_to_seconds

#: The name of the note in the table `fact`.
_NOTE = "restored"
#: For how long after the program started on the restored database pairs wait until their managers' calendars are read,
#: and a mail that is decided counts as one that may have been sent before the restoration.
CATCH_UP = timedelta(hours=2)
#: For how long after that start mails are looked up before they are sent, where the service can tell, and calendars
#: that could not be read at first are searched for unknown sessions.
SEARCH_PERIOD = timedelta(days=14)

_LOAD = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == bindparam("name")))


@dataclass(frozen=True, slots=True)
class Restoration:
    """The restoration of a database from a backup."""

    backup_at: datetime  #: when the backup was made
    begun_at: datetime  #: when the program started on the restored database

    def is_catching_up(self, at: datetime) -> bool:
        """Return whether `at` is within `CATCH_UP` after the start."""
        return self.begun_at <= at < self.begun_at + CATCH_UP

    def is_searching(self, at: datetime) -> bool:
        """Return whether `at` is within `SEARCH_PERIOD` after the start."""
        return self.begun_at <= at < self.begun_at + SEARCH_PERIOD


class Restorations:
    """Reads the note of a restoration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, now: datetime) -> Restoration | None:
        """Return the restoration; None for a database that was never restored. The first call stores `now` as the start
        of the program."""
        with self._database.read_once() as connection:
            note = _LOAD.fetch_value(connection, name=_NOTE)
        if note is None:
            return None
        fields = json.loads(note)
        if "begun_at" not in fields:
            fields["begun_at"] = convert_to_seconds(now)
            with self._database.write() as connection:
                _save_note(self._database, connection, fields)
        return Restoration(convert_to_instant(fields["since"]), convert_to_instant(fields["begun_at"]))


def is_catching_up(connection: Connection, now: datetime) -> bool:
    """Return whether the database was restored, and pairs wait until their managers' calendars are read."""
    note = _LOAD.fetch_value(connection, name=_NOTE)
    if note is None:
        return False
    begun_at = json.loads(note).get("begun_at")
    return begun_at is None or now < convert_to_instant(begun_at) + CATCH_UP


def prepare_restored(database: Database, connection: Connection, since: datetime, now: datetime) -> None:
    """Prepare a restored database for finding out what happened since the backup, in the transaction that fills it.

    Every calendar is to be read in full. A mail that was due may have been sent, so the outbox will look for it.
    Channels may have been replaced, so all are opened again, and the old ones expire.
    """
    _save_note(database, connection, {"since": convert_to_seconds(since)})
    calendar, person = tables.calendar, tables.person
    connection.execute(update(person).values(holder=None, held_until=None))
    connection.execute(
        update(calendar)
        .where(calendar.c.due_at.is_not(None))
        .values(cursor=None, full_at=None, due_at=now, holder=None, held_until=None)
    )
    connection.execute(delete(tables.channel))
    connection.execute(delete(tables.retired_channel))
    connection.execute(delete(stored_value).where(stored_value.c.name == tables.CHANNELS_NAME))
    is_mail = outbox.c.what == EffectKind.MAIL.value
    new_progress = case((is_mail, EffectProgress.SENDING.value), else_=EffectProgress.WAITING.value)
    # from its second attempt on, a change of an event looks the event up by its key
    attempts = case((and_(~is_mail, outbox.c.attempts < 1), 1), else_=outbox.c.attempts)
    connection.execute(
        update(outbox)
        .where(outbox.c.due_at <= now)
        .values(progress=new_progress, due_at=now, holder=None, attempts=attempts)
    )


def _save_note(database: Database, connection: Connection, fields: dict[str, Any]) -> None:
    database.upsert(connection, stored_value, [{"name": _NOTE, "value": json.dumps(fields)}])
