"""What the operator is told: one mail for a cause and hour, however much goes wrong.

The first alert of a cause goes out at once. What follows within the hour is kept as rows that are not sent, and one
mail at the end of the hour counts and lists it. While a cause goes on, that mail begins the next hour.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from worker.domain.model import Effect, EffectKind, EffectProgress, MailName
from worker.store import rows
from worker.store.database import Database
from worker.store.tables import message

MAIL_NAME = MailName.OPERATOR_ALERT.value
OPERATOR_SUBJECT = "operator"
#: A number that nothing else of ours locks in PostgreSQL.
_ADVISORY_LOCK = 7251891
#: How long one mail speaks for a cause.
MAIL_INTERVAL = timedelta(hours=1)
#: How many different lines a mail about several alerts shows, and how many are kept to find the most frequent.
MAX_SHOWN_LINES, MAX_KEPT_LINES = 10, 100


def raise_alert(
    database: Database, connection: Connection, *, key: str, cause: str, words: str, now: datetime, operator: str
) -> None:
    """Tell the operator once by that key: at once, or with others of the same cause."""
    if not database.is_sqlite:  # one at a time: two that see no mail for the cause would both send one
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    same_key = select(message.c.id).where(message.c.key == f"{MAIL_NAME}:{key}")
    if connection.execute(same_key).first():
        return
    last = _find_last_mail(connection, cause, now)
    alert = _build_alert(f"{MAIL_NAME}:{key}", now, operator)
    fields = {"words": words, "cause": cause}
    if last is None:
        _insert_alert(database, connection, alert, {**fields, "mailed": True})
        return
    _insert_alert(database, connection, alert, {**fields, "mailed": False}, dropped=True)
    if _is_open_digest(last, now):
        _add_to_digest(connection, last, words)
        return
    due = last["snapshot_at"] + MAIL_INTERVAL
    count = _build_alert(f"{MAIL_NAME}:more:{key}", due, operator)
    _insert_alert(
        database, connection, count, {"cause": cause, "mailed": True, **_build_digest_fields(Counter(), 1, words)}
    )


def _find_last_mail(connection: Connection, cause: str, now: datetime) -> Mapping[str, Any] | None:
    """The mail that speaks for the cause at this moment: within an hour of it, before or after.

    Clocks differ: an alert may come from a machine whose clock is ahead. By how much does not matter: what is further
    ahead speaks for its own hour.
    """
    query = (
        select(message.c.id, message.c.snapshot_at, message.c.progress, message.c.fields)
        .where(
            message.c.subject == OPERATOR_SUBJECT,
            message.c.name == MAIL_NAME,
            message.c.progress
            != EffectProgress.DROPPED.value,  # those that only count, of which a bad hour has thousands
            message.c.snapshot_at > now - MAIL_INTERVAL,
            message.c.snapshot_at <= now + MAIL_INTERVAL,
        )
        .order_by(message.c.snapshot_at.desc(), message.c.id.desc())
        .with_for_update()  # its fields are written anew
    )
    for row in connection.execute(query).mappings():
        if row["fields"].get("cause") == cause and row["fields"].get("mailed"):
            return dict(row)
    return None


def _is_open_digest(mail: Mapping[str, Any], now: datetime) -> bool:
    """Whether it counts alerts, and is in nobody's hands before its hour is over."""
    waits = mail["progress"] == EffectProgress.WAITING.value and mail["snapshot_at"] > now
    return waits and "listed" in mail["fields"]


def _add_to_digest(connection: Connection, count: Mapping[str, Any], words: str) -> None:
    kept = count["fields"]["listed"]
    total = count["fields"].get("total", len(kept)) + 1
    fields = {**count["fields"], **_build_digest_fields(Counter(kept), total, words)}
    connection.execute(update(message).where(message.c.id == count["id"]).values(fields=fields))


def _build_digest_fields(kept: Counter[str], total: int, words: str) -> dict[str, Any]:
    """The words of a mail about so many alerts, these the last of them, and what they are made of."""
    if words in kept or len(kept) < MAX_KEPT_LINES:
        kept[words] += 1
    shown = kept.most_common(MAX_SHOWN_LINES)
    lines = [line if times == 1 else f"{times} times: {line}" for line, times in shown]
    rest = total - sum(times for _, times in shown)
    head = f"In the last hour {total:,} more of the same kind {'was' if total == 1 else 'were'} noticed:"
    more = [f"And {rest:,} others."] if rest else []
    return {"words": "\n\n".join([head, *lines, *more]), "listed": dict(kept), "total": total}


def _build_alert(key: str, at: datetime, operator: str) -> Effect:
    return Effect(
        key=key,
        kind=EffectKind.MAIL,
        pair=None,
        subject=OPERATOR_SUBJECT,
        due_at=at,
        snapshot_at=at,
        name=MAIL_NAME,
        to=operator,
    )


def _insert_alert(
    database: Database, connection: Connection, alert: Effect, fields: Mapping[str, Any], *, dropped: bool = False
) -> None:
    row = {**rows.message_row(alert), "fields": dict(fields)}
    if dropped:
        row.update(progress=EffectProgress.DROPPED.value, due_at=None)
    database.insert_new(connection, message, [row], ["key"])
