"""The contract as a form: what stands in its fields, whatever that is, and the contract it makes once all is well.

Fields are kept as they were typed, so that a draft survives half a date. A field's name says where it stands:
`manager-0-due` is the date of the manager's first commitment.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from worker.domain.contract.check import ContractFault, FaultKind, TextLimits
from worker.domain.contract.languages import ContractPart
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment
from worker.domain.reason_texts import N_
from worker.i18n.language import to_single_line

#: The lists of the form, and what each of their lines has.
LIST_FIELDS: Mapping[str, tuple[str, ...]] = {
    "report": ("text", "due", "support", "success"),
    "manager": ("text", "due", "support", "success"),
    "reviews": ("month", "text"),
    "progress": ("text",),
}
#: What can be kept: lines in a list, and characters in a field.
MAX_LINES, MAX_LENGTH = 100, 2000
#: What can be sent.
MAX_SENT_LENGTH = 600
LIMITS = TextLimits(entries=30, characters=MAX_SENT_LENGTH)

#: What to do about a fault in one of the fields.
REMEDIES: Mapping[FaultKind, str] = {
    FaultKind.UNDATED: N_("Say by which day."),
    FaultKind.FAR: N_("That is too long ago or too far ahead. Look at the year again."),
    FaultKind.LONG: N_("This is long for a contract. Shorten it."),
    FaultKind.MANY: N_("These are many lines for a contract. Keep what matters most."),
}
#: The lists whose entries know their line, in the order in which `place_of` counts.
_PLACES = ("report", "manager", "reviews")

_NAME = re.compile(rf"({'|'.join(LIST_FIELDS)})-([0-9]{{1,3}})-([a-z]+)")
_DIGITS = re.compile(r"[0-9]+")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{1,2})(?:-[0-9]{1,2})?")

FormLine = dict[str, str]


@dataclass(frozen=True, slots=True)
class FieldError:
    """A field that can't be used yet, and what to do about it."""

    name: str
    what: str


