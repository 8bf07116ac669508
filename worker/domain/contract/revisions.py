"""Compares two revisions of a contract, and finds which commitments of the old one the new one continues (R-18).

A commitment that continues keeps its id, so that its block on the calendar is moved instead of being created again.
In names, `written` is a `WrittenCommitment`, the text in one revision; a `commitment` is the stored `Commitment`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from worker.domain.ids import derive_id
from worker.domain.model import (
    Commitment,
    CommitmentStanding,
    Contract,
    DatedCommitment,
    Owner,
    ReviewPoint,
    WrittenCommitment,
)

T = TypeVar("T")  # an entry of one part of a contract

#: A text that has at least this share of words in common with an old one is that one, reworded.
_REWORDED_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class PartDiff(Generic[T]):
    """The changes to one part of a contract; `changed` holds pairs of the old entry and the new one."""

    added: tuple[T, ...] = ()
    changed: tuple[tuple[T, T], ...] = ()
    removed: tuple[T, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDiff:
    """What a new revision of a contract changes, part by part. Never logged, like the contract itself (R-23)."""

    report: PartDiff[WrittenCommitment]
    manager: PartDiff[WrittenCommitment]
    reviews: PartDiff[ReviewPoint]
    question: PartDiff[str]
    progress: PartDiff[str]

    def __bool__(self) -> bool:
        return any((self.report, self.manager, self.reviews, self.question, self.progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentChange:
    """A change that one of the two requested: one commitment reworded, given another date or let go, and why."""

    id: str
    written: WrittenCommitment | None  #: as it reads from now on; None when it is let go
    reason: str = ""
    by: Owner | None = None  #: who changed it, where that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRevision:
    """The commitments after a new revision, and those let go. Each comes with its text."""

    commitments: tuple[tuple[DatedCommitment, WrittenCommitment], ...]  #: those that are new, continue or change
    let_go: tuple[tuple[Commitment, WrittenCommitment], ...]


def plan_revision(
    session: str,
    number: int,
    contract: Contract,
    recorded: Sequence[tuple[Commitment, WrittenCommitment]],
    change: CommitmentChange | None = None,
) -> NextRevision:
    """Return the commitments once the contract is revision `number`, given those recorded for its session (R-18).

    A commitment that continues keeps its id; one that is done may stay in the contract, and stays done. Raises
    ValueError when a commitment of the contract has no date: `check_contract` reports those.
    """
    let_go_id = change.id if change and change.written is None else ""
    still_open = [(c, written) for c, written in recorded if c.is_open and c.id != let_go_id]
    done = {(c.owner, written.text, written.due) for c, written in recorded if c.standing is CommitmentStanding.DONE}
    open_ids = {c.id for c, _ in still_open}
    commitments = [
        (dated, written)
        for dated, written in _identify_commitments(session, number, still_open, contract, change)
        if dated.id in open_ids or (dated.owner, written.text, written.due) not in done
    ]
    let_go = tuple((c, written) for c, written in recorded if c.id == let_go_id)
    return NextRevision(commitments=tuple(commitments), let_go=let_go)


def _identify_commitments(
    session: str,
    number: int,
    still_open: Sequence[tuple[Commitment, WrittenCommitment]],
    contract: Contract,
    change: CommitmentChange | None,
) -> Iterator[tuple[DatedCommitment, WrittenCommitment]]:
    """Yield each commitment of the contract, with the id of the one it continues or a new id."""
    for owner, written_commitments in ((Owner.MANAGER, contract.manager), (Owner.REPORT, contract.report)):
        old_texts = {c.id: written.text for c, written in still_open if c.owner is owner}
        # With the change applied, the changed commitment matches its new text exactly.
        old = [(c.id, _apply_change(c.id, written, change)) for c, written in still_open if c.owner is owner]
        for position, (written, old_id) in enumerate(
            zip(written_commitments, match_commitments(old, written_commitments), strict=True)
        ):
            if written.due is None:
                raise ValueError("a commitment without a date reached a revision")
            commitment_id = old_id or derive_id("p", f"{session}|{number}|{owner}|{position}")
            reworded = commitment_id in old_texts and old_texts[commitment_id] != written.text
            yield DatedCommitment(id=commitment_id, owner=owner, due=written.due, reworded=reworded), written


def _apply_change(commitment_id: str, written: WrittenCommitment, change: CommitmentChange | None) -> WrittenCommitment:
    return change.written if change and change.written and change.id == commitment_id else written


def replace_commitment(
    contract: Contract, owner: Owner, old: WrittenCommitment, new: WrittenCommitment | None
) -> Contract:
    """Return the contract with `new` in place of the owner's commitment `old`, or without it when `new` is None."""

    def replace_in(written_commitments: Sequence[WrittenCommitment]) -> tuple[WrittenCommitment, ...]:
        result: list[WrittenCommitment] = []
        for written in written_commitments:
            is_old = (written.text, written.due) == (old.text, old.due)
            result += ([new] if new else []) if is_old else [written]
        return tuple(result)

    if owner is Owner.MANAGER:
        return replace(contract, manager=replace_in(contract.manager))
    return replace(contract, report=replace_in(contract.report))


