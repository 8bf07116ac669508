"""Carries out what people decide about a handover (R-36): the report chooses lines, the old manager ends promises.

Each method leases the pair, decides, and writes in one transaction. Content never appears in an error's text or a log.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection

from worker.domain.model import (
    Commitment,
    CommitmentStanding,
    Contract,
    Handover,
    HandoverContent,
    HandoverLine,
    HandoverLineKind,
    Owner,
    PairId,
    list_handover_lines,
)
from worker.domain.notes import list_note_lines
from worker.domain.planning.actions import close_commitment
from worker.domain.planning.handovers import is_open_for_lines
from worker.domain.planning.plan_builder import PlanBuilder
from worker.engine.actions import Actions, Write
from worker.errors import Refused, UnknownName
from worker.store.store import Store

#: A chain of managers who never agreed on anything with the report is followed back this far.
MAX_STEPS = 10


class PromiseDecision(StrEnum):
    """What the old manager says of an open promise."""

    KEEP = "keep"  #: it stays theirs, with its time on their calendar
    OFFER = "offer"  #: a suggestion to the report, to hand it to the new manager
    END = "end"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class HandoverChoice:
    """The lines that can go on to the new manager, and those that the report passed on."""

    handover: Handover
    lines: tuple[HandoverLine, ...]
    passed: frozenset[str]  #: ids of lines
    is_open: bool  #: lines can still be chosen


class Handovers:
    """Handovers of reports from one manager to the next."""

    def __init__(self, store: Store, pair_actions: Actions) -> None:
        self._store = store
        self._actions = pair_actions

    def load_choice(self, pair_id: PairId, *, is_open: bool) -> HandoverChoice | None:
        """Return what the report can pass on to this pair's manager; None when nobody was the manager before."""
        handover = self._store.handovers.find_incoming(pair_id)
        if handover is None:
            return None
        content = self._store.handovers.load_content(handover.former)
        offered = [*self._list_lines(handover, content), *self._list_note_lines(handover)]
        known = {line.id: line for line in offered}
        lines = known | {line.id: line for line in content.lines if line.id not in known}
        return HandoverChoice(handover, tuple(lines.values()), frozenset(line.id for line in content.lines), is_open)

    def pass_on(self, pair_id: PairId, line_ids: Collection[str]) -> None:
        """Store exactly these lines as passed on to the pair's manager; none of them when it is empty.

        Raises UnknownName without a handover, Refused once the two have met, LeaseLost. Ids of no line are ignored.
        """

        def act(builder: PlanBuilder) -> Write:
            if not is_open_for_lines(builder.state, builder.now):
                raise Refused("The two of you have begun to talk: tell them yourself what is worth taking along.")
            choice = self.load_choice(pair_id, is_open=True)
            if choice is None:
                raise UnknownName("Nobody was the manager before.")
            former = choice.handover.former
            lines = tuple(line for line in choice.lines if line.id in line_ids)

            def write(connection: Connection) -> None:
                content = self._store.handovers.load_content_for_change(connection, former)
                self._store.handovers.save(connection, former, replace(content, lines=lines))

            return write

        self._actions.apply_to_pair(pair_id, act)

    def decide_promise(self, commitment_id: str, decision: PromiseDecision) -> None:
        """Store what the old manager says of a promise of a pair that has ended.

        Raises UnknownName unless it is such a promise, Refused when it has ended already, LeaseLost.
        """
        known = self._store.queries.get_commitment(commitment_id)
        if known is None or known.owner is not Owner.MANAGER or not self._store.handovers.find_outgoing(known.pair):
            raise UnknownName("There is no such promise.")

        def act(builder: PlanBuilder) -> Write:
            commitment = builder.commitments.get(known.id, known)
            if not commitment.is_open:
                raise Refused(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
            standing = _STANDINGS.get(decision)
            if standing is not None:
                close_commitment(builder, commitment, standing)
            return lambda connection: self._write_decision(connection, commitment, decision)

        self._actions.apply_to_pair(known.pair, act)

    def _write_decision(self, connection: Connection, commitment: Commitment, decision: PromiseDecision) -> None:
        content = self._store.handovers.load_content_for_change(connection, commitment.pair)
        kept = [one for one in content.kept if one != commitment.id]
        offers = content.offers
        if decision is PromiseDecision.KEEP:
            kept.append(commitment.id)
        if decision is PromiseDecision.OFFER:
            promise = self._store.content.read_written_commitment(connection, commitment.id)
            offers = (*offers, HandoverLine(kind=HandoverLineKind.OFFER, text=promise.text, due=commitment.due))
        self._store.handovers.save(connection, commitment.pair, replace(content, kept=tuple(kept), offers=offers))

    def _list_lines(self, handover: Handover, content: HandoverContent) -> list[HandoverLine]:
        """Return the lines of the last contract that the report had with any former manager, after the offers."""
        former = handover.former
        for _ in range(MAX_STEPS):
            contract = self._find_contract(former)
            if contract is not None:
                return list_handover_lines(contract, content.offers)
            earlier = self._store.handovers.find_incoming(former)
            if earlier is None:
                break
            former = earlier.former
        return list(content.offers)

    def _list_note_lines(self, handover: Handover) -> list[HandoverLine]:
        report = self._store.people.load_all_people()[handover.former.report]
        notes = self._store.notes.list_notes(handover.former)
        return list_note_lines(notes, report.zone, handover.ended_at)

    def _find_contract(self, pair_id: PairId) -> Contract | None:
        revision = self._store.content.get_latest_contracts([pair_id]).get(pair_id)
        return revision.contract if revision else None


_STANDINGS = {
    PromiseDecision.OFFER: CommitmentStanding.CHANGED,
    PromiseDecision.END: CommitmentStanding.LET_GO,
    PromiseDecision.DONE: CommitmentStanding.DONE,
}
