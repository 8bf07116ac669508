"""`longarc simulate`: runs the real planner with simulated people, calendars and time, and writes a ledger."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.commands.arguments import Day
from worker.commands.base import Command
from worker.commands.context import load_settings, set_up_quiet_logging
from worker.commands.terminal import add_row, make_table, print_line, print_table
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.simulation.run import SimulationOptions
    from worker.simulation.summary import Summary

BEHAVIOURS = ("calm", "busy", "hostile")
_existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_existing_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_new_folder = click.Path(file_okay=False, path_type=Path)


@click.command("simulate", cls=Command, short_help="Simulate months of use in seconds, with simulated people.")
@click.option("--people", required=True, type=_existing_file, metavar="FILE", help="The people file.")
@click.option(
    "--calendars",
    type=_existing_folder,
    metavar="DIR",
    help="A folder with the meetings that people already have, one <email>.ics each.",
)
@click.option("--from", "start", required=True, type=Day(), metavar="DATE", help="The first day, in UTC.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3660), help="The number of days.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same result, byte for byte.")
@click.option(
    "--people-behave",
    "behaviour",
    type=click.Choice(BEHAVIOURS),
    default="calm",
    show_default=True,
    help="How people act.",
)
@click.option(
    "--out", required=True, type=_new_folder, metavar="DIR", help="The folder for ledger.jsonl and summary.txt."
)
def simulate(
    people: Path, calendars: Path | None, start: date, days: int, seed: int, behaviour: str, out: Path
) -> None:
    """Simulate months of use in seconds: the real planner with simulated calendars, clock and people.

    The seed decides how people accept, decline, move and delete events, go on leave, and keep or forget commitments.
    Every decision is written to DIR/ledger.jsonl, one JSON object per line, and counted in DIR/summary.txt.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from worker.engine.roster_reader import read_people
    from worker.settings.roster_sections import FILE_SOURCE
    from worker.simulation.run import SimulationOptions, run_simulation

    settings = load_settings()
    set_up_quiet_logging(settings)
    start_at = datetime.combine(start, time(), UTC)
    roster_section = settings.roster.model_copy(update={"source": FILE_SOURCE})
    roster = read_people(settings.model_copy(update={"people": people, "roster": roster_section}), start_at)
    options = SimulationOptions(start=start_at, days=days, seed=seed, behaviour=behaviour, calendars=calendars)
    percent_column = TextColumn("{task.percentage:>3.0f}%")
    columns = (TextColumn("{task.description}"), BarColumn(), percent_column, TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("…", total=timedelta(days=days).total_seconds())

        def show_progress(now: datetime) -> None:
            bar.update(task, completed=(now - start_at).total_seconds(), description=f"{now:%d %b %Y}")

        summary = run_simulation(options, settings, roster.persons, roster.pairs, out, show_progress)
    _print_summary(options, summary, len(roster.pairs), out)


def _print_summary(options: "SimulationOptions", summary: "Summary", pair_count: int, out: Path) -> None:
    days = format_count(options.days, "day")
    title = f"{days} from {options.start:%Y-%m-%d}, {options.behaviour} people, seed {options.seed}"
    table = make_table(title, ["", ""])
    table.show_header = False
    for name, figures in summary.list_rows(pair_count):
        add_row(table, name, figures)
    print_table(table)
    print_line(
        f"{format_count(summary.lines, 'line')} in {out / 'ledger.jsonl'}; the same figures in {out / 'summary.txt'}.",
        "dim",
    )
