"""A contract written as a Markdown file, so that `markdown.parse_contract` reads the same contract back (R-14)."""

import re
from collections.abc import Iterable, Iterator
from datetime import date

from worker.domain.contract.languages import ContractLanguage, ContractPart, find_contract_language
from worker.domain.contract.markdown import COMMENT_START, NONE, RULE
from worker.domain.model import Contract, WrittenCommitment


def _escape(text: str) -> str:
    """A backslash before what would otherwise be read as a heading, a ruler or `none`."""
    special = text.startswith(("\\", "#")) or NONE.fullmatch(text) or RULE.fullmatch(text)
    return f"\\{text}" if special else text


def render_contract(contract: Contract, title: str = "", locale: str = "en") -> str:
    """The file that `parse` reads back as the same contract (line numbers aside), in the language of the locale."""
    form = find_contract_language(locale)
    parts = {
        ContractPart.REPORT: _format_list(
            (line for one in contract.report for line in _format_commitment(one, form)), form
        ),
        ContractPart.MANAGER: _format_list(
            (line for one in contract.manager for line in _format_commitment(one, form)), form
        ),
        ContractPart.REVIEWS: _format_list(
            (f"- {one.month.isoformat()[:7]}: {one.text}" for one in contract.reviews), form
        ),
        ContractPart.QUESTION: "\n".join(_escape(line) for line in contract.question.splitlines()) or form.none,
    }
    if contract.progress:
        parts[ContractPart.PROGRESS] = _format_list((f"- {_escape(line)}" for line in contract.progress), form)
    head = [f"# {_join_lines(title)}"] if title else []
    text = "\n\n".join([*head, *(f"## {form.headings[part]}\n\n{body}" for part, body in parts.items())]) + "\n"
    return COMMENT_START.sub(r"\\\g<0>", text)  # what was said is no note


def _format_commitment(promise: WrittenCommitment, form: ContractLanguage) -> Iterator[str]:
    yield f"- {_escape(promise.text)}" + (f" {form.by} {promise.due.isoformat()}" if promise.due else "")
    if promise.support:
        yield f"  - {form.support}: {promise.support}"
    if promise.success:
        yield f"  - {form.success}: {promise.success}"


def render_title(manager_name: str, report_name: str, day: date, revision: int, locale: str = "en") -> str:
    """What stands above a contract that is shown."""
    form = find_contract_language(locale)
    return form.title.format(manager=manager_name, report=report_name, day=day) + form.revision.format(number=revision)


def _format_list(lines: Iterable[str], form: ContractLanguage) -> str:
    return "\n".join(lines) or f"- {form.none}"


def _join_lines(text: str) -> str:
    return " ".join(text.split())


def render_blank(manager_name: str, report_name: str, today: date, locale: str = "en") -> str:
    """A file to fill in. Read before it is filled, it says line by line what is still to be written."""
    manager, report = (re.sub("<!--|-->", "", _join_lines(name)) for name in (manager_name, report_name))
    soon = date.fromordinal(min(today.toordinal() + 28, date.max.toordinal()))
    dates = {"day": today, "soon": soon, "soon_here": f"{soon:%d.%m.%Y}", "month": soon.isoformat()[:7]}
    return find_contract_language(locale).blank.format(manager=manager, report=report, **dates)
