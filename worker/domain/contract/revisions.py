"""Compares two revisions of a contract, and finds the commitments of the old one that the new one continues (R-18).

A commitment that is continued keeps its id, so that its block on the calendar is moved and not created again. In names
of this module, `written` is a `WrittenCommitment` (the words in one revision), `identified` is an
`IdentifiedCommitment` (the id in one revision), and `commitment` is a stored `Commitment` (dates and standing).
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
    IdentifiedCommitment,
    Owner,
    ReviewPoint,
    WrittenCommitment,
)

T = TypeVar("T")  # an entry of one part of a contract

#: A commitment whose text shares at least this part of its words with an old commitment continues the old commitment.
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
    """The changes from one revision of a contract to another, by part. It is never logged, like the contract (R-23)."""

    report: PartDiff[WrittenCommitment]
    manager: PartDiff[WrittenCommitment]
    reviews: PartDiff[ReviewPoint]
    question: PartDiff[str]
    progress: PartDiff[str]

    def __bool__(self) -> bool:
        return any((self.report, self.manager, self.reviews, self.question, self.progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentChange:
    """A change that one of the two people made to a commitment: another text, another date, or letting it go."""

    id: str  #: the commitment's id
    written: WrittenCommitment | None  #: the new text and date; None when the commitment is let go
    reason: str = ""  #: why it was changed, in the person's own words
    by: Owner | None = None  #: who changed it; None if unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRevision:
    """The commitments that result from a new revision, each with its text."""

    commitments: tuple[tuple[IdentifiedCommitment, WrittenCommitment], ...]  #: new, continued and changed commitments
    let_go: tuple[tuple[Commitment, WrittenCommitment], ...]  #: the commitments that are let go


def plan_revision(
    session: str,
    number: int,
    contract: Contract,
    recorded: Sequence[tuple[Commitment, WrittenCommitment]],
    change: CommitmentChange | None = None,
) -> NextRevision:
    """Return the commitments that result when `contract` becomes revision `number` of the session's contract (R-18).

    `recorded` are the commitments recorded so far for the session. A commitment that is continued keeps its id. A
    commitment that is done may remain in the contract, and stays done. Raises ValueError when a commitment of the
    contract has no date; `check_contract` reports such commitments.
    """
    let_go_id = change.id if change and change.written is None else ""
    still_open = [
        (commitment, written) for commitment, written in recorded if commitment.is_open and commitment.id != let_go_id
    ]
    open_ids = {commitment.id for commitment, _ in still_open}
    done_keys = {
        (commitment.owner, written.text, written.due)
        for commitment, written in recorded
        if commitment.standing is CommitmentStanding.DONE
    }
    # A commitment that is done and still in the contract would otherwise be added again as a new one.
    commitments = [
        (identified, written)
        for identified, written in _identify_commitments(session, number, still_open, contract, change)
        if identified.id in open_ids or (identified.owner, written.text, written.due) not in done_keys
    ]
    let_go = tuple((commitment, written) for commitment, written in recorded if commitment.id == let_go_id)
    return NextRevision(commitments=tuple(commitments), let_go=let_go)


def _identify_commitments(
    session: str,
    number: int,
    still_open: Sequence[tuple[Commitment, WrittenCommitment]],
    contract: Contract,
    change: CommitmentChange | None,
) -> Iterator[tuple[IdentifiedCommitment, WrittenCommitment]]:
    """Yield each commitment of the contract, with the id of the commitment that it continues, or a new id."""
    for owner, written_commitments in ((Owner.MANAGER, contract.manager), (Owner.REPORT, contract.report)):
        own_open = [(commitment.id, written) for commitment, written in still_open if commitment.owner is owner]
        old_texts = {commitment_id: written.text for commitment_id, written in own_open}
        # The change is applied to the old commitment, too: its text then equals the new text, so that the two match.
        old = [(commitment_id, _apply_change(commitment_id, written, change)) for commitment_id, written in own_open]
        for position, (written, old_id) in enumerate(
            zip(written_commitments, match_commitments(old, written_commitments), strict=True)
        ):
            if written.due is None:
                raise ValueError("a commitment without a date reached a revision")
            # The ids of commitments begin with a p, for promise.
            commitment_id = old_id or derive_id("p", f"{session}|{number}|{owner}|{position}")
            is_reworded = commitment_id in old_texts and old_texts[commitment_id] != written.text
            identified = IdentifiedCommitment(id=commitment_id, owner=owner, due=written.due, is_reworded=is_reworded)
            yield identified, written


def _apply_change(commitment_id: str, written: WrittenCommitment, change: CommitmentChange | None) -> WrittenCommitment:
    """Return the new text if the change is of this commitment, else `written`."""
    return change.written if change and change.written and change.id == commitment_id else written


def replace_commitment(
    contract: Contract, owner: Owner, old: WrittenCommitment, new: WrittenCommitment | None
) -> Contract:
    """Return the contract with `new` in place of the owner's commitment `old`, or without it when `new` is None."""

    def replace_in(written_commitments: Sequence[WrittenCommitment]) -> tuple[WrittenCommitment, ...]:
        result: list[WrittenCommitment] = []
        for written in written_commitments:
            if (written.text, written.due) != (old.text, old.due):
                result.append(written)
            elif new is not None:
                result.append(new)
        return tuple(result)

    if owner is Owner.MANAGER:
        return replace(contract, manager=replace_in(contract.manager))
    return replace(contract, report=replace_in(contract.report))


def compare_contracts(old: Contract, new: Contract) -> ContractDiff:
    """Return the changes from `old` to `new`."""
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
    """Return, for each commitment of `new`, the id of the commitment of `old` that it continues; None for a new one.

    A commitment continues the old commitment with the same text and any date, else the one with mostly the same words,
    else the one at the same position in the list with the same date. No id is returned twice.
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
    """Return the changes from `old` to `new`. `keys` holds the (text, date) of each item of `old`, then of `new`."""
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
    """Return the fields of an item other than its line number, for comparing."""
    if isinstance(item, WrittenCommitment):
        return item.text, item.due, item.support, item.success
    return (item.text, item.month) if isinstance(item, ReviewPoint) else item


def _match_items(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[int | None]:
    """Return, for each (text, date) of `new`, the index in `old` of the item that it continues; None for a new item.

    The most similar pairs are matched first. Among equally similar pairs, those with the same text come first, then
    those with the same date, then those with the nearest positions.
    """
    old_words = [_count_words(text) for text, _ in old]
    new_words = [_count_words(text) for text, _ in new]
    candidates: list[tuple[float, bool, bool, int, int, int]] = []
    for old_index, (old_text, old_date) in enumerate(old):
        for new_index, (new_text, new_date) in enumerate(new):
            similarity = _measure_similarity(old_words[old_index], new_words[new_index])
            distance = abs(old_index - new_index)
            has_same_place_and_date = distance == 0 and old_date == new_date and bool(new_date)
            if similarity < _REWORDED_SHARE and not has_same_place_and_date:
                continue
            # When sorted, these tuples are in the order in which the pairs are matched.
            candidates.append((-similarity, new_text != old_text, old_date != new_date, distance, new_index, old_index))
    old_indices: list[int | None] = [None] * len(new)
    for *_, new_index, old_index in sorted(candidates):
        if old_indices[new_index] is None and old_index not in old_indices:
            old_indices[new_index] = old_index
    return old_indices


def _count_words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _measure_similarity(words: Counter[str], other_words: Counter[str]) -> float:
    """Return the share of their words that two texts have in common, from 0 to 1."""
    size = words.total() + other_words.total()
    return 2 * (words & other_words).total() / size if size else 1.0
