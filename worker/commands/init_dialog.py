"""Asks the questions of `longarc init` on the terminal, and prints lists to choose from, findings and summaries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from worker.commands.terminal import (
    add_row,
    make_table,
    print_finding,
    print_line,
    print_paragraph,
    print_table,
)
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.providers.base import Finding
    from worker.setup.pilot import PilotCandidate
    from worker.setup.questions import Question
    from worker.setup.roster_summary import RosterSummary

#: How many pairs, managers and time zones are named in the summary of the roster.
MAX_SHOWN = 5
#: How many warnings are printed; further warnings are only counted.
MAX_WARNINGS = 10
#: What the person types to empty an optional answer.
EMPTY_ANSWER = "-"


def ask_question(question: "Question", default: str, parse: Callable[[str], str], *, is_stored: bool) -> str | None:
    """Ask a question until its answer can be used, and return the answer as it is kept.

    `?` shows the explanation, and `-` empties an optional answer. `is_stored`: the answer is a secret that is stored
    already; the function returns None when the person keeps it.
    """
    from worker.settings.parsers import InvalidValue

    print_paragraph(question.text, "bold")
    if is_stored:
        removal_hint = f", `{EMPTY_ANSWER}` removes it" if question.is_optional else ""
        print_paragraph(f"One is stored. Enter keeps it{removal_hint}.", "dim", indent=2)
    elif default and question.is_optional:
        print_paragraph(f"Enter keeps what is in brackets, `{EMPTY_ANSWER}` leaves it empty.", "dim", indent=2)
    may_be_empty = question.is_optional or is_stored
    while True:
        text = click.prompt(
            " >",
            prompt_suffix=" ",
            default=default or ("" if may_be_empty else None),
            show_default=bool(default),
            hide_input=question.is_secret,
        ).strip()
        if text == "?":
            print_paragraph(question.explanation, "dim", indent=2)
            continue
        if is_stored and not text:
            return None
        if question.is_optional and text in ("", EMPTY_ANSWER):
            return ""
        try:
            return parse(text)
        except InvalidValue as error:
            print_paragraph(f"{error.what} {error.build_remedy()}", "yellow", indent=2)


def show_ways() -> None:
    """Print the ways with what each is for."""
    from worker.setup.ways import DESCRIPTIONS

    print_line()
    for way, description in DESCRIPTIONS.items():
        print_line(f"  {way.value:<18} {description}")


def show_answers(questions: "Sequence[Question]", answers: Mapping[str, str]) -> None:
    """Print the questions with their numbers, names and answers. A secret is never printed."""
    width = max(len(question.name) for question in questions)
    print_line()
    for number, question in enumerate(questions, 1):
        answer = "(secret)" if question.is_secret else answers.get(question.name) or "(empty)"
        print_line(f"  {number:>2}  {question.name:<{width}}  {answer}")
    print_line()


def choose_question(questions: "Sequence[Question]") -> "Question | None":
    """Ask which answer to change, by its number or name in the list; return None when the person is done."""
    from worker.settings.parsers import find_nearest

    questions_by_key = {question.name: question for question in questions}
    questions_by_key |= {str(number): question for number, question in enumerate(questions, 1)}
    while True:
        text = click.prompt(
            "Which answer do you want to change (number or name, Enter when done)?",
            default="",
            show_default=False,
            prompt_suffix=" ",
        ).strip()
        if not text:
            return None
        if question := questions_by_key.get(text.casefold()):
            return question
        nearest = find_nearest(text, [question.name for question in questions])
        remedy = f"Did you mean `{nearest}`?" if nearest else f"Write a number from 1 to {len(questions)}, or a name."
        print_paragraph(f"The list has no answer `{text}`. {remedy}", "yellow", indent=2)


def show_pilot_candidates(candidates: "Sequence[PilotCandidate]", max_listed: int) -> None:
    """Print a numbered list of the first `max_listed` managers, and how many more there are."""
    table = make_table("", [("", "right"), "manager", "address", ("reports", "right"), "shared working hours"])
    for number, candidate in enumerate(candidates[:max_listed], 1):
        count = candidate.reports_without_shared_hours
        shared_hours = f"none with {format_count(count, 'report')}" if count else "with every report"
        add_row(table, number, candidate.name, candidate.address, f"{candidate.report_count:,}", shared_hours)
    print_table(table)
    if len(candidates) > max_listed:
        more = format_count(len(candidates) - max_listed, "more manager")
        print_paragraph(f"and {more}, to be named by address", "dim", indent=2)
    print_paragraph("Write numbers of lines, addresses or both.", "dim", indent=2)


def show_findings(findings: "Iterable[Finding]") -> bool:
    """Print the failed checks and the warnings, and count the checks that passed. Return whether no check failed."""
    ok_count = failed_count = warning_count = 0
    for finding in findings:
        if finding.ok and not finding.remedy:  # with a remedy, it is a warning
            ok_count += 1
            continue
        failed_count += not finding.ok
        warning_count += finding.ok
        if finding.ok and warning_count > MAX_WARNINGS:
            continue
        print_finding(finding)
    if warning_count > MAX_WARNINGS:
        more = format_count(warning_count - MAX_WARNINGS, "more warning")
        print_line(f"! and {more}: see `longarc check`", "yellow")
    if ok_count:
        print_line(f"✓ {format_count(ok_count, 'check')} passed", "green")
    return not failed_count


def show_roster(summary: "RosterSummary") -> None:
    """Print how many people, managers and pairs were understood, and what may be wrong with them."""
    print_line(
        f"\n{format_count(summary.people, 'person', 'people')}, {format_count(summary.managers, 'manager')}, "
        f"{format_count(summary.pairs, 'pair')} of a manager and a report",
        "bold",
    )
    zones = [f"{zone} {count:,}" for zone, count in summary.zones]
    if summary.people:
        print_line(f"  time zones: {_shorten(zones)}")
        print_line(f"  without a manager: {summary.without_manager:,}")
    if summary.many_reports:
        managers = [f"{manager} ({count})" for manager, count in summary.many_reports]
        print_line(f"! more than ten reports: {_shorten(managers)}", "yellow")
    if summary.pairs_without_shared_hours:
        pairs = [f"{manager} and {report}" for manager, report in summary.pairs_without_shared_hours]
        print_line(f"! never at work at the same time: {_shorten(pairs)}", "yellow")


def _shorten(items: list[str]) -> str:
    """Return the first MAX_SHOWN items as text, and how many more there are."""
    more = f" and {len(items) - MAX_SHOWN:,} more" if len(items) > MAX_SHOWN else ""
    return ", ".join(items[:MAX_SHOWN]) + more


def show_next_steps(*steps: tuple[str, str]) -> None:
    """Print a line for each step: its purpose, and the file to open or the command to type."""
    for purpose, instruction in steps:
        print_line(f"  {purpose:<17} {instruction}")
