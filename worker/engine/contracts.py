"""Records and changes contracts, for pages, commands, simulations and the demo.

Each method leases the pair, decides, and writes in one transaction. Callers parse what a person wrote, and phrase the
result for their reader. Content never appears in an error's text or a log (R-23).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime

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
    Person,
    Session,
    WrittenCommitment,
)
from worker.domain.planning import actions
from worker.domain.planning.notices import ACCESS_MAIL_PERIOD, find_access_start, find_next_working_morning
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.quiet_hours import choose_mail_time
from worker.domain.time.worktime import get_local_date
from worker.engine.actions import Actions, Write, combine_writes
from worker.errors import Overtaken, Refused, UnknownName
from worker.store import history
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """An operator's access to content with a command: on behalf of which of the two, and why."""

    access: ContentAccess
    person: Address
    reason: str


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The newest revision after recording. `is_new` is False when it existed already, with the same content."""

    revision: int
    is_new: bool


class Contracts:
    """Records contracts, and changes their commitments."""

    def __init__(self, store: Store, clock: Clock, pair_actions: Actions) -> None:
        self._store = store
        self._clock = clock
        self._actions = pair_actions

    def check(self, session_id: str, contract: Contract) -> ContractCheck:
        """Return the faults of the contract, and the questions to ask before it is recorded. Raises UnknownName."""
        pair = self._store.queries.get_pair_id(session_id)
        if pair is None:
            raise UnknownName(f"There is no session {session_id}.")
        people = self._store.people.load_all_people()
        return check_contract(
            contract, people[pair.manager], people[pair.report], self._clock(), self._list_revisions(session_id)
        )

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
        """Record a contract, or a new revision of it. The summary is mailed to both at the next tick.

        Records nothing when the newest revision is the same. With `after`, raises Overtaken unless that is the newest
        revision (0: none). `drop_draft` deletes the draft of the page. `on_behalf` is stored, and both are notified,
        when a revision was recorded. Raises UnknownName, UnfitContract, NoContractSession, NotHeldYet, LeaseLost.
        """
        results: list[RecordResult] = []

        def act(builder: PlanBuilder, session: Session) -> Write | None:
            drop = self._drop_draft(session) if drop_draft else None
            revisions = self._list_revisions(session.id)
            number = len(revisions) + 1
            if revisions and not compare_contracts(revisions[-1], contract):
                results.append(RecordResult(len(revisions), is_new=False))
                return drop
            if after not in (None, len(revisions)):
                raise Overtaken
            _require_fit(builder, contract, revisions, limits)
            results.append(RecordResult(number, is_new=True))
            return combine_writes(
                self._plan_revision(builder, session, contract, number),
                drop,
                self._build_access_write(builder, on_behalf),
            )

        self._actions.apply_to_session(session_id, act)
        return results[-1]

    def mark_done(self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None) -> None:
        """Close a commitment as done. Raises UnknownName, and Refused when it has ended already."""
        known = self._get_commitment(commitment_id)

        def act(builder: PlanBuilder) -> Write | None:
            commitment = builder.commitments.get(known.id, known)
            actions.close_commitment(builder, commitment, CommitmentStanding.DONE)
            written = self._get_written(commitment)
            return combine_writes(
                lambda connection: self._store.content.save_written_commitment(
                    connection, commitment.id, written, reason
                ),
                self._build_access_write(builder, on_behalf),
            )

        self._actions.apply_to_pair(known.pair, act)

    def let_go(
        self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None, *, by: Owner | None = None
    ) -> None:
        """Take a commitment out of the contract, in a new revision, which is mailed to both (R-18).

        What the report changes, `by` or on behalf of the report, is told to the manager with the report's reason.
        Raises UnknownName, and Refused when it has ended already.
        """
        self._revise(commitment_id, lambda builder, commitment, written: None, reason, on_behalf, by)

    def change(
        self,
        commitment_id: str,
        *,
        text: str = "",
        due: date | None = None,
        reason: str = "",
        on_behalf: OnBehalf | None = None,
        by: Owner | None = None,
    ) -> bool:
        """Change the text or the date of a commitment, in a new revision, which is mailed to both (R-18).

        Returns False when that changes nothing. Raises UnknownName, UnfitContract for a day too far away,
        and Refused when the commitment has ended already.
        """

        def apply_change(builder: PlanBuilder, commitment: Commitment, written: WrittenCommitment) -> WrittenCommitment:
            days = compute_allowed_days(get_local_date(builder.manager.zone, builder.now), [commitment.due])
            if due and due not in days:
                part = commitment.owner.select(ContractPart.MANAGER, ContractPart.REPORT)
                raise UnfitContract([ContractFault(kind=FaultKind.FAR, part=part, field="due")], days)
            return replace(written, text=text or written.text, due=due or written.due)

        return self._revise(commitment_id, apply_change, reason, on_behalf, by)

    def get_pair_of_commitment(self, commitment_id: str) -> PairId:
        """Return the pair of a commitment. Raises UnknownName."""
        return self._get_commitment(commitment_id).pair

    def record_access(self, pair_id: PairId, on_behalf: OnBehalf) -> None:
        """Store that a command showed content of the pair, and notify both by mail, in their hours (T-16)."""
        write = self.plan_access(pair_id, on_behalf)
        with self._store.database.write() as connection:
            write(connection)

    def plan_access(self, pair_id: PairId, on_behalf: OnBehalf) -> Write:
        """Return a function that does what `record_access` does, for the transaction of a change of content.

        Accesses within a quarter-hour, or while a reader's mail waits for the morning, are reported in one mail.
        """
        readers = self._load_readers(pair_id)
        access, person = on_behalf.access, on_behalf.person

        def write(connection: Connection) -> None:
            now = self._clock()
            record = AccessRecord(pair=pair_id, at=now, access=access, on_behalf_of=person, reason=on_behalf.reason)
            text = f"`longarc {access}` opened what the two wrote down, for {person}. Both are told by mail."
            self._store.content.save_access(connection, record)
            history.append_history(connection, [(now, "access", pair_id, "", text, {"command": access.value})])
            mails = [_build_access_mail(pair_id, reader, now, has_left=has_left) for reader, has_left in readers]
            self._store.outbox.add_mails(connection, mails)

        return write

    def _load_readers(self, pair_id: PairId) -> list[tuple[Person, bool]]:
        """Return both people of a pair, and whether each has left."""
        people, current = self._store.people.load_all_people(), self._store.people.load_current_people()
        return [(people[who], who not in current) for who in pair_id.people]

    # --- steps ---

    def _revise(
        self,
        commitment_id: str,
        apply_change: Callable[[PlanBuilder, Commitment, WrittenCommitment], WrittenCommitment | None],
        reason: str,
        on_behalf: OnBehalf | None,
        by: Owner | None,
    ) -> bool:
        """Record a revision with one commitment changed, or removed when `apply_change` returns None.

        Returns False when that changes nothing.
        """
        changes: list[bool] = []

        def act(builder: PlanBuilder, session: Session) -> Write | None:
            commitment = self._get_commitment(commitment_id)
            if not commitment.is_open:
                raise Refused(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
            old = self._get_written(commitment)
            new = apply_change(builder, commitment, old)
            changes.append(new != old)
            if not changes[-1]:
                return None
            revisions = self._list_revisions(session.id)
            contract = replace_commitment(revisions[-1], commitment.owner, old, new)
            author = by or _find_author(builder, on_behalf)
            change = CommitmentChange(id=commitment.id, written=new, reason=reason, by=author)
            number = len(revisions) + 1
            return combine_writes(
                self._plan_revision(builder, session, contract, number, change),
                self._build_access_write(builder, on_behalf),
            )

        self._actions.apply_to_session(self._get_commitment(commitment_id).session, act)
        return changes[-1]

    def _plan_revision(
        self,
        builder: PlanBuilder,
        session: Session,
        contract: Contract,
        number: int,
        change: CommitmentChange | None = None,
    ) -> Write:
        """Plan the effects of the revision. Returns the function that writes its content."""
        following = plan_revision(session.id, number, contract, self._list_known_commitments(session), change)
        for commitment, _ in following.let_go:
            known = builder.commitments.get(commitment.id, commitment)
            actions.close_commitment(builder, known, CommitmentStanding.LET_GO)
        actions.record_contract(builder, session, [dated for dated, _ in following.commitments], number)

        def write(connection: Connection) -> None:
            content = self._store.content
            author = (change.by, change.reason) if change and change.by else None
            content.save_contract(connection, session.pair, session.id, number, contract, builder.now, author)
            texts = [(commitment.id, written) for commitment, written in following.let_go]
            texts += [(dated.id, written) for dated, written in following.commitments]
            for commitment_id, written in texts:
                reason = change.reason if change and change.id == commitment_id else ""
                content.save_written_commitment(connection, commitment_id, written, reason)

        return write

    def _drop_draft(self, session: Session) -> Write:
        return lambda connection: self._store.content.delete_contract_draft(connection, session.id)

    def _list_revisions(self, session_id: str) -> list[Contract]:
        return [revision.contract for revision in self._store.content.list_revisions(session_id)]

    def _list_known_commitments(self, session: Session) -> list[tuple[Commitment, WrittenCommitment]]:
        commitments = self._store.queries.list_commitments_of_session(session.id)
        written = self._store.content.get_written_commitments([commitment.id for commitment in commitments])
        return [(commitment, written[commitment.id]) for commitment in commitments if commitment.id in written]

    def _get_commitment(self, commitment_id: str) -> Commitment:
        commitment = self._store.queries.get_commitment(commitment_id)
        if commitment is None:
            raise UnknownName(
                f"There is no commitment {commitment_id}. `longarc commitment list` shows those there are."
            )
        return commitment

    def _get_written(self, commitment: Commitment) -> WrittenCommitment:
        return self._store.content.get_written_commitments([commitment.id])[commitment.id]

    def _build_access_write(self, builder: PlanBuilder, on_behalf: OnBehalf | None) -> Write | None:
        return self.plan_access(builder.pair.id, on_behalf) if on_behalf else None


def _find_author(builder: PlanBuilder, on_behalf: OnBehalf | None) -> Owner | None:
    """Return on whose behalf a command changes something; None when it is no command."""
    if on_behalf is None:
        return None
    return builder.pair.id.get_owner(on_behalf.person)


def _require_fit(
    builder: PlanBuilder, contract: Contract, revisions: list[Contract], limits: TextLimits | None
) -> None:
    days = compute_allowed_days_after(revisions, get_local_date(builder.manager.zone, builder.now))
    if faults := find_faults(contract, days, limits):
        raise UnfitContract(faults, days)


def _build_access_mail(pair_id: PairId, reader: Person, now: datetime, *, has_left: bool) -> Effect:
    """Return the mail that reports the accesses from this quarter-hour on.

    It is due at the end of the quarter-hour, in the reader's hours; for somebody who has left, not before the next day
    (T-17). Its key has the due time, so that several accesses until then have one mail.
    """
    since = find_access_start(now)
    wanted_at = find_next_working_morning(reader, now) if has_left else since + ACCESS_MAIL_PERIOD
    time = choose_mail_time(MailName.CONTENT_ACCESSED, reader, wanted_at)
    return Effect(
        key=f"content_accessed:{pair_id}:{reader.email}:{time.due_at:%Y-%m-%dT%H:%M}",
        kind=EffectKind.MAIL,
        pair=pair_id,
        subject=str(pair_id),
        due_at=time.due_at,
        snapshot_at=now,
        start=since,
        name=MailName.CONTENT_ACCESSED.value,
        to=reader.email,
        counts=time.counts,
    )
