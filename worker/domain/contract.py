"""The contract as a person writes it: a short Markdown file with four parts (R-14), read strictly and kindly.

Reading tolerates what editors and word processors do to a text, and reports everything else at once, by line. The
words of a contract are never repeated in a problem, because problems end up in terminals and logs (R-23).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from enum import StrEnum

from worker.domain.model import Contract, Promise, ReviewPoint
from worker.domain.revisions import carry, compare
from worker.errors import Problem, Problems

__all__ = ["EXAMPLE", "REQUIRED", "Part", "carry", "compare", "parse", "template", "write"]

MAX_LINES = 200
MAX_LINE = 2000


class Part(StrEnum):
    """The headings, in the order in which they are written."""

    REPORT = "Their commitments"
    MANAGER = "Manager's commitments"
    REVIEWS = "What we will review"
    QUESTION = "The open question"
    PROGRESS = "Progress worth naming"


REQUIRED = (Part.REPORT, Part.MANAGER, Part.REVIEWS, Part.QUESTION)

#: What a filled line of each part looks like; problems show it.
EXAMPLE = {
    Part.REPORT: "`- what by 2027-02-15`",
    Part.MANAGER: "`- what by 2027-02-15`",
    Part.REVIEWS: "`- 2027-02: what`",
    Part.QUESTION: "the question",
    Part.PROGRESS: "`- what went well`",
}

#: Takes a line number, what is wrong, and what to write instead.
_Note = Callable[[int, str, str], None]

_DASH = "[-\u2010\u2011\u2013]"
_DATE = rf"(\d{{4}}){_DASH}(\d{{1,2}}){_DASH}(\d{{1,2}})"
_HEADING = re.compile(r"(#{1,6})(\s*)(.*?)[\s#:]*")
_ITEM = re.compile(r"[-*+•](?:\s+(.*))?")
_UNDER = re.compile(r"(?:[-*+•]\s+)?(support|success)\s*:\s*(.*)", re.IGNORECASE)
_DUE = re.compile(rf"(?:(.*)\s)?\(?by {_DATE}\)?[.!]?", re.IGNORECASE)
_MONTH = re.compile(rf"(\d{{4}}){_DASH}(\d{{1,2}}) ?:(?: (.*))?")
_RULE = re.compile(r"-{3,}|\*{3,}|_{3,}")
_NONE = re.compile(r"(?:[-*+•]\s+)?none\.?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    indent: int


@dataclass(slots=True)
class _Section:
    heading: int  #: line number
    lines: list[_Line] = field(default_factory=list)


@dataclass(slots=True)
class _Item:
    """A list item with what hangs under it. A wrapped line goes on with whatever was written last."""

    line: int
    indent: int
    fields: dict[str, str]
    last: str = "text"

    def go_on(self, text: str) -> None:
        self.fields[self.last] = f"{self.fields[self.last]} {text}".strip()

    @property
    def text(self) -> str:
        return _unescape(self.fields["text"])


def parse(text: str, file: str) -> Contract:
    """Read a contract. Raises Problems with everything that is wrong; `file` only says where."""
    problems: list[Problem] = []

    def note(line: int, what: str, remedy: str) -> None:
        problems.append(Problem(f"{file}:{line}", what, remedy))

    lines = _lines(text, note)
    if problems:
        raise Problems(problems)
    sections = _sections(lines, note)
    contract = Contract(
        report=_promises(Part.REPORT, sections, note),
        manager=_promises(Part.MANAGER, sections, note),
        reviews=_reviews(sections, note),
        question=_question(sections, note),
        progress=tuple(item.text for item in _items(Part.PROGRESS, sections, note) if _filled(item, note)),
    )
    if problems:
        raise Problems(sorted(problems, key=_line_of))
    return contract


def _line_of(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])


def _lines(text: str, note: _Note) -> list[str]:
    """The lines, cleaned of a byte order mark. What is too long or binary is one problem, however much of it."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_LINES:
        note(MAX_LINES + 1, f"The file has more than {MAX_LINES} lines.", "A contract is short: keep what was agreed.")
        return []
    _note_first(
        lines, lambda line: len(line) > MAX_LINE, note, f"is longer than {MAX_LINE:,} characters", "Shorten it."
    )
    _note_first(lines, _unreadable, note, "holds a control character", "Save it as plain text, or type it anew.")
    return lines


