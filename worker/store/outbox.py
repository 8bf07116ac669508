"""The outbox: effects that were decided, who performs each, and how it ended.

A message that is in somebody's hands carries the end of that lease in `due_at`; so "due" is one question to one
index, and a message whose holder died is due again by itself.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, func, or_, select, update

from worker.domain.model import LIVE_PROGRESS, Effect, EffectKind, EffectProgress, PlacedEvent, Settlement
from worker.store import rows, tables
from worker.store.alerts import MAIL_NAME, raise_alert
from worker.store.database import Database
from worker.store.history import append_history
from worker.store.plans import wake_pairs
from worker.store.statements import PreparedStatement
from worker.store.tables import bind_instant, in_bound_list, in_literals

log = logging.getLogger(__name__)

#: Reading the calendar wakes the pair by itself when it tells anything; else it is planned again after so long.
REPLAN_AFTER_READING = timedelta(minutes=5)

message, event, pair, person = tables.message, tables.event, tables.pair, tables.person

_earlier = message.alias("earlier")
#: Of the changes of one event only the oldest is ever in somebody's hands.
_HAS_EARLIER_CHANGE = exists().where(
    _earlier.c.subject == message.c.subject,
    _earlier.c.id < message.c.id,
    _earlier.c.what != EffectKind.MAIL.value,
    in_literals(_earlier.c.progress, sorted(p.value for p in LIVE_PROGRESS)),
)
_DUE_EFFECTS = PreparedStatement(
    select(message)
    .where(message.c.due_at <= bind_instant("now"), or_(message.c.what == EffectKind.MAIL.value, ~_HAS_EARLIER_CHANGE))
    .order_by(message.c.due_at, message.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=message)
)
_CLAIM = PreparedStatement(
    update(message)
    .where(in_bound_list(message.c.id, "ids"))
    .values(
        holder=bindparam("me"),
        due_at=bind_instant("until"),
        progress=case(
            (message.c.progress == EffectProgress.WAITING.value, EffectProgress.CLAIMED.value), else_=message.c.progress
        ),
    )
)
_BEGIN = PreparedStatement(
    update(message)
    .where(
        message.c.key == bindparam("named"),
        message.c.holder == bindparam("me"),
        in_literals(message.c.progress, [EffectProgress.CLAIMED.value, EffectProgress.SENDING.value]),
    )
    .values(
        progress=EffectProgress.SENDING.value,
        attempts=message.c.attempts + 1,
        due_at=bind_instant("until"),
    )
)
_SETTLE = PreparedStatement(
    update(message)
    .where(message.c.key == bindparam("named"), message.c.holder == bindparam("me"))
    .values(
        progress=bindparam("to_progress"),
        due_at=bind_instant("to_due_at"),
        problem=bindparam("to_problem"),
        holder=None,
    )
)
_MARK_GONE = PreparedStatement(update(event).where(event.c.key == bindparam("named")).values(gone=True))
_SAVE_WRITTEN_TIME = PreparedStatement(
    update(event)
    .where(event.c.key == bindparam("named"), or_(event.c.etag != bindparam("over"), event.c.gone))
    .values(
        written_start=bind_instant("begins"),
        written_end=bind_instant("ends"),
        sequence=bindparam("revision"),
    )
)
_MAILER: Any = func.coalesce(person.c.mail, bindparam("operator_by"))
_MAIL_FAILURES = PreparedStatement(
    select(_MAILER.label("mailer"), func.count(), func.max(message.c.attempts), func.min(message.c.problem))
    .select_from(
        message.outerjoin(pair, pair.c.id == message.c.pair).outerjoin(person, person.c.email == pair.c.manager)
    )
    .where(message.c.due_at.is_not(None), message.c.what == EffectKind.MAIL.value, message.c.problem.is_not(None))
    .group_by("mailer")
)


@dataclass(frozen=True, slots=True)
class MailFailures:
    """Of one mail service: how many mails failed and are tried again, how often the worst was tried, and why."""

    mails: int
    attempts: int
    problem: str


@dataclass(frozen=True, slots=True)
class ClaimedEffect:
    """An effect under our lease. `is_outcome_unknown` when an earlier holder began it and never settled it."""

    effect: Effect
    is_outcome_unknown: bool
    alert_text: str = ""  #: of an operator's alert


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectResult:
    """All that is written when an attempt is over."""

    effect: Effect
    settlement: Settlement
    problem: str = ""
    placed: PlacedEvent | None = None  #: the event as it stands now
    replaced_etag: str = ""  #: the etag of what stood there when it was written; empty when there was nothing
    removed_key: str = ""  #: key of an event that stands no more
    history_fields: Mapping[str, Any] | None = None  #: for the history, when it was done
    needs_reread: bool = False  #: the calendar is not what we thought: planning waits until it was read again


class OutboxRows:
    """The table `message`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logged: set[str] = set()  #: alerts that the log was told, where there is no operator

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[ClaimedEffect]:
        """Take due effects under a lease. Of the changes of one event only the oldest: they go out in order."""
        with self._database.write() as connection:
            found = _DUE_EFFECTS.fetch_rows(connection, now=now, limit=limit)
            if found:
                ids = [row["id"] for row in found]
                _CLAIM.execute(connection, ids=ids, me=holder, until=until)
        return [
            ClaimedEffect(
                rows.message(row), row["progress"] == EffectProgress.SENDING.value, row["fields"].get("words", "")
            )
            for row in found
        ]

    def begin(self, key: str, holder: str, until: datetime) -> bool:
        """Record that the effect is about to be performed, and extend its lease. False when another holder has it."""
        with self._database.write() as connection:
            return bool(_BEGIN.execute(connection, named=key, me=holder, until=until))

    def settle(self, result: EffectResult, holder: str, now: datetime) -> None:
        """Store everything that follows from an attempt; nothing when another holder has the effect by now."""
        effect, settlement = result.effect, result.settlement
        with self._database.write() as connection:
            if not _settle_claimed(connection, result, holder):
                return
            has_newer_reading = self._save_event(connection, result)
            if settlement.progress is EffectProgress.DONE:
                fields = result.history_fields or {}
                append_history(connection, [(now, effect.kind.value, effect.pair, _get_session_id(effect), "", fields)])
            if effect.pair is None:
                return
            if has_newer_reading or (settlement.replan and not result.needs_reread):
                wake_pairs(connection, [effect.pair], now)
            elif settlement.replan:
                wake_pairs(connection, [effect.pair], now + REPLAN_AFTER_READING)

    def _save_event(self, connection: Connection, result: EffectResult) -> bool:
        """Store where the event stands. True when a newer reading of the calendar was kept: planning needs it."""
        if result.removed_key:
            _MARK_GONE.execute(connection, named=result.removed_key)
        if result.placed is None:
            return False
        if _keep_newer_reading(connection, result, result.placed):
            return True
        self._database.upsert(connection, event, [_build_event_row(result.effect, result.placed)])
        return False

    def alert(self, key: str, words: str, now: datetime, operator: str, cause: str = "") -> None:
        """Tell the operator something, once by that key; of one cause at most once an hour, with a count of the others.

        `cause` is what stands before the first colon of the key unless it is given. The words hold no content of a
        conversation. With no operator set, the log is told, and `longarc status` shows what is in trouble.
        """
        if not operator:
            if key not in self._logged:
                log.error("%s", words, extra={"action": MAIL_NAME, "key": key})
            self._logged.add(key)
            return
        cause = cause or key.partition(":")[0]
        with self._database.write() as connection:
            raise_alert(self._database, connection, key=key, cause=cause, words=words, now=now, operator=operator)

    def add_mail(self, one: Effect, **fields: str) -> None:
        """Add a mail that no plan decided, unless one with its key exists."""
        with self._database.write() as connection:
            row = {**rows.message_row(one), "fields": fields}
            self._database.insert_new(connection, message, [row], ["key"])

    def add_mails(self, connection: Connection, some: Sequence[Effect]) -> None:
        """The same for several, within a transaction that is under way."""
        self._database.insert_new(connection, message, [rows.message_row(one) for one in some], ["key"])

    def list_alerts(self, since: datetime) -> list[tuple[datetime, str]]:
        """What the operator was told since then, newest first. The words hold no content of a conversation."""
        told = and_(message.c.name == MAIL_NAME, message.c.snapshot_at >= since)
        query = select(message.c.snapshot_at, message.c.fields).where(told).order_by(message.c.id.desc()).limit(100)
        with self._database.read() as connection:  # what only counts others is left out
            each = [(row[0], row[1]["words"]) for row in connection.execute(query) if "listed" not in row[1]]
        return each[:50]

    def count_by_progress(self) -> dict[str, int]:
        """How many messages stand where."""
        query = select(message.c.progress, func.count()).group_by(message.c.progress)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def load_mail_failures(self, operator_by: str) -> dict[str, MailFailures]:
        """The mails that failed and are tried again, by mail service; `operator_by` is the one of the operator."""
        with self._database.read() as connection:
            return {
                name: MailFailures(*rest)
                for name, *rest in _MAIL_FAILURES.fetch_tuples(connection, operator_by=operator_by)
            }

    def list_troubled(self) -> list[Mapping[str, Any]]:
        """Messages a human should know of: uncertain, refused, or tried again and again."""
        stuck = and_(message.c.progress == EffectProgress.WAITING.value, message.c.attempts >= 3)
        ended = message.c.progress.in_([EffectProgress.UNCERTAIN.value, EffectProgress.DEAD.value])
        query = select(message).where(or_(ended, stuck)).order_by(message.c.id.desc()).limit(50)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _settle_claimed(connection: Connection, result: EffectResult, holder: str) -> bool:
    """Store how the effect ended. False when another holder has it by now."""
    updated = _SETTLE.execute(
        connection,
        named=result.effect.key,
        me=holder,
        to_progress=result.settlement.progress.value,
        to_due_at=result.settlement.due_at,
        to_problem=result.problem or None,
    )
    return bool(updated)


def _build_event_row(one: Effect, placed: PlacedEvent) -> dict[str, Any]:
    return {
        "key": placed.key,
        "subject": one.subject,
        "pair": one.pair,
        "calendar": placed.ref.calendar,
        "provider_id": placed.ref.id,
        "etag": placed.ref.etag,
        "start": placed.span.start,
        "end": placed.span.end,
        "written_start": placed.written.start,
        "written_end": placed.written.end,
        "sequence": placed.sequence,
        "gone": placed.gone,
        "answers": {who: answer.value for who, answer in placed.answers.items()},
        "proposed": rows.spans_by(placed.proposed),
    }


def _keep_newer_reading(connection: Connection, ending: EffectResult, placed: PlacedEvent) -> bool:
    """When a reading of the calendar has told more of the event than our own write knows, only what we wrote is noted.

    So what a human did to it in the moment between the two is not forgotten.
    """
    ours = {"begins": placed.written.start, "ends": placed.written.end, "revision": placed.sequence}
    newer = {"named": placed.key, "over": ending.replaced_etag}
    return bool(_SAVE_WRITTEN_TIME.execute(connection, **newer, **ours))


def _get_session_id(one: Effect) -> str:
    return one.subject if one.subject not in (str(one.pair), "operator") else ""
