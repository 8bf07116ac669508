"""Holds mails back at their claim: outside their reader's working hours, and beyond three a day (T-16).

`quiet_hours` decides; this reads what it needs, and writes what it decided, within the transaction of the claim.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from worker.domain.model import Address, Effect, EffectProgress, Person
from worker.domain.planning.quiet_hours import MailDay, divide_mails, make_overflow
from worker.domain.time.worktime import get_local_date
from worker.seal import NoSeal, Seal
from worker.store import rows
from worker.store.alerts import get_session_id
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import message, person

#: The number of the PostgreSQL lock for the mails of a day; no other lock of Longarc has it.
_ADVISORY_LOCK = 7251892
_HELD_PROGRESS = (EffectProgress.WAITING, EffectProgress.CLAIMED)
#: The days of people around the world differ by one at most.
_NEAR = timedelta(days=1)

_READERS = PreparedStatement(select(person).where(in_bound_list(person.c.email, "people")))
_SENT = PreparedStatement(
    select(message.c.to, message.c.day, message.c.key).where(
        in_bound_list(message.c.to, "people"),
        message.c.day >= bindparam("since", type_=message.c.day.type),
        message.c.progress != EffectProgress.DROPPED.value,
    )
)
_ADMIT = PreparedStatement(
    update(message)
    .where(message.c.key == bindparam("one"))
    .values(day=bindparam("reader_day", type_=message.c.day.type))
)
_WAIT = PreparedStatement(
    update(message)
    .where(message.c.key == bindparam("one"))
    .values(due_at=bind_instant("until"), progress=EffectProgress.WAITING.value, holder=None)
)
_FOLD = PreparedStatement(
    update(message)
    .where(message.c.key == bindparam("one"))
    .values(due_at=None, progress=EffectProgress.DONE.value, holder=None, told_in=bindparam("told"))
)


def list_reader_tags(seal: Seal, reader: Address, day: date) -> list[str]:
    """Return what stands for a reader in the rows of mails that must not name one (R-30); the newest key's first.

    Each day has tags of its own, so that two rows do not show that their reader is the same. Empty without a key.
    """
    return [] if isinstance(seal, NoSeal) else seal.list_tags(f"mail|{day}|{reader}")


def count_mails(connection: Connection, seal: Seal, reader: Address, day: date) -> int:
    """Count the limited mails that have left on a reader's day or are to leave on it, as far as that is decided."""
    names = [reader, *list_reader_tags(seal, reader, day)]
    return sum(row[1] == day for row in _SENT.fetch_tuples(connection, people=names, since=day))


def admit_mails(
    database: Database, seal: Seal, connection: Connection, due_rows: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """Return the rows that may be claimed now; mails that wait, or are told in one mail, are left out and updated.

    A mail whose sending has begun is always claimed: what became of it has to be found out.
    """
    counted = [row for row in due_rows if row["counts"] and row["progress"] in _HELD_PROGRESS]
    if not counted:
        return list(due_rows)
    if not database.is_sqlite:  # else two processes that count at once would each let three leave
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    people = sorted({row["to"] for row in counted})
    readers = {row["email"]: rows.person(row) for row in _READERS.fetch_rows(connection, people=people)}
    mails = {row["key"]: rows.message(row) for row in counted if row["to"] in readers}
    days = _divide(connection, seal, readers, mails, now)
    held: set[str] = set()
    for who, day in days.items():
        held |= _write_day(database, connection, readers[who], day, now)
    return [row for row in due_rows if row["key"] not in held]


def _divide(
    connection: Connection, seal: Seal, readers: Mapping[Address, Person], mails: Mapping[str, Effect], now: datetime
) -> dict[Address, MailDay]:
    sent: dict[tuple[Address, date], int] = defaultdict(int)
    since = now.date() - _NEAR
    today = {who: get_local_date(reader.zone, now) for who, reader in readers.items()}
    names = {name: who for who, day in today.items() for name in (who, *list_reader_tags(seal, who, day))}
    for to, day, key in _SENT.fetch_tuples(connection, people=sorted(names), since=since):
        sent[names[to], day] += key not in mails  # one that is tried again counts where it leaves
    due: dict[Address, list[Effect]] = defaultdict(list)
    for mail in mails.values():
        due[mail.to].append(mail)
    return {who: divide_mails(readers[who], due[who], sent[who, today[who]], now) for who in sorted(due)}


def _write_day(database: Database, connection: Connection, reader: Person, day: MailDay, now: datetime) -> set[str]:
    """Write what becomes of a reader's mails; return the keys of those that do not leave now."""
    today = get_local_date(reader.zone, now)
    if day.leaving:
        _ADMIT.execute_many(connection, [{"one": mail.key, "reader_day": today} for mail in day.leaving])
    if day.waiting:
        _WAIT.execute_many(connection, [{"one": mail.key, "until": until} for mail, until in day.waiting])
    if day.folded and day.overflow_at is not None:
        overflow = make_overflow(reader, day.overflow_at, now)
        database.insert_new(connection, message, [rows.message_row(overflow)], ["key"])
        _FOLD.execute_many(connection, [{"one": mail.key, "told": overflow.key} for mail in day.folded])
        append_history(connection, [_build_history_line(mail, overflow, now) for mail in day.folded])
    return {mail.key for mail in day.folded} | {mail.key for mail, _ in day.waiting}


def _build_history_line(mail: Effect, overflow: Effect, now: datetime) -> HistoryLine:
    fields = {"message": mail.name, "to": mail.to, "number": mail.number or None, "told_in": overflow.key}
    return (now, "mail.folded", mail.pair, get_session_id(mail), "Told in one mail with the rest of the day.", fields)