def _note_first(lines: Sequence[str], wrong: Callable[[str], bool], note: _Note, what: str, remedy: str) -> None:
    numbers = [number for number, line in enumerate(lines, 1) if wrong(line)]
    if numbers:
        more = f", and so do {len(numbers) - 1} more" if len(numbers) > 1 else ""
        note(numbers[0], f"This line {what}{more}.", remedy)


def _unreadable(line: str) -> bool:
    return any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in line if sign != "\t")


# --- from lines to parts --------------------------------------------------------------------------------------------


def _sections(lines: Sequence[str], note: _Note) -> dict[Part, _Section]:
    """The lines under each heading, notes and rulers left out. Every problem with headings is noted here."""
    sections: dict[Part, _Section] = {}
    meant: set[Part] = set()
    current: list[_Line] | None = None
    outside = 0
    for line in _spoken(lines, note):
        heading = _heading(line.text)
        if heading is None:
            if current is None and not outside:
                outside = line.number
                note(line.number, "This text stands before the first heading.", "Move it under one of the headings.")
            if current is not None:
                current.append(line)
            continue
        part, level = heading
        if part is None and level == 1 and current is None:
            continue  # the title
        current = _open(sections, part, line, note, meant)
    for part in REQUIRED:
        if part not in sections and part not in meant:
            note(len(lines), f"The heading `## {part}` is missing.", "Add it; write `- none` under it if so agreed.")
    return sections


def _open(sections: dict[Part, _Section], part: Part | None, line: _Line, note: _Note, meant: set[Part]) -> list[_Line]:
    """Where the lines under this heading go: lines under an unknown heading go nowhere."""
    if part is None:
        remedy = "Use only the headings " + ", ".join(f"`## {known}`" for known in Part) + "."
        near = get_close_matches(_plain(line.text), [_plain(known) for known in Part], 1, 0.6)
        if near:
            likely = next(known for known in Part if _plain(known) == near[0])
            meant.add(likely)
            remedy = f"Did you mean `## {likely}`?"
        note(line.number, "This heading is not known.", remedy)
        return []
    if part in sections:
        first = sections[part].heading
        note(
            line.number, f"The heading `## {part}` stands here again.", f"Keep it once; it is in line {first} already."
        )
    return sections.setdefault(part, _Section(line.number)).lines


def _spoken(lines: Sequence[str], note: _Note) -> Iterator[_Line]:
    """The lines that say something: no blank ones, no rulers, no `<!-- notes -->`."""
    opened = 0
    for number, raw in enumerate(lines, 1):
        text = " ".join(raw.split())
        if opened or text.startswith("<!--"):
            opened = opened or number
            _, closing, text = text.partition("-->")
            if not closing:
                continue
            opened, text = 0, text.strip()
        if text and not _RULE.fullmatch(text):
            wide = raw.expandtabs(4)
            yield _Line(number, text, len(wide) - len(wide.lstrip()))
    if opened:
        note(opened, "The note that opens here is never closed.", "Close it with `-->`, or delete it.")


def _plain(text: str) -> str:
    """A heading without what people vary: case, apostrophes, signs."""
    return "".join(sign for sign in text.casefold() if sign.isalnum() or sign == " ").strip()


def _heading(text: str) -> tuple[Part | None, int] | None:
    """The part a heading opens (None: no such part) and its level; None when the line is no heading at all."""
    match = _HEADING.fullmatch(text)
    if match is None:
        return None
    level, space, name = len(match[1]), match[2], _plain(match[3])
    part = next((part for part in Part if _plain(part) == name), None)
    return (part, level) if part or space or not name else None


