"""Parses a contract file: a short Markdown file with four parts (R-14) and an optional fifth one (R-24).

The parser tolerates the changes that editors and word processors make to a text. It collects all other problems, with
their lines, in one run. A problem never contains text of the contract, because problems are shown in terminals and
logs, and content is confidential (R-23).
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from worker.domain.contract.headings import detect_language, find_similar_parts, parse_heading
from worker.domain.contract.languages import CONTRACT_LANGUAGES, ContractLanguage, ContractPart
from worker.domain.model import Contract, ReviewPoint, WrittenCommitment
from worker.errors import Problem, Problems

MAX_LINES = 200
MAX_LINE_CHARACTERS = 2000

REQUIRED_PARTS = (ContractPart.REPORT, ContractPart.MANAGER, ContractPart.REVIEWS, ContractPart.QUESTION)

#: Adds a problem, given its line number, what is wrong, and the remedy.
_AddProblem = Callable[[int, str, str], None]

_DASH = "[-\u2010\u2011\u2013]"
_DATE = rf"(\d{{4}}){_DASH}(\d{{1,2}}){_DASH}(\d{{1,2}})"
#: A date in the German format: 15.2.2027.
_GERMAN_DATE = r"(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})"
#: A list item: `- text`. The group is the text, which is None for a bare `-`.
_ITEM = re.compile(r"[-*+•](?:\s+(.*))?")
#: The keywords that begin a detail of a commitment, in all languages, and the field of `WrittenCommitment` for each.
_DETAIL_NAMES = {
    word.casefold(): name
    for language in CONTRACT_LANGUAGES.values()
    for word, name in ((language.support, "support"), (language.success, "success"))
}
#: A detail of a commitment, also as a list item: `support: the platform team`. The groups are the keyword and the text.
_DETAIL = re.compile(rf"(?:[-*+•]\s+)?({'|'.join(_DETAIL_NAMES)})\s*:\s*(.*)", re.IGNORECASE)
#: A commitment that ends with its date: `Run the review by 2027-02-15.`, `… (bis zum 15.2.2027)`. The first group is
#: the text before the date. Of the nine groups after it, three hold the parts of the date, in the order of the file.
_DUE = re.compile(rf"(?:(.*)\s)?\(?(?:by {_DATE}|bis(?: zum)? (?:{_DATE}|{_GERMAN_DATE}))\)?[.!]?", re.IGNORECASE)
#: A review: `2027-02: the first design review`. The groups are the year, the month and the text.
_MONTH = re.compile(rf"(\d{{4}}){_DASH}(\d{{1,2}}) ?:(?: (.*))?")
#: Matches `<!--` with the backslashes in front of it. Without a backslash, it begins a comment; else it is plain text.
COMMENT_START = re.compile(r"\\*<!--")
#: Splits a text at the start and the end of each comment and at line ends. The group keeps these among the pieces.
_COMMENT_PIECES = re.compile(r"((?<!\\)<!--|-->|\n)")
HORIZONTAL_RULE = re.compile(r"-{3,}|\*{3,}|_{3,}")
#: A line which says that the two agreed on nothing in a part. In German, `keine` is accepted as well.
NONE_LINE = re.compile(
    rf"(?:[-*+•]\s+)?(?:{'|'.join(language.none for language in CONTRACT_LANGUAGES.values())}|keine)\.?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the file, without its indentation."""

    number: int
    text: str
    indent: int  #: the width of the indentation in columns


@dataclass(slots=True)
class _Section:
    """A heading of the file and the lines below it."""

    heading_line: int
    language: ContractLanguage  #: the language of the heading
    lines: list[_Line] = field(default_factory=list)


@dataclass(slots=True)
class _Item:
    """A list item with the details below it. A wrapped line continues the text or detail above it."""

    line: int
    indent: int
    language: ContractLanguage
    fields: dict[str, str]  #: the text and the details, by field name
    last_field: str = "text"  #: the name of the field that a wrapped line continues

    def continue_text(self, text: str) -> None:
        """Add a wrapped line to the last field."""
        self.fields[self.last_field] = f"{self.fields[self.last_field]} {text}".strip()

    @property
    def text(self) -> str:
        return _unescape(self.fields["text"])


