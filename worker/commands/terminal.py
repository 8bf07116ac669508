"""Prints the output of commands: tables and lines for people, JSON for programs. Formats times, days and counts.

All text is printed as plain text, never as markup. A table that is printed to a file or a pipe has a fixed width.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker.commands.base import make_printable
from worker.commands.context import to_local_time

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from worker.providers.base import Finding

#: The width in characters of a table that is printed to a file or another program.
FILE_WIDTH = 160
#: The style of a cell, by the first word of its text: `put` is that of "put off", `no` that of "no time".
STYLES = {
    "booked": "green",
    "book": "green",
    "put": "yellow",
    "no": "yellow",
    "held": "cyan",
    "contracted": "cyan",
    "owed": "yellow",
    "deferred": "yellow",
    "unfinished": "magenta",
    "cancelled": "dim",
    "dead": "red",
    "uncertain": "red",
}


def make_console() -> "Console":
    """Return the console for standard output, with the width FILE_WIDTH when it is not a terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(highlight=False, markup=False, emoji=False, width=FILE_WIDTH)
    return console


def make_table(title: str, columns: Sequence[str | tuple[str, str]]) -> "Table":
    """Return an empty table.

    A column is a name, or a name and a layout: `right` (aligned to the right, never wrapped), `unwrapped` (dim, never
    wrapped) or `dim`.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        name, layout = column if isinstance(column, tuple) else (column, "")
        table.add_column(
            name,
            justify="right" if layout == "right" else "left",
            no_wrap=layout in ("unwrapped", "right"),
            style="dim" if layout in ("dim", "unwrapped") else "",
            overflow="fold",
        )
    return table


def add_row(table: "Table", *cells: Any, style: str = "") -> None:
    """Add a row of plain text. A cell that begins with a status gets the colour of that status."""
    from rich.text import Text

    texts = [make_printable(str(cell)) for cell in cells]
    table.add_row(*(Text(text, style=STYLES.get(text.split(" ")[0], "")) for text in texts), style=style or None)


def print_table(table: "Table") -> None:
    """Print a table, without trailing blanks when it does not go to a terminal."""
    console = make_console()
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def print_line(text: str = "", style: str = "") -> None:
    """Print one line of plain text."""
    make_console().print(make_printable(text), style=style or None, soft_wrap=True)


def print_paragraph(text: str, style: str = "", indent: int = 0) -> None:
    """Print plain text, wrapped between words at the width of the terminal, and indented by `indent` columns."""
    from rich.padding import Padding
    from rich.text import Text

    make_console().print(Padding(Text(make_printable(text), style=style), (0, 0, 0, indent)))


def print_finding(finding: "Finding") -> None:
    """Print a finding of a check, with its remedy if there is one. On a terminal, lines are broken between words."""
    if not finding.ok:
        mark, style = "✗", "red"
    else:
        mark, style = ("!", "yellow") if finding.remedy else ("✓", "green")
    lines = [(f"{mark} {finding.statement}", style, 0)]
    if finding.remedy:
        lines.append((f"→ {finding.remedy}", "", 2))
    for text, line_style, indent in lines:
        if make_console().is_terminal:
            print_paragraph(text, line_style, indent)
        else:
            print_line(f"{' ' * indent}{text}", line_style)


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on the terminal. Without an answer, or with standard input closed, return False."""
    if sys.stdin is None:
        return False
    try:
        return click.confirm(question, default=False)
    except click.Abort:
        click.echo(err=True)
        return False


@contextmanager
def show_progress(description: str, total: int) -> "Iterator[Callable[[int], None]]":
    """Show a progress bar on standard error, if that is a terminal.

    Yields a function to be called with the number of completed steps, out of `total`.
    """
    with make_progress_bar() as bar:
        task = bar.add_task(description, total=total)
        yield lambda completed: bar.update(task, completed=completed)


def make_progress_bar() -> "Progress":
    """Return a progress bar on standard error, which shows nothing when that is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal, transient=True)


def print_json(value: Any) -> None:
    """Print the value as JSON. Instants are in UTC and end with Z."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_encode_value))


def _encode_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, Iterable) else str(value)


def format_time(instant: datetime, zone: str) -> str:
    """Return the instant as local date and time in that zone: `Tue 2 Mar 2027 10:00`."""
    local = to_local_time(instant, zone)
    return f"{format_day(local.date())} {local:%H:%M}"


def format_day(day: date) -> str:
    """Return the day as `Tue 2 Mar 2027`."""
    return f"{day:%a} {day.day} {day:%b %Y}"


def name_program(program: Path | None = None) -> str:
    """Return what a user has to type for this program: its name if the shell finds it by that name, else its path.

    `program`: the path of the command; without it, the command that runs now.
    """
    program = program or find_program()
    found = shutil.which(program.name)
    return program.name if found and Path(found).absolute() == program else shlex.quote(str(program))


def find_program() -> Path:
    """Return the path of the command that runs now."""
    return Path(sys.argv[0]).absolute()
