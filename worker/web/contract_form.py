"""The contract form: its fields as typed, and the contract they make once every field is valid.

Fields stay as they were typed, so that a draft can hold half a date. The name of a field has its list, the number of
its line there and its key: `manager-0-due` is the date of the manager's first commitment.
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

#: The lists of the form, and the keys of the fields of each of their lines.
LIST_FIELDS: Mapping[str, tuple[str, ...]] = {
    "report": ("text", "due", "support", "success"),
    "manager": ("text", "due", "support", "success"),
    "reviews": ("month", "text"),
    "progress": ("text",),
}
#: Limits of a draft: lines in a list, and characters in a field.
MAX_DRAFT_LINES = 100
MAX_DRAFT_CHARACTERS = 2000
#: Limit of a contract that is sent: characters in a field.
MAX_SENT_CHARACTERS = 600
LIMITS = TextLimits(entries=30, characters=MAX_SENT_CHARACTERS)

#: The advice that the form shows for each kind of fault.
REMEDIES: Mapping[FaultKind, str] = {
    FaultKind.UNDATED: N_("Say by which day."),
    FaultKind.FAR: N_("That is too long ago or too far ahead. Look at the year again."),
    FaultKind.LONG: N_("This is long for a contract. Shorten it."),
    FaultKind.MANY: N_("These are many lines for a contract. Keep what matters most."),
}
#: The lists whose entries have a line number; `_encode_line_number` counts them in this order.
_NUMBERED_LISTS = ("report", "manager", "reviews")

_FIELD_NAME = re.compile(rf"({'|'.join(LIST_FIELDS)})-([0-9]{{1,3}})-([a-z]+)")
_DIGITS = re.compile(r"[0-9]+")
_MONTH = re.compile(r"([0-9]{4})-([0-9]{1,2})(?:-[0-9]{1,2})?")

FormLine = dict[str, str]


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in a field of the form."""

    name: str  #: of the field; empty for the whole form
    what: str  #: the advice that is shown


@dataclass(slots=True)
class ContractForm:
    """The content of the form's fields."""

    lists: dict[str, list[FormLine]] = field(default_factory=lambda: {name: [] for name in LIST_FIELDS})
    question: str = ""
    after: int = 0  #: the revision that the form changes; 0 for a first contract

    @classmethod
    def from_request(cls, fields: Mapping[str, str]) -> "ContractForm":
        """Return the form that a browser sent, without unknown fields and what exceeds the limits of a draft."""
        lines: dict[str, dict[int, FormLine]] = {name: {} for name in LIST_FIELDS}
        for name, value in fields.items():
            match = _FIELD_NAME.fullmatch(name)
            if match and match[3] in LIST_FIELDS[match[1]]:
                lines[match[1]].setdefault(int(match[2]), {})[match[3]] = to_single_line(value[:MAX_DRAFT_CHARACTERS])
        form = cls(question=_clean_lines(fields.get("question", "")), after=parse_number(fields.get("after", "")) or 0)
        for name, lines_by_number in lines.items():
            form.lists[name] = [_complete_line(name, texts) for _, texts in sorted(lines_by_number.items())][
                :MAX_DRAFT_LINES
            ]
        return form

    @classmethod
    def from_contract(cls, contract: Contract, after: int) -> "ContractForm":
        """Return the form filled from a contract; `after` is that contract's revision."""
        form = cls(question=contract.question, after=after)
        for name, commitments in (("report", contract.report), ("manager", contract.manager)):
            form.lists[name] = [_make_commitment_line(commitment) for commitment in commitments]
        form.lists["reviews"] = [{"month": f"{r.month:%Y-%m}", "text": r.text} for r in contract.reviews]
        form.lists["progress"] = [{"text": text} for text in contract.progress]
        return form

    @classmethod
    def from_draft(cls, draft: Mapping[str, Any]) -> "ContractForm":
        """Return the form that `to_draft` described."""
        lists = {name: list(draft["lists"].get(name, ())) for name in LIST_FIELDS}
        return cls(lists=lists, question=draft["question"], after=draft["after"])

    def to_draft(self) -> dict[str, Any]:
        """Return the form as JSON values; the store seals them."""
        return {"lists": self.lists, "question": self.question, "after": self.after}

    def change_lines(self, button: str) -> None:
        """Add or remove a line, as a button names it (`add-manager`, `drop-manager-2`). Other buttons do nothing."""
        verb, _, target = button.partition("-")
        name, _, number = target.partition("-")
        if name not in LIST_FIELDS:
            return
        if verb == "add" and len(self.lists[name]) < MAX_DRAFT_LINES:
            self.lists[name].append(_complete_line(name, {}))
        position = parse_number(number)
        if verb == "drop" and position is not None and position < len(self.lists[name]):
            del self.lists[name][position]

    def is_filled(self) -> bool:
        """Return whether any field has text."""
        return bool(self.question) or any(any(line.values()) for lines in self.lists.values() for line in lines)

    def build_contract(self) -> tuple[Contract, list[FieldError]]:
        """Return the contract, and an error for every field that can't be read.

        The `line` of an entry encodes its line in the form: `format_line_id` decodes it.
        """
        errors: list[FieldError] = []
        contract = Contract(
            report=tuple(self._iterate_commitments("report", errors)),
            manager=tuple(self._iterate_commitments("manager", errors)),
            reviews=tuple(self._iterate_reviews(errors)),
            question=self.question,
            progress=tuple(line["text"] for _, line in self._iterate_lines("progress")),
        )
        if not (errors or contract.report or contract.manager or contract.reviews or contract.question):
            errors.append(FieldError("", N_("Nothing is written yet. Begin with one thing that one of you will do.")))
        return contract, errors

    def merge_faults(self, errors: Iterable[FieldError], faults: Iterable[ContractFault]) -> list[FieldError]:
        """Return `errors` and the faults of the form's contract, one for each field, in the order of the form."""
        kinds_by_field = {self._name_field(fault): fault.kind for fault in faults}
        errors_of_faults = {name: FieldError(name, REMEDIES[kind]) for name, kind in kinds_by_field.items()}
        return sorted({**errors_of_faults, **{error.name: error for error in errors}}.values(), key=_get_position)

    def _name_field(self, fault: ContractFault) -> str:
        """Return the name of the field that the fault is in; empty when it concerns the whole form."""
        if not fault.field:
            return ""
        if fault.part is ContractPart.PROGRESS:
            filled_lines = [number for number, _ in self._iterate_lines("progress")]
            return f"progress-{filled_lines[fault.index]}-{fault.field}"
        return f"{format_line_id(fault.line)}-{fault.field}"

    def _iterate_lines(self, name: str) -> Iterator[tuple[int, FormLine]]:
        """Return the lines of a list that have text, each with its number."""
        return ((number, line) for number, line in enumerate(self.lists[name]) if any(line.values()))

    def _iterate_commitments(self, name: str, errors: list[FieldError]) -> Iterator[WrittenCommitment]:
        for number, line in self._iterate_lines(name):
            due = parse_day(line["due"])
            if not line["text"]:
                errors.append(FieldError(f"{name}-{number}-text", N_("Write what will be done, or remove this line.")))
            if due is None and line["due"]:
                errors.append(FieldError(f"{name}-{number}-due", N_("There is no such day. Write it as 2027-02-15.")))
            elif due is None:
                errors.append(FieldError(f"{name}-{number}-due", REMEDIES[FaultKind.UNDATED]))
            if line["text"]:
                support, success = line["support"], line["success"]
                yield WrittenCommitment(
                    text=line["text"], due=due, support=support, success=success, line=_encode_line_number(name, number)
                )

    def _iterate_reviews(self, errors: list[FieldError]) -> Iterator[ReviewPoint]:
        for number, line in self._iterate_lines("reviews"):
            month = _parse_month(line["month"])
            if not line["text"]:
                errors.append(FieldError(f"reviews-{number}-text", N_("Write what the two of you will look at again.")))
            if month is None:
                errors.append(FieldError(f"reviews-{number}-month", N_("Say in which month, as 2027-02.")))
            if month and line["text"]:
                yield ReviewPoint(month=month, text=line["text"], line=_encode_line_number("reviews", number))


