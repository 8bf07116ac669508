"""Run the demo: play the script, write the page and its files, print the story."""

import json
import logging
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from examples.northlight import mailbox, page, people
from examples.northlight.actors import ScriptedHumans
from examples.northlight.figures import compute_statistics
from examples.northlight.page_copies import write_copies
from examples.northlight.result import DemoResult, collect_result
from examples.northlight.services import make_services
from examples.northlight.stage import DemoStage, name_installed_program
from examples.northlight.story import list_rows
from worker.errors import LongarcError

if TYPE_CHECKING:
    from rich.console import Console

#: A folder with this file was written by the demo, and may be overwritten.
MARKER = ".longarc-demo"
#: The tones of story rows that are printed; the page shows all rows.
PRINTED_TONES = ("human", "session", "trouble")

Progress = Callable[[datetime], None]


def run_demo(
    out: Path, provider: str = "caldav", progress: Progress | None = None, *, weeks: int = people.WEEKS
) -> None:
    """Run the demo and write it to `out`. `progress` is called with the time of the demo; without it a bar is shown.

    Raises LongarcError when `out` contains other files, or for an unknown provider.
    """
    from rich.console import Console

    make_services(provider, out)  # raises an error for an unknown provider before anything is written
    screen = Console(highlight=False, markup=False, emoji=False)
    _clear_folder(out)
    end = people.START + timedelta(weeks=weeks)
    with _quiet_logs(), _show_progress(screen, end, progress) as report_progress:
        result = _play_story(out, provider, end, report_progress)
    page.write_page(result, out)
    _print_story(result, out, screen)


def _play_story(out: Path, provider: str, end: datetime, progress: Progress) -> DemoResult:
    """Play the script until `end`; write calendars, ledger and mails. Only running servers can export the calendars."""
    work = out.absolute() / "work"
    work.mkdir()
    with DemoStage(work, provider) as stage:
        stage.run_until(end, ScriptedHumans(stage, work), progress)
        result = collect_result(stage)
        write_copies(stage.pages, out)
        calendars = out / "calendars"
        calendars.mkdir()
        for person in result.persons:
            (calendars / f"{person}.ics").write_text(stage.open_calendar(person).export(), encoding="utf-8", newline="")
    with (out / "ledger.jsonl").open("w", encoding="utf-8") as file:
        public_lines = (line for line in result.ledger if not line.get("private"))
        file.writelines(f"{json.dumps(line, ensure_ascii=False)}\n" for line in public_lines)
    mailbox.write_mails(result.mails, out)
    return result


# --- the folder -------------------------------------------------------------------------------------------------------


def _clear_folder(out: Path) -> None:
    """Create `out`, or delete what an earlier run wrote there. Raises LongarcError when it contains other files."""
    if out.exists() and not out.is_dir():
        raise LongarcError(f"{out} is a file. Name a folder that the demo may write.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise LongarcError(f"{out} holds files that no demo wrote. Name another folder, or empty this one.")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("A folder of Longarc's demo: written anew each time.\n", encoding="utf-8")
    for path in out.iterdir():
        if path.name == MARKER:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


# --- the terminal -----------------------------------------------------------------------------------------------------


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Log only warnings within the block."""
    loggers = [logging.getLogger(name) for name in ("worker", "huey", "mail.log", "waitress")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _show_progress(screen: "Console", end: datetime, progress: Progress | None) -> Iterator[Progress]:
    """Yield `progress`; without it, a function that shows the date of the demo in a bar."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    if progress is not None:
        yield progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:>3.0f} %"))
    with Bar(*columns, TimeElapsedColumn(), console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task("Starting the servers", total=(end - people.START).total_seconds())

        def update_bar(now: datetime) -> None:
            bar.update(task, completed=(now - people.START).total_seconds(), description=f"{now:%a %d %b %Y}")

        yield update_bar
        update_bar(end)


def _print_story(result: DemoResult, out: Path, screen: "Console") -> None:
    """Print the story as a table, the figures, and the paths of the files."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen = Console(highlight=False, markup=False, emoji=False, width=160)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What happened (hours of Berlin)", title_justify="left")
    table.add_column("When", no_wrap=True, style="dim")
    table.add_column("Pair", no_wrap=True)
    table.add_column("Who", no_wrap=True)
    table.add_column("What", ratio=3)
    table.add_column("Why", ratio=2, style="dim")
    styles = {"human": "blue", "trouble": "red", "session": ""}
    for row in list_rows(result.ledger, {}):
        if row.tone in PRINTED_TONES:
            table.add_row(f"{row.date} {row.clock}", row.names, row.who, row.what, row.short, style=styles[row.tone])
    screen.print(table)
    for tile in compute_statistics(result).tiles:
        screen.print(f"{tile.value:>9}  {tile.what}" + (f" ({tile.more})" if tile.more else ""))
    screen.print(f"\nThe whole story, and every mail as it looks: {out / 'index.html'}")
    key, config = (shlex.quote(str(out / "work" / name)) for name in ("key", "longarc.toml"))
    command = f"LONGARC_KEY_FILE={key} {name_installed_program()} --config {config} sessions"
    screen.print(f"To look around: {command}", soft_wrap=True)  # a line to be copied has no breaks
