"""Restorations: after the database was restored from a backup, the program finds out what happened since the backup.

`prepare_restored` stores a restoration record with the time of the backup. For some time after the program has started
on the restored database:

- calendars are read in full before their pairs are planned;
- sessions that are on a calendar, but not in the database, are recovered;
- a mail that may have been sent already is looked up before it is sent.
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

#: The name of the stored value that is the restoration record.
_RECORD_NAME = "restored"
#: The first period after the program has started on the restored database. In this period pairs wait until their
#: managers' calendars have been read. A mail that is decided in this period may have been sent before the restoration.
CATCH_UP = timedelta(hours=2)
#: A longer period after that start. In this period mails are looked up before they are sent, if the mail service can
#: tell whether it sent a mail, and a calendar that could not be read before is searched for unknown sessions.
SEARCH_PERIOD = timedelta(days=14)

_STORED_VALUE = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == bindparam("name")))


@dataclass(frozen=True, slots=True)
class Restoration:
    """The restoration of a database from a backup."""

    backup_at: datetime  #: when the backup was made
    begun_at: datetime  #: when the program started on the restored database

    def is_catching_up(self, instant: datetime) -> bool:
        """Return whether the instant is within `CATCH_UP` after the start of the program."""
        return self.begun_at <= instant < self.begun_at + CATCH_UP

    def is_searching(self, instant: datetime) -> bool:
        """Return whether the instant is within `SEARCH_PERIOD` after the start of the program."""
        return self.begun_at <= instant < self.begun_at + SEARCH_PERIOD


class Restorations:
    """Reads the restoration record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, now: datetime) -> Restoration | None:
        """Return the last restoration; None for a database that was never restored.

        The first call after a restoration stores `now` as the start of the program.
        """
        with self._database.read_once() as connection:
            record = _STORED_VALUE.fetch_value(connection, name=_RECORD_NAME)
        if record is None:
            return None
        fields = json.loads(record)
        if "begun_at" not in fields:
            fields["begun_at"] = convert_to_seconds(now)
            with self._database.write() as connection:
                _save_record(self._database, connection, fields)
        return Restoration(
            backup_at=convert_to_instant(fields["since"]), begun_at=convert_to_instant(fields["begun_at"])
        )


def must_read_calendars_first(connection: Connection, now: datetime) -> bool:
    """Return whether the database was restored so lately that pairs wait until their managers' calendars are read."""
    record = _STORED_VALUE.fetch_value(connection, name=_RECORD_NAME)
    if record is None:
        return False
    begun_at = json.loads(record).get("begun_at")
    return begun_at is None or now < convert_to_instant(begun_at) + CATCH_UP


def prepare_restored(database: Database, connection: Connection, backup_at: datetime, now: datetime) -> None:
    """Prepare a restored database, in the transaction that fills it, for finding out what happened since the backup.

    Every calendar becomes due to be read in full. A mail that was due may have been sent, so its progress is set to
    `sending`, and the outbox looks for it. Channels may have been replaced since the backup, so all of them are deleted
    and opened again; the old ones expire.
    """
    # `begun_at` is added by the first `Restorations.load`
    _save_record(database, connection, {"since": convert_to_seconds(backup_at)})
    calendar, person = tables.calendar, tables.person
    connection.execute(update(person).values(holder=None, held_until=None))
    connection.execute(
        update(calendar)
        .where(calendar.c.due_at.is_not(None))
        .values(cursor=None, full_at=None, due_at=now, holder=None, held_until=None)
    )
    connection.execute(delete(tables.channel))
    connection.execute(delete(tables.retired_channel))
    connection.execute(delete(stored_value).where(stored_value.c.name == tables.CHANNEL_SERVICES_NAME))
    is_mail = outbox.c.what == EffectKind.MAIL.value
    new_progress = case((is_mail, EffectProgress.SENDING.value), else_=EffectProgress.WAITING.value)
    # from the second attempt on, a change of an event first looks the event up by its key
    attempts = case((and_(~is_mail, outbox.c.attempts < 1), 1), else_=outbox.c.attempts)
    connection.execute(
        update(outbox)
        .where(outbox.c.due_at <= now)
        .values(progress=new_progress, due_at=now, holder=None, attempts=attempts)
    )


def _save_record(database: Database, connection: Connection, fields: dict[str, Any]) -> None:
    database.upsert(connection, stored_value, [{"name": _RECORD_NAME, "value": json.dumps(fields)}])
