"""Records and changes contracts: what the two people of a pair agreed on, with dated commitments.

Also records accesses: an operator reads or changes content of a pair by a command, on behalf of one of the two people.

Pages, commands, simulations and the demo use this module. Each change leases the pair, decides what follows, and writes
all of it in one transaction. Callers parse what a person has entered, and phrase the result for that person. Content
never appears in an error's text or in the log (R-23).
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
    compute_allowed_days_of_next_revision,
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
from worker.domain.planning.actions import close_commitment, record_contract
from worker.domain.planning.mail_times import choose_mail_time
from worker.domain.planning.notices import ACCESS_MAIL_PERIOD, find_access_period_start, find_next_working_morning
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import get_local_date
from worker.engine.actions import Actions, Writer, combine_writers
from worker.errors import CommitmentEnded, Overtaken, UnknownName
from worker.store import history
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class OnBehalf:
    """An operator's access to content with a command, on behalf of one of the two people of a pair."""

    access: ContentAccess
    person: Address  #: the person on whose behalf the operator acts
    reason: str  #: the operator's reason for the access, which the notification of both people contains


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The result of recording a contract."""

    revision: int  #: the number of the newest revision
    is_new: bool  #: False when the newest revision had the same content, so that none was added


class Contracts:
    """Records contracts, changes their commitments, and records operators' accesses to content."""

    def __init__(self, store: Store, clock: Clock, pair_actions: Actions) -> None:
        self._store = store
        self._clock = clock
        self._pair_actions = pair_actions

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
        base_revision: int | None = None,
        limits: TextLimits | None = None,
        deletes_draft: bool = False,
        on_behalf: OnBehalf | None = None,
    ) -> RecordResult:
        """Record a contract, or a new revision of it. The summary is mailed to both people at the next tick.

        Records nothing when the newest revision has the same content. `base_revision` is the number of the revision
        that the person has changed, 0 for a first contract. Overtaken is raised when there is a newer one; with None,
        this is not checked. `limits` are those of the form on the page; without them, a contract may have any size.
        `deletes_draft` also deletes the contract draft of the session. When an operator records a
        revision `on_behalf` of a person, that access is stored, and both people are notified. Raises UnknownName,
        UnfitContract for a contract with faults, NoContractSession for a session that can't have a contract,
        NotHeldYet, LeaseLost.
        """
        results: list[RecordResult] = []  # filled by `act`, whose return value is the writer

        def act(builder: PlanBuilder, session: Session) -> Writer | None:
            delete_draft = self._make_draft_deleter(session) if deletes_draft else None
            revisions = self._list_revisions(session.id)
            number = len(revisions) + 1
            if revisions and not compare_contracts(revisions[-1], contract):
                results.append(RecordResult(len(revisions), is_new=False))
                return delete_draft
            if base_revision not in (None, len(revisions)):
                raise Overtaken
            _require_no_faults(builder, contract, revisions, limits)
            results.append(RecordResult(number, is_new=True))
            return combine_writers(
                self._plan_revision(builder, session, contract, number),
                delete_draft,
                self._make_optional_access_writer(builder, on_behalf),
            )

        self._pair_actions.apply_to_session(session_id, act)
        return results[-1]

    def mark_done(self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None) -> None:
        """Close a commitment as done. `reason` is what the person says about it, which is stored sealed.

        Raises UnknownName, and CommitmentEnded when the commitment has ended already.
        """
        stored_commitment = self._get_commitment(commitment_id)

        def act(builder: PlanBuilder) -> Writer | None:
            # an ended commitment may be missing from the builder; `close_commitment` then raises CommitmentEnded
            commitment = builder.commitments.get(stored_commitment.id, stored_commitment)
            close_commitment(builder, commitment, CommitmentStanding.DONE)
            written = self._get_written_commitment(commitment)
            return combine_writers(
                lambda connection: self._store.content.save_written_commitment(
                    connection, commitment.id, written, reason
                ),
                self._make_optional_access_writer(builder, on_behalf),
            )

        self._pair_actions.apply_to_pair(stored_commitment.pair, act)

    def let_go(
        self, commitment_id: str, reason: str = "", on_behalf: OnBehalf | None = None, *, by: Owner | None = None
    ) -> None:
        """Remove a commitment from the contract, in a new revision, which is mailed to both people (R-18).

        `by` is which of the two makes the change; it is not needed with `on_behalf`, which names that person. When the
        report makes the change, the manager is shown the reason.
        Raises UnknownName, and CommitmentEnded when the commitment has ended already.
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
        """Change the text or the due date of a commitment, in a new revision, which is mailed to both people (R-18).

        `by` is which of the two makes the change, as in `let_go`. Returns False when the commitment has that text and
        date already. Raises UnknownName, UnfitContract for a date that is not allowed, and CommitmentEnded.
        """

        def apply_change(builder: PlanBuilder, commitment: Commitment, written: WrittenCommitment) -> WrittenCommitment:
            allowed_days = compute_allowed_days(get_local_date(builder.manager.zone, builder.now), [commitment.due])
            if due and due not in allowed_days:
                # the part of the contract that lists the commitments of this person
                part = commitment.owner.select(ContractPart.MANAGER, ContractPart.REPORT)
                fault = ContractFault(kind=FaultKind.DAY_NOT_ALLOWED, part=part, field="due")
                raise UnfitContract([fault], allowed_days)
            return replace(written, text=text or written.text, due=due or written.due)

        return self._revise(commitment_id, apply_change, reason, on_behalf, by)

    def get_pair_of_commitment(self, commitment_id: str) -> PairId:
        """Return the pair of a commitment. Raises UnknownName."""
        return self._get_commitment(commitment_id).pair

    def record_access(self, pair_id: PairId, on_behalf: OnBehalf) -> None:
        """Record that a command showed content of a pair, and notify both people in their working hours (T-16)."""
        write = self.make_access_writer(pair_id, on_behalf)
        with self._store.database.write() as connection:
            write(connection)

    def make_access_writer(self, pair_id: PairId, on_behalf: OnBehalf) -> Writer:
        """Return a writer that records an access as `record_access` does, within the transaction of a change.

        One mail to each person reports all accesses within a quarter-hour; outside the working hours of that person, it
        reports all accesses until they begin.
        """
        mail_readers = self._load_mail_readers(pair_id)
        access, person = on_behalf.access, on_behalf.person

        def write(connection: Connection) -> None:
            now = self._clock()
            record = AccessRecord(pair=pair_id, at=now, access=access, on_behalf_of=person, reason=on_behalf.reason)
            text = f"`longarc {access}` opened content of the pair on behalf of {person}. Both are notified by mail."
            self._store.content.save_access(connection, record)
            line = history.HistoryLine(
                at=now, what="access", pair=pair_id, reason=text, fields={"command": access.value}
            )
            history.append_history(connection, [line])
            mails = [_build_access_mail(pair_id, reader, now, has_left=has_left) for reader, has_left in mail_readers]
            self._store.outbox.add_mails(connection, mails)

        return write

    def _load_mail_readers(self, pair_id: PairId) -> list[tuple[Person, bool]]:
        """Return both people of a pair, who read the mails about an access, each with whether that person has left."""
        all_people, current_people = self._store.people.load_all_people(), self._store.people.load_current_people()
        return [(all_people[address], address not in current_people) for address in pair_id.people]

    # --- revisions ---

    def _revise(
        self,
        commitment_id: str,
        apply_change: Callable[[PlanBuilder, Commitment, WrittenCommitment], WrittenCommitment | None],
        reason: str,
        on_behalf: OnBehalf | None,
        by: Owner | None,
    ) -> bool:
        """Record a revision in which one commitment is changed, or is removed when `apply_change` returns None.

        Returns False, and records nothing, when `apply_change` returns the commitment as it was.
        """
        has_changed = False

        def act(builder: PlanBuilder, session: Session) -> Writer | None:
            nonlocal has_changed
            commitment = self._get_commitment(commitment_id)
            if not commitment.is_open:
                raise CommitmentEnded(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
            old = self._get_written_commitment(commitment)
            new = apply_change(builder, commitment, old)
            has_changed = new != old
            if not has_changed:
                return None
            revisions = self._list_revisions(session.id)
            contract = replace_commitment(revisions[-1], commitment.owner, old, new)
            author = by or _find_author(builder, on_behalf)
            change = CommitmentChange(id=commitment.id, written=new, reason=reason, by=author)
            number = len(revisions) + 1
            return combine_writers(
                self._plan_revision(builder, session, contract, number, change),
                self._make_optional_access_writer(builder, on_behalf),
            )

        self._pair_actions.apply_to_session(self._get_commitment(commitment_id).session, act)
        return has_changed

    def _plan_revision(
        self,
        builder: PlanBuilder,
        session: Session,
        contract: Contract,
        number: int,
        change: CommitmentChange | None = None,
    ) -> Writer:
        """Plan the effects of a new revision, and return the writer of its content.

        `change` is the change of a single commitment that led to the revision; None when a contract was recorded as a
        whole.
        """
        revision_plan = plan_revision(session.id, number, contract, self._list_written_commitments(session), change)
        for commitment, _ in revision_plan.let_go:
            current = builder.commitments.get(commitment.id, commitment)
            close_commitment(builder, current, CommitmentStanding.LET_GO)
        record_contract(builder, session, [commitment for commitment, _ in revision_plan.commitments], number)

        def write(connection: Connection) -> None:
            content = self._store.content
            author_and_reason = (change.by, change.reason) if change and change.by else None
            content.save_contract(
                connection, session.pair, session.id, number, contract, builder.now, author_and_reason
            )
            written_by_id = [(commitment.id, written) for commitment, written in revision_plan.let_go]
            written_by_id += [(commitment.id, written) for commitment, written in revision_plan.commitments]
            for commitment_id, written in written_by_id:
                reason = change.reason if change and change.id == commitment_id else ""
                content.save_written_commitment(connection, commitment_id, written, reason)

        return write

    def _make_draft_deleter(self, session: Session) -> Writer:
        return lambda connection: self._store.content.delete_contract_draft(connection, session.id)

    def _list_revisions(self, session_id: str) -> list[Contract]:
        return [revision.contract for revision in self._store.content.list_revisions(session_id)]

    def _list_written_commitments(self, session: Session) -> list[tuple[Commitment, WrittenCommitment]]:
        """Return the commitments of a session, each as it was written. Those whose text was erased are left out."""
        commitments = self._store.queries.list_commitments_of_session(session.id)
        written = self._store.content.get_written_commitments([commitment.id for commitment in commitments])
        return [(commitment, written[commitment.id]) for commitment in commitments if commitment.id in written]

    def _get_commitment(self, commitment_id: str) -> Commitment:
        commitment = self._store.queries.get_commitment(commitment_id)
        if commitment is None:
            raise UnknownName(
                f"There is no commitment {commitment_id}. `longarc commitment list` lists the commitments."
            )
        return commitment

    def _get_written_commitment(self, commitment: Commitment) -> WrittenCommitment:
        """Return the text of a commitment, opened, with its date."""
        return self._store.content.get_written_commitments([commitment.id])[commitment.id]

    def _make_optional_access_writer(self, builder: PlanBuilder, on_behalf: OnBehalf | None) -> Writer | None:
        """Return the writer that records the operator's access; None when a person acts without an operator."""
        return self.make_access_writer(builder.pair.id, on_behalf) if on_behalf else None


