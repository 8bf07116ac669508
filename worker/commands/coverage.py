"""`longarc coverage`: counts the conversations of a quarter, in groups of at least five pairs and three managers.

The pulse is an anonymous question to reports: whether they see a future for themselves in the company.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import json_option
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.terminal import add_row, make_table, print_json, print_line, print_table
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.ops.coverage import Coverage, CoverageGroup, Quarter
    from worker.store.pulse import ClosedRound

COLUMNS: tuple[str | tuple[str, str], ...] = (
    "Group",
    *((name, "right") for name in ("Pairs", "Held", "Booked", "Due later", "Missing", "Deferrals", "Days late")),
    *((name, "right") for name in ("Contract in 48 h", "Managers kept", "Reports kept")),
)


@click.command("coverage", cls=Command, short_help="Count a quarter by groups, never by person.")
@click.option("--quarter", metavar="2026-Q3", help="The quarter. Default: the current one.")
@click.option(
    "--by",
    type=click.Choice(["group", "country", "zone"]),
    help="Group by this property of the report. Default: group where the people file names any, else country.",
)
@json_option
def coverage(quarter: str | None, by: str | None, as_json: bool) -> None:
    """Count the conversations, deferrals, contracts and kept commitments of a quarter.

    A group has at least five pairs and three managers. Smaller groups are counted together, or not at all. The same
    holds for groups whose numbers could be computed by comparing two groupings. Nothing is shown about a single person,
    and no content is read.

    The closed rounds of the anonymous question follow: whether reports can see a future here. A group has at least five
    answers, from reports of at least three managers.
    """
    from worker.ops.coverage import count_coverage

    now = utcnow()
    with open_worker() as worker:
        # an empty text for `by` chooses group or country, as the help says
        result = count_coverage(worker.store, _parse_quarter(quarter), now, by or "")
        rounds = worker.store.pulse.list_closed_rounds()
    if as_json:
        print_json({**_coverage_to_json(result), "pulse": [_round_to_json(closed_round) for closed_round in rounds]})
    else:
        _show_coverage(result)
        _show_pulse(rounds)


def _parse_quarter(text: str | None) -> "Quarter":
    """Return the quarter that the text names, or the current one without a text. Raises BadParameter."""
    from worker.ops.coverage import Quarter, find_quarter

    if text is None:
        return find_quarter(utcnow().date())
    match = re.fullmatch(r"(20\d\d)-?[Qq]([1-4])", text.strip())
    if not match:
        raise click.BadParameter("Write a quarter as 2026-Q3.", param_hint="--quarter")
    return Quarter(int(match[1]), int(match[2]))


def _show_coverage(result: "Coverage") -> None:
    from worker.domain.disclosure import MIN_MANAGERS, MIN_PAIRS

    table = make_table(f"{result.quarter} by {result.by}", COLUMNS)
    for group in result.groups:
        add_row(table, *_make_cells(group))
    if result.total:
        table.add_section()
        add_row(table, *_make_cells(result.total), style="bold")
    if result.groups:
        print_table(table)
    if result.hidden_count:
        pairs = format_count(result.hidden_count, "pair is", "pairs are")
        limit = f"fewer than {MIN_PAIRS} pairs or {MIN_MANAGERS} managers"
        consequence = "and not counted above" if result.groups else "so nothing is shown"
        print_line(f"{pairs} in groups of {limit}, {consequence}.", "dim")
    elif not result.groups:
        print_line("There are no pairs in this quarter.")


def _show_pulse(rounds: Sequence["ClosedRound"]) -> None:
    """Print the answers of each closed round of the pulse (R-37), the newest round first."""
    from worker.domain.pulse import count_answers

    if not rounds:
        return
    table = make_table("Can you see a future here?", ("Round", "Group", ("Yes", "right"), ("No", "right")))
    for closed_round in rounds:
        for cell in closed_round.cells:
            add_row(table, closed_round.round, cell.name, cell.yes, cell.no)
        if len(closed_round.cells) > 1:
            add_row(table, closed_round.round, "all of these", *count_answers(closed_round.cells), style="bold")
        if not closed_round.cells:
            add_row(table, closed_round.round, "not shown", "", "", style="dim")
    print_table(table)
    print_line("Not shown: too few answers, or too few people joined or left since a round that was shown.", "dim")


def _make_cells(group: "CoverageGroup") -> Sequence[object]:
    """Return the cells of a row of the table, in the order of COLUMNS."""
    from worker.domain.model import Owner

    numbers = (group.pairs, group.held, group.booked, group.due_later, group.missing, group.deferrals)
    days_late = "" if group.median_days_late is None else f"{group.median_days_late:g}"
    outcomes_of_commitments = (group.commitment_outcomes[owner] for owner in (Owner.MANAGER, Owner.REPORT))
    shares = [_format_share(outcomes) for outcomes in (group.contract_outcomes, *outcomes_of_commitments)]
    return (group.name, *numbers, days_late, *shares)


def _format_share(outcomes: Sequence[bool]) -> str:
    """Return how many of the outcomes are good, as `3 of 4`; empty when there are none."""
    return f"{sum(outcomes)} of {len(outcomes)}" if outcomes else ""


def _coverage_to_json(result: "Coverage") -> dict[str, Any]:
    groups = [_group_to_json(group) for group in result.groups]
    return {"quarter": str(result.quarter), "by": result.by, "groups": groups, "pairs_not_shown": result.hidden_count}


def _round_to_json(closed_round: "ClosedRound") -> dict[str, Any]:
    groups = [{"name": cell.name, "yes": cell.yes, "no": cell.no} for cell in closed_round.cells]
    return {"round": closed_round.round, "groups": groups}


def _group_to_json(group: "CoverageGroup") -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": group.name,
        "pairs": group.pairs,
        "held": group.held,
        "ahead": group.booked,
        "later": group.due_later,
        "missing": group.missing,
        "deferrals": group.deferrals,
        "median_days_late": group.median_days_late,
    }
    values["contracts"] = {"due": len(group.contract_outcomes), "within_48_hours": sum(group.contract_outcomes)}
    for owner, outcomes in group.commitment_outcomes.items():
        values[f"{owner.value}_commitments"] = {"due": len(outcomes), "kept": sum(outcomes)}
    return values
