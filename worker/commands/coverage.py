"""`longarc coverage`: how a quarter goes, in groups of five and more."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import json_option
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.terminal import add_row, format_count, make_table, print_json, print_line, print_table

if TYPE_CHECKING:
    from worker.ops.coverage import Coverage, CoverageGroup, Quarter

COLUMNS: tuple[str | tuple[str, str], ...] = (
    "Group",
    *((name, "right") for name in ("Pairs", "Held", "Ahead", "Not due", "Missing", "Put off", "Days late")),
    *((name, "right") for name in ("Contract in 48 h", "Managers kept", "Reports kept")),
)


@click.command("coverage", cls=Command, short_help="How a quarter goes, in groups of five and more; never by person.")
@click.option("--quarter", metavar="2026-Q3", help="Another quarter than this one.")
@click.option(
    "--by", type=click.Choice(["country", "zone"]), default="country", show_default=True, help="Of the report."
)
@json_option
def coverage(quarter: str | None, by: str, as_json: bool) -> None:
    """Show how a quarter goes: who met, what was put off, what was kept.

    Groups have five pairs or more. Smaller ones are counted together, or not at all when even together they are fewer
    than five. Nothing is shown about one person, and nothing of what anybody said is looked at.
    """
    from worker.ops.coverage import count_coverage as counted

    now = utcnow()
    with open_worker() as worker:
        told = counted(worker.store, _parse_quarter(quarter), now, by)
    if as_json:
        print_json(_coverage_to_json(told))
    else:
        _show_coverage(told, by)


def _parse_quarter(text: str | None) -> "Quarter":
    from worker.ops.coverage import Quarter, find_quarter

    if text is None:
        return find_quarter(utcnow().date())
    found = re.fullmatch(r"(20\d\d)-?[Qq]([1-4])", text.strip())
    if not found:
        raise click.BadParameter("Write a quarter as 2026-Q3.", param_hint="--quarter")
    return Quarter(int(found[1]), int(found[2]))


def _show_coverage(told: "Coverage", by: str) -> None:
    shown = make_table(f"{told.quarter} by {by}", COLUMNS)
    for group in told.groups:
        add_row(shown, *_make_cells(group))
    if told.total:
        shown.add_section()
        add_row(shown, *_make_cells(told.total), style="bold")
    if told.groups:
        print_table(shown)
    if told.hidden:
        pairs = format_count(told.hidden, "pair is", "pairs are")
        print_line(f"{pairs} in groups of fewer than five, and counted nowhere.", "dim")
    elif not told.groups:
        print_line("There are no pairs in this quarter.")


def _make_cells(group: "CoverageGroup") -> Sequence[object]:
    from worker.domain.model import Owner

    numbers = (group.pairs, group.held, group.ahead, group.later, group.missing, group.deferrals)
    late = "" if group.median_days_late is None else f"{group.median_days_late:g}"
    shares = [
        _format_share(kept) for kept in (group.contracts, group.promises[Owner.MANAGER], group.promises[Owner.REPORT])
    ]
    return (group.name, *numbers, late, *shares)


def _format_share(kept: Sequence[bool]) -> str:
    return f"{sum(kept)} of {len(kept)}" if kept else ""


def _coverage_to_json(told: "Coverage") -> dict[str, Any]:
    groups = [_group_to_json(group) for group in told.groups]
    return {"quarter": str(told.quarter), "groups": groups, "pairs_not_shown": told.hidden}


def _group_to_json(group: "CoverageGroup") -> dict[str, Any]:
    names = ("name", "pairs", "held", "ahead", "later", "missing", "deferrals")
    told: dict[str, Any] = {name: getattr(group, name) for name in names}
    told["median_days_late"] = group.median_days_late
    told["contracts"] = {"due": len(group.contracts), "within_48_hours": sum(group.contracts)}
    for owner, kept in group.promises.items():
        told[f"{owner.value}_commitments"] = {"due": len(kept), "kept": sum(kept)}
    return told
