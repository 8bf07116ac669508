"""Checks a contract before it is recorded, for the page and for the command `contract record`.

The check finds faults, which prevent the contract from being recorded, and questions about its commitments, which do
not. A fault has a kind and a place, but never contains text of the contract, which is confidential (R-23). The page and
the command have their own sentence for each kind.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from worker.domain.contract.languages import ContractPart
from worker.domain.contract.lint import LintQuestion, lint_contract
from worker.domain.model import Contract, Person
from worker.domain.time.worktime import get_local_date, is_working_day
from worker.errors import Refused

#: A date longer ago than this is treated as a typing error.
MAX_RECORDING_DELAY = timedelta(days=366)
#: A date further ahead than this is treated as a typing error.
MAX_TIME_AHEAD = timedelta(days=5 * 366)


@dataclass(frozen=True, slots=True)
class AllowedDays:
    """The days that may be dates of a contract, from `first` to `last` inclusive. A month counts as its first day."""

    first: date
    last: date

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def __str__(self) -> str:
        return f"from {self.first} to {self.last}"


def compute_allowed_days(today: date, earlier_days: Iterable[date] = ()) -> AllowedDays:
    """Return the days that may be dates of a contract recorded today.

    The first of them is the first day of a month, because a review counts as the first day of its month. `earlier_days`
    are dates that stay allowed however long ago they are, such as those of the previous revision.
    """
    return AllowedDays(min((today - MAX_RECORDING_DELAY, *earlier_days)).replace(day=1), today + MAX_TIME_AHEAD)


def iterate_days(contract: Contract) -> Iterator[date]:
    """Yield every date of a contract. A review yields the first day of its month."""
    yield from (commitment.due for commitment in (*contract.report, *contract.manager) if commitment.due)
    yield from (review.month for review in contract.reviews)


class FaultKind(StrEnum):
    """The kind of a fault in a contract whose file or form could be read."""

    UNDATED = "undated"  #: a commitment has no date
    DAY_NOT_ALLOWED = "far"  #: a day or a month is too long ago or too far ahead: outside `AllowedDays`
    LONG = "long"  #: a text is longer than the limit
    MANY = "many"  #: a part has more entries than the limit


#: The text of `UnfitContract` for each kind, for callers without sentences of their own.
_SENTENCES = {
    FaultKind.UNDATED: "A commitment has no date.",
    FaultKind.DAY_NOT_ALLOWED: "A date is too long ago or too far ahead.",
    FaultKind.LONG: "A text is too long.",
    FaultKind.MANY: "A part has too many entries.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractFault:
    """A fault of a contract, and its place. An entry is one commitment, review point or other item of a part."""

    kind: FaultKind
    part: ContractPart
    index: int = 0  #: the index of the entry in the part, from 0
    field: str = ""  #: `text`, `due`, `support`, `success` or `month`; empty for a fault of the whole part
    line: int = 0  #: the entry's line in the contract file; 0 when the contract didn't come from a file


@dataclass(frozen=True, slots=True)
class TextLimits:
    """The limits of a contract's size."""

    entries: int  #: the most entries of a part
    characters: int  #: the most characters of each text of an entry

    def is_exceeded_by(self, text: str) -> bool:
        """Return whether the text is too long for an entry."""
        return len(text) > self.characters


class UnfitContract(Refused):
    """A contract can't be recorded because of its `faults`. `days` are the days that may be its dates."""

    def __init__(self, faults: Sequence[ContractFault], days: AllowedDays) -> None:
        self.faults, self.days = tuple(faults), days
        super().__init__(" ".join(dict.fromkeys(_SENTENCES[fault.kind] for fault in faults)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCheck:
    """The result of checking a contract."""

    faults: tuple[ContractFault, ...]  #: they prevent the contract from being recorded
    questions: tuple[LintQuestion, ...]  #: they don't prevent the contract from being recorded (R-16)
    days: AllowedDays
    newest_revision: int  #: the number of the newest revision at the time of the check; 0 when there is none


def check_contract(
    contract: Contract,
    manager: Person,
    report: Person,
    now: datetime,
    revisions: Sequence[Contract],
    limits: TextLimits | None = None,
) -> ContractCheck:
    """Return the faults of a contract and the questions about its commitments.

    `revisions` are the recorded revisions, oldest first: the dates of the newest one stay allowed. Without `limits`, a
    contract may have any size. A commitment without a date gets no questions, because the missing date is a fault.
    """
    recorded_on = get_local_date(manager.zone, now)
    days = compute_allowed_days_of_next_revision(revisions, recorded_on)
    dated_commitments_only = replace(
        contract,
        report=tuple(commitment for commitment in contract.report if commitment.due),
        manager=tuple(commitment for commitment in contract.manager if commitment.due),
    )
    return ContractCheck(
        faults=find_faults(contract, days, limits),
        questions=lint_contract(
            dated_commitments_only,
            recorded_on,
            manager.locale,
            is_day_off=lambda owner, day: not is_working_day(owner.select(manager, report), day),
        ),
        days=days,
        newest_revision=len(revisions),
    )


def compute_allowed_days_of_next_revision(revisions: Sequence[Contract], today: date) -> AllowedDays:
    """Return the days that may be dates of the next revision if it is recorded today.

    `revisions` are the recorded revisions, oldest first.
    """
    return compute_allowed_days(today, iterate_days(revisions[-1]) if revisions else ())


def find_faults(contract: Contract, days: AllowedDays, limits: TextLimits | None = None) -> tuple[ContractFault, ...]:
    """Return all faults of a contract, in the order of its entries."""
    faults: list[ContractFault] = []
    entry_counts: Counter[ContractPart] = Counter()
    for entry in _iterate_entries(contract):
        field_faults = [
            (FaultKind.LONG, name) for name, text in entry.texts.items() if limits and limits.is_exceeded_by(text)
        ]
        if entry.day_field and entry.day not in days:
            field_faults.append((FaultKind.DAY_NOT_ALLOWED if entry.day else FaultKind.UNDATED, entry.day_field))
        index = entry_counts[entry.part]
        faults += [
            ContractFault(kind=kind, part=entry.part, index=index, field=name, line=entry.line)
            for kind, name in field_faults
        ]
        entry_counts[entry.part] += 1
    if limits:
        faults += [
            ContractFault(kind=FaultKind.MANY, part=part)
            for part, count in entry_counts.items()
            if count > limits.entries
        ]
    return tuple(faults)


@dataclass(frozen=True, slots=True)
class _ContractEntry:
    """An entry of any part of a contract, in a uniform shape for `find_faults`."""

    part: ContractPart
    line: int
    texts: Mapping[str, str]  #: the entry's texts by field name
    day_field: str = ""  #: the name of the entry's field that holds the date; empty when entries of the part have none
    day: date | None = None  #: the date


def _iterate_entries(contract: Contract) -> Iterator[_ContractEntry]:
    for part, commitments in ((ContractPart.REPORT, contract.report), (ContractPart.MANAGER, contract.manager)):
        for commitment in commitments:
            texts = {"text": commitment.text, "support": commitment.support, "success": commitment.success}
            yield _ContractEntry(part, commitment.line, texts, "due", commitment.due)
    for review in contract.reviews:
        yield _ContractEntry(ContractPart.REVIEWS, review.line, {"text": review.text}, "month", review.month)
    for text in contract.progress:
        yield _ContractEntry(ContractPart.PROGRESS, 0, {"text": text})
