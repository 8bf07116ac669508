"""What keeps a contract from being recorded, and what to ask of it before that: one check, wherever it was written.

A fault names a kind and a place, never what was written there (R-23). The page and the command find words for it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from worker.domain.contract.languages import ContractPart
from worker.domain.contract.lint import LintQuestion, lint_contract
from worker.domain.model import Contract, Person
from worker.domain.time.worktime import get_local_date
from worker.errors import Refused

#: How late something may be recorded, and how far ahead promised: what lies beyond is a slip of the pen.
LATE, FAR = timedelta(days=366), timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class Days:
    """The days that a promise may name, and of a review's month the first."""

    first: date
    last: date

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"from {self.first} to {self.last}"


def days_for(today: date, known: Iterable[date] = ()) -> Days:
    """What may be named today, from the first of a month; days `known` from before stay good, however long ago."""
    return Days(min((today - LATE, *known)).replace(day=1), today + FAR)


def days_of(contract: Contract) -> Iterator[date]:
    """Every day that a contract names; of a month its first."""
    yield from (one.due for one in (*contract.report, *contract.manager) if one.due)
    yield from (one.month for one in contract.reviews)


class FaultKind(StrEnum):
    """What can be wrong with a contract that has been read."""

    UNDATED = "undated"  #: a commitment names no day
    FAR = "far"  #: a day or a month is too long ago or too far ahead
    LONG = "long"  #: a text is longer than the limit
    MANY = "many"  #: a part has more lines than the limit


#: What each says when nobody words it for a reader.
_SENTENCES = {
    FaultKind.UNDATED: "A commitment has no date.",
    FaultKind.FAR: "A date is too long ago or too far ahead.",
    FaultKind.LONG: "A text is too long.",
    FaultKind.MANY: "A part has too many lines.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFault:
    """One thing wrong with a contract, and where."""

    kind: FaultKind
    part: ContractPart
    number: int = 0  #: which entry of that part, from 0
    field: str = ""  #: `text`, `due`, `support`, `success` or `month`; empty when it is the part as a whole
    line: int = 0  #: that of the promise or the review point; 0 when it has none


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How much a contract may hold."""

    entries: int  #: in each part
    characters: int  #: in each text of an entry

    def is_exceeded_by(self, text: str) -> bool:
        """True when one entry can't say so much."""
        return len(text) > self.characters


class UnfitContract(Refused):
    """This contract can't be recorded as it is.

    `faults` is everything wrong with it, `days` are those that it may name.
    """

    def __init__(self, faults: Sequence[ContractFault], days: Days) -> None:
        self.faults, self.days = tuple(faults), days
        super().__init__(" ".join(dict.fromkeys(_SENTENCES[one.kind] for one in faults)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCheck:
    """What was found in a contract: faults keep it from being recorded, questions (R-16) do not."""

    faults: tuple[ContractFault, ...]
    questions: tuple[LintQuestion, ...]
    days: Days  #: those that it may name
    after: int  #: the newest revision it was checked against; 0 when there is none


def check_contract(
    contract: Contract,
    manager: Person,
    now: datetime,
    revisions: Sequence[Contract],
    limits: TextLimits | None = None,
) -> ContractCheck:
    """Everything to say about a contract before it is recorded.

    `revisions` are those recorded so far, oldest first: days that the newest names stay good. A commitment without a
    day is asked nothing: it is a fault already.
    """
    recorded_on = get_local_date(manager.zone, now)
    days = days_to_name(recorded_on, revisions)
    dated = replace(
        contract,
        report=tuple(one for one in contract.report if one.due),
        manager=tuple(one for one in contract.manager if one.due),
    )
    return ContractCheck(
        faults=find_faults(contract, days, limits),
        questions=lint_contract(dated, recorded_on, manager.locale),
        days=days,
        after=len(revisions),
    )


def days_to_name(today: date, revisions: Sequence[Contract]) -> Days:
    """The days that a contract may name which is recorded today, after these revisions."""
    return days_for(today, days_of(revisions[-1]) if revisions else ())


def find_faults(contract: Contract, days: Days, limits: TextLimits | None = None) -> tuple[ContractFault, ...]:
    """Everything that keeps a contract from being recorded, entry by entry."""
    found: list[ContractFault] = []
    sizes: Counter[ContractPart] = Counter()
    for entry in _entries(contract):
        kinds = [(FaultKind.LONG, name) for name, text in entry.texts.items() if limits and limits.is_exceeded_by(text)]
        if entry.day_field and entry.day not in days:
            kinds.append((FaultKind.FAR if entry.day else FaultKind.UNDATED, entry.day_field))
        number = sizes[entry.part]
        found += [
            ContractFault(kind=kind, part=entry.part, number=number, field=name, line=entry.line)
            for kind, name in kinds
        ]
        sizes[entry.part] += 1
    if limits:
        found += [ContractFault(kind=FaultKind.MANY, part=part) for part, n in sizes.items() if n > limits.entries]
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _ContractEntry:
    """One line of a contract, of whatever part."""

    part: ContractPart
    line: int
    texts: Mapping[str, str]
    day_field: str = ""  #: empty when it names no day
    day: date | None = None


def _entries(contract: Contract) -> Iterator[_ContractEntry]:
    for part, promises in ((ContractPart.REPORT, contract.report), (ContractPart.MANAGER, contract.manager)):
        for one in promises:
            texts = {"text": one.text, "support": one.support, "success": one.success}
            yield _ContractEntry(part, one.line, texts, "due", one.due)
    for point in contract.reviews:
        yield _ContractEntry(ContractPart.REVIEWS, point.line, {"text": point.text}, "month", point.month)
    for text in contract.progress:
        yield _ContractEntry(ContractPart.PROGRESS, 0, {"text": text})
