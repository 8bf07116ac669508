"""Keeps mails back when they are claimed: outside their reader's working hours, and beyond three a day (T-16).

`worker.domain.planning.mail_times` decides which mails leave, wait for another day, or are folded into one overflow
mail. This module loads what the decision needs, and stores the decision in the transaction of the claim.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from worker.domain.model import Address, Effect, EffectProgress, Person
from worker.domain.planning.mail_times import MailDay, divide_mails, make_overflow_mail
from worker.domain.time.worktime import get_local_date
from worker.seal import NoSeal, Seal
from worker.store import rows
from worker.store.alerts import get_session_or_commitment_id
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import outbox, person

#: The number of the PostgreSQL advisory lock for counting mails. No other lock of Longarc has this number.
_ADVISORY_LOCK = 7251892
#: The progress of mails whose sending has not begun.
_UNSENT_PROGRESS = (EffectProgress.WAITING, EffectProgress.CLAIMED)
#: How far apart the dates in two time zones can be at one instant.
_MAX_DATE_DIFFERENCE = timedelta(days=1)

_READERS = PreparedStatement(select(person).where(in_bound_list(person.c.email, "people")))
_COUNTED_MAILS = PreparedStatement(
    select(outbox.c.to, outbox.c.day, outbox.c.key).where(
        in_bound_list(outbox.c.to, "addresses_and_tags"),
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
    """Return the tags that stand for a reader in the rows of mails which must not name the reader (R-30).

    A tag is a keyed digest of the address and the day, so two rows of different days do not show that they have the
    same reader. There is one tag for each key of the seal, that of the newest key first, and none when no key is set.
    """
    return [] if isinstance(seal, NoSeal) else seal.compute_digests(f"mail|{day}|{reader}")


def count_mails(connection: Connection, seal: Seal, reader: Address, day: date) -> int:
    """Return how many mails count for a reader's daily limit on this day: sent mails, and mails that will be sent."""
    address_and_tags = [reader, *list_reader_tags(seal, reader, day)]
    counted_mails = _COUNTED_MAILS.fetch_tuples(connection, addresses_and_tags=address_and_tags, since=day)
    return sum(mail_day == day for _, mail_day, _ in counted_mails)


def admit_mails(
    database: Database, seal: Seal, connection: Connection, due_rows: Sequence[dict[str, Any]], now: datetime
) -> list[dict[str, Any]]:
    """Return the due rows that may be claimed now, and store what happens to the others.

    A mail whose sending has begun may always be claimed, because it is not known whether the mail was sent.
    """
    limited_rows = [row for row in due_rows if row["counts"] and row["progress"] in _UNSENT_PROGRESS]
    if not limited_rows:
        return list(due_rows)
    if not database.is_sqlite:
        # without the lock, two processes that count at the same time might each admit as many mails as the limit allows
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    people = sorted({row["to"] for row in limited_rows})
    readers = {row["email"]: rows.read_person(row) for row in _READERS.fetch_rows(connection, people=people)}
    mails = {row["key"]: rows.read_effect(row) for row in limited_rows if row["to"] in readers}
    decisions = _divide_by_reader(connection, seal, readers, mails, now)
    kept_back_keys: set[str] = set()
    for address, decision in decisions.items():
        kept_back_keys |= _save_decision(database, connection, readers[address], decision, now)
    return [row for row in due_rows if row["key"] not in kept_back_keys]


def _divide_by_reader(
    connection: Connection, seal: Seal, readers: Mapping[Address, Person], mails: Mapping[str, Effect], now: datetime
) -> dict[Address, MailDay]:
    """Return for each reader which of the due mails leave, wait, or are folded into an overflow mail.

    The keys of `readers` are addresses. `mails` has the due mails, by their key in the outbox.
    """
    since = now.date() - _MAX_DATE_DIFFERENCE
    local_dates = {address: get_local_date(reader.zone, now) for address, reader in readers.items()}
    # in its row, a mail has the reader's address, or a tag in the place of the address
    address_by_tag = {
        address_or_tag: address
        for address, local_date in local_dates.items()
        for address_or_tag in (address, *list_reader_tags(seal, address, local_date))
    }
    sent_counts: dict[tuple[Address, date], int] = defaultdict(int)
    counted_mails = _COUNTED_MAILS.fetch_tuples(connection, addresses_and_tags=sorted(address_by_tag), since=since)
    for address_or_tag, day, key in counted_mails:
        if key not in mails:  # a due mail that failed before may have a day, but it has not been sent
            sent_counts[address_by_tag[address_or_tag], day] += 1
    due_mails: dict[Address, list[Effect]] = defaultdict(list)
    for mail in mails.values():
        due_mails[mail.to].append(mail)
    return {
        address: divide_mails(readers[address], due_mails[address], sent_counts[address, local_dates[address]], now)
        for address in sorted(due_mails)
    }


def _save_decision(
    database: Database, connection: Connection, reader: Person, decision: MailDay, now: datetime
) -> set[str]:
    """Store the decision about a reader's due mails. Return the keys of the mails that do not leave now."""
    today = get_local_date(reader.zone, now)
    if decision.leaving:
        _SAVE_DAY.execute_many(connection, [{"mail_key": mail.key, "reader_day": today} for mail in decision.leaving])
    if decision.waiting:
        _POSTPONE.execute_many(connection, [{"mail_key": mail.key, "until": until} for mail, until in decision.waiting])
    if decision.folded and decision.overflow_at is not None:
        overflow = make_overflow_mail(reader, due_at=decision.overflow_at, now=now)
        database.insert_new(connection, outbox, [rows.build_effect_row(overflow)], ["key"])
        folds = [{"mail_key": mail.key, "overflow_key": overflow.key} for mail in decision.folded]
        _FOLD_INTO_OVERFLOW.execute_many(connection, folds)
        append_history(connection, [_build_history_line(mail, overflow, now) for mail in decision.folded])
    return {mail.key for mail in decision.folded} | {mail.key for mail, _ in decision.waiting}


def _build_history_line(mail: Effect, overflow: Effect, now: datetime) -> HistoryLine:
    return HistoryLine(
        at=now,
        what="mail.folded",
        pair=mail.pair,
        session=get_session_or_commitment_id(mail),
        reason="Told in one mail with the rest of the day.",
        fields={"message": mail.name, "to": mail.to, "number": mail.number or None, "told_in": overflow.key},
    )