def parse_contract(text: str, file: str) -> Contract:
    """Return the contract in the text. Raises Problems with all problems of the text, which contain the name `file`."""
    contract, problems = try_parse_contract(text, file)
    if problems:
        raise Problems(problems)
    return contract


def try_parse_contract(text: str, file: str) -> tuple[Contract, list[Problem]]:
    """Return what can be read of the contract, and the problems of the rest, sorted by line number."""
    problems: list[Problem] = []

    def add_problem(line: int, what: str, remedy: str) -> None:
        problems.append(Problem(f"{file}:{line}", what, remedy))

    lines = _split_lines(text, add_problem)
    if problems:
        return Contract(), problems
    sections = _split_sections(lines, add_problem)
    contract = Contract(
        report=_parse_commitments(ContractPart.REPORT, sections, add_problem),
        manager=_parse_commitments(ContractPart.MANAGER, sections, add_problem),
        reviews=_parse_reviews(sections, add_problem),
        question=_parse_question(sections, add_problem),
        progress=tuple(item.text for item in _parse_items(ContractPart.PROGRESS, sections, add_problem)),
    )
    return contract, sorted(problems, key=get_problem_line)


def get_problem_line(problem: Problem) -> int:
    """Return the line number of a problem."""
    return int(problem.where.rpartition(":")[2])


