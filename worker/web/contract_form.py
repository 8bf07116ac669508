"""The contract form: its fields as they were typed, and the conversion to a contract when every field is valid.

A draft holds the fields as they were typed, so it can hold an incomplete date. The form consists of lists of lines. The
name of a field consists of its list, the number of its line, and its key: `manager-0-due` is the due date of the
manager's first commitment.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from worker.clock import SUPPORTED_YEARS
from worker.domain.contract.check import ContractFault, FaultKind, TextLimits
from worker.domain.contract.languages import ContractPart
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment
from worker.domain.reason_texts import N_
from worker.i18n.language import to_single_line

#: The lists of the form, and the keys of the fields in a line of each list.
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
ADVICE_BY_FAULT: Mapping[FaultKind, str] = {
    FaultKind.UNDATED: N_("Say by which day."),
    FaultKind.DAY_NOT_ALLOWED: N_("That is too long ago or too far ahead. Look at the year again."),
    FaultKind.LONG: N_("This is long for a contract. Shorten it."),
    FaultKind.MANY: N_("These are many lines for a contract. Keep what matters most."),
}
#: The lists whose contract entries have a line number; `_encode_line_number` uses their position here.
_NUMBERED_LISTS = ("report", "manager", "reviews")
#: The encoded line numbers of a list begin at its position in `_NUMBERED_LISTS` times this.
_LINE_NUMBER_BASE = 1000

#: The name of a field, such as `manager-0-due`. It captures the list, the number of the line and the key.
_FIELD_NAME = re.compile(rf"({'|'.join(LIST_FIELDS)})-([0-9]{{1,3}})-([a-z]+)")
_DIGITS = re.compile(r"[0-9]+")
#: A month such as `2027-02`, or a date in it. It captures the year and the month.
_MONTH = re.compile(r"([0-9]{4})-([0-9]{1,2})(?:-[0-9]{1,2})?")

#: The texts of a line's fields, by key.
FormLine = dict[str, str]


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in a field of the form."""

    name: str  #: the field's name; empty for the whole form
    advice: str  #: the sentence that the form shows


@dataclass(slots=True)
class ContractForm:
    """The content of the form's fields."""

    lists: dict[str, list[FormLine]] = field(default_factory=lambda: {name: [] for name in LIST_FIELDS})
    question: str = ""
    base_revision: int = 0  #: the number of the contract revision that is changed, `after` in requests; 0 if none

    @classmethod
    def from_request(cls, fields: Mapping[str, str]) -> "ContractForm":
        """Return the form that a browser sent. Unknown fields and what exceeds the limits of a draft are dropped."""
        lines_by_list: dict[str, dict[int, FormLine]] = {name: {} for name in LIST_FIELDS}
        for name, value in fields.items():
            match = _FIELD_NAME.fullmatch(name)
            if match and match[3] in LIST_FIELDS[match[1]]:
                list_name, line_number, key = match[1], int(match[2]), match[3]
                line = lines_by_list[list_name].setdefault(line_number, {})
                line[key] = to_single_line(value[:MAX_DRAFT_CHARACTERS])
        base_revision = parse_number(fields.get("after", "")) or 0
        form = cls(question=_clean_lines(fields.get("question", "")), base_revision=base_revision)
        for name, lines_by_number in lines_by_list.items():
            lines = [_complete_line(name, texts) for _, texts in sorted(lines_by_number.items())]
            form.lists[name] = lines[:MAX_DRAFT_LINES]
        return form

    @classmethod
    def from_contract(cls, contract: Contract, revision: int) -> "ContractForm":
        """Return the form that changes a contract; `revision` is the number of that contract's revision."""
        form = cls(question=contract.question, base_revision=revision)
        for name, commitments in (("report", contract.report), ("manager", contract.manager)):
            form.lists[name] = [_make_commitment_line(commitment) for commitment in commitments]
        form.lists["reviews"] = [{"month": f"{r.month:%Y-%m}", "text": r.text} for r in contract.reviews]
        form.lists["progress"] = [{"text": text} for text in contract.progress]
        return form

    @classmethod
    def from_draft(cls, draft: Mapping[str, Any]) -> "ContractForm":
        """Return the form from the values that `to_draft` returned."""
        lists = {name: list(draft["lists"].get(name, ())) for name in LIST_FIELDS}
        return cls(lists=lists, question=draft["question"], base_revision=draft["after"])

    def to_draft(self) -> dict[str, Any]:
        """Return the form as JSON values; the store seals them."""
        return {"lists": self.lists, "question": self.question, "after": self.base_revision}

    def change_lines(self, button: str) -> None:
        """Add or remove a line, as the button's value says: `add-manager`, `drop-manager-2`. Ignore other values."""
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
        """Return the contract in the form, and an error for every field that can't be read.

        The `line` of a contract entry encodes the entry's list and line in the form; `format_line_id` decodes it.
        """
        errors: list[FieldError] = []
        contract = Contract(
            report=tuple(self._iterate_commitments("report", errors)),
            manager=tuple(self._iterate_commitments("manager", errors)),
            reviews=tuple(self._iterate_reviews(errors)),
            question=self.question,
            progress=tuple(line["text"] for _, line in self._iterate_filled_lines("progress")),
        )
        if not (errors or contract.report or contract.manager or contract.reviews or contract.question):
            errors.append(FieldError("", N_("Nothing is written yet. Begin with one thing that one of you will do.")))
        return contract, errors

    def merge_faults(self, errors: Iterable[FieldError], faults: Iterable[ContractFault]) -> list[FieldError]:
        """Return `errors` and the contract's faults as one list in the form's order.

        It has at most one error for each field. When a field has both an error and a fault, the error is returned.
        """
        kinds_by_field = {self._get_field_name(fault): fault.kind for fault in faults}
        errors_of_faults = {name: FieldError(name, ADVICE_BY_FAULT[kind]) for name, kind in kinds_by_field.items()}
        return sorted({**errors_of_faults, **{error.name: error for error in errors}}.values(), key=_get_position)

    def _get_field_name(self, fault: ContractFault) -> str:
        """Return the name of the field that has the fault; empty when the fault concerns the whole form."""
        if not fault.field:
            return ""
        if fault.part is ContractPart.PROGRESS:
            filled_lines = [number for number, _ in self._iterate_filled_lines("progress")]
            return f"progress-{filled_lines[fault.index]}-{fault.field}"
        return f"{format_line_id(fault.line)}-{fault.field}"

    def _iterate_filled_lines(self, name: str) -> Iterator[tuple[int, FormLine]]:
        """Return the lines of a list that have text in any field, each with its number."""
        return ((number, line) for number, line in enumerate(self.lists[name]) if any(line.values()))

    def _iterate_commitments(self, name: str, errors: list[FieldError]) -> Iterator[WrittenCommitment]:
        for number, line in self._iterate_filled_lines(name):
            due = parse_day(line["due"])
            if not line["text"]:
                errors.append(FieldError(f"{name}-{number}-text", N_("Write what will be done, or remove this line.")))
            if due is None and line["due"]:
                errors.append(FieldError(f"{name}-{number}-due", N_("There is no such day. Write it as 2027-02-15.")))
            elif due is None:
                errors.append(FieldError(f"{name}-{number}-due", ADVICE_BY_FAULT[FaultKind.UNDATED]))
            if line["text"]:
                support, success = line["support"], line["success"]
                yield WrittenCommitment(
                    text=line["text"], due=due, support=support, success=success, line=_encode_line_number(name, number)
                )

    def _iterate_reviews(self, errors: list[FieldError]) -> Iterator[ReviewPoint]:
        for number, line in self._iterate_filled_lines("reviews"):
            month = _parse_month(line["month"])
            if not line["text"]:
                errors.append(FieldError(f"reviews-{number}-text", N_("Write what the two of you will look at again.")))
            if month is None:
                errors.append(FieldError(f"reviews-{number}-month", N_("Say in which month, as 2027-02.")))
            if month and line["text"]:
                yield ReviewPoint(month=month, text=line["text"], line=_encode_line_number("reviews", number))


