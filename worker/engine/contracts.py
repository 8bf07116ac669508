"""The one way to record a contract and to change it, for the page, the command, the simulation and the demo alike.

Each method reads the pair while nobody else may change it, decides purely, and writes in one transaction. Callers read
what a person wrote, and word what comes back for their reader. Content is never in an error's text or a log (R-23).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.contract.check import (
    ContractCheck,
    ContractFault,
    FaultKind,
    TextLimits,
    UnfitContract,
    check_contract,
    compute_allowed_days,
    compute_allowed_days_after,
    find_faults,
)
from worker.domain.contract.languages import ContractPart
from worker.domain.contract.revisions import (
    CommitmentChange,
    compare_contracts,
    plan_revision,
    replace_commitment,
)
from worker.domain.model import (
    AccessRecord,
    Address,
    Commitment,
    CommitmentStanding,
    ContentAccess,
    Contract,
    Effect,
    EffectKind,
    MailName,
    Owner,
    PairId,
    Session,
    WrittenCommitment,
)
from worker.domain.planning import actions
from worker.domain.planning.notices import ACCESS_MAIL_PERIOD
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import get_local_date
from worker.engine.actions import Actions, Write
from worker.errors import Overtaken, Refused, UnknownName
from worker.store import history
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """For which of the two a command shows or changes what they wrote down, and why."""

    access: ContentAccess
    person: Address
    reason: str


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The newest revision after recording; `is_new` is False when it says just what was to be recorded."""

    revision: int
    is_new: bool