# --- from lines to items --------------------------------------------------------------------------------------------


def _items(part: Part, sections: dict[Part, _Section], note: _Note) -> list[_Item]:
    """The items of a list; an empty list must say `- none`, the optional part aside."""
    section = sections.get(part)
    if section is None or _says_none(section, part, note):
        return []
    items: list[_Item] = []
    lost = False  # under a line that was refused, so that what is wrapped below it isn't refused again
    for line in section.lines:
        item = items[-1] if items else None
        if item is not None and not lost and _hangs(part, item, line, note):
            continue
        match = _ITEM.fullmatch(line.text)
        if match:
            items.append(_Item(line.number, line.indent, {"text": match[1] or ""}))
        elif not lost:
            note(line.number, "This line is not a list item.", f"Begin it with `- `, as in {EXAMPLE[part]}.")
        lost = not match
    return items


def _says_none(section: _Section, part: Part, note: _Note) -> bool:
    if not section.lines:
        if part is not Part.PROGRESS:
            remedy = f"Write {EXAMPLE[part]}, or `- none` if that is what you agreed."
            note(section.heading, f"Nothing stands under `## {part}`.", remedy)
        return True
    none = [line for line in section.lines if _NONE.fullmatch(line.text)]
    if none and len(section.lines) > len(none):
        note(none[0].number, f"`none` stands beside other lines of `## {part}`.", "Delete this line, or the others.")
        section.lines = [line for line in section.lines if line not in none]
        return False
    return bool(none)


def _hangs(part: Part, item: _Item, line: _Line, note: _Note) -> bool:
    """True when the line belongs under `item`: its support, its success, or its text wrapped."""
    marked = bool(_ITEM.fullmatch(line.text))
    deeper = line.indent > item.indent
    under = _UNDER.fullmatch(line.text) if part in (Part.REPORT, Part.MANAGER) and (deeper or not marked) else None
    if under:
        name = under[1].lower()
        if name in item.fields:
            note(line.number, f"`{name}:` stands here again.", "Say it once for each commitment.")
        item.fields[name], item.last = under[2], name
    elif deeper and marked:
        note(line.number, "This line is a list inside a list.", "Only `support:` and `success:` go under a commitment.")
    elif deeper:
        item.go_on(line.text)
    return bool(under) or deeper


def _filled(item: _Item, note: _Note) -> bool:
    if not item.text:
        note(item.line, "Nothing is written here.", "Fill the line, or delete it; an empty part says `- none`.")
    return bool(item.text)


# --- from items to what was agreed ----------------------------------------------------------------------------------


def _promises(part: Part, sections: dict[Part, _Section], note: _Note) -> tuple[Promise, ...]:
    found = (_promise(item, note) for item in _items(part, sections, note) if _filled(item, note))
    return tuple(promise for promise in found if promise)


def _promise(item: _Item, note: _Note) -> Promise | None:
    match = _DUE.fullmatch(item.fields["text"])
    if match is None:
        note(item.line, "This commitment has no date.", "End the line with the day, as in `by 2027-02-15`.")
        return None
    text = _unescape((match[1] or "").rstrip(" ,;"))
    if not text:
        note(item.line, "This commitment says when, but not what.", "Write what will be done before `by`.")
        return None
    due = _day(match[2], match[3], match[4])
    if due is None:
        note(item.line, "There is no such day.", "Write a day of the calendar as year-month-day: `2027-02-15`.")
        return None
    under = {name: item.fields.get(name, "") for name in ("support", "success")}
    return Promise(text=text, due=due, line=item.line, **under)


def _reviews(sections: dict[Part, _Section], note: _Note) -> tuple[ReviewPoint, ...]:
    found = (_review(item, note) for item in _items(Part.REVIEWS, sections, note) if _filled(item, note))
    return tuple(point for point in found if point)


