"""What a new revision of a contract changes, and which of its promises are the ones made before (R-18).

A promise that goes on keeps its id, so that its block on the calendar moves with it instead of being made anew.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from worker.domain.model import Contract, Promise, ReviewPoint

T = TypeVar("T")

#: From this share of common words on, a text counts as the old one reworded.
_REWORDED = 0.6


@dataclass(frozen=True, slots=True)
class Difference(Generic[T]):
    """What became of one part; `changed` pairs what was with what is."""

    added: tuple[T, ...] = ()
    changed: tuple[tuple[T, T], ...] = ()
    removed: tuple[T, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a new revision of a contract changes, part by part. Content, like the contract itself."""

    report: Difference[Promise]
    manager: Difference[Promise]
    reviews: Difference[ReviewPoint]
    question: Difference[str]
    progress: Difference[str]

    def __bool__(self) -> bool:
        return any((self.report, self.manager, self.reviews, self.question, self.progress))


def compare(old: Contract, new: Contract) -> Revision:
    """What `new` adds to, changes in and removes from `old`."""
    return Revision(
        report=_promised(old.report, new.report),
        manager=_promised(old.manager, new.manager),
        reviews=_difference(old.reviews, new.reviews, [(p.text, str(p.month)) for p in old.reviews + new.reviews]),
        question=_asked(old.question, new.question),
        progress=_difference(old.progress, new.progress, [(line, "") for line in old.progress + new.progress]),
    )


def carry(old: Sequence[tuple[str, Promise]], new: Sequence[Promise]) -> list[str | None]:
    """For each new promise the id of the old one it goes on with, or None when it is a new one.

    The same words are the same promise whatever the date; then mostly the same words; then the same place with the
    same date. No id is given out twice.
    """
    was = [(promise.text, str(promise.due)) for _, promise in old]
    now = [(promise.text, str(promise.due)) for promise in new]
    return [None if index is None else old[index][0] for index in _match(was, now)]


def _promised(old: Sequence[Promise], new: Sequence[Promise]) -> Difference[Promise]:
    return _difference(old, new, [(promise.text, str(promise.due)) for promise in (*old, *new)])


def _asked(old: str, new: str) -> Difference[str]:
    if old and new and old != new:
        return Difference(changed=((old, new),))
    return _difference([old] if old else [], [new] if new else [], [(text, "") for text in (old, new) if text])


def _difference(old: Sequence[T], new: Sequence[T], marks: Sequence[tuple[str, str]]) -> Difference[T]:
    """`marks` are the words and the date of each of `old`, then of each of `new`."""
    matched = _match(marks[: len(old)], marks[len(old) :])
    kept = {index for index in matched if index is not None}
    return Difference(
        added=tuple(item for item, index in zip(new, matched, strict=True) if index is None),
        changed=tuple(
            (old[index], item)
            for item, index in zip(new, matched, strict=True)
            if index is not None and _told(old[index]) != _told(item)
        ),
        removed=tuple(item for index, item in enumerate(old) if index not in kept),
    )


def _told(item: object) -> object:
    """What counts as the content of an item: everything but the line it stands in."""
    if isinstance(item, Promise):
        return item.text, item.due, item.support, item.success
    return (item.text, item.month) if isinstance(item, ReviewPoint) else item


def _match(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[int | None]:
    """For each of `new` (words, date) the place in `old` of what it goes on with. Surest pairs are made first."""
    was, now = [_bag(text) for text, _ in old], [_bag(text) for text, _ in new]
    sure: list[tuple[float, bool, bool, int, int]] = []
    for i, (said, then) in enumerate(old):
        for j, (text, due) in enumerate(new):
            alike = _alike(was[i], now[j])
            if alike < _REWORDED and (i != j or then != due or not due):
                continue
            sure.append((-alike, text != said, then != due, abs(i - j), j * len(old) + i))
    found: list[int | None] = [None] * len(new)
    for *_, place in sorted(sure):
        j, i = divmod(place, len(old))
        if found[j] is None and i not in found:
            found[j] = i
    return found


def _bag(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.casefold()))


def _alike(one: Counter[str], other: Counter[str]) -> float:
    """The share of words two texts have in common, from 0 to 1."""
    size = one.total() + other.total()
    return 2 * (one & other).total() / size if size else 1.0