@dataclass(slots=True)
class ContractForm:
    """What stands in the fields."""

    lists: dict[str, list[FormLine]] = field(default_factory=lambda: {name: [] for name in LIST_FIELDS})
    question: str = ""
    after: int = 0  #: the revision it was begun on; 0 when there was none

    @classmethod
    def from_request(cls, given: Mapping[str, str]) -> "ContractForm":
        """What a browser sent. Fields nobody knows are left out, as is what is beyond the bounds."""
        lines: dict[str, dict[int, FormLine]] = {name: {} for name in LIST_FIELDS}
        for name, value in given.items():
            found = _NAME.fullmatch(name)
            if found and found[3] in LIST_FIELDS[found[1]]:
                lines[found[1]].setdefault(int(found[2]), {})[found[3]] = to_single_line(value[:MAX_LENGTH])
        made = cls(question=_clean_lines(given.get("question", "")), after=parse_number(given.get("after", "")) or 0)
        for name, numbered in lines.items():
            made.lists[name] = [_complete_line(name, one) for _, one in sorted(numbered.items())][:MAX_LINES]
        return made

    @classmethod
    def from_contract(cls, contract: Contract, after: int) -> "ContractForm":
        """The fields that a contract would fill."""
        made = cls(question=contract.question, after=after)
        for name, promises in (("report", contract.report), ("manager", contract.manager)):
            made.lists[name] = [_make_promise_line(one) for one in promises]
        made.lists["reviews"] = [{"month": f"{r.month:%Y-%m}", "text": r.text} for r in contract.reviews]
        made.lists["progress"] = [{"text": text} for text in contract.progress]
        return made

    @classmethod
    def from_draft(cls, told: Mapping[str, Any]) -> "ContractForm":
        """The form that `keep` described."""
        return cls(lists={name: list(told["lists"].get(name, ())) for name in LIST_FIELDS}, question=told["question"],
                   after=told["after"])  # fmt: skip

    def to_draft(self) -> dict[str, Any]:
        """As it is stored (sealed)."""
        return {"lists": self.lists, "question": self.question, "after": self.after}

    def change_lines(self, what: str) -> None:
        """Add or take out a line: `add-manager`, `drop-manager-2`."""
        deed, _, where = what.partition("-")
        name, _, number = where.partition("-")
        if name not in LIST_FIELDS:
            return
        if deed == "add" and len(self.lists[name]) < MAX_LINES:
            self.lists[name].append(_complete_line(name, {}))
        position = parse_number(number)
        if deed == "drop" and position is not None and position < len(self.lists[name]):
            del self.lists[name][position]

    def is_filled(self) -> bool:
        """Whether anything was written."""
        return bool(self.question) or any(any(one.values()) for lines in self.lists.values() for one in lines)

    def build_contract(self) -> tuple[Contract, list[FieldError]]:
        """The contract, and every field that can't be read. Entries know by their `line` where in the form they stand:
        `place_of` says it."""
        wrong: list[FieldError] = []
        made = Contract(
            report=tuple(self._iter_promises("report", wrong)),
            manager=tuple(self._iter_promises("manager", wrong)),
            reviews=tuple(self._iter_reviews(wrong)),
            question=self.question,
            progress=tuple(one["text"] for _, one in self._iter_lines("progress")),
        )
        if not (wrong or made.report or made.manager or made.reviews or made.question):
            wrong.append(FieldError("", N_("Nothing is written yet. Begin with one thing that one of you will do.")))
        return made, wrong

    def with_faults(self, wrong: Iterable[FieldError], faults: Iterable[ContractFault]) -> list[FieldError]:
        """What is wrong with its fields, each once and in their order: `wrong` and the faults of its contract."""
        fields = {field: FieldError(field, REMEDIES[one.kind]) for one in faults for field in [self._field(one)]}
        return sorted({**fields, **{one.name: one for one in wrong}}.values(), key=_position)

    def _field(self, fault: ContractFault) -> str:
        if not fault.field:
            return ""
        if fault.part is ContractPart.PROGRESS:
            filled = [number for number, _ in self._iter_lines("progress")]
            return f"progress-{filled[fault.number]}-{fault.field}"
        return f"{format_line_id(fault.line)}-{fault.field}"

    def _iter_lines(self, name: str) -> Iterator[tuple[int, FormLine]]:
        """The lines that say something."""
        return ((number, one) for number, one in enumerate(self.lists[name]) if any(one.values()))

    def _iter_promises(self, name: str, wrong: list[FieldError]) -> Iterator[WrittenCommitment]:
        for number, one in self._iter_lines(name):
            due = parse_day(one["due"])
            if not one["text"]:
                wrong.append(FieldError(f"{name}-{number}-text", N_("Write what will be done, or remove this line.")))
            if due is None and one["due"]:
                wrong.append(FieldError(f"{name}-{number}-due", N_("There is no such day. Write it as 2027-02-15.")))
            elif due is None:
                wrong.append(FieldError(f"{name}-{number}-due", REMEDIES[FaultKind.UNDATED]))
            if one["text"]:
                support, success = one["support"], one["success"]
                yield WrittenCommitment(
                    text=one["text"], due=due, support=support, success=success, line=_encode_line_number(name, number)
                )

    def _iter_reviews(self, wrong: list[FieldError]) -> Iterator[ReviewPoint]:
        for number, one in self._iter_lines("reviews"):
            month = _parse_month(one["month"])
            if not one["text"]:
                wrong.append(FieldError(f"reviews-{number}-text", N_("Write what the two of you will look at again.")))
            if month is None:
                wrong.append(FieldError(f"reviews-{number}-month", N_("Say in which month, as 2027-02.")))
            if month and one["text"]:
                yield ReviewPoint(month=month, text=one["text"], line=_encode_line_number("reviews", number))


def _position(wrong: FieldError) -> tuple[int, int]:
    """Where in the form it stands; what concerns the whole form comes last."""
    found = _NAME.fullmatch(wrong.name)
    return (list(LIST_FIELDS).index(found[1]), int(found[2])) if found else (len(LIST_FIELDS), 0)


def format_line_id(number: int) -> str:
    """The line of the form that an entry's `line` names: `manager-0`."""
    return f"{_PLACES[number // 1000]}-{number % 1000}"


def _encode_line_number(name: str, number: int) -> int:
    return _PLACES.index(name) * 1000 + number


def _complete_line(name: str, one: Mapping[str, str]) -> FormLine:
    return {part: one.get(part, "") for part in LIST_FIELDS[name]}


def _make_promise_line(one: WrittenCommitment) -> FormLine:
    due = one.due.isoformat() if one.due else ""
    return {"text": one.text, "due": due, "support": one.support, "success": one.success}


def _clean_lines(text: str) -> str:
    """The lines of the open question, each cleaned."""
    return "\n".join(cleaned for one in text[:MAX_LENGTH].splitlines() if (cleaned := to_single_line(one)))


def parse_number(text: str, digits: int = 6) -> int | None:
    """A whole number as a browser sends it; None unless it is at most so many ASCII digits.

    Every number of a request is read here: `int` also takes signs, underscores, spaces and the digits of any script,
    and raises on digits that are none and on thousands of them.
    """
    return int(text) if _DIGITS.fullmatch(text) and len(text) <= digits else None


def parse_day(text: str) -> date | None:
    """A day as a browser sends it; None when it is none of this century."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def parse_instant(text: str) -> datetime | None:
    """An instant as our own forms carry it; None when it is none of this century, or has no zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and 2000 <= instant.year < 2100 else None


def _parse_month(text: str) -> date | None:
    found = _MONTH.fullmatch(text)
    return parse_day(f"{found[1]}-{int(found[2]):02d}-01") if found else None