def _review(item: _Item, note: _Note) -> ReviewPoint | None:
    match = _MONTH.fullmatch(item.fields["text"])
    if match is None:
        note(item.line, "This line does not begin with a month.", f"Write {EXAMPLE[Part.REVIEWS]}.")
        return None
    month = _day(match[1], match[2], "1")
    if month is None:
        note(item.line, "There is no such month.", "Write the month as year-month: `2027-02`.")
    elif not match[3]:
        note(item.line, "This line says when, but not what.", "Write what you will review after the colon.")
    return ReviewPoint(month=month, text=match[3], line=item.line) if month and match[3] else None


def _question(sections: dict[Part, _Section], note: _Note) -> str:
    section = sections.get(Part.QUESTION)
    if section is None or _says_none(section, Part.QUESTION, note):
        return ""
    return "\n".join(_unescape(line.text) for line in section.lines)


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


# --- writing --------------------------------------------------------------------------------------------------------


def _unescape(text: str) -> str:
    return text.removeprefix("\\")


def _escape(text: str) -> str:
    """A backslash before what would otherwise be read as a heading, a note, a ruler or `none`."""
    special = text.startswith(("\\", "#", "<!--")) or _NONE.fullmatch(text) or _RULE.fullmatch(text)
    return f"\\{text}" if special else text


def write(contract: Contract, title: str = "") -> str:
    """The file that `parse` reads back as the same contract (line numbers aside)."""
    parts = {
        Part.REPORT: _listed(line for promise in contract.report for line in _promise_lines(promise)),
        Part.MANAGER: _listed(line for promise in contract.manager for line in _promise_lines(promise)),
        Part.REVIEWS: _listed(f"- {point.month.isoformat()[:7]}: {point.text}" for point in contract.reviews),
        Part.QUESTION: "\n".join(_escape(line) for line in contract.question.splitlines()) or "none",
    }
    if contract.progress:
        parts[Part.PROGRESS] = _listed(f"- {_escape(line)}" for line in contract.progress)
    head = [f"# {_one_line(title)}"] if title else []
    return "\n\n".join([*head, *(f"## {part}\n\n{body}" for part, body in parts.items())]) + "\n"


def _promise_lines(promise: Promise) -> Iterator[str]:
    yield f"- {_escape(promise.text)}" + (f" by {promise.due.isoformat()}" if promise.due else "")
    if promise.support:
        yield f"  - support: {promise.support}"
    if promise.success:
        yield f"  - success: {promise.success}"


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(lines) or "- none"


def _one_line(text: str) -> str:
    return " ".join(text.split())


_TEMPLATE = """\
# {manager} and {report}, {today}

<!-- Lines between these arrows are notes to you and are not read. Keep it short and plain: both of you get it by mail.
     A commitment is a verb and a day. Where it helps, add under it who supports it and what success looks like:
     - Run the design review for the billing service by {soon}
       support: the platform team
       success: the team decides in one meeting
     Where you agreed on nothing, write `- none`. -->

## Their commitments

<!-- What {report} will do. -->
-

## Manager's commitments

<!-- What you will do, as far as it is yours to do: you can speak for a promotion, the outcome is not yours to promise.
     An introduction, a piece of work to lead, feedback on a named skill, a word with your own manager, a mentor. -->
-

## What we will review

<!-- What you will look at again, and in which month: - {month}: how the first design review went -->
-

## The open question

<!-- The one you are both still sitting with. It needs no answer yet. -->

## Progress worth naming

<!-- Optional. What moved since last time, however small. -->
"""


def template(manager_name: str, report_name: str, today: date) -> str:
    """A file to fill in. Read before it is filled, it says line by line what is still to be written."""
    manager, report = (_one_line(name).replace("-->", "") for name in (manager_name, report_name))
    soon = date.fromordinal(min(today.toordinal() + 28, date.max.toordinal()))
    return _TEMPLATE.format(manager=manager, report=report, today=today, soon=soon, month=soon.isoformat()[:7])
