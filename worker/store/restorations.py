"""What a restored database has to find out: what happened after the backup was made, which it does not show.

`prepare_restored` leaves a note of that time. While there is one, calendars are read in full before their pairs are
planned, sessions that stand on a calendar and not in the database are taken over, and a mail that may have gone out in
that time is looked up before it is sent.
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
from worker.store.tables import fact, message
from worker.store.types import convert_to_instant, convert_to_seconds

#: The name of the note in the table `fact`.
_NOTE = "restored"
#: How long after work began again a pair waits for the calendar of its manager to be read before it is planned, and a
#: mail that is decided counts as one that may have gone out before.
CATCH_UP = timedelta(hours=2)
#: How long after work began again a mail is looked up before it is sent, where the service can tell, and a calendar
#: that could not be read at first is searched for unknown sessions.
SEARCH_PERIOD = timedelta(days=14)

_LOAD = PreparedStatement(select(fact.c.value).where(fact.c.name == bindparam("name")))


@dataclass(frozen=True, slots=True)
class Restoration:
    """A database that was restored from a backup, and works again."""

    since: datetime  #: the moment that the backup shows
    begun_at: datetime  #: when work began again

    def is_catching_up(self, at: datetime) -> bool:
        """True at a time when what is decided mostly follows from what happened before the restoration."""
        return self.begun_at <= at < self.begun_at + CATCH_UP

    def is_searching(self, at: datetime) -> bool:
        """True while calendars and mailboxes are asked for what happened before the restoration."""
        return self.begun_at <= at < self.begun_at + SEARCH_PERIOD


class Restorations:
    """Reads the note of a restoration."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, now: datetime) -> Restoration | None:
        """Return the restoration; None for a database that was never restored. The first call begins its work."""
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
    """Whether the database was restored, and pairs wait for the calendars of their managers."""
    note = _LOAD.fetch_value(connection, name=_NOTE)
    if note is None:
        return False
    begun_at = json.loads(note).get("begun_at")
    return begun_at is None or now < convert_to_instant(begun_at) + CATCH_UP


def prepare_restored(database: Database, connection: Connection, since: datetime, now: datetime) -> None:
    """Have the restored database find out what happened since the backup: within the transaction that fills it.

    Every calendar is to be read in full. A mail that was due may have gone out: the outbox looks for it. Channels may
    have been replaced: all are opened anew, and those there were expire.
    """
    _save_note(database, connection, {"since": convert_to_seconds(since)})
    calendar, person = tables.calendar, tables.person
    connection.execute(update(person).values(holder=None, held_until=None))
    connection.execute(
        update(calendar)
        .where(calendar.c.due_at.is_not(None))
        .values(cursor=None, full_at=None, due_at=now, holder=None, held_until=None)
    )
    for outdated in (delete(tables.channel), delete(tables.retired_channel)):
        connection.execute(outdated)
    connection.execute(delete(fact).where(fact.c.name == tables.CHANNELS_NAME))
    is_mail = message.c.what == EffectKind.MAIL.value
    begun = case((is_mail, EffectProgress.SENDING.value), else_=EffectProgress.WAITING.value)
    # an event is looked up by its key from the second attempt on
    attempts = case((and_(~is_mail, message.c.attempts < 1), 1), else_=message.c.attempts)
    connection.execute(
        update(message)
        .where(message.c.due_at <= now)
        .values(progress=begun, due_at=now, holder=None, attempts=attempts)
    )


def _save_note(database: Database, connection: Connection, fields: dict[str, Any]) -> None:
    database.upsert(connection, fact, [{"name": _NOTE, "value": json.dumps(fields)}])
