"""The contract as a person writes it: a short Markdown file with four parts (R-14), read strictly and kindly.

Reading tolerates what editors and word processors do to a text, and reports everything else at once, by line. The
words of a contract are never repeated in a problem, because problems end up in terminals and logs (R-23).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from worker.domain.contract.languages import (
    CONTRACT_LANGUAGES,
    ENGLISH,
    ContractLanguage,
    ContractPart,
)
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment
from worker.errors import Problem, Problems

MAX_LINES = 200
MAX_LINE = 2000

REQUIRED_PARTS = (ContractPart.REPORT, ContractPart.MANAGER, ContractPart.REVIEWS, ContractPart.QUESTION)

#: Takes a line number, what is wrong, and what to write instead.
_NoteProblem = Callable[[int, str, str], None]

_DASH = "[-\u2010\u2011\u2013]"
_DATE = rf"(\d{{4}}){_DASH}(\d{{1,2}}){_DASH}(\d{{1,2}})"
#: As it is said in German: 15.2.2027.
_GERMAN_DATE = r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})"
_HEADING = re.compile(r"(#{1,6})(\s*)(.*?)[\s#:]*")
_ITEM = re.compile(r"[-*+•](?:\s+(.*))?")
#: The small words of all languages; what hangs under a commitment, by its own name.
_DETAIL_NAMES = {
    word.casefold(): name
    for form in CONTRACT_LANGUAGES.values()
    for word, name in ((form.support, "support"), (form.success, "success"))
}
_DETAIL = re.compile(rf"(?:[-*+•]\s+)?({'|'.join(_DETAIL_NAMES)})\s*:\s*(.*)", re.IGNORECASE)
_DUE = re.compile(rf"(?:(.*)\s)?\(?(?:by {_DATE}|bis(?: zum)? (?:{_DATE}|{_GERMAN_DATE}))\)?[.!]?", re.IGNORECASE)
_MONTH = re.compile(rf"(\d{{4}}){_DASH}(\d{{1,2}}) ?:(?: (.*))?")
#: What opens a note, with the backslashes that make plain text of it; what a text with notes is made of.
COMMENT_START = re.compile(r"\\*<!--")
_COMMENT_PIECES = re.compile(r"((?<!\\)<!--|-->|\n)")
RULE = re.compile(r"-{3,}|\*{3,}|_{3,}")
NONE = re.compile(
    rf"(?:[-*+•]\s+)?(?:{'|'.join(form.none for form in CONTRACT_LANGUAGES.values())}|keine)\.?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    text: str
    indent: int


@dataclass(slots=True)
class _Section:
    heading: int  #: line number
    form: ContractLanguage  #: the language of its heading
    lines: list[_Line] = field(default_factory=list)


@dataclass(slots=True)
class _Item:
    """A list item with what hangs under it. A wrapped line goes on with whatever was written last."""

    line: int
    indent: int
    form: ContractLanguage
    fields: dict[str, str]
    last: str = "text"

    def continue_text(self, text: str) -> None:
        self.fields[self.last] = f"{self.fields[self.last]} {text}".strip()

    @property
    def text(self) -> str:
        return _unescape(self.fields["text"])


def parse_contract(text: str, file: str) -> Contract:
    """Read a contract. Raises Problems with everything that is wrong; `file` only says where."""
    contract, problems = read(text, file)
    if problems:
        raise Problems(problems)
    return contract


def read(text: str, file: str) -> tuple[Contract, list[Problem]]:
    """What can be read of a contract, and everything that is wrong with the rest, by line; `file` only says where."""
    problems: list[Problem] = []

    def note(line: int, what: str, remedy: str) -> None:
        problems.append(Problem(f"{file}:{line}", what, remedy))

    lines = _split_lines(text, note)
    if problems:
        return Contract(), problems
    sections = _split_sections(lines, note)
    contract = Contract(
        report=_parse_commitments(ContractPart.REPORT, sections, note),
        manager=_parse_commitments(ContractPart.MANAGER, sections, note),
        reviews=_parse_reviews(sections, note),
        question=_parse_question(sections, note),
        progress=tuple(
            item.text for item in _parse_items(ContractPart.PROGRESS, sections, note) if _is_filled(item, note)
        ),
    )
    return contract, sorted(problems, key=line_of)


def line_of(problem: Problem) -> int:
    """The line of the file that a problem names."""
    return int(problem.where.rpartition(":")[2])


def _split_lines(text: str, note: _NoteProblem) -> list[str]:
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
    _note_first(
        lines, _has_control_character, note, "holds a control character", "Save it as plain text, or type it anew."
    )
    return lines


def _note_first(lines: Sequence[str], wrong: Callable[[str], bool], note: _NoteProblem, what: str, remedy: str) -> None:
    numbers = [number for number, line in enumerate(lines, 1) if wrong(line)]
    if numbers:
        more = f", and so do {len(numbers) - 1} more" if len(numbers) > 1 else ""
        note(numbers[0], f"This line {what}{more}.", remedy)


def _has_control_character(line: str) -> bool:
    return any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in line if sign != "\t")


# --- from lines to parts --------------------------------------------------------------------------------------------


def _split_sections(lines: Sequence[str], note: _NoteProblem) -> dict[ContractPart, _Section]:
    """The lines under each heading, notes and rulers left out. Every problem with headings is noted here."""
    sections: dict[ContractPart, _Section] = {}
    meant: set[ContractPart] = set()
    current: list[_Line] | None = None
    outside = 0
    spoken = list(_iterate_content_lines(lines, note))
    form = _detect_language(line.text for line in spoken)
    for line in spoken:
        heading = _parse_heading(line.text)
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
        current = _open_section(sections, part, line, form, note, meant)
    for part in REQUIRED_PARTS:
        if part not in sections and part not in meant:
            remedy = f"Add it; write `- {form.none}` under it if so agreed."
            note(len(lines), f"The heading `## {form.headings[part]}` is missing.", remedy)
    return sections


def _detect_language(lines: Iterable[str]) -> ContractLanguage:
    """The language of the first heading that is known."""
    names = (_normalize_heading(found[3]) for line in lines if (found := _HEADING.fullmatch(line.strip())))
    return next((_PARTS_BY_HEADING[name][1] for name in names if name in _PARTS_BY_HEADING), ENGLISH)


def _open_section(
    sections: dict[ContractPart, _Section],
    part: ContractPart | None,
    line: _Line,
    form: ContractLanguage,
    note: _NoteProblem,
    meant: set[ContractPart],
) -> list[_Line]:
    """Where the lines under this heading go: lines under an unknown heading go nowhere."""
    if part is None:
        remedy = "Use only the headings " + ", ".join(f"`## {known}`" for known in form.headings.values()) + "."
        near = get_close_matches(_normalize_heading(line.text), _PARTS_BY_HEADING, 1, 0.6)
        if near:
            likely, language = _PARTS_BY_HEADING[near[0]]
            meant.add(likely)
            remedy = f"Did you mean `## {language.headings[likely]}`?"
        note(line.number, "This heading is not known.", remedy)
        return []
    if part in sections:
        first, name = sections[part].heading, form.headings[part]
        note(
            line.number, f"The heading `## {name}` stands here again.", f"Keep it once; it is in line {first} already."
        )
    return sections.setdefault(part, _Section(line.number, form)).lines


def _iterate_content_lines(lines: Sequence[str], note: _NoteProblem) -> Iterator[_Line]:
    """The lines that say something: no blank ones, no rulers, no `<!-- notes -->`."""
    for number, said in _strip_comments(lines, note).items():
        text = " ".join(said.split())
        if text and not RULE.fullmatch(text):
            wide = lines[number - 1].expandtabs(4)
            yield _Line(number, text, len(wide) - len(wide.lstrip()))


def _strip_comments(lines: Sequence[str], note: _NoteProblem) -> Mapping[int, str]:
    """The lines by number, without what stands between `<!--` and `-->`: notes are the manager's own (R-23).

    What follows a note of several lines goes on the line in which the note opened, if something stood before it there.
    """
    said: dict[int, str] = {}
    number = at = 1  # where we read, and the line that the words go to
    opened = 0
    for piece in _COMMENT_PIECES.split("\n".join(lines)):
        if piece == "\n":
            number += 1
            at = at if opened else number
        elif piece == "<!--":
            opened = opened or number
        elif piece == "-->" and opened:
            at, opened = at if said.get(at, "").strip() else number, 0
        elif not opened:
            said[at] = said.get(at, "") + COMMENT_START.sub(lambda found: found[0].removeprefix("\\"), piece)
    if opened:
        note(opened, "The note that opens here is never closed.", "Close it with `-->`, or delete it.")
    return said


def _normalize_heading(text: str) -> str:
    """A heading without what people vary: case, apostrophes, signs."""
    return "".join(sign for sign in text.casefold() if sign.isalnum() or sign == " ").strip()


#: Every heading of every language, plain, with the part it opens.
_PARTS_BY_HEADING: Mapping[str, tuple[ContractPart, ContractLanguage]] = {
    _normalize_heading(name): (part, form)
    for form in CONTRACT_LANGUAGES.values()
    for name, part in (*((name, part) for part, name in form.headings.items()), *form.also.items())
}


def _parse_heading(text: str) -> tuple[ContractPart | None, int] | None:
    """The part a heading opens (None: no such part) and its level; None when the line is no heading at all."""
    match = _HEADING.fullmatch(text)
    if match is None:
        return None
    level, space, name = len(match[1]), match[2], _normalize_heading(match[3])
    part = _PARTS_BY_HEADING[name][0] if name in _PARTS_BY_HEADING else None
    return (part, level) if part or space or not name else None


# --- from lines to items --------------------------------------------------------------------------------------------


def _parse_items(part: ContractPart, sections: dict[ContractPart, _Section], note: _NoteProblem) -> list[_Item]:
    """The items of a list; an empty list must say `- none`, the optional part aside."""
    section = sections.get(part)
    if section is None or _is_empty_section(section, part, note):
        return []
    items: list[_Item] = []
    lost = False  # under a line that was refused, so that what is wrapped below it isn't refused again
    for line in section.lines:
        item = items[-1] if items else None
        if item is not None and not lost and _attach_line(part, item, line, note):
            continue
        match = _ITEM.fullmatch(line.text)
        if match:
            items.append(_Item(line.number, line.indent, section.form, {"text": match[1] or ""}))
        elif not lost:
            note(
                line.number, "This line is not a list item.", f"Begin it with `- `, as in {section.form.example(part)}."
            )
        lost = not match
    return items


def _is_empty_section(section: _Section, part: ContractPart, note: _NoteProblem) -> bool:
    form, name = section.form, section.form.headings[part]
    if not section.lines:
        if part is not ContractPart.PROGRESS:
            remedy = f"Write {form.example(part)}, or `- {form.none}` if that is what you agreed."
            note(section.heading, f"Nothing stands under `## {name}`.", remedy)
        return True
    none = [line for line in section.lines if NONE.fullmatch(line.text)]
    if none and len(section.lines) > len(none):
        what = f"`{form.none}` stands beside other lines of `## {name}`."
        note(none[0].number, what, "Delete this line, or the others.")
        section.lines = [line for line in section.lines if line not in none]
        return False
    return bool(none)


def _attach_line(part: ContractPart, item: _Item, line: _Line, note: _NoteProblem) -> bool:
    """True when the line belongs under `item`: its support, its success, or its text wrapped."""
    marked = bool(_ITEM.fullmatch(line.text))
    deeper = line.indent > item.indent
    under = (
        _DETAIL.fullmatch(line.text)
        if part in (ContractPart.REPORT, ContractPart.MANAGER) and (deeper or not marked)
        else None
    )
    if under:
        name = _DETAIL_NAMES[under[1].casefold()]
        if name in item.fields:
            note(line.number, f"`{under[1].lower()}:` stands here again.", "Say it once for each commitment.")
        item.fields[name], item.last = under[2], name
    elif deeper and marked:
        remedy = f"Only `{item.form.support}:` and `{item.form.success}:` go under a commitment."
        note(line.number, "This line is a list inside a list.", remedy)
    elif deeper:
        item.continue_text(line.text)
    return bool(under) or deeper


def _is_filled(item: _Item, note: _NoteProblem) -> bool:
    if not item.text:
        remedy = f"Fill the line, or delete it; an empty part says `- {item.form.none}`."
        note(item.line, "Nothing is written here.", remedy)
    return bool(item.text)


# --- from items to what was agreed ----------------------------------------------------------------------------------


def _parse_commitments(
    part: ContractPart, sections: dict[ContractPart, _Section], note: _NoteProblem
) -> tuple[WrittenCommitment, ...]:
    found = (_parse_commitment(item, note) for item in _parse_items(part, sections, note) if _is_filled(item, note))
    return tuple(promise for promise in found if promise)


def _parse_commitment(item: _Item, note: _NoteProblem) -> WrittenCommitment | None:
    match = _DUE.fullmatch(item.fields["text"])
    if match is None:
        note(item.line, *_explain_missing_date(item))
        return None
    text = _unescape((match[1] or "").rstrip(" ,;"))
    if not text:
        note(item.line, "This commitment says when, but not what.", f"Write what will be done before `{item.form.by}`.")
        return None
    numbers = [number for number in match.groups()[1:] if number]
    due = _make_date(*(numbers if len(numbers[0]) == 4 else reversed(numbers)))
    if due is None:
        note(item.line, "There is no such day.", "Write a day of the calendar as year-month-day: `2027-02-15`.")
        return None
    under = {name: item.fields.get(name, "") for name in ("support", "success")}
    return WrittenCommitment(text=text, due=due, line=item.line, **under)


def _explain_missing_date(item: _Item) -> tuple[str, str]:
    """What to say of a commitment that ends with no day, or with one that is written in another way."""
    meant, by = set(_guess_dates(item.fields["text"])), item.form.by
    if len(meant) == 1:
        return "The day of this commitment is written in another way.", f"End the line with `{by} {meant.pop()}`."
    what = "The day of this commitment can be read in two ways." if meant else "This commitment has no date."
    return what, f"End the line with the day, as in `{by} 2027-02-15`."


def _guess_dates(text: str) -> Iterator[date]:
    """The days that the end of a text may mean: year, day or month first, and the month by its name."""
    words = re.findall(r"[^\W_]+", text.casefold())[-3:]
    numbers = [_parse_number(word) for word in words]
    if len(words) < 3 or not all(numbers):
        return
    first, second, third = numbers
    if first >= 1000:
        orders = [(first, second, third)]
    elif words[0].isalpha():
        orders = [(third, first, second)]
    elif words[1].isalpha() or re.search(_GERMAN_DATE + r"\W*$", text):
        orders = [(third, second, first)]
    else:
        orders = [(third, second, first), (third, first, second)]
    yield from (found for year, *rest in orders if year >= 1000 and (found := _make_date(year, *rest)))


def _parse_number(word: str) -> int:
    """The number in `1st`, `01` or `january`; 0 when there is none."""
    found = re.fullmatch(r"(\d{1,4})(?:st|nd|rd|th)?", word)
    if found or len(word) < 3:
        return int(found[1]) if found else 0
    months = (one for form in CONTRACT_LANGUAGES.values() for one in enumerate(form.months.split(), 1))
    return next((number for number, name in months if name.startswith(word)), 0)


def _parse_reviews(sections: dict[ContractPart, _Section], note: _NoteProblem) -> tuple[ReviewPoint, ...]:
    found = (
        _parse_review(item, note)
        for item in _parse_items(ContractPart.REVIEWS, sections, note)
        if _is_filled(item, note)
    )
    return tuple(point for point in found if point)


def _parse_review(item: _Item, note: _NoteProblem) -> ReviewPoint | None:
    match = _MONTH.fullmatch(item.fields["text"])
    if match is None:
        note(item.line, "This line does not begin with a month.", f"Write {item.form.example(ContractPart.REVIEWS)}.")
        return None
    month = _make_date(match[1], match[2], 1)
    if month is None:
        note(item.line, "There is no such month.", "Write the month as year-month: `2027-02`.")
    elif not match[3]:
        note(item.line, "This line says when, but not what.", "Write what you will review after the colon.")
    return ReviewPoint(month=month, text=match[3], line=item.line) if month and match[3] else None


def _parse_question(sections: dict[ContractPart, _Section], note: _NoteProblem) -> str:
    section = sections.get(ContractPart.QUESTION)
    if section is None or _is_empty_section(section, ContractPart.QUESTION, note):
        return ""
    return "\n".join(_unescape(line.text) for line in section.lines)


def _make_date(year: str | int, month: str | int, day: str | int) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


# --- writing --------------------------------------------------------------------------------------------------------


def _unescape(text: str) -> str:
    return text.removeprefix("\\")
