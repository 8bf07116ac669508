"""`longarc simulate`: the same program on simulated people."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.commands.arguments import Day
from worker.commands.base import Command
from worker.commands.context import load_settings, set_up_quiet_logging
from worker.commands.terminal import add_row, make_table, print_line, print_table

if TYPE_CHECKING:
    from worker.simulation.run import SimulationOptions
    from worker.simulation.summary import Summary

MANNERS = ("calm", "busy", "hostile")
_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_new_folder = click.Path(file_okay=False, path_type=Path)


@click.command("simulate", cls=Command, short_help="Months in seconds: the same program, simulated people, any seed.")
@click.option("--people", required=True, type=_file, metavar="FILE", help="The people file.")
@click.option("--calendars", type=_folder, metavar="DIR", help="Holds <email>.ics: what else people have to do.")
@click.option("--from", "start", required=True, type=Day(), metavar="DATE", help="The first day, in UTC.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3660), help="How many.")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same result, byte for byte.")
@click.option("--people-behave", "manner", type=click.Choice(MANNERS), default="calm", show_default=True)
@click.option("--out", required=True, type=_new_folder, metavar="DIR", help="Where ledger.jsonl and summary.txt go.")
def simulate(people: Path, calendars: Path | None, start: date, days: int, seed: int, manner: str, out: Path) -> None:
    """Let months pass in seconds: the same code on simulated calendars, clock and people.

    People accept, decline, move, delete, book over, go away, forget and keep promises, as the seed has it. What
    happened is written to DIR/ledger.jsonl, a JSON object a line, and summed up in DIR/summary.txt.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from worker.engine.people_import import read_people
    from worker.simulation.run import SimulationOptions, run_simulation

    found = load_settings()
    set_up_quiet_logging(found)
    first = datetime.combine(start, time(), UTC)
    listed = read_people(found.model_copy(update={"people": people}), first)
    wanted = SimulationOptions(start=first, days=days, seed=seed, behaviour=manner, calendars=calendars)
    percent = TextColumn("{task.percentage:>3.0f}%")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn())
    screen = Console(stderr=True)
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as bar:
        task = bar.add_task("…", total=timedelta(days=days).total_seconds())

        def show_progress(now: datetime) -> None:
            bar.update(task, completed=(now - first).total_seconds(), description=f"{now:%d %b %Y}")

        tally = run_simulation(wanted, found, listed.persons, listed.pairs, out, show_progress)
    _show_summary(wanted, tally, len(listed.pairs), out)


def _show_summary(run: "SimulationOptions", tally: "Summary", pairs: int, out: Path) -> None:
    shown = make_table(f"{run.days} days from {run.start:%Y-%m-%d}, {run.behaviour} people, seed {run.seed}", ["", ""])
    shown.show_header = False
    for name, figures in tally.list_rows(pairs):
        add_row(shown, name, figures)
    print_table(shown)
    print_line(f"{tally.lines:,} lines in {out / 'ledger.jsonl'}; the same figures in {out / 'summary.txt'}.", "dim")