def _get_position(error: FieldError) -> tuple[int, int]:
    """Return a sort key: the position of the error's list and its line number. Errors of the whole form come last."""
    match = _FIELD_NAME.fullmatch(error.name)
    return (list(LIST_FIELDS).index(match[1]), int(match[2])) if match else (len(LIST_FIELDS), 0)


def format_line_id(number: int) -> str:
    """Return the id of the form line that a contract entry's `line` encodes, such as `manager-0`."""
    position, line_number = divmod(number, _LINE_NUMBER_BASE)
    return f"{_NUMBERED_LISTS[position]}-{line_number}"


def _encode_line_number(name: str, number: int) -> int:
    """Return one number for a list and the number of a line in it. `format_line_id` decodes it."""
    return _NUMBERED_LISTS.index(name) * _LINE_NUMBER_BASE + number


def _complete_line(name: str, line: Mapping[str, str]) -> FormLine:
    """Return the line with all fields of a line in the list `name`. Missing fields are empty."""
    return {key: line.get(key, "") for key in LIST_FIELDS[name]}


def _make_commitment_line(commitment: WrittenCommitment) -> FormLine:
    due = commitment.due.isoformat() if commitment.due else ""
    return {"text": commitment.text, "due": due, "support": commitment.support, "success": commitment.success}


def _clean_lines(text: str) -> str:
    """Return a text of several lines without control characters and empty lines."""
    return "\n".join(cleaned for line in text[:MAX_DRAFT_CHARACTERS].splitlines() if (cleaned := to_single_line(line)))


def parse_number(text: str, digits: int = 6) -> int | None:
    """Return the whole number that a browser sent; None unless the text consists of one to `digits` ASCII digits.

    Numbers in requests are parsed here, and not by `int` alone: `int` also accepts signs, underscores, spaces and the
    digits of any script, and raises for some Unicode digits and for thousands of digits.
    """
    return int(text) if _DIGITS.fullmatch(text) and len(text) <= digits else None


def parse_day(text: str) -> date | None:
    """Return the date that a browser sent; None when it is invalid or outside the years 2000 to 2099."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year in SUPPORTED_YEARS else None


def parse_instant(text: str) -> datetime | None:
    """Return the instant in a hidden field; None when it is invalid, has no zone, or is outside 2000 to 2099."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo is not None and instant.year in SUPPORTED_YEARS else None


def _parse_month(text: str) -> date | None:
    """Return the first day of a month such as `2027-02`, or of a date's month; None when the text is neither."""
    match = _MONTH.fullmatch(text)
    return parse_day(f"{match[1]}-{int(match[2]):02d}-01") if match else None
