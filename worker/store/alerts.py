"""Alerts to the operator, with at most one mail an hour for each cause.

The first alert of a cause is mailed at once. Alerts of the same cause within the next hour are stored as dropped mails,
which are never sent. At the end of the hour, a digest counts and lists them. The digest begins another such hour.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from worker.domain.counts import format_count
from worker.domain.model import Effect, EffectKind, EffectProgress, MailName
from worker.store import rows
from worker.store.database import Database
from worker.store.tables import outbox

ALERT_MAIL_NAME = MailName.OPERATOR_ALERT.value
#: The subject, in the outbox, of a mail to the operator.
OPERATOR_SUBJECT = "operator"
#: The number of the PostgreSQL advisory lock for alerts. No other lock of Longarc has this number.
_ADVISORY_LOCK = 7251891
#: For this long after a mail, no other mail of the same cause is sent.
MAIL_INTERVAL = timedelta(hours=1)
#: When an alert or a digest was first due. The column `due_at` changes with each attempt, and is empty at the end.
_ALERT_TIME = outbox.c.snapshot_at.label("alert_time")
#: How many different texts a digest shows at most.
MAX_SHOWN_TEXTS = 10
#: How many different texts a digest counts at most, to find the most frequent ones.
MAX_STORED_TEXTS = 100


def get_session_or_commitment_id(effect: Effect) -> str:
    """Return the id of the session or commitment that the effect is about; empty when it is about something else."""
    # other subjects are the pair, the reader of a personal mail, and the operator
    is_about_other_subject = effect.subject in (str(effect.pair), effect.to, OPERATOR_SUBJECT)
    return "" if is_about_other_subject else effect.subject


def add_alert(
    database: Database, connection: Connection, *, key: str, cause: str, text: str, now: datetime, operator: str
) -> bool:
    """Alert the operator by a mail, or by an entry in the digest of the cause.

    Return False, and do nothing, when an alert with this key exists.
    """
    if not database.is_sqlite:
        # without the lock, two processes might both find no mail of the cause, and each send one
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    same_key = select(outbox.c.id).where(outbox.c.key == f"{ALERT_MAIL_NAME}:{key}")
    if connection.execute(same_key).first():
        return False
    last_mail = _find_last_mail(connection, cause, now)
    alert = _build_alert(f"{ALERT_MAIL_NAME}:{key}", now, operator)
    # `words` is the text, and `mailed` tells an alert with a mail of its own from an alert that only a digest lists
    fields = {"words": text, "cause": cause}
    if last_mail is None:
        _insert_alert(database, connection, alert, {**fields, "mailed": True})
        return True
    _insert_alert(database, connection, alert, {**fields, "mailed": False}, is_sent=False)
    if _is_open_digest(last_mail, now):
        _add_to_digest(connection, last_mail, text)
        return True
    due_at = last_mail["alert_time"] + MAIL_INTERVAL
    digest = _build_alert(f"{ALERT_MAIL_NAME}:more:{key}", due_at, operator)
    _insert_alert(
        database,
        connection,
        digest,
        {"cause": cause, "mailed": True, **_build_digest_fields(Counter(), total=1, text=text)},
    )
    return True


def _find_last_mail(connection: Connection, cause: str, now: datetime) -> Mapping[str, Any] | None:
    """Return the newest mail of the cause that is less than an hour from `now`; None when there is none.

    A mail may be later than `now`: a digest that is not due yet, or an alert of a machine whose clock is ahead.
    """
    query = (
        select(outbox.c.id, _ALERT_TIME, outbox.c.progress, outbox.c.fields)
        .where(
            outbox.c.subject == OPERATOR_SUBJECT,
            outbox.c.name == ALERT_MAIL_NAME,
            # leaves out the alerts that are never sent, of which there may be thousands
            outbox.c.progress != EffectProgress.DROPPED.value,
            now - MAIL_INTERVAL < _ALERT_TIME,
            now + MAIL_INTERVAL >= _ALERT_TIME,
        )
        .order_by(_ALERT_TIME.desc(), outbox.c.id.desc())
        .with_for_update()  # the caller may update the fields of the digest
    )
    for row in connection.execute(query).mappings():
        if row["fields"].get("cause") == cause and row["fields"].get("mailed"):
            return dict(row)
    return None


def _is_open_digest(mail: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the mail is a digest that is not due yet, so that alerts can be added to it."""
    is_waiting = mail["progress"] == EffectProgress.WAITING.value and mail["alert_time"] > now
    return is_waiting and "listed" in mail["fields"]  # only digests have this field


def _add_to_digest(connection: Connection, digest: Mapping[str, Any], text: str) -> None:
    """Add an alert with this text to a digest that is not due yet."""
    counts = digest["fields"]["listed"]
    total = digest["fields"].get("total", len(counts)) + 1  # a digest of an older version has no total
    fields = {**digest["fields"], **_build_digest_fields(Counter(counts), total, text)}
    connection.execute(update(outbox).where(outbox.c.id == digest["id"]).values(fields=fields))


def _build_digest_fields(counts: Counter[str], total: int, text: str) -> dict[str, Any]:
    """Return the fields of a digest to which an alert with this text is added: its text, the counts and the total.

    `counts` has the number of alerts for each text, without the added alert. `total` is the number of all alerts,
    including the added one.
    """
    if text in counts or len(counts) < MAX_STORED_TEXTS:
        counts[text] += 1
    shown = counts.most_common(MAX_SHOWN_TEXTS)
    lines = [line if times == 1 else f"{times} times: {line}" for line, times in shown]
    unshown_count = total - sum(times for _, times in shown)
    heading = f"In the last hour {total:,} more of the same kind {'was' if total == 1 else 'were'} noticed:"
    ending = [f"And {format_count(unshown_count, 'other')}."] if unshown_count else []
    return {"words": "\n\n".join([heading, *lines, *ending]), "listed": dict(counts), "total": total}


def _build_alert(key: str, due_at: datetime, operator: str) -> Effect:
    """Return an alert that is due at this time.

    The time is also its `decided_at`, by which `_find_last_mail` finds the alert even after it was sent.
    """
    return Effect(
        key=key,
        kind=EffectKind.MAIL,
        pair=None,
        subject=OPERATOR_SUBJECT,
        due_at=due_at,
        decided_at=due_at,
        name=ALERT_MAIL_NAME,
        to=operator,
    )


def _insert_alert(
    database: Database, connection: Connection, alert: Effect, fields: Mapping[str, Any], *, is_sent: bool = True
) -> None:
    """Add an alert to the outbox. Unless `is_sent` is true, the alert is stored as dropped, and so is never sent."""
    row = {**rows.build_effect_row(alert), "fields": dict(fields)}
    if not is_sent:
        row.update(progress=EffectProgress.DROPPED.value, due_at=None)
    database.insert_new(connection, outbox, [row], ["key"])