def _find_author(builder: PlanBuilder, on_behalf: OnBehalf | None) -> Owner | None:
    """Return which of the two an operator acts for with a command; None when the change was not made by a command."""
    if on_behalf is None:
        return None
    return builder.pair.id.get_owner(on_behalf.person)


def _require_no_faults(
    builder: PlanBuilder, contract: Contract, revisions: list[Contract], limits: TextLimits | None
) -> None:
    """Raise UnfitContract when the contract has faults, such as a date that is not allowed after these revisions."""
    allowed_days = compute_allowed_days_of_next_revision(revisions, get_local_date(builder.manager.zone, builder.now))
    if faults := find_faults(contract, allowed_days, limits):
        raise UnfitContract(faults, allowed_days)


def _build_access_mail(pair_id: PairId, reader: Person, now: datetime, *, has_left: bool) -> Effect:
    """Return the mail that reports to a reader the accesses since the beginning of this quarter-hour.

    It is due at the end of the quarter-hour, or later when the reader's working hours begin. For a reader who has left,
    it is due on the next working morning at the earliest (T-17). The key of the mail contains the due time, so that one
    mail reports all accesses until then.
    """
    since = find_access_period_start(now)
    wanted_at = find_next_working_morning(reader, now) if has_left else since + ACCESS_MAIL_PERIOD
    mail_time = choose_mail_time(MailName.CONTENT_ACCESSED, reader, wanted_at)
    return Effect(
        key=f"content_accessed:{pair_id}:{reader.email}:{mail_time.due_at:%Y-%m-%dT%H:%M}",
        kind=EffectKind.MAIL,
        pair=pair_id,
        subject=str(pair_id),
        due_at=mail_time.due_at,
        decided_at=now,
        start=since,
        name=MailName.CONTENT_ACCESSED.value,
        to=reader.email,
        is_limited=mail_time.is_limited,
    )
