"""Holds mails back at their claim: outside their reader's working hours, and beyond three a day (T-16).

`worker.domain.planning.quiet_hours` decides. This module reads what the decision needs and writes the decision, within
the transaction of the claim.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from worker.domain.model import Address, Effect, EffectProgress, Person
from worker.domain.planning.quiet_hours import MailDay, divide_mails, make_overflow_mail
from worker.domain.time.worktime import get_local_date
from worker.seal import NoSeal, Seal
from worker.store import rows
from worker.store.alerts import get_session_id
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import outbox, person

#: The number of the PostgreSQL lock for the mails of a day; no other lock of Longarc has it.
_ADVISORY_LOCK = 7251892
#: The progress of mails whose sending has not begun.
_UNSENT_PROGRESS = (EffectProgress.WAITING, EffectProgress.CLAIMED)
#: How far the dates of two people at one instant are apart, at most.
_MAX_DATE_DIFFERENCE = timedelta(days=1)

_READERS = PreparedStatement(select(person).where(in_bound_list(person.c.email, "people")))
_COUNTED_MAILS = PreparedStatement(
    select(outbox.c.to, outbox.c.day, outbox.c.key).where(
        in_bound_list(outbox.c.to, "people"),
        outbox.c.day >= bindparam("since", type_=outbox.c.day.type),
        outbox.c.progress != EffectProgress.DROPPED.value,
    )
)
_SAVE_DAY = PreparedStatement(
    update(outbox)
    .where(outbox.c.key == bindparam("mail_key"))
    .values(day=bindparam("reader_day", type_=outbox.c.day.type))
)
_POSTPONE = PreparedStatement(
    update(outbox)
    .where(outbox.c.key == bindparam("mail_key"))
    .values(due_at=bind_instant("until"), progress=EffectProgress.WAITING.value, holder=None)
)
_FOLD_INTO_OVERFLOW = PreparedStatement(
    update(outbox)
    .where(outbox.c.key == bindparam("mail_key"))
    .values(due_at=None, progress=EffectProgress.DONE.value, holder=None, told_in=bindparam("overflow_key"))
)


def list_reader_tags(seal: Seal, reader: Address, day: date) -> list[str]:
    """Return the tags by which rows of mails mean a reader whom they must not name (R-30): one for each key, the newest
    first; empty without a key.

    Each day has tags of its own, so that two rows do not show that their reader is the same.
    """
    return [] if isinstance(seal, NoSeal) else seal.list_tags(f"mail|{day}|{reader}")


def count_mails(connection: Connection, seal: Seal, reader: Address, day: date) -> int:
    """Count the limited mails that left on a reader's day, or are stored as mails of that day and will leave."""
    names = [reader, *list_reader_tags(seal, reader, day)]
    return sum(row[1] == day for row in _COUNTED_MAILS.fetch_tuples(connection, people=names, since=day))


def admit_mails(
    database: Database, seal: Seal, connection: Connection, due_rows: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """Return the rows that may be claimed now. The others are updated: they wait, or one mail tells them in a line.

    A mail whose sending has begun may always be claimed: whether it was sent has to be found out.
    """
    limited_rows = [row for row in due_rows if row["counts"] and row["progress"] in _UNSENT_PROGRESS]
    if not limited_rows:
        return list(due_rows)
    if not database.is_sqlite:  # otherwise two processes that count at once would each admit three
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    people = sorted({row["to"] for row in limited_rows})
    readers = {row["email"]: rows.read_person(row) for row in _READERS.fetch_rows(connection, people=people)}
    mails = {row["key"]: rows.read_effect(row) for row in limited_rows if row["to"] in readers}
    days = _divide_by_reader(connection, seal, readers, mails, now)
    held_keys: set[str] = set()
    for who, day in days.items():
        held_keys |= _write_day(database, connection, readers[who], day, now)
    return [row for row in due_rows if row["key"] not in held_keys]


def _divide_by_reader(
    connection: Connection, seal: Seal, readers: Mapping[Address, Person], mails: Mapping[str, Effect], now: datetime
) -> dict[Address, MailDay]:
    """Return which of the due mails leave today, wait, or are told in one mail, by reader."""
    sent_counts: dict[tuple[Address, date], int] = defaultdict(int)
    since = now.date() - _MAX_DATE_DIFFERENCE
    today = {who: get_local_date(reader.zone, now) for who, reader in readers.items()}
    names = {name: who for who, day in today.items() for name in (who, *list_reader_tags(seal, who, day))}
    for to, day, key in _COUNTED_MAILS.fetch_tuples(connection, people=sorted(names), since=since):
        sent_counts[names[to], day] += key not in mails  # a due mail that failed before is counted as a due one
    due_mails: dict[Address, list[Effect]] = defaultdict(list)
    for mail in mails.values():
        due_mails[mail.to].append(mail)
    return {
        who: divide_mails(readers[who], due_mails[who], sent_counts[who, today[who]], now) for who in sorted(due_mails)
    }


def _write_day(database: Database, connection: Connection, reader: Person, day: MailDay, now: datetime) -> set[str]:
    """Write the decision about a reader's mails. Returns the keys of those that do not leave now."""
    today = get_local_date(reader.zone, now)
    if day.leaving:
        _SAVE_DAY.execute_many(connection, [{"mail_key": mail.key, "reader_day": today} for mail in day.leaving])
    if day.waiting:
        _POSTPONE.execute_many(connection, [{"mail_key": mail.key, "until": until} for mail, until in day.waiting])
    if day.folded and day.overflow_at is not None:
        overflow = make_overflow_mail(reader, due_at=day.overflow_at, now=now)
        database.insert_new(connection, outbox, [rows.build_effect_row(overflow)], ["key"])
        folds = [{"mail_key": mail.key, "overflow_key": overflow.key} for mail in day.folded]
        _FOLD_INTO_OVERFLOW.execute_many(connection, folds)
        append_history(connection, [_build_history_line(mail, overflow, now) for mail in day.folded])
    return {mail.key for mail in day.folded} | {mail.key for mail, _ in day.waiting}


def _build_history_line(mail: Effect, overflow: Effect, now: datetime) -> HistoryLine:
    fields = {"message": mail.name, "to": mail.to, "number": mail.number or None, "told_in": overflow.key}
    return (now, "mail.folded", mail.pair, get_session_id(mail), "Told in one mail with the rest of the day.", fields)