def _split_lines(text: str, add_problem: _AddProblem) -> list[str]:
    """Return the lines of the text. Add one problem for lines that are too long, and one for control characters."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))
    while len(lines) > 1 and not lines[-1].strip():
        lines.pop()
    if len(lines) > MAX_LINES:
        add_problem(
            MAX_LINES + 1, f"The file has more than {MAX_LINES} lines.", "A contract is short: keep what was agreed."
        )
        return []
    _add_first_problem(
        lines,
        lambda line: len(line) > MAX_LINE_CHARACTERS,
        add_problem,
        f"is longer than {MAX_LINE_CHARACTERS:,} characters",
        "Shorten it.",
    )
    _add_first_problem(
        lines,
        _has_control_character,
        add_problem,
        "holds a control character",
        "Save it as plain text, or type it anew.",
    )
    return lines


def _add_first_problem(
    lines: Sequence[str], is_wrong: Callable[[str], bool], add_problem: _AddProblem, what: str, remedy: str
) -> None:
    """Add one problem at the first wrong line. The text of the problem contains the number of the other wrong lines."""
    numbers = [number for number, line in enumerate(lines, 1) if is_wrong(line)]
    if numbers:
        others_too = f" Lines after it with the same problem: {len(numbers) - 1}." if len(numbers) > 1 else ""
        add_problem(numbers[0], f"This line {what}.{others_too}", remedy)


def _has_control_character(line: str) -> bool:
    # The Unicode categories of control characters, surrogates, and separators of lines and of paragraphs.
    return any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in line if character != "\t")


# --- from lines to parts --------------------------------------------------------------------------------------------


def _split_sections(lines: Sequence[str], add_problem: _AddProblem) -> dict[ContractPart, _Section]:
    """Return the sections by part, without comments and horizontal rules. Add a problem for each faulty heading."""
    sections: dict[ContractPart, _Section] = {}
    misspelled_parts: set[ContractPart] = set()
    section_lines: list[_Line] | None = None  # the lines of the current section; None before the first heading
    has_stray_text = False  # whether there is text before the first heading
    content_lines = list(_iterate_content_lines(lines, add_problem))
    language = detect_language(line.text for line in content_lines)
    for line in content_lines:
        heading = parse_heading(line.text)
        if heading is None:
            if section_lines is None and not has_stray_text:
                has_stray_text = True
                add_problem(
                    line.number, "This text stands before the first heading.", "Move it under one of the headings."
                )
            if section_lines is not None:
                section_lines.append(line)
            continue
        part, level = heading
        if part is None and level == 1 and section_lines is None:
            continue  # the title
        section_lines = _open_section(sections, part, line, language, add_problem, misspelled_parts)
    for part in REQUIRED_PARTS:
        if part not in sections and part not in misspelled_parts:
            remedy = f"Add it; write `- {language.none}` under it if so agreed."
            add_problem(len(lines), f"The heading `## {language.headings[part]}` is missing.", remedy)
    return sections


def _open_section(
    sections: dict[ContractPart, _Section],
    part: ContractPart | None,
    line: _Line,
    language: ContractLanguage,
    add_problem: _AddProblem,
    misspelled_parts: set[ContractPart],
) -> list[_Line]:
    """Return the list to which the lines below this heading are appended.

    For a known heading, that is the list of the part's section. For an unknown heading, it is a list without a section,
    so that the lines are ignored. If it looks like a misspelled heading, its part is added to `misspelled_parts`.
    """
    if part is None:
        remedy = "Use only the headings " + ", ".join(f"`## {heading}`" for heading in language.headings.values()) + "."
        if similar := find_similar_parts(line.text):
            misspelled_parts.update(similar)
            remedy = " ".join(f"Did you mean `## {heading}`?" for heading in similar.values())
        add_problem(line.number, "This heading is not known.", remedy)
        return []
    if part in sections:
        name = language.headings[part]
        remedy = f"Keep it once; it is in line {sections[part].heading_line} already."
        add_problem(line.number, f"The heading `## {name}` stands here again.", remedy)
    return sections.setdefault(part, _Section(line.number, language)).lines


def _iterate_content_lines(lines: Sequence[str], add_problem: _AddProblem) -> Iterator[_Line]:
    """Yield the lines with content: no blank lines, no horizontal rules, no `<!-- comments -->`."""
    for number, raw in _strip_comments(lines, add_problem).items():
        text = " ".join(raw.split())
        if text and not HORIZONTAL_RULE.fullmatch(text):
            expanded = lines[number - 1].expandtabs(4)
            yield _Line(number, text, len(expanded) - len(expanded.lstrip()))


def _strip_comments(lines: Sequence[str], add_problem: _AddProblem) -> Mapping[int, str]:
    """Return the lines by number, without comments, which are for the manager alone and never stored.

    Text after a comment of several lines is appended to the line on which the comment begins, if that line has text
    before the comment.
    """
    stripped: dict[int, str] = {}
    number = target = 1  # the current line, and the line to which its text is appended
    comment_start = 0  # the line on which the current comment began; 0 outside comments
    for piece in _COMMENT_PIECES.split("\n".join(lines)):
        if piece == "\n":
            number += 1
            if not comment_start:
                target = number
        elif piece == "<!--":
            comment_start = comment_start or number  # `<!--` inside a comment has no meaning
        elif piece == "-->" and comment_start:
            if not stripped.get(target, "").strip():
                target = number
            comment_start = 0
        elif not comment_start:
            # Each `<!--` in such a piece has a backslash in front. One is removed, because `render_contract` adds one.
            unescaped = COMMENT_START.sub(lambda match: match[0].removeprefix("\\"), piece)
            stripped[target] = stripped.get(target, "") + unescaped
    if comment_start:  # to people, comments are called notes, as in the blank file
        add_problem(comment_start, "The note that opens here is never closed.", "Close it with `-->`, or delete it.")
    return stripped


# --- from lines to items --------------------------------------------------------------------------------------------


def _parse_items(part: ContractPart, sections: dict[ContractPart, _Section], add_problem: _AddProblem) -> list[_Item]:
    """Return the list items of a part that have a text. Add a problem for each other item."""
    section = sections.get(part)
    if section is None:
        return []
    items = _group_lines(part, section, add_problem)
    for item in items:
        if not item.text:
            remedy = f"Fill the line, or delete it; an empty part says `- {item.language.none}`."
            add_problem(item.line, "Nothing is written here.", remedy)
    return [item for item in items if item.text]


def _group_lines(part: ContractPart, section: _Section, add_problem: _AddProblem) -> list[_Item]:
    """Return the list items of a section, each with the details and wrapped lines below it."""
    items: list[_Item] = []
    after_refused_line = False  # wrapped lines below a refused line add no further problem
    for line in _drop_none_lines(section, part, add_problem):
        item = items[-1] if items else None
        if item is not None and not after_refused_line and _attach_line(part, item, line, add_problem):
            continue
        match = _ITEM.fullmatch(line.text)
        if match:
            items.append(_Item(line.number, line.indent, section.language, {"text": match[1] or ""}))
        elif not after_refused_line:
            add_problem(
                line.number,
                "This line is not a list item.",
                f"Begin it with `- `, as in {section.language.format_example(part)}.",
            )
        after_refused_line = not match
    return items


def _drop_none_lines(section: _Section, part: ContractPart, add_problem: _AddProblem) -> list[_Line]:
    """Return the lines of the section, without those that say `- none`.

    Add a problem if the section has no lines (unless its part is optional), and if it has `- none` and other lines.
    """
    language, name = section.language, section.language.headings[part]
    if not section.lines:
        if part is not ContractPart.PROGRESS:
            remedy = f"Write {language.format_example(part)}, or `- {language.none}` if that is what you agreed."
            add_problem(section.heading_line, f"Nothing stands under `## {name}`.", remedy)
        return []
    none_lines = [line for line in section.lines if NONE_LINE.fullmatch(line.text)]
    if none_lines and len(section.lines) > len(none_lines):
        what = f"`{language.none}` stands beside other lines of `## {name}`."
        add_problem(none_lines[0].number, what, "Delete this line, or the others.")
    return [line for line in section.lines if line not in none_lines]


def _attach_line(part: ContractPart, item: _Item, line: _Line, add_problem: _AddProblem) -> bool:
    """Add a detail or a wrapped line to `item`, and a problem for a nested list. Return False for any other line."""
    has_marker = bool(_ITEM.fullmatch(line.text))
    is_deeper = line.indent > item.indent
    # A keyword begins a detail even without indentation, but not after a list marker: that begins another item.
    detail = (
        _DETAIL.fullmatch(line.text)
        if part in (ContractPart.REPORT, ContractPart.MANAGER) and (is_deeper or not has_marker)
        else None
    )
    if detail:
        name = _DETAIL_NAMES[detail[1].casefold()]
        if name in item.fields:
            add_problem(line.number, f"`{detail[1].lower()}:` stands here again.", "Say it once for each commitment.")
        item.fields[name] = detail[2]
        item.last_field = name
    elif is_deeper and has_marker:
        remedy = f"Only `{item.language.support}:` and `{item.language.success}:` go under a commitment."
        add_problem(line.number, "This line is a list inside a list.", remedy)
    elif is_deeper:
        item.continue_text(line.text)
    return bool(detail) or is_deeper


# --- from items to entries of the contract -------------------------------------------------------------------------


def _parse_commitments(
    part: ContractPart, sections: dict[ContractPart, _Section], add_problem: _AddProblem
) -> tuple[WrittenCommitment, ...]:
    commitments = (_parse_commitment(item, add_problem) for item in _parse_items(part, sections, add_problem))
    return tuple(commitment for commitment in commitments if commitment)


def _parse_commitment(item: _Item, add_problem: _AddProblem) -> WrittenCommitment | None:
    match = _DUE.fullmatch(item.fields["text"])
    if match is None:
        add_problem(item.line, *_explain_missing_date(item))
        return None
    text = _unescape((match[1] or "").rstrip(" ,;"))
    if not text:
        add_problem(
            item.line,
            "This commitment says when, but not what.",
            f"Write what will be done before `{item.language.by}`.",
        )
        return None
    date_parts = [part for part in match.groups()[1:] if part]  # only one of the three formats of a date has matched
    is_year_first = len(date_parts[0]) == 4  # a German date begins with the day
    due = _make_date(*(date_parts if is_year_first else reversed(date_parts)))
    if due is None:
        add_problem(item.line, "There is no such day.", "Write a day of the calendar as year-month-day: `2027-02-15`.")
        return None
    details = {name: item.fields.get(name, "") for name in ("support", "success")}
    return WrittenCommitment(text=text, due=due, line=item.line, **details)


def _explain_missing_date(item: _Item) -> tuple[str, str]:
    """Return what is wrong with a commitment that does not end with a valid date, and the remedy."""
    dates = set(_guess_dates(item.fields["text"]))
    by = item.language.by
    if len(dates) == 1:
        return "The day of this commitment is written in another way.", f"End the line with `{by} {dates.pop()}`."
    what = "The day of this commitment can be read in two ways." if dates else "This commitment has no date."
    return what, f"End the line with the day, as in `{by} 2027-02-15`."


def _guess_dates(text: str) -> Iterator[date]:
    """Yield every date that the last three words of a text can mean, in any order of year, month and day."""
    words = re.findall(r"[^\W_]+", text.casefold())[-3:]
    numbers = [_parse_number(word) for word in words]
    if len(words) < 3 or not all(numbers):
        return
    first, second, third = numbers
    if first >= 1000:
        orders = [(first, second, third)]  # year, month, day
    elif words[0].isalpha():  # the name of a month
        orders = [(third, first, second)]
    elif words[1].isalpha() or re.search(_GERMAN_DATE + r"\W*$", text):
        orders = [(third, second, first)]
    else:  # 3/4/2027 may begin with the day or with the month
        orders = [(third, second, first), (third, first, second)]
    yield from (
        guessed for year, month, day in orders if year >= 1000 and (guessed := _make_date(year, month, day)) is not None
    )


def _parse_number(word: str) -> int:
    """Return the number that a word such as `1st`, `01` or `january` means; 0 when it means none."""
    match = re.fullmatch(r"(\d{1,4})(?:st|nd|rd|th)?", word)
    if match:
        return int(match[1])
    if len(word) < 3:  # too short for the name of a month or its abbreviation
        return 0
    months = (
        numbered_name
        for language in CONTRACT_LANGUAGES.values()
        for numbered_name in enumerate(language.months.split(), 1)
    )
    return next((number for number, name in months if name.startswith(word)), 0)


def _parse_reviews(sections: dict[ContractPart, _Section], add_problem: _AddProblem) -> tuple[ReviewPoint, ...]:
    items = _parse_items(ContractPart.REVIEWS, sections, add_problem)
    reviews = (_parse_review(item, add_problem) for item in items)
    return tuple(review for review in reviews if review)


def _parse_review(item: _Item, add_problem: _AddProblem) -> ReviewPoint | None:
    match = _MONTH.fullmatch(item.fields["text"])
    if match is None:
        add_problem(
            item.line,
            "This line does not begin with a month.",
            f"Write {item.language.format_example(ContractPart.REVIEWS)}.",
        )
        return None
    month = _make_date(match[1], match[2], 1)
    if month is None:
        add_problem(item.line, "There is no such month.", "Write the month as year-month: `2027-02`.")
    elif not match[3]:
        add_problem(item.line, "This line says when, but not what.", "Write what you will review after the colon.")
    return ReviewPoint(month=month, text=match[3], line=item.line) if month and match[3] else None


def _parse_question(sections: dict[ContractPart, _Section], add_problem: _AddProblem) -> str:
    section = sections.get(ContractPart.QUESTION)
    if section is None:
        return ""
    lines = _drop_none_lines(section, ContractPart.QUESTION, add_problem)
    return "\n".join(_unescape(line.text) for line in lines)


def _make_date(year: str | int, month: str | int, day: str | int) -> date | None:
    """Return the date, or None when the calendar has no such day."""
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _unescape(text: str) -> str:
    """Return the text without the backslash that `render_contract` adds in front of text with a special meaning."""
    return text.removeprefix("\\")
