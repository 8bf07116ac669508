"""The outbox: the effects that were decided, their leases, and their results. The table is called `message`.

While an effect is leased, `due_at` is the end of its lease. So one index finds all due effects, and an effect whose
holder died is due again by itself.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, func, or_, select, update

from worker.domain.model import (
    LIVE_PROGRESS,
    UNRECORDED_MAILS,
    Address,
    Effect,
    EffectKind,
    EffectProgress,
    MailName,
    PlacedEvent,
    Settlement,
)
from worker.logs import Action
from worker.process_metrics import count_alert
from worker.seal import Seal
from worker.store import rows, tables
from worker.store.alerts import MAIL_NAME, get_session_id, raise_alert
from worker.store.channels import expect_echo
from worker.store.database import Database
from worker.store.history import append_history
from worker.store.learnings import delete_shown_learning
from worker.store.mail_limits import admit_mails, count_mails, list_reader_tags
from worker.store.mentions import release_mentions
from worker.store.parameters import bind_instant, in_bound_list, in_literals
from worker.store.plans import wake_pairs
from worker.store.restorations import Restoration, Restorations
from worker.store.statements import PreparedStatement

log = logging.getLogger(__name__)

#: How long a pair waits when its calendar has to be read before it is planned. A change that the reading finds makes
#: the pair due earlier.
REPLAN_AFTER_READING = timedelta(minutes=5)

outbox, event, pair, person = tables.outbox, tables.event, tables.pair, tables.person

_earlier = outbox.alias("earlier")
#: Changes of one event are performed in order: only the oldest can be claimed.
_HAS_EARLIER_CHANGE = exists().where(
    _earlier.c.subject == outbox.c.subject,
    _earlier.c.id < outbox.c.id,
    _earlier.c.what != EffectKind.MAIL.value,
    in_literals(_earlier.c.progress, sorted(p.value for p in LIVE_PROGRESS)),
)
_SELECT_DUE = (
    select(outbox)
    .where(outbox.c.due_at <= bind_instant("now"))
    .order_by(outbox.c.due_at, outbox.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True, of=outbox)
)
_IS_MAIL = outbox.c.what == EffectKind.MAIL.value
_DUE_EFFECTS = PreparedStatement(_SELECT_DUE.where(or_(_IS_MAIL, ~_HAS_EARLIER_CHANGE)))
_DUE_CHANGES_OF_CALENDARS = PreparedStatement(
    _SELECT_DUE.where(or_(and_(~_IS_MAIL, ~_HAS_EARLIER_CHANGE), outbox.c.name == MailName.INVITATION_WITHDRAWN.value))
)
_CLAIM = PreparedStatement(
    update(outbox)
    .where(in_bound_list(outbox.c.id, "ids"))
    .values(
        holder=bindparam("lease_holder"),
        due_at=bind_instant("until"),
        progress=case(
            (outbox.c.progress == EffectProgress.WAITING.value, EffectProgress.CLAIMED.value), else_=outbox.c.progress
        ),
    )
)
_BEGIN = PreparedStatement(
    update(outbox)
    .where(
        outbox.c.key == bindparam("effect_key"),
        outbox.c.holder == bindparam("lease_holder"),
        in_literals(outbox.c.progress, [EffectProgress.CLAIMED.value, EffectProgress.SENDING.value]),
    )
    .values(
        progress=EffectProgress.SENDING.value,
        attempts=outbox.c.attempts + 1,
        due_at=bind_instant("until"),
    )
)
_SETTLE = PreparedStatement(
    update(outbox)
    .where(outbox.c.key == bindparam("effect_key"), outbox.c.holder == bindparam("lease_holder"))
    .values(
        progress=bindparam("new_progress"),
        due_at=bind_instant("new_due_at"),
        problem=bindparam("new_problem"),
        holder=None,
    )
)
_MARK_GONE = PreparedStatement(update(event).where(event.c.key == bindparam("event_key")).values(gone=True))
#: Changes only an event that no longer has the etag which our write replaced: its calendar was read after the write.
_SAVE_WRITTEN_TIME = PreparedStatement(
    update(event)
    .where(event.c.key == bindparam("event_key"), or_(event.c.etag != bindparam("replaced_etag"), event.c.gone))
    .values(
        written_start=bind_instant("new_start"),
        written_end=bind_instant("new_end"),
        sequence=bindparam("new_sequence"),
    )
)
#: The mail service of an effect: its manager's, or for a mail to the operator the one in the settings.
_MAILER: Any = func.coalesce(person.c.mail, bindparam("operator_by"))
_MAIL_FAILURES = PreparedStatement(
    select(_MAILER.label("mailer"), func.count(), func.max(outbox.c.attempts), func.min(outbox.c.problem))
    .select_from(outbox.outerjoin(pair, pair.c.id == outbox.c.pair).outerjoin(person, person.c.email == pair.c.manager))
    .where(outbox.c.due_at.is_not(None), outbox.c.what == EffectKind.MAIL.value, outbox.c.problem.is_not(None))
    .group_by("mailer")
)


#: The progress of a mail that its reader has seen, or may have seen: what it shows once is not shown again.
_SHOWN_PROGRESS = frozenset({EffectProgress.DONE, EffectProgress.UNCERTAIN})


@dataclass(frozen=True, slots=True)
class MailFailures:
    """The mails of one service that failed and will be tried again."""

    mails: int
    attempts: int  #: of the mail that was tried most often
    problem: str  #: of one of them


class Doubt(StrEnum):
    """Whether an effect may have been performed before."""

    NONE = ""
    POSSIBLE = "possible"  #: it may have been performed before the database was restored: the service is asked
    UNKNOWN = "unknown"  #: an earlier holder began it and did not settle it, or it was due before the restoration


@dataclass(frozen=True, slots=True)
class ClaimedEffect:
    """An effect that this process has leased."""

    effect: Effect
    doubt: Doubt
    alert_text: str = ""  #: for a mail that alerts the operator


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectResult:
    """What is stored after an attempt to perform an effect."""

    effect: Effect
    settlement: Settlement
    began_at: datetime  #: when the attempt began
    problem: str = ""
    placed: PlacedEvent | None = None  #: the event as the calendar has it now
    replaced_etag: str = ""  #: the etag of the event before our write; empty for a new event
    removed_key: str = ""  #: the key of an event that was cancelled
    history_fields: Mapping[str, Any] | None = None  #: for the history line, when the effect is done
    needs_reread: bool = False  #: whether the calendar differs from the database, and is read before planning
    shown_learning: datetime | None = None  #: when the manager's sentence in this mail was written (R-35)


class OutboxRows:
    """Reads and writes the table `message`, and `event` after a write."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        self._logged_keys: set[str] = set()  #: of alerts that were logged because the settings name no operator

    def claim(
        self, now: datetime, holder: str, until: datetime, limit: int, *, calendars_only: bool = False
    ) -> list[ClaimedEffect]:
        """Lease up to `limit` due effects; of the changes of one event only the oldest, since their order matters.

        Mails that may not reach their reader today are not leased (T-16). With `calendars_only`, only changes of events
        and mails that withdraw an invitation are leased.
        """
        with self._database.write() as connection:
            due_effects = _DUE_CHANGES_OF_CALENDARS if calendars_only else _DUE_EFFECTS
            due_rows = due_effects.fetch_rows(connection, now=now, limit=limit)
            due_rows = admit_mails(self._database, self._seal, connection, due_rows, now)
            if due_rows:
                ids = [row["id"] for row in due_rows]
                _CLAIM.execute(connection, ids=ids, lease_holder=holder, until=until)
        restoration = Restorations(self._database).load(now) if due_rows else None
        return [
            ClaimedEffect(rows.read_effect(row), _find_doubt(row, restoration), row["fields"].get("words", ""))
            for row in due_rows
        ]

    def begin(self, key: str, holder: str, until: datetime) -> bool:
        """Store that the effect is about to be performed, and extend its lease. False when another holder has it."""
        with self._database.write() as connection:
            return bool(_BEGIN.execute(connection, effect_key=key, lease_holder=holder, until=until))

    def settle(self, result: EffectResult, holder: str, now: datetime) -> None:
        """Store the result of an attempt, unless another holder has the effect by now."""
        effect, settlement = result.effect, result.settlement
        with self._database.write() as connection:
            if not _settle_claimed(connection, result, holder):
                return
            if settlement.progress in _SHOWN_PROGRESS and effect.pair and result.shown_learning:
                delete_shown_learning(connection, effect.pair, result.shown_learning)
            if settlement.progress in (EffectProgress.DROPPED, EffectProgress.DEAD):
                release_mentions(connection, effect.key)
            has_written = result.placed or result.removed_key
            if settlement.progress is EffectProgress.DONE and has_written and effect.attempts <= 1:
                # Not after a later attempt, as an earlier one may have written the event. Before the event is locked: a
                # reading locks the calendar before its events, and a notification the channel before the calendar.
                expect_echo(connection, effect.calendar, result.began_at)
            has_newer_reading = self._save_event(connection, result)
            if settlement.progress is EffectProgress.DONE and effect.name not in UNRECORDED_MAILS:
                fields = result.history_fields or {}
                append_history(connection, [(now, effect.kind.value, effect.pair, get_session_id(effect), "", fields)])
            if effect.pair is None:
                return
            if has_newer_reading or (settlement.needs_replanning and not result.needs_reread):
                wake_pairs(connection, [effect.pair], now)
            elif settlement.needs_replanning:
                wake_pairs(connection, [effect.pair], now + REPLAN_AFTER_READING)

    def _save_event(self, connection: Connection, result: EffectResult) -> bool:
        """Store the event after our write. Returns True when the stored event is of a later reading of the calendar,
        and was kept: then the pair has to be planned."""
        if result.removed_key:
            _MARK_GONE.execute(connection, event_key=result.removed_key)
        if result.placed is None:
            return False
        if _keep_newer_reading(connection, result, result.placed):
            return True
        self._database.upsert(connection, event, [_build_event_row(result.effect, result.placed)])
        return False

    def alert(self, key: str, text: str, now: datetime, operator: str, cause: str = "") -> None:
        """Send the operator a mail, once for each key and at most one an hour for each cause; later alerts are counted.

        `cause` is by default the part of the key before the first colon. The text must not contain content. Without an
        operator in the settings, the alert is logged.
        """
        cause = cause or key.partition(":")[0]
        if not operator:
            if key not in self._logged_keys:
                count_alert(cause)
                log.error("%s", text, extra={"action": Action.OPERATOR_ALERT, "key": key})
            self._logged_keys.add(key)
            return
        with self._database.write() as connection:
            is_new = raise_alert(
                self._database, connection, key=key, cause=cause, text=text, now=now, operator=operator
            )
        if is_new:
            count_alert(cause)

    def add_mail(self, mail: Effect, **fields: str) -> None:
        """Add a mail that is not part of a plan, unless one with its key exists."""
        with self._database.write() as connection:
            row = {**rows.build_effect_row(mail), "fields": fields}
            self._database.insert_new(connection, outbox, [row], ["key"])

    def add_mails(self, connection: Connection, mails: Sequence[Effect]) -> None:
        """Add mails within a transaction, except for those whose key exists."""
        self._database.insert_new(connection, outbox, [rows.build_effect_row(mail) for mail in mails], ["key"])

    def add_unnamed_mail(self, connection: Connection, mail: Effect, reader: Address, day: date) -> None:
        """Add a mail whose row does not name its reader, within a transaction. It counts as one of that day (T-16)."""
        row = {**rows.build_effect_row(mail), "to": list_reader_tags(self._seal, reader, day)[0], "day": day}
        self._database.insert_new(connection, outbox, [row], ["key"])

    def count_mails(self, connection: Connection, reader: Address, day: date) -> int:
        """Count the limited mails of a reader's day, as far as they are decided (T-16)."""
        return count_mails(connection, self._seal, reader, day)

    def list_alerts(self, since: datetime) -> list[tuple[datetime, str]]:
        """Return the alerts since then, newest first: the time and the text, which never contains content."""
        is_alert = and_(outbox.c.name == MAIL_NAME, outbox.c.snapshot_at >= since)
        query = select(outbox.c.snapshot_at, outbox.c.fields).where(is_alert).order_by(outbox.c.id.desc()).limit(100)
        with self._database.read() as connection:  # `listed` marks the mails that only count other alerts
            alerts = [(row[0], row[1]["words"]) for row in connection.execute(query) if "listed" not in row[1]]
        return alerts[:50]

    def list_mails_of(self, person: Address) -> list[Effect]:
        """Return every mail to a person, in the order of their decision, without the mails in `UNRECORDED_MAILS`."""
        is_recorded = outbox.c.name.not_in([name.value for name in UNRECORDED_MAILS])
        query = select(*rows.EFFECT_COLUMNS).where(_IS_MAIL, outbox.c.to == person, is_recorded).order_by(outbox.c.id)
        with self._database.read() as connection:
            return [rows.read_effect(row) for row in connection.execute(query).mappings()]

    def list_subjects_of_dead_mails(self, name: str, subjects: Collection[str]) -> set[str]:
        """Return those of the subjects whose mail of that name was refused for good."""
        is_dead = outbox.c.progress == EffectProgress.DEAD.value
        query = select(outbox.c.subject).where(outbox.c.subject.in_(subjects), outbox.c.name == name, is_dead)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def list_folded_mails(self, keys: Sequence[str]) -> dict[str, list[Effect]]:
        """Return the mails that were folded into each of these overflow mails, in the order of their decision."""
        query = select(*rows.EFFECT_COLUMNS, outbox.c.told_in).where(outbox.c.told_in.in_(keys)).order_by(outbox.c.id)
        folded_mails: dict[str, list[Effect]] = {key: [] for key in keys}
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                folded_mails[row["told_in"]].append(rows.read_effect(row))
        return folded_mails

    def count_by_progress(self) -> dict[str, int]:
        """Count the effects by progress."""
        query = select(outbox.c.progress, func.count()).group_by(outbox.c.progress)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def load_mail_failures(self, operator_by: str) -> dict[str, MailFailures]:
        """Return the mails that will be tried again, by mail service. `operator_by` is the service of the operator."""
        with self._database.read() as connection:
            return {
                name: MailFailures(*rest)
                for name, *rest in _MAIL_FAILURES.fetch_tuples(connection, operator_by=operator_by)
            }

    def list_failing_effects(self) -> list[Mapping[str, Any]]:
        """Return the effects that need the operator's attention: uncertain, dead, or failed three times or more."""
        is_stuck = and_(outbox.c.progress == EffectProgress.WAITING.value, outbox.c.attempts >= 3)
        has_failed = outbox.c.progress.in_([EffectProgress.UNCERTAIN.value, EffectProgress.DEAD.value])
        is_recorded = outbox.c.name.not_in([name.value for name in UNRECORDED_MAILS])
        query = select(outbox).where(or_(has_failed, is_stuck), is_recorded).order_by(outbox.c.id.desc()).limit(50)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _find_doubt(row: Mapping[str, Any], restoration: Restoration | None) -> Doubt:
    if row["progress"] == EffectProgress.SENDING.value:
        return Doubt.UNKNOWN
    if restoration is None or row["what"] != EffectKind.MAIL.value:
        return Doubt.NONE
    if restoration.is_catching_up(row["snapshot_at"]):
        return Doubt.UNKNOWN
    return Doubt.POSSIBLE if restoration.is_searching(row["snapshot_at"]) else Doubt.NONE


def _settle_claimed(connection: Connection, result: EffectResult, holder: str) -> bool:
    """Store the outcome of the effect. Returns False when another holder has it by now."""
    updated = _SETTLE.execute(
        connection,
        effect_key=result.effect.key,
        lease_holder=holder,
        new_progress=result.settlement.progress.value,
        new_due_at=result.settlement.due_at,
        new_problem=result.problem or None,
    )
    return bool(updated)


def _build_event_row(effect: Effect, placed: PlacedEvent) -> dict[str, Any]:
    return {
        "key": placed.key,
        "subject": effect.subject,
        "pair": effect.pair,
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
        "proposed": rows.dump_spans(placed.proposed),
    }


def _keep_newer_reading(connection: Connection, result: EffectResult, placed: PlacedEvent) -> bool:
    """When the calendar was read after our write, keep the stored event and store only the time that we wrote. Returns
    whether that is so.

    So a change that somebody makes just after our write is not overwritten.
    """
    written = {"new_start": placed.written.start, "new_end": placed.written.end, "new_sequence": placed.sequence}
    return bool(
        _SAVE_WRITTEN_TIME.execute(connection, event_key=placed.key, replaced_etag=result.replaced_etag, **written)
    )
