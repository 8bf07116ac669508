"""What a new revision of a contract changes, and which of its promises are the ones made before (R-18).

A promise that goes on keeps its id, so that its block on the calendar moves with it instead of being made anew.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from worker.domain.ids import derive_id
from worker.domain.model import Commitment, CommitmentStanding, Contract, Dated, Owner, ReviewPoint, WrittenCommitment

T = TypeVar("T")

#: From this share of common words on, a text counts as the old one reworded.
_REWORDED_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class PartDiff(Generic[T]):
    """What became of one part; `changed` pairs what was with what is."""

    added: tuple[T, ...] = ()
    changed: tuple[tuple[T, T], ...] = ()
    removed: tuple[T, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDiff:
    """What a new revision of a contract changes, part by part. Content, like the contract itself."""

    report: PartDiff[WrittenCommitment]
    manager: PartDiff[WrittenCommitment]
    reviews: PartDiff[ReviewPoint]
    question: PartDiff[str]
    progress: PartDiff[str]

    def __bool__(self) -> bool:
        return any((self.report, self.manager, self.reviews, self.question, self.progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentChange:
    """What becomes of one commitment in the next revision, and why."""

    id: str
    promise: WrittenCommitment | None  #: None: it is let go
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRevision:
    """What a new revision does to commitments. Each is given with its words."""

    promised: tuple[tuple[Dated, WrittenCommitment], ...]  #: those that begin, go on or change
    let_go: tuple[tuple[Commitment, WrittenCommitment], ...]


def next_revision(
    session: str,
    number: int,
    contract: Contract,
    known: Sequence[tuple[Commitment, WrittenCommitment]],
    change: CommitmentChange | None = None,
) -> NextRevision:
    """What the contract, recorded as that revision, does to the commitments known of its session (R-18).

    A promise that goes on keeps the id of its commitment; one that was done stays in the contract, and stays done.
    Every promise has a date.
    """
    gone = change.id if change and change.promise is None else ""
    open_ones = [(c, promise) for c, promise in known if c.is_open and c.id != gone]
    done = {(c.owner, promise.text, promise.due) for c, promise in known if c.standing is CommitmentStanding.DONE}
    ids = {c.id for c, _ in open_ones}
    promised = [
        (dated, promise)
        for dated, promise in _identify_promises(session, number, open_ones, contract, change)
        if dated.id in ids or (dated.owner, promise.text, promise.due) not in done
    ]
    return NextRevision(promised=tuple(promised), let_go=tuple((c, p) for c, p in known if c.id == gone))


def _identify_promises(
    session: str,
    number: int,
    known: Sequence[tuple[Commitment, WrittenCommitment]],
    contract: Contract,
    change: CommitmentChange | None,
) -> Iterator[tuple[Dated, WrittenCommitment]]:
    """Each promise with the id of the commitment it continues, or with a new one."""
    for owner, promises in ((Owner.MANAGER, contract.manager), (Owner.REPORT, contract.report)):
        words = {c.id: promise.text for c, promise in known if c.owner is owner}
        before = [(c.id, _becomes(c.id, promise, change)) for c, promise in known if c.owner is owner]
        for place, (promise, carried) in enumerate(zip(promises, match_commitments(before, promises), strict=True)):
            if promise.due is None:
                raise ValueError("a promise without a date reached a revision")
            one = carried or derive_id("p", f"{session}|{number}|{owner}|{place}")
            reworded = one in words and words[one] != promise.text
            yield Dated(id=one, owner=owner, due=promise.due, reworded=reworded), promise


def _becomes(commitment: str, promise: WrittenCommitment, change: CommitmentChange | None) -> WrittenCommitment:
    return change.promise if change and change.promise and change.id == commitment else promise


def replace_promise(
    contract: Contract, owner: Owner, old: WrittenCommitment, new: WrittenCommitment | None
) -> Contract:
    """The contract with one promise of that owner in other words or with another date, or without it (None)."""

    def swap_promise(promises: Sequence[WrittenCommitment]) -> tuple[WrittenCommitment, ...]:
        kept: list[WrittenCommitment] = []
        for promise in promises:
            same = (promise.text, promise.due) == (old.text, old.due)
            kept += ([new] if new else []) if same else [promise]
        return tuple(kept)

    if owner is Owner.MANAGER:
        return replace(contract, manager=swap_promise(contract.manager))
    return replace(contract, report=swap_promise(contract.report))


def compare_contracts(old: Contract, new: Contract) -> ContractDiff:
    """What `new` adds to, changes in and removes from `old`."""
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
    """For each new promise the id of the old one it goes on with, or None when it is a new one.

    The same words are the same promise whatever the date; then mostly the same words; then the same place with the
    same date. No id is given out twice.
    """
    was = [(promise.text, str(promise.due)) for _, promise in old]
    now = [(promise.text, str(promise.due)) for promise in new]
    return [None if index is None else old[index][0] for index in _match_items(was, now)]


def _compare_commitments(
    old: Sequence[WrittenCommitment], new: Sequence[WrittenCommitment]
) -> PartDiff[WrittenCommitment]:
    return _compare_items(old, new, [(promise.text, str(promise.due)) for promise in (*old, *new)])


def _compare_questions(old: str, new: str) -> PartDiff[str]:
    if old and new and old != new:
        return PartDiff(changed=((old, new),))
    return _compare_items([old] if old else [], [new] if new else [], [(text, "") for text in (old, new) if text])


def _compare_items(old: Sequence[T], new: Sequence[T], marks: Sequence[tuple[str, str]]) -> PartDiff[T]:
    """`marks` are the words and the date of each of `old`, then of each of `new`."""
    matched = _match_items(marks[: len(old)], marks[len(old) :])
    kept = {index for index in matched if index is not None}
    return PartDiff(
        added=tuple(item for item, index in zip(new, matched, strict=True) if index is None),
        changed=tuple(
            (old[index], item)
            for item, index in zip(new, matched, strict=True)
            if index is not None and _get_content(old[index]) != _get_content(item)
        ),
        removed=tuple(item for index, item in enumerate(old) if index not in kept),
    )


def _get_content(item: object) -> object:
    """What counts as the content of an item: everything but the line it stands in."""
    if isinstance(item, WrittenCommitment):
        return item.text, item.due, item.support, item.success
    return (item.text, item.month) if isinstance(item, ReviewPoint) else item


def _match_items(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[int | None]:
    """For each of `new` (words, date) the place in `old` of what it goes on with. Surest pairs are made first."""
    was, now = [_count_words(text) for text, _ in old], [_count_words(text) for text, _ in new]
    sure: list[tuple[float, bool, bool, int, int]] = []
    for i, (said, then) in enumerate(old):
        for j, (text, due) in enumerate(new):
            alike = _measure_similarity(was[i], now[j])
            if alike < _REWORDED_SHARE and (i != j or then != due or not due):
                continue
            sure.append((-alike, text != said, then != due, abs(i - j), j * len(old) + i))
    found: list[int | None] = [None] * len(new)
    for *_, place in sorted(sure):
        j, i = divmod(place, len(old))
        if found[j] is None and i not in found:
            found[j] = i
    return found


def _count_words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _measure_similarity(one: Counter[str], other: Counter[str]) -> float:
    """The share of words two texts have in common, from 0 to 1."""
    size = one.total() + other.total()
    return 2 * (one & other).total() / size if size else 1.0
