"""Writes a contract as a Markdown file, from which `markdown.parse_contract` returns the same contract (R-14)."""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from worker.domain.contract.languages import ContractLanguage, ContractPart, find_contract_language
from worker.domain.contract.markdown import COMMENT_START, HORIZONTAL_RULE, NONE_LINE
from worker.domain.model import Contract, WrittenCommitment


def _escape(text: str) -> str:
    """Return the text in the form in which the parser reads it as this text.

    A text that looks like a heading, a horizontal rule or `none` gets a backslash in front. So does a text that begins
    with a backslash, because the parser drops the first backslash.
    """
    special = text.startswith(("\\", "#")) or NONE_LINE.fullmatch(text) or HORIZONTAL_RULE.fullmatch(text)
    return f"\\{text}" if special else text


def render_contract(contract: Contract, title: str = "", locale: str = "en") -> str:
    """Return the contract as a file in the locale's language."""
    language = find_contract_language(locale)
    parts = {
        ContractPart.REPORT: _format_list(
            (line for commitment in contract.report for line in _format_commitment(commitment, language)), language
        ),
        ContractPart.MANAGER: _format_list(
            (line for commitment in contract.manager for line in _format_commitment(commitment, language)), language
        ),
        ContractPart.REVIEWS: _format_list(
            (f"- {review.month.isoformat()[:7]}: {review.text}" for review in contract.reviews), language
        ),
        ContractPart.QUESTION: "\n".join(_escape(line) for line in contract.question.splitlines()) or language.none,
    }
    if contract.progress:
        parts[ContractPart.PROGRESS] = _format_list((f"- {_escape(line)}" for line in contract.progress), language)
    title_lines = [f"# {_join_lines(title)}"] if title else []
    text = (
        "\n\n".join([*title_lines, *(f"## {language.headings[part]}\n\n{body}" for part, body in parts.items())]) + "\n"
    )
    return COMMENT_START.sub(r"\\\g<0>", text)  # prevents text from being parsed as a comment


def _format_commitment(commitment: WrittenCommitment, language: ContractLanguage) -> Iterator[str]:
    yield f"- {_escape(commitment.text)}" + (f" {language.by} {commitment.due.isoformat()}" if commitment.due else "")
    if commitment.support:
        yield f"  - {language.support}: {commitment.support}"
    if commitment.success:
        yield f"  - {language.success}: {commitment.success}"


def render_title(manager_name: str, report_name: str, day: date, revision: int, locale: str = "en") -> str:
    """Return the title of a contract: both names, the day and the number of the revision."""
    language = find_contract_language(locale)
    title = language.title.format(manager=manager_name, report=report_name, day=day)
    return title + language.revision.format(number=revision)


def _format_list(lines: Iterable[str], language: ContractLanguage) -> str:
    return "\n".join(lines) or f"- {language.none}"


def _join_lines(text: str) -> str:
    return " ".join(text.split())


#: The date in the examples of the blank file is this many days ahead.
_EXAMPLE_DAYS = 28


def render_blank(manager_name: str, report_name: str, today: date, locale: str = "en") -> str:
    """Return the file to fill in. Parsing it unchanged finds a problem for each line that has to be filled in."""
    # Names stand inside comments of the blank file, which they must not end.
    manager, report = (re.sub("<!--|-->", "", _join_lines(name)) for name in (manager_name, report_name))
    example_day = date.fromordinal(min(today.toordinal() + _EXAMPLE_DAYS, date.max.toordinal()))
    dates = {
        "day": today,
        "soon": example_day,
        "soon_dotted": f"{example_day:%d.%m.%Y}",
        "month": example_day.isoformat()[:7],
    }
    return find_contract_language(locale).blank_file.format(manager=manager, report=report, **dates)
