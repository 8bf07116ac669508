"""How the commands look: tables and lines for people, JSON for machines.

Names and reasons go in as plain text, never as markup. Where nobody looks on, a table is as wide as it needs.
"""

import json
import os
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from worker.commands.base import make_printable
from worker.commands.context import to_local_time

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: Of a table that goes to a file or another program, in columns.
FILE_WIDTH = 160
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
    """Where tables are printed."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False, emoji=False)
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen = Console(highlight=False, markup=False, emoji=False, width=FILE_WIDTH)
    return screen


def make_table(title: str, columns: Sequence[str | tuple[str, str]]) -> "Table":
    """An empty table. A column may come with how it is set: `right`, `id` (never broken), or `dim`."""
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        name, how = column if isinstance(column, tuple) else (column, "")
        made.add_column(
            name,
            justify="right" if how == "right" else "left",
            no_wrap=how in ("id", "right"),
            style="dim" if how in ("dim", "id") else "",
            overflow="fold",
        )
    return made


def add_row(made: "Table", *cells: Any, style: str = "") -> None:
    """Add a row of plain text; words that say how something stands get their colour."""
    from rich.text import Text

    texts = [make_printable(str(cell)) for cell in cells]
    made.add_row(*(Text(text, style=STYLES.get(text.split(" ")[0], "")) for text in texts), style=style or None)


def print_table(made: "Table") -> None:
    """Print a table; into a file or another program without the blanks that only fill a screen."""
    screen = make_console()
    if screen.is_terminal:
        screen.print(made)
        return
    with screen.capture() as captured:
        screen.print(made)
    click.echo("\n".join(one.rstrip() for one in captured.get().splitlines()))


def print_line(text: str = "", style: str = "") -> None:
    """One line of plain text."""
    make_console().print(make_printable(text), style=style or None, soft_wrap=True)


def print_json(value: Any) -> None:
    """The value as JSON; instants in UTC with Z."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_encode_value))


def _encode_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, Iterable) else str(value)


def format_time(instant: datetime, zone: str) -> str:
    """A day and a time of day as the clocks of that zone show it: `Tue 2 Mar 2027 10:00`."""
    there = to_local_time(instant, zone)
    return f"{format_day(there.date())} {there:%H:%M}"


def format_day(one: date) -> str:
    """`Tue 2 Mar 2027`."""
    return f"{one:%a} {one.day} {one:%b %Y}"


def format_count(number: int, one: str, many: str = "") -> str:
    """`1 pair`, `2 pairs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
