"""The outbox: effects that were decided (changes of events, and mails), their leases, and their results.

A process leases a due effect, performs it, and settles it, which means that the process stores the result. While an
effect is leased, its `due_at` is the end of the lease. So one index finds all due effects, and an effect whose holder
has died becomes due again.

The table in the database is called `message`.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, exists, func, or_, select, update

from worker.domain.model import (
    PENDING_PROGRESS,
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
from worker.store.alerts import ALERT_MAIL_NAME, add_alert, get_session_or_commitment_id
from worker.store.channels import expect_echo
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.learnings import delete_shown_learning
from worker.store.mail_limits import admit_mails, count_mails, list_reader_tags
from worker.store.mentions import release_mentions
from worker.store.parameters import bind_instant, in_bound_list, in_fixed_values
from worker.store.plans import wake_pairs
from worker.store.restorations import Restoration, Restorations
from worker.store.statements import PreparedStatement

log = logging.getLogger(__name__)

#: How long a pair waits to be planned when its calendar has to be read first. If the reading finds a change, the pair
#: becomes due earlier.
REPLAN_AFTER_READING = timedelta(minutes=5)

outbox, event, pair, person = tables.outbox, tables.event, tables.pair, tables.person

_earlier = outbox.alias("earlier")
#: The condition that an older change of the same event is not finished. Changes of one event are performed in order.
_HAS_EARLIER_CHANGE = exists().where(
    _earlier.c.subject == outbox.c.subject,
    _earlier.c.id < outbox.c.id,
    _earlier.c.what != EffectKind.MAIL.value,
    in_fixed_values(_earlier.c.progress, sorted(progress.value for progress in PENDING_PROGRESS)),
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
#: For an undo: a mail that withdraws an invitation is among these, because it takes an event off a guest's calendar.
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
        in_fixed_values(outbox.c.progress, [EffectProgress.CLAIMED.value, EffectProgress.SENDING.value]),
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
#: Stores the time that we wrote, provided that the calendar was read after our write. Then the stored event no longer
#: has the etag that our write replaced, or is gone.
_SAVE_WRITTEN_TIME = PreparedStatement(
    update(event)
    .where(event.c.key == bindparam("event_key"), or_(event.c.etag != bindparam("replaced_etag"), event.c.gone))
    .values(
        written_start=bind_instant("new_start"),
        written_end=bind_instant("new_end"),
        sequence=bindparam("new_sequence"),
    )
)
#: The name of the mail service that sends an effect: the manager's service, or `operator_service` for a mail to the
#: operator.
_MAIL_SERVICE: Any = func.coalesce(person.c.mail, bindparam("operator_service"))
_MAIL_FAILURES = PreparedStatement(
    select(_MAIL_SERVICE.label("mail_service"), func.count(), func.max(outbox.c.attempts), func.min(outbox.c.problem))
    .select_from(outbox.outerjoin(pair, pair.c.id == outbox.c.pair).outerjoin(person, person.c.email == pair.c.manager))
    .where(outbox.c.due_at.is_not(None), outbox.c.what == EffectKind.MAIL.value, outbox.c.problem.is_not(None))
    .group_by("mail_service")
)

#: How often an effect has to fail before it needs the operator's attention.
_STUCK_ATTEMPTS = 3
#: How many alerts are listed at most.
_MAX_LISTED_ALERTS = 50
#: How many effects that need the operator's attention are listed at most.
_MAX_LISTED_EFFECTS = 50
#: The progress of a mail that its reader has seen, or may have seen.
_SHOWN_PROGRESS = frozenset({EffectProgress.DONE, EffectProgress.UNCERTAIN})


@dataclass(frozen=True, slots=True)
class MailFailures:
    """How many mails of one service failed and will be tried again."""

    mails: int  #: number of mails
    attempts: int  #: the largest number of attempts that one of these mails had so far
    problem: str  #: the problem of one of these mails


class Doubt(StrEnum):
    """Why an effect may have been performed already, although that is not stored."""

    NONE = ""  #: nothing suggests that the effect was performed
    #: The mail was decided within 14 days (`restorations.SEARCH_PERIOD`) after the database was restored, and may have
    #: been sent before the restoration. The mail service is asked.
    POSSIBLE = "possible"
    #: An earlier holder began the effect and did not settle it. This is also assumed of a mail that was due when the
    #: database was restored, or was decided within two hours after that (`restorations.CATCH_UP`).
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ClaimedEffect:
    """An effect that this process has leased."""

    effect: Effect
    doubt: Doubt
    alert_text: str = ""  #: the text of a mail that alerts the operator; empty for other effects


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectResult:
    """The result of an attempt to perform an effect, which is to be stored."""

    effect: Effect
    settlement: Settlement
    began_at: datetime  #: when the attempt began
    problem: str = ""  #: why the attempt failed, without content
    placed: PlacedEvent | None = None  #: the event as the calendar has it now
    replaced_etag: str = ""  #: the etag of the event before our write; empty for a new event
    removed_key: str = ""  #: the key of an event that was cancelled
    history_fields: Mapping[str, Any] | None = None  #: the fields of the history line about an effect that is done
    #: whether the calendar differs from the database, so that the calendar has to be read before the pair is planned
    needs_reread: bool = False
    shown_learning_written_at: datetime | None = (
        None  #: when the manager wrote the sentence that this mail shows (R-35)
    )


class OutboxRows:
    """Reads and writes the table `message`, and `event` after a write."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal
        #: the keys of the alerts that were logged, because the settings name no operator
        self._logged_keys: set[str] = set()

    def claim(
        self, now: datetime, holder: str, until: datetime, limit: int, *, calendars_only: bool = False
    ) -> list[ClaimedEffect]:
        """Lease up to `limit` due effects.

        Of the changes of one event, only the oldest is leased, since their order matters. Mails are not leased outside
        their reader's working hours, or beyond the reader's daily limit (T-16). With `calendars_only`, only changes of
        events and mails that withdraw an invitation are leased.
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
        """Store that the effect is about to be performed, and extend its lease until `until`.

        Return False when another holder has the lease.
        """
        with self._database.write() as connection:
            return bool(_BEGIN.execute(connection, effect_key=key, lease_holder=holder, until=until))

    def settle(self, result: EffectResult, holder: str, now: datetime) -> None:
        """Store the result of an attempt, and what follows from it. Store nothing when another holder has the lease."""
        effect, settlement = result.effect, result.settlement
        with self._database.write() as connection:
            if not _settle_claimed(connection, result, holder):
                return
            if settlement.progress in _SHOWN_PROGRESS and effect.pair and result.shown_learning_written_at:
                delete_shown_learning(connection, effect.pair, result.shown_learning_written_at)
            if settlement.progress in (EffectProgress.DROPPED, EffectProgress.DEAD):
                release_mentions(connection, effect.key)
            has_written = result.placed or result.removed_key
            if settlement.progress is EffectProgress.DONE and has_written and effect.attempts <= 1:
                # An echo is the notification of our own write. After a second attempt it may never come, because the
                # first attempt may have written the event already. The channel is locked before the event, because
                # notifications and readings lock channel, calendar and events in this order.
                expect_echo(connection, effect.calendar, result.began_at)
            has_newer_reading = self._save_event(connection, result)
            if settlement.progress is EffectProgress.DONE and effect.name not in UNRECORDED_MAILS:
                line = HistoryLine(
                    at=now,
                    what=effect.kind.value,
                    pair=effect.pair,
                    session=get_session_or_commitment_id(effect),
                    fields=result.history_fields or {},
                )
                append_history(connection, [line])
            if effect.pair is None:
                return
            if has_newer_reading or (settlement.needs_replanning and not result.needs_reread):
                wake_pairs(connection, [effect.pair], now)
            elif settlement.needs_replanning:
                wake_pairs(connection, [effect.pair], now + REPLAN_AFTER_READING)

    def _save_event(self, connection: Connection, result: EffectResult) -> bool:
        """Store the event as our write left it.

        Return True when the database has a newer reading of the event. That reading is kept, and the pair has to be
        planned.
        """
        if result.removed_key:
            _MARK_GONE.execute(connection, event_key=result.removed_key)
        if result.placed is None:
            return False
        if _keep_newer_reading(connection, result, result.placed):
            return True
        self._database.upsert(connection, event, [_build_event_row(result.effect, result.placed)])
        return False

    def alert(self, key: str, text: str, now: datetime, operator: str, cause: str = "") -> None:
        """Alert the operator, once for each key: see `worker.store.alerts`.

        Within a cause, at most one mail an hour is sent. By default the cause is the part of the key before the first
        colon. The text must not contain content. When the settings name no operator, the alert is logged instead.
        """
        cause = cause or key.partition(":")[0]
        if not operator:
            if key not in self._logged_keys:
                count_alert(cause)
                log.error("%s", text, extra={"action": Action.OPERATOR_ALERT, "key": key})
            self._logged_keys.add(key)
            return
        with self._database.write() as connection:
            is_new = add_alert(self._database, connection, key=key, cause=cause, text=text, now=now, operator=operator)
        if is_new:
            count_alert(cause)

    def add_mail(self, mail: Effect) -> None:
        """Add a mail that is not part of a plan, unless a mail with its key exists."""
        with self._database.write() as connection:
            self.add_mails(connection, [mail])

    def add_mails(self, connection: Connection, mails: Sequence[Effect]) -> None:
        """Add mails within a transaction, except for mails whose key exists."""
        self._database.insert_new(connection, outbox, [rows.build_effect_row(mail) for mail in mails], ["key"])

    def add_unnamed_mail(self, connection: Connection, mail: Effect, reader: Address, day: date) -> None:
        """Add a mail whose row does not name its reader, within a transaction.

        The mail counts for the reader's limit on `day` (T-16).
        """
        newest_tag, *_ = list_reader_tags(self._seal, reader, day)
        row = {**rows.build_effect_row(mail), "to": newest_tag, "day": day}
        self._database.insert_new(connection, outbox, [row], ["key"])

    def count_mails(self, connection: Connection, reader: Address, day: date) -> int:
        """Return how many mails count for a reader's limit on this day (T-16), sent or yet to be sent."""
        return count_mails(connection, self._seal, reader, day)

    def list_alerts(self, since: datetime) -> list[tuple[datetime, str]]:
        """Return the newest alerts since `since`, each with its time and its text, which never contains content.

        The time of an alert is its `snapshot_at`: when it was first due.
        """
        is_alert = and_(outbox.c.name == ALERT_MAIL_NAME, outbox.c.snapshot_at >= since)
        # load twice as many as are returned, since digests are left out below
        limit = 2 * _MAX_LISTED_ALERTS
        query = select(outbox.c.snapshot_at, outbox.c.fields).where(is_alert).order_by(outbox.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            alert_rows = connection.execute(query).all()
        # only digests, which are mails that list other alerts, have the field `listed`
        alerts = [(time, fields["words"]) for time, fields in alert_rows if "listed" not in fields]
        return alerts[:_MAX_LISTED_ALERTS]

    def list_mails_of(self, reader: Address) -> list[Effect]:
        """Return every mail to a reader, in the order in which the mails were decided.

        The mails in `UNRECORDED_MAILS`, of which the operator must not know, are left out.
        """
        is_recorded = outbox.c.name.not_in([name.value for name in UNRECORDED_MAILS])
        query = select(*rows.EFFECT_COLUMNS).where(_IS_MAIL, outbox.c.to == reader, is_recorded).order_by(outbox.c.id)
        with self._database.read() as connection:
            return [rows.read_effect(row) for row in connection.execute(query).mappings()]

    def list_subjects_of_dead_mails(self, name: str, subjects: Collection[str]) -> set[str]:
        """Return the subjects among these about which a mail of this name was refused permanently."""
        is_dead = outbox.c.progress == EffectProgress.DEAD.value
        query = select(outbox.c.subject).where(outbox.c.subject.in_(subjects), outbox.c.name == name, is_dead)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def list_folded_mails(self, keys: Sequence[str]) -> dict[str, list[Effect]]:
        """Return the mails that were folded into overflow mails, by the key of the overflow mail.

        A folded mail is not sent: a line of the overflow mail tells about it. The mails are in the order in which they
        were decided.
        """
        query = select(*rows.EFFECT_COLUMNS, outbox.c.told_in).where(outbox.c.told_in.in_(keys)).order_by(outbox.c.id)
        folded_mails: dict[str, list[Effect]] = {key: [] for key in keys}
        with self._database.read() as connection:
            for row in connection.execute(query).mappings():
                folded_mails[row["told_in"]].append(rows.read_effect(row))
        return folded_mails

    def count_by_progress(self) -> dict[str, int]:
        """Return the number of effects by progress."""
        query = select(outbox.c.progress, func.count()).group_by(outbox.c.progress)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def load_mail_failures(self, operator_service: str) -> dict[str, MailFailures]:
        """Return the mails that failed and will be tried again, counted by mail service.

        `operator_service` is the name of the service that sends mails to the operator.
        """
        with self._database.read() as connection:
            failure_rows = _MAIL_FAILURES.fetch_tuples(connection, operator_service=operator_service)
        return {service: MailFailures(*counts) for service, *counts in failure_rows}

    def list_failing_effects(self) -> list[Mapping[str, Any]]:
        """Return the rows of the effects that need the operator's attention, newest first.

        Such an effect is uncertain, dead, or waiting after `_STUCK_ATTEMPTS` failed attempts or more.
        """
        is_stuck = and_(outbox.c.progress == EffectProgress.WAITING.value, outbox.c.attempts >= _STUCK_ATTEMPTS)
        has_failed = outbox.c.progress.in_([EffectProgress.UNCERTAIN.value, EffectProgress.DEAD.value])
        is_recorded = outbox.c.name.not_in([name.value for name in UNRECORDED_MAILS])
        query = select(outbox).where(or_(has_failed, is_stuck), is_recorded).order_by(outbox.c.id.desc())
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(query.limit(_MAX_LISTED_EFFECTS)).mappings()]