def compare_contracts(old: Contract, new: Contract) -> ContractDiff:
    """Return what `new` adds to, changes in and removes from `old`."""
    return ContractDiff(
        report=_compare_commitments(old.report, new.report),
        manager=_compare_commitments(old.manager, new.manager),
        reviews=_compare_items(old.reviews, new.reviews, [(p.text, str(p.month)) for p in old.reviews + new.reviews]),
        question=_compare_questions(old.question, new.question),
        progress=_compare_items(old.progress, new.progress, [(line, "") for line in old.progress + new.progress]),
    )


def match_commitments(
    old: Sequence[tuple[str, WrittenCommitment]], new: Sequence[WrittenCommitment]
) -> list[str | None]:
    """Return, for each new commitment, the id of the old one that it continues; None for one that is new.

    Commitments match by the same text, with any date; else by mostly the same words; else by the same position in
    the list with the same date. No id is used twice.
    """
    old_keys = [(written.text, str(written.due)) for _, written in old]
    new_keys = [(written.text, str(written.due)) for written in new]
    return [None if index is None else old[index][0] for index in _match_items(old_keys, new_keys)]


def _compare_commitments(
    old: Sequence[WrittenCommitment], new: Sequence[WrittenCommitment]
) -> PartDiff[WrittenCommitment]:
    return _compare_items(old, new, [(written.text, str(written.due)) for written in (*old, *new)])


def _compare_questions(old: str, new: str) -> PartDiff[str]:
    if old and new and old != new:
        return PartDiff(changed=((old, new),))
    return _compare_items([old] if old else [], [new] if new else [], [(text, "") for text in (old, new) if text])


def _compare_items(old: Sequence[T], new: Sequence[T], keys: Sequence[tuple[str, str]]) -> PartDiff[T]:
    """Return the changes from `old` to `new`; `keys` are the (text, date) of each of `old`, then of each of `new`."""
    old_indices = _match_items(keys[: len(old)], keys[len(old) :])
    continued = {index for index in old_indices if index is not None}
    return PartDiff(
        added=tuple(item for item, index in zip(new, old_indices, strict=True) if index is None),
        changed=tuple(
            (old[index], item)
            for item, index in zip(new, old_indices, strict=True)
            if index is not None and _get_content(old[index]) != _get_content(item)
        ),
        removed=tuple(item for index, item in enumerate(old) if index not in continued),
    )


def _get_content(item: object) -> object:
    """Return everything in an item except its line number."""
    if isinstance(item, WrittenCommitment):
        return item.text, item.due, item.support, item.success
    return (item.text, item.month) if isinstance(item, ReviewPoint) else item


def _match_items(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[int | None]:
    """Return, for each (text, date) of `new`, the index in `old` of the item that it continues; None for a new item.

    The most similar pairs are matched first; ties go to the same text, then the same date, then the nearest position.
    """
    old_words = [_count_words(text) for text, _ in old]
    new_words = [_count_words(text) for text, _ in new]
    candidates: list[tuple[float, bool, bool, int, int, int]] = []
    for i, (old_text, old_date) in enumerate(old):
        for j, (new_text, new_date) in enumerate(new):
            similarity = _measure_similarity(old_words[i], new_words[j])
            if similarity < _REWORDED_SHARE and (i != j or old_date != new_date or not new_date):
                continue
            candidates.append((-similarity, new_text != old_text, old_date != new_date, abs(i - j), j, i))
    old_indices: list[int | None] = [None] * len(new)
    for *_, j, i in sorted(candidates):
        if old_indices[j] is None and i not in old_indices:
            old_indices[j] = i
    return old_indices


def _count_words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _measure_similarity(words: Counter[str], other_words: Counter[str]) -> float:
    """Return the share of their words that two texts have in common, from 0 to 1."""
    size = words.total() + other_words.total()
    return 2 * (words & other_words).total() / size if size else 1.0