class Contracts:
    """Records contracts and what becomes of their commitments."""

    def __init__(self, store: Store, clock: Clock, acts: Actions) -> None:
        self._store = store
        self._clock = clock
        self._acts = acts

    def check(self, session_id: str, contract: Contract) -> ContractCheck:
        """What keeps the contract from being recorded for that session, and what to ask first. Raises UnknownName."""
        pair = self._store.queries.get_pair_id(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}.")
        manager = self._store.people.load_all_people()[pair.manager]
        return check_contract(contract, manager, self._clock(), self._revisions(session_id))

    def record(
        self,
        session_id: str,
        contract: Contract,
        *,
        after: int | None = None,
        limits: TextLimits | None = None,
        drop_draft: bool = False,
        on_behalf: OnBehalf | None = None,
    ) -> RecordResult:
        """Record a contract, or a new revision of it. The summary leaves for both with the next tick.

        What says the same as the newest revision is that revision: nobody is written to again. With `after`, it is
        recorded only when that is the newest revision (0: there is none). `drop_draft` ends the draft of the page.
        `on_behalf` is noted, and told to both, when something new was recorded. Raises UnknownName, Overtaken,
        UnfitContract, NoContractSession, NotHeldYet, LeaseLost.
        """
        results: list[RecordResult] = []

        def act(p: PlanBuilder, session: Session) -> Write | None:
            drop = self._drop_draft(session) if drop_draft else None
            revisions = self._revisions(session.id)
            number = len(revisions) + 1
            if revisions and not compare_contracts(revisions[-1], contract):
                results.append(RecordResult(len(revisions), is_new=False))
                return drop
            if after not in (None, len(revisions)):
                raise Overtaken
            _refuse_unfit(p, contract, revisions, limits)
            results.append(RecordResult(number, is_new=True))
            return _together(self._next_revision(p, session, contract, number), drop, self._note(p, on_behalf))

        self._acts.on_session(session_id, act)
        return results[-1]

    def mark_done(self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None) -> None:
        """A commitment was kept. Raises UnknownName, and Refused when it has ended already."""
        known = self._commitment(commitment_id)

        def act(p: PlanBuilder) -> Write | None:
            commitment = p.commitments.get(known.id, known)
            actions.close_commitment(p, commitment, CommitmentStanding.DONE)
            promise = self._promise(commitment)
            return _together(
                lambda connection: self._store.content.save_written_commitment(
                    connection, commitment.id, promise, reason
                ),
                self._note(p, on_behalf),
            )

        self._acts.on_pair(known.pair, act)

    def let_go(self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None) -> None:
        """A commitment is no longer promised; both hear of it, in a new revision (R-18).

        Raises UnknownName, and Refused when it has ended already.
        """
        self._revise(commitment_id, lambda p, commitment, promise: None, reason, on_behalf)

    def change(
        self,
        commitment_id: str,
        *,
        text: str = "",
        due: date | None = None,
        reason: str = "",
        on_behalf: OnBehalf | None = None,
    ) -> bool:
        """A commitment gets other words or another date; both hear of it, in a new revision (R-18).

        Returns False when it is promised just so already. Raises UnknownName, UnfitContract for a day too far away,
        and Refused when the commitment has ended already.
        """

        def apply_change(p: PlanBuilder, commitment: Commitment, promise: WrittenCommitment) -> WrittenCommitment:
            days = compute_allowed_days(get_local_date(p.manager.zone, p.now), [commitment.due])
            if due and due not in days:
                part = ContractPart.MANAGER if commitment.owner is Owner.MANAGER else ContractPart.REPORT
                raise UnfitContract([ContractFault(kind=FaultKind.FAR, part=part, field="due")], days)
            return replace(promise, text=text or promise.text, due=due or promise.due)

        return self._revise(commitment_id, apply_change, reason, on_behalf)

    def pair_of_commitment(self, commitment_id: str) -> PairId:
        """The pair a commitment belongs to. Raises UnknownName."""
        return self._commitment(commitment_id).pair

    def tell_access(self, pair_id: PairId, on_behalf: OnBehalf) -> None:
        """Note that a command showed what the two wrote down, and have both told by mail the same day."""
        with self._store.database.write() as connection:
            self._write_access(connection, pair_id, on_behalf, self._clock())

    # --- how ---

    def _revise(
        self,
        commitment_id: str,
        becomes: Callable[[PlanBuilder, Commitment, WrittenCommitment], WrittenCommitment | None],
        reason: str,
        on_behalf: OnBehalf | None,
    ) -> bool:
        """Write the contract anew with one promise changed or taken out. False when that changes nothing."""
        changes: list[bool] = []

        def act(p: PlanBuilder, session: Session) -> Write | None:
            commitment = self._commitment(commitment_id)
            if not commitment.is_open:
                raise Refused(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
            old = self._promise(commitment)
            new = becomes(p, commitment, old)
            changes.append(new != old)
            if not changes[-1]:
                return None
            revisions = self._revisions(session.id)
            contract = replace_commitment(revisions[-1], commitment.owner, old, new)
            change = CommitmentChange(id=commitment.id, promise=new, reason=reason)
            number = len(revisions) + 1
            return _together(self._next_revision(p, session, contract, number, change), self._note(p, on_behalf))

        self._acts.on_session(self._commitment(commitment_id).session, act)
        return changes[-1]

    def _next_revision(
        self, p: PlanBuilder, session: Session, contract: Contract, number: int, change: CommitmentChange | None = None
    ) -> Write:
        """Decide what the revision does; returns what writes its content."""
        following = plan_revision(session.id, number, contract, self._list_known_commitments(session), change)
        for c, _ in following.let_go:
            actions.close_commitment(p, p.commitments.get(c.id, c), CommitmentStanding.LET_GO)
        actions.record_contract(p, session, [dated for dated, _ in following.promised], number)

        def write(connection: Connection) -> None:
            content = self._store.content
            content.save_contract(connection, session.pair, session.id, number, contract, p.now)
            words = [(c.id, promise) for c, promise in following.let_go]
            words += [(dated.id, promise) for dated, promise in following.promised]
            for one, promise in words:
                content.save_written_commitment(
                    connection, one, promise, change.reason if change and change.id == one else ""
                )

        return write

    def _drop_draft(self, session: Session) -> Write:
        return lambda connection: self._store.content.delete_contract_draft(connection, session.id)

    def _revisions(self, session_id: str) -> list[Contract]:
        return [one.contract for one in self._store.content.list_revisions(session_id)]

    def _list_known_commitments(self, session: Session) -> list[tuple[Commitment, WrittenCommitment]]:
        commitments = self._store.queries.list_commitments_of_session(session.id)
        words = self._store.content.get_written_commitments([c.id for c in commitments])
        return [(c, words[c.id]) for c in commitments if c.id in words]

    def _commitment(self, commitment_id: str) -> Commitment:
        commitment = self._store.queries.get_commitment(commitment_id)
        if commitment is None:
            raise UnknownName(
                f"There is no commitment {commitment_id}. `longarc commitment list` shows those there are."
            )
        return commitment

    def _promise(self, commitment: Commitment) -> WrittenCommitment:
        return self._store.content.get_written_commitments([commitment.id])[commitment.id]

    def _note(self, p: PlanBuilder, on_behalf: OnBehalf | None) -> Write | None:
        if on_behalf is None:
            return None
        return lambda connection: self._write_access(connection, p.pair.id, on_behalf, p.now)

    def _write_access(self, connection: Connection, pair_id: PairId, on_behalf: OnBehalf, now: datetime) -> None:
        """Several accesses within a quarter of an hour are told in one mail.

        The reason is sealed; the history does not hold it.
        """
        since = now - (now - datetime.min.replace(tzinfo=UTC)) % ACCESS_MAIL_PERIOD
        access, person = on_behalf.access, on_behalf.person
        record = AccessRecord(pair=pair_id, at=now, access=access, on_behalf_of=person, reason=on_behalf.reason)
        words = f"`longarc {access}` opened what the two wrote down, for {person}. Both are told by mail."
        self._store.content.save_access(connection, record)
        history.append_history(connection, [(now, "access", pair_id, "", words, {"command": access.value})])
        mails = [_access_mail(pair_id, who, now, since) for who in pair_id.people]
        self._store.outbox.add_mails(connection, mails)


def _refuse_unfit(p: PlanBuilder, contract: Contract, revisions: list[Contract], limits: TextLimits | None) -> None:
    days = compute_allowed_days_after(revisions, get_local_date(p.manager.zone, p.now))
    if faults := find_faults(contract, days, limits):
        raise UnfitContract(faults, days)


def _together(*writes: Write | None) -> Write:
    def write(connection: Connection) -> None:
        for one in writes:
            if one is not None:
                one(connection)

    return write


def _access_mail(pair_id: PairId, to: Address, now: datetime, since: datetime) -> Effect:
    """The mail that tells one of the two of every access in the quarter of an hour since then; due at its end."""
    return Effect(
        key=f"content_accessed:{pair_id}:{to}:{since:%Y-%m-%dT%H:%M}",
        kind=EffectKind.MAIL,
        pair=pair_id,
        subject=str(pair_id),
        due_at=since + ACCESS_MAIL_PERIOD,
        snapshot_at=now,
        start=since,
        name=MailName.CONTENT_ACCESSED.value,
        to=to,
    )