def _get_position(error: FieldError) -> tuple[int, int]:
    """Return the list and line of an error, to sort by; an error of the whole form comes last."""
    match = _FIELD_NAME.fullmatch(error.name)
    return (list(LIST_FIELDS).index(match[1]), int(match[2])) if match else (len(LIST_FIELDS), 0)


def format_line_id(number: int) -> str:
    """Return the id of the form's line that an entry's `line` encodes: `manager-0`."""
    return f"{_NUMBERED_LISTS[number // 1000]}-{number % 1000}"


def _encode_line_number(name: str, number: int) -> int:
    return _NUMBERED_LISTS.index(name) * 1000 + number


def _complete_line(name: str, line: Mapping[str, str]) -> FormLine:
    return {key: line.get(key, "") for key in LIST_FIELDS[name]}


def _make_commitment_line(commitment: WrittenCommitment) -> FormLine:
    due = commitment.due.isoformat() if commitment.due else ""
    return {"text": commitment.text, "due": due, "support": commitment.support, "success": commitment.success}


def _clean_lines(text: str) -> str:
    """Return the lines of the open question, without control characters and empty lines."""
    return "\n".join(cleaned for line in text[:MAX_DRAFT_CHARACTERS].splitlines() if (cleaned := to_single_line(line)))


def parse_number(text: str, digits: int = 6) -> int | None:
    """Return a whole number as a browser sends it; None unless it has one to `digits` ASCII digits.

    Every number of a request is parsed here: `int` also accepts signs, underscores, spaces and the digits of any
    script, and raises on some other Unicode digits and on thousands of digits.
    """
    return int(text) if _DIGITS.fullmatch(text) and len(text) <= digits else None


def parse_day(text: str) -> date | None:
    """Return a date as a browser sends it; None when it is invalid or outside the years 2000 to 2099."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year < 2100 else None


def parse_instant(text: str) -> datetime | None:
    """Return an instant from a hidden field; None if it is invalid, has no zone, or is not in 2000 to 2099."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and 2000 <= instant.year < 2100 else None


def _parse_month(text: str) -> date | None:
    match = _MONTH.fullmatch(text)
    return parse_day(f"{match[1]}-{int(match[2]):02d}-01") if match else None
