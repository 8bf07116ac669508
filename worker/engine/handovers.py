"""Carries out the decisions of people about a handover, when a report has another manager (R-36).

The report chooses which lines of the last contract and of the notes to pass on to the new manager. The former manager
decides what becomes of each open promise, which is a commitment of the manager. Each decision leases the pair, and is
written in one transaction. Content never appears in an error's text or in the log.
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
from worker.domain.planning.handovers import can_choose_lines
from worker.domain.planning.plan_builder import PlanBuilder
from worker.engine.actions import Actions, Writer
from worker.errors import CommitmentEnded, HandoverClosed, UnknownName
from worker.store.store import Store

#: How many former managers of the report are searched, latest first, for the report's last contract.
MAX_FORMER_MANAGERS = 10


class PromiseDecision(StrEnum):
    """What the former manager decides about an open promise. The values are parts of the addresses of the pages."""

    KEEP = "keep"  #: the former manager still intends to keep the promise, so its block stays on the calendar
    SUGGEST = "offer"  #: the promise becomes a line that the report may pass on, so that the new manager takes it over
    END = "end"  #: the promise is let go
    DONE = "done"  #: the promise was kept


@dataclass(frozen=True, slots=True)
class HandoverChoice:
    """The lines that a report can pass on to the new manager, and those that the report has passed on."""

    handover: Handover
    lines: tuple[HandoverLine, ...]
    passed_ids: frozenset[str]  #: the ids of the lines that the report has passed on
    is_open: bool  #: whether the report can still choose lines


class Handovers:
    """Loads the choices of reports about handovers, and stores the decisions of reports and former managers."""

    def __init__(self, store: Store, pair_actions: Actions) -> None:
        self._store = store
        self._actions = pair_actions

    def load_choice(self, pair_id: PairId, *, is_open: bool) -> HandoverChoice | None:
        """Return what the report can pass on to this pair's manager; None when the report had no manager before.

        `is_open` tells whether the report can still choose lines: see `can_choose_lines`.
        """
        handover = self._store.handovers.find_incoming(pair_id)
        if handover is None:
            return None
        content = self._store.handovers.load_content(handover.former_pair)
        available_lines = [*self._list_lines(handover, content), *self._list_note_lines(handover)]
        available_ids = {line.id for line in available_lines}
        # a line that was passed on before stays in the list, even when the contract or note has changed since
        other_passed_lines = [line for line in content.lines if line.id not in available_ids]
        lines = {line.id: line for line in (*available_lines, *other_passed_lines)}
        passed_ids = frozenset(line.id for line in content.lines)
        return HandoverChoice(handover, tuple(lines.values()), passed_ids, is_open)

    def pass_on(self, pair_id: PairId, line_ids: Collection[str]) -> None:
        """Pass exactly these lines on to the pair's manager, in place of an earlier choice. Ignore unknown ids.

        Raises UnknownName when the report had no manager before, HandoverClosed when the two have met already, and
        LeaseLost.
        """

        def act(builder: PlanBuilder) -> Writer:
            if not can_choose_lines(builder.state, builder.now):
                raise HandoverClosed
            choice = self.load_choice(pair_id, is_open=True)
            if choice is None:
                raise UnknownName("There was no manager before.")
            former_pair = choice.handover.former_pair
            lines = tuple(line for line in choice.lines if line.id in line_ids)

            def write(connection: Connection) -> None:
                content = self._store.handovers.load_content_for_change(connection, former_pair)
                self._store.handovers.save(connection, former_pair, replace(content, lines=lines))

            return write

        self._actions.apply_to_pair(pair_id, act)

    def decide_promise(self, commitment_id: str, decision: PromiseDecision) -> None:
        """Store what the former manager decides about a promise of a pair that has ended.

        Raises UnknownName unless the commitment is such a promise, CommitmentEnded when it has ended already, and
        LeaseLost.
        """
        promise = self._store.queries.get_commitment(commitment_id)
        if (
            promise is None
            or promise.owner is not Owner.MANAGER
            or self._store.handovers.find_outgoing(promise.pair) is None
        ):
            raise UnknownName("There is no such promise.")

        def act(builder: PlanBuilder) -> Writer:
            commitment = builder.commitments.get(promise.id, promise)
            if not commitment.is_open:
                raise CommitmentEnded(f"Commitment {commitment.id} has ended already, as {commitment.standing.value}.")
            standing = _STANDINGS.get(decision)
            if standing is not None:
                close_commitment(builder, commitment, standing)
            return lambda connection: self._write_decision(connection, commitment, decision)

        self._actions.apply_to_pair(promise.pair, act)

    def _write_decision(self, connection: Connection, commitment: Commitment, decision: PromiseDecision) -> None:
        """Store a decision in the content of the handover, in place of an earlier decision to keep the promise."""
        content = self._store.handovers.load_content_for_change(connection, commitment.pair)
        kept_ids = [kept_id for kept_id in content.kept_ids if kept_id != commitment.id]
        suggestions = content.suggestions
        if decision is PromiseDecision.KEEP:
            kept_ids.append(commitment.id)
        if decision is PromiseDecision.SUGGEST:
            written = self._store.content.read_written_commitment(connection, commitment.id)
            suggestion = HandoverLine(kind=HandoverLineKind.SUGGESTION, text=written.text, due=commitment.due)
            suggestions = (*suggestions, suggestion)
        new_content = replace(content, kept_ids=tuple(kept_ids), suggestions=suggestions)
        self._store.handovers.save(connection, commitment.pair, new_content)

    def _list_lines(self, handover: Handover, content: HandoverContent) -> list[HandoverLine]:
        """Return the former manager's suggestions, and the lines of the last contract of the report.

        A former pair may have ended without a contract. Then the contract with the manager before that one is used.
        """
        former_pair = handover.former_pair
        for _ in range(MAX_FORMER_MANAGERS):
            contract = self._find_contract(former_pair)
            if contract is not None:
                return list_handover_lines(contract, content.suggestions)
            earlier_handover = self._store.handovers.find_incoming(former_pair)
            if earlier_handover is None:
                break
            former_pair = earlier_handover.former_pair
        return list(content.suggestions)

    def _list_note_lines(self, handover: Handover) -> list[HandoverLine]:
        """Return the notes of the former pair as lines."""
        report = self._store.people.load_all_people()[handover.former_pair.report]
        notes = self._store.notes.list_notes(handover.former_pair)
        return list_note_lines(notes, report.zone, handover.ended_at)

    def _find_contract(self, pair_id: PairId) -> Contract | None:
        revision = self._store.content.get_latest_contracts([pair_id]).get(pair_id)
        return revision.contract if revision else None


#: The standing with which a decision closes a promise. A promise to be kept stays open. A suggested promise is closed
#: as changed, since it is now a line that the report may pass on to the new manager.
_STANDINGS = {
    PromiseDecision.SUGGEST: CommitmentStanding.CHANGED,
    PromiseDecision.END: CommitmentStanding.LET_GO,
    PromiseDecision.DONE: CommitmentStanding.DONE,
}
