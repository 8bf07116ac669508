"""Reads and writes sealed content, which is what the two people of a pair say to each other.

This module is about contracts and their drafts, the texts of commitments, the reasons for deferrals, why an ad hoc
session was requested, and the reason of each *access*, which is an operator's use of a command that shows or changes
content. Learnings, notes, handovers, third voices and the pulse have modules of their own.

Sealed means encrypted with a key that is not in the database. Texts are padded with spaces before they are sealed, so
that the length of a sealed value does not show the length of the text.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Column, Connection, bindparam, delete, select, update

from worker.domain.model import (
    AccessRecord,
    ContentAccess,
    Contract,
    Deferral,
    Owner,
    PairId,
    ReviewPoint,
    Session,
    Span,
    Trigger,
    WrittenCommitment,
)
from worker.errors import DraftChanged
from worker.seal import NoSeal, Seal
from worker.store import rows, tables
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement, Row

contract, contract_draft, commitment = tables.contract, tables.contract_draft, tables.commitment
session = tables.session
access, deferral, note = tables.access, tables.deferral, tables.note
#: Every column that holds ciphertext.
SEALED_COLUMNS = (
    contract.c.sealed, commitment.c.sealed, session.c.sealed, session.c.sealed_plan, contract_draft.c.sealed,
    deferral.c.sealed, access.c.sealed, tables.learning.c.sealed, note.c.sealed, tables.handover.c.sealed,
    tables.third_voice.c.sealed, tables.third_voice.c.sealed_answer,
    tables.pulse_round.c.sealed,
)  # fmt: skip

_INSERT_REVISION = PreparedStatement(contract.insert())
_REVISIONS = PreparedStatement(
    select(contract).where(contract.c.session == bindparam("session_id")).order_by(contract.c.revision)
)
_CONTRACTS = PreparedStatement(
    select(contract.c.pair, contract.c.session, contract.c.revision, contract.c.recorded_at, contract.c.sealed)
    .where(in_bound_list(contract.c.pair, "pairs"))
    .order_by(contract.c.recorded_at, contract.c.revision)
)
_WRITTEN_COMMITMENTS = PreparedStatement(
    select(commitment.c.id, commitment.c.sealed).where(in_bound_list(commitment.c.id, "commitments"))
)
_TRIGGER = PreparedStatement(select(session.c.sealed).where(session.c.id == bindparam("session_id")))
_SAVE_WRITTEN_COMMITMENT = PreparedStatement(
    update(commitment).where(commitment.c.id == bindparam("commitment_id")).values(sealed=bindparam("new_sealed"))
)
_ACCESSES = PreparedStatement(
    select(access)
    .where(
        in_bound_list(access.c.pair, "pairs"),
        access.c.at >= bind_instant("start"),
        access.c.at < bind_instant("end"),
    )
    .order_by(access.c.at, access.c.id)
)
_DEFERRAL_REASONS = PreparedStatement(
    select(deferral.c.session, deferral.c.number, deferral.c.sealed)
    .where(in_bound_list(deferral.c.session, "sessions"), deferral.c.sealed.is_not(None))
    .order_by(deferral.c.session, deferral.c.number)
)
_SAVE_DEFERRAL_REASON = PreparedStatement(
    update(deferral)
    .where(deferral.c.session == bindparam("session_id"), deferral.c.number == bindparam("deferral_number"))
    .values(sealed=bindparam("new_sealed"), explained_at=bind_instant("now"))
)
_SAVE_TRIGGER = PreparedStatement(
    update(session).where(session.c.id == bindparam("session_id")).values(sealed=bindparam("new_sealed"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRevision:
    """A stored revision of a contract."""

    session: str
    revision: int
    recorded_at: datetime
    contract: Contract
    #: who changed one commitment of the contract; None when the contract was recorded as a whole
    by: Owner | None = None
    reason: str = ""  #: why that person changed the commitment, in the person's words


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDraft:
    """A contract that is being written on the page."""

    version: int  #: grows with each save
    saved_at: datetime
    fields: Mapping[str, Any]  #: the fields of the form, by name


class Content:
    """Reads and writes the sealed columns."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    # --- writing; a method that takes a connection writes within the caller's transaction ---

    def save_contract(
        self,
        connection: Connection,
        pair: PairId,
        session_id: str,
        revision: int,
        contract_: Contract,
        now: datetime,
        change: tuple[Owner, str] | None = None,
    ) -> None:
        """Store a revision of a contract.

        `change` is given when somebody changed one commitment of the contract. It holds which of the two that was, and
        this person's reason (R-18).
        """
        row = {"session": session_id, "revision": revision, "pair": pair, "recorded_at": now}
        change_fields: dict[str, str] = {}
        if change:
            by, reason = change
            change_fields = {"by": by.value, "reason": reason}
        sealed = self._seal.seal_padded(json.dumps({**_dump_contract(contract_), **change_fields}))
        _INSERT_REVISION.execute(connection, **row, sealed=sealed)

    def save_written_commitment(
        self, connection: Connection, commitment_id: str, written: WrittenCommitment, reason: str = ""
    ) -> None:
        """Store the text of a commitment, and, when the commitment has ended, why it did."""
        sealed = self._seal.seal_padded(json.dumps({**_dump_written_commitment(written), "reason": reason}))
        _SAVE_WRITTEN_COMMITMENT.execute(connection, commitment_id=commitment_id, new_sealed=sealed)

    def save_trigger(
        self, connection: Connection, session_id: str, trigger: Trigger, reason: str, by: Owner = Owner.MANAGER
    ) -> None:
        """Store why an ad hoc session was requested, and by which of the two. Only the manager may read the reason."""
        sealed = self._seal.seal_padded(json.dumps({"trigger": trigger.value, "reason": reason, "by": by.value}))
        _SAVE_TRIGGER.execute(connection, session_id=session_id, new_sealed=sealed)

    def save_deferral_reason(self, connection: Connection, deferral_: Deferral, reason: str, now: datetime) -> None:
        """Store the report's reason for a deferral in place of an earlier one; an empty reason deletes it (R-18)."""
        _SAVE_DEFERRAL_REASON.execute(
            connection,
            session_id=deferral_.session,
            deferral_number=deferral_.number,
            new_sealed=self._seal.seal_padded(json.dumps(reason)) if reason else None,
            now=now if reason else None,
        )

    def save_contract_draft(
        self, session_id: str, fields: Mapping[str, Any], now: datetime, replaced_version: int | None = None
    ) -> int:
        """Store the draft of a contract. Return its new version.

        Raises DraftChanged when `replaced_version` is given, and the stored draft has another version.
        """
        sealed = self._seal.seal_padded(json.dumps(fields))
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                # two processes may store a first draft at once, when there is no row of a draft to lock; therefore the
                # row of the session is locked
                connection.execute(select(session.c.id).where(session.c.id == session_id).with_for_update())
            query = select(contract_draft.c.version).where(contract_draft.c.session == session_id)
            version = connection.execute(query).scalar() or 0
            if replaced_version is not None and replaced_version != version:
                raise DraftChanged
            row = {"session": session_id, "version": version + 1, "saved_at": now, "sealed": sealed}
            self._database.upsert(connection, contract_draft, [row])
        return version + 1

    def save_access(self, connection: Connection, record: AccessRecord) -> None:
        """Store that a command showed or changed content."""
        row = {"at": record.at, "pair": record.pair, "what": record.access.value, "on_behalf_of": record.on_behalf_of}
        connection.execute(access.insert(), {**row, "sealed": self._seal.seal_padded(json.dumps(record.reason))})

    def seal_ad_hoc_fields(self, session_: Session) -> bytes | None:
        """Return the value of the column `sealed_plan`: how soon an ad hoc session has to be, and why it has no time.

        Return None for a session that is closed or not ad hoc. Raises WrongKey when no key is set.
        """
        if not session_.adhoc or session_.is_closed:
            return None
        return self._seal.seal_padded(json.dumps(rows.dump_ad_hoc_fields(session_)))

    def delete_contract_draft(self, connection: Connection, session_id: str) -> None:
        """Delete the draft of a contract, because the contract was recorded or the draft is no longer wanted."""
        connection.execute(delete(contract_draft).where(contract_draft.c.session == session_id))

    # --- reading ---

    def open_ad_hoc_fields(self, sealed: bytes) -> Mapping[str, Any]:
        """Return the fields that `seal_ad_hoc_fields` sealed; an empty mapping when no key is set.

        Raises WrongKey when none of the keys fits.
        """
        if isinstance(self._seal, NoSeal):
            return {}
        fields: Mapping[str, Any] = json.loads(self._seal.unseal(sealed))
        return fields

    def list_accesses(self, pairs: Collection[PairId], period: Span) -> list[AccessRecord]:
        """Return the accesses to content of these pairs within a period, oldest first."""
        with self._database.read() as connection:
            access_rows = _ACCESSES.fetch_rows(connection, pairs=list(pairs), start=period.start, end=period.end)
        return [
            AccessRecord(
                pair=row["pair"],
                at=row["at"],
                access=ContentAccess(row["what"]),
                on_behalf_of=row["on_behalf_of"],
                reason=json.loads(self._seal.unseal(row["sealed"])),
            )
            for row in access_rows
        ]

    def get_contract_draft(self, session_id: str) -> ContractDraft | None:
        """Return the draft of a session's contract; None when there is none."""
        with self._database.read() as connection:
            query = select(contract_draft).where(contract_draft.c.session == session_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            return None
        fields = json.loads(self._seal.unseal(row["sealed"]))
        return ContractDraft(version=row["version"], saved_at=row["saved_at"], fields=fields)

    def list_revisions(self, session_id: str) -> list[ContractRevision]:
        """Return all revisions of a session's contract, oldest first."""
        with self._database.read_once() as connection:
            return [self._parse_revision(row) for row in _REVISIONS.fetch_rows(connection, session_id=session_id)]

    def get_latest_contracts(self, pairs: Collection[PairId]) -> dict[PairId, ContractRevision]:
        """Return the contract in force of each pair, which is the newest revision of its newest contract."""
        with self._database.read_once() as connection:
            # the rows are in order of time, so the last row of a pair stays in the mapping
            latest_rows = {row["pair"]: row for row in _CONTRACTS.fetch_rows(connection, pairs=list(pairs))}
        return {pair: self._parse_revision(row) for pair, row in latest_rows.items()}

    def get_written_commitments(self, commitments: Collection[str]) -> dict[str, WrittenCommitment]:
        """Return the texts of these commitments, by id. A commitment whose text was erased is left out."""
        with self._database.read_once() as connection:
            ids_and_sealed = _WRITTEN_COMMITMENTS.fetch_tuples(connection, commitments=list(commitments))
        return {
            commitment_id: _parse_written_commitment(json.loads(self._seal.unseal(sealed)))
            for commitment_id, sealed in ids_and_sealed
            if sealed
        }

    def read_written_commitment(self, connection: Connection, commitment_id: str) -> WrittenCommitment:
        """Return the text of a commitment within a transaction."""
        ((_, sealed),) = _WRITTEN_COMMITMENTS.fetch_tuples(connection, commitments=[commitment_id])
        return _parse_written_commitment(json.loads(self._seal.unseal(sealed)))

    def get_trigger(self, session_id: str) -> tuple[Trigger, str] | None:
        """Return why an ad hoc session was requested: the trigger and the reason. Only the manager may read them."""
        with self._database.read_once() as connection:
            sealed = _TRIGGER.fetch_value(connection, session_id=session_id)
        if sealed is None:
            return None
        fields = json.loads(self._seal.unseal(sealed))
        return Trigger(fields["trigger"]), fields["reason"]

    def load_deferral_reasons(self, sessions: Collection[str]) -> dict[str, dict[int, str]]:
        """Return the report's reasons for the deferrals of these sessions, by session and number of the deferral.

        Only the two of the pair may read them (R-18).
        """
        reasons: dict[str, dict[int, str]] = defaultdict(dict)
        with self._database.read_once() as connection:
            for session_id, number, sealed in _DEFERRAL_REASONS.fetch_tuples(connection, sessions=list(sessions)):
                reasons[session_id][number] = json.loads(self._seal.unseal(sealed))
        return reasons

    def get_requester(self, session_id: str) -> Owner:
        """Return which of the two requested an ad hoc session.

        Return the manager for a session of an older version, which did not store who requested it.
        """
        with self._database.read() as connection:
            sealed = connection.execute(select(session.c.sealed).where(session.c.id == session_id)).scalar()
        return Owner(json.loads(self._seal.unseal(sealed)).get("by", Owner.MANAGER)) if sealed else Owner.MANAGER

    def reseal_all(self) -> int:
        """Seal all content again and padded, with the first of the keys. Return the number of sealed values."""
        with self._database.write() as connection:
            return sum(reseal_column(connection, column, self._seal) for column in SEALED_COLUMNS)

    def _parse_revision(self, row: Row) -> ContractRevision:
        fields = json.loads(self._seal.unseal(row["sealed"]))
        return ContractRevision(
            session=row["session"],
            revision=row["revision"],
            recorded_at=row["recorded_at"],
            contract=_parse_contract(fields),
            by=Owner(fields["by"]) if fields.get("by") else None,
            reason=fields.get("reason", ""),
        )


def reseal_column(connection: Connection, column: Column[Any], seal: Seal) -> int:
    """Seal the values of a column again and padded, with the first of the keys. Return how many there are."""
    table = column.table
    key_columns = list(table.primary_key)
    # on PostgreSQL the rows are locked, so that a value which is written meanwhile is not overwritten
    query = select(*key_columns, column).where(column.is_not(None)).with_for_update()
    sealed_rows = connection.execute(query).all()
    for *key_values, sealed in sealed_rows:
        key_conditions = [key_column == value for key_column, value in zip(key_columns, key_values, strict=True)]
        change = update(table).where(*key_conditions).values({column.name: bindparam("resealed")})
        text = seal.unseal(sealed).rstrip(" ")  # without the padding
        connection.execute(change, {"resealed": seal.seal_padded(text)})
    return len(sealed_rows)


def _dump_written_commitment(written: WrittenCommitment) -> dict[str, Any]:
    due = written.due.isoformat() if written.due else None
    return {"text": written.text, "due": due, "support": written.support, "success": written.success}


def _parse_written_commitment(fields: Mapping[str, Any]) -> WrittenCommitment:
    due = date.fromisoformat(fields["due"]) if fields["due"] else None
    return WrittenCommitment(text=fields["text"], due=due, support=fields["support"], success=fields["success"])


def _dump_contract(contract_: Contract) -> dict[str, Any]:
    return {
        "report": [_dump_written_commitment(written) for written in contract_.report],
        "manager": [_dump_written_commitment(written) for written in contract_.manager],
        "reviews": [{"month": review.month.isoformat(), "text": review.text} for review in contract_.reviews],
        "question": contract_.question,
        "progress": list(contract_.progress),
    }


def _parse_contract(fields: Mapping[str, Any]) -> Contract:
    reviews = [(date.fromisoformat(review["month"]), review["text"]) for review in fields["reviews"]]
    return Contract(
        report=tuple(_parse_written_commitment(written) for written in fields["report"]),
        manager=tuple(_parse_written_commitment(written) for written in fields["manager"]),
        reviews=tuple(ReviewPoint(month=month, text=text) for month, text in reviews),
        question=fields["question"],
        progress=tuple(fields["progress"]),
    )