def _find_doubt(row: Mapping[str, Any], restoration: Restoration | None) -> Doubt:
    """Return why the effect of a claimed row may have been performed already; `Doubt.NONE` if nothing suggests that."""
    if row["progress"] == EffectProgress.SENDING.value:
        return Doubt.UNKNOWN
    if restoration is None or row["what"] != EffectKind.MAIL.value:
        return Doubt.NONE
    if restoration.is_catching_up(row["snapshot_at"]):
        return Doubt.UNKNOWN
    return Doubt.POSSIBLE if restoration.is_searching(row["snapshot_at"]) else Doubt.NONE


def _settle_claimed(connection: Connection, result: EffectResult, holder: str) -> bool:
    """Store the progress of the effect after an attempt. Return False when another holder has the lease."""
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
        "written_start": placed.written_span.start,
        "written_end": placed.written_span.end,
        "sequence": placed.sequence,
        "gone": placed.is_gone,
        "answers": {address: answer.value for address, answer in placed.answers.items()},
        "proposed": rows.dump_spans(placed.proposed),
    }


def _keep_newer_reading(connection: Connection, result: EffectResult, placed: PlacedEvent) -> bool:
    """If the calendar was read after our write, keep that reading, and store only the time that we wrote.

    Return whether the reading was kept. A change that somebody makes just after our write is therefore not overwritten.
    """
    span = placed.written_span
    written = {"new_start": span.start, "new_end": span.end, "new_sequence": placed.sequence}
    return bool(
        _SAVE_WRITTEN_TIME.execute(connection, event_key=placed.key, replaced_etag=result.replaced_etag, **written)
    )
